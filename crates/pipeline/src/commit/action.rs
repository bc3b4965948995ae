//! The actions of a Delta log, as far as this product reads them.
//!
//! Unknown actions and members are passed over, as Delta asks; what they could mean is guarded by the table's features.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use waybill_model::{AttemptId, Epoch, FailureCode, RunId};

use crate::fault::{Fault, FaultResult};

/// The application id of every `txn` of ours.
pub(crate) const APP: &str = "waybill";

/// One line of a commit or one row of a checkpoint.
#[derive(Deserialize)]
pub(crate) struct Action {
    pub(crate) add: Option<Add>,
    pub(crate) remove: Option<Remove>,
    #[serde(rename = "metaData")]
    pub(crate) metadata: Option<Map<String, Value>>,
    pub(crate) protocol: Option<Protocol>,
    pub(crate) txn: Option<Txn>,
    #[serde(rename = "commitInfo")]
    pub(crate) info: Option<CommitInfo>,
    pub(crate) sidecar: Option<serde::de::IgnoredAny>,
}

impl Action {
    /// Reads one line of version `version`.
    pub(crate) fn parse(line: &[u8], version: u64) -> FaultResult<Self> {
        serde_json::from_slice(line).map_err(|_| corrupt(version, "holds a line that is no action"))
    }
}

/// The one form of every complaint about the log.
pub(crate) fn corrupt(version: u64, what: &str) -> Fault {
    Fault::new(FailureCode::CommitLogCorrupt, format!("the commit log at version {version} {what}"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Add {
    pub(crate) path: String,
    pub(crate) size: u64,
    #[serde(default)]
    pub(crate) partition_values: Option<BTreeMap<String, Option<String>>>,
    pub(crate) stats: Option<String>,
    pub(crate) deletion_vector: Option<serde::de::IgnoredAny>,
}

impl Add {
    /// Rows by its statistics.
    pub(crate) fn rows(&self) -> Option<u64> {
        rows_told(self.stats.as_deref()?)
    }
}

/// The rows that a file's statistics tell.
pub(crate) fn rows_told(stats: &str) -> Option<u64> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Rows {
        num_records: Option<u64>,
    }
    serde_json::from_str::<Rows>(stats).ok()?.num_records
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Remove {
    pub(crate) path: String,
    pub(crate) data_change: Option<bool>,
    /// When readers stopped to see it, in milliseconds since 1970.
    pub(crate) deletion_timestamp: Option<i64>,
}

/// Which readers and writers may touch the table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Protocol {
    pub(crate) min_reader_version: i64,
    pub(crate) min_writer_version: i64,
    pub(crate) reader_features: Option<Vec<String>>,
    pub(crate) writer_features: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Txn {
    pub(crate) app_id: String,
    pub(crate) version: i64,
}

#[derive(Deserialize)]
pub(crate) struct CommitInfo {
    pub(crate) waybill: Option<Stamp>,
    /// Milliseconds since 1970.
    pub(crate) timestamp: Option<i64>,
    pub(crate) operation: Option<String>,
}

/// What a commit of ours says of itself. Digests are hex.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Stamp {
    pub(crate) run: RunId,
    pub(crate) attempt: AttemptId,
    pub(crate) epoch: Epoch,
    pub(crate) state: String,
    pub(crate) receipt: String,
    pub(crate) parent: Option<String>,
}
