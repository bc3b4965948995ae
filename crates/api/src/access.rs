//! Why somebody may do something, or may not.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use waybill_model::{ProjectId, UserId};

use crate::example::{self, Example};

/// Whether a person may do something with an object, by which role, and what it takes.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AccessExplained {
    /// The person.
    #[schema(value_type = String)]
    pub user_id: UserId,
    /// The person's e-mail address.
    pub email: String,
    /// The operation.
    pub action: String,
    /// The object; none where the question was about none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The project that the object belongs to; none where it belongs to the organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub project_id: Option<ProjectId>,
    /// Whether they would be let in. What the object's state allows is another matter: see its `allowed_actions`.
    pub allowed: bool,
    /// The status that they would get in place of an answer: 401 where the account is disabled, 404 where they do not see the object, 403 otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_with: Option<u16>,
    /// What the operation asks for; none where it is open to everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
    /// The person's role that counts there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Where that role is held: `organization` or `project`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The least role that would do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takes: Option<String>,
    /// All of it in a sentence.
    pub reason: String,
}

impl Example for AccessExplained {
    fn example() -> Self {
        Self {
            user_id: example::id("usr", 2),
            email: "grace@example.org".into(),
            action: "pipeline_update".into(),
            object: Some("pl_01jd8m2v5k0000000000000001".into()),
            project_id: Some(example::id("prj", 1)),
            allowed: false,
            refused_with: Some(403),
            permission: Some("pipeline:write".into()),
            role: Some("viewer".into()),
            scope: Some("project".into()),
            takes: Some("the project role editor".into()),
            reason: "the role viewer lacks pipeline:write: it takes the project role editor".into(),
        }
    }
}
