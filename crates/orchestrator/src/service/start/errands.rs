//! What a request asks to be done with single streams in place of their next window, held against the plan before a run begins.
//!
//! It looks at words and loads only: which type a cursor has the worker alone can see, and refuses what does not fit it.

use std::collections::BTreeMap;

use waybill_api::ProblemCode;
use waybill_api::run::{Backfill, RunStart};
use waybill_model::errand::{Errand, Range};
use waybill_model::plan::Plan;

use crate::service::{Refused, ServiceResult};

/// The first field that asks for something; none where none does.
pub(super) fn field(body: &RunStart) -> Option<&'static str> {
    let asked = [
        (!body.reload.is_empty(), "/reload"),
        (!body.forget_cursor.is_empty(), "/forget_cursor"),
        (!body.backfill.is_empty(), "/backfill"),
        (body.limit.is_some(), "/limit"),
    ];
    asked.into_iter().find_map(|(is_asked, field)| is_asked.then_some(field))
}

/// Each stream's errand, by its place in the plan.
pub(super) fn of(plan: &Plan, streams: &[u32], body: &RunStart) -> ServiceResult<BTreeMap<u32, Errand>> {
    if let Some(rows) = body.limit {
        return limited(plan, streams, (rows, body));
    }
    let mut asked = Vec::new();
    asked.extend(body.reload.iter().map(|name| ("/reload", name, Errand::Reload)));
    asked.extend(body.forget_cursor.iter().map(|name| ("/forget_cursor", name, Errand::ForgetCursor)));
    for one in &body.backfill {
        asked.push(("/backfill", &one.stream, Errand::Backfill(range(one)?)));
    }
    let mut errands = BTreeMap::new();
    for (field, name, errand) in asked {
        let place = place(plan, field, name)?;
        let stream = plan.streams.get(usize::try_from(place).unwrap_or(usize::MAX));
        if let Some(why) = stream.and_then(|stream| errand.refused(stream)) {
            return Err(Refused::field(ProblemCode::Unusable, field, format!("{name}: {why}")));
        }
        if errands.insert(place, errand.clone()).is_some_and(|other| other != errand) {
            let why = format!("{name} is named twice: one run reloads it, forgets its cursor or reads one range");
            return Err(Refused::field(ProblemCode::Unusable, field, why));
        }
    }
    Ok(errands)
}

/// The same for each stream that runs, and nothing besides.
fn limited(plan: &Plan, streams: &[u32], (rows, body): (u64, &RunStart)) -> ServiceResult<BTreeMap<u32, Errand>> {
    let refused = |why: &str| Err(Refused::field(ProblemCode::Unusable, "/limit", why));
    if rows == 0 {
        return refused("at least one row of each stream");
    }
    if field(body) != Some("/limit") {
        return refused("a run with a limit tries tables out: it reloads nothing and reads nothing once more");
    }
    let all = 0..u32::try_from(plan.streams.len()).unwrap_or(u32::MAX);
    let chosen = all.filter(|at| streams.is_empty() || streams.contains(at));
    Ok(chosen.map(|at| (at, Errand::Limit(rows))).collect())
}

fn range(asked: &Backfill) -> ServiceResult<Range> {
    let refused = |error| Refused::field(ProblemCode::Unusable, "/backfill", format!("{}: {error}", asked.stream));
    Range::new(asked.from.as_deref(), asked.to.as_deref()).map_err(refused)
}

/// The place of a named stream in its plan.
pub(super) fn place(plan: &Plan, field: &'static str, name: &str) -> ServiceResult<u32> {
    let found = (0_u32..).zip(&plan.streams).find(|(_, stream)| stream.name == name);
    found.map(|(place, _)| place).ok_or_else(|| {
        let known = plan.streams.iter().map(|stream| stream.name.as_str()).collect::<Vec<_>>().join(", ");
        Refused::field(ProblemCode::Unusable, field, format!("not a stream of the pipeline; there are: {known}"))
    })
}
