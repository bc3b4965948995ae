//! Which role may call which operation, as a page: made from the operations and the one function that decides, committed, and held
//! by a test against what the router really answers.

use std::fmt::Write as _;

use waybill_model::ProjectId;
use waybill_model::role::{OrganizationRole, ProjectRole};

use crate::auth::permission::Least;
use crate::auth::{Authority, Permission, Place};
use crate::http::operation::Operation;
use crate::http::operations;

/// What somebody gets who calls an operation on what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// They are let in.
    Allowed,
    /// They see it and may not: 403.
    Forbidden,
    /// It reads like what is not there: 404.
    NotFound,
}

impl Cell {
    /// What an operation answers to somebody.
    #[must_use]
    pub fn of(operation: &Operation, authority: &Authority, place: Place) -> Self {
        Self::at(operation.permission, operation.seen, authority, place)
    }

    /// What somebody gets who asks for `permission` there, at an object that it takes `seen` to see.
    #[must_use]
    pub fn at(permission: Option<Permission>, seen: Option<Permission>, authority: &Authority, place: Place) -> Self {
        let Some(permission) = permission else { return Self::Allowed };
        if seen.is_some_and(|seen| !authority.decide(seen, place).allowed) {
            return Self::NotFound;
        }
        if authority.decide(permission, place).allowed { Self::Allowed } else { Self::Forbidden }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Allowed => "yes",
            Self::Forbidden => "403",
            Self::NotFound => "404",
        }
    }
}

/// Where what an operation's path names belongs, in a project of this id.
#[must_use]
pub fn place_of(operation: &Operation, project: ProjectId) -> Place {
    let of_projects = ["{project}", "{key}", "{connection}", "{pipeline}", "{run}", "{attempt}"];
    if of_projects.iter().any(|name| operation.path.contains(name)) {
        Place::Project(project)
    } else {
        Place::Organization
    }
}

/// The columns: people who have only this role.
fn columns(project: ProjectId) -> Vec<(String, Authority)> {
    let mut found = vec![("member".to_owned(), Authority::of(OrganizationRole::Member, &[]))];
    for role in ProjectRole::ALL {
        found.push((format!("project {role}"), Authority::of(OrganizationRole::Member, &[(project, *role)])));
    }
    for role in [OrganizationRole::Administrator, OrganizationRole::Owner] {
        found.push((format!("{role}"), Authority::of(role, &[])));
    }
    found
}

const HEAD: &str = "# Who may do what

Written by `waybill-orchestrator roles`; not edited by hand. [Roles and members](../access.md) says what the roles are for.

Each column is a person who has only this role: `member` is in the organization and in no project, `project viewer` to `project owner` are
members whom the project took in, `administrator` and `owner` are of the organization. `yes`: let in. `403`: the object is seen, the action is
not allowed. `404`: the object reads like one that is not there. An operation that names no object in its path takes the role in any
project; what its body or filter names is decided on there, and lists show only what is seen.
";

/// The page as it is committed.
#[must_use]
pub fn text() -> String {
    let project = ProjectId::generate();
    let (columns, mut text) = (columns(project), HEAD.to_owned());
    // Whatever is written goes into a string, which takes everything.
    text.push('\n');
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let _ = writeln!(text, "| operation | permission | takes | {} |", names.join(" | "));
    let _ = writeln!(text, "|---|---|---|{}", "---|".repeat(names.len()));
    for operation in &operations().list {
        let place = place_of(operation, project);
        let cells: Vec<&str> = columns.iter().map(|(_, who)| Cell::of(operation, who, place).text()).collect();
        let (permission, takes) = operation.permission.map_or(("open", "nothing".to_owned()), |permission| {
            let takes = match permission.least() {
                Least::Organization(role) => format!("organization {role}"),
                Least::Project(role) => format!("project {role}"),
            };
            (permission.as_str(), takes)
        });
        let _ = writeln!(text, "| `{}` | `{permission}` | {takes} | {} |", operation.id, cells.join(" | "));
    }
    text
}
