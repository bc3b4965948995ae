//! Runs, attempts, receipts and discoveries.

use axum::extract::State;
use axum::http::Method;
use axum::response::Response;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use waybill_api::run::{Attempt, Discovery, ReceiptDigest, Run, RunDetail, RunStart};
use waybill_api::{Page, ProblemCode};
use waybill_model::run::{RunKind, RunState};
use waybill_model::{ConnectionId, Micros, PipelineId, ProjectId, RunId};
use waybill_store::{RunFilter, RunOrder};

use super::App;
use super::action::{self, Action};
use super::body::{Query, Strict};
use super::conditions::{Conditions, Idempotency, tag_of};
use super::gate::Permit;
use super::operation::{Operation, Operations};
use super::page::{Count, Paging, Turn};
use super::reply::{Answer, Reply};
use crate::service::{Refused, ServiceResult, start};

mod events;
pub(super) mod show;

pub(super) fn mount(all: &mut Operations) {
    use ProblemCode as C;
    all.add(
        Operation::of::<action::RunList>(Method::GET, "/v1/runs", "Runs, newest first where no order is asked for")
            .pages::<Run>()
            .sorts("-created_at, created_at, -started_at or started_at; -created_at where absent.")
            .query("project", "Only of the project of this id.")
            .query("pipeline", "Only of the pipeline of this id.")
            .query("connection", "Only of the connection of this id.")
            .query("state", "Only in this state.")
            .query("kind", "Only of this kind."),
        get(list),
    );
    all.add(
        Operation::of::<action::RunStart>(
            Method::POST,
            "/v1/runs",
            "Start a run of a pipeline, or look at a connection",
        )
        .takes::<RunStart>()
        .answers::<RunDetail>(201)
        .creates()
        .codes(&[C::NotFound, C::Unusable, C::StateConflict]),
        post(begin),
    );
    let path = "/v1/runs/{run}";
    all.add(
        Operation::of::<action::RunGet>(Method::GET, path, "One run with its streams and attempts")
            .answers::<RunDetail>(200)
            .tagged(),
        get(one),
    );
    all.add(
        Operation::of::<action::RunCancel>(Method::POST, "/v1/runs/{run}/cancel", "Ask a run to stop")
            .answers::<RunDetail>(200)
            .codes(&[C::StateConflict]),
        post(cancel),
    );
    all.add(
        Operation::of::<action::RunRetry>(
            Method::POST,
            "/v1/runs/{run}/retry",
            "Start a new run with the streams that a final run did not deliver",
        )
        .answers::<RunDetail>(201)
        .creates()
        .codes(&[C::StateConflict]),
        post(retry),
    );
    events::mount(all);
    mount_results(all);
}

fn mount_results(all: &mut Operations) {
    all.add(
        Operation::of::<action::RunReceipt>(Method::GET, "/v1/runs/{run}/receipt", "Digests of a run's receipts")
            .answers::<ReceiptDigest>(200),
        get(receipt),
    );
    all.add(
        Operation::of::<action::RunDiscovery>(Method::GET, "/v1/runs/{run}/discovery", "What a discovery found")
            .answers::<Discovery>(200)
            .codes(&[ProblemCode::StateConflict]),
        get(discovery),
    );
    all.add(
        Operation::of::<action::AttemptGet>(Method::GET, "/v1/attempts/{attempt}", "One attempt")
            .answers::<Attempt>(200)
            .tagged(),
        get(attempt),
    );
}

/// Orders of runs, the first one where none is asked for.
const ORDERS: &[&str] = &["-created_at", "created_at", "-started_at", "started_at"];

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    limit: Option<u32>,
    cursor: Option<String>,
    sort: Option<String>,
    count: Option<Count>,
    project: Option<ProjectId>,
    pipeline: Option<PipelineId>,
    connection: Option<ConnectionId>,
    state: Option<RunState>,
    kind: Option<RunKind>,
}

#[derive(Serialize)]
struct Filters {
    project: Option<ProjectId>,
    pipeline: Option<PipelineId>,
    connection: Option<ConnectionId>,
    state: Option<RunState>,
    kind: Option<RunKind>,
}

async fn list(
    State(app): State<App>,
    permit: Permit<action::RunList>,
    Query(query): Query<Wanted>,
) -> Answer<Page<Run>> {
    let org = permit.caller.org;
    let Wanted { limit, cursor, sort, count, project, pipeline, connection, state, kind } = query;
    let filters = Filters { project, pipeline, connection, state, kind };
    let paging = Paging { limit, cursor, sort, count };
    let turn = app.pager.sorted(&permit.caller, (action::RunList::ID, ORDERS), paging, &filters)?;
    let (order, after) = (order(&turn), place(&turn)?);
    let sight = permit.caller.sight();
    let filter = RunFilter { project, pipeline, connection, state, kind, sight, order, after };
    let rows = app.runs.list(org, &filter, turn.fetch()).await?;
    let count = turn.count(async |most| app.store.run_count(org, &filter, most).await).await?;
    let page = turn.page(rows, |row| format!("{} {}", row.began().0, row.id), |row| row);
    let mut items = Vec::with_capacity(page.items.len());
    for row in page.items {
        let streams = app.store.run_stream_list(row.org, row.id).await?;
        items.push(show::run(&permit.caller, &row, &streams));
    }
    Ok(Reply::ok(Page { items, next_cursor: page.next_cursor, count }))
}

fn order(turn: &Turn<'_>) -> RunOrder {
    match turn.sort() {
        "created_at" => RunOrder::Oldest,
        "-started_at" => RunOrder::LastStarted,
        "started_at" => RunOrder::FirstStarted,
        _ => RunOrder::Newest,
    }
}

/// Where the page begins: when the last run of the page before began, and its id.
fn place(turn: &Turn<'_>) -> ServiceResult<Option<(Micros, RunId)>> {
    let read = |text: &str| {
        let (began, id) = text.split_once(' ')?;
        Some((Micros(began.parse().ok()?), id.parse().ok()?))
    };
    let place = turn.after.as_deref().map(|text| read(text).ok_or(ProblemCode::PageTokenInvalid));
    Ok(place.transpose()?)
}

async fn begin(
    State(app): State<App>,
    permit: Permit<action::RunStart>,
    idempotency: Idempotency,
    body: Strict<RunStart>,
) -> Answer<RunDetail> {
    let key = idempotency.once(&permit.caller, action::RunStart::ID, &body.bytes);
    let detail = start::start(&app, &permit.caller, &body.value, key.as_ref()).await?;
    Ok(Reply::created(show::detail(&permit.caller, &detail)))
}

async fn one(
    State(app): State<App>,
    permit: Permit<action::RunGet>,
    conditions: Conditions,
) -> Result<Response, Refused> {
    let detail = show::detail(&permit.caller, &app.runs.detail(permit.caller.org, permit.object.id).await?);
    let tag = tag_of(&detail);
    Ok(conditions.answer(detail, tag))
}

async fn cancel(State(app): State<App>, permit: Permit<action::RunCancel>) -> Answer<RunDetail> {
    let detail = start::cancel(&app, &permit.caller, permit.object.id).await?;
    Ok(Reply::ok(show::detail(&permit.caller, &detail)))
}

async fn retry(
    State(app): State<App>,
    permit: Permit<action::RunRetry>,
    idempotency: Idempotency,
) -> Answer<RunDetail> {
    let key = idempotency.once(&permit.caller, action::RunRetry::ID, &[]);
    let detail = start::retry(&app, &permit.caller, &permit.object, key.as_ref()).await?;
    Ok(Reply::created(show::detail(&permit.caller, &detail)))
}

async fn receipt(State(app): State<App>, permit: Permit<action::RunReceipt>) -> Answer<ReceiptDigest> {
    let streams = app.store.run_stream_list(permit.caller.org, permit.object.id).await?;
    Ok(Reply::ok(show::receipt(permit.object.id, &streams)))
}

async fn discovery(permit: Permit<action::RunDiscovery>) -> Answer<Discovery> {
    let run = permit.object;
    let Some(tables) = &run.tables else {
        let detail = match (run.kind, run.state.is_final()) {
            (RunKind::Discover, false) => "the discovery has not ended",
            (RunKind::Discover, true) => "the discovery found nothing",
            _ => "the run is not a discovery",
        };
        return Err(Refused::new(ProblemCode::StateConflict, detail));
    };
    show::discovery(tables, run.withheld).map(Reply::ok)
}

async fn attempt(permit: Permit<action::AttemptGet>, conditions: Conditions) -> Response {
    let attempt = show::attempt(&permit.object);
    let tag = tag_of(&attempt);
    conditions.answer(attempt, tag)
}
