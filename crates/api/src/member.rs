//! Members of projects.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use waybill_model::role::ProjectRole;
use waybill_model::{ProjectId, UserId};

use crate::action::AllowedAction;
use crate::example::{self, Example};
use crate::open::ProjectRoleWord;
use crate::timestamp::Timestamp;

/// A person in a project.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Member {
    /// The project.
    #[schema(value_type = String)]
    pub project_id: ProjectId,
    /// The person.
    #[schema(value_type = String)]
    pub user_id: UserId,
    /// E-mail address, in lower case.
    pub email: String,
    /// The person may not log in.
    #[serde(default)]
    pub disabled: bool,
    /// Role in the project. What the organization's role gives in every project is not among it.
    pub role: ProjectRoleWord,
    /// When the person was taken in.
    pub created_at: Timestamp,
    /// What the caller may do with it.
    #[serde(default)]
    pub allowed_actions: Vec<AllowedAction>,
}

/// Takes a person of the organization into a project.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberCreate {
    /// E-mail address of the account.
    pub email: String,
    /// `owner`, `admin`, `editor`, `operator` or `viewer`, at most as high as the caller's own.
    #[schema(value_type = String)]
    pub role: ProjectRole,
}

/// Changes a member's role.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberUpdate {
    /// `owner`, `admin`, `editor`, `operator` or `viewer`, at most as high as the caller's own.
    #[schema(value_type = String)]
    pub role: ProjectRole,
}

impl Example for Member {
    fn example() -> Self {
        Self {
            project_id: example::id("prj", 1),
            user_id: example::id("usr", 2),
            email: "grace@example.org".into(),
            disabled: false,
            role: ProjectRole::Editor.into(),
            created_at: example::at(0),
            allowed_actions: vec![AllowedAction::yes("member_update"), AllowedAction::yes("member_delete")],
        }
    }
}

impl Example for MemberCreate {
    fn example() -> Self {
        Self { email: "grace@example.org".into(), role: ProjectRole::Editor }
    }
}

impl Example for MemberUpdate {
    fn example() -> Self {
        Self { role: ProjectRole::Operator }
    }
}
