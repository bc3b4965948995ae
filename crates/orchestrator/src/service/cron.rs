//! When a cron line in an IANA zone is due, with daylight saving time settled. A slot that falls into the gap runs
//! once, right after it; a slot in the hour that comes twice runs once, the first time.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use waybill_model::Micros;

/// Why a schedule can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// Not five fields that cron knows.
    #[error("write five fields: minute, hour, day of month, month, day of week, such as 0 2 * * *")]
    Pattern,
    /// No day ever fits, such as 30 February.
    #[error("no point in time ever fits these fields")]
    Never,
    /// Two slots come closer than allowed.
    #[error("two slots must be at least {floor} s apart")]
    TooOften {
        /// The floor in seconds.
        floor: u64,
    },
    /// No such zone.
    #[error("write an IANA zone such as Europe/Stockholm")]
    Zone,
}

/// A cron line that can be asked for its slots.
#[derive(Clone, Debug)]
pub struct CronSlots {
    cron: Cron,
    zone: Tz,
}

impl CronSlots {
    /// Reads the five fields and the zone, and refuses what never fits or comes more often than `floor`.
    pub fn parse(pattern: &str, zone: &str, floor: Duration) -> Result<Self, CronError> {
        let slots = Self::read(pattern, zone)?;
        slots.check_distance(floor)?;
        Ok(slots)
    }

    /// Reads the five fields and the zone of a schedule that was checked when it was set.
    pub fn read(pattern: &str, zone: &str) -> Result<Self, CronError> {
        let five = pattern.split_ascii_whitespace().count() == 5 && pattern.is_ascii();
        if !five || pattern.len() > 200 || pattern.contains('@') {
            return Err(CronError::Pattern);
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(pattern).map_err(|_| CronError::Pattern)?;
        let zone: Tz = zone.parse().map_err(|_| CronError::Zone)?;
        Ok(Self { cron, zone })
    }

    /// The first slot after `after`.
    pub fn next(&self, after: Micros) -> Result<Micros, CronError> {
        let after = DateTime::<Utc>::from_timestamp_micros(after.0).ok_or(CronError::Never)?;
        let local = after.with_timezone(&self.zone);
        let mut from = local;
        // A slot of the hour that comes twice is due the first time only.
        loop {
            let next = self.cron.find_next_occurrence(&from, false).map_err(|_| CronError::Never)?;
            if !self.is_second_time(&next) {
                return Ok(Micros(next.with_timezone(&Utc).timestamp_micros()));
            }
            from = next;
        }
    }

    /// The last slot in `(after, until]`, if there is one: all that is caught up after an outage.
    pub fn last(&self, after: Micros, until: Micros) -> Result<Option<Micros>, CronError> {
        // From behind, so that a year of missed minutes costs no more than one.
        for back in [1_i64, 60, 3_600, 86_400, 40 * 86_400, 366 * 86_400] {
            let begin = Micros(until.0.saturating_sub(back * 2_000_000)).max(after);
            let mut last = None;
            let mut slot = self.next(begin)?;
            while slot <= until {
                last = Some(slot);
                slot = self.next(slot)?;
            }
            if last.is_some() || begin == after {
                return Ok(last);
            }
        }
        let mut last = None;
        let mut slot = self.next(after)?;
        while slot <= until {
            last = Some(slot);
            slot = self.next(slot)?;
        }
        Ok(last)
    }

    fn is_second_time(&self, at: &DateTime<Tz>) -> bool {
        let wall: NaiveDateTime = at.naive_local();
        self.zone.from_local_datetime(&wall).latest().is_some_and(|late| {
            let early = self.zone.from_local_datetime(&wall).earliest();
            early.is_some_and(|early| early != late) && late == *at
        })
    }

    /// A year of slots is too many to look at; three hundred from a fixed day find any minute pattern.
    fn check_distance(&self, floor: Duration) -> Result<(), CronError> {
        let mut last = self.next(Micros(1_700_000_000_000_000))?;
        for _ in 0..300 {
            let next = self.next(last)?;
            if next.since(last) < floor {
                return Err(CronError::TooOften { floor: floor.as_secs() });
            }
            last = next;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOOR: Duration = Duration::from_secs(60);

    fn at(text: &str) -> Micros {
        Micros(DateTime::parse_from_rfc3339(text).expect("a time").timestamp_micros())
    }

    fn slots(pattern: &str, zone: &str) -> CronSlots {
        CronSlots::parse(pattern, zone, FLOOR).expect("a schedule")
    }

    #[test]
    fn h10_fields_that_cron_or_the_calendar_does_not_know_are_refused() {
        for wrong in ["* * * * * *", "* * * *", "", "61 * * * *", "@reboot", "@daily", "* * * * bob", "٠ * * * *"] {
            assert_eq!(CronSlots::parse(wrong, "UTC", FLOOR).expect_err(wrong), CronError::Pattern, "{wrong}");
        }
        assert_eq!(CronSlots::parse("0 0 30 2 *", "UTC", FLOOR).expect_err("30 February"), CronError::Never);
        for zone in ["Mars/Olympus", "", "+02:00", "../UTC"] {
            assert_eq!(CronSlots::parse("0 2 * * *", zone, FLOOR).expect_err(zone), CronError::Zone, "{zone}");
        }
    }

    #[test]
    fn h10_slots_closer_than_the_floor_are_refused() {
        let floor = Duration::from_secs(300);
        let too_often = CronError::TooOften { floor: 300 };
        for pattern in ["* * * * *", "*/2 * * * *", "0,1 3 * * *"] {
            assert_eq!(CronSlots::parse(pattern, "UTC", floor).expect_err(pattern), too_often, "{pattern}");
        }
        assert!(CronSlots::parse("*/5 * * * *", "UTC", floor).is_ok());
    }

    #[test]
    fn h10_a_slot_in_the_gap_runs_once_right_after_it() {
        let daily = slots("30 2 * * *", "Europe/Stockholm");
        // 29 March 2026: 02:00 becomes 03:00.
        let first = daily.next(at("2026-03-28T12:00:00Z")).expect("a slot");
        assert_eq!(first, at("2026-03-29T01:00:00Z"));
        assert_eq!(daily.next(first).expect("the next day"), at("2026-03-30T00:30:00Z"));
    }

    #[test]
    fn h10_a_slot_in_the_hour_that_comes_twice_runs_once() {
        let daily = slots("30 2 * * *", "Europe/Stockholm");
        // 25 October 2026: 03:00 becomes 02:00.
        let first = daily.next(at("2026-10-24T12:00:00Z")).expect("a slot");
        assert_eq!(first, at("2026-10-25T00:30:00Z"));
        assert_eq!(daily.next(first).expect("the next day"), at("2026-10-26T01:30:00Z"));
        let hourly = slots("30 * * * *", "Europe/Stockholm");
        let mut seen = Vec::new();
        let mut slot = at("2026-10-24T23:00:00Z");
        for _ in 0..3 {
            slot = hourly.next(slot).expect("a slot");
            seen.push(slot);
        }
        assert_eq!(seen, [at("2026-10-24T23:30:00Z"), at("2026-10-25T00:30:00Z"), at("2026-10-25T02:30:00Z")]);
    }

    #[test]
    fn only_the_last_of_the_missed_slots_is_found() {
        let minutes = slots("* * * * *", "UTC");
        let last = minutes.last(at("2020-01-01T00:00:00Z"), at("2026-01-01T00:00:30Z")).expect("slots");
        assert_eq!(last, Some(at("2026-01-01T00:00:00Z")));
        let yearly = slots("0 0 29 2 *", "UTC");
        let last = yearly.last(at("2023-01-01T00:00:00Z"), at("2026-06-01T00:00:00Z")).expect("slots");
        assert_eq!(last, Some(at("2024-02-29T00:00:00Z")));
        assert_eq!(yearly.last(at("2025-01-01T00:00:00Z"), at("2026-06-01T00:00:00Z")), Ok(None));
    }
}
