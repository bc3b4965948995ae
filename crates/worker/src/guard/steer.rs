//! What the engine tells and asks, with the guard in between: numbers are counted, and a commit is asked of the guard first.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::Instant;
use waybill_model::event::{Event, EventCode};
use waybill_pipeline::{CommitGate, Halt, Observer, Progress};

use super::watch::{FRESH, Watch};

/// How often guard and orchestrator are asked in turn where both are slow.
const ROUNDS: usize = 4;

/// An observer that counts for the ceilings.
pub(super) struct Counted {
    inner: Arc<dyn Observer>,
    watch: Arc<Watch>,
}

impl Counted {
    pub(super) fn new(inner: Arc<dyn Observer>, watch: Arc<Watch>) -> Self {
        Self { inner, watch }
    }
}

impl Observer for Counted {
    fn progress(&self, progress: Progress) {
        self.watch.count(&progress);
        self.inner.progress(progress);
    }

    fn event(&self, event: Event) {
        if event.code == EventCode::PartUploaded {
            self.watch.part_ended();
        }
        self.inner.event(event);
    }
}

/// A gate that the guard must open too.
pub(super) struct Held {
    inner: Arc<dyn CommitGate>,
    watch: Arc<Watch>,
}

impl Held {
    pub(super) fn new(inner: Arc<dyn CommitGate>, watch: Arc<Watch>) -> Self {
        Self { inner, watch }
    }
}

#[async_trait]
impl CommitGate for Held {
    async fn prepare(&self, stream: u32, digest: [u8; 32]) -> Result<(), Halt> {
        for _ in 0..ROUNDS {
            // The guard first: its answer may be long in coming, and leave is worth little when it is old.
            self.watch.allows_now().await?;
            let asked = Instant::now();
            self.inner.prepare(stream, digest).await?;
            // So may leave be: then the guard is asked anew, and leave that is still young is given at once.
            if asked.elapsed() < FRESH {
                return Ok(());
            }
        }
        tracing::error!("guard and orchestrator are too slow to allow a commit at the same time");
        Err(Halt::Offline)
    }
}

#[cfg(test)]
mod tests;
