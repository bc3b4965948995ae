//! New passwords.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use waybill_model::UserId;

use crate::account::Confidential;
use crate::example::{self, Example};
use crate::timestamp::Timestamp;

/// Changes the own password.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The password as it is.
    pub current_password: Confidential,
    /// The new one, 12 to 128 characters.
    pub password: Confidential,
}

/// Makes a link for a new password.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordResetCreate {
    /// How many hours it is good for, 1 to 24; 1 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<u8>,
}

/// A link for a new password.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PasswordResetMade {
    /// Whose password it is for.
    #[schema(value_type = String)]
    pub user_id: UserId,
    /// What lets the person choose a new one, once. It is shown this once.
    pub token: Confidential,
    /// From when on it is refused.
    pub expires_at: Timestamp,
}

/// Chooses a new password with the token of a link.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordResetUse {
    /// The token.
    pub token: Confidential,
    /// The new password, 12 to 128 characters.
    pub password: Confidential,
}

impl Example for PasswordChange {
    fn example() -> Self {
        Self {
            current_password: Confidential::new("correct horse battery staple"),
            password: Confidential::new("other words nobody guesses"),
        }
    }
}

impl Example for PasswordResetCreate {
    fn example() -> Self {
        Self { hours: Some(1) }
    }
}

impl Example for PasswordResetMade {
    fn example() -> Self {
        Self { user_id: example::id("usr", 1), token: Confidential::new("wbp_…"), expires_at: example::at(3_600) }
    }
}

impl Example for PasswordResetUse {
    fn example() -> Self {
        Self { token: Confidential::new("wbp_…"), password: Confidential::new("other words nobody guesses") }
    }
}
