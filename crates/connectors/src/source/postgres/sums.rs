//! What PostgreSQL counts a value by: the text that `waybill_pipeline::sums` gives it in the files, made by the server.
//!
//! Only types are taken whose text is the same by construction: the server's own text where that is what was read, or one that is
//! spelt out here. The session's styles and its zone, which is UTC, are set before.

use super::kind::{Cast, Kind};
use crate::source::server::sums::Summed;

/// `char(n)`: as text it loses the blanks at its end, and they are kept.
const BPCHAR: u32 = 1042;
const BYTEA: u32 = 17;

/// The column's sum, where its type has one. Its name is quoted; `of` is the type under its domains.
pub(super) fn summed(name: &str, column: &str, of: u32, (kind, cast): (&Kind, Cast)) -> Option<Summed> {
    let bytes = bytes(column, of, kind, cast)?;
    let share = format!(
        "('x' OPERATOR(pg_catalog.||) pg_catalog.left(pg_catalog.encode(pg_catalog.sha256({bytes}), 'hex'), 15))\
         ::pg_catalog.bit(60)::pg_catalog.int8"
    );
    let sum = format!("COALESCE(pg_catalog.sum({share}), 0)");
    Some(Summed::new(name, format!("pg_catalog.count({column})"), sum))
}

/// The bytes of a value's text, in SQL.
fn bytes(column: &str, of: u32, kind: &Kind, cast: Cast) -> Option<String> {
    let text = match (kind, cast) {
        (Kind::Bytes, _) if of == BYTEA => return Some(column.to_owned()),
        (Kind::Text, Cast::Plain) if of == BPCHAR => return Some(format!("pg_catalog.bpcharsend({column})")),
        (Kind::Date, _) => date(column),
        (Kind::Timestamp, _) => timestamp(column, ""),
        (Kind::TimestampTz, _) => timestamp(column, "\"Z\""),
        (Kind::Text, Cast::Plain | Cast::Text)
        | (Kind::Bool | Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Unsigned4, _)
        | (Kind::NumericText | Kind::Uuid | Kind::Jsonb, Cast::Plain) => {
            format!("{column}::pg_catalog.text")
        }
        // Of money as of a number.
        (Kind::Decimal { .. }, Cast::Numeric) => format!("{column}::pg_catalog.numeric::pg_catalog.text"),
        (Kind::Decimal { .. }, _) => format!("{column}::pg_catalog.text"),
        _ => return None,
    };
    Some(format!("pg_catalog.convert_to({text}, 'UTF8')"))
}

/// An infinite date has the server's text, a year before 1 that of the calendar with a year 0.
fn date(column: &str) -> String {
    format!(
        "CASE WHEN pg_catalog.isfinite({column}) AND {column} OPERATOR(pg_catalog.<) '0001-01-01'::pg_catalog.date \
         THEN {} ELSE {column}::pg_catalog.text END",
        ancient(column, "-MM-DD", "date")
    )
}

/// One that is infinite, or later than microseconds since 1970 go, has the server's text.
fn timestamp(column: &str, zone: &str) -> String {
    let kind = if zone.is_empty() { "timestamp" } else { "timestamptz" };
    let form = format!("-MM-DD\"T\"HH24:MI:SS.US{zone}");
    format!(
        "CASE WHEN NOT pg_catalog.isfinite({column}) \
         OR {column} OPERATOR(pg_catalog.>) '294247-01-10 04:00:54.775807'::pg_catalog.{kind} \
         THEN {column}::pg_catalog.text \
         WHEN {column} OPERATOR(pg_catalog.<) '0001-01-01'::pg_catalog.{kind} THEN {} \
         ELSE pg_catalog.to_char({column}, 'YYYY{form}') END",
        ancient(column, &form, kind)
    )
}

/// A year before 1: the server calls 0000 the year 1 BC, and counts it as -1.
fn ancient(column: &str, form: &str, kind: &str) -> String {
    let year = format!("pg_catalog.date_part('year', {column})::pg_catalog.int4");
    format!(
        "pg_catalog.concat(CASE WHEN {column} OPERATOR(pg_catalog.<) '0001-01-01 BC'::pg_catalog.{kind} THEN '-' END, \
         pg_catalog.lpad(pg_catalog.abs({year} OPERATOR(pg_catalog.+) 1)::pg_catalog.text, 4, '0'), \
         pg_catalog.to_char({column}, '{form}'))"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_without_a_text_of_its_own_is_not_summed() {
        let list = Kind::List(Box::new(Kind::Int4));
        for (of, kind, cast) in [
            (700, Kind::Float4, Cast::Plain),
            (701, Kind::Float8, Cast::Plain),
            (1007, list, Cast::Plain),
            (1007, Kind::Json, Cast::MarkedJson),
            (2249, Kind::Json, Cast::Json),
            (18, Kind::Char, Cast::Plain),
            (99_999, Kind::Bytes, Cast::Plain),
            (99_999, Kind::Vector, Cast::Plain),
        ] {
            assert!(summed("c", "\"c\"", of, (&kind, cast)).is_none(), "{kind:?}");
        }
        for (of, kind, cast) in [
            (16, Kind::Bool, Cast::Plain),
            (17, Kind::Bytes, Cast::Plain),
            (790, Kind::Decimal { precision: 19, scale: 2 }, Cast::Numeric),
            (1042, Kind::Text, Cast::Plain),
            (1083, Kind::Text, Cast::Text),
            (1184, Kind::TimestampTz, Cast::Plain),
        ] {
            assert!(summed("c", "\"c\"", of, (&kind, cast)).is_some(), "{kind:?}");
        }
    }
}
