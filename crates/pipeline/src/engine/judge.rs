//! Whether the rows of a stream are what it expects: told once they are all there, before anything of them can be committed.

use std::sync::Arc;

use waybill_model::errand::Errand;
use waybill_model::event::{Event, EventCode};
use waybill_model::plan::Load;
use waybill_model::{FailureCode, plan::OnFailure};

use super::place::Place;
use super::stream::StreamWork;
use crate::expect::{Brought, Expectations, Expected};
use crate::fault::Fault;
use crate::stop::End;

impl StreamWork<'_> {
    /// Tells every expectation that does not hold, and fails by those that say so.
    pub(super) async fn judge(&mut self, table: &Place, expected: &Arc<Expectations>, rows: u64) -> Result<(), End> {
        if self.plan.expect.is_empty() {
            return Ok(());
        }
        let (expected, before) = (Arc::clone(expected), self.rows_before(table));
        // Asked for by somebody, for the first time, or since what is there came by another load: no window.
        let is_first = self.load == Load::Full || table.state().is_none();
        let is_whole = self.plan.load.has_window() && (is_first || self.errand().is_some());
        let brought = match is_whole {
            _ if self.is_backfill() || self.limit().is_some() => Brought::Range,
            true => Brought::Whole,
            false => Brought::Asked,
        };
        let told = tokio::task::spawn_blocking(move || expected.told(rows, before, brought)).await;
        self.expected = told.map_err(|_| Fault::new(FailureCode::WorkerBug, "an expectation panicked"))?;
        for one in self.expected.iter().filter(|one| !one.holds) {
            let code = match one.expectation.on_failure {
                OnFailure::Fail => EventCode::ExpectationFailed,
                OnFailure::Warn => EventCode::ExpectationWarned,
            };
            let event = Event::of_stream(code, self.index);
            self.shared.context.observer.event(Event { rows: Some(one.rows), count: Some(one.number), ..event });
        }
        let failing: Vec<String> = self.expected.iter().filter(|one| one.fails()).map(Expected::told).collect();
        if failing.is_empty() {
            return Ok(());
        }
        Err(Fault::new(FailureCode::ExpectationFailed, failing.join("; ")).into())
    }

    /// Rows that this run's number is compared with: of the table where they take its place, of the last window otherwise. None
    /// where no such commit came before, and of what was asked for in place of a window, be it now or then.
    fn rows_before(&self, table: &Place) -> Option<u64> {
        let state = table.state().filter(|state| !state.is_limited())?;
        let is_window = |errand: Option<&Errand>| errand.is_none_or(|errand| *errand == Errand::Reload);
        if self.load != Load::Full && !(is_window(self.errand()) && is_window(state.errand.as_ref())) {
            return None;
        }
        match (self.load, state.load) {
            (Load::Full, Load::Full) => Some(state.rows),
            (Load::Full, _) => state.table_rows,
            (now, then) => (now == then).then_some(state.rows),
        }
    }
}
