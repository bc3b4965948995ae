//! INT96 timestamps, as Spark, Hive and Impala wrote them: read as their own twelve bytes and converted here.
//!
//! The decoder gives them in one unit only: nanoseconds wrap outside the years 1677 to 2262, microseconds cut what is finer,
//! and neither is said. So a column of them is called twelve bytes before it is decoded.

use std::sync::Arc;

use arrow::array::FixedSizeBinaryArray;
use chrono::{DateTime, Datelike};
use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::errors::Result as Parsed;
use parquet::file::metadata::{ColumnChunkMetaData, FileMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor, Type, TypePtr};

/// Bytes of a value: nanoseconds of the day, then the day.
pub(super) const BYTES: i32 = 12;
/// The Julian day of 1970-01-01.
const EPOCH: i128 = 2_440_588;
const NANOS_OF_A_DAY: i128 = 86_400_000_000_000;

/// The same metadata with INT96 columns as twelve bytes, and the places of these columns. Those inside of others stay: no
/// table type holds them.
pub(super) fn as_bytes(metadata: ParquetMetaData) -> Parsed<(ParquetMetaData, Vec<usize>)> {
    let file = metadata.file_metadata();
    let root = file.schema_descr().root_schema_ptr();
    let is_time = |field: &TypePtr| {
        let info = field.get_basic_info();
        let is_one = field.is_primitive() && info.repetition() != Repetition::REPEATED;
        is_one && field.get_physical_type() == Physical::INT96 && info.logical_type_ref() != Some(&LogicalType::Unknown)
    };
    let fields = root.get_fields().iter();
    let places: Vec<usize> = fields.clone().enumerate().filter(|(_, field)| is_time(field)).map(|(at, _)| at).collect();
    if places.is_empty() {
        return Ok((metadata, places));
    }
    let fields = fields.map(|field| if is_time(field) { twelve_bytes(field) } else { Ok(Arc::clone(field)) });
    let schema = Type::group_type_builder(root.name()).with_fields(fields.collect::<Parsed<_>>()?).build()?;
    let schema = Arc::new(SchemaDescriptor::new(Arc::new(schema)));
    let groups = metadata.row_groups().iter().map(|group| row_group(group, &schema)).collect::<Parsed<_>>()?;
    let author = file.created_by().map(str::to_owned);
    let file = FileMetaData::new(file.version(), file.num_rows(), author, None, schema, None);
    Ok((ParquetMetaData::new(file, groups), places))
}

fn twelve_bytes(field: &TypePtr) -> Parsed<TypePtr> {
    let repetition = field.get_basic_info().repetition();
    let bytes = Type::primitive_type_builder(field.name(), Physical::FIXED_LEN_BYTE_ARRAY).with_length(BYTES);
    bytes.with_repetition(repetition).build().map(Arc::new)
}

fn row_group(group: &RowGroupMetaData, schema: &SchemaDescPtr) -> Parsed<RowGroupMetaData> {
    let columns = group.columns().iter().enumerate().map(|(leaf, chunk)| {
        let column = schema.column(leaf);
        if chunk.column_type() == column.physical_type() {
            return Ok(chunk.clone());
        }
        // Statistics are of the other type; nothing here reads them.
        ColumnChunkMetaData::builder(column)
            .set_encodings_mask(*chunk.encodings_mask())
            .set_num_values(chunk.num_values())
            .set_compression_codec(chunk.compression_codec())
            .set_total_compressed_size(chunk.compressed_size())
            .set_total_uncompressed_size(chunk.uncompressed_size())
            .set_data_page_offset(chunk.data_page_offset())
            .set_dictionary_page_offset(chunk.dictionary_page_offset())
            .build()
    });
    RowGroupMetaData::builder(Arc::clone(schema))
        .set_num_rows(group.num_rows())
        .set_total_byte_size(group.total_byte_size())
        .set_column_metadata(columns.collect::<Parsed<_>>()?)
        .build()
}

/// Microseconds since 1970 of each value, or the exact text of one that they do not hold.
pub(super) fn moments(values: &FixedSizeBinaryArray) -> impl Iterator<Item = Option<Result<i64, String>>> {
    values.iter().map(|value| Some(moment(value?.try_into().ok()?)))
}

fn moment(value: [u8; BYTES as usize]) -> Result<i64, String> {
    let [nanos @ .., d1, d2, d3, d4] = value;
    let days = i128::from(i32::from_le_bytes([d1, d2, d3, d4])) - EPOCH;
    let nanos = days * NANOS_OF_A_DAY + i128::from(i64::from_le_bytes(nanos));
    let exact = (nanos % 1000 == 0).then(|| i64::try_from(nanos / 1000).ok()).flatten();
    exact.ok_or_else(|| text(nanos))
}

/// The time with all its digits, or their number where it is outside of the years that are written with four.
fn text(nanos: i128) -> String {
    let (seconds, rest) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
    let time =
        i64::try_from(seconds).ok().zip(u32::try_from(rest).ok()).and_then(|(s, n)| DateTime::from_timestamp(s, n));
    match time.filter(|time| (0..=9999).contains(&time.year())) {
        Some(time) => time.format("%Y-%m-%dT%H:%M:%S%.9f").to_string(),
        None => format!("{nanos} ns since 1970-01-01T00:00:00"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(day: i32, nanos: i64) -> [u8; 12] {
        let mut value = [0; 12];
        value[..8].copy_from_slice(&nanos.to_le_bytes());
        value[8..].copy_from_slice(&day.to_le_bytes());
        value
    }

    #[test]
    fn every_value_is_exact_in_microseconds_or_as_text() {
        let day = 86_400_000_000_000;
        assert_eq!(moment(value(2_440_588, 0)), Ok(0));
        assert_eq!(moment(value(2_440_587, day - 1000)), Ok(-1));
        // 0001-01-01 and the last microsecond of 9999.
        assert_eq!(moment(value(1_721_426, 0)), Ok(-62_135_596_800_000_000));
        assert_eq!(moment(value(5_373_484, day - 1000)), Ok(253_402_300_799_999_999));
        assert_eq!(moment(value(5_373_484, day - 1)), Err("9999-12-31T23:59:59.999999999".into()));
        assert_eq!(moment(value(2_440_587, day - 1)), Err("1969-12-31T23:59:59.999999999".into()));
        // What no writer writes: beyond the calendar, and more or less than a day's nanoseconds.
        let far = moment(value(i32::MAX, 0)).expect_err("too far");
        assert_eq!(far, format!("{}000 ns since 1970-01-01T00:00:00", (i128::from(i32::MAX) - EPOCH) * 86_400_000_000));
        assert_eq!(moment(value(2_440_588, -1000)), Ok(-1));
        assert_eq!(moment(value(2_440_588, i64::MAX)), Err("2262-04-11T23:47:16.854775807".into()));
        assert!(moment(value(i32::MIN, i64::MIN)).is_err());
    }
}
