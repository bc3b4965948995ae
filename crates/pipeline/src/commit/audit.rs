//! Whether a table is what its records say: log, chain, states, receipts and data files. Reads only.
//!
//! Everything that is wrong is collected; nothing is repaired. The texts name files and stay with the customer.

mod checkpoint;
mod commits;
mod files;

use std::collections::BTreeSet;

use serde::Serialize;
use waybill_model::FailureCode;

use crate::bucket::Bucket;
use crate::commit::digest::DigestKey;
use crate::commit::kind::LogKind;
use crate::commit::log::Head;
use crate::commit::{history, key, record};
use crate::fault::{Fault, FaultResult};

/// What an audit found of one table.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TableReport {
    /// The table's directory below the connection's prefix.
    pub table: String,
    /// The newest version.
    pub version: Option<u64>,
    /// Commits of ours that are still in the log.
    pub commits: u64,
    /// Receipts that were checked.
    pub receipts: u64,
    /// Data files that readers see.
    pub files: u64,
    /// Rows that readers see, by the files' own footers, or by the records of ours where files of text have none.
    pub rows: u64,
    /// Bytes of those files.
    pub bytes: u64,
    /// Files whose SHA-256 was compared.
    pub hashed: u64,
    /// Rows that the commits still in the log have set aside.
    pub quarantined: u64,
    /// Files of such rows that are no more: nothing of the table depends on them, and whoever owns the bucket may delete them.
    pub quarantine_gone: u64,
    /// Files of other writers, for which no receipt of ours stands.
    pub foreign_files: u64,
    /// What is wrong; empty where all is well.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The public code.
    pub code: String,
    /// What and where, for the customer.
    pub text: String,
}

impl TableReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty()
    }

    pub(crate) fn wrong(&mut self, fault: &Fault) {
        let text = fault.text.for_customer().to_owned();
        self.problems.push(Problem { code: fault.code.to_string(), text });
    }

    pub(crate) fn corrupt(&mut self, text: impl Into<String>) {
        self.wrong(&Fault::new(FailureCode::CommitLogCorrupt, text));
    }
}

/// The directories below the connection's prefix that hold a commit log, or states or receipts of ours.
pub async fn find_tables(bucket: &dyn Bucket) -> FaultResult<Vec<String>> {
    let objects = bucket.list("", None).await?;
    let dirs = objects.iter().filter_map(|object| key::table_of_record(&object.key));
    Ok(dirs.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect())
}

/// Audits one table. `hash` also reads every data file of ours and compares its SHA-256. Fails only where the bucket
/// can't be read; whatever is wrong with the table stands in the report.
pub async fn audit_table(bucket: &dyn Bucket, table: &str, hash: bool) -> FaultResult<TableReport> {
    let mut report = TableReport { table: table.to_owned(), ..TableReport::default() };
    let digest = match DigestKey::find(bucket).await {
        Ok(digest) => digest,
        Err(fault) => return broken(report, fault),
    };
    let log = match LogKind::find(bucket, table).await {
        Ok(log) => log,
        Err(fault) => return broken(report, fault),
    };
    let head = match Head::read(bucket, (table, log), digest.as_ref()).await {
        Ok(head) => head,
        Err(fault) => return broken(report, fault),
    };
    report.version = head.version;
    if head.version.is_none() {
        match history::stood_on_commit(bucket, table).await {
            Ok(Some(why)) => report.corrupt(history::log_lost(table, log, &why)),
            Ok(None) => report.corrupt(format!(
                "{table} has records and no commit: its first load was prepared and never committed (the next run puts that \
                 right), or its commit log was deleted"
            )),
            Err(fault) => return broken(report, fault),
        }
        return Ok(report);
    }
    let Some(digest) = digest else {
        let text = format!("{table} holds no commit of ours, so there is nothing to compare it with");
        report.wrong(&Fault::new(FailureCode::TableNotOurs, text));
        return Ok(report);
    };
    checkpoint::check(bucket, table, &head, &digest, &mut report).await?;
    let ours = commits::check(bucket, table, &head, (&digest, hash), &mut report).await?;
    files::check(bucket, table, &head, &ours, hash, &mut report).await?;
    if let Some(newest) = head.epoch {
        match record::load(bucket, table, newest, &digest).await {
            Ok(newest) => files::check_lists(bucket, table, &newest, hash, &mut report).await?,
            // It is told already.
            Err(fault) if fault.code == FailureCode::CommitLogCorrupt => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(report)
}

/// A log that can't be replayed is a finding; a bucket that can't be read is none.
fn broken(mut report: TableReport, fault: Fault) -> FaultResult<TableReport> {
    match fault.code {
        FailureCode::CommitLogCorrupt | FailureCode::TableFeatureUnsupported => {
            report.wrong(&fault);
            Ok(report)
        }
        _ => Err(fault),
    }
}
