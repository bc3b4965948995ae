//! A source that gives no more rows in a second than a ceiling, over all its streams and lanes.
//!
//! It waits before rows are handed on; nothing is dropped and nothing is buffered for it. What is owed is counted in rows, and the
//! ceiling is asked for again while somebody waits: one that changes while a run is under way counts from then on, also when it rises.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::fault::FaultResult;
use crate::source::step::{Step, stepped};
use crate::source::{Batch, Source};

/// Rows in a second as they are allowed now; none where there is no ceiling.
pub type Rate = Arc<dyn Fn() -> Option<u64> + Send + Sync>;

/// The source, held to a rate.
pub fn paced(source: Arc<dyn Source>, rate: Rate) -> Arc<dyn Source> {
    stepped(source, Held(Pace::new(rate)))
}

/// The longest wait until the ceiling is asked for again.
const LOOK: Duration = Duration::from_secs(1);

/// Counts what was taken.
struct Pace {
    rate: Rate,
    debt: Mutex<Debt>,
}

/// Rows that were handed on and are not paid for by time.
struct Debt {
    rows: f64,
    /// When they were so many.
    at: Instant,
}

impl Pace {
    fn new(rate: Rate) -> Self {
        Self { rate, debt: Mutex::new(Debt { rows: 0.0, at: Instant::now() }) }
    }

    /// Waits until rows that were taken before are paid for, and takes these.
    async fn take(&self, rows: usize) {
        while let Some(wait) = self.try_take(rows).await {
            tokio::time::sleep(wait).await;
        }
    }

    /// Takes the rows, or tells how long to wait before another try.
    async fn try_take(&self, rows: usize) -> Option<Duration> {
        let mut debt = self.debt.lock().await;
        let now = Instant::now();
        let Some(rate) = (self.rate)() else {
            // What was owed was owed to a ceiling that is gone.
            *debt = Debt { rows: 0.0, at: now };
            return None;
        };
        let rate = rate.max(1) as f64;
        *debt = Debt { rows: (debt.rows - rate * (now - debt.at).as_secs_f64()).max(0.0), at: now };
        // Less than a row is what a clock's grain leaves.
        if debt.rows < 1.0 {
            debt.rows += rows as f64;
            return None;
        }
        Some(LOOK.min(Duration::from_secs_f64(debt.rows / rate)))
    }
}

/// Rows and keys wait alike: both are read from the source.
struct Held(Pace);

impl Held {
    async fn waited(&self, batch: Batch) -> FaultResult<Batch> {
        self.0.take(batch.rows.num_rows()).await;
        Ok(batch)
    }
}

#[async_trait]
impl Step for Held {
    async fn rows(&self, batch: Batch) -> FaultResult<Batch> {
        self.waited(batch).await
    }

    async fn keys(&self, batch: Batch) -> FaultResult<Batch> {
        self.waited(batch).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::source::step::tests::{Keyed, ROWS, opened, read};

    #[tokio::test(start_paused = true)]
    async fn a_paced_source_hands_on_rows_and_keys_no_faster_than_the_rate_and_says_what_it_said() {
        let rate: Rate = Arc::new(|| Some(1_000));
        let (source, began) = (paced(Arc::new(Keyed), rate), Instant::now());
        let (one, other) = (opened(&source).await, opened(&source).await);
        assert_eq!((one.key(), one.lanes()), (vec!["id".to_owned()], 3));
        assert_eq!(began.elapsed(), Duration::ZERO, "nothing was read yet");
        let (lane, beside) = (one.lane().await, other.lane().await);
        tokio::join!(read(lane), read(beside));
        // All that was read but for the last batch, whose own time is not over when it is handed on.
        let so_far = |batches: u64| Duration::from_millis((batches - 1) * ROWS);
        assert_eq!(began.elapsed(), so_far(4), "two streams share the rate");
        read(one.keys().await).await;
        assert_eq!(began.elapsed(), so_far(6), "keys count like rows");
    }

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
        assert_eq!(began.elapsed().as_secs(), 2 + 10 + 10, "what was owed is paid at the new rate");
        allowed.store(0, Ordering::Relaxed);
        pace.take(1_000).await;
        assert_eq!(began.elapsed().as_secs(), 2 + 10 + 10, "what was owed is owed no more");
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_that_rises_or_is_taken_away_wakes_those_who_wait() {
        let allowed = Arc::new(AtomicU64::new(1));
        let read = Arc::clone(&allowed);
        let rate: Rate = Arc::new(move || Some(read.load(Ordering::Relaxed)).filter(|rate| *rate > 0));
        let (pace, began) = (Pace::new(rate), Instant::now());
        let later = async |seconds, rate| {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            allowed.store(rate, Ordering::Relaxed);
        };
        pace.take(8_192).await;
        tokio::join!(pace.take(10_000), later(10, 1_000));
        assert_eq!(
            began.elapsed().as_secs(),
            10 + 8_192 / 1_000,
            "hours are owed at the old rate, seconds at the new one"
        );
        tokio::join!(pace.take(1), later(3, 0));
        assert!(began.elapsed().as_secs() < 10 + 8 + 3 + 2, "a ceiling that is gone holds nobody");
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
