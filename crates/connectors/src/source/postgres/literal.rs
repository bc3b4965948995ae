//! The only place where names and values become SQL text.
//!
//! A value is always a typed literal, a name always a quoted identifier; nothing else of a spec or a cursor is ever
//! spliced into a statement.

use waybill_model::{FailureCode, name};
use waybill_pipeline::{Fault, FaultResult};

/// A name in double quotes.
#[must_use]
pub fn identifier(name: &str) -> String {
    name::quoted(name)
}

/// A value as a literal, cast to `sql_type`, which must come from the catalogue.
pub fn literal(value: &str, sql_type: &str) -> FaultResult<String> {
    if value.contains('\0') {
        return Err(Fault::new(FailureCode::SpecRefused, "a value holds a NUL character, which Postgres can't store"));
    }
    let quoted = value.replace('\'', "''");
    // With E the backslash means the same whatever standard_conforming_strings says.
    let text =
        if value.contains('\\') { format!(" E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") };
    Ok(format!("{text}::{sql_type}"))
}

/// A stream's name: a table, with or without its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName {
    /// The schema, where one is written.
    pub schema: Option<String>,
    /// The table.
    pub table: String,
}

impl TableName {
    /// Reads `table`, `schema.table`, `"Odd.Name"` and the like. As in SQL, what is not quoted is folded to lower case.
    pub fn parse(text: &str) -> FaultResult<Self> {
        let (schema, table) = name::parse(text, name::folded)?;
        Ok(Self { schema, table })
    }

    /// The name as a stream is named: quoted only where it must be.
    #[must_use]
    pub fn show(schema: &str, table: &str) -> String {
        name::shown(schema, table)
    }

    /// The name as SQL.
    #[must_use]
    pub fn sql(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", identifier(schema), identifier(&self.table)),
            None => identifier(&self.table),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> (Option<String>, String) {
        let name = TableName::parse(text).expect("a name");
        (name.schema, name.table)
    }

    #[test]
    fn names_are_read_as_sql_reads_them() {
        assert_eq!(name("Shop.Orders"), (Some("shop".into()), "orders".into()));
        assert_eq!(name("\"a.b\".\"c\"\"d\""), (Some("a.b".into()), "c\"d".into()));
        assert_eq!(name("orders; drop table x"), (None, "orders; drop table x".into()));
        for bad in ["", ".", "a.", "a.b.c", "\"a", "\"a\"b", "\"\"", "a\0"] {
            assert!(TableName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_shown_name_reads_back() {
        for (schema, table) in [("public", "orders"), ("Odd", "a.b\"c"), ("s", "drop table"), ("x", "🦀")] {
            assert_eq!(name(&TableName::show(schema, table)), (Some(schema.into()), table.into()));
        }
    }

    #[test]
    fn quotes_and_backslashes_can_not_end_a_literal() {
        assert_eq!(literal("a'b", "text").expect("a literal"), "'a''b'::text");
        assert_eq!(literal("a\\'b", "text").expect("a literal"), " E'a\\\\''b'::text");
        assert!(literal("a\0", "text").is_err());
    }
}
