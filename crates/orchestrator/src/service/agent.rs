//! Agents: who may start workers on a customer's side. Invited, approved, disabled and removed by people here; enrolment,
//! renewal and sessions stand in the modules below.
//!
//! Whatever takes an agent's right away fences the attempts that it holds, in the same transaction.

use std::sync::Arc;

use waybill_api::ProblemCode;
use waybill_api::agent::AgentCreate;
use waybill_identity::{CertifiedAgent, Invitation};
use waybill_model::{AgentId, OrgId, RunId};
use waybill_store::{Agent, AuditEntry, Store, StoreError, StoreResult, Tx};
use zeroize::Zeroizing;

use super::note::Note;
use super::{Once, Refused, ServiceResult, check_name, once};
use crate::app::Shared;
use crate::auth::Caller;
use crate::service::bounds::Bounds;
use crate::service::nudge::Nudges;
use crate::service::trail::Trail;

pub(crate) mod calls;
mod enrol;
pub(crate) mod role;
pub(crate) mod session;

pub use enrol::{Presented, Renewal};
pub use session::{OpenSession, SessionEnd};

/// The kind of data plane whose workers agents start.
pub const AGENT: &str = "agent";

/// The agents' side of the control plane, behind the wire.
#[derive(Clone)]
pub struct AgentService {
    store: Store,
    bounds: Arc<Bounds>,
    nudges: Arc<Nudges>,
    trail: Arc<Trail>,
    allowances: Arc<calls::Allowances>,
}

/// Why an agent is not served.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The token, key or certificate is not good (any more). The agent learns no more than that.
    #[error("refused")]
    Refused,
    /// An administrator disabled it.
    #[error("the agent is disabled")]
    Disabled,
    /// Its identity was copied: nobody who has it is served.
    #[error("the agent is locked")]
    Locked,
    /// It holds the certificate before the one that was issued last: it renews, then comes again.
    #[error("the certificate is to be renewed first")]
    RenewFirst,
    /// Its certificate is newer than what this database knows, so the database was restored: the agent is enrolled anew.
    #[error("the agent is to be enrolled anew")]
    EnrolAnew,
    /// A newer session of the same agent took over.
    #[error("another session of the agent took over")]
    Superseded,
    /// What it says that its workers prove is no role of a region.
    #[error("the role of the agent's workers can't be used")]
    Role,
    /// As whom it says that it calls its cloud is no role of a region, or one that this orchestrator assumes.
    #[error("the role of the agent can't be used")]
    Caller,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AgentService {
    /// Over this store; what agents tell of their calls goes into this trail.
    #[must_use]
    pub fn new(store: Store, bounds: Arc<Bounds>, nudges: Arc<Nudges>, trail: Arc<Trail>) -> Self {
        Self { store, bounds, nudges, trail, allowances: Arc::default() }
    }

    /// The agent, if it may speak.
    async fn speaking(&self, org: OrgId, id: AgentId) -> Result<Agent, AgentError> {
        let agent = self.store.agent_get(org, id).await?.ok_or(AgentError::Disabled)?;
        match agent.state.as_str() {
            "active" => Ok(agent),
            "disabled" => Err(AgentError::Disabled),
            "locked" => Err(AgentError::Locked),
            _ => Err(AgentError::Refused),
        }
    }

    /// Whether a certificate was issued after the last one that this database knows: a backup was restored since. The
    /// generation is what the agent claims; the end of a certificate's life is not.
    fn is_ahead(agent: &Agent, certified: &CertifiedAgent, claimed: i64) -> bool {
        claimed > agent.generation && agent.not_after.is_none_or(|known| certified.not_after > known)
    }

    /// Takes the right of whoever holds this identity away, and says so.
    async fn lock(&self, agent: &Agent) -> StoreResult<()> {
        let mut tx = self.store.write_tx(agent.org).await?;
        if !Store::agent_move_in_txn(&mut tx, agent, &["active"], "locked").await? {
            return Ok(());
        }
        let runs = fence_in_txn(&mut tx, agent).await?;
        let actor = format!("agent:{}", agent.id);
        let entry =
            AuditEntry { outcome: "locked", ..AuditEntry::done(agent.org, actor, "identity_cloned", &agent.id) };
        Store::audit_append_in_txn(&mut tx, &entry).await?;
        tx.commit().await?;
        tracing::error!(agent = %agent.id, "ALARM: an agent's identity was copied; both are locked");
        crate::metrics::agent_locked();
        told(&self.nudges, agent, &runs);
        Ok(())
    }
}

/// Wakes whoever waits for agents and their runs.
fn told(nudges: &Nudges, agent: &Agent, runs: &[RunId]) {
    runs.iter().for_each(|run| nudges.run_changed(*run));
    nudges.agents_changed(agent.data_plane);
    nudges.task_changed();
}

/// Fences the attempts that an agent holds, whose right was taken away in this transaction: it is given no other ones from
/// then on, so none is missed. Nothing that their workers say counts any more.
async fn fence_in_txn(tx: &mut Tx, agent: &Agent) -> StoreResult<Vec<RunId>> {
    let (org, mut runs) = (agent.org, Vec::new());
    for task in Store::agent_task_live_in_txn(tx, org, agent.id).await? {
        let Some(attempt) = Store::attempt_get_in_txn(tx, org, task.attempt).await? else { continue };
        if Store::run_lock_in_txn(tx, org, attempt.run).await?.is_none() {
            continue;
        }
        if Store::attempt_fence_in_txn(tx, &attempt).await? {
            Store::certificate_revoke_in_txn(tx, org, attempt.id).await?;
            let note = Note::Fenced.event(Some(attempt.id));
            Store::run_event_append_in_txn(tx, org, attempt.run, &[note]).await?;
            runs.push(attempt.run);
        }
        Store::agent_task_stop_in_txn(tx, org, task.attempt).await?;
    }
    Ok(runs)
}

/// The token of an agent's present invitation; none where it was used or its time is over.
#[must_use]
pub fn token(app: &Shared, agent: &Agent) -> Option<Zeroizing<String>> {
    let open = agent.state == "invited" && agent.invitation_used_at.is_none();
    let invitation = Invitation { org: agent.org, agent: agent.id, number: agent.invitation };
    open.then(|| invitation.token(&app.tickets))
}

/// Invites an agent to a data plane.
pub async fn create(app: &Shared, caller: &Caller, body: &AgentCreate, key: Option<&Once>) -> ServiceResult<Agent> {
    check_name(&body.name)?;
    let missing = || Refused::new(ProblemCode::NotFound, "no such data plane in this organization");
    let plane = app.store.data_plane_get(caller.org, body.data_plane_id).await?.ok_or_else(missing)?;
    if plane.kind != AGENT {
        let message = format!("its kind is `{}`: agents start workers of a data plane of kind `agent`", plane.kind);
        let next = "make one with POST /v1/data-planes and the kind `agent`";
        return Err(Refused::field(ProblemCode::Unusable, "/data_plane_id", message).next(next));
    }
    let id: AgentId = once(&app.store, key, async || {
        let id = AgentId::generate();
        let mut tx = app.store.write_tx(caller.org).await?;
        let life = app.bounds.agent_invitation;
        let what = (body.name.as_str(), body.needs_approval);
        Store::agent_insert_in_txn(&mut tx, caller.org, (id, plane.id), what, life).await?;
        if let Some(key) = key {
            key.keep(&mut tx, &id.to_string()).await?;
        }
        Store::audit_append_in_txn(&mut tx, &caller.audit("agent_create", id)).await?;
        tx.commit().await?;
        Ok(id)
    })
    .await?;
    read(app, caller, id).await
}

/// Invites an agent anew, such as one whose host was replaced; what it had before is void.
pub async fn invite(app: &Shared, caller: &Caller, agent: &Agent, needs_approval: bool) -> ServiceResult<Agent> {
    let mut tx = app.store.write_tx(caller.org).await?;
    if !Store::agent_invite_in_txn(&mut tx, agent, needs_approval, app.bounds.agent_invitation).await? {
        return Err(changed());
    }
    let runs = fence_in_txn(&mut tx, agent).await?;
    Store::audit_append_in_txn(&mut tx, &caller.audit("agent_invite", agent.id)).await?;
    tx.commit().await?;
    told(&app.nudges, agent, &runs);
    read(app, caller, agent.id).await
}

/// Approves the key that waits for it, named by its fingerprint.
pub async fn approve(app: &Shared, caller: &Caller, agent: &Agent, fingerprint: &str) -> ServiceResult<Agent> {
    if agent.state != "pending" {
        let detail = format!("the agent is {}: only one that waits for an approval can be approved", agent.state);
        return Err(Refused::new(ProblemCode::StateConflict, detail));
    }
    if agent.spki.as_ref().map(|spki| format!("sha256:{spki}")).as_deref() != Some(fingerprint) {
        let message = "it is not the fingerprint of the key that waits";
        let next = "compare it with what the agent printed on its own host; do not approve a key that differs";
        return Err(Refused::field(ProblemCode::Unusable, "/fingerprint", message).next(next));
    }
    let mut tx = app.store.write_tx(caller.org).await?;
    // The key that was compared, not the one that may stand there by now.
    if !Store::agent_approve_in_txn(&mut tx, agent).await? {
        return Err(changed());
    }
    Store::audit_append_in_txn(&mut tx, &caller.audit("agent_approve", agent.id)).await?;
    tx.commit().await?;
    told(&app.nudges, agent, &[]);
    read(app, caller, agent.id).await
}

/// Takes an agent's right away at once: its session ends, the attempts that it holds are fenced.
pub async fn disable(app: &Shared, caller: &Caller, agent: &Agent) -> ServiceResult<Agent> {
    shift(app, caller, agent, (&["invited", "pending", "active"], "disabled", "agent_disable")).await
}

/// Gives a disabled agent its right back. One that had no certificate yet is invited anew instead.
pub async fn enable(app: &Shared, caller: &Caller, agent: &Agent) -> ServiceResult<Agent> {
    if agent.generation == 0 {
        let detail = "the agent never enrolled, so there is nothing to enable";
        return Err(Refused::new(ProblemCode::StateConflict, detail).next("invite it anew"));
    }
    shift(app, caller, agent, (&["disabled"], "active", "agent_enable")).await
}

/// Removes an agent; false where somebody else changed it meanwhile.
pub async fn remove(app: &Shared, caller: &Caller, agent: &Agent) -> ServiceResult<bool> {
    let mut tx = app.store.write_tx(caller.org).await?;
    if !Store::agent_remove_in_txn(&mut tx, agent).await? {
        return Ok(false);
    }
    let runs = fence_in_txn(&mut tx, agent).await?;
    Store::audit_append_in_txn(&mut tx, &caller.audit("agent_delete", agent.id)).await?;
    tx.commit().await?;
    told(&app.nudges, agent, &runs);
    Ok(true)
}

async fn shift(
    app: &Shared,
    caller: &Caller,
    agent: &Agent,
    (from, to, action): (&[&str], &str, &'static str),
) -> ServiceResult<Agent> {
    if !from.contains(&agent.state.as_str()) {
        let detail = format!("the agent is {}", agent.state);
        return Err(Refused::new(ProblemCode::StateConflict, detail).next(next_of(&agent.state)));
    }
    let mut tx = app.store.write_tx(caller.org).await?;
    if !Store::agent_move_in_txn(&mut tx, agent, from, to).await? {
        return Err(changed());
    }
    let runs = if to == "disabled" { fence_in_txn(&mut tx, agent).await? } else { Vec::new() };
    Store::audit_append_in_txn(&mut tx, &caller.audit(action, agent.id)).await?;
    tx.commit().await?;
    told(&app.nudges, agent, &runs);
    read(app, caller, agent.id).await
}

fn next_of(state: &str) -> &'static str {
    match state {
        "locked" => "its identity was copied: find out where, then invite it anew",
        "disabled" => "enable it first",
        _ => "look at it again: GET /v1/agents/{agent}",
    }
}

fn changed() -> Refused {
    Refused::new(ProblemCode::StateConflict, "somebody else changed the agent meanwhile").next("look at it again")
}

async fn read(app: &Shared, caller: &Caller, id: AgentId) -> ServiceResult<Agent> {
    app.store.agent_get(caller.org, id).await?.ok_or_else(|| ProblemCode::NotFound.into())
}
