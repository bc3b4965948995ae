//! What a reader may skip a file by: row count, NULL counts, smallest and largest values.
//!
//! A wrong bound loses rows in readers, so a bound that can't be told exactly in the log's notation is left out.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use parquet::basic::{LogicalType, TimeUnit, Type as Physical};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescriptor;
use serde_json::{Map, Value, json};

/// The longest text that is written as a bound, in characters.
const TEXT_CHARS: usize = 32;
/// The last moment that readers take as a bound, in ms.
const LAST_MILLI: i64 = 253_402_300_799_999;

/// Rows and statistics of one column in one row group.
type Chunk<'a> = (i64, Option<&'a Statistics>);

/// Statistics of one data file, by column of the table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileStats {
    /// NULLs per top-level column that is not nested.
    pub null_count: BTreeMap<String, u64>,
    /// Smallest values; a column is in both bounds or in neither.
    pub min: BTreeMap<String, Value>,
    /// Largest values.
    pub max: BTreeMap<String, Value>,
}

impl FileStats {
    /// From a file's footer, as `ArrowWriter::close` returns it. Nested columns, floats, decimals and binary have no bounds.
    #[must_use]
    pub fn of_parquet(footer: &ParquetMetaData) -> Self {
        let mut stats = Self::default();
        let schema = footer.file_metadata().schema_descr();
        for (at, column) in schema.columns().iter().enumerate() {
            if column.path().parts().len() != 1 || column.max_rep_level() > 0 {
                continue;
            }
            let groups = footer.row_groups().iter();
            let chunks: Vec<_> = groups.map(|group| (group.num_rows(), group.column(at).statistics())).collect();
            stats.take(column, &chunks);
        }
        stats
    }

    fn take(&mut self, column: &ColumnDescriptor, chunks: &[Chunk<'_>]) {
        let name = column.name().to_owned();
        let nulls: Option<u64> = chunks.iter().map(|(_, chunk)| chunk.and_then(Statistics::null_count_opt)).sum();
        if let Some(nulls) = nulls {
            self.null_count.insert(name.clone(), nulls);
        }
        if let Some((min, max)) = bounds(column, chunks) {
            self.min.insert(name.clone(), min);
            self.max.insert(name, max);
        }
    }

    /// The text that stands in an `add` as `stats`.
    #[must_use]
    pub fn to_delta(&self, rows: u64) -> String {
        let mut object = Map::new();
        object.insert("numRecords".to_owned(), json!(rows));
        for (key, values) in [("minValues", &self.min), ("maxValues", &self.max)] {
            if !values.is_empty() {
                object.insert(key.to_owned(), json!(values));
            }
        }
        if !self.null_count.is_empty() {
            object.insert("nullCount".to_owned(), json!(self.null_count));
        }
        Value::Object(object).to_string()
    }
}

/// The bounds of one column over all row groups, or none where any group's can't be told. A group of NULLs has none.
fn bounds(column: &ColumnDescriptor, chunks: &[Chunk<'_>]) -> Option<(Value, Value)> {
    let mut whole: Option<Bounds> = None;
    for (rows, chunk) in chunks {
        let stats = (*chunk)?;
        if stats.null_count_opt().is_some_and(|nulls| i64::try_from(nulls) == Ok(*rows)) {
            continue;
        }
        let next = Bounds::of(stats)?;
        whole = Some(match whole {
            None => next,
            Some(before) => before.join(next)?,
        });
    }
    whole?.render(column)
}

/// Raw bounds in the file's own types.
enum Bounds {
    Whole(i64, i64),
    Text(String, String),
}

impl Bounds {
    fn of(stats: &Statistics) -> Option<Self> {
        match stats {
            Statistics::Int32(s) => Some(Self::Whole((*s.min_opt()?).into(), (*s.max_opt()?).into())),
            Statistics::Int64(s) => Some(Self::Whole(*s.min_opt()?, *s.max_opt()?)),
            Statistics::ByteArray(s) if s.min_is_exact() && s.max_is_exact() => {
                let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
                Some(Self::Text(text(s.min_opt()?.data())?, text(s.max_opt()?.data())?))
            }
            _ => None,
        }
    }

    fn join(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Whole(a, b), Self::Whole(c, d)) => Some(Self::Whole(a.min(c), b.max(d))),
            (Self::Text(a, b), Self::Text(c, d)) => Some(Self::Text(a.min(c), b.max(d))),
            _ => None,
        }
    }

    fn render(self, column: &ColumnDescriptor) -> Option<(Value, Value)> {
        match (self, column.logical_type_ref()) {
            (Self::Whole(min, max), None) if is_plain(column) => Some((json!(min), json!(max))),
            (Self::Whole(min, max), Some(LogicalType::Integer(int))) if int.is_signed => Some((json!(min), json!(max))),
            (Self::Whole(min, max), Some(LogicalType::Date)) => Some((date(min)?, date(max)?)),
            (Self::Whole(min, max), Some(LogicalType::Timestamp(time)))
                if time.is_adjusted_to_u_t_c && time.unit == TimeUnit::MICROS =>
            {
                let ceiling = max.div_euclid(1000) + i64::from(max.rem_euclid(1000) > 0);
                Some((milli(min.div_euclid(1000))?, milli(ceiling)?))
            }
            (Self::Text(min, max), Some(LogicalType::String)) => {
                let short = |text: &str| text.chars().count() <= TEXT_CHARS;
                (short(&min) && short(&max)).then(|| (json!(min), json!(max)))
            }
            _ => None,
        }
    }
}

/// Whether the older annotation says nothing else than an integer: dates and decimals are stored in the same bytes.
fn is_plain(column: &ColumnDescriptor) -> bool {
    use parquet::basic::ConvertedType as C;
    matches!(column.physical_type(), Physical::INT32 | Physical::INT64)
        && matches!(column.converted_type(), C::NONE | C::INT_8 | C::INT_16 | C::INT_32 | C::INT_64)
}

fn date(days: i64) -> Option<Value> {
    let date = NaiveDate::from_epoch_days(i32::try_from(days).ok()?)?;
    (1..=9999).contains(&date.year()).then(|| json!(date.format("%Y-%m-%d").to_string()))
}

fn milli(millis: i64) -> Option<Value> {
    let time = DateTime::<Utc>::from_timestamp_millis(millis)?;
    let usable = (1..=9999).contains(&time.year()) && millis <= LAST_MILLI;
    usable.then(|| json!(time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, BinaryArray, Date32Array, Decimal128Array, Float64Array, Int16Array, Int64Array, ListArray,
        RecordBatch, StringArray, TimestampMicrosecondArray,
    };
    use arrow::datatypes::Int32Type;
    use parquet::arrow::ArrowWriter;

    use super::*;

    /// Statistics of one column `x` that was written in row groups.
    fn stats(groups: &[ArrayRef]) -> FileStats {
        let batch = |column: &ArrayRef| {
            RecordBatch::try_from_iter_with_nullable([("x", column.clone(), true)]).expect("a batch")
        };
        let mut writer = ArrowWriter::try_new(Vec::new(), batch(&groups[0]).schema(), None).expect("a writer");
        for group in groups {
            writer.write(&batch(group)).expect("rows");
            writer.flush().expect("a row group");
        }
        FileStats::of_parquet(&writer.finish().expect("a footer"))
    }

    fn bounds_of(groups: impl AsRef<[ArrayRef]>) -> Option<(Value, Value)> {
        let stats = stats(groups.as_ref());
        assert_eq!(stats.min.len(), stats.max.len());
        Some((stats.min.get("x")?.clone(), stats.max.get("x")?.clone()))
    }

    #[test]
    fn integers_have_bounds_over_all_row_groups_and_groups_of_nulls() {
        let nulls: ArrayRef = Arc::new(Int64Array::from(vec![None::<i64>, None]));
        let groups: Vec<ArrayRef> =
            vec![Arc::new(Int64Array::from(vec![5, i64::MAX])), nulls.clone(), Arc::new(Int64Array::from(vec![-7]))];
        let found = stats(&groups);
        assert_eq!(found.null_count.get("x"), Some(&2));
        assert_eq!(bounds_of(groups), Some((json!(-7), json!(i64::MAX))));
        assert_eq!(bounds_of(vec![nulls]), None);
        let small: ArrayRef = Arc::new(Int16Array::from(vec![3, -3]));
        assert_eq!(bounds_of(vec![small]), Some((json!(-3), json!(3))));
    }

    #[test]
    fn a_timestamps_bounds_are_floored_and_rounded_up_to_milliseconds() {
        let utc = |values: Vec<i64>| -> Vec<ArrayRef> {
            vec![Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC"))]
        };
        let text = |a: &str, b: &str| Some((json!(a), json!(b)));
        assert_eq!(bounds_of(utc(vec![1, 1_001])), text("1970-01-01T00:00:00.000Z", "1970-01-01T00:00:00.002Z"));
        assert_eq!(bounds_of(utc(vec![-1, -1])), text("1969-12-31T23:59:59.999Z", "1970-01-01T00:00:00.000Z"));
        let last = 253_402_300_799_999_000;
        assert!(bounds_of(utc(vec![0, last])).is_some());
        assert_eq!(bounds_of(utc(vec![0, last + 1])), None, "the ceiling passes the last moment");
        let local: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1]));
        assert_eq!(bounds_of(vec![local]), None);
    }

    #[test]
    fn dates_outside_the_calendar_and_long_texts_have_no_bounds() {
        let dates = |days: Vec<i32>| -> Vec<ArrayRef> { vec![Arc::new(Date32Array::from(days))] };
        assert_eq!(bounds_of(dates(vec![-719_162, 2_932_896])), Some((json!("0001-01-01"), json!("9999-12-31"))));
        assert_eq!(bounds_of(dates(vec![-719_163, 0])), None);
        assert_eq!(bounds_of(dates(vec![0, 2_932_897])), None);
        let texts = |text: &str| -> Vec<ArrayRef> { vec![Arc::new(StringArray::from(vec!["a", text]))] };
        assert_eq!(bounds_of(texts(&"ü".repeat(32))), Some((json!("a"), json!("ü".repeat(32)))));
        assert_eq!(bounds_of(texts(&"ü".repeat(33))), None);
        assert_eq!(bounds_of(texts(&"b".repeat(500))), None, "a bound that the footer cut");
    }

    #[test]
    fn floats_decimals_and_bytes_have_no_bounds_and_lists_not_even_a_count() {
        let decimal = Decimal128Array::from(vec![110]).with_precision_and_scale(10, 2).expect("a decimal");
        let arrays: [ArrayRef; 3] = [
            Arc::new(Float64Array::from(vec![1.0, f64::NAN])),
            Arc::new(decimal),
            Arc::new(BinaryArray::from(vec![&b"x"[..]])),
        ];
        for array in arrays {
            let found = stats(&[array]);
            assert_eq!((found.min.len(), found.null_count.get("x")), (0, Some(&0)));
        }
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None]);
        assert_eq!(stats(&[Arc::new(list)]), FileStats::default());
    }

    #[test]
    fn the_text_in_an_add_has_no_empty_object() {
        assert_eq!(FileStats::default().to_delta(3), "{\"numRecords\":3}");
    }
}
