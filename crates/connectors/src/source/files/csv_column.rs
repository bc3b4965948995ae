//! Columns of CSV in the types that the spec gives them: a field is taken exactly, or it is an edge value.
//!
//! What is exactly of a type is told by `waybill_pipeline::exact`.

use waybill_model::FailureCode;
use waybill_model::plan::{CsvType, EdgePolicy, TextPolicy};
use waybill_pipeline::exact::ExactColumn;

use super::csv_rows::{TextColumn, sparse};
use super::rows::{Broken, Column};

/// Why a field can't be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is not UTF-8 where only UTF-8 may be.
    NoText,
    /// It is not of the column's type, and the policy is to fail.
    Edge,
}

impl Refusal {
    /// Of the field with this number in a record, from 1.
    pub(super) fn of_field(self, field: usize, line: u64) -> Broken {
        let (code, why) = match self {
            Self::NoText => (FailureCode::TextUndecodable, "is not valid UTF-8"),
            Self::Edge => {
                (FailureCode::ValueRefused, "is not of the type that `types` gives it, and `edge-values` says fail")
            }
        };
        Broken { code, line, text: format!("column {field} of the record {why}") }
    }
}

/// A column under way.
pub(super) struct CsvColumn {
    values: Values,
    edge: EdgePolicy,
    text: TextPolicy,
    /// Rows and exact texts of fields that are not of the type.
    edges: Vec<(usize, String)>,
}

enum Values {
    Text(TextColumn),
    Typed(ExactColumn),
}

impl CsvColumn {
    pub(super) fn new(kind: CsvType, edge: EdgePolicy, text: TextPolicy) -> Self {
        let values = match kind {
            CsvType::Text => Values::Text(TextColumn::default()),
            other => Values::Typed(ExactColumn::new(other)),
        };
        Self { values, edge, text, edges: Vec::new() }
    }

    /// Takes a field of a row: its bytes, whether it stood in quotes, and its text where that is known already.
    pub(super) fn push(
        &mut self,
        row: usize,
        (field, quoted): (&[u8], bool),
        known: Option<&str>,
    ) -> Result<(), Refusal> {
        let to = match &mut self.values {
            Values::Text(to) if known.is_some() => {
                to.push(known);
                return Ok(());
            }
            Values::Text(to) => return push_text(to, row, field, self.text),
            Values::Typed(to) => to,
        };
        if field.is_empty() && !quoted {
            to.push_null();
            return Ok(());
        }
        if to.push(field).is_some() {
            return Ok(());
        }
        if self.edge == EdgePolicy::Fail {
            return Err(Refusal::Edge);
        }
        let text = std::str::from_utf8(field).map_err(|_| Refusal::NoText)?;
        self.edges.push((row, text.to_owned()));
        to.push_null();
        Ok(())
    }

    pub(super) fn push_null(&mut self) {
        match &mut self.values {
            Values::Text(to) => to.push(None),
            Values::Typed(to) => to.push_null(),
        }
    }

    pub(super) fn finish(&mut self, rows: usize) -> Column {
        let values = match &mut self.values {
            Values::Text(from) => return from.finish(rows),
            Values::Typed(from) => from.finish(),
        };
        let altered = sparse(std::mem::take(&mut self.edges), rows);
        Column { values, altered, twin: self.edge != EdgePolicy::Null }
    }
}

fn push_text(to: &mut TextColumn, row: usize, field: &[u8], policy: TextPolicy) -> Result<(), Refusal> {
    match simdutf8::basic::from_utf8(field) {
        Ok(text) => to.push(Some(text)),
        Err(_) if policy == TextPolicy::Replace => to.push_altered(row, &String::from_utf8_lossy(field), field),
        Err(_) => return Err(Refusal::NoText),
    }
    Ok(())
}
