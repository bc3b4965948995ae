//! What the engine tells and asks, with the guard in between: numbers are counted, and a commit is asked of the guard first.

use std::sync::Arc;

use async_trait::async_trait;
use waybill_model::event::{Event, EventCode};
use waybill_pipeline::{CommitGate, Halt, Observer, Progress};

use super::watch::Watch;

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
        if !self.watch.allows().await {
            return Err(Halt::Forbidden);
        }
        self.inner.prepare(stream, digest).await?;
        // Leave may have been long in coming: what the guard says now counts.
        if self.watch.allows_now().await { Ok(()) } else { Err(Halt::Forbidden) }
    }
}
