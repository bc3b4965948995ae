//! What MariaDB and MySQL count a value by: the text that `waybill_pipeline::sums` gives it in the files, made by the server.
//!
//! Only types are taken whose text is the same by construction: the server's own text where that is what was read, or one that is
//! spelt out here. A day that no calendar has keeps the server's text, as its twin does.

use super::catalog::Column;
use super::kind::{Ask, Kind};
use super::literal::identifier;
use crate::source::server::sums::Summed;

/// The column's sum under its name in the table, where its type has one.
pub(super) fn summed(name: &str, column: &Column, kind: &Kind, ask: Ask) -> Option<Summed> {
    let text = text(column, kind, ask)?;
    let share = format!("CAST(CONV(LEFT(SHA2({text}, 256), 15), 16, 10) AS UNSIGNED)");
    let values = format!("COUNT({})", identifier(&column.name));
    Some(Summed::new(name, values, format!("COALESCE(SUM({share}), 0)")))
}

/// A value's text, in SQL: its bytes are those of UTF-8.
fn text(column: &Column, kind: &Kind, ask: Ask) -> Option<String> {
    let name = identifier(&column.name);
    let is_padded = column.shown.contains("zerofill");
    Some(match kind {
        // A number that is shown with zeros in front of it is none any more behind a sum.
        Kind::Integer(..) | Kind::Decimal { .. } | Kind::Year | Kind::Bits => format!("CAST({name} + 0 AS CHAR)"),
        Kind::Bit => format!("CASE {name} + 0 WHEN 1 THEN 'true' WHEN 0 THEN 'false' END"),
        Kind::Date | Kind::Time { .. } => format!("CAST({name} AS CHAR)"),
        Kind::Moment { is_utc, .. } => moment(&name, if *is_utc { "Z" } else { "" }),
        Kind::Bytes if column.data_type != "vector" => name,
        Kind::Text | Kind::Enum if column.charset.is_some() => ask.expression(column),
        // UUID, INET4, INET6, JSON of MySQL, decimals of many digits.
        Kind::Text if !is_padded => format!("CAST({name} AS CHAR)"),
        _ => return None,
    })
}

/// Of a day that there is not the server's text, which is the twin's.
fn moment(name: &str, zone: &str) -> String {
    format!(
        "IF(MONTH({name}) > 0 AND COALESCE(DAYOFMONTH({name}) BETWEEN 1 AND DAYOFMONTH(LAST_DAY({name})), FALSE), \
         DATE_FORMAT({name}, '%Y-%m-%dT%H:%i:%s.%f{zone}'), CAST({name} AS CHAR))"
    )
}

#[cfg(test)]
mod tests {
    use super::super::kind::resolve;
    use super::*;

    fn takes(data_type: &str, shown: &str, charset: Option<&str>) -> bool {
        let column = Column {
            name: "c".into(),
            data_type: data_type.into(),
            shown: shown.into(),
            charset: charset.map(str::to_owned),
            precision: Some(60),
            scale: Some(2),
            digits: 0,
            not_null: false,
        };
        let (kind, ask) = resolve(&column);
        summed("c", &column, &kind, ask).is_some()
    }

    #[test]
    fn a_type_without_a_text_of_its_own_is_not_summed() {
        for (data_type, shown, charset) in [
            ("float", "float", None),
            ("double", "double", None),
            ("point", "point", None),
            ("vector", "vector(3)", None),
            ("varchar", "varchar(5)", Some("sjis")),
            ("decimal", "decimal(60,2) zerofill", None),
        ] {
            assert!(!takes(data_type, shown, charset), "{shown}");
        }
        for (data_type, shown, charset) in [
            ("int", "int(5) zerofill", None),
            ("decimal", "decimal(60,2)", None),
            ("varchar", "varchar(5)", Some("latin1")),
            ("enum", "enum('a')", Some("utf8mb4")),
            ("uuid", "uuid", None),
            ("longblob", "longblob", None),
            ("timestamp", "timestamp(3)", None),
        ] {
            assert!(takes(data_type, shown, charset), "{shown}");
        }
    }
}
