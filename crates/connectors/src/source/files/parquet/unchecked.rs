//! Text whose bytes the decoder does not check: it checks UTF-8 where a column says UTF8, and takes JSON's on trust.
//!
//! Nothing here makes a string of bytes before it has looked at them.

use arrow::array::{Array, ArrayData, RecordBatch};
use arrow::datatypes::DataType;
use parquet::basic::{ConvertedType, LogicalType};
use parquet::schema::types::ColumnDescriptor;

/// Whether a column is text that comes unchecked, and whose dictionaries the decoder does not take for text.
pub(super) fn is_unchecked(column: &ColumnDescriptor) -> bool {
    column.converted_type() == ConvertedType::JSON || matches!(column.logical_type_ref(), Some(LogicalType::Json))
}

/// Whether all text of a batch is UTF-8.
pub(super) fn is_text(batch: &RecordBatch) -> bool {
    batch.columns().iter().all(|column| holds_text(&column.to_data()))
}

fn holds_text(data: &ArrayData) -> bool {
    if *data.data_type() != DataType::Utf8 {
        return data.child_data().iter().all(holds_text);
    }
    let (ends, bytes) = (&data.buffer::<i32>(0)[..=data.len()], data.buffers()[1].as_slice());
    ends.windows(2).all(|pair| {
        let value = usize::try_from(pair[0]).ok().zip(usize::try_from(pair[1]).ok());
        value.and_then(|(from, to)| bytes.get(from..to)).is_some_and(|value| simdutf8::basic::from_utf8(value).is_ok())
    })
}
