//! Encodes one lane's batches into files (Parquet, CSV, JSON Lines) and streams them to the bucket, on a blocking thread.
//!
//! A file is closed when it or its footer is large enough, or when a batch brings a twin column that it lacks. Nothing is written to a
//! local disk, and no byte is visible to readers before the commit. Values are never logged from here.

mod columns;
mod file;
mod pages;
mod parquet;
mod sink;
mod text;
mod twins;
mod way;

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use arrow::datatypes::SchemaRef;
use tokio::runtime::Handle;
use waybill_model::plan::Files;

use crate::bucket::Bucket;
use crate::commit::DataFile;
use crate::source::Batch;
use crate::stop::{End, StopSignal};

pub(crate) use self::parquet::ROW_BYTES;
use columns::ColumnPlan;
use file::OpenFile;
pub use twins::TwinSet;
pub use twins::twin_name;
pub(crate) use way::{RowTarget, Way};

/// What all lanes of a stream write by.
#[derive(Clone)]
pub struct Target {
    /// Where to.
    pub bucket: Arc<dyn Bucket>,
    /// Makes a new key from the number of a file.
    pub key: Arc<dyn Fn(u32) -> String + Send + Sync>,
    /// Files begun so far, over all lanes.
    pub begun: Arc<AtomicU32>,
    /// Columns without twins.
    pub schema: SchemaRef,
    /// Twin columns that the stream has met so far, over all lanes.
    pub twins: TwinSet,
    /// Format, size and compression.
    pub files: Files,
    /// Memory that the row group in progress may take.
    pub row_group_bytes: usize,
    /// Key-value metadata of every file.
    pub notes: Arc<Vec<(String, String)>>,
}

/// One lane's writer. All its calls block and belong on a blocking thread.
pub struct LaneWriter {
    target: Target,
    runtime: Handle,
    stop: StopSignal,
    columns: Option<ColumnPlan>,
    open: Option<OpenFile>,
}

impl LaneWriter {
    /// A writer without a file yet: an empty lane leaves none.
    #[must_use]
    pub fn new(target: Target, runtime: Handle, stop: StopSignal) -> Self {
        Self { target, runtime, stop, columns: None, open: None }
    }

    /// Encodes rows and hands every file that they completed to `closed`.
    pub fn write(&mut self, batch: &Batch, mut closed: impl FnMut(DataFile)) -> Result<(), End> {
        if batch.rows.num_rows() == 0 {
            return Ok(());
        }
        self.target.twins.admit(&self.target.schema, batch.twins.iter().map(|(at, _)| *at))?;
        if self.open.as_ref().is_some_and(|file| !file.holds(batch)) {
            self.close(&mut closed)?;
        }
        let Files { format, compression, .. } = self.target.files;
        let columns = self.columns.get_or_insert_with(|| match format.is_parquet() {
            true => ColumnPlan::from_first(&batch.rows, compression),
            false => ColumnPlan::default(),
        });
        let file = match &mut self.open {
            Some(file) => file,
            none => none.insert(OpenFile::begin(&self.target, columns, &self.runtime, &self.stop)?),
        };
        file.write(batch)?;
        if file.size() >= self.target.files.size || file.footer_is_large() {
            self.close(closed)?;
        }
        Ok(())
    }

    /// Bytes of the file under way so far.
    #[must_use]
    pub fn open_bytes(&self) -> u64 {
        self.open.as_ref().map_or(0, OpenFile::size)
    }

    /// Completes the file under way, if there is one.
    pub fn close(&mut self, mut closed: impl FnMut(DataFile)) -> Result<(), End> {
        // The next file's first rows may be of another kind.
        self.columns = None;
        if let Some(file) = self.open.take() {
            closed(file.finish()?);
        }
        Ok(())
    }
}

/// Gives up a file that was not completed and frees what the bucket holds of it.
impl Drop for LaneWriter {
    fn drop(&mut self) {
        if let Some(mut file) = self.open.take() {
            file.abort();
        }
    }
}
