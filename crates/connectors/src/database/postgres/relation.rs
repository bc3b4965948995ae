//! What the catalogue says of the table that is written.

use waybill_model::FailureCode;
use waybill_pipeline::commit::Retyped;
use waybill_pipeline::{Fault, FaultResult};

use super::fault::of_target;
use super::kind::Column;
use crate::source::postgres::literal::{identifier, literal};
use crate::source::postgres::wire::Wire;

/// A table by name, as it was found.
#[derive(Clone)]
pub(super) struct Relation {
    pub(super) oid: u32,
    /// `r` or `p`, as in pg_class; another kind is never written.
    pub(super) kind: char,
    /// Columns in order with their types as the server writes them.
    pub(super) columns: Vec<(String, String)>,
}

impl Relation {
    /// Whether rows can stand in it: in another kind they never do.
    pub(super) const fn is_table(&self) -> bool {
        matches!(self.kind, 'r' | 'p')
    }

    /// What a statement says before its name, so that it touches no table that inherits from it. Partitions are the table itself.
    pub(super) const fn only(&self) -> &'static str {
        if self.kind == 'p' { "" } else { "ONLY " }
    }

    /// Columns that have another type here than these.
    pub(super) fn retyped(&self, columns: &[Column]) -> Vec<Retyped> {
        let other = |column: &Column| {
            let (name, was) = self.columns.iter().find(|(name, kind)| *name == column.name && *kind != column.kind)?;
            Some(Retyped { column: name.clone(), was: was.clone(), is: column.kind.clone() })
        };
        columns.iter().filter_map(other).collect()
    }
}

/// Schema and table, quoted.
pub(super) fn sql(schema: &str, table: &str) -> String {
    format!("{}.{}", identifier(schema), identifier(table))
}

/// The table of this name, if there is one. Columns that the server computes by itself are none of ours.
pub(super) async fn find(wire: &mut Wire, schema: &str, table: &str) -> FaultResult<Option<Relation>> {
    let (schema, table) = (literal(schema, "pg_catalog.name")?, literal(table, "pg_catalog.name")?);
    let asked = format!(
        "SELECT c.oid, c.relkind FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = {schema} AND c.relname = {table}"
    );
    let Some(row) = wire.ask(&asked).await.map_err(of_target)?.into_iter().next() else { return Ok(None) };
    let (oid, kind) = (row.number(0)?, row.text(1)?.chars().next().unwrap_or(' '));
    let asked = format!(
        "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod) FROM pg_catalog.pg_attribute a \
         WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum"
    );
    let rows = wire.ask(&asked).await.map_err(of_target)?;
    let columns = rows.iter().map(|row| Ok((row.text(0)?, row.text(1)?))).collect::<FaultResult<_>>()?;
    Ok(Some(Relation { oid, kind, columns }))
}

/// Refuses a role that could not make tables in the schema, where there is one, or temporary ones.
pub(super) async fn check_grants(wire: &mut Wire, schema: &str) -> FaultResult<()> {
    let name = literal(schema, "pg_catalog.name")?;
    let asked = format!(
        "SELECT pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_schema_privilege(n.oid, 'CREATE'), \
         pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMP'), pg_catalog.pg_is_in_recovery() \
         FROM pg_catalog.pg_namespace n WHERE n.nspname = {name}"
    );
    let denied = |text: String| Err(Fault::new(FailureCode::TargetDenied, text));
    let Some(row) = wire.ask(&asked).await.map_err(of_target)?.into_iter().next() else {
        let text = format!("there is no schema {schema}: CREATE SCHEMA {} AUTHORIZATION the role", identifier(schema));
        return denied(text);
    };
    if row.flag(2)? {
        return denied("this server is a replica: name the primary".to_owned());
    }
    if !row.flag(0)? {
        return denied(format!(
            "the role may not make tables in {schema}: GRANT USAGE, CREATE ON SCHEMA {}",
            identifier(schema)
        ));
    }
    if !row.flag(1)? {
        return denied("the role may not make temporary tables: GRANT TEMPORARY ON DATABASE".to_owned());
    }
    Ok(())
}
