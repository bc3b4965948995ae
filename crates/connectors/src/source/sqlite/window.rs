//! The window of a `new` stream: which cursor values come with this run.
//!
//! Integers: above the last one and up to the largest in the snapshot; SQLite has one writer, so no lower one can appear
//! later unless the application makes it. Times: from the last bound up to now less a margin, compared as text, which is
//! why all values must be written alike (`written`). Holds values of rows, so it is never printed.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use rusqlite::Connection;
use rusqlite::types::Value;
use waybill_model::errand::Range;
use waybill_model::name::quoted;
use waybill_model::plan::{Condition, Cursor, Load, NullCursor, StreamPlan};
use waybill_model::size::show_count;
use waybill_model::{FailureCode, Micros};
use waybill_pipeline::{CursorState, Fault, FaultResult};

use super::connect::fault;
use super::declared::Kind;
use super::describe::Shape;

use super::written::{Times, Written};
use crate::source::range::{self, Of};
use crate::source::{fell_back, without_cursor};

/// The least that a window's end stays behind now.
const LEAST_MARGIN_MS: u64 = 1_000;
/// What a value is that no window of times can take.
const TIMES: &str = "not written as YYYY-MM-DD, alone or with a space or a T and HH:MM, seconds, a fraction and an offset: \
    other ways of writing do not sort as times do";
/// What all values of a column must have in common.
const ALIKE: &str = "all need dates alone, minutes or seconds, the same separator and the same offset or none";

/// A planned window.
pub(super) struct Window {
    column: String,
    bounds: Bounds,
    nulls: NullCursor,
    pub(super) null_cursors: u64,
}

enum Bounds {
    /// `(low, high]`.
    Integers { low: Option<i64>, high: Option<i64> },
    /// `[low, high)`, and how both are written.
    Times { low: Option<String>, high: Option<String>, written: Option<Written> },
}

impl Window {
    /// Plans the window of a `new` stream; none for `full`.
    pub(super) fn of(
        connection: &Connection,
        stream: &StreamPlan,
        shape: &Shape,
        after: Option<&CursorState>,
    ) -> FaultResult<Option<Self>> {
        if stream.load == Load::Full {
            return Ok(None);
        }
        let Some(cursor) = &stream.cursor else {
            return Err(Fault::new(FailureCode::SpecRefused, format!("`load: {}` needs a `cursor`", stream.load)));
        };
        let Some(column) = shape.column(&cursor.column) else {
            let text = format!("the cursor {} is not a column of the table", cursor.column);
            return Err(Fault::new(FailureCode::ColumnNotFound, text));
        };
        let window = match column.kind {
            Kind::Integer => Self::of_integers(connection, &shape.table, cursor, column.key > 0, after)?,
            Kind::Date | Kind::Timestamp => Self::of_times(connection, &shape.table, cursor, after)?,
            _ => return Err(unusable(cursor, "is neither an integer nor a date or time")),
        };
        if window.null_cursors > 0 && cursor.nulls == NullCursor::Fail {
            return Err(without_cursor(window.null_cursors, ""));
        }
        Ok(Some(window))
    }

    fn of_integers(
        connection: &Connection,
        table: &str,
        cursor: &Cursor,
        is_key: bool,
        after: Option<&CursorState>,
    ) -> FaultResult<Self> {
        let name = quoted(&cursor.column);
        let sql = format!(
            "SELECT max({name}), coalesce(sum({name} IS NULL), 0), \
             coalesce(sum(typeof({name}) NOT IN ('null', 'integer')), 0) FROM {}",
            quoted(table)
        );
        let (largest, nulls, strange): (Value, i64, i64) =
            connection.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).map_err(|e| fault(&e))?;
        if strange > 0 {
            return Err(unusable(cursor, "holds values that are no integers"));
        }
        let low = after.map(kept_integer).transpose()?;
        let high = match largest {
            Value::Integer(number) => Some(number),
            _ => None,
        };
        let null_cursors = u64::try_from(nulls).unwrap_or(0);
        // Without any number the table was emptied, which says nothing of the next ones.
        if let (Some(low), Some(high)) = (low, high)
            && high < low
            && !(is_key && goes_on(connection, table, low)?)
        {
            return Err(fell_back(&cursor.column));
        }
        Ok(Self::new(cursor, Bounds::Integers { low, high: high.max(low) }, null_cursors))
    }

    fn of_times(
        connection: &Connection,
        table: &str,
        cursor: &Cursor,
        after: Option<&CursorState>,
    ) -> FaultResult<Self> {
        let zone = zone_of(cursor)?;
        let times = Times::look(connection, table, &cursor.column)?;
        if times.strange > 0 {
            let why = format!("holds {} {TIMES}", show_count(times.strange, "value"));
            return Err(unusable(cursor, &why));
        }
        let (before, low) = after.map(kept_time).transpose()?.unzip();
        let Some(written) = times.written else {
            // Nobody can tell yet how times will be written, and without values nothing is passed by.
            let bounds = Bounds::Times { high: low.clone(), low, written: before };
            return Ok(Self::new(cursor, bounds, times.nulls));
        };
        if times.unlike > 0 {
            return Err(unusable(cursor, &format!("holds times that are written in several ways: {ALIKE}")));
        }
        if before.is_some_and(|before| before != written) {
            let why = format!("holds times that are written in another way than when it was last read: {ALIKE}");
            return Err(unusable(cursor, &why));
        }
        let end = written.end(end_of_time(cursor, Micros::now())?, zone);
        // A clock that was set back must not move the cursor back.
        let high = Some(low.as_ref().map_or(end.as_str(), |low| low.max(&end)).to_owned());
        Ok(Self::new(cursor, Bounds::Times { low, high, written: Some(written) }, times.nulls))
    }

    fn new(cursor: &Cursor, bounds: Bounds, null_cursors: u64) -> Self {
        Self { column: cursor.column.clone(), bounds, nulls: cursor.nulls, null_cursors }
    }

    /// The condition; its bounds are bound.
    pub(super) fn term(&self, values: &mut Vec<Value>) -> String {
        let name = quoted(&self.column);
        let ((above, low), (below, high)) = match &self.bounds {
            Bounds::Integers { low, high } => ((">", low.map(Value::Integer)), ("<=", high.map(Value::Integer))),
            Bounds::Times { low, high, .. } => {
                ((">=", low.clone().map(Value::Text)), ("<", high.clone().map(Value::Text)))
            }
        };
        let mut bound = |sign: &str, value: Value| {
            values.push(value);
            format!("{name} {sign} ?{}", values.len())
        };
        let (low, high) = (low.map(|low| bound(above, low)), high.map(|high| bound(below, high)));
        let window = match (low, high) {
            (Some(low), Some(high)) => format!("{low} AND {high}"),
            (None, Some(high)) => high,
            // Without an end nothing has a cursor yet.
            (_, None) => "0".to_owned(),
        };
        match self.nulls {
            NullCursor::IncludeAlways => format!("(({window}) OR {name} IS NULL)"),
            NullCursor::Fail | NullCursor::Ignore => format!("({window})"),
        }
    }

    /// Whether it ends a fixed time before now: SQLite does not tell when a writer began.
    pub(super) const fn is_lagging(&self) -> bool {
        matches!(self.bounds, Bounds::Times { .. })
    }

    /// The window's end, as the next run gets it.
    pub(super) fn cursor(&self) -> Option<CursorState> {
        let text = match &self.bounds {
            Bounds::Integers { high, .. } => format!("integer:{}", (*high)?),
            Bounds::Times { high, written, .. } => format!("time:{}", written.as_ref()?.keep(high.as_ref()?)),
        };
        Some(CursorState::new(text))
    }
}

/// The conditions on rows of a range of the stream's cursor. Times are compared as texts, so a bound is written as the column
/// writes its own.
pub(super) fn range(
    connection: &Connection,
    stream: &StreamPlan,
    shape: &Shape,
    range: &Range,
) -> FaultResult<Vec<Condition>> {
    let Some(cursor) = &stream.cursor else { return Ok(Vec::new()) };
    let kind = shape.column(&cursor.column).map(|column| column.kind);
    let (Some(Kind::Date | Kind::Timestamp), Some(written)) =
        (kind, Times::look(connection, &shape.table, &cursor.column)?.written)
    else {
        let of = if kind == Some(Kind::Integer) { Of::Number { bits: 64, is_signed: true } } else { Of::Local };
        return range::conditions(&cursor.column, of, range, range::written);
    };
    let of = if written.has_offset() { Of::Instant } else { Of::Local };
    range::conditions(&cursor.column, of, range, |bound| written.exactly(bound))
}

/// Whether the table hands out no number of its key again, as AUTOINCREMENT says, and was at this one or beyond.
fn goes_on(connection: &Connection, table: &str, low: i64) -> FaultResult<bool> {
    let kept = "SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_sequence'";
    let is_kept: i64 = connection.query_row(kept, [], |row| row.get(0)).map_err(|e| fault(&e))?;
    if is_kept == 0 {
        return Ok(false);
    }
    let sql = "SELECT coalesce(max(seq) >= ?2, 0) FROM sqlite_sequence WHERE name = ?1";
    connection.query_row(sql, rusqlite::params![table, low], |row| row.get(0)).map_err(|e| fault(&e))
}

/// Now less the margin.
fn end_of_time(cursor: &Cursor, now: Micros) -> FaultResult<DateTime<Utc>> {
    let margin = i64::try_from(cursor.margin_ms.max(LEAST_MARGIN_MS)).unwrap_or(i64::MAX / 1000);
    DateTime::from_timestamp_micros(now.0.saturating_sub(margin.saturating_mul(1000)))
        .ok_or_else(|| unusable(cursor, "has a margin that is too large"))
}

/// The zone that the spec names for the column.
fn zone_of(cursor: &Cursor) -> FaultResult<Tz> {
    let Some(zone) = &cursor.zone else {
        let text = format!("the cursor {} has no zone of its own: name one with `cursor-zone`", cursor.column);
        return Err(Fault::new(FailureCode::CursorZoneUnknown, text));
    };
    zone.parse().map_err(|_| Fault::new(FailureCode::CursorZoneUnknown, format!("there is no zone {zone}")))
}

fn kept_integer(state: &CursorState) -> FaultResult<i64> {
    let number = state.reveal().strip_prefix("integer:").and_then(|number| number.parse().ok());
    number.ok_or_else(of_another_type)
}

fn kept_time(state: &CursorState) -> FaultResult<(Written, String)> {
    state.reveal().strip_prefix("time:").and_then(Written::bound).ok_or_else(of_another_type)
}

fn of_another_type() -> Fault {
    let text = "the table's cursor is of another type than the column: run one `full` load to begin anew";
    Fault::new(FailureCode::CursorUnusable, text)
}

fn unusable(cursor: &Cursor, why: &str) -> Fault {
    Fault::new(FailureCode::CursorUnusable, format!("the cursor {} {why}", cursor.column))
}
