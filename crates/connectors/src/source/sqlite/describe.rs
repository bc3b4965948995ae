//! What tables and columns a file has.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use rusqlite::{Connection, OptionalExtension};
use waybill_model::FailureCode;
use waybill_model::name::quoted;
use waybill_model::plan::{EdgePolicy, StreamPlan, TextPolicy};
use waybill_pipeline::{Fault, FaultResult, Table, TableColumn};

use super::connect::fault;
use super::declared::Kind;

use crate::source::shape::{self, Unique, choose};

/// A column of the source.
#[derive(Clone, Debug)]
pub(super) struct SourceColumn {
    pub(super) name: String,
    pub(super) declared: String,
    pub(super) kind: Kind,
    pub(super) not_null: bool,
    pub(super) key: u32,
}

/// A chosen column.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    /// Name in the source.
    pub(super) source: String,
    /// Name in the table.
    pub(super) name: String,
    pub(super) declared: String,
    pub(super) kind: Kind,
}

/// A stream's table: all of its columns, and those that are taken.
pub(super) struct Shape {
    pub(super) table: String,
    pub(super) all: Vec<SourceColumn>,
    pub(super) taken: Vec<Taken>,
    /// Columns of the table that tell a row from all others, for streams that need it.
    pub(super) key: Vec<String>,
    pub(super) edge: EdgePolicy,
    pub(super) text: TextPolicy,
}

impl Shape {
    /// Looks the stream's table up.
    pub(super) fn of(connection: &Connection, stream: &StreamPlan) -> FaultResult<Self> {
        let table = stream.name.strip_prefix("main.").unwrap_or(&stream.name).to_owned();
        let found = connection
            .query_row(
                "SELECT 1 FROM sqlite_schema WHERE type IN ('table', 'view') AND name = ?1",
                [&table],
                |_| Ok(()),
            )
            .optional()
            .map_err(|e| fault(&e))?;
        if found.is_none() {
            return Err(Fault::new(FailureCode::StreamNotFound, format!("the file has no table or view {table}")));
        }
        let all = columns(connection, &table)?;
        let names: Vec<&str> = all.iter().map(|column| column.name.as_str()).collect();
        let chosen = choose(&stream.columns, &names)?;
        let key = shape::key(stream, &names, &chosen, &unique(connection, &table, &all)?)?;
        let taken = chosen.into_iter().map(|chosen| {
            let column = &all[chosen.at];
            Taken {
                source: column.name.clone(),
                name: chosen.name,
                declared: column.declared.clone(),
                kind: column.kind,
            }
        });
        let taken: Vec<Taken> = taken.collect();
        let odd = taken.iter().find(|column| key.contains(&column.name) && !column.kind.tells_values_apart());
        if let Some(column) = odd {
            let why = "values that differ in the source are one in the table, such as 1.0 and 1.00, so it can't tell rows apart";
            let text = format!("of the key's column {} {why}", column.source);
            return Err(Fault::new(FailureCode::KeyUnusable, text));
        }
        Ok(Self { table, all, taken, key, edge: stream.edge_values, text: stream.invalid_text })
    }

    /// The column of this name in the source.
    pub(super) fn column(&self, name: &str) -> Option<&SourceColumn> {
        self.all.iter().find(|column| column.name == name)
    }

    /// The table's schema. Every column may be NULL: a value that does not fit leaves one beside its twin.
    pub(super) fn schema(&self) -> SchemaRef {
        let fields = self.taken.iter().map(|column| {
            let declared = if column.declared.is_empty() { "untyped" } else { &column.declared };
            let mut notes = HashMap::from([("waybill.src_type".to_owned(), declared.to_owned())]);
            if column.kind == Kind::Any {
                notes.insert("waybill.policy".to_owned(), "text".to_owned());
            }
            Field::new(&column.name, column.kind.arrow(), true).with_metadata(notes)
        });
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// The largest row id: an upper estimate that costs nothing. None for views and tables without row ids.
    pub(super) fn estimate(&self, connection: &Connection) -> Option<u64> {
        estimate(connection, &self.table)
    }
}

fn estimate(connection: &Connection, table: &str) -> Option<u64> {
    let sql = format!("SELECT max(rowid) FROM {}", quoted(table));
    let kind = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1 AND sql NOT LIKE 'CREATE VIRTUAL%'";
    connection.query_row(kind, [table], |_| Ok(())).ok()?;
    let largest: Option<i64> = connection.query_row(&sql, [], |row| row.get(0)).ok()?;
    u64::try_from(largest.unwrap_or(0)).ok()
}

/// Every table and view with its columns.
pub(super) fn tables(connection: &Connection) -> FaultResult<Vec<Table>> {
    let sql = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
               ORDER BY name";
    let names: Result<Vec<String>, _> = connection
        .prepare(sql)
        .and_then(|mut statement| statement.query_map([], |row| row.get(0)).map(Iterator::collect))
        .map_err(|e| fault(&e))?;
    let mut tables = Vec::new();
    for name in names.map_err(|e| fault(&e))? {
        let columns = columns(connection, &name)?;
        let mut key: Vec<&SourceColumn> = columns.iter().filter(|column| column.key > 0).collect();
        key.sort_by_key(|column| column.key);
        tables.push(Table {
            key: key.into_iter().map(|column| column.name.clone()).collect(),
            rows_estimate: estimate(connection, &name),
            columns: columns
                .iter()
                .map(|column| TableColumn {
                    name: column.name.clone(),
                    source_type: column.declared.clone(),
                    nullable: !column.not_null,
                })
                .collect(),
            name,
        });
    }
    Ok(tables)
}

/// What the primary key and the unique indexes without a condition over NOT NULL columns hold. A primary key may hold NULL
/// here where it does not say otherwise; the rows that have one are refused when they come.
fn unique(connection: &Connection, table: &str, columns: &[SourceColumn]) -> FaultResult<Vec<Unique>> {
    let mut primary: Vec<&SourceColumn> = columns.iter().filter(|column| column.key > 0).collect();
    primary.sort_by_key(|column| column.key);
    let primary = primary.into_iter().map(|column| ("PRIMARY KEY".to_owned(), Some(column.name.clone()), true));
    let sql = "SELECT i.name, c.name FROM pragma_index_list(?1) i, pragma_index_info(i.name) c \
               WHERE i.\"unique\" = 1 AND i.partial = 0 AND i.origin <> 'pk' ORDER BY i.seq, c.seqno";
    let whole = |column: &String| columns.iter().any(|found| found.name == *column && found.not_null);
    let listed: Vec<(String, Option<String>)> = connection
        .prepare(sql)
        .and_then(|mut statement| {
            statement.query_map([table], |row| Ok((row.get(0)?, row.get(1)?))).and_then(Iterator::collect)
        })
        .map_err(|e| fault(&e))?;
    let listed = listed.into_iter().map(|(index, column)| (index, column.filter(whole), false));
    Ok(shape::unique(primary.chain(listed)))
}

fn columns(connection: &Connection, table: &str) -> FaultResult<Vec<SourceColumn>> {
    // Hidden 1 is a virtual table's parameter; 2 and 3 are generated columns, which are data.
    let sql = "SELECT name, type, \"notnull\", pk FROM pragma_table_xinfo(?1) WHERE hidden <> 1 ORDER BY cid";
    let read = |row: &rusqlite::Row<'_>| {
        let declared: String = row.get(1)?;
        Ok(SourceColumn {
            name: row.get(0)?,
            kind: Kind::of(&declared),
            declared,
            not_null: row.get(2)?,
            key: row.get(3)?,
        })
    };
    let listed = connection
        .prepare(sql)
        .and_then(|mut statement| statement.query_map([table], read).and_then(Iterator::collect))
        .map_err(|e| fault(&e))?;
    Ok(listed)
}
