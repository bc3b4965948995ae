//! One-dimensional arrays from 1 as lists, and vectors of floats.
//!
//! Other shapes end in `array_shape`; nothing is ever flattened. An element that does not fit is NULL in the list, and the
//! whole array's exact text goes to the column's twin.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, ListArray, NullBufferBuilder, StringArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Field, TimestampMicrosecondType};
use waybill_model::FailureCode;
use waybill_pipeline::{Fault, FaultResult};

use super::Policies;
use super::edge::twin;
use super::field::{Column, Done};
use super::time;
use crate::source::postgres::kind::{ELEMENT, Kind};
use crate::source::postgres::wire::malformed;

/// A list column that is being filled.
pub(super) struct Lists {
    element: DataType,
    inner: Column,
    ends: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Lists {
    pub(super) fn new(element: &Kind, policies: Policies) -> Self {
        Self {
            element: element.arrow(),
            inner: Column::new(element, policies),
            ends: vec![0],
            nulls: NullBufferBuilder::new(0),
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> FaultResult<usize> {
        let short = || malformed("an array is shorter than it says");
        let word = |at: usize| -> FaultResult<i32> {
            let four = bytes.get(at..at + 4).and_then(|b| b.first_chunk::<4>()).ok_or_else(short)?;
            Ok(i32::from_be_bytes(*four))
        };
        let count = match word(0)? {
            0 if bytes.len() == 12 => 0,
            1 if word(16)? == 1 => usize::try_from(word(12)?).map_err(|_| short())?,
            dimensions if dimensions < 0 => return Err(malformed("an array's dimensions are impossible")),
            _ => {
                let text = "an array has several dimensions or does not begin at 1";
                return Err(Fault::new(FailureCode::ArrayShape, text));
            }
        };
        let mut rest = bytes.get(if count == 0 { bytes.len() } else { 20 }..).ok_or_else(short)?;
        let mut held = 0;
        for _ in 0..count {
            let (length, tail) = rest.split_first_chunk::<4>().ok_or_else(short)?;
            let length = i32::from_be_bytes(*length);
            if length == -1 {
                self.inner.push_null();
                rest = tail;
                held += 16;
                continue;
            }
            let length = usize::try_from(length).map_err(|_| short())?;
            let value = tail.get(..length).ok_or_else(short)?;
            held += self.inner.push(value)? + 16;
            rest = &tail[length..];
        }
        if !rest.is_empty() {
            return Err(malformed("an array is longer than it says"));
        }
        self.close(count)?;
        self.nulls.append_non_null();
        Ok(held)
    }

    fn close(&mut self, count: usize) -> FaultResult<()> {
        let last = i64::from(self.ends[self.ends.len() - 1]);
        let end = i32::try_from(last + count as i64);
        self.ends.push(end.map_err(|_| Fault::new(FailureCode::RowTooLarge, "a batch of arrays is too large"))?);
        Ok(())
    }

    pub(super) fn push_null(&mut self) {
        self.ends.push(self.ends[self.ends.len() - 1]);
        self.nulls.append_null();
    }

    pub(super) fn finish(&mut self) -> FaultResult<Done> {
        let inner = self.inner.finish()?;
        let ends = std::mem::replace(&mut self.ends, vec![0]);
        let texts = inner.twin.as_ref().map_or_else(Vec::new, |texts| twins(&ends, &inner.values, texts));
        let rows = ends.len() - 1;
        let field = Arc::new(Field::new(ELEMENT, self.element.clone(), true));
        let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
        let list = ListArray::try_new(field, offsets, inner.values, self.nulls.finish())
            .map_err(|_| Fault::new(FailureCode::WorkerBug, "list buffers don't fit"))?;
        Ok(Done { values: Arc::new(list), twin: twin(rows, &texts), coerced: inner.coerced })
    }
}

/// The exact text of every list that holds an element with a twin, as Postgres writes arrays.
fn twins(ends: &[i32], values: &ArrayRef, texts: &StringArray) -> Vec<(usize, String)> {
    let mut out = Vec::new();
    for (row, pair) in ends.windows(2).enumerate() {
        let span = pair[0] as usize..pair[1] as usize;
        if !span.clone().any(|at| texts.is_valid(at)) {
            continue;
        }
        let elements: Vec<String> = span.map(|at| element_text(values, texts, at)).collect();
        out.push((row, format!("{{{}}}", elements.join(","))));
    }
    out
}

fn element_text(values: &ArrayRef, texts: &StringArray, at: usize) -> String {
    // A text column has a twin only for bytes that are no UTF-8: then every element is written as bytes.
    if let Some(strings) = values.as_string_opt::<i32>() {
        return match (texts.is_valid(at), strings.is_valid(at)) {
            (true, _) => format!("\"\\\\x{}\"", texts.value(at)),
            (false, true) => format!("\"\\\\x{}\"", hex::encode(strings.value(at))),
            (false, false) => "NULL".into(),
        };
    }
    if texts.is_valid(at) {
        return quoted(texts.value(at));
    }
    if values.is_null(at) {
        return "NULL".into();
    }
    match values.data_type() {
        DataType::Decimal128(..) => values.as_primitive::<Decimal128Type>().value_as_string(at),
        DataType::Date32 => quoted(&time::date_text(i64::from(values.as_primitive::<Date32Type>().value(at)))),
        DataType::Timestamp(_, zone) => {
            let micros = values.as_primitive::<TimestampMicrosecondType>().value(at);
            quoted(&time::timestamp_text(i128::from(micros), zone.is_some()))
        }
        _ => "NULL".into(),
    }
}

fn quoted(text: &str) -> String {
    if text.contains(' ') { format!("\"{text}\"") } else { text.to_owned() }
}

/// A column of pgvector's `vector` or `halfvec`.
pub(super) struct Vectors {
    half: bool,
    values: Vec<f32>,
    ends: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Vectors {
    pub(super) fn new(half: bool) -> Self {
        Self { half, values: Vec::new(), ends: vec![0], nulls: NullBufferBuilder::new(0) }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> FaultResult<usize> {
        let width = if self.half { 2 } else { 4 };
        let wrong = || malformed("a vector has another length than it says");
        let (head, values) = bytes.split_first_chunk::<4>().ok_or_else(wrong)?;
        let count = usize::from(u16::from_be_bytes([head[0], head[1]]));
        if values.len() != count * width {
            return Err(wrong());
        }
        if self.half {
            self.values.extend(values.chunks_exact(2).map(|b| half_to_single(u16::from_be_bytes([b[0], b[1]]))));
        } else {
            self.values.extend(values.chunks_exact(4).map(|b| f32::from_be_bytes([b[0], b[1], b[2], b[3]])));
        }
        let end = i32::try_from(self.values.len());
        self.ends.push(end.map_err(|_| Fault::new(FailureCode::RowTooLarge, "a batch of vectors is too large"))?);
        self.nulls.append_non_null();
        Ok(count * 4)
    }

    pub(super) fn push_null(&mut self) {
        self.ends.push(self.values.len() as i32);
        self.nulls.append_null();
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        let values = Float32Array::from(std::mem::take(&mut self.values));
        let ends = std::mem::replace(&mut self.ends, vec![0]);
        let field = Arc::new(Field::new(ELEMENT, DataType::Float32, true));
        let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
        Arc::new(ListArray::new(field, offsets, Arc::new(values), self.nulls.finish()))
    }
}

/// IEEE 754 half precision; every half is exact in single precision.
fn half_to_single(half: u16) -> f32 {
    let sign = if half & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from(half >> 10 & 0x1f);
    let fraction = f32::from(half & 0x3ff);
    match exponent {
        0 => sign * fraction * 2_f32.powi(-24),
        31 if fraction == 0.0 => sign * f32::INFINITY,
        31 => f32::NAN,
        _ => sign * (1024.0 + fraction) * 2_f32.powi(exponent - 25),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_exact() {
        for (half, single) in [(0x3c00, 1.0), (0xc000, -2.0), (0x0001, 2_f32.powi(-24)), (0x7bff, 65504.0), (0, 0.0)] {
            assert_eq!(half_to_single(half), single);
        }
        assert!(half_to_single(0x7e00).is_nan() && half_to_single(0xfc00) == f32::NEG_INFINITY);
    }
}
