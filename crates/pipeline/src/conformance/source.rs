//! What every source must do: `source::run(&subject).await`.
//!
//! A subject brings a system that holds three tables which this suite describes: `items`, whose rows are hard to keep;
//! `empty`, the same without a row; and `large`, long enough to stop or break in the middle of it.

mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::FutureExt;
use waybill_model::FailureCode;
use waybill_model::plan::{Columns, Condition, Op, StreamPlan};
use waybill_model::receipt::Grade;

pub use self::rows::{COLUMNS, LARGE, Row, items, large};
use self::rows::{Read, read};
use crate::fault::{Fault, FaultResult};
use crate::source::{Source, Want};

/// Whether a row fulfils a filter.
type Fits = fn(&Row) -> bool;

/// How long a source may take to let go of a reading that was given up.
const PATIENCE: Duration = Duration::from_secs(15);
/// What a reader can take: batches that split `large` many times.
const WANT: Want = Want { lanes: 1, most: 1, batch_bytes: 256 << 10, row_bytes: 1 << 20 };

/// A table that a subject holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// [`items`].
    Items,
    /// No row, and the columns of [`items`] where the format tells columns without rows.
    Empty,
    /// [`large`].
    Large,
    /// Nothing: there is no such table.
    Missing,
}

/// A source that can't be used, and the code that tells why.
pub struct Refused {
    /// What is wrong with it, for a failed expectation.
    pub what: &'static str,
    /// It, or why there is none.
    pub source: FaultResult<Box<dyn Source>>,
    /// How a check must end.
    pub code: FailureCode,
}

/// A source that breaks in the middle of `large`.
pub struct Broken {
    /// It.
    pub source: Box<dyn Source>,
    /// How the reading must end.
    pub code: FailureCode,
    /// Called after the first rows: from now on it breaks.
    pub arm: Box<dyn Fn() + Send + Sync>,
    /// Whether the break took place.
    pub fired: Box<dyn Fn() -> bool + Send + Sync>,
}

/// A source under test.
#[async_trait]
pub trait Subject: Sync {
    /// It.
    fn source(&self) -> Box<dyn Source>;

    /// A full load of one table, every other setting the default.
    fn stream(&self, table: Holds) -> StreamPlan;

    /// Whether columns are told where there is no row. A table that has none can't be made, so it is refused.
    fn has_columns_without_rows(&self) -> bool {
        true
    }

    /// The same that cannot be used: nobody is there, the secret is wrong, whatever the system can tell apart.
    async fn refused(&self) -> Vec<Refused>;

    /// The same that breaks in the middle of `large`.
    async fn broken(&self) -> Broken;

    /// Whether nobody reads from the system any more.
    async fn is_idle(&self) -> bool;
}

/// Runs every check.
///
/// # Panics
/// Where the source does not do what the trait says.
pub async fn run(subject: &dyn Subject) {
    discovery_lists_what_exists(subject).await;
    a_check_tells_what_is_wrong(subject).await;
    every_row_arrives_exact_by_one_lane_and_by_many(subject).await;
    columns_are_selected_renamed_and_dropped(subject).await;
    a_filter_is_applied_by_the_source(subject).await;
    an_empty_table_has_no_rows_and_a_proven_end(subject).await;
    batches_and_rows_keep_to_the_budget(subject).await;
    a_reading_that_is_given_up_ends_within_its_bound(subject).await;
    a_reading_that_was_not_finished_proves_nothing(subject).await;
    a_source_that_breaks_gives_an_error_and_no_early_end(subject).await;
}

fn said<T>(result: Result<T, Fault>) -> T {
    result.unwrap_or_else(|fault| panic!("{:?}: {}", fault.code, fault.text.for_customer()))
}

async fn whole(subject: &dyn Subject, stream: &StreamPlan) -> Read {
    said(read(&*subject.source(), stream, WANT).await)
}

async fn discovery_lists_what_exists(subject: &dyn Subject) {
    let tables = said(subject.source().discover().await);
    let found: BTreeMap<&str, Vec<&str>> = tables
        .iter()
        .map(|table| (table.name.as_str(), table.columns.iter().map(|column| column.name.as_str()).collect()))
        .collect();
    let wanted: BTreeSet<String> =
        [Holds::Items, Holds::Empty, Holds::Large].into_iter().map(|table| subject.stream(table).name).collect();
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), wanted.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(found[subject.stream(Holds::Items).name.as_str()], COLUMNS);
}

async fn a_check_tells_what_is_wrong(subject: &dyn Subject) {
    said(subject.source().reach().await);
    said(subject.source().check(&subject.stream(Holds::Items)).await);
    let missing = subject.source().check(&subject.stream(Holds::Missing)).await.expect_err("there is no such table");
    assert_eq!(missing.code, FailureCode::StreamNotFound);
    let mut column = subject.stream(Holds::Items);
    column.columns.select = vec!["nowhere".into()];
    let column = subject.source().check(&column).await.expect_err("there is no such column");
    assert_eq!(column.code, FailureCode::ColumnNotFound);
    let refused = subject.refused().await;
    let codes: BTreeSet<&str> = refused.iter().map(|refused| refused.code.as_str()).collect();
    assert_eq!(codes.len(), refused.len(), "each cause has a code of its own");
    assert!(!refused.is_empty() && !codes.contains(missing.code.as_str()));
    for Refused { what, source, code } in refused {
        let source = match source {
            Ok(source) => source,
            Err(fault) => {
                assert_eq!(fault.code, code, "{what}: {}", fault.text.for_customer());
                continue;
            }
        };
        let fault = source.reach().await.expect_err(what);
        assert_eq!(fault.code, code, "{what}, without a stream: {}", fault.text.for_customer());
        let fault = source.check(&subject.stream(Holds::Items)).await.expect_err(what);
        assert_eq!(fault.code, code, "{what}: {}", fault.text.for_customer());
        let opened = source.open(&subject.stream(Holds::Items), None, WANT).await;
        assert_eq!(opened.err().map(|fault| fault.code), Some(code), "{what}: a run ends as the check does");
    }
}

async fn every_row_arrives_exact_by_one_lane_and_by_many(subject: &dyn Subject) {
    for lanes in [1, 3] {
        let want = Want { lanes, most: lanes, ..WANT };
        for (table, rows) in [(Holds::Items, items()), (Holds::Large, large().collect())] {
            let mut stream = subject.stream(table);
            stream.verify_count = true;
            let found = said(read(&*subject.source(), &stream, want).await);
            assert_eq!(found.columns, COLUMNS);
            assert!(found.rows == rows, "{table:?} by {lanes} lanes: rows differ");
            assert_eq!((found.proof.grade, found.proof.source_count), (Grade::Verified, Some(rows.len() as u64)));
            assert_eq!(found.altered, 0);
        }
    }
    let found = whole(subject, &subject.stream(Holds::Items)).await;
    assert_eq!((found.proof.grade, found.proof.source_count), (Grade::Counted, None));
}

async fn columns_are_selected_renamed_and_dropped(subject: &dyn Subject) {
    let mut stream = subject.stream(Holds::Items);
    stream.columns = Columns {
        select: vec!["region".into(), "id".into()],
        rename: BTreeMap::from([("region".into(), "land".into())]),
        ..Columns::default()
    };
    let found = whole(subject, &stream).await;
    assert_eq!(found.columns, ["land", "id"]);
    let wanted: Vec<Row> = items().into_iter().map(|row| vec![row[2].clone(), row[0].clone()]).collect();
    assert_eq!(found.sorted(), rows::sorted(wanted));
    stream.columns = Columns { drop: vec!["note".into()], ..Columns::default() };
    let found = whole(subject, &stream).await;
    assert_eq!(found.columns, ["id", "region"]);
    let wanted: Vec<Row> = items().into_iter().map(|row| vec![row[0].clone(), row[2].clone()]).collect();
    assert_eq!(found.sorted(), rows::sorted(wanted));
}

/// The source's own count, taken where it is asked for, sees the filter too.
async fn a_filter_is_applied_by_the_source(subject: &dyn Subject) {
    let condition = |column: &str, op, value: Option<&str>| Condition {
        column: column.into(),
        op,
        value: value.map(str::to_owned),
        text: false,
    };
    let cases: [(Vec<Condition>, Fits); 4] = [
        (vec![condition("region", Op::Eq, Some("north"))], |row| row[2].as_deref() == Some("north")),
        (vec![condition("note", Op::IsNull, None)], |row| row[1].is_none()),
        (vec![condition("note", Op::Ne, Some("x' OR ''='"))], |row| {
            row[1].as_deref().is_some_and(|note| note != "x' OR ''='")
        }),
        (vec![condition("note", Op::NotNull, None), condition("region", Op::Eq, Some("nowhere"))], |_| false),
    ];
    for (filter, fits) in cases {
        let mut stream = subject.stream(Holds::Items);
        (stream.filter, stream.verify_count) = (filter, true);
        // The column of the filter need not be one that is taken.
        stream.columns.drop = vec!["region".into()];
        let wanted: Vec<Row> = items().into_iter().filter(fits).map(|row| row[..2].to_vec()).collect();
        let found = whole(subject, &stream).await;
        assert_eq!(found.proof.source_count, Some(wanted.len() as u64));
        assert_eq!(found.sorted(), rows::sorted(wanted));
    }
}

async fn an_empty_table_has_no_rows_and_a_proven_end(subject: &dyn Subject) {
    let mut stream = subject.stream(Holds::Empty);
    stream.verify_count = true;
    if !subject.has_columns_without_rows() {
        let refused = subject.source().check(&stream).await.expect_err("no columns");
        assert!(refused.text.for_customer().contains("no column"), "{}", refused.text.for_customer());
        return;
    }
    let found = whole(subject, &stream).await;
    assert!(found.rows.is_empty());
    assert_eq!((found.proof.grade, found.proof.source_count), (Grade::Verified, Some(0)));
}

async fn batches_and_rows_keep_to_the_budget(subject: &dyn Subject) {
    let want = Want { batch_bytes: 32 << 10, ..WANT };
    let found = said(read(&*subject.source(), &subject.stream(Holds::Large), want).await);
    assert!(found.largest <= 8 * want.batch_bytes, "a batch of {} bytes", found.largest);
    assert!(found.batches > 10, "{} batches", found.batches);
    let tight = Want { row_bytes: 256, batch_bytes: 256, ..WANT };
    let fault = read(&*subject.source(), &subject.stream(Holds::Large), tight).await.map(drop);
    assert_eq!(fault.err().map(|fault| fault.code), Some(FailureCode::RowTooLarge));
}

async fn a_reading_that_is_given_up_ends_within_its_bound(subject: &dyn Subject) {
    for in_a_read in [false, true] {
        let source = subject.source();
        let snapshot = said(source.open(&subject.stream(Holds::Large), None, WANT).await);
        let mut lane = said(snapshot.lane().await);
        assert!(said(lane.next().await).is_some(), "the first rows");
        if in_a_read {
            // Begun, and dropped where it waits.
            drop(lane.next().now_or_never());
        }
        let begun = Instant::now();
        drop((lane, snapshot, source));
        assert!(begun.elapsed() < PATIENCE, "the drop itself waits");
        while !subject.is_idle().await {
            assert!(begun.elapsed() < PATIENCE, "somebody still reads");
            tokio::task::yield_now().await;
        }
    }
}

async fn a_reading_that_was_not_finished_proves_nothing(subject: &dyn Subject) {
    let source = subject.source();
    let snapshot = said(source.open(&subject.stream(Holds::Large), None, WANT).await);
    let mut lane = said(snapshot.lane().await);
    assert!(said(lane.next().await).is_some());
    drop(lane);
    let finished = tokio::time::timeout(PATIENCE, snapshot.finish()).await.expect("an answer");
    assert!(finished.is_err(), "half of the rows were never read");
}

async fn a_source_that_breaks_gives_an_error_and_no_early_end(subject: &dyn Subject) {
    let Broken { source, code, arm, fired } = subject.broken().await;
    let snapshot = said(source.open(&subject.stream(Holds::Large), None, WANT).await);
    let mut lane = said(snapshot.lane().await);
    let mut rows = 0;
    let fault = loop {
        match tokio::time::timeout(PATIENCE, lane.next()).await.expect("an answer") {
            Ok(Some(batch)) => {
                if rows == 0 {
                    arm();
                }
                rows += batch.rows.num_rows();
            }
            Ok(None) => panic!("the reading ended after {rows} rows as if nothing had happened"),
            Err(fault) => break fault,
        }
    };
    assert!(fired(), "the break took place");
    assert_eq!(fault.code, code, "{}", fault.text.for_customer());
    assert!(rows > 0 && rows < LARGE, "{rows} rows came before it");
}
