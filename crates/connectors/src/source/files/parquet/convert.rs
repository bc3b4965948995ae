//! Parquet's types as a Delta table holds them: the same type where it can, a wider one or exact text where it can't.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, StringBuilder, TimestampMicrosecondArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    ArrowTimestampType, DataType, Field, TimeUnit, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use parquet::basic::LogicalType;
use parquet::schema::types::TypePtr;
use waybill_model::FailureCode;
use waybill_model::plan::EdgePolicy;

use super::int96;
use crate::source::files::csv_rows::sparse;
use crate::source::files::rows::Column;
use crate::source::files::take::{Compared, SourceColumn, UNSTORABLE};

/// A column of a file as the stream offers it.
pub(super) fn column(field: &Field, root: &TypePtr, edge: EdgePolicy) -> SourceColumn {
    let is_uuid = root.is_primitive() && matches!(root.get_basic_info().logical_type_ref(), Some(LogicalType::Uuid));
    let target = if is_uuid { Some(DataType::Utf8) } else { target(field.data_type()) };
    let policy = match (field.data_type(), edge) {
        (DataType::Timestamp(TimeUnit::Microsecond, _), _) => None,
        (DataType::Timestamp(..), EdgePolicy::Null) => Some("null"),
        (DataType::Timestamp(..), EdgePolicy::Fail) => Some("fail"),
        _ => None,
    };
    SourceColumn {
        name: field.name().clone(),
        source: if is_uuid { "parquet uuid".into() } else { format!("parquet {}", words(field.data_type())) },
        compared: target.as_ref().map_or(Compared::No, |target| compared(target, field.data_type(), is_uuid)),
        data_type: target.unwrap_or(UNSTORABLE),
        policy,
        nullable: field.is_nullable(),
    }
}

fn words(data_type: &DataType) -> String {
    match data_type {
        DataType::Struct(_) => "struct".into(),
        DataType::List(_) => "list".into(),
        DataType::Map(..) => "map".into(),
        other => other.to_string().to_lowercase(),
    }
}

/// The type in the table; none where no exact one exists.
fn target(source: &DataType) -> Option<DataType> {
    use DataType as T;
    Some(match source {
        T::Boolean | T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::Float32 | T::Float64 => source.clone(),
        T::Date32 | T::Utf8 | T::Binary => source.clone(),
        T::UInt8 => T::Int16,
        T::UInt16 => T::Int32,
        T::UInt32 => T::Int64,
        T::UInt64 => T::Decimal128(20, 0),
        T::Float16 => T::Float32,
        T::Decimal32(p, s) | T::Decimal64(p, s) | T::Decimal128(p, s) if *s >= 0 => T::Decimal128(*p, *s),
        T::Decimal256(p, s) if *s >= 0 && *p <= 38 => T::Decimal128(*p, *s),
        T::Decimal256(..) => T::Utf8,
        T::Timestamp(_, zone) => T::Timestamp(TimeUnit::Microsecond, zone.as_ref().map(|_| "UTC".into())),
        T::Time32(_) | T::Time64(_) | T::Null => T::Utf8,
        T::FixedSizeBinary(_) => T::Binary,
        T::List(item) => T::List(nested(item)?),
        T::Struct(fields) => T::Struct(fields.iter().map(nested).collect::<Option<Vec<_>>>()?.into()),
        _ => return None,
    })
}

/// A nested field passes only as it is: what would need a conversion inside is not stored.
fn nested(field: &Arc<Field>) -> Option<Arc<Field>> {
    (target(field.data_type())? == *field.data_type()).then(|| Arc::clone(field))
}

fn compared(target: &DataType, source: &DataType, is_uuid: bool) -> Compared {
    use DataType as T;
    match target {
        T::Utf8 if matches!(source, T::Utf8) || is_uuid => Compared::Equal,
        T::Boolean => Compared::Equal,
        T::Utf8 | T::Binary | T::List(_) | T::Struct(_) => Compared::No,
        // What does not fit microseconds is NULL here and would be left out unseen.
        T::Timestamp(..) if !matches!(source, T::Timestamp(TimeUnit::Microsecond, _)) => Compared::No,
        _ => Compared::Ordered,
    }
}

/// Converts the values of a column.
pub(super) fn values(array: &ArrayRef, to: &SourceColumn, edge: EdgePolicy) -> Result<Column, (FailureCode, String)> {
    let refused = |_| (FailureCode::ValueRefused, "a value can't be held by its column's type".to_owned());
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let values = match (array.data_type(), &to.data_type) {
        (DataType::FixedSizeBinary(16), DataType::Utf8) => uuids(array),
        (DataType::FixedSizeBinary(int96::BYTES), DataType::Timestamp(..)) => {
            return held(int96::moments(array.as_fixed_size_binary()), array.len(), to, edge);
        }
        (DataType::Timestamp(TimeUnit::Nanosecond, _), _) => return micros::<TimestampNanosecondType>(array, to, edge),
        (DataType::Timestamp(TimeUnit::Millisecond, _), _) => {
            return micros::<TimestampMillisecondType>(array, to, edge);
        }
        (DataType::Timestamp(TimeUnit::Second, _), _) => return micros::<TimestampSecondType>(array, to, edge),
        (DataType::Null, _) => arrow::array::new_null_array(&DataType::Utf8, array.len()),
        (from, target) if from == target => Arc::clone(array),
        (_, target) => cast_with_options(array, target, &strict).map_err(refused)?,
    };
    Ok(Column { values, altered: None, twin: true })
}

fn uuids(array: &ArrayRef) -> ArrayRef {
    let array = array.as_fixed_size_binary();
    let mut out = StringBuilder::with_capacity(array.len(), array.len() * 36);
    for value in array {
        out.append_option(value.and_then(|b| uuid::Uuid::from_slice(b).ok()).map(|id| id.to_string()));
    }
    Arc::new(out.finish())
}

/// Times of another unit.
fn micros<T: ArrowTimestampType>(
    array: &ArrayRef,
    to: &SourceColumn,
    edge: EdgePolicy,
) -> Result<Column, (FailureCode, String)> {
    let array: &PrimitiveArray<T> = array.as_primitive();
    let zoned = matches!(&to.data_type, DataType::Timestamp(_, Some(_)));
    let exact = |value: i64| match T::UNIT {
        TimeUnit::Nanosecond => (value % 1000 == 0).then_some(value / 1000),
        TimeUnit::Millisecond => value.checked_mul(1000),
        _ => value.checked_mul(1_000_000),
    };
    let values =
        array.iter().map(|value| value.map(|value| exact(value).ok_or_else(|| text_of(value, T::UNIT, zoned))));
    held(values, array.len(), to, edge)
}

/// Microseconds where they are exact; the exact text beside a NULL where not.
fn held(
    values: impl Iterator<Item = Option<Result<i64, String>>>,
    rows: usize,
    to: &SourceColumn,
    edge: EdgePolicy,
) -> Result<Column, (FailureCode, String)> {
    let mut altered = Vec::new();
    let mut held = Vec::with_capacity(rows);
    for (row, value) in values.enumerate() {
        held.push(match value {
            Some(Err(_)) if edge == EdgePolicy::Fail => {
                let text = "a timestamp is finer or further than microseconds hold";
                return Err((FailureCode::ValueRefused, text.into()));
            }
            Some(Err(text)) => {
                altered.push((row, text));
                None
            }
            Some(Ok(exact)) => Some(exact),
            None => None,
        });
    }
    let held = TimestampMicrosecondArray::from(held);
    let zoned = matches!(&to.data_type, DataType::Timestamp(_, Some(_)));
    let values: ArrayRef = Arc::new(if zoned { held.with_timezone("UTC") } else { held });
    Ok(Column { values, altered: sparse(altered, rows), twin: edge != EdgePolicy::Null })
}

fn text_of(value: i64, unit: TimeUnit, zoned: bool) -> String {
    if unit != TimeUnit::Nanosecond {
        let unit = if unit == TimeUnit::Second { "s" } else { "ms" };
        return format!("{value} {unit} since 1970-01-01T00:00:00");
    }
    let time = chrono::DateTime::from_timestamp_nanos(value).format("%Y-%m-%dT%H:%M:%S%.9f");
    if zoned { format!("{time}Z") } else { time.to_string() }
}
