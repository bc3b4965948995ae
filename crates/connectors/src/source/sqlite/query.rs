//! The one SELECT of a stream: columns and filters pushed down, values bound, names quoted.

use rusqlite::Connection;
use rusqlite::types::Value;
use waybill_model::FailureCode;
use waybill_model::name::quoted;
use waybill_model::plan::{Condition, Op, StreamPlan};
use waybill_pipeline::{CursorState, Fault, FaultResult};

use super::connect::fault;
use super::declared::Kind;
use super::describe::Shape;
use super::window::Window;

/// What is read, with its bound values. Holds values of rows, so it is never printed.
pub(super) struct Query {
    columns: String,
    rest: String,
    pub(super) values: Vec<Value>,
    window: Option<Window>,
}

impl Query {
    /// Plans the query inside the snapshot; `after` is the committed cursor.
    pub(super) fn plan(
        connection: &Connection,
        stream: &StreamPlan,
        shape: &Shape,
        after: Option<&CursorState>,
    ) -> FaultResult<Self> {
        let mut parts = Vec::new();
        let mut values = Vec::new();
        for condition in &stream.filter {
            parts.push(term(shape, condition, &mut values)?);
        }
        let window = Window::of(connection, stream, shape, after)?;
        if let Some(window) = &window {
            parts.push(window.term(&mut values));
        }
        let columns = shape.taken.iter().map(|column| quoted(&column.source)).collect::<Vec<_>>().join(", ");
        let filter = if parts.is_empty() { String::new() } else { format!(" WHERE {}", parts.join(" AND ")) };
        Ok(Self { columns, rest: format!("FROM {}{filter}", quoted(&shape.table)), values, window })
    }

    /// The text that brings rows.
    pub(super) fn rows_sql(&self) -> String {
        format!("SELECT {} {}", self.columns, self.rest)
    }

    /// Whether the whole table is read.
    pub(super) fn is_whole(&self) -> bool {
        !self.rest.contains(" WHERE ")
    }

    /// Rows of the same query, counted in the same snapshot.
    pub(super) fn count(&self, connection: &Connection) -> FaultResult<u64> {
        let sql = format!("SELECT count(*) {}", self.rest);
        let values = rusqlite::params_from_iter(&self.values);
        let count: i64 = connection.query_row(&sql, values, |row| row.get(0)).map_err(|e| fault(&e))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// The cursor that becomes current with these rows.
    pub(super) fn cursor(&self) -> Option<CursorState> {
        self.window.as_ref().and_then(Window::cursor)
    }

    pub(super) fn is_lagging(&self) -> bool {
        self.window.as_ref().is_some_and(Window::is_lagging)
    }

    pub(super) fn null_cursors(&self) -> u64 {
        self.window.as_ref().map_or(0, |window| window.null_cursors)
    }
}

/// One condition; its value is bound as the column's type, or where that may be any as the value was written.
fn term(shape: &Shape, condition: &Condition, values: &mut Vec<Value>) -> FaultResult<String> {
    let Some(column) = shape.column(&condition.column) else {
        let text = format!("`filter` names the column {}, which the table does not have", condition.column);
        return Err(Fault::new(FailureCode::ColumnNotFound, text));
    };
    let name = quoted(&column.name);
    let sign = match condition.op {
        Op::IsNull => return Ok(format!("{name} IS NULL")),
        Op::NotNull => return Ok(format!("{name} IS NOT NULL")),
        Op::Eq => "=",
        Op::Ne => "<>",
        Op::Lt => "<",
        Op::Le => "<=",
        Op::Gt => ">",
        Op::Ge => ">=",
    };
    let text = condition.value.as_deref().unwrap_or_default();
    let Some(value) = meant(column.kind, text, condition.text) else {
        let hex = if column.kind == Kind::Bytes { ": write its bytes as hex digits in quotes" } else { "" };
        let text =
            format!("the filter's value for the column {} is not of its type {}{hex}", column.name, column.declared);
        return Err(Fault::new(FailureCode::SpecRefused, text));
    };
    values.push(value);
    Ok(format!("{name} {sign} ?{}", values.len()))
}

/// The value that is compared with. A column without affinity asks whether a number was meant; one of bytes may be that too,
/// a view's, so a number is not taken for hex digits there.
fn meant(kind: Kind, text: &str, is_text: bool) -> Option<Value> {
    match kind {
        Kind::Any if !is_text => number(text).or_else(|| typed(kind, text)),
        Kind::Bytes if !is_text && number(text).is_some() => None,
        _ => typed(kind, text),
    }
}

/// The number that a text is, as SQLite reads a literal. A column without affinity holds numbers and texts side by side,
/// and a number there equals no text.
fn number(text: &str) -> Option<Value> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    text.parse().map(Value::Integer).or_else(|_| text.parse().map(Value::Real)).ok()
}

fn typed(kind: Kind, text: &str) -> Option<Value> {
    match kind {
        Kind::Integer | Kind::Boolean | Kind::Real | Kind::Decimal(..) => match text.parse::<i64>() {
            Ok(number) => Some(Value::Integer(number)),
            Err(_) => text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::Real),
        },
        Kind::Bytes => hex::decode(text).ok().map(Value::Blob),
        Kind::Date | Kind::Timestamp | Kind::Text | Kind::Any => Some(Value::Text(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_quotes() {
        assert_eq!(quoted("a\"; DROP TABLE x; --"), "\"a\"\"; DROP TABLE x; --\"");
    }

    #[test]
    fn a_filter_value_must_be_of_the_columns_type() {
        assert!(typed(Kind::Integer, "12").is_some_and(|v| v == Value::Integer(12)));
        assert!(typed(Kind::Integer, "1 OR 1=1").is_none());
        assert!(typed(Kind::Decimal(10, 2), "NaN").is_none());
        assert!(typed(Kind::Text, "x' OR 1=1").is_some());
    }
}
