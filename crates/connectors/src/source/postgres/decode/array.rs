//! One-dimensional arrays from 1 as lists, and vectors of floats.
//!
//! Nothing is ever flattened: an array of another shape is NULL, and its exact text goes to the column's twin, or the stream
//! ends in `array_shape` where it says so. An element that does not fit is NULL in the list, and the whole array's text goes
//! to the twin.

mod text;

use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, ListArray, NullBufferBuilder};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field};
use waybill_model::FailureCode;
use waybill_model::plan::{ArrayPolicy, EdgePolicy};
use waybill_pipeline::{Fault, FaultResult};

use self::text::Shape;
use super::Policies;
use super::field::Column;
use crate::source::column::Done;
use crate::source::column::edge::twin;
use crate::source::postgres::kind::{ELEMENT, Kind};
use crate::source::postgres::wire::malformed;

/// A list column that is being filled.
pub(super) struct Lists {
    element: Kind,
    policies: Policies,
    inner: Column,
    ends: Vec<i32>,
    nulls: NullBufferBuilder,
    /// Rows whose array is no list, with its text.
    shaped: Vec<(usize, String)>,
}

impl Lists {
    pub(super) fn new(element: &Kind, policies: Policies) -> Self {
        Self {
            element: element.clone(),
            policies,
            inner: Column::new(element, policies),
            ends: vec![0],
            nulls: NullBufferBuilder::new(0),
            shaped: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> FaultResult<usize> {
        let (shape, elements) = Shape::read(bytes)?;
        if !shape.is_list() {
            return self.push_shaped(&shape, elements);
        }
        let held = fill(&mut self.inner, shape.count(), elements)?;
        self.close(shape.count())?;
        self.nulls.append_non_null();
        Ok(held)
    }

    /// An array that no list can hold.
    fn push_shaped(&mut self, shape: &Shape, elements: &[u8]) -> FaultResult<usize> {
        if self.policies.arrays == ArrayPolicy::Fail {
            let text = "an array has several dimensions or does not begin at 1, and `arrays` says fail";
            return Err(Fault::new(FailureCode::ArrayShape, text));
        }
        // The text holds every value exactly, so nothing is lost by a milder policy for elements.
        let edges = if self.policies.edges == EdgePolicy::Fail { EdgePolicy::Fail } else { EdgePolicy::Twin };
        let mut column = Column::new(&self.element, Policies { edges, ..self.policies });
        fill(&mut column, shape.count(), elements)?;
        let text = shape.text(&column.finish()?);
        let held = text.len();
        self.shaped.push((self.ends.len() - 1, text));
        self.push_null();
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
        let mut texts = std::mem::take(&mut self.shaped);
        let coerced = inner.coerced + texts.len() as u64;
        texts.extend(text::of_lists(&ends, &inner));
        texts.sort_by_key(|(row, _)| *row);
        let rows = ends.len() - 1;
        let field = Arc::new(Field::new(ELEMENT, self.element.arrow(), true));
        let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
        let list = ListArray::try_new(field, offsets, inner.values, self.nulls.finish())
            .map_err(|_| Fault::new(FailureCode::WorkerBug, "list buffers don't fit"))?;
        Ok(Done { values: Arc::new(list), twin: twin(rows, &texts), coerced })
    }
}

/// Reads exactly `count` elements and says how many bytes they hold.
fn fill(column: &mut Column, count: usize, mut rest: &[u8]) -> FaultResult<usize> {
    let mut held = 0;
    for _ in 0..count {
        let (length, tail) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let length = i32::from_be_bytes(*length);
        held += 16;
        if length == -1 {
            column.push_null();
            rest = tail;
            continue;
        }
        let length = usize::try_from(length).map_err(|_| short())?;
        held += column.push(tail.get(..length).ok_or_else(short)?)?;
        rest = &tail[length..];
    }
    if rest.is_empty() { Ok(held) } else { Err(malformed("an array is longer than it says")) }
}

fn short() -> Fault {
    malformed("an array is shorter than it says")
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
