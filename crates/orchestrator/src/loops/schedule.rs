//! Begins the runs that are due. A slot is one row of `run` (unique by schedule and slot), so two schedulers at once
//! make one run; what was missed is caught up with its last slot only.

use waybill_model::{Micros, fault};
use waybill_store::{LoopLease, Schedule, Store, StoreResult, Tx};

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
                match self.handle(lease, schedule, now).await {
                    Err(RunError::Store(error @ waybill_store::StoreError::StaleLeader { .. })) => return Err(error),
                    result => round.count("a schedule", result),
                }
            }
            // A full batch of which something was done: there may be more.
            if (due.len() as i64) < BATCH || round.acted == before {
                return Ok(round);
            }
        }
    }

    /// One schedule: its run and its next slot are one transaction.
    async fn handle(&self, lease: &LoopLease, schedule: &Schedule, now: Micros) -> Result<bool, RunError> {
        let Some(due) = schedule.next_slot else { return Ok(false) };
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
        let mut tx = self.context.store.write_tx_led(lease).await?;
        if !Store::schedule_advance_in_txn(&mut tx, schedule, next).await? {
            return Ok(false);
        }
        // With `none`, a slot that is older than the distance to the scheduler's next look counts as missed.
        let missed = schedule.catch_up == "none" && now.since(slot) > self.context.bounds.schedule_floor;
        let begun = if missed || next.is_none() { None } else { begin(&mut tx, schedule, slot).await? };
        tx.commit().await?;
        if let Some(run) = begun {
            self.context.nudges.run_changed(run);
        }
        Ok(true)
    }
}

async fn begin(tx: &mut Tx, schedule: &Schedule, slot: Micros) -> Result<Option<waybill_model::RunId>, RunError> {
    let (org, pipeline) = (schedule.org, schedule.pipeline);
    if schedule.overlap == "skip" && Store::run_pending_in_txn(tx, org, pipeline).await? {
        tracing::info!(schedule.id = %schedule.id, "a slot is skipped since a run of the pipeline has not ended");
        return Ok(None);
    }
    let who = Caller { org, actor: "system:schedule".into(), ip: None };
    let trigger = Trigger::Schedule { schedule: schedule.id, slot };
    match RunService::trigger_in_txn(tx, &who, pipeline, trigger).await {
        Ok(run) => Ok(Some(run)),
        // A paused or deleted pipeline lets its slots pass.
        Err(RunError::Paused { .. } | RunError::NotFound) => Ok(None),
        Err(error) => {
            if matches!(error, RunError::SlotTaken) {
                tracing::info!(schedule.id = %schedule.id, "slot_taken");
            }
            Err(error)
        }
    }
}
