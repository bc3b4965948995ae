//! Whether the rows of a stream are what it expects, and enough of them could be read: told once they are all there, before anything
//! of them can be committed.

use std::sync::Arc;

use waybill_model::errand::Errand;
use waybill_model::event::{Event, EventCode};
use waybill_model::plan::Load;
use waybill_model::size::{show_count, show_number};
use waybill_model::{FailureCode, plan::OnFailure};

use super::load::Loaded;
use super::place::Place;
use super::stream::StreamWork;
use crate::expect::{Brought, Expectations, Expected};
use crate::fault::Fault;
use crate::stop::End;

impl StreamWork<'_> {
    /// Tells how many rows were set aside, and fails where they are more than the stream allows of all that were read.
    pub(super) fn check_aside(&self, rows: u64, loaded: &Loaded) -> Result<(), End> {
        let (aside, written) = (loaded.meter.aside(), loaded.aside.iter().map(|file| file.rows).sum::<u64>());
        if aside != written {
            let text = format!("{aside} rows were to be set aside, but {written} were written");
            return Err(Fault::new(FailureCode::WorkerBug, text).into());
        }
        self.tell_aside(aside);
        let (share, read) = (self.plan.bad_rows_share, aside.saturating_add(rows));
        // The first rows that come are no measure of all.
        if share == 0 || self.limit().is_some() || u128::from(aside) * 100 <= u128::from(share) * u128::from(read) {
            return Ok(());
        }
        let place = loaded.aside.first().and_then(|file| file.key.rsplit_once('/')).map_or("", |(dir, _)| dir);
        let text = format!(
            "{} of {} could not be read, more than {share} % (`bad-rows-share`): they are in {place}/",
            show_number(aside),
            show_count(read, "row")
        );
        Err(Fault::new(FailureCode::TooManyBadRows, text).into())
    }

    pub(super) fn tell_aside(&self, rows: u64) {
        if rows > 0 {
            let event = Event::of_stream(EventCode::RowsQuarantined, self.index);
            self.shared.context.observer.event(Event { count: Some(rows), ..event });
        }
    }

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
