//! What a database must offer as a destination: rows are sent into one transaction of a stream, and become visible in it
//! together with the state that says so, or not at all.
//!
//! It knows no vendor. Everything that is not committed vanishes with its connection, so nothing is swept later. A table
//! is opened, rows are sent, [`DatabaseTable::prepare`] does all but the commit, and whoever gives leave is asked then.

mod record;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use waybill_model::plan::{Load, StreamPlan, System};
use waybill_model::{AttemptId, RunId};

use crate::bucket::Bucket;
use crate::commit::{Delivery, Outcome, Owner, Retyped, State};
use crate::fault::FaultResult;
use crate::source::Batch;

pub use crate::engine::DELETED_AT;
pub use crate::merge::guard_deletes;
pub use record::{digest, read_state, write_state};

/// Where tables are written.
#[derive(Clone)]
pub enum Destination {
    /// Files below a prefix, with a commit log.
    Bucket(Arc<dyn Bucket>),
    /// Tables of a database.
    Database(Arc<dyn Database>),
}

impl Destination {
    /// The address for people and receipts, without credentials.
    #[must_use]
    pub fn url(&self) -> String {
        match self {
            Self::Bucket(bucket) => bucket.url(),
            Self::Database(database) => database.url(),
        }
    }

    /// The bucket, where it is one.
    #[must_use]
    pub const fn bucket(&self) -> Option<&Arc<dyn Bucket>> {
        match self {
            Self::Bucket(bucket) => Some(bucket),
            Self::Database(_) => None,
        }
    }

    /// Bytes on their way that one lane may hold besides its batches.
    pub(crate) fn buffer(&self) -> u64 {
        match self {
            Self::Bucket(bucket) => bucket.upload_buffer(),
            Self::Database(database) => database.buffer(),
        }
    }
}

/// What one attempt wants to write to one table.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// The stream.
    pub stream: &'a StreamPlan,
    /// How its rows come into the table: what the stream says, or `full` where it is reloaded.
    pub load: Load,
    /// Where its rows come from: a source of the same kind gets its own types back.
    pub source: &'a System,
    /// In whose name.
    pub owner: &'a Owner,
    /// The run.
    pub run: RunId,
    /// The attempt.
    pub attempt: AttemptId,
}

/// A database as a destination, configured for one connection, with ways to its secrets.
#[async_trait]
pub trait Database: Send + Sync {
    /// The address for people and receipts, without credentials.
    fn url(&self) -> String;

    /// Connects and logs in, without looking at any table.
    async fn reach(&self) -> FaultResult<()>;

    /// Looks for a stream's table and for what was committed to it last; refuses one that is not ours, and a role that could
    /// not write. Writes nothing.
    async fn open(&self, wanted: Wanted<'_>) -> FaultResult<Arc<dyn DatabaseTable>>;

    /// Bytes on their way that one lane may hold besides its batches.
    fn buffer(&self) -> u64 {
        8 << 20
    }
}

/// One table as one attempt sees it. Dropping it takes everything back that was not committed.
#[async_trait]
pub trait DatabaseTable: Send + Sync {
    /// What was committed last; none for a new table, and for one that something else made.
    fn state(&self) -> Option<&State>;

    /// Whether the table is there: somebody may have dropped it since the last commit.
    fn is_there(&self) -> bool;

    /// How many commits of ours the table has.
    fn version(&self) -> u64;

    /// Opens the transaction that rows of these columns are sent into, and compares their types with the table's.
    async fn begin(&self, schema: SchemaRef) -> FaultResult<Arc<dyn RowSink>>;

    /// Ends the rows and opens the way for the keys of all rows of the source: columns of these places, in this order. None where
    /// there was no table that could hold others.
    async fn begin_keys(&self, key: &[usize]) -> FaultResult<Option<Arc<dyn RowSink>>>;

    /// Everything but the commit: the fence, the rows in their place, those that the source has no more where its keys came,
    /// the state beside them. None where nothing changes: such a run commits nothing.
    async fn prepare(&self, delivery: &Delivery) -> FaultResult<Option<Placed>>;

    /// Commits, or finds out what became of it. May be called again after `commit_unknown` or `target_unreachable`.
    async fn commit(&self) -> FaultResult<Outcome>;
}

/// What stands in its place and is not committed yet.
pub struct Placed {
    /// The digest of the state.
    pub digest: [u8; 32],
    /// What became of rows that the source has no more, or has again.
    pub swept: Swept,
}

/// Rows of the table that the source has no more, or has again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swept {
    /// Rows that were removed.
    pub removed: u64,
    /// Rows that got the mark.
    pub marked: u64,
    /// Rows that lost it.
    pub unmarked: u64,
}

/// Rows of one batch as the database takes them.
pub struct Chunk {
    /// Rows in it.
    pub rows: u64,
    /// Their bytes.
    pub bytes: Vec<u8>,
    /// Places of the columns whose twins are in it.
    pub twins: Vec<usize>,
}

/// Takes the rows of all lanes of a stream.
#[async_trait]
pub trait RowSink: Send + Sync {
    /// Columns that the table has in another type than these rows bring.
    fn retyped(&self) -> Vec<Retyped>;

    /// Places of the columns whose texts in this batch need a column of their own, since the table's type holds no such value.
    fn twins(&self, batch: &Batch) -> Vec<usize>;

    /// Encodes rows with the twins of these places, in order. Takes a processor's time and does no I/O.
    fn encode(&self, batch: &Batch, twins: &[usize]) -> FaultResult<Chunk>;

    /// Sends rows; waits while too many are on their way.
    async fn send(&self, chunk: Chunk) -> FaultResult<()>;
}
