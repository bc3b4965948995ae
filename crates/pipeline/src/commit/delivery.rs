//! What goes into a commit and what comes out of it.
//!
//! `Delivery` and `State` hold a cursor, so they have no `Debug`, `Display` or `Serialize`.

use std::collections::BTreeMap;

use arrow::datatypes::{Field, SchemaRef};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use waybill_model::errand::Errand;
use waybill_model::plan::{Load, StreamPlan, System};
use waybill_model::receipt::{ColumnDrift, Grade};
use waybill_model::{AttemptId, Epoch, RunId};

use crate::commit::OWN_MARK;
use crate::commit::drift::Drift;
use crate::commit::stats::FileStats;
use crate::expect::Expected;
use crate::source::{CursorState, Proof, WindowNote};

/// In whose name a table is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// A stable name of the pipeline: its id, or `once/<pipeline name>` where there is no orchestrator.
    pub pipeline: String,
    /// Accept a table that something else made or that belongs to another pipeline.
    pub take_over: bool,
    /// The epoch that somebody accepted although it stands more than 24 h in the future; the table records it.
    pub accepted: Option<Epoch>,
}

impl Owner {
    /// An owner that takes nothing over.
    pub fn new(pipeline: impl Into<String>) -> Self {
        Self { pipeline: pipeline.into(), take_over: false, accepted: None }
    }
}

/// A data file that is complete in the bucket.
#[derive(Clone, Debug)]
pub struct DataFile {
    /// Where it lies, as [`crate::commit::Table::data_key`] gave it.
    pub key: String,
    /// Its rows.
    pub rows: u64,
    /// Its exact size.
    pub bytes: u64,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// What a reader may skip by: [`FileStats::of_parquet`] makes them from the file's footer.
    pub stats: FileStats,
    /// Its partition's values, by column; empty where the table has no partitions.
    pub partition: BTreeMap<String, Option<String>>,
}

/// What rows were taken from, as digests: a cursor says nothing about the rows of another place or filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Of the source's place.
    pub place: String,
    /// Of the source's table, which under a database's `table` may become another one; none where an older version wrote it.
    #[serde(default)]
    pub table: Option<String>,
    /// Of the row filter.
    pub filter: String,
    /// Of the zone in which a cursor without one is read; none where an older version wrote it.
    #[serde(default)]
    pub zone: Option<String>,
}

impl Origin {
    /// Of a stream of this source.
    #[must_use]
    pub fn of(source: &System, stream: &StreamPlan) -> Self {
        let digest = |text: &str| hex::encode(Sha256::digest(text));
        let filter = serde_json::to_string(&stream.filter).unwrap_or_default();
        let zone = stream.cursor.as_ref().and_then(|cursor| cursor.zone.as_deref()).unwrap_or_default();
        let (table, zone) = (Some(digest(&stream.source_table(source))), Some(digest(zone)));
        Self { place: digest(&source.place()), table, filter: digest(&filter), zone }
    }

    /// What is another now than it was then, of where rows come from at all.
    #[must_use]
    pub fn moved(&self, then: &Self) -> Option<&'static str> {
        if self.place != then.place {
            return Some("the source");
        }
        (then.table.is_some() && self.table != then.table).then_some("the source's table")
    }

    /// What is another now than it was then.
    #[must_use]
    pub fn differs(&self, then: &Self) -> Option<&'static str> {
        if let Some(moved) = self.moved(then) {
            Some(moved)
        } else if self.filter != then.filter {
            Some("the stream's filter")
        } else {
            (then.zone.is_some() && self.zone != then.zone).then_some("`cursor-zone`")
        }
    }
}

/// The rows of other files that stay where new rows take the place of some, or the source has some no more.
#[derive(Clone, Default)]
pub struct Merged {
    /// New files with the rows that stay.
    pub kept: Vec<DataFile>,
    /// The files that go, as the log names them.
    pub replaced: Vec<String>,
    /// Rows of the files that go.
    pub rows_before: u64,
    /// Rows among them that are removed, since the source has their keys no more.
    pub removed: u64,
    /// Rows that stay, from now on with the mark of those that the source has no more.
    pub marked: u64,
    /// Rows that stay and had that mark, and whose keys are back.
    pub unmarked: u64,
}

impl Merged {
    /// Whether nothing of the table changes besides what comes in.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.replaced.is_empty()
    }

    /// Rows that are there no more.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.rows_before.saturating_sub(self.kept.iter().map(|file| file.rows).sum())
    }

    /// Rows whose place is taken.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.dropped().saturating_sub(self.removed)
    }
}

/// What one attempt brings for one stream.
pub struct Delivery {
    /// The run; a later attempt of it adopts the commit.
    pub run: RunId,
    /// The attempt.
    pub attempt: AttemptId,
    /// Its epoch: higher than the one found in the table.
    pub epoch: Epoch,
    /// Whether the files replace the table, are appended or merged in.
    pub load: Load,
    /// What somebody asked for in place of the next window.
    pub errand: Option<Errand>,
    /// The complete data files with the rows that were read.
    pub files: Vec<DataFile>,
    /// Complete files of rows that were read and are none of the stream's.
    pub aside: Vec<DataFile>,
    /// What the rows of a `changed` stream take the place of.
    pub merged: Merged,
    /// The table's columns that rows are merged by; empty for other loads than `changed`.
    pub key: Vec<String>,
    /// The columns of `Snapshot::schema`, without twins.
    pub schema: SchemaRef,
    /// Places of the columns for which any file has a twin (`<name>__text`).
    pub twins: Vec<usize>,
    /// The cursor that becomes current with these rows; none for `full`.
    pub cursor: Option<CursorState>,
    /// What the window's end rests on; none for `full`.
    pub window: Option<WindowNote>,
    /// What the rows were taken from.
    pub origin: Origin,
    /// The source column that the cursor is of.
    pub cursor_column: Option<String>,
    /// Columns that are not as the table had them, and what becomes of them.
    pub drift: Drift,
    /// How the end of the stream was proven.
    pub proof: Proof,
    /// Values that a policy changed or moved to a twin, by column name.
    pub coerced: BTreeMap<String, u64>,
    /// How the stream's expectations came out.
    pub expected: Vec<Expected>,
    /// A replace must keep at least this share of the table's rows, in percent; 0 turns the guard off.
    pub shrink_guard: u8,
}

impl Delivery {
    /// Every file that the commit adds.
    pub(crate) fn all_files(&self) -> impl Iterator<Item = &DataFile> {
        self.files.iter().chain(&self.merged.kept)
    }

    /// Whether a column that the table has not comes into it: it was decided on, or is one of our own.
    #[must_use]
    pub fn brings(&self, column: &str) -> bool {
        let own = |field: &Field| field.metadata().contains_key(OWN_MARK);
        self.drift.new.iter().any(|name| name == column) || self.schema.field_with_name(column).is_ok_and(own)
    }

    /// Rows that were read.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    /// Bytes of the files with the rows that were read.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// The state that a commit made current.
#[derive(Clone)]
pub struct State {
    /// The run that delivered it.
    pub run: RunId,
    /// The attempt that delivered it.
    pub attempt: AttemptId,
    /// Its epoch.
    pub epoch: Epoch,
    /// The pipeline that it belongs to.
    pub pipeline: String,
    /// What the run brought.
    pub load: Load,
    /// What somebody had asked it for in place of the next window.
    pub errand: Option<Errand>,
    /// Where the next `new` run goes on.
    pub cursor: Option<CursorState>,
    /// What its rows were taken from; none where an older version wrote the state.
    pub origin: Option<Origin>,
    /// The source column that the cursor is of; none where an older version wrote the state.
    pub cursor_column: Option<String>,
    /// Columns that the table holds one row of each value of, as far as runs of ours have read the source; empty where the
    /// last run merged nothing.
    pub key: Vec<String>,
    /// Columns of the table in order with their Delta types, twins of earlier runs included.
    pub columns: Vec<(String, String)>,
    /// Those of them that are twins. Only a database's state tells, which has no schema beside it, and none that an older version wrote.
    pub twins: Option<Vec<String>>,
    /// Rows that the run delivered.
    pub rows: u64,
    /// Bytes that the run delivered.
    pub bytes: u64,
    /// Files that the run delivered.
    pub files: u64,
    /// Rows of the whole table after the run, where every file in the log tells its own.
    pub table_rows: Option<u64>,
    /// Values that a policy changed or moved to a twin.
    pub coerced: u64,
    /// Rows that were read and set aside.
    pub aside: u64,
    /// Columns that were not as the table had them before.
    pub drift: ColumnDrift,
    /// How well the count is proven.
    pub grade: Grade,
    /// HMAC of the receipt.
    pub receipt: [u8; 32],
}

impl State {
    /// Whether it came from a run with a limit: what it brought may be a part of the source's rows.
    #[must_use]
    pub const fn is_limited(&self) -> bool {
        matches!(self.errand, Some(Errand::Limit(_)))
    }

    /// What an attempt reports that adopts this delivery of its run, which became visible as this version.
    #[must_use]
    pub const fn delivered(&self, version: u64) -> Delivered {
        Delivered {
            version,
            epoch: self.epoch,
            rows: self.rows,
            bytes: self.bytes,
            files: self.files,
            coerced: self.coerced,
            aside: self.aside,
            drift: self.drift,
            grade: self.grade,
            receipt_digest: self.receipt,
        }
    }
}

/// A commit of this run that an earlier attempt has landed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Version of the log that made it visible, or the newest one where a clean-up took the record of it.
    pub version: u64,
    /// Its epoch.
    pub epoch: Epoch,
    /// Rows delivered.
    pub rows: u64,
    /// Bytes delivered.
    pub bytes: u64,
    /// Files delivered.
    pub files: u64,
    /// Values that a policy changed or moved to a twin.
    pub coerced: u64,
    /// Rows that were read and set aside.
    pub aside: u64,
    /// Columns that were not as the table had them before.
    pub drift: ColumnDrift,
    /// How well the count is proven.
    pub grade: Grade,
    /// HMAC of its receipt.
    pub receipt_digest: [u8; 32],
}

/// Receipt and state are written; only the commit is missing.
pub struct Prepared {
    /// HMAC over the state, which lists every file with its size and SHA-256: what `PrepareCommit` carries.
    pub digest: [u8; 32],
    /// HMAC of the receipt.
    pub receipt_digest: [u8; 32],
    pub(crate) plan: crate::commit::compose::Plan,
}

/// A commit that readers see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its version in the log.
    pub version: u64,
    /// Foreign commits came between, and it was rebuilt on the new head.
    pub rebased: bool,
    /// The outcome of the put was unknown and has been read back.
    pub read_back: bool,
}

/// How a commit ended where it did not fail.
///
/// A failed one says why by its code: `fenced` (a higher epoch is there), `commit_unknown` (the outcome can't be read
/// yet), `table_shrank`, `schema_changed`, `table_changed_by_other`, or one of the `bucket_*` codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// This attempt's commit is visible.
    Landed(Committed),
    /// Another attempt of this run was first; its commit is the run's.
    Adopted(Delivered),
    /// A commit of an earlier run landed meanwhile, so this attempt stands on an old state: the next one starts from the
    /// new one. Asking again changes nothing.
    Overtaken,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn origin(source: &serde_json::Value, name: &str) -> Origin {
        let source: System = serde_json::from_value(source.clone()).expect("a source");
        let stream: StreamPlan = serde_json::from_value(json!({ "name": name, "load": "new" })).expect("a stream");
        Origin::of(&source, &stream)
    }

    #[test]
    fn a_table_is_another_one_by_its_name_and_not_by_its_spelling() {
        let postgres = json!({ "type": "postgres", "host": "h", "database": "d", "user": "u" });
        let mysql = json!({ "type": "mysql", "host": "h", "database": "shop", "user": "u" });
        let sqlite = json!({ "type": "sqlite", "path": "/x" });
        for (source, same, other) in [
            (&postgres, ["raw.t", "RAW.T", "raw.\"t\""], ["raw.t_2", "t", "raw.\"T\""]),
            (&mysql, ["t", "shop.t", "\"shop\".\"t\""], ["T", "old.t", "t_2"]),
            (&sqlite, ["t", "t", "t"], ["u", "\"t\"", "main.t"]),
        ] {
            let first = origin(source, same[0]);
            assert!(same.iter().all(|name| origin(source, name).differs(&first).is_none()), "{source}");
            for name in other {
                assert_eq!(origin(source, name).differs(&first), Some("the source's table"), "{source}: {name}");
            }
        }
        // What an older version wrote does not say, and is believed.
        let mut older = serde_json::to_value(origin(&sqlite, "t")).expect("JSON");
        older.as_object_mut().expect("an object").remove("table");
        let older = serde_json::from_value(older).expect("an origin");
        assert_eq!(origin(&sqlite, "u").differs(&older), None);
    }
}
