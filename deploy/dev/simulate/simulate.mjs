// Evaluates requests against policies as IAM does. Standard input: {"requests": [{principal, action, resource, account, context,
// identity: [policy…], trust: policy?}]}. Standard output: one "Allowed" | "ImplicitlyDenied" | "ExplicitlyDenied" per request.
// A request that the service itself could not have (unknown action, wrong kind of resource, unknown key) ends the program.
import { readFileSync } from 'node:fs'
import { runSimulation } from '@cloud-copilot/iam-simulate'

const { requests } = JSON.parse(readFileSync(0, 'utf8'))
const answers = []
for (const request of requests) {
  const simulation = {
    request: {
      principal: request.principal,
      action: request.action,
      resource: { resource: request.resource, accountId: request.account },
      contextVariables: request.context ?? {},
    },
    identityPolicies: request.identity.map((policy, number) => ({ name: `policy-${number}`, policy })),
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    ...(request.trust ? { resourcePolicy: request.trust } : {}),
  }
  const result = await runSimulation(simulation, {})
  const answer = result.overallResult ?? result.analysis?.result
  if (!answer) {
    console.error(`${request.action} on ${request.resource}: ${JSON.stringify(result)}`)
    process.exit(1)
  }
  answers.push(answer)
}
process.stdout.write(JSON.stringify(answers))
