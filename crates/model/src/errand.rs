//! What a run does with one stream in place of its next window: asked for by somebody, said by no plan.
//!
//! The bounds of a range are what that person typed into the command, as a filter's values are what stands in the file. No value
//! of a row comes in here.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike};
use serde::{Deserialize, Serialize};

use crate::moment;
use crate::plan::{Load, StreamPlan};

/// What is done with a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Errand {
    /// It is read whole, whatever its load, in place of what its table has.
    Reload,
    /// Its window begins with the first row, whatever cursor the table keeps; rows are merged by their key.
    ForgetCursor,
    /// The rows of a range of its cursor come once more and are merged by their key; the table keeps its cursor.
    Backfill(Range),
    /// Its first rows, so many at most, into a table that no whole run has filled; the next run brings all of them in their place.
    Limit(u64),
}

impl Errand {
    /// Why it can't be done with a stream, and what to do.
    #[must_use]
    pub fn refused(&self, stream: &StreamPlan) -> Option<String> {
        let what = match self {
            Self::Reload | Self::Limit(_) => return None,
            Self::ForgetCursor => "a forgotten cursor",
            Self::Backfill(_) => "a backfill",
        };
        match stream.load {
            Load::Changed => None,
            Load::New => Some(format!(
                "`load: new` appends, so rows of {what} would stand in the table twice: reload the stream, or give it \
                 `load: changed` and a key"
            )),
            Load::Full => Some(format!("`load: full` reads every row in each run and has no cursor for {what}")),
        }
    }
}

/// A range of a cursor, half-open: from the first bound on, up to the second and without it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Range {
    from: Option<Bound>,
    to: Option<Bound>,
}

/// As it stands in a body or a database.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<String>,
}

/// One end of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bound {
    /// A whole number.
    Number(i128),
    /// Microseconds since 1970 on the clock of a column without a zone.
    Local(i64),
    /// Microseconds since 1970 in UTC.
    Instant(i64),
}

/// Why a range is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// A text is no bound.
    #[error(
        "write a whole number, `2026-01-31` or `2026-01-31T12:00:00` for a cursor without a zone, `2026-01-31T12:00:00Z` or with an \
         offset for one with a zone"
    )]
    Text,
    /// It has neither end.
    #[error(
        "a backfill needs `from` or `to`, or both: to read everything anew, forget the cursor or reload the stream"
    )]
    Endless,
    /// One end is a number or has a zone and the other has not.
    #[error(
        "`from` and `to` are of two kinds: both are numbers, or both are times with a zone, or both are times without"
    )]
    Mixed,
    /// Nothing lies in it.
    #[error("`from` is not below `to`, so no row lies between them")]
    Empty,
}

impl Range {
    /// Of two bounds, as they were typed.
    pub fn new(from: Option<&str>, to: Option<&str>) -> Result<Self, RangeError> {
        let range = Self { from: from.map(str::parse).transpose()?, to: to.map(str::parse).transpose()? };
        match (range.from, range.to) {
            (None, None) => Err(RangeError::Endless),
            (Some(from), Some(to)) if std::mem::discriminant(&from) != std::mem::discriminant(&to) => {
                Err(RangeError::Mixed)
            }
            (Some(from), Some(to)) if from >= to => Err(RangeError::Empty),
            _ => Ok(range),
        }
    }

    /// Its first row's cursor is this or above; none where it begins with the first row.
    #[must_use]
    pub const fn from(&self) -> Option<Bound> {
        self.from
    }

    /// Every row's cursor is below this; none where it ends where a window does.
    #[must_use]
    pub const fn to(&self) -> Option<Bound> {
        self.to
    }
}

impl TryFrom<Written> for Range {
    type Error = RangeError;

    fn try_from(written: Written) -> Result<Self, RangeError> {
        Self::new(written.from.as_deref(), written.to.as_deref())
    }
}

impl From<Range> for Written {
    fn from(range: Range) -> Self {
        Self { from: range.from.map(|from| from.to_string()), to: range.to.map(|to| to.to_string()) }
    }
}

impl FromStr for Bound {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().map(Self::Number).map_err(|_| RangeError::Text);
        }
        let bytes = text.as_bytes();
        let day = moment::date(bytes).map(|days| i64::from(days) * 86_400_000_000);
        let local = day.or_else(|| moment::timestamp(bytes)).filter(|micros| is_shown(*micros)).map(Self::Local);
        let instant = || moment::instant(bytes).filter(|micros| is_shown(*micros)).map(Self::Instant);
        local.or_else(instant).ok_or(RangeError::Text)
    }
}

/// Whether a moment is written with a year of four digits, by which it is read back: an offset may lead out of those.
fn is_shown(micros: i64) -> bool {
    DateTime::from_timestamp_micros(micros).is_some_and(|moment| (1..=9999).contains(&moment.year()))
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (micros, zone) = match self {
            Self::Number(number) => return write!(f, "{number}"),
            Self::Local(micros) => (*micros, ""),
            Self::Instant(micros) => (*micros, "Z"),
        };
        // No other one is read.
        let moment = DateTime::from_timestamp_micros(micros).unwrap_or_default();
        let form = if micros % 1_000_000 == 0 { "%Y-%m-%dT%H:%M:%S" } else { "%Y-%m-%dT%H:%M:%S%.6f" };
        write!(f, "{}{zone}", moment.format(form))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(load: &str) -> StreamPlan {
        serde_json::from_value(serde_json::json!({ "name": "t", "load": load })).expect("a stream")
    }

    #[test]
    fn a_bound_is_read_exactly_and_prints_as_it_reads_back() {
        for (text, bound, shown) in [
            ("-12", Bound::Number(-12), "-12"),
            ("18446744073709551615", Bound::Number(u64::MAX.into()), "18446744073709551615"),
            ("1970-01-02", Bound::Local(86_400_000_000), "1970-01-02T00:00:00"),
            ("1970-01-01 00:00:01.5", Bound::Local(1_500_000), "1970-01-01T00:00:01.500000"),
            ("1970-01-01T02:00:00+02:00", Bound::Instant(0), "1970-01-01T00:00:00Z"),
            ("1969-12-31T23:59:59.25Z", Bound::Instant(-750_000), "1969-12-31T23:59:59.250000Z"),
        ] {
            assert_eq!(text.parse(), Ok(bound), "{text}");
            assert_eq!((bound.to_string().as_str(), bound.to_string().parse()), (shown, Ok(bound)));
        }
        let long = "9".repeat(40);
        let beyond = ["9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+01:00", "0000-06-01"];
        for odd in beyond {
            assert_eq!(odd.parse::<Bound>(), Err(RangeError::Text), "{odd}");
        }
        for odd in ["", "-", "1.5", "soon", "2026-02-30", "2026-01-31T12:00", "1e3", "1 OR 1", "+5", long.as_str()] {
            assert_eq!(odd.parse::<Bound>(), Err(RangeError::Text), "{odd}");
        }
    }

    #[test]
    fn a_range_has_an_end_of_one_kind_and_something_in_it() {
        assert_eq!(Range::new(None, None), Err(RangeError::Endless));
        assert_eq!(Range::new(Some("1"), Some("2026-01-01")), Err(RangeError::Mixed));
        assert_eq!(Range::new(Some("2026-01-01"), Some("2026-01-02T00:00:00Z")), Err(RangeError::Mixed));
        assert_eq!(Range::new(Some("5"), Some("5")), Err(RangeError::Empty));
        assert_eq!(Range::new(Some("10"), Some("9")), Err(RangeError::Empty));
        for (from, to) in [(Some("9"), Some("10")), (Some("9"), None), (None, Some("2026-01-01"))] {
            let range = Range::new(from, to).expect("a range");
            let text = serde_json::to_string(&Errand::Backfill(range.clone())).expect("a text");
            assert_eq!(serde_json::from_str::<Errand>(&text).expect("it reads back"), Errand::Backfill(range));
        }
        assert!(serde_json::from_str::<Errand>(r#"{"backfill":{}}"#).is_err());
    }

    #[test]
    fn rows_come_again_only_where_they_take_their_own_places() {
        let range = Errand::Backfill(Range::new(Some("1"), None).expect("a range"));
        for errand in [Errand::ForgetCursor, range] {
            assert_eq!(errand.refused(&stream("changed")), None);
            assert!(errand.refused(&stream("new")).is_some_and(|why| why.contains("twice") && why.contains("reload")));
            assert!(errand.refused(&stream("full")).is_some_and(|why| why.contains("no cursor")));
        }
        assert_eq!((Errand::Reload.refused(&stream("new")), Errand::Limit(5).refused(&stream("new"))), (None, None));
    }
}
