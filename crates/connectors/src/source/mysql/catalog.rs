//! What the catalogue says of one table: where it is, its columns and their types, its key.
//!
//! Only names, types and sizes are read here.

use waybill_model::FailureCode;
use waybill_pipeline::{Fault, FaultResult};

use super::literal::{TableName, identifier, text};
use super::wire::Wire;
use crate::source::shape::{self, Unique};

/// A table or view.
#[derive(Clone, Debug)]
pub(super) struct Relation {
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) is_view: bool,
    /// A view has none.
    pub(super) engine: Option<String>,
    /// Rows and bytes, about.
    pub(super) rows: Option<u64>,
    pub(super) bytes: u64,
}

impl Relation {
    /// Database and name, quoted.
    pub(super) fn sql(&self) -> String {
        format!("{}.{}", identifier(&self.schema), identifier(&self.name))
    }

    /// Whether its engine has snapshots.
    pub(super) fn is_innodb(&self) -> bool {
        self.engine.as_deref() == Some("InnoDB")
    }
}

/// A column as the catalogue has it.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) data_type: String,
    /// The type in the source's words.
    pub(super) shown: String,
    pub(super) charset: Option<String>,
    pub(super) precision: Option<u8>,
    pub(super) scale: Option<u8>,
    /// Digits of seconds.
    pub(super) digits: u8,
    pub(super) not_null: bool,
}

/// Finds the stream's table; one without its database is looked for in the connection's own. The case of its name matters
/// unless the server folds it.
pub(super) async fn find(wire: &mut Wire, stream: &str, database: &str) -> FaultResult<Relation> {
    let name = TableName::parse(stream)?;
    let schema = name.schema.as_deref().unwrap_or(database);
    let sql = format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, ENGINE, TABLE_ROWS, coalesce(DATA_LENGTH, 0), \
           @@lower_case_table_names FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
        text(schema),
        text(&name.table)
    );
    let missing = || {
        let shown = TableName::show(schema, &name.table);
        Fault::new(FailureCode::StreamNotFound, format!("{shown} does not exist or is hidden from this user"))
    };
    let mut found = Vec::new();
    for row in wire.ask(&sql).await? {
        let is_exact = row.text(0)? == schema && row.text(1)? == name.table;
        if is_exact || row.text(6)? != "0" {
            found.push((is_exact, row));
        }
    }
    found.sort_by_key(|(is_exact, _)| !is_exact);
    let Some((_, row)) = found.into_iter().next() else { return Err(missing()) };
    let kind = row.text(2)?;
    if kind == "SEQUENCE" {
        return Err(Fault::new(FailureCode::StreamNotFound, format!("{} is neither a table nor a view", name.table)));
    }
    Ok(Relation {
        schema: row.text(0)?,
        name: row.text(1)?,
        is_view: kind.contains("VIEW"),
        engine: row.opt(3)?,
        rows: row.opt_number(4)?,
        bytes: row.number(5)?,
    })
}

/// The relation's columns in order, generated and invisible ones too.
pub(super) async fn columns(wire: &mut Wire, relation: &Relation) -> FaultResult<Vec<Column>> {
    let sql = format!(
        "SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, CHARACTER_SET_NAME, NUMERIC_PRECISION, NUMERIC_SCALE, \
           DATETIME_PRECISION, IS_NULLABLE FROM information_schema.COLUMNS \
         WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} AND BINARY TABLE_NAME = {1} ORDER BY ORDINAL_POSITION",
        text(&relation.schema),
        text(&relation.name)
    );
    let rows = wire.ask(&sql).await?;
    let small = |number: Option<u64>| number.and_then(|number| u8::try_from(number).ok());
    rows.iter()
        .map(|row| {
            Ok(Column {
                name: row.text(0)?,
                data_type: row.text(1)?.to_ascii_lowercase(),
                shown: row.text(2)?,
                charset: row.opt(3)?.filter(|set| set.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')),
                precision: small(row.opt_number(4)?),
                scale: small(row.opt_number(5)?),
                digits: small(row.opt_number(6)?).unwrap_or_default(),
                not_null: row.text(7)? == "NO",
            })
        })
        .collect()
}

/// What the relation's indexes hold unique, and never NULL.
pub(super) async fn unique(wire: &mut Wire, relation: &Relation) -> FaultResult<Vec<Unique>> {
    let sql = format!(
        "SELECT INDEX_NAME, COLUMN_NAME, NULLABLE FROM information_schema.STATISTICS \
         WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} AND BINARY TABLE_NAME = {1} AND NON_UNIQUE = 0 \
         ORDER BY INDEX_NAME <> 'PRIMARY', INDEX_NAME, SEQ_IN_INDEX",
        text(&relation.schema),
        text(&relation.name)
    );
    let rows = wire.ask(&sql).await?;
    let rows = rows.iter().map(|row| {
        let (index, may_be_null) = (row.text(0)?, row.opt(2)?.is_some_and(|word| word == "YES"));
        let is_primary = index == "PRIMARY";
        // An index over an expression has no column there.
        Ok((index, row.opt(1)?.filter(|_| !may_be_null), is_primary))
    });
    Ok(shape::unique(rows.collect::<FaultResult<Vec<_>>>()?))
}

/// The columns of the primary key in order; none where there is none.
pub(super) async fn key(wire: &mut Wire, relation: &Relation) -> FaultResult<Vec<String>> {
    let sql = format!(
        "SELECT COLUMN_NAME FROM information_schema.STATISTICS \
         WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} AND INDEX_NAME = 'PRIMARY' ORDER BY SEQ_IN_INDEX",
        text(&relation.schema),
        text(&relation.name)
    );
    wire.ask(&sql).await?.iter().map(|row| row.text(0)).collect()
}
