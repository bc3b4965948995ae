//! What the caller may do with an object now: it drives every button, so that no rule is copied into a client.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One action on the object that carries it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AllowedAction {
    /// The operation, such as `run_cancel`.
    pub action: String,
    /// Whether it would be taken now.
    pub allowed: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl AllowedAction {
    /// An action that would be taken.
    #[must_use]
    pub fn yes(action: &str) -> Self {
        Self { action: action.into(), allowed: true, reason: None }
    }

    /// An action that would be refused, and why.
    #[must_use]
    pub fn no(action: &str, reason: &str) -> Self {
        Self { action: action.into(), allowed: false, reason: Some(reason.into()) }
    }

    /// Allowed where `reason` is none.
    #[must_use]
    pub fn unless(action: &str, reason: Option<&str>) -> Self {
        reason.map_or_else(|| Self::yes(action), |reason| Self::no(action, reason))
    }
}
