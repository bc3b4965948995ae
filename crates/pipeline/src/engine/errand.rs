//! Where a stream's reading begins and what it takes: the table's cursor, or what somebody asked for in its place.
//!
//! It settles this before a row is read, and which cursor stands behind the rows. It reads nothing itself.

use std::borrow::Cow;

use waybill_model::FailureCode;
use waybill_model::errand::Errand;
use waybill_model::plan::{Deletes, Load, StreamPlan};

use super::place::Place;
use super::stream::StreamWork;
use crate::commit::{Origin, State};
use crate::fault::{Fault, FaultResult};
use crate::source::{CursorState, WindowNote};
use crate::stop::End;

impl StreamWork<'_> {
    /// What somebody asked for in place of the next window.
    pub(super) fn errand(&self) -> Option<&Errand> {
        self.shared.context.errands.get(&self.index)
    }

    /// Whether somebody asked for the whole stream anew, whatever the table's cursor says.
    pub(super) fn is_reloaded(&self) -> bool {
        self.errand() == Some(&Errand::Reload)
    }

    /// Whether the first rows are tried out.
    pub(super) fn limit(&self) -> Option<u64> {
        match self.errand() {
            Some(Errand::Limit(rows)) => Some(*rows),
            _ => None,
        }
    }

    /// Whether what is read takes the place of all that the table has, whatever the load.
    pub(super) fn is_replace(&self) -> bool {
        self.is_reloaded() || self.limit().is_some()
    }

    /// Whether only a range is read, which no window's end and no sweep has a say in.
    pub(super) fn is_backfill(&self) -> bool {
        matches!(self.errand(), Some(Errand::Backfill(_)))
    }

    /// Refuses what can't be done with the stream, or with the table as it stands.
    pub(super) fn check_errand(&self, table: &Place) -> FaultResult<()> {
        let refused = |text: String| Err(Fault::new(FailureCode::RequestUnusable, text));
        if let Some(why) = self.errand().and_then(|errand| errand.refused(self.plan)) {
            return refused(why);
        }
        let is_merged = table.state().is_some_and(|state| state.cursor.is_some() && !state.key.is_empty());
        if self.is_backfill() && !is_merged {
            let text = "no window of `load: changed` has been read into the table yet, so there is nothing behind its cursor \
                        to read once more: run the stream first";
            return refused(text.to_owned());
        }
        if self.limit().is_some() {
            return self.check_limited(table);
        }
        Ok(())
    }

    /// A few rows never stand in the place of all of them.
    fn check_limited(&self, table: &Place) -> FaultResult<()> {
        let is_try = |state: &State| state.is_limited() || (state.table_rows == Some(0) && state.cursor.is_none());
        let why = if self.plan.take_over {
            "`take-over: true` would put a few rows in the place of a table of somebody else: take it out for the try"
        } else if table.standing().is_some_and(|state| !is_try(state)) {
            "the table holds what whole runs have brought, and a few rows would take their place: look at rows with a preview, or \
             try the pipeline out with another destination"
        } else {
            return Ok(());
        };
        Err(Fault::new(FailureCode::RequestUnusable, why))
    }

    /// Where the source's window begins. What another column's values say about the last one read says nothing about this
    /// column's; and what a `full` load left has no last one: it comes anew, in its place, or it would be there twice. So does
    /// what a `new` load left, before rows are merged into it: it may hold several rows of one key.
    pub(super) fn start_from(&mut self, table: &Place) -> FaultResult<Option<CursorState>> {
        if self.is_replace() {
            self.load = Load::Full;
            return Ok(None);
        }
        let Some(state) = table.state().filter(|_| self.plan.load.has_window()) else { return Ok(None) };
        let is_whole = state.load == Load::Full && state.cursor.is_none();
        if is_whole || (self.plan.load == Load::Changed && state.key.is_empty()) {
            self.load = Load::Full;
            return Ok(None);
        }
        if self.errand() == Some(&Errand::ForgetCursor) {
            // Every row is looked at, so that neither another cursor nor another filter leaves one out; another source would
            // leave those of the old one beside its own.
            return self.check_place(state).map(|()| None);
        }
        let wanted = self.plan.cursor.as_ref().map(|cursor| cursor.column.as_str());
        match (&state.cursor_column, wanted) {
            (Some(kept), Some(wanted)) if kept != wanted => {
                let text = format!("the table's cursor is that of {kept}, and the stream now names {wanted}");
                Err(Fault::new(FailureCode::CursorChanged, text))
            }
            _ => {
                self.check_origin(state)?;
                Ok(if self.is_backfill() { None } else { state.cursor.clone() })
            }
        }
    }

    /// Rows of another place, or that another filter left out, may stand below the cursor: a window would never take them.
    fn check_origin(&self, state: &State) -> FaultResult<()> {
        self.check_place(state)?;
        let Some(what) = self.compared(state, Origin::differs) else { return Ok(()) };
        let text = format!(
            "{what} is another than when the table's cursor was set: rows below it were never looked at; `--forget-cursor` \
             looks at all of them once and merges them by key, where the stream's load is `changed`"
        );
        Err(Fault::new(FailureCode::CursorChanged, text))
    }

    /// Rows of another place would be merged into those of the old one, or stand beside them.
    fn check_place(&self, state: &State) -> FaultResult<()> {
        let Some(what) = self.compared(state, Origin::moved) else { return Ok(()) };
        let text = format!(
            "{what} is another than when the table's cursor was set: rows below it were never looked at, and would come among \
             those of the old one; reload the stream, or write `take-over: true` where it is the same under another name"
        );
        Err(Fault::new(FailureCode::CursorChanged, text))
    }

    /// What is another now than when the table's cursor was set, where nobody says that it is the same.
    fn compared(&self, state: &State, by: fn(&Origin, &Origin) -> Option<&'static str>) -> Option<&'static str> {
        let now = Origin::of(&self.shared.plan.from.system, self.plan);
        state.origin.as_ref().filter(|_| !self.plan.take_over).and_then(|then| by(&now, then))
    }

    /// What is read: the stream as the plan has it, or of a backfill the rows of its range. Which rows the source has no more a
    /// range does not tell, and neither do the first rows, which nobody counts at the source.
    pub(super) async fn reading(&self) -> Result<Cow<'_, StreamPlan>, End> {
        if self.limit().is_some() {
            let tried = StreamPlan { verify_count: false, deletes: Deletes::Keep, ..self.plan.clone() };
            return Ok(Cow::Owned(tried));
        }
        let Some(Errand::Backfill(range)) = self.errand() else { return Ok(Cow::Borrowed(self.plan)) };
        let context = &self.shared.context;
        let conditions = context.stop.or_halt(context.source.range(self.plan, range)).await??;
        let filter = self.plan.filter.iter().cloned().chain(conditions).collect();
        Ok(Cow::Owned(StreamPlan { filter, deletes: Deletes::Keep, ..self.plan.clone() }))
    }

    /// The cursor that stands behind these rows: a range leaves the table's own, and behind the first rows there is none, so that the
    /// next run begins anew.
    pub(super) fn cursor_behind(&self, read: Option<CursorState>, table: &Place) -> Option<CursorState> {
        if self.limit().is_some() {
            None
        } else if self.is_backfill() {
            table.state().and_then(|state| state.cursor.clone())
        } else {
            read
        }
    }

    /// How much of the table's rows a replace must keep: a try takes nobody's place, and nobody is held to one.
    pub(super) fn shrink_guard(&self, table: &Place) -> u8 {
        let was_try = table.state().is_some_and(State::is_limited);
        if was_try || self.limit().is_some() { 0 } else { self.plan.shrink_guard }
    }

    /// A window that is held has no end that is known, so nothing is read of it: a reload would put that in the place of all rows,
    /// and what was asked for would seem to be done. One that ends early, before a transaction that is open, is no such window:
    /// what lies behind its end comes with the next.
    pub(super) fn check_held(&self, note: WindowNote) -> FaultResult<()> {
        if !note.held || self.errand().is_none() {
            return Ok(());
        }
        let lost = if self.is_reloaded() { ", since a reload would empty the table" } else { "" };
        let text = format!(
            "the end of the window is not known, so nothing is read of it{lost}: a transaction of the source is prepared, or open \
             for too long, or a replica does not tell how far it has come; commit or roll it back (pg_prepared_xacts, \
             pg_stat_activity, XA RECOVER), or where it is another stream of this run that writes there let that end first \
             (`limits.parallel: 1`), then ask again"
        );
        Err(Fault::new(FailureCode::SourceIncomplete, text))
    }
}
