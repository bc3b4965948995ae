//! The plain commit log: whole runs only, one commit for each run whatever comes in its way, and records that tell of damage.
//! Its readers here are the newest commit's own list of files, and DuckDB by it.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use waybill_model::plan::{Compression, Files, Format, Load};
use waybill_model::{FailureCode, Micros, RunId};
use waybill_pipeline::commit::gc::{Age, collect};
use waybill_pipeline::commit::rollback::{roll_back, versions};
use waybill_pipeline::commit::{Committed, DataFile, FileStats, Outcome, Owner, Prepared, Table, audit_table};
use waybill_pipeline::{Bucket, FaultResult};
use waybill_tests::readers;

use super::fixture::{Blow, Faulty, Place, STREAM, Try, code, delivery, ids, owner};

const DAY: Duration = Duration::from_secs(86_400);

/// How the tables of these tests are written.
pub(crate) fn csv() -> Files {
    Files { compression: Compression::None, ..Files::of(Format::Csv) }
}

async fn open_as(bucket: &Arc<dyn Bucket>, files: &Files) -> FaultResult<Table> {
    Table::open_as(bucket.clone(), STREAM, &owner(), files).await
}

async fn open(bucket: &Arc<dyn Bucket>) -> FaultResult<Table> {
    open_as(bucket, &csv()).await
}

/// Uploads and prepares rows.
async fn prepared(
    bucket: &Arc<dyn Bucket>,
    table: &Table,
    who: Try,
    load: Load,
    rows: Range<i64>,
) -> FaultResult<Prepared> {
    let many = rows.end.abs_diff(rows.start);
    let schema = ids(rows.clone()).schema();
    let body = format!("\"id\"\r\n{}", rows.map(|id| format!("{id}\r\n")).collect::<String>());
    let key = table.data_key(who.run, who.attempt, 0);
    let (bytes, sha256) = (body.len() as u64, Sha256::digest(&body).into());
    let mut upload = bucket.upload(&key).await?;
    upload.write(Bytes::from(body)).await?;
    assert_eq!(upload.finish().await?, bytes);
    let file = DataFile { key, rows: many, bytes, sha256, stats: FileStats::default(), partition: Default::default() };
    Ok(table.prepare(&delivery(who, load, vec![file], schema)).await?.expect("something to commit"))
}

/// A whole run on what is there.
async fn run(bucket: &Arc<dyn Bucket>, load: Load, rows: Range<i64>) -> FaultResult<(Try, Outcome)> {
    let table = open(bucket).await?;
    let who = Try::new(&table);
    let held = prepared(bucket, &table, who, load, rows).await?;
    Ok((who, table.commit(&held).await?))
}

fn commit(place: &Place, version: u64) -> PathBuf {
    place.table().join(format!("_waybill/commits/{version:020}.json"))
}

fn newest(place: &Place) -> Value {
    let last = (0..).map(|version| commit(place, version)).take_while(|file| file.exists()).last().expect("a commit");
    serde_json::from_str(&std::fs::read_to_string(last).expect("a commit")).expect("JSON")
}

/// What whoever reads the newest commit's files sees.
fn seen(place: &Place) -> Vec<i64> {
    let commit = newest(place);
    let files = commit["files"].as_array().expect("files").iter();
    let texts = files.map(|file| std::fs::read_to_string(place.table().join(file["path"].as_str().expect("a path"))));
    let mut ids: Vec<i64> = texts
        .flat_map(|text| text.expect("a file").lines().skip(1).map(|id| id.parse().expect("an id")).collect::<Vec<_>>())
        .collect();
    ids.sort_unstable();
    assert_eq!(commit["rows"], ids.len());
    ids
}

fn ids_of(range: Range<i64>) -> Vec<i64> {
    range.collect()
}

fn commits_of(place: &Place, run: RunId) -> usize {
    let texts = (0..).map_while(|version| std::fs::read_to_string(commit(place, version)).ok());
    texts.filter(|text| text.contains(&format!("\"run\":\"{run}\""))).count()
}

async fn problems(place: &Place) -> Vec<String> {
    let report = audit_table(&*place.bucket, STREAM, true).await.expect("a report");
    report.problems.into_iter().map(|problem| problem.text).collect()
}

async fn is_sound(place: &Place) {
    assert_eq!(problems(place).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_plain_commit_names_the_files_of_whole_runs_and_no_others() {
    let place = Place::new();
    run(&place.bucket, Load::Full, 0..3).await.expect("a run");
    run(&place.bucket, Load::New, 3..6).await.expect("a run");
    let table = open(&place.bucket).await.expect("the table");
    let held = prepared(&place.bucket, &table, Try::new(&table), Load::Full, 100..102).await.expect("prepared");
    assert_eq!(seen(&place), ids_of(0..6), "a prepared run shows nothing");
    assert_eq!(
        readers::live(&place.table(), "SELECT count(*), sum(id)::bigint FROM t").expect("DuckDB"),
        json!([[6, 15]])
    );
    table.commit(&held).await.expect("a commit");
    assert_eq!(seen(&place), [100, 101]);
    let told = newest(&place);
    assert_eq!(
        (&told["version"], &told["operation"], &told["table"]["format"]),
        (&json!(2), &json!("full"), &json!("csv"))
    );
    assert_eq!((told["added"].as_array().map(Vec::len), told["removed"].as_array().map(Vec::len)), (Some(1), Some(2)));
    assert!(!place.table().join("_delta_log").exists());
    is_sound(&place).await;
}

#[tokio::test]
async fn f17_attempts_on_a_plain_log_are_adopted_fenced_or_sent_back() {
    let place = Place::new();
    let table = open(&place.bucket).await.expect("a table");
    let first = Try::new(&table);
    let held = prepared(&place.bucket, &table, first, Load::New, 0..3).await.expect("prepared");
    let second = Try::of(first.run, &table);
    let other = prepared(&place.bucket, &table, second, Load::New, 0..3).await.expect("prepared");
    let landed = table.commit(&held).await.expect("a commit");
    assert_eq!(landed, Outcome::Landed(Committed { version: 0, rebased: false, read_back: false }));
    let before = place.contents();
    assert!(matches!(table.commit(&other).await, Ok(Outcome::Adopted(found)) if found.epoch == first.epoch));
    let next = open(&place.bucket).await.expect("the table");
    assert_eq!(next.delivered(first.run).map(|found| (found.version, found.rows)), Some((0, 3)));
    assert_eq!(place.contents(), before, "adopting changes nothing");

    // A later run fences what slept, and an earlier one's late commit sends the later one back.
    let asleep = prepared(&place.bucket, &next, Try::new(&next), Load::New, 3..6).await.expect("prepared");
    let later = prepared(&place.bucket, &next, Try::new(&next), Load::New, 3..6).await.expect("prepared");
    next.commit(&asleep).await.expect("the earlier run's commit");
    assert_eq!(next.commit(&later).await.expect("an answer"), Outcome::Overtaken);
    run(&place.bucket, Load::New, 6..7).await.expect("a later run");
    assert_eq!(code(next.commit(&later).await), Some(FailureCode::Fenced));
    assert_eq!((seen(&place), commits_of(&place, first.run)), (ids_of(0..7), 1));
    is_sound(&place).await;
}

#[tokio::test]
async fn f34_a_plain_commit_whose_answer_was_lost_is_read_back() {
    for blows in
        [vec![Blow::LoseAnswer], vec![Blow::LoseRequest, Blow::LoseAnswer], vec![Blow::Conflict, Blow::LoseAnswer]]
    {
        let place = Place::new();
        run(&place.bucket, Load::Full, 0..3).await.expect("a run");
        let faulty = Faulty::commits(&place.bucket, &blows);
        let bucket: Arc<dyn Bucket> = faulty.clone();
        let (who, outcome) = run(&bucket, Load::New, 3..6).await.expect("a run");
        assert_eq!(outcome, Outcome::Landed(Committed { version: 1, rebased: false, read_back: true }), "{blows:?}");
        assert_eq!(faulty.fired(), blows.len());
        assert_eq!((seen(&place), commits_of(&place, who.run)), (ids_of(0..6), 1), "{blows:?}");
    }
}

#[tokio::test]
async fn a_store_that_never_answers_leaves_a_plain_commit_unknown_and_the_next_attempt_settles_it() {
    let place = Place::new();
    let faulty = Faulty::all(&place.bucket, &[Blow::Full]);
    let bucket: Arc<dyn Bucket> = faulty.clone();
    assert_eq!(code(run(&bucket, Load::Full, 0..3).await), Some(FailureCode::BucketFull), "the claim did not fit");
    assert!(!commit(&place, 0).exists() && faulty.fired() == 1);
    let faulty = Faulty::commits(&place.bucket, &[Blow::LoseRequest; 20]);
    let bucket: Arc<dyn Bucket> = faulty.clone();
    let table = open(&bucket).await.expect("a table");
    let who = Try::new(&table);
    let held = prepared(&bucket, &table, who, Load::Full, 0..3).await.expect("prepared");
    assert_eq!(code(table.commit(&held).await), Some(FailureCode::CommitUnknown));
    let table = open(&place.bucket).await.expect("the table");
    assert!(table.delivered(who.run).is_none());
    let again = Try::of(who.run, &table);
    let held = prepared(&place.bucket, &table, again, Load::Full, 0..3).await.expect("prepared");
    assert!(matches!(table.commit(&held).await, Ok(Outcome::Landed(_))));
    assert_eq!((seen(&place), commits_of(&place, who.run)), (ids_of(0..3), 1));
    is_sound(&place).await;
}

#[tokio::test]
async fn a_plain_table_is_cleaned_up_and_put_back_and_no_earlier_attempt_lands_after() {
    let place = Place::new();
    run(&place.bucket, Load::Full, 0..3).await.expect("a run");
    run(&place.bucket, Load::Full, 0..4).await.expect("a run");
    run(&place.bucket, Load::New, 4..6).await.expect("a run");
    let done = roll_back(&place.bucket, STREAM, 0, false).await.expect("put back");
    assert_eq!((done.from, done.to, done.version, done.restored, done.removed), (2, 0, Some(3), 1, 2));
    assert_eq!(seen(&place), [0, 1, 2]);
    is_sound(&place).await;
    roll_back(&place.bucket, STREAM, 2, false).await.expect("put forward");
    assert_eq!(seen(&place), ids_of(0..6));
    let told = versions(&place.bucket, STREAM).await.expect("versions");
    let told: Vec<_> = told.iter().map(|it| (it.version, it.operation.as_deref().unwrap_or("-"))).collect();
    assert_eq!(told, [(0, "full"), (1, "full"), (2, "new"), (3, "rollback"), (4, "rollback")]);

    let table = open(&place.bucket).await.expect("the table");
    let asleep = prepared(&place.bucket, &table, Try::new(&table), Load::New, 6..9).await.expect("prepared");
    let age = |days| Age { retention: 7 * DAY, now: Micros::now().plus(DAY * days) };
    let young = collect(&place.bucket, STREAM, age(6), false).await.expect("a clean-up");
    assert_eq!((young.files, young.kept, young.version), (0, 2, None));
    let old = collect(&place.bucket, STREAM, age(8), false).await.expect("a clean-up");
    assert_eq!((old.files, old.kept, old.version), (2, 0, Some(5)), "the first version's file and the sleeper's");
    let ended = table.commit(&asleep).await;
    assert!(matches!(ended, Ok(Outcome::Overtaken)) || code(ended) == Some(FailureCode::Fenced));
    assert_eq!(seen(&place), ids_of(0..6));
    is_sound(&place).await;
    run(&place.bucket, Load::New, 6..9).await.expect("the next run");
    assert_eq!(seen(&place), ids_of(0..9));
    is_sound(&place).await;
}

/// Each lists the whole table, besides what the budget gives out.
#[tokio::test]
async fn plain_commits_are_read_one_after_the_other() {
    let place = Place::new();
    for rows in 0..8 {
        run(&place.bucket, Load::New, rows..rows + 1).await.expect("a run");
    }
    let counted = Faulty::all(&place.bucket, &[]);
    let bucket: Arc<dyn Bucket> = counted.clone();
    assert_eq!(versions(&bucket, STREAM).await.expect("versions").len(), 8);
    roll_back(&bucket, STREAM, 3, false).await.expect("put back");
    audit_table(&*bucket, STREAM, true).await.expect("an audit");
    open(&bucket).await.expect("the table");
    assert_eq!(counted.most(), 1);
}

/// What is done to a log, and its name.
type Damage<'a> = (&'static str, Box<dyn Fn() + 'a>);

#[tokio::test]
async fn h47_a_plain_commit_that_was_edited_moved_or_deleted_is_refused_and_named() {
    let place = Place::new();
    for rows in [0..3, 3..6, 6..9] {
        run(&place.bucket, Load::New, rows).await.expect("a run");
    }
    let whole: Vec<String> = (0..3).map(|n| std::fs::read_to_string(commit(&place, n)).expect("a commit")).collect();
    let restore = || (0..3).for_each(|n| std::fs::write(commit(&place, n), &whole[n as usize]).expect("a commit"));
    let damages: [Damage<'_>; 5] = [
        (
            "edited",
            Box::new(|| std::fs::write(commit(&place, 2), whole[2].replace("\"rows\":9", "\"rows\":8")).expect("w")),
        ),
        ("cut", Box::new(|| std::fs::write(commit(&place, 2), &whole[2][..200]).expect("w"))),
        ("moved", Box::new(|| std::fs::write(commit(&place, 2), &whole[1]).expect("w"))),
        ("a gap", Box::new(|| std::fs::remove_file(commit(&place, 1)).expect("removed"))),
        ("all of it", Box::new(|| std::fs::remove_dir_all(place.table().join("_waybill/commits")).expect("removed"))),
    ];
    for (name, damage) in damages {
        damage();
        let before = place.contents();
        assert_eq!(code(open(&place.bucket).await), Some(FailureCode::CommitLogCorrupt), "{name}");
        assert!(!problems(&place).await.is_empty(), "{name}");
        assert_eq!(place.contents(), before, "{name}");
        std::fs::create_dir_all(place.table().join("_waybill/commits")).expect("a directory");
        restore();
        is_sound(&place).await;
    }
    let data = place.table().join(newest(&place)["files"][0]["path"].as_str().expect("a path"));
    let text = std::fs::read_to_string(&data).expect("a file").replacen('1', "7", 1);
    std::fs::write(&data, text).expect("a file");
    let found = problems(&place).await;
    assert!(found.len() == 1 && found[0].contains("is not what was delivered"), "{found:?}");
}

/// With two logs a sleeper of the one would not be fenced by a run of the other.
#[tokio::test]
async fn a_table_has_one_log_for_good_whoever_begins_it() {
    let delta = Files::default();
    let place = Place::new();
    let first = open_as(&place.bucket, &delta).await.expect("a table");
    let other = open(&place.bucket).await.expect("nothing is there yet");
    prepared(&place.bucket, &other, Try::new(&other), Load::Full, 0..3).await.expect("prepared");
    let late = prepared(&place.bucket, &first, Try::new(&first), Load::Full, 0..3).await;
    assert_eq!(code(late), Some(FailureCode::SpecRefused), "the other log was claimed first");
    for (files, wanted) in [(delta.clone(), false), (csv(), true), (Files::of(Format::ParquetFiles), true)] {
        assert_eq!(open_as(&place.bucket, &files).await.is_ok(), wanted, "{files:?}");
    }
    run(&place.bucket, Load::Full, 0..3).await.expect("a run");
    let fault = open_as(&place.bucket, &delta).await.err().expect("refused");
    assert_eq!(fault.code, FailureCode::SpecRefused);
    let text = fault.text.for_customer();
    assert!(text.contains("plain commit log") && text.contains("move the whole directory away"), "{text}");

    let place = Place::new();
    super::fixture::run(&place.bucket, Load::Full, &ids(0..3)).await.expect("a run into a Delta table");
    let claim = place.table().join("_waybill/log.json");
    assert_eq!(code(open(&place.bucket).await), Some(FailureCode::SpecRefused));
    // As a table of before there were claims, or of another writer.
    std::fs::remove_file(claim).expect("the claim");
    assert_eq!(code(open(&place.bucket).await), Some(FailureCode::SpecRefused));
    place.sees(0..3);
}

#[tokio::test]
async fn a_plain_table_of_another_pipeline_or_format_is_not_written_to_unasked() {
    let place = Place::new();
    run(&place.bucket, Load::New, 0..3).await.expect("a run");
    let other = Owner::new("pl_other");
    let refused = Table::open_as(place.bucket.clone(), STREAM, &other, &csv()).await;
    assert_eq!(code(refused), Some(FailureCode::TableNotOurs));
    let taken = Owner { take_over: true, ..other };
    Table::open_as(place.bucket.clone(), STREAM, &taken, &csv()).await.expect("a take-over");

    let jsonl = Files { compression: Compression::None, ..Files::of(Format::Jsonl) };
    let table = open_as(&place.bucket, &jsonl).await.expect("the table");
    let who = Try::new(&table);
    let fault = prepared(&place.bucket, &table, who, Load::New, 3..6).await.err().expect("refused");
    assert_eq!(fault.code, FailureCode::SchemaChanged);
    assert!(fault.text.for_customer().contains("one `full` load replaces them"), "{}", fault.text.for_customer());
    let held = prepared(&place.bucket, &table, who, Load::Full, 0..6).await.expect("prepared");
    table.commit(&held).await.expect("a commit");
    assert_eq!((&newest(&place)["table"]["format"], seen(&place).len()), (&json!("jsonl"), 6));
    is_sound(&place).await;
    // What is put back is what it was.
    roll_back(&place.bucket, STREAM, 0, false).await.expect("put back");
    assert_eq!((&newest(&place)["table"]["format"], seen(&place)), (&json!("csv"), ids_of(0..3)));
}

/// The same commits in another store.
pub(crate) async fn lands_in(bucket: Arc<dyn Bucket>) {
    run(&bucket, Load::Full, 0..3).await.expect("a run");
    let faulty = Faulty::commits(&bucket, &[Blow::LoseAnswer]);
    let lossy: Arc<dyn Bucket> = faulty.clone();
    let (_, outcome) = run(&lossy, Load::New, 3..6).await.expect("a run");
    assert_eq!(outcome, Outcome::Landed(Committed { version: 1, rebased: false, read_back: true }));
    assert_eq!(faulty.fired(), 1);
    roll_back(&bucket, STREAM, 0, false).await.expect("put back");
    run(&bucket, Load::New, 3..5).await.expect("a run");
    let report = audit_table(&*bucket, STREAM, true).await.expect("a report");
    assert!(report.is_ok(), "{:?}", report.problems);
    assert_eq!((report.version, report.rows, report.files, report.commits), (Some(3), 5, 2, 4));
    let table = open_as(&bucket, &Files::default()).await;
    assert_eq!(code(table), Some(FailureCode::SpecRefused));
}
