//! Workers through agents, seen as a launcher: a start is a row that the agent's session reads, on whatever replica it
//! is, and an answer is a row again.
//!
//! A task is given to one agent at a time. One that is silent loses it only while nobody has used the attempt's ticket,
//! and the voucher of the one that lost it proves nothing any more: of two workers one at most can enrol.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use waybill_launcher::{LaunchError, LaunchRequest, Launcher, TaskRef, TaskStatus};
use waybill_model::{AgentId, AttemptId, FailureCode};
use waybill_store::{Agent, AgentTask, Attempt, Store, StoreError, StoreResult};

use crate::service::agent::session::silence;
use crate::service::bounds::Bounds;
use crate::service::nudge::Nudges;

/// Starts workers through agents.
pub struct AgentLauncher {
    store: Store,
    bounds: Arc<Bounds>,
    nudges: Arc<Nudges>,
}

/// Longest time that a start waits for its agent; the claim runs longer, and a replay waits anew.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks at the database, where no nudge comes: the agent may be connected to another replica.
const LOOK: Duration = Duration::from_secs(1);
const PREFIX: &str = "agent:";

impl AgentLauncher {
    /// Over this store.
    #[must_use]
    pub const fn new(store: Store, bounds: Arc<Bounds>, nudges: Arc<Nudges>) -> Self {
        Self { store, bounds, nudges }
    }

    async fn attempt(&self, id: AttemptId) -> Result<Attempt, LaunchError> {
        let found = self.store.attempt_find(id).await.map_err(|error| away(&error))?;
        found.ok_or(LaunchError::Unusable("no such attempt"))
    }

    async fn task(&self, attempt: &Attempt) -> Result<Option<AgentTask>, LaunchError> {
        self.store.agent_task_get(attempt.org, attempt.id).await.map_err(|error| away(&error))
    }

    /// The agents of the attempt's data plane that are heard now, and those of them that have room: fewest tasks first.
    /// What is counted here only orders them; the room is taken in one transaction.
    async fn heard(&self, attempt: &Attempt) -> StoreResult<(Vec<Agent>, Vec<AgentId>)> {
        let (org, plane) = (attempt.org, attempt.data_plane);
        let now = self.store.clock().await?;
        let mut agents = self.store.agent_list_of_plane(org, plane).await?;
        agents.retain(|agent| agent.is_heard(now, silence(&self.bounds)));
        let held = self.store.agent_task_count(org).await?;
        let held = |id: AgentId| held.get(&id).copied().unwrap_or(0);
        let mut room: Vec<_> = agents
            .iter()
            .filter(|agent| !agent.draining && held(agent.id) < agent.slots.unsigned_abs())
            .map(|agent| (held(agent.id), agent.id))
            .collect();
        room.sort_unstable();
        Ok((agents, room.into_iter().map(|(_, id)| id).collect()))
    }

    /// Makes sure that an agent that is heard holds the task; tells where it stands. None is tried twice: one that was
    /// given the task before and holds it no more gave it back.
    async fn give(&self, attempt: &Attempt, tried: &mut BTreeSet<AgentId>) -> Result<Option<AgentTask>, LaunchError> {
        let task = self.task(attempt).await?;
        if task.as_ref().is_some_and(|task| task.state != "asked" || task.stop_wanted) {
            return Ok(task);
        }
        let (heard, room) = self.heard(attempt).await.map_err(|error| away(&error))?;
        // One that is about to end gives back what it was sent, and is sent nothing more.
        let holds = |task: &AgentTask| {
            heard.iter().any(|agent| agent.id == task.agent && (task.sent_at.is_some() || !agent.draining))
        };
        if task.as_ref().is_some_and(holds) {
            return Ok(task);
        }
        for to in room {
            if tried.insert(to) && self.give_to(attempt, task.as_ref(), to).await.map_err(|error| away(&error))? {
                return self.task(attempt).await;
            }
        }
        // Whoever else gave it at this moment is as good.
        match self.task(attempt).await? {
            Some(now) if task.as_ref().is_none_or(|before| before.agent != now.agent) => Ok(Some(now)),
            _ if heard.is_empty() => Err(LaunchError::OutOfReach),
            _ => Err(LaunchError::NoCapacity),
        }
    }

    /// Gives the task to an agent, if that one still takes work and has room. The agent's row is locked before its tasks are
    /// counted, so that two starts at one moment never take the same room.
    async fn give_to(&self, attempt: &Attempt, task: Option<&AgentTask>, to: AgentId) -> StoreResult<bool> {
        let mut tx = self.store.write_tx(attempt.org).await?;
        if !Store::agent_lock_in_txn(&mut tx, attempt.org, to).await? {
            return Ok(false);
        }
        let given = match task {
            Some(task) => Store::agent_task_move_in_txn(&mut tx, task, to).await?,
            None => Store::agent_task_insert_in_txn(&mut tx, attempt, to).await?,
        };
        if !given {
            return Ok(false);
        }
        tx.commit().await?;
        if let Some(from) = task.map(|task| task.agent) {
            tracing::warn!(attempt.id = %attempt.id, %from, agent = %to, "a silent agent lost a task");
        }
        self.nudges.agents_changed(attempt.data_plane);
        Ok(true)
    }
}

#[async_trait]
impl Launcher for AgentLauncher {
    async fn start(&self, request: &LaunchRequest) -> Result<TaskRef, LaunchError> {
        let attempt = self.attempt(request.spec().attempt).await?;
        let mut changes = self.nudges.watch_agents(attempt.data_plane);
        let mut tried = BTreeSet::new();
        let until = tokio::time::Instant::now() + PATIENCE.min(self.bounds.launch_claim / 2);
        loop {
            changes.mark_seen();
            let task = self.give(&attempt, &mut tried).await?;
            match task.as_ref().map(|task| task.state.as_str()) {
                Some("failed") => return Err(LaunchError::Unusable("the agent could not start the worker")),
                Some("asked") | None => {}
                Some(_) => return Ok(reference(attempt.id)),
            }
            if tokio::time::Instant::now() >= until {
                return Err(LaunchError::Busy);
            }
            // Whoever told or not: the database is looked at again.
            let _ = tokio::time::timeout(LOOK, changes.changed()).await;
        }
    }

    async fn describe(&self, task: &TaskRef) -> Result<TaskStatus, LaunchError> {
        let attempt = self.attempt(read(task)?).await?;
        let Some(task) = self.task(&attempt).await? else { return Ok(TaskStatus::Unknown) };
        match task.state.as_str() {
            "stopped" => {
                let exit_code = task.exit_code.and_then(|code| i32::try_from(code).ok());
                return Ok(TaskStatus::Stopped { exit_code, cause: cause(&task) });
            }
            "failed" => return Ok(TaskStatus::Stopped { exit_code: None, cause: cause(&task) }),
            "running" => {}
            _ => return Ok(TaskStatus::Unknown),
        }
        let now = self.store.clock().await.map_err(|error| away(&error))?;
        let agent = self.store.agent_get(attempt.org, task.agent).await.map_err(|error| away(&error))?;
        let heard = agent.is_some_and(|agent| agent.is_heard(now, silence(&self.bounds)));
        Ok(if heard { TaskStatus::Running } else { TaskStatus::Unknown })
    }

    async fn stop(&self, task: &TaskRef) -> Result<(), LaunchError> {
        let attempt = self.attempt(read(task)?).await?;
        let mut tx = self.store.write_tx(attempt.org).await.map_err(|error| away(&error))?;
        Store::agent_task_stop_in_txn(&mut tx, attempt.org, attempt.id).await.map_err(|error| away(&error))?;
        tx.commit().await.map_err(|error| away(&error))?;
        self.nudges.agents_changed(attempt.data_plane);
        Ok(())
    }

    async fn find(&self, attempt: AttemptId) -> Result<Option<TaskRef>, LaunchError> {
        let attempt = self.attempt(attempt).await?;
        Ok(self.task(&attempt).await?.map(|_| reference(attempt.id)))
    }
}

/// Why a task ended, where its agent's host or cloud knows more than that it did: nothing else is taken from an agent.
fn cause(task: &AgentTask) -> Option<FailureCode> {
    use FailureCode as C;
    const KNOWN: [FailureCode; 7] = [
        C::OutOfMemory,
        C::LaunchFailed,
        C::LaunchRefused,
        C::AccessDenied,
        C::NoCapacity,
        C::ImageUnavailable,
        C::TaskSetupFailed,
    ];
    task.failure.filter(|code| KNOWN.contains(code))
}

fn reference(attempt: AttemptId) -> TaskRef {
    TaskRef(format!("{PREFIX}{attempt}"))
}

fn read(task: &TaskRef) -> Result<AttemptId, LaunchError> {
    let id = task.0.strip_prefix(PREFIX).and_then(|id| id.parse().ok());
    id.ok_or(LaunchError::Unusable("not a task of an agent"))
}

/// The database is away: the same call is made again.
fn away(error: &StoreError) -> LaunchError {
    tracing::warn!(error = error as &dyn std::error::Error, "a task of an agent could not be looked at");
    LaunchError::Busy
}
