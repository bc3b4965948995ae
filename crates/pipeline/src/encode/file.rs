//! One file on its way to the bucket, whatever its form: its key, its columns with their twins, its rows.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{Date32Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use tokio::runtime::Handle;
use waybill_model::FailureCode;

use super::columns::ColumnPlan;
use super::parquet::ParquetFile;
use super::partition::{Partition, RUN_DAY_COLUMN};
use super::sink::Sink;
use super::text::TextFile;
use super::twins::with_twins;
use super::{DataFile, Target};
use crate::commit::FileStats;
use crate::fault::Fault;
use crate::source::Batch;
use crate::stop::{End, StopSignal};

/// A file that takes rows.
pub(super) struct OpenFile {
    key: String,
    schema: SchemaRef,
    twins: Vec<usize>,
    partition: Partition,
    /// The run's day, where it is a column.
    day: Option<i32>,
    rows: u64,
    form: Form,
}

/// What the file is.
enum Form {
    Parquet(Box<ParquetFile>),
    Text(Box<TextFile>),
}

/// What is known of a file that is complete.
pub(super) struct Written {
    pub(super) bytes: u64,
    pub(super) sha256: [u8; 32],
    pub(super) stats: FileStats,
}

impl OpenFile {
    /// Begins an upload under a new key, with the twins that the stream has met so far.
    pub(super) fn begin(
        target: &Target,
        partition: &Partition,
        columns: &ColumnPlan,
        (runtime, stop): (&Handle, &StopSignal),
    ) -> Result<Self, End> {
        let key = (target.key)(target.begun.fetch_add(1, Ordering::Relaxed), &partition.path());
        let upload = runtime.block_on(stop.or_halt(target.bucket.upload(&key)))?.map_err(Fault::from)?;
        let sink = Sink::new(upload, runtime.clone(), stop.clone());
        let twins = target.twins.places();
        let day = target.partition.run_day();
        let schema = with_day(with_twins(&target.schema, &twins), day);
        let form = match target.files.format.is_parquet() {
            true => Form::Parquet(Box::new(ParquetFile::begin(sink, &schema, target, columns)?)),
            false => Form::Text(Box::new(TextFile::begin(sink, &schema, &target.files)?)),
        };
        Ok(Self { key, schema, twins, partition: partition.clone(), day, rows: 0, form })
    }

    /// Whether the file has every twin column that the batch needs.
    pub(super) fn holds(&self, batch: &Batch) -> bool {
        batch.twins.iter().all(|(at, _)| self.twins.contains(at))
    }

    /// Whether what the file's footer will hold takes a good part of the memory already.
    pub(super) fn footer_is_large(&self) -> bool {
        match &self.form {
            Form::Parquet(file) => file.footer_is_large(),
            Form::Text(_) => false,
        }
    }

    /// Bytes so far, about.
    pub(super) fn size(&self) -> u64 {
        match &self.form {
            Form::Parquet(file) => file.size(),
            Form::Text(file) => file.size(),
        }
    }

    pub(super) fn write(&mut self, batch: &Batch) -> Result<(), End> {
        let rows = self.widen(batch)?;
        self.rows += rows.num_rows() as u64;
        match &mut self.form {
            Form::Parquet(file) => file.write(&rows),
            Form::Text(file) => file.write(&rows),
        }
    }

    /// Completes the file; it is in the bucket when this returns.
    pub(super) fn finish(mut self) -> Result<DataFile, End> {
        let written = match &mut self.form {
            Form::Parquet(file) => file.finish(self.rows),
            Form::Text(file) => file.finish(),
        };
        if written.is_err() {
            self.abort();
        }
        let Written { bytes, sha256, stats } = written?;
        let partition = self.partition.values();
        Ok(DataFile { key: self.key, rows: self.rows, bytes, sha256, stats, partition })
    }

    /// Gives the file up.
    pub(super) fn abort(&mut self) {
        match &mut self.form {
            Form::Parquet(file) => file.abort(),
            Form::Text(file) => file.abort(),
        }
    }

    /// The batch with its twin columns where this file has them.
    fn widen(&self, batch: &Batch) -> Result<RecordBatch, End> {
        if self.twins.is_empty() && batch.rows.schema_ref() == &self.schema {
            return Ok(batch.rows.clone());
        }
        let mut columns = batch.rows.columns().to_vec();
        columns.extend(self.twins.iter().map(|at| batch.twin(*at)));
        if let Some(day) = self.day {
            columns.push(Arc::new(Date32Array::from_value(day, batch.rows.num_rows())));
        }
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|_| Fault::new(FailureCode::WorkerBug, "a source's batch does not fit its own schema").into())
    }
}

/// The columns with the run's day behind them, where it is one.
fn with_day(schema: SchemaRef, day: Option<i32>) -> SchemaRef {
    if day.is_none() {
        return schema;
    }
    let day = Arc::new(Field::new(RUN_DAY_COLUMN, DataType::Date32, true));
    Arc::new(Schema::new(schema.fields().iter().cloned().chain([day]).collect::<Vec<_>>()))
}
