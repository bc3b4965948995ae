//! Columns of text and bytes: fields are appended to one buffer and checked for UTF-8 once per batch.
//!
//! Bad sequences are looked for only where that check fails. What is replaced is counted and kept as hex in the twin.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, NullBufferBuilder, StringArray, StringBuilder};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use waybill_model::FailureCode;
use waybill_model::plan::TextPolicy;
use waybill_pipeline::{Fault, FaultResult};

use super::edge::{Edges, twin};
use super::field::Done;
use super::numeric;
use crate::source::postgres::wire::malformed;

/// How a field becomes text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Bytes,
    Numeric,
    Uuid,
    Char,
    Jsonb,
    ArrayJson,
}

/// A column of text or bytes that is being filled.
pub(super) struct Texts {
    form: Form,
    policy: TextPolicy,
    values: Vec<u8>,
    ends: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Texts {
    pub(super) fn new(form: Form, policy: TextPolicy) -> Self {
        Self { form, policy, values: Vec::new(), ends: vec![0], nulls: NullBufferBuilder::new(0) }
    }

    #[inline]
    pub(super) fn push(&mut self, bytes: &[u8], edges: &mut Edges) -> FaultResult<usize> {
        let before = self.values.len();
        match self.form {
            Form::Text | Form::Bytes => self.values.extend_from_slice(bytes),
            Form::Numeric => numeric::write_text(bytes, &mut self.values)?,
            Form::Uuid => write_uuid(bytes, &mut self.values)?,
            Form::Char => match bytes {
                [0] => {}
                [byte] => self.values.push(*byte),
                _ => return Err(malformed("a field has another length than its type")),
            },
            Form::Jsonb => match bytes {
                [1, text @ ..] => self.values.extend_from_slice(text),
                _ => return Err(malformed("a jsonb field has a version that is not known")),
            },
            Form::ArrayJson => match bytes {
                [b'j', json @ ..] => self.values.extend_from_slice(json),
                [b'x', text @ ..] => {
                    self.push_null();
                    let row = self.ends.len() - 2;
                    return edges.meet(row, || String::from_utf8_lossy(text).into_owned());
                }
                _ => return Err(malformed("an array came without its mark")),
            },
        }
        let end = i32::try_from(self.values.len());
        self.ends.push(end.map_err(|_| Fault::new(FailureCode::RowTooLarge, "a batch of text is over 2 GiB"))?);
        self.nulls.append_non_null();
        Ok(self.values.len() - before)
    }

    pub(super) fn push_null(&mut self) {
        self.ends.push(self.values.len() as i32);
        self.nulls.append_null();
    }

    pub(super) fn finish(&mut self, edges: &mut Edges) -> FaultResult<Done> {
        let rows = self.ends.len() - 1;
        let values = std::mem::take(&mut self.values);
        self.values.reserve(values.len());
        let mut next = Vec::with_capacity(rows + 1);
        next.push(0);
        let ends = std::mem::replace(&mut self.ends, next);
        let nulls = self.nulls.finish();
        let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
        let values = Buffer::from_vec(values);
        let (edge_twin, coerced) = edges.finish(rows);
        let done = |values: ArrayRef| Ok(Done { values, twin: edge_twin.clone(), coerced });
        let broken = |_| Fault::new(FailureCode::WorkerBug, "text buffers don't fit");
        if self.form == Form::Bytes {
            return done(Arc::new(BinaryArray::try_new(offsets, values, nulls).map_err(broken)?));
        }
        // Buffers are shared, so keeping them for the rare second look costs nothing.
        match StringArray::try_new(offsets.clone(), values.clone(), nulls.clone()) {
            Ok(array) => done(Arc::new(array)),
            Err(_) => self.repair(&offsets, &values, nulls.as_ref(), coerced),
        }
    }

    /// The same column with bad sequences replaced.
    fn repair(
        &self,
        offsets: &OffsetBuffer<i32>,
        values: &Buffer,
        nulls: Option<&NullBuffer>,
        coerced: u64,
    ) -> FaultResult<Done> {
        if self.policy == TextPolicy::Fail {
            let text = "a text is not valid UTF-8, and `invalid-text` says fail";
            return Err(Fault::new(FailureCode::ValueRefused, text));
        }
        let rows = offsets.len() - 1;
        let mut texts = Vec::new();
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
        let coerced = coerced + texts.len() as u64;
        Ok(Done { values: Arc::new(builder.finish()), twin: twin(rows, &texts), coerced })
    }
}

fn write_uuid(bytes: &[u8], out: &mut Vec<u8>) -> FaultResult<()> {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes: &[u8; 16] = bytes.try_into().map_err(|_| malformed("a uuid has not 16 bytes"))?;
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
    Ok(())
}
