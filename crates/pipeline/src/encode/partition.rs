//! Partitions: which rows of a table belong together by the values of some columns, and how such a value is spelled.
//!
//! In the log a value is text, in a key it is a directory `<column>=<value>` with everything but letters, digits and `-._~`
//! percent-encoded. The columns stay in the files too, since some readers look there and others in the log or the path.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use arrow::array::{Array, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{take, take_record_batch};
use arrow::datatypes::{DataType, Schema};
use arrow::row::{RowConverter, SortField};
use percent_encoding::utf8_percent_encode;
use waybill_model::plan::{Files, Format, RUN_DAY};
use waybill_model::{FailureCode, RunId};

use super::text::cell::{Cell, date};
use crate::commit::key::SEGMENT;
use crate::fault::{Fault, FaultResult};
use crate::source::Batch;

/// The column that holds a run's day.
pub(crate) const RUN_DAY_COLUMN: &str = "run_day";
/// How Hive, and all after it, spell a NULL in a path.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";
/// Bytes of a directory's name at most; file systems stop at 255.
const SEGMENT_BYTES: usize = 240;
/// Bytes of all directories of one key; object stores stop at 1,024 for all of it.
const PATH_BYTES: usize = 480;
/// Bytes of a value: each stands in memory until the commit, and in the log for good.
const TEXT_BYTES: usize = 4096;
/// The first and the last day that every reader shows: 0001-01-01 and 9999-12-31.
const CALENDAR: std::ops::RangeInclusive<i32> = -719_162..=2_932_896;

/// By what the rows of a stream are kept apart.
#[derive(Clone, Default)]
pub struct PartitionBy {
    /// Places of columns in the stream's schema, in order; none for the run's day.
    places: Vec<(String, Option<usize>)>,
    /// The run's day, in days since 1970.
    day: i32,
}

/// One partition: the columns in order, with their values as the log has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Partition(Vec<(String, Option<String>)>);

impl Partition {
    #[cfg(test)]
    pub(super) fn of(name: &str, value: &str) -> Self {
        Self(vec![(name.to_owned(), Some(value.to_owned()))])
    }

    /// The values by column.
    pub(super) fn values(&self) -> BTreeMap<String, Option<String>> {
        self.0.iter().cloned().collect()
    }

    /// The directories in a key, with a slash behind each. Where a store could not name them there are none: log and file have the
    /// values.
    pub(super) fn path(&self) -> String {
        let mut path = String::new();
        for (name, value) in &self.0 {
            let from = path.len();
            let value = value.as_deref().map(|value| utf8_percent_encode(value, SEGMENT).to_string());
            let _ = write!(path, "{}={}", utf8_percent_encode(name, SEGMENT), value.as_deref().unwrap_or(NULL));
            if path.len() - from > SEGMENT_BYTES || path.len() >= PATH_BYTES {
                return String::new();
            }
            path.push('/');
        }
        path
    }

    /// Memory that names and values take.
    pub(super) fn bytes(&self) -> usize {
        let value = |value: &Option<String>| value.as_ref().map_or(0, String::len);
        self.0.iter().map(|(name, text)| name.len() + value(text) + size_of::<(String, Option<String>)>()).sum()
    }
}

/// The table's columns that a pipeline partitions by.
pub(crate) fn columns(files: &Files) -> Vec<String> {
    let name = |name: &String| if name == RUN_DAY { RUN_DAY_COLUMN.to_owned() } else { name.clone() };
    files.partition_by.iter().map(name).collect()
}

/// Whether rows are kept apart by the day of their run.
pub(crate) fn has_run_day(files: &Files) -> bool {
    files.partition_by.iter().any(|name| name == RUN_DAY)
}

impl PartitionBy {
    /// Of a stream with these columns.
    pub fn of(schema: &Schema, files: &Files, run: RunId) -> FaultResult<Self> {
        if files.partition_by.is_empty() {
            return Ok(Self::default());
        }
        if files.format != Format::Delta {
            let text =
                format!("files of the format {} are not partitioned: `partition-by` needs a Delta table", files.format);
            return Err(Fault::new(FailureCode::SpecRefused, text));
        }
        let place = |name: &String| {
            if name == RUN_DAY {
                return free(schema).map(|()| (RUN_DAY_COLUMN.to_owned(), None));
            }
            let at = schema.index_of(name).map_err(|_| {
                Fault::new(
                    FailureCode::ColumnNotFound,
                    format!("`partition-by` names {name}, which is no column of the stream"),
                )
            })?;
            check_type(name, schema.field(at).data_type())?;
            Ok((name.clone(), Some(at)))
        };
        let places = files.partition_by.iter().map(place).collect::<FaultResult<Vec<_>>>()?;
        if places.iter().filter(|(_, place)| place.is_some()).count() >= schema.fields().len() {
            let text = "`partition-by` names every column of the stream: a Delta table needs one besides";
            return Err(Fault::new(FailureCode::SpecRefused, text));
        }
        let millis = i64::try_from(run.to_u128() >> 80).unwrap_or(0);
        Ok(Self { places, day: i32::try_from(millis / 86_400_000).unwrap_or(0) })
    }

    /// Whether all rows belong together.
    pub(super) fn is_none(&self) -> bool {
        self.places.is_empty()
    }

    /// The day that every row of the run has in a column of its own.
    pub(super) fn run_day(&self) -> Option<i32> {
        self.places.iter().any(|(_, place)| place.is_none()).then_some(self.day)
    }

    /// The rows of each partition, in the order in which they come.
    pub(super) fn split(&self, rows: &RecordBatch) -> FaultResult<Vec<(Partition, Vec<u32>)>> {
        let columns: Vec<_> = self.places.iter().filter_map(|(_, at)| Some(rows.column((*at)?).clone())).collect();
        let mut parts: Vec<Vec<u32>> = Vec::new();
        if columns.is_empty() {
            parts.push((0_u32..).take(rows.num_rows()).collect()); // all rows are of the one day
        } else {
            let bug = |_| Fault::new(FailureCode::WorkerBug, "partition columns that can't be compared");
            let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
            let keys =
                RowConverter::new(fields).and_then(|converter| converter.convert_columns(&columns)).map_err(bug)?;
            let mut seen = HashMap::new();
            for (row, key) in (0_u32..).zip(keys.iter()) {
                let at = *seen.entry(key).or_insert_with(|| {
                    parts.push(Vec::new());
                    parts.len() - 1
                });
                parts[at].push(row);
            }
        }
        let part = |part: Vec<u32>| {
            let first = part.first().copied().unwrap_or(0);
            Ok((self.partition(rows, first as usize)?, part))
        };
        parts.into_iter().map(part).collect()
    }

    fn partition(&self, rows: &RecordBatch, row: usize) -> FaultResult<Partition> {
        let value = |(name, place): &(String, Option<usize>)| {
            let value = match place {
                Some(at) => spelled(name, rows.column(*at).as_ref(), row)?,
                None => Some(day_text(self.day)),
            };
            Ok((name.clone(), value))
        };
        self.places.iter().map(value).collect::<FaultResult<_>>().map(Partition)
    }
}

/// The run's day gets a column, whose name must be free.
fn free(schema: &Schema) -> FaultResult<()> {
    match schema.fields().iter().find(|field| field.name().eq_ignore_ascii_case(RUN_DAY_COLUMN)) {
        Some(field) => {
            let text = format!(
                "`partition-by: [{RUN_DAY}]` makes a column {RUN_DAY_COLUMN}, and the stream has {} already: drop or rename that one",
                field.name()
            );
            Err(Fault::new(FailureCode::ColumnNameUnusable, text))
        }
        None => Ok(()),
    }
}

fn check_type(name: &str, kind: &DataType) -> FaultResult<()> {
    if kind.is_integer() || matches!(kind, DataType::Boolean | DataType::Date32 | DataType::Utf8) {
        return Ok(());
    }
    let text = format!(
        "`partition-by` names {name}, which is {kind}: a table is partitioned by texts, integers, dates or booleans"
    );
    Err(Fault::new(FailureCode::SpecRefused, text))
}

/// A value as the log has it.
fn spelled(name: &str, column: &dyn Array, row: usize) -> FaultResult<Option<String>> {
    let refused = |what: &str| {
        let text = format!("a value of {name}, which the table is partitioned by, {what}; partition by something else");
        Err(Fault::new(FailureCode::ValueRefused, text))
    };
    match Cell::at(column, row) {
        Some(Cell::Null) => Ok(None),
        Some(Cell::Bool(value)) => Ok(Some(value.to_string())),
        Some(Cell::Whole(value)) => Ok(Some(value.to_string())),
        Some(Cell::Date(days)) if CALENDAR.contains(&days) => Ok(Some(day_text(days))),
        Some(Cell::Date(_)) => refused("lies outside the years 1 to 9999"),
        Some(Cell::Text("")) => refused("is an empty text, which readers of partitions take for a NULL"),
        Some(Cell::Text(text)) if text == NULL => refused("is the text that stands for NULL in paths"),
        Some(Cell::Text(text)) if text.len() > TEXT_BYTES => {
            refused(&format!("has {} bytes, and {TEXT_BYTES} are the most", text.len()))
        }
        Some(Cell::Text(text)) => Ok(Some(text.to_owned())),
        _ => Err(Fault::new(FailureCode::WorkerBug, "a partition column of a type that was refused before")),
    }
}

fn day_text(days: i32) -> String {
    let mut text = Vec::new();
    // Nothing fails in memory.
    let _ = date(days.into(), &mut text);
    String::from_utf8(text).unwrap_or_default()
}

/// These rows, and no memory of others.
pub(super) fn taken(batch: &Batch, rows: Vec<u32>) -> FaultResult<Batch> {
    let bug = |_| Fault::new(FailureCode::WorkerBug, "a batch could not be split");
    let rows = UInt32Array::from(rows);
    let mut twins = Vec::with_capacity(batch.twins.len());
    for (at, texts) in &batch.twins {
        twins.push((*at, take(texts, &rows, None).map_err(bug)?.as_string::<i32>().clone()));
    }
    Ok(Batch { twins, ..Batch::exact(take_record_batch(&batch.rows, &rows).map_err(bug)?) })
}

#[cfg(test)]
mod tests {
    use arrow::array::StringArray;

    use super::*;

    #[test]
    fn a_partition_is_a_directory_that_no_reader_takes_for_another() {
        let of = |value: Option<&str>| Partition(vec![("a b".to_owned(), value.map(str::to_owned))]).path();
        assert_eq!(of(Some("x/..%=é")), "a%20b=x%2F..%25%3D%C3%A9/");
        assert_eq!(
            (of(None).as_str(), of(Some("NULL")).as_str()),
            ("a%20b=__HIVE_DEFAULT_PARTITION__/", "a%20b=NULL/")
        );
        assert_eq!(Partition::default().path(), "");
        assert_eq!(of(Some("NUL \0, #?\n")), "a%20b=NUL%20%00%2C%20%23%3F%0A/");
    }

    #[test]
    fn a_text_that_is_longer_than_any_log_should_hold_is_refused() {
        let texts = StringArray::from(vec!["x".repeat(TEXT_BYTES), "é".repeat(TEXT_BYTES / 2 + 1)]);
        assert_eq!(spelled("p", &texts, 0).expect("a value").map(|text| text.len()), Some(TEXT_BYTES));
        let fault = spelled("p", &texts, 1).expect_err("too long");
        assert_eq!(fault.code, FailureCode::ValueRefused);
        assert!(fault.text.for_customer().contains("has 4098 bytes, and 4096 are the most; partition by"));
    }

    #[test]
    fn values_that_no_store_could_have_in_a_key_are_in_none() {
        let column = |value: &str| ("p".to_owned(), Some(value.to_owned()));
        assert_eq!(Partition(vec![column(&"x".repeat(238))]).path().len(), 241);
        for too_long in
            [vec![column(&"x".repeat(239))], vec![column(&"é".repeat(40))], vec![column(&"x".repeat(200)); 3]]
        {
            assert_eq!(Partition(too_long).path(), "");
        }
    }
}
