//! One column of a batch under way: its values, its twin where it needs one, and the count of what did not fit.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder,
    StringArray, StringBuilder, TimestampMicrosecondBuilder,
};
use rusqlite::types::ValueRef;
use waybill_model::plan::{EdgePolicy, TextPolicy};
use waybill_model::{FailureCode, moment};
use waybill_pipeline::{Fault, FaultResult};

use super::cell;
use super::declared::Kind;

/// Values of the column's kind.
enum Values {
    Integer(Int64Builder),
    Boolean(BooleanBuilder),
    Real(Float64Builder),
    Decimal(Decimal128Builder, u8, u32),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Text(StringBuilder),
    Any(StringBuilder),
    Bytes(BinaryBuilder),
}

/// A column under way.
pub(super) struct Column {
    values: Values,
    twin: Option<StringBuilder>,
    rows: usize,
    coerced: u64,
    edge: EdgePolicy,
    text: TextPolicy,
}

/// A finished column.
pub(super) struct Finished {
    pub(super) values: ArrayRef,
    pub(super) twin: Option<StringArray>,
    pub(super) coerced: u64,
}

impl Column {
    pub(super) fn new(kind: Kind, edge: EdgePolicy, text: TextPolicy) -> Self {
        let values = match kind {
            Kind::Integer => Values::Integer(Int64Builder::new()),
            Kind::Boolean => Values::Boolean(BooleanBuilder::new()),
            Kind::Real => Values::Real(Float64Builder::new()),
            Kind::Decimal(precision, scale) => {
                let builder = Decimal128Builder::new().with_data_type(kind.arrow());
                Values::Decimal(builder, precision, u32::try_from(scale).unwrap_or(0))
            }
            Kind::Date => Values::Date(Date32Builder::new()),
            Kind::Timestamp => Values::Timestamp(TimestampMicrosecondBuilder::new()),
            Kind::Text => Values::Text(StringBuilder::new()),
            Kind::Any => Values::Any(StringBuilder::new()),
            Kind::Bytes => Values::Bytes(BinaryBuilder::new()),
        };
        Self { values, twin: None, rows: 0, coerced: 0, edge, text }
    }

    /// Takes a value in; returns the bytes that it added.
    pub(super) fn push(&mut self, value: ValueRef<'_>) -> FaultResult<usize> {
        let added = if matches!(value, ValueRef::Null) {
            self.push_null();
            1
        } else if let Some(bytes) = self.push_exact(value) {
            bytes
        } else {
            return self.push_other(value);
        };
        if let Some(twin) = &mut self.twin {
            twin.append_null();
        }
        self.rows += 1;
        Ok(added)
    }

    /// Takes a value that the column holds exactly.
    fn push_exact(&mut self, value: ValueRef<'_>) -> Option<usize> {
        match (&mut self.values, value) {
            (Values::Integer(to), ValueRef::Integer(number)) => to.append_value(number),
            (Values::Boolean(to), ValueRef::Integer(number @ (0 | 1))) => to.append_value(number == 1),
            (Values::Real(to), ValueRef::Real(number)) => to.append_value(number),
            (Values::Decimal(to, precision, scale), value) => {
                let unscaled = match value {
                    ValueRef::Integer(number) => cell::decimal_integer(number, *precision, *scale),
                    ValueRef::Real(number) => cell::decimal_real(number, *precision, *scale),
                    ValueRef::Text(text) => cell::decimal_text(text, *precision, *scale),
                    ValueRef::Null | ValueRef::Blob(_) => None,
                };
                to.append_value(unscaled?);
                return Some(16);
            }
            (Values::Date(to), ValueRef::Text(text)) => to.append_value(moment::date(text)?),
            (Values::Timestamp(to), ValueRef::Text(text)) => to.append_value(moment::timestamp(text)?),
            (Values::Text(to) | Values::Any(to), ValueRef::Text(text)) => {
                to.append_value(std::str::from_utf8(text).ok()?);
                return Some(4 + text.len());
            }
            (Values::Bytes(to), ValueRef::Blob(bytes)) => {
                to.append_value(bytes);
                return Some(4 + bytes.len());
            }
            _ => return None,
        }
        Some(8)
    }

    /// Takes a value that the column can't hold as it is, by the stream's policy.
    fn push_other(&mut self, value: ValueRef<'_>) -> FaultResult<usize> {
        let bad_text = matches!(value, ValueRef::Text(_)) && matches!(self.values, Values::Text(_) | Values::Any(_));
        let fails = if bad_text { self.text == TextPolicy::Fail } else { self.edge == EdgePolicy::Fail };
        if fails {
            let text = "a value is not of its column's type, and the policy is to fail";
            return Err(Fault::new(FailureCode::ValueRefused, text));
        }
        let shown = match (&mut self.values, value) {
            (Values::Text(to) | Values::Any(to), ValueRef::Text(bytes)) => {
                let text = String::from_utf8_lossy(bytes);
                to.append_value(&text);
                text.len()
            }
            (Values::Any(to), ValueRef::Integer(number)) => {
                to.append_value(number.to_string());
                20
            }
            (Values::Any(to), ValueRef::Real(number)) => {
                to.append_value(cell::real(number));
                24
            }
            _ => {
                self.push_null();
                1
            }
        };
        self.coerced += 1;
        let mut added = shown;
        // Only dates that are meant as an end of the calendar have a sentinel; SQLite has none, so nothing is made up.
        if bad_text || self.edge != EdgePolicy::Null {
            let text = cell::literal(value);
            added += 4 + text.len();
            let before = self.rows;
            self.twin.get_or_insert_with(|| nulls(before)).append_value(text);
        } else if let Some(twin) = &mut self.twin {
            twin.append_null();
        }
        self.rows += 1;
        Ok(added)
    }

    fn push_null(&mut self) {
        match &mut self.values {
            Values::Integer(to) => to.append_null(),
            Values::Boolean(to) => to.append_null(),
            Values::Real(to) => to.append_null(),
            Values::Decimal(to, ..) => to.append_null(),
            Values::Date(to) => to.append_null(),
            Values::Timestamp(to) => to.append_null(),
            Values::Text(to) | Values::Any(to) => to.append_null(),
            Values::Bytes(to) => to.append_null(),
        }
    }

    /// Ends the batch; the column begins the next one empty.
    pub(super) fn finish(&mut self) -> Finished {
        let values: ArrayRef = match &mut self.values {
            Values::Integer(from) => Arc::new(from.finish()),
            Values::Boolean(from) => Arc::new(from.finish()),
            Values::Real(from) => Arc::new(from.finish()),
            Values::Decimal(from, ..) => Arc::new(from.finish()),
            Values::Date(from) => Arc::new(from.finish()),
            Values::Timestamp(from) => Arc::new(from.finish()),
            Values::Text(from) | Values::Any(from) => Arc::new(from.finish()),
            Values::Bytes(from) => Arc::new(from.finish()),
        };
        let twin = self.twin.take().map(|mut twin| twin.finish());
        self.rows = 0;
        Finished { values, twin, coerced: std::mem::take(&mut self.coerced) }
    }
}

fn nulls(rows: usize) -> StringBuilder {
    let mut twin = StringBuilder::new();
    twin.append_nulls(rows);
    twin
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::Int64Type;

    use super::*;

    fn column(kind: Kind) -> Column {
        Column::new(kind, EdgePolicy::Twin, TextPolicy::Replace)
    }

    #[test]
    fn a_value_of_another_class_stands_in_the_twin_beside_a_null() {
        let mut column = column(Kind::Integer);
        for value in [ValueRef::Integer(1), ValueRef::Text(b"one"), ValueRef::Null, ValueRef::Real(1.5)] {
            column.push(value).expect("taken");
        }
        let done = column.finish();
        let (values, twin) = (done.values.as_primitive::<Int64Type>(), done.twin.expect("a twin"));
        assert_eq!((values.value(0), values.null_count(), done.coerced), (1, 3, 2));
        assert_eq!(twin.iter().collect::<Vec<_>>(), [None, Some("'one'"), None, Some("1.5")]);
    }

    #[test]
    fn a_column_that_fits_has_no_twin_and_the_next_batch_begins_anew() {
        let mut column = column(Kind::Text);
        column.push(ValueRef::Blob(b"\x01")).expect("taken");
        assert!(column.finish().twin.is_some());
        column.push(ValueRef::Text(b"x")).expect("taken");
        let done = column.finish();
        assert!(done.twin.is_none() && done.coerced == 0 && done.values.len() == 1);
    }

    #[test]
    fn an_untyped_column_keeps_text_and_tells_what_was_no_text() {
        let mut column = column(Kind::Any);
        for value in [ValueRef::Integer(5), ValueRef::Text(b"5"), ValueRef::Blob(b"5")] {
            column.push(value).expect("taken");
        }
        let done = column.finish();
        assert_eq!(done.values.as_string::<i32>().iter().collect::<Vec<_>>(), [Some("5"), Some("5"), None]);
        assert_eq!(done.twin.expect("a twin").iter().collect::<Vec<_>>(), [Some("5"), None, Some("X'35'")]);
    }

    #[test]
    fn the_policy_fail_ends_the_stream_and_null_is_counted() {
        let mut strict = Column::new(Kind::Date, EdgePolicy::Fail, TextPolicy::Replace);
        assert_eq!(strict.push(ValueRef::Text(b"soon")).expect_err("refused").code, FailureCode::ValueRefused);
        let mut lossy = Column::new(Kind::Date, EdgePolicy::Null, TextPolicy::Replace);
        lossy.push(ValueRef::Text(b"soon")).expect("taken");
        let done = lossy.finish();
        assert!(done.twin.is_none() && done.coerced == 1 && done.values.null_count() == 1);
    }
}
