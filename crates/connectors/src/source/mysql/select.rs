//! The statement that reads a stream: its columns by name, its filter, its window.
//!
//! Names and values come in through `literal` only.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use waybill_model::FailureCode;
use waybill_model::plan::{Condition, Op, StreamPlan};
use waybill_pipeline::{Fault, FaultResult};

use super::catalog::Column;
use super::kind::{Kind, resolve};
use super::literal::{identifier, of_kind, wanted};
use super::sums;
use crate::source::server::sums::{NO_TEXT, Summed, check_edges, check_named, refused};
use crate::source::shape;

/// What is read of a table, whichever range of it.
#[derive(Clone)]
pub(super) struct Selection {
    from: String,
    columns: String,
    pub(super) kinds: Arc<[Kind]>,
    pub(super) schema: SchemaRef,
    conditions: Vec<String>,
    /// Columns that the server sums.
    pub(super) summed: Vec<Summed>,
}

impl Selection {
    /// Chooses the stream's columns and renders its filter.
    pub(super) fn new(stream: &StreamPlan, from: String, columns: &[Column]) -> FaultResult<Self> {
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let chosen = shape::choose(&stream.columns, &names)?;
        check_named(stream, &names, &chosen)?;
        let (mut asked, mut kinds, mut fields, mut summed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for chosen in chosen {
            let column = &columns[chosen.at];
            let (kind, ask) = resolve(column);
            if stream.checksums.takes(&column.name) {
                check_edges(stream, &column.name, &column.shown, kind.has_edges())?;
                let sum = sums::summed(&chosen.name, column, &kind, ask);
                summed.push(sum.ok_or_else(|| refused(&column.name, &column.shown, NO_TEXT))?);
            }
            asked.push(ask.expression(column));
            fields.push(field(&chosen.name, column, &kind, stream));
            kinds.push(kind);
        }
        let conditions =
            stream.filter.iter().map(|condition| filter(condition, columns)).collect::<FaultResult<_>>()?;
        let schema = Arc::new(Schema::new(fields));
        Ok(Self { from, columns: asked.join(", "), kinds: kinds.into(), schema, conditions, summed })
    }

    /// Adds a condition that all ranges share.
    pub(super) fn restrict(&mut self, condition: String) {
        self.conditions.push(condition);
    }

    /// The statement for the rows that fulfil one more condition, where there is one.
    pub(super) fn rows(&self, also: Option<&String>) -> String {
        format!("SELECT {} FROM {}{}", self.columns, self.from, clause(self.conditions.iter().chain(also)))
    }

    /// A statement of the same columns and conditions that reads nothing, so that mistakes show before a row is read.
    pub(super) fn rehearse(&self) -> String {
        format!("{} LIMIT 0", self.rows(None))
    }

    /// Asks for these fields of the rows of the selection as a whole.
    pub(super) fn total(&self, fields: &str) -> String {
        format!("SELECT {fields} FROM {}{}", self.from, clause(self.conditions.iter()))
    }

    /// Counts the rows of the selection, with one more condition where there is one.
    pub(super) fn count(&self, also: Option<&String>) -> String {
        format!("SELECT count(*) FROM {}{}", self.from, clause(self.conditions.iter().chain(also)))
    }
}

fn clause<'a>(conditions: impl Iterator<Item = &'a String>) -> String {
    let all: Vec<String> = conditions.map(|condition| format!("({condition})")).collect();
    if all.is_empty() { String::new() } else { format!(" WHERE {}", all.join(" AND ")) }
}

/// Every field may be NULL: a twin's value is, and a constraint that is dropped later is no other schema.
fn field(name: &str, column: &Column, kind: &Kind, stream: &StreamPlan) -> Field {
    let shown = match &column.charset {
        Some(charset) => format!("{} character set {charset}", column.shown),
        None => column.shown.clone(),
    };
    let mut metadata = HashMap::from([("waybill.src_type".to_owned(), shown)]);
    if kind.has_edges() {
        metadata.insert("waybill.policy".into(), stream.edge_values.as_str().into());
    } else if kind.is_text() {
        metadata.insert("waybill.policy".into(), stream.invalid_text.as_str().into());
    }
    Field::new(name, kind.arrow(), true).with_metadata(metadata)
}

/// The column of a name that the spec gives.
pub(super) fn named<'a>(columns: &'a [Column], name: &str, key: &str) -> FaultResult<&'a Column> {
    columns.iter().find(|column| column.name == name).ok_or_else(|| {
        let text = format!("`{key}` names the column {name}, which the table does not have");
        Fault::new(FailureCode::ColumnNotFound, text)
    })
}

fn filter(condition: &Condition, columns: &[Column]) -> FaultResult<String> {
    let found = named(columns, &condition.column, "filter")?;
    let column = identifier(&found.name);
    let sign = match condition.op {
        Op::IsNull => return Ok(is_null(found)),
        Op::NotNull => return Ok(format!("NOT ({})", is_null(found))),
        Op::Eq => "=",
        Op::Ne => "<>",
        Op::Lt => "<",
        Op::Le => "<=",
        Op::Gt => ">",
        Op::Ge => ">=",
    };
    let refused =
        |why: String| Fault::new(FailureCode::SpecRefused, format!("the filter on {} {why}", condition.column));
    let value = condition.value.as_ref().ok_or_else(|| refused("has no value".into()))?;
    let kind = resolve(found).0;
    let literal = of_kind(value, &kind).ok_or_else(|| refused(format!("takes {}", wanted(&kind))))?;
    Ok(format!("{column} {sign} {literal}"))
}

/// Whether a column is NULL. `IS NULL` is true of the zero date too, in columns that can't be NULL; this is not.
pub(super) fn is_null(column: &Column) -> String {
    format!("{} <=> NULL", identifier(&column.name))
}
