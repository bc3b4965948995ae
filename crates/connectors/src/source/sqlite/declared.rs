//! What a column's declared type means for the table. SQLite takes any word as a type; the meaning follows its own
//! affinity rules, with decimals, dates and times on top.

use arrow::datatypes::{DataType, TimeUnit};

/// What a column's values become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// 64-bit integer.
    Integer,
    /// 0 or 1.
    Boolean,
    /// Double.
    Real,
    /// Digits in all, and behind the point.
    Decimal(u8, i8),
    /// `YYYY-MM-DD`.
    Date,
    /// `YYYY-MM-DD HH:MM:SS`, with a fraction of up to six digits, without a zone.
    Timestamp,
    /// Text as declared.
    Text,
    /// No type or an unknown one: the text of any value; the twin says what it was where it was no text.
    Any,
    /// Bytes.
    Bytes,
}

impl Kind {
    /// From the declared type.
    pub(super) fn of(declared: &str) -> Self {
        let upper = declared.to_ascii_uppercase();
        let (word, args) = upper.split_once('(').unwrap_or((&upper, ""));
        let word = word.trim();
        match word {
            "DECIMAL" | "NUMERIC" | "DEC" => return decimal(args),
            "DATE" => return Self::Date,
            "DATETIME" | "TIMESTAMP" | "TIMESTAMP WITHOUT TIME ZONE" => return Self::Timestamp,
            "BOOL" | "BOOLEAN" => return Self::Boolean,
            "TIME" | "JSON" | "JSONB" | "UUID" | "TIMESTAMPTZ" | "TIMESTAMP WITH TIME ZONE" => return Self::Text,
            "INTERVAL" | "POINT" => return Self::Any, // both hold INT by accident, as the affinity rules would have it
            _ => {}
        }
        let holds = |part: &str| word.contains(part);
        if holds("INT") {
            Self::Integer
        } else if holds("CHAR") || holds("CLOB") || holds("TEXT") || word == "STRING" {
            Self::Text
        } else if holds("BLOB") || holds("BINARY") {
            Self::Bytes
        } else if holds("REAL") || holds("FLOA") || holds("DOUB") {
            Self::Real
        } else {
            Self::Any
        }
    }

    /// Whether two values that the file holds for two are never one in the table: a time has several spellings, a decimal
    /// of many digits is text to SQLite, and where any value may stand, 1 and '1' are two.
    pub(super) const fn tells_values_apart(self) -> bool {
        match self {
            Self::Integer | Self::Boolean | Self::Date | Self::Text | Self::Bytes => true,
            Self::Real | Self::Decimal(..) | Self::Timestamp | Self::Any => false,
        }
    }

    /// The Arrow type.
    pub(super) const fn arrow(self) -> DataType {
        match self {
            Self::Integer => DataType::Int64,
            Self::Boolean => DataType::Boolean,
            Self::Real => DataType::Float64,
            Self::Decimal(precision, scale) => DataType::Decimal128(precision, scale),
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Text | Self::Any => DataType::Utf8,
            Self::Bytes => DataType::Binary,
        }
    }
}

/// A decimal without arguments has no bound that a table could hold, so it stays text.
fn decimal(args: &str) -> Kind {
    let mut numbers = args.trim_end().trim_end_matches(')').split(',').map(|n| n.trim().parse::<i32>().ok());
    let (precision, scale) = (numbers.next().flatten(), numbers.next().unwrap_or(Some(0)));
    match (precision, scale) {
        (Some(precision @ 1..=38), Some(scale)) if (0..=precision).contains(&scale) => {
            match (u8::try_from(precision), i8::try_from(scale)) {
                (Ok(precision), Ok(scale)) => Kind::Decimal(precision, scale),
                _ => Kind::Any,
            }
        }
        _ => Kind::Any,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_types_follow_affinity_with_decimals_and_times_on_top() {
        let expected = [
            ("integer", Kind::Integer),
            ("BIGINT UNSIGNED", Kind::Integer),
            ("varchar(44)", Kind::Text),
            ("decimal(15,2)", Kind::Decimal(15, 2)),
            ("NUMERIC( 10 , 0 )", Kind::Decimal(10, 0)),
            ("DECIMAL(5)", Kind::Decimal(5, 0)),
            ("numeric", Kind::Any),
            ("decimal(60,2)", Kind::Any),
            ("DATETIME", Kind::Timestamp),
            ("double precision", Kind::Real),
            ("", Kind::Any),
            ("blob", Kind::Bytes),
            ("interval", Kind::Any),
        ];
        for (declared, kind) in expected {
            assert_eq!(Kind::of(declared), kind, "{declared}");
        }
    }
}
