//! Commits that name more files than can be read again.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use waybill_model::FailureCode;
use waybill_model::plan::{Files, Format, Load};
use waybill_pipeline::commit::{DataFile, Table};

use super::fixture::{Place, STREAM, Try, code, delivery, file, owner, run};

/// Files of 400 columns, whose statistics take about 50 KB of a commit.
const COLUMNS: usize = 400;
/// Above 64 MiB.
const FILES: u32 = 1600;

fn wide() -> RecordBatch {
    let fields: Vec<Field> = (0..COLUMNS).map(|n| Field::new(format!("column_{n}"), DataType::Utf8, true)).collect();
    let column: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(30)]));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![column; COLUMNS]).expect("a batch")
}

/// It would land, and then no run could read the table any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_could_not_be_read_again_is_refused_before_anything_is_written() {
    let place = Place::new();
    let rows = wide();
    run(&place.bucket, Load::Full, &rows).await.expect("a run");
    let table = place.open().await.expect("the table");
    let who = Try::new(&table);
    let one = file(&place.bucket, &table, who, &rows).await;
    let files = (0..FILES).map(|n| DataFile { key: table.data_key(who.run, who.attempt, n), ..one.clone() });
    let many = delivery(who, Load::Full, files.collect(), rows.schema());
    let before = place.contents();
    assert_eq!(code(table.prepare(&many).await.map(drop)), Some(FailureCode::CommitTooLarge));
    assert!(place.contents() == before, "nothing was written");
    run(&place.bucket, Load::Full, &rows).await.expect("the next run");
}

/// The same where each commit lists every file of the table, and less of it is read.
#[tokio::test(flavor = "multi_thread")]
async fn a_plain_commit_is_bounded_by_what_is_read_beside_the_budget() {
    let place = Place::new();
    let files = Files::of(Format::ParquetFiles);
    let table = Table::open_as(place.bucket.clone(), STREAM, &owner(), &files).await.expect("the table");
    let (who, rows) = (Try::new(&table), wide());
    let one = file(&place.bucket, &table, who, &rows).await;
    let before = place.contents();
    let files = (0..FILES / 2).map(|n| DataFile { key: table.data_key(who.run, who.attempt, n), ..one.clone() });
    let many = delivery(who, Load::Full, files.collect(), rows.schema());
    let fault = table.prepare(&many).await.map(drop).expect_err("too large");
    assert_eq!(fault.code, FailureCode::CommitTooLarge);
    let told = fault.text.for_customer();
    assert!(told.ends_with("run one `full` load with larger files (`size` of `files`)"), "{told}");
    // What a new table has before its first commit is all there is.
    let written: Vec<_> = place.contents().into_keys().filter(|file| !before.contains_key(file)).collect();
    assert!(written.iter().all(|file| file.ends_with("log.json") || file.ends_with("digest-key")), "{written:?}");
}
