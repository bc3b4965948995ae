//! People, logins and tokens. A password or a token stands only in the body that must carry it, and prints as nothing.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use waybill_model::id::SessionId;
use waybill_model::role::OrganizationRole;
use waybill_model::{OrgId, UserId};

use crate::action::AllowedAction;
use crate::example::{self, Example};
use crate::open::OrganizationRoleWord;
use crate::organization::Organization;
use crate::timestamp::Timestamp;

/// A text that only its receiver may read: it does not print.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = Password)]
pub struct Confidential(String);

impl Confidential {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: only for sending, hashing or comparing it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Confidential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[confidential]")
    }
}

/// Makes the organization and its owner.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetupRequest {
    /// The one-time token from the state directory.
    pub setup_token: Confidential,
    /// The owner's e-mail address.
    pub email: String,
    /// 12 to 128 characters.
    pub password: Confidential,
    /// Name of the organization.
    pub organization: String,
}

/// Logs a person in.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// E-mail address.
    pub email: String,
    /// Password.
    pub password: Confidential,
}

/// Exchanges a refresh token for new tokens.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshRequest {
    /// The newest refresh token of the session. Used twice, it ends the session.
    pub refresh_token: Confidential,
}

/// What a login gives.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Tokens {
    /// For the `Authorization: Bearer` header.
    pub access_token: Confidential,
    /// How long the access token lives.
    pub access_expires_in_ms: u64,
    /// For one refresh.
    pub refresh_token: Confidential,
    /// When the session ends unless it is refreshed before.
    pub refresh_expires_at: Timestamp,
}

/// A person.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// Its id.
    #[schema(value_type = String)]
    pub id: UserId,
    /// Its organization.
    #[schema(value_type = String)]
    pub organization_id: OrgId,
    /// E-mail address, in lower case.
    pub email: String,
    /// Role in the organization.
    pub role: OrganizationRoleWord,
    /// May not log in.
    #[serde(default)]
    pub disabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// What the caller may do with it.
    #[serde(default)]
    pub allowed_actions: Vec<AllowedAction>,
}

/// Makes an account in the organization.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserCreate {
    /// E-mail address.
    pub email: String,
    /// First password, 12 to 128 characters.
    pub password: Confidential,
    /// `owner`, `administrator` or `member`, at most as high as the caller's own; `member` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub role: Option<OrganizationRole>,
}

/// Changes what a person is in the organization: what is absent stays as it is.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserUpdate {
    /// `owner`, `administrator` or `member`, at most as high as the caller's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub role: Option<OrganizationRole>,
    /// Whether the person may not log in; who is disabled has no session any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

/// Who is logged in.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Whoami {
    /// The person.
    pub user: User,
    /// The person's organization.
    pub organization: Organization,
    /// The login session.
    #[schema(value_type = String)]
    pub session_id: SessionId,
}

impl Example for SetupRequest {
    fn example() -> Self {
        Self {
            setup_token: Confidential::new("setup_4f0c…"),
            email: "ada@example.org".into(),
            password: Confidential::new("correct horse battery staple"),
            organization: "Example".into(),
        }
    }
}

impl Example for LoginRequest {
    fn example() -> Self {
        Self { email: "ada@example.org".into(), password: Confidential::new("correct horse battery staple") }
    }
}

impl Example for RefreshRequest {
    fn example() -> Self {
        Self { refresh_token: Confidential::new("wbr_…") }
    }
}

impl Example for Tokens {
    fn example() -> Self {
        Self {
            access_token: Confidential::new("eyJhbGciOiJIUzUxMiIs…"),
            access_expires_in_ms: 600_000,
            refresh_token: Confidential::new("wbr_…"),
            refresh_expires_at: example::at(43_200),
        }
    }
}

impl Example for User {
    fn example() -> Self {
        Self {
            id: example::id("usr", 1),
            organization_id: example::id("org", 1),
            email: "ada@example.org".into(),
            role: OrganizationRole::Administrator.into(),
            disabled: false,
            created_at: example::at(0),
            allowed_actions: vec![AllowedAction::yes("user_update")],
        }
    }
}

impl Example for UserCreate {
    fn example() -> Self {
        Self {
            email: "grace@example.org".into(),
            password: Confidential::new("a long first password"),
            role: Some(OrganizationRole::Member),
        }
    }
}

impl Example for UserUpdate {
    fn example() -> Self {
        Self { role: Some(OrganizationRole::Administrator), disabled: Some(false) }
    }
}

impl Example for Whoami {
    fn example() -> Self {
        Self { user: User::example(), organization: Organization::example(), session_id: example::id("ses", 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_does_not_print() {
        let login = LoginRequest { email: "a@b".into(), password: Confidential::new("hunter2hunter2") };
        assert!(!format!("{login:?}").contains("hunter2"));
    }

    #[test]
    fn a_login_with_an_unknown_key_is_refused() {
        let body = r#"{"email":"a@b","password":"x","role":"owner"}"#;
        assert!(serde_json::from_str::<LoginRequest>(body).is_err());
    }
}
