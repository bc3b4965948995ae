//! What the command line asks to be done with single streams in place of their next window.
//!
//! It refuses what the plan alone shows to be impossible, before anything is opened.

use std::collections::BTreeMap;

use waybill_model::errand::{Errand, Range};
use waybill_model::plan::Plan;

use crate::cli::OnceArguments;

/// Each stream's errand, by its place in the plan; or why there can't be one.
pub(super) fn of(arguments: &OnceArguments, plan: &Plan) -> Result<BTreeMap<u32, Errand>, String> {
    let mut asked: Vec<(&String, Errand)> = Vec::new();
    asked.extend(arguments.reload.iter().map(|name| (name, Errand::Reload)));
    asked.extend(arguments.forget_cursor.iter().map(|name| (name, Errand::ForgetCursor)));
    if let Some(name) = &arguments.backfill {
        let range = Range::new(arguments.from.as_deref(), arguments.to.as_deref());
        asked.push((name, Errand::Backfill(range.map_err(|error| format!("--backfill {name}: {error}"))?)));
    }
    let mut errands = BTreeMap::new();
    for (name, errand) in asked {
        let found = (0_u32..).zip(&plan.streams).find(|(_, stream)| stream.name == *name);
        let (at, stream) = found.ok_or_else(|| format!("the pipeline {} has no stream {name}", plan.pipeline))?;
        if let Some(why) = errand.refused(stream) {
            return Err(format!("{name}: {why}"));
        }
        if errands.insert(at, errand.clone()).is_some_and(|other| other != errand) {
            return Err(format!("{name} is named twice: one run reloads it, forgets its cursor or reads one range"));
        }
    }
    Ok(errands)
}
