//! What a server refuses and may have been rotated: it is looked up anew, and waited for where it worked before.
//!
//! One that worked earlier in the run and is refused now is being rotated: the server has the new one already, and whoever
//! keeps the secret will have it in a moment. So it is waited for, within a bound. One that never worked is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use waybill_pipeline::{Credential, Fault, FaultResult};
use zeroize::Zeroizing;

/// How long a rotation may leave server and keeper apart, in waits.
const WAITS: [Duration; 5] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// What is left of the waits of one log-in.
pub(crate) struct Waits {
    left: std::array::IntoIter<Duration, 5>,
    has_changed: bool,
}

impl Default for Waits {
    fn default() -> Self {
        Self { left: WAITS.into_iter(), has_changed: false }
    }
}

impl Waits {
    /// Waits, where a wait is left.
    async fn pause(&mut self) -> bool {
        let Some(wait) = self.left.next() else { return false };
        tokio::time::sleep(wait).await;
        true
    }
}

/// Whether one has worked. Clones know it together.
#[derive(Clone, Default)]
pub(crate) struct Rotation(Arc<AtomicBool>);

impl Rotation {
    /// Logs in by what the way leads to, again with each new one that is found in place of one that was refused. `attempt` gives the
    /// refusal apart from every other failure; `what` is it, for the log.
    pub(crate) async fn log_in<T, F>(
        &self,
        way: &dyn Credential,
        what: &str,
        attempt: impl Fn(Zeroizing<String>) -> F,
    ) -> FaultResult<T>
    where
        F: Future<Output = FaultResult<Result<T, Fault>>>,
    {
        let (mut given, mut waits) = (way.value().await?, Waits::default());
        loop {
            let refused = match attempt(given.clone()).await? {
                Ok(done) => {
                    self.worked();
                    return Ok(done);
                }
                Err(refused) => refused,
            };
            let another = || async {
                let found = way.anew(&given).await?;
                Ok((found != given).then_some(found))
            };
            given = self.next(&mut waits, another).await?.ok_or(refused)?;
            tracing::info!(what, "it was refused and has changed since: logging in with the new one");
        }
    }

    /// One was taken.
    pub(crate) fn worked(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_worked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// What `look` finds in place of what was refused; none where there is nothing new.
    pub(crate) async fn next<T, F>(&self, waits: &mut Waits, look: impl Fn() -> F) -> FaultResult<Option<T>>
    where
        F: Future<Output = FaultResult<Option<T>>>,
    {
        // Whoever gives one and another in turn, both refused, is not asked without a pause nor without an end.
        if std::mem::replace(&mut waits.has_changed, false) && !waits.pause().await {
            return Ok(None);
        }
        loop {
            if let Some(found) = look().await? {
                waits.has_changed = true;
                return Ok(Some(found));
            }
            if !self.has_worked() || !waits.pause().await {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn two_that_are_given_in_turn_are_asked_for_with_pauses_and_not_for_ever() {
        let (rotation, mut waits) = (Rotation::default(), Waits::default());
        let begun = tokio::time::Instant::now();
        let mut given = 0;
        while rotation.next(&mut waits, || async { Ok(Some(())) }).await.is_ok_and(|found| found.is_some()) {
            given += 1;
            assert!(given < 100, "without an end");
        }
        assert_eq!((given, begun.elapsed()), (1 + WAITS.len(), WAITS.iter().sum::<Duration>()));
    }
}
