//! Tasks that were given to agents: one for an attempt, to one agent at a time.
//!
//! A task moves to another agent only while nobody has used the attempt's ticket; a stop that is wanted stays wanted.

use std::collections::HashMap;

use sqlx::any::AnyRow;
use waybill_model::{AgentId, AttemptId, FailureCode, OrgId};

use crate::error::StoreResult;
use crate::reading::{FromRow, all, count, flag, one, opt_int, opt_parsed, opt_time, parsed, text, time};
use crate::{Attempt, Micros, Store, Tx};

/// A task that was given to an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentTask {
    /// The organization.
    pub org: OrgId,
    /// Its attempt.
    pub attempt: AttemptId,
    /// The agent.
    pub agent: AgentId,
    /// `asked`, `running`, `unknown`, `stopped` or `failed`.
    pub state: String,
    /// It is to end.
    pub stop_wanted: bool,
    /// When the order to start went out.
    pub sent_at: Option<Micros>,
    /// Its exit code.
    pub exit_code: Option<i64>,
    /// Why it could not be started.
    pub failure: Option<FailureCode>,
    /// When it was changed last.
    pub updated_at: Micros,
}

impl FromRow for AgentTask {
    fn from_row(row: &AnyRow) -> StoreResult<Self> {
        Ok(Self {
            org: parsed(row, "organization_id")?,
            attempt: parsed(row, "attempt_id")?,
            agent: parsed(row, "agent_id")?,
            state: text(row, "state")?,
            stop_wanted: flag(row, "stop_wanted")?,
            sent_at: opt_time(row, "sent_at")?,
            exit_code: opt_int(row, "exit_code")?,
            failure: opt_parsed(row, "failure")?,
            updated_at: time(row, "updated_at")?,
        })
    }
}

impl Store {
    /// Gives an attempt's task to an agent that [`Store::agent_lock_in_txn`] locked, if it has room. False: it has none,
    /// or somebody gave the task before.
    pub async fn agent_task_insert_in_txn(tx: &mut Tx, attempt: &Attempt, agent: AgentId) -> StoreResult<bool> {
        let sql = tx.sql(
            "insert into agent_task (organization_id, attempt_id, agent_id, state, stop_wanted, created_at, updated_at)
             select $1, $2, a.id, 'asked', 0, {now}, {now} from agent a
             where a.organization_id = $1 and a.id = $3 and a.state = 'active' and a.draining = 0
               and a.slots > (select count(*) from agent_task t where t.organization_id = $1 and t.agent_id = $3
                              and t.state in ('asked', 'running', 'unknown'))
             on conflict (attempt_id) do nothing",
        );
        let done = sqlx::query(sql)
            .bind(attempt.org.to_string())
            .bind(attempt.id.to_string())
            .bind(agent.to_string())
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Gives a task to another agent, which [`Store::agent_lock_in_txn`] locked, while no worker has enrolled for it and it
    /// is not to end. False: too late, or that agent has no room.
    pub async fn agent_task_move_in_txn(tx: &mut Tx, task: &AgentTask, to: AgentId) -> StoreResult<bool> {
        let sql = tx.sql(
            "update agent_task set agent_id = $4, state = 'asked', sent_at = null, updated_at = {now}
             where organization_id = $1 and attempt_id = $2 and agent_id = $3 and state = 'asked' and stop_wanted = 0
               and exists (select 1 from attempt a where a.organization_id = $1 and a.id = $2
                           and a.state = 'launching' and a.ticket_used_at is null and a.fenced_at is null)
               and exists (select 1 from agent a where a.organization_id = $1 and a.id = $4
                           and a.state = 'active' and a.draining = 0
                           and a.slots > (select count(*) from agent_task t where t.organization_id = $1
                                          and t.agent_id = $4 and t.state in ('asked', 'running', 'unknown')))",
        );
        let done = sqlx::query(sql)
            .bind(task.org.to_string())
            .bind(task.attempt.to_string())
            .bind(task.agent.to_string())
            .bind(to.to_string())
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Takes a task back from an agent that had no room for it: nobody holds it now. False: it is to end, or has.
    pub async fn agent_task_return_in_txn(
        tx: &mut Tx,
        (org, agent, attempt): (OrgId, AgentId, AttemptId),
    ) -> StoreResult<bool> {
        let done = sqlx::query(
            "delete from agent_task where organization_id = $1 and agent_id = $2 and attempt_id = $3
                and state = 'asked' and stop_wanted = 0",
        )
        .bind(org.to_string())
        .bind(agent.to_string())
        .bind(attempt.to_string())
        .execute(tx.connection())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The task of an attempt.
    pub async fn agent_task_get(&self, org: OrgId, attempt: AttemptId) -> StoreResult<Option<AgentTask>> {
        let mut reader = self.reader(org).await?;
        let row = sqlx::query("select * from agent_task where organization_id = $1 and attempt_id = $2")
            .bind(org.to_string())
            .bind(attempt.to_string())
            .fetch_optional(reader.connection())
            .await?;
        one(row)
    }

    /// Tasks of an agent that have not ended.
    pub async fn agent_task_live(&self, org: OrgId, agent: AgentId) -> StoreResult<Vec<AgentTask>> {
        let mut reader = self.reader(org).await?;
        all(&sqlx::query(LIVE).bind(org.to_string()).bind(agent.to_string()).fetch_all(reader.connection()).await?)
    }

    /// Tasks of an agent that have not ended, as the transaction sees them.
    pub async fn agent_task_live_in_txn(tx: &mut Tx, org: OrgId, agent: AgentId) -> StoreResult<Vec<AgentTask>> {
        all(&sqlx::query(LIVE).bind(org.to_string()).bind(agent.to_string()).fetch_all(tx.connection()).await?)
    }

    /// How many tasks that have not ended each agent of an organization holds; those without any are left out.
    pub async fn agent_task_count(&self, org: OrgId) -> StoreResult<HashMap<AgentId, u64>> {
        let mut reader = self.reader(org).await?;
        let rows = sqlx::query(
            "select agent_id, count(*) as n from agent_task
             where organization_id = $1 and state in ('asked', 'running', 'unknown') group by agent_id",
        )
        .bind(org.to_string())
        .fetch_all(reader.connection())
        .await?;
        rows.iter().map(|row| Ok((parsed(row, "agent_id")?, count(row, "n")?))).collect()
    }

    /// Takes the right to send a start order: the task is asked for, not to end, its agent takes work, and its attempt waits
    /// for a worker.
    pub async fn agent_task_sent_in_txn(tx: &mut Tx, task: &AgentTask) -> StoreResult<bool> {
        let sql = tx.sql(
            "update agent_task set sent_at = {now}, updated_at = {now}
             where organization_id = $1 and attempt_id = $2 and agent_id = $3 and state = 'asked' and stop_wanted = 0
               and exists (select 1 from attempt a where a.organization_id = $1 and a.id = $2
                           and a.state = 'launching' and a.fenced_at is null)
               and exists (select 1 from agent a where a.organization_id = $1 and a.id = $3
                           and a.state = 'active' and a.draining = 0)",
        );
        let done = sqlx::query(sql)
            .bind(task.org.to_string())
            .bind(task.attempt.to_string())
            .bind(task.agent.to_string())
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Notes what an agent told of a task of its own that has not ended. False: it is not its own, or has ended.
    pub async fn agent_task_told_in_txn(
        tx: &mut Tx,
        (org, agent, attempt): (OrgId, AgentId, AttemptId),
        state: &str,
        (exit_code, failure): (Option<i64>, Option<FailureCode>),
    ) -> StoreResult<bool> {
        let sql = tx.sql(
            "update agent_task set state = $4, exit_code = $5, failure = $6, updated_at = {now}
             where organization_id = $1 and agent_id = $2 and attempt_id = $3
               and state in ('asked', 'running', 'unknown')",
        );
        let done = sqlx::query(sql)
            .bind(org.to_string())
            .bind(agent.to_string())
            .bind(attempt.to_string())
            .bind(state)
            .bind(exit_code)
            .bind(failure.map(|code| code.as_str().to_owned()))
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Ends a task whose agent never said how it ended: nobody waits for that word any more.
    pub(crate) async fn agent_task_over_in_txn(tx: &mut Tx, org: OrgId, attempt: AttemptId) -> StoreResult<()> {
        let sql = tx.sql(
            "update agent_task set state = 'stopped', updated_at = {now}
             where organization_id = $1 and attempt_id = $2 and state in ('asked', 'running', 'unknown')",
        );
        sqlx::query(sql).bind(org.to_string()).bind(attempt.to_string()).execute(tx.connection()).await?;
        Ok(())
    }

    /// Wants a task to end. One whose order never went out has ended by that.
    pub async fn agent_task_stop_in_txn(tx: &mut Tx, org: OrgId, attempt: AttemptId) -> StoreResult<bool> {
        let sql = tx.sql(
            "update agent_task set stop_wanted = 1, updated_at = {now},
                    state = case when state = 'asked' and sent_at is null then 'stopped' else state end
             where organization_id = $1 and attempt_id = $2 and state in ('asked', 'running', 'unknown')",
        );
        let done = sqlx::query(sql).bind(org.to_string()).bind(attempt.to_string()).execute(tx.connection()).await?;
        Ok(done.rows_affected() == 1)
    }
}

const LIVE: &str = "select * from agent_task where organization_id = $1 and agent_id = $2
    and state in ('asked', 'running', 'unknown') order by attempt_id";
