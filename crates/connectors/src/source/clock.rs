//! Local times of a zone, for cursors that have none of their own.

use chrono::{DateTime, DurationRound as _, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::MINUTES_OF_A_SETBACK;

/// The earliest local time that any moment from this one on can have: clocks that are set back within a day count, or the
/// rows of the repeated hour would lie before the cursor.
pub(crate) fn earliest_local(end: DateTime<Utc>, zone: Tz) -> NaiveDateTime {
    let minute = TimeDelta::minutes(1);
    let first = end.duration_trunc(minute).unwrap_or(end);
    let later = (1..=MINUTES_OF_A_SETBACK).filter_map(|n| first.checked_add_signed(minute.checked_mul(n)?));
    let local = |at: DateTime<Utc>| at.with_timezone(&zone).naive_local();
    later.map(local).fold(local(end), Ord::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends_before_the_hour_that_a_clock_shows_twice() {
        let local = |text: &str, zone: Tz| {
            let at = DateTime::parse_from_rfc3339(text).expect("a moment").with_timezone(&Utc);
            earliest_local(at, zone).format("%Y-%m-%d %H:%M:%S%.3f").to_string()
        };
        // Clocks in Berlin showed 02:00 to 03:00 twice on 2026-10-25: the second time began at 01:00 UTC.
        assert_eq!(local("2026-10-25T00:30:15.250Z", Tz::Europe__Berlin), "2026-10-25 02:00:00.000");
        assert_eq!(local("2026-10-25T01:10:15.250Z", Tz::Europe__Berlin), "2026-10-25 02:10:15.250");
        assert_eq!(local("2026-10-24T12:00:00.000Z", Tz::Europe__Berlin), "2026-10-24 14:00:00.000");
        assert_eq!(local("2026-10-25T00:30:15.250Z", Tz::UTC), "2026-10-25 00:30:15.250");
    }
}
