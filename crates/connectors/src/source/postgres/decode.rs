//! The binary COPY format as a stream of bytes, turned into columns row by row without an allocation per row.
//!
//! Chunks may end anywhere. Every length is checked before a byte is taken; nothing is allocated because a length says so.
//! No error text holds a value.

mod array;
mod field;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub(crate) mod numeric;
mod text;
mod time;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use waybill_model::FailureCode;
use waybill_model::plan::{ArrayPolicy, EdgePolicy, TextPolicy};
use waybill_pipeline::{Batch, Fault, FaultResult};

use self::field::Column;
use super::kind::Kind;
use super::wire::malformed;
use crate::source::column::batch;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Rows of one batch at most.
const BATCH_ROWS: usize = 64 << 10;
/// A header extension is skipped up to this length; none is defined today.
const EXTENSION_CAP: usize = 64 << 10;

/// Policies for values that don't fit.
#[derive(Clone, Copy)]
pub(super) struct Policies {
    pub(super) edges: EdgePolicy,
    pub(super) arrays: ArrayPolicy,
    pub(super) text: TextPolicy,
}

/// Bounds of batches and rows.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) batch_bytes: usize,
    pub(super) row_bytes: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Header,
    Row,
    Field(usize),
    Trailer,
}

/// Reads one COPY after another into the same batch.
pub(super) struct Decoder {
    columns: Vec<Column>,
    schema: SchemaRef,
    bounds: Bounds,
    at: At,
    /// Bytes of the row that is being read.
    row: usize,
    rows: usize,
    /// Bytes of the batch in memory, about.
    held: usize,
    fixed: usize,
    need: usize,
}

impl Decoder {
    pub(super) fn new(kinds: &[Kind], schema: SchemaRef, policies: Policies, bounds: Bounds) -> Self {
        Self {
            columns: kinds.iter().map(|kind| Column::new(kind, policies)).collect(),
            schema,
            bounds,
            at: At::Header,
            row: 0,
            rows: 0,
            held: 0,
            fixed: kinds.iter().map(Kind::fixed_bytes).sum(),
            need: 0,
        }
    }

    /// Begins the next COPY.
    pub(super) fn begin(&mut self) {
        self.at = At::Header;
    }

    /// Whether the COPY that ended was complete: its trailer was there, and nothing behind it.
    pub(super) fn is_complete(&self) -> bool {
        self.at == At::Trailer
    }

    /// Whether the batch must be taken before more is read.
    pub(super) fn is_full(&self) -> bool {
        self.at == At::Row && self.rows > 0 && (self.rows >= BATCH_ROWS || self.held >= self.bounds.batch_bytes)
    }

    pub(super) fn has_rows(&self) -> bool {
        self.rows > 0
    }

    /// Bytes from the first unread one on that the next step needs.
    pub(super) fn need(&self) -> usize {
        self.need
    }

    /// Reads as far as the bytes and the batch's bounds allow, and says how many bytes it took.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> FaultResult<usize> {
        let mut at = 0;
        self.need = 0;
        loop {
            let rest = &bytes[at..];
            match self.at {
                At::Header => match self.header(rest)? {
                    0 => return Ok(at),
                    taken => at += taken,
                },
                At::Row => {
                    if self.is_full() {
                        return Ok(at);
                    }
                    let Some(count) = rest.first_chunk::<2>() else {
                        self.need = 2;
                        return Ok(at);
                    };
                    at += 2;
                    match i16::from_be_bytes(*count) {
                        -1 => self.at = At::Trailer,
                        count if usize::try_from(count) == Ok(self.columns.len()) => {
                            self.row = 2;
                            self.at = At::Field(0);
                        }
                        _ => return Err(malformed("a row has another number of fields than was asked for")),
                    }
                }
                At::Field(first) => {
                    at += self.fields(first, rest)?;
                    if self.at != At::Row {
                        return Ok(at);
                    }
                }
                At::Trailer if rest.is_empty() => return Ok(at),
                At::Trailer => return Err(malformed("bytes follow the trailer of a COPY")),
            }
        }
    }

    /// The file header; 0 while it is not whole.
    fn header(&mut self, bytes: &[u8]) -> FaultResult<usize> {
        let known = bytes.len().min(SIGNATURE.len());
        if bytes[..known] != SIGNATURE[..known] {
            return Err(malformed("the COPY does not begin with its signature"));
        }
        let Some((head, _)) = bytes.split_first_chunk::<19>() else {
            self.need = 19;
            return Ok(0);
        };
        let flags = u32::from_be_bytes([head[11], head[12], head[13], head[14]]);
        let extension = u32::from_be_bytes([head[15], head[16], head[17], head[18]]) as usize;
        if flags >> 16 != 0 || extension > EXTENSION_CAP {
            return Err(malformed("the COPY's header has flags or an extension that are not known"));
        }
        if bytes.len() < 19 + extension {
            self.need = 19 + extension;
            return Ok(0);
        }
        self.at = At::Row;
        Ok(19 + extension)
    }

    /// Fields from the column `first` on, as far as they are whole.
    fn fields(&mut self, first: usize, bytes: &[u8]) -> FaultResult<usize> {
        let mut at = 0;
        let mut row = self.row;
        let mut held = 0;
        for (place, column) in self.columns.iter_mut().enumerate().skip(first) {
            let length = match bytes.get(at..at + 4) {
                Some(&[a, b, c, d]) => i32::from_be_bytes([a, b, c, d]),
                _ => {
                    (self.at, self.need, self.row) = (At::Field(place), 4, row);
                    self.held += held;
                    return Ok(at);
                }
            };
            if length == -1 {
                column.push_null();
                at += 4;
                row += 4;
                continue;
            }
            let Ok(length) = usize::try_from(length) else {
                return Err(malformed("a field has a negative length"));
            };
            if length + row > self.bounds.row_bytes {
                return Err(too_large());
            }
            let Some(value) = bytes.get(at + 4..at + 4 + length) else {
                (self.at, self.need, self.row) = (At::Field(place), 4 + length, row);
                self.held += held;
                return Ok(at);
            };
            let stored = column.push(value)?;
            held += stored;
            at += 4 + length;
            row += 4 + length.max(stored);
        }
        if row > self.bounds.row_bytes {
            return Err(too_large());
        }
        self.held += held + self.fixed;
        self.rows += 1;
        self.at = At::Row;
        Ok(at)
    }

    /// The rows read so far; the decoder goes on with an empty batch.
    pub(super) fn take(&mut self) -> FaultResult<Batch> {
        let rows = self.rows;
        (self.rows, self.held) = (0, 0);
        batch(self.columns.iter_mut().map(Column::finish), Arc::clone(&self.schema), rows)
    }
}

fn too_large() -> Fault {
    Fault::new(FailureCode::RowTooLarge, "a row is larger than an eighth of the memory budget")
}

#[cfg(test)]
mod tests;
