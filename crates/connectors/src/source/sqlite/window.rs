//! The window of a `new` stream: which cursor values come with this run.
//!
//! Integers: above the last one and up to the largest in the snapshot; SQLite has one writer, so no lower one can appear
//! later unless the application makes it. Times: from the last bound up to now less a margin, compared as text, which is
//! why all values must be written alike. Holds values of rows, so it is never printed.

use chrono::{DateTime, DurationRound as _, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use rusqlite::Connection;
use rusqlite::types::Value;
use waybill_model::plan::{Cursor, Load, NullCursor, StreamPlan};
use waybill_model::{FailureCode, Micros};
use waybill_pipeline::{CursorState, Fault, FaultResult};

use super::connect::fault;
use super::declared::Kind;
use super::describe::Shape;
use super::query::quoted;
use crate::source::MINUTES_OF_A_SETBACK;

/// The least that a window's end stays behind now.
const LEAST_MARGIN_MS: u64 = 1_000;

/// A planned window.
pub(super) struct Window {
    column: String,
    low: Option<Value>,
    high: Option<Value>,
    /// `(low, high]` for integers, `[low, high)` for times.
    includes_high: bool,
    nulls: NullCursor,
    pub(super) null_cursors: u64,
}

/// What the cursor column holds.
struct Held {
    largest: Value,
    nulls: u64,
    strange: u64,
    separators: Vec<String>,
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
            return Err(Fault::new(FailureCode::SpecRefused, "`load: new` needs a `cursor`"));
        };
        let Some(column) = shape.column(&cursor.column) else {
            let text = format!("the cursor {} is not a column of the table", cursor.column);
            return Err(Fault::new(FailureCode::ColumnNotFound, text));
        };
        let is_time = match column.kind {
            Kind::Integer => false,
            Kind::Date | Kind::Timestamp => true,
            _ => return Err(unusable(cursor, "is neither an integer nor a date or time")),
        };
        let held = Held::look(connection, shape, cursor, if is_time { "text" } else { "integer" })?;
        if held.strange > 0 {
            return Err(unusable(cursor, "holds values of several storage classes"));
        }
        if held.separators.len() > 1 {
            return Err(unusable(cursor, "holds times that are written in several ways"));
        }
        if held.nulls > 0 && cursor.nulls == NullCursor::Fail {
            return Err(Fault::new(FailureCode::CursorNull, format!("{} rows have no cursor", held.nulls)));
        }
        let low = after.map(|state| restore(state, is_time)).transpose()?;
        let high = if is_time { Some(end_of_time(cursor, column.kind, &held, Micros::now())?) } else { held.high() };
        // A clock that was set back must not move the cursor back.
        let high = match (&low, high) {
            (Some(low), Some(high)) if less(&high, low) => Some(low.clone()),
            (Some(low), None) => Some(low.clone()),
            (_, high) => high,
        };
        let column = cursor.column.clone();
        Ok(Some(Self { column, low, high, includes_high: !is_time, nulls: cursor.nulls, null_cursors: held.nulls }))
    }

    /// The condition; its bounds are bound.
    pub(super) fn term(&self, values: &mut Vec<Value>) -> String {
        let name = quoted(&self.column);
        let mut bound = |sign: &str, value: &Value| {
            values.push(value.clone());
            format!("{name} {sign} ?{}", values.len())
        };
        let (above, below) = if self.includes_high { (">", "<=") } else { (">=", "<") };
        let low = self.low.as_ref().map(|low| bound(above, low));
        let high = self.high.as_ref().map(|high| bound(below, high));
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
        !self.includes_high
    }

    /// The window's end, as the next run gets it.
    pub(super) fn cursor(&self) -> Option<CursorState> {
        match &self.high {
            Some(Value::Integer(number)) => Some(CursorState::new(format!("integer:{number}"))),
            Some(Value::Text(text)) => Some(CursorState::new(format!("time:{text}"))),
            _ => None,
        }
    }
}

impl Held {
    fn look(connection: &Connection, shape: &Shape, cursor: &Cursor, class: &str) -> FaultResult<Self> {
        let (name, table) = (quoted(&cursor.column), quoted(&shape.table));
        let sql = format!(
            "SELECT max({name}), coalesce(sum({name} IS NULL), 0), coalesce(sum(typeof({name}) NOT IN ('null', '{class}')), 0) \
             FROM {table}"
        );
        let (largest, nulls, strange): (Value, i64, i64) =
            connection.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).map_err(|e| fault(&e))?;
        // Times take a second scan: a window that has to hold one way of writing must have seen every value, and SQLite gathers
        // no distinct values beside the sums.
        let mut separators = Vec::new();
        if class == "text" {
            let sql = format!("SELECT DISTINCT substr({name}, 11, 1) FROM {table} WHERE {name} IS NOT NULL LIMIT 3");
            separators = connection
                .prepare(&sql)
                .and_then(|mut statement| statement.query_map([], |row| row.get(0)).and_then(Iterator::collect))
                .map_err(|e| fault(&e))?;
        }
        let count = |n: i64| u64::try_from(n).unwrap_or(0);
        Ok(Self { largest, nulls: count(nulls), strange: count(strange), separators })
    }

    fn high(&self) -> Option<Value> {
        match &self.largest {
            Value::Integer(number) => Some(Value::Integer(*number)),
            _ => None,
        }
    }
}

/// Now less the margin, in the zone of the column and written as its values are.
fn end_of_time(cursor: &Cursor, kind: Kind, held: &Held, now: Micros) -> FaultResult<Value> {
    let Some(zone) = &cursor.zone else {
        let text = format!("the cursor {} has no zone of its own: name one with `cursor-zone`", cursor.column);
        return Err(Fault::new(FailureCode::CursorZoneUnknown, text));
    };
    let Ok(zone) = zone.parse::<Tz>() else {
        return Err(Fault::new(FailureCode::CursorZoneUnknown, format!("there is no zone {zone}")));
    };
    let margin = i64::try_from(cursor.margin_ms.max(LEAST_MARGIN_MS)).unwrap_or(i64::MAX / 1000);
    let Some(end) = DateTime::<Utc>::from_timestamp_micros(now.0.saturating_sub(margin.saturating_mul(1000))) else {
        return Err(unusable(cursor, "has a margin that is too large"));
    };
    let local = earliest_local(end, zone);
    let separator = held.separators.first().map_or(" ", String::as_str);
    let text = match kind {
        Kind::Date => local.format("%Y-%m-%d").to_string(),
        _ if separator == " " || separator == "T" => {
            local.format(&format!("%Y-%m-%d{separator}%H:%M:%S%.6f")).to_string()
        }
        _ => return Err(unusable(cursor, "holds times that are not written as YYYY-MM-DD HH:MM:SS")),
    };
    Ok(Value::Text(text))
}

/// The earliest local time that any moment from this one on can have: clocks that are set back within a day count, or the
/// rows of the repeated hour would lie before the cursor.
fn earliest_local(end: DateTime<Utc>, zone: Tz) -> NaiveDateTime {
    let minute = TimeDelta::minutes(1);
    let first = end.duration_trunc(minute).unwrap_or(end);
    let later = (1..=MINUTES_OF_A_SETBACK).filter_map(|n| first.checked_add_signed(minute.checked_mul(n)?));
    let local = |at: DateTime<Utc>| at.with_timezone(&zone).naive_local();
    later.map(local).fold(local(end), Ord::min)
}

fn restore(state: &CursorState, is_time: bool) -> FaultResult<Value> {
    let value = match state.reveal().split_once(':') {
        Some(("integer", number)) if !is_time => number.parse().ok().map(Value::Integer),
        Some(("time", text)) if is_time => Some(Value::Text(text.to_owned())),
        _ => None,
    };
    value.ok_or_else(|| {
        let text = "the table's cursor is of another type than the column: run one `full` load to begin anew";
        Fault::new(FailureCode::CursorUnusable, text)
    })
}

fn less(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Integer(a), Value::Integer(b)) => a < b,
        (Value::Text(a), Value::Text(b)) => a < b,
        _ => false,
    }
}

fn unusable(cursor: &Cursor, why: &str) -> Fault {
    Fault::new(FailureCode::CursorUnusable, format!("the cursor {} {why}", cursor.column))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends_before_the_hour_that_a_clock_shows_twice() {
        let local = |text: &str, zone: Tz| {
            let at = DateTime::parse_from_rfc3339(text).expect("a moment").with_timezone(&Utc);
            earliest_local(at, zone).format("%Y-%m-%d %H:%M:%S%.3f").to_string()
        };
        // Clocks in Berlin showed 02:00 to 03:00 twice on 2026-10-25: the second time began at 01:00 UTC.
        assert_eq!(local("2026-10-25T00:30:15.250Z", Tz::Europe__Berlin), "2026-10-25 02:00:00.000");
        assert_eq!(local("2026-10-25T01:10:15.250Z", Tz::Europe__Berlin), "2026-10-25 02:10:15.250");
        assert_eq!(local("2026-10-24T12:00:00.000Z", Tz::Europe__Berlin), "2026-10-24 14:00:00.000");
        assert_eq!(local("2026-10-25T00:30:15.250Z", Tz::UTC), "2026-10-25 00:30:15.250");
    }
}
