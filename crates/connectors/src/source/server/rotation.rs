//! What a server refuses and may have been rotated: it is looked up anew, and waited for where it worked before.
//!
//! One that worked earlier in the run and is refused now is being rotated: the server has the new one already, and whoever
//! keeps the secret will have it in a moment. So it is waited for, within a bound. One that never worked is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use waybill_pipeline::FaultResult;

/// How long a rotation may leave server and keeper apart, in waits.
pub(crate) const WAITS: [Duration; 5] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// What is left of the waits.
pub(crate) type Waits = std::array::IntoIter<Duration, 5>;

/// Whether one has worked. Clones know it together.
#[derive(Clone, Default)]
pub(crate) struct Rotation(Arc<AtomicBool>);

impl Rotation {
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
        loop {
            if let Some(found) = look().await? {
                return Ok(Some(found));
            }
            match waits.next().filter(|_| self.has_worked()) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Ok(None),
            }
        }
    }
}
