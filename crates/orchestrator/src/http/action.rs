//! Actions: what an operation is called, what it asks for, what it is about, and where that belongs.

use waybill_model::id::{InvitationId, KeyId};
use waybill_model::{AgentId, AttemptId, ConnectionId, DataPlaneId, OrgId, PipelineId, ProjectId, RunId, UserId};
use waybill_store::{
    Agent, ApiKey, Attempt, Connection, DataPlane, Invitation, Organization, Pipeline, Project, Run, Store, User,
};

use crate::auth::{Permission, Place};
use crate::service::ServiceResult;
use crate::service::access::Part;

/// An operation's name, permission and object.
pub trait Action: Send + Sync + 'static {
    /// The operation id, such as `run_start`.
    const ID: &'static str;
    /// What the caller needs.
    const PERMISSION: Permission;
    /// What the path names.
    type Object: Load + Send + 'static;
}

/// Something that a path names by its id, and where it belongs.
pub trait Load: Sized {
    /// What it takes to see it: who lacks this is told that nothing is there. None where there is no object to see.
    const SEEN: Option<Permission>;

    /// Reads it from the organization; none where the id is not one of this noun, not there, or another's.
    fn load(
        store: &Store,
        org: OrgId,
        named: &str,
    ) -> impl Future<Output = ServiceResult<Option<(Self, Place)>>> + Send;

    /// Which pipeline or run it is, or belongs to: a key that names its pipelines reaches no other.
    fn part(&self) -> Part;
}

/// No object: lists, and what makes something. Which projects that touches, the handler's service decides row by row.
impl Load for () {
    const SEEN: Option<Permission> = None;

    async fn load(_: &Store, _: OrgId, _: &str) -> ServiceResult<Option<(Self, Place)>> {
        Ok(Some(((), Place::Organization)))
    }

    fn part(&self) -> Part {
        Part::Other
    }
}

macro_rules! load {
    ($($object:ty, $id:ty, $seen:ident, |$store:ident, $org:ident, $key:ident| $read:expr,
        $place:expr, $part:expr;)+) => { $(
        impl Load for $object {
            const SEEN: Option<Permission> = Some(Permission::$seen);

            async fn load($store: &Store, $org: OrgId, named: &str) -> ServiceResult<Option<(Self, Place)>> {
                let place: fn(&Self) -> Place = $place;
                let Ok($key) = named.parse::<$id>() else { return Ok(None) };
                Ok($read.await?.map(|row| {
                    let place = place(&row);
                    (row, place)
                }))
            }

            fn part(&self) -> Part {
                let part: fn(&Self) -> Part = $part;
                part(self)
            }
        }
    )+ };
}

load! {
    Project, ProjectId, ProjectRead, |store, org, id| store.project_get(org, id), |row| Place::Project(row.id),
        |_| Part::Other;
    DataPlane, DataPlaneId, DataPlaneRead, |store, org, id| store.data_plane_get(org, id), |_| Place::Organization,
        |_| Part::Other;
    Agent, AgentId, AgentRead, |store, org, id| store.agent_get(org, id), |_| Place::Organization, |_| Part::Other;
    User, UserId, UserRead, |store, org, id| store.user_get(org, id), |_| Place::Organization, |_| Part::Other;
    Connection, ConnectionId, ConnectionRead, |store, org, id| store.connection_get(org, id),
        |row| Place::Project(row.project), |_| Part::Other;
    Invitation, InvitationId, UserRead, |store, org, id| store.invitation_get(org, id), |_| Place::Organization,
        |_| Part::Other;
    ApiKey, KeyId, KeyRead, |store, org, id| store.key_get(org, id), |row| Place::Project(row.project), |_| Part::Other;
    Pipeline, PipelineId, PipelineRead, |store, org, id| store.pipeline_get(org, id), |row| Place::Project(row.project),
        |row| Part::Pipeline(row.id);
    Run, RunId, RunRead, |store, org, id| store.run_get(org, id), |row| Place::Project(row.project),
        |row| Part::Run(row.id);
}

/// An attempt belongs where its run does.
impl Load for Attempt {
    const SEEN: Option<Permission> = Some(Permission::RunRead);

    async fn load(store: &Store, org: OrgId, named: &str) -> ServiceResult<Option<(Self, Place)>> {
        let Ok(id) = named.parse::<AttemptId>() else { return Ok(None) };
        let Some(attempt) = store.attempt_get(org, id).await? else { return Ok(None) };
        let run = store.run_get(org, attempt.run).await?;
        Ok(run.map(|run| (attempt, Place::Project(run.project))))
    }

    fn part(&self) -> Part {
        Part::Run(self.run)
    }
}

impl Load for Organization {
    const SEEN: Option<Permission> = Some(Permission::OrganizationRead);

    async fn load(store: &Store, org: OrgId, named: &str) -> ServiceResult<Option<(Self, Place)>> {
        let found = if named.parse() == Ok(org) { store.organization_get(org).await? } else { None };
        Ok(found.map(|row| (row, Place::Organization)))
    }

    fn part(&self) -> Part {
        Part::Other
    }
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $permission:ident, $object:ty;)+) => { $(
        $(#[$doc])*
        pub struct $name;

        impl Action for $name {
            const ID: &'static str = $id;
            const PERMISSION: Permission = Permission::$permission;
            type Object = $object;
        }
    )+ };
}

actions! {
    /// Ends the own session.
    Logout = "logout", OwnSession, ();
    /// Says who is logged in.
    Whoami = "whoami", OwnSession, ();
    /// Says why somebody may do something, or may not.
    AccessExplain = "access_explain", OwnSession, ();
    /// Lists one's own sessions.
    SessionList = "session_list", OwnSession, ();
    /// Ends sessions of one's own.
    SessionRevoke = "session_revoke", OwnSession, ();
    /// Lists a person's sessions.
    UserSessionList = "user_session_list", UserRead, User;
    /// Ends sessions of a person.
    UserSessionRevoke = "user_session_revoke", UserWrite, User;
    /// Lists how one signed in.
    SignInList = "sign_in_list", OwnSession, ();
    /// Lists how a person signed in.
    UserSignInList = "user_sign_in_list", UserRead, User;
    /// Lists people.
    UserList = "user_list", UserRead, ();
    /// Makes a person.
    UserCreate = "user_create", UserWrite, ();
    /// Reads a person.
    UserGet = "user_get", UserRead, User;
    /// Changes a person's role, disables or enables them.
    UserUpdate = "user_update", UserWrite, User;
    /// Changes the own password.
    PasswordChange = "password_change", OwnSession, ();
    /// Makes a link by which a person chooses a new password.
    UserPasswordReset = "user_password_reset", UserWrite, User;
    /// Lists invitations.
    InvitationList = "invitation_list", UserRead, ();
    /// Asks a person to come in.
    InvitationCreate = "invitation_create", UserWrite, ();
    /// Reads an invitation.
    InvitationGet = "invitation_get", UserRead, Invitation;
    /// Takes an invitation back.
    InvitationRevoke = "invitation_revoke", UserWrite, Invitation;
    /// Reads the organization.
    OrganizationGet = "organization_get", OrganizationRead, Organization;
    /// Lists audit entries.
    AuditList = "audit_list", AuditRead, ();
    /// Lists projects.
    ProjectList = "project_list", ProjectRead, ();
    /// Makes a project.
    ProjectCreate = "project_create", ProjectCreate, ();
    /// Reads a project.
    ProjectGet = "project_get", ProjectRead, Project;
    /// Changes a project.
    ProjectUpdate = "project_update", ProjectWrite, Project;
    /// Lists a project's members.
    MemberList = "member_list", MemberRead, Project;
    /// Takes a person into a project.
    MemberCreate = "member_create", MemberWrite, Project;
    /// Reads a member of a project.
    MemberGet = "member_get", MemberRead, Project;
    /// Changes a member's role.
    MemberUpdate = "member_update", MemberWrite, Project;
    /// Takes a member out of a project.
    MemberDelete = "member_delete", MemberWrite, Project;
    /// Lists a project's keys of services.
    KeyList = "key_list", KeyRead, Project;
    /// Makes a key of a service.
    KeyCreate = "key_create", KeyWrite, Project;
    /// Reads a key of a service.
    KeyGet = "key_get", KeyRead, ApiKey;
    /// Revokes a key of a service.
    KeyRevoke = "key_revoke", KeyWrite, ApiKey;
    /// Lists data planes.
    DataPlaneList = "data_plane_list", DataPlaneRead, ();
    /// Registers a data plane.
    DataPlaneCreate = "data_plane_create", DataPlaneWrite, ();
    /// Reads a data plane.
    DataPlaneGet = "data_plane_get", DataPlaneRead, DataPlane;
    /// Changes a data plane.
    DataPlaneUpdate = "data_plane_update", DataPlaneWrite, DataPlane;
    /// Reads the policies that a data plane's role needs.
    DataPlanePolicy = "data_plane_policy", DataPlaneRead, DataPlane;
    /// Asks the cloud what a data plane's role may do.
    DataPlaneCheck = "data_plane_check", DataPlaneWrite, DataPlane;
    /// Starts a data plane's test task.
    DataPlaneTest = "data_plane_test", DataPlaneTest, DataPlane;
    /// Begins to drain a data plane.
    DataPlaneDrain = "data_plane_drain", DataPlaneWrite, DataPlane;
    /// Lets a data plane take runs again.
    DataPlaneResume = "data_plane_resume", DataPlaneWrite, DataPlane;
    /// Lists agents.
    AgentList = "agent_list", AgentRead, ();
    /// Invites an agent.
    AgentCreate = "agent_create", AgentWrite, ();
    /// Reads an agent.
    AgentGet = "agent_get", AgentRead, Agent;
    /// Invites an agent anew.
    AgentInvite = "agent_invite", AgentWrite, Agent;
    /// Approves an agent's key.
    AgentApprove = "agent_approve", AgentWrite, Agent;
    /// Disables an agent.
    AgentDisable = "agent_disable", AgentWrite, Agent;
    /// Enables a disabled agent.
    AgentEnable = "agent_enable", AgentWrite, Agent;
    /// Removes an agent.
    AgentDelete = "agent_delete", AgentWrite, Agent;
    /// Lists connections.
    ConnectionList = "connection_list", ConnectionRead, ();
    /// Makes a connection.
    ConnectionCreate = "connection_create", ConnectionWrite, ();
    /// Reads a connection.
    ConnectionGet = "connection_get", ConnectionRead, Connection;
    /// Changes a connection.
    ConnectionUpdate = "connection_update", ConnectionWrite, Connection;
    /// Removes a connection.
    ConnectionDelete = "connection_delete", ConnectionWrite, Connection;
    /// Validates a document.
    SpecValidate = "spec_validate", SpecValidate, ();
    /// Applies a document.
    SpecApply = "spec_apply", SpecApply, ();
    /// Lists pipelines.
    PipelineList = "pipeline_list", PipelineRead, ();
    /// Reads a pipeline.
    PipelineGet = "pipeline_get", PipelineRead, Pipeline;
    /// Pauses or resumes a pipeline.
    PipelineUpdate = "pipeline_update", PipelineWrite, Pipeline;
    /// Goes on from an epoch that stood too far in the future.
    PipelineAcceptEpoch = "pipeline_accept_epoch", PipelineWrite, Pipeline;
    /// Removes a pipeline.
    PipelineDelete = "pipeline_delete", PipelineWrite, Pipeline;
    /// Describes what a pipeline does to rows.
    PipelineDescribe = "pipeline_describe", PlanRead, Pipeline;
    /// Lists a pipeline's versions.
    PipelineVersionList = "pipeline_version_list", PlanRead, Pipeline;
    /// Reads a pipeline's schedule.
    ScheduleGet = "schedule_get", PipelineRead, Pipeline;
    /// Gives a pipeline its schedule.
    ScheduleSet = "schedule_set", PipelineWrite, Pipeline;
    /// Takes a pipeline's schedule away.
    ScheduleDelete = "schedule_delete", PipelineWrite, Pipeline;
    /// Lists runs.
    RunList = "run_list", RunRead, ();
    /// Starts a run.
    RunStart = "run_start", RunWrite, ();
    /// Reads a run.
    RunGet = "run_get", RunRead, Run;
    /// Asks a run to stop.
    RunCancel = "run_cancel", RunWrite, Run;
    /// Starts a new run with what a final one did not deliver.
    RunRetry = "run_retry", RunWrite, Run;
    /// Lists a run's events.
    RunEvents = "run_events", RunRead, Run;
    /// Lists calls to a customer's cloud that were made for a run.
    RunTrail = "run_trail", RunRead, Run;
    /// Reads digests of a run's receipts.
    RunReceipt = "run_receipt", RunRead, Run;
    /// Reads what a discovery found.
    RunDiscovery = "run_discovery", RunRead, Run;
    /// Reads an attempt.
    AttemptGet = "attempt_get", RunRead, Attempt;
    /// Lists calls to customers' clouds.
    TrailList = "trail_list", TrailRead, ();
    /// Follows runs.
    EventsWatch = "events_watch", RunRead, ();
}
