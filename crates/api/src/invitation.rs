//! Invitations of people into an organization.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use waybill_model::id::InvitationId;
use waybill_model::role::{OrganizationRole, ProjectRole};
use waybill_model::{ProjectId, UserId};

use crate::account::Confidential;
use crate::action::AllowedAction;
use crate::example::{self, Example};
use crate::open::{OrganizationRoleWord, ProjectRoleWord};
use crate::timestamp::Timestamp;

/// A person who is asked to come in.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Invitation {
    /// Its id.
    #[schema(value_type = String)]
    pub id: InvitationId,
    /// The e-mail address that the account will have, in lower case.
    pub email: String,
    /// The role in the organization.
    pub role: OrganizationRoleWord,
    /// The project that takes the person in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub project_id: Option<ProjectId>,
    /// The role there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_role: Option<ProjectRoleWord>,
    /// `open`, `expired`, `revoked` or `accepted`.
    pub state: String,
    /// Who made it: it gives no more than they may give when it is accepted.
    #[schema(value_type = String)]
    pub invited_by: UserId,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused.
    pub expires_at: Timestamp,
    /// What the caller may do with it.
    #[serde(default)]
    pub allowed_actions: Vec<AllowedAction>,
}

/// Asks a person to come in. One that is open for the address already is taken back.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InvitationCreate {
    /// E-mail address.
    pub email: String,
    /// `owner`, `administrator` or `member`, at most as high as the caller's own; `member` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub role: Option<OrganizationRole>,
    /// A project that takes the person in; with `project_role`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub project_id: Option<ProjectId>,
    /// `owner`, `admin`, `editor`, `operator` or `viewer`, at most as high as the caller's own there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub project_role: Option<ProjectRole>,
}

/// A new invitation.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct InvitationMade {
    /// What is known of it.
    pub invitation: Invitation,
    /// What takes the person in, once. It is shown this once; a repeat of the request does not tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub token: Option<Confidential>,
}

/// Makes the account of who was invited.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InvitationAccept {
    /// The token of the invitation.
    pub token: Confidential,
    /// The password of the new account, 12 to 128 characters.
    pub password: Confidential,
}

impl Example for Invitation {
    fn example() -> Self {
        Self {
            id: example::id("inv", 1),
            email: "grace@example.org".into(),
            role: OrganizationRole::Member.into(),
            project_id: Some(example::id("prj", 1)),
            project_role: Some(ProjectRole::Editor.into()),
            state: "open".into(),
            invited_by: example::id("usr", 1),
            created_at: example::at(0),
            expires_at: example::at(72 * 3_600),
            allowed_actions: vec![AllowedAction::yes("invitation_revoke")],
        }
    }
}

impl Example for InvitationCreate {
    fn example() -> Self {
        Self {
            email: "grace@example.org".into(),
            role: None,
            project_id: Some(example::id("prj", 1)),
            project_role: Some(ProjectRole::Editor),
        }
    }
}

impl Example for InvitationMade {
    fn example() -> Self {
        Self { invitation: Invitation::example(), token: Some(Confidential::new("wbi_…")) }
    }
}

impl Example for InvitationAccept {
    fn example() -> Self {
        Self { token: Confidential::new("wbi_…"), password: Confidential::new("correct horse battery staple") }
    }
}
