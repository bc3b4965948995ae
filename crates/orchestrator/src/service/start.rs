//! Starting, stopping and retrying runs on behalf of a caller of the API.

mod errands;

use std::collections::BTreeMap;

use waybill_api::ProblemCode;
use waybill_api::run::RunStart;
use waybill_model::errand::Errand;
use waybill_model::plan::{Plan, Side};
use waybill_model::run::{MOST_PREVIEW_ROWS, PREVIEW_ROWS, RunKind};
use waybill_model::{ConnectionId, DataPlaneId, PipelineId, ProjectId, RunId};
use waybill_store::{Connection, Run, Tx};

use super::access::Part;
use super::document::{self, Held};
use super::run::{self, Probe, RunDetail, RunService, Trigger};
use super::{Once, Refused, ServiceResult, access, once};
use crate::app::Shared;
use crate::auth::{Caller, Permission, Place};

/// Longest look at a connection.
const LOOK_MS: u64 = 10 * 60 * 1_000;

pub(super) fn who(caller: &Caller) -> run::Caller {
    run::Caller { org: caller.org, actor: caller.actor(), ip: caller.ip.map(|ip| ip.to_string()) }
}

/// What a request asks for, checked.
enum Asked {
    Pipeline(PipelineId, Trigger),
    Connection(Box<Probe>),
}

impl Asked {
    async fn begin(&self, tx: &mut Tx, who: &run::Caller) -> ServiceResult<RunId> {
        Ok(match self {
            Self::Pipeline(id, trigger) => RunService::trigger_in_txn(tx, who, *id, trigger.clone()).await?,
            Self::Connection(probe) => RunService::probe_in_txn(tx, who, probe.as_ref().clone()).await?,
        })
    }
}

/// Starts a run, once for each idempotency key.
pub async fn start(app: &Shared, caller: &Caller, body: &RunStart, key: Option<&Once>) -> ServiceResult<RunDetail> {
    // Before the key is looked at: what a repeat gives back is seen only by who may still see it.
    may_start(app, caller, body).await?;
    let id: RunId = once(&app.store, key, async || {
        let asked = asked(app, caller, body).await?;
        let mut tx = app.store.write_tx(caller.org).await?;
        let id = asked.begin(&mut tx, &who(caller)).await?;
        if let Some(key) = key {
            key.keep(&mut tx, &id.to_string()).await?;
        }
        tx.commit().await?;
        app.runs.nudge(id);
        Ok(id)
    })
    .await?;
    Ok(app.runs.detail(caller.org, id).await?)
}

/// Asks a run to stop.
pub async fn cancel(app: &Shared, caller: &Caller, run: RunId) -> ServiceResult<RunDetail> {
    app.runs.cancel(&who(caller), run).await?;
    Ok(app.runs.detail(caller.org, run).await?)
}

/// Starts a new run with what a final one did not deliver, once for each idempotency key.
pub async fn retry(app: &Shared, caller: &Caller, old: &Run, key: Option<&Once>) -> ServiceResult<RunDetail> {
    if old.kind.is_look() {
        may_look(caller, old.project)?;
    }
    let id: RunId = once(&app.store, key, async || {
        let mut tx = app.store.write_tx(caller.org).await?;
        let id = match old.pipeline {
            Some(pipeline) => {
                RunService::trigger_in_txn(&mut tx, &who(caller), pipeline, Trigger::Retry(old.id)).await?
            }
            None => RunService::look_again_in_txn(&mut tx, &who(caller), old).await?,
        };
        if let Some(key) = key {
            key.keep(&mut tx, &id.to_string()).await?;
        }
        tx.commit().await?;
        app.runs.nudge(id);
        Ok(id)
    })
    .await?;
    Ok(app.runs.detail(caller.org, id).await?)
}

async fn asked(app: &Shared, caller: &Caller, body: &RunStart) -> ServiceResult<Asked> {
    let kind = body.kind.unwrap_or(RunKind::Sync);
    if kind == RunKind::Test {
        let message = "a test task is started for a data plane: POST /v1/data-planes/{data_plane}/test";
        return Err(Refused::field(ProblemCode::Unusable, "/kind", message));
    }
    if body.rows.is_some() && kind != RunKind::Preview {
        return Err(Refused::field(ProblemCode::Unusable, "/rows", "only a preview takes a number of rows"));
    }
    let rows = body.rows.unwrap_or(PREVIEW_ROWS);
    if !(1..=MOST_PREVIEW_ROWS).contains(&rows) {
        let message = format!("a preview takes 1 to {MOST_PREVIEW_ROWS} rows of each stream");
        return Err(Refused::field(ProblemCode::Unusable, "/rows", message));
    }
    match (body.pipeline_id, body.connection_id) {
        (Some(id), None) => {
            if let Some(field) = errands::field(body).filter(|_| kind != RunKind::Sync) {
                return Err(Refused::field(ProblemCode::Unusable, field, "only a run of kind sync moves rows"));
            }
            let (streams, errands) = chosen(app, caller, id, body).await?;
            let rows = (kind == RunKind::Preview).then_some(rows);
            Ok(Asked::Pipeline(id, Trigger::Manual { kind, streams, errands, rows }))
        }
        (None, Some(id)) if body.streams.is_empty() && errands::field(body).is_none() => {
            Ok(Asked::Connection(Box::new(probe(app, caller, id, kind).await?)))
        }
        (None, Some(_)) => {
            let field = if body.streams.is_empty() { errands::field(body) } else { None }.unwrap_or("/streams");
            Err(Refused::field(ProblemCode::Unusable, field, "a connection has no streams; name a pipeline"))
        }
        _ => Err(Refused::new(ProblemCode::Unusable, "name either pipeline_id or connection_id")),
    }
}

/// A look uses the secrets of connections, by the name of one or of a pipeline, which starting a pipeline as it was set up does not.
fn may_look(caller: &Caller, project: ProjectId) -> ServiceResult<()> {
    access::allowed(caller, Permission::ConnectionCheck, Place::Project(project))
        .map_err(|refused| refused.next("ask somebody who may change the connection"))
}

/// Whether the caller may start a run of the pipeline, or look at the connection, that the body names.
async fn may_start(app: &Shared, caller: &Caller, body: &RunStart) -> ServiceResult<()> {
    let other = body.connection_id.is_some() || body.kind.is_some_and(|kind| kind != RunKind::Sync);
    if caller.bounded().is_some() && (other || errands::field(body).is_some()) {
        let detail = "a key of role api starts its pipelines as they were set up, and nothing else";
        return Err(Refused::new(ProblemCode::Forbidden, detail).next("use a key of another role"));
    }
    if let Some(id) = body.pipeline_id {
        let row = app.store.pipeline_get(caller.org, id).await?.ok_or_else(no_pipeline)?;
        access::in_project(caller, Permission::RunWrite, row.project, no_pipeline)?;
        if !access::reaches(app, caller, Part::Pipeline(id)).await? {
            return Err(no_pipeline());
        }
        if body.kind.is_some_and(RunKind::is_look) {
            may_look(caller, row.project)?;
        }
    }
    if let Some(id) = body.connection_id {
        let row = app.store.connection_get(caller.org, id).await?.ok_or_else(no_connection)?;
        access::in_project(caller, Permission::RunWrite, row.project, no_connection)?;
        may_look(caller, row.project)?;
    }
    Ok(())
}

fn no_pipeline() -> Refused {
    Refused::new(ProblemCode::NotFound, "no such pipeline in this organization")
}

fn no_connection() -> Refused {
    Refused::new(ProblemCode::NotFound, "no such connection in this organization")
}

/// Places of the named streams in the pipeline's present plan, and what is done with some of them.
async fn chosen(
    app: &Shared,
    caller: &Caller,
    id: PipelineId,
    body: &RunStart,
) -> ServiceResult<(Vec<u32>, BTreeMap<u32, Errand>)> {
    let pipeline = app.store.pipeline_get(caller.org, id).await?.ok_or_else(no_pipeline)?;
    if body.streams.is_empty() && errands::field(body).is_none() {
        return Ok(Default::default());
    }
    let version = app.store.pipeline_version_get(caller.org, id, pipeline.version).await?.ok_or_else(no_pipeline)?;
    let plan: Plan = serde_json::from_str(&version.plan).map_err(|_| Refused::from(ProblemCode::Internal))?;
    let streams =
        body.streams.iter().map(|name| errands::place(&plan, "/streams", name)).collect::<ServiceResult<Vec<u32>>>()?;
    let errands = errands::of(&plan, &streams, body)?;
    Ok((streams, errands))
}

/// A look at a connection: as a pipeline uses it, or else at it alone, so that nothing beside it can fail.
async fn probe(app: &Shared, caller: &Caller, id: ConnectionId, kind: RunKind) -> ServiceResult<Probe> {
    let connection = app.store.connection_get(caller.org, id).await?.ok_or_else(no_connection)?;
    let held = document::of_project(app, caller.org, connection.project).await?;
    let system = held.document.connections.get(&connection.name).ok_or_else(no_connection)?;
    if kind == RunKind::Discover && system.side() == Side::Destination {
        let detail = format!("{} is a destination: it has no tables to list", connection.name);
        let next =
            format!("waybill connection check {} proves it; list the source that is to fill it", connection.name);
        return Err(Refused::new(ProblemCode::Unusable, detail).next(next));
    }
    let alone = || Plan::of_one(&connection.name, system, LOOK_MS);
    let plan = held.plan_using(&connection.name).unwrap_or_else(alone);
    let data_plane = plane_of(app, caller, &held, &connection).await?;
    Ok(Probe { project: connection.project, connection: id, subject: connection.name, kind, plan, data_plane })
}

/// Where a connection is looked at from: where the pipelines run that use it, or the only data plane.
async fn plane_of(app: &Shared, caller: &Caller, held: &Held, connection: &Connection) -> ServiceResult<DataPlaneId> {
    if let Some(plane) = held.plane_using(&connection.name) {
        return Ok(plane);
    }
    match app.store.data_plane_list(caller.org, None, 2).await?.as_slice() {
        [only] => Ok(only.id),
        _ => {
            let detail = "several data planes could look at it and no pipeline uses it yet";
            Err(Refused::new(ProblemCode::Unusable, detail).next("apply a pipeline that uses it, then check that"))
        }
    }
}
