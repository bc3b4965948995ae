//! A table that is put back to an earlier version, as readers and the next run see it.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use waybill_model::plan::Load;
use waybill_model::{FailureCode, Micros};
use waybill_pipeline::commit::gc::{Age, collect};
use waybill_pipeline::commit::rollback::{RolledBack, roll_back, versions};
use waybill_pipeline::commit::{Outcome, UpkeepError};
use waybill_pipeline::{Bucket, CursorState};
use waybill_tests::readers::{self, Foreign};

use super::fixture::{Faulty, Place, STREAM, Try, code, delivery, file, ids, prepared, run};
use super::gc::after_on;

async fn back(place: &Place, version: u64) -> Result<RolledBack, UpkeepError> {
    roll_back(&place.bucket, STREAM, version, false).await
}

fn why(result: Result<RolledBack, UpkeepError>) -> String {
    match result.expect_err("refused") {
        UpkeepError::Refused(why) => why,
        UpkeepError::Failed(fault) => panic!("it failed: {}", fault.code),
    }
}

/// A `new` run whose rows end at this cursor.
async fn append(place: &Place, rows: std::ops::Range<i64>) {
    let table = place.open().await.expect("the table");
    let (who, last) = (Try::new(&table), rows.end.to_string());
    let rows = ids(rows);
    let file = file(&place.bucket, &table, who, &rows).await;
    let mut delivery = delivery(who, Load::New, vec![file], rows.schema());
    delivery.cursor = Some(CursorState::new(last));
    let held = table.prepare(&delivery).await.expect("prepared").expect("something to commit");
    assert!(matches!(table.commit(&held).await, Ok(Outcome::Landed(_))));
}

async fn cursor(place: &Place) -> String {
    let table = place.open().await.expect("the table");
    table.state().and_then(|state| state.cursor.as_ref()).expect("a cursor").reveal().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_and_cursor_of_an_earlier_version_are_back_in_one_commit() {
    let place = Place::new();
    for rows in [0..3, 3..6, 6..9] {
        append(&place, rows).await;
    }
    let dry = roll_back(&place.bucket, STREAM, 0, true).await.expect("what it would do");
    assert_eq!((dry.version, dry.removed, dry.rows), (None, 2, Some(3)));
    place.sees(0..9);

    let done = back(&place, 0).await.expect("put back");
    assert_eq!((done.from, done.to, done.version, done.restored, done.removed), (2, 0, Some(3), 0, 2));
    place.sees(0..3);
    assert_eq!(cursor(&place).await, "3");
    place.is_sound().await;
    // The next run goes on from there, and brings what came since once more.
    append(&place, 3..9).await;
    place.sees(0..9);
    place.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_back_can_be_come_back_to() {
    let place = Place::new();
    for rows in [0..3, 3..6] {
        append(&place, rows).await;
    }
    back(&place, 0).await.expect("put back");
    let done = back(&place, 1).await.expect("put forward");
    assert_eq!((done.restored, done.removed, done.rows), (1, 0, Some(6)));
    place.sees(0..6);
    assert_eq!(cursor(&place).await, "6");
    place.is_sound().await;
}

/// A full load with another column has replaced everything.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_load_is_undone_with_its_columns() {
    let place = Place::new();
    append(&place, 0..3).await;
    let fields = vec![Field::new("id", DataType::Int64, false), Field::new("name", DataType::Utf8, true)];
    let columns: Vec<arrow::array::ArrayRef> =
        vec![Arc::new(Int64Array::from(vec![7])), Arc::new(StringArray::from(vec!["x"]))];
    let other = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("a batch");
    run(&place.bucket, Load::Full, &other).await.expect("a run");
    let done = back(&place, 0).await.expect("put back");
    assert_eq!((done.restored, done.removed), (1, 1));
    place.sees(0..3);
    assert!(readers::query(&place.table(), "SELECT name FROM t").is_err(), "the column went with the version");
    assert_eq!(cursor(&place).await, "3");
    place.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_under_way_does_not_land_on_a_table_that_was_put_back() {
    let place = Place::new();
    append(&place, 0..3).await;
    append(&place, 3..6).await;
    let table = place.open().await.expect("the table");
    let under_way = prepared(&place.bucket, &table, Try::new(&table), Load::New, &ids(6..9)).await.expect("prepared");
    back(&place, 0).await.expect("put back");
    let ended = table.commit(&under_way).await;
    assert!(matches!(ended, Ok(Outcome::Overtaken)) || code(ended) == Some(FailureCode::Fenced));
    place.sees(0..3);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_another_writer_deleted_are_back_and_the_next_append_goes_on() {
    let place = Place::new();
    append(&place, 0..3).await;
    readers::change(&place.table(), Foreign::Delete(1)).expect("a foreign delete");
    let next = run(&place.bucket, Load::New, &ids(3..6)).await;
    assert_eq!(code(next), Some(FailureCode::TableChangedByOther));
    back(&place, 0).await.expect("put back");
    place.sees(0..3);
    append(&place, 3..6).await;
    place.sees(0..6);
    place.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_whose_files_are_gone_or_that_is_not_there_is_refused_and_nothing_changes() {
    let place = Place::new();
    run(&place.bucket, Load::Full, &ids(0..3)).await.expect("a run");
    run(&place.bucket, Load::Full, &ids(0..4)).await.expect("a run");
    let age = Age { retention: Duration::from_secs(3600), now: Micros::now().plus(Duration::from_secs(7200)) };
    assert_eq!(collect(&place.bucket, STREAM, age, false).await.expect("a clean-up").files, 1);
    let before = place.contents();
    assert!(why(back(&place, 0).await).contains("of that version is gone"));
    assert!(why(back(&place, 2).await).contains("is what readers see now"));
    assert!(why(back(&place, 9).await).contains("is not there yet: the newest is 2"));
    assert_eq!(place.contents(), before);
    // What the clean-up left is the same rows.
    back(&place, 1).await.expect("put back");
    place.sees(0..4);
    place.is_sound().await;
}

/// A clean-up deletes for as long as it takes; its fence is in the log by then.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_clean_up_is_about_to_delete_can_not_be_put_back() {
    for another_run in [false, true] {
        let place = Place::new();
        run(&place.bucket, Load::Full, &ids(0..3)).await.expect("a run");
        run(&place.bucket, Load::Full, &ids(0..4)).await.expect("a run");
        let (bucket, runtime) = (place.bucket.clone(), tokio::runtime::Handle::current());
        let faulty = Faulty::commits(&place.bucket, &[]).before_delete(move || {
            runtime.block_on(async {
                if another_run {
                    run(&bucket, Load::New, &ids(4..5)).await.expect("a run in between");
                }
                assert!(why(roll_back(&bucket, STREAM, 0, false).await).contains("on the list of a clean-up"));
            });
        });
        let bucket: Arc<dyn Bucket> = faulty.clone();
        let done = after_on(&bucket, 8).await.expect("a clean-up");
        assert_eq!((done.files, faulty.fired()), (1, 1));
        place.sees(if another_run { 0..5 } else { 0..4 });
        place.is_sound().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_only_table_is_refused_also_where_it_is_only_asked() {
    let place = Place::new();
    append(&place, 0..3).await;
    append(&place, 3..6).await;
    let first = std::fs::read_to_string(place.log(0)).expect("the first commit");
    let metadata = first.lines().find(|line| line.starts_with("{\"metaData\"")).expect("metadata");
    let set = metadata.replace("\"configuration\":{}", "\"configuration\":{\"delta.appendOnly\":\"true\"}");
    std::fs::write(place.log(2), set).expect("a foreign commit");
    for dry in [true, false] {
        match roll_back(&place.bucket, STREAM, 0, dry).await.expect_err("refused") {
            UpkeepError::Failed(fault) => assert_eq!(fault.code, FailureCode::TableFeatureUnsupported),
            UpkeepError::Refused(why) => panic!("{why}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_writers_commit_meanwhile_is_a_refusal_that_says_so() {
    let place = Place::new();
    append(&place, 0..3).await;
    append(&place, 3..6).await;
    let dir = place.table();
    let faulty = Faulty::commits(&place.bucket, &[])
        .before_commit(move || readers::change(&dir, Foreign::Append(9)).expect("a foreign append"));
    let bucket: Arc<dyn Bucket> = faulty.clone();
    assert!(why(roll_back(&bucket, STREAM, 0, false).await).contains("somebody has committed meanwhile"));
    assert_eq!((faulty.fired(), place.ids().len()), (1, 7));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_a_cleaned_up_log_does_not_tell_of_is_refused() {
    let place = Place::new();
    for rows in [0..3, 3..6, 6..9] {
        append(&place, rows).await;
    }
    readers::change(&place.table(), Foreign::CleanUp).expect("a clean-up");
    assert!(why(back(&place, 0).await).contains("does not tell of version 0 any more"));
    place.sees(0..9);
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_told_with_their_runs_and_another_writers_without() {
    let place = Place::new();
    let (first, _) = run(&place.bucket, Load::New, &ids(0..3)).await.expect("a run");
    run(&place.bucket, Load::New, &ids(3..6)).await.expect("a run");
    readers::change(&place.table(), Foreign::Compact).expect("an OPTIMIZE");
    back(&place, 0).await.expect("put back");
    let told = versions(&place.bucket, STREAM).await.expect("versions");
    let told: Vec<_> = told.iter().map(|it| (it.version, it.operation.as_deref().unwrap_or("-"), it.run)).collect();
    let other = told[1].2;
    assert_eq!(
        told,
        [(0, "WRITE", Some(first.run)), (1, "WRITE", other), (2, "OPTIMIZE", None), (3, "RESTORE", Some(first.run))]
    );
    assert!(other.is_some() && other != Some(first.run));
}
