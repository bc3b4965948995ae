//! Checkpoints of a Delta log in their first format (V1): Parquet rows, each one action.
//!
//! Rows are decoded a batch at a time into the same actions as JSON commits; columns that are not read stay undecoded. What is written
//! is written by [`keep`] behind a commit of ours, and nothing depends on it.

mod body;
pub(crate) mod keep;

use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use waybill_model::FailureCode;

use crate::commit::action::{Action, corrupt};
use crate::fault::{Fault, FaultResult};

/// Rows that are decoded at once.
const ROWS: usize = 1024;

/// What stands in a checkpoint a second time, with types.
const COPIES: [&str; 2] = ["stats_parsed", "partitionValues_parsed"];
/// The actions that make up a table's state, as columns of a checkpoint.
const STATE: [&str; 5] = ["add", "metaData", "protocol", "txn", "sidecar"];

/// Calls `take` with every action of one checkpoint file; removals, of which there may be many, only where they are asked for.
pub(crate) fn read(
    file: Bytes,
    version: u64,
    removals: bool,
    mut take: impl FnMut(Action) -> FaultResult<()>,
) -> FaultResult<()> {
    for lines in Lines::of(file, version, &["tags"], removals)? {
        for line in lines?.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            take(Action::parse(line, version)?)?;
        }
    }
    Ok(())
}

/// The rows of one checkpoint file as lines of JSON, some at a time.
struct Lines {
    reader: ParquetRecordBatchReader,
    version: u64,
}

impl Lines {
    /// Leaves out these members of actions besides the parsed copies, and removals where they are not asked for.
    fn of(file: Bytes, version: u64, without: &[&str], removals: bool) -> FaultResult<Self> {
        let damaged = |_| damaged(version);
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(damaged)?;
        let mask = projection(&builder, without, removals);
        let reader = builder.with_projection(mask).with_batch_size(ROWS).build().map_err(damaged)?;
        Ok(Self { reader, version })
    }
}

impl Iterator for Lines {
    type Item = FaultResult<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.next()?.map_err(|_| damaged(self.version));
        Some(batch.and_then(|batch| {
            let mut lines = Vec::new();
            // NULLs are written, or a partition value of NULL would vanish from its map.
            let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut lines);
            writer.write(&batch).and_then(|()| writer.finish()).map_err(undecodable)?;
            drop(writer);
            Ok(lines)
        }))
    }
}

fn damaged(version: u64) -> Fault {
    corrupt(version, "has a checkpoint that can't be read")
}

fn undecodable(_: arrow::error::ArrowError) -> Fault {
    Fault::new(FailureCode::TableFeatureUnsupported, "the table's checkpoint has columns of a kind that is not read")
}

/// The leaves of the actions that are read, without parsed copies of what stands there as text too.
fn projection<T: parquet::file::reader::ChunkReader + 'static>(
    builder: &ParquetRecordBatchReaderBuilder<T>,
    without: &[&str],
    removals: bool,
) -> ProjectionMask {
    let schema = builder.parquet_schema();
    let wanted = schema.columns().iter().enumerate().filter(|(_, column)| {
        let parts = column.path().parts();
        let action = STATE.contains(&parts[0].as_str());
        let removal = removals && parts[0] == "remove";
        let copy = parts
            .get(1)
            .map(String::as_str)
            .is_some_and(|member| COPIES.contains(&member) || without.contains(&member));
        (action || removal) && !copy
    });
    ProjectionMask::leaves(schema, wanted.map(|(at, _)| at))
}
