//! Every operation of the API as a method.

use reqwest::Method;
use reqwest::header::{IF_MATCH, IF_NONE_MATCH};
use waybill_model::{AttemptId, ConnectionId, DataPlaneId, OrgId, PipelineId, ProjectId, RunId};

use super::{AuditQuery, CALL, Client, ClientResult, EventQuery, ListQuery, PolicyQuery, RunQuery, Tagged, read};
use crate::account::{LoginRequest, SetupRequest, Tokens, Whoami};
use crate::audit::AuditEntry;
use crate::connection::{Connection, ConnectionCreate, ConnectionUpdate};
use crate::data_plane::{DataPlane, DataPlaneCheck, DataPlaneCreate, DataPlanePolicy, DataPlaneUpdate};
use crate::event::RunEvents;
use crate::organization::{Organization, Project, ProjectCreate, ProjectUpdate};
use crate::page::Page;
use crate::pipeline::{EpochAccept, Pipeline, PipelineDescription, PipelineUpdate, PipelineVersion};
use crate::run::{Attempt, Discovery, ReceiptDigest, Run, RunDetail, RunStart};
use crate::schedule::{Schedule, ScheduleSet};
use crate::spec::{SpecApplied, SpecApply, SpecDiagnostics, SpecValidate};

const NOTHING: [(&str, &str); 0] = [];

/// Accounts.
impl Client {
    /// Makes the organization and its owner, and logs in as the owner.
    pub async fn setup(&self, body: &SetupRequest) -> ClientResult<Tokens> {
        self.public("/v1/setup", body).await.map(|tokens| self.adopt(tokens))
    }

    /// Logs in.
    pub async fn login(&self, body: &LoginRequest) -> ClientResult<Tokens> {
        self.public("/v1/login", body).await.map(|tokens| self.adopt(tokens))
    }

    /// Ends the session.
    pub async fn logout(&self) -> ClientResult<()> {
        self.post::<()>("/v1/logout", &serde_json::json!({})).await?;
        self.set_session(None);
        Ok(())
    }

    /// Who is logged in.
    pub async fn whoami(&self) -> ClientResult<Whoami> {
        self.get("/v1/whoami", &NOTHING).await
    }

    /// The caller's organization.
    pub async fn organization_get(&self, id: OrgId) -> ClientResult<Tagged<Organization>> {
        self.get_tagged(&format!("/v1/organizations/{id}")).await
    }

    /// Audit entries, newest first.
    pub async fn audit_list(&self, query: &AuditQuery) -> ClientResult<Page<AuditEntry>> {
        self.get("/v1/audit", query).await
    }
}

/// Projects, data planes, connections.
impl Client {
    /// Projects.
    pub async fn project_list(&self, query: &ListQuery) -> ClientResult<Page<Project>> {
        self.get("/v1/projects", query).await
    }

    /// One project.
    pub async fn project_get(&self, id: ProjectId) -> ClientResult<Tagged<Project>> {
        self.get_tagged(&format!("/v1/projects/{id}")).await
    }

    /// Makes a project.
    pub async fn project_create(&self, body: &ProjectCreate) -> ClientResult<Project> {
        self.post("/v1/projects", body).await
    }

    /// Changes a project.
    pub async fn project_update(&self, id: ProjectId, etag: &str, body: &ProjectUpdate) -> ClientResult<Project> {
        self.patch(&format!("/v1/projects/{id}"), etag, body).await
    }

    /// Data planes.
    pub async fn data_plane_list(&self, query: &ListQuery) -> ClientResult<Page<DataPlane>> {
        self.get("/v1/data-planes", query).await
    }

    /// One data plane.
    pub async fn data_plane_get(&self, id: DataPlaneId) -> ClientResult<Tagged<DataPlane>> {
        self.get_tagged(&format!("/v1/data-planes/{id}")).await
    }

    /// Registers a data plane.
    pub async fn data_plane_create(&self, body: &DataPlaneCreate) -> ClientResult<DataPlane> {
        self.post("/v1/data-planes", body).await
    }

    /// Changes a data plane's settings.
    pub async fn data_plane_update(
        &self,
        id: DataPlaneId,
        etag: &str,
        body: &DataPlaneUpdate,
    ) -> ClientResult<DataPlane> {
        self.patch(&format!("/v1/data-planes/{id}"), etag, body).await
    }

    /// The policies that a data plane's role needs.
    pub async fn data_plane_policy(&self, id: DataPlaneId, query: &PolicyQuery) -> ClientResult<DataPlanePolicy> {
        self.get(&format!("/v1/data-planes/{id}/policy"), query).await
    }

    /// Begins to drain a data plane.
    pub async fn data_plane_drain(&self, id: DataPlaneId) -> ClientResult<DataPlane> {
        self.post(&format!("/v1/data-planes/{id}/drain"), &serde_json::json!({})).await
    }

    /// Lets a data plane take runs again.
    pub async fn data_plane_resume(&self, id: DataPlaneId) -> ClientResult<DataPlane> {
        self.post(&format!("/v1/data-planes/{id}/resume"), &serde_json::json!({})).await
    }

    /// Asks the cloud, permission by permission, what a data plane's role may do.
    pub async fn data_plane_check(&self, id: DataPlaneId) -> ClientResult<DataPlaneCheck> {
        self.post(&format!("/v1/data-planes/{id}/check"), &serde_json::json!({})).await
    }

    /// Starts one task of a data plane that enrols and leaves.
    pub async fn data_plane_test(&self, id: DataPlaneId) -> ClientResult<RunDetail> {
        self.post(&format!("/v1/data-planes/{id}/test"), &serde_json::json!({})).await
    }

    /// Connections.
    pub async fn connection_list(&self, query: &ListQuery) -> ClientResult<Page<Connection>> {
        self.get("/v1/connections", query).await
    }

    /// One connection.
    pub async fn connection_get(&self, id: ConnectionId) -> ClientResult<Tagged<Connection>> {
        self.get_tagged(&format!("/v1/connections/{id}")).await
    }

    /// Makes a connection.
    pub async fn connection_create(&self, body: &ConnectionCreate) -> ClientResult<Connection> {
        self.post("/v1/connections", body).await
    }

    /// Changes a connection.
    pub async fn connection_update(
        &self,
        id: ConnectionId,
        etag: &str,
        body: &ConnectionUpdate,
    ) -> ClientResult<Connection> {
        self.patch(&format!("/v1/connections/{id}"), etag, body).await
    }

    /// Removes a connection that no pipeline uses.
    pub async fn connection_delete(&self, id: ConnectionId, etag: &str) -> ClientResult<()> {
        self.delete(&format!("/v1/connections/{id}"), etag).await
    }
}

/// Documents, pipelines, schedules.
impl Client {
    /// What is wrong with a document.
    pub async fn spec_validate(&self, body: &SpecValidate) -> ClientResult<SpecDiagnostics> {
        self.post("/v1/specs:validate", body).await
    }

    /// Applies a document, or only says what that would change.
    pub async fn spec_apply(&self, body: &SpecApply, dry_run: bool) -> ClientResult<SpecApplied> {
        self.post(&format!("/v1/specs:apply?dry_run={dry_run}"), body).await
    }

    /// Pipelines.
    pub async fn pipeline_list(&self, query: &ListQuery) -> ClientResult<Page<Pipeline>> {
        self.get("/v1/pipelines", query).await
    }

    /// One pipeline.
    pub async fn pipeline_get(&self, id: PipelineId) -> ClientResult<Tagged<Pipeline>> {
        self.get_tagged(&format!("/v1/pipelines/{id}")).await
    }

    /// Pauses or resumes a pipeline.
    pub async fn pipeline_update(&self, id: PipelineId, etag: &str, body: &PipelineUpdate) -> ClientResult<Pipeline> {
        self.patch(&format!("/v1/pipelines/{id}"), etag, body).await
    }

    /// Goes on from an epoch that stood too far in the future.
    pub async fn pipeline_accept_epoch(&self, id: PipelineId, body: &EpochAccept) -> ClientResult<Pipeline> {
        self.post(&format!("/v1/pipelines/{id}/accept-epoch"), body).await
    }

    /// Removes a pipeline without a live run. What it wrote stays.
    pub async fn pipeline_delete(&self, id: PipelineId, etag: &str) -> ClientResult<()> {
        self.delete(&format!("/v1/pipelines/{id}"), etag).await
    }

    /// What a pipeline does to rows on their way, in words.
    pub async fn pipeline_describe(&self, id: PipelineId) -> ClientResult<PipelineDescription> {
        self.get(&format!("/v1/pipelines/{id}/description"), &NOTHING).await
    }

    /// Versions of a pipeline, newest first.
    pub async fn pipeline_versions(&self, id: PipelineId, query: &ListQuery) -> ClientResult<Page<PipelineVersion>> {
        self.get(&format!("/v1/pipelines/{id}/versions"), query).await
    }

    /// A pipeline's schedule.
    pub async fn schedule_get(&self, pipeline: PipelineId) -> ClientResult<Tagged<Schedule>> {
        self.get_tagged(&format!("/v1/pipelines/{pipeline}/schedule")).await
    }

    /// Gives a pipeline its schedule; `etag` is that of the schedule that it replaces, none for the first one.
    pub async fn schedule_set(
        &self,
        pipeline: PipelineId,
        etag: Option<&str>,
        body: &ScheduleSet,
    ) -> ClientResult<Schedule> {
        let path = format!("/v1/pipelines/{pipeline}/schedule");
        let build = || {
            let request = self.request(&Method::PUT, &path).json(body).timeout(CALL);
            match etag {
                Some(etag) => request.header(IF_MATCH, etag),
                None => request.header(IF_NONE_MATCH, "*"),
            }
        };
        read(self.send(build).await?).await
    }

    /// Takes a pipeline's schedule away.
    pub async fn schedule_delete(&self, pipeline: PipelineId, etag: &str) -> ClientResult<()> {
        self.delete(&format!("/v1/pipelines/{pipeline}/schedule"), etag).await
    }
}

/// Runs.
impl Client {
    /// Starts a run.
    pub async fn run_start(&self, body: &RunStart) -> ClientResult<RunDetail> {
        self.post("/v1/runs", body).await
    }

    /// Runs, newest first.
    pub async fn run_list(&self, query: &RunQuery) -> ClientResult<Page<Run>> {
        self.get("/v1/runs", query).await
    }

    /// One run with its streams and attempts.
    pub async fn run_get(&self, id: RunId) -> ClientResult<RunDetail> {
        self.get(&format!("/v1/runs/{id}"), &NOTHING).await
    }

    /// Asks a run to stop.
    pub async fn run_cancel(&self, id: RunId) -> ClientResult<RunDetail> {
        self.post(&format!("/v1/runs/{id}/cancel"), &serde_json::json!({})).await
    }

    /// Starts a new run with the streams that a final run did not deliver.
    pub async fn run_retry(&self, id: RunId) -> ClientResult<RunDetail> {
        self.post(&format!("/v1/runs/{id}/retry"), &serde_json::json!({})).await
    }

    /// Events of a run, oldest first.
    pub async fn run_events(&self, id: RunId, query: &EventQuery) -> ClientResult<RunEvents> {
        self.get(&format!("/v1/runs/{id}/events"), query).await
    }

    /// Digests of a run's receipts.
    pub async fn run_receipt(&self, id: RunId) -> ClientResult<ReceiptDigest> {
        self.get(&format!("/v1/runs/{id}/receipt"), &NOTHING).await
    }

    /// What a discovery found.
    pub async fn run_discovery(&self, id: RunId) -> ClientResult<Discovery> {
        self.get(&format!("/v1/runs/{id}/discovery"), &NOTHING).await
    }

    /// One attempt.
    pub async fn attempt_get(&self, id: AttemptId) -> ClientResult<Attempt> {
        self.get(&format!("/v1/attempts/{id}"), &NOTHING).await
    }
}
