//! Organizations and projects.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use waybill_model::{OrgId, ProjectId};

use crate::action::AllowedAction;
use crate::example::{self, Example};
use crate::timestamp::Timestamp;

/// A tenant.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Organization {
    /// Its id.
    #[schema(value_type = String)]
    pub id: OrgId,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What isolates pipelines and connections inside an organization.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Project {
    /// Its id.
    #[schema(value_type = String)]
    pub id: ProjectId,
    /// Its name; unique in the organization.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// What the caller may do with it.
    #[serde(default)]
    pub allowed_actions: Vec<AllowedAction>,
}

/// Makes a project.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectCreate {
    /// Lower-case letters, digits and dashes, at most 63.
    pub name: String,
}

/// Changes a project.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectUpdate {
    /// The new name.
    pub name: String,
}

impl Example for Organization {
    fn example() -> Self {
        Self { id: example::id("org", 1), name: "Example".into(), created_at: example::at(0) }
    }
}

impl Example for Project {
    fn example() -> Self {
        Self {
            id: example::id("prj", 1),
            name: "default".into(),
            created_at: example::at(0),
            allowed_actions: vec![AllowedAction::yes("project_update")],
        }
    }
}

impl Example for ProjectCreate {
    fn example() -> Self {
        Self { name: "staging".into() }
    }
}

impl Example for ProjectUpdate {
    fn example() -> Self {
        Self { name: "prod".into() }
    }
}
