//! One Parquet file on its way to the bucket.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use tokio::runtime::Handle;
use waybill_model::FailureCode;

use super::columns::{ColumnPlan, page_bytes};
use super::pages::Together;
use super::sink::Sink;
use super::twins::with_twins;
use super::{DataFile, Target};
use crate::commit::FileStats;
use crate::fault::Fault;
use crate::source::Batch;
use crate::stop::{End, StopSignal};

/// Memory that a column's compressor takes and the writer does not count.
const CODEC: usize = 64 << 10;

/// Memory that one column of one finished row group takes until the file ends, about.
const CHUNK_NOTE: usize = 1 << 10;

/// What a file says of its densest batch: bytes of a row there, on the average, before they were encoded.
pub(crate) const ROW_BYTES: &str = "waybill.row_bytes";

/// A file that takes rows.
pub(super) struct OpenFile {
    key: String,
    schema: SchemaRef,
    twins: Vec<usize>,
    rows: u64,
    densest: usize,
    row_group_bytes: usize,
    writer: ArrowWriter<Sink>,
}

impl OpenFile {
    /// Begins an upload under a new key, with the twins that the stream has met so far.
    pub(super) fn begin(
        target: &Target,
        columns: &ColumnPlan,
        runtime: &Handle,
        stop: &StopSignal,
    ) -> Result<Self, End> {
        let key = (target.key)(target.begun.fetch_add(1, Ordering::Relaxed));
        let upload = runtime.block_on(stop.or_halt(target.bucket.upload(&key)))?.map_err(Fault::from)?;
        let sink = Sink::new(upload, runtime.clone(), stop.clone());
        let twins = target.twins.places();
        let schema = with_twins(&target.schema, &twins);
        let own = target.row_group_bytes.saturating_sub(schema.fields().len() * CODEC);
        let row_group_bytes = own.max(target.row_group_bytes / 2);
        let properties = columns.properties(target);
        let options = ArrowWriterOptions::new().with_properties(properties);
        let options = options.with_page_store_factory(Together::of_pages(page_bytes(target)));
        let writer = ArrowWriter::try_new_with_options(sink, Arc::clone(&schema), options).map_err(|e| refused(&e))?;
        Ok(Self { key, schema, twins, rows: 0, densest: 0, row_group_bytes, writer })
    }

    /// Whether the file has every twin column that the batch needs.
    pub(super) fn holds(&self, batch: &Batch) -> bool {
        batch.twins.iter().all(|(at, _)| self.twins.contains(at))
    }

    /// Whether what the file's footer will hold takes a good part of the row group's memory already.
    pub(super) fn footer_is_large(&self) -> bool {
        self.writer.flushed_row_groups().len() * self.schema.fields().len() * CHUNK_NOTE >= self.row_group_bytes / 2
    }

    /// Bytes so far: those written, and about those of the row group in progress.
    pub(super) fn size(&self) -> u64 {
        self.writer.inner().size() + self.writer.in_progress_size() as u64
    }

    pub(super) fn write(&mut self, batch: &Batch) -> Result<(), End> {
        let rows = self.widen(batch)?;
        let mut written = self.writer.write(&rows);
        if written.is_ok() && self.writer.memory_size() >= self.row_group_bytes {
            written = self.writer.flush();
        }
        self.rows += rows.num_rows() as u64;
        self.densest = self.densest.max(width(&rows));
        written.map_err(|error| self.reason(&error))
    }

    /// Completes the file; it is in the bucket when this returns.
    pub(super) fn finish(mut self) -> Result<DataFile, End> {
        let done = self.complete();
        if done.is_err() {
            self.abort();
        }
        done
    }

    fn complete(&mut self) -> Result<DataFile, End> {
        self.writer.append_key_value_metadata(KeyValue::new(ROW_BYTES.to_owned(), self.densest.to_string()));
        let footer = self.writer.finish().map_err(|error| self.reason(&error))?;
        let rows = u64::try_from(footer.file_metadata().num_rows()).unwrap_or(0);
        if rows != self.rows {
            return Err(
                Fault::new(FailureCode::WorkerBug, "a file's footer counts other rows than were written").into()
            );
        }
        let stats = FileStats::of_parquet(&footer);
        let (bytes, sha256) = self.writer.inner_mut().finish()?;
        Ok(DataFile { key: std::mem::take(&mut self.key), rows, bytes, sha256, stats })
    }

    /// Gives the file up.
    pub(super) fn abort(&mut self) {
        self.writer.inner_mut().abort();
    }

    /// The batch with its twin columns where this file has them.
    fn widen(&self, batch: &Batch) -> Result<RecordBatch, End> {
        if self.twins.is_empty() && batch.rows.schema_ref() == &self.schema {
            return Ok(batch.rows.clone());
        }
        let mut columns = batch.rows.columns().to_vec();
        for at in &self.twins {
            let texts = batch.twins.iter().find(|(place, _)| place == at);
            columns.push(match texts {
                Some((_, texts)) => Arc::new(texts.clone()) as ArrayRef,
                None => new_null_array(&DataType::Utf8, batch.rows.num_rows()),
            });
        }
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|_| Fault::new(FailureCode::WorkerBug, "a source's batch does not fit its own schema").into())
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
