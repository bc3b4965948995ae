//! CSV as a source: its dialect, and what its columns are.
//!
//! Types are what the user says of the file; nothing here looks at one.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Encoding;
use crate::text::as_text;

/// A CSV dialect, and the types of its columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Csv {
    /// Between fields; one ASCII character.
    pub delimiter: char,
    /// Around fields; one ASCII character.
    pub quote: char,
    /// Whether the first record names the columns; they are `column_1`… otherwise.
    pub header: bool,
    /// An unquoted field of this text is NULL.
    pub null: Option<String>,
    /// Types of columns, by their names in the file; all others are text.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<String, CsvType>,
    /// The encoding of its text.
    #[serde(skip_serializing_if = "Encoding::is_utf8")]
    pub encoding: Encoding,
}

impl Default for Csv {
    fn default() -> Self {
        Self { delimiter: ',', quote: '"', header: true, null: None, types: BTreeMap::new(), encoding: Encoding::Utf8 }
    }
}

/// What the fields of a CSV column are read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CsvType {
    /// As written.
    Text,
    /// `true` and `false`, `t` and `f`, `yes` and `no`, `1` and `0`, in any case.
    Boolean,
    /// 64-bit integer.
    Bigint,
    /// Double.
    Double,
    /// Exact number: digits in all (1 to 38), and digits behind the point.
    Decimal(u8, u8),
    /// `YYYY-MM-DD`.
    Date,
    /// `YYYY-MM-DD HH:MM:SS`, without a zone.
    Timestamp,
    /// The same with `Z` or an offset behind it.
    TimestampTz,
}

/// A text names no type of a CSV column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", Self::TEXT)]
pub struct NoCsvType;

impl NoCsvType {
    /// What there is.
    pub const TEXT: &str = "a type is text, boolean, bigint, double, decimal(digits, digits behind the point) with at most 38 \
                            digits, date, timestamp or timestamptz";
}

impl FromStr for CsvType {
    type Err = NoCsvType;

    fn from_str(text: &str) -> Result<Self, NoCsvType> {
        Ok(match text {
            "text" => Self::Text,
            "boolean" => Self::Boolean,
            "bigint" => Self::Bigint,
            "double" => Self::Double,
            "date" => Self::Date,
            "timestamp" => Self::Timestamp,
            "timestamptz" => Self::TimestampTz,
            _ => {
                let inner = text.strip_prefix("decimal(").and_then(|rest| rest.strip_suffix(')'));
                let (digits, behind) = inner.and_then(|inner| inner.split_once(',')).ok_or(NoCsvType)?;
                let (digits, behind) = (number(digits.trim())?, number(behind.trim())?);
                if digits == 0 || digits > 38 || behind > digits {
                    return Err(NoCsvType);
                }
                Self::Decimal(digits, behind)
            }
        })
    }
}

/// Digits only: a sign is none.
fn number(text: &str) -> Result<u8, NoCsvType> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().map_err(|_| NoCsvType) } else { Err(NoCsvType) }
}

impl fmt::Display for CsvType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Boolean => "boolean",
            Self::Bigint => "bigint",
            Self::Double => "double",
            Self::Decimal(digits, behind) => return write!(f, "decimal({digits}, {behind})"),
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::TimestampTz => "timestamptz",
        })
    }
}

as_text!(CsvType);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_reads_back_as_it_is_written_and_no_other_word_is_one() {
        for text in [
            "text",
            "boolean",
            "bigint",
            "double",
            "decimal(10, 2)",
            "decimal(38, 38)",
            "date",
            "timestamp",
            "timestamptz",
        ] {
            assert_eq!(text.parse::<CsvType>().expect("a type").to_string(), text);
        }
        assert_eq!("decimal(10,2)".parse(), Ok(CsvType::Decimal(10, 2)));
        for wrong in
            ["", "int", "decimal", "decimal(0, 0)", "decimal(39, 0)", "decimal(4, 5)", "decimal(+4, 1)", "Date"]
        {
            assert_eq!(wrong.parse::<CsvType>(), Err(NoCsvType), "{wrong}");
        }
    }
}
