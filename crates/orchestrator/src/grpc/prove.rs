//! What a worker proves of where it runs, against what its data plane says. The data plane chooses the kind of proof, never
//! the worker: a good proof of another kind is no proof.

use waybill_identity::attest::aws::{self, AwsProof, AwsRole, Caller};
use waybill_identity::{AgentAttestation, AttestationError, AttestationKind, Binding, TicketClaim};
use waybill_model::{AgentId, AttemptId};
use waybill_protocol::enrolment::{AwsAttestation, Enrol};
use waybill_protocol::pb::enrolment as pb;

use super::Services;

mod answer;
mod keys;
mod sts;
mod token;

pub use keys::{IssuerDoor, IssuerError};
pub use sts::StsDoor;

/// Where an attempt's worker must run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// On the orchestrator's own host.
    Process,
    /// Where this agent is, as a process that it started.
    Agent(AgentId),
    /// As a task with this role, which this agent started.
    AgentTask(AgentId, AwsRole),
    /// As a task with this role.
    Aws(AwsRole),
    /// Nowhere that can be proven: its data plane can't be used.
    Nowhere,
}

/// Why a proof was not accepted.
#[derive(Debug)]
pub(super) enum Unproven {
    /// It is wrong. Whoever sent it holds the ticket all the same.
    Refused(AttestationError),
    /// Another agent holds the task than the one that vouched: the worker of one that was too late, or a stranger, and
    /// neither can use the ticket.
    NotVouched(AttestationError),
    /// It could not be checked now.
    Unavailable,
}

impl Expected {
    /// Whether a ticket without the right proof is an alarm: everybody who may describe tasks can read a task's ticket.
    pub(super) const fn guards_the_ticket(&self) -> bool {
        matches!(self, Self::Aws(_) | Self::AgentTask(..))
    }
}

/// Checks what was presented; where a role was proven, who STS says it is.
pub(super) async fn check(
    services: &Services,
    (claim, enrol): (&TicketClaim, &Enrol),
    expected: &Expected,
    binding: Binding,
) -> Result<Option<Caller>, Unproven> {
    match (expected, enrol.kind, &enrol.aws) {
        (Expected::Process, pb::AttestationKind::Process, _) => {
            let accepted = services.attestations.iter().find(|it| it.kind() == AttestationKind::Process);
            let accepted = accepted.ok_or(Unproven::Refused(AttestationError("processes are not accepted here")))?;
            accepted.verify(&enrol.attestation, binding).await.map_err(Unproven::Refused)?;
            Ok(None)
        }
        // A task that an agent holds is proven by that agent's voucher, and by nothing else.
        (Expected::Agent(agent), pb::AttestationKind::Agent, _) => {
            vouched(services, (claim, enrol), *agent, &binding)?;
            Ok(None)
        }
        // Everybody who may describe tasks can read the voucher there: the role counts as well.
        (Expected::AgentTask(agent, role), pb::AttestationKind::Agent, Some(presented)) => {
            vouched(services, (claim, enrol), *agent, &binding)?;
            role_of(services, (claim.attempt, presented), role, &binding).await.map(Some)
        }
        (Expected::Aws(role), pb::AttestationKind::Aws, Some(presented)) => {
            role_of(services, (claim.attempt, presented), role, &binding).await.map(Some)
        }
        _ => Err(Unproven::Refused(AttestationError("it is of another kind than the data plane asks for"))),
    }
}

fn vouched(
    services: &Services,
    (claim, enrol): (&TicketClaim, &Enrol),
    agent: AgentId,
    binding: &Binding,
) -> Result<(), Unproven> {
    let voucher = services.tickets.voucher(claim, agent);
    AgentAttestation::verify(&voucher, &enrol.attestation, binding).map_err(Unproven::NotVouched)
}

async fn role_of(
    services: &Services,
    (attempt, presented): (AttemptId, &AwsAttestation),
    role: &AwsRole,
    binding: &Binding,
) -> Result<Caller, Unproven> {
    let deployment = services.pin.to_string();
    let challenge = aws::challenge(&binding.nonce, &binding.spki_sha256, &deployment);
    let caller = match (&role.token_issuer, presented) {
        (None, AwsAttestation::Call(presented)) => services.sts.ask(&proof(presented), role, &challenge).await?,
        (Some(issuer), AwsAttestation::Token(token)) => {
            let key = services.sts.issuers.key_of(issuer, token, attempt).await?;
            token::read(token, &key, (issuer, &role.region), &challenge).map_err(Unproven::Refused)?
        }
        // Either alone would do, but which one is asked for is for the data plane to say.
        (Some(_), AwsAttestation::Call(_)) => {
            return Err(Unproven::Refused(AttestationError("the data plane asks for a token of its account's issuer")));
        }
        (None, AwsAttestation::Token(_)) => {
            return Err(Unproven::Refused(AttestationError("the data plane names no issuer of tokens")));
        }
    };
    role.accept(&caller).map_err(Unproven::Refused)?;
    Ok(caller)
}

fn proof(wire: &pb::AwsProof) -> AwsProof {
    AwsProof {
        access_key_id: wire.access_key_id.clone(),
        date: wire.date.clone(),
        region: wire.region.clone(),
        signature: wire.signature.clone(),
        security_token: wire.security_token.clone(),
    }
}
