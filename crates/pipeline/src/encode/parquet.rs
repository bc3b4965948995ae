//! The Parquet form of a file: row groups within the budget, and a footer that tells the rows.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use waybill_model::FailureCode;

use super::Target;
use super::columns::{ColumnPlan, page_bytes};
use super::file::Written;
use super::pages::Together;
use super::sink::Sink;
use crate::commit::FileStats;
use crate::fault::Fault;
use crate::stop::End;

/// Memory that a column's compressor takes and the writer does not count.
const CODEC: usize = 64 << 10;

/// Memory that one column of one finished row group takes until the file ends, about.
const CHUNK_NOTE: usize = 1 << 10;

/// What a file says of its densest batch: bytes of a row there, on the average, before they were encoded.
pub(crate) const ROW_BYTES: &str = "waybill.row_bytes";

/// A Parquet file that takes rows.
pub(super) struct ParquetFile {
    columns: usize,
    densest: usize,
    row_group_bytes: usize,
    writer: ArrowWriter<Sink>,
}

impl ParquetFile {
    pub(super) fn begin(sink: Sink, schema: &SchemaRef, target: &Target, columns: &ColumnPlan) -> Result<Self, End> {
        let own = target.row_group_bytes.saturating_sub(schema.fields().len() * CODEC);
        let row_group_bytes = own.max(target.row_group_bytes / 2);
        let options = ArrowWriterOptions::new().with_properties(columns.properties(target));
        let options = options.with_page_store_factory(Together::of_pages(page_bytes(target)));
        let writer = ArrowWriter::try_new_with_options(sink, Arc::clone(schema), options).map_err(|e| refused(&e))?;
        Ok(Self { columns: schema.fields().len(), densest: 0, row_group_bytes, writer })
    }

    /// Whether what the file's footer will hold takes a good part of the row group's memory already.
    pub(super) fn footer_is_large(&self) -> bool {
        self.writer.flushed_row_groups().len() * self.columns * CHUNK_NOTE >= self.row_group_bytes / 2
    }

    /// Bytes so far: those written, and about those of the row group in progress.
    pub(super) fn size(&self) -> u64 {
        self.writer.inner().size() + self.writer.in_progress_size() as u64
    }

    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<(), End> {
        let mut written = self.writer.write(rows);
        if written.is_ok() && self.writer.memory_size() >= self.row_group_bytes {
            written = self.writer.flush();
        }
        self.densest = self.densest.max(width(rows));
        written.map_err(|error| self.reason(&error))
    }

    /// Completes the file of so many rows.
    pub(super) fn finish(&mut self, rows: u64) -> Result<Written, End> {
        self.writer.append_key_value_metadata(KeyValue::new(ROW_BYTES.to_owned(), self.densest.to_string()));
        let footer = self.writer.finish().map_err(|error| self.reason(&error))?;
        if u64::try_from(footer.file_metadata().num_rows()) != Ok(rows) {
            return Err(
                Fault::new(FailureCode::WorkerBug, "a file's footer counts other rows than were written").into()
            );
        }
        let stats = FileStats::of_parquet(&footer);
        let (bytes, sha256) = self.writer.inner_mut().finish()?;
        Ok(Written { bytes, sha256, stats })
    }

    pub(super) fn abort(&mut self) {
        self.writer.inner_mut().abort();
    }

    fn reason(&mut self, error: &ParquetError) -> End {
        self.writer.inner_mut().take_end().unwrap_or_else(|| refused(error))
    }
}

/// Bytes of a row of the batch, on the average.
fn width(rows: &RecordBatch) -> usize {
    let bytes = rows.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or(0));
    bytes.sum::<usize>().div_ceil(rows.num_rows().max(1))
}

/// What the Parquet writer itself refuses is a defect: the source's schema was checked. Its text may hold values.
fn refused(_: &ParquetError) -> End {
    Fault::new(FailureCode::WorkerBug, "the Parquet writer refused rows").into()
}
