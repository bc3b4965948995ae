//! Cron lines and zones: whether they make sense, and when a schedule is due next.
//!
//! Five fields, so nothing is more frequent than a minute. A fixed time that falls into a gap of the zone runs once,
//! right behind the gap; one that the zone shows twice runs once, the first time.

use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use waybill_model::Micros;
use waybill_model::schedule::{Schedule, When};

const FIELDS: &str = "write five fields: minute, hour, day of month, month, day of week, such as `0 2 * * *`";

fn read(line: &str) -> Result<Cron, &'static str> {
    if line.len() > 256 || line.contains('@') {
        return Err(FIELDS);
    }
    match line.split_whitespace().count() {
        5 => {}
        6 => return Err("seconds and years are not taken: a schedule is at most once a minute; write five fields"),
        _ => return Err(FIELDS),
    }
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(line).map_err(|_| "a field is out of range or not understood; write five fields such as `0 2 * * 1-5`")
}

/// Why a line is refused: it can't be read, or no day ever matches it.
pub(crate) fn check_line(line: &str) -> Result<(), &'static str> {
    let cron = read(line)?;
    if comes(&cron) { Ok(()) } else { Err("no such day ever comes: look at day of month and month") }
}

/// Whether any day of 28 years, after which the calendar repeats, matches.
fn comes(cron: &Cron) -> bool {
    let first = NaiveDate::from_ymd_opt(2000, 1, 1);
    first.into_iter().flat_map(|day| day.iter_days().take(28 * 366)).any(|day| {
        let weekday = match day.weekday().num_days_from_sunday() {
            0 => croner::Weekday::Sunday,
            1 => croner::Weekday::Monday,
            2 => croner::Weekday::Tuesday,
            3 => croner::Weekday::Wednesday,
            4 => croner::Weekday::Thursday,
            5 => croner::Weekday::Friday,
            _ => croner::Weekday::Saturday,
        };
        cron.pattern.month_match(day.month()).unwrap_or(false)
            && cron.pattern.day_match(day.year(), day.month(), day.day(), weekday).unwrap_or(false)
    })
}

/// Why a zone is refused.
pub(crate) fn check_zone(zone: &str) -> Result<(), &'static str> {
    Tz::from_str(zone).map(|_| ()).map_err(|_| "write an IANA zone such as Europe/Stockholm or UTC")
}

/// The first time after `after` at which a run is due; none for a schedule that `parse` would refuse.
#[must_use]
pub fn next_after(schedule: &Schedule, after: Micros) -> Option<Micros> {
    let (line, zone) = match &schedule.when {
        When::Every(every) => return Some(every.next(after)),
        When::Cron { line, zone } => (line, zone),
    };
    let cron = read(line).ok().filter(comes)?;
    let zone = Tz::from_str(zone).ok()?;
    let after = DateTime::<Utc>::from_timestamp_micros(after.0)?.with_timezone(&zone);
    let next = cron.find_next_occurrence(&after, false).ok()?;
    Some(Micros(next.timestamp_micros()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use waybill_model::schedule::{CatchUp, Overlap};

    fn due(cron: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let when = When::Cron { line: cron.into(), zone: zone.into() };
        let schedule = Schedule { when, overlap: Overlap::Skip, catch_up: CatchUp::Last };
        let mut at = Micros(DateTime::parse_from_rfc3339(from).expect("a time").timestamp_micros());
        let mut times = Vec::new();
        for _ in 0..count {
            at = next_after(&schedule, at).expect("a next time");
            times.push(at.to_rfc3339().replace(":00.000000Z", "Z"));
        }
        times
    }

    #[test]
    fn seconds_years_nicknames_and_days_that_never_come_are_refused() {
        for line in [
            "* * * * * *",
            "*/10 * * * * *",
            "0 0 30 2 *",
            "0 0 31 4,6,9,11 *",
            "@daily",
            "",
            "* * * *",
            "61 * * * *",
            "0 24 * * *",
            "a b c d e",
            "0 0 0 1 *",
            "0 2 * * * 2030",
        ] {
            assert!(check_line(line).is_err(), "{line:?} passed");
        }
        for line in ["* * * * *", "0 2 * * *", "0 0 29 2 *", "0 0 31 * *", "*/15 8-18 * * MON-FRI", "0 0 L * *"] {
            assert_eq!(check_line(line), Ok(()), "{line:?}");
        }
    }

    #[test]
    fn an_unknown_zone_is_refused() {
        assert!(check_zone("Mars/Olympus").is_err() && check_zone("").is_err() && check_zone("+02:00").is_err());
        assert_eq!(check_zone("Europe/Stockholm"), Ok(()));
    }

    #[test]
    fn a_time_in_a_gap_runs_once_behind_it() {
        let times = due("30 2 * * *", "Europe/Stockholm", "2026-03-28T00:00:00Z", 3);
        assert_eq!(times, ["2026-03-28T01:30Z", "2026-03-29T01:00Z", "2026-03-30T00:30Z"]);
    }

    #[test]
    fn a_time_that_comes_twice_runs_once() {
        let times = due("30 2 * * *", "Europe/Stockholm", "2026-10-24T12:00:00Z", 2);
        assert_eq!(times, ["2026-10-25T00:30Z", "2026-10-26T01:30Z"]);
    }

    #[test]
    fn every_minute_is_the_most_frequent_there_is() {
        let times = due("* * * * *", "UTC", "2026-11-21T10:00:30Z", 2);
        assert_eq!(times, ["2026-11-21T10:01Z", "2026-11-21T10:02Z"]);
    }
}
