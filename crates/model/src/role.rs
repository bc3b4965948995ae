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

#[cfg(test)]
mod tests {
    use super::*;

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
