//! How often the stores of a run ask to slow down, told while it happens: a run that stands still for minutes says why.
//!
//! A source and a destination of the same run count for themselves. Nothing waits for this, and it never ends anything.

use std::time::Duration;

use waybill_model::event::{Event, EventCode};

use super::Context;

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(10);

/// What is told of one run.
pub(super) struct Throttled<'c> {
    context: &'c Context,
    told: u64,
}

impl<'c> Throttled<'c> {
    /// What was before this run is not told by it.
    pub(super) fn from_now(context: &'c Context) -> Self {
        Self { context, told: count(context) }
    }

    /// Tells while the work goes on, and once it has ended.
    pub(super) async fn beside<T>(mut self, work: impl Future<Output = T>) -> T {
        let mut looks = tokio::time::interval(LOOK);
        let mut work = std::pin::pin!(work);
        let done = loop {
            tokio::select! {
                done = &mut work => break done,
                _ = looks.tick() => self.tell(),
            }
        };
        self.tell();
        done
    }

    fn tell(&mut self) {
        let now = count(self.context);
        if now > self.told {
            let event = Event::new(EventCode::StoreThrottled);
            self.context.observer.event(Event { count: Some(now - self.told), ..event });
            self.told = now;
        }
    }
}

fn count(context: &Context) -> u64 {
    let bucket = context.destination.bucket().map_or(0, |bucket| bucket.throttled());
    bucket.saturating_add(context.source.throttled())
}
