//! Events of a run: typed, from a closed catalogue, with the sentence that a person reads.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use waybill_model::AttemptId;

use crate::example::{self, Example};
use crate::open::FailureCodeWord;
use crate::timestamp::Timestamp;

/// One event. The full log stands in the customer's bucket; the orchestrator has only these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunEvent {
    /// Its number within the run; rises, with gaps.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// `info`, `warn` or `error`.
    pub level: String,
    /// What happened, from the closed catalogue.
    pub code: String,
    /// The same as a sentence.
    pub text: String,
    /// The attempt that it happened to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub attempt_id: Option<AttemptId>,
    /// The stream's place in the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<u32>,
    /// The stream's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_name: Option<String>,
    /// Rows, where the code has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Bytes, where the code has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// A count, where the code has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// A duration, where the code has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Why, where the code is a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureCodeWord>,
    /// SQLSTATE from the compiled list, or `other`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sqlstate: Option<String>,
    /// The statement to add, as JSON, where a permission is missing; the text says to which role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
    /// Hash of a defect's source location, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
}

/// Events of a run, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunEvents {
    /// The events.
    pub items: Vec<RunEvent>,
    /// Give it as `after` for what comes next: the number of the last event that was looked at, whether it matched or not.
    pub next_after: u64,
    /// Whether more events are there already.
    pub more: bool,
    /// Whether the run has ended, so that no more will come once `more` is false.
    pub ended: bool,
}

impl Example for RunEvent {
    fn example() -> Self {
        Self {
            seq: 14,
            at: example::at(12),
            level: "info".into(),
            code: "part_uploaded".into(),
            text: "public.orders: a data file of 401,503 rows and 129.3 MiB is complete".into(),
            attempt_id: Some(example::id("att", 1)),
            stream: Some(0),
            stream_name: Some("public.orders".into()),
            rows: Some(401_503),
            bytes: Some(135_581_696),
            count: None,
            duration_ms: None,
            failure: None,
            sqlstate: None,
            statement: None,
            location: None,
        }
    }
}

impl Example for RunEvents {
    fn example() -> Self {
        Self { items: vec![RunEvent::example()], next_after: 14, more: false, ended: false }
    }
}
