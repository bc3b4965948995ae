//! Ends what does not end by itself. A missed lease only means *unreachable*: the launcher is asked. Stopped: lost now.
//! Running or unknown: after the grace the attempt is fenced first, its task stopped second, the attempt declared lost
//! third. No task outlives its attempt, no attempt its task.
//!
//! Tasks are looked at in batches, data plane by data plane, each within a bound: what one shows is acted on as soon as it
//! is there, so a cloud that answers slowly, or never, holds up none but its own. Only the database is written by one hand.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde_json::json;
use tokio::task::JoinSet;
use waybill_launcher::{Launcher, TaskRef};
use waybill_model::{DataPlaneId, fault};
use waybill_store::{Attempt, LoopLease, Run, Store, StoreError, StoreResult, Tx};

use super::clock::ClockWatch;
use super::{Context, Round};
use crate::service::note::Note;
use crate::service::settle::{Ending, Finding, end_attempt_in_txn};

mod end;
mod look;
mod stray;
mod verdict;

use end::End;
use look::{PlaneSeen, Seen};
use verdict::{Facts, Verdict, judge};

const ACTOR: &str = "system:reap";

/// Attempts that are read at once.
const BATCH: i64 = 200;

/// The reaper's loop.
pub struct Reaper {
    context: Context,
    clock: ClockWatch,
    swept: Mutex<Option<Instant>>,
}

impl Reaper {
    /// Over this context.
    #[must_use]
    pub fn new(context: Context) -> Self {
        let clock = ClockWatch::new(context.bounds.clock_gap);
        Self { context, clock, swept: Mutex::default() }
    }

    /// Looks at every attempt that is live or whose task may be, in the name of the lease's holder.
    pub async fn round(&self, lease: &LoopLease) -> StoreResult<Round> {
        if !self.clock.is_steady(self.context.store.clock().await?) {
            self.refresh_leases(lease).await?;
        }
        let (mut round, mut silent, mut after) = (Round::default(), HashSet::new(), None);
        let mut stops = JoinSet::new();
        loop {
            let open = self.context.store.attempt_open(after, BATCH).await?;
            let mut looks = look::begin(&self.context, &open, &silent).await?;
            while let Some(seen) = looks.join_next().await {
                match seen {
                    Ok(seen) => self.plane(lease, &open, seen, (&mut round, &mut silent, &mut stops)).await?,
                    Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "a look ended"),
                }
            }
            after = open.last().map(|attempt| attempt.id);
            if (open.len() as i64) < BATCH {
                break;
            }
        }
        if self.sweep_is_due() {
            stray::sweep(&self.context, lease, &mut round, &mut stops).await?;
        }
        while stops.join_next().await.is_some() {}
        Ok(round)
    }

    /// What follows for the attempts of one data plane; their tasks are asked to end while others are looked at.
    async fn plane(
        &self,
        lease: &LoopLease,
        open: &[Attempt],
        plane: PlaneSeen,
        (round, silent, stops): (&mut Round, &mut HashSet<DataPlaneId>, &mut JoinSet<()>),
    ) -> StoreResult<()> {
        let mut to_stop = Vec::new();
        for (at, seen) in plane.attempts {
            let looked = (&open[at], seen, plane.launcher.as_deref());
            match self.handle(lease, looked, &mut to_stop).await {
                Err(error @ StoreError::StaleLeader { .. }) => return Err(error),
                result => round.count("an attempt", result),
            }
        }
        if !plane.answered {
            silent.insert(plane.plane);
        }
        if let (Some(launcher), false) = (plane.launcher, to_stop.is_empty()) {
            stops.spawn(look::stop_all(launcher, to_stop, self.context.bounds.look));
        }
        Ok(())
    }

    /// A nudge brings a round early; looking for stray tasks keeps to the clock.
    fn sweep_is_due(&self) -> bool {
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        if swept.is_some_and(|at| at.elapsed() < self.context.bounds.reconcile_every) {
            return false;
        }
        *swept = Some(Instant::now());
        true
    }

    /// After our own restart, or when a clock jumped, the leases say nothing: each gets one fresh window.
    async fn refresh_leases(&self, lease: &LoopLease) -> StoreResult<()> {
        let mut tx = self.context.store.write_tx_led_of_all(lease).await?;
        let renewed = Store::attempt_refresh_leases_in_txn(&mut tx, self.context.bounds.lease).await?;
        tx.commit().await?;
        tracing::info!(leases = renewed, "gave every lease a fresh window");
        Ok(())
    }

    /// One attempt: what is known, what follows, and doing it.
    async fn handle(
        &self,
        lease: &LoopLease,
        (attempt, seen, launcher): (&Attempt, Seen, Option<&dyn Launcher>),
        to_stop: &mut Vec<TaskRef>,
    ) -> StoreResult<bool> {
        let store = &self.context.store;
        let Some(run) = store.run_get(attempt.org, attempt.run).await? else { return Ok(false) };
        let now = store.clock().await?;
        let facts = Facts {
            now,
            status: seen.status,
            has_task: seen.task.is_some() || seen.hidden,
            stop_answered: seen.stop_answered,
            bounds: &self.context.bounds,
        };
        let verdict = judge(attempt, &run, &facts);
        tracing::debug!(attempt.id = %attempt.id, status = ?seen.status, ?verdict, "looked at an attempt");
        let end = end::of_test(&self.context, &run, (verdict, &seen), launcher).await;
        let (acted, stop) = self.act(lease, attempt, (verdict, end)).await?;
        to_stop.extend(seen.task.filter(|_| stop));
        Ok(acted)
    }

    /// Whether something was written, and whether the task is to end.
    async fn act(
        &self,
        lease: &LoopLease,
        attempt: &Attempt,
        (verdict, end): (Verdict, Option<End>),
    ) -> StoreResult<(bool, bool)> {
        const NOTHING: (bool, bool) = (false, false);
        if matches!(verdict, Verdict::Nothing) {
            return Ok(NOTHING);
        }
        if matches!(verdict, Verdict::Lost { .. }) {
            fault::point("loss_seen");
        }
        let mut tx = self.context.store.write_tx_led(lease, attempt.org).await?;
        let Some(run) = Store::run_lock_in_txn(&mut tx, attempt.org, attempt.run).await? else { return Ok(NOTHING) };
        let Some(current) = Store::attempt_get_in_txn(&mut tx, attempt.org, attempt.id).await? else {
            return Ok(NOTHING);
        };
        // Whoever spoke since we looked (a report, an enrolment, an outcome) is looked at again next time.
        if verdict::moved_on(attempt, &current) {
            return Ok(NOTHING);
        }
        if let Some(end) = end {
            end.note(&mut tx, &current).await?;
        }
        let stop = self.write(&mut tx, (&run, &current), verdict).await?;
        tx.commit().await?;
        self.context.nudges.run_changed(run.id);
        Ok((true, stop))
    }

    /// Writes what follows; true where the task is to be stopped after the commit.
    async fn write(&self, tx: &mut Tx, (run, attempt): (&Run, &Attempt), verdict: Verdict) -> StoreResult<bool> {
        match verdict {
            Verdict::Nothing => Ok(false),
            Verdict::Missed { misses } => {
                Store::attempt_look_in_txn(tx, attempt, misses, attempt.unreachable_since.is_some()).await?;
                Ok(false)
            }
            Verdict::Waits(phase) => {
                if Store::attempt_phase_in_txn(tx, attempt, phase.as_str()).await? {
                    let event = Note::TaskWaits.with(Some(attempt.id), json!({ "phase": phase.as_str() }));
                    Store::run_event_append_in_txn(tx, attempt.org, attempt.run, &[event]).await?;
                }
                Ok(false)
            }
            Verdict::Unreachable => {
                Store::attempt_look_in_txn(tx, attempt, 0, true).await?;
                note(tx, attempt, Note::Unreachable).await?;
                Ok(false)
            }
            Verdict::FenceAndStop(why) => {
                if Store::attempt_fence_in_txn(tx, attempt).await? {
                    Store::certificate_revoke_in_txn(tx, attempt.org, attempt.id).await?;
                    let event = Note::Fenced.because(Some(attempt.id), Some(why));
                    Store::run_event_append_in_txn(tx, attempt.org, attempt.run, &[event]).await?;
                }
                stop_sent(tx, attempt).await?;
                Ok(true)
            }
            Verdict::Stop => {
                stop_sent(tx, attempt).await?;
                Ok(true)
            }
            Verdict::Lost { why, over } => {
                let finding = Finding { actor: ACTOR, outcome: None };
                end_attempt_in_txn(tx, &self.context.bounds, (run, attempt), Ending::Lost(why), finding).await?;
                if over {
                    Store::attempt_task_over_in_txn(tx, attempt).await?;
                }
                Ok(false)
            }
            Verdict::TaskOver => {
                Store::attempt_task_over_in_txn(tx, attempt).await?;
                Ok(false)
            }
        }
    }
}

/// Notes the first request to stop; a repeated one is made every round until the task is over.
async fn stop_sent(tx: &mut Tx, attempt: &Attempt) -> StoreResult<()> {
    if Store::attempt_stop_sent_in_txn(tx, attempt).await? {
        note(tx, attempt, Note::StopSent).await?;
    }
    Ok(())
}

async fn note(tx: &mut Tx, attempt: &Attempt, note: Note) -> StoreResult<()> {
    Store::run_event_append_in_txn(tx, attempt.org, attempt.run, &[note.event(Some(attempt.id))]).await
}
