//! What somebody may do: their roles of this moment, held against the one table of [`super::permission`].
//!
//! Pure. Deny by default: a role that is not known is none, and who is nothing in the organization is nothing in its projects.

use std::collections::BTreeMap;
use std::fmt;

use waybill_model::ProjectId;
use waybill_model::role::{OrganizationRole, ProjectRole, ServiceRole};
use waybill_store::Standing;

use super::permission::{Least, OF_API, Permission, in_every_project};

/// Somebody's roles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authority {
    organization: Option<OrganizationRole>,
    projects: BTreeMap<ProjectId, ProjectRole>,
    /// A service of role `api`: of what its project's role gives it may a few things only.
    is_api: bool,
}

/// Where something is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a project.
    Project(ProjectId),
    /// At what belongs to no project: what asks for a role in a project takes one in any.
    Organization,
}

/// The role that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// There is none.
    Nothing,
    /// The one in the organization.
    Organization(OrganizationRole),
    /// The one in the project.
    Project(ProjectRole),
    /// A service's role `api`, as far as the project's role of who made its key.
    Api(ProjectRole),
    /// The one that the role in the organization gives in every project.
    Everywhere(OrganizationRole, ProjectRole),
}

/// Whether somebody may do something, by which role, and what it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What was asked.
    pub permission: Permission,
    /// Whether they may.
    pub allowed: bool,
    /// By which role, or in spite of which.
    pub held: Held,
}

impl From<Standing> for Authority {
    fn from(found: Standing) -> Self {
        let Ok(organization) = found.role.parse() else { return Self::default() };
        let known = |(project, role): (ProjectId, String)| Some((project, role.parse().ok()?));
        let projects = found.projects.into_iter().filter_map(known).collect();
        Self { organization: Some(organization), projects, is_api: false }
    }
}

impl Authority {
    /// Of a person with this role in the organization, and these in projects.
    #[must_use]
    pub fn of(organization: OrganizationRole, projects: &[(ProjectId, ProjectRole)]) -> Self {
        Self { organization: Some(organization), projects: projects.iter().copied().collect(), is_api: false }
    }

    /// Of a service with this role in one project: never more than who made its key may there, and nothing in the organization.
    #[must_use]
    pub fn of_service(role: ServiceRole, project: ProjectId, creator: &Self) -> Self {
        let given = creator.in_project(project).map(|own| (project, own.min(role.ceiling())));
        Self { organization: None, projects: given.into_iter().collect(), is_api: role == ServiceRole::Api }
    }

    /// The role in the organization.
    #[must_use]
    pub const fn in_organization(&self) -> Option<OrganizationRole> {
        self.organization
    }

    /// The role that counts in a project: the higher one of what the project gave and what the organization's role gives.
    #[must_use]
    pub fn in_project(&self, project: ProjectId) -> Option<ProjectRole> {
        self.everywhere().max(self.projects.get(&project).copied())
    }

    /// The role that the organization's role gives in every project.
    #[must_use]
    pub fn everywhere(&self) -> Option<ProjectRole> {
        self.organization.and_then(in_every_project)
    }

    /// Whether somebody may. The only place that says so.
    #[must_use]
    pub fn decide(&self, permission: Permission, place: Place) -> Verdict {
        let held = match (permission.least(), place) {
            (Least::Organization(_), _) => self.organization.map_or(Held::Nothing, Held::Organization),
            (Least::Project(_), Place::Project(project)) => self.held(self.projects.get(&project).copied()),
            (Least::Project(_), Place::Organization) => self.held(self.projects.values().max().copied()),
        };
        let allowed = match (permission.least(), held) {
            (Least::Organization(least), Held::Organization(role)) => role >= least,
            (Least::Project(least), Held::Project(role) | Held::Everywhere(_, role)) => role >= least,
            (Least::Project(least), Held::Api(role)) => role >= least && OF_API.contains(&permission),
            _ => false,
        };
        Verdict { permission, allowed, held }
    }

    /// The higher one of a project's role and of what the organization's gives.
    fn held(&self, given: Option<ProjectRole>) -> Held {
        match (self.organization, self.everywhere(), given) {
            (Some(organization), Some(everywhere), given) if Some(everywhere) >= given => {
                Held::Everywhere(organization, everywhere)
            }
            (_, _, Some(given)) if self.is_api => Held::Api(given),
            (_, _, Some(given)) => Held::Project(given),
            _ => Held::Nothing,
        }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("none"),
            Self::Organization(role) => write!(f, "{role}"),
            Self::Project(role) => write!(f, "{role}"),
            Self::Api(_) => write!(f, "{}", ServiceRole::Api),
            Self::Everywhere(role, given) => write!(f, "{role} ({given} in every project)"),
        }
    }
}

impl Verdict {
    /// Why not, naming the role and the permission; none where they may.
    #[must_use]
    pub fn why_not(&self) -> Option<String> {
        let (permission, least) = (self.permission.as_str(), self.permission.least());
        (!self.allowed).then(|| match self.held {
            Held::Nothing => format!("no role gives {permission}: it takes {least}"),
            held => format!("the role {held} lacks {permission}: it takes {least}"),
        })
    }
}

/// Whether who holds `own` may turn somebody's `from` into `to`: nobody gives, takes or lowers what stands above them.
#[must_use]
pub fn may_turn<R: Ord + Copy>(own: Option<R>, from: Option<R>, to: Option<R>) -> bool {
    own.is_some() && own >= from && own >= to
}

#[cfg(test)]
mod tests;
