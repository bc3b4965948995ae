//! Encodes one lane's batches into files (Parquet, CSV, JSON Lines) and streams them to the bucket, on a blocking thread.
//!
//! A lane has one file open at once. Where the table is partitioned, rows of other partitions wait within half of the row group's
//! memory; when it is used up the partitions with the most of them are written, each into a file of its own.
//! A file is closed when it or its footer is large enough, or when a batch brings a twin column that it lacks. Nothing is written to a
//! local disk, and no byte is visible to readers before the commit. Values are never logged from here.

mod aside;
mod columns;
mod file;
mod pages;
mod parquet;
pub(crate) mod partition;
mod sink;
mod text;
mod twins;
mod waiting;
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
use aside::AsideFile;
pub use aside::AsideTarget;
use columns::ColumnPlan;
use file::OpenFile;
use partition::Partition;
pub use partition::PartitionBy;
pub(crate) use text::cell;
pub use twins::TwinSet;
pub use twins::twin_name;
use waiting::Waiting;
pub(crate) use way::{RowTarget, Way};

/// Bytes of rows that wait at most, whatever the memory: texts of one batch end at 2 GiB.
const MOST_WAITING: usize = 512 << 20;

/// Makes a new key from the number of a file and the directories of its partition.
pub type KeyOf = dyn Fn(u32, &str) -> String + Send + Sync;

/// What all lanes of a stream write by.
#[derive(Clone)]
pub struct Target {
    /// Where to.
    pub bucket: Arc<dyn Bucket>,
    /// Names files.
    pub key: Arc<KeyOf>,
    /// Files begun so far, over all lanes.
    pub begun: Arc<AtomicU32>,
    /// Columns without twins.
    pub schema: SchemaRef,
    /// Twin columns that the stream has met so far, over all lanes.
    pub twins: TwinSet,
    /// Format, size and compression.
    pub files: Files,
    /// What rows are kept apart by.
    pub partition: PartitionBy,
    /// Memory that the row group in progress may take.
    pub row_group_bytes: usize,
    /// Key-value metadata of every file.
    pub notes: Arc<Vec<(String, String)>>,
    /// Where rows go that are set aside; none where they are only left out of what is shown.
    pub aside: Option<AsideTarget>,
}

/// One lane's writer. All its calls block and belong on a blocking thread.
pub struct LaneWriter {
    target: Target,
    runtime: Handle,
    stop: StopSignal,
    columns: Option<ColumnPlan>,
    open: Option<(Partition, OpenFile)>,
    waiting: Waiting,
    aside: Option<AsideFile>,
}

impl LaneWriter {
    /// A writer without a file yet: an empty lane leaves none.
    #[must_use]
    pub fn new(mut target: Target, runtime: Handle, stop: StopSignal) -> Self {
        let waiting = Waiting::new(target.row_group_bytes, target.schema.fields().len());
        if !target.partition.is_none() {
            target.row_group_bytes /= 2;
        }
        Self { target, runtime, stop, columns: None, open: None, waiting, aside: None }
    }

    /// Encodes rows and hands every file that they completed to `closed`.
    pub fn write(&mut self, batch: &Batch, mut closed: impl FnMut(DataFile)) -> Result<(), End> {
        self.set_aside(batch)?;
        if batch.rows.num_rows() == 0 {
            return Ok(());
        }
        self.target.twins.admit(&self.target.schema, batch.twins.iter().map(|(at, _)| *at))?;
        if self.target.partition.is_none() {
            return self.put(&Partition::default(), batch, &mut closed);
        }
        let mut parts = self.target.partition.split(&batch.rows)?;
        let is_open = |partition: &Partition| self.open.as_ref().is_none_or(|(open, _)| open == partition);
        if let [(partition, _)] = parts.as_slice()
            && is_open(partition)
        {
            let partition = partition.clone();
            return self.put(&partition, batch, &mut closed);
        }
        let open = self.open.as_ref().map(|(open, _)| open);
        if let Some(at) = parts.iter().position(|(partition, _)| Some(partition) == open) {
            let (partition, rows) = parts.swap_remove(at);
            self.put(&partition, &partition::taken(batch, rows)?, &mut closed)?;
        }
        let rows = parts.iter().flat_map(|(_, rows)| rows).copied().collect();
        self.waiting
            .add(partition::taken(batch, rows)?, parts.into_iter().map(|(partition, rows)| (partition, rows.len())));
        // What is handed out is in memory twice for a while.
        while self.waiting.bytes() > (self.target.row_group_bytes / 2).min(MOST_WAITING) {
            let pieces = self.waiting.largest()?;
            self.put_all(pieces, &mut closed)?;
        }
        Ok(())
    }

    /// Writes what of the batch is none of the stream's rows into a file of its own.
    fn set_aside(&mut self, batch: &Batch) -> Result<(), End> {
        let Some(target) = self.target.aside.as_ref().filter(|_| !batch.aside.is_empty()) else { return Ok(()) };
        let file = match &mut self.aside {
            Some(file) => file,
            none => none.insert(AsideFile::begin(target, (&self.runtime, &self.stop))?),
        };
        file.write(&batch.aside)
    }

    fn put_all(&mut self, pieces: Vec<(Partition, Batch)>, closed: &mut dyn FnMut(DataFile)) -> Result<(), End> {
        for (partition, piece) in pieces {
            self.put(&partition, &piece, closed)?;
        }
        Ok(())
    }

    /// Writes rows of one partition into its file, which becomes the open one.
    fn put(&mut self, partition: &Partition, batch: &Batch, closed: &mut dyn FnMut(DataFile)) -> Result<(), End> {
        if self.open.as_ref().is_some_and(|(open, file)| open != partition || !file.holds(batch)) {
            self.close_file(closed)?;
        }
        let Files { format, compression, .. } = self.target.files;
        let columns = self.columns.get_or_insert_with(|| match format.is_parquet() {
            true => ColumnPlan::from_first(&batch.rows, compression),
            false => ColumnPlan::default(),
        });
        let (_, file) = match &mut self.open {
            Some(open) => open,
            none => {
                let file = OpenFile::begin(&self.target, partition, columns, (&self.runtime, &self.stop))?;
                none.insert((partition.clone(), file))
            }
        };
        file.write(batch)?;
        if file.size() >= self.target.files.size || file.footer_is_large() {
            self.close_file(closed)?;
        }
        Ok(())
    }

    /// Bytes of the file under way so far.
    #[must_use]
    pub fn open_bytes(&self) -> u64 {
        self.open.as_ref().map_or(0, |(_, file)| file.size())
    }

    /// Completes the file under way, if there is one, and those of all rows that wait. Gives the file of what was set aside.
    pub fn close(&mut self, mut closed: impl FnMut(DataFile)) -> Result<Option<DataFile>, End> {
        let pieces = self.waiting.rest()?;
        self.put_all(pieces, &mut closed)?;
        self.close_file(&mut closed)?;
        self.aside.take().map(AsideFile::finish).transpose()
    }

    fn close_file(&mut self, closed: &mut dyn FnMut(DataFile)) -> Result<(), End> {
        // The next file's first rows may be of another kind.
        self.columns = None;
        if let Some((_, file)) = self.open.take() {
            closed(file.finish()?);
        }
        Ok(())
    }
}

/// Gives up a file that was not completed and frees what the bucket holds of it.
impl Drop for LaneWriter {
    fn drop(&mut self) {
        if let Some((_, mut file)) = self.open.take() {
            file.abort();
        }
        if let Some(mut file) = self.aside.take() {
            file.abort();
        }
    }
}
