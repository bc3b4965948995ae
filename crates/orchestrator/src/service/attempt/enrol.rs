//! Uses a ticket: once, bound to one key, in one compare-and-set; then the run counts as running.

use waybill_model::run::RunEvent;
use waybill_store::{AttemptStart, AuditEntry, Store, Tx};

use super::{AttemptService, EnrolError, EnrolGrant, Held, Peer, TicketClaim};
use crate::service::note::Note;

/// How long an attempt whose ticket leaked is refused by every process: twice the longest life of a certificate.
pub(super) const DENIED: std::time::Duration = std::time::Duration::from_secs(2 * 60 * 60);

impl AttemptService {
    /// Marks the ticket used and binds the key. The same key within a minute is granted again, since the answer may
    /// have been lost; another key is refused, raises an alarm and fences the attempt.
    pub async fn enrol(&self, claim: &TicketClaim, spki_sha256: [u8; 32]) -> Result<EnrolGrant, EnrolError> {
        let spki = hex::encode(spki_sha256);
        let Some((mut tx, held)) = self.hold(claim.org, claim.attempt).await? else {
            return Err(EnrolError::NotFound);
        };
        if held.attempt.epoch != claim.epoch || held.attempt.state.is_final() || held.attempt.fenced_at.is_some() {
            return Err(EnrolError::Fenced);
        }
        let peer = Peer { org: claim.org, attempt: claim.attempt };
        let grant = EnrolGrant { peer, run: held.run.id, again: false };
        if let Some(used) = held.attempt.ticket_used_at {
            let same_key = held.attempt.spki.as_deref() == Some(&spki);
            if !same_key {
                return Err(self.refuse_other_key(tx, &held).await?);
            }
            let fresh = tx.clock().await?.since(used) <= self.bounds.enrol_again;
            return if fresh {
                Ok(EnrolGrant { again: true, ..grant })
            } else {
                Err(EnrolError::Used { other_key: false })
            };
        }
        let start = AttemptStart { spki: &spki, ticket_life: self.bounds.start_timeout, lease: self.bounds.lease };
        let Ok(state) = held.run.state.next(RunEvent::Enrolled) else { return Err(EnrolError::Fenced) };
        let bound = Store::attempt_enrol_in_txn(&mut tx, &held.attempt, start).await?
            && Store::run_move_in_txn(&mut tx, &held.run, state, held.run.failure).await?;
        if !bound {
            return Err(EnrolError::Fenced);
        }
        let note = Note::Enrolled.event(Some(claim.attempt));
        Store::run_event_append_in_txn(&mut tx, claim.org, held.run.id, &[note]).await?;
        let actor = format!("worker:{}", claim.attempt);
        Store::audit_append_in_txn(&mut tx, &AuditEntry::done(claim.org, actor, "attempt.enrol", &claim.attempt))
            .await?;
        tx.commit().await?;
        self.nudges.run_progressed(held.run.id);
        Ok(grant)
    }

    /// Somebody else holds this ticket: whoever enrolled first may not be the worker that was started.
    async fn refuse_other_key(&self, mut tx: Tx, held: &Held) -> Result<EnrolError, EnrolError> {
        let (org, attempt) = (held.attempt.org, held.attempt.id);
        let notes = [Note::TicketReused.event(Some(attempt)), Note::Fenced.event(Some(attempt))];
        Store::attempt_fence_in_txn(&mut tx, &held.attempt).await?;
        Store::certificate_revoke_in_txn(&mut tx, org, attempt).await?;
        Store::denial_insert_in_txn(&mut tx, org, attempt, DENIED).await?;
        Store::run_event_append_in_txn(&mut tx, org, held.run.id, &notes).await?;
        let actor = format!("worker:{attempt}");
        Store::audit_append_in_txn(&mut tx, &AuditEntry::refused(org, actor, "attempt.enrol", &attempt)).await?;
        tx.commit().await?;
        tracing::warn!(attempt.id = %attempt, "a ticket was presented with another key; the attempt is fenced");
        self.nudges.task_changed();
        Ok(EnrolError::Used { other_key: true })
    }
}
