//! What a worker and the orchestrator say to each other during an attempt, in the product's own nouns.
//!
//! `protocol` turns these into wire messages and back. Nothing here may hold a row, a cursor, a file name or free text.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::epoch::Epoch;
use crate::errand::Errand;
use crate::event::Event;
use crate::failure::FailureCode;
use crate::id::{PipelineId, RunId};
use crate::receipt::StreamOutcome;
use crate::run::{RunKind, StreamState, named};

/// What a worker is asked to do. Asked again, the orchestrator answers the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The run.
    pub run: RunId,
    /// The pipeline that owns the tables.
    pub pipeline: PipelineId,
    /// Fencing number of the attempt.
    pub epoch: Epoch,
    /// The epoch that a user accepted for this pipeline although it stood more than 24 h in the future.
    pub accepted_epoch: Option<Epoch>,
    /// What kind of run.
    pub kind: RunKind,
    /// The plan in canonical JSON; references to secrets, never secrets.
    pub plan: Vec<u8>,
    /// Streams to run, by their place in the plan.
    pub streams: Vec<u32>,
    /// What is done with some of them in place of their next window.
    pub errands: BTreeMap<u32, Errand>,
    /// Bounds that the orchestrator holds the worker to.
    pub bounds: Bounds,
    /// Most bytes of names that discovery may send; 0 forbids it.
    pub name_ceiling_bytes: u64,
    /// The customer's signature over the bytes of the plan, where one was brought.
    pub signature: Option<String>,
    /// Rows of each stream that a preview takes; 0 for other kinds.
    pub preview_rows: u64,
}

/// Time bounds of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Between reports at most.
    pub heartbeat: Duration,
    /// How long the worker goes on copying without an answer; it does not commit in that time.
    pub offline_grace: Duration,
    /// Oldest grant that a commit may be made under.
    pub grant: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(10),
            offline_grace: Duration::from_secs(15 * 60),
            grant: Duration::from_secs(45),
        }
    }
}

named! {
    /// What the worker should do from now on.
    Directive {
        /// Go on.
        Continue = "continue",
        /// End now: stop reading, abort uploads, report.
        Cancel = "cancel",
        /// Finish the streams that are under way, begin no others.
        Drain = "drain",
        /// Another attempt took over: stop at once, exit 75, touch nothing.
        Fenced = "fenced",
    }
}

/// One message of the worker's side; idempotent by attempt and `seq`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Rises by one with every message of the attempt.
    pub seq: u64,
    /// Fencing number of the attempt.
    pub epoch: Epoch,
    /// Progress of streams that moved since the last message.
    pub progress: Vec<Progress>,
    /// What happened since the last message.
    pub events: Vec<Event>,
}

/// Numbers of one stream so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Its place in the plan.
    pub stream: u32,
    /// Where it is.
    pub state: StreamState,
    /// Rows read.
    pub rows: u64,
    /// Bytes written to data files.
    pub bytes: u64,
    /// Data files closed.
    pub files: u64,
    /// Rows that the source expects in all, where it has an estimate.
    pub rows_estimate: Option<u64>,
}

named! {
    /// How an attempt ended, in the worker's own words.
    Outcome {
        /// All streams delivered.
        Succeeded = "succeeded",
        /// At least one stream failed.
        Failed = "failed",
        /// Stopped as asked.
        Canceled = "canceled",
    }
}

/// The outcome of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// How it ended.
    pub outcome: Outcome,
    /// Every stream of the assignment.
    pub streams: Vec<StreamOutcome>,
    /// Why, where the attempt as a whole failed.
    pub failure: Option<FailureCode>,
    /// What discovery found; only for that kind of run.
    pub tables: Vec<DiscoveredTable>,
    /// Tables that were left out since they would not fit the ceiling.
    pub tables_withheld: u64,
}

/// A table or file set, from discovery. The only names that ever leave.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DiscoveredTable {
    /// As a stream would be named.
    pub name: String,
    /// Its columns in order.
    pub columns: Vec<DiscoveredColumn>,
    /// Rows, about.
    pub rows_estimate: Option<u64>,
    /// Columns of the primary key, by their place above.
    pub key: Vec<u32>,
}

/// A column, from discovery.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DiscoveredColumn {
    /// Its name.
    pub name: String,
    /// Its type in the source's words.
    pub source_type: String,
    /// Whether NULLs are allowed.
    pub nullable: bool,
}

impl DiscoveredTable {
    /// Bytes of names in it, as the project's ceiling counts them.
    #[must_use]
    pub fn name_bytes(&self) -> u64 {
        let columns: usize = self.columns.iter().map(|c| c.name.len() + c.source_type.len()).sum();
        (self.name.len() + columns) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_bounds_are_pinned() {
        let bounds = Bounds::default();
        assert_eq!(bounds.heartbeat, Duration::from_secs(10));
        assert_eq!(bounds.offline_grace, Duration::from_secs(900));
        assert_eq!(bounds.grant, Duration::from_secs(45));
    }
}
