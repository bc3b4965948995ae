//! The only place where names and values become SQL text.
//!
//! A value is always a literal of its column's kind, a name always a quoted identifier; nothing else of a spec or a cursor is
//! ever spliced into a statement. Sessions have an empty `sql_mode`, so that a backslash always escapes.

use waybill_model::name;
use waybill_pipeline::FaultResult;

use super::kind::{Kind, Width};

/// A name in backticks.
#[must_use]
pub fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text as a literal.
#[must_use]
pub fn text(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 12);
    out.push_str("_utf8mb4'");
    for c in value.chars() {
        match c {
            '\'' => out.push_str("''"),
            '\\' => out.push_str("\\\\"),
            '\0' => out.push_str("\\0"),
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

/// A stream's name: a table, with or without its database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName {
    /// The database, where one is written.
    pub schema: Option<String>,
    /// The table.
    pub table: String,
}

impl TableName {
    /// Reads `table`, `database.table`, `"Odd.Name"` and the like. Letters keep their case: whether it matters, the server
    /// decides.
    pub fn parse(text: &str) -> FaultResult<Self> {
        let (schema, table) = name::parse(text, |c| c)?;
        Ok(Self { schema, table })
    }

    /// The name as a stream is named: quoted only where it must be.
    #[must_use]
    pub fn show(schema: &str, table: &str) -> String {
        let plain = |part: &str| {
            let word = part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$');
            if word && !part.is_empty() { part.to_owned() } else { name::quoted(part) }
        };
        format!("{}.{}", plain(schema), plain(table))
    }
}

/// A value as a literal that compares exactly with a column of this kind; none where the text is no such value.
pub(super) fn of_kind(value: &str, kind: &Kind) -> Option<String> {
    match kind {
        Kind::Integer(..) | Kind::Year | Kind::Bits => whole(value),
        Kind::Bit => match value {
            "true" | "1" => Some("1".to_owned()),
            "false" | "0" => Some("0".to_owned()),
            _ => None,
        },
        Kind::Decimal { .. } => decimal(value),
        Kind::Float8 => float(value, value.parse().ok()?),
        // Compared as doubles: 0.1 means the FLOAT that is nearest to it.
        Kind::Float4 => float(value, f64::from(value.parse::<f32>().ok()?)),
        Kind::Date => is_time(value, "0-").then(|| format!("DATE'{value}'")),
        Kind::Moment { is_utc, .. } => {
            let zoneless =
                if *is_utc { ["Z", "+00:00", "+00"].iter().find_map(|zone| value.strip_suffix(zone)) } else { None };
            let value = zoneless.unwrap_or(value);
            is_time(value, "0-: .T").then(|| format!("TIMESTAMP'{}'", with_time(value)))
        }
        Kind::Time { .. } => is_time(value.strip_prefix('-').unwrap_or(value), "0:.").then(|| format!("TIME'{value}'")),
        Kind::Text | Kind::Converted | Kind::Enum => Some(text(value)),
        Kind::Bytes => {
            let is_hex = value.len().is_multiple_of(2) && value.bytes().all(|b| b.is_ascii_hexdigit());
            is_hex.then(|| format!("X'{value}'"))
        }
        Kind::Geometry => None,
    }
}

/// What `of_kind` wants, in words.
pub(super) const fn wanted(kind: &Kind) -> &'static str {
    match kind {
        Kind::Integer(_, false) | Kind::Bits => "a whole number from 0 on",
        Kind::Integer(_, true) => "a whole number",
        Kind::Year => "a year",
        Kind::Bit => "true or false",
        Kind::Decimal { .. } => "a decimal without an exponent",
        Kind::Float4 | Kind::Float8 => "a number",
        Kind::Date => "a date: 2026-01-31",
        Kind::Moment { .. } => "a date and time: 2026-01-31 12:00:00",
        Kind::Time { .. } => "a time: 12:00:00",
        Kind::Text | Kind::Converted | Kind::Enum => "a text",
        Kind::Bytes => "bytes as hex digits: 00ff",
        Kind::Geometry => "nothing: geometries can't be compared",
    }
}

/// The longest number that the server reads exactly has 65 digits.
const DIGITS: usize = 65;

fn whole(value: &str) -> Option<String> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let is_whole = !digits.is_empty() && digits.len() <= DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
    is_whole.then(|| value.to_owned())
}

fn decimal(value: &str) -> Option<String> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let (before, behind) = digits.split_once('.').unwrap_or((digits, "0"));
    let all = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    (all(before) && all(behind) && before.len() + behind.len() <= DIGITS).then(|| value.to_owned())
}

fn float(value: &str, read: f64) -> Option<String> {
    let is_plain = value.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E'));
    (is_plain && read.is_finite()).then(|| format!("{read:e}"))
}

/// Whether a text holds digits and the other characters of `marks` only.
fn is_time(value: &str, marks: &str) -> bool {
    !value.is_empty() && value.chars().all(|c| c.is_ascii_digit() || marks.contains(c))
}

/// A day without a time is its first moment.
fn with_time(value: &str) -> String {
    if value.contains(':') { value.to_owned() } else { format!("{value} 00:00:00") }
}

/// The integer of an integer kind's cursor or key.
pub(super) const fn is_integer(kind: &Kind) -> bool {
    matches!(kind, Kind::Integer(Width::One | Width::Two | Width::Three | Width::Four | Width::Eight, _))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_can_not_end_a_literal_or_a_name() {
        assert_eq!(text("a'b\\'c\0"), "_utf8mb4'a''b\\\\''c\\0'");
        assert_eq!(identifier("a`b"), "`a``b`");
    }

    #[test]
    fn a_shown_name_reads_back() {
        for (schema, table) in [("shop", "Orders"), ("Odd", "a.b\"c"), ("s", "drop table"), ("x", "🦀"), ("a", "b`c")]
        {
            let name = TableName::parse(&TableName::show(schema, table)).expect("a name");
            assert_eq!((name.schema.as_deref(), name.table.as_str()), (Some(schema), table));
        }
    }

    #[test]
    fn only_values_of_a_kind_become_its_literals() {
        let big = Kind::Integer(Width::Eight, false);
        assert_eq!(of_kind("18446744073709551615", &big).as_deref(), Some("18446744073709551615"));
        assert_eq!(of_kind("0.1", &Kind::Float4).as_deref(), Some("1.0000000149011612e-1"));
        assert_eq!(of_kind("2026-01-31", &Kind::Date).as_deref(), Some("DATE'2026-01-31'"));
        let utc = Kind::Moment { digits: 6, is_utc: true };
        assert_eq!(of_kind("2026-01-31T10:00:00Z", &utc).as_deref(), Some("TIMESTAMP'2026-01-31T10:00:00'"));
        assert_eq!(of_kind("2026-01-31", &utc).as_deref(), Some("TIMESTAMP'2026-01-31 00:00:00'"));
        assert_eq!(of_kind("-838:59:59", &Kind::Time { digits: 0 }).as_deref(), Some("TIME'-838:59:59'"));
        assert_eq!(of_kind("00fF", &Kind::Bytes).as_deref(), Some("X'00fF'"));
        let decimal = Kind::Decimal { precision: 10, scale: 2 };
        for (value, kind) in [
            ("1 OR 1=1", &big),
            ("", &big),
            ("1e3", &decimal),
            ("1.2.3", &decimal),
            (".", &decimal),
            ("inf", &Kind::Float8),
            ("NaN", &Kind::Float8),
            ("2026'; DROP", &Kind::Date),
            ("10:00') OR (1", &Kind::Time { digits: 0 }),
            ("0", &Kind::Geometry),
            ("abc", &Kind::Bytes),
            ("yes", &Kind::Bit),
        ] {
            assert_eq!(of_kind(value, kind), None, "{value}");
        }
    }
}
