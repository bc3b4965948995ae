//! A pipeline's schedule as a user sets it. When it is due is the scheduler's affair.

use waybill_api::ProblemCode;
use waybill_api::schedule::ScheduleSet;
use waybill_model::schedule::Schedule as Cron;
use waybill_model::{Micros, OrgId, PipelineId, ScheduleId};
use waybill_store::{NewSchedule, Pipeline, Schedule, Store};

use super::cron::{CronError, Slots};
use super::{Refused, ServiceResult};
use crate::app::Shared;
use crate::auth::Caller;

/// A pipeline's schedule.
pub async fn get(app: &Shared, org: OrgId, pipeline: PipelineId) -> ServiceResult<Option<Schedule>> {
    Ok(app.store.schedule_get(org, pipeline).await?)
}

/// Gives a pipeline its schedule, or replaces the one that it has.
pub async fn set(app: &Shared, caller: &Caller, pipeline: &Pipeline, body: &ScheduleSet) -> ServiceResult<Schedule> {
    let cron = read(body)?;
    let now = app.store.clock().await?;
    let new = row(app, (caller.org, pipeline.id), &cron, !body.paused, now)?;
    let mut tx = app.store.write_tx().await?;
    Store::schedule_set_in_txn(&mut tx, &new).await?;
    Store::audit_append_in_txn(&mut tx, &caller.audit("schedule_set", pipeline.id)).await?;
    tx.commit().await?;
    get(app, caller.org, pipeline.id).await?.ok_or_else(|| ProblemCode::NotFound.into())
}

/// Takes a pipeline's schedule away.
pub async fn delete(app: &Shared, caller: &Caller, pipeline: &Pipeline) -> ServiceResult<()> {
    let mut tx = app.store.write_tx().await?;
    Store::schedule_delete_in_txn(&mut tx, caller.org, pipeline.id).await?;
    Store::audit_append_in_txn(&mut tx, &caller.audit("schedule_delete", pipeline.id)).await?;
    Ok(tx.commit().await?)
}

/// The row of a schedule whose first slot comes after `now`; checked as the scheduler will read it.
pub(super) fn row(
    app: &Shared,
    (org, pipeline): (OrgId, PipelineId),
    cron: &Cron,
    enabled: bool,
    now: Micros,
) -> ServiceResult<NewSchedule> {
    let slots = Slots::parse(&cron.cron, &cron.zone, app.bounds.schedule_floor);
    let next = slots.and_then(|slots| slots.next(now)).map_err(|why| {
        let pointer = if matches!(why, CronError::Zone) { "/zone" } else { "/cron" };
        Refused::field(ProblemCode::ScheduleInvalid, pointer, why.to_string())
    })?;
    Ok(NewSchedule {
        org,
        id: ScheduleId::generate(),
        pipeline,
        cron: Some(cron.cron.clone()),
        every: None,
        zone: cron.zone.clone(),
        overlap: cron.overlap.as_str().into(),
        catch_up: cron.catch_up.as_str().into(),
        enabled,
        next_slot: Some(next),
    })
}

fn read(body: &ScheduleSet) -> ServiceResult<Cron> {
    let refuse = |pointer: &str, why: &str| Refused::field(ProblemCode::ScheduleInvalid, pointer, why);
    Ok(Cron {
        cron: body.cron.clone(),
        zone: body.zone.clone(),
        overlap: body.overlap.parse().map_err(|_| refuse("/overlap", "takes skip or queue"))?,
        catch_up: body.catch_up.parse().map_err(|_| refuse("/catch_up", "takes last or none"))?,
    })
}
