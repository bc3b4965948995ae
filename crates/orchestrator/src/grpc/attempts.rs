//! What the gRPC services ask of whoever keeps the attempts.

use async_trait::async_trait;
use waybill_identity::attest::aws::Caller;
use waybill_identity::{IssuedLeaf, Peer, TicketClaim};
use waybill_model::report::{Assignment, Completion, Directive, Report};
use waybill_model::{AttemptId, Epoch};

use super::prove::Expected;

/// Why a call is refused. No variant tells a peer about something that is not its own.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is no such thing, or it is somebody else's.
    #[error("not found")]
    NotFound,
    /// Another attempt took over, or this one has ended.
    #[error("fenced")]
    Fenced,
    /// The ticket was used before.
    #[error("the ticket was used before")]
    TicketUsed {
        /// It came with another key: somebody else holds it.
        other_key: bool,
    },
    /// A field can't be right for this run.
    #[error("{field} {what}")]
    Invalid {
        /// Which one.
        field: &'static str,
        /// What is wrong with it; never a value.
        what: &'static str,
    },
    /// The store can't answer now.
    #[error("unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Keeps the attempts. Implemented by the attempt service; it is asked with a peer from a certificate, never from a message.
#[async_trait]
pub trait Attempts: Send + Sync + 'static {
    /// Whether an attempt still waits for its worker. Asked before anything is proven, so the answer is `Fenced` for
    /// everything that is not live.
    async fn may_enrol(&self, attempt: AttemptId) -> Result<(), Refusal>;

    /// Where the attempt's worker must run, as its data plane says.
    async fn expected(&self, claim: &TicketClaim) -> Result<Expected, Refusal>;

    /// A good ticket came without the proof that its data plane asks for: the attempt is fenced, and the audit says so.
    async fn unproven(&self, claim: &TicketClaim, reason: &'static str) -> Result<(), Refusal>;

    /// Records the role that was proven, and whether its session is the attempt's task.
    async fn proven(&self, claim: &TicketClaim, caller: &Caller) -> Result<(), Refusal>;

    /// Uses a ticket for a public key. The same key again within 60 seconds is no second use.
    async fn enrol(&self, claim: &TicketClaim, spki_sha256: [u8; 32]) -> Result<(), Refusal>;

    /// Records a certificate that was issued.
    async fn issued(&self, peer: &Peer, leaf: &IssuedLeaf, spki_sha256: [u8; 32]) -> Result<(), Refusal>;

    /// What to do.
    async fn assignment(&self, peer: &Peer) -> Result<Assignment, Refusal>;

    /// Takes a report and renews the lease; a repeated one changes nothing.
    async fn report(&self, peer: &Peer, report: Report) -> Result<Directive, Refusal>;

    /// Leave to commit one stream: `Continue` and `Drain` grant it, anything else says what to do instead.
    async fn prepare_commit(
        &self,
        peer: &Peer,
        epoch: Epoch,
        stream: u32,
        digest: [u8; 32],
    ) -> Result<Directive, Refusal>;

    /// Takes the outcome.
    async fn complete(&self, peer: &Peer, epoch: Epoch, completion: Completion) -> Result<Directive, Refusal>;

    /// Whether the attempt is live, so that its certificate may be renewed.
    async fn may_renew(&self, peer: &Peer) -> Result<bool, Refusal>;
}
