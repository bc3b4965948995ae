//! Queries of lists: what may be asked, with the names that the server knows.

use serde::Serialize;
use waybill_model::run::{RunKind, RunState};
use waybill_model::{ConnectionId, DataPlaneId, PipelineId, ProjectId};

use crate::timestamp::Timestamp;

/// What every list takes.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ListQuery {
    /// Items per page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where the page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// In which order: `created_at`, `-created_at`, `name` or `-name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<String>,
    /// Only of this project, for nouns that belong to one; of the project `default` where absent.
    #[serde(rename = "project", skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// Only the one of this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Which runs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RunQuery {
    /// Items per page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where the page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// In which order: `-created_at`, `created_at`, `-started_at` or `started_at`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<String>,
    /// Only of this project.
    #[serde(rename = "project", skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// Only of this pipeline.
    #[serde(rename = "pipeline", skip_serializing_if = "Option::is_none")]
    pub pipeline_id: Option<PipelineId>,
    /// Only of this connection.
    #[serde(rename = "connection", skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<ConnectionId>,
    /// Only in this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<RunState>,
    /// Only of this kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<RunKind>,
}

/// Which events of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct EventQuery {
    /// Only with a higher number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Items per page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Only this loud or louder: `info`, `warn` or `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// Only those whose sentence or code holds this text, in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub find: Option<String>,
}

/// Which policies of a data plane.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PolicyQuery {
    /// `trust`, `launch` or `all`; `all` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// Name or ARN of the role by which ECS itself starts the tasks: `launch` names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_role: Option<String>,
}

/// What somebody is to do with what.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AccessQuery {
    /// Id or e-mail address; the caller where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The operation.
    pub action: String,
    /// Id of the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
}

/// Which audit entries.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AuditQuery {
    /// Items per page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where the page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Which entries of the infrastructure trail.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TrailQuery {
    /// Items per page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where the page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Only of this data plane.
    #[serde(rename = "data_plane", skip_serializing_if = "Option::is_none")]
    pub data_plane_id: Option<DataPlaneId>,
    /// Only with a call at this time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Only with a call before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}
