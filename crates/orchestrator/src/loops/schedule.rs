//! Begins the runs that are due. A slot is one row of `run` (unique by schedule and slot), so two schedulers at once
//! make one run; what was missed is caught up with its last slot only.

use waybill_model::schedule::Overlap;
use waybill_model::{Micros, RunId, fault};
use waybill_store::{LoopLease, Schedule, Store, StoreError, StoreResult, Tx};

use super::{Context, Round};
use crate::service::run::{Caller, RunError, RunService, Trigger};
use crate::service::slots::Slots;

/// Schedules in one round.
const BATCH: i64 = 200;

/// The scheduler's loop.
pub struct Scheduler {
    context: Context,
}

impl Scheduler {
    /// Over this context.
    #[must_use]
    pub fn new(context: Context) -> Self {
        Self { context }
    }

    /// Handles every schedule that is due, in the name of the lease's holder.
    pub async fn round(&self, lease: &LoopLease) -> StoreResult<Round> {
        let mut round = Round::default();
        loop {
            let due = self.context.store.schedule_due(BATCH).await?;
            let now = self.context.store.clock().await?;
            let before = round.acted;
            for schedule in &due {
                round.lagged(schedule.next_slot.map_or_else(Default::default, |slot| now.since(slot)));
                let handled = self.handle(lease, schedule, now).await;
                if let Err(RunError::Store(error @ StoreError::StaleLeader { .. })) = handled {
                    return Err(error);
                }
                round.skipped += u64::from(matches!(handled, Ok(Handled::Skipped)));
                round.count("a schedule", handled.map(|handled| handled != Handled::ByAnother));
            }
            // A full batch of which something was done: there may be more.
            if (due.len() as i64) < BATCH || round.acted == before {
                return Ok(round);
            }
        }
    }

    /// One schedule: its run and its next slot are one transaction.
    async fn handle(&self, lease: &LoopLease, schedule: &Schedule, now: Micros) -> Result<Handled, RunError> {
        let Some(due) = schedule.next_slot else { return Ok(Handled::ByAnother) };
        let plan = Slots::of(schedule).and_then(|slots| {
            let slot =
                if schedule.catch_up == "none" { due } else { slots.last(Micros(due.0 - 1), now)?.unwrap_or(due) };
            Ok((slot, slots.next(now)?))
        });
        let (slot, next) = match plan {
            Ok((slot, next)) => (slot, Some(next)),
            // It was read once when it was set; a zone that vanished with an update turns it off, seen in the API.
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, schedule.id = %schedule.id, "a schedule ends");
                (due, None)
            }
        };
        fault::point("slot_due");
        let mut tx = self.context.store.write_tx_led(lease, schedule.org).await.inspect_err(|error| {
            if matches!(error, StoreError::StaleLeader { .. }) {
                taken(schedule);
            }
        })?;
        if !Store::schedule_advance_in_txn(&mut tx, schedule, next).await? {
            taken(schedule);
            return Ok(Handled::ByAnother);
        }
        // With `none`, a slot that is older than the distance to the scheduler's next look counts as missed.
        let missed = schedule.catch_up == "none" && now.since(slot) > self.context.bounds.schedule_floor;
        let handled = if missed || next.is_none() { Handled::Passed } else { begin(&mut tx, schedule, slot).await? };
        tx.commit().await?;
        match handled {
            Handled::Begun(run) => self.context.nudges.run_changed(run),
            Handled::Skipped => {
                tracing::info!(schedule.id = %schedule.id, schedule.overlap, "a slot is skipped: a run is in its way");
            }
            Handled::Passed | Handled::ByAnother => {}
        }
        Ok(handled)
    }
}

/// Another orchestrator was first with the slot, whether it has begun the run or leads now and will.
fn taken(schedule: &Schedule) {
    tracing::info!(schedule.id = %schedule.id, "slot_taken");
}

/// What came of a slot.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Handled {
    /// Another scheduler was first.
    ByAnother,
    /// Its run waits in the queue.
    Begun(RunId),
    /// The schedule's rule for overlaps leaves it out.
    Skipped,
    /// It was missed, or its pipeline takes no runs.
    Passed,
}

/// The caller has moved the schedule on in this transaction, by compare-and-set: of all schedulers only one looks at
/// what is in the way of a slot, and the next slot's look sees the run that this one begins.
async fn begin(tx: &mut Tx, schedule: &Schedule, slot: Micros) -> Result<Handled, RunError> {
    let (org, pipeline) = (schedule.org, schedule.pipeline);
    let in_the_way = if schedule.overlap == Overlap::Queue.as_str() {
        Store::run_waits_in_txn(tx, org, pipeline).await?
    } else {
        Store::run_pending_in_txn(tx, org, pipeline).await?
    };
    if in_the_way {
        return Ok(Handled::Skipped);
    }
    let who = Caller { org, actor: "system:schedule".into(), ip: None };
    let trigger = Trigger::Schedule { schedule: schedule.id, slot };
    match RunService::trigger_in_txn(tx, &who, pipeline, trigger).await {
        Ok(run) => Ok(Handled::Begun(run)),
        // A paused or deleted pipeline lets its slots pass.
        Err(RunError::Paused { .. } | RunError::NotFound) => Ok(Handled::Passed),
        Err(error) => {
            if matches!(error, RunError::SlotTaken) {
                taken(schedule);
            }
            Err(error)
        }
    }
}
