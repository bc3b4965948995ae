//! Attempts: leases, epochs, launch requests and what became of their tasks.
//!
//! Each write names the state that it expects; zero changed rows mean that somebody else was first. Callers hold the
//! run's row (`run_lock_in_txn`), so that attempt and run move together.

use std::time::Duration;

use sqlx::any::AnyRow;
use waybill_model::run::AttemptState;
use waybill_model::{AttemptId, DataPlaneId, Epoch, FailureCode, Micros, OrgId, RunId};

use crate::error::StoreResult;
use crate::reading::{
    FromRow, all, bytes, count, flag, int, one, opt_parsed, opt_text, opt_time, parsed, stored, text, time,
};
use crate::{Store, Tx};

/// One try of a run on one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The organization.
    pub org: OrgId,
    /// Its id.
    pub id: AttemptId,
    /// Its run.
    pub run: RunId,
    /// Its number within the run, from 1.
    pub number: i64,
    /// Its fencing number.
    pub epoch: Epoch,
    /// Where it is.
    pub state: AttemptState,
    /// Where it runs.
    pub data_plane: DataPlaneId,
    /// The exact launch request, with a placeholder where the ticket goes.
    pub launch_request: Vec<u8>,
    /// Who may call the launcher until `launch_until`.
    pub launch_holder: String,
    /// Until when.
    pub launch_until: Micros,
    /// The launcher's reference to its task.
    pub task: Option<String>,
    /// Its task is known to be over, or none was started.
    pub task_over: bool,
    /// Looks in a row that did not find the task.
    pub task_misses: i64,
    /// How far its task is that does not run yet, as the timeline told it last.
    pub task_phase: Option<String>,
    /// End of the lease.
    pub lease_until: Micros,
    /// Last sign of life.
    pub seen_at: Option<Micros>,
    /// Highest report that was taken.
    pub report_seq: u64,
    /// Events that were taken.
    pub event_count: u64,
    /// Since when it has been unreachable.
    pub unreachable_since: Option<Micros>,
    /// When it was fenced.
    pub fenced_at: Option<Micros>,
    /// When its task is to be stopped if it still runs.
    pub stop_due: Option<Micros>,
    /// When its task was first asked to stop.
    pub stop_sent: Option<Micros>,
    /// When its ticket was used.
    pub ticket_used_at: Option<Micros>,
    /// SHA-256 of the public key that used it, in hex.
    pub spki: Option<String>,
    /// Digest of the outcome that it reported.
    pub outcome_digest: Option<String>,
    /// Why it failed.
    pub failure: Option<FailureCode>,
    /// When it was made.
    pub created_at: Micros,
    /// When its worker enrolled.
    pub enrolled_at: Option<Micros>,
    /// When it ended.
    pub finished_at: Option<Micros>,
}

/// An attempt to add.
#[derive(Clone, Debug)]
pub struct NewAttempt {
    /// The organization.
    pub org: OrgId,
    /// Its id.
    pub id: AttemptId,
    /// Its run.
    pub run: RunId,
    /// Its number within the run.
    pub number: i64,
    /// Its fencing number.
    pub epoch: Epoch,
    /// Where it runs.
    pub data_plane: DataPlaneId,
    /// The exact launch request.
    pub launch_request: Vec<u8>,
    /// Who will call the launcher.
    pub launch_holder: String,
    /// For how long only that one may.
    pub launch_claim: Duration,
    /// How long the launch may take until a worker enrols: the first lease, and what a restart gives it again.
    pub start_timeout: Duration,
}

/// What a used ticket binds.
#[derive(Clone, Copy, Debug)]
pub struct AttemptStart<'a> {
    /// SHA-256 of the public key, in hex.
    pub spki: &'a str,
    /// How old the ticket may be.
    pub ticket_life: Duration,
    /// The first lease of the running attempt.
    pub lease: Duration,
}

impl FromRow for Attempt {
    fn from_row(row: &AnyRow) -> StoreResult<Self> {
        Ok(Self {
            org: parsed(row, "organization_id")?,
            id: parsed(row, "id")?,
            run: parsed(row, "run_id")?,
            number: int(row, "number")?,
            epoch: Epoch(int(row, "epoch")?),
            state: parsed(row, "state")?,
            data_plane: parsed(row, "data_plane_id")?,
            launch_request: bytes(row, "launch_request")?,
            launch_holder: text(row, "launch_holder")?,
            launch_until: time(row, "launch_until")?,
            task: opt_text(row, "task_ref")?,
            task_over: flag(row, "task_over")?,
            task_misses: int(row, "task_misses")?,
            task_phase: opt_text(row, "task_phase")?,
            lease_until: time(row, "lease_until")?,
            seen_at: opt_time(row, "seen_at")?,
            report_seq: count(row, "report_seq")?,
            event_count: count(row, "event_count")?,
            unreachable_since: opt_time(row, "unreachable_since")?,
            fenced_at: opt_time(row, "fenced_at")?,
            stop_due: opt_time(row, "stop_due")?,
            stop_sent: opt_time(row, "stop_sent")?,
            ticket_used_at: opt_time(row, "ticket_used_at")?,
            spki: opt_text(row, "spki")?,
            outcome_digest: opt_text(row, "outcome_digest")?,
            failure: opt_parsed(row, "failure")?,
            created_at: time(row, "created_at")?,
            enrolled_at: opt_time(row, "enrolled_at")?,
            finished_at: opt_time(row, "finished_at")?,
        })
    }
}

impl Store {
    /// Adds a launching attempt. `Conflict`: the run has a live one.
    pub async fn attempt_insert_in_txn(tx: &mut Tx, new: &NewAttempt) -> StoreResult<()> {
        let sql = tx.sql(
            "insert into attempt (organization_id, id, run_id, number, epoch, state, data_plane_id, launch_request,
                                  launch_holder, launch_until, task_over, task_misses, start_bound_us, lease_until,
                                  report_seq, event_count, created_at)
             values ($1, $2, $3, $4, $5, 'launching', $6, $7, $8, {now} + $9, 0, 0, $10, {now} + $10, 0, 0, {now})",
        );
        sqlx::query(sql)
            .bind(new.org.to_string())
            .bind(new.id.to_string())
            .bind(new.run.to_string())
            .bind(new.number)
            .bind(new.epoch.0)
            .bind(new.data_plane.to_string())
            .bind(new.launch_request.clone())
            .bind(&new.launch_holder)
            .bind(Micros(0).plus(new.launch_claim).0)
            .bind(Micros(0).plus(new.start_timeout).0)
            .execute(tx.connection())
            .await?;
        Ok(())
    }

    /// One attempt.
    pub async fn attempt_get(&self, org: OrgId, id: AttemptId) -> StoreResult<Option<Attempt>> {
        let mut reader = self.reader(org).await?;
        one(sqlx::query(GET).bind(org.to_string()).bind(id.to_string()).fetch_optional(reader.connection()).await?)
    }

    /// One attempt of any organization: for a worker that has no certificate yet. Tell it nothing but fenced or not.
    pub async fn attempt_find(&self, id: AttemptId) -> StoreResult<Option<Attempt>> {
        let mut reader = self.reader_of_all().await?;
        one(sqlx::query("select * from attempt where id = $1")
            .bind(id.to_string())
            .fetch_optional(reader.connection())
            .await?)
    }

    /// One attempt, as the transaction sees it.
    pub async fn attempt_get_in_txn(tx: &mut Tx, org: OrgId, id: AttemptId) -> StoreResult<Option<Attempt>> {
        one(sqlx::query(GET).bind(org.to_string()).bind(id.to_string()).fetch_optional(tx.connection()).await?)
    }

    /// A run's attempts, oldest first.
    pub async fn attempt_list(&self, org: OrgId, run: RunId) -> StoreResult<Vec<Attempt>> {
        let mut reader = self.reader(org).await?;
        let rows = sqlx::query("select * from attempt where organization_id = $1 and run_id = $2 order by number")
            .bind(org.to_string())
            .bind(run.to_string())
            .fetch_all(reader.connection())
            .await?;
        all(&rows)
    }

    /// Uses the attempt's ticket and binds the key, in one statement. False: used, too old, fenced or ended.
    pub async fn attempt_enrol_in_txn(tx: &mut Tx, attempt: &Attempt, start: AttemptStart<'_>) -> StoreResult<bool> {
        let sql = tx.sql(
            "update attempt set state = 'running', ticket_used_at = {now}, enrolled_at = {now}, seen_at = {now},
                    spki = $4, lease_until = {now} + $5
             where organization_id = $1 and id = $2 and epoch = $3 and state = 'launching'
               and ticket_used_at is null and fenced_at is null and created_at > {now} - $6",
        );
        let done = sqlx::query(sql)
            .bind(attempt.org.to_string())
            .bind(attempt.id.to_string())
            .bind(attempt.epoch.0)
            .bind(start.spki)
            .bind(Micros(0).plus(start.lease).0)
            .bind(Micros(0).plus(start.ticket_life).0)
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Renews the lease of a running attempt that is not fenced. False: it is not, or the epoch is another.
    pub async fn attempt_renew_in_txn(
        tx: &mut Tx,
        org: OrgId,
        id: AttemptId,
        epoch: Epoch,
        lease: Duration,
    ) -> StoreResult<bool> {
        let sql = tx.sql(
            "update attempt set lease_until = {now} + $4, seen_at = {now}, unreachable_since = null, task_misses = 0
             where organization_id = $1 and id = $2 and epoch = $3 and state = 'running' and fenced_at is null",
        );
        let done = sqlx::query(sql)
            .bind(org.to_string())
            .bind(id.to_string())
            .bind(epoch.0)
            .bind(Micros(0).plus(lease).0)
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Takes report `seq` with `events` events. False: it, or a later one, was taken before.
    pub async fn attempt_report_in_txn(tx: &mut Tx, attempt: &Attempt, seq: u64, events: u64) -> StoreResult<bool> {
        let done = sqlx::query(
            "update attempt set report_seq = $3, event_count = event_count + $4
             where organization_id = $1 and id = $2 and report_seq < $3",
        )
        .bind(attempt.org.to_string())
        .bind(attempt.id.to_string())
        .bind(stored(seq))
        .bind(stored(events))
        .execute(tx.connection())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Fences an attempt: nothing that it says counts any more. What a stray task of it was asked before does not count as
    /// this fence's stop. False: it was fenced before, or has ended.
    pub async fn attempt_fence_in_txn(tx: &mut Tx, attempt: &Attempt) -> StoreResult<bool> {
        let sql = "update attempt set fenced_at = {now}, stop_sent = null
             where organization_id = $1 and id = $2 and fenced_at is null and state in ('launching', 'running')";
        moved(tx, sql, attempt).await
    }

    /// Ends an attempt; its task, if it still runs, is to be stopped after `stop_after`. False: it had moved already.
    pub async fn attempt_finish_in_txn(
        tx: &mut Tx,
        attempt: &Attempt,
        to: AttemptState,
        failure: Option<FailureCode>,
        (outcome, stop_after): (Option<&str>, Duration),
    ) -> StoreResult<bool> {
        let sql = tx.sql(
            "update attempt set state = $5, failure = $6, outcome_digest = $7, finished_at = {now},
                    stop_due = coalesce(stop_due, {now} + $8)
             where organization_id = $1 and id = $2 and epoch = $3 and state = $4",
        );
        let done = sqlx::query(sql)
            .bind(attempt.org.to_string())
            .bind(attempt.id.to_string())
            .bind(attempt.epoch.0)
            .bind(attempt.state.as_str())
            .bind(to.as_str())
            .bind(failure.map(|code| code.as_str().to_owned()))
            .bind(outcome.map(str::to_owned))
            .bind(Micros(0).plus(stop_after).0)
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Claims the right to call the launcher for an attempt whose task is not known, once the last claim has run out.
    pub async fn attempt_launch_claim_in_txn(
        tx: &mut Tx,
        attempt: &Attempt,
        holder: &str,
        claim: Duration,
    ) -> StoreResult<bool> {
        let sql = tx.sql(
            "update attempt set launch_holder = $4, launch_until = {now} + $5
             where organization_id = $1 and id = $2 and epoch = $3 and state = 'launching' and fenced_at is null
               and task_ref is null and launch_until < {now}",
        );
        let done = sqlx::query(sql)
            .bind(attempt.org.to_string())
            .bind(attempt.id.to_string())
            .bind(attempt.epoch.0)
            .bind(holder)
            .bind(Micros(0).plus(claim).0)
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Records the task of an attempt; false where one is recorded.
    pub async fn attempt_task_in_txn(tx: &mut Tx, attempt: &Attempt, task: &str) -> StoreResult<bool> {
        let done =
            sqlx::query("update attempt set task_ref = $3 where organization_id = $1 and id = $2 and task_ref is null")
                .bind(attempt.org.to_string())
                .bind(attempt.id.to_string())
                .bind(task)
                .execute(tx.connection())
                .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Notes that the attempt's task is over, or that it never had one. An agent that still held it holds it no more: one
    /// that comes back with it is told to end it.
    pub async fn attempt_task_over_in_txn(tx: &mut Tx, attempt: &Attempt) -> StoreResult<()> {
        sqlx::query("update attempt set task_over = 1 where organization_id = $1 and id = $2")
            .bind(attempt.org.to_string())
            .bind(attempt.id.to_string())
            .execute(tx.connection())
            .await?;
        Self::agent_task_over_in_txn(tx, attempt.org, attempt.id).await
    }

    /// Notes what a look at the task brought: misses in a row, and whether the attempt counts as unreachable.
    pub async fn attempt_look_in_txn(
        tx: &mut Tx,
        attempt: &Attempt,
        misses: i64,
        unreachable: bool,
    ) -> StoreResult<()> {
        let sql = tx.sql(
            "update attempt set task_misses = $3,
                    unreachable_since = case when $4 = 1 then coalesce(unreachable_since, {now}) else null end
             where organization_id = $1 and id = $2",
        );
        sqlx::query(sql)
            .bind(attempt.org.to_string())
            .bind(attempt.id.to_string())
            .bind(misses)
            .bind(i64::from(unreachable))
            .execute(tx.connection())
            .await?;
        Ok(())
    }

    /// Notes how far the task of a launching attempt is. False: that is known, or the attempt does not wait any more.
    pub async fn attempt_phase_in_txn(tx: &mut Tx, attempt: &Attempt, phase: &str) -> StoreResult<bool> {
        let done = sqlx::query(
            "update attempt set task_phase = $3
             where organization_id = $1 and id = $2 and state = 'launching' and coalesce(task_phase, '') <> $3",
        )
        .bind(attempt.org.to_string())
        .bind(attempt.id.to_string())
        .bind(phase)
        .execute(tx.connection())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Notes that a task of the attempt was asked to stop. False: that was noted before, and the first time counts.
    pub async fn attempt_stop_sent_in_txn(tx: &mut Tx, attempt: &Attempt) -> StoreResult<bool> {
        let sql = "update attempt set stop_sent = {now} where organization_id = $1 and id = $2 and stop_sent is null";
        moved(tx, sql, attempt).await
    }

    /// Gives every live lease one fresh window, after a restart or a jump of the clock; one that starts gets its own bound
    /// for that again. For the reaper alone.
    pub async fn attempt_refresh_leases_in_txn(tx: &mut Tx, lease: Duration) -> StoreResult<u64> {
        let sql = tx.sql(
            "update attempt set unreachable_since = null,
                    lease_until = {now} + case when state = 'running' then $1 else start_bound_us end
             where state in ('launching', 'running')
               and lease_until < {now} + case when state = 'running' then $1 else start_bound_us end",
        );
        let done = sqlx::query(sql).bind(Micros(0).plus(lease).0).execute(tx.connection()).await?;
        Ok(done.rows_affected())
    }

    /// Attempts that have not ended, or whose task is not known to be over: what the reaper looks at.
    pub async fn attempt_open(&self, after: Option<AttemptId>, limit: i64) -> StoreResult<Vec<Attempt>> {
        let mut reader = self.reader_of_all().await?;
        let rows =
            sqlx::query("select * from attempt where task_over = 0 and ($1 is null or id > $1) order by id limit $2")
                .bind(after.map(|id| id.to_string()))
                .bind(limit)
                .fetch_all(reader.connection())
                .await?;
        all(&rows)
    }

    /// Launching attempts without a known task whose launch claim has run out: what the dispatcher replays.
    pub async fn attempt_unlaunched(&self, limit: i64) -> StoreResult<Vec<Attempt>> {
        let mut reader = self.reader_of_all().await?;
        let sql = self.dialect.sql(
            "select * from attempt where state = 'launching' and fenced_at is null and task_ref is null
                and launch_until < {now} order by id limit $1",
        );
        all(&sqlx::query(sql).bind(limit).fetch_all(reader.connection()).await?)
    }

    /// How many attempts stand in each state; for the metrics.
    pub async fn attempt_count_by_state(&self) -> StoreResult<Vec<(AttemptState, u64)>> {
        let mut reader = self.reader_of_all().await?;
        let rows = sqlx::query("select state, count(*) as n from attempt group by state")
            .fetch_all(reader.connection())
            .await?;
        rows.iter().map(|row| Ok((parsed(row, "state")?, count(row, "n")?))).collect()
    }

    /// How many running attempts hold an unexpired lease; for the metrics.
    pub async fn attempt_leases_held(&self) -> StoreResult<u64> {
        let mut reader = self.reader_of_all().await?;
        let sql =
            self.dialect.sql("select count(*) as n from attempt where state = 'running' and lease_until >= {now}");
        count(&sqlx::query(sql).fetch_one(reader.connection()).await?, "n")
    }
}

const GET: &str = "select * from attempt where organization_id = $1 and id = $2";

/// One compare-and-set statement about one attempt; true where it changed something.
async fn moved(tx: &mut Tx, sql: &'static str, attempt: &Attempt) -> StoreResult<bool> {
    let sql = tx.sql(sql);
    let (org, id) = (attempt.org.to_string(), attempt.id.to_string());
    Ok(sqlx::query(sql).bind(org).bind(id).execute(tx.connection()).await?.rows_affected() == 1)
}
