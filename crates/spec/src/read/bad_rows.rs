//! Whether a stream may set rows aside: only one that leaves nothing of them out, into a bucket.

use waybill_model::plan::{NewColumns, StreamPlan, System};

use super::Settings;
use super::stream::of;
use crate::diagnostic::{Code, Findings};
use crate::tree::{Entry, Node};

pub(super) fn check_bad_rows(
    entry: &Entry,
    plan: &StreamPlan,
    (to, defaults): (Option<&System>, Option<&Node>),
    found: &mut Findings,
) {
    let keys = Settings { own: &entry.value, fallback: defaults };
    if plan.bad_rows.is_fail() {
        if let Some(at) = keys.own_place("bad-rows-share") {
            let message = format!("`bad-rows-share` of {} has no meaning without `bad-rows: quarantine`", of(entry));
            found.suggest(Code::BadRows, at, message, "remove it, or write `bad-rows: quarantine`");
        }
        return;
    }
    let at = keys.own_place("bad-rows").unwrap_or(entry.at);
    if to.is_some_and(System::is_database) {
        let message = format!("`bad-rows: quarantine` into a database is not built yet ({})", of(entry));
        found.suggest(Code::NotBuiltYet, at, message, "write `bad-rows: fail`, or write into a bucket");
    }
    if let Some(what) = left_out(plan) {
        let message =
            format!("`bad-rows: quarantine` of {} keeps whole rows, and `{what}` leaves out of them", of(entry));
        let hint =
            format!("remove `{what}`, or write `bad-rows: fail`: what is left out must stand nowhere in the bucket");
        found.suggest(Code::BadRows, at, message, hint);
    }
}

/// The setting by which something of a row does not come into the table as it stands at the source.
fn left_out(plan: &StreamPlan) -> Option<&'static str> {
    let settings = [
        ("columns.select", !plan.columns.select.is_empty()),
        ("columns.drop", !plan.columns.drop.is_empty()),
        ("columns.cast", !plan.columns.cast.is_empty()),
        ("filter", !plan.filter.is_empty()),
        ("new-columns: ignore", plan.new_columns == Some(NewColumns::Ignore)),
    ];
    settings.into_iter().find_map(|(name, leaves_out)| leaves_out.then_some(name))
}
