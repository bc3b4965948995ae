//! When a pipeline runs: a cron line in a named zone or a fixed distance, and what happens when two runs would meet or
//! some were missed.
//!
//! Pure data, but for the slots of a fixed distance, which are plain arithmetic. Whether a line and a zone make sense is
//! `spec`'s to say.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Micros;

use crate::run::named;

/// When a pipeline runs by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Schedule {
    /// Its slots.
    pub when: When,
    /// What happens when a run is due while the one before still works.
    #[serde(default)]
    pub overlap: Overlap,
    /// What happens to runs that were due while nobody could start them.
    #[serde(default)]
    pub catch_up: CatchUp,
}

/// The points in time at which a run is due: the slots of a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum When {
    /// A cron line.
    Cron {
        /// Five fields: minute, hour, day of month, month, day of week.
        line: String,
        /// The IANA zone in which the fields are read.
        zone: String,
    },
    /// A fixed distance.
    Every(Every),
}

/// A fixed distance between slots. The slots are its multiples since 1970-01-01T00:00:00Z, so that they depend on
/// nothing else: a restart, a pause or another time of setting it shifts none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Every(Duration);

impl Every {
    /// Closest slots in milliseconds, as for cron: a minute.
    pub const LEAST_MS: u64 = 60_000;
    /// Widest: a leap year.
    pub const MOST_MS: u64 = 366 * 86_400_000;

    /// A distance within the bounds.
    #[must_use]
    pub fn new(distance: Duration) -> Option<Self> {
        let bounds = Duration::from_millis(Self::LEAST_MS)..=Duration::from_millis(Self::MOST_MS);
        bounds.contains(&distance).then_some(Self(distance))
    }

    /// Between two slots.
    #[must_use]
    pub const fn distance(self) -> Duration {
        self.0
    }

    /// In milliseconds.
    #[must_use]
    pub fn millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }

    /// The last slot that is not after `at`.
    #[must_use]
    pub fn at_or_before(self, at: Micros) -> Micros {
        Micros(at.0.div_euclid(self.micros()).saturating_mul(self.micros()))
    }

    /// The first slot after `at`.
    #[must_use]
    pub fn next(self, at: Micros) -> Micros {
        Micros(self.at_or_before(at).0.saturating_add(self.micros()))
    }

    fn micros(self) -> i64 {
        i64::try_from(self.0.as_micros()).unwrap_or(i64::MAX)
    }
}

/// A distance outside the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a schedule's distance is from one minute to 366 days")]
pub struct EveryError;

impl TryFrom<u64> for Every {
    type Error = EveryError;

    fn try_from(millis: u64) -> Result<Self, EveryError> {
        Self::new(Duration::from_millis(millis)).ok_or(EveryError)
    }
}

impl From<Every> for u64 {
    fn from(every: Every) -> Self {
        every.millis()
    }
}

named! {
    /// What happens when a run is due while the one before still works.
    Overlap {
        /// The new one is left out, and counted (`waybill_schedule_skipped_total`).
        Skip = "skip",
        /// One waits until the one before has ended; no more than one: the next is left out, and counted.
        Queue = "queue",
    }
}

named! {
    /// What happens to runs that were due while nobody could start them.
    CatchUp {
        /// One run makes up for all of them.
        Last = "last",
        /// None does: the next one comes when it is due.
        None = "none",
    }
}

impl Default for Overlap {
    fn default() -> Self {
        Self::ALL[0]
    }
}

impl Default for CatchUp {
    fn default() -> Self {
        Self::ALL[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_schedule_skips_overlaps_and_catches_up_once() {
        let json = r#"{"when":{"cron":{"line":"0 2 * * *","zone":"UTC"}}}"#;
        let schedule: Schedule = serde_json::from_str(json).expect("a schedule");
        assert_eq!((schedule.overlap, schedule.catch_up), (Overlap::Skip, CatchUp::Last));
        assert!(serde_json::from_str::<Schedule>(r#"{"when":{"every":59999}}"#).is_err());
    }

    #[test]
    fn slots_of_a_distance_depend_on_nothing_but_the_distance() {
        let every = Every::try_from(5_400_000).expect("90 minutes");
        let step = 5_400_000_000;
        for at in [0, 1, step - 1, step, 1_795_312_859_123_456] {
            let slot = every.next(Micros(at));
            assert!(slot.0 > at && slot.0 - at <= step && slot.0 % step == 0, "{at}");
            assert_eq!(every.at_or_before(slot), slot);
            assert_eq!(every.at_or_before(Micros(slot.0 - 1)).0, slot.0 - step);
        }
        assert_eq!(every.next(Micros(-1)), Micros(0));
    }

    #[test]
    fn a_distance_below_a_minute_or_above_a_year_is_none() {
        for millis in [0, 1, 59_999, Every::MOST_MS + 1, u64::MAX] {
            assert_eq!(Every::try_from(millis), Err(EveryError), "{millis}");
        }
        assert!(Every::try_from(Every::LEAST_MS).is_ok() && Every::try_from(Every::MOST_MS).is_ok());
    }
}
