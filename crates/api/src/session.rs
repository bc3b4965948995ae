//! Login sessions: where somebody is logged in, and ending that.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use waybill_model::id::SessionId;

use crate::example::{self, Example};
use crate::timestamp::Timestamp;

/// A login session that has not ended.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Its id.
    #[schema(value_type = String)]
    pub id: SessionId,
    /// Whether it is the one that asks.
    pub current: bool,
    /// Address that it was begun from, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it got new tokens last.
    pub used_at: Timestamp,
    /// When it ends whatever happens.
    pub expires_at: Timestamp,
}

/// How somebody signed in, or tried to: read from the audit chain, which nobody shortens.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SignIn {
    /// Number of its entry in the audit chain.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// `login`, `setup`, or `refresh_token_reused`: a token that had been used came again, which ended its session.
    pub how: String,
    /// `done` or `refused`.
    pub outcome: String,
    /// Address that it came from, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
}

/// Ends sessions.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionRevoke {
    /// Only this one; where absent all, and of one's own all but the one that asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub session_id: Option<SessionId>,
}

/// What was ended.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct SessionsRevoked {
    /// How many sessions.
    pub ended: u64,
}

impl Example for Session {
    fn example() -> Self {
        Self {
            id: example::id("ses", 1),
            current: true,
            ip: Some("198.51.100.7".into()),
            created_at: example::at(0),
            used_at: example::at(600),
            expires_at: example::at(604_800),
        }
    }
}

impl Example for SignIn {
    fn example() -> Self {
        Self {
            seq: 7,
            at: example::at(0),
            how: "login".into(),
            outcome: "refused".into(),
            ip: Some("198.51.100.7".into()),
        }
    }
}

impl Example for SessionRevoke {
    fn example() -> Self {
        Self { session_id: Some(example::id("ses", 1)) }
    }
}

impl Example for SessionsRevoked {
    fn example() -> Self {
        Self { ended: 1 }
    }
}
