//! The plain commit log, `_waybill/commits/<version>.json`: one object for each version, which names every live file.
//!
//! It is what a Delta log is to Delta tables: written once per version, sealed, and naming the state that it stands on. A
//! reader needs the newest object only. Only commits of ours stand in it, and none of them is ever cleaned up.

mod replay;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use waybill_model::{AttemptId, Epoch, FailureCode, RunId};

use crate::commit::action::{Stamp, corrupt, rows_told};
use crate::commit::compose::{Change, Plan, Work};
use crate::commit::digest::{DigestKey, Sealed};
use crate::commit::key;
use crate::commit::log::{Active, Head, Ours};
use crate::fault::{Fault, FaultResult};

/// What an object begins with, up to its seal.
pub(crate) const HEAD: &str = "{\"seal\":\"";
/// What separates its seal from other seals.
pub(crate) const PURPOSE: &str = "plain-commit";
/// The form of the objects.
const FORMAT: u32 = 1;

/// One version.
pub(crate) struct PlainCommit {
    /// The live files as this version has them.
    pub(crate) files: BTreeMap<String, Active>,
    /// The table in the form of Delta's `metaData`.
    pub(crate) metadata: Map<String, Value>,
    pub(crate) ours: Ours,
    /// When it was made, in milliseconds since 1970.
    pub(crate) timestamp: i64,
    /// What it did.
    pub(crate) operation: String,
}

#[derive(Deserialize)]
struct Record {
    format: u32,
    version: u64,
    timestamp: i64,
    operation: String,
    run: RunId,
    attempt: AttemptId,
    epoch: Epoch,
    state: String,
    receipt: String,
    parent: Option<String>,
    table: TableRecord,
    files: Vec<FileRecord>,
    added: Vec<String>,
    removed: Vec<String>,
}

#[derive(Deserialize)]
struct TableRecord {
    id: String,
    format: String,
    created: i64,
    schema: Value,
}

#[derive(Deserialize)]
struct FileRecord {
    path: String,
    bytes: u64,
    rows: u64,
    #[serde(default)]
    stats: Option<Value>,
}

impl PlainCommit {
    /// Reads a version that must be as it was written.
    pub(crate) fn parse(version: u64, body: &[u8], digest: Option<&DigestKey>) -> FaultResult<Self> {
        let text = std::str::from_utf8(body).map_err(|_| corrupt(version, "is not UTF-8"))?;
        let digest = digest.ok_or_else(|| corrupt(version, "can't be checked: the digest key is missing"))?;
        Sealed::read(digest, PURPOSE, HEAD, text).ok_or_else(|| corrupt(version, "is not as it was written"))?;
        let record: Record = serde_json::from_str(text).map_err(|_| corrupt(version, "can't be read"))?;
        if record.format != FORMAT {
            return Err(corrupt(version, "has a newer format"));
        }
        if record.version != version {
            return Err(corrupt(version, "is another version"));
        }
        let files: BTreeMap<String, Active> = record.files.into_iter().map(FileRecord::active).collect();
        let added = record.added.iter().filter_map(|path| Some((path.clone(), files.get(path)?)));
        let added: Vec<_> = added.map(|(path, file)| (path, file.size, file.stats.clone())).collect();
        if added.len() != record.added.len() {
            return Err(corrupt(version, "adds a file that it does not name"));
        }
        let (epoch, state, receipt, parent) = (record.epoch, record.state, record.receipt, record.parent);
        let stamp = Stamp { run: record.run, attempt: record.attempt, epoch, state, receipt, parent };
        Ok(Self {
            files,
            metadata: record.table.metadata(),
            ours: Ours { version, stamp, added, removed: record.removed },
            timestamp: record.timestamp,
            operation: record.operation,
        })
    }

    /// Whether its files are those of the version before with what it changed.
    pub(crate) fn follows(&self, before: &BTreeMap<String, Active>) -> bool {
        let removed: BTreeSet<&String> = self.ours.removed.iter().collect();
        let added: BTreeSet<&String> = self.ours.added.iter().map(|(path, ..)| path).collect();
        let stayed: BTreeSet<&String> = before.keys().filter(|path| !removed.contains(path)).collect();
        removed.iter().all(|path| before.contains_key(*path))
            && stayed.is_disjoint(&added)
            && stayed.union(&added).copied().eq(self.files.keys())
    }
}

impl TableRecord {
    fn metadata(self) -> Map<String, Value> {
        Map::from_iter([
            ("id".to_owned(), json!(self.id)),
            ("format".to_owned(), json!({"provider": self.format, "options": {}})),
            ("configuration".to_owned(), json!({})),
            ("createdTime".to_owned(), json!(self.created)),
            ("partitionColumns".to_owned(), json!([])),
            ("schemaString".to_owned(), json!(self.schema.to_string())),
        ])
    }
}

impl FileRecord {
    fn active(self) -> (String, Active) {
        let stats = self.stats.unwrap_or_else(|| rows_alone(self.rows)).to_string();
        let file = Active { size: self.bytes, rows: Some(self.rows), partition: BTreeMap::new(), stats: Some(stats) };
        (self.path, file)
    }

    /// Statistics that tell no more than the rows are left out.
    fn write(path: &str, file: &Active) -> Value {
        let mut record = json!({"path": path, "bytes": file.size, "rows": file.rows});
        let stats = file.stats.as_deref().and_then(|stats| serde_json::from_str::<Value>(stats).ok());
        if let Some(stats) = stats.filter(|stats| *stats != rows_alone(file.rows.unwrap_or(0))) {
            record["stats"] = stats;
        }
        record
    }
}

fn rows_alone(rows: u64) -> Value {
    json!({"numRecords": rows})
}

/// The whole body of a commit on top of `head`.
pub(crate) fn body(plan: &Plan, change: &Change, head: &Head, key: &DigestKey) -> FaultResult<Bytes> {
    let intent = &plan.intent;
    let version = head.version.map_or(0, |version| version + 1);
    let removed = change.removed();
    let files = left(head.files.clone(), &removed);
    let restored = match &intent.work {
        Work::Restore(then) => then.files.iter().filter(|(path, _)| !head.files.contains_key(*path)).collect(),
        Work::Load(_) | Work::Fence(_) => Vec::new(),
    };
    let new = intent.adds.iter().map(|file| {
        let rows = rows_told(&file.stats);
        let (partition, stats) = (file.partition.clone(), Some(file.stats.clone()));
        let active = Active { size: file.size, rows, partition, stats };
        (key::to_log(&file.path), active)
    });
    let come: Vec<(String, Active)> =
        restored.into_iter().map(|(path, file)| (path.clone(), file.clone())).chain(new).collect();
    let added: Vec<&String> = come.iter().map(|(path, _)| path).collect();
    let record = json!({
        "format": FORMAT, "version": version, "timestamp": intent.now, "operation": operation(&intent.work),
        "writer": concat!("waybill/", env!("CARGO_PKG_VERSION")),
        "run": intent.run, "attempt": intent.attempt, "epoch": intent.epoch, "state": plan.state, "receipt": plan.receipt,
        "parent": plan.parent, "table": table(change, head)?, "added": added, "removed": removed,
        "rows": files.values().chain(come.iter().map(|(_, file)| file)).filter_map(|file| file.rows).fold(0, u64::saturating_add),
        "files": files.iter().chain(come.iter().map(|(path, file)| (path, file)))
            .map(|(path, file)| FileRecord::write(path, file)).collect::<Vec<_>>(),
    });
    let text = record.to_string();
    let text = Sealed::write(key, PURPOSE, HEAD, text.trim_start_matches('{')).1;
    Ok(Bytes::from(text))
}

/// The files that stay. As many may go as there are.
fn left(mut files: BTreeMap<String, Active>, removed: &[&str]) -> BTreeMap<String, Active> {
    let removed: BTreeSet<&str> = removed.iter().copied().collect();
    files.retain(|path, _| !removed.contains(path.as_str()));
    files
}

/// What the commit does, in a word.
const fn operation(work: &Work) -> &'static str {
    match work {
        Work::Load(load) => load.as_str(),
        Work::Fence(_) => "gc",
        Work::Restore(_) => "rollback",
    }
}

/// The table as it is after the commit.
fn table(change: &Change, head: &Head) -> FaultResult<Value> {
    let missing = || Fault::new(FailureCode::WorkerBug, "a commit of a table without metadata");
    let changed = change.metadata().and_then(|action| action.get("metaData")).and_then(Value::as_object);
    let metadata = changed.or(head.metadata.as_ref()).ok_or_else(missing)?;
    let text = |name: &str| metadata.get(name).and_then(Value::as_str).unwrap_or_default();
    let schema: Value = serde_json::from_str(text("schemaString")).map_err(|_| missing())?;
    Ok(json!({
        "id": text("id"), "format": metadata.get("format").and_then(|format| format.get("provider")),
        "created": metadata.get("createdTime"), "schema": schema,
    }))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_table_of_many_files_is_replaced_without_a_look_at_each_for_each() {
        let path = |at: usize| format!("data/run/{at:08}.csv");
        let files: BTreeMap<String, Active> = (0..=200_000).map(|at| (path(at), Active::default())).collect();
        let removed: Vec<String> = (0..200_000).map(path).collect();
        let removed: Vec<&str> = removed.iter().map(String::as_str).collect();
        let began = Instant::now();
        let left = left(files, &removed);
        assert_eq!(left.into_keys().collect::<Vec<_>>(), [path(200_000)]);
        // Each for each is 20 thousand million looks, which take minutes.
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    }
}
