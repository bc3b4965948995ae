//! Checkpoints of a Delta log in their first format (V1): Parquet rows, each one action.
//!
//! Rows are decoded a batch at a time into the same actions as JSON commits; columns that are not read stay undecoded.

use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use waybill_model::FailureCode;

use crate::commit::action::{Action, corrupt};
use crate::fault::{Fault, FaultResult};

/// Rows that are decoded at once.
const ROWS: usize = 1024;

/// Calls `take` with every action of one checkpoint file; removals, of which there may be many, only where they are asked for.
pub(crate) fn read(
    file: Bytes,
    version: u64,
    removals: bool,
    mut take: impl FnMut(Action) -> FaultResult<()>,
) -> FaultResult<()> {
    let damaged = |_| corrupt(version, "has a checkpoint that can't be read");
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(damaged)?;
    let mask = projection(&builder, removals);
    let reader = builder.with_projection(mask).with_batch_size(ROWS).build().map_err(damaged)?;
    for batch in reader {
        let batch = batch.map_err(|_| corrupt(version, "has a checkpoint that can't be read"))?;
        let mut lines = Vec::new();
        // NULLs are written, or a partition value of NULL would vanish from its map.
        let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut lines);
        writer.write(&batch).and_then(|()| writer.finish()).map_err(undecodable)?;
        drop(writer);
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            take(Action::parse(line, version)?)?;
        }
    }
    Ok(())
}

fn undecodable(_: arrow::error::ArrowError) -> Fault {
    Fault::new(FailureCode::TableFeatureUnsupported, "the table's checkpoint has columns of a kind that is not read")
}

/// The leaves of the actions that are read, without parsed copies of what stands there as text too.
fn projection<T: parquet::file::reader::ChunkReader + 'static>(
    builder: &ParquetRecordBatchReaderBuilder<T>,
    removals: bool,
) -> ProjectionMask {
    let schema = builder.parquet_schema();
    let wanted = schema.columns().iter().enumerate().filter(|(_, column)| {
        let parts = column.path().parts();
        let action = matches!(parts[0].as_str(), "add" | "metaData" | "protocol" | "txn" | "sidecar");
        let removal = removals && parts[0] == "remove";
        let copy = matches!(parts.get(1).map(String::as_str), Some("stats_parsed" | "partitionValues_parsed" | "tags"));
        (action || removal) && !copy
    });
    ProjectionMask::leaves(schema, wanted.map(|(at, _)| at))
}
