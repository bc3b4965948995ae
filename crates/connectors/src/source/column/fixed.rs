//! Values of a fixed width, and which of them are there.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, NullBufferBuilder, PrimitiveArray};
use arrow::buffer::{BooleanBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowPrimitiveType, DataType};

/// A column of numbers, or of what is stored as one.
pub(crate) struct Fixed<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    nulls: NullBufferBuilder,
    kind: DataType,
}

impl<T: ArrowPrimitiveType> Fixed<T> {
    pub(crate) fn new(kind: DataType) -> Self {
        Self { values: Vec::new(), nulls: NullBufferBuilder::new(0), kind }
    }

    /// Takes a value; it holds no bytes beyond its width.
    #[inline]
    pub(crate) fn push(&mut self, value: T::Native) -> usize {
        self.values.push(value);
        self.nulls.append_non_null();
        0
    }

    pub(crate) fn push_null(&mut self) {
        self.values.push(T::Native::default());
        self.nulls.append_null();
    }

    /// The type of the column in the table.
    #[cfg(feature = "postgres")]
    pub(crate) const fn kind(&self) -> &DataType {
        &self.kind
    }

    /// The place of the value that was pushed last.
    pub(crate) const fn last(&self) -> usize {
        self.values.len() - 1
    }

    pub(crate) fn finish(&mut self) -> ArrayRef {
        let rows = self.values.len();
        let values = std::mem::replace(&mut self.values, Vec::with_capacity(rows + rows / 8));
        let array = PrimitiveArray::<T>::new(ScalarBuffer::from(values), self.nulls.finish());
        Arc::new(array.with_data_type(self.kind.clone()))
    }
}

/// A column of truths.
pub(crate) struct Truths {
    values: Vec<bool>,
    nulls: NullBufferBuilder,
}

impl Truths {
    pub(crate) fn new() -> Self {
        Self { values: Vec::new(), nulls: NullBufferBuilder::new(0) }
    }

    pub(crate) fn push(&mut self, value: bool) -> usize {
        self.values.push(value);
        self.nulls.append_non_null();
        0
    }

    pub(crate) fn push_null(&mut self) {
        self.values.push(false);
        self.nulls.append_null();
    }

    pub(crate) fn finish(&mut self) -> ArrayRef {
        let values = BooleanBuffer::from(std::mem::take(&mut self.values));
        Arc::new(BooleanArray::new(values, self.nulls.finish()))
    }
}
