//! How each column of a file is encoded, decided from the first batch that it takes.
//!
//! A dictionary costs a hash per value and pays only where values repeat. A near-unique column does without: integers,
//! dates and decimals as differences (`DELTA_BINARY_PACKED`), the rest plain; the compressor does what is left. Where an
//! encoding left it next to nothing, which a trial on the first rows tells, the compressor's time is saved.

mod trial;

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Decimal128Type, Int16Type, Int32Type, Int64Type, TimeUnit};
use arrow::datatypes::{Date32Type, Float32Type, Float64Type, TimestampMicrosecondType};
use parquet::basic::{Compression as Codec, Encoding, GzipLevel, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use waybill_model::plan::Compression;

use super::Target;

/// Rows that are looked at.
const SAMPLE: usize = 16_384;
/// Fewer rows than this tell nothing.
const SMALL: usize = 256;

/// What a column of a file is encoded with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Values repeat, or nothing is known: a dictionary, plain where it grows too large.
    Dictionary,
    /// Numbers that hardly repeat.
    Differences,
    /// Other values that hardly repeat.
    Plain,
}

/// The size at which a page ends, before it is compressed.
pub(super) fn page_bytes(target: &Target) -> usize {
    let columns = target.schema.fields().len().max(1);
    (target.row_group_bytes / columns / 4).clamp(16 << 10, 1 << 20)
}

/// One column's share of a file.
struct Choice {
    name: String,
    way: Way,
    /// Whether its pages are compressed.
    squeezed: bool,
}

impl Choice {
    fn of(name: &str, column: &ArrayRef, compression: Compression) -> Self {
        let mut choice = Self { name: name.to_owned(), way: way_of(column), squeezed: true };
        // What is stored plain is always compressed: later texts may repeat where the first ones do not.
        choice.squeezed = choice.way == Way::Plain || trial::pays(column, &choice, compression);
        choice
    }

    fn apply(&self, properties: WriterPropertiesBuilder, path: ColumnPath) -> WriterPropertiesBuilder {
        let properties = match self.way {
            Way::Dictionary => properties,
            Way::Differences => properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path.clone(), Encoding::DELTA_BINARY_PACKED),
            Way::Plain => properties.set_column_dictionary_enabled(path.clone(), false),
        };
        if self.squeezed { properties } else { properties.set_column_compression(path, Codec::UNCOMPRESSED) }
    }
}

fn codec(compression: Compression) -> Codec {
    match compression {
        Compression::Zstd => Codec::ZSTD(ZstdLevel::try_new(1).unwrap_or_default()),
        Compression::Snappy => Codec::SNAPPY,
        Compression::Gzip => Codec::GZIP(GzipLevel::default()),
        Compression::None => Codec::UNCOMPRESSED,
    }
}

/// The choices for a file's columns; none where its format has none.
#[derive(Default)]
pub(super) struct ColumnPlan(Vec<Choice>);

impl ColumnPlan {
    /// From the first rows that a file takes.
    pub(super) fn from_first(rows: &RecordBatch, compression: Compression) -> Self {
        let schema = rows.schema();
        let columns = rows.columns().iter().zip(schema.fields());
        Self(columns.map(|(column, field)| Choice::of(field.name(), column, compression)).collect())
    }

    /// The properties of a new file. Buffers that each column has of its own shrink with the number of columns.
    pub(super) fn properties(&self, target: &Target) -> WriterProperties {
        let share = page_bytes(target);
        let notes = target.notes.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
        let mut properties = WriterProperties::builder()
            .set_created_by(concat!("waybill ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(codec(target.files.compression))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_dictionary_page_size_limit(share)
            .set_data_page_size_limit(share)
            .set_max_row_group_row_count(Some(1 << 20))
            // Without bounds per page nothing is skipped by it, and it stays in memory until the file ends.
            .set_offset_index_disabled(true)
            .set_key_value_metadata(Some(notes.collect()));
        for choice in &self.0 {
            properties = choice.apply(properties, ColumnPath::new(vec![choice.name.clone()]));
        }
        properties.build()
    }
}

/// New values per row in the last quarter of the sample tell whether a dictionary would go on growing.
fn way_of(column: &ArrayRef) -> Way {
    let Some(news) = rate_of_new(column) else { return Way::Dictionary };
    match column.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary if news > 0.3 => Way::Plain,
        DataType::Float32 | DataType::Float64 if news > 0.3 => Way::Plain,
        // Up to 18 digits a decimal is stored as an integer.
        DataType::Decimal128(digits, _) if *digits > 18 => Way::Dictionary,
        DataType::Int32 | DataType::Int64 | DataType::Date32 | DataType::Timestamp(..) | DataType::Decimal128(..)
            if news > 0.1 =>
        {
            Way::Differences
        }
        _ => Way::Dictionary,
    }
}

fn rate_of_new(column: &ArrayRef) -> Option<f64> {
    let hasher = RandomState::new();
    let rows = column.len().min(SAMPLE);
    let valid = |at: &usize| column.is_valid(*at);
    macro_rules! count {
        ($values:expr) => {{
            let values = $values;
            news((0..rows).filter(valid).map(|at| hasher.hash_one(values.value(at))))
        }};
        (bits $values:expr) => {{
            let values = $values;
            news((0..rows).filter(valid).map(|at| hasher.hash_one(values.value(at).to_bits())))
        }};
    }
    match column.data_type() {
        DataType::Int16 => count!(column.as_primitive::<Int16Type>()),
        DataType::Int32 => count!(column.as_primitive::<Int32Type>()),
        DataType::Int64 => count!(column.as_primitive::<Int64Type>()),
        DataType::Date32 => count!(column.as_primitive::<Date32Type>()),
        DataType::Timestamp(TimeUnit::Microsecond, _) => count!(column.as_primitive::<TimestampMicrosecondType>()),
        DataType::Decimal128(..) => count!(column.as_primitive::<Decimal128Type>()),
        DataType::Float32 => count!(bits column.as_primitive::<Float32Type>()),
        DataType::Float64 => count!(bits column.as_primitive::<Float64Type>()),
        DataType::Utf8 => count!(column.as_string::<i32>()),
        DataType::LargeUtf8 => count!(column.as_string::<i64>()),
        DataType::Binary => count!(column.as_binary::<i32>()),
        _ => None,
    }
}

fn news(hashes: impl Iterator<Item = u64>) -> Option<f64> {
    let hashes: Vec<u64> = hashes.collect();
    if hashes.len() < SMALL {
        return None;
    }
    let (first, last) = hashes.split_at(hashes.len() / 4 * 3);
    let mut seen: HashSet<u64> = first.iter().copied().collect();
    let new = last.iter().filter(|hash| seen.insert(**hash)).count();
    Some(new as f64 / last.len() as f64)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};

    use super::*;

    #[test]
    fn a_key_gets_no_dictionary_and_a_flag_does() {
        let key: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10_000));
        let flag: ArrayRef = Arc::new(StringArray::from_iter_values((0..10_000).map(|n| ["A", "N", "R"][n % 3])));
        let text: ArrayRef = Arc::new(StringArray::from_iter_values((0..10_000).map(|n| format!("comment {n}"))));
        assert_eq!((way_of(&key), way_of(&flag), way_of(&text)), (Way::Differences, Way::Dictionary, Way::Plain));
    }

    #[test]
    fn a_few_rows_tell_nothing() {
        let key: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100));
        assert_eq!(way_of(&key), Way::Dictionary);
    }
}
