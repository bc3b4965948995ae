//! What one attempt may send: a token bucket of messages and one of events, shared by all its streams.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use waybill_model::AttemptId;

/// Most of what one attempt may send.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    /// Calls and reports per second in the long run; ten times as many at once.
    pub messages: u32,
    /// Events per second in the long run; ten times as many at once.
    pub events: u32,
}

impl Default for Quota {
    fn default() -> Self {
        Self { messages: 50, events: 500 }
    }
}

/// An attempt that was quiet for so long has full buckets again, so nothing needs to be kept of it.
const FORGOTTEN: Duration = Duration::from_secs(60);
const BURST_SECONDS: f64 = 10.0;

pub(super) struct Meter {
    quota: Quota,
    buckets: Mutex<HashMap<AttemptId, Buckets>>,
}

struct Buckets {
    filled: Instant,
    messages: f64,
    events: f64,
}

impl Meter {
    pub(super) fn new(quota: Quota) -> Self {
        Self { quota, buckets: Mutex::default() }
    }

    /// Takes one message with this many events, or refuses it.
    pub(super) fn take(&self, attempt: AttemptId, events: usize, now: Instant) -> bool {
        let (message_rate, event_rate) = (f64::from(self.quota.messages), f64::from(self.quota.events));
        let full =
            || Buckets { filled: now, messages: message_rate * BURST_SECONDS, events: event_rate * BURST_SECONDS };
        let mut all = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= 1024 && !all.contains_key(&attempt) {
            all.retain(|_, b| now.duration_since(b.filled) < FORGOTTEN);
        }
        let buckets = all.entry(attempt).or_insert_with(full);
        let seconds = now.duration_since(buckets.filled).as_secs_f64();
        buckets.filled = now;
        buckets.messages = (buckets.messages + seconds * message_rate).min(message_rate * BURST_SECONDS);
        buckets.events = (buckets.events + seconds * event_rate).min(event_rate * BURST_SECONDS);
        let events = u32::try_from(events).map_or(f64::INFINITY, f64::from);
        if buckets.messages < 1.0 || buckets.events < events {
            return false;
        }
        buckets.messages -= 1.0;
        buckets.events -= events;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_off_and_quiet_refills_the_bucket() {
        let meter = Meter::new(Quota { messages: 2, events: 10 });
        let (attempt, other, now) = (AttemptId::generate(), AttemptId::generate(), Instant::now());
        let taken = (0..100).filter(|_| meter.take(attempt, 0, now)).count();
        assert_eq!(taken, 20);
        assert!(meter.take(other, 0, now), "another attempt has its own bucket");
        assert!(meter.take(attempt, 0, now + Duration::from_secs(1)));
    }

    #[test]
    fn events_are_counted_apart_from_messages() {
        let meter = Meter::new(Quota { messages: 100, events: 10 });
        let (attempt, now) = (AttemptId::generate(), Instant::now());
        assert!(meter.take(attempt, 100, now));
        assert!(!meter.take(attempt, 1, now));
        assert!(meter.take(attempt, 0, now));
    }
}
