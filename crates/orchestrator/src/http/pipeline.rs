//! Pipelines, their versions and schedules.

mod describe;

use axum::extract::State;
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post, put};
use waybill_api::pipeline::{EpochAccept, LastRun, Pipeline, PipelineDescription, PipelineUpdate, PipelineVersion};
use waybill_api::schedule::{Schedule, ScheduleSet};
use waybill_api::{Page, ProblemCode};
use waybill_model::Epoch;
use waybill_model::plan::Plan;
use waybill_model::run::{RunKind, RunState};
use waybill_store::{Listed, Pipeline as Row, PipelineVersion as VersionRow, RunFilter, Schedule as ScheduleRow};

use super::App;
use super::action::{self, Action};
use super::body::{Query, Strict};
use super::conditions::{Conditions, stale, tag};
use super::connection::OfProject;
use super::gate::{Permit, may};
use super::operation::{Operation, Operations};
use super::page::{BY_NAME, Paging, SORTS};
use super::reply::{Answer, Reply, nothing};
use crate::auth::{Caller, Permission, Place};
use crate::service::{Refused, ServiceResult, pipeline, project, schedule_crud};

pub(super) fn mount(all: &mut Operations) {
    use ProblemCode as C;
    let path = "/v1/pipelines/{pipeline}";
    all.add(
        Operation::of::<action::PipelineList>(Method::GET, "/v1/pipelines", "Pipelines of a project")
            .pages::<Pipeline>()
            .sorts(SORTS)
            .query("project", "Id of the project; the project `default` where absent.")
            .query("name", "Only the one of this name.")
            .codes(&[C::NotFound]),
        get(list),
    );
    all.add(
        Operation::of::<action::PipelineGet>(Method::GET, path, "One pipeline").answers::<Pipeline>(200).tagged(),
        get(one),
    );
    all.add(
        Operation::of::<action::PipelineUpdate>(Method::PATCH, path, "Pause or resume a pipeline")
            .takes::<PipelineUpdate>()
            .answers::<Pipeline>(200)
            .changes(),
        patch(update),
    );
    all.add(
        Operation::of::<action::PipelineDelete>(Method::DELETE, path, "Remove a pipeline; what it wrote stays")
            .changes()
            .codes(&[C::RunLive]),
        delete(remove),
    );
    all.add(
        Operation::of::<action::PipelineAcceptEpoch>(
            Method::POST,
            "/v1/pipelines/{pipeline}/accept-epoch",
            "Go on from an epoch that stood too far in the future: the one in `epoch_ahead`",
        )
        .takes::<EpochAccept>()
        .answers::<Pipeline>(200)
        .codes(&[C::StateConflict, C::Unusable]),
        post(accept_epoch),
    );
    all.add(
        Operation::of::<action::PipelineVersionList>(
            Method::GET,
            "/v1/pipelines/{pipeline}/versions",
            "Versions of a pipeline, newest first",
        )
        .pages::<PipelineVersion>(),
        get(versions),
    );
    all.add(
        Operation::of::<action::PipelineDescribe>(
            Method::GET,
            "/v1/pipelines/{pipeline}/description",
            "What a pipeline does to rows on their way, in words",
        )
        .answers::<PipelineDescription>(200),
        get(description),
    );
    mount_schedule(all);
}

fn mount_schedule(all: &mut Operations) {
    let path = "/v1/pipelines/{pipeline}/schedule";
    all.add(
        Operation::of::<action::ScheduleGet>(Method::GET, path, "A pipeline's schedule")
            .answers::<Schedule>(200)
            .tagged(),
        get(schedule),
    );
    all.add(
        Operation::of::<action::ScheduleSet>(
            Method::PUT,
            path,
            "Give a pipeline its schedule: If-None-Match: * for the first one, If-Match to replace one",
        )
        .takes::<ScheduleSet>()
        .answers::<Schedule>(200)
        .makes_or_changes()
        .codes(&[
            ProblemCode::ScheduleInvalid,
            ProblemCode::PreconditionRequired,
            ProblemCode::PreconditionFailed,
        ]),
        put(schedule_set),
    );
    all.add(
        Operation::of::<action::ScheduleDelete>(Method::DELETE, path, "Take a pipeline's schedule away").changes(),
        delete(schedule_delete),
    );
}

async fn list(
    State(app): State<App>,
    permit: Permit<action::PipelineList>,
    Query(query): Query<OfProject>,
) -> Answer<Page<Pipeline>> {
    let org = permit.caller.org;
    let sight = permit.caller.sight();
    let (paging, filters) = query.split();
    let turn = app.pager.sorted(&permit.caller, (action::PipelineList::ID, BY_NAME), paging, &filters)?;
    let project =
        project::of_filter(&app, &permit.caller, Permission::PipelineRead, filters.project.as_deref()).await?;
    let rows = match &filters.name {
        Some(name) => {
            let found = app.store.pipeline_find(org, project.id, name).await?;
            let is_reached = |row: &Row| permit.caller.bounded().is_none_or(|(_, named)| named.contains(&row.id));
            found.into_iter().filter(is_reached).collect()
        }
        None => app.store.pipeline_part(org, (project.id, sight), &turn.part()).await?,
    };
    let found = filters.name.as_ref().map(|_| rows.len());
    let count = turn
        .count_of(found, async |most| app.store.listed_count(org, Listed::Pipelines(project.id, sight), most).await)
        .await?;
    let page = turn.page(rows, |row| turn.place(&row.id, &row.name), |row| row);
    let mut items = Vec::with_capacity(page.items.len());
    for row in page.items {
        items.push(show(&app, &permit.caller, row).await?);
    }
    Ok(Reply::ok(Page { items, next_cursor: page.next_cursor, count }))
}

async fn one(
    State(app): State<App>,
    permit: Permit<action::PipelineGet>,
    conditions: Conditions,
) -> Result<Response, Refused> {
    let tag = tag(permit.object.version, permit.object.updated_at);
    Ok(conditions.answer(show(&app, &permit.caller, permit.object).await?, tag))
}

async fn update(
    State(app): State<App>,
    permit: Permit<action::PipelineUpdate>,
    conditions: Conditions,
    body: Strict<PipelineUpdate>,
) -> Answer<Pipeline> {
    let row = &permit.object;
    let old = tag(row.version, row.updated_at);
    conditions.must_match(&old, row.updated_at)?;
    let new = pipeline::pause(&app, &permit.caller, row, body.value.paused).await?;
    let new = new.ok_or_else(|| stale(&old, row.updated_at))?;
    let tag = tag(new.version, new.updated_at);
    Ok(Reply::ok(show(&app, &permit.caller, new).await?).tagged(tag))
}

async fn accept_epoch(
    State(app): State<App>,
    permit: Permit<action::PipelineAcceptEpoch>,
    body: Strict<EpochAccept>,
) -> Answer<Pipeline> {
    let new = pipeline::accept_epoch(&app, &permit.caller, &permit.object, Epoch(body.value.found)).await?;
    Ok(Reply::ok(show(&app, &permit.caller, new).await?))
}

async fn remove(
    State(app): State<App>,
    permit: Permit<action::PipelineDelete>,
    conditions: Conditions,
) -> Result<Response, Refused> {
    let row = &permit.object;
    let old = tag(row.version, row.updated_at);
    conditions.must_match(&old, row.updated_at)?;
    if pipeline::delete(&app, &permit.caller, row).await? { Ok(nothing()) } else { Err(stale(&old, row.updated_at)) }
}

async fn versions(
    State(app): State<App>,
    permit: Permit<action::PipelineVersionList>,
    Query(paging): Query<Paging>,
) -> Answer<Page<PipelineVersion>> {
    let (caller, id) = (&permit.caller, permit.object.id);
    let turn = app.pager.turn(caller, action::PipelineVersionList::ID, paging, &id)?;
    let rows = app.store.pipeline_version_list(caller.org, id, turn.key()?, turn.fetch()).await?;
    Ok(Reply::ok(turn.page(rows, |row| row.version.to_string(), show_version)))
}

async fn description(State(app): State<App>, permit: Permit<action::PipelineDescribe>) -> Answer<PipelineDescription> {
    let row = permit.object;
    let version = app.store.pipeline_version_get(row.org, row.id, row.version).await?.ok_or(ProblemCode::Internal)?;
    let plan: Plan = serde_json::from_str(&version.plan).map_err(|_| Refused::from(ProblemCode::Internal))?;
    Ok(Reply::ok(describe::shown(row.id, row.version.unsigned_abs(), &plan)))
}

async fn schedule(
    State(app): State<App>,
    permit: Permit<action::ScheduleGet>,
    conditions: Conditions,
) -> Result<Response, Refused> {
    let row = schedule_of(&app, &permit.object).await?.ok_or_else(no_schedule)?;
    let tag = tag(row.version, row.updated_at);
    Ok(conditions.answer(show_schedule(&permit.caller, permit.place, row), tag))
}

async fn schedule_of(app: &App, pipeline: &Row) -> ServiceResult<Option<ScheduleRow>> {
    schedule_crud::get(app, pipeline.org, pipeline.id).await
}

fn no_schedule() -> Refused {
    Refused::new(ProblemCode::NotFound, "the pipeline has no schedule")
}

async fn schedule_set(
    State(app): State<App>,
    permit: Permit<action::ScheduleSet>,
    conditions: Conditions,
    body: Strict<ScheduleSet>,
) -> Result<Response, Refused> {
    match schedule_of(&app, &permit.object).await? {
        Some(row) => conditions.must_match(&tag(row.version, row.updated_at), row.updated_at)?,
        None => conditions.must_be_first()?,
    }
    let row = schedule_crud::set(&app, &permit.caller, &permit.object, &body.value).await?;
    let tag = tag(row.version, row.updated_at);
    Ok(Reply::ok(show_schedule(&permit.caller, permit.place, row)).tagged(tag).into_response())
}

async fn schedule_delete(
    State(app): State<App>,
    permit: Permit<action::ScheduleDelete>,
    conditions: Conditions,
) -> Result<Response, Refused> {
    let row = schedule_of(&app, &permit.object).await?.ok_or_else(no_schedule)?;
    conditions.must_match(&tag(row.version, row.updated_at), row.updated_at)?;
    schedule_crud::delete(&app, &permit.caller, &permit.object).await.map(|()| nothing())
}

async fn show(app: &App, caller: &Caller, row: Row) -> ServiceResult<Pipeline> {
    let version = app.store.pipeline_version_get(row.org, row.id, row.version).await?.ok_or(ProblemCode::Internal)?;
    let plan: Plan = serde_json::from_str(&version.plan).map_err(|_| Refused::from(ProblemCode::Internal))?;
    let live = live_run(app, caller, &row).await?;
    let last = last_run(app, caller, &row).await?;
    let next = match row.paused {
        Some(_) => None,
        None => schedule_of(app, &row).await?.filter(|schedule| schedule.enabled),
    };
    let (paused, place) = (row.paused.is_some(), Place::Project(row.project));
    let start = row.paused.as_ref().map(|_| row.paused_hint.as_deref().unwrap_or("the pipeline is paused"));
    Ok(Pipeline {
        id: row.id,
        project_id: row.project,
        name: row.name,
        version: row.version.unsigned_abs(),
        from: plan.from.connection,
        to: plan.to.connection,
        streams: plan.streams.into_iter().map(|stream| stream.name).collect(),
        data_plane_id: Some(row.data_plane),
        paused,
        live_run_id: live,
        last_run: last,
        next_run_at: next.and_then(|schedule| schedule.next_slot).map(Into::into),
        epoch_ahead: row.ahead_epoch.map(|epoch| epoch.0),
        created_at: row.created_at.into(),
        updated_at: row.updated_at.into(),
        allowed_actions: vec![
            may::<action::RunStart>(caller, place, start),
            may::<action::PipelineUpdate>(caller, place, None),
            may::<action::PipelineAcceptEpoch>(
                caller,
                place,
                row.ahead_epoch.is_none().then_some("no epoch waits for it"),
            ),
            may::<action::PipelineDelete>(caller, place, live.map(|_| "a run of it has not ended")),
        ],
    })
}

async fn live_run(app: &App, caller: &Caller, row: &Row) -> ServiceResult<Option<waybill_model::RunId>> {
    for state in [RunState::Running, RunState::Launching, RunState::Queued] {
        let sight = caller.sight();
        let filter = RunFilter { pipeline: Some(row.id), state: Some(state), sight, ..RunFilter::default() };
        if let Some(run) = app.store.run_list(row.org, &filter, 1).await?.first() {
            return Ok(Some(run.id));
        }
    }
    Ok(None)
}

async fn last_run(app: &App, caller: &Caller, row: &Row) -> ServiceResult<Option<LastRun>> {
    let kind = Some(RunKind::Sync);
    let filter = RunFilter { pipeline: Some(row.id), kind, sight: caller.sight(), ..RunFilter::default() };
    let run = app.store.run_list(row.org, &filter, 1).await?.into_iter().next();
    Ok(run.map(|run| LastRun {
        id: run.id,
        state: run.state.into(),
        failure: run.failure.map(super::run::show::failure),
        created_at: run.created_at.into(),
        ended_at: run.finished_at.map(Into::into),
    }))
}

fn show_version(row: VersionRow) -> PipelineVersion {
    PipelineVersion {
        version: row.version.unsigned_abs(),
        plan: serde_json::from_str(&row.plan).unwrap_or_default(),
        digest: row.digest,
        created_by: row.created_by.parse().ok(),
        created_at: row.created_at.into(),
    }
}

fn show_schedule(caller: &Caller, place: Place, row: ScheduleRow) -> Schedule {
    Schedule {
        id: row.id,
        pipeline_id: row.pipeline,
        zone: row.cron.is_some().then_some(row.zone),
        cron: row.cron,
        every_ms: row.every.map(|every| u64::try_from(every.as_millis()).unwrap_or(u64::MAX)),
        overlap: row.overlap,
        catch_up: row.catch_up,
        paused: !row.enabled,
        next_at: row.next_slot.filter(|_| row.enabled).map(Into::into),
        created_at: row.created_at.into(),
        allowed_actions: vec![
            may::<action::ScheduleSet>(caller, place, None),
            may::<action::ScheduleDelete>(caller, place, None),
        ],
    }
}
