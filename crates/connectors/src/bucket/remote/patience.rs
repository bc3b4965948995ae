//! Trying again: bounded, with growing waits and full jitter. Never for a conditional put.

use std::future::Future;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::Rng;
use tokio::time::Instant;

use super::{Failed, Inner, Kind, Store};

/// How long calls are tried again.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Tries of a call that the service or the network fails.
    pub tries: u32,
    /// The first wait; each next one may be twice as long.
    pub first_wait: Duration,
    /// No wait is longer.
    pub longest_wait: Duration,
    /// How long the service may ask to slow down before the run gives up.
    pub throttled_for: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            tries: 8,
            first_wait: Duration::from_millis(200),
            longest_wait: Duration::from_secs(20),
            throttled_for: Duration::from_secs(5 * 60),
        }
    }
}

impl<S: Store> Inner<S> {
    /// Calls until it works, or until patience ends.
    pub(super) async fn persist<T, F, C>(&self, mut call: F) -> Result<T, Failed>
    where
        F: FnMut() -> C,
        C: Future<Output = Result<T, Failed>>,
    {
        let patience = self.patience;
        let (mut tries, mut wait) = (0, patience.first_wait);
        let mut throttled_since: Option<Instant> = None;
        loop {
            let failed = match call().await {
                Ok(done) => return Ok(done),
                Err(failed) => failed,
            };
            if failed.kind == Kind::Throttled {
                self.throttled.fetch_add(1, Ordering::Relaxed);
                if throttled_since.get_or_insert_with(Instant::now).elapsed() >= patience.throttled_for {
                    return Err(failed);
                }
            } else {
                tries += 1;
                if !failed.kind.is_passing() || tries >= patience.tries {
                    return Err(failed);
                }
            }
            tracing::debug!(service = S::SERVICE, kind = ?failed.kind, "a call to the store is tried again");
            pause(&mut wait, patience).await;
        }
    }
}

/// Waits for a random part of the present wait, and doubles it.
pub(super) async fn pause(wait: &mut Duration, patience: Patience) {
    let most = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
    let micros = rand::rng().random_range(most / 10..=most);
    tokio::time::sleep(Duration::from_micros(micros)).await;
    *wait = (*wait * 2).min(patience.longest_wait);
}
