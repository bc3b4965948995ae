//! When the orchestrator last answered, by the monotonic clock, and what follows when it has been silent for too long.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use waybill_model::event::{Event, EventCode};
use waybill_pipeline::Directive;

use super::Shared;

/// A silence shorter than this is not worth an event.
const WORTH_TELLING: Duration = Duration::from_secs(5);

pub(super) struct Contact {
    last: Mutex<Instant>,
    grace: Duration,
    gave_up: AtomicBool,
}

impl Contact {
    pub(super) fn new(grace: Duration) -> Self {
        Self { last: Mutex::new(Instant::now()), grace, gave_up: AtomicBool::new(false) }
    }

    /// The orchestrator answered now; returns how long it had been silent.
    fn answered(&self) -> Duration {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let silence = last.elapsed();
        *last = Instant::now();
        silence
    }

    /// When the grace is over unless it answers before.
    fn deadline(&self) -> Instant {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) + self.grace
    }

    /// Whether it has been silent for longer than the grace.
    pub(super) fn is_over(&self) -> bool {
        self.gave_up.load(Ordering::Acquire) || Instant::now() >= self.deadline()
    }
}

impl Shared {
    /// Notes an answer of the orchestrator, and tells it of a silence that went before.
    pub(super) fn heard(&self) {
        let silence = self.contact.answered();
        if silence >= WORTH_TELLING.max(self.assignment.bounds.heartbeat * 2) {
            let millis = u64::try_from(silence.as_millis()).ok();
            tracing::warn!(millis, "the orchestrator answers again");
            self.outbox.event(Event { millis, ..Event::new(EventCode::LinkLost) });
        }
    }
}

/// Stops the work when the grace is over. A stopped process finds that out as soon as it goes on.
pub(super) async fn watch(shared: Arc<Shared>) {
    loop {
        let deadline = shared.contact.deadline();
        tokio::time::sleep_until(deadline).await;
        if Instant::now() >= shared.contact.deadline() {
            tracing::error!("the orchestrator has been away for longer than the offline grace; giving up");
            shared.contact.gave_up.store(true, Ordering::Release);
            shared.switch.raise(Directive::Cancel);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_begins_the_grace_anew() {
        let contact = Contact::new(Duration::from_secs(10));
        tokio::time::advance(Duration::from_secs(9)).await;
        assert!(!contact.is_over());
        assert_eq!(contact.answered(), Duration::from_secs(9));
        tokio::time::advance(Duration::from_secs(9)).await;
        assert!(!contact.is_over());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(contact.is_over());
    }
}
