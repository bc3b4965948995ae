//! What the orchestrator may know of a delivered stream: numbers, a grade and a digest. The full receipt stays in the bucket.

use serde::{Deserialize, Serialize};

use crate::epoch::Epoch;
use crate::failure::FailureCode;
use crate::run::{StreamState, named};

named! {
    /// How well the row count is proven.
    Grade {
        /// The source was counted in the same snapshot.
        Verified = "verified",
        /// The protocol proved the end of the stream.
        Counted = "counted",
        /// Neither.
        Unchecked = "unchecked",
    }
}

/// How many columns of a stream were others than its table's, whatever became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnDrift {
    /// Columns that the table had not: added where the stream was delivered, undecided where it failed for them.
    pub new: u64,
    /// Columns that the stream has no more.
    pub gone: u64,
    /// Columns of another type.
    pub changed: u64,
    /// Columns that the table has not and that were left out.
    pub ignored: u64,
}

impl ColumnDrift {
    /// Whether the columns are the table's.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// The outcome of one stream of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamOutcome {
    /// Its place in the plan.
    pub stream: u32,
    /// Where it ended.
    pub state: StreamState,
    /// Rows delivered by this run.
    pub rows: u64,
    /// Bytes of its data files.
    pub bytes: u64,
    /// Its data files.
    pub files: u64,
    /// Values that a policy changed or moved to a twin column.
    pub coerced: u64,
    /// How well the count is proven.
    pub grade: Grade,
    /// Version of the commit log that made it visible; none where nothing was committed.
    pub version: Option<u64>,
    /// Epoch found in the bucket after the attempt.
    pub epoch: Option<Epoch>,
    /// HMAC-SHA-256 of the receipt under the bucket's digest key, in hex.
    pub receipt: Option<String>,
    /// The commit of an earlier attempt of this run was found and nothing was copied.
    pub adopted: bool,
    /// Why it failed.
    pub failure: Option<FailureCode>,
    /// Columns that are others than the table's.
    #[serde(default, skip_serializing_if = "ColumnDrift::is_none")]
    pub columns: ColumnDrift,
}
