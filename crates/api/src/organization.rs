//! Organizations and projects.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use waybill_model::role::ProjectRole;
use waybill_model::{OrgId, ProjectId};

use crate::action::AllowedAction;
use crate::example::{self, Example};
use crate::open::ProjectRoleWord;
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
    /// Regions that its data planes, buckets and secrets may stand in; any where it is empty.
    #[serde(default)]
    pub allowed_regions: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// The caller's role in it, whether the project or the organization gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<ProjectRoleWord>,
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

/// Changes a project: what is absent stays as it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectUpdate {
    /// The new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The only regions that its data planes, buckets and secrets may stand in; an empty list allows any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_regions: Option<Vec<String>>,
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
            allowed_regions: vec!["eu-central-1".into()],
            created_at: example::at(0),
            role: Some(ProjectRole::Admin.into()),
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
        Self { name: Some("prod".into()), allowed_regions: Some(vec!["eu-central-1".into(), "eu-west-1".into()]) }
    }
}
