//! Checkpoints of ours: what is in them is the table, by every reader; what is wrong with them bends nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use waybill_model::FailureCode;
use waybill_model::plan::Load;
use waybill_pipeline::Bucket;
use waybill_pipeline::commit::rollback::roll_back;
use waybill_pipeline::commit::{DataFile, Outcome, Owner, Table, audit_table};
use waybill_tests::readers::{self, Foreign};

use super::fixture::{Blow, Faulty, Place, STREAM, Try, code, delivery, file, ids, open_on, owner, prepared, run};
use super::gc;

/// A whole run, with what follows its commit.
async fn whole(bucket: &Arc<dyn Bucket>, load: Load, rows: &RecordBatch) -> Outcome {
    let table = open_on(bucket).await.expect("the table");
    let held = prepared(bucket, &table, Try::new(&table), load, rows).await.expect("prepared");
    let outcome = table.commit(&held).await.expect("a commit");
    table.after_commit().await;
    outcome
}

/// Appends up to this version, each one row: its number.
async fn appended(place: &Place, versions: std::ops::RangeInclusive<i64>) {
    for n in versions {
        whole(&place.bucket, Load::New, &ids(n..n + 1)).await;
    }
}

fn checkpoint(place: &Place, version: u64) -> PathBuf {
    place.table().join(format!("_delta_log/{version:020}.checkpoint.parquet"))
}

fn last(place: &Place) -> Value {
    let text = std::fs::read_to_string(place.table().join("_delta_log/_last_checkpoint")).expect("a hint");
    serde_json::from_str(&text).expect("JSON")
}

/// Takes the commits up to a version away, as a clean-up of the log does.
fn forget(place: &Place, last: u64) {
    (0..=last).for_each(|version| std::fs::remove_file(place.log(version)).expect("a commit"));
}

/// A place of its own with the same files.
fn copy(place: &Place) -> (tempfile::TempDir, Place) {
    let dir = tempfile::tempdir().expect("a directory");
    let root = place.table();
    let root = root.parent().expect("its bucket");
    for (path, body) in place.contents() {
        let to = dir.path().join(path.strip_prefix(root).expect("below it"));
        std::fs::create_dir_all(to.parent().expect("a directory")).expect("a directory");
        std::fs::write(to, body).expect("a file");
    }
    let place = Place::at(dir.path());
    (dir, place)
}

async fn problems(place: &Place) -> Vec<String> {
    let report = audit_table(&*place.bucket, STREAM, true).await.expect("a report");
    report.problems.into_iter().map(|problem| problem.text).collect()
}

fn timed(range: std::ops::Range<i64>) -> RecordBatch {
    let local = DataType::Timestamp(TimeUnit::Microsecond, None);
    let fields = vec![Field::new("id", DataType::Int64, false), Field::new("made", local, true)];
    let made: ArrayRef = Arc::new(TimestampMicrosecondArray::from_iter_values(range.clone().map(|id| id * 1_000_000)));
    let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from_iter_values(range)), made];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("a batch")
}

/// Appends, a replace, a zone-less time, so that every kind of action is there; then readers that have nothing but the checkpoint.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_comes_with_every_tenth_version_and_is_the_table_by_itself() {
    let place = Place::new();
    appended(&place, 0..=5).await;
    whole(&place.bucket, Load::Full, &timed(0..4)).await;
    for n in 7..=20 {
        assert_eq!(checkpoint(&place, 10).exists(), n > 10, "before version {n}");
        whole(&place.bucket, Load::New, &timed(n..n + 1)).await;
    }
    let size = std::fs::metadata(checkpoint(&place, 20)).expect("a checkpoint").len();
    // Protocol, metadata, mark, 15 files that are seen and 6 that are not any more.
    let told = json!({"version": 20, "size": 24, "sizeInBytes": size, "numOfAddFiles": 15});
    assert_eq!(last(&place), told);
    let sql = "SELECT id, made FROM t ORDER BY id";
    let before = readers::query(&place.table(), sql).expect("readers").agreed();
    assert_eq!(before.as_array().map(Vec::len), Some(18));
    place.is_sound().await;

    let (_dir, cut) = copy(&place);
    forget(&cut, 20);
    assert_eq!(readers::query(&cut.table(), sql).expect("readers").agreed(), before);
    let bounded = "SELECT id FROM t WHERE made >= TIMESTAMP '1970-01-01 00:00:19' ORDER BY id";
    assert_eq!(readers::query(&cut.table(), bounded).expect("readers").agreed(), json!([[19], [20]]));
    let table = cut.open().await.expect("the table");
    assert_eq!((table.version(), table.rows()), (Some(20), Some(18)));
    assert_eq!(table.state().map(|state| state.rows), Some(1));
    // The files that a replace left are still named: they go when their time has come, and no other.
    gc::age(&cut.table().join("data"));
    assert_eq!(gc::after(&cut, 6).await.expect("a clean-up").files, 0);
    assert_eq!(gc::after(&cut, 8).await.expect("a clean-up").files, 6);
    whole(&cut.bucket, Load::New, &timed(30..31)).await;
    assert_eq!(readers::query(&cut.table(), "SELECT count(*) FROM t").expect("readers").agreed(), json!([[19]]));
    readers::change(&cut.table(), Foreign::Compact).expect("another writer goes on from it");
    assert_eq!(readers::query(&cut.table(), "SELECT count(*) FROM t").expect("readers").agreed(), json!([[19]]));
    cut.is_sound().await;

    // What stood before the replace comes back, and with it the checkpoint after that.
    let back = roll_back(&place.bucket, STREAM, 5, false).await.expect("a rollback");
    assert_eq!((back.restored, back.removed, back.rows), (6, 15, Some(6)));
    place.sees(0..6);
    appended(&place, 6..=14).await;
    assert_eq!(last(&place)["version"], 30);
    forget(&place, 30);
    place.sees(0..15);
    place.is_sound().await;
}

/// Whatever the log was before: others' checkpoints, in one file or several, and compacted ranges.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_is_made_of_what_others_left_of_the_log() {
    for foreign in [Foreign::Checkpoint, Foreign::SplitCheckpoint, Foreign::CompactLog, Foreign::CleanUp] {
        let place = Place::new();
        appended(&place, 0..=1).await;
        whole(&place.bucket, Load::Full, &ids(0..3)).await;
        readers::change(&place.table(), foreign).expect("a foreign log");
        appended(&place, 3..=10).await;
        assert_eq!(last(&place)["version"], 10, "{foreign:?}");
        for version in 0..=10 {
            let _ = std::fs::remove_file(place.log(version));
        }
        place.sees(0..11);
        assert_eq!(place.open().await.expect("the table").rows(), Some(11), "{foreign:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_says_how_often_and_how_long_removals_stay_and_whether_at_all() {
    for (settings, size) in [
        (json!({"delta.checkpointInterval": "3"}), Some(9)),
        (json!({"delta.checkpointInterval": "3", "delta.deletedFileRetentionDuration": "interval 0 seconds"}), Some(4)),
        (json!({"delta.checkpointInterval": "3", "delta.checkpoint.writeStatsAsJson": "false"}), None),
    ] {
        let place = Place::new();
        readers::create(&place.table(), &settings).expect("a foreign table");
        let taken = Owner { take_over: true, ..owner() };
        let mut files = 0;
        for n in 1..=6 {
            let table = Table::open(place.bucket.clone(), STREAM, &taken).await.expect("a table");
            let held =
                prepared(&place.bucket, &table, Try::new(&table), Load::Full, &ids(0..n)).await.expect("prepared");
            table.commit(&held).await.expect("a commit");
            table.after_commit().await;
            files = std::fs::read_dir(place.table().join("_delta_log")).expect("the log").count();
        }
        match size {
            // Protocol, metadata, mark and a file; the five files that went, and delta-rs's own.
            Some(size) => {
                assert_eq!(last(&place)["version"], 6, "{settings}");
                let removed = if size == 4 { 0 } else { 6 };
                assert_eq!(last(&place)["size"], 4 + removed, "{settings}");
            }
            None => assert_eq!(files, 7, "commits alone"),
        }
        let sql = "SELECT id FROM t ORDER BY id";
        let seen = readers::query(&place.table(), sql).expect("readers").agreed();
        assert_eq!(seen.as_array().map(Vec::len), Some(6), "{settings}");
    }
}

/// Writes rows of a checkpoint anew, without the one at this place.
fn without_row(path: &Path, pick: impl Fn(&RecordBatch, usize) -> bool) {
    let file = std::fs::File::open(path).expect("a checkpoint");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a footer").build().expect("a reader");
    let batches: Vec<RecordBatch> = reader.map(|batch| batch.expect("rows")).collect();
    let mut body = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut body, batches[0].schema(), None).expect("a writer");
    for batch in &batches {
        let keep: Vec<bool> = (0..batch.num_rows()).map(|at| !pick(batch, at)).collect();
        let kept = arrow::compute::filter_record_batch(batch, &keep.into()).expect("rows");
        writer.write(&kept).expect("rows");
    }
    writer.close().expect("a footer");
    std::fs::write(path, body).expect("a file");
}

fn is(batch: &RecordBatch, at: usize, action: &str) -> bool {
    batch.column_by_name(action).expect("a column").is_valid(at)
}

type Damage = Box<dyn Fn(&Path)>;

/// Damage to the newest checkpoint, and to what names it: the table is as before, and the next commit makes good what was lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_checkpoint_is_passed_over_where_the_log_is_whole_and_refused_where_not() {
    let place = Place::new();
    appended(&place, 0..=20).await;
    let cut = |share: usize| {
        move |path: &Path| {
            let body = std::fs::read(path).expect("a checkpoint");
            std::fs::write(path, &body[..body.len() * share / 100]).expect("a file");
        }
    };
    let damages: [(&str, Damage); 6] = [
        ("empty", Box::new(cut(0))),
        ("half of it", Box::new(cut(50))),
        ("nearly all of it", Box::new(cut(99))),
        ("no Parquet", Box::new(|path| std::fs::write(path, "a text").expect("a file"))),
        ("no protocol", Box::new(|path| without_row(path, |batch, at| is(batch, at, "protocol")))),
        ("no metadata", Box::new(|path| without_row(path, |batch, at| is(batch, at, "metaData")))),
    ];
    for (what, damage) in &damages {
        for hint in
            [None, Some("{\"version\": 7, \"size\": 1}"), Some("no JSON"), Some("{\"version\": 99, \"size\": 1}")]
        {
            let (_dir, hurt) = copy(&place);
            damage(&checkpoint(&hurt, 20));
            if let Some(hint) = hint {
                std::fs::write(hurt.table().join("_delta_log/_last_checkpoint"), hint).expect("a hint");
            }
            let table =
                hurt.open().await.unwrap_or_else(|fault| panic!("{what}, {hint:?}: {}", fault.text.for_customer()));
            assert_eq!((table.version(), table.rows()), (Some(20), Some(21)), "{what}, {hint:?}");
        }
        let (_dir, hurt) = copy(&place);
        damage(&checkpoint(&hurt, 20));
        let told = problems(&hurt).await;
        assert!(told.len() == 1 && told[0].contains("version 20 has a checkpoint"), "{what}: {told:?}");
        // Other readers stop at it until there is a newer one, which comes with the next commit.
        whole(&hurt.bucket, Load::New, &ids(21..22)).await;
        assert_eq!(last(&hurt)["version"], 21, "{what}");
        hurt.sees(0..22);
        // From the checkpoint before, whose commits are gone; and from nothing.
        let (_dir, hurt) = copy(&place);
        damage(&checkpoint(&hurt, 20));
        forget(&hurt, 10);
        assert_eq!(hurt.open().await.expect("the table").rows(), Some(21), "{what}");
        let (_dir, hurt) = copy(&place);
        damage(&checkpoint(&hurt, 20));
        forget(&hurt, 12);
        let before = hurt.contents();
        let fault = hurt.open().await.err().expect("refused");
        assert_eq!(fault.code, FailureCode::CommitLogCorrupt);
        assert!(fault.text.for_customer().contains("version 11 is missing"), "{}", fault.text.for_customer());
        assert!(hurt.contents() == before, "{what}: nothing was written");
    }
}

/// It is not sealed: who can write there can write what he likes. An audit holds it against the commits.
#[tokio::test(flavor = "multi_thread")]
async fn an_audit_finds_a_checkpoint_that_is_another_table_than_its_commits() {
    let place = Place::new();
    appended(&place, 0..=12).await;
    place.is_sound().await;
    without_row(&checkpoint(&place, 10), |batch, at| is(batch, at, "add") && at % 2 == 0);
    let told = problems(&place).await;
    assert!(told.iter().any(|text| text.contains("at version 10 has another files than the commits")), "{told:?}");
    // What replaces the rows takes away the files that it sees, and the next one is made of it: only the commits themselves can tell.
    for _ in 13..=20 {
        whole(&place.bucket, Load::Full, &ids(0..13)).await;
    }
    assert_eq!(last(&place)["version"], 20);
    let told = problems(&place).await;
    assert!(told.iter().any(|text| text.contains("at version 20 has another files than the commits")), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_another_writer_put_first_stays_as_it_is() {
    let place = Place::new();
    appended(&place, 0..=9).await;
    let (dir, path) = (place.table(), checkpoint(&place, 10));
    let (sender, theirs) = std::sync::mpsc::channel();
    let faulty = Faulty::commits(&place.bucket, &[]).before("00000010.checkpoint.parquet", move || {
        readers::change(&dir, Foreign::Checkpoint).expect("a foreign checkpoint");
        let hint = std::fs::read(dir.join("_delta_log/_last_checkpoint")).expect("a hint");
        sender.send((std::fs::read(path).expect("a checkpoint"), hint)).expect("the test");
    });
    let bucket: Arc<dyn Bucket> = faulty.clone();
    whole(&bucket, Load::New, &ids(10..11)).await;
    assert_eq!(faulty.fired(), 1);
    let hint = std::fs::read(place.table().join("_delta_log/_last_checkpoint")).expect("a hint");
    let now = (std::fs::read(checkpoint(&place, 10)).expect("a checkpoint"), hint);
    assert!(theirs.recv().expect("theirs") == now, "nothing of theirs was written over");
    appended(&place, 11..=12).await;
    forget(&place, 10);
    place.sees(0..13);
}

/// The answer to its put is lost, nothing of it arrives, the store is full: the rows are delivered, and the next commit comes back to it.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_can_not_be_put_costs_no_row_and_is_made_good() {
    let lost = [Blow::LoseRequest; 8];
    for (blows, fell, there) in [
        (&[Blow::LoseAnswer, Blow::Conflict][..], 2, true),
        (&[Blow::Conflict], 1, true),
        (&lost, 8, false),
        (&[Blow::Full], 1, false),
    ] {
        let place = Place::new();
        appended(&place, 0..=9).await;
        let blows: Vec<Blow> = [Blow::Pass].iter().chain(blows).copied().collect();
        let faulty = Faulty::commits(&place.bucket, &blows);
        let bucket: Arc<dyn Bucket> = faulty.clone();
        let outcome = whole(&bucket, Load::New, &ids(10..11)).await;
        assert!(matches!(outcome, Outcome::Landed(_)), "{blows:?}");
        assert_eq!(faulty.fired(), fell, "{blows:?}");
        assert_eq!(checkpoint(&place, 10).exists(), there, "{blows:?}");
        if there {
            assert_eq!(last(&place)["version"], 10, "{blows:?}");
        }
        appended(&place, 11..=11).await;
        assert_eq!(last(&place)["version"], if there { 10 } else { 11 }, "{blows:?}");
        place.sees(0..12);
        place.is_sound().await;
    }
}

/// A log from before there were checkpoints, or one whose checkpoint was never written, gets one with its next commit; one that somebody
/// else has committed to since has it later.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_was_left_out_comes_with_the_next_commit_of_ours() {
    let place = Place::new();
    for n in 0..25 {
        run(&place.bucket, Load::New, &ids(n..n + 1)).await.expect("a run that dies behind its commit");
    }
    assert!(!place.table().join("_delta_log/_last_checkpoint").exists());
    let table = place.open().await.expect("the table");
    let held = prepared(&place.bucket, &table, Try::new(&table), Load::New, &ids(25..26)).await.expect("prepared");
    table.commit(&held).await.expect("a commit");
    readers::change(&place.table(), Foreign::Append(26)).expect("a foreign commit");
    table.after_commit().await;
    assert_eq!(last(&place)["version"], 25, "of the version that the commit made");
    whole(&place.bucket, Load::New, &ids(27..28)).await;
    assert_eq!(last(&place)["version"], 25, "there is time until version 30");
    forget(&place, 25);
    place.sees(0..28);
    let refused = code(run(&place.bucket, Load::New, &timed(0..1)).await);
    assert_eq!(refused, Some(FailureCode::SchemaChanged));
}

/// How many objects are read to open a table with its checkpoints and without, and how long that takes (the median of five).
async fn opening(place: &Place, rows: u64) -> (usize, Duration) {
    let faulty = Faulty::commits(&place.bucket, &[]);
    let bucket: Arc<dyn Bucket> = faulty.clone();
    let mut tries = Vec::new();
    for _ in 0..5 {
        faulty.gets();
        let began = Instant::now();
        assert_eq!(open_on(&bucket).await.expect("the table").rows(), Some(rows));
        tries.push(began.elapsed());
    }
    tries.sort_unstable();
    (faulty.gets(), tries[2])
}

/// As docs/tables.md tells; how many commits is `WAYBILL_COMMITS`, as many as one has time for.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_many_commits_is_opened_with_as_few_reads_as_one_of_few() {
    let commits = std::env::var("WAYBILL_COMMITS").ok().and_then(|text| text.parse().ok()).unwrap_or(36_u64);
    let place = Place::new();
    let mut few = (0, Duration::ZERO);
    for n in 0..commits.cast_signed() {
        whole(&place.bucket, Load::New, &ids(n..n + 1)).await;
        if n == 15 {
            few = opening(&place, 16).await;
        }
    }
    let with = opening(&place, commits).await;
    for entry in std::fs::read_dir(place.table().join("_delta_log")).expect("the log") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|ending| ending != "json") {
            std::fs::remove_file(path).expect("a checkpoint");
        }
    }
    let without = opening(&place, commits).await;
    // The last one that was due, at most nine commits behind it, and what is read besides.
    assert!(
        with.0 <= few.0 + 4 && without.0 > usize::try_from(commits).expect("a number"),
        "{few:?} {with:?} {without:?}"
    );
    if let Ok(file) = std::env::var("WAYBILL_FIGURES") {
        std::fs::write(file, format!("{commits} commits: {with:?} with checkpoints, {without:?} without"))
            .expect("figures");
    }
}

/// As docs/tables.md tells; how many files is `WAYBILL_FILES`, as many as one has time for.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_of_many_files_is_written_from_commits_and_from_the_one_before() {
    let files: u32 = std::env::var("WAYBILL_FILES").ok().and_then(|text| text.parse().ok()).unwrap_or(3_000);
    let place = Place::new();
    readers::create(&place.table(), &json!({"delta.checkpointInterval": "2"})).expect("a foreign table");
    let taken = Owner { take_over: true, ..owner() };
    let table = Table::open(place.bucket.clone(), STREAM, &taken).await.expect("a table");
    let (who, rows) = (Try::new(&table), ids(10..11));
    let one = file(&place.bucket, &table, who, &rows).await;
    let many = (0..files).map(|n| DataFile { key: table.data_key(who.run, who.attempt, n), ..one.clone() });
    let many = delivery(who, Load::New, many.collect(), rows.schema());
    let held = table.prepare(&many).await.expect("prepared").expect("rows");
    table.commit(&held).await.expect("a commit");
    drop((many, held, table));
    let peak = || {
        let state = std::fs::read_to_string("/proc/self/status").expect("a state");
        state.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default().to_owned()
    };
    let mut told = vec![peak()];
    for version in 2..=4 {
        let table = place.open().await.expect("the table");
        let held = prepared(&place.bucket, &table, Try::new(&table), Load::New, &ids(20..21)).await.expect("prepared");
        table.commit(&held).await.expect("a commit");
        let began = Instant::now();
        table.after_commit().await;
        told.push(format!("version {version}: {:?}, {}", began.elapsed(), peak()));
        if version % 2 == 0 {
            assert_eq!(last(&place)["version"], version);
            // delta-rs's own, those of the one commit, and one more with each run.
            assert_eq!(last(&place)["numOfAddFiles"], u64::from(files) + version);
            (0..=version).for_each(|version| drop(std::fs::remove_file(place.log(version))));
        }
    }
    assert_eq!(place.open().await.expect("the table").rows(), Some(u64::from(files) + 6));
    if let Ok(file) = std::env::var("WAYBILL_FIGURES") {
        std::fs::write(file, format!("{}; {}", told.join("; "), last(&place))).expect("figures");
    }
}
