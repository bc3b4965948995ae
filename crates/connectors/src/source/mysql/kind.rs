//! How a column's type is read from the wire and stored: the fidelity table as code.
//!
//! A type that is not known here goes as the server's own text, so no column is ever dropped or guessed.

use arrow::datatypes::{DataType, TimeUnit};

use super::catalog::Column;
use super::literal::identifier;

/// What the bytes of a field mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Bytes of an integer on the wire, and whether it has a sign.
    Integer(Width, bool),
    Float4,
    Float8,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Date,
    /// With digits of its seconds; a TIMESTAMP is in UTC, a DATETIME has no zone.
    Moment {
        digits: u8,
        is_utc: bool,
    },
    /// Text, since it goes to ±838 hours; with digits of its seconds.
    Time {
        digits: u8,
    },
    Year,
    Bit,
    Bits,
    Text,
    /// Text that the server converts, marked with `t`; or, marked with `x`, what is lost in it: the bytes as hex before it. `n` where
    /// that is longer than the server's `max_allowed_packet`.
    Converted,
    /// An enumeration without an empty member: an empty text is a value that is none of them.
    Enum,
    Bytes,
    Geometry,
}

/// Bytes of an integer on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    One,
    Two,
    /// MEDIUMINT: three in the table, four on the wire.
    Three,
    Four,
    Eight,
}

/// How the server is asked for a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// As it is, in the bytes that are stored.
    Plain,
    /// Converted to UTF-8, which loses nothing.
    Utf8,
    /// Converted to UTF-8, with its mark.
    Marked,
}

impl Ask {
    /// The expression for a column.
    pub(super) fn expression(self, column: &Column) -> String {
        let name = identifier(&column.name);
        match self {
            Self::Plain => name,
            Self::Utf8 => format!("CONVERT({name} USING utf8mb4)"),
            // What comes back the same was converted without loss. What gets too long on the way is NULL to the server, as if nothing
            // had been there. A character set is a word of the catalogue.
            Self::Marked => format!(
                "IF({name} IS NULL, NULL, COALESCE(\
                 IF(CAST(CONVERT(CONVERT({name} USING utf8mb4) USING {set}) AS BINARY) = CAST({name} AS BINARY), \
                 CONCAT('t', CONVERT({name} USING utf8mb4)), \
                 CONCAT('x', LOWER(HEX({name})), ':', CONVERT({name} USING utf8mb4))), 'n'))",
                set = column.charset.as_deref().unwrap_or("utf8mb4")
            ),
        }
    }
}

impl Kind {
    /// The type of the column in the table.
    pub(super) fn arrow(&self) -> DataType {
        match self {
            Self::Integer(Width::One, true) => DataType::Int8,
            Self::Integer(Width::One, false) | Self::Integer(Width::Two, true) | Self::Year => DataType::Int16,
            Self::Integer(Width::Two | Width::Three, false) | Self::Integer(Width::Three | Width::Four, true) => {
                DataType::Int32
            }
            Self::Integer(Width::Four, false) | Self::Integer(Width::Eight, true) => DataType::Int64,
            Self::Integer(Width::Eight, false) | Self::Bits => DataType::Decimal128(20, 0),
            Self::Float4 => DataType::Float32,
            Self::Float8 => DataType::Float64,
            Self::Decimal { precision, scale } => DataType::Decimal128(*precision, *scale as i8),
            Self::Date => DataType::Date32,
            Self::Moment { is_utc: false, .. } => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Moment { is_utc: true, .. } => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Bit => DataType::Boolean,
            Self::Time { .. } | Self::Text | Self::Converted | Self::Enum => DataType::Utf8,
            Self::Bytes | Self::Geometry => DataType::Binary,
        }
    }

    /// Whether a value may fall outside the stored type, so that an edge policy applies.
    pub(super) const fn has_edges(&self) -> bool {
        matches!(self, Self::Date | Self::Moment { .. })
    }

    /// Whether it is text whose bytes may be bad.
    pub(super) const fn is_text(&self) -> bool {
        matches!(self, Self::Text | Self::Converted | Self::Enum)
    }

    /// Bytes that every value takes in memory whatever it holds.
    pub(super) fn fixed_bytes(&self) -> usize {
        self.arrow().primitive_width().unwrap_or(4)
    }

    /// Whether a type on the wire is this one.
    pub(super) const fn takes(&self, wire: u8) -> bool {
        match self {
            Self::Integer(Width::One, _) => wire == 0x01,
            Self::Integer(Width::Two, _) => wire == 0x02,
            Self::Integer(Width::Three, _) => wire == 0x09,
            Self::Integer(Width::Four, _) => wire == 0x03,
            Self::Integer(Width::Eight, _) => wire == 0x08,
            Self::Float4 => wire == 0x04,
            Self::Float8 => wire == 0x05,
            Self::Decimal { .. } => matches!(wire, 0x00 | 0xf6),
            Self::Date => matches!(wire, 0x0a | 0x0e),
            Self::Moment { is_utc, .. } => {
                (*is_utc && matches!(wire, 0x07 | 0x11)) || (!*is_utc && matches!(wire, 0x0c | 0x12))
            }
            Self::Time { .. } => matches!(wire, 0x0b | 0x13),
            Self::Year => wire == 0x0d,
            Self::Bit | Self::Bits => wire == 0x10,
            // Decimals of many digits go as the text that they come in.
            Self::Text => matches!(wire, 0x00 | 0x0f | 0xf5..=0xfe),
            Self::Converted | Self::Enum => matches!(wire, 0x0f | 0xf7..=0xfe),
            Self::Bytes => matches!(wire, 0x0f | 0xf2 | 0xf9..=0xfe),
            Self::Geometry => wire == 0xff,
        }
    }
}

/// What a column of the catalogue is read as, and how it is asked for.
pub(super) fn resolve(column: &Column) -> (Kind, Ask) {
    let signed = !column.shown.contains("unsigned");
    let digits = column.digits;
    let kind = match column.data_type.as_str() {
        "tinyint" => Kind::Integer(Width::One, signed),
        "smallint" => Kind::Integer(Width::Two, signed),
        "mediumint" => Kind::Integer(Width::Three, signed),
        "int" => Kind::Integer(Width::Four, signed),
        "bigint" => Kind::Integer(Width::Eight, signed),
        "float" => Kind::Float4,
        "double" => Kind::Float8,
        "decimal" => match (column.precision, column.scale) {
            (Some(precision @ 1..=38), Some(scale)) if scale <= precision => Kind::Decimal { precision, scale },
            _ => Kind::Text,
        },
        "date" => Kind::Date,
        "datetime" => Kind::Moment { digits, is_utc: false },
        "timestamp" => Kind::Moment { digits, is_utc: true },
        "time" => Kind::Time { digits },
        "year" => Kind::Year,
        "bit" if column.precision == Some(1) => Kind::Bit,
        "bit" => Kind::Bits,
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "vector" => Kind::Bytes,
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon"
        | "geometrycollection" | "geomcollection" => Kind::Geometry,
        "json" => Kind::Text,
        _ => return text(column),
    };
    (kind, Ask::Plain)
}

/// Text as it is stored where that is UTF-8; converted by the server where it is not.
fn text(column: &Column) -> (Kind, Ask) {
    let own = match column.data_type.as_str() {
        "enum" if !has_empty_member(&column.shown) => Kind::Enum,
        _ => Kind::Text,
    };
    match column.charset.as_deref() {
        Some("utf8mb4" | "utf8mb3" | "utf8" | "ascii") => (own, Ask::Plain),
        // Each of its 256 bytes has a character of its own.
        Some("latin1") => (own, Ask::Utf8),
        Some(_) => (Kind::Converted, Ask::Marked),
        // UUID, INET4 and INET6 are text on the wire; so is what is not known here.
        None => (own, Ask::Plain),
    }
}

/// Whether an enumeration, as the catalogue shows it, has a member that is empty: two quotes with nothing before, between and
/// behind them.
fn has_empty_member(shown: &str) -> bool {
    let mut rest = shown.split_once('(').map_or("", |(_, members)| members);
    while let Some(member) = rest.strip_prefix('\'') {
        // A quote within a member is doubled.
        let mut end = 0;
        while let Some(found) = member[end..].find('\'') {
            end += found;
            if member[end + 1..].starts_with('\'') {
                end += 2;
            } else {
                break;
            }
        }
        if end == 0 {
            return true;
        }
        rest = member.get(end + 2..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(data_type: &str, shown: &str, charset: Option<&str>) -> Column {
        Column {
            name: "c".into(),
            data_type: data_type.into(),
            shown: shown.into(),
            charset: charset.map(str::to_owned),
            precision: Some(10),
            scale: Some(2),
            digits: 0,
            not_null: false,
        }
    }

    #[test]
    fn integers_go_to_the_next_type_that_holds_all_their_values() {
        let arrow = |data_type, shown| resolve(&column(data_type, shown, None)).0.arrow();
        assert_eq!(arrow("tinyint", "tinyint(3) unsigned"), DataType::Int16);
        assert_eq!(arrow("mediumint", "mediumint(8) unsigned zerofill"), DataType::Int32);
        assert_eq!(arrow("int", "int(10) unsigned"), DataType::Int64);
        assert_eq!(arrow("bigint", "bigint(20) unsigned"), DataType::Decimal128(20, 0));
        assert_eq!(arrow("bigint", "bigint(20)"), DataType::Int64);
    }

    #[test]
    fn text_that_is_not_utf8_is_converted_and_marked_where_that_may_lose_something() {
        let ask = |set: &str| resolve(&column("varchar", "varchar(5)", Some(set))).1;
        assert_eq!((ask("utf8mb4"), ask("utf8mb3"), ask("ascii")), (Ask::Plain, Ask::Plain, Ask::Plain));
        assert_eq!((ask("latin1"), ask("sjis"), ask("utf16")), (Ask::Utf8, Ask::Marked, Ask::Marked));
    }

    #[test]
    fn an_empty_member_of_an_enumeration_is_found_wherever_it_stands() {
        for shown in ["enum('')", "enum('','a')", "enum('a','')", "enum('a','','b')"] {
            assert!(has_empty_member(shown), "{shown}");
        }
        for shown in ["enum('a')", "enum('''','a')", "enum('a','b''')"] {
            assert!(!has_empty_member(shown), "{shown}");
        }
    }
}
