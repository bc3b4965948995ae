//! Logs, states and tables that are not what this product wrote: each refused by name, and nothing written.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use waybill_model::plan::Load;
use waybill_model::{Epoch, FailureCode, Micros};
use waybill_pipeline::Bucket;
use waybill_pipeline::commit::{Owner, Table, audit_table, find_tables};
use waybill_tests::readers::{self, Foreign};

use super::fixture::{Faulty, Place, STREAM, Try, code, ids, open_on, owner, prepared, run};

/// Something done to a table.
type Damage<'a> = &'a dyn Fn(&Place);

/// Three versions of ours.
async fn table() -> Place {
    let place = Place::new();
    for from in [0, 3, 6] {
        run(&place.bucket, Load::New, &ids(from..from + 3)).await.expect("a run");
    }
    place
}

/// Damages the table, and says with which code it is refused; nothing may be written by that.
async fn refused(place: &Place) -> Option<FailureCode> {
    let before = place.contents();
    let code = code(place.open().await);
    assert_eq!(place.contents(), before, "nothing may be written");
    code
}

/// The table can be opened, and says which epoch is refused; nothing is written.
async fn ahead(place: &Place) -> Option<FailureCode> {
    let before = place.contents();
    let code = place.open().await.expect("a sound table").check_epoch().err().map(|fault| fault.code);
    assert_eq!(place.contents(), before, "nothing may be written");
    code
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).expect("a record");
    assert!(text.contains(from), "{from} is not in {text}");
    std::fs::write(path, text.replacen(from, to, 1)).expect("an edit");
}

/// The newest file below a directory of the table.
fn newest(place: &Place, dir: &str) -> std::path::PathBuf {
    let entries = std::fs::read_dir(place.table().join(dir)).expect("a directory");
    entries.map(|entry| entry.expect("an entry").path()).max().expect("a file")
}

#[tokio::test]
async fn h47_an_edited_commit_is_noticed_wherever_it_stands() {
    for version in [0, 1, 2] {
        for (from, to) in [
            ("\"numRecords\\\":3", "\"numRecords\\\":4"),
            ("\"dataChange\":true", "\"dataChange\":false"),
            ("\"mode\":\"Append\"", "\"mode\":\"Overwrite\""),
            ("\"commitInfo\":{", "\"commitInfo\":{\"x\":1,"),
        ] {
            let place = table().await;
            edit(&place.log(version), from, to);
            assert_eq!(refused(&place).await, Some(FailureCode::CommitLogCorrupt), "{version} {from}");
        }
    }
}

#[tokio::test]
async fn h47_a_line_that_is_no_action_is_refused_at_its_version() {
    let place = table().await;
    std::fs::write(place.log(1), "{\"add\":").expect("a damaged commit");
    let fault = place.open().await.err().expect("a refusal");
    assert_eq!(fault.code, FailureCode::CommitLogCorrupt);
    assert!(fault.text.for_customer().contains("version 1 "), "{}", fault.text.for_customer());
}

#[tokio::test]
async fn h47_a_gap_in_the_log_is_refused() {
    for version in [0, 1] {
        let place = table().await;
        std::fs::remove_file(place.log(version)).expect("a lost version");
        assert_eq!(refused(&place).await, Some(FailureCode::CommitLogCorrupt));
    }
}

#[tokio::test]
async fn h47_a_commit_that_names_another_parent_is_refused() {
    // A whole, sealed commit of the same table in another history: version 2 replaced by what followed another version 1.
    let place = table().await;
    let key = std::fs::read(place.table().parent().expect("the root").join("_waybill/digest-key")).expect("the key");
    let other = Place::new();
    let target = other.table().parent().expect("the root").join("_waybill");
    std::fs::create_dir_all(&target).expect("a directory");
    std::fs::write(target.join("digest-key"), key).expect("the same key");
    for from in [0, 3, 6] {
        run(&other.bucket, Load::New, &ids(from..from + 3)).await.expect("a run");
    }
    std::fs::copy(other.log(2), place.log(2)).expect("a foreign child");
    let fault = place.open().await.err().expect("a refusal");
    assert_eq!(fault.code, FailureCode::CommitLogCorrupt);
    assert!(fault.text.for_customer().contains("parent"), "{}", fault.text.for_customer());
}

#[tokio::test]
async fn h47_a_missing_or_edited_state_is_refused() {
    let place = table().await;
    let state = newest(&place, "_waybill/state");
    let text = std::fs::read_to_string(&state).expect("the state");
    edit(&state, "\"cursor\":\"42\"", "\"cursor\":\"41\"");
    assert_eq!(refused(&place).await, Some(FailureCode::CommitLogCorrupt));
    std::fs::write(&state, text).expect("the state as it was");
    place.open().await.expect("a sound table");
    std::fs::remove_file(&state).expect("no state");
    assert_eq!(refused(&place).await, Some(FailureCode::CommitLogCorrupt));
}

#[tokio::test]
async fn h47_a_missing_or_cut_digest_key_is_refused() {
    let place = table().await;
    let key = place.table().parent().expect("the root").join("_waybill/digest-key");
    std::fs::write(&key, "short").expect("a cut key");
    assert_eq!(refused(&place).await, Some(FailureCode::CommitLogCorrupt));
    std::fs::remove_file(&key).expect("no key");
    assert_eq!(refused(&place).await, Some(FailureCode::CommitLogCorrupt));
}

#[tokio::test]
async fn h47_an_epoch_more_than_a_day_ahead_is_refused_until_it_is_accepted_once() {
    let place = Place::new();
    let far = Epoch(Micros::now().plus(Duration::from_secs(48 * 3600)).0);
    let mend = Owner { accepted: Some(Epoch::LARGEST), ..owner() };
    let table = place.open().await.expect("a table");
    let who = Try { epoch: far, ..Try::new(&table) };
    let before = place.contents();
    let data = super::fixture::file(&place.bucket, &table, who, &ids(0..3)).await;
    let refused_one = super::fixture::delivery(who, Load::New, vec![data], ids(0..1).schema());
    assert_eq!(code(table.prepare(&refused_one).await), Some(FailureCode::EpochAhead));
    assert_eq!(place.contents().len(), before.len() + 1, "only the data file is new");

    // A clock that was wrong wrote it; nobody has accepted it yet.
    let broken = Table::open(place.bucket.clone(), STREAM, &mend).await.expect("a table");
    let held = prepared(&place.bucket, &broken, who, Load::New, &ids(0..3)).await.expect("prepared");
    broken.commit(&held).await.expect("a commit");
    std::fs::remove_dir_all(place.table().join("_waybill/accepted-epochs")).expect("the mark");
    assert_eq!(ahead(&place).await, Some(FailureCode::EpochAhead));

    let mended = Table::open(place.bucket.clone(), STREAM, &mend).await.expect("accepted");
    let who = Try::new(&mended);
    assert!(who.epoch > far);
    let held = prepared(&place.bucket, &mended, who, Load::New, &ids(3..6)).await.expect("prepared");
    mended.commit(&held).await.expect("a commit");
    run(&place.bucket, Load::New, &ids(6..9)).await.expect("later runs need not be told again");
    assert_eq!(place.ids(), (0..9).collect::<Vec<_>>());
}

#[tokio::test]
async fn h47_a_table_of_another_pipeline_is_refused_until_it_is_taken_over() {
    let place = table().await;
    let other = Owner::new("pl_other");
    let before = place.contents();
    let refused = code(Table::open(place.bucket.clone(), STREAM, &other).await);
    assert_eq!(refused, Some(FailureCode::TableNotOurs));
    assert_eq!(place.contents(), before);
    let taken = Owner { take_over: true, ..other.clone() };
    let table = Table::open(place.bucket.clone(), STREAM, &taken).await.expect("a take-over");
    assert_eq!(table.state().and_then(|state| state.cursor.as_ref()).map(|cursor| cursor.reveal()), Some("42"));
    let held = prepared(&place.bucket, &table, Try::new(&table), Load::New, &ids(9..12)).await.expect("prepared");
    table.commit(&held).await.expect("a commit");
    assert_eq!(refused_now(&place).await, Some(FailureCode::TableNotOurs), "the first owner lost it");
    Table::open(place.bucket.clone(), STREAM, &other).await.expect("the new owner needs no flag any more");
    assert_eq!(place.ids(), (0..12).collect::<Vec<_>>());
}

async fn refused_now(place: &Place) -> Option<FailureCode> {
    refused(place).await
}

/// A table that something else made, by hand.
fn foreign(place: &Place, protocol: &Value, metadata: &Value, more: &[Value]) {
    let mut base = json!({
        "id": "5fba94ed-9794-4965-ba6e-6ee3c0d22af9", "format": {"provider": "parquet", "options": {}},
        "schemaString": "{\"type\":\"struct\",\"fields\":[{\"name\":\"id\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}}]}",
        "partitionColumns": [], "configuration": {}, "createdTime": 1,
    });
    base.as_object_mut().expect("an object").extend(metadata.as_object().expect("an object").clone());
    let mut lines = vec![json!({"protocol": protocol}), json!({"metaData": base})];
    lines.extend_from_slice(more);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::create_dir_all(place.log(0).parent().expect("the log")).expect("a directory");
    std::fs::write(place.log(0), text).expect("a commit");
}

#[tokio::test]
async fn h47_unknown_features_are_refused_even_at_a_take_over() {
    let plain = json!({"minReaderVersion": 1, "minWriterVersion": 2});
    let listed = |read: &[&str], write: &[&str]| json!({"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": read, "writerFeatures": write});
    let vector = json!({"storageType": "u", "pathOrInlineDv": "x", "offset": 1, "sizeInBytes": 1, "cardinality": 1});
    let add = json!({"add": {"path": "a.parquet", "partitionValues": {}, "size": 1, "modificationTime": 1, "dataChange": true, "deletionVector": vector}});
    let cases = [
        (listed(&["deletionVectors"], &["deletionVectors"]), json!({}), None),
        (listed(&[], &["noSuchFeature"]), json!({}), None),
        (listed(&["v2Checkpoint"], &["v2Checkpoint"]), json!({}), None),
        (json!({"minReaderVersion": 2, "minWriterVersion": 5}), json!({}), None),
        (plain.clone(), json!({"configuration": {"delta.constraints.c": "id > 0"}}), None),
        (plain.clone(), json!({"configuration": {"delta.columnMapping.mode": "name"}}), None),
        (plain.clone(), json!({"format": {"provider": "orc", "options": {}}}), None),
        (plain, json!({}), Some(add)),
    ];
    let taken = Owner { take_over: true, ..owner() };
    for (protocol, metadata, more) in cases {
        let place = Place::new();
        foreign(&place, &protocol, &metadata, more.as_slice());
        let before = place.contents();
        let refused = code(Table::open(place.bucket.clone(), STREAM, &taken).await);
        assert_eq!(refused, Some(FailureCode::TableFeatureUnsupported), "{protocol} {metadata}");
        assert_eq!(place.contents(), before);
    }
}

#[tokio::test]
async fn a_foreign_table_is_refused_and_an_append_only_one_is_not_replaced() {
    let place = Place::new();
    let add = json!({"add": {"path": "a.parquet", "partitionValues": {}, "size": 1, "modificationTime": 1,
        "dataChange": true, "stats": "{\"numRecords\":2}"}});
    let protocol = json!({"minReaderVersion": 1, "minWriterVersion": 2});
    foreign(&place, &protocol, &json!({"configuration": {"delta.appendOnly": "true"}}), &[add]);
    assert_eq!(refused(&place).await, Some(FailureCode::TableNotOurs));
    let taken = Owner { take_over: true, ..owner() };
    let table = Table::open(place.bucket.clone(), STREAM, &taken).await.expect("a take-over");
    let who = Try::new(&table);
    let replace = prepared(&place.bucket, &table, who, Load::Full, &ids(0..3)).await;
    assert_eq!(code(replace), Some(FailureCode::TableFeatureUnsupported));
    let append = prepared(&place.bucket, &table, who, Load::New, &ids(0..3)).await.expect("an append is allowed");
    table.commit(&append).await.expect("a commit");
}

#[tokio::test]
async fn a_table_whose_marks_would_expire_is_refused_and_mended_at_a_take_over() {
    let place = Place::new();
    let protocol = json!({"minReaderVersion": 1, "minWriterVersion": 2});
    let expiring = json!({"configuration": {"delta.setTransactionRetentionDuration": "interval 1 days"}});
    foreign(&place, &protocol, &expiring, &[]);
    assert_eq!(refused(&place).await, Some(FailureCode::TableNotOurs));
    let taken = Owner { take_over: true, ..owner() };
    let table = Table::open(place.bucket.clone(), STREAM, &taken).await.expect("a take-over");
    let held = prepared(&place.bucket, &table, Try::new(&table), Load::New, &ids(0..3)).await.expect("prepared");
    table.commit(&held).await.expect("a commit");
    run(&place.bucket, Load::New, &ids(3..6)).await.expect("no flag needed any more");
    assert_eq!(place.ids(), (0..6).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_audit_finds_what_was_done_to_files_receipts_states_and_commits() {
    let sound = table().await;
    let report = audit_table(&*sound.bucket, STREAM, true).await.expect("an audit");
    assert!(report.is_ok(), "{:?}", report.problems);
    assert_eq!((report.commits, report.receipts, report.files, report.rows, report.hashed), (3, 3, 3, 9, 3));

    let data = |place: &Place| {
        let run = newest(place, "data");
        std::fs::read_dir(run).expect("a run").next().expect("a file").expect("an entry").path()
    };
    let damages: [(&str, Damage<'_>); 6] = [
        ("a file is gone", &|p| std::fs::remove_file(data(p)).expect("a removal")),
        ("a file is longer", &|p| {
            let path = data(p);
            let mut body = std::fs::read(&path).expect("a file");
            body.push(0);
            std::fs::write(path, body).expect("a write");
        }),
        ("a byte of a file is another", &|p| {
            let path = data(p);
            let mut body = std::fs::read(&path).expect("a file");
            body[5] ^= 1;
            std::fs::write(path, body).expect("a write");
        }),
        ("a receipt is edited", &|p| edit(&newest(p, "_waybill/receipts"), "\"rows\":3", "\"rows\":4")),
        ("a state is gone", &|p| std::fs::remove_file(newest(p, "_waybill/state")).expect("a removal")),
        ("a commit is edited", &|p| edit(&p.log(1), "\"isBlindAppend\":true", "\"isBlindAppend\":false")),
    ];
    for (what, damage) in damages {
        let place = table().await;
        damage(&place);
        let report = audit_table(&*place.bucket, STREAM, true).await.expect("an audit");
        assert!(!report.is_ok(), "{what}");
    }
}

/// Removes a directory of the table.
fn remove(place: &Place, dir: &str) {
    std::fs::remove_dir_all(place.table().join(dir)).expect("a directory");
}

#[tokio::test]
async fn h47_a_commit_log_that_was_deleted_is_refused_and_nothing_is_written() {
    for keep in ["nothing", "a stray file", "an attempt that never landed"] {
        let place = table().await;
        match keep {
            "a stray file" => {
                std::fs::write(place.table().join("_delta_log/_last_checkpoint"), "{}").expect("a file");
                (0..3).for_each(|version| std::fs::remove_file(place.log(version)).expect("a version"));
            }
            "an attempt that never landed" => {
                let open = place.open().await.expect("a sound table");
                let who = Try::new(&open);
                prepared(&place.bucket, &open, who, Load::New, &ids(9..12)).await.expect("prepared");
                remove(&place, "_delta_log");
            }
            _ => remove(&place, "_delta_log"),
        }
        assert_eq!(refused(&place).await, Some(FailureCode::CommitLogCorrupt), "{keep}");
        let taken = Owner { take_over: true, ..owner() };
        let fault = Table::open(place.bucket.clone(), STREAM, &taken).await.err().expect("refused");
        assert_eq!(fault.code, FailureCode::CommitLogCorrupt, "{keep}");
        let text = fault.text.for_customer();
        assert!(text.contains("orders/_delta_log/") && text.contains("stands on the commit of epoch"), "{text}");
        assert_eq!(find_tables(&*place.bucket).await.expect("a list"), [STREAM], "{keep}");
        let report = audit_table(&*place.bucket, STREAM, true).await.expect("an audit");
        assert!(report.problems.iter().any(|problem| problem.text.contains("the log was deleted")), "{report:?}");
    }
    // With the digest key gone too, the states alone tell.
    let place = table().await;
    remove(&place, "_delta_log");
    remove(&place, "../_waybill");
    assert_eq!(refused(&place).await, Some(FailureCode::CommitLogCorrupt));
}

#[tokio::test]
async fn first_loads_that_never_landed_are_named_by_the_audit_and_followed_by_the_next_run() {
    let place = Place::new();
    for _ in 0..2 {
        let open = place.open().await.expect("a new table");
        prepared(&place.bucket, &open, Try::new(&open), Load::New, &ids(0..3)).await.expect("prepared");
    }
    assert_eq!(find_tables(&*place.bucket).await.expect("a list"), [STREAM]);
    let report = audit_table(&*place.bucket, STREAM, true).await.expect("an audit");
    assert!(report.problems.iter().any(|problem| problem.text.contains("never committed")), "{report:?}");
    run(&place.bucket, Load::New, &ids(0..3)).await.expect("a run");
    assert_eq!(place.ids(), [0, 1, 2]);
    let report = audit_table(&*place.bucket, STREAM, true).await.expect("an audit");
    assert!(report.is_ok(), "{report:?}");
}

/// Between the listing of the log and that of the states, others make the digest key, the first commit and the second.
#[tokio::test]
async fn a_table_that_others_begin_while_it_is_opened_has_lost_no_log() {
    let place = Place::new();
    let others = place.bucket.clone();
    let runtime = tokio::runtime::Handle::current();
    let faulty = Faulty::commits(&place.bucket, &[]).before_states(move || {
        for from in [0, 3] {
            runtime.block_on(run(&others, Load::New, &ids(from..from + 3))).expect("a run");
        }
    });
    let bucket: Arc<dyn Bucket> = faulty.clone();
    let table = open_on(&bucket).await.expect("a sound table");
    assert_eq!(faulty.fired(), 1, "the others came between");
    assert_eq!(table.version(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_take_over_appends_nothing_where_the_log_can_not_tell_whether_our_rows_are_there() {
    let place = table().await;
    // As after an OPTIMIZE of all files, the end of our marks and a clean-up: the table lives on, and nothing in it names us.
    std::fs::remove_dir_all(place.table().join("_delta_log")).expect("the log goes");
    readers::create(&place.table(), &json!({})).expect("a table of delta-rs");
    readers::change(&place.table(), Foreign::CleanUp).expect("a clean-up");
    let taken = Owner { take_over: true, ..owner() };
    let table = Table::open(place.bucket.clone(), STREAM, &taken).await.expect("a take-over");
    assert!(table.state().is_none(), "nothing proves where to go on");
    let append = prepared(&place.bucket, &table, Try::new(&table), Load::New, &ids(0..3)).await;
    let fault = append.err().expect("in doubt");
    assert_eq!(fault.code, FailureCode::AppendInDoubt);
    assert!(fault.text.for_customer().contains("orders/_waybill/state/"), "{}", fault.text.for_customer());
    let held = prepared(&place.bucket, &table, Try::new(&table), Load::Full, &ids(0..9)).await.expect("a replace");
    table.commit(&held).await.expect("a commit");
    run(&place.bucket, Load::New, &ids(9..12)).await.expect("an append on it");
    let rows = readers::query(&place.table(), "SELECT count(*), count(DISTINCT id), max(id) FROM t").expect("readers");
    assert_eq!(rows.agreed(), json!([[12, 12, 11]]));
}

/// Three runs, of which another writer's OPTIMIZE leaves the file of the first alone; then all marks expire.
#[tokio::test(flavor = "multi_thread")]
async fn a_take_over_appends_nothing_where_a_newer_runs_rows_may_stand_in_another_writers_file() {
    let place = Place::new();
    let mut runs = Vec::new();
    for range in [0..40_000, 40_000..40_003, 40_003..40_006] {
        runs.push(run(&place.bucket, Load::New, &ids(range)).await.expect("a run").0);
    }
    readers::change(&place.table(), Foreign::CompactBelow(32 << 10)).expect("an OPTIMIZE of the small files");
    readers::change(&place.table(), Foreign::Expire).expect("a clean-up");
    let taken = Owner { take_over: true, ..owner() };
    let table = Table::open(place.bucket.clone(), STREAM, &taken).await.expect("a take-over");
    assert_eq!(table.state().map(|state| state.run), Some(runs[0].run), "the newest of which a file is left");
    // What the first run's cursor leads to is what the others brought.
    let append = prepared(&place.bucket, &table, Try::new(&table), Load::New, &ids(40_000..40_006)).await;
    assert_eq!(code(append), Some(FailureCode::AppendInDoubt));
    let held = prepared(&place.bucket, &table, Try::new(&table), Load::Full, &ids(0..9)).await.expect("a replace");
    table.commit(&held).await.expect("a commit");
    run(&place.bucket, Load::New, &ids(9..12)).await.expect("an append on it");
    let rows = readers::query(&place.table(), "SELECT count(*), count(DISTINCT id), max(id) FROM t").expect("readers");
    assert_eq!(rows.agreed(), json!([[12, 12, 11]]));
}
