//! A snapshot whose rows have one column more: the mark of those that the source has no more, which none that comes has.
//!
//! So a row that is read again loses its mark by taking the old one's place, and every other step sees a column like any.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use waybill_model::FailureCode;
use waybill_model::plan::{Deletes, StreamPlan};

use crate::commit::OWN_MARK;
use crate::fault::{Fault, FaultResult};
use crate::source::step::{Step, behind};
use crate::source::{Batch, Snapshot};

/// When a run missed the row at the source; NULL where it is there.
pub const DELETED_AT: &str = "_waybill_deleted_at";

/// The snapshot, with the mark where the stream asks for it.
pub(super) fn marked(inner: Box<dyn Snapshot>, stream: &StreamPlan) -> FaultResult<Box<dyn Snapshot>> {
    if stream.deletes != Deletes::Mark {
        return Ok(inner);
    }
    let fields = inner.schema();
    if fields.fields().iter().any(|field| field.name().eq_ignore_ascii_case(DELETED_AT)) {
        let text = format!(
            "the source has a column {DELETED_AT} of its own: `rename` or `drop` it, or do without `deletes: mark`"
        );
        return Err(Fault::new(FailureCode::ColumnNameUnusable, text));
    }
    let mark = Field::new(DELETED_AT, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true)
        .with_metadata(HashMap::from([(OWN_MARK.to_owned(), "deleted_at".to_owned())]));
    let schema = Arc::new(Schema::new(fields.fields().iter().cloned().chain([Arc::new(mark)]).collect::<Vec<_>>()));
    Ok(behind(inner, Arc::clone(&schema), Marked(schema)))
}

struct Marked(SchemaRef);

#[async_trait]
impl Step for Marked {
    async fn rows(&self, batch: Batch) -> FaultResult<Batch> {
        let (rows, Self(schema)) = (&batch.rows, self);
        let mark = schema.fields().iter().skip(rows.num_columns());
        let mark = mark.map(|field| new_null_array(field.data_type(), rows.num_rows()));
        let columns = rows.columns().iter().cloned().chain(mark).collect();
        let rows = RecordBatch::try_new(Arc::clone(schema), columns)
            .map_err(|_| Fault::new(FailureCode::WorkerBug, "rows do not fit their own schema with a mark"))?;
        Ok(Batch { rows, ..batch })
    }
}
