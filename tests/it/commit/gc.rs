//! What a clean-up deletes, and that nobody misses it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::json;
use tokio::runtime::Handle;
use waybill_model::plan::Load;
use waybill_model::{FailureCode, Micros};
use waybill_pipeline::Bucket;
use waybill_pipeline::commit::gc::{Age, Collected, collect};
use waybill_pipeline::commit::{Outcome, UpkeepError};
use waybill_tests::readers::{self, Foreign};

use super::fixture::{DELETED, Faulty, Place, STREAM, Try, code, ids, prepared, run};

pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// A clean-up with the usual week, as if so many days had passed.
pub(super) async fn after(place: &Place, days: u32) -> Result<Collected, UpkeepError> {
    after_on(&place.bucket, days).await
}

pub(super) async fn after_on(bucket: &Arc<dyn Bucket>, days: u32) -> Result<Collected, UpkeepError> {
    let age = Age { retention: 7 * DAY, now: Micros::now().plus(DAY * days) };
    collect(bucket, STREAM, age, false).await
}

fn failed(result: Result<Collected, UpkeepError>) -> FailureCode {
    match result.expect_err("an error") {
        UpkeepError::Failed(fault) => fault.code,
        UpkeepError::Refused(why) => panic!("refused: {why}"),
    }
}

/// Data files that lie there, whoever sees them.
fn files(place: &Place) -> usize {
    place.contents().keys().filter(|path| path.extension().is_some_and(|name| name == "parquet")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_up_deletes_what_nobody_sees_once_it_is_a_week_old_and_nothing_else() {
    let place = Place::new();
    for last in [3, 4, 5] {
        run(&place.bucket, Load::Full, &ids(0..last)).await.expect("a run");
    }
    let table = place.open().await.expect("the table");
    prepared(&place.bucket, &table, Try::new(&table), Load::Full, &ids(0..9)).await.expect("prepared, and never more");
    let young = after(&place, 6).await.expect("a clean-up");
    assert_eq!(
        (young.files, young.kept, young.version),
        (0, 3, None),
        "nothing is old enough, so nothing is committed"
    );
    assert_eq!(files(&place), 4);

    let old = after(&place, 8).await.expect("a clean-up");
    assert_eq!((old.files, old.kept, old.version), (3, 0, Some(3)));
    assert_eq!(files(&place), 1);
    place.sees(0..5);
    place.is_sound().await;
    let again = after(&place, 8).await.expect("a clean-up");
    assert_eq!((again.files, again.version), (0, None));
    run(&place.bucket, Load::New, &ids(5..7)).await.expect("the next run");
    place.sees(0..7);
    place.is_sound().await;
}

/// Its files are deleted, so it may not land any more: not even if it wakes a week later and was asked to commit before.
#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_began_before_a_clean_up_can_not_land_any_more() {
    let place = Place::new();
    run(&place.bucket, Load::New, &ids(0..3)).await.expect("a run");
    let table = place.open().await.expect("the table");
    let asleep = prepared(&place.bucket, &table, Try::new(&table), Load::New, &ids(3..6)).await.expect("prepared");
    assert_eq!(after(&place, 8).await.expect("a clean-up").files, 1);
    let ended = table.commit(&asleep).await;
    assert!(matches!(ended, Ok(Outcome::Overtaken)) || code(ended) == Some(FailureCode::Fenced));
    place.sees(0..3);
    place.is_sound().await;
}

/// Two versions, of which the first is what a clean-up deletes.
async fn two_versions() -> Place {
    let place = Place::new();
    for rows in [0..3, 0..4] {
        run(&place.bucket, Load::Full, &ids(rows)).await.expect("a run");
    }
    place
}

/// The table is whole, and a run that nobody disturbs lands on it.
async fn sees_and_goes_on(place: &Place, rows: i64) {
    place.is_sound().await;
    place.sees(0..rows);
    run(&place.bucket, Load::Full, &ids(0..9)).await.expect("the next run");
    place.is_sound().await;
    place.sees(0..9);
}

/// F49. A clean-up comes in the midst of a run, whose file is old enough for it, too: its clock is a week ahead.
#[tokio::test(flavor = "multi_thread")]
async fn f49_a_clean_up_beside_live_commits_never_deletes_a_file_that_is_seen() {
    // The log is listed when the table is opened; then come the puts of a run, in their order.
    for (step, deleted, lands) in [
        ("/_delta_log/", 1, true),
        ("/_waybill/receipts/0", 2, false),
        ("/_waybill/state/0", 2, false),
        ("/_delta_log/0", 2, false),
    ] {
        let place = two_versions().await;
        let (others, runtime) = (place.bucket.clone(), Handle::current());
        let (sender, cleaned) = std::sync::mpsc::channel();
        let faulty = Faulty::commits(&place.bucket, &[]).before(step, move || {
            sender.send(runtime.block_on(after_on(&others, 8)).expect("a clean-up").files).expect("the test");
        });
        let bucket: Arc<dyn Bucket> = faulty.clone();
        let ran = run(&bucket, Load::Full, &ids(0..5)).await.map(|(_, outcome)| outcome);
        assert_eq!((faulty.fired(), cleaned.recv().expect("it came")), (1, deleted), "{step}");
        match ran {
            Ok(Outcome::Landed(_)) => assert!(lands, "{step}: its file is deleted"),
            Ok(Outcome::Overtaken) => assert!(!lands, "{step}"),
            other => assert_eq!((code(other), lands), (Some(FailureCode::Fenced), false), "{step}"),
        }
        sees_and_goes_on(&place, if lands { 5 } else { 4 }).await;
    }
}

/// F49, the other way round: a run comes in the midst of a clean-up.
#[tokio::test(flavor = "multi_thread")]
async fn f49_a_run_beside_a_clean_up_lands_and_no_file_of_its_own_is_deleted() {
    // Where a run lands before the commit that shuts others out, the clean-up looks again, and finds two versions that are gone.
    for (step, deleted) in [("/_delta_log/", 2), ("/_waybill/state/0", 2), ("/_delta_log/0", 2), (DELETED, 1)] {
        let place = two_versions().await;
        let (others, runtime) = (place.bucket.clone(), Handle::current());
        let faulty = Faulty::commits(&place.bucket, &[]).before(step, move || {
            let (_, outcome) = runtime.block_on(run(&others, Load::Full, &ids(0..5))).expect("a run");
            assert!(matches!(outcome, Outcome::Landed(_)), "nobody is in its way");
        });
        let bucket: Arc<dyn Bucket> = faulty.clone();
        let cleaned = after_on(&bucket, 8).await.expect("a clean-up");
        assert_eq!((faulty.fired(), cleaned.files), (1, deleted), "{step}");
        sees_and_goes_on(&place, 5).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_commit_landed_before_a_clean_up_still_finds_it() {
    let place = Place::new();
    run(&place.bucket, Load::Full, &ids(0..3)).await.expect("a run");
    let (who, _) = run(&place.bucket, Load::New, &ids(3..6)).await.expect("a run");
    let table = place.open().await.expect("the table");
    prepared(&place.bucket, &table, Try::new(&table), Load::New, &ids(9..12)).await.expect("an attempt that ends here");
    let told = table.delivered(who.run).expect("delivered");
    assert_eq!(after(&place, 8).await.expect("a clean-up").files, 1);
    let table = place.open().await.expect("the table");
    let again = table.delivered(who.run).expect("still delivered");
    assert_eq!(
        (again.rows, again.bytes, again.files, again.receipt_digest),
        (told.rows, told.bytes, told.files, told.receipt_digest)
    );
    assert_eq!(table.state().and_then(|state| state.cursor.as_ref()).map(|cursor| cursor.reveal()), Some("42"));
}

/// Sets the time of every file back by a month.
pub(super) fn age(dir: &Path) {
    let then = SystemTime::now() - 30 * DAY;
    for entry in std::fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            age(&entry);
        } else {
            std::fs::File::options().write(true).open(&entry).and_then(|file| file.set_modified(then)).expect("a time");
        }
    }
}

/// Readers may still work on what they saw yesterday: what counts is when it went, which a checkpoint tells too.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_went_only_now_is_kept_however_old_it_is() {
    for foreign in [None, Some(Foreign::Checkpoint), Some(Foreign::Compact)] {
        let place = Place::new();
        run(&place.bucket, Load::New, &ids(0..3)).await.expect("a run");
        run(&place.bucket, Load::New, &ids(3..6)).await.expect("a run");
        if !matches!(foreign, Some(Foreign::Compact)) {
            run(&place.bucket, Load::Full, &ids(0..6)).await.expect("a run");
        }
        if let Some(foreign) = foreign {
            readers::change(&place.table(), foreign).expect("another writer");
        }
        age(&place.table().join("data"));
        let now = after(&place, 0).await.expect("a clean-up");
        assert_eq!((now.files, now.kept), (0, 2), "{foreign:?}");
        assert_eq!(after(&place, 8).await.expect("a clean-up").files, 2, "{foreign:?}");
        place.sees(0..6);
        place.is_sound().await;
    }
}

/// What another writer's OPTIMIZE made is seen, and what a load of ours then took away goes like our own.
#[tokio::test(flavor = "multi_thread")]
async fn files_of_another_writer_go_only_where_the_log_said_that_they_were_the_tables() {
    let place = Place::new();
    run(&place.bucket, Load::New, &ids(0..3)).await.expect("a run");
    run(&place.bucket, Load::New, &ids(3..6)).await.expect("a run");
    readers::change(&place.table(), Foreign::Compact).expect("an OPTIMIZE");
    run(&place.bucket, Load::Full, &ids(0..7)).await.expect("a run");
    let theirs = place.table().join("notes.parquet");
    std::fs::write(&theirs, "not in any log").expect("a file");
    assert_eq!(files(&place), 5);
    assert_eq!(after(&place, 8).await.expect("a clean-up").files, 3);
    assert!(theirs.exists(), "nobody said that it is the table's");
    place.sees(0..7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_names_records_of_ours_as_files_that_went_deletes_none_of_them() {
    let place = Place::new();
    run(&place.bucket, Load::Full, &ids(0..3)).await.expect("a run");
    run(&place.bucket, Load::Full, &ids(0..4)).await.expect("a run");
    let state = place.contents().into_keys().find(|path| path.to_string_lossy().contains("/state/")).expect("a state");
    let state = state.strip_prefix(place.table()).expect("below the table").display().to_string();
    let names = [state.as_str(), "_delta_log/00000000000000000000.json", "../_waybill/digest-key", "/etc/hostname"];
    let remove =
        |path: &&str| json!({"remove": {"path": path, "deletionTimestamp": 1, "dataChange": false}}).to_string();
    let hostile: Vec<String> = names.iter().map(remove).collect();
    std::fs::write(place.log(2), hostile.join("\n")).expect("a foreign commit");
    assert_eq!(after(&place, 8).await.expect("a clean-up").files, 1, "the file of the first run, and nothing else");
    place.sees(0..4);
    place.is_sound().await;
    for name in [state.as_str(), "_delta_log/00000000000000000000.json"] {
        assert!(place.table().join(name).exists(), "{name}");
    }
    assert!(place.bucket.head("_waybill/digest-key").await.expect("readable").is_some());
}

/// The clean-up's own commit would else hide from the next append that rows are missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_clean_up_does_not_settle_that_another_writer_took_rows_away() {
    let place = Place::new();
    run(&place.bucket, Load::Full, &ids(0..2)).await.expect("a run");
    run(&place.bucket, Load::Full, &ids(0..3)).await.expect("a run");
    readers::change(&place.table(), Foreign::Delete(1)).expect("a foreign delete");
    let before = files(&place);
    assert_eq!(failed(after(&place, 8).await), FailureCode::TableChangedByOther);
    assert_eq!(files(&place), before);
    let next = run(&place.bucket, Load::New, &ids(3..6)).await;
    assert_eq!(code(next), Some(FailureCode::TableChangedByOther));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_which_nothing_is_ours_is_left_alone() {
    let place = Place::new();
    readers::create(&place.table(), &json!({})).expect("a foreign table");
    readers::change(&place.table(), Foreign::Compact).expect("an OPTIMIZE");
    assert_eq!(failed(after(&place, 30).await), FailureCode::TableNotOurs);
}

/// A commit of ours would land behind it, and what it made live again would be deleted.
#[tokio::test(flavor = "multi_thread")]
async fn another_writers_commit_before_the_fence_makes_a_clean_up_look_again() {
    let place = Place::new();
    run(&place.bucket, Load::Full, &ids(0..3)).await.expect("a run");
    run(&place.bucket, Load::Full, &ids(0..4)).await.expect("a run");
    let first = std::fs::read_to_string(place.log(0)).expect("the first commit");
    let add = first.lines().find(|line| line.starts_with("{\"add\"")).expect("its file").to_owned();
    let log = place.log(2);
    let faulty = Faulty::commits(&place.bucket, &[])
        .before_commit(move || std::fs::write(log, add).expect("a foreign RESTORE that only adds"));
    let bucket: Arc<dyn Bucket> = faulty.clone();
    let done = after_on(&bucket, 8).await.expect("a clean-up");
    assert_eq!((done.files, faulty.fired()), (0, 1), "the file is live again");
    assert_eq!(place.ids(), [0, 0, 1, 1, 2, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_up_that_others_keep_overtaking_says_so_and_deletes_nothing() {
    let place = Place::new();
    for rows in [0..3, 0..4] {
        run(&place.bucket, Load::Full, &ids(rows)).await.expect("a run");
    }
    // One foreign commit before each try.
    let mut faulty = Faulty::commits(&place.bucket, &[]);
    for version in 2..7 {
        let log = place.log(version);
        let info = json!({"commitInfo": {"operation": "SET TBLPROPERTIES", "timestamp": 1}}).to_string();
        faulty = faulty.before_commit(move || std::fs::write(log, info).expect("a foreign commit"));
    }
    let bucket: Arc<dyn Bucket> = faulty.clone();
    let before = files(&place);
    let why = match after_on(&bucket, 8).await {
        Err(UpkeepError::Refused(why)) => why,
        other => panic!("{:?}", other.map(|done| done.files)),
    };
    assert!(why.contains("try again between runs"), "{why}");
    assert_eq!((faulty.fired(), files(&place)), (5, before));
}

/// A table's own setting lets checkpoints leave removals out, and clean-ups of the log take their commits.
#[tokio::test(flavor = "multi_thread")]
async fn a_setting_of_the_table_does_not_shorten_the_retention() {
    for cleaned in [false, true] {
        let place = Place::new();
        for rows in [0..3, 0..4] {
            run(&place.bucket, Load::Full, &ids(rows)).await.expect("a run");
        }
        let first = std::fs::read_to_string(place.log(0)).expect("the first commit");
        let metadata = first.lines().find(|line| line.starts_with("{\"metaData\"")).expect("metadata");
        let set = metadata.replace(
            "\"configuration\":{}",
            "\"configuration\":{\"delta.deletedFileRetentionDuration\":\"interval 0 hours\"}",
        );
        assert_ne!(set, metadata);
        std::fs::write(place.log(2), set).expect("a foreign commit");
        readers::change(&place.table(), if cleaned { Foreign::CleanUp } else { Foreign::Checkpoint }).expect("foreign");
        age(&place.table().join("data"));
        let now = after(&place, 0).await.expect("a clean-up");
        assert_eq!((now.files, now.kept), (0, 1), "cleaned: {cleaned}");
        let later = after(&place, 8).await.expect("a clean-up");
        // Where the log tells nothing of it, it is kept until the log reaches back further than the retention.
        let told = if cleaned { (0, 1) } else { (1, 0) };
        assert_eq!((later.files, later.kept), told, "cleaned: {cleaned}");
        place.sees(0..4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_the_log_names_by_an_address_stops_a_clean_up() {
    for path in [place_less("s3://lake/orders/"), place_less("/")] {
        let place = Place::new();
        for rows in [0..3, 0..4] {
            run(&place.bucket, Load::Full, &ids(rows)).await.expect("a run");
        }
        let add =
            json!({"add": {"path": path, "partitionValues": {}, "size": 1, "modificationTime": 1, "dataChange": true}});
        std::fs::write(place.log(2), add.to_string()).expect("a foreign commit");
        assert_eq!(failed(after(&place, 8).await), FailureCode::TableFeatureUnsupported);
        assert_eq!(files(&place), 2);
    }
}

fn place_less(before: &str) -> String {
    format!("{before}data/x.parquet")
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_others_beside_ours_are_left_alone() {
    let place = Place::new();
    for rows in [0..3, 0..4] {
        run(&place.bucket, Load::Full, &ids(rows)).await.expect("a run");
    }
    let theirs = place.table().join("data/2024/part-00000.snappy.parquet");
    std::fs::create_dir_all(theirs.parent().expect("a directory")).expect("a directory");
    std::fs::write(&theirs, "not in any log").expect("a file");
    assert_eq!(after(&place, 8).await.expect("a clean-up").files, 1);
    assert!(theirs.exists(), "its name is none of ours");
}
