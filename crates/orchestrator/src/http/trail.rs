//! The infrastructure trail: calls to customers' clouds, all of them or those of one run.

use axum::extract::State;
use axum::http::Method;
use axum::routing::get;
use serde::{Deserialize, Serialize};
use waybill_api::trail::TrailEntry;
use waybill_api::{Page, ProblemCode, Timestamp};
use waybill_model::DataPlaneId;
use waybill_model::Micros;
use waybill_model::id::TrailId;
use waybill_store::{TrailEntry as Row, TrailFilter};

use super::App;
use super::action::{self, Action};
use super::body::Query;
use super::gate::Permit;
use super::operation::{Operation, Operations};
use super::page::{Paging, Turn};
use super::reply::{Answer, Reply};
use crate::service::{ServiceResult, trail};

pub(super) fn mount(all: &mut Operations) {
    let summary = "Calls to customers' clouds, by the time of the last call of each entry, oldest first";
    all.add(
        Operation::of::<action::TrailList>(Method::GET, "/v1/trail", summary)
            .pages::<TrailEntry>()
            .query("data_plane", "Only of the data plane of this id.")
            .query(
                "since",
                "Only with a call at this time or later, which must be a time from which on the trail is kept.",
            )
            .query("until", "Only with a call before this time."),
        get(list),
    );
    let summary =
        "Calls to the customer's cloud for a run, oldest first; looks at tasks that serve all runs are not among them";
    all.add(
        Operation::of::<action::RunTrail>(Method::GET, "/v1/runs/{run}/trail", summary).pages::<TrailEntry>(),
        get(of_run),
    );
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    limit: Option<u32>,
    cursor: Option<String>,
    data_plane: Option<DataPlaneId>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

#[derive(Serialize)]
struct Filters {
    data_plane: Option<DataPlaneId>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

async fn list(
    State(app): State<App>,
    permit: Permit<action::TrailList>,
    Query(query): Query<Wanted>,
) -> Answer<Page<TrailEntry>> {
    let Wanted { limit, cursor, data_plane, since, until } = query;
    let filters = Filters { data_plane, since, until };
    let paging = Paging { limit, cursor, ..Paging::default() };
    let turn = app.pager.turn(&permit.caller, action::TrailList::ID, paging, &filters)?;
    let (since, until) = (since.map(|at| at.0), until.map(|at| at.0));
    let filter =
        TrailFilter { run: None, data_plane, since, until, sight: permit.caller.sight(), after: place(&turn)? };
    let rows = trail::list(&app, permit.caller.org, &filter, turn.fetch()).await?;
    Ok(Reply::ok(turn.page(rows, place_of, show)))
}

async fn of_run(
    State(app): State<App>,
    permit: Permit<action::RunTrail>,
    Query(paging): Query<Paging>,
) -> Answer<Page<TrailEntry>> {
    let run = permit.object.id;
    let turn = app.pager.turn(&permit.caller, action::RunTrail::ID, paging, &run)?;
    let filter = TrailFilter { run: Some(run), after: place(&turn)?, ..TrailFilter::default() };
    let rows = trail::list(&app, permit.caller.org, &filter, turn.fetch()).await?;
    Ok(Reply::ok(turn.page(rows, place_of, show)))
}

fn place_of(row: &Row) -> String {
    format!("{} {}", row.calls.last_at.0, row.id)
}

/// Where the page begins: when the last entry of the page before had its last call, and its id.
fn place(turn: &Turn<'_>) -> ServiceResult<Option<(Micros, TrailId)>> {
    let read = |text: &str| {
        let (at, id) = text.split_once(' ')?;
        Some((Micros(at.parse().ok()?), id.parse().ok()?))
    };
    let place = turn.after.as_deref().map(|text| read(text).ok_or(ProblemCode::PageTokenInvalid));
    Ok(place.transpose()?)
}

fn show(row: Row) -> TrailEntry {
    TrailEntry {
        id: row.id,
        data_plane_id: row.data_plane,
        run_id: row.run,
        attempt_id: row.attempt,
        action: row.action,
        role_arn: row.role,
        session: row.session,
        region: row.region,
        outcome: row.outcome,
        calls: row.calls.count,
        first_at: row.calls.first_at.into(),
        last_at: row.calls.last_at.into(),
        request_ids: row.calls.request_ids,
    }
}
