//! Which tables this user can read, with columns and keys.
//!
//! It reads names, types and estimates, never a row.

use waybill_pipeline::FaultResult;
use waybill_pipeline::source::{Table, TableColumn};

use super::literal::TableName;
use super::wire::Wire;

/// Tables and views outside the system's databases, with the columns that may be read.
const TABLES: &str = "SELECT c.TABLE_SCHEMA, c.TABLE_NAME, t.TABLE_ROWS, c.COLUMN_NAME, c.COLUMN_TYPE, c.IS_NULLABLE, \
      k.SEQ_IN_INDEX \
    FROM information_schema.COLUMNS c \
    JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME \
    LEFT JOIN information_schema.STATISTICS k ON k.TABLE_SCHEMA = c.TABLE_SCHEMA AND k.TABLE_NAME = c.TABLE_NAME \
      AND k.COLUMN_NAME = c.COLUMN_NAME AND k.INDEX_NAME = 'PRIMARY' \
    WHERE c.TABLE_SCHEMA NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys') \
      AND t.TABLE_TYPE <> 'SEQUENCE' AND FIND_IN_SET('select', c.PRIVILEGES) > 0 \
    ORDER BY BINARY c.TABLE_SCHEMA, BINARY c.TABLE_NAME, c.ORDINAL_POSITION";

/// The tables in order of their names.
pub(super) async fn tables(wire: &mut Wire) -> FaultResult<Vec<Table>> {
    let mut tables: Vec<Table> = Vec::new();
    let mut keys: Vec<(u32, String)> = Vec::new();
    for row in wire.ask(TABLES).await? {
        let name = TableName::show(&row.text(0)?, &row.text(1)?);
        if tables.last().is_none_or(|table| table.name != name) {
            close(&mut tables, &mut keys);
            tables.push(Table { name, columns: Vec::new(), rows_estimate: row.opt_number(2)?, key: Vec::new() });
        }
        let column = row.text(3)?;
        if let Some(place) = row.opt_number(6)? {
            keys.push((place, column.clone()));
        }
        if let Some(table) = tables.last_mut() {
            let nullable = row.text(5)? != "NO";
            table.columns.push(TableColumn { name: column, source_type: row.text(4)?, nullable });
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
