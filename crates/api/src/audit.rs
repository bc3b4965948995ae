//! Entries of the audit chain.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::example::{self, Example};
use crate::timestamp::Timestamp;

/// One change, written in the transaction that made it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Its number in the organization's chain, from 1, without gaps.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who: a user's id, or `system`.
    pub actor: String,
    /// The operation, such as `run_start`.
    pub action: String,
    /// Id of the object.
    pub object: String,
    /// `done` or `refused`.
    pub outcome: String,
    /// Address that the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// SHA-256 of the object before, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// SHA-256 of the object after, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Hash of the entry before it, in hex.
    pub prev_hash: String,
    /// Hash of this entry, in hex.
    pub hash: String,
}

impl Example for AuditEntry {
    fn example() -> Self {
        Self {
            seq: 7,
            at: example::at(0),
            actor: "usr_01jd8m2v5k0000000000000001".into(),
            action: "run_start".into(),
            object: "run_01jd8m2v5k0000000000000001".into(),
            outcome: "done".into(),
            ip: Some("127.0.0.1".into()),
            before: None,
            after: Some("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into()),
            prev_hash: "0000000000000000000000000000000000000000000000000000000000000000".into(),
            hash: "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752".into(),
        }
    }
}
