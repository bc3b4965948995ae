//! Commits as independent readers see them, and as a foreign writer of the same table meets them.

mod checkpoints;
mod faults;
mod fixture;
mod full_disk;
mod gc;
mod hostile;
mod interleave;
mod large;
pub(crate) mod plain;
mod rollback;
mod taken;

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, ListArray,
    RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, TimeUnit};
use serde_json::{Value, json};
use waybill_model::FailureCode;
use waybill_model::plan::Load;
use waybill_pipeline::Bucket;
use waybill_pipeline::commit::{Committed, Outcome, Table, audit_table};
use waybill_tests::readers::{self, Foreign};

use fixture::{Faulty, Place, STREAM, Try, code, delivery, file, ids, open_on, owner, prepared, run};

/// Count and sum of `id` by both readers.
fn seen(place: &Place) -> Value {
    let sql = "SELECT CAST(count(*) AS BIGINT) AS n, CAST(sum(id) AS BIGINT) AS s FROM t";
    readers::query(&place.table(), sql).expect("readers").agreed()
}

#[tokio::test(flavor = "multi_thread")]
async fn d11_appends_and_replaces_are_seen_whole_by_duckdb_and_delta_rs() {
    let place = Place::new();
    run(&place.bucket, Load::New, &ids(0..3)).await.expect("a run");
    assert_eq!(seen(&place), json!([[3, 3]]));
    run(&place.bucket, Load::New, &ids(3..6)).await.expect("a run");
    assert_eq!(seen(&place), json!([[6, 15]]));
    // A prepared run shows nothing.
    let table = place.open().await.expect("the table");
    let held = prepared(&place.bucket, &table, Try::new(&table), Load::Full, &ids(100..102)).await.expect("prepared");
    assert_eq!(seen(&place), json!([[6, 15]]));
    table.commit(&held).await.expect("a commit");
    assert_eq!(seen(&place), json!([[2, 201]]));
    let filtered = readers::query(&place.table(), "SELECT id FROM t WHERE id >= 101").expect("readers").agreed();
    assert_eq!(filtered, json!([[101]]));
}

/// One row of every type that a source may bring, and one of NULLs.
fn every_type() -> RecordBatch {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None]);
    let micros = 1_714_979_289_123_456; // 2024-05-06T07:08:09.123456
    let utc = TimestampMicrosecondArray::from(vec![Some(micros), None]).with_timezone("UTC");
    let decimal = Decimal128Array::from(vec![Some(12_345_678_901_234_567_890_i128), None]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2]))),
        ("small", Arc::new(Int32Array::from(vec![Some(-7), None]))),
        ("flag", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("ratio", Arc::new(Float64Array::from(vec![Some(0.5), None]))),
        ("price", Arc::new(decimal.with_precision_and_scale(38, 4).expect("a decimal"))),
        ("day", Arc::new(Date32Array::from(vec![Some(-719_162), None]))), // 0001-01-01
        ("moment", Arc::new(utc)),
        ("local", Arc::new(TimestampMicrosecondArray::from(vec![Some(micros), None]))),
        ("name", Arc::new(StringArray::from(vec![Some("ü€"), None]))),
        ("raw", Arc::new(BinaryArray::from(vec![Some(&b"\x00\xff"[..]), None]))),
        ("many", Arc::new(list)),
    ];
    let fields = columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    RecordBatch::try_new(schema, columns.into_iter().map(|(_, array)| array).collect()).expect("a batch")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_zone_less_times_among_them_reads_back_exactly_and_can_be_filtered() {
    let place = Place::new();
    run(&place.bucket, Load::Full, &every_type()).await.expect("a run");
    let rows = readers::query(&place.table(), "SELECT * FROM t ORDER BY id").expect("readers").agreed();
    let whole = json!([
        1,
        -7,
        true,
        0.5,
        "1234567890123456.7890",
        "0001-01-01",
        "2024-05-06T07:08:09.123456Z",
        "2024-05-06T07:08:09.123456",
        "ü€",
        "00ff",
        [1, null]
    ]);
    let nulls = json!([2, null, null, null, null, null, null, null, null, null, null]);
    assert_eq!(rows, json!([whole, nulls]));
    // Each bound that was written lets the row through: a wrong one would hide it.
    for condition in [
        "small = -7",
        "day = DATE '0001-01-01'",
        "moment = CAST('2024-05-06 07:08:09.123456+00:00' AS TIMESTAMP WITH TIME ZONE)",
        "local = TIMESTAMP '2024-05-06 07:08:09.123456'",
        "name = 'ü€'",
        "price > 1234567890123456",
        "ratio < 1",
    ] {
        let sql = format!("SELECT id FROM t WHERE {condition}");
        let found = readers::query(&place.table(), &sql).expect("readers").agreed();
        assert_eq!(found, json!([[1]]), "{condition}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_less_time_raises_the_protocol_in_the_commit_that_brings_it() {
    let place = Place::new();
    run(&place.bucket, Load::Full, &ids(0..2)).await.expect("a run");
    let first = std::fs::read_to_string(place.log(0)).expect("a commit");
    assert!(first.contains("\"minReaderVersion\":1") && !first.contains("timestampNtz"));
    let table = place.open().await.expect("the table");
    let who = Try::new(&table);
    let held = prepared(&place.bucket, &table, who, Load::Full, &every_type()).await.expect("prepared");
    table.commit(&held).await.expect("a commit");
    let second = std::fs::read_to_string(place.log(1)).expect("a commit");
    assert!(second.contains("\"readerFeatures\":[\"timestampNtz\"]"), "{second}");
    assert_eq!(seen(&place), json!([[2, 3]]));
    // Lists only grow: without the column the features stay.
    run(&place.bucket, Load::Full, &ids(0..2)).await.expect("a run");
    assert!(!std::fs::read_to_string(place.log(2)).expect("a commit").contains("\"protocol\""));
    assert_eq!(seen(&place), json!([[2, 1]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_twin_column_is_added_when_it_is_first_needed() {
    let place = Place::new();
    let decimals = |values: Vec<Option<i128>>, texts: Option<Vec<Option<&str>>>| {
        let count = i64::try_from(values.len()).expect("small");
        let price = Decimal128Array::from(values).with_precision_and_scale(10, 2).expect("a decimal");
        let mut fields =
            vec![Field::new("id", DataType::Int64, false), Field::new("price", DataType::Decimal128(10, 2), true)];
        let mut columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from_iter_values(0..count)), Arc::new(price)];
        if let Some(texts) = texts {
            fields.push(Field::new("price__text", DataType::Utf8, true));
            columns.push(Arc::new(StringArray::from(texts)));
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("a batch")
    };
    let plain = decimals(vec![Some(150)], None);
    run(&place.bucket, Load::New, &plain).await.expect("a run");
    let table = place.open().await.expect("the table");
    let who = Try::new(&table);
    let with = file(&place.bucket, &table, who, &decimals(vec![None, Some(5)], Some(vec![Some("NaN"), None]))).await;
    let mut delivery = delivery(who, Load::New, vec![with], plain.schema());
    delivery.twins = vec![1];
    delivery.coerced.insert("price".to_owned(), 1);
    let held = table.prepare(&delivery).await.expect("prepared").expect("rows");
    table.commit(&held).await.expect("a commit");
    run(&place.bucket, Load::New, &plain).await.expect("a run that needs no twin");
    let sql = "SELECT price, price__text, CAST(count(*) AS BIGINT) AS n FROM t GROUP BY 1, 2 ORDER BY 1, 2";
    let rows = readers::query(&place.table(), sql).expect("readers").agreed();
    let mut rows = rows.as_array().expect("rows").clone();
    rows.sort_by_key(Value::to_string);
    assert_eq!(json!(rows), json!([["0.05", null, 1], ["1.50", null, 2], [null, "NaN", 1]]));
    let own = decimals(vec![Some(1)], Some(vec![Some("a text of the source's own")]));
    assert_eq!(code(run(&place.bucket, Load::New, &own).await), Some(FailureCode::SchemaChanged), "no place for it");
    let table = place.open().await.expect("the table");
    let state = table.state().expect("a state");
    assert_eq!(state.coerced, 0);
    let columns: Vec<_> = state.columns.iter().map(|(name, kind)| (name.as_str(), kind.as_str())).collect();
    assert_eq!(columns, [("id", "long"), ("price", "decimal(10,2)"), ("price__text", "string")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_optimize_between_read_and_commit_neither_doubles_nor_loses_a_row() {
    for load in [Load::New, Load::Full] {
        let place = Place::new();
        for from in [0, 3, 6] {
            run(&place.bucket, Load::New, &ids(from..from + 3)).await.expect("a run");
        }
        let dir = place.table();
        let faulty = Faulty::commits(&place.bucket, &[]).before_commit(move || {
            readers::change(&dir, Foreign::Compact).expect("an OPTIMIZE");
        });
        let bucket: Arc<dyn Bucket> = faulty.clone();
        let (_, outcome) = run(&bucket, load, &ids(9..12)).await.expect("a run");
        assert_eq!(outcome, Outcome::Landed(Committed { version: 4, rebased: true, read_back: false }));
        assert_eq!(faulty.fired(), 1);
        let wanted = if load == Load::New { json!([[12, 66]]) } else { json!([[3, 30]]) };
        assert_eq!(seen(&place), wanted);
        run(&place.bucket, Load::New, &ids(12..15)).await.expect("a later run");
        let report = audit_table(&*place.bucket, STREAM, true).await.expect("an audit");
        assert!(report.is_ok(), "{:?}", report.problems);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_checkpoint_and_clean_up_leave_the_next_run_working() {
    let place = Place::new();
    for from in [0, 3, 6] {
        run(&place.bucket, Load::New, &ids(from..from + 3)).await.expect("a run");
    }
    readers::change(&place.table(), Foreign::CleanUp).expect("a clean-up");
    assert!(!place.log(0).exists() && !place.log(2).exists(), "the log was cleaned up");
    let table = place.open().await.expect("the table");
    assert_eq!(table.state().and_then(|state| state.table_rows), Some(9));
    assert_eq!((table.version(), table.rows()), (Some(2), Some(9)));
    run(&place.bucket, Load::New, &ids(9..12)).await.expect("an append");
    assert_eq!(seen(&place), json!([[12, 66]]));
    let report = audit_table(&*place.bucket, STREAM, true).await.expect("an audit");
    assert!(report.is_ok(), "{:?}", report.problems);
    assert_eq!((report.files, report.rows, report.hashed), (4, 12, 4));
    run(&place.bucket, Load::Full, &ids(0..5)).await.expect("a replace");
    assert_eq!(seen(&place), json!([[5, 10]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_in_parts_and_compacted_logs_are_read() {
    for foreign in [Foreign::Checkpoint, Foreign::SplitCheckpoint, Foreign::CompactLog] {
        let place = Place::new();
        for from in [0, 3, 6] {
            run(&place.bucket, Load::New, &ids(from..from + 3)).await.expect("a run");
        }
        readers::change(&place.table(), foreign).expect("a foreign log");
        let table = place.open().await.expect("the table");
        assert_eq!((table.version(), table.rows()), (Some(2), Some(9)), "{foreign:?}");
        assert_eq!(table.state().map(|state| state.rows), Some(3));
        let (_, outcome) = run(&place.bucket, Load::New, &ids(9..12)).await.expect("an append");
        assert!(matches!(outcome, Outcome::Landed(Committed { version: 3, .. })), "{foreign:?}");
        assert_eq!(place.open().await.expect("the table").rows(), Some(12));
        if !matches!(foreign, Foreign::CompactLog) {
            assert_eq!(seen(&place), json!([[12, 66]]), "{foreign:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_at_a_cleaned_up_version_is_noticed_and_made_good() {
    let place = Place::new();
    run(&place.bucket, Load::New, &ids(0..3)).await.expect("a run");
    let (dir, log) = (place.table(), place.log(1));
    let faulty = Faulty::commits(&place.bucket, &[]).before_commit(move || {
        // Version 1 comes and goes; only its checkpoint stays.
        readers::change(&dir, Foreign::Append(100)).expect("a foreign append");
        readers::change(&dir, Foreign::CleanUp).expect("a clean-up");
        assert!(!log.exists());
    });
    let bucket: Arc<dyn Bucket> = faulty.clone();
    let (_, outcome) = run(&bucket, Load::New, &ids(3..6)).await.expect("a run");
    assert_eq!(outcome, Outcome::Landed(Committed { version: 2, rebased: true, read_back: false }));
    assert_eq!(faulty.fired(), 1);
    assert!(place.log(1).exists(), "the put at the cleaned-up version had succeeded");
    assert_eq!(seen(&place), json!([[7, 115]]));
    assert_eq!(place.open().await.expect("the table").rows(), Some(7));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_taken_away_by_another_writer_stop_an_append_and_a_full_load_settles_it() {
    let place = Place::new();
    run(&place.bucket, Load::New, &ids(0..3)).await.expect("a run");
    readers::change(&place.table(), Foreign::Append(100)).expect("a foreign append");
    run(&place.bucket, Load::New, &ids(3..6)).await.expect("a foreign append is no loss");
    readers::change(&place.table(), Foreign::Delete(1)).expect("a foreign delete");
    let refused = code(run(&place.bucket, Load::New, &ids(6..9)).await);
    assert_eq!(refused, Some(FailureCode::TableChangedByOther));
    // Also when the log does not show it any more.
    readers::change(&place.table(), Foreign::CleanUp).expect("a clean-up");
    let refused = code(run(&place.bucket, Load::New, &ids(6..9)).await);
    assert_eq!(refused, Some(FailureCode::TableChangedByOther));
    run(&place.bucket, Load::Full, &ids(0..9)).await.expect("a full load");
    assert_eq!(seen(&place), json!([[9, 36]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_delta_rs_is_taken_over_only_when_asked() {
    let place = Place::new();
    readers::create(&place.table(), &json!({})).expect("a foreign table");
    assert_eq!(code(place.open().await), Some(FailureCode::TableNotOurs));
    let taken = waybill_pipeline::commit::Owner { take_over: true, ..owner() };
    let table = Table::open(place.bucket.clone(), STREAM, &taken).await.expect("a take-over");
    assert!(table.state().is_none());
    let held = prepared(&place.bucket, &table, Try::new(&table), Load::New, &ids(10..12)).await.expect("prepared");
    table.commit(&held).await.expect("a commit");
    assert_eq!(seen(&place), json!([[5, 27]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_something_else_makes_while_we_copy_is_not_ours() {
    let place = Place::new();
    let table = place.open().await.expect("a new table");
    let held = prepared(&place.bucket, &table, Try::new(&table), Load::New, &ids(10..12)).await.expect("prepared");
    readers::create(&place.table(), &json!({})).expect("a foreign table");
    assert_eq!(code(table.commit(&held).await), Some(FailureCode::TableNotOurs));
    assert_eq!(seen(&place), json!([[3, 6]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_of_odd_stream_names_are_read_by_both_readers() {
    let place = Place::new();
    for stream in ["Sales.Order Items", "ümläut/日本", "50%#?&", "..", "_hidden"] {
        let table = Table::open(place.bucket.clone(), stream, &owner()).await.expect("a table");
        let held = prepared(&place.bucket, &table, Try::new(&table), Load::New, &ids(0..3)).await.expect("prepared");
        table.commit(&held).await.expect("a commit");
        let dir = place.table().with_file_name(table.dir());
        let sql = "SELECT CAST(sum(id) AS BIGINT) AS s FROM t";
        assert_eq!(readers::query(&dir, sql).expect("readers").agreed(), json!([[3]]), "{stream}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_column_in_the_stream_stops_an_append_and_is_taken_by_a_replace() {
    let place = Place::new();
    run(&place.bucket, Load::New, &ids(0..3)).await.expect("a run");
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let fields = vec![Field::new("id", DataType::Int64, false), Field::new("at", time, true)];
    let at = TimestampMicrosecondArray::from(vec![0, 1]).with_timezone("UTC");
    let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![8, 9])), Arc::new(at)];
    let wider = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("a batch");
    assert_eq!(code(run(&place.bucket, Load::New, &wider).await), Some(FailureCode::SchemaChanged));
    assert_eq!(seen(&place), json!([[3, 3]]));
    run(&place.bucket, Load::Full, &wider).await.expect("a replace");
    let rows = readers::query(&place.table(), "SELECT * FROM t ORDER BY id").expect("readers").agreed();
    assert_eq!(rows, json!([[8, "1970-01-01T00:00:00Z"], [9, "1970-01-01T00:00:00.000001Z"]]));
    assert!(open_on(&place.bucket).await.is_ok());
}
