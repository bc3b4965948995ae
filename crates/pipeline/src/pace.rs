//! A source that gives no more rows in a second than a ceiling, over all its streams and lanes.
//!
//! It waits before rows are handed on; nothing is dropped and nothing is buffered for it. The ceiling is asked for at each batch,
//! so that one that changes while a run is under way counts from then on.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::time::Instant;
use waybill_model::plan::StreamPlan;

use crate::fault::FaultResult;
use crate::source::{Batch, CursorState, Lane, Proof, Snapshot, Source, Table, Want, WindowNote};

/// Rows in a second as they are allowed now; none where there is no ceiling.
pub type Rate = Arc<dyn Fn() -> Option<u64> + Send + Sync>;

/// The source, held to a rate.
pub fn paced(source: Arc<dyn Source>, rate: Rate) -> Arc<dyn Source> {
    Arc::new(Paced { inner: source, pace: Arc::new(Pace::new(rate)) })
}

/// When the next rows are due.
struct Pace {
    rate: Rate,
    due: Mutex<Instant>,
}

impl Pace {
    fn new(rate: Rate) -> Self {
        Self { rate, due: Mutex::new(Instant::now()) }
    }

    /// Waits until rows that were taken before are paid for, and takes these.
    async fn take(&self, rows: usize) {
        let wait = {
            let mut due = self.due.lock().await;
            let now = Instant::now();
            let Some(rate) = (self.rate)() else {
                // What was owed was owed to a ceiling that is gone.
                *due = now;
                return;
            };
            let start = (*due).max(now);
            *due = start + Duration::from_secs_f64(rows as f64 / rate.max(1) as f64);
            start
        };
        tokio::time::sleep_until(wait).await;
    }
}

struct Paced {
    inner: Arc<dyn Source>,
    pace: Arc<Pace>,
}

#[async_trait]
impl Source for Paced {
    async fn reach(&self) -> FaultResult<()> {
        self.inner.reach().await
    }

    async fn check(&self, stream: &StreamPlan) -> FaultResult<()> {
        self.inner.check(stream).await
    }

    async fn discover(&self) -> FaultResult<Vec<Table>> {
        self.inner.discover().await
    }

    async fn open(
        &self,
        stream: &StreamPlan,
        after: Option<&CursorState>,
        want: Want,
    ) -> FaultResult<Box<dyn Snapshot>> {
        let inner = self.inner.open(stream, after, want).await?;
        Ok(Box::new(PacedSnapshot { inner, pace: Arc::clone(&self.pace) }))
    }
}

struct PacedSnapshot {
    inner: Box<dyn Snapshot>,
    pace: Arc<Pace>,
}

#[async_trait]
impl Snapshot for PacedSnapshot {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    fn ranges(&self) -> usize {
        self.inner.ranges()
    }

    fn rows_estimate(&self) -> Option<u64> {
        self.inner.rows_estimate()
    }

    fn lanes(&self) -> usize {
        self.inner.lanes()
    }

    fn cursor(&self) -> Option<CursorState> {
        self.inner.cursor()
    }

    fn window(&self) -> WindowNote {
        self.inner.window()
    }

    async fn lane(&self) -> FaultResult<Box<dyn Lane>> {
        Ok(Box::new(PacedLane { inner: self.inner.lane().await?, pace: Arc::clone(&self.pace) }))
    }

    async fn finish(self: Box<Self>) -> FaultResult<Proof> {
        self.inner.finish().await
    }
}

struct PacedLane {
    inner: Box<dyn Lane>,
    pace: Arc<Pace>,
}

#[async_trait]
impl Lane for PacedLane {
    async fn next(&mut self) -> FaultResult<Option<Batch>> {
        let batch = self.inner.next().await?;
        if let Some(batch) = &batch {
            self.pace.take(batch.rows.num_rows()).await;
        }
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_rate_that_changes_counts_from_the_next_rows_on() {
        let allowed = Arc::new(AtomicU64::new(0));
        let read = Arc::clone(&allowed);
        let rate: Rate = Arc::new(move || Some(read.load(Ordering::Relaxed)).filter(|rate| *rate > 0));
        let (pace, began) = (Pace::new(rate), Instant::now());
        for _ in 0..10 {
            pace.take(1_000).await;
        }
        assert_eq!(began.elapsed(), Duration::ZERO, "there is no ceiling yet");
        allowed.store(1_000, Ordering::Relaxed);
        for _ in 0..3 {
            pace.take(1_000).await;
        }
        assert_eq!(began.elapsed().as_secs(), 2);
        allowed.store(100, Ordering::Relaxed);
        for _ in 0..2 {
            pace.take(1_000).await;
        }
        assert_eq!(began.elapsed().as_secs(), 2 + 1 + 10);
        allowed.store(0, Ordering::Relaxed);
        pace.take(1_000).await;
        assert_eq!(began.elapsed().as_secs(), 2 + 1 + 10, "what was owed is owed no more");
    }

    #[tokio::test(start_paused = true)]
    async fn rows_are_handed_on_no_faster_than_the_rate_over_all_lanes() {
        let (pace, began) = (Arc::new(Pace::new(Arc::new(|| Some(1_000)))), Instant::now());
        let lane = |pace: Arc<Pace>| async move {
            for _ in 0..10 {
                pace.take(500).await;
            }
        };
        tokio::join!(lane(Arc::clone(&pace)), lane(Arc::clone(&pace)));
        // Twenty batches of half a second each; the last one is handed on before its own time is over.
        assert_eq!(began.elapsed().as_millis(), 9_500);
    }
}
