//! What may be done, and from which rung on: the one table of roles. Who stands higher may do all that stands below, so a line holds
//! the least role that may. Nothing else in the product says what a role may do; the page of all operations is made from here.

use waybill_model::role::{OrganizationRole, ProjectRole};

/// The least role that may do something, and where it must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Least {
    /// A role in the organization.
    Organization(OrganizationRole),
    /// A role in the project that the object belongs to; in any project, where it belongs to none.
    Project(ProjectRole),
}

impl std::fmt::Display for Least {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Organization(role) => write!(f, "the organization role {role}"),
            Self::Project(role) => write!(f, "the project role {role}"),
        }
    }
}

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $scope:ident $role:ident;)+) => {
        /// What an operation asks for. Every operation has exactly one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Permission { $($(#[$doc])* $name,)+ }

        impl Permission {
            /// Every permission.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// As it stands in the API description.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }

            /// Who may, at least.
            #[must_use]
            pub const fn least(self) -> Least {
                match self { $(Self::$name => least!($scope $role)),+ }
            }
        }
    };
}

macro_rules! least {
    (organization $role:ident) => {
        Least::Organization(OrganizationRole::$role)
    };
    (project $role:ident) => {
        Least::Project(ProjectRole::$role)
    };
}

permissions! {
    /// End the own session, see who is logged in.
    OwnSession = "session:own", organization Member;
    /// See the organization.
    OrganizationRead = "organization:read", organization Member;
    /// See people.
    UserRead = "user:read", organization Administrator;
    /// Make people, change their roles, disable them.
    UserWrite = "user:write", organization Administrator;
    /// Read the audit chain.
    AuditRead = "audit:read", organization Administrator;
    /// See agents.
    AgentRead = "agent:read", organization Administrator;
    /// Invite, approve, disable and remove agents.
    AgentWrite = "agent:write", organization Administrator;
    /// Make and change data planes.
    DataPlaneWrite = "data_plane:write", organization Administrator;
    /// Start a data plane's test task: a task runs, and costs, in the customer's cloud.
    DataPlaneTest = "data_plane:test", organization Administrator;
    /// Make projects.
    ProjectCreate = "project:create", organization Administrator;
    /// See data planes: whoever writes a pipeline names one.
    DataPlaneRead = "data_plane:read", project Viewer;
    /// Read the infrastructure trail: calls to customers' clouds, of runs that one sees.
    TrailRead = "trail:read", project Viewer;
    /// See a project.
    ProjectRead = "project:read", project Viewer;
    /// Rename a project, say which regions it allows.
    ProjectWrite = "project:write", project Admin;
    /// See who is in a project.
    MemberRead = "member:read", project Viewer;
    /// Take people into a project, change their roles there, take them out.
    MemberWrite = "member:write", project Admin;
    /// See the keys of services.
    KeyRead = "key:read", project Admin;
    /// Make and revoke keys of services.
    KeyWrite = "key:write", project Admin;
    /// See connections; secrets stand there as references.
    ConnectionRead = "connection:read", project Viewer;
    /// Make, change and remove connections.
    ConnectionWrite = "connection:write", project Editor;
    /// Have a worker log in to a connection: its secret is used, so it takes what changing one takes.
    ConnectionCheck = "connection:check", project Editor;
    /// Validate a document.
    SpecValidate = "spec:validate", project Viewer;
    /// Apply a document, or see what that would change.
    SpecApply = "spec:apply", project Editor;
    /// See pipelines and their schedules.
    PipelineRead = "pipeline:read", project Viewer;
    /// See what a pipeline's versions say: the settings of both ends, and what becomes of rows.
    PlanRead = "plan:read", project Viewer;
    /// Pause, schedule and remove pipelines.
    PipelineWrite = "pipeline:write", project Editor;
    /// See runs, attempts, events and receipts.
    RunRead = "run:read", project Viewer;
    /// Start, cancel and retry runs.
    RunWrite = "run:write", project Operator;
}

/// What a service of role `api` may, of what an operator may: with the pipelines that its key names, and the runs that it started.
pub const OF_API: &[Permission] =
    &[Permission::ProjectRead, Permission::PipelineRead, Permission::RunRead, Permission::RunWrite];

/// The role that an organization's role gives in every one of its projects.
#[must_use]
pub const fn in_every_project(role: OrganizationRole) -> Option<ProjectRole> {
    match role {
        OrganizationRole::Member => None,
        OrganizationRole::Administrator => Some(ProjectRole::Admin),
        OrganizationRole::Owner => Some(ProjectRole::Owner),
    }
}
