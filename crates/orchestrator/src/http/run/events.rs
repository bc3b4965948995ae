//! Events of a run: filtered, searched, as JSON or as text.

use axum::extract::State;
use axum::http::{HeaderMap, Method, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use waybill_api::ProblemCode;
use waybill_api::event::{RunEvent, RunEvents};
use waybill_model::OrgId;
use waybill_store::Run;

use crate::http::App;
use crate::http::action;
use crate::http::body::Query;
use crate::http::gate::Permit;
use crate::http::operation::{Operation, Operations};
use crate::http::reply::Reply;
use crate::http::sentence;
use crate::service::{Refused, ServiceResult};

/// Most events of one answer.
const MOST: usize = 1_000;
/// Events that are looked at in one go, and at most for one answer.
const CHUNK: i64 = 500;
const LOOKED_AT: u64 = 20_000;

pub(super) fn mount(all: &mut Operations) {
    let of = Operation::of::<action::RunEvents>(
        Method::GET,
        "/v1/runs/{run}/events",
        "Events of a run, oldest first; as text with Accept: text/plain. The full log is in the customer's bucket",
    );
    all.add(
        of.answers::<RunEvents>(200)
            .query("after", "Only with a higher number.")
            .query("limit", "Items per answer, 1 to 1000; 200 where absent.")
            .query("level", "Only this loud or louder: info, warn or error.")
            .query("find", "Only those whose sentence or code holds this text, in any case.")
            .codes(&[ProblemCode::ParameterInvalid]),
        get(list),
    );
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    after: u64,
    limit: Option<usize>,
    level: Option<String>,
    find: Option<String>,
}

async fn list(
    State(app): State<App>,
    permit: Permit<action::RunEvents>,
    Query(query): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let invalid = |name: &str, why: &str| Refused::field(ProblemCode::ParameterInvalid, name, why);
    let limit = query.limit.unwrap_or(200);
    if !(1..=MOST).contains(&limit) {
        return Err(invalid("limit", "limit is between 1 and 1000"));
    }
    let level = query
        .level
        .as_deref()
        .map_or(Some(0), loudness)
        .ok_or_else(|| invalid("level", "level is info, warn or error"))?;
    let find = query.find.map(|text| text.to_lowercase());
    let fits = |event: &RunEvent| {
        loudness(&event.level).is_some_and(|loud| loud >= level)
            && find.as_ref().is_none_or(|find| event.text.to_lowercase().contains(find) || event.code.contains(find))
    };
    let events = collect(&app, permit.caller.org, &permit.object, (query.after, limit), fits).await?;
    let plain = headers.get(header::ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"text/plain"));
    Ok(if plain { text(&events).into_response() } else { Reply::ok(events).into_response() })
}

async fn collect(
    app: &App,
    org: OrgId,
    run: &Run,
    (after, limit): (u64, usize),
    fits: impl Fn(&RunEvent) -> bool,
) -> ServiceResult<RunEvents> {
    let names = sentence::Names::of(app, org, run).await?;
    let (mut items, mut last, mut looked) = (Vec::new(), after, 0_u64);
    loop {
        let from = i64::try_from(last).unwrap_or(i64::MAX);
        let rows = app.store.run_event_list(org, run.id, from, CHUNK).await?;
        let whole = rows.len() < usize::try_from(CHUNK).unwrap_or(0);
        looked += rows.len() as u64;
        for row in rows {
            if items.len() == limit {
                return Ok(RunEvents { items, next_after: last, more: true, ended: run.state.is_final() });
            }
            last = row.seq.unsigned_abs();
            let event = sentence::event(row, &names);
            if fits(&event) {
                items.push(event);
            }
        }
        if whole || looked >= LOOKED_AT {
            return Ok(RunEvents { items, next_after: last, more: !whole, ended: run.state.is_final() });
        }
    }
}

fn loudness(level: &str) -> Option<u8> {
    ["info", "warn", "error"].iter().zip(0..).find(|(word, _)| **word == level).map(|(_, loud)| loud)
}

/// One line for each event.
fn text(events: &RunEvents) -> String {
    events.items.iter().map(|e| format!("{} {:5} {}\n", e.at, e.level.to_uppercase(), e.text)).collect()
}
