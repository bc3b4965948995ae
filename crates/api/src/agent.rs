//! Agents: programs on the customer's side that start workers there.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use waybill_model::{AgentId, DataPlaneId};

use crate::account::Confidential;
use crate::action::AllowedAction;
use crate::example::{self, Example};
use crate::timestamp::Timestamp;

/// An agent.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Agent {
    /// Its id.
    #[schema(value_type = String)]
    pub id: AgentId,
    /// Its name; unique in the organization.
    pub name: String,
    /// Where it starts workers.
    #[schema(value_type = String)]
    pub data_plane_id: DataPlaneId,
    /// `invited`, `pending` (its key waits for an approval), `active`, `disabled` or `locked` (its identity was copied).
    pub state: String,
    /// Whether it is heard now: an own view, of the last message that was of use.
    pub connected: bool,
    /// When its last message of use came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<Timestamp>,
    /// It ends its work and takes no more.
    pub draining: bool,
    /// Most workers at once, as it says.
    pub slots: u64,
    /// Workers that it holds now.
    pub workers: u64,
    /// Role by which it calls its own cloud, as it says; where it starts workers as tasks there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// Its program's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program_version: Option<String>,
    /// SHA-256 of its public key: compare it with what the agent printed before you approve it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Generation of its certificate; rises with every renewal.
    pub generation: u64,
    /// End of its certificate's life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_until: Option<Timestamp>,
    /// Until when its token can be used, while it is invited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invited_until: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// What the caller may do with it.
    #[serde(default)]
    pub allowed_actions: Vec<AllowedAction>,
}

/// Invites an agent.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentCreate {
    /// Lower-case letters, digits and dashes, at most 63.
    pub name: String,
    /// Where it will start workers: a data plane of kind `agent`.
    #[schema(value_type = String)]
    pub data_plane_id: DataPlaneId,
    /// Whether an administrator must approve the agent's key before it gets a certificate.
    #[serde(default)]
    pub needs_approval: bool,
}

/// Invites an agent anew.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentInvite {
    /// Whether an administrator must approve the agent's key before it gets a certificate.
    #[serde(default)]
    pub needs_approval: bool,
}

/// An invitation, with what is to be taken to the agent's host.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AgentInvited {
    /// The agent.
    pub agent: Agent,
    /// The one-time token; none where it was used or its time is over. Keep it from others until it is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub token: Option<Confidential>,
    /// Host and port of the orchestrator, for the agent's command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orchestrator: Option<String>,
    /// Fingerprint of the orchestrator's certificate authority, for the agent's command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pin: Option<String>,
}

/// Approves an agent's key.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentApprove {
    /// What the agent printed on its own host: `sha256:` and 64 hexadecimal digits.
    pub fingerprint: String,
}

fn fingerprint() -> String {
    format!("sha256:{}", "9f86d081884c7d65".repeat(4))
}

impl Example for Agent {
    fn example() -> Self {
        Self {
            id: example::id("agt", 1),
            name: "office-1".into(),
            data_plane_id: example::id("dp", 2),
            state: "active".into(),
            connected: true,
            seen_at: Some(example::at(60)),
            draining: false,
            slots: 4,
            workers: 1,
            role_arn: None,
            program_version: Some("0.1.0".into()),
            fingerprint: Some(fingerprint()),
            generation: 2,
            certificate_until: Some(example::at(86_400)),
            invited_until: None,
            created_at: example::at(0),
            allowed_actions: vec![AllowedAction::yes("agent_disable")],
        }
    }
}

impl Example for AgentCreate {
    fn example() -> Self {
        Self { name: "office-1".into(), data_plane_id: example::id("dp", 2), needs_approval: true }
    }
}

impl Example for AgentInvite {
    fn example() -> Self {
        Self { needs_approval: true }
    }
}

impl Example for AgentInvited {
    fn example() -> Self {
        Self {
            agent: Agent { state: "invited".into(), connected: false, generation: 0, ..Agent::example() },
            token: Some(Confidential::new("wba.org_….agt_….1.…".to_owned())),
            orchestrator: Some("waybill.example.com:443".into()),
            ca_pin: Some(fingerprint()),
        }
    }
}

impl Example for AgentApprove {
    fn example() -> Self {
        Self { fingerprint: fingerprint() }
    }
}
