//! The infrastructure trail: calls that were made to a customer's cloud, to be held against the cloud's own record.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use waybill_model::id::TrailId;
use waybill_model::{AttemptId, DataPlaneId, RunId};

use crate::example::{self, Example};
use crate::timestamp::Timestamp;

/// One call, or several looks at tasks of one kind and outcome that were made one after another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TrailEntry {
    /// Its id.
    #[schema(value_type = String)]
    pub id: TrailId,
    /// The data plane that it was made for.
    #[schema(value_type = String)]
    pub data_plane_id: DataPlaneId,
    /// The run that it was made for. Looks serve all runs of a data plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub run_id: Option<RunId>,
    /// The attempt that it was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub attempt_id: Option<AttemptId>,
    /// What was called, as permissions name it: `sts:AssumeRole`, `ecs:RunTask`, `ecs:StopTask`, `ecs:DescribeTasks`…
    pub action: String,
    /// As which role; of `sts:AssumeRole`, which role was asked for.
    pub role_arn: String,
    /// Under which session name: the attempt's id for a launch, `waybill-look` or `waybill-check` for the rest.
    pub session: String,
    /// In which region.
    pub region: String,
    /// `ok`, `no_answer` (it may have had its effect), or the cloud's error code from a closed list.
    pub outcome: String,
    /// How many calls: 1, or more where looks were gathered.
    pub calls: u64,
    /// When the first was sent, by the orchestrator's clock.
    pub first_at: Timestamp,
    /// When the last was sent.
    pub last_at: Timestamp,
    /// What the cloud calls them; fewer than `calls` where answers did not come.
    pub request_ids: Vec<String>,
}

impl Example for TrailEntry {
    fn example() -> Self {
        let attempt: AttemptId = example::id("att", 1);
        Self {
            id: example::id("trl", 1),
            data_plane_id: example::id("dp", 1),
            run_id: Some(example::id("run", 1)),
            attempt_id: Some(attempt),
            action: "ecs:RunTask".into(),
            role_arn: "arn:aws:iam::222222222222:role/waybill-launch".into(),
            session: attempt.to_string(),
            region: "eu-central-1".into(),
            outcome: "ok".into(),
            calls: 1,
            first_at: example::at(1),
            last_at: example::at(1),
            request_ids: vec!["3f1c1b9e-5a3d-4c55-9f0a-0b1c2d3e4f50".into()],
        }
    }
}
