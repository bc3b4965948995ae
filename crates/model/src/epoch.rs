//! The fencing number of an attempt: strictly rising per pipeline, carried by every later write.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Micros;

/// How far ahead of the clock, or of an epoch that somebody accepted, one may be before it is refused as `epoch_ahead`.
pub const MAX_AHEAD: Duration = Duration::from_secs(24 * 60 * 60);

/// `max(last epoch of the pipeline + 1, now in µs)`: it can't be repeated by a restored control database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub i64);

impl Epoch {
    /// The largest that is ever accepted, the end of the year 9999: a later one is no clock's, and room to rise is left.
    pub const LARGEST: Self = Self(253_402_300_799_999_999);

    /// The epoch after `last` at the time `now`.
    #[must_use]
    pub const fn next(last: Option<Self>, now: Micros) -> Self {
        match last {
            Some(Self(last)) if last >= now.0 => Self(last.saturating_add(1)),
            _ => Self(now.0),
        }
    }

    /// Whether it stands more than 24 h in the future, which only a damaged clock or a forged record can make: ahead of
    /// `now`, and of the one that somebody accepted.
    #[must_use]
    pub fn is_ahead(self, now: Micros, accepted: Option<Self>) -> bool {
        let from = accepted.map_or(now, |Self(accepted)| now.max(Micros(accepted)));
        self.0 > from.plus(MAX_AHEAD).0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_even_when_the_clock_stands_still_or_steps_back() {
        let first = Epoch::next(None, Micros(100));
        let second = Epoch::next(Some(first), Micros(100));
        let third = Epoch::next(Some(second), Micros(7));
        assert!(first < second && second < third);
    }

    #[test]
    fn jumps_to_now_after_a_restored_backup() {
        assert_eq!(Epoch::next(Some(Epoch(5)), Micros(1_000)), Epoch(1_000));
    }

    #[test]
    fn more_than_a_day_ahead_is_refused() {
        let day = Micros(0).plus(MAX_AHEAD).0;
        assert!(Epoch(day + 1).is_ahead(Micros(0), None));
        assert!(!Epoch(5).is_ahead(Micros(0), None));
        // One that was accepted is where the day begins, unless the clock has passed it.
        assert!(!Epoch(day + 5).is_ahead(Micros(0), Some(Epoch(5))));
        assert!(Epoch(day + 6).is_ahead(Micros(0), Some(Epoch(5))));
        assert!(!Epoch(day + 6).is_ahead(Micros(6), Some(Epoch(5))));
    }

    #[test]
    fn the_last_number_there_is_does_not_wrap() {
        assert_eq!(Epoch::next(Some(Epoch(i64::MAX)), Micros(7)), Epoch(i64::MAX));
        assert!(Epoch(i64::MAX).is_ahead(Micros(0), Some(Epoch::LARGEST)));
    }
}
