//! The body of a commit, built anew for every head that it is tried on.
//!
//! Everything but the adds depends on the head: removes, schema, protocol and the checks. Nothing here does I/O.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::{Map, Value, json};
use waybill_model::plan::{Format, Load};
use waybill_model::{AttemptId, Epoch, FailureCode, RunId};

use crate::commit::action::{APP, Protocol};
use crate::commit::digest::{DigestKey, Sealed};
use crate::commit::kind::LogKind;
use crate::commit::log::{Active, COMMIT_CAP, COMMIT_HEAD, COMMIT_PURPOSE, Head};
use crate::commit::schema::{self, Column};
use crate::commit::{features, key, plain, write};
use crate::fault::{Fault, FaultResult};

/// What makes our `txn` vanish from a table.
pub(crate) const RETENTION: &str = "delta.setTransactionRetentionDuration";

/// What makes a plain commit smaller: each names all files of the table, and no other writer compacts them.
const LARGER: &str = ", and so would each that follows: run one `full` load with larger files (`size` of `files`)";

/// What a commit is for.
pub(crate) enum Work {
    /// Rows of a run.
    Load(Load),
    /// Nothing but our mark: no attempt that began before can land any more, and what readers stopped to see until this millisecond
    /// may be deleted.
    Fence(i64),
    /// The table as it was at an earlier version.
    Restore(Box<Head>),
}

/// What an attempt wants to commit, whatever the head is.
pub(crate) struct Intent {
    pub(crate) run: RunId,
    pub(crate) attempt: AttemptId,
    pub(crate) epoch: Epoch,
    /// The newest `txn` of ours that the attempt started from.
    pub(crate) base: Option<Epoch>,
    /// The head's version then.
    pub(crate) seen: Option<u64>,
    pub(crate) work: Work,
    /// Files that a merge takes away, as the log names them.
    pub(crate) replaced: Vec<String>,
    /// The files that a merge has looked at.
    pub(crate) base_files: BTreeSet<String>,
    pub(crate) adds: Vec<NewFile>,
    pub(crate) rows: u64,
    pub(crate) columns: Vec<Column>,
    /// Columns that were decided to be added, by name.
    pub(crate) added: Vec<String>,
    /// What is written; a table of another format is replaced as a whole.
    pub(crate) format: Format,
    /// Columns that the table is partitioned by.
    pub(crate) partition: Vec<String>,
    pub(crate) shrink_guard: u8,
    /// Rows that the table must still have for an append.
    pub(crate) rows_expected: Option<u64>,
    /// The table's id, if it has none.
    pub(crate) table_id: String,
    /// Milliseconds since 1970, one for all tries.
    pub(crate) now: i64,
}

/// A file that a commit adds.
pub(crate) struct NewFile {
    /// Below the table.
    pub(crate) path: String,
    pub(crate) size: u64,
    /// Statistics as the log has them.
    pub(crate) stats: String,
    /// Its partition's values, by column.
    pub(crate) partition: BTreeMap<String, Option<String>>,
}

/// An intent with the digests of its records.
pub(crate) struct Plan {
    pub(crate) intent: Intent,
    pub(crate) state: String,
    pub(crate) receipt: String,
    pub(crate) parent: Option<String>,
}

/// What a commit changes of the table besides adding files.
pub(crate) struct Change {
    protocol: Option<Value>,
    metadata: Option<Value>,
    removes: Vec<Value>,
    /// Files of an earlier version that are back.
    restored: Vec<Value>,
}

impl Change {
    /// The paths that go, as the log has them.
    pub(crate) fn removed(&self) -> Vec<&str> {
        self.removes.iter().filter_map(|action| action.get("remove")?.get("path")?.as_str()).collect()
    }

    /// The `metaData` action, where the table's metadata change.
    pub(crate) const fn metadata(&self) -> Option<&Value> {
        self.metadata.as_ref()
    }
}

impl Intent {
    /// Checks the intent against a head and says what it changes there.
    pub(crate) fn on(&self, head: &Head) -> FaultResult<Change> {
        if !matches!(self.work, Work::Load(_)) && head.version != self.seen {
            return Err(Fault::new(
                FailureCode::MergeOvertaken,
                "another writer has committed since the table was looked at",
            ));
        }
        match &self.work {
            Work::Load(load) => self.load(*load, head),
            Work::Fence(_) if head.foreign_removal => {
                let text = "rows of this table were taken away by a commit that is not ours: settle that first";
                Err(Fault::new(FailureCode::TableChangedByOther, text))
            }
            Work::Fence(_) => Ok(Change { protocol: None, metadata: None, removes: Vec::new(), restored: Vec::new() }),
            Work::Restore(then) => self.restore(then, head),
        }
    }

    /// Back to `then`: what came since goes, what went since is back.
    fn restore(&self, then: &Head, head: &Head) -> FaultResult<Change> {
        can_restore(head)?;
        let removes = head.files.iter().filter(|(path, _)| !then.files.contains_key(*path));
        let removes = removes.map(|(path, file)| remove(path, file, self.now)).collect();
        let restored = then.files.iter().filter(|(path, _)| !head.files.contains_key(*path));
        let restored = restored.map(|(path, file)| add(path, file, self.now)).collect();
        let metadata = then.metadata.as_ref().filter(|then| Some(*then) != head.metadata.as_ref());
        Ok(Change { protocol: None, metadata: metadata.map(|then| json!({"metaData": then})), removes, restored })
    }

    fn load(&self, load: Load, head: &Head) -> FaultResult<Change> {
        match load {
            Load::Full => self.check_replace(head)?,
            Load::New => self.check_append(head)?,
            Load::Changed => {
                self.check_append(head)?;
                self.check_merge(head)?;
            }
        }
        let table = head.columns()?;
        let columns = match load {
            Load::Full => schema::replace(&table, &self.columns),
            _ if head.metadata.is_none() => self.columns.clone(),
            _ => schema::append(&table, &self.columns, &self.added)?,
        };
        let protocol = match &head.protocol {
            found if schema::needs_ntz(&columns) => Protocol::with_ntz(found.as_ref()),
            None => Some(Protocol::least()),
            Some(_) => None,
        };
        let removes = match load {
            Load::Full => head.files.iter().map(|(path, file)| remove(path, file, self.now)).collect(),
            Load::New => Vec::new(),
            Load::Changed => self.replaced.iter().map(|path| self.take_away(head, path)).collect::<FaultResult<_>>()?,
        };
        Ok(Change { protocol, metadata: self.metadata(head, &table, &columns), removes, restored: Vec::new() })
    }

    fn check_replace(&self, head: &Head) -> FaultResult<()> {
        if head.metadata.as_ref().is_some_and(features::append_only) && !head.files.is_empty() {
            let text = "the table is append-only (delta.appendOnly), so a full load can't replace its rows";
            return Err(Fault::new(FailureCode::TableFeatureUnsupported, text));
        }
        // Files that do not tell their rows are not counted: the guard then allows too much, never too little.
        let before: u64 = head.files.values().filter_map(|file| file.rows).fold(0, u64::saturating_add);
        let least = u128::from(before) * u128::from(self.shrink_guard.min(100));
        if u128::from(self.rows) * 100 < least {
            let text = format!(
                "the table has {before} rows and this load brings {}, less than {} %",
                self.rows, self.shrink_guard
            );
            return Err(Fault::new(FailureCode::TableShrank, text));
        }
        Ok(())
    }

    fn check_append(&self, head: &Head) -> FaultResult<()> {
        head.metadata.as_ref().map_or(Ok(()), |metadata| check_partition(metadata, &self.partition))?;
        if head.metadata.as_ref().is_some_and(|metadata| provider(metadata) != self.provider()) {
            let text = format!("the table's files are not {}: one `full` load replaces them", self.format);
            return Err(Fault::new(FailureCode::SchemaChanged, text));
        }
        let fewer = matches!((self.rows_expected, head.rows()), (Some(expected), Some(found)) if found < expected);
        if self.base.is_some() && (head.foreign_removal || fewer) {
            let text = "rows of this table were taken away by a commit that is not ours";
            return Err(Fault::new(FailureCode::TableChangedByOther, text));
        }
        Ok(())
    }

    /// A merge has looked at certain files: rows of its keys may stand in any other.
    fn check_merge(&self, head: &Head) -> FaultResult<()> {
        if !self.replaced.is_empty() && head.metadata.as_ref().is_some_and(features::append_only) {
            let text =
                "the table is append-only (delta.appendOnly), so rows that changed or were deleted can't be taken out";
            return Err(Fault::new(FailureCode::TableFeatureUnsupported, text));
        }
        if head.files.len() != self.base_files.len() || !head.files.keys().all(|path| self.base_files.contains(path)) {
            let text = "another writer changed the table's files while rows were merged into them";
            return Err(Fault::new(FailureCode::MergeOvertaken, text));
        }
        Ok(())
    }

    fn take_away(&self, head: &Head, path: &str) -> FaultResult<Value> {
        let file = head
            .files
            .get(path)
            .ok_or_else(|| Fault::new(FailureCode::WorkerBug, "a merge replaces a file that is not there"))?;
        Ok(remove(path, file, self.now))
    }

    /// The table's metadata, where it changes.
    fn metadata(&self, head: &Head, table: &[Column], columns: &[Column]) -> Option<Value> {
        let found = head.metadata.as_ref();
        let repartitioned = found.is_some_and(|metadata| partitioned_by(metadata) != self.partition);
        let shed = found.is_some_and(|metadata| features::settings(metadata).any(|(name, _)| name == RETENTION));
        let reformed = found.is_some_and(|metadata| provider(metadata) != self.provider());
        if found.is_some() && table == columns && !shed && !repartitioned && !reformed {
            return None;
        }
        let mut metadata = found.cloned().unwrap_or_else(|| self.new_metadata());
        if found.is_none() || reformed {
            metadata.insert("format".to_owned(), json!({"provider": self.provider(), "options": {}}));
        }
        metadata.insert("schemaString".to_owned(), json!(schema::to_delta(columns).to_string()));
        metadata.insert("partitionColumns".to_owned(), json!(self.partition));
        if let Some(settings) = metadata.get_mut("configuration").and_then(Value::as_object_mut) {
            settings.remove(RETENTION);
        }
        Some(json!({"metaData": metadata}))
    }

    fn new_metadata(&self) -> Map<String, Value> {
        Map::from_iter([
            ("id".to_owned(), json!(self.table_id)),
            ("configuration".to_owned(), json!({})),
            ("createdTime".to_owned(), json!(self.now)),
        ])
    }

    fn add(&self, file: &NewFile) -> Value {
        json!({"add": {
            "path": key::to_log(&file.path), "partitionValues": file.partition, "size": file.size, "modificationTime": self.now,
            "dataChange": true, "stats": file.stats,
        }})
    }

    /// What the files are, in Delta's words.
    const fn provider(&self) -> &'static str {
        match self.format {
            Format::Delta | Format::ParquetFiles => PARQUET,
            Format::Csv | Format::Jsonl => self.format.as_str(),
        }
    }
}

/// What the files of most tables are, in Delta's words.
pub(crate) const PARQUET: &str = "parquet";

/// What a table's files are, by its metadata.
pub(crate) fn provider(metadata: &Map<String, Value>) -> &str {
    let provider = metadata.get("format").and_then(|format| format.get("provider")).and_then(Value::as_str);
    provider.unwrap_or(PARQUET)
}

/// The columns that a table is partitioned by, in order.
fn partitioned_by(metadata: &Map<String, Value>) -> Vec<&str> {
    let columns = metadata.get("partitionColumns").and_then(Value::as_array);
    columns.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Refuses to add to a table that is partitioned by other columns than these.
pub(crate) fn check_partition(metadata: &Map<String, Value>, wanted: &[String]) -> FaultResult<()> {
    let there = partitioned_by(metadata);
    if there == wanted {
        return Ok(());
    }
    let text = format!(
        "the table is partitioned by [{}] and the pipeline wants [{}]: one `full` load replaces the table, or write the old \
         `partition-by` again",
        there.join(", "),
        wanted.join(", ")
    );
    Err(Fault::new(FailureCode::SchemaChanged, text))
}

/// Whether an earlier version may come back.
pub(crate) fn can_restore(head: &Head) -> FaultResult<()> {
    if head.metadata.as_ref().is_some_and(features::append_only) {
        let text = "the table is append-only (delta.appendOnly), so no earlier version can come back";
        return Err(Fault::new(FailureCode::TableFeatureUnsupported, text));
    }
    Ok(())
}

/// A file as an earlier version of the log named it.
fn add(path: &str, file: &Active, now: i64) -> Value {
    json!({"add": {
        "path": path, "partitionValues": file.partition, "size": file.size, "modificationTime": now, "dataChange": true,
        "stats": file.stats,
    }})
}

fn remove(path: &str, file: &Active, now: i64) -> Value {
    json!({"remove": {
        "path": path, "deletionTimestamp": now, "dataChange": true, "extendedFileMetadata": true,
        "partitionValues": file.partition, "size": file.size,
    }})
}

impl Plan {
    /// The whole body for a commit on top of `head`.
    pub(crate) fn body(&self, head: &Head, key: &DigestKey) -> FaultResult<Bytes> {
        let intent = &self.intent;
        let change = intent.on(head)?;
        if head.log == LogKind::Plain {
            let body = plain::body(self, &change, head, key)?;
            write::readable("the commit", &body, head.log.cap(), LARGER)?;
            return Ok(body);
        }
        let mut text = self.info();
        let txn = json!({"txn": {"appId": APP, "version": intent.epoch, "lastUpdated": intent.now}});
        let firsts = change.protocol.into_iter().chain(change.metadata).chain([txn]);
        let adds = intent.adds.iter().map(|file| intent.add(file));
        for action in firsts.chain(change.removes).chain(change.restored).chain(adds) {
            text.push_str(&action.to_string());
            text.push('\n');
        }
        let body = Bytes::from(Sealed::write(key, COMMIT_PURPOSE, COMMIT_HEAD, &text).1);
        write::readable("the commit", &body, COMMIT_CAP, "")?;
        Ok(body)
    }

    /// The first line behind its seal.
    fn info(&self) -> String {
        let intent = &self.intent;
        let write = |mode| json!({"mode": mode, "partitionBy": json!(intent.partition).to_string()});
        let (operation, parameters) = match &intent.work {
            Work::Load(Load::Full) => ("WRITE", write("Overwrite")),
            Work::Load(Load::New) => ("WRITE", write("Append")),
            Work::Load(Load::Changed) => ("MERGE", json!({})),
            Work::Fence(_) => ("VACUUM START", json!({})),
            Work::Restore(then) => ("RESTORE", json!({"version": then.version.map(|version| version.to_string())})),
        };
        let info = json!({
            "timestamp": intent.now, "operation": operation, "operationParameters": parameters,
            "isBlindAppend": matches!(intent.work, Work::Load(Load::New)), "engineInfo": concat!("waybill/", env!("CARGO_PKG_VERSION")),
            "waybill": {
                "run": intent.run, "attempt": intent.attempt, "epoch": intent.epoch, "state": self.state,
                "receipt": self.receipt, "parent": self.parent,
            },
        });
        format!("{}}}\n", info.to_string().trim_start_matches('{'))
    }
}
