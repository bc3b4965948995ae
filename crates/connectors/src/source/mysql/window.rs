//! The half-open window [L, H) of a `new` stream, fixed before the data snapshot is taken.
//!
//! A row can be committed late with an early cursor; so the window's end stays before everything that may still be open.
//! Where that can't be known the window says so, and never guesses.

use std::time::Duration;

use chrono::{NaiveDateTime, TimeDelta};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use waybill_model::FailureCode;
use waybill_model::errand::Range;
use waybill_model::plan::{Condition, Cursor, Load, NullCursor, StreamPlan};
use waybill_pipeline::source::WindowNote;
use waybill_pipeline::{CursorState, Fault, FaultResult};

use super::catalog::{Column, Relation};
use super::kind::{Kind, Width, resolve};
use super::literal::{identifier, is_integer, text};
use super::others::Looks;
use super::select::{is_null, named};
use super::session::Hello;
use super::wire::Wire;
use crate::source::clock::earliest_local;
use crate::source::range::{self, Of};
use crate::source::{fell_back, without_cursor};

/// The lag where other sessions' transactions can't be seen.
const FIXED_LAG_MS: u64 = 300_000;
/// All digits, in the one form that sorts and reads back the same.
const FORM: &str = "%Y-%m-%d %H:%M:%S%.6f";
/// What lies before it is no time of any calendar, as the zero date.
const FIRST: &str = "0001-01-01 00:00:00";

/// What a run takes of a `new` stream. For `full` it is everything.
#[derive(Clone, Default)]
pub(super) struct Window {
    /// The condition on rows; none takes all.
    pub(super) rows: Option<String>,
    /// The condition on rows without a cursor (NULL, or the zero date), where there can be any.
    pub(super) nulls: Option<String>,
    /// The cursor to commit.
    pub(super) cursor: Option<CursorState>,
    pub(super) note: WindowNote,
    /// Nothing can be new.
    pub(super) is_empty: bool,
    /// There is a lower bound: the table is not read as a whole.
    pub(super) is_bounded: bool,
}

/// A cursor as it is kept: what it is, and its exact text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    #[serde(rename = "type")]
    form: Form,
    at: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form {
    /// TIMESTAMP, in UTC.
    Timestamp,
    /// DATETIME, in the zone that the spec names.
    Datetime,
    Integer,
}

impl Form {
    fn keep(self, at: &str) -> FaultResult<CursorState> {
        let kept = serde_json::to_string(&Kept { form: self, at: at.to_owned() });
        let text = kept.map_err(|_| Fault::new(FailureCode::WorkerBug, "a cursor can't be written"))?;
        Ok(CursorState::new(text))
    }

    /// Whether a text is what this form keeps.
    fn is_kept(self, at: &str) -> bool {
        match self {
            Self::Integer => at.parse::<i128>().is_ok(),
            Self::Timestamp | Self::Datetime => moment(at).is_some(),
        }
    }

    /// A bound as a literal. It holds digits and their separators only.
    fn literal(self, at: &str) -> String {
        if self == Self::Integer { at.to_owned() } else { format!("TIMESTAMP'{at}'") }
    }

    fn is_before(self, low: &str, high: &str) -> bool {
        match self {
            Self::Integer => low.parse::<i128>().ok() < high.parse::<i128>().ok(),
            Self::Timestamp | Self::Datetime => low < high,
        }
    }
}

fn moment(at: &str) -> Option<NaiveDateTime> {
    NaiveDateTime::parse_from_str(at, FORM).ok().filter(|moment| moment.format(FORM).to_string() == at)
}

/// A stream's cursor, checked against the table.
pub(super) struct Checked<'a> {
    cursor: &'a Cursor,
    column: Column,
    form: Form,
    zone: Tz,
}

/// Checks the cursor of a stream; none for `full`.
pub(super) fn check<'a>(stream: &'a StreamPlan, columns: &[Column]) -> FaultResult<Option<Checked<'a>>> {
    if stream.load == Load::Full {
        return Ok(None);
    }
    let Some(cursor) = &stream.cursor else {
        return Err(Fault::new(FailureCode::SpecRefused, format!("`load: {}` needs a `cursor`", stream.load)));
    };
    let column = named(columns, &cursor.column, "cursor")?.clone();
    let form = match resolve(&column).0 {
        Kind::Moment { is_utc: true, .. } => Form::Timestamp,
        Kind::Moment { is_utc: false, .. } if cursor.zone.is_none() => {
            let why = format!("{} is a DATETIME, which has no zone; name its zone with `cursor-zone`", cursor.column);
            return Err(Fault::new(FailureCode::CursorZoneUnknown, why));
        }
        Kind::Moment { is_utc: false, .. } => Form::Datetime,
        kind if is_integer(&kind) => Form::Integer,
        _ => {
            let text = format!("{} is {}, which is neither an integer nor a timestamp", cursor.column, column.shown);
            return Err(Fault::new(FailureCode::CursorUnusable, text));
        }
    };
    let zone = match (&cursor.zone, form) {
        (Some(zone), Form::Datetime) => {
            zone.parse().map_err(|_| Fault::new(FailureCode::CursorZoneUnknown, format!("there is no zone {zone}")))?
        }
        _ => Tz::UTC,
    };
    Ok(Some(Checked { cursor, column, form, zone }))
}

impl Checked<'_> {
    /// Fixes the window. Runs outside the data snapshot, which must be opened afterwards.
    pub(super) async fn fix(
        &self,
        wire: &mut Wire,
        relation: &Relation,
        after: Option<&CursorState>,
        (hello, patience): (&Hello, Duration),
    ) -> FaultResult<Window> {
        let low = after.map(|state| self.read(state)).transpose()?;
        // Read before anybody is looked for: what is higher than this comes later.
        let highest = if self.form == Form::Integer { self.highest(wire, relation).await? } else { None };
        let mut looks = Looks::begin(wire, hello, relation).await?;
        let mut note = WindowNote { fixed_lag: !looks.are_seen, ..WindowNote::default() };
        let high = match self.form {
            Form::Integer => {
                note.held = looks.are_seen && !looks.all_ended(patience).await?;
                highest
            }
            _ if !looks.are_seen => Some(self.end_of_time(&looks.now().await?, FIXED_LAG_MS)?),
            _ => {
                let oldest = looks.oldest().await?;
                note.held = oldest.is_none();
                oldest.map(|oldest| self.end_of_time(&oldest, 0)).transpose()?
            }
        };
        // Prepared transactions are looked at second: one that is prepared in between leaves the first list for the second.
        note.held |= looks.are_seen && looks.has_prepared().await?;
        let high = high.filter(|_| !note.held);
        let nulls = self.without();
        let unchanged =
            Window { nulls: nulls.clone(), cursor: after.cloned(), note, is_empty: true, is_bounded: true, rows: None };
        let Some(high) = high else { return Ok(unchanged) };
        if let Some(low) = &low
            && !self.form.is_before(low, &high)
        {
            let fell = self.form == Form::Integer && self.form.is_before(&high, low);
            if fell && !self.goes_on(wire, relation, low).await? {
                return Err(fell_back(&self.cursor.column));
            }
            return Ok(unchanged);
        }
        Ok(Window {
            rows: Some(self.condition(low.as_deref(), &high)),
            nulls,
            cursor: Some(self.form.keep(&high)?),
            note,
            is_empty: false,
            is_bounded: low.is_some(),
        })
    }

    /// The conditions on rows of a range.
    pub(super) fn range(&self, range: &Range) -> FaultResult<Vec<Condition>> {
        let of = match self.form {
            Form::Timestamp => Of::Instant,
            Form::Datetime => Of::Local,
            Form::Integer => number(&resolve(&self.column).0),
        };
        range::conditions(&self.cursor.column, of, range, range::written)
    }

    fn read(&self, state: &CursorState) -> FaultResult<String> {
        let kept: Kept = serde_json::from_str(state.reveal())
            .map_err(|_| Fault::new(FailureCode::CommitLogCorrupt, "the committed cursor can't be read"))?;
        if kept.form != self.form {
            let text = "the cursor column has another type than the committed cursor; run one `full` load";
            return Err(Fault::new(FailureCode::CursorUnusable, text));
        }
        if !kept.form.is_kept(&kept.at) {
            return Err(Fault::new(FailureCode::CommitLogCorrupt, "the committed cursor can't be read"));
        }
        Ok(kept.at)
    }

    /// Times are half-open, [L, H). Integers end at the highest that was there, (L, M].
    fn condition(&self, low: Option<&str>, high: &str) -> String {
        let column = identifier(&self.column.name);
        let (from, to) = if self.form == Form::Integer { (">", "<=") } else { (">=", "<") };
        let high = format!("{column} {to} {}", self.form.literal(high));
        match low {
            Some(low) => format!("{column} {from} {} AND {high}", self.form.literal(low)),
            None if self.form == Form::Integer => high,
            None => format!("{column} >= {} AND {high}", self.form.literal(FIRST)),
        }
    }

    /// The condition on rows that no window ever reaches: NULL, and dates that there are not.
    fn without(&self) -> Option<String> {
        let null = (!self.column.not_null).then(|| is_null(&self.column));
        if self.form == Form::Integer {
            return null;
        }
        let zero = format!("{} < {}", identifier(&self.column.name), self.form.literal(FIRST));
        Some(null.map_or_else(|| zero.clone(), |null| format!("{null} OR {zero}")))
    }

    /// A moment in UTC less the margin and more, as the column has it.
    fn end_of_time(&self, at: &str, more_ms: u64) -> FaultResult<String> {
        let unreadable = || Fault::new(FailureCode::SourceMalformed, "the server's clock can't be read");
        let lag = self.cursor.server_margin_ms().saturating_add(more_ms);
        let lag = TimeDelta::try_milliseconds(i64::try_from(lag).unwrap_or(i64::MAX)).unwrap_or(TimeDelta::MAX);
        let end = moment(at)
            .ok_or_else(unreadable)?
            .checked_sub_signed(lag)
            .ok_or_else(|| Fault::new(FailureCode::SpecRefused, "`cursor-margin` is longer than the calendar"))?;
        let end = if self.form == Form::Timestamp { end } else { earliest_local(end.and_utc(), self.zone) };
        Ok(end.format(FORM).to_string())
    }

    /// Whether the column counts by itself and was at this number or beyond: then the rows above were deleted, and the next
    /// ones come higher.
    async fn goes_on(&self, wire: &mut Wire, relation: &Relation, low: &str) -> FaultResult<bool> {
        let sql = format!(
            "SELECT t.AUTO_INCREMENT FROM information_schema.TABLES t JOIN information_schema.COLUMNS c \
               ON c.TABLE_SCHEMA = t.TABLE_SCHEMA AND c.TABLE_NAME = t.TABLE_NAME AND c.EXTRA LIKE '%auto_increment%' \
             WHERE t.TABLE_SCHEMA = {} AND t.TABLE_NAME = {} AND c.COLUMN_NAME = {}",
            text(&relation.schema),
            text(&relation.name),
            text(&self.column.name)
        );
        let rows = wire.ask(&sql).await?;
        let next = rows.first().map(|row| row.opt(0)).transpose()?.flatten();
        Ok(next.is_some_and(|next| self.form.is_before(low, &next)))
    }

    /// The highest integer that is there now.
    async fn highest(&self, wire: &mut Wire, relation: &Relation) -> FaultResult<Option<String>> {
        let sql = format!("SELECT MAX({}) FROM {}", identifier(&self.column.name), relation.sql());
        let high = wire.ask_one(&sql).await?.opt(0)?;
        if high.as_ref().is_some_and(|high| !Form::Integer.is_kept(high)) {
            return Err(Fault::new(FailureCode::SourceMalformed, "the highest cursor can't be read"));
        }
        Ok(high)
    }
}

/// What an integer kind's range may name.
const fn number(kind: &Kind) -> Of {
    let (width, is_signed) = match kind {
        Kind::Integer(width, is_signed) => (*width, *is_signed),
        _ => (Width::Eight, true),
    };
    let bits = match width {
        Width::One => 8,
        Width::Two => 16,
        Width::Three => 24,
        Width::Four => 32,
        Width::Eight => 64,
    };
    Of::Number { bits, is_signed }
}

impl Window {
    /// Applies the policy for rows without a cursor, now that they are counted.
    pub(super) fn settle_nulls(&mut self, policy: NullCursor, count: u64) -> FaultResult<()> {
        self.note.null_cursors = count;
        let Some(nulls) = self.nulls.clone().filter(|_| count > 0) else { return Ok(()) };
        match policy {
            NullCursor::Fail => {
                return Err(without_cursor(count, ": it is NULL or the zero date"));
            }
            NullCursor::Ignore => {}
            NullCursor::IncludeAlways => match self.rows.take() {
                Some(rows) => self.rows = Some(format!("({rows}) OR {nulls}")),
                // Without a cursor to commit there is no run to ride along with.
                None if self.is_empty && self.cursor.is_some() => {
                    self.rows = Some(nulls);
                    self.is_empty = false;
                }
                None => {}
            },
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_cursor_holds_nothing_but_its_value() {
        assert!(Form::Timestamp.is_kept("2026-01-31 10:00:00.123456"));
        assert!(Form::Integer.is_kept("18446744073709551615") && Form::Integer.is_kept("-5"));
        for bad in ["2026-01-31", "2026-01-31 10:00:00", "2026-01-31 10:00:00.1234567", "x' OR '1", ""] {
            assert!(!Form::Datetime.is_kept(bad), "{bad}");
        }
        assert!(!Form::Integer.is_kept("1 OR 1") && !Form::Integer.is_kept(""));
        assert!(Form::Integer.is_before("9", "10") && !Form::Integer.is_before("10", "9"));
    }
}
