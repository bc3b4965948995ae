//! Dates and times of the binary form. MySQL keeps days that no calendar has: the zero date, months and days of zero, and
//! with some modes the 30th of February.
//!
//! What a calendar has arrives exact; the rest keeps the text that the server would print.

use std::fmt::Write;

use waybill_pipeline::FaultResult;

use crate::source::mysql::bytes::Bytes;
use crate::source::server::malformed;

const DAY: i64 = 86_400_000_000;
/// 0001-01-01 in days since 1970.
pub(super) const FIRST_DAY: i32 = -719_162;

/// A date with its time of day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moment {
    year: u16,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    micros: u32,
}

/// What it is in a calendar.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place<T> {
    Plain(T),
    /// Exact, but in the year before 1.
    Unusual(T),
    /// 0000-00-00.
    Zero,
    /// Another day that there is not.
    Nowhere,
}

impl Moment {
    /// Reads a field: what is zero at its end is left out.
    #[inline]
    pub(super) fn read(bytes: &mut Bytes<'_>) -> FaultResult<Self> {
        let mut moment = Self::default();
        let length = bytes.byte()?;
        if !matches!(length, 0 | 4 | 7 | 11) {
            return Err(malformed("a date has an impossible length"));
        }
        if length >= 4 {
            let [low, high, month, day] = bytes.array()?;
            (moment.year, moment.month, moment.day) = (u16::from_le_bytes([low, high]), month, day);
        }
        if length >= 7 {
            [moment.hour, moment.minute, moment.second] = bytes.array()?;
        }
        if length == 11 {
            moment.micros = bytes.u32()?;
        }
        let is_possible = moment.year <= 9999
            && moment.month <= 12
            && moment.day <= 31
            && moment.hour < 24
            && moment.minute < 60
            && moment.second < 60
            && moment.micros < 1_000_000;
        if is_possible { Ok(moment) } else { Err(malformed("a date or time is impossible")) }
    }

    /// Days since 1970.
    #[inline]
    pub(super) fn date(&self) -> Place<i32> {
        match days(i32::from(self.year), self.month, self.day) {
            Some(days) if self.year > 0 => Place::Plain(days),
            Some(days) => Place::Unusual(days),
            None if self.year == 0 && self.month == 0 && self.day == 0 => Place::Zero,
            None => Place::Nowhere,
        }
    }

    /// Microseconds since 1970.
    #[inline]
    pub(super) fn timestamp(&self) -> Place<i64> {
        let of_day = i64::from(self.micros)
            + 1_000_000 * (i64::from(self.second) + 60 * (i64::from(self.minute) + 60 * i64::from(self.hour)));
        match self.date() {
            Place::Plain(days) => Place::Plain(i64::from(days) * DAY + of_day),
            Place::Unusual(days) => Place::Unusual(i64::from(days) * DAY + of_day),
            Place::Zero if of_day == 0 => Place::Zero,
            Place::Zero | Place::Nowhere => Place::Nowhere,
        }
    }

    /// A date as the server prints it.
    pub(super) fn date_text(&self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }

    /// A date with its time as the server prints it.
    pub(super) fn text(&self, digits: u8) -> String {
        let mut text = format!("{} {:02}:{:02}:{:02}", self.date_text(), self.hour, self.minute, self.second);
        push_fraction(&mut text, self.micros, digits);
        text
    }
}

/// Days since 1970, by the calendar that MySQL and Arrow share; none for a day that there is not.
#[inline]
fn days(year: i32, month: u8, day: u8) -> Option<i32> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => return None,
    };
    if day == 0 || day > last {
        return None;
    }
    // Years begin in March, so that the leap day is the last one.
    let (year, month) = if month > 2 { (year, i32::from(month) - 3) } else { (year - 1, i32::from(month) + 9) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * month + 2) / 5 + i32::from(day) - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// Writes a TIME as the server prints it: up to ±838 hours.
pub(super) fn write_time(bytes: &mut Bytes<'_>, digits: u8, out: &mut Vec<u8>) -> FaultResult<()> {
    let length = bytes.byte()?;
    if !matches!(length, 0 | 8 | 12) {
        return Err(malformed("a time has an impossible length"));
    }
    let (mut is_negative, mut hours, mut minute, mut second, mut micros) = (false, 0, 0, 0, 0);
    if length >= 8 {
        is_negative = bytes.byte()? == 1;
        let days = bytes.u32()?;
        let hour;
        [hour, minute, second] = bytes.array()?;
        hours = days.saturating_mul(24).saturating_add(u32::from(hour));
    }
    if length == 12 {
        micros = bytes.u32()?;
    }
    if hours > 838 || minute > 59 || second > 59 || micros > 999_999 {
        return Err(malformed("a date or time is impossible"));
    }
    let mut text = String::with_capacity(20);
    if is_negative {
        text.push('-');
    }
    // Writing to a String never fails.
    let _ = write!(text, "{hours:02}:{minute:02}:{second:02}");
    push_fraction(&mut text, micros, digits);
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

fn push_fraction(text: &mut String, micros: u32, digits: u8) {
    // A fraction that the column should not have is shown whole.
    let digits =
        if micros.is_multiple_of(10_u32.pow(6 - u32::from(digits.min(6)))) { usize::from(digits.min(6)) } else { 6 };
    if digits > 0 {
        text.push('.');
        text.push_str(&format!("{micros:06}")[..digits]);
    }
}

#[cfg(test)]
mod tests {
    use chrono::{Datelike, NaiveDate};

    use super::*;

    fn moment(bytes: &[u8]) -> FaultResult<Moment> {
        Moment::read(&mut Bytes::new(bytes))
    }

    fn time(bytes: &[u8], digits: u8) -> FaultResult<String> {
        let mut out = Vec::new();
        write_time(&mut Bytes::new(bytes), digits, &mut out)?;
        Ok(String::from_utf8(out).expect("text"))
    }

    #[test]
    fn every_day_of_the_calendar_is_where_chrono_has_it() {
        let mut day = NaiveDate::from_ymd_opt(0, 1, 1).expect("a day");
        while day.year() <= 9999 {
            let found = days(day.year(), day.month() as u8, day.day() as u8);
            assert_eq!(found, Some(day.num_days_from_ce() - 719_163), "{day}");
            day = day.succ_opt().expect("a next day");
        }
        assert_eq!(days(1, 1, 1), Some(FIRST_DAY));
    }

    #[test]
    fn days_that_there_are_not_keep_their_text() {
        let zero = moment(&[0]).expect("zero");
        assert_eq!((zero.date(), zero.timestamp()), (Place::Zero, Place::Zero));
        assert_eq!((zero.date_text(), zero.text(3)), ("0000-00-00".into(), "0000-00-00 00:00:00.000".into()));
        let partial = moment(&[4, 0xe6, 7, 11, 0]).expect("2022-11-00");
        assert_eq!((partial.date(), partial.date_text()), (Place::Nowhere, "2022-11-00".into()));
        let february = moment(&[7, 0xe7, 7, 2, 30, 1, 2, 3]).expect("2023-02-30");
        assert_eq!((february.timestamp(), february.text(0)), (Place::Nowhere, "2023-02-30 01:02:03".into()));
        let late = moment(&[7, 0, 0, 0, 0, 1, 0, 0]).expect("a time on the zero date");
        assert_eq!(late.timestamp(), Place::Nowhere);
        assert!(matches!(moment(&[4, 0, 0, 1, 1]).expect("year 0").date(), Place::Unusual(_)));
    }

    #[test]
    fn times_go_beyond_a_day_both_ways() {
        assert_eq!(time(&[0], 0).expect("zero"), "00:00:00");
        assert_eq!(time(&[0], 6).expect("zero"), "00:00:00.000000");
        let longest = [12, 1, 34, 0, 0, 0, 22, 59, 59, 0x3f, 0x42, 0x0f, 0];
        assert_eq!(time(&longest, 6).expect("838 hours"), "-838:59:59.999999");
        assert_eq!(time(&[12, 0, 0, 0, 0, 0, 1, 2, 3, 0x20, 0xa1, 7, 0], 1).expect("half"), "01:02:03.5");
    }

    #[test]
    fn impossible_fields_are_refused() {
        for bad in [
            &[1][..],
            &[4, 0, 0],
            &[4, 0, 0, 13, 1],
            &[7, 0, 0, 1, 1, 24, 0, 0],
            &[11, 0, 0, 1, 1, 0, 0, 0],
            &[4, 0xff, 0xff, 1, 1],
        ] {
            assert!(moment(bad).is_err(), "{bad:?}");
        }
        for bad in [&[5][..], &[8, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0], &[8, 0, 0, 0, 0, 0, 0, 60, 0], &[8, 0]] {
            assert!(time(bad, 0).is_err(), "{bad:?}");
        }
    }
}
