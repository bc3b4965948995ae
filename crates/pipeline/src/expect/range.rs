//! Bounds of a column's values, exact for every type that has an order of its own.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    SchemaRef, TimeUnit, TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use waybill_model::FailureCode;
use waybill_model::plan::{Bound, Range};

use super::there;
use crate::fault::{Fault, FaultResult};
use crate::source::Batch;

/// Bounds in the column's own measure.
pub(super) struct Within {
    at: usize,
    bounds: Bounds,
}

enum Bounds {
    /// Whole numbers of the column's smallest unit; a decimal's digits, a date's days, a time's microseconds.
    Whole(i128, i128),
    Float(f64, f64),
}

impl Within {
    /// The bounds of a column of this type; why there are none otherwise.
    pub(super) fn of(range: &Range, schema: &SchemaRef, at: usize) -> Result<Self, String> {
        let kind = schema.field(at).data_type();
        let read = |text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => Bound::read(text).map(Some).ok_or_else(|| format!("a bound is {}", Bound::TEXT)),
        };
        let (min, max) = (read(&range.min)?, read(&range.max)?);
        let bounds = match kind {
            DataType::Float32 | DataType::Float64 => Bounds::Float(
                min.map_or(Ok(f64::NEG_INFINITY), |min| float(min, kind))?,
                max.map_or(Ok(f64::INFINITY), |max| float(max, kind))?,
            ),
            _ => Bounds::Whole(
                min.map_or(Ok(i128::MIN), |min| whole(min, kind, true))?,
                max.map_or(Ok(i128::MAX), |max| whole(max, kind, false))?,
            ),
        };
        if !has_bounds(kind) {
            return Err(format!("the column is {kind}, which has no bounds"));
        }
        Ok(Self { at, bounds })
    }

    /// Rows whose value lies outside, or in the twin: there stands what the column's type does not hold.
    pub(super) fn outside(&self, batch: &Batch) -> FaultResult<usize> {
        let column = batch.rows.column(self.at);
        let in_twin = column.logical_null_count() - there(batch, self.at).map_or(0, |there| there.null_count());
        let outside = match self.bounds {
            Bounds::Float(min, max) => floats(column, |value| value >= min && value <= max),
            Bounds::Whole(min, max) => wholes(column, |value| value >= min && value <= max),
        };
        let bug = || Fault::new(FailureCode::WorkerBug, "rows are of other types than their schema");
        Ok(in_twin + outside.ok_or_else(bug)?)
    }
}

fn has_bounds(kind: &DataType) -> bool {
    use DataType as D;
    kind.is_integer()
        || matches!(
            kind,
            D::Float32 | D::Float64 | D::Decimal128(..) | D::Date32 | D::Timestamp(TimeUnit::Microsecond, _)
        )
}

/// A bound in the smallest unit of such a column: up to the next one as the least value, down as the greatest.
fn whole(bound: Bound, kind: &DataType, up: bool) -> Result<i128, String> {
    Ok(match (bound, kind) {
        (Bound::Date(days), DataType::Date32) => days.into(),
        (Bound::Timestamp(micros), DataType::Timestamp(TimeUnit::Microsecond, None))
        | (Bound::Instant(micros), DataType::Timestamp(TimeUnit::Microsecond, Some(_))) => micros.into(),
        (Bound::Number { digits, behind }, DataType::Decimal128(_, scale)) => scaled(digits, behind, *scale, up),
        (Bound::Number { digits, behind }, kind) if kind.is_integer() => scaled(digits, behind, 0, up),
        (_, kind) if has_bounds(kind) => {
            return Err(format!("a bound of the column, which is {kind}, is of another kind"));
        }
        (_, kind) => return Err(format!("the column is {kind}, which has no bounds")),
    })
}

/// `digits` with `behind` of them behind the point, in units of ten to the power of minus `scale`. What no number of the column
/// reaches is the largest there is.
fn scaled(digits: i128, behind: u8, scale: i8, up: bool) -> i128 {
    let power = |by: i16| 10_i128.checked_pow(by.unsigned_abs().into());
    let by = i16::from(scale) - i16::from(behind);
    let beyond = if digits < 0 { i128::MIN } else { i128::MAX };
    if by >= 0 {
        return if digits == 0 { 0 } else { power(by).and_then(|power| digits.checked_mul(power)).unwrap_or(beyond) };
    }
    let Some(power) = power(by) else { return i128::from(up && digits > 0) - i128::from(!up && digits < 0) };
    let (down, rest) = (digits.div_euclid(power), digits.rem_euclid(power));
    down + i128::from(up && rest > 0)
}

fn float(bound: Bound, kind: &DataType) -> Result<f64, String> {
    let Bound::Number { digits, behind } = bound else {
        return Err(format!("a bound of the column, which is {kind}, is of another kind"));
    };
    // By way of the text, whose nearest float it is.
    format!("{digits}e-{behind}").parse().map_err(|_| format!("a bound is {}", Bound::TEXT))
}

fn count<T: ArrowPrimitiveType>(column: &ArrayRef, within: impl Fn(T::Native) -> bool) -> usize {
    column.as_primitive::<T>().iter().flatten().filter(|value| !within(*value)).count()
}

/// Values outside, or none where the column holds no floats. NaN lies within no bounds.
fn floats(column: &ArrayRef, within: impl Fn(f64) -> bool) -> Option<usize> {
    Some(match column.data_type() {
        DataType::Float32 => count::<Float32Type>(column, |value| within(value.into())),
        DataType::Float64 => count::<Float64Type>(column, within),
        _ => return None,
    })
}

/// Values outside, or none where the column holds nothing that is counted in whole units.
fn wholes(column: &ArrayRef, within: impl Fn(i128) -> bool) -> Option<usize> {
    use DataType as D;
    Some(match column.data_type() {
        D::Int8 => count::<Int8Type>(column, |value| within(value.into())),
        D::Int16 => count::<Int16Type>(column, |value| within(value.into())),
        D::Int32 => count::<Int32Type>(column, |value| within(value.into())),
        D::Int64 => count::<Int64Type>(column, |value| within(value.into())),
        D::UInt8 => count::<UInt8Type>(column, |value| within(value.into())),
        D::UInt16 => count::<UInt16Type>(column, |value| within(value.into())),
        D::UInt32 => count::<UInt32Type>(column, |value| within(value.into())),
        D::UInt64 => count::<UInt64Type>(column, |value| within(value.into())),
        D::Decimal128(..) => count::<Decimal128Type>(column, within),
        D::Date32 => count::<Date32Type>(column, |value| within(value.into())),
        D::Timestamp(TimeUnit::Microsecond, _) => {
            count::<TimestampMicrosecondType>(column, |value| within(value.into()))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        Date32Array, Decimal128Array, Float64Array, Int32Array, RecordBatch, TimestampMicrosecondArray, UInt64Array,
    };

    use super::*;

    #[track_caller]
    fn outside(column: impl Array + 'static, min: Option<&str>, max: Option<&str>) -> Result<usize, String> {
        let column: ArrayRef = Arc::new(column);
        let rows = RecordBatch::try_from_iter_with_nullable([("c", column, true)]).expect("rows");
        let range = Range { column: "c".into(), min: min.map(Into::into), max: max.map(Into::into) };
        let within = Within::of(&range, &rows.schema(), 0)?;
        Ok(within.outside(&Batch::exact(rows)).expect("counted"))
    }

    #[test]
    fn bounds_are_exact_to_the_last_digit() {
        let prices =
            || Decimal128Array::from(vec![Some(100), Some(101), None, Some(-100)]).with_precision_and_scale(38, 2);
        let prices = || prices().expect("decimals");
        assert_eq!(outside(prices(), Some("1"), Some("1.01")), Ok(1));
        assert_eq!(outside(prices(), Some("1.001"), None), Ok(2), "the least value is rounded up");
        assert_eq!(outside(prices(), None, Some("1.009")), Ok(1), "the greatest is rounded down");
        assert_eq!(outside(prices(), Some("-1.009"), Some("-0.999")), Ok(2));
        assert_eq!(outside(prices(), Some(&"9".repeat(38)), None), Ok(3), "no value reaches it");
        assert_eq!(outside(prices(), Some("-0.00000000000000000001"), Some("1.01")), Ok(1));
        let whole = || Int32Array::from(vec![i32::MIN, 0, i32::MAX]);
        assert_eq!(outside(whole(), Some("0.5"), None), Ok(2));
        assert_eq!(outside(whole(), Some("-2147483648"), Some("2147483647")), Ok(0));
        assert_eq!(outside(UInt64Array::from(vec![u64::MAX]), None, Some("18446744073709551614")), Ok(1));
    }

    #[test]
    fn dates_times_and_floats_have_bounds_of_their_own_kind() {
        let day = || Date32Array::from(vec![0, 1, 2]);
        assert_eq!(outside(day(), Some("1970-01-02"), Some("1970-01-02")), Ok(2));
        let time = || TimestampMicrosecondArray::from(vec![0, 1_000_000]);
        assert_eq!(outside(time(), Some("1970-01-01 00:00:01"), None), Ok(1));
        assert_eq!(outside(time().with_timezone("UTC"), Some("1970-01-01T02:00:01+02:00"), None), Ok(1));
        let floats = || Float64Array::from(vec![f64::NAN, f64::INFINITY, 0.1, -0.0]);
        assert_eq!(outside(floats(), Some("0"), None), Ok(1), "NaN lies within no bounds");
        assert_eq!(outside(floats(), Some("0"), Some("0.1")), Ok(2));
        for (found, kind) in [
            (outside(day(), Some("1970-01-01 00:00:00"), None), "Date32"),
            (outside(time(), Some("1970-01-01"), None), "Timestamp(µs)"),
            (outside(time().with_timezone("UTC"), Some("1970-01-01 00:00:00"), None), "Timestamp(µs, \"UTC\")"),
            (outside(floats(), Some("1970-01-01"), None), "Float64"),
        ] {
            assert_eq!(found, Err(format!("a bound of the column, which is {kind}, is of another kind")));
        }
    }
}
