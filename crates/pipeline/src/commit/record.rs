//! State and receipt as they lie in the bucket: JSON, sealed under the digest key, written once per epoch.
//!
//! The state lists every action of its commit, so that what became current can be checked after a clean-up of the log.
//! It holds the cursor: it is built by hand and has no `Serialize`.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use waybill_model::errand::Errand;
use waybill_model::plan::Load;
use waybill_model::receipt::Grade;
use waybill_model::{AttemptId, Epoch, FailureCode, RunId};

use crate::bucket::Bucket;
use crate::commit::delivery::{DataFile, Delivered, Delivery, Origin, State};
use crate::commit::digest::{self, DigestKey, Sealed};
use crate::commit::drift::Drift;
use crate::commit::schema::{self, Column};
use crate::commit::{key, log, write};
use crate::fault::{Fault, FaultResult};
use crate::source::{CursorState, WindowNote};
use crate::sums::ColumnSum;
use crate::taken::{Part, Taken};

/// The largest record that is read.
const CAP: u64 = 64 << 20;
const STATE_HEAD: &str = "{\"seal\":\"";
const STATE_PURPOSE: &str = "state";
const RECEIPT_PURPOSE: &str = "receipt";
/// The form of both records.
const FORMAT: u32 = 1;

/// What surrounds a delivery in its records.
pub(crate) struct Frame<'a> {
    pub(crate) table: &'a str,
    pub(crate) stream: &'a str,
    pub(crate) pipeline: &'a str,
    pub(crate) columns: &'a [Column],
    /// The state that the attempt started from, and its digest.
    pub(crate) base: Option<(Epoch, [u8; 32])>,
    /// The head's version that the commit is prepared on.
    pub(crate) prepared_on: Option<u64>,
    /// Rows of the table before the commit.
    pub(crate) rows_before: Option<u64>,
    /// The whole list of taken files, where the stream is of files and has one.
    pub(crate) taken: Option<&'a [Part]>,
    /// As [`Loaded::gone_before`], of the state that the attempt started from.
    pub(crate) gone_before: Option<i64>,
}

/// The path of a data file below its table.
pub(crate) fn path<'a>(table: &str, file: &'a DataFile) -> FaultResult<&'a str> {
    let path = file.key.strip_prefix(table).and_then(|rest| rest.strip_prefix('/'));
    path.ok_or_else(|| Fault::new(FailureCode::WorkerBug, "a data file lies outside its table"))
}

/// The receipt's bytes and digest.
pub(crate) fn receipt(key: &DigestKey, delivery: &Delivery, frame: &Frame<'_>) -> FaultResult<([u8; 32], Bytes)> {
    let listed = |files: &[DataFile]| -> FaultResult<Vec<Value>> {
        let one = |file: &DataFile| {
            let sha256 = hex::encode(file.sha256);
            Ok(json!({"path": path(frame.table, file)?, "rows": file.rows, "bytes": file.bytes, "sha256": sha256}))
        };
        files.iter().map(one).collect()
    };
    let mut receipt = json!({
        "format": FORMAT, "pipeline": frame.pipeline, "stream": frame.stream, "run": delivery.run,
        "attempt": delivery.attempt, "epoch": delivery.epoch, "load": delivery.load, "rows": delivery.rows(),
        "bytes": delivery.bytes(), "files": listed(&delivery.files)?, "schema": schema::to_delta(frame.columns),
        "snapshot": delivery.proof.snapshot, "source_count": delivery.proof.source_count,
        "grade": delivery.proof.grade, "coerced": delivery.coerced,
    });
    if delivery.drift != Drift::default() {
        receipt["columns"] = json!(delivery.drift);
    }
    if let Some(errand) = &delivery.errand {
        receipt["errand"] = json!(errand);
    }
    match (delivery.window, delivery.cursor.as_ref().and_then(CursorState::taken)) {
        (Some(window), Some(taken)) => {
            receipt["taken"] = json!({"files": taken.new_files(), "rewritten": window.rewritten});
        }
        (Some(WindowNote { fixed_lag, held, null_cursors, .. }), None) => {
            receipt["window"] = json!({"fixed_lag": fixed_lag, "held": held, "null_cursors": null_cursors});
        }
        (None, _) => {}
    }
    if !delivery.proof.sums.is_empty() {
        receipt["checksums"] = delivery.proof.sums.iter().map(ColumnSum::recorded).collect();
    }
    if !delivery.aside.is_empty() {
        receipt["quarantine"] = json!(listed(&delivery.aside)?);
    }
    if !delivery.expected.is_empty() {
        receipt["expected"] = json!(delivery.expected);
    }
    if delivery.load == Load::Changed {
        let merged = &delivery.merged;
        receipt["merged"] = json!({
            "key": delivery.key, "rows": merged.taken(), "rows_before": merged.rows_before, "replaced": merged.replaced,
            "kept": listed(&merged.kept)?,
            "removed": merged.removed, "marked": merged.marked, "unmarked": merged.unmarked,
        });
    }
    let bytes = Bytes::from(receipt.to_string());
    write::readable("the receipt", &bytes, CAP, "")?;
    Ok((key.digest(RECEIPT_PURPOSE, &[&bytes]), bytes))
}

/// The state's bytes and digest.
pub(crate) fn state(
    key: &DigestKey,
    delivery: &Delivery,
    frame: &Frame<'_>,
    receipt: [u8; 32],
) -> FaultResult<([u8; 32], Bytes)> {
    let listed = |files: &[DataFile]| -> FaultResult<Vec<Value>> {
        let one = |file: &DataFile| {
            let (sha256, stats) = (hex::encode(file.sha256), file.stats.to_delta(file.rows));
            let path = path(frame.table, file)?;
            let mut record =
                json!({"path": path, "size": file.bytes, "rows": file.rows, "sha256": sha256, "stats": stats});
            if !file.partition.is_empty() {
                record["partition"] = json!(file.partition);
            }
            Ok(record)
        };
        files.iter().map(one).collect()
    };
    let table_rows = match delivery.load {
        Load::Full => Some(delivery.rows()),
        Load::New | Load::Changed => {
            frame.rows_before.map(|before| (before + delivery.rows()).saturating_sub(delivery.merged.dropped()))
        }
    };
    let mut state = json!({
        "format": FORMAT, "pipeline": frame.pipeline, "stream": frame.stream, "run": delivery.run,
        "attempt": delivery.attempt, "epoch": delivery.epoch, "load": delivery.load,
        "base": frame.base.map(|(epoch, _)| epoch), "parent": frame.base.map(|(_, digest)| hex::encode(digest)),
        "prepared_on": frame.prepared_on,
        "cursor": delivery.cursor.as_ref().filter(|_| frame.taken.is_none()).map(CursorState::reveal),
        "cursor_column": delivery.cursor_column,
        "key": delivery.key, "origin": delivery.origin,
        "grade": delivery.proof.grade,
        "rows": delivery.rows(), "bytes": delivery.bytes(), "table_rows": table_rows, "coerced": delivery.coerced,
        "schema": schema::to_delta(frame.columns), "files": listed(&delivery.files)?, "kept": listed(&delivery.merged.kept)?,
        "replaced": delivery.merged.replaced, "receipt": hex::encode(receipt), "gone_before": frame.gone_before,
        "drift": delivery.drift, "errand": delivery.errand,
    });
    if !delivery.aside.is_empty() {
        let one = |file: &DataFile| {
            let (path, sha256) = (path(frame.table, file)?.to_owned(), hex::encode(file.sha256));
            Ok(AsideRecord { path, size: file.bytes, rows: file.rows, sha256 })
        };
        state["quarantine"] = json!(delivery.aside.iter().map(one).collect::<FaultResult<Vec<_>>>()?);
    }
    if let Some(taken) = frame.taken {
        state["taken"] = json!(taken);
    }
    seal(key, &state)
}

/// A state under its seal.
pub(crate) fn seal(key: &DigestKey, state: &Value) -> FaultResult<([u8; 32], Bytes)> {
    let text = state.to_string();
    let (digest, sealed) = Sealed::write(key, STATE_PURPOSE, STATE_HEAD, text.trim_start_matches('{'));
    let sealed = Bytes::from(sealed);
    write::readable("the state", &sealed, CAP, "")?;
    Ok((digest, sealed))
}

/// A state that was read back and is as it was written.
#[derive(Clone)]
pub(crate) struct Loaded {
    pub(crate) state: State,
    pub(crate) digest: [u8; 32],
    pub(crate) base: Option<Epoch>,
    pub(crate) parent: Option<[u8; 32]>,
    /// The newest version of the log when it was written: its commit stands above. None where there was no log, and where
    /// an older version wrote it.
    pub(crate) prepared_on: Option<u64>,
    /// Files with the rows that were read.
    pub(crate) files: Vec<FileRecord>,
    /// Files with rows of others that a merge took away.
    pub(crate) kept: Vec<FileRecord>,
    /// The files that a merge took away, as the log names them.
    pub(crate) replaced: Vec<String>,
    /// Files of rows that were set aside.
    pub(crate) aside: Vec<AsideRecord>,
    /// Files that readers stopped to see until this millisecond may be deleted: a clean-up has them on its list.
    pub(crate) gone_before: Option<i64>,
    /// What it repeats, where it is no state of a run's own.
    pub(crate) copy: Option<CopyRecord>,
}

/// What a state without rows of its own repeats, and what its commit changed.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct CopyRecord {
    /// The state of a run that it repeats.
    pub(crate) of: Epoch,
    /// Files of an earlier version that are back, as the log names them.
    pub(crate) restored: Vec<String>,
    /// Files that went, as the log names them.
    pub(crate) removed: Vec<String>,
}

/// A file of rows that were set aside, as the state has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AsideRecord {
    pub(crate) path: String,
    pub(crate) size: u64,
    pub(crate) rows: u64,
    pub(crate) sha256: String,
}

/// A data file as the state has it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct FileRecord {
    pub(crate) path: String,
    pub(crate) size: u64,
    pub(crate) rows: u64,
    pub(crate) sha256: String,
    pub(crate) stats: String,
}

#[derive(Deserialize)]
struct StateRecord {
    format: u32,
    pipeline: String,
    run: RunId,
    attempt: AttemptId,
    epoch: Epoch,
    load: Load,
    base: Option<Epoch>,
    parent: Option<String>,
    #[serde(default)]
    prepared_on: Option<u64>,
    cursor: Option<String>,
    #[serde(default)]
    taken: Option<Vec<Part>>,
    #[serde(default)]
    cursor_column: Option<String>,
    #[serde(default)]
    key: Vec<String>,
    #[serde(default)]
    origin: Option<Origin>,
    grade: Grade,
    rows: u64,
    bytes: u64,
    table_rows: Option<u64>,
    coerced: BTreeMap<String, u64>,
    schema: Value,
    files: Vec<FileRecord>,
    #[serde(default)]
    kept: Vec<FileRecord>,
    #[serde(default)]
    replaced: Vec<String>,
    #[serde(default)]
    quarantine: Vec<AsideRecord>,
    #[serde(default)]
    gone_before: Option<i64>,
    #[serde(default)]
    copy: Option<CopyRecord>,
    /// None in what an older version wrote.
    #[serde(default)]
    drift: Drift,
    /// None in what an older version wrote.
    #[serde(default)]
    errand: Option<Errand>,
    /// Files of the run, where the state repeats another's.
    #[serde(default)]
    delivered_files: Option<u64>,
    receipt: String,
}

fn corrupt(table: &str, epoch: Epoch, what: &str) -> Fault {
    Fault::new(FailureCode::CommitLogCorrupt, format!("the state of epoch {epoch} in {table} {what}"))
}

/// The state of an epoch as it stands there, and its seal; one that is missing or edited is `commit_log_corrupt`.
pub(crate) async fn text(
    bucket: &dyn Bucket,
    table: &str,
    epoch: Epoch,
    key: &DigestKey,
) -> FaultResult<(String, [u8; 32])> {
    let corrupt = |what| corrupt(table, epoch, what);
    let bytes = bucket.get(&key::state(table, epoch), CAP).await?.ok_or_else(|| corrupt("is missing"))?;
    let text = String::from_utf8(bytes.into()).map_err(|_| corrupt("is not UTF-8"))?;
    let sealed = Sealed::read(key, STATE_PURPOSE, STATE_HEAD, &text).ok_or_else(|| corrupt("was edited"))?;
    Ok((text, sealed))
}

/// Reads the state of an epoch; one that is missing or edited is `commit_log_corrupt`.
pub(crate) async fn load(bucket: &dyn Bucket, table: &str, epoch: Epoch, key: &DigestKey) -> FaultResult<Loaded> {
    let (text, sealed) = text(bucket, table, epoch, key).await?;
    parse(table, epoch, &text, sealed)
}

/// The state of an epoch from its text and seal.
pub(crate) fn parse(table: &str, epoch: Epoch, text: &str, sealed: [u8; 32]) -> FaultResult<Loaded> {
    let corrupt = |what| corrupt(table, epoch, what);
    let record: StateRecord = serde_json::from_str(text).map_err(|_| corrupt("can't be read"))?;
    if record.format != FORMAT {
        return Err(corrupt("has a newer format"));
    }
    if record.epoch != epoch {
        return Err(corrupt("is that of another epoch"));
    }
    Loaded::of(record, sealed).ok_or_else(|| corrupt("can't be read"))
}

fn listed(parts: Vec<Part>) -> CursorState {
    CursorState::of_taken(Taken::of_parts(parts))
}

impl Loaded {
    /// The parts of the list of taken files that the state names.
    pub(crate) fn parts(&self) -> &[Part] {
        self.state.cursor.as_ref().and_then(CursorState::taken).map_or(&[], Taken::parts)
    }

    fn of(record: StateRecord, digest: [u8; 32]) -> Option<Self> {
        let columns = schema::of_delta(&record.schema)?;
        let parent = match &record.parent {
            Some(text) => Some(digest::parse(text)?),
            None => None,
        };
        let state = State {
            run: record.run,
            attempt: record.attempt,
            epoch: record.epoch,
            pipeline: record.pipeline,
            load: record.load,
            errand: record.errand,
            cursor: record.cursor.map(CursorState::new).or_else(|| record.taken.map(listed)),
            origin: record.origin,
            cursor_column: record.cursor_column,
            key: record.key,
            twins: None,
            columns: columns.into_iter().map(|c| (c.name.clone(), c.kind_text())).collect(),
            rows: record.rows,
            bytes: record.bytes,
            files: record.delivered_files.unwrap_or(record.files.len() as u64),
            table_rows: record.table_rows,
            coerced: record.coerced.values().sum(),
            aside: record.quarantine.iter().map(|file| file.rows).sum(),
            drift: record.drift.counts(),
            grade: record.grade,
            receipt: digest::parse(&record.receipt)?,
        };
        let (prepared_on, gone_before, copy) = (record.prepared_on, record.gone_before, record.copy);
        let (files, kept, replaced, aside) = (record.files, record.kept, record.replaced, record.quarantine);
        let base = record.base;
        Some(Self { state, digest, base, parent, prepared_on, files, kept, replaced, aside, gone_before, copy })
    }

    /// What an adopting attempt reports.
    pub(crate) fn delivered(&self, head: &log::Head) -> Delivered {
        self.state.delivered(head.version_of(self.state.epoch).or(head.version).unwrap_or(0))
    }
}

/// A receipt's numbers, for those who check it.
#[derive(Deserialize)]
pub(crate) struct ReceiptRecord {
    pub(crate) run: RunId,
    pub(crate) epoch: Epoch,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) files: Vec<ReceiptFile>,
    #[serde(default)]
    pub(crate) merged: ReceiptMerge,
}

/// What a merge took away and kept, as the receipt has it.
#[derive(Default, Deserialize)]
pub(crate) struct ReceiptMerge {
    /// Rows of the files that went whose place was taken.
    pub(crate) rows: u64,
    /// All rows of those files.
    pub(crate) rows_before: u64,
    /// Rows of them that were removed, since the source has their keys no more.
    #[serde(default)]
    pub(crate) removed: u64,
    /// Rows that were kept and got the mark of those that the source has no more, or lost it.
    #[serde(default)]
    pub(crate) marked: u64,
    #[serde(default)]
    pub(crate) unmarked: u64,
    pub(crate) replaced: Vec<String>,
    pub(crate) kept: Vec<ReceiptFile>,
}

/// A data file as the receipt has it.
#[derive(Deserialize)]
pub(crate) struct ReceiptFile {
    pub(crate) path: String,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

/// Reads the receipt of an epoch; none where it is missing or its digest is another.
pub(crate) async fn load_receipt(
    bucket: &dyn Bucket,
    table: &str,
    epoch: Epoch,
    key: &DigestKey,
    digest: [u8; 32],
) -> FaultResult<Option<ReceiptRecord>> {
    let Some(bytes) = bucket.get(&key::receipt(table, epoch), CAP).await? else { return Ok(None) };
    let right = key.digest(RECEIPT_PURPOSE, &[&bytes]) == digest;
    Ok(right.then(|| serde_json::from_slice(&bytes).ok()).flatten())
}
