//! Schedules: when a pipeline runs. Only the scheduler's loop moves `next_slot` on.

use std::time::Duration;

use sqlx::any::AnyRow;
use waybill_model::{Micros, OrgId, PipelineId, ScheduleId};

use crate::error::StoreResult;
use crate::reading::{FromRow, all, flag, int, one, opt_int, opt_text, opt_time, parsed, text, time};
use crate::{Store, Tx};

/// A schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The organization.
    pub org: OrgId,
    /// Its id.
    pub id: ScheduleId,
    /// What it runs.
    pub pipeline: PipelineId,
    /// A cron expression of five fields, in the zone below.
    pub cron: Option<String>,
    /// A fixed distance instead.
    pub every: Option<Duration>,
    /// IANA name of the zone.
    pub zone: String,
    /// What happens when a run is still live: `skip` or `queue`.
    pub overlap: String,
    /// What happens to slots that were missed: `last` or `none`.
    pub catch_up: String,
    /// Whether it is on.
    pub enabled: bool,
    /// What is due next.
    pub next_slot: Option<Micros>,
    /// Rises with every change by a user.
    pub version: i64,
    /// When it was made.
    pub created_at: Micros,
    /// When it was changed last.
    pub updated_at: Micros,
}

/// A schedule to set.
#[derive(Clone, Debug)]
pub struct NewSchedule {
    /// The organization.
    pub org: OrgId,
    /// Its id, if the pipeline has none yet.
    pub id: ScheduleId,
    /// What it runs.
    pub pipeline: PipelineId,
    /// A cron expression.
    pub cron: Option<String>,
    /// A fixed distance instead.
    pub every: Option<Duration>,
    /// IANA name of the zone.
    pub zone: String,
    /// `skip` or `queue`.
    pub overlap: String,
    /// What happens to slots that were missed: `last` or `none`.
    pub catch_up: String,
    /// Whether it is on.
    pub enabled: bool,
    /// What is due first.
    pub next_slot: Option<Micros>,
}

impl FromRow for Schedule {
    fn from_row(row: &AnyRow) -> StoreResult<Self> {
        Ok(Self {
            org: parsed(row, "organization_id")?,
            id: parsed(row, "id")?,
            pipeline: parsed(row, "pipeline_id")?,
            cron: opt_text(row, "cron")?,
            every: opt_int(row, "every_us")?.map(|us| Duration::from_micros(us.unsigned_abs())),
            zone: text(row, "zone")?,
            overlap: text(row, "overlap")?,
            catch_up: text(row, "catch_up")?,
            enabled: flag(row, "enabled")?,
            next_slot: opt_time(row, "next_slot")?,
            version: int(row, "version")?,
            created_at: time(row, "created_at")?,
            updated_at: time(row, "updated_at")?,
        })
    }
}

impl Store {
    /// Sets a pipeline's schedule, whether it had one or not.
    pub async fn schedule_set_in_txn(tx: &mut Tx, new: &NewSchedule) -> StoreResult<()> {
        let sql = tx.sql(
            "insert into schedule (organization_id, id, pipeline_id, cron, every_us, zone, overlap, catch_up, enabled,
                                   next_slot, version, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 1, {now}, {now})
             on conflict (pipeline_id) do update set cron = excluded.cron, every_us = excluded.every_us,
                zone = excluded.zone, overlap = excluded.overlap, catch_up = excluded.catch_up, enabled = excluded.enabled,
                next_slot = excluded.next_slot, version = schedule.version + 1, updated_at = excluded.updated_at",
        );
        sqlx::query(sql)
            .bind(new.org.to_string())
            .bind(new.id.to_string())
            .bind(new.pipeline.to_string())
            .bind(&new.cron)
            .bind(new.every.map(|every| Micros(0).plus(every).0))
            .bind(&new.zone)
            .bind(&new.overlap)
            .bind(&new.catch_up)
            .bind(i64::from(new.enabled))
            .bind(new.next_slot.map(|slot| slot.0))
            .execute(tx.connection())
            .await?;
        Ok(())
    }

    /// Takes a pipeline's schedule away; false where it had none. Its runs keep pointing at the id.
    pub async fn schedule_delete_in_txn(tx: &mut Tx, org: OrgId, pipeline: PipelineId) -> StoreResult<bool> {
        let done = sqlx::query("delete from schedule where organization_id = $1 and pipeline_id = $2")
            .bind(org.to_string())
            .bind(pipeline.to_string())
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// A pipeline's schedule.
    pub async fn schedule_get(&self, org: OrgId, pipeline: PipelineId) -> StoreResult<Option<Schedule>> {
        let mut reader = self.reader(org).await?;
        let row = sqlx::query("select * from schedule where organization_id = $1 and pipeline_id = $2")
            .bind(org.to_string())
            .bind(pipeline.to_string())
            .fetch_optional(reader.connection())
            .await?;
        one(row)
    }

    /// Schedules whose slot has come, the longest overdue first. For the scheduler's loop alone.
    pub async fn schedule_due(&self, limit: i64) -> StoreResult<Vec<Schedule>> {
        let mut reader = self.reader_of_all().await?;
        let sql = self
            .dialect
            .sql("select * from schedule where enabled = 1 and next_slot <= {now} order by next_slot, id limit $1");
        all(&sqlx::query(sql).bind(limit).fetch_all(reader.connection()).await?)
    }

    /// Moves a schedule from the slot that was handled to the next one; false where another was first.
    pub async fn schedule_advance_in_txn(tx: &mut Tx, schedule: &Schedule, next: Option<Micros>) -> StoreResult<bool> {
        let done = sqlx::query(
            "update schedule set next_slot = $4
             where organization_id = $1 and id = $2 and next_slot = $3 and enabled = 1",
        )
        .bind(schedule.org.to_string())
        .bind(schedule.id.to_string())
        .bind(schedule.next_slot.map(|slot| slot.0))
        .bind(next.map(|slot| slot.0))
        .execute(tx.connection())
        .await?;
        Ok(done.rows_affected() == 1)
    }
}
