//! Columns of a batch that is being filled, as far as they are the same for every database server: buffers, the policies for
//! values that don't fit, and their counts.
//!
//! What the bytes of a field mean is not known here.

pub(crate) mod edge;
pub(crate) mod fixed;
pub(crate) mod text;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::SchemaRef;
use waybill_model::FailureCode;
use waybill_pipeline::{Batch, Fault, FaultResult};

/// A finished column of a batch.
pub(crate) struct Done {
    pub(crate) values: ArrayRef,
    pub(crate) twin: Option<StringArray>,
    pub(crate) coerced: u64,
}

/// The batch of so many rows that finished columns make, with their twins and counts by place.
pub(crate) fn batch(
    finished: impl Iterator<Item = FaultResult<Done>>,
    schema: SchemaRef,
    rows: usize,
) -> FaultResult<Batch> {
    let (mut columns, mut twins, mut coerced) = (Vec::with_capacity(schema.fields().len()), Vec::new(), Vec::new());
    for (place, done) in finished.enumerate() {
        let done = done?;
        columns.push(done.values);
        twins.extend(done.twin.map(|texts| (place, texts)));
        coerced.extend((done.coerced > 0).then_some((place, done.coerced)));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let rows = RecordBatch::try_new_with_options(schema, columns, &options)
        .map_err(|_| Fault::new(FailureCode::WorkerBug, "decoded columns don't fit the schema"))?;
    Ok(Batch { twins, coerced, ..Batch::exact(rows) })
}
