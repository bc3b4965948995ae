//! Which tables this user can read, with columns and keys.
//!
//! It reads names, types and estimates, never a row.

use waybill_pipeline::FaultResult;
use waybill_pipeline::source::{Table, TableColumn};

use super::literal::TableName;
use super::wire::Wire;

/// Tables and views outside the system's schemas; partitions are reached through their parent.
const TABLES: &str = "SELECT n.nspname, c.relname, c.reltuples::bigint, a.attname, \
    pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull, \
    pg_catalog.array_position(k.indkey::pg_catalog.int2[], a.attnum) \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
    LEFT JOIN pg_catalog.pg_index k ON k.indrelid = c.oid AND k.indisprimary \
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition AND c.relpersistence <> 't' \
    AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%' \
    AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT') \
    ORDER BY n.nspname, c.relname, c.oid, a.attnum";

/// The tables in order of their names.
pub(super) async fn tables(wire: &mut Wire) -> FaultResult<Vec<Table>> {
    let mut tables: Vec<Table> = Vec::new();
    let mut keys: Vec<(u32, String)> = Vec::new();
    for row in wire.ask(TABLES).await? {
        let name = TableName::show(&row.text(0)?, &row.text(1)?);
        if tables.last().is_none_or(|table| table.name != name) {
            close(&mut tables, &mut keys);
            let estimate = u64::try_from(row.number::<i64>(2)?).ok();
            tables.push(Table { name, columns: Vec::new(), rows_estimate: estimate, key: Vec::new() });
        }
        let column = row.text(3)?;
        if let Some(place) = row.opt(6)? {
            keys.push((place.parse().unwrap_or_default(), column.clone()));
        }
        let source_type = row.text(4)?;
        if let Some(table) = tables.last_mut() {
            table.columns.push(TableColumn { name: column, source_type, nullable: !row.flag(5)? });
        }
    }
    close(&mut tables, &mut keys);
    Ok(tables)
}

fn close(tables: &mut [Table], keys: &mut Vec<(u32, String)>) {
    keys.sort_unstable();
    if let Some(table) = tables.last_mut() {
        table.key = keys.drain(..).map(|(_, column)| column).collect();
    }
}
