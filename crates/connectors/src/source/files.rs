//! Files as a source: CSV, JSON Lines and Parquet below a directory or an object prefix.
//!
//! A stream's files are listed once and each is read pinned to its ETag: what changes while it is read fails the stream.
//! It reads through a [`Bucket`] and knows no store; it never writes.

mod address;
mod bad;
mod content;
mod csv;
mod csv_column;
mod csv_rows;
mod decode;
mod filter;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod glob;
mod inflate;
mod json_array;
mod json_infer;
mod json_line;
mod json_rows;
mod lane;
mod layout;
mod parquet;
mod rows;
mod set;
mod take;
#[cfg(all(test, feature = "local"))]
mod tests;
mod untaken;
mod zip;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use waybill_model::FailureCode;
use waybill_model::plan::{Load, StreamPlan};
use waybill_model::receipt::Grade;
use waybill_pipeline::source::{Want, WindowNote};
use waybill_pipeline::{Bucket, CursorState, Fault, FaultResult, Lane, Proof, Snapshot, Source, Table, Taken};

pub use address::Address;
use lane::{FileLane, Job, Queue};
use layout::Opened;
use rows::Bounds;
use set::FileSet;
pub use set::of_source;
use untaken::{NothingNew, Untaken};

/// Files below one URL.
pub struct Files {
    bucket: Arc<dyn Bucket>,
}

impl Files {
    /// Reads through a bucket whose keys are paths below the connection's URL.
    #[must_use]
    pub fn new(bucket: Arc<dyn Bucket>) -> Self {
        Self { bucket }
    }
}

#[async_trait]
impl Source for Files {
    async fn reach(&self) -> FaultResult<()> {
        // Whether files may be listed and read at all: those of a place that nobody has, so that the answers are short.
        self.bucket.list("_waybill/reach/", None).await.map_err(set::read_fault)?;
        self.bucket.get("_waybill/reach/nothing", 1).await.map(drop).map_err(set::read_fault)
    }

    async fn check(&self, stream: &StreamPlan) -> FaultResult<()> {
        whole_files(stream)?;
        let set = FileSet::list(&self.bucket, stream).await?;
        let columns = layout::first_columns(&set, (stream.edge_values, !stream.bad_rows.is_fail())).await?;
        take::Take::plan(stream, &columns).map(|_| ())
    }

    fn throttled(&self) -> u64 {
        self.bucket.throttled()
    }

    async fn discover(&self) -> FaultResult<Vec<Table>> {
        layout::discover(&self.bucket).await
    }

    async fn open(
        &self,
        stream: &StreamPlan,
        after: Option<&CursorState>,
        want: Want,
    ) -> FaultResult<Box<dyn Snapshot>> {
        whole_files(stream)?;
        if stream.load == Load::Full {
            let set = FileSet::list(&self.bucket, stream).await?;
            return FileSnapshot::open(set, stream, (None, 0), want).await;
        }
        let untaken = Untaken::list(&self.bucket, stream, after.and_then(CursorState::taken)).await?;
        let taken = after.and_then(CursorState::taken).cloned().unwrap_or_default();
        if untaken.files.is_empty() {
            return Ok(Box::new(NothingNew { taken, rewritten: untaken.rewritten }));
        }
        let set = FileSet::of(&self.bucket, untaken.files, stream.format.as_ref()).await?;
        let taken = taken.with(set.taken());
        FileSnapshot::open(set, stream, (Some(taken), untaken.rewritten), want).await
    }
}

/// Rows of a file have no key by which one could take another's place, and what is left out of them is kept nowhere.
fn whole_files(stream: &StreamPlan) -> FaultResult<()> {
    if stream.load == Load::Changed {
        return Err(Fault::new(FailureCode::SpecRefused, "a file source has `load: full` and `new` only"));
    }
    if !stream.bad_rows.is_fail() && !stream.is_whole() {
        let text = "`bad-rows: quarantine` keeps whole rows, so nothing of theirs can be left out or cast";
        return Err(Fault::new(FailureCode::SpecRefused, text));
    }
    Ok(())
}

/// The files of one stream as they were listed.
struct FileSnapshot {
    job: Arc<Job>,
    queue: Arc<Queue>,
    lanes: usize,
    rows: Option<u64>,
    snapshot: String,
    count: bool,
    /// What is known of a `new` stream's files once these are read.
    taken: Option<Taken>,
    rewritten: u64,
}

impl FileSnapshot {
    async fn open(
        set: FileSet,
        stream: &StreamPlan,
        (taken, rewritten): (Option<Taken>, u64),
        want: Want,
    ) -> FaultResult<Box<dyn Snapshot>> {
        let bounds = Bounds::of(want);
        let Opened { layout, columns, rows } = layout::open(&set, stream, bounds, want.lanes).await?;
        let take = take::Take::plan(stream, &columns)?;
        let (files, snapshot) = (set.files.len(), set.digest());
        let (edge, text, quarantine) = (stream.edge_values, stream.invalid_text, !stream.bad_rows.is_fail());
        let job = Arc::new(Job { set, layout, take, bounds, edge, text, quarantine });
        let (queue, lanes, count) = (Queue::of(files), want.most.clamp(1, files.max(1)), stream.verify_count);
        Ok(Box::new(Self { job, queue, lanes, rows, snapshot, count, taken, rewritten }))
    }

    /// Reads everything a second time and counts the rows.
    async fn recount(&self) -> FaultResult<u64> {
        let mut lane = FileLane::new(Arc::clone(&self.job), Queue::of(self.job.set.files.len()));
        let mut rows = 0;
        while let Some(batch) = lane.next().await? {
            rows += batch.rows.num_rows() as u64;
        }
        Ok(rows)
    }
}

#[async_trait]
impl Snapshot for FileSnapshot {
    fn schema(&self) -> SchemaRef {
        self.job.take.schema()
    }

    fn ranges(&self) -> usize {
        self.job.set.files.len()
    }

    fn rows_estimate(&self) -> Option<u64> {
        self.rows
    }

    fn lanes(&self) -> usize {
        self.lanes
    }

    fn cursor(&self) -> Option<CursorState> {
        self.taken.clone().map(CursorState::of_taken)
    }

    fn key(&self) -> Vec<String> {
        Vec::new()
    }

    fn window(&self) -> WindowNote {
        WindowNote { rewritten: self.rewritten, ..WindowNote::default() }
    }

    async fn keys(&self) -> FaultResult<Box<dyn Lane>> {
        Err(Fault::new(FailureCode::KeyUnusable, "files have no key by which their rows can be told apart"))
    }

    async fn lane(&self) -> FaultResult<Box<dyn Lane>> {
        Ok(Box::new(FileLane::new(Arc::clone(&self.job), Arc::clone(&self.queue))))
    }

    async fn finish(self: Box<Self>) -> FaultResult<Proof> {
        if self.queue.done() != self.job.set.files.len() {
            return Err(Fault::new(FailureCode::SourceIncomplete, "not every file was read to its end"));
        }
        let source_count = if self.count { Some(self.recount().await?) } else { None };
        let grade = if self.count { Grade::Verified } else { Grade::Counted };
        Ok(Proof { grade, source_count, sums: Vec::new(), snapshot: self.snapshot })
    }
}
