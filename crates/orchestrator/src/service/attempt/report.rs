//! Takes reports (progress, events, the lease) and gives leave to commit.

use serde_json::Value;
use waybill_model::Epoch;
use waybill_model::event::Event;
use waybill_model::report::{Directive, Progress, Report};
use waybill_model::run::{StreamEvent, StreamState};
use waybill_store::{NewEvent, RunStream, Store, StoreResult, Tx};

use super::{AttemptError, AttemptService, CommitAnswer, Held, Peer};
use crate::service::note::Note;

impl AttemptService {
    /// Takes a report: renews the lease, keeps progress and events once, answers what to do. Repeated and late reports
    /// renew the lease and change nothing else.
    pub async fn report(&self, peer: &Peer, report: Report) -> Result<Directive, AttemptError> {
        if report.events.len() > self.bounds.events_per_report {
            return Err(AttemptError::Invalid { field: "events", what: "holds more events than one report may" });
        }
        let Some((mut tx, held)) = self.hold(peer.org, peer.attempt).await? else {
            return Err(AttemptError::NotFound);
        };
        let lease = self.bounds.lease;
        if !Store::attempt_renew_in_txn(&mut tx, peer.org, peer.attempt, report.epoch, lease).await? {
            return Ok(self.answer_to_ended(&held, report.epoch));
        }
        let (had, came) = (held.attempt.event_count, report.events.len() as u64);
        let (quota, room) = (self.bounds.events_per_attempt, self.bounds.events_per_attempt.saturating_sub(had));
        if Store::attempt_report_in_txn(&mut tx, &held.attempt, report.seq, came).await? {
            self.keep_progress(&mut tx, &held, &report.progress).await?;
            let taken = usize::try_from(room).unwrap_or(usize::MAX);
            let mut events: Vec<_> = report.events.iter().take(taken).map(|e| worker_event(&held, e)).collect();
            if had <= quota && had + came > quota {
                events.push(Note::EventsDropped.event(Some(peer.attempt)));
            }
            Store::run_event_append_in_txn(&mut tx, peer.org, held.run.id, &events).await?;
        }
        let directive = held.directive_in_txn(&mut tx).await?;
        tx.commit().await?;
        self.nudges.run_progressed(held.run.id);
        Ok(directive)
    }

    /// An attempt that has completed by itself is told to go on: its last reports may be on their way still.
    fn answer_to_ended(&self, held: &Held, epoch: Epoch) -> Directive {
        let own_end = held.attempt.outcome_digest.is_some() && held.attempt.fenced_at.is_none();
        if own_end && held.attempt.epoch == epoch { Directive::Continue } else { Directive::Fenced }
    }

    async fn keep_progress(&self, tx: &mut Tx, held: &Held, progress: &[Progress]) -> Result<(), AttemptError> {
        if progress.is_empty() {
            return Ok(());
        }
        let streams = Store::run_stream_list_in_txn(tx, held.run.org, held.run.id).await?;
        let mut delivered = false;
        for new in progress {
            let stream = selected(&streams, new.stream)?;
            let state = reachable(stream.state, new.state);
            delivered |= state == StreamState::Committed && stream.state != StreamState::Committed;
            let new = Progress { state, ..*new };
            let of_run = (held.run.org, held.run.id);
            Store::run_stream_progress_in_txn(tx, of_run, held.attempt.id, stream.state, &new).await?;
        }
        if delivered {
            // What is delivered stays: the count of tries begins anew.
            Store::run_count_in_txn(tx, &held.run, held.run.attempts, 0).await?;
        }
        Ok(())
    }

    /// Gives leave to commit one stream: refused from the moment that a cancel or a fence was stored.
    pub async fn prepare_commit(
        &self,
        peer: &Peer,
        epoch: Epoch,
        stream: u32,
        digest: [u8; 32],
    ) -> Result<CommitAnswer, AttemptError> {
        let Some((mut tx, held)) = self.hold(peer.org, peer.attempt).await? else {
            return Err(AttemptError::NotFound);
        };
        let lease = self.bounds.lease;
        if !Store::attempt_renew_in_txn(&mut tx, peer.org, peer.attempt, epoch, lease).await? {
            return Ok(CommitAnswer::Refused(Directive::Fenced));
        }
        let streams = Store::run_stream_list_in_txn(&mut tx, peer.org, held.run.id).await?;
        selected(&streams, stream)?;
        let directive = held.directive();
        if directive != Directive::Continue {
            tx.commit().await?;
            return Ok(CommitAnswer::Refused(directive));
        }
        let (of_run, digest) = ((peer.org, held.run.id), hex::encode(digest));
        if !Store::run_stream_grant_in_txn(&mut tx, of_run, peer.attempt, stream, &digest).await? {
            return Err(AttemptError::Invalid { field: "stream", what: "has ended in this run" });
        }
        let note = Note::CommitGranted.with(Some(peer.attempt), serde_json::json!({ "stream": stream }));
        Store::run_event_append_in_txn(&mut tx, peer.org, held.run.id, &[note]).await?;
        let drains = held.directive_in_txn(&mut tx).await? == Directive::Drain;
        tx.commit().await?;
        Ok(if drains { CommitAnswer::GrantedLast } else { CommitAnswer::Granted })
    }
}

/// The stream of that place, if it is part of the run.
pub(super) fn selected(streams: &[RunStream], stream: u32) -> Result<&RunStream, AttemptError> {
    let wrong = AttemptError::Invalid { field: "stream", what: "is not part of this run" };
    streams.iter().find(|s| s.stream == stream && s.selected).ok_or(wrong)
}

/// `to`, where the model's events lead there from `from`, with steps that a report left out; `from` otherwise.
pub(super) fn reachable(from: StreamState, to: StreamState) -> StreamState {
    use {StreamEvent as E, StreamState as S};
    let path: &[E] = match (from, to) {
        (S::Waiting, S::Committing) => &[E::Opened, E::Closed],
        (_, S::Reading) => &[E::Opened],
        (_, S::Committing) => &[E::Closed],
        (_, S::Committed) => &[E::Committed],
        (_, S::Failed) => &[E::Failed],
        (_, S::Skipped) => &[E::Skipped],
        (_, S::Waiting) => return from,
    };
    path.iter().try_fold(from, |state, event| state.next(*event)).unwrap_or(from)
}

fn worker_event(held: &Held, event: &Event) -> NewEvent {
    // Time and code have columns of their own.
    let mut body = serde_json::to_value(event).unwrap_or(Value::Null);
    if let Value::Object(fields) = &mut body {
        fields.remove("at");
        fields.remove("code");
    }
    NewEvent {
        attempt: Some(held.attempt.id),
        origin: "worker",
        code: event.code.as_str(),
        at: Some(event.at),
        body: body.to_string(),
    }
}

/// Raises the pipeline's last epoch to what was found in the bucket: a control database that was restored learns of
/// the epochs that it forgot. One far in the future is not believed, and waits for somebody to accept it.
pub(super) async fn learn_epoch_in_txn(tx: &mut Tx, held: &Held, found: Option<Epoch>) -> StoreResult<()> {
    let (Some(id), Some(found)) = (held.run.pipeline, found) else { return Ok(()) };
    let org = held.run.org;
    let accepted = Store::pipeline_get_in_txn(tx, org, id).await?.and_then(|pipeline| pipeline.accepted_epoch);
    if found.is_ahead(tx.clock().await?, accepted) {
        Store::pipeline_epoch_ahead_in_txn(tx, org, id, found).await?;
        let note = Note::EpochAhead.with(Some(held.attempt.id), serde_json::json!({ "epoch": found.0 }));
        return Store::run_event_append_in_txn(tx, org, held.run.id, &[note]).await;
    }
    Store::pipeline_epoch_raise_in_txn(tx, org, id, found).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_that_a_report_left_out_are_taken_and_none_leads_back() {
        use StreamState as S;
        assert_eq!(reachable(S::Waiting, S::Committing), S::Committing);
        assert_eq!(reachable(S::Reading, S::Committed), S::Committed);
        assert_eq!(reachable(S::Committed, S::Reading), S::Committed);
        assert_eq!(reachable(S::Committing, S::Reading), S::Committing);
        assert_eq!(reachable(S::Failed, S::Committed), S::Failed);
    }
}
