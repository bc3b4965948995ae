//! What a source must offer: one snapshot per stream, read by several lanes, its end proven.
//!
//! Everything is pulled: a lane reads nothing before `next` is called, so a slow bucket stops the reads.
//! `Batch` and `CursorState` hold the customer's values and therefore have no `Debug`, `Display` or `Serialize`.

mod aside;
pub mod step;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray, new_null_array};
use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use waybill_model::FailureCode;
use waybill_model::errand::Range;
use waybill_model::plan::{Condition, StreamPlan};
use waybill_model::receipt::Grade;

pub use self::aside::Aside;
use crate::fault::{Fault, FaultResult};
use crate::sums::ColumnSum;
use crate::taken::{Shelf, Taken};

/// A kind of source, configured for one connection, with ways to its secrets.
#[async_trait]
pub trait Source: Send + Sync {
    /// Connects and logs in, without looking at any stream.
    async fn reach(&self) -> FaultResult<()>;

    /// Connects, logs in, and looks at one stream as a run would, without reading rows.
    async fn check(&self, stream: &StreamPlan) -> FaultResult<()>;

    /// Tables or file sets that this user can read.
    async fn discover(&self) -> FaultResult<Vec<Table>>;

    /// The conditions on rows whose cursor lies in a range, as the stream's filter would have them: bounds in the column's own
    /// words. One that the cursor's type does not have is `request_unusable`.
    async fn range(&self, stream: &StreamPlan, _range: &Range) -> FaultResult<Vec<Condition>> {
        let text = format!("{} has no cursor: no range of it can be read", stream.name);
        Err(Fault::new(FailureCode::RequestUnusable, text))
    }

    /// How often what it reads from asked to slow down since this was made.
    fn throttled(&self) -> u64 {
        0
    }

    /// Opens one snapshot for a stream and plans its ranges. `after` is the committed cursor of a stream with windows.
    /// `lanes` is how many connections the caller would use; `batch_bytes` how large a batch may be.
    async fn open(
        &self,
        stream: &StreamPlan,
        after: Option<&CursorState>,
        want: Want,
    ) -> FaultResult<Box<dyn Snapshot>>;
}

/// What the engine can take.
#[derive(Clone, Copy, Debug)]
pub struct Want {
    /// Lanes that it would use at once.
    pub lanes: usize,
    /// Lanes that it may come to use once other streams have ended; `lanes` at least.
    pub most: usize,
    /// Bytes of one batch at most, about; at least one row.
    pub batch_bytes: usize,
    /// A row larger than this ends in `row_too_large` before it is buffered.
    pub row_bytes: usize,
}

/// One consistent view of a stream.
#[async_trait]
pub trait Snapshot: Send + Sync {
    /// The table's columns after selection and renaming, without twins. Each field's metadata has `waybill.src_type`,
    /// and `waybill.policy` where a policy other than exact applies.
    fn schema(&self) -> SchemaRef;

    /// Ranges that were planned; a hint for progress.
    fn ranges(&self) -> usize;

    /// Rows expected, where the source has an estimate.
    fn rows_estimate(&self) -> Option<u64>;

    /// Lanes that make sense, 1 to the most that was wanted. Up to `Want::lanes` are opened at once; where there are more, they
    /// are opened while others read, or not at all.
    fn lanes(&self) -> usize;

    /// The cursor to commit with these rows; none for `full`. Equal to the one that came in where nothing can be new.
    fn cursor(&self) -> Option<CursorState>;

    /// Columns of `schema`, by name, that tell a row from all others, since a constraint of the source says so: those that a
    /// `changed` stream names, or its primary key. None where the source can't tell.
    fn key(&self) -> Vec<String>;

    /// What to tell about the window: held back by a prepared transaction, or a fixed lag.
    fn window(&self) -> WindowNote;

    /// Opens a lane. Lanes share one queue of ranges.
    async fn lane(&self) -> FaultResult<Box<dyn Lane>>;

    /// Opens a lane of its own over the columns of `key` alone, in that order, of every row that the stream's filter lets pass,
    /// whatever the window. Called once all lanes have ended well, and each time the keys are wanted again; for streams whose
    /// `deletes` ask for it.
    async fn keys(&self) -> FaultResult<Box<dyn Lane>>;

    /// Called when every lane has ended well: proves the end, counts and sums where asked, closes the snapshot.
    async fn finish(self: Box<Self>) -> FaultResult<Proof>;
}

/// What a window's end rests on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowNote {
    /// The window's end is not known, so it did not advance: a transaction is prepared or open for too long, a replica does not tell
    /// how far it has come, or what was committed is not on its disk yet. Without a cursor to go on from, nothing is read of such a
    /// window; with one, only rows that are always brought.
    pub held: bool,
    /// What may still be committed below the window's end is not known (other sessions' times are hidden, rows come from another server, a
    /// sequence hands out numbers ahead), so a fixed lag is used for times, and late commits are not promised.
    pub fixed_lag: bool,
    /// Rows whose cursor is NULL.
    pub null_cursors: u64,
    /// Files that were rewritten after a run took them, and come again or are left out.
    pub rewritten: u64,
    /// No file is new, so not even columns are known: there is nothing to compare, read or commit.
    pub is_empty: bool,
}

/// One connection's share of the reading.
#[async_trait]
pub trait Lane: Send {
    /// The next rows; none when the queue of ranges is empty and this lane's last range was proven complete.
    async fn next(&mut self) -> FaultResult<Option<Batch>>;
}

/// Rows on their way, columnar.
pub struct Batch {
    /// The columns of `Snapshot::schema`.
    pub rows: RecordBatch,
    /// Twin columns that these rows need: place of the column and exact texts, NULL where the value itself stands.
    pub twins: Vec<(usize, StringArray)>,
    /// Values that a policy changed or moved to a twin: place of the column and how many.
    pub coerced: Vec<(usize, u64)>,
    /// Rows that were read and are none of the stream's, as they stood.
    pub aside: Vec<Aside>,
}

impl Batch {
    /// Rows that needed no policy.
    #[must_use]
    pub const fn exact(rows: RecordBatch) -> Self {
        Self { rows, twins: Vec::new(), coerced: Vec::new(), aside: Vec::new() }
    }

    /// The texts beside a column, or as many NULLs.
    pub(crate) fn twin(&self, at: usize) -> ArrayRef {
        match self.twins.iter().find(|(place, _)| *place == at) {
            Some((_, texts)) => Arc::new(texts.clone()),
            None => new_null_array(&DataType::Utf8, self.rows.num_rows()),
        }
    }

    /// Memory that it holds, about: its rows with their texts, and what is set aside.
    pub(crate) fn memory(&self) -> usize {
        let twins: usize = self.twins.iter().map(|(_, texts)| texts.get_array_memory_size()).sum();
        self.rows.get_array_memory_size() + twins + self.aside.iter().map(Aside::memory).sum::<usize>()
    }

    /// Some of the rows, with their twins. What a policy changed was counted for all of them, and what is set aside stays with all.
    pub(crate) fn slice(&self, from: usize, rows: usize) -> Self {
        let twins = self.twins.iter().map(|(at, texts)| (*at, texts.slice(from, rows))).collect();
        Self { twins, ..Self::exact(self.rows.slice(from, rows)) }
    }
}

/// The committed position of a `new` stream: exact typed text, opaque to the engine, or the list of files that were taken. Stays in
/// the customer's bucket.
#[derive(Clone, PartialEq, Eq)]
pub struct CursorState(Position);

#[derive(Clone, PartialEq, Eq)]
enum Position {
    Text(String),
    Taken(Taken),
}

impl CursorState {
    /// From what a source made or a state file holds.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Position::Text(text.into()))
    }

    /// Of a stream of files.
    #[must_use]
    pub const fn of_taken(taken: Taken) -> Self {
        Self(Position::Taken(taken))
    }

    /// For the source that made it and for the state file; nothing where files were taken.
    #[must_use]
    pub fn reveal(&self) -> &str {
        match &self.0 {
            Position::Text(text) => text,
            Position::Taken(_) => "",
        }
    }

    /// The files that were taken, where it is of files.
    #[must_use]
    pub const fn taken(&self) -> Option<&Taken> {
        match &self.0 {
            Position::Text(_) => None,
            Position::Taken(taken) => Some(taken),
        }
    }

    /// Whether this run takes files by it, so that there is something to commit also where they have no rows.
    pub(crate) fn takes_files(&self) -> bool {
        self.taken().is_some_and(|taken| taken.new_files() > 0)
    }

    /// The same with the place where lists of taken files lie.
    pub(crate) fn on(self, shelf: impl FnOnce() -> Shelf) -> Self {
        match self.0 {
            Position::Text(_) => self,
            Position::Taken(taken) => Self(Position::Taken(taken.on(shelf()))),
        }
    }
}

/// How the end of a stream was proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The grade that the protocol earned.
    pub grade: Grade,
    /// Rows counted by the source in the same snapshot, where asked.
    pub source_count: Option<u64>,
    /// Sums of columns, under the table's names, computed by the source in the same snapshot where asked.
    pub sums: Vec<ColumnSum>,
    /// What the source calls its snapshot (a snapshot id, an ETag list's hash); goes into the receipt only.
    pub snapshot: String,
}

/// A table or file set, for discovery. Names leave the customer's side only below the project's ceiling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// As a stream would be named.
    pub name: String,
    /// Its columns in order.
    pub columns: Vec<TableColumn>,
    /// Rows, about.
    pub rows_estimate: Option<u64>,
    /// Columns of the primary key in order.
    pub key: Vec<String>,
}

/// A column, for discovery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableColumn {
    /// Its name.
    pub name: String,
    /// Its type in the source's words.
    pub source_type: String,
    /// Whether NULLs are allowed.
    pub nullable: bool,
}
