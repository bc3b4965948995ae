//! What follows from what is known about an attempt: a pure function, so that the whole table can be tested.

use std::time::Duration;

use waybill_launcher::{TaskPhase, TaskStatus};
use waybill_model::run::{AttemptState, Desired};
use waybill_model::{FailureCode, Micros};
use waybill_protocol::UPGRADE_REQUIRED;
use waybill_store::{Attempt, Run};

use super::super::dispatch::{NO_ROOM, SLOTS_BUSY};
use crate::service::bounds::Bounds;

/// Looks that a task is not seen in before it counts as over, though nobody answered the request to end it.
const MOST_MISSES: i64 = 30;

/// What is known besides the rows.
pub(super) struct Facts<'a> {
    pub(super) now: Micros,
    pub(super) status: TaskStatus,
    /// A task is known, or nobody could say that there is none.
    pub(super) has_task: bool,
    pub(super) stop_answered: bool,
    pub(super) bounds: &'a Bounds,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All is well, or it is too early to say.
    Nothing,
    /// The task was not seen; one look is not enough.
    Missed { misses: i64 },
    /// It does not run yet, and is further than the timeline says.
    Waits(TaskPhase),
    /// No sign of life: the grace begins.
    Unreachable,
    /// The attempt may change nothing any more; its task is to end.
    FenceAndStop(FailureCode),
    /// The attempt has ended, or is asked to: its task is to end.
    Stop,
    /// The attempt is over without an outcome. `over`: so is its task.
    Lost { why: FailureCode, over: bool },
    /// The attempt has ended and so has its task.
    TaskOver,
}

/// Whether the attempt said or became something between the look and the lock.
pub(super) fn moved_on(before: &Attempt, now: &Attempt) -> bool {
    before.state != now.state
        || before.seen_at != now.seen_at
        || before.fenced_at != now.fenced_at
        || (before.task.is_none() && now.task.is_some())
}

pub(super) fn judge(attempt: &Attempt, run: &Run, facts: &Facts<'_>) -> Verdict {
    if attempt.state.is_final() {
        return ended(attempt, facts);
    }
    if let TaskStatus::Stopped { exit_code, cause } = facts.status {
        let why = cause.or_else(|| refused(attempt, exit_code)).unwrap_or(FailureCode::WorkerLost);
        return Verdict::Lost { why: reason(attempt, run, facts, why), over: true };
    }
    if facts.status == TaskStatus::Missing && !speaks(attempt, facts) {
        return missing(attempt, run, facts);
    }
    if attempt.fenced_at.is_some() {
        return fenced(attempt, run, facts);
    }
    if run.desired == Desired::Cancel && attempt.state == AttemptState::Launching {
        // Nobody works yet, so there is nobody to tell.
        return Verdict::FenceAndStop(FailureCode::Fenced);
    }
    if run.desired == Desired::Cancel && run.cancel_at.is_some_and(|at| passed(at, facts.bounds.cancel_grace, facts)) {
        return Verdict::FenceAndStop(FailureCode::Fenced);
    }
    if run.started_at.is_some_and(|at| passed(at, run.time_limit, facts)) {
        return Verdict::FenceAndStop(FailureCode::RunTimeout);
    }
    if attempt.lease_until >= facts.now {
        return match facts.status {
            TaskStatus::Pending(phase) if attempt.task_phase.as_deref() != Some(phase.as_str()) => {
                Verdict::Waits(phase)
            }
            _ => Verdict::Nothing,
        };
    }
    match (attempt.state, attempt.unreachable_since) {
        (AttemptState::Launching, _) => Verdict::FenceAndStop(FailureCode::StartTimeout),
        (_, None) => Verdict::Unreachable,
        (_, Some(since)) if passed(since, facts.bounds.offline_grace, facts) => {
            Verdict::FenceAndStop(FailureCode::WorkerLost)
        }
        (_, Some(_)) => Verdict::Nothing,
    }
}

/// What the exit code of a worker tells that was never let in: it can report nothing. Of one that enrolled, its report counts.
fn refused(attempt: &Attempt, exit_code: Option<i32>) -> Option<FailureCode> {
    let told = attempt.state == AttemptState::Launching && exit_code == Some(UPGRADE_REQUIRED.into());
    told.then_some(FailureCode::UpgradeRequired)
}

/// A worker that renews its lease lives, whatever a list says.
fn speaks(attempt: &Attempt, facts: &Facts<'_>) -> bool {
    attempt.state == AttemptState::Running && attempt.lease_until >= facts.now
}

/// A cloud may not know a task yet that it has just started. Two looks, and not in its first minute: then it is gone.
fn missing(attempt: &Attempt, run: &Run, facts: &Facts<'_>) -> Verdict {
    if !passed(attempt.created_at, facts.bounds.lease, facts) {
        return Verdict::Nothing;
    }
    if attempt.task_misses < 1 {
        return Verdict::Missed { misses: attempt.task_misses + 1 };
    }
    // It may run all the same: over it is when its stop was answered.
    Verdict::Lost { why: reason(attempt, run, facts, FailureCode::WorkerLost), over: false }
}

/// Fenced, not over: stop again and again until it is confirmed, or until waiting longer helps nobody.
fn fenced(attempt: &Attempt, run: &Run, facts: &Facts<'_>) -> Verdict {
    let why = reason(attempt, run, facts, FailureCode::WorkerLost);
    if !facts.has_task && attempt.task.is_none() {
        return no_task(attempt, facts, why);
    }
    match attempt.stop_sent {
        Some(sent) if passed(sent, facts.bounds.stop_confirm, facts) => Verdict::Lost { why, over: false },
        _ => Verdict::FenceAndStop(why),
    }
}

/// Fenced before a task was recorded, and none is found: only when nobody can be starting one any more is there none.
fn no_task(attempt: &Attempt, facts: &Facts<'_>, why: FailureCode) -> Verdict {
    if attempt.launch_until >= facts.now {
        return Verdict::Nothing;
    }
    if attempt.task_misses < 1 {
        return Verdict::Missed { misses: attempt.task_misses + 1 };
    }
    Verdict::Lost { why, over: true }
}

fn ended(attempt: &Attempt, facts: &Facts<'_>) -> Verdict {
    match facts.status {
        TaskStatus::Stopped { .. } => Verdict::TaskOver,
        // What a cloud does not show may run all the same: it is over when somebody answered that it is to end.
        TaskStatus::Missing => match attempt.task_misses {
            1.. if facts.stop_answered => Verdict::TaskOver,
            MOST_MISSES.. => Verdict::TaskOver,
            misses => Verdict::Missed { misses: misses + 1 },
        },
        TaskStatus::Pending(_) | TaskStatus::Running => {
            if attempt.stop_due.is_none_or(|due| due <= facts.now) {
                Verdict::Stop
            } else {
                Verdict::Nothing
            }
        }
        TaskStatus::Unknown if !facts.has_task => {
            if attempt.launch_until >= facts.now {
                Verdict::Nothing
            } else {
                Verdict::TaskOver
            }
        }
        // Out of reach: asked to stop as long as it may matter, then left to its own lease.
        TaskStatus::Unknown => {
            let end = attempt.finished_at.unwrap_or(attempt.created_at);
            let matters = facts.bounds.offline_grace + facts.bounds.stop_confirm;
            if passed(end, matters, facts) { Verdict::TaskOver } else { Verdict::Stop }
        }
    }
}

/// A launching attempt whose task ended never had a worker: for the run it failed to start in time or at all.
/// A run that was stopped for its time limit says so.
fn reason(attempt: &Attempt, run: &Run, facts: &Facts<'_>, why: FailureCode) -> FailureCode {
    if run.started_at.is_some_and(|at| passed(at, run.time_limit, facts)) {
        return FailureCode::RunTimeout;
    }
    let waited_out =
        attempt.state == AttemptState::Launching && attempt.fenced_at.is_some_and(|at| at >= attempt.lease_until);
    // Where it waited for room to the end, that is the reason.
    let no_room = [NO_ROOM, SLOTS_BUSY, TaskPhase::Provisioning.as_str()].map(Some);
    let no_room = no_room.contains(&attempt.task_phase.as_deref());
    match (waited_out, no_room) {
        (true, true) => FailureCode::NoCapacity,
        (true, false) => FailureCode::StartTimeout,
        (false, _) => why,
    }
}

fn passed(since: Micros, bound: Duration, facts: &Facts<'_>) -> bool {
    facts.now >= since.plus(bound)
}
