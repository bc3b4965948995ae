//! What has been kept long enough: removed in small portions, oldest first. A run that has not ended, or whose task may
//! still be there, is never touched; neither is the audit chain.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::any::AnyRow;
use waybill_model::{Micros, OrgId};

use crate::error::StoreResult;
use crate::reading::{parsed, text};
use crate::{Store, Tx};

/// What is kept for a while only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kept {
    /// Events of runs that have ended.
    RunEvents,
    /// Runs that have ended, with all that hangs on them.
    Runs,
    /// The exact bytes of launches whose task is over.
    LaunchRequests,
    /// Entries of the infrastructure trail.
    Trail,
    /// Sign-in sessions that have ended, with their refresh tokens; setup tokens that have run out.
    Sessions,
    /// Answers to creating requests.
    IdempotencyKeys,
    /// Pipelines and connections that were deleted and that no run tells of any more.
    Deleted,
    /// Revocations of certificates that have run out by themselves.
    Denials,
}

impl Kept {
    /// All of them, in the order in which they are removed: runs before what they refer to.
    pub const ALL: [Self; 8] = [
        Self::RunEvents,
        Self::Runs,
        Self::LaunchRequests,
        Self::Trail,
        Self::Sessions,
        Self::IdempotencyKeys,
        Self::Deleted,
        Self::Denials,
    ];

    /// Its name in metrics and in the audit chain.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RunEvents => "run_events",
            Self::Runs => "runs",
            Self::LaunchRequests => "launch_requests",
            Self::Trail => "trail",
            Self::Sessions => "sessions",
            Self::IdempotencyKeys => "idempotency_keys",
            Self::Deleted => "deleted",
            Self::Denials => "denials",
        }
    }
}

/// Ended, and no task of it is left: what both kinds of removal of runs demand, at the choice and at the deletion.
const ENDED: &str = "state in ('succeeded', 'failed', 'canceled') and finished_at < {now} - $1
    and not exists (select 1 from attempt a
        where a.organization_id = run.organization_id and a.run_id = run.id and a.task_over = 0)";

impl Store {
    /// Removes at most `limit` things that are older than `age`; says how many of each organization went.
    pub async fn kept_remove_in_txn(
        tx: &mut Tx,
        kept: Kept,
        age: Duration,
        limit: i64,
    ) -> StoreResult<BTreeMap<OrgId, u64>> {
        match kept {
            Kept::RunEvents => remove_run_events(tx, age, limit).await,
            Kept::Runs => remove_runs(tx, age, limit).await,
            Kept::LaunchRequests => remove_launch_requests(tx, age, limit).await,
            Kept::Trail => remove_trail(tx, age, limit).await,
            Kept::Sessions => remove_sessions(tx, age, limit).await,
            Kept::IdempotencyKeys => remove_idempotency_keys(tx, age, limit).await,
            Kept::Deleted => remove_deleted(tx, limit).await,
            Kept::Denials => remove_denials(tx, limit).await,
        }
    }
}

async fn remove_runs(tx: &mut Tx, age: Duration, limit: i64) -> StoreResult<BTreeMap<OrgId, u64>> {
    let chosen = format!("select organization_id, id from run where {ENDED} order by finished_at limit $2");
    let rows = choose(tx, &chosen, &[Micros(0).plus(age).0, limit]).await?;
    for row in &rows {
        let (org, id) = (text(row, "organization_id")?, text(row, "id")?);
        for statement in [
            "delete from run_event where organization_id = $1 and run_id = $2",
            "delete from run_stream where organization_id = $1 and run_id = $2",
            "delete from certificate where organization_id = $1
                and attempt_id in (select id from attempt where organization_id = $1 and run_id = $2)",
            "delete from agent_task where organization_id = $1
                and attempt_id in (select id from attempt where organization_id = $1 and run_id = $2)",
            "delete from attempt where organization_id = $1 and run_id = $2",
            "delete from run where organization_id = $1 and id = $2 and state in ('succeeded', 'failed', 'canceled')",
        ] {
            sqlx::query(statement).bind(&org).bind(&id).execute(tx.connection()).await?;
        }
    }
    counted(&rows)
}

async fn remove_run_events(tx: &mut Tx, age: Duration, limit: i64) -> StoreResult<BTreeMap<OrgId, u64>> {
    let chosen = format!(
        "select organization_id, id from run where events_removed_at is null and {ENDED} order by finished_at limit $2"
    );
    let rows = choose(tx, &chosen, &[Micros(0).plus(age).0, limit]).await?;
    for row in &rows {
        let (org, id) = (text(row, "organization_id")?, text(row, "id")?);
        sqlx::query("delete from run_event where organization_id = $1 and run_id = $2")
            .bind(&org)
            .bind(&id)
            .execute(tx.connection())
            .await?;
        let sql = tx.sql("update run set events_removed_at = {now} where organization_id = $1 and id = $2");
        sqlx::query(sql).bind(&org).bind(&id).execute(tx.connection()).await?;
    }
    counted(&rows)
}

async fn remove_launch_requests(tx: &mut Tx, age: Duration, limit: i64) -> StoreResult<BTreeMap<OrgId, u64>> {
    let chosen = "select organization_id, id from attempt
         where task_over = 1 and finished_at < {now} - $1 and length(launch_request) > 0 order by finished_at limit $2";
    let rows = choose(tx, chosen, &[Micros(0).plus(age).0, limit]).await?;
    for row in &rows {
        let (org, id) = (text(row, "organization_id")?, text(row, "id")?);
        sqlx::query("update attempt set launch_request = $3 where organization_id = $1 and id = $2 and task_over = 1")
            .bind(org)
            .bind(id)
            .bind(Vec::<u8>::new())
            .execute(tx.connection())
            .await?;
    }
    counted(&rows)
}

async fn remove_trail(tx: &mut Tx, age: Duration, limit: i64) -> StoreResult<BTreeMap<OrgId, u64>> {
    let chosen = "delete from trail where (organization_id, id) in (
             select organization_id, id from trail where recorded_at < {now} - $1 limit $2)
         returning organization_id";
    counted(&choose(tx, chosen, &[Micros(0).plus(age).0, limit]).await?)
}

async fn remove_sessions(tx: &mut Tx, age: Duration, limit: i64) -> StoreResult<BTreeMap<OrgId, u64>> {
    let age = Micros(0).plus(age).0;
    let chosen = "select organization_id, id from session
         where expires_at < {now} - $1 or revoked_at < {now} - $1 order by created_at limit $2";
    let rows = choose(tx, chosen, &[age, limit]).await?;
    for row in &rows {
        let (org, id) = (text(row, "organization_id")?, text(row, "id")?);
        for statement in [
            "delete from refresh_token where organization_id = $1 and session_id = $2",
            "delete from session where organization_id = $1 and id = $2",
        ] {
            sqlx::query(statement).bind(&org).bind(&id).execute(tx.connection()).await?;
        }
    }
    let sql = tx.sql("delete from setup_token where expires_at < {now} - $1");
    sqlx::query(sql).bind(age).execute(tx.connection()).await?;
    counted(&rows)
}

async fn remove_idempotency_keys(tx: &mut Tx, age: Duration, limit: i64) -> StoreResult<BTreeMap<OrgId, u64>> {
    let chosen = "delete from idempotency_key where (organization_id, actor, key) in (
             select organization_id, actor, key from idempotency_key where created_at < {now} - $1 limit $2)
         returning organization_id";
    counted(&choose(tx, chosen, &[Micros(0).plus(age).0, limit]).await?)
}

async fn remove_deleted(tx: &mut Tx, limit: i64) -> StoreResult<BTreeMap<OrgId, u64>> {
    let chosen = "select organization_id, id from pipeline where deleted_at is not null
            and not exists (select 1 from run
                where run.organization_id = pipeline.organization_id and run.pipeline_id = pipeline.id) limit $1";
    let mut rows = choose(tx, chosen, &[limit]).await?;
    for row in &rows {
        let (org, id) = (text(row, "organization_id")?, text(row, "id")?);
        for statement in [
            "delete from schedule where organization_id = $1 and pipeline_id = $2",
            // A key with no pipeline left reaches nothing.
            "delete from api_key_pipeline where organization_id = $1 and pipeline_id = $2",
            "delete from pipeline_version where organization_id = $1 and pipeline_id = $2",
            "delete from pipeline where organization_id = $1 and id = $2 and deleted_at is not null",
        ] {
            sqlx::query(statement).bind(&org).bind(&id).execute(tx.connection()).await?;
        }
    }
    let chosen = "delete from connection where (organization_id, id) in (
             select organization_id, id from connection where deleted_at is not null
                and not exists (select 1 from run where run.organization_id = connection.organization_id
                    and run.connection_id = connection.id) limit $1)
         returning organization_id";
    rows.extend(choose(tx, chosen, &[limit]).await?);
    counted(&rows)
}

async fn remove_denials(tx: &mut Tx, limit: i64) -> StoreResult<BTreeMap<OrgId, u64>> {
    let chosen = "delete from denial where (organization_id, subject) in (
             select organization_id, subject from denial where until < {now} limit $1)
         returning organization_id";
    counted(&choose(tx, chosen, &[limit]).await?)
}

async fn choose(tx: &mut Tx, statement: &str, values: &[i64]) -> StoreResult<Vec<AnyRow>> {
    let sql = tx.sql_of(statement);
    let query = values.iter().fold(sqlx::query(sql), |query, value| query.bind(*value));
    Ok(query.fetch_all(tx.connection()).await?)
}

fn counted(rows: &[AnyRow]) -> StoreResult<BTreeMap<OrgId, u64>> {
    let mut counts = BTreeMap::new();
    for row in rows {
        *counts.entry(parsed(row, "organization_id")?).or_default() += 1;
    }
    Ok(counts)
}
