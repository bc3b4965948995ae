//! What a stream's rows are expected to be, held against every batch on its way, and told before the commit.
//!
//! It counts, and keeps digests where `unique` asks for them: no value of a row is kept or shown. A value that stands as text in
//! a twin column is there, although its column is NULL.

mod range;
mod unique;

use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::Array;
use arrow::buffer::NullBuffer;
use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};
use waybill_model::FailureCode;
use waybill_model::plan::{Check, Expectation, OnFailure, RowCount, StreamPlan};

use self::range::Within;
use self::unique::Seen;
use crate::budget::Reservation;
use crate::fault::{Fault, FaultResult};
use crate::source::Batch;

/// How one expectation came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// Its number in the stream's list, from 1.
    pub number: u64,
    /// What was expected.
    pub expectation: Expectation,
    /// Rows that are not so; of the number of rows, how many came.
    pub rows: u64,
    /// Whether it holds.
    pub holds: bool,
}

impl Expected {
    /// Whether the stream fails by it.
    #[must_use]
    pub fn fails(&self) -> bool {
        !self.holds && self.expectation.on_failure == OnFailure::Fail
    }

    /// One line for people: its number, what it is, and how many rows.
    #[must_use]
    pub fn told(&self) -> String {
        self.expectation.told(self.number, self.rows)
    }
}

/// What the rows are that were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Brought {
    /// What the plan's load brings: a table or a window.
    Asked,
    /// The whole stream where the plan's load brings windows: the most that one may bring is not asked of it.
    Whole,
    /// A range that somebody chose: how many rows lie in it is nobody's expectation.
    Range,
}

/// The expectations of one stream under way; all its lanes count into it.
pub(crate) struct Expectations {
    all: Vec<One>,
    /// What `unique` keeps digests in.
    _memory: Option<Reservation>,
}

struct One {
    expectation: Expectation,
    looks: Looks,
    broken: AtomicU64,
}

/// An expectation with the places of its columns.
enum Looks {
    Filled(Vec<usize>),
    Unique(Seen),
    Within(Within),
    Count(RowCount),
}

impl Expectations {
    /// Those of a stream whose rows have these columns. `each` is how many bytes one `unique` may take of the memory.
    pub(crate) fn of(
        stream: &StreamPlan,
        schema: &SchemaRef,
        (memory, each): (Option<Reservation>, usize),
    ) -> FaultResult<Self> {
        let one = |(number, expectation): (u64, &Expectation)| {
            let looks = looks(stream, schema, &expectation.check, each).map_err(|(code, why)| {
                Fault::new(code, format!("expectation {number} ({}): {why}", expectation.check))
            })?;
            Ok(One { expectation: expectation.clone(), looks, broken: AtomicU64::new(0) })
        };
        Ok(Self { all: (1..).zip(&stream.expect).map(one).collect::<FaultResult<_>>()?, _memory: memory })
    }

    /// Those of a stream that has no rows this time, and of whose columns nothing is known: only how many rows come can be another
    /// number than expected.
    pub(crate) fn of_no_rows(stream: &StreamPlan) -> Self {
        let one = |expectation: &Expectation| {
            let looks = match &expectation.check {
                Check::Rows(count) => Looks::Count(count.clone()),
                Check::NotNull(_) | Check::Unique(_) | Check::Range(_) => Looks::Filled(Vec::new()),
            };
            One { expectation: expectation.clone(), looks, broken: AtomicU64::new(0) }
        };
        Self { all: stream.expect.iter().map(one).collect(), _memory: None }
    }

    /// Holds them against rows on their way. Takes a processor's time and does no I/O.
    pub(crate) fn take(&self, batch: &Batch) -> FaultResult<()> {
        for (number, one) in (1..).zip(&self.all) {
            let broken = match &one.looks {
                Looks::Filled(places) => empty(batch, places),
                Looks::Within(within) => within.outside(batch)?,
                Looks::Unique(seen) => {
                    let too_many = |text| {
                        let text = format!("expectation {number} ({}): {text}", one.expectation.check);
                        Fault::new(FailureCode::ExpectationTooLarge, text)
                    };
                    seen.take(batch)?.map_err(too_many)?;
                    0
                }
                Looks::Count(_) => 0,
            };
            one.broken.fetch_add(broken as u64, Ordering::Relaxed);
        }
        Ok(())
    }

    /// How they came out, once every row was taken: so many in all, and so many in the commit that they are compared with. Where
    /// a stream of windows is read whole, the most that a window may bring bounds nothing. Takes a processor's time.
    pub(crate) fn told(&self, rows: u64, before: Option<u64>, brought: Brought) -> Vec<Expected> {
        let one = |(number, one): (u64, &One)| {
            let (rows, holds) = match (&one.looks, brought) {
                (Looks::Count(count), Brought::Whole) => {
                    (rows, is_expected(&RowCount { max: None, ..count.clone() }, rows, before))
                }
                (Looks::Count(_), Brought::Range) => (rows, true),
                (Looks::Count(count), Brought::Asked) => (rows, is_expected(count, rows, before)),
                (Looks::Unique(seen), _) => seen.again().map_or((0, true), |again| (again, again == 0)),
                (Looks::Filled(_) | Looks::Within(_), _) => {
                    let broken = one.broken.load(Ordering::Relaxed);
                    (broken, broken == 0)
                }
            };
            Expected { number, expectation: one.expectation.clone(), rows, holds }
        };
        (1..).zip(&self.all).map(one).collect()
    }
}

type Refusal = (FailureCode, String);

fn looks(stream: &StreamPlan, schema: &SchemaRef, check: &Check, each: usize) -> Result<Looks, Refusal> {
    let place = |column: &str| {
        let name = stream.columns.rename.get(column).map_or(column, String::as_str);
        let missing = |_| (FailureCode::ColumnNotFound, format!("the source has no column {column}"));
        schema.index_of(name).map_err(missing)
    };
    let places = |columns: &[String]| columns.iter().map(|column| place(column)).collect::<Result<Vec<_>, _>>();
    let unusable = |text| (FailureCode::ExpectationUnusable, text);
    Ok(match check {
        Check::NotNull(columns) => Looks::Filled(places(columns)?),
        Check::Unique(columns) => Looks::Unique(Seen::of(schema, places(columns)?, each).map_err(unusable)?),
        Check::Range(range) => Looks::Within(Within::of(range, schema, place(&range.column)?).map_err(unusable)?),
        Check::Rows(count) => Looks::Count(count.clone()),
    })
}

/// Rows in which a value is there, be it in the twin; none where it is in all.
fn there(batch: &Batch, at: usize) -> Option<NullBuffer> {
    let own = batch.rows.column(at).logical_nulls()?;
    match batch.twins.iter().find(|(place, _)| *place == at) {
        None => Some(own),
        Some((_, twin)) => twin.nulls().map(|texts| NullBuffer::new(own.inner() | texts.inner())),
    }
}

/// Rows in which any of these is not there.
fn empty(batch: &Batch, places: &[usize]) -> usize {
    let all = places.iter().fold(None, |all, at| NullBuffer::union(all.as_ref(), there(batch, *at).as_ref()));
    all.map_or(0, |all| all.null_count())
}

/// Whether so many rows are what was expected. Where there is nothing to compare with, no change is too large.
fn is_expected(count: &RowCount, rows: u64, before: Option<u64>) -> bool {
    let change = count.change.zip(before.filter(|before| *before > 0)).is_none_or(|(share, before)| {
        u128::from(rows.abs_diff(before)) * 100 <= u128::from(before) * u128::from(share)
    });
    count.min.is_none_or(|min| rows >= min) && count.max.is_none_or(|max| rows <= max) && change
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use serde_json::{Value, json};

    use super::*;

    fn batch(id: &[Option<i64>], name: &[Option<&str>]) -> Batch {
        let columns: [(&str, ArrayRef, bool); 2] = [
            ("id", Arc::new(Int64Array::from(id.to_vec())), true),
            ("called", Arc::new(StringArray::from(name.to_vec())), true),
        ];
        Batch::exact(RecordBatch::try_from_iter_with_nullable(columns).expect("rows"))
    }

    fn of(expect: &Value, each: usize) -> FaultResult<Expectations> {
        let stream = json!({"name": "t", "load": "full", "columns": {"rename": {"name": "called"}}, "expect": expect});
        let stream: StreamPlan = serde_json::from_value(stream).expect("a stream");
        Expectations::of(&stream, &batch(&[], &[]).rows.schema(), (None, each))
    }

    fn rows(all: &Expectations) -> Vec<(u64, bool)> {
        all.told(0, None, Brought::Asked).iter().map(|one| (one.rows, one.holds)).collect()
    }

    #[test]
    fn rows_are_counted_over_batches_by_the_names_of_the_source() {
        let expect = json!([
            {"check": {"not-null": ["id", "name"]}},
            {"check": {"unique": ["id", "name"]}, "on-failure": "warn"},
            {"check": {"range": {"column": "id", "min": "2"}}},
        ]);
        let all = of(&expect, 1 << 20).expect("expectations");
        all.take(&batch(&[Some(1), Some(2), None], &[Some("a"), None, None])).expect("taken");
        all.take(&batch(&[Some(1), Some(3), None], &[Some("a"), Some("a"), None])).expect("taken");
        assert_eq!(rows(&all), [(3, false), (1, false), (2, false)]);
        let told = all.told(0, None, Brought::Asked);
        assert_eq!(told.iter().map(Expected::fails).collect::<Vec<_>>(), [true, false, true]);
        assert_eq!(told[1].told(), "expectation 2 (unique of id, name): 1 row");
    }

    #[test]
    fn a_value_in_a_twin_is_there_and_lies_within_no_bounds() {
        let expect = json!([
            {"check": {"not-null": ["id"]}},
            {"check": {"unique": ["id"]}},
            {"check": {"range": {"column": "id", "max": "9"}}},
        ]);
        let all = of(&expect, 1 << 20).expect("expectations");
        let twin = |texts: &[Option<&str>]| vec![(0, StringArray::from(texts.to_vec()))];
        let rows_of = |texts| Batch { twins: twin(texts), ..batch(&[None, None, Some(1)], &[None, None, None]) };
        all.take(&rows_of(&[Some("NaN"), None, None])).expect("taken");
        assert_eq!(rows(&all), [(1, false), (0, true), (1, false)]);
        all.take(&rows_of(&[Some("NaN"), Some("-inf"), None])).expect("taken");
        // NaN and 1 came before, also where a batch between has no twin at all.
        all.take(&batch(&[Some(1)], &[None])).expect("taken");
        assert_eq!(rows(&all), [(1, false), (3, false), (3, false)]);
    }

    #[test]
    fn what_can_not_be_checked_is_refused_by_its_number() {
        let refused = |expect: Value, code| {
            let fault = of(&expect, 1 << 20).err().expect("refused");
            assert_eq!(fault.code, code);
            fault.text.for_customer().to_owned()
        };
        let text = refused(json!([{"check": {"not-null": ["ids"]}}]), FailureCode::ColumnNotFound);
        assert_eq!(text, "expectation 1 (not-null of ids): the source has no column ids");
        let range = json!([{"check": {"range": {"column": "name", "min": "1"}}}]);
        let text = refused(range, FailureCode::ExpectationUnusable);
        assert_eq!(text, "expectation 1 (range of name): the column is Utf8, which has no bounds");
    }

    #[test]
    fn rows_that_do_not_fit_the_memory_are_told_by_their_number() {
        let all = of(&json!([{"check": {"unique": ["id"]}}]), 64 << 10).expect("expectations");
        let many = |from: i64| batch(&(from..from + 1000).map(Some).collect::<Vec<_>>(), &[None; 1000]);
        let fault = (0..5).find_map(|n| all.take(&many(n * 1000)).err()).expect("too many");
        assert_eq!(fault.code, FailureCode::ExpectationTooLarge);
        let text = fault.text.for_customer();
        assert!(
            text.contains("its 64.0 KiB of the memory hold the digests of") && text.contains(" rows, and"),
            "{text}"
        );
    }

    #[test]
    fn a_number_of_rows_is_held_against_bounds_and_the_last_commit() {
        let holds =
            |count: Value, rows, before| is_expected(&serde_json::from_value(count).expect("a count"), rows, before);
        assert!(holds(json!({"min": 2, "max": 4}), 2, None) && holds(json!({"min": 2, "max": 4}), 4, None));
        assert!(!holds(json!({"min": 2}), 1, None) && !holds(json!({"max": 4}), 5, None));
        let half = || json!({"change": 50});
        assert!(holds(half(), 50, Some(100)) && holds(half(), 150, Some(100)));
        assert!(!holds(half(), 49, Some(100)) && !holds(half(), 151, Some(100)));
        assert!(holds(half(), 7, None) && holds(half(), 7, Some(0)), "there is nothing to compare with");
        assert!(!holds(json!({"change": 200}), u64::MAX, Some(u64::MAX / 4)), "no overflow");
    }

    #[test]
    fn the_most_that_a_window_may_bring_does_not_bound_a_stream_that_is_read_whole() {
        let count = of(&json!([{"check": {"rows": {"min": 2, "max": 4, "change": 50}}}]), 0).expect("a count");
        let holds = |rows, before, is_whole| {
            let brought = if is_whole { Brought::Whole } else { Brought::Asked };
            count.told(rows, before, brought)[0].holds
        };
        assert!(!holds(5, None, false) && holds(5, None, true));
        assert!(!holds(1, None, true), "the least is held");
        assert!(!holds(5, Some(20), true) && holds(10, Some(20), true), "so is the change");
    }
}
