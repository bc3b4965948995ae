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
