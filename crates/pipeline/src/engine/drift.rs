//! What becomes of columns that are not as the table has them, decided before a row is read.
//!
//! The plan decides; nothing is guessed. What no decision covers ends the stream, and everything stays as it was.

use std::collections::BTreeSet;

use waybill_model::event::{Event, EventCode};
use waybill_model::plan::{BadRows, Files, Load, NewColumns, StreamPlan};
use waybill_model::{Epoch, FailureCode};

use super::narrowed::narrowed;
use super::place::Place;
use super::stream::StreamWork;
use crate::commit::Drift;
use crate::encode::{Way, partition};
use crate::fault::{Fault, FaultResult};
use crate::source::Snapshot;
use crate::stop::End;

impl StreamWork<'_> {
    /// The snapshot without the columns that are to be ignored, and what becomes of the others.
    pub(super) fn decide(
        &mut self,
        snapshot: Box<dyn Snapshot>,
        place: &Place,
    ) -> FaultResult<(Box<dyn Snapshot>, Drift)> {
        let Some(mut drift) = place.drift(self.load, &snapshot.schema())? else {
            return Ok((snapshot, Drift::default()));
        };
        let named = named(self.plan, &self.shared.plan.files, snapshot.key());
        let (asked_for, open): (Vec<String>, Vec<String>) =
            std::mem::take(&mut drift.new).into_iter().partition(|name| named.contains(name));
        match self.new_columns() {
            NewColumns::Ignore => (drift.new, drift.ignored) = (asked_for, open.clone()),
            NewColumns::Ask | NewColumns::Add => drift.new = [asked_for, open.clone()].concat(),
        }
        let is_undecided = self.new_columns() == NewColumns::Ask && !open.is_empty();
        if is_undecided {
            // Those that were decided stand in nobody's way.
            drift.new = open;
        }
        self.drift = drift.counts();
        let is_other = self.load.has_window() && !(drift.gone.is_empty() && drift.changed.is_empty());
        if is_undecided || is_other {
            return Err(self.refused(&drift, is_other));
        }
        if self.plan.bad_rows == BadRows::Quarantine && !drift.ignored.is_empty() {
            let text = "`bad-rows: quarantine` keeps whole rows, so no column of theirs can be left out";
            return Err(Fault::new(FailureCode::SpecRefused, text));
        }
        self.tell(&drift);
        let snapshot = narrowed(snapshot, &drift.ignored)?;
        Ok((snapshot, drift))
    }

    /// What the lanes write by. Which types a database has for these columns is known only now, and still before a row is read.
    pub(super) async fn begin(
        &mut self,
        (snapshot, epoch): (&dyn Snapshot, Epoch),
        place: &Place,
        drift: &mut Drift,
    ) -> Result<Way, End> {
        let way = place.way(self, (snapshot, epoch)).await?;
        let retyped = match &way {
            Way::Rows(target) => target.sink.retyped(),
            Way::Files(_) => Vec::new(),
        };
        let has_window = self.load.has_window();
        // A table that is replaced whatever it is has nothing to compare with.
        if retyped.is_empty() || !(has_window || place.state().is_some()) {
            return Ok(way);
        }
        drift.changed.extend(retyped);
        self.drift = drift.counts();
        if has_window { Err(self.refused(drift, true).into()) } else { Ok(way) }
    }

    /// What the plan says, or else the load: rows that are to stand beside others have their columns, and a replace has the
    /// source's.
    fn new_columns(&self) -> NewColumns {
        let by_load = if self.load == Load::Full { NewColumns::Add } else { NewColumns::Ask };
        self.plan.new_columns.unwrap_or(by_load)
    }

    /// The names go into the customer's log only.
    fn refused(&self, drift: &Drift, is_other: bool) -> Fault {
        let counts = drift.counts();
        let differ = counts.new + counts.gone + counts.changed;
        let event = Event::of_stream(EventCode::ColumnsDiffer, self.index);
        self.shared.context.observer.event(Event { count: Some(differ), ..event });
        let code = if is_other { FailureCode::SchemaChanged } else { FailureCode::ColumnsUndecided };
        Fault::new(code, drift.text())
    }

    fn tell(&self, drift: &Drift) {
        let stream = &self.plan.name;
        for column in &drift.new {
            tracing::info!(stream, column, "a column that the table has not comes into it with the first rows");
        }
        for column in &drift.ignored {
            tracing::info!(stream, column, "a column that the table has not is left out");
        }
    }
}

/// Columns, under the table's names, that somebody has named: they are wanted, whatever becomes of others.
fn named(plan: &StreamPlan, files: &Files, key: Vec<String>) -> BTreeSet<String> {
    let columns = &plan.columns;
    let in_table = |name: &String| columns.rename.get(name).unwrap_or(name).clone();
    let cursor = plan.cursor.iter().map(|cursor| &cursor.column);
    let by_source = columns.select.iter().chain(columns.rename.keys()).chain(columns.cast.keys()).chain(cursor);
    let expected = plan.expect.iter().flat_map(|one| one.check.columns()).map(str::to_owned);
    let summed = plan.checksums.named().iter().cloned();
    let by_source = by_source.cloned().chain(expected).chain(summed).map(|name| in_table(&name));
    by_source.chain(partition::columns(files)).chain(key).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whatever_the_plan_names_is_wanted() {
        let plan = json!({
            "name": "t", "load": "new", "cursor": { "column": "seen" },
            "checksums": { "of": ["e", "s"] },
            "columns": { "select": ["a"], "rename": { "b": "bee", "e": "ee" }, "cast": { "c": "text" } },
            "expect": [
                { "check": { "not-null": ["d", "e"] } }, { "check": { "range": { "column": "f", "min": "1" } } },
                { "check": { "unique": ["g"] }, "on-failure": "warn" }, { "check": { "rows": { "min": 1 } } },
            ],
        });
        let plan: StreamPlan = serde_json::from_value(plan).expect("a plan");
        let files = Files { partition_by: vec!["h".to_owned()], ..Files::default() };
        let named = named(&plan, &files, vec!["k".to_owned()]);
        assert_eq!(
            named.iter().map(String::as_str).collect::<Vec<_>>(),
            ["a", "bee", "c", "d", "ee", "f", "g", "h", "k", "s", "seen"]
        );
    }
}
