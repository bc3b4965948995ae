//! Columns of text and bytes: fields are appended to one buffer and checked for UTF-8 once per batch.
//!
//! Bad sequences are looked for only where that check fails. What is replaced is counted and kept as hex in the twin.

#[cfg(feature = "postgres")]
use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, NullBufferBuilder, StringArray, StringBuilder};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use waybill_model::FailureCode;
use waybill_model::plan::TextPolicy;
use waybill_pipeline::{Fault, FaultResult};

use super::Done;
use super::edge::{Edges, twin};

/// What a column's bytes are kept as.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    Text,
    Bytes,
}

/// A column of text or bytes that is being filled.
pub(crate) struct Texts {
    stored: Stored,
    policy: TextPolicy,
    values: Vec<u8>,
    ends: Vec<i32>,
    nulls: NullBufferBuilder,
    /// Rows whose text was replaced before it came here, with what it was.
    replaced: Vec<(usize, String)>,
}

impl Texts {
    pub(crate) fn new(stored: Stored, policy: TextPolicy) -> Self {
        let nulls = NullBufferBuilder::new(0);
        Self { stored, policy, values: Vec::new(), ends: vec![0], nulls, replaced: Vec::new() }
    }

    /// Takes a field as it is.
    #[inline]
    pub(crate) fn push(&mut self, bytes: &[u8]) -> FaultResult<usize> {
        self.values.extend_from_slice(bytes);
        self.close(self.values.len() - bytes.len())
    }

    /// Takes what `write` makes of a field.
    #[inline]
    pub(crate) fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>) -> FaultResult<()>) -> FaultResult<usize> {
        let before = self.values.len();
        write(&mut self.values)?;
        self.close(before)
    }

    /// Takes a text that has been replaced already where it was bad, with what it was; the policy decides whether it may.
    #[cfg(feature = "mysql")]
    pub(crate) fn push_replaced(&mut self, text: &[u8], was: String) -> FaultResult<usize> {
        self.may_replace()?;
        let bytes = was.len();
        self.replaced.push((self.rows(), was));
        Ok(self.push(text)? + bytes)
    }

    fn close(&mut self, before: usize) -> FaultResult<usize> {
        let end = i32::try_from(self.values.len());
        self.ends.push(end.map_err(|_| Fault::new(FailureCode::RowTooLarge, "a batch of text is over 2 GiB"))?);
        self.nulls.append_non_null();
        Ok(self.values.len() - before)
    }

    pub(crate) fn push_null(&mut self) {
        self.ends.push(self.values.len() as i32);
        self.nulls.append_null();
    }

    /// Values that were pushed.
    pub(crate) const fn rows(&self) -> usize {
        self.ends.len() - 1
    }

    pub(crate) fn finish(&mut self, edges: &mut Edges) -> FaultResult<Done> {
        let rows = self.rows();
        let values = std::mem::take(&mut self.values);
        self.values.reserve(values.len() + values.len() / 8);
        let mut next = Vec::with_capacity(rows + rows / 8 + 1);
        next.push(0);
        let ends = std::mem::replace(&mut self.ends, next);
        let nulls = self.nulls.finish();
        let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
        let values = Buffer::from_vec(values);
        let (mut texts, mut coerced) = edges.take();
        coerced += self.replaced.len() as u64;
        texts.append(&mut self.replaced);
        let broken = |_| Fault::new(FailureCode::WorkerBug, "text buffers don't fit");
        let values: ArrayRef = if self.stored == Stored::Bytes {
            Arc::new(BinaryArray::try_new(offsets, values, nulls).map_err(broken)?)
        } else {
            // Buffers are shared, so keeping them for the rare second look costs nothing.
            match StringArray::try_new(offsets.clone(), values.clone(), nulls.clone()) {
                Ok(array) => Arc::new(array),
                Err(_) => {
                    let before = texts.len();
                    let array = self.repair(&offsets, &values, nulls.as_ref(), &mut texts)?;
                    coerced += (texts.len() - before) as u64;
                    Arc::new(array)
                }
            }
        };
        // Each row was met for one reason only: what was replaced or repaired stands in the column, and an edge's place is NULL.
        texts.sort_unstable_by_key(|(row, _)| *row);
        Ok(Done { values, twin: twin(rows, &texts), coerced })
    }

    /// The same column with bad sequences replaced, and what was there added to the texts.
    fn repair(
        &self,
        offsets: &OffsetBuffer<i32>,
        values: &Buffer,
        nulls: Option<&NullBuffer>,
        texts: &mut Vec<(usize, String)>,
    ) -> FaultResult<StringArray> {
        self.may_replace()?;
        let rows = offsets.len() - 1;
        let mut builder = StringBuilder::with_capacity(rows, values.len() + 64);
        for row in 0..rows {
            if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                builder.append_null();
                continue;
            }
            let bytes = &values[offsets[row] as usize..offsets[row + 1] as usize];
            if let Ok(text) = std::str::from_utf8(bytes) {
                builder.append_value(text);
            } else {
                builder.append_value(String::from_utf8_lossy(bytes));
                texts.push((row, hex::encode(bytes)));
            }
        }
        Ok(builder.finish())
    }

    /// A text as it can stand in a twin: its bytes as hex where it is not valid and the policy lets that be.
    #[cfg(feature = "postgres")]
    pub(crate) fn readable<'a>(&self, bytes: &'a [u8]) -> FaultResult<Cow<'a, str>> {
        if let Ok(text) = std::str::from_utf8(bytes) {
            return Ok(Cow::Borrowed(text));
        }
        self.may_replace()?;
        Ok(Cow::Owned(hex::encode(bytes)))
    }

    fn may_replace(&self) -> FaultResult<()> {
        if self.policy != TextPolicy::Fail {
            return Ok(());
        }
        let text = "a text is not valid in its encoding, and `invalid-text` says fail";
        Err(Fault::new(FailureCode::ValueRefused, text))
    }
}
