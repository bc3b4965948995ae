//! Removes what has been kept long enough, a portion at a time, so that nobody waits for it. Each portion is one
//! transaction with its audit entry; a run that has not ended is never touched.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use waybill_store::{AuditEntry, Kept, LoopLease, Store, StoreError, StoreResult};

use super::{Context, Round};

const ACTOR: &str = "system:retention";
/// Things of one portion.
const PORTION: i64 = 100;
/// Portions of one kind in one round.
const PORTIONS: usize = 20;
/// Until the next round where one was not enough.
const SOON: Duration = Duration::from_secs(1);

/// The retention loop.
pub struct Keeper {
    context: Context,
    more: AtomicBool,
}

impl Keeper {
    /// Over this context.
    #[must_use]
    pub fn new(context: Context) -> Self {
        Self { context, more: AtomicBool::new(false) }
    }

    /// Until the next round.
    #[must_use]
    pub fn pause(&self) -> Duration {
        let every = self.context.retention.every;
        if self.more.load(Ordering::Relaxed) { SOON.min(every) } else { every }
    }

    /// Removes of each kind what is too old, in the name of the lease's holder. A kind that fails holds up no other.
    pub async fn round(&self, lease: &LoopLease) -> StoreResult<Round> {
        let (mut round, mut more) = (Round::default(), false);
        for kept in Kept::ALL {
            match self.kind(lease, kept, &mut round).await {
                Ok(left) => more |= left,
                Err(error @ StoreError::StaleLeader { .. }) => return Err(error),
                Err(error) => round.count(kept.as_str(), Err(error)),
            }
        }
        self.more.store(more, Ordering::Relaxed);
        Ok(round)
    }

    /// Removes one kind, portion by portion; true where more is left than one round takes.
    async fn kind(&self, lease: &LoopLease, kept: Kept, round: &mut Round) -> StoreResult<bool> {
        for _ in 0..=PORTIONS {
            let gone = self.portion(lease, kept).await?;
            (round.seen, round.acted) = (round.seen + gone, round.acted + gone);
            if gone < PORTION.unsigned_abs() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Removes one portion; tells how many things went.
    async fn portion(&self, lease: &LoopLease, kept: Kept) -> StoreResult<u64> {
        let mut tx = self.context.store.write_tx_led_of_all(lease).await?;
        let age = self.context.retention.of(kept);
        let gone = Store::kept_remove_in_txn(&mut tx, kept, age, PORTION).await?;
        if matches!(kept, Kept::Runs | Kept::RunEvents | Kept::Deleted) {
            for (org, count) in &gone {
                let object = format!("{}:{count}", kept.as_str());
                Store::audit_append_in_txn(&mut tx, &AuditEntry::done(*org, ACTOR, "retention_remove", &object))
                    .await?;
            }
        }
        tx.commit().await?;
        let count = gone.values().sum();
        crate::metrics::removed(kept, count);
        Ok(count)
    }
}
