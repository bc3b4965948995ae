//! Data files against what log, state and receipt say of them.

use bytes::Bytes;
use futures::TryStreamExt;
use parquet::file::metadata::ParquetMetaDataReader;
use sha2::{Digest, Sha256};
use waybill_model::FailureCode;

use super::TableReport;
use super::commits::OurFiles;
use crate::bucket::{Bucket, ObjectMeta};
use crate::commit::key;
use crate::commit::log::Head;
use crate::commit::record::Loaded;
use crate::fault::{Fault, FaultResult};

/// The largest footer that is read.
const FOOTER_CAP: u64 = 256 << 20;

/// Checks every file that readers see.
pub(super) async fn check(
    bucket: &dyn Bucket,
    table: &str,
    head: &Head,
    ours: &OurFiles,
    hash: bool,
    report: &mut TableReport,
) -> FaultResult<()> {
    for (path, active) in &head.files {
        let Some(key) = key::of_log(table, path) else {
            report.corrupt(format!("the log names {path}, which lies outside the table"));
            continue;
        };
        let Some(object) = bucket.head(&key).await? else {
            report.corrupt(format!("{key} is missing"));
            continue;
        };
        report.files += 1;
        report.bytes += object.size;
        if object.size != active.size {
            report.corrupt(format!("{key} has {} bytes and the log says {}", object.size, active.size));
            continue;
        }
        let record = ours.get(path);
        report.foreign_files += u64::from(record.is_none());
        let told = [active.rows, record.map(|record| record.rows)];
        rows(bucket, &object, told, report).await?;
        if let (true, Some(record)) = (hash, record) {
            content(bucket, &object, &record.sha256, report).await?;
        }
        if record.is_some_and(|record| record.size != active.size) {
            report.corrupt(format!("{key} has another size in its state than in the log"));
        }
    }
    Ok(())
}

/// The files of rows that a run has set aside, as far as the owner of the bucket has kept them.
pub(super) async fn check_aside(
    bucket: &dyn Bucket,
    table: &str,
    state: &Loaded,
    hash: bool,
    report: &mut TableReport,
) -> FaultResult<()> {
    for file in &state.aside {
        report.quarantined += file.rows;
        let key = format!("{table}/{}", file.path);
        match bucket.head(&key).await? {
            None => report.quarantine_gone += 1,
            Some(object) if object.size == file.size => {
                if hash {
                    content(bucket, &object, &file.sha256, report).await?;
                }
            }
            Some(_) => report.corrupt(format!("{key} has another size than the rows that were set aside")),
        }
    }
    Ok(())
}

/// The lists of taken files that the next run goes on from.
pub(super) async fn check_lists(
    bucket: &dyn Bucket,
    table: &str,
    newest: &Loaded,
    hash: bool,
    report: &mut TableReport,
) -> FaultResult<()> {
    for part in newest.parts() {
        let key = format!("{table}/{}", part.path);
        match bucket.head(&key).await? {
            Some(object) if object.size == part.bytes => {
                if hash {
                    content(bucket, &object, &part.sha256, report).await?;
                }
            }
            _ => report.corrupt(format!(
                "{key} is missing or has another size: the next run would not know which files are taken"
            )),
        }
    }
    Ok(())
}

/// The row count must be what log and state say, and what the footer says where there is one.
async fn rows(
    bucket: &dyn Bucket,
    object: &ObjectMeta,
    told: [Option<u64>; 2],
    report: &mut TableReport,
) -> FaultResult<()> {
    // Files of text tell no rows by themselves: their checksum says that they are what was counted when it was written.
    let counted = match told.iter().flatten().next() {
        Some(told) if !object.key.ends_with(".parquet") => Ok(*told),
        _ => footer_rows(bucket, object).await,
    };
    match counted {
        Ok(rows) => {
            report.rows += rows;
            if told.iter().flatten().any(|told| *told != rows) {
                report.corrupt(format!("{} holds {rows} rows, which is not what its records say", object.key));
            }
            Ok(())
        }
        Err(fault) if fault.code == FailureCode::ParquetMalformed => {
            report.wrong(&fault);
            Ok(())
        }
        Err(fault) => Err(fault),
    }
}

async fn footer_rows(bucket: &dyn Bucket, object: &ObjectMeta) -> FaultResult<u64> {
    let damaged = || Fault::new(FailureCode::ParquetMalformed, format!("{} has no sound footer", object.key));
    let start = object.size.checked_sub(8).ok_or_else(damaged)?;
    let tail = bucket.get_range(&object.key, start..object.size).await?;
    let (length, magic) = tail.split_at_checked(4).ok_or_else(damaged)?;
    let length = u64::from(u32::from_le_bytes(length.try_into().map_err(|_| damaged())?));
    let from = start.checked_sub(length).filter(|_| magic == b"PAR1" && length <= FOOTER_CAP).ok_or_else(damaged)?;
    let footer: Bytes = bucket.get_range(&object.key, from..start).await?;
    let metadata = ParquetMetaDataReader::decode_metadata(&footer).map_err(|_| damaged())?;
    u64::try_from(metadata.file_metadata().num_rows()).map_err(|_| damaged())
}

async fn content(bucket: &dyn Bucket, object: &ObjectMeta, sha256: &str, report: &mut TableReport) -> FaultResult<()> {
    let mut hasher = Sha256::new();
    let mut chunks = bucket.read(&object.key, &object.etag).await?;
    while let Some(chunk) = chunks.try_next().await? {
        hasher.update(&chunk);
    }
    report.hashed += 1;
    if hex::encode(hasher.finalize()) != sha256 {
        report.corrupt(format!("{} is not what was delivered: its SHA-256 is another", object.key));
    }
    Ok(())
}
