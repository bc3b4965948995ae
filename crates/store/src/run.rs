//! Runs: the queue, the list, and the row lock under which everything about one run changes in order.

use std::time::Duration;

use sqlx::any::AnyRow;
use waybill_model::run::{Desired, RunKind, RunState};
use waybill_model::{ConnectionId, DataPlaneId, FailureCode, Micros, OrgId, PipelineId, ProjectId, RunId, ScheduleId};

use crate::error::StoreResult;
use crate::listing::{Bound, Select};
use crate::reading::{
    FromRow, all, count, int, one, opt_count, opt_int, opt_parsed, opt_text, opt_time, parsed, stored, text, time,
};
use crate::standing::{Seen, Sight};
use crate::{Store, Tx};

/// One execution of a pipeline, or one look at a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The organization.
    pub org: OrgId,
    /// Its project.
    pub project: ProjectId,
    /// Its id.
    pub id: RunId,
    /// Its pipeline; none for a look at a connection.
    pub pipeline: Option<PipelineId>,
    /// The connection that is looked at.
    pub connection: Option<ConnectionId>,
    /// What the worker is told as the pipeline's id: the pipeline, or an id of this run's own.
    pub owner: PipelineId,
    /// Version of the pipeline.
    pub pipeline_version: Option<i64>,
    /// Name of the pipeline or connection when the run was made.
    pub subject: String,
    /// Where it runs.
    pub data_plane: DataPlaneId,
    /// What it does.
    pub kind: RunKind,
    /// Where it is.
    pub state: RunState,
    /// What the user wants of it.
    pub desired: Desired,
    /// `manual`, `schedule` or `retry`.
    pub trigger: String,
    /// The schedule that began it.
    pub schedule: Option<ScheduleId>,
    /// Its slot.
    pub slot: Option<Micros>,
    /// The run that it retries.
    pub retry_of: Option<RunId>,
    /// Who began it.
    pub requested_by: String,
    /// Canonical JSON of its plan.
    pub plan: String,
    /// Longest time from its first start to its end.
    pub time_limit: Duration,
    /// Attempts so far.
    pub attempts: i64,
    /// Attempts since the last stream was delivered.
    pub tries: i64,
    /// Not dispatched before.
    pub not_before: Micros,
    /// When it was asked to stop.
    pub cancel_at: Option<Micros>,
    /// Why it failed, or why its last attempt did.
    pub failure: Option<FailureCode>,
    /// JSON of what a discovery found.
    pub tables: Option<String>,
    /// Tables that did not fit the ceiling.
    pub withheld: u64,
    /// Rows of each stream that a preview takes.
    pub preview_rows: Option<u64>,
    /// When it was made.
    pub created_at: Micros,
    /// When its first worker enrolled.
    pub started_at: Option<Micros>,
    /// When it ended.
    pub finished_at: Option<Micros>,
    /// When its events were removed, which have a shorter life than the run.
    pub events_removed_at: Option<Micros>,
    /// When it was changed last.
    pub updated_at: Micros,
}

/// A run to add.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// The organization.
    pub org: OrgId,
    /// Its project.
    pub project: ProjectId,
    /// Its id.
    pub id: RunId,
    /// Its pipeline.
    pub pipeline: Option<PipelineId>,
    /// The connection that is looked at.
    pub connection: Option<ConnectionId>,
    /// What the worker is told as the pipeline's id.
    pub owner: PipelineId,
    /// Version of the pipeline.
    pub pipeline_version: Option<i64>,
    /// Name of the pipeline or connection when the run was made.
    pub subject: String,
    /// Where it runs.
    pub data_plane: DataPlaneId,
    /// What it does.
    pub kind: RunKind,
    /// `manual`, `schedule` or `retry`.
    pub trigger: &'static str,
    /// The schedule and slot that began it.
    pub slot: Option<(ScheduleId, Micros)>,
    /// The run that it retries.
    pub retry_of: Option<RunId>,
    /// Who began it.
    pub requested_by: String,
    /// Canonical JSON of its plan.
    pub plan: String,
    /// Longest time from its first start to its end.
    pub time_limit: Duration,
    /// Rows of each stream that a preview takes.
    pub preview_rows: Option<u64>,
}

/// Which runs to list.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Only of this project.
    pub project: Option<ProjectId>,
    /// Only of this pipeline.
    pub pipeline: Option<PipelineId>,
    /// Only of this connection.
    pub connection: Option<ConnectionId>,
    /// Only in this state.
    pub state: Option<RunState>,
    /// Only of this kind.
    pub kind: Option<RunKind>,
    /// Only what is seen.
    pub sight: Sight,
    /// In which order.
    pub order: RunOrder,
    /// Only behind this place of the order: when that run began, and its id.
    pub after: Option<(Micros, RunId)>,
}

/// What runs are ordered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunOrder {
    /// Newest first.
    #[default]
    Newest,
    /// Oldest first.
    Oldest,
    /// By when they began to run, latest first; one that has not begun counts from when it was made.
    LastStarted,
    /// The same, earliest first.
    FirstStarted,
}

impl RunOrder {
    const fn text(self) -> &'static str {
        match self {
            Self::Newest => "id desc",
            Self::Oldest => "id",
            Self::LastStarted => "coalesce(started_at, created_at) desc, id desc",
            Self::FirstStarted => "coalesce(started_at, created_at), id",
        }
    }
}

impl Run {
    /// When it began, or else when it was made: its place in the orders by start.
    #[must_use]
    pub fn began(&self) -> Micros {
        self.started_at.unwrap_or(self.created_at)
    }
}

impl RunFilter {
    fn select(&self, org: OrgId) -> Select {
        let mut select = Select::of("run", org);
        self.sight.narrow(&mut select, org, Seen::Runs);
        if let Some(id) = self.project {
            select.only("project_id = ?", [Bound::Text(id.to_string())]);
        }
        if let Some(id) = self.pipeline {
            select.only("pipeline_id = ?", [Bound::Text(id.to_string())]);
        }
        if let Some(id) = self.connection {
            select.only("connection_id = ?", [Bound::Text(id.to_string())]);
        }
        if let Some(state) = self.state {
            select.only("state = ?", [Bound::Text(state.as_str().to_owned())]);
        }
        if let Some(kind) = self.kind {
            select.only("kind = ?", [Bound::Text(kind.as_str().to_owned())]);
        }
        select
    }

    fn behind(&self, select: &mut Select) {
        let Some((began, id)) = self.after else { return };
        let (began, id) = (Bound::Int(began.0), Bound::Text(id.to_string()));
        match self.order {
            RunOrder::Newest => select.only("id < ?", [id]),
            RunOrder::Oldest => select.only("id > ?", [id]),
            RunOrder::LastStarted => select.only("(coalesce(started_at, created_at), id) < (?, ?)", [began, id]),
            RunOrder::FirstStarted => select.only("(coalesce(started_at, created_at), id) > (?, ?)", [began, id]),
        }
    }
}

impl FromRow for Run {
    fn from_row(row: &AnyRow) -> StoreResult<Self> {
        Ok(Self {
            org: parsed(row, "organization_id")?,
            project: parsed(row, "project_id")?,
            id: parsed(row, "id")?,
            pipeline: opt_parsed(row, "pipeline_id")?,
            connection: opt_parsed(row, "connection_id")?,
            owner: parsed(row, "owner_id")?,
            pipeline_version: opt_int(row, "pipeline_version")?,
            subject: text(row, "subject")?,
            data_plane: parsed(row, "data_plane_id")?,
            kind: parsed(row, "kind")?,
            state: parsed(row, "state")?,
            desired: parsed(row, "desired")?,
            trigger: text(row, "trigger_kind")?,
            schedule: opt_parsed(row, "schedule_id")?,
            slot: opt_time(row, "slot")?,
            retry_of: opt_parsed(row, "retry_of")?,
            requested_by: text(row, "requested_by")?,
            plan: text(row, "plan")?,
            time_limit: Duration::from_micros(count(row, "time_limit_us")?),
            attempts: int(row, "attempts")?,
            tries: int(row, "tries")?,
            not_before: time(row, "not_before")?,
            cancel_at: opt_time(row, "cancel_at")?,
            failure: opt_parsed(row, "failure")?,
            tables: opt_text(row, "tables")?,
            withheld: count(row, "withheld")?,
            preview_rows: opt_count(row, "preview_rows")?,
            created_at: time(row, "created_at")?,
            started_at: opt_time(row, "started_at")?,
            finished_at: opt_time(row, "finished_at")?,
            events_removed_at: opt_time(row, "events_removed_at")?,
            updated_at: time(row, "updated_at")?,
        })
    }
}

impl Store {
    /// Adds a queued run. `Conflict`: the slot has its run already.
    pub async fn run_insert_in_txn(tx: &mut Tx, new: &NewRun) -> StoreResult<()> {
        let sql = tx.sql(
            "insert into run (organization_id, project_id, id, pipeline_id, connection_id, owner_id, pipeline_version,
                              subject, data_plane_id, kind, state, desired, trigger_kind, schedule_id, slot, retry_of,
                              requested_by, plan, time_limit_us, attempts, tries, not_before, withheld, event_seq,
                              preview_rows, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'queued', 'run', $11, $12, $13, $14, $15, $16, $17, 0, 0,
                     {now}, 0, 0, $18, {now}, {now})",
        );
        sqlx::query(sql)
            .bind(new.org.to_string())
            .bind(new.project.to_string())
            .bind(new.id.to_string())
            .bind(new.pipeline.map(|id| id.to_string()))
            .bind(new.connection.map(|id| id.to_string()))
            .bind(new.owner.to_string())
            .bind(new.pipeline_version)
            .bind(&new.subject)
            .bind(new.data_plane.to_string())
            .bind(new.kind.as_str())
            .bind(new.trigger)
            .bind(new.slot.map(|(schedule, _)| schedule.to_string()))
            .bind(new.slot.map(|(_, slot)| slot.0))
            .bind(new.retry_of.map(|id| id.to_string()))
            .bind(&new.requested_by)
            .bind(&new.plan)
            .bind(Micros(0).plus(new.time_limit).0)
            .bind(new.preview_rows.map(stored))
            .execute(tx.connection())
            .await?;
        Ok(())
    }

    /// One run.
    pub async fn run_get(&self, org: OrgId, id: RunId) -> StoreResult<Option<Run>> {
        let mut reader = self.reader(org).await?;
        let row = sqlx::query("select * from run where organization_id = $1 and id = $2")
            .bind(org.to_string())
            .bind(id.to_string())
            .fetch_optional(reader.connection())
            .await?;
        one(row)
    }

    /// Reads a run and locks its row: whatever else changes this run or its attempts waits for the commit. Every
    /// transaction about a run begins with it, which is why two of them can't deadlock.
    pub async fn run_lock_in_txn(tx: &mut Tx, org: OrgId, id: RunId) -> StoreResult<Option<Run>> {
        let row = sqlx::query("update run set attempts = attempts where organization_id = $1 and id = $2 returning *")
            .bind(org.to_string())
            .bind(id.to_string())
            .fetch_optional(tx.connection())
            .await?;
        one(row)
    }

    /// How many runs a filter finds, counted up to `most`; where the page begins plays no part.
    pub async fn run_count(&self, org: OrgId, filter: &RunFilter, most: i64) -> StoreResult<i64> {
        let mut reader = self.reader(org).await?;
        filter.select(org).count(reader.connection(), most).await
    }

    /// Runs in the filter's order, at most `limit`.
    pub async fn run_list(&self, org: OrgId, filter: &RunFilter, limit: i64) -> StoreResult<Vec<Run>> {
        let mut reader = self.reader(org).await?;
        let mut select = filter.select(org);
        filter.behind(&mut select);
        all(&select.rows(reader.connection(), filter.order.text(), limit).await?)
    }

    /// Moves a run from one state to another; false where it had moved already. Ask the model which move is legal.
    pub async fn run_move_in_txn(
        tx: &mut Tx,
        run: &Run,
        to: RunState,
        failure: Option<FailureCode>,
    ) -> StoreResult<bool> {
        let sql = tx.sql(
            "update run set state = $4, failure = $5, updated_at = {now},
                    started_at = case when $4 = 'running' then coalesce(started_at, {now}) else started_at end,
                    finished_at = case when $4 in ('succeeded', 'failed', 'canceled') then {now} else null end
             where organization_id = $1 and id = $2 and state = $3",
        );
        let done = sqlx::query(sql)
            .bind(run.org.to_string())
            .bind(run.id.to_string())
            .bind(run.state.as_str())
            .bind(to.as_str())
            .bind(failure.map(|code| code.as_str().to_owned()))
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The failure code that a run bears now, as the transaction sees it.
    pub async fn run_failure_in_txn(tx: &mut Tx, run: &Run) -> StoreResult<Option<FailureCode>> {
        let row = sqlx::query("select failure from run where organization_id = $1 and id = $2")
            .bind(run.org.to_string())
            .bind(run.id.to_string())
            .fetch_one(tx.connection())
            .await?;
        opt_parsed(&row, "failure")
    }

    /// Sets when a requeued run may be dispatched again.
    pub async fn run_wait_in_txn(tx: &mut Tx, org: OrgId, id: RunId, pause: Duration) -> StoreResult<()> {
        let sql = tx.sql("update run set not_before = {now} + $3 where organization_id = $1 and id = $2");
        sqlx::query(sql)
            .bind(org.to_string())
            .bind(id.to_string())
            .bind(Micros(0).plus(pause).0)
            .execute(tx.connection())
            .await?;
        Ok(())
    }

    /// Sets how many attempts there were: in all, and since the last progress.
    pub async fn run_count_in_txn(tx: &mut Tx, run: &Run, attempts: i64, tries: i64) -> StoreResult<()> {
        sqlx::query("update run set attempts = $3, tries = $4 where organization_id = $1 and id = $2")
            .bind(run.org.to_string())
            .bind(run.id.to_string())
            .bind(attempts)
            .bind(tries)
            .execute(tx.connection())
            .await?;
        Ok(())
    }

    /// Keeps what a discovery found.
    pub async fn run_tables_in_txn(tx: &mut Tx, run: &Run, tables: &str, withheld: u64) -> StoreResult<()> {
        sqlx::query("update run set tables = $3, withheld = $4 where organization_id = $1 and id = $2")
            .bind(run.org.to_string())
            .bind(run.id.to_string())
            .bind(tables)
            .bind(stored(withheld))
            .execute(tx.connection())
            .await?;
        Ok(())
    }

    /// Asks a run to stop: sets `desired` alone. False where it has ended or was asked before.
    pub async fn run_cancel_in_txn(tx: &mut Tx, org: OrgId, id: RunId) -> StoreResult<bool> {
        let sql = tx.sql(
            "update run set desired = 'cancel', cancel_at = {now}, updated_at = {now}
             where organization_id = $1 and id = $2 and desired = 'run'
               and state in ('queued', 'launching', 'running')",
        );
        let done = sqlx::query(sql).bind(org.to_string()).bind(id.to_string()).execute(tx.connection()).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Whether the pipeline has a run that has not ended.
    pub async fn run_pending_in_txn(tx: &mut Tx, org: OrgId, pipeline: PipelineId) -> StoreResult<bool> {
        let row = sqlx::query(
            "select id from run
             where organization_id = $1 and pipeline_id = $2 and state in ('queued', 'launching', 'running') limit 1",
        )
        .bind(org.to_string())
        .bind(pipeline.to_string())
        .fetch_optional(tx.connection())
        .await?;
        Ok(row.is_some())
    }

    /// Whether the pipeline has a run that waits for its first attempt. One that waits for its next attempt is still at
    /// work, and one that was asked to stop will not begin.
    pub async fn run_waits_in_txn(tx: &mut Tx, org: OrgId, pipeline: PipelineId) -> StoreResult<bool> {
        let row = sqlx::query(
            "select id from run
             where organization_id = $1 and pipeline_id = $2 and state = 'queued' and attempts = 0 and desired = 'run'
             limit 1",
        )
        .bind(org.to_string())
        .bind(pipeline.to_string())
        .fetch_optional(tx.connection())
        .await?;
        Ok(row.is_some())
    }

    /// Runs that may be dispatched now: one per pipeline, none of a paused one, organizations in turn, and none beyond
    /// `per_org` live runs of an organization. For the dispatcher alone.
    pub async fn run_due(&self, per_org: i64, limit: i64) -> StoreResult<Vec<Run>> {
        let mut reader = self.reader_of_all().await?;
        let sql = self.dialect.sql(
            "select q.* from (
                select run.*,
                       row_number() over (partition by run.organization_id order by run.id) as place,
                       (select count(*) from run l where l.organization_id = run.organization_id
                           and l.state in ('launching', 'running')) as live
                from run
                where run.state = 'queued' and run.desired = 'run' and run.not_before <= {now}
                  and not exists (select 1 from run o where o.owner_id = run.owner_id
                      and (o.state in ('launching', 'running') or (o.state = 'queued' and o.id < run.id)))
                  and not exists (select 1 from pipeline p where p.id = run.pipeline_id and p.paused is not null)
                  and (run.kind = 'test' or not exists (select 1 from data_plane d where d.id = run.data_plane_id
                      and d.organization_id = run.organization_id and d.draining_since is not null))
             ) q where q.place + q.live <= $1 order by q.place, q.id limit $2",
        );
        all(&sqlx::query(sql).bind(per_org).bind(limit).fetch_all(reader.connection()).await?)
    }

    /// When the next queued run that waits for its time may go; for the dispatcher alone.
    pub async fn run_next_due(&self) -> StoreResult<Option<Micros>> {
        let mut reader = self.reader_of_all().await?;
        let sql = self.dialect.sql(
            "select min(not_before) as next from run where state = 'queued' and desired = 'run' and not_before > {now}",
        );
        opt_time(&sqlx::query(sql).fetch_one(reader.connection()).await?, "next")
    }

    /// Queued runs that were asked to stop; for the dispatcher alone.
    pub async fn run_canceled_in_queue(&self, limit: i64) -> StoreResult<Vec<Run>> {
        let mut reader = self.reader_of_all().await?;
        let rows = sqlx::query("select * from run where state = 'queued' and desired = 'cancel' order by id limit $1")
            .bind(limit)
            .fetch_all(reader.connection())
            .await?;
        all(&rows)
    }

    /// How many runs stand in each state; for the metrics.
    pub async fn run_count_by_state(&self) -> StoreResult<Vec<(RunState, u64)>> {
        let mut reader = self.reader_of_all().await?;
        let rows =
            sqlx::query("select state, count(*) as n from run group by state").fetch_all(reader.connection()).await?;
        rows.iter().map(|row| Ok((parsed(row, "state")?, count(row, "n")?))).collect()
    }
}
