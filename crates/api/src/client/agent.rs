//! Operations on agents.

use waybill_model::AgentId;

use super::{Client, ClientResult, ListQuery, Tagged};
use crate::agent::{Agent, AgentApprove, AgentCreate, AgentInvite, AgentInvited};
use crate::page::Page;

impl Client {
    /// Agents.
    pub async fn agent_list(&self, query: &ListQuery) -> ClientResult<Page<Agent>> {
        self.get("/v1/agents", query).await
    }

    /// Invites an agent.
    pub async fn agent_create(&self, body: &AgentCreate) -> ClientResult<AgentInvited> {
        self.post("/v1/agents", body).await
    }

    /// One agent.
    pub async fn agent_get(&self, id: AgentId) -> ClientResult<Tagged<Agent>> {
        self.get_tagged(&format!("/v1/agents/{id}")).await
    }

    /// Invites an agent anew.
    pub async fn agent_invite(&self, id: AgentId, body: &AgentInvite) -> ClientResult<AgentInvited> {
        self.post(&format!("/v1/agents/{id}/invite"), body).await
    }

    /// Approves an agent's key.
    pub async fn agent_approve(&self, id: AgentId, body: &AgentApprove) -> ClientResult<Agent> {
        self.post(&format!("/v1/agents/{id}/approve"), body).await
    }

    /// Disables an agent.
    pub async fn agent_disable(&self, id: AgentId) -> ClientResult<Agent> {
        self.post(&format!("/v1/agents/{id}/disable"), &serde_json::json!({})).await
    }

    /// Enables a disabled agent.
    pub async fn agent_enable(&self, id: AgentId) -> ClientResult<Agent> {
        self.post(&format!("/v1/agents/{id}/enable"), &serde_json::json!({})).await
    }

    /// Removes an agent.
    pub async fn agent_delete(&self, id: AgentId, etag: &str) -> ClientResult<()> {
        self.delete(&format!("/v1/agents/{id}"), etag).await
    }
}
