//! The list of files that were taken, beside a table: current with the rows, whole or refused, small whatever it has seen.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use waybill_connectors::bucket::local::LocalBucket;
use waybill_connectors::source::files::Files;
use waybill_model::plan::Load;
use waybill_model::{Epoch, FailureCode, Micros};
use waybill_pipeline::commit::gc::{Age, collect};
use waybill_pipeline::commit::rollback::roll_back;
use waybill_pipeline::commit::{Outcome, UpkeepError, audit_table};
use waybill_pipeline::source::Want;
use waybill_pipeline::{Bucket, CursorState, FaultResult, Source, Taken, TakenFile};

use super::fixture::{Blow, Faulty, Place, STREAM, Try, code, delivery, file, ids, open_on};
use super::gc::{DAY, after, age};

fn taken_file(n: i64, etag: &str) -> TakenFile {
    TakenFile { key: format!("in/{n:09}.csv"), etag: etag.to_owned(), size: n.unsigned_abs() }
}

/// What the table's state says was taken.
async fn known(place: &Place) -> Taken {
    let table = place.open().await.expect("the table");
    let cursor = table.state().and_then(|state| state.cursor.clone());
    cursor.and_then(|cursor| cursor.taken().cloned()).unwrap_or_default()
}

async fn listed(taken: &Taken) -> FaultResult<BTreeMap<String, (String, u64)>> {
    let (mut earlier, mut all) = (taken.earlier().await?, BTreeMap::new());
    while let Some(file) = earlier.next().await? {
        assert!(all.last_key_value().is_none_or(|(last, _)| *last < file.key), "it is in order");
        all.insert(file.key, (file.etag, file.size));
    }
    Ok(all)
}

/// A run that takes these files; one that is not committed ends before.
async fn take(place: &Place, files: Vec<TakenFile>, rows: Range<i64>, commits: bool) {
    take_since(place, Micros::now(), files, rows, commits).await;
}

/// The same, begun so long ago.
async fn take_since(place: &Place, began: Micros, files: Vec<TakenFile>, rows: Range<i64>, commits: bool) {
    let taken = known(place).await.with(files);
    let table = place.open().await.expect("the table");
    let (who, rows) = (Try { epoch: Epoch::next(table.epoch(), began), ..Try::new(&table) }, ids(rows));
    let files = if rows.num_rows() > 0 { vec![file(&place.bucket, &table, who, &rows).await] } else { Vec::new() };
    let mut delivery = delivery(who, Load::New, files, rows.schema());
    delivery.cursor = Some(CursorState::of_taken(taken));
    let held = table.prepare(&delivery).await.expect("prepared").expect("something to commit");
    let again = table.prepare(&delivery).await.expect("prepared again").expect("something to commit");
    assert_eq!(held.digest, again.digest, "asking twice writes one list");
    if commits {
        assert!(matches!(table.commit(&held).await, Ok(Outcome::Landed(_))));
    }
}

/// Parts that lie beside the table, whoever names them.
fn parts(place: &Place) -> usize {
    place.contents().keys().filter(|path| path.to_string_lossy().contains("/_waybill/taken/")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_takes_is_known_once_it_is_committed_and_not_before() {
    let place = Place::new();
    take(&place, vec![taken_file(1, "a"), taken_file(3, "a")], 0..2, true).await;
    take(&place, vec![taken_file(2, "a")], 2..3, false).await;
    let expected = |all: &[(i64, &str)]| -> BTreeMap<String, (String, u64)> {
        let one = |(n, etag): &(i64, &str)| (taken_file(*n, etag).key, ((*etag).to_owned(), n.unsigned_abs()));
        all.iter().map(one).collect()
    };
    assert_eq!(listed(&known(&place).await).await.ok(), Some(expected(&[(1, "a"), (3, "a")])));
    // One that was rewritten is known as it is now, in whatever part it stood; files without rows are known too.
    take(&place, vec![taken_file(2, "a"), taken_file(3, "b")], 2..4, true).await;
    take(&place, vec![taken_file(0, "c"), taken_file(1, "c")], 0..0, true).await;
    let all = expected(&[(0, "c"), (1, "c"), (2, "a"), (3, "b")]);
    assert_eq!(listed(&known(&place).await).await.ok(), Some(all));
    place.sees(0..4);
    place.is_sound().await;
}

/// Of each attempt the answer or the request is lost, or another attempt of the run comes in between.
#[tokio::test(flavor = "multi_thread")]
async fn f17_a_lost_answer_leaves_a_list_that_is_right_whatever_became_of_the_commit() {
    for blow in [Blow::LoseAnswer, Blow::LoseRequest, Blow::Conflict] {
        let place = Place::new();
        take(&place, vec![taken_file(1, "a")], 0..1, true).await;
        let faulty = Faulty::commits(&place.bucket, &[blow]);
        let bucket: Arc<dyn Bucket> = faulty.clone();
        let table = open_on(&bucket).await.expect("the table");
        let taken = known(&place).await.with(vec![taken_file(2, "a")]);
        let attempt = |who: Try| {
            let (bucket, table, taken) = (&bucket, &table, taken.clone());
            async move {
                let rows = ids(1..2);
                let files = vec![file(bucket, table, who, &rows).await];
                let mut delivery = delivery(who, Load::New, files, rows.schema());
                delivery.cursor = Some(CursorState::of_taken(taken));
                table.prepare(&delivery).await.expect("prepared").expect("something to commit")
            }
        };
        let first = Try::new(&table);
        let (held, other) = (attempt(first).await, attempt(Try::of(first.run, &table)).await);
        let landed = table.commit(&held).await.expect("settled");
        assert!(matches!(landed, Outcome::Landed(_)), "{landed:?}");
        assert_eq!(faulty.fired(), 1, "the blow fell");
        let second = table.commit(&other).await.expect("settled");
        assert!(matches!(second, Outcome::Adopted(_)), "{second:?}");
        assert_eq!(listed(&known(&place).await).await.ok().map(|all| all.len()), Some(2), "{blow:?}");
        place.sees(0..2);
        place.is_sound().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_was_touched_is_refused_and_told_by_an_audit() {
    let place = Place::new();
    take(&place, (0..5000).map(|n| taken_file(n, &format!("{n:x}"))).collect(), 0..1, true).await;
    let part = place.contents().into_keys().find(|path| path.to_string_lossy().contains("/_waybill/taken/"));
    let part = part.expect("a part");
    let whole = std::fs::read(&part).expect("the part");
    let mut altered = whole.clone();
    altered[whole.len() / 2] ^= 4;
    let longer = [whole.as_slice(), &whole].concat();
    for bytes in [&altered, &longer, &whole[..whole.len() - 3].to_vec()] {
        std::fs::write(&part, bytes).expect("touched");
        assert_eq!(code(listed(&known(&place).await).await), Some(FailureCode::CommitLogCorrupt));
        let report = audit_table(&*place.bucket, STREAM, true).await.expect("a report");
        assert!(!report.is_ok(), "the audit passes over it");
    }
    std::fs::remove_file(&part).expect("gone");
    assert_eq!(code(listed(&known(&place).await).await), Some(FailureCode::CommitLogCorrupt));
    let report = audit_table(&*place.bucket, STREAM, false).await.expect("a report");
    assert!(report.problems[0].text.contains("would not know which files are taken"), "{:?}", report.problems);
    std::fs::write(&part, &whole).expect("back");
    assert_eq!(listed(&known(&place).await).await.ok().map(|all| all.len()), Some(5000));
    place.is_sound().await;
}

/// Well-formed and of the same size: only its checksum tells.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_was_put_in_the_place_of_another_is_refused() {
    let places = [Place::new(), Place::new()];
    let mut lists = Vec::new();
    for (place, etag) in places.iter().zip(["a", "b"]) {
        take(place, (0..5).map(|n| taken_file(n, etag)).collect(), 0..1, true).await;
        let (path, body) = place
            .contents()
            .into_iter()
            .find(|(path, _)| path.to_string_lossy().contains("/_waybill/taken/"))
            .expect("a part");
        lists.push((path, body));
    }
    assert_eq!(lists[0].1.len(), lists[1].1.len());
    std::fs::write(&lists[0].0, &lists[1].1).expect("another list");
    let taken = known(&places[0]).await;
    assert_eq!(code(listed(&taken).await), Some(FailureCode::CommitLogCorrupt));
    // A source reads it to its end, also where it has no files left to ask for.
    let inbox = tempfile::tempdir().expect("an inbox");
    let source = Files::new(Arc::new(LocalBucket::open(inbox.path()).expect("a bucket")));
    let plan = serde_json::from_value(serde_json::json!({"name": "in/*.csv", "load": "new"})).expect("a stream");
    let want = Want { lanes: 1, most: 1, batch_bytes: 1 << 20, row_bytes: 1 << 20 };
    let opened = source.open(&plan, Some(&CursorState::of_taken(taken)), want).await;
    assert_eq!(code(opened), Some(FailureCode::CommitLogCorrupt));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_up_leaves_the_lists_that_are_needed_and_a_rollback_goes_on_from_its_own() {
    let place = Place::new();
    for n in 0..9 {
        take(&place, vec![taken_file(n, "a")], n..n + 1, true).await;
    }
    take(&place, vec![taken_file(50, "a")], 50..51, false).await;
    assert_eq!(parts(&place), 10);
    roll_back(&place.bucket, STREAM, 3, false).await.expect("put back");
    assert_eq!(listed(&known(&place).await).await.ok().map(|all| all.len()), Some(4));
    roll_back(&place.bucket, STREAM, 8, false).await.expect("and forward");
    let day = Duration::from_secs(86_400);
    let age = |days: u32| Age { retention: 7 * day, now: Micros::now().plus(day * days) };
    let young = collect(&place.bucket, STREAM, age(6), false).await.expect("a clean-up");
    assert_eq!((young.files, parts(&place)), (0, 10), "a rollback may come back to each of them");
    let old = collect(&place.bucket, STREAM, age(8), false).await.expect("a clean-up");
    assert!(old.files > 5 && parts(&place) <= 4, "{} were deleted, {} are left", old.files, parts(&place));
    assert_eq!(listed(&known(&place).await).await.ok().map(|all| all.len()), Some(9));
    let refused = roll_back(&place.bucket, STREAM, 3, false).await;
    assert!(matches!(refused, Err(UpkeepError::Refused(why)) if why.contains("its retention is over")));
    take(&place, vec![taken_file(9, "a")], 9..10, true).await;
    place.sees(0..10);
    place.is_sound().await;
}

/// The version that was current as long ago as the retention goes can be come back to, whatever was begun besides.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_goes_on_from_the_list_of_the_version_that_the_retention_reaches_back_to() {
    for (is_lost, is_slow) in [(false, false), (true, false), (false, true), (true, true)] {
        let told = format!("an attempt that never landed: {is_lost}, one that landed late: {is_slow}");
        let place = Place::new();
        let now = Micros::now();
        let old = Micros(now.0 - i64::try_from((40 * DAY).as_micros()).expect("a time"));
        take_since(&place, old, vec![taken_file(0, "a")], 0..1, true).await;
        let first = after(&place, 0).await.expect("a clean-up");
        assert_eq!((first.files, first.kept), (0, 0), "{told}: the only list is in use");
        for n in 1..3 {
            take_since(&place, old, vec![taken_file(n, "a")], n..n + 1, true).await;
        }
        if is_lost {
            take_since(&place, old, vec![taken_file(50, "a")], 50..51, false).await;
        }
        age(&place.table());
        // What came in its place came only now, begun long ago or not. It takes so many files that its list has all others in it.
        let last = vec![taken_file(3, "a"), taken_file(4, "a")];
        let began = if is_slow { old.plus(Duration::from_secs(1)) } else { now };
        take_since(&place, began, last, 3..5, true).await;

        let done = after(&place, 0).await.expect("a clean-up");
        assert_eq!((done.files, done.kept), (2 + 2 * u64::from(is_lost), 1), "{told}");
        let refused = roll_back(&place.bucket, STREAM, 1, false).await;
        assert!(matches!(refused, Err(UpkeepError::Refused(why)) if why.contains("its retention is over")), "{told}");
        roll_back(&place.bucket, STREAM, 2, false).await.unwrap_or_else(|error| panic!("{told}: {error:?}"));
        assert_eq!(listed(&known(&place).await).await.ok().map(|all| all.len()), Some(3), "{told}");
        place.is_sound().await;
    }
}
