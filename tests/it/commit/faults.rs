//! What a commit does when the store, another attempt or another run comes in its way.

use std::sync::Arc;

use waybill_model::plan::Load;
use waybill_model::{Epoch, FailureCode, RunId};
use waybill_pipeline::Bucket;
use waybill_pipeline::commit::{Committed, Outcome, probe_conditions};

use super::fixture::{Blow, Faulty, Place, STREAM, Try, code, delivery, file, ids, open_on, prepared, run};

#[tokio::test]
async fn f17a_a_commit_that_lands_before_the_next_attempt_starts_is_adopted() {
    let place = Place::new();
    let table = place.open().await.expect("a table");
    let who = Try::new(&table);
    let held = prepared(&place.bucket, &table, who, Load::New, &ids(0..3)).await.expect("prepared");
    let landed = table.commit(&held).await.expect("a commit");
    assert_eq!(landed, Outcome::Landed(Committed { version: 0, rebased: false, read_back: false }));
    let next = place.open().await.expect("the table");
    let found = next.delivered(who.run).expect("this run's commit");
    assert_eq!((found.version, found.epoch, found.rows, found.files), (0, who.epoch, 3, 1));
    assert!(next.delivered(RunId::generate()).is_none());
    assert_eq!(place.ids(), [0, 1, 2]);
}

/// Whoever put it may have died between its name and the sync of the directory.
#[tokio::test]
async fn f40_a_commit_that_was_only_found_is_made_safe_before_it_is_told_and_one_of_ones_own_is() {
    for (blows, found) in [(&[][..], false), (&[Blow::LoseAnswer], true), (&[Blow::LoseRequest], false)] {
        let place = Place::new();
        let faulty = Faulty::commits(&place.bucket, blows);
        let bucket: Arc<dyn Bucket> = faulty.clone();
        let table = open_on(&bucket).await.expect("a table");
        let first = Try::new(&table);
        let held = prepared(&bucket, &table, first, Load::New, &ids(0..3)).await.expect("prepared");
        let second = Try { epoch: Epoch(first.epoch.0 + 1), ..Try::of(first.run, &table) };
        let other = prepared(&bucket, &table, second, Load::New, &ids(0..3)).await.expect("prepared");
        assert!(matches!(table.commit(&held).await, Ok(Outcome::Landed(_))));
        assert_eq!(faulty.fired(), blows.len());
        let version = format!("{STREAM}/_delta_log/00000000000000000000.json");
        assert_eq!(faulty.settled(), vec![version.clone(); usize::from(found)], "{blows:?}");
        assert!(matches!(table.commit(&other).await, Ok(Outcome::Adopted(_))));
        assert_eq!(faulty.settled(), std::slice::from_ref(&version), "adopted");
        let next = open_on(&bucket).await.expect("the table");
        assert!(next.delivered(first.run).is_some());
        next.settle().await.expect("settled");
        assert_eq!(faulty.settled(), [version]);
    }
}

#[tokio::test]
async fn f17b_a_commit_that_lands_while_the_next_attempt_copies_is_adopted() {
    let place = Place::new();
    let table = place.open().await.expect("a table");
    let first = Try::new(&table);
    let held = prepared(&place.bucket, &table, first, Load::New, &ids(0..3)).await.expect("prepared");
    let second = Try::of(first.run, &table);
    let other = prepared(&place.bucket, &table, second, Load::New, &ids(0..3)).await.expect("prepared");
    table.commit(&held).await.expect("a commit");
    let before = place.contents();
    match table.commit(&other).await.expect("an outcome") {
        Outcome::Adopted(found) => assert_eq!((found.epoch, found.rows), (first.epoch, 3)),
        landed => panic!("the run has two commits: {landed:?}"),
    }
    assert_eq!(place.contents(), before, "adopting must change nothing");
    assert_eq!((place.ids(), place.commits_of(first.run)), (vec![0, 1, 2], 1));
}

#[tokio::test]
async fn f17c_a_late_attempt_finds_its_runs_commit_and_stops() {
    let place = Place::new();
    let table = place.open().await.expect("a table");
    let first = Try::new(&table);
    let held = prepared(&place.bucket, &table, first, Load::New, &ids(0..3)).await.expect("prepared");
    let second = Try { epoch: Epoch(first.epoch.0 + 1), ..Try::of(first.run, &table) };
    let other = prepared(&place.bucket, &table, second, Load::New, &ids(0..3)).await.expect("prepared");
    table.commit(&other).await.expect("a commit");
    let before = place.contents();
    match table.commit(&held).await.expect("an outcome") {
        Outcome::Adopted(found) => assert_eq!(found.epoch, second.epoch),
        landed => panic!("the run has two commits: {landed:?}"),
    }
    assert_eq!(place.contents(), before, "no file may be deleted");
    assert_eq!((place.ids(), place.commits_of(first.run)), (vec![0, 1, 2], 1));
}

#[tokio::test]
async fn f17d_a_late_attempt_is_fenced_by_a_later_run() {
    let place = Place::new();
    let table = place.open().await.expect("a table");
    let first = Try::new(&table);
    let held = prepared(&place.bucket, &table, first, Load::New, &ids(0..3)).await.expect("prepared");
    run(&place.bucket, Load::New, &ids(0..3)).await.expect("a later run");
    let before = place.contents();
    assert_eq!(code(table.commit(&held).await), Some(FailureCode::Fenced));
    assert_eq!(place.contents(), before);
    let delivery =
        delivery(first, Load::New, vec![file(&place.bucket, &table, first, &ids(0..3)).await], ids(0..1).schema());
    let reopened = place.open().await.expect("the table");
    assert_eq!(code(reopened.prepare(&delivery).await), Some(FailureCode::Fenced));
    assert_eq!((place.ids(), place.commits_of(first.run)), (vec![0, 1, 2], 0));
}

#[tokio::test]
async fn an_earlier_runs_late_commit_sends_the_later_attempt_back_to_the_new_state() {
    let place = Place::new();
    let table = place.open().await.expect("a table");
    let old = Try::new(&table);
    let held = prepared(&place.bucket, &table, old, Load::New, &ids(0..3)).await.expect("prepared");
    let new = Try { epoch: Epoch(old.epoch.0 + 1), ..Try::new(&table) };
    let other = prepared(&place.bucket, &table, new, Load::New, &ids(0..5)).await.expect("prepared");
    table.commit(&held).await.expect("the old run's commit");
    assert_eq!(table.commit(&other).await.expect("an answer"), Outcome::Overtaken);
    assert_eq!(place.ids(), [0, 1, 2]);
    run(&place.bucket, Load::New, &ids(3..5)).await.expect("the next attempt");
    assert_eq!(place.ids(), [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn f34_a_commit_whose_answer_was_lost_is_read_back() {
    let place = Place::new();
    for (blows, version) in [(vec![Blow::LoseAnswer], 0), (vec![Blow::LoseRequest, Blow::LoseAnswer], 1)] {
        let faulty = Faulty::commits(&place.bucket, &blows);
        let bucket: Arc<dyn Bucket> = faulty.clone();
        let from = i64::try_from(version).expect("small") * 3;
        let (who, outcome) = run(&bucket, Load::New, &ids(from..from + 3)).await.expect("a run");
        assert_eq!(outcome, Outcome::Landed(Committed { version, rebased: false, read_back: true }));
        assert_eq!((faulty.fired(), place.commits_of(who.run)), (blows.len(), 1));
    }
    assert_eq!(place.ids(), [0, 1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_store_that_never_answers_leaves_the_commit_unknown_and_the_next_attempt_settles_it() {
    let place = Place::new();
    let faulty = Faulty::commits(&place.bucket, &[Blow::LoseRequest; 50]);
    let bucket: Arc<dyn Bucket> = faulty.clone();
    let table = open_on(&bucket).await.expect("a table");
    let who = Try::new(&table);
    let held = prepared(&bucket, &table, who, Load::New, &ids(0..3)).await.expect("prepared");
    let before = place.contents();
    assert_eq!(code(table.commit(&held).await), Some(FailureCode::CommitUnknown));
    assert!(faulty.fired() > 1);
    assert_eq!(place.contents(), before, "nothing may be deleted");
    let next = place.open().await.expect("the table");
    assert!(next.delivered(who.run).is_none());
    let again = Try::of(who.run, &next);
    let held = prepared(&place.bucket, &next, again, Load::New, &ids(0..3)).await.expect("prepared");
    next.commit(&held).await.expect("a commit");
    assert_eq!((place.ids(), place.commits_of(who.run)), (vec![0, 1, 2], 1));
}

#[tokio::test]
async fn f35_a_conflict_is_tried_again() {
    let place = Place::new();
    let faulty = Faulty::all(&place.bucket, &[Blow::Conflict; 3]);
    let bucket: Arc<dyn Bucket> = faulty.clone();
    let (_, outcome) = run(&bucket, Load::Full, &ids(0..3)).await.expect("a run");
    assert_eq!(outcome, Outcome::Landed(Committed { version: 0, rebased: false, read_back: false }));
    let faulty = Faulty::commits(&place.bucket, &[Blow::Conflict, Blow::Conflict]);
    let bucket: Arc<dyn Bucket> = faulty.clone();
    let (_, outcome) = run(&bucket, Load::Full, &ids(5..8)).await.expect("a run");
    assert_eq!(outcome, Outcome::Landed(Committed { version: 1, rebased: false, read_back: false }));
    assert_eq!((faulty.fired(), place.ids()), (2, vec![5, 6, 7]));
}

#[tokio::test]
async fn f36_a_store_that_ignores_the_condition_is_refused() {
    let place = Place::new();
    for _ in 0..2 {
        probe_conditions(&*place.bucket).await.expect("a sound store");
        assert_eq!(place.contents().len(), 1, "probes leave one small object, and need no leave to delete it");
    }
    // Where an earlier probe's object is there, and where it is not.
    for place in [&place, &Place::new()] {
        let liar = Faulty::all(&place.bucket, &[Blow::Pass, Blow::Overwrite]);
        assert_eq!(code(probe_conditions(&*liar).await), Some(FailureCode::BucketUnconditional));
        assert_eq!(liar.fired(), 1);
        // What the liar let through stays, and speaks against no store that keeps its word from then on.
        probe_conditions(&*place.bucket).await.expect("sound again");
    }
    // Nor does a run begin there, with or without a commit before it: the first puts are those of the key and of its test.
    for blows in [&[Blow::Pass, Blow::Overwrite][..], &[Blow::Overwrite]] {
        let liar = Faulty::all(&place.bucket, blows);
        let before = place.contents();
        let bucket: Arc<dyn Bucket> = liar.clone();
        assert_eq!(code(run(&bucket, Load::Full, &ids(0..3)).await), Some(FailureCode::BucketUnconditional));
        let (fired, after) = (liar.fired(), place.contents());
        assert_eq!(fired, 1);
        assert!(before.iter().all(|(path, bytes)| after.get(path) == Some(bytes)), "the key was replaced");
        assert!(!place.log(0).exists(), "a commit was put");
    }
}

#[tokio::test]
async fn f39_a_full_store_tears_no_commit_and_the_next_attempt_goes_on() {
    let place = Place::new();
    run(&place.bucket, Load::Full, &ids(0..3)).await.expect("a first run");
    // The question whether conditions are minded, the receipt, the state and the commit in turn find no space.
    for passing in 0..4 {
        let mut blows = vec![Blow::Pass; passing];
        blows.push(Blow::Full);
        let faulty = Faulty::all(&place.bucket, &blows);
        let bucket: Arc<dyn Bucket> = faulty.clone();
        assert_eq!(code(run(&bucket, Load::Full, &ids(10..13)).await), Some(FailureCode::BucketFull));
        assert_eq!(faulty.fired(), 1);
        assert_eq!(place.ids(), [0, 1, 2]);
    }
    run(&place.bucket, Load::Full, &ids(10..13)).await.expect("a run with space");
    assert_eq!(place.ids(), [10, 11, 12]);
}

#[tokio::test]
async fn preparing_twice_changes_nothing_and_another_delivery_of_the_epoch_is_refused() {
    let place = Place::new();
    let table = place.open().await.expect("a table");
    let who = Try::new(&table);
    let data = file(&place.bucket, &table, who, &ids(0..3)).await;
    let once = delivery(who, Load::New, vec![data.clone()], ids(0..1).schema());
    let first = table.prepare(&once).await.expect("prepared").expect("rows");
    let before = place.contents();
    let again = table.prepare(&once).await.expect("prepared").expect("rows");
    assert_eq!((first.digest, first.receipt_digest), (again.digest, again.receipt_digest));
    assert_eq!(place.contents(), before);
    let other = delivery(who, Load::New, vec![data.clone(), data], ids(0..1).schema());
    assert_eq!(code(table.prepare(&other).await), Some(FailureCode::CommitUnknown));
    table.commit(&again).await.expect("a commit");
    table.commit(&first).await.expect("the same commit");
    assert_eq!((place.ids(), place.commits_of(who.run)), (vec![0, 1, 2], 1));
}

#[tokio::test]
async fn a_new_run_without_rows_commits_nothing() {
    let place = Place::new();
    let table = place.open().await.expect("a table");
    let empty = delivery(Try::new(&table), Load::New, Vec::new(), ids(0..1).schema());
    assert!(table.prepare(&empty).await.expect("an answer").is_none());
    assert!(place.contents().is_empty());
}

#[tokio::test]
async fn a_replace_that_would_lose_too_many_rows_is_refused() {
    let place = Place::new();
    run(&place.bucket, Load::Full, &ids(0..100)).await.expect("a run");
    let table = place.open().await.expect("the table");
    let who = Try::new(&table);
    for (rows, guard, refused) in [(49, 50, true), (50, 50, false), (0, 1, true), (0, 0, false), (99, 100, true)] {
        let data = file(&place.bucket, &table, who, &ids(0..rows)).await;
        let mut delivery = delivery(Try::new(&table), Load::Full, vec![data], ids(0..1).schema());
        delivery.shrink_guard = guard;
        let shrank = code(table.prepare(&delivery).await);
        assert_eq!(shrank, refused.then_some(FailureCode::TableShrank), "{rows} rows under {guard} %");
    }
}

#[tokio::test]
async fn data_files_of_a_long_attempt_must_still_be_there() {
    let place = Place::new();
    let table = place.open().await.expect("a table");
    let long_ago = Try { epoch: Epoch(1), ..Try::new(&table) };
    let data = file(&place.bucket, &table, long_ago, &ids(0..3)).await;
    let key = data.key.clone();
    let delivery = delivery(long_ago, Load::New, vec![data], ids(0..1).schema());
    let held = table.prepare(&delivery).await.expect("prepared").expect("rows");
    place.bucket.delete(&key).await.expect("a foreign vacuum");
    assert_eq!(code(table.commit(&held).await), Some(FailureCode::BucketFailed));
    assert!(!place.log(0).exists());
}
