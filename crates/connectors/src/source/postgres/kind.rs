//! How a column's type is read from the wire and stored: the fidelity table as code.
//!
//! A type that is not known here goes as the server's own text, so no column is ever dropped or guessed.

mod json;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use waybill_model::plan::ArrayPolicy;
use waybill_pipeline::FaultResult;

use super::wire::malformed;

/// What the bytes of a field mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    /// Unsigned 32 bits: `oid`, `xid`.
    Unsigned4,
    Decimal {
        precision: u8,
        scale: i8,
    },
    /// Numerics that no 128-bit decimal holds, as canonical text.
    NumericText,
    Date,
    Timestamp,
    TimestampTz,
    Uuid,
    /// The one-byte type `"char"`.
    Char,
    /// A version byte, then text.
    Jsonb,
    Text,
    Bytes,
    Vector,
    HalfVector,
    /// JSON of an array or a row type, marked with `j`; or, marked with `x`, the value's own text where JSON would lose some of it.
    Json,
    List(Box<Self>),
}

/// How the server is asked for a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cast {
    /// As it is.
    Plain,
    Text,
    TextArray,
    Numeric,
    NumericArray,
    /// A row type as JSON.
    Json,
    /// A row type or an array as JSON with its mark.
    MarkedJson,
}

impl Cast {
    /// The expression for a column of this type whose quoted name is given.
    pub(super) fn expression(self, types: &Types, oid: u32, column: &str) -> FaultResult<String> {
        Ok(match self {
            Self::Plain => column.to_owned(),
            Self::Text => format!("{column}::pg_catalog.text"),
            Self::TextArray => format!("{column}::pg_catalog.text[]"),
            Self::Numeric => format!("{column}::pg_catalog.numeric"),
            Self::NumericArray => format!("{column}::pg_catalog.numeric[]"),
            // jsonb would read members that are JSON already, and give them back in its own words.
            Self::Json => format!("pg_catalog.to_json({column})::pg_catalog.text"),
            Self::MarkedJson => json::marked(types, oid, column)?,
        })
    }
}

impl Kind {
    /// The type of the column in the table.
    pub(super) fn arrow(&self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int2 => DataType::Int16,
            Self::Int4 => DataType::Int32,
            Self::Int8 | Self::Unsigned4 => DataType::Int64,
            Self::Float4 => DataType::Float32,
            Self::Float8 => DataType::Float64,
            Self::Decimal { precision, scale } => DataType::Decimal128(*precision, *scale),
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampTz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Bytes => DataType::Binary,
            Self::Vector | Self::HalfVector => list_of(DataType::Float32),
            Self::List(element) => list_of(element.arrow()),
            Self::NumericText | Self::Uuid | Self::Char | Self::Jsonb | Self::Text | Self::Json => DataType::Utf8,
        }
    }

    /// Whether a value may fall outside the stored type, so that an edge policy applies.
    pub(super) fn has_edges(&self) -> bool {
        match self {
            Self::Decimal { .. } | Self::Date | Self::Timestamp | Self::TimestampTz | Self::Json => true,
            Self::List(element) => element.has_edges(),
            _ => false,
        }
    }

    /// Bytes that every value takes in memory whatever it holds.
    pub(super) fn fixed_bytes(&self) -> usize {
        match self {
            Self::Bool => 1,
            Self::Int2 => 2,
            Self::Int4 | Self::Float4 | Self::Date => 4,
            Self::Decimal { .. } => 16,
            Self::Int8 | Self::Float8 | Self::Unsigned4 | Self::Timestamp | Self::TimestampTz => 8,
            _ => 4,
        }
    }
}

/// Name of the element field of a list: the one that Parquet's own specification uses.
pub(super) const ELEMENT: &str = "element";

fn list_of(element: DataType) -> DataType {
    DataType::List(Arc::new(Field::new(ELEMENT, element, true)))
}

/// A type of the catalogue.
#[derive(Clone, Debug, Default)]
pub(super) struct PgType {
    pub(super) oid: u32,
    pub(super) name: String,
    pub(super) kind: char,
    pub(super) base: u32,
    pub(super) modifier: i32,
    pub(super) element: u32,
    pub(super) is_array: bool,
    pub(super) extension: Option<String>,
    /// Names and types of a row type's members.
    pub(super) members: Vec<(String, u32)>,
}

impl PgType {
    fn is_row(&self) -> bool {
        const RECORD: u32 = 2249;
        self.kind == 'c' || self.oid == RECORD
    }
}

/// Types that a table's columns lead to, by oid.
pub(super) type Types = HashMap<u32, PgType>;

/// What decides beside the type itself.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub(super) arrays: ArrayPolicy,
    /// Decimal places of `money` in this database.
    pub(super) money_scale: u8,
}

/// Resolves a column's type, through domains and into arrays.
pub(super) fn resolve(types: &Types, oid: u32, modifier: i32, rules: Rules) -> FaultResult<(Kind, Cast)> {
    let (found, modifier) = undomain(types, oid, modifier)?;
    if found.is_row() {
        return json::resolve(types, oid);
    }
    if !found.is_array || found.element == 0 {
        return Ok(scalar(found, modifier, rules));
    }
    let (element, element_modifier) = undomain(types, found.element, modifier)?;
    if rules.arrays == ArrayPolicy::Json || element.is_row() {
        return json::resolve(types, oid);
    }
    if element.is_array {
        return Ok((Kind::Text, Cast::Text));
    }
    let (kind, cast) = scalar(element, element_modifier, rules);
    let list = |kind, cast| Ok((Kind::List(Box::new(kind)), cast));
    match cast {
        Cast::Plain => list(kind, Cast::Plain),
        Cast::Numeric => list(kind, Cast::NumericArray),
        _ => list(kind, Cast::TextArray),
    }
}

/// The type under any number of domains, and the modifier that counts.
pub(super) fn undomain(types: &Types, oid: u32, modifier: i32) -> FaultResult<(&PgType, i32)> {
    let (mut oid, mut modifier) = (oid, modifier);
    for _ in 0..64 {
        let found = types.get(&oid).ok_or_else(|| malformed("the catalogue does not list a column's type"))?;
        if found.kind != 'd' {
            return Ok((found, modifier));
        }
        if found.modifier != -1 {
            modifier = found.modifier;
        }
        oid = found.base;
    }
    Err(malformed("a domain leads to itself"))
}

fn scalar(found: &PgType, modifier: i32, rules: Rules) -> (Kind, Cast) {
    let kind = match found.oid {
        16 => Kind::Bool,
        17 => Kind::Bytes,
        18 => Kind::Char,
        19 | 25 | 114 | 1042 | 1043 => Kind::Text,
        20 => Kind::Int8,
        21 => Kind::Int2,
        23 => Kind::Int4,
        26 | 28 => Kind::Unsigned4,
        700 => Kind::Float4,
        701 => Kind::Float8,
        790 => return (Kind::Decimal { precision: 19, scale: rules.money_scale.min(19) as i8 }, Cast::Numeric),
        1082 => Kind::Date,
        1114 => Kind::Timestamp,
        1184 => Kind::TimestampTz,
        1700 => numeric(modifier),
        2950 => Kind::Uuid,
        3802 => Kind::Jsonb,
        _ => return by_nature(found),
    };
    (kind, Cast::Plain)
}

/// Types without a fixed oid: enums, extensions. The rest is text.
fn by_nature(found: &PgType) -> (Kind, Cast) {
    match (found.kind, found.extension.as_deref(), found.name.as_str()) {
        ('e', ..) => (Kind::Text, Cast::Plain),
        ('b', Some("vector"), "vector") => (Kind::Vector, Cast::Plain),
        ('b', Some("vector"), "halfvec") => (Kind::HalfVector, Cast::Plain),
        ('b', Some("postgis"), "geometry" | "geography") => (Kind::Bytes, Cast::Plain),
        _ => (Kind::Text, Cast::Text),
    }
}

/// Precision and scale are packed into the modifier; the scale has eleven bits and a sign since Postgres 15.
fn numeric(modifier: i32) -> Kind {
    if modifier < 4 {
        return Kind::NumericText;
    }
    let packed = modifier - 4;
    let precision = (packed >> 16) & 0xffff;
    let scale = ((packed & 0x7ff) ^ 1024) - 1024;
    let (precision, scale) = match scale {
        s if s < 0 => (precision - s, 0),
        s if s > precision => (s, s),
        s => (precision, s),
    };
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(precision @ 1..=38), Ok(scale)) => Kind::Decimal { precision, scale },
        _ => Kind::NumericText,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(precision: i32, scale: i32) -> i32 {
        ((precision << 16) | (scale & 0x7ff)) + 4
    }

    #[test]
    fn numerics_go_where_the_fidelity_table_says() {
        let decimal = |precision, scale| Kind::Decimal { precision, scale };
        assert_eq!(numeric(packed(10, 2)), decimal(10, 2));
        assert_eq!(numeric(packed(38, 38)), decimal(38, 38));
        assert_eq!(numeric(packed(3, 5)), decimal(5, 5));
        assert_eq!(numeric(packed(3, -2)), decimal(5, 0));
        assert_eq!(numeric(packed(39, 2)), Kind::NumericText);
        assert_eq!(numeric(packed(2, -1000)), Kind::NumericText);
        assert_eq!(numeric(-1), Kind::NumericText);
    }

    #[test]
    fn a_domain_that_leads_to_itself_is_no_endless_loop() {
        let own = PgType { oid: 5, kind: 'd', base: 5, modifier: -1, ..PgType::default() };
        let rules = Rules { arrays: ArrayPolicy::Fail, money_scale: 2 };
        assert!(resolve(&Types::from([(5, own)]), 5, -1, rules).is_err());
    }
}
