// Writes the types of the API from its committed description, or with --check says that they are out of date.
// It has a package of its own, since the generator needs a compiler that the pages are not checked with.
import { readFileSync, writeFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";

const into = new URL("../src/api/schema.ts", import.meta.url);
const from = new URL("../../docs/reference/openapi.json", import.meta.url);
// Every operation can answer with a problem, and all problems have one shape: said once, the types are a tenth as long.
const api = JSON.parse(readFileSync(from, "utf8"));
const problem = { description: "A problem.", content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } } };
for (const operation of Object.values(api.paths).flatMap((path) => Object.values(path))) {
  const good = Object.entries(operation.responses ?? {}).filter(([status]) => status.startsWith("2"));
  operation.responses = { ...Object.fromEntries(good.map(([status, { headers, ...rest }]) => [status, rest])), default: problem };
}
const fresh = `// Made from docs/reference/openapi.json by web/codegen; never written by hand.\n${astToString(await openapiTS(api))}`;
if (process.argv.includes("--check")) {
  let there = "";
  try {
    there = readFileSync(into, "utf8");
  } catch {
    // There is none yet, which is out of date too.
  }
  if (there !== fresh) {
    console.error("out of date: web/src/api/schema.ts; run: make generate");
    process.exit(1);
  }
} else {
  writeFileSync(into, fresh);
}
