//! Roles: what a person is in an organization, and in each project. Either kind is a ladder, least first: who stands higher may do
//! all that stands below. What a rung may do is one table of the orchestrator; nothing of it is decided here.

use crate::run::named;

named! {
    /// What a person is in the organization.
    OrganizationRole {
        /// Belongs to it; sees nothing until a project takes it in.
        Member = "member",
        /// Looks after people, data planes, agents and the audit chain, and is `admin` in every project.
        Administrator = "administrator",
        /// The same, makes owners too, and is `owner` in every project. The last one stays.
        Owner = "owner",
    }
}

named! {
    /// What a person is in a project.
    ProjectRole {
        /// Reads pipelines, connections without secrets, runs and members.
        Viewer = "viewer",
        /// Starts, cancels and retries runs too.
        Operator = "operator",
        /// Changes pipelines, connections and schedules too.
        Editor = "editor",
        /// Looks after members and the project's settings too.
        Admin = "admin",
        /// Makes owners too. The last one stays.
        Owner = "owner",
    }
}

named! {
    /// What a service may do with its key, in the one project of the key, as far as who made the key may.
    ServiceRole {
        /// Starts the pipelines that the key names, and sees the runs that it started.
        Api = "api",
        /// What a viewer of the project may.
        Viewer = "viewer",
        /// What an operator of the project may.
        Operator = "operator",
        /// What an editor of the project may.
        Editor = "editor",
    }
}

impl ServiceRole {
    /// The project's role that it never goes beyond. None of them reaches what gives roles or makes keys.
    #[must_use]
    pub const fn ceiling(self) -> ProjectRole {
        match self {
            Self::Viewer => ProjectRole::Viewer,
            Self::Api | Self::Operator => ProjectRole::Operator,
            Self::Editor => ProjectRole::Editor,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_reaches_what_gives_roles_or_makes_keys() {
        assert!(ServiceRole::ALL.iter().all(|role| role.ceiling() < ProjectRole::Admin));
    }

    #[test]
    fn both_ladders_rise_as_they_are_declared_and_read_back() {
        assert!(OrganizationRole::ALL.is_sorted() && ProjectRole::ALL.is_sorted());
        for role in OrganizationRole::ALL {
            assert_eq!(role.as_str().parse(), Ok(*role));
        }
        for role in ProjectRole::ALL {
            assert_eq!(role.as_str().parse(), Ok(*role));
        }
        assert!("Owner".parse::<ProjectRole>().is_err() && "admin".parse::<OrganizationRole>().is_err());
    }
}
