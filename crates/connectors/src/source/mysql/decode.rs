//! Rows of the binary form, turned into columns without an allocation per row.
//!
//! Every length is checked before a byte is taken. No error text holds a value.

mod decimal;
mod field;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod moment;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use waybill_model::FailureCode;
use waybill_model::plan::{EdgePolicy, TextPolicy};
use waybill_pipeline::{Batch, Fault, FaultResult};

use self::field::Column;
use super::bytes::Bytes;
use super::kind::Kind;
use crate::source::column::batch;
use crate::source::server::malformed;

/// Rows of one batch at most.
const BATCH_ROWS: usize = 64 << 10;

/// Policies for values that don't fit.
#[derive(Clone, Copy)]
pub(super) struct Policies {
    pub(super) edges: EdgePolicy,
    pub(super) text: TextPolicy,
}

/// Bounds of batches and rows.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) batch_bytes: usize,
    pub(super) row_bytes: usize,
}

/// Fills one batch after another, from any number of statements.
pub(super) struct Decoder {
    kinds: Arc<[Kind]>,
    columns: Vec<Column>,
    schema: SchemaRef,
    bounds: Bounds,
    rows: usize,
    /// Bytes of the batch in memory, about.
    held: usize,
    fixed: usize,
}

impl Decoder {
    pub(super) fn new(kinds: &Arc<[Kind]>, schema: SchemaRef, policies: Policies, bounds: Bounds) -> Self {
        Self {
            kinds: Arc::clone(kinds),
            columns: kinds
                .iter()
                .zip(schema.fields())
                .map(|(kind, field)| Column::new(kind, field.name(), policies))
                .collect(),
            schema,
            bounds,
            rows: 0,
            held: 0,
            fixed: kinds.iter().map(Kind::fixed_bytes).sum(),
        }
    }

    pub(super) fn columns(&self) -> usize {
        self.columns.len()
    }

    /// Whether the column at this place may have this type on the wire.
    pub(super) fn takes(&self, at: usize, wire: u8) -> bool {
        self.kinds.get(at).is_some_and(|kind| kind.takes(wire))
    }

    pub(super) const fn row_bytes(&self) -> usize {
        self.bounds.row_bytes
    }

    /// Whether the batch must be taken before more is read.
    pub(super) const fn is_full(&self) -> bool {
        self.rows > 0 && (self.rows >= BATCH_ROWS || self.held >= self.bounds.batch_bytes)
    }

    pub(super) const fn has_rows(&self) -> bool {
        self.rows > 0
    }

    /// Reads one row: which fields are NULL, then the others.
    pub(super) fn row(&mut self, packet: &[u8]) -> FaultResult<()> {
        if packet.len() > self.bounds.row_bytes {
            return Err(too_large());
        }
        let mut bytes = Bytes::new(packet);
        // The first two bits mean nothing.
        let nulls = bytes.take((self.columns.len() + 9) / 8)?;
        let mut stored = 0;
        for (at, column) in self.columns.iter_mut().enumerate() {
            if nulls[(at + 2) / 8] & (1 << ((at + 2) % 8)) != 0 {
                column.push_null();
            } else {
                stored += column.push(&mut bytes)?;
            }
        }
        if !bytes.is_empty() {
            return Err(malformed("a row of the server is longer than its columns"));
        }
        if stored + self.fixed > self.bounds.row_bytes {
            return Err(too_large());
        }
        self.held += stored + self.fixed;
        self.rows += 1;
        Ok(())
    }

    /// The rows read so far; the decoder goes on with an empty batch.
    pub(super) fn take(&mut self) -> FaultResult<Batch> {
        let rows = std::mem::take(&mut self.rows);
        self.held = 0;
        batch(self.columns.iter_mut().map(Column::finish), Arc::clone(&self.schema), rows)
    }
}

/// A row over its bound.
pub(super) fn too_large() -> Fault {
    Fault::new(FailureCode::RowTooLarge, "a row is larger than an eighth of the memory budget")
}
