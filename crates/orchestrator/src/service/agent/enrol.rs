//! Enrolment and renewal of agents: a token is used once and bound to one key; each certificate has the generation after
//! the one before, and whoever comes with another one has a copy of the identity.

use waybill_identity::{AgentPeer, CertifiedAgent, Invitation};
use waybill_store::{Agent, AgentCertificate, AuditEntry, Store, StoreResult};

use super::{AgentError, AgentService};

/// Where an enrolment stands after a token was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented {
    /// An administrator is to approve the key.
    Pending,
    /// A certificate of this generation may be issued, unless it was.
    Granted(Renewal),
}

/// Which certificate may be issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// For whom.
    pub peer: AgentPeer,
    /// Its generation.
    pub generation: i64,
    /// One of this generation was issued for the same key; its answer may have been lost.
    pub again: bool,
}

impl AgentService {
    /// Uses an invitation for a public key, or finds that this key used it a moment ago.
    pub async fn present(&self, invitation: &Invitation, spki: &str) -> Result<Presented, AgentError> {
        let agent = self.store.agent_get(invitation.org, invitation.agent).await?.ok_or(AgentError::Refused)?;
        if agent.invitation != invitation.number {
            return Err(AgentError::Refused);
        }
        let peer = AgentPeer { org: agent.org, agent: agent.id };
        let Some(used) = agent.invitation_used_at else { return self.first_use(&agent, spki).await };
        if agent.spki.as_deref() != Some(spki) {
            return Err(self.another_key(&agent).await?);
        }
        let fresh = self.store.clock().await?.since(used) <= self.bounds.enrol_again;
        match (agent.state.as_str(), agent.generation) {
            ("pending", _) => Ok(Presented::Pending),
            ("active", 0) => Ok(Presented::Granted(Renewal { peer, generation: 1, again: false })),
            ("active", 1) if fresh || agent.needs_approval => {
                Ok(Presented::Granted(Renewal { peer, generation: 1, again: true }))
            }
            ("disabled", _) => Err(AgentError::Disabled),
            ("locked", _) => Err(AgentError::Locked),
            _ => Err(AgentError::Refused),
        }
    }

    async fn first_use(&self, agent: &Agent, spki: &str) -> Result<Presented, AgentError> {
        let to = if agent.needs_approval { "pending" } else { "active" };
        let mut tx = self.store.write_tx(agent.org).await?;
        if !Store::agent_use_invitation_in_txn(&mut tx, agent, spki, to).await? {
            return Err(AgentError::Refused);
        }
        let entry = AuditEntry::done(agent.org, format!("agent:{}", agent.id), "agent_enrol", &agent.id);
        Store::audit_append_in_txn(&mut tx, &entry).await?;
        tx.commit().await?;
        let peer = AgentPeer { org: agent.org, agent: agent.id };
        Ok(if agent.needs_approval {
            Presented::Pending
        } else {
            Presented::Granted(Renewal { peer, generation: 1, again: false })
        })
    }

    /// Somebody else holds this token. While it could still be used, whoever came first may not be who was invited.
    async fn another_key(&self, agent: &Agent) -> StoreResult<AgentError> {
        let mut tx = self.store.write_tx(agent.org).await?;
        let actor = format!("agent:{}", agent.id);
        Store::audit_append_in_txn(&mut tx, &AuditEntry::refused(agent.org, actor, "agent_enrol", &agent.id)).await?;
        tx.commit().await?;
        tracing::error!(agent = %agent.id, "ALARM: an agent's token was presented again with another key");
        crate::metrics::enrolment_alarm();
        if self.store.clock().await? < agent.invited_until {
            self.lock(agent).await?;
        }
        Ok(AgentError::Refused)
    }

    /// Which certificate an agent may have next. A generation that is not the present one, with a key that is not the
    /// one of a lost answer, locks the agent.
    pub async fn next_certificate(
        &self,
        certified: &CertifiedAgent,
        generation: u64,
        spki: &str,
    ) -> Result<Renewal, AgentError> {
        let peer = certified.peer;
        let agent = self.speaking(peer.org, peer.agent).await?;
        let claimed = i64::try_from(generation).unwrap_or(-1);
        let is_current = agent.serial.as_deref() == Some(hex::encode(&certified.serial).as_str());
        if claimed == agent.generation && is_current {
            return Ok(Renewal { peer, generation: claimed + 1, again: false });
        }
        if claimed + 1 == agent.generation && agent.spki.as_deref() == Some(spki) {
            return Ok(Renewal { peer, generation: agent.generation, again: true });
        }
        if Self::is_ahead(&agent, certified, claimed) {
            return Err(AgentError::EnrolAnew);
        }
        self.lock(&agent).await?;
        Err(AgentError::Locked)
    }

    /// Records a certificate that was made. Where two asked at once with one identity, the later one locks it.
    pub async fn certify(&self, renewal: &Renewal, certificate: AgentCertificate<'_>) -> Result<(), AgentError> {
        let Renewal { peer, generation, again } = *renewal;
        let mut tx = self.store.write_tx(peer.org).await?;
        let Some(agent) = Store::agent_get_in_txn(&mut tx, peer.org, peer.agent).await? else {
            return Err(AgentError::Disabled);
        };
        let taken = if again {
            agent.generation == generation && Store::agent_certify_again_in_txn(&mut tx, &agent, certificate).await?
        } else {
            Store::agent_certify_in_txn(&mut tx, (peer.org, peer.agent), generation - 1, certificate).await?
        };
        if taken {
            return Ok(tx.commit().await?);
        }
        drop(tx);
        if agent.state == "active" && agent.generation >= generation && agent.spki.as_deref() != Some(certificate.spki)
        {
            self.lock(&agent).await?;
            return Err(AgentError::Locked);
        }
        Err(AgentError::Refused)
    }
}
