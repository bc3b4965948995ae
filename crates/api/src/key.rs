//! Keys of services: programs that call without a person.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use waybill_model::id::KeyId;
use waybill_model::role::ServiceRole;
use waybill_model::{PipelineId, ProjectId, UserId};

use crate::account::Confidential;
use crate::action::AllowedAction;
use crate::example::{self, Example};
use crate::open::ServiceRoleWord;
use crate::timestamp::Timestamp;

/// A key, without the key itself.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ApiKey {
    /// Its id, which stands in the audit chain for who used it.
    #[schema(value_type = String)]
    pub id: KeyId,
    /// The only project that it reaches.
    #[schema(value_type = String)]
    pub project_id: ProjectId,
    /// Its name.
    pub name: String,
    /// What it may do there, as far as who made it may.
    pub role: ServiceRoleWord,
    /// The pipelines that a key of role `api` starts.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub pipelines: Vec<PipelineId>,
    /// Ranges of addresses that it may come from; empty: from anywhere.
    #[serde(default)]
    pub networks: Vec<String>,
    /// What the key begins with.
    pub prefix: String,
    /// `active`, `expired`, `revoked`, or `suspended` where who made it is disabled.
    pub state: String,
    /// Who made it: it never may more than they may.
    #[schema(value_type = String)]
    pub created_by: UserId,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused.
    pub expires_at: Timestamp,
    /// When it was used last, to within five minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
    /// What the caller may do with it.
    #[serde(default)]
    pub allowed_actions: Vec<AllowedAction>,
}

/// Makes a key.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyCreate {
    /// Lower-case letters, digits and dashes, at most 63.
    pub name: String,
    /// `api`, which starts the named pipelines and sees the runs that it started; or `viewer`, `operator` or `editor` of the project.
    #[schema(value_type = String)]
    pub role: ServiceRole,
    /// For the role `api`: 1 to 20 pipelines of the project.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub pipelines: Vec<PipelineId>,
    /// At most 20 ranges of addresses that it may come from, such as `198.51.100.0/24`; from anywhere where none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<String>,
    /// How many days it lives, 1 to 365.
    pub days: u16,
}

/// A new key.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct KeyMade {
    /// What is known of it.
    pub key: ApiKey,
    /// The key itself, for `Authorization: Bearer`. It is shown this once; a repeat of the request does not tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub secret: Option<Confidential>,
}

impl Example for ApiKey {
    fn example() -> Self {
        Self {
            id: example::id("key", 1),
            project_id: example::id("prj", 1),
            name: "ci".into(),
            role: ServiceRole::Api.into(),
            pipelines: vec![example::id("pl", 1)],
            networks: vec!["198.51.100.0/24".into()],
            prefix: "wbk_01jd8m2v5k0000000000000001".into(),
            state: "active".into(),
            created_by: example::id("usr", 1),
            created_at: example::at(0),
            expires_at: example::at(90 * 86_400),
            last_used_at: Some(example::at(600)),
            revoked_at: None,
            allowed_actions: vec![AllowedAction::yes("key_revoke")],
        }
    }
}

impl Example for KeyCreate {
    fn example() -> Self {
        Self {
            name: "ci".into(),
            role: ServiceRole::Api,
            pipelines: vec![example::id("pl", 1)],
            networks: vec!["198.51.100.0/24".into()],
            days: 90,
        }
    }
}

impl Example for KeyMade {
    fn example() -> Self {
        let key = ApiKey { last_used_at: None, ..ApiKey::example() };
        let secret = Some(Confidential::new(format!("{}_…_…", key.prefix)));
        Self { key, secret }
    }
}
