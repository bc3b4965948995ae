//! The closed catalogue of what a worker may say about a run besides numbers of progress.
//!
//! An event is a code and typed arguments; the sentence that a person reads is made from it on the orchestrator's side.

use serde::{Deserialize, Serialize};

use crate::failure::FailureCode;
use crate::run::named;
use crate::time::Micros;

named! {
    /// What happened, from the closed list.
    EventCode {
        /// The attempt holds its certificate and its plan.
        WorkerStarted = "worker_started",
        /// The guard allowed the plan.
        PlanAllowed = "plan_allowed",
        /// A stream's snapshot is open and its ranges are planned; `count` is their number.
        SnapshotOpened = "snapshot_opened",
        /// A data file is complete in the bucket; `rows` and `bytes` of it.
        PartUploaded = "part_uploaded",
        /// A range is read again after a passing failure; `count` is the try.
        RangeRetried = "range_retried",
        /// Values were kept as text beside a NULL, or changed by a policy; `count` of them.
        ValuesCoerced = "values_coerced",
        /// Rows without a cursor were met; `count` of them.
        CursorNulls = "cursor_nulls",
        /// Files were rewritten after they were taken, and come again or are left out, as the stream says; `count` of them.
        FilesRewritten = "files_rewritten",
        /// Rows could not be read as rows of the stream and were set aside in the bucket; `count` of them.
        RowsQuarantined = "rows_quarantined",
        /// The window could not advance since a prepared transaction is open.
        WindowHeld = "window_held",
        /// Other sessions' times are hidden: a fixed lag is used, and late commits are not promised.
        WindowFixedLag = "window_fixed_lag",
        /// A foreign commit came between; the commit was rebuilt on the new head.
        CommitRebased = "commit_rebased",
        /// The outcome was unknown and has been read back.
        CommitReadBack = "commit_read_back",
        /// An earlier attempt's commit was found; nothing was copied.
        CommitAdopted = "commit_adopted",
        /// Rows that were there before gave their place to new ones with their keys; `count` of them.
        RowsReplaced = "rows_replaced",
        /// Rows whose key the source has no more were removed or marked; `count` of them.
        RowsDeleted = "rows_deleted",
        /// The table got columns that the source has and it had not; `count` of them.
        ColumnsAdded = "columns_added",
        /// Columns that the source has and the table has not were left out; `count` of them.
        ColumnsIgnored = "columns_ignored",
        /// Columns that are others than the table's stand in the stream's way; `count` of them.
        ColumnsDiffer = "columns_differ",
        /// Rows are not what the stream expects, so it fails; `count` is the expectation's number in the stream's list, `rows` how
        /// many.
        ExpectationFailed = "expectation_failed",
        /// The same of an expectation that only warns.
        ExpectationWarned = "expectation_warned",
        /// Sums of columns are the same at both ends; `count` of them.
        ChecksumsAgree = "checksums_agree",
        /// Sums of columns are not the same at both ends, so the stream fails; `count` of them.
        ChecksumsDiffer = "checksums_differ",
        /// Readers see the stream's new rows.
        StreamCommitted = "stream_committed",
        /// The first rows are in the bucket, for people to look at; `rows` and `bytes` of them.
        PreviewWritten = "preview_written",
        /// Nothing was new; nothing was committed.
        StreamUnchanged = "stream_unchanged",
        /// A stream ended with a failure code.
        StreamFailed = "stream_failed",
        /// A reference to a secret could not be followed; `count` is its place in the plan's list of them.
        SecretFailed = "secret_failed",
        /// A part of a check passed; `count` is its place in the list of checks.
        CheckPassed = "check_passed",
        /// A store asked to slow down and was waited for; `count` is how often since this was last told.
        StoreThrottled = "store_throttled",
        /// The orchestrator could not be reached for a while; `millis` of it.
        LinkLost = "link_lost",
        /// The worker stops as it was asked to.
        StopBegun = "stop_begun",
        /// A defect: `digest` is the hash of its source location.
        WorkerPanicked = "worker_panicked",
    }
}

/// How loud an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Worth keeping.
    Info,
    /// Worth a look.
    Warn,
    /// Needs somebody.
    Error,
}

impl EventCode {
    /// How loud it is.
    #[must_use]
    pub const fn level(self) -> Level {
        match self {
            Self::StreamFailed
            | Self::ExpectationFailed
            | Self::ChecksumsDiffer
            | Self::SecretFailed
            | Self::WorkerPanicked => Level::Error,
            Self::RangeRetried
            | Self::ValuesCoerced
            | Self::CursorNulls
            | Self::FilesRewritten
            | Self::RowsQuarantined
            | Self::ColumnsDiffer
            | Self::ExpectationWarned
            | Self::WindowHeld
            | Self::WindowFixedLag
            | Self::CommitRebased
            | Self::CommitReadBack
            | Self::StoreThrottled
            | Self::LinkLost => Level::Warn,
            _ => Level::Info,
        }
    }

    /// What follows for the reader of a table, and what ends it, where the code alone does not tell.
    #[must_use]
    pub const fn advice(self) -> Option<&'static str> {
        match self {
            Self::WindowHeld => Some("newer rows come with a run after its end"),
            Self::WindowFixedLag => Some(
                "rows of the last minutes (Postgres, MariaDB and MySQL: 5, on a Postgres replica before the newest transaction that \
                 it has replayed; SQLite: `cursor-margin`) come with a later run, and one that commits later still may be missed; on a Postgres primary `GRANT pg_read_all_stats` to the source's user \
                 ends it, on a MariaDB primary `GRANT PROCESS`; neither does for rows that a subscription or a foreign table brings, nor for \
                 numbers of a sequence with a cache, which have no lag: on Postgres `cursor: xmin` misses none that this server keeps",
            ),
            _ => None,
        }
    }
}

/// One event. Every field is a number or comes from a closed list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, by the worker's clock.
    pub at: Micros,
    /// What.
    pub code: EventCode,
    /// Which stream of the plan, by its place there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<u32>,
    /// Rows, where the code has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Bytes, where the code has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// A count, where the code has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// A duration in milliseconds, where the code has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub millis: Option<u64>,
    /// Why, where the code is a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureCode>,
    /// SQLSTATE from the compiled list, or `other`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sqlstate: Option<String>,
    /// The first eight bytes of SHA-256 over `file:line` of a panic, as a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<u64>,
}

impl Event {
    /// An event of this code, now, without arguments.
    #[must_use]
    pub fn new(code: EventCode) -> Self {
        Self {
            at: Micros::now(),
            code,
            stream: None,
            rows: None,
            bytes: None,
            count: None,
            millis: None,
            failure: None,
            sqlstate: None,
            location: None,
        }
    }

    /// The same for one stream of the plan.
    #[must_use]
    pub fn of_stream(code: EventCode, stream: u32) -> Self {
        Self { stream: Some(stream), ..Self::new(code) }
    }
}
