//! Takes an attempt's outcome: once, fenced by the epoch, in one transaction with the audit entry. What was delivered
//! is kept stream by stream even where the attempt came too late, since the bucket decides.

use serde_json::json;
use sha2::{Digest, Sha256};
use waybill_model::failure::RetryPolicy;
use waybill_model::receipt::StreamOutcome;
use waybill_model::report::{Completion, Directive, DiscoveredTable, Outcome};
use waybill_model::run::{Desired, RunKind, StreamState};
use waybill_model::{Epoch, FailureCode};
use waybill_store::{RunStream, Store, Tx};

use super::report::{learn_epoch_in_txn, reachable, selected};
use super::{AttemptError, AttemptService, Held, Peer};
use crate::service::note::Note;
use crate::service::settle::{Ending, Finding, end_attempt_in_txn};

impl AttemptService {
    /// Takes the outcome. Asked again with the same outcome, it is answered the same.
    pub async fn complete(&self, peer: &Peer, epoch: Epoch, done: Completion) -> Result<Directive, AttemptError> {
        let Some((mut tx, held)) = self.hold(peer.org, peer.attempt).await? else {
            return Err(AttemptError::NotFound);
        };
        let digest = digest_of(&done);
        if let Some(first) = &held.attempt.outcome_digest {
            return Ok(if *first == digest { Directive::Continue } else { Directive::Fenced });
        }
        if held.attempt.epoch != epoch {
            return Ok(Directive::Fenced);
        }
        let streams = Store::run_stream_list_in_txn(&mut tx, peer.org, held.run.id).await?;
        self.check(&held, &streams, &done).await?;
        learn_epoch_in_txn(&mut tx, &held, done.streams.iter().filter_map(|s| s.epoch).max()).await?;
        if held.attempt.state.is_final() || held.attempt.fenced_at.is_some() {
            keep_late(&mut tx, &held, &done).await?;
            tx.commit().await?;
            self.nudges.run_progressed(held.run.id);
            return Ok(Directive::Fenced);
        }
        let delivered = keep_streams(&mut tx, &held, &streams, &done).await?;
        if held.run.kind == RunKind::Discover {
            let tables = serde_json::to_string(&done.tables).unwrap_or_default();
            Store::run_tables_in_txn(&mut tx, &held.run, &tables, done.tables_withheld).await?;
        }
        let mut run = held.run.clone();
        if delivered {
            run.tries = 0;
            Store::run_count_in_txn(&mut tx, &run, run.attempts, 0).await?;
        }
        let actor = format!("worker:{}", peer.attempt);
        let finding = Finding { actor: &actor, outcome: Some(&digest) };
        let ending = ending_of(&done);
        let ended = end_attempt_in_txn(&mut tx, &self.bounds, (&run, &held.attempt), ending, finding).await?;
        if ended.is_none() {
            return Ok(Directive::Fenced);
        }
        tx.commit().await?;
        self.nudges.run_changed(held.run.id);
        Ok(Directive::Continue)
    }

    /// What can't be true of this run is refused before anything is kept.
    async fn check(&self, held: &Held, streams: &[RunStream], done: &Completion) -> Result<(), AttemptError> {
        for outcome in &done.streams {
            selected(streams, outcome.stream)?;
            if outcome.receipt.as_ref().is_some_and(|r| r.len() != 64 || !r.bytes().all(|b| b.is_ascii_hexdigit())) {
                return Err(AttemptError::Invalid { field: "receipt", what: "must be 32 bytes" });
            }
        }
        let told = |s: &&RunStream| done.streams.iter().filter(|o| o.stream == s.stream).count();
        if streams.iter().any(|s| told(&s) > 1) {
            return Err(AttemptError::Invalid { field: "streams", what: "name one stream twice" });
        }
        if done.outcome == Outcome::Succeeded && held.run.kind == RunKind::Sync {
            let delivered = |s: &RunStream| {
                let known = s.state == StreamState::Committed;
                known || done.streams.iter().any(|o| o.stream == s.stream && o.state == StreamState::Committed)
            };
            if streams.iter().any(|s| s.selected && !delivered(s)) {
                return Err(AttemptError::Invalid { field: "streams", what: "of a success must all be delivered" });
            }
        }
        self.check_names(held, done).await
    }

    /// Names leave only in a discovery and only below the project's ceiling.
    async fn check_names(&self, held: &Held, done: &Completion) -> Result<(), AttemptError> {
        if done.tables.is_empty() {
            return Ok(());
        }
        if held.run.kind != RunKind::Discover {
            return Err(AttemptError::Invalid { field: "tables", what: "belong to a discovery only" });
        }
        let project = self.store.project_get(held.run.org, held.run.project).await?;
        let ceiling = project.map_or(0, |project| project.name_ceiling);
        let bytes: u64 = done.tables.iter().map(DiscoveredTable::name_bytes).sum();
        if bytes > ceiling {
            return Err(AttemptError::Invalid { field: "tables", what: "hold more names than the project's ceiling" });
        }
        Ok(())
    }
}

fn digest_of(done: &Completion) -> String {
    let whole = json!({
        "outcome": done.outcome, "streams": done.streams, "failure": done.failure, "tables": done.tables,
        "withheld": done.tables_withheld,
    });
    hex::encode(Sha256::digest(whole.to_string()))
}

/// Of several streams that failed, one that another try may help gives the attempt its code, wherever it stands in the plan:
/// the others are told by their own.
fn ending_of(done: &Completion) -> Ending {
    let passing = |code: &FailureCode| matches!(code.policy(), RetryPolicy::Retry | RetryPolicy::RetryAfter);
    let failures = || done.streams.iter().filter_map(|s| s.failure);
    let of_streams = || failures().find(passing).or_else(|| failures().next());
    match done.outcome {
        Outcome::Succeeded => Ending::Succeeded,
        Outcome::Canceled => Ending::Canceled,
        Outcome::Failed => Ending::Failed(done.failure.or_else(of_streams).unwrap_or(FailureCode::WorkerBug)),
    }
}

/// Keeps every stream's outcome; tells whether one was delivered that was not before.
async fn keep_streams(
    tx: &mut Tx,
    held: &Held,
    streams: &[RunStream],
    done: &Completion,
) -> Result<bool, AttemptError> {
    let mut delivered = false;
    for outcome in &done.streams {
        let before = selected(streams, outcome.stream)?;
        // Progress may have told of the end before; then only the numbers are new.
        let state = reachable(before.state, outcome.state);
        delivered |= state == StreamState::Committed && before.state != StreamState::Committed;
        let outcome = StreamOutcome { state, ..outcome.clone() };
        let of_run = (held.run.org, held.run.id);
        Store::run_stream_outcome_in_txn(tx, of_run, held.attempt.id, before.state, &outcome).await?;
    }
    if held.run.desired == Desired::Cancel && delivered {
        let note = Note::DeliveredLate.with(Some(held.attempt.id), json!({ "canceled": true }));
        Store::run_event_append_in_txn(tx, held.run.org, held.run.id, &[note]).await?;
    }
    Ok(delivered)
}

/// The attempt may move nothing any more, but what readers see is shown.
async fn keep_late(tx: &mut Tx, held: &Held, done: &Completion) -> Result<(), AttemptError> {
    let mut notes = Vec::new();
    for outcome in done.streams.iter().filter(|o| o.state == StreamState::Committed) {
        let of_run = (held.run.org, held.run.id);
        if Store::run_stream_delivered_late_in_txn(tx, of_run, held.attempt.id, outcome).await? {
            notes.push(Note::DeliveredLate.with(Some(held.attempt.id), json!({ "stream": outcome.stream })));
        }
    }
    Ok(Store::run_event_append_in_txn(tx, held.run.org, held.run.id, &notes).await?)
}

#[cfg(test)]
mod tests {
    use waybill_model::receipt::{ColumnDrift, Grade};

    use super::*;

    fn failed(codes: &[FailureCode]) -> Ending {
        let stream = |(stream, code): (u32, &FailureCode)| StreamOutcome {
            stream,
            state: StreamState::Failed,
            rows: 0,
            bytes: 0,
            files: 0,
            coerced: 0,
            grade: Grade::Unchecked,
            version: None,
            epoch: None,
            receipt: None,
            adopted: false,
            failure: Some(*code),
            columns: ColumnDrift::default(),
        };
        let streams = (0..).zip(codes).map(stream).collect();
        ending_of(&Completion {
            outcome: Outcome::Failed,
            streams,
            failure: None,
            tables: Vec::new(),
            tables_withheld: 0,
        })
    }

    #[test]
    fn a_stream_that_another_try_may_help_gets_it_wherever_it_stands() {
        use FailureCode as C;
        for codes in [[C::StreamNotFound, C::SourceUnreachable], [C::SourceUnreachable, C::StreamNotFound]] {
            assert!(matches!(failed(&codes), Ending::Failed(C::SourceUnreachable)), "{codes:?}");
        }
        assert!(matches!(failed(&[C::StreamNotFound, C::BucketThrottled]), Ending::Failed(C::BucketThrottled)));
        assert!(matches!(failed(&[C::StreamNotFound, C::SchemaChanged]), Ending::Failed(C::StreamNotFound)));
    }
}
