//! The text forms of a file: CSV and JSON Lines, compressed while they are written. What each value looks like stands in
//! docs/formats.md.
//!
//! Values go through a small buffer piece by piece, so that memory holds no more than that and the compressor, whatever a row
//! is. Nothing is rounded, and no value is altered for the sake of a program that opens it.

pub(crate) mod cell;
mod csv;
mod jsonl;
mod packed;

use std::io;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use waybill_model::FailureCode;
use waybill_model::plan::{Files, Format};

pub(super) use self::packed::Packed;
use super::file::Written;
use super::sink::Sink;
use crate::commit::FileStats;
use crate::fault::Fault;
use crate::stop::End;

/// A text file that takes rows.
pub(super) struct TextFile {
    out: Packed,
    /// What stands before each value of a row of JSON; none in CSV.
    keys: Option<Vec<Vec<u8>>>,
}

impl TextFile {
    pub(super) fn begin(sink: Sink, schema: &SchemaRef, files: &Files) -> Result<Self, End> {
        let out = Packed::new(sink, files.compression).map_err(|_| failed())?;
        let mut file = Self { out, keys: (files.format == Format::Jsonl).then(|| jsonl::keys(schema)) };
        if file.keys.is_none() {
            csv::header(schema, &mut file.out).map_err(|_| file.reason())?;
        }
        Ok(file)
    }

    /// Bytes that have left the compressor.
    pub(super) fn size(&self) -> u64 {
        self.out.sink().size()
    }

    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<(), End> {
        let columns: Vec<&dyn Array> = rows.columns().iter().map(AsRef::as_ref).collect();
        for row in 0..rows.num_rows() {
            let written = match &self.keys {
                Some(keys) => jsonl::line(&columns, row, keys, &mut self.out),
                None => csv::record(&columns, row, &mut self.out),
            };
            written.map_err(|_| self.reason())?;
        }
        Ok(())
    }

    /// Completes the file.
    pub(super) fn finish(&mut self) -> Result<Written, End> {
        self.out.finish().map_err(|_| self.reason())?;
        let (bytes, sha256) = self.out.sink_mut().finish()?;
        Ok(Written { bytes, sha256, stats: FileStats::default() })
    }

    pub(super) fn abort(&mut self) {
        self.out.sink_mut().abort();
    }

    fn reason(&mut self) -> End {
        self.out.sink_mut().take_end().unwrap_or_else(failed)
    }
}

/// What is neither the bucket's failure nor a stop is a defect: the source's schema was checked.
fn failed() -> End {
    Fault::new(FailureCode::WorkerBug, "a value could not be written as text").into()
}

/// A value of a type that no table has.
fn unknown() -> io::Error {
    io::Error::other("a type that no table has")
}
