//! What a stream's rows are expected to be: checked by the worker before the commit.
//!
//! Bounds are what the user wrote, as text; they are no values of rows. Columns bear the source's names, as in a filter.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::moment;
use crate::run::named;
use crate::size::show_count;

/// One expectation of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Expectation {
    /// What is looked at.
    pub check: Check,
    /// What follows where rows are not so.
    #[serde(default, skip_serializing_if = "OnFailure::is_fail")]
    pub on_failure: OnFailure,
}

impl Expectation {
    /// One line for people: its number in the stream's list, what it is, and how many rows.
    #[must_use]
    pub fn told(&self, number: u64, rows: u64) -> String {
        format!("expectation {number} ({}): {}", self.check, show_count(rows, "row"))
    }
}

named! {
    /// What follows where an expectation does not hold.
    OnFailure {
        /// The stream fails: nothing is committed.
        Fail = "fail",
        /// The stream is committed, and its rows are counted.
        Warn = "warn",
    }
}

impl OnFailure {
    fn is_fail(&self) -> bool {
        *self == Self::Fail
    }
}

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// None of these columns is NULL.
    NotNull(Vec<String>),
    /// No two rows of a run have the same values in all these columns together; rows with a NULL among them don't count.
    Unique(Vec<String>),
    /// The values of a column lie within bounds; NULLs don't count.
    Range(Range),
    /// How many rows a run brings.
    Rows(RowCount),
}

/// Bounds of a column's values, both within.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The column.
    pub column: String,
    /// The least value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<String>,
    /// The greatest value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<String>,
}

/// Bounds of how many rows a run brings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowCount {
    /// At least so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u64>,
    /// At most so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
    /// How far from the last commit's at most, in percent of those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<u32>,
}

impl Check {
    /// Columns that are looked at, by the source's names.
    #[must_use]
    pub fn columns(&self) -> Vec<&str> {
        match self {
            Self::NotNull(columns) | Self::Unique(columns) => columns.iter().map(String::as_str).collect(),
            Self::Range(range) => vec![&range.column],
            Self::Rows(_) => Vec::new(),
        }
    }

    /// As its key stands in the file.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::NotNull(_) => "not-null",
            Self::Unique(_) => "unique",
            Self::Range(_) => "range",
            Self::Rows(_) => "rows",
        }
    }
}

/// `range of price`, for people.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.columns().as_slice() {
            [] => f.write_str("number of rows"),
            columns => write!(f, "{} of {}", self.kind(), columns.join(", ")),
        }
    }
}

/// A bound as it is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// `digits` times ten to the power of minus `behind`, exactly.
    Number {
        /// All digits, with the sign.
        digits: i128,
        /// How many of them stand behind the point.
        behind: u8,
    },
    /// Days since 1970.
    Date(i32),
    /// Microseconds since 1970 of a time without a zone.
    Timestamp(i64),
    /// Microseconds since 1970 in UTC.
    Instant(i64),
}

impl Bound {
    /// What a bound is.
    pub const TEXT: &str = "a number such as -0.5 with at most 38 digits, a date such as 2024-12-31, or a time such as \
                            2024-12-31 23:59:59, with Z or an offset behind it for a column with a zone";

    /// Reads a bound exactly, or not at all.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        number(text)
            .or_else(|| moment::date(bytes).map(Self::Date))
            .or_else(|| moment::timestamp(bytes).map(Self::Timestamp))
            .or_else(|| moment::instant(bytes).map(Self::Instant))
    }

    /// Whether this one, as the least value, lies above the greatest; none where they are of unlike kinds.
    #[must_use]
    pub fn is_above(&self, max: &Self) -> Option<bool> {
        match (self, max) {
            (Self::Number { digits, behind }, Self::Number { digits: other, behind: theirs }) => {
                let most = (*behind).max(*theirs);
                let scaled =
                    |digits: i128, behind: u8| digits.checked_mul(10_i128.checked_pow((most - behind).into())?);
                Some(match (scaled(*digits, *behind), scaled(*other, *theirs)) {
                    (Some(min), Some(max)) => min > max,
                    // Only the longer of the two overflows, and it is the larger one by its size.
                    (None, _) => *digits > 0,
                    (_, None) => *other < 0,
                })
            }
            (Self::Date(min), Self::Date(max)) => Some(min > max),
            (Self::Timestamp(min), Self::Timestamp(max)) | (Self::Instant(min), Self::Instant(max)) => Some(min > max),
            _ => None,
        }
    }
}

/// Digits with a sign and a point, no exponent.
fn number(text: &str) -> Option<Bound> {
    let (minus, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, behind) = digits.split_once('.').unwrap_or((digits, "0"));
    let all = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !all(whole) || !all(behind) {
        return None;
    }
    let (whole, behind) = (whole.trim_start_matches('0'), behind.trim_end_matches('0'));
    if whole.len() + behind.len() > 38 {
        return None;
    }
    let digits = format!("0{whole}{behind}").parse::<i128>().ok()?;
    Some(Bound::Number { digits: if minus { -digits } else { digits }, behind: u8::try_from(behind.len()).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_read_exactly_or_not_at_all() {
        assert_eq!(Bound::read("-0.50"), Some(Bound::Number { digits: -5, behind: 1 }));
        assert_eq!(Bound::read("0012"), Some(Bound::Number { digits: 12, behind: 0 }));
        assert_eq!(Bound::read("1970-01-02"), Some(Bound::Date(1)));
        assert_eq!(Bound::read("1970-01-01 00:00:01"), Some(Bound::Timestamp(1_000_000)));
        assert_eq!(Bound::read("1970-01-01T01:00:01+01:00"), Some(Bound::Instant(1_000_000)));
        let long = "9".repeat(39);
        for odd in ["", "-", ".5", "5.", "1e3", "+1", "NaN", "infinity", "2023-02-29", long.as_str()] {
            assert_eq!(Bound::read(odd), None, "{odd}");
        }
    }

    #[test]
    fn bounds_that_no_value_lies_between_are_told_apart_from_those_of_unlike_kinds() {
        let above = |min, max| Bound::read(min).expect("a bound").is_above(&Bound::read(max).expect("a bound"));
        let many = "9".repeat(38);
        for (min, max, wanted) in [
            ("1", "1", Some(false)),
            ("1.5", "1.49", Some(true)),
            ("-1", "-1.0001", Some(true)),
            (&many, "0.00000000000000000001", Some(true)),
            ("0.00000000000000000001", &many, Some(false)),
            ("2024-01-02", "2024-01-01", Some(true)),
            ("2024-01-01", "5", None),
        ] {
            assert_eq!(above(min, max), wanted, "{min} {max}");
        }
    }

    #[test]
    fn an_expectation_is_told_by_its_kind_and_columns() {
        let range = Range { column: "price".into(), min: None, max: None };
        assert_eq!(Check::Range(range).to_string(), "range of price");
        assert_eq!(Check::Unique(vec!["a".into(), "b".into()]).to_string(), "unique of a, b");
        assert_eq!(Check::Rows(RowCount::default()).to_string(), "number of rows");
    }
}
