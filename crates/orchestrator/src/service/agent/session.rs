//! One session of an agent: what it tells is kept, what it is to do is read from the database. A session that counts no
//! more, because a newer one came or the right was taken away, ends at its next look.

use std::collections::HashSet;

use waybill_identity::{AgentPeer, CertifiedAgent, TicketKey};
use waybill_launcher::LaunchSpec;
use waybill_model::{AttemptId, DataPlaneId, FailureCode, RunId};
use waybill_protocol::agent::{Orders, Phase, StartOrder, Task, Told};
use waybill_store::{Agent, AgentSaid, AgentTask, Store, StoreResult};

use super::calls::Caller;
use super::{AgentError, AgentService, role};
use crate::service::attempt::TicketClaim;
use crate::service::nudge::PlaneWatch;

/// An open session.
pub struct OpenSession {
    peer: AgentPeer,
    plane: DataPlaneId,
    id: String,
    /// As whom it calls its own cloud, where it does.
    caller: Option<Caller>,
    /// Attempts whose orders went out in this session: they are not repeated in it.
    started: HashSet<AttemptId>,
    stopped: HashSet<AttemptId>,
    asked: HashSet<AttemptId>,
}

/// Why a session ends.
pub type SessionEnd = AgentError;

impl OpenSession {
    /// Whose it is.
    #[must_use]
    pub const fn peer(&self) -> AgentPeer {
        self.peer
    }

    /// Where its workers run.
    pub(super) const fn plane(&self) -> DataPlaneId {
        self.plane
    }

    /// As whom it calls its own cloud.
    pub(super) const fn caller(&self) -> Option<&Caller> {
        self.caller.as_ref()
    }
}

impl AgentService {
    /// Opens a session: from now on it is the one that counts. A certificate that is older than the last but one is a
    /// copy's.
    pub async fn open(&self, certified: &CertifiedAgent, told: &Told) -> Result<OpenSession, SessionEnd> {
        let peer = certified.peer;
        let agent = self.speaking(peer.org, peer.agent).await?;
        let is_current = agent.serial.as_deref() == Some(hex::encode(&certified.serial).as_str());
        if !is_current {
            let claimed = i64::try_from(told.generation).unwrap_or(-1);
            if claimed + 1 == agent.generation {
                return Err(AgentError::RenewFirst);
            }
            if Self::is_ahead(&agent, certified, claimed) {
                return Err(AgentError::EnrolAnew);
            }
            self.lock(&agent).await?;
            return Err(AgentError::Locked);
        }
        let id = hex::encode(crate::random::<16>());
        let version = told.version.map(|version| version.to_string());
        let caller = self.caller(peer.org, told).await?;
        let kept = caller.as_ref().and_then(|caller| serde_json::to_string(caller).ok());
        let mut tx = self.store.write_tx(peer.org).await?;
        let role = match &told.worker_role {
            Some(told) => Some(role::keep(told).ok_or(AgentError::Role)?),
            None => None,
        };
        let (version, worker_role) = (version.as_deref(), role.as_deref());
        let cloud_caller = kept.as_deref();
        let said = AgentSaid { draining: told.draining, slots: told.slots, version, worker_role, cloud_caller };
        if !Store::agent_session_take_in_txn(&mut tx, &agent, &id, said).await? {
            return Err(AgentError::Superseded);
        }
        tx.commit().await?;
        tracing::info!(org = %peer.org, agent = %peer.agent, "an agent connected");
        let none = HashSet::new;
        Ok(OpenSession { peer, plane: agent.data_plane, id, caller, started: none(), stopped: none(), asked: none() })
    }

    /// The session is over: the agent is silent from now on.
    pub async fn close(&self, session: &OpenSession) -> StoreResult<()> {
        let mut tx = self.store.write_tx(session.peer.org).await?;
        Store::agent_session_end_in_txn(&mut tx, (session.peer.org, session.peer.agent), &session.id).await?;
        tx.commit().await?;
        self.nudges.agents_changed(session.plane);
        Ok(())
    }

    /// Takes a message; what follows from it at once is what the agent may forget, is asked about, or has to end since
    /// the task is not its own.
    pub async fn hear(&self, session: &mut OpenSession, told: &Told) -> Result<Orders, SessionEnd> {
        let AgentPeer { org, agent } = session.peer;
        let known = self.store.agent_task_live(org, agent).await?;
        let mut orders = Orders::default();
        let mut changed = Vec::new();
        let mut tx = self.store.write_tx(org).await?;
        let said = AgentSaid {
            draining: told.draining,
            slots: told.slots,
            version: None,
            worker_role: None,
            cloud_caller: None,
        };
        if !Store::agent_heard_in_txn(&mut tx, (org, agent), &session.id, said).await? {
            drop(tx);
            self.speaking(org, agent).await?;
            return Err(AgentError::Superseded);
        }
        for task in &told.tasks {
            let (state, exit_code, failure) = match task.phase {
                Phase::Running => ("running", None, None),
                Phase::Stopped { exit_code, cause } => ("stopped", exit_code.map(i64::from), cause),
                Phase::Failed(code) => ("failed", None, Some(code)),
                Phase::Unknown => ("unknown", None, None),
            };
            let Some(row) = known.iter().find(|row| row.attempt == task.attempt) else {
                not_its_own(&mut orders, task);
                continue;
            };
            let whose = (org, agent, task.attempt);
            let given_back = task.phase == Phase::Failed(FailureCode::NoCapacity);
            if given_back && Store::agent_task_return_in_txn(&mut tx, whose).await? {
                // Another agent gets it, or this one once it has room.
                session.started.remove(&task.attempt);
                changed.push(task.attempt);
            } else if row.state != state {
                Store::agent_task_told_in_txn(&mut tx, whose, state, (exit_code, failure)).await?;
                changed.push(task.attempt);
            }
            if ["stopped", "failed"].contains(&state) {
                orders.forget.push(task.attempt);
            }
        }
        tx.commit().await?;
        if told.complete {
            let missing = known.iter().filter(|row| row.state == "running" && !has(told, row.attempt));
            orders.describe.extend(missing.map(|row| row.attempt).filter(|attempt| session.asked.insert(*attempt)));
        }
        self.tell_runs(session, &changed).await?;
        orders.cloud_calls_heard = self.hear_calls(session, told).await?;
        Ok(orders)
    }

    async fn tell_runs(&self, session: &OpenSession, changed: &[AttemptId]) -> StoreResult<()> {
        for attempt in changed {
            let run: Option<RunId> = self.store.attempt_get(session.peer.org, *attempt).await?.map(|row| row.run);
            run.into_iter().for_each(|run| self.nudges.run_progressed(run));
        }
        if !changed.is_empty() {
            self.nudges.agents_changed(session.plane);
            self.nudges.task_changed();
        }
        Ok(())
    }

    /// What the agent is to do now, each order once in a session. A start is taken out of the database's hands first, so
    /// that one that was canceled meanwhile never goes out.
    pub async fn orders(&self, session: &mut OpenSession, tickets: &TicketKey) -> Result<Orders, SessionEnd> {
        let AgentPeer { org, agent } = session.peer;
        let row = self.speaking(org, agent).await?;
        if row.session.as_deref() != Some(session.id.as_str()) {
            return Err(AgentError::Superseded);
        }
        let mut orders = Orders::default();
        for task in self.store.agent_task_live(org, agent).await? {
            if task.stop_wanted {
                if session.stopped.insert(task.attempt) {
                    orders.stop.push(task.attempt);
                }
            } else if task.state == "asked" && !session.started.contains(&task.attempt) {
                session.started.insert(task.attempt);
                orders.start.extend(self.start_order(&row, &task, tickets).await?);
            }
        }
        Ok(orders)
    }

    async fn start_order(
        &self,
        agent: &Agent,
        task: &AgentTask,
        tickets: &TicketKey,
    ) -> StoreResult<Option<StartOrder>> {
        let Some(attempt) = self.store.attempt_get(task.org, task.attempt).await? else { return Ok(None) };
        let mut tx = self.store.write_tx(agent.org).await?;
        if !Store::agent_task_sent_in_txn(&mut tx, task).await? {
            return Ok(None);
        }
        tx.commit().await?;
        let spec = serde_json::from_slice::<LaunchSpec>(&attempt.launch_request).ok();
        let claim = TicketClaim { org: attempt.org, attempt: attempt.id, epoch: attempt.epoch };
        let ticket = tickets.issue(&claim, attempt.created_at.plus(self.bounds.start_timeout));
        let ticket = ticket.vouched(tickets.voucher(&claim, agent.id)).reveal_line();
        Ok(Some(StartOrder { attempt: attempt.id, ticket, memory: spec.and_then(|spec| spec.memory) }))
    }

    /// Longest silence of an agent that still counts as there.
    #[must_use]
    pub fn silence(&self) -> std::time::Duration {
        silence(&self.bounds)
    }

    /// Longest time between two messages of an agent.
    #[must_use]
    pub fn heartbeat(&self) -> std::time::Duration {
        self.bounds.heartbeat
    }

    /// Life of an agent's certificate.
    #[must_use]
    pub fn certificate_life(&self) -> std::time::Duration {
        self.bounds.agent_certificate
    }

    /// Ticks when something may be new for a session.
    #[must_use]
    pub fn changes(&self, session: &OpenSession) -> PlaneWatch {
        self.nudges.watch_agents(session.plane)
    }
}

/// Three heartbeats without a word: whoever asks for the agent is told that it can't be reached.
pub(crate) fn silence(bounds: &crate::service::bounds::Bounds) -> std::time::Duration {
    bounds.heartbeat * 3
}

/// A task that this agent does not hold: given to another one meanwhile, or over. What runs is to end.
fn not_its_own(orders: &mut Orders, task: &Task) {
    match task.phase {
        Phase::Running | Phase::Unknown => orders.stop.push(task.attempt),
        Phase::Stopped { .. } | Phase::Failed(_) => orders.forget.push(task.attempt),
    }
}

fn has(told: &Told, attempt: AttemptId) -> bool {
    told.tasks.iter().any(|task| task.attempt == attempt)
}
