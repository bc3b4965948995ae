//! How a column writes its times. A window of times compares texts, so all of them must be written alike.
//!
//! Alike is: to the same unit, with the same separator, in the same zone. Fractions of a second may differ, since a bound
//! never has one. Holds no value longer than it looks at it, and shows none.

use chrono::{DateTime, DurationRound, FixedOffset, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use waybill_model::errand::Bound;
use waybill_model::moment::{is_like, offset};
use waybill_model::name::quoted;
use waybill_pipeline::FaultResult;

use super::connect::fault;

use crate::source::clock::earliest_local;

/// The unit that times are written to. A time of the present may bear the whole unit's beginning, so a window ends at one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Day,
    Minute,
    Second,
}

/// How a time is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    unit: Unit,
    /// Between date and time; a space where there is no time.
    separator: char,
    /// What follows the time: empty, `Z` or an offset.
    zone: String,
    offset: Option<FixedOffset>,
}

/// What a look at all values of a column found.
#[derive(Default)]
pub(super) struct Times {
    /// How the first one is written; none where the column has no value.
    pub(super) written: Option<Written>,
    pub(super) nulls: u64,
    /// Values that are no times, or none of which it is clear.
    pub(super) strange: u64,
    /// Times that are written in another way than the first one.
    pub(super) unlike: u64,
}

impl Times {
    /// Looks at every value: one that is written otherwise would be compared wrongly, and its row never come.
    pub(super) fn look(connection: &Connection, table: &str, column: &str) -> FaultResult<Self> {
        let sql = format!("SELECT {} FROM {}", quoted(column), quoted(table));
        let mut statement = connection.prepare(&sql).map_err(|e| fault(&e))?;
        let mut rows = statement.query([]).map_err(|e| fault(&e))?;
        let mut times = Self::default();
        while let Some(row) = rows.next().map_err(|e| fault(&e))? {
            times.take(row.get_ref(0).map_err(|e| fault(&e))?);
        }
        Ok(times)
    }

    fn take(&mut self, value: ValueRef<'_>) {
        let parts = match value {
            ValueRef::Null => {
                self.nulls += 1;
                return;
            }
            ValueRef::Text(text) => std::str::from_utf8(text).ok().and_then(Parts::of),
            ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Blob(_) => None,
        };
        match (parts, &self.written) {
            (None, _) => self.strange += 1,
            (Some(parts), Some(first)) if parts.are_of(first) => {}
            (Some(_), Some(_)) => self.unlike += 1,
            (Some(parts), None) => match parts.written() {
                Some(written) => self.written = Some(written),
                None => self.strange += 1,
            },
        }
    }
}

impl Written {
    /// A kept bound: how it is written, and the text to compare with.
    pub(super) fn bound(text: &str) -> Option<(Self, String)> {
        let parts = Parts::of(text)?;
        Some((parts.written()?, text.strip_suffix(parts.zone)?.to_owned()))
    }

    /// A moment written so that every later one sorts above it or equals it: down to the whole unit, without a zone. Where
    /// the values name their zone that one counts, and `zone` is the column's otherwise.
    pub(super) fn end(&self, moment: DateTime<Utc>, zone: Tz) -> String {
        let local = match self.offset {
            Some(offset) => moment.with_timezone(&offset).naive_local(),
            None => earliest_local(moment, zone),
        };
        self.shown(local)
    }

    fn shown(&self, local: NaiveDateTime) -> String {
        let separator = self.separator;
        let form = match self.unit {
            Unit::Day => "%Y-%m-%d".to_owned(),
            Unit::Minute => format!("%Y-%m-%d{separator}%H:%M"),
            Unit::Second => format!("%Y-%m-%d{separator}%H:%M:%S"),
        };
        local.format(&form).to_string()
    }

    pub(super) const fn has_offset(&self) -> bool {
        self.offset.is_some()
    }

    /// Somebody's bound as the column would write it, without a zone: every time from it on sorts at it or above. None where it is
    /// not on a whole unit, since the column has no text that stands for it.
    pub(super) fn exactly(&self, bound: Bound) -> Option<String> {
        let local = match (bound, self.offset) {
            (Bound::Local(micros), _) => DateTime::from_timestamp_micros(micros)?.naive_utc(),
            (Bound::Instant(micros), offset) => {
                DateTime::from_timestamp_micros(micros)?.with_timezone(&offset?).naive_local()
            }
            (Bound::Number(_), _) => return None,
        };
        let unit = match self.unit {
            Unit::Day => TimeDelta::days(1),
            Unit::Minute => TimeDelta::minutes(1),
            Unit::Second => TimeDelta::seconds(1),
        };
        (local.duration_trunc(unit).ok()? == local).then(|| self.shown(local))
    }

    /// A bound as it is kept: the next run sees from it how the values were written.
    pub(super) fn keep(&self, bound: &str) -> String {
        format!("{bound}{}", self.zone)
    }
}

/// A time's text, taken apart.
#[derive(Clone, Copy)]
struct Parts<'a> {
    unit: Unit,
    separator: char,
    zone: &'a str,
}

impl<'a> Parts<'a> {
    /// None for a text that is not `YYYY-MM-DD`, alone or with a time behind a space or a `T`.
    fn of(text: &'a str) -> Option<Self> {
        let (date, rest) = text.split_at_checked(10)?;
        is_date(date).then_some(())?;
        let separator = match rest.chars().next() {
            None => return Some(Self { unit: Unit::Day, separator: ' ', zone: "" }),
            Some(separator @ (' ' | 'T')) => separator,
            Some(_) => return None,
        };
        let (clock, rest) = rest[1..].split_at_checked(5)?;
        is_like(clock, "00:00").then_some(())?;
        let (unit, zone) = match rest.split_at_checked(3) {
            Some((seconds, rest)) if is_like(seconds, ":00") => (Unit::Second, without_fraction(rest)?),
            _ => (Unit::Minute, rest),
        };
        (zone.is_empty() || offset(zone).is_some()).then_some(Self { unit, separator, zone })
    }

    fn are_of(self, written: &Written) -> bool {
        (self.unit, self.separator, self.zone) == (written.unit, written.separator, written.zone.as_str())
    }

    fn written(self) -> Option<Written> {
        let offset = if self.zone.is_empty() { None } else { Some(offset(self.zone)?) };
        Some(Written { unit: self.unit, separator: self.separator, zone: self.zone.to_owned(), offset })
    }
}

/// Four digits, a month and a day: a day before the month would sort wrongly. Zeros stand for what is not known.
fn is_date(text: &str) -> bool {
    let part = |at: std::ops::Range<usize>| text.get(at).and_then(|digits| digits.parse::<u8>().ok());
    is_like(text, "0000-00-00") && part(5..7).is_some_and(|m| m <= 12) && part(8..10).is_some_and(|d| d <= 31)
}

/// What follows a fraction of a second, where there is one.
fn without_fraction(text: &str) -> Option<&str> {
    let Some(fraction) = text.strip_prefix('.') else { return Some(text) };
    let rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
    (rest.len() < fraction.len()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(texts: &[&str]) -> Times {
        let mut times = Times::default();
        texts.iter().for_each(|text| times.take(ValueRef::Text(text.as_bytes())));
        times
    }

    fn end(text: &str, moment: &str, zone: Tz) -> String {
        let moment = DateTime::parse_from_rfc3339(moment).expect("a moment").with_timezone(&Utc);
        times(&[text]).written.expect("a time").end(moment, zone)
    }

    #[test]
    fn what_is_no_iso_time_is_strange() {
        let strange = [
            "05.01.2026 10:00:00",
            "01/05/2026 10:00:00",
            "2026/05/01",
            "2026-31-12",
            "2026-1-2 10:00:00",
            "10:00:00",
            "2026-05-01 10",
            "2026-05-01 1:00:00",
            "2026-05-01 10:00:00 PM",
            "2026-05-01 10:00:00.",
            "2026-05-01 10:00:00,5",
            "2026-05-01_10:00:00",
            "2026-05-01 10:00:00 Europe/Berlin",
            "2026-05-01 10:00:00+2",
            "2026-05-01 ",
            "",
            "soon",
            "20260501T100000",
            "+12026-05-01",
            "2026-05-01 10:00:00 +0200 CEST",
            "2026-05-01T10:00:00\u{e9}",
        ];
        for text in strange {
            assert_eq!(times(&[text]).strange, 1, "{text}");
        }
        let mut others = Times::default();
        [ValueRef::Integer(1_700_000_000), ValueRef::Real(2.5), ValueRef::Blob(b"2026-05-01"), ValueRef::Text(b"\xff")]
            .into_iter()
            .for_each(|value| others.take(value));
        others.take(ValueRef::Null);
        assert_eq!((others.strange, others.nulls), (4, 1));
    }

    #[test]
    fn times_of_one_column_are_written_alike_but_for_their_fractions() {
        let alike: [&[&str]; 7] = [
            &["2026-05-01 10:00:00", "2026-05-01 10:00:00.5", "0000-00-00 00:00:00"],
            &["2026-05-01T10:00:00Z", "2026-05-01T10:00:00.123456789Z"],
            &["2026-05-01 10:00:00+02:00", "2026-05-01 10:00:00.5+02:00"],
            &["2026-05-01 10:00:00 +0000", "2026-05-01 11:00:00 +0000"],
            &["2026-05-01 10:00:00-05", "2026-05-01 11:00:00-05"],
            &["2026-05-01", "2026-05-02"],
            &["2026-05-01T10:00", "2026-05-02T10:00"],
        ];
        for texts in alike {
            let found = times(texts);
            assert_eq!((found.strange, found.unlike), (0, 0), "{texts:?}");
        }
        for other in ["2026-05-01T10:00:00", "2026-05-01 10:00", "2026-05-01", "2026-05-01 10:00:00Z"] {
            assert_eq!(times(&["2026-05-01 10:00:00", other]).unlike, 1, "{other}");
        }
        for other in ["+00:00", "-05:00", "z", "+02", ""] {
            assert_eq!(times(&["2026-05-01 10:00:00Z", &format!("2026-05-01 10:00:00{other}")]).unlike, 1, "{other}");
        }
    }

    /// What is written at the bound's moment or later must sort at it or above, however many digits it has.
    #[test]
    fn a_bound_sorts_below_all_that_is_written_from_its_moment_on() {
        let (moment, berlin) = ("2026-05-01T10:00:30.750Z", Tz::Europe__Berlin);
        let cases = [
            ("2025-01-01 00:00:00", "2026-05-01 12:00:30", ["2026-05-01 12:00:30", "2026-05-01 12:00:30.8"]),
            ("2025-01-01T00:00:00Z", "2026-05-01T10:00:30", ["2026-05-01T10:00:30Z", "2026-05-01T10:00:30.8Z"]),
            (
                "2025-01-01 00:00:00-05:30",
                "2026-05-01 04:30:30",
                ["2026-05-01 04:30:30-05:30", "2026-05-01 04:30:30.8-05:30"],
            ),
            ("2025-01-01 00:00", "2026-05-01 12:00", ["2026-05-01 12:00", "2026-05-01 12:01"]),
            ("2025-01-01 00:00Z", "2026-05-01 10:00", ["2026-05-01 10:00Z", "2026-05-01 10:01Z"]),
            ("2025-01-01", "2026-05-01", ["2026-05-01", "2026-05-02"]),
        ];
        for (text, bound, later) in cases {
            assert_eq!(end(text, moment, berlin), bound, "{text}");
            assert!(later.iter().all(|later| *later >= bound), "{text}");
        }
    }

    #[test]
    fn a_bound_ends_before_the_hour_that_a_clock_shows_twice() {
        let berlin = |moment| end("2025-01-01 00:00:00", moment, Tz::Europe__Berlin);
        // Clocks in Berlin showed 02:00 to 03:00 twice on 2026-10-25: the second time began at 01:00 UTC.
        assert_eq!(berlin("2026-10-25T00:30:15.250Z"), "2026-10-25 02:00:00");
        assert_eq!(berlin("2026-10-25T01:10:15.250Z"), "2026-10-25 02:10:15");
        assert_eq!(berlin("2026-10-24T12:00:00.000Z"), "2026-10-24 14:00:00");
        let utc = end("2025-01-01 00:00:00", "2026-10-25T00:30:15.250Z", Tz::UTC);
        assert_eq!(utc, "2026-10-25 00:30:15");
        // An offset that is written is never set back.
        assert_eq!(end("2025-01-01 00:00:00+02:00", "2026-10-25T00:30:15Z", Tz::Europe__Berlin), "2026-10-25 02:30:15");
    }

    #[test]
    fn somebodys_bound_is_written_as_the_column_writes_or_not_at_all() {
        let exactly = |text: &str, bound: &str| {
            let written = times(&[text]).written.expect("a time");
            written.exactly(bound.parse().expect("a bound"))
        };
        for (text, bound, shown) in [
            ("2025-01-01 00:00:00", "2026-05-01T10:00:30", Some("2026-05-01 10:00:30")),
            ("2025-01-01T00:00:00Z", "2026-05-01T10:00:30+02:00", Some("2026-05-01T08:00:30")),
            ("2025-01-01 00:00:00-05:30", "2026-05-01T10:00:30Z", Some("2026-05-01 04:30:30")),
            ("2025-01-01 00:00", "2026-05-01T10:01:00", Some("2026-05-01 10:01")),
            ("2025-01-01", "2026-05-01", Some("2026-05-01")),
            ("2025-01-01 00:00:00", "2026-05-01T10:00:30.5", None),
            ("2025-01-01 00:00", "2026-05-01T10:01:01", None),
            ("2025-01-01", "2026-05-01T00:00:01", None),
            ("2025-01-01", "5", None),
        ] {
            assert_eq!(exactly(text, bound).as_deref(), shown, "{text} {bound}");
        }
        let before = exactly("2025-01-01T00:00:00Z", "1969-12-31T23:59:59Z");
        assert_eq!(before.as_deref(), Some("1969-12-31T23:59:59"));
    }

    #[test]
    fn a_kept_bound_reads_back_and_tells_how_the_values_were_written() {
        for text in
            ["2026-05-01 10:00:00", "2026-05-01T10:00:00Z", "2026-05-01 10:00:00.250000", "2026-05-01 10:00-05:00"]
        {
            let (written, bound) = Written::bound(text).expect("a bound");
            assert_eq!((Some(&written), written.keep(&bound).as_str()), (times(&[text]).written.as_ref(), text));
        }
        assert!(Written::bound("soon").is_none());
    }
}
