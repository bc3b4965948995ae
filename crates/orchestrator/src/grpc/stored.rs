//! The attempt service behind the wire: its refusals in the words of the wire.

use async_trait::async_trait;
use waybill_identity::attest::aws::Caller;
use waybill_identity::{IssuedLeaf, Peer, TicketClaim};
use waybill_model::report::{Assignment, Completion, Directive, Report};
use waybill_model::{AttemptId, Epoch};
use waybill_store::StoreError;

use super::attempts::{Attempts, Refusal};
use super::prove::Expected;
use crate::service::attempt::{AttemptError, AttemptService, CommitAnswer, EnrolError};

#[async_trait]
impl Attempts for AttemptService {
    async fn may_enrol(&self, attempt: AttemptId) -> Result<(), Refusal> {
        // Whatever is not live is fenced, so that an unknown id reads like an ended one.
        self.may_enrol(attempt).await.map_err(|error| match Refusal::from(error) {
            Refusal::NotFound => Refusal::Fenced,
            other => other,
        })
    }

    async fn expected(&self, claim: &TicketClaim) -> Result<Expected, Refusal> {
        Ok(self.expected(claim).await?)
    }

    async fn unproven(&self, claim: &TicketClaim, reason: &'static str) -> Result<(), Refusal> {
        Ok(self.unproven(claim, reason).await?)
    }

    async fn proven(&self, claim: &TicketClaim, caller: &Caller) -> Result<(), Refusal> {
        Ok(self.proven(claim, caller).await?)
    }

    async fn enrol(&self, claim: &TicketClaim, spki_sha256: [u8; 32]) -> Result<(), Refusal> {
        Ok(self.enrol(claim, spki_sha256).await.map(|_| ())?)
    }

    async fn issued(&self, peer: &Peer, leaf: &IssuedLeaf, spki_sha256: [u8; 32]) -> Result<(), Refusal> {
        Ok(self.issued(peer, hex::encode(&leaf.serial), spki_sha256, leaf.not_after).await?)
    }

    async fn assignment(&self, peer: &Peer) -> Result<Assignment, Refusal> {
        Ok(self.assignment(peer).await?)
    }

    async fn report(&self, peer: &Peer, report: Report) -> Result<Directive, Refusal> {
        Ok(self.report(peer, report).await?)
    }

    async fn prepare_commit(
        &self,
        peer: &Peer,
        epoch: Epoch,
        stream: u32,
        digest: [u8; 32],
    ) -> Result<Directive, Refusal> {
        Ok(match self.prepare_commit(peer, epoch, stream, digest).await? {
            CommitAnswer::Granted => Directive::Continue,
            CommitAnswer::GrantedLast => Directive::Drain,
            // A refusal that says to go on would read as a grant.
            CommitAnswer::Refused(Directive::Continue | Directive::Drain) => Directive::Fenced,
            CommitAnswer::Refused(other) => other,
        })
    }

    async fn complete(&self, peer: &Peer, epoch: Epoch, completion: Completion) -> Result<Directive, Refusal> {
        Ok(self.complete(peer, epoch, completion).await?)
    }

    async fn may_renew(&self, peer: &Peer) -> Result<bool, Refusal> {
        Ok(self.may_renew(peer).await?)
    }
}

impl From<EnrolError> for Refusal {
    fn from(error: EnrolError) -> Self {
        match error {
            EnrolError::NotFound => Self::NotFound,
            EnrolError::Fenced => Self::Fenced,
            EnrolError::Used { other_key } => Self::TicketUsed { other_key },
            EnrolError::Store(error) => unavailable(error),
        }
    }
}

impl From<AttemptError> for Refusal {
    fn from(error: AttemptError) -> Self {
        match error {
            AttemptError::NotFound => Self::NotFound,
            AttemptError::Fenced => Self::Fenced,
            AttemptError::Invalid { field, what } => Self::Invalid { field, what },
            AttemptError::Store(error) => unavailable(error),
        }
    }
}

fn unavailable(error: StoreError) -> Refusal {
    Refusal::Unavailable(Box::new(error))
}
