//! Compares how far the database's clock and our own monotonic clock moved between two looks. A difference means that
//! one of them jumped (a failover, a suspended machine): the leases then say nothing, and each gets one fresh window.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use waybill_model::Micros;

/// Two clocks, side by side.
pub struct ClockWatch {
    most: Duration,
    begin: Instant,
    last: Mutex<Option<(Micros, Duration)>>,
}

impl ClockWatch {
    /// Accepts a difference of `most` between two looks.
    #[must_use]
    pub fn new(most: Duration) -> Self {
        Self { most, begin: Instant::now(), last: Mutex::new(None) }
    }

    /// Notes the database's clock. False: it is the first look, or the clocks moved apart since the last one.
    #[must_use]
    pub fn is_steady(&self, database: Micros) -> bool {
        self.compare(database, self.begin.elapsed())
    }

    fn compare(&self, database: Micros, own: Duration) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = last.replace((database, own));
        let Some((database_before, own_before)) = before else { return false };
        let moved = database.0.saturating_sub(database_before.0);
        let ours = i64::try_from(own.saturating_sub(own_before).as_micros()).unwrap_or(i64::MAX);
        Duration::from_micros(moved.abs_diff(ours)) <= self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn f22_a_clock_that_steps_back_or_jumps_ahead_is_noticed_once() {
        let watch = ClockWatch::new(Duration::from_secs(5));
        assert!(!watch.compare(Micros(100 * SECOND), Duration::from_secs(0)), "the first look knows nothing");
        assert!(watch.compare(Micros(130 * SECOND), Duration::from_secs(30)));
        assert!(!watch.compare(Micros(30 * SECOND), Duration::from_secs(60)), "stepped back");
        assert!(watch.compare(Micros(60 * SECOND), Duration::from_secs(90)), "steady again");
        assert!(!watch.compare(Micros(4_000 * SECOND), Duration::from_secs(120)), "jumped ahead");
        assert!(watch.compare(Micros(4_034 * SECOND), Duration::from_secs(150)), "4 s are within the bound");
    }

    #[test]
    fn a_machine_that_slept_is_noticed() {
        let watch = ClockWatch::new(Duration::from_secs(5));
        assert!(!watch.compare(Micros(0), Duration::ZERO));
        // The monotonic clock stood still while the database's went on.
        assert!(!watch.compare(Micros(120 * SECOND), Duration::from_secs(1)));
    }
}
