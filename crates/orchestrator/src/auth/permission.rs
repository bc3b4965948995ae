//! What may be done, and the one function that says whether a role may do it.

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
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
        }
    };
}

permissions! {
    /// End the own session, see who is logged in.
    OwnSession = "session:own",
    /// See the organization.
    OrganizationRead = "organization:read",
    /// See people.
    UserRead = "user:read",
    /// Make people.
    UserWrite = "user:write",
    /// Read the audit chain.
    AuditRead = "audit:read",
    /// Read the infrastructure trail: calls to customers' clouds.
    TrailRead = "trail:read",
    /// See projects.
    ProjectRead = "project:read",
    /// Make and change projects.
    ProjectWrite = "project:write",
    /// See data planes.
    DataPlaneRead = "data_plane:read",
    /// Make and change data planes.
    DataPlaneWrite = "data_plane:write",
    /// Start a data plane's test task: a task runs, and costs, in the customer's cloud.
    DataPlaneTest = "data_plane:test",
    /// See agents.
    AgentRead = "agent:read",
    /// Invite, approve, disable and remove agents.
    AgentWrite = "agent:write",
    /// See connections.
    ConnectionRead = "connection:read",
    /// Make, change and remove connections.
    ConnectionWrite = "connection:write",
    /// Have a worker log in to a connection: its secret is used, so it takes what changing one takes.
    ConnectionCheck = "connection:check",
    /// Validate a document.
    SpecValidate = "spec:validate",
    /// Apply a document.
    SpecApply = "spec:apply",
    /// See pipelines, their versions and schedules.
    PipelineRead = "pipeline:read",
    /// Pause, schedule and remove pipelines.
    PipelineWrite = "pipeline:write",
    /// See runs, attempts, events and receipts.
    RunRead = "run:read",
    /// Start, cancel and retry runs.
    RunWrite = "run:write",
}

/// The role of the organization's administrators.
pub const ADMINISTRATOR: &str = "administrator";

/// Whether a role may do it. The only place that says so; a role that it does not know may do nothing.
#[must_use]
pub fn authorize(role: &str, _permission: Permission) -> bool {
    role == ADMINISTRATOR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_that_is_not_known_may_do_nothing() {
        for permission in Permission::ALL {
            assert!(authorize(ADMINISTRATOR, *permission));
            for role in ["", "Administrator", "administrator ", "owner", "viewer"] {
                assert!(!authorize(role, *permission), "{role:?} may {}", permission.as_str());
            }
        }
    }
}
