//! What the engine tells while it works, and whom it asks before a commit.
//!
//! Both traits are implemented by the worker: over gRPC for enrolled attempts, on the terminal for `once`. What passes
//! here may leave the customer's cloud, so it holds numbers, closed enums and digests only.

use async_trait::async_trait;
use waybill_model::event::Event;
use waybill_model::run::StreamState;

use crate::stop::Halt;

/// Numbers of one stream so far. A later one replaces an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The stream's place in the plan.
    pub stream: u32,
    /// Where it is.
    pub state: StreamState,
    /// Rows read.
    pub rows: u64,
    /// Bytes written to data files.
    pub bytes: u64,
    /// Data files closed.
    pub files: u64,
    /// Rows that the source expects in all, where it has an estimate.
    pub rows_estimate: Option<u64>,
}

/// Hears of progress and events. Called from any thread and often: it must not block; it keeps what it can't send yet.
pub trait Observer: Send + Sync {
    /// New numbers of a stream; called for every batch, so an implementation thins them out.
    fn progress(&self, progress: Progress);

    /// Something of the closed catalogue happened. None may be lost.
    fn event(&self, event: Event);
}

/// Leave to commit. Asked once per stream after all its files, its receipt and its state are in the bucket.
#[async_trait]
pub trait CommitGate: Send + Sync {
    /// Waits for leave. `digest` is an HMAC-SHA-256 over state and actions under the bucket's digest key.
    /// An implementation gives up by itself with [`Halt::Offline`] when it cannot ask in time; the commit is not made then.
    async fn prepare(&self, stream: u32, digest: [u8; 32]) -> Result<(), Halt>;
}

/// The gate of a worker that nobody steers: always open.
pub struct OpenGate;

#[async_trait]
impl CommitGate for OpenGate {
    async fn prepare(&self, _stream: u32, _digest: [u8; 32]) -> Result<(), Halt> {
        Ok(())
    }
}
