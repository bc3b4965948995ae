//! From decoded columns to the stream's batch: filter rows, choose, order and name columns, carry twins along.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::{and, filter};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use waybill_model::FailureCode;
use waybill_model::plan::StreamPlan;
use waybill_pipeline::{Aside, Batch, Fault, FaultResult};

use super::super::shape;
use super::filter::Filter;
use super::rows::Decoded;

/// Marks a column that no table type holds exactly. It can be dropped, but not taken.
pub(super) const UNSTORABLE: DataType = DataType::Null;

/// What a condition may ask of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compared {
    /// Only whether it is NULL.
    No,
    /// Also whether it equals a value.
    Equal,
    /// Also which is less.
    Ordered,
}

/// A column of the files.
#[derive(Clone)]
pub(super) struct SourceColumn {
    pub(super) name: String,
    pub(super) data_type: DataType,
    /// Its type in the source's words.
    pub(super) source: String,
    pub(super) compared: Compared,
    /// The policy that may change its values or move them to a twin.
    pub(super) policy: Option<&'static str>,
    /// What the first file says of itself.
    pub(super) nullable: bool,
}

/// The way from decoded columns to batches.
pub(super) struct Take {
    /// Source columns that are decoded.
    pub(super) decode: Vec<usize>,
    /// Place among the decoded of each column of the stream.
    out: Vec<usize>,
    schema: SchemaRef,
    filter: Filter,
}

impl Take {
    /// Applies the stream's choice and conditions to the columns of the files.
    pub(super) fn plan(stream: &StreamPlan, columns: &[SourceColumn]) -> FaultResult<Self> {
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let chosen = shape::choose(&stream.columns, &names)?;
        let mut decode: Vec<usize> = Vec::with_capacity(chosen.len());
        let mut place = |at: usize| {
            decode.iter().position(|known| *known == at).unwrap_or_else(|| {
                decode.push(at);
                decode.len() - 1
            })
        };
        let out: Vec<usize> = chosen.iter().map(|column| place(column.at)).collect();
        let filter = Filter::plan(&stream.filter, columns, &mut place)?;
        if let Some(column) = decode.iter().map(|at| &columns[*at]).find(|column| column.data_type == UNSTORABLE) {
            let text = format!("the column {} ({}) has no exact type in a table: drop it", column.name, column.source);
            return Err(Fault::new(FailureCode::SpecRefused, text));
        }
        let fields: Vec<Field> = chosen
            .iter()
            .map(|chosen| {
                let column = &columns[chosen.at];
                let mut metadata = HashMap::from([("waybill.src_type".to_owned(), column.source.clone())]);
                metadata.extend(column.policy.map(|policy| ("waybill.policy".to_owned(), policy.to_owned())));
                // Another file may have NULLs where the first one has none, and a value beside a twin is NULL.
                Field::new(&chosen.name, column.data_type.clone(), true).with_metadata(metadata)
            })
            .collect();
        Ok(Self { decode, out, schema: Arc::new(Schema::new(fields)), filter })
    }

    pub(super) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// The batch of some rows, beside others that could not be read; none if the filter leaves none, and nothing is beside them.
    pub(super) fn batch(&self, decoded: &Decoded, aside: Vec<Aside>) -> FaultResult<Option<Batch>> {
        let keep = match (self.filter.rows(&decoded.columns)?, &decoded.stays) {
            (Some(rows), Some(stays)) => Some(and(&rows, stays).map_err(|_| broken())?),
            (rows, stays) => rows.or_else(|| stays.clone()),
        };
        let kept = |array: &dyn Array| match &keep {
            None => Ok(arrow::array::make_array(array.to_data())),
            Some(rows) => filter(array, rows).map_err(|_| broken()),
        };
        let rows = keep.as_ref().map_or(decoded.rows, arrow::array::BooleanArray::true_count);
        if rows == 0 && aside.is_empty() {
            return Ok(None);
        }
        let (mut columns, mut twins, mut coerced): (Vec<ArrayRef>, _, _) = (Vec::new(), Vec::new(), Vec::new());
        for (at, place) in self.out.iter().enumerate() {
            let column = &decoded.columns[*place];
            columns.push(kept(&column.values)?);
            let Some(altered) = &column.altered else { continue };
            let altered = kept(altered)?;
            let Some(altered) = altered.as_any().downcast_ref::<StringArray>() else { return Err(broken()) };
            let count = (altered.len() - altered.null_count()) as u64;
            if count > 0 {
                coerced.push((at, count));
                if column.twin {
                    twins.push((at, altered.clone()));
                }
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let rows = RecordBatch::try_new_with_options(self.schema(), columns, &options).map_err(|_| broken())?;
        Ok(Some(Batch { rows, twins, coerced, aside }))
    }
}

fn broken() -> Fault {
    Fault::new(FailureCode::WorkerBug, "decoded columns do not fit the stream's schema")
}
