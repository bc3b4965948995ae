//! Runs, their attempts and streams, what discovery found, and digests of receipts.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use waybill_model::run::RunKind;
use waybill_model::{AttemptId, ConnectionId, PipelineId, ProjectId, RunId};

use crate::action::AllowedAction;
use crate::open::{
    AttemptStateWord, DesiredWord, FailureCodeWord, GradeWord, RunKindWord, RunStateWord, StreamStateWord,
};
use crate::timestamp::Timestamp;

mod examples;

/// Starts a run or a preview of a pipeline, or a check or discovery of one connection.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RunStart {
    /// The pipeline; either this or `connection_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub pipeline_id: Option<PipelineId>,
    /// The connection, for `check` and `discover`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub connection_id: Option<ConnectionId>,
    /// `sync`, `preview`, `check` or `discover`; `sync` where absent. A preview writes the first rows of each stream into the
    /// pipeline's bucket, for people to look at there, and touches no table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub kind: Option<RunKind>,
    /// Only these streams, by name; all where absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub streams: Vec<String>,
    /// These streams are read whole, by name, whatever their load and cursor, and each replaces its table in one commit, columns
    /// included. Only they and `streams` run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reload: Vec<String>,
    /// The windows of these streams begin with the first row, by name, whatever cursors their tables keep; rows are merged by
    /// their key, so only streams of `load: changed` take it. Only they and the others that are named run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forget_cursor: Vec<String>,
    /// Ranges of a cursor that are read once more and merged by key; the tables keep their cursors. Only streams of
    /// `load: changed` take it; only they and the others that are named run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backfill: Vec<Backfill>,
    /// So many rows of each stream at most, the first that the source gives, as a try before the first whole run: into tables that
    /// are not there, are empty, or were filled by such a run. The next run without it brings all rows in their place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub limit: Option<u64>,
    /// How many rows of each stream a preview takes, 1 to 10000; 100 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}

/// A range of one stream's cursor: from the first bound on, up to the second and without it. One of them may be absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Backfill {
    /// The stream, by name.
    pub stream: String,
    /// The first bound: a whole number, `2026-01-31` or `2026-01-31T12:00:00` for a cursor without a zone, with `Z` or an offset
    /// for one with a zone. It begins with the first row where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The second bound, of the same kind. It ends where a window does where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// One execution of a pipeline.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Run {
    /// Its id.
    #[schema(value_type = String)]
    pub id: RunId,
    /// Its project.
    #[schema(value_type = String)]
    pub project_id: ProjectId,
    /// Its pipeline; none where it checks or discovers a connection, or tests a data plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub pipeline_id: Option<PipelineId>,
    /// Name of the pipeline, connection or data plane when it was triggered.
    pub subject: String,
    /// Version of the pipeline that it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline_version: Option<u64>,
    /// What it does.
    pub kind: RunKindWord,
    /// Where it is.
    pub state: RunStateWord,
    /// What is wanted of it.
    pub desired: DesiredWord,
    /// What started it: `manual`, `schedule` or `retry`.
    pub trigger: String,
    /// What it waits for, where it is not final yet: a phrase for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Attempts so far.
    pub attempts: u32,
    /// Streams in all.
    pub streams_total: u32,
    /// Streams whose rows readers see.
    pub streams_delivered: u32,
    /// The final run that this one retries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub retry_of: Option<RunId>,
    /// When it was triggered.
    pub created_at: Timestamp,
    /// When its first worker enrolled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it became final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// When its events were removed: they are kept for a shorter time than the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events_removed_at: Option<Timestamp>,
    /// What the caller may do with it.
    #[serde(default)]
    pub allowed_actions: Vec<AllowedAction>,
}

/// A run with its streams and attempts.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RunDetail {
    /// The run.
    #[serde(flatten)]
    pub run: Run,
    /// Its streams, in the plan's order.
    pub streams: Vec<RunStream>,
    /// Its attempts, first one first.
    pub attempt_list: Vec<Attempt>,
    /// The system that it writes to, where its full log is too; references to secrets, never secrets. None for a test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub destination: Option<Value>,
}

/// Why something failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// The code.
    pub code: FailureCodeWord,
    /// What a person should do next.
    pub hint: String,
}

/// A stream within a run.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RunStream {
    /// Its place in the plan.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// It is read whole, whatever its load, in place of what the table has.
    #[serde(default)]
    pub reload: bool,
    /// Its window begins with the first row, whatever cursor its table keeps.
    #[serde(default)]
    pub forget_cursor: bool,
    /// The range of its cursor that is read once more; absent where none was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backfill: Option<BackfillRange>,
    /// The run brings no more than so many rows of it: its table is not the whole one. Absent where there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Where it is.
    pub state: StreamStateWord,
    /// Rows read so far, or delivered. Absent where nothing is known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Bytes of its data files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Its data files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    /// Rows that the source expects in all: an estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_estimate: Option<u64>,
    /// Values that a policy changed or moved to a twin column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coerced: Option<u64>,
    /// Columns that are others than its table's; absent where there are none. Their names stand in the worker's log and in the
    /// receipt, which stay in the customer's bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<ColumnDrift>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Its commit was found only after the run had ended.
    #[serde(default)]
    pub delivered_late: bool,
}

/// A range of a cursor, as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackfillRange {
    /// The first bound; absent where it begins with the first row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The second bound, which is not in it; absent where it ends where a window does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// How many columns of a stream are others than its table's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ColumnDrift {
    /// Columns that the table had not: added where the stream was delivered, undecided where it failed with `columns_undecided`.
    pub new: u64,
    /// Columns of the table that the stream has no more.
    pub gone: u64,
    /// Columns of another type than the table's.
    pub changed: u64,
    /// Columns that the table has not and that were left out.
    pub ignored: u64,
}

/// One try of a run on one worker.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// Its id.
    #[schema(value_type = String)]
    pub id: AttemptId,
    /// Its run.
    #[schema(value_type = String)]
    pub run_id: RunId,
    /// Its number within the run, from 1.
    pub number: u32,
    /// Where it is.
    pub state: AttemptStateWord,
    /// Its fencing number.
    pub epoch: i64,
    /// The cloud's name of its task, where one was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its worker enrolled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolled_at: Option<Timestamp>,
    /// When it became final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}

/// What the orchestrator may know of what a run delivered. The full receipts stand in the customer's bucket.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ReceiptDigest {
    /// The run.
    #[schema(value_type = String)]
    pub run_id: RunId,
    /// Its streams, in the plan's order.
    pub streams: Vec<StreamReceipt>,
}

/// The same for one stream.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct StreamReceipt {
    /// Its place in the plan.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Where it ended.
    pub state: StreamStateWord,
    /// Rows delivered by this run.
    pub rows: u64,
    /// Bytes of its data files.
    pub bytes: u64,
    /// Its data files.
    pub files: u64,
    /// Values that a policy changed or moved to a twin column.
    pub coerced: u64,
    /// How well the row count is proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grade: Option<GradeWord>,
    /// Version of the commit log that made it visible; absent where nothing was committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// HMAC-SHA-256 of the receipt under the bucket's digest key, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// An earlier attempt's commit was found and nothing was copied.
    #[serde(default)]
    pub adopted: bool,
}

/// What a discovery found. The only names of the source that ever leave the customer's cloud.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Discovery {
    /// The tables or file sets.
    pub tables: Vec<DiscoveredTable>,
    /// Tables that were left out since they would not fit the ceiling.
    pub tables_withheld: u64,
}

/// A table or file set.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DiscoveredTable {
    /// As a stream would be named.
    pub name: String,
    /// Its columns in order.
    pub columns: Vec<DiscoveredColumn>,
    /// Rows, about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_estimate: Option<u64>,
    /// Names of the primary key's columns.
    #[serde(default)]
    pub key: Vec<String>,
}

/// A column.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DiscoveredColumn {
    /// Its name.
    pub name: String,
    /// Its type in the source's words.
    pub source_type: String,
    /// Whether NULLs are allowed.
    pub nullable: bool,
}
