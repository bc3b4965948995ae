//! The statement that reads a stream: its columns by name, its filter, its window.
//!
//! Names and values come in through `literal` only.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use waybill_model::FailureCode;
use waybill_model::plan::{Condition, Op, StreamPlan};
use waybill_pipeline::{Fault, FaultResult};

use super::BASE_TYPE;
use super::catalog::Attribute;
use super::compare::Operators;
use super::kind::{Cast, Kind, Rules, Types, resolve, undomain};
use super::literal::{identifier, literal};
use super::plan::Range;
use super::sums;
use crate::source::server::sums::{NO_TEXT, Summed, check_edges, check_named, refused};
use crate::source::shape;

/// What is read of a relation, whichever range of it.
#[derive(Clone)]
pub(super) struct Selection {
    columns: String,
    pub(super) kinds: Vec<Kind>,
    pub(super) schema: SchemaRef,
    conditions: Vec<String>,
    /// Columns that the server sums.
    pub(super) summed: Vec<Summed>,
}

impl Selection {
    /// Chooses the stream's columns.
    pub(super) fn new(
        stream: &StreamPlan,
        attributes: &[Attribute],
        types: &Types,
        rules: Rules,
        is_sql_ascii: bool,
    ) -> FaultResult<Self> {
        let names: Vec<&str> = attributes.iter().map(|attribute| attribute.name.as_str()).collect();
        let chosen = shape::choose(&stream.columns, &names)?;
        check_named(stream, &names, &chosen)?;
        let (mut columns, mut kinds, mut fields, mut summed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for chosen in chosen {
            let attribute = &attributes[chosen.at];
            let (kind, cast) = resolve(types, attribute.type_oid, attribute.modifier, rules)?;
            if stream.checksums.takes(&attribute.name) {
                summed.push(sum(stream, (chosen.name.as_str(), attribute), types, (&kind, cast), is_sql_ascii)?);
            }
            columns.push(cast.expression(types, attribute.type_oid, &identifier(&attribute.name))?);
            fields.push(field(&chosen.name, attribute, &kind, stream, is_sql_ascii));
            kinds.push(kind);
        }
        let (columns, schema, conditions) = (columns.join(", "), Arc::new(Schema::new(fields)), Vec::new());
        Ok(Self { columns, kinds, schema, conditions, summed })
    }

    /// Adds the stream's filter.
    pub(super) fn filter(
        &mut self,
        stream: &StreamPlan,
        attributes: &[Attribute],
        types: &Types,
        operators: &Operators,
    ) -> FaultResult<()> {
        for condition in &stream.filter {
            self.conditions.push(filter(condition, attributes, types, operators)?);
        }
        Ok(())
    }

    /// Adds a condition that all ranges share.
    pub(super) fn restrict(&mut self, condition: String) {
        self.conditions.push(condition);
    }

    /// The COPY of one range.
    pub(super) fn copy(&self, range: &Range) -> String {
        let place = clause(self.conditions.iter().chain(&range.rows));
        format!("COPY (SELECT {} FROM {}{place}) TO STDOUT (FORMAT binary)", self.columns, range.from)
    }

    /// A statement of the same columns and conditions that reads nothing, so that mistakes show before a row is read.
    pub(super) fn rehearse(&self, from: &str) -> String {
        format!("SELECT {} FROM {from}{} LIMIT 0", self.columns, clause(self.conditions.iter()))
    }

    /// Asks for these fields of the rows of the selection as a whole.
    pub(super) fn total(&self, fields: &str, from: &str) -> String {
        format!("SELECT {fields} FROM {from}{}", clause(self.conditions.iter()))
    }

    /// Counts the rows of the selection, with one more condition where there is one.
    pub(super) fn count(&self, from: &str, also: Option<&String>) -> String {
        format!("SELECT pg_catalog.count(*) FROM {from}{}", clause(self.conditions.iter().chain(also)))
    }
}

/// The sum of a column, or why there is none.
fn sum(
    stream: &StreamPlan,
    (name, attribute): (&str, &Attribute),
    types: &Types,
    (kind, cast): (&Kind, Cast),
    is_sql_ascii: bool,
) -> FaultResult<Summed> {
    let shown = &attribute.shown;
    check_edges(stream, &attribute.name, shown, kind.has_edges())?;
    if is_sql_ascii && kind.arrow() == DataType::Utf8 {
        return Err(refused(&attribute.name, shown, "text of this database (SQL_ASCII) has no encoding"));
    }
    let (under, _) = undomain(types, attribute.type_oid, attribute.modifier)?;
    let summed = sums::summed(name, &identifier(&attribute.name), under.oid, (kind, cast));
    summed.ok_or_else(|| refused(&attribute.name, shown, NO_TEXT))
}

fn clause<'a>(conditions: impl Iterator<Item = &'a String>) -> String {
    let all: Vec<String> = conditions.map(|condition| format!("({condition})")).collect();
    if all.is_empty() { String::new() } else { format!(" WHERE {}", all.join(" AND ")) }
}

/// Every field may be NULL: a twin's value is, and a constraint that is dropped later is no other schema.
fn field(name: &str, attribute: &Attribute, kind: &Kind, stream: &StreamPlan, is_sql_ascii: bool) -> Field {
    let mut metadata = HashMap::from([("waybill.src_type".to_owned(), attribute.shown.clone())]);
    if attribute.base != attribute.shown {
        metadata.insert(BASE_TYPE.into(), attribute.base.clone());
    }
    if let Kind::List(element) = kind
        && !element.has_edges()
    {
        metadata.insert("waybill.policy".into(), stream.arrays.as_str().into());
    } else if kind.has_edges() {
        metadata.insert("waybill.policy".into(), stream.edge_values.as_str().into());
    } else if is_sql_ascii && kind.arrow() == DataType::Utf8 {
        metadata.insert("waybill.policy".into(), stream.invalid_text.as_str().into());
    }
    Field::new(name, kind.arrow(), true).with_metadata(metadata)
}

/// The attribute of a name that the spec gives.
pub(super) fn attribute<'a>(attributes: &'a [Attribute], name: &str, key: &str) -> FaultResult<&'a Attribute> {
    attributes.iter().find(|attribute| attribute.name == name).ok_or_else(|| {
        let text = format!("`{key}` names the column {name}, which the table does not have");
        Fault::new(FailureCode::ColumnNotFound, text)
    })
}

fn filter(
    condition: &Condition,
    attributes: &[Attribute],
    types: &Types,
    operators: &Operators,
) -> FaultResult<String> {
    let found = attribute(attributes, &condition.column, "filter")?;
    let column = identifier(&found.name);
    let sign = match condition.op {
        Op::IsNull => return Ok(format!("{column} IS NULL")),
        Op::NotNull => return Ok(format!("{column} IS NOT NULL")),
        Op::Eq => "=",
        Op::Ne => "<>",
        Op::Lt => "<",
        Op::Le => "<=",
        Op::Gt => ">",
        Op::Ge => ">=",
    };
    let Some(value) = &condition.value else {
        let text = format!("the filter on {} has no value", condition.column);
        return Err(Fault::new(FailureCode::SpecRefused, text));
    };
    let sign = operators.sign(sign, found, types)?;
    Ok(format!("{column} {sign} {}", literal(value, &found.cast)?))
}
