//! A pipeline's schedule as a user sets it. When it is due is the scheduler's affair.

use waybill_api::ProblemCode;
use waybill_api::schedule::ScheduleSet;
use waybill_model::schedule::{Every, Schedule as Wanted, When};
use waybill_model::{Micros, OrgId, PipelineId, ScheduleId};
use waybill_store::{NewSchedule, Pipeline, Schedule, Store};

use super::cron::CronError;
use super::slots::Slots;
use super::{Refused, ServiceResult};
use crate::app::Shared;
use crate::auth::Caller;

/// Where no zone is named.
const UTC: &str = "UTC";

/// A pipeline's schedule.
pub async fn get(app: &Shared, org: OrgId, pipeline: PipelineId) -> ServiceResult<Option<Schedule>> {
    Ok(app.store.schedule_get(org, pipeline).await?)
}

/// Gives a pipeline its schedule, or replaces the one that it has.
pub async fn set(app: &Shared, caller: &Caller, pipeline: &Pipeline, body: &ScheduleSet) -> ServiceResult<Schedule> {
    let wanted = read(body)?;
    let now = app.store.clock().await?;
    let new = row(app, (caller.org, pipeline.id), &wanted, !body.paused, now)?;
    let mut tx = app.store.write_tx(caller.org).await?;
    Store::schedule_set_in_txn(&mut tx, &new).await?;
    Store::audit_append_in_txn(&mut tx, &caller.audit("schedule_set", pipeline.id)).await?;
    tx.commit().await?;
    get(app, caller.org, pipeline.id).await?.ok_or_else(|| ProblemCode::NotFound.into())
}

/// Takes a pipeline's schedule away.
pub async fn delete(app: &Shared, caller: &Caller, pipeline: &Pipeline) -> ServiceResult<()> {
    let mut tx = app.store.write_tx(caller.org).await?;
    Store::schedule_delete_in_txn(&mut tx, caller.org, pipeline.id).await?;
    Store::audit_append_in_txn(&mut tx, &caller.audit("schedule_delete", pipeline.id)).await?;
    Ok(tx.commit().await?)
}

/// The row of a schedule whose first slot comes after `now`; checked as the scheduler will read it.
pub(super) fn row(
    app: &Shared,
    (org, pipeline): (OrgId, PipelineId),
    wanted: &Wanted,
    enabled: bool,
    now: Micros,
) -> ServiceResult<NewSchedule> {
    let slots = Slots::parse(&wanted.when, app.bounds.schedule_floor);
    let next = slots.and_then(|slots| slots.next(now)).map_err(|why| {
        let pointer = match (&wanted.when, &why) {
            (When::Every(_), _) => "/every_ms",
            (When::Cron { .. }, CronError::Zone) => "/zone",
            (When::Cron { .. }, _) => "/cron",
        };
        Refused::field(ProblemCode::ScheduleInvalid, pointer, why.to_string())
    })?;
    let (cron, zone, every) = match &wanted.when {
        When::Cron { line, zone } => (Some(line.clone()), zone.clone(), None),
        When::Every(every) => (None, UTC.to_owned(), Some(every.distance())),
    };
    Ok(NewSchedule {
        org,
        id: ScheduleId::generate(),
        pipeline,
        cron,
        every,
        zone,
        overlap: wanted.overlap.as_str().into(),
        catch_up: wanted.catch_up.as_str().into(),
        enabled,
        next_slot: Some(next),
    })
}

fn read(body: &ScheduleSet) -> ServiceResult<Wanted> {
    let refuse = |pointer: &str, why: &str| Refused::field(ProblemCode::ScheduleInvalid, pointer, why);
    let when = match (&body.cron, body.every_ms) {
        (Some(line), None) => {
            When::Cron { line: line.clone(), zone: body.zone.clone().unwrap_or_else(|| UTC.to_owned()) }
        }
        (None, Some(_)) if body.zone.is_some() => {
            return Err(refuse("/zone", "has no meaning with every_ms: remove it"));
        }
        (None, Some(millis)) => {
            When::Every(Every::try_from(millis).map_err(|why| refuse("/every_ms", &why.to_string()))?)
        }
        (None, None) => return Err(refuse("/cron", "write either cron or every_ms")),
        (Some(_), Some(_)) => return Err(refuse("/every_ms", "keep either cron or every_ms")),
    };
    Ok(Wanted {
        when,
        overlap: body.overlap.parse().map_err(|_| refuse("/overlap", "takes skip or queue"))?,
        catch_up: body.catch_up.parse().map_err(|_| refuse("/catch_up", "takes last or none"))?,
    })
}
