//! How an attempt ends and what that means for its run: one function, whoever found out (the worker, the reaper, the
//! dispatcher). It decides between the next attempt and the end, counts poison, and writes timeline and audit.

use std::time::Duration;

use rand::Rng;
use serde_json::json;
use waybill_model::failure::RetryPolicy;
use waybill_model::run::{AttemptEvent, Desired, RunEvent, RunKind, RunState};
use waybill_model::{FailureCode, Micros};
use waybill_store::{Attempt, AuditEntry, Run, Store, StoreResult, Tx};

use crate::service::bounds::Bounds;
use crate::service::note::Note;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The worker reported success.
    Succeeded,
    /// The worker reported a failure, or none could be started.
    Failed(FailureCode),
    /// The worker reported that it stopped.
    Canceled,
    /// It ended without an outcome.
    Lost(FailureCode),
}

impl Ending {
    const fn attempt_event(self) -> AttemptEvent {
        match self {
            Self::Succeeded => AttemptEvent::Completed,
            Self::Failed(_) => AttemptEvent::Failed,
            Self::Canceled => AttemptEvent::Canceled,
            Self::Lost(_) => AttemptEvent::Lost,
        }
    }

    const fn failure(self) -> Option<FailureCode> {
        match self {
            Self::Failed(code) | Self::Lost(code) => Some(code),
            Self::Succeeded | Self::Canceled => None,
        }
    }
}

/// Who found out, and what the worker said.
#[derive(Clone, Copy)]
pub(crate) struct Finding<'a> {
    /// For the audit chain.
    pub(crate) actor: &'a str,
    /// Digest of the reported outcome, so that a repeated report is known.
    pub(crate) outcome: Option<&'a str>,
}

/// Ends the attempt and moves its run. The caller holds the run's row. Tells where the run stands now; none where the
/// attempt had ended already.
pub(crate) async fn end_attempt_in_txn(
    tx: &mut Tx,
    bounds: &Bounds,
    (run, attempt): (&Run, &Attempt),
    ending: Ending,
    finding: Finding<'_>,
) -> StoreResult<Option<RunState>> {
    let (Ok(to), now) = (attempt.state.next(ending.attempt_event()), tx.clock().await?) else { return Ok(None) };
    // A worker that spoke may take a moment to leave; one that was lost is stopped at the next look.
    let stop_after = match ending {
        Ending::Lost(_) => Duration::ZERO,
        _ => bounds.final_grace,
    };
    let end = (finding.outcome, stop_after);
    if !Store::attempt_finish_in_txn(tx, attempt, to, ending.failure(), end).await? {
        return Ok(None);
    }
    Store::certificate_revoke_in_txn(tx, attempt.org, attempt.id).await?;
    let event = run_event(bounds, run, ending, now);
    let Ok(state) = run.state.next(event) else { return Ok(Some(run.state)) };
    let failure = match (event, ending) {
        (RunEvent::Completed | RunEvent::Canceled, _) => None,
        (_, Ending::Canceled) => Some(FailureCode::WorkerLost),
        _ => ending.failure(),
    };
    if failure == Some(FailureCode::Drained) {
        // Nothing went wrong: it is no try. One that delivered has none to give back.
        Store::run_count_in_txn(tx, run, run.attempts, (run.tries - 1).max(0)).await?;
    }
    move_run_in_txn(tx, bounds, run, state, failure).await?;
    let note = match (event, ending) {
        (RunEvent::AttemptLost, Ending::Lost(_)) => Note::AttemptLost,
        (RunEvent::AttemptLost, _) => Note::AttemptFailed,
        _ => Note::Ended,
    };
    let mut body = json!({ "state": state.as_str() });
    if let Some(code) = failure {
        body["failure"] = code.as_str().into();
    }
    Store::run_event_append_in_txn(tx, run.org, run.id, &[note.with(Some(attempt.id), body)]).await?;
    let action = if state.is_final() { "run.end" } else { "run.requeue" };
    let mut entry = AuditEntry::done(run.org, finding.actor, action, &run.id);
    entry.outcome = state.as_str();
    Store::audit_append_in_txn(tx, &entry).await?;
    Ok(Some(state))
}

/// Moves a run to `state` with what hangs on it: the wait of a requeued run, the poison count of a final one.
async fn move_run_in_txn(
    tx: &mut Tx,
    bounds: &Bounds,
    run: &Run,
    state: RunState,
    failure: Option<FailureCode>,
) -> StoreResult<()> {
    Store::run_move_in_txn(tx, run, state, failure).await?;
    if state == RunState::Queued {
        let pause = backoff(bounds, run.tries, failure, rand::rng().random());
        return Store::run_wait_in_txn(tx, run.org, run.id, pause).await;
    }
    count_poison_in_txn(tx, bounds, run, state).await
}

fn run_event(bounds: &Bounds, run: &Run, ending: Ending, now: Micros) -> RunEvent {
    match ending {
        Ending::Succeeded => RunEvent::Completed,
        _ if run.desired == Desired::Cancel => RunEvent::Canceled,
        Ending::Canceled => again_or_failed(bounds, run, FailureCode::WorkerLost, now),
        Ending::Failed(code) | Ending::Lost(code) => again_or_failed(bounds, run, code, now),
    }
}

fn again_or_failed(bounds: &Bounds, run: &Run, code: FailureCode, now: Micros) -> RunEvent {
    // Somebody waits to be told what became of this one task: another one would prove something else. A second preview would
    // meet the names of the files that the first one wrote.
    if matches!(run.kind, RunKind::Test | RunKind::Preview) {
        return RunEvent::Failed;
    }
    let passing = matches!(code.policy(), RetryPolicy::Retry | RetryPolicy::RetryAfter);
    let in_time = run.started_at.is_none_or(|started| now.since(started) < run.time_limit);
    let again = passing && in_time && (run.tries < try_limit(bounds, code) || code == FailureCode::Drained);
    if again { RunEvent::AttemptLost } else { RunEvent::Failed }
}

/// A worker that ran out of memory gets one more try: after that, only more memory can mend it.
fn try_limit(bounds: &Bounds, code: FailureCode) -> i64 {
    let attempts = i64::from(bounds.attempts);
    if code == FailureCode::OutOfMemory { attempts.min(2) } else { attempts }
}

/// Full jitter: somewhere between the shortest wait and a ceiling that doubles with every try. Where the other side
/// asked for patience, it is somewhere between half of the longest wait and the longest, from the first try on.
fn backoff(bounds: &Bounds, tries: i64, failure: Option<FailureCode>, share: f64) -> Duration {
    let doubled = 1_u32 << tries.clamp(0, 16);
    let patient = failure.is_some_and(|code| code.policy() == RetryPolicy::RetryAfter);
    let (floor, ceiling) = if patient {
        (bounds.backoff_min.max(bounds.backoff_max / 2), bounds.backoff_max)
    } else {
        (bounds.backoff_min, (bounds.backoff_min * doubled).min(bounds.backoff_max))
    };
    floor + ceiling.saturating_sub(floor).mul_f64(share.clamp(0.0, 1.0))
}

/// Runs that fail the same way one after the other pause their pipeline; a success forgets the count.
async fn count_poison_in_txn(tx: &mut Tx, bounds: &Bounds, run: &Run, state: RunState) -> StoreResult<()> {
    let Some(pipeline) = run.pipeline else { return Ok(()) };
    // A look at some rows says nothing of whether whole runs succeed.
    if run.kind == RunKind::Preview {
        return Ok(());
    }
    match state {
        RunState::Succeeded => Store::pipeline_poison_in_txn(tx, run.org, pipeline, None).await.map(|_| ()),
        RunState::Failed => {
            let streams = Store::run_stream_list_in_txn(tx, run.org, run.id).await?;
            let codes = streams.iter().filter_map(|s| s.failure.map(|code| format!("{}:{code}", s.stream)));
            let run_code = Store::run_failure_in_txn(tx, run).await?.map_or("none", FailureCode::as_str);
            let print = format!("{run_code} {}", codes.collect::<Vec<_>>().join(" "));
            let times = Store::pipeline_poison_in_txn(tx, run.org, pipeline, Some(&print)).await?;
            if times < i64::from(bounds.poison_runs) {
                return Ok(());
            }
            let hint = format!("{times} runs in a row ended with {run_code}; mend the cause, then resume the pipeline");
            Store::pipeline_pause_in_txn(tx, run.org, pipeline, Some(("poison", &hint))).await?;
            let note = Note::Paused.with(None, json!({ "runs": times }));
            Store::run_event_append_in_txn(tx, run.org, run.id, &[note]).await?;
            let entry = AuditEntry::done(run.org, "system:settle", "pipeline.pause", &pipeline);
            Store::audit_append_in_txn(tx, &entry).await.map(|_| ())
        }
        RunState::Canceled | RunState::Queued | RunState::Launching | RunState::Running => Ok(()),
    }
}

/// Ends a run that has no live attempt: one that was canceled in the queue, or that can't be dispatched at all.
pub(crate) async fn end_queued_in_txn(
    tx: &mut Tx,
    bounds: &Bounds,
    run: &Run,
    failure: Option<FailureCode>,
    actor: &str,
) -> StoreResult<bool> {
    let event = if failure.is_some() { RunEvent::Failed } else { RunEvent::Canceled };
    let (RunState::Queued, Ok(state)) = (run.state, run.state.next(event)) else { return Ok(false) };
    move_run_in_txn(tx, bounds, run, state, failure).await?;
    let mut body = json!({ "state": state.as_str() });
    if let Some(code) = failure {
        body["failure"] = code.as_str().into();
    }
    Store::run_event_append_in_txn(tx, run.org, run.id, &[Note::Ended.with(None, body)]).await?;
    let mut entry = AuditEntry::done(run.org, actor, "run.end", &run.id);
    entry.outcome = state.as_str();
    Store::audit_append_in_txn(tx, &entry).await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_with_jitter_and_stays_between_its_bounds() {
        let b = Bounds::default();
        let at = |tries, share| backoff(&b, tries, Some(FailureCode::WorkerLost), share);
        assert_eq!(at(1, 0.0), b.backoff_min);
        assert_eq!(at(1, 1.0), Duration::from_secs(2));
        assert_eq!(at(5, 1.0), Duration::from_secs(32));
        assert_eq!(at(60, 1.0), b.backoff_max);
        assert!(at(5, 0.25) < at(5, 0.5));
    }

    #[test]
    fn a_store_that_asks_for_patience_gets_it_at_once() {
        let b = Bounds::default();
        for tries in [1, 9] {
            let at = |share| backoff(&b, tries, Some(FailureCode::BucketThrottled), share);
            assert_eq!([at(0.0), at(1.0)], [b.backoff_max / 2, b.backoff_max], "{tries}");
        }
        // A longest wait that is hardly more than the shortest leaves no room for the half.
        let narrow = Bounds { backoff_min: b.backoff_max * 3 / 4, ..b };
        assert_eq!(backoff(&narrow, 1, Some(FailureCode::BucketThrottled), 0.0), narrow.backoff_min);
    }

    #[test]
    fn memory_that_ran_out_is_tried_once_more_only() {
        let b = Bounds::default();
        assert_eq!(try_limit(&b, FailureCode::OutOfMemory), 2);
        assert_eq!(try_limit(&b, FailureCode::WorkerLost), 5);
    }
}
