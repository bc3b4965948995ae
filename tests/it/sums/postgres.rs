//! With PostgreSQL.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, AsArray, Decimal128Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Decimal128Type, Int64Type};
use serde_json::{Value, json};
use waybill_connectors::source::postgres::PostgresSource;
use waybill_model::FailureCode;
use waybill_model::event::EventCode;
use waybill_model::plan::System;
use waybill_pipeline::source::step::stepped;
use waybill_pipeline::{Batch, Source};
use waybill_tests::binaries::repository;
use waybill_tests::services::postgres::{Postgres, Setup};

use super::bent::{Bend, Bent};
use super::{Ran, is_committed, moved, recorded};
use crate::mysql::landed::fenced;
use crate::postgres::landed::as_it_stands;
use crate::postgres::settings;
use crate::reading::stream;

fn source(server: &Postgres) -> Arc<dyn Source> {
    Arc::new(PostgresSource::new(&settings(server.port()), None, "run_test").expect("a source"))
}

async fn ran(server: &Postgres, folder: &Path, stream: Value) -> Ran {
    moved(source(server), System::Postgres(settings(server.port())), folder, stream).await
}

/// The same through a source whose rows are bent.
async fn bent(server: &Postgres, folder: &Path, stream: Value, bend: Bend) -> Ran {
    let source = stepped(source(server), Bent(bend));
    moved(source, System::Postgres(settings(server.port())), folder, stream).await
}

/// Every type that is taken, with the values at the ends of each.
const EVERY: &str = "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN code AS char(3);
    CREATE TABLE every (id int8, b bool, i2 int2, i4 int4, o oid, x xid, n numeric(10,2), n38 numeric(38,38), nb numeric(50,10),
      nn numeric, m money, d date, ts timestamp, ts0 timestamp(0), tz timestamptz, t text, v varchar(5), c char(5), nm name, u uuid,
      j json, jb jsonb, by bytea, tm time, tmz timetz, iv interval, ip inet, e mood, dom code, r int4range, vb varbit, odd \"text\");
    INSERT INTO every VALUES
      (-9223372036854775808, true, -32768, -2147483648, 4294967295, '4294967295', 'NaN', -0.00000000000000000000000000000000000001,
       -1234567890123456789012345678901234567890.0123456789, '-Infinity', '-92233720368547758.08', '4713-01-01 BC',
       '4713-01-01 00:00:00.000001 BC', '0044-03-15 12:00:00 BC', '0001-12-31 23:59:59.999999 BC', '', 'ü🦀', 'a', 'n',
       '00000000-0000-0000-0000-000000000000', '{ \"a\" : 1.00000000000000000000001 }', '{\"b\": [1.10, null]}', '\\x', '24:00:00',
       '23:59:59.5+15:59', '-1 year 2 days 00:00:00.000001', '::1/64', 'sad', 'ab', 'empty', B'', ''),
      (9223372036854775807, false, 32767, 2147483647, 0, '3', 99999999.99, 0.99999999999999999999999999999999999999, 0, 1.10,
       92233720368547758.07, 'infinity', '294276-12-31 23:59:59.999999', 'infinity', '294247-01-10 04:00:54.775807+00',
       E'\\t line\\nnext \"quoted\"', '', 'bbbbb', '', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'null', '\"x\"', '\\x00ff', '00:00:00',
       '00:00:00-15:59', '178000000 years', '255.255.255.255', 'ok', '', '[1,5)', B'101', 'x'),
      (0, true, 0, 0, 1, '2', -0.01, 0, 0.0000000001, '1e-1000', 0, '5874897-12-31', '0001-01-01', '9999-12-31 23:59:59', '-infinity',
       'long ' || repeat('x', 100000), 'abcde', '  c', 'x', gen_random_uuid(), '[]', '{}', decode(repeat('ab', 5000), 'hex'), '12:00:00.000001',
       '12:00+00', '0', '10.0.0.0/8', 'ok', '  c', '(,)', B'0', 'y'),
      (1, NULL, 1, 1, 1, '1', 1, 1e-38, 1, 'Infinity', 1, '-infinity', '-infinity', '10000-01-01', 'infinity', 'é', 'é', 'é', 'é', NULL, '1',
       '1', 'a', '01:02:03', '01:02:03+01', '1 day', '1.2.3.4', NULL, NULL, NULL, NULL, NULL),
      (2, false, 2, 2, 2, '2', 'NaN', 0.1, 2, 'NaN', 2, '0001-01-01', '1969-12-31 23:59:59.999999', '2024-02-29 12:00:00',
       '294276-12-31 23:59:59.999999+00', 'two', 'two', 'two', 'two', NULL, '2', '2', 'b', '01:02:03', '01:02:03+01', '2 days', '::', NULL,
       NULL, NULL, NULL, NULL),
      (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '0001-12-31 BC', '0001-12-31 BC', '0001-01-01 BC', '0002-06-01 BC',
       NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
    INSERT INTO every (id) VALUES (NULL), (4)";
const COLUMNS: u64 = 32;

#[tokio::test(flavor = "multi_thread")]
async fn both_ends_agree_on_every_type_of_postgres_that_is_summed() {
    let server = Postgres::start();
    server.run(EVERY).await;
    let folder = tempfile::tempdir().expect("a folder");
    let ran = ran(&server, folder.path(), json!({ "name": "every", "load": "full", "checksums": "all" })).await;
    ran.agreed(COLUMNS);
    assert_eq!((ran.end.outcome.rows, ran.end.outcome.coerced > 5), (8, true));
    let sums = recorded(folder.path());
    assert_eq!(sums.len() as u64, COLUMNS);
    assert_eq!((sums[0].0.as_str(), sums[0].1), ("id", 7), "a NULL is no value");
    let values = |name: &str| sums.iter().find(|(column, ..)| column == name).expect("the column").1;
    assert_eq!((values("d"), values("n"), values("u")), (6, 5, 3), "a value in a twin is one");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ends_agree_over_lanes_filters_renames_and_no_rows() {
    let server = Postgres::start();
    let table = "CREATE TABLE t (id int8, \"odd\"\"name\" text, v numeric(12,4)) WITH (fillfactor = 50);
        INSERT INTO t SELECT g, 'text ' || g || repeat('x', g % 90), g / 7.0 FROM generate_series(1, 150000) g;
        CREATE TABLE nothing (LIKE t); ANALYZE t";
    server.run(table).await;
    let folder = tempfile::tempdir().expect("a folder");
    let keys = json!({
        "name": "t", "load": "full", "checksums": { "of": ["odd\"name", "v"] }, "columns": { "rename": { "odd\"name": "note" } },
        "filter": [{ "column": "id", "op": "gt", "value": "10" }],
    });
    let whole = ran(&server, folder.path(), keys).await;
    whole.agreed(2);
    assert!(whole.end.outcome.files > 1, "several lanes wrote");
    assert_eq!((whole.end.outcome.rows, whole.end.outcome.grade.as_str()), (149_990, "counted"));
    let named: Vec<(String, u64)> =
        recorded(folder.path()).into_iter().map(|(name, values, _)| (name, values)).collect();
    assert_eq!(named, [("note".to_owned(), 149_990), ("v".to_owned(), 149_990)]);

    let folder = tempfile::tempdir().expect("a folder");
    let nothing = json!({ "name": "nothing", "load": "full", "checksums": "all" });
    ran(&server, folder.path(), nothing).await.agreed(3);
    assert!(recorded(folder.path()).iter().all(|(_, values, sum)| *values == 0 && sum == "0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_is_summed_and_not_the_table() {
    let server = Postgres::start();
    server.run("CREATE TABLE w (id int8 PRIMARY KEY, note text); INSERT INTO w SELECT g, 'n' || g FROM generate_series(1, 50) g").await;
    let folder = tempfile::tempdir().expect("a folder");
    let keys = json!({ "name": "w", "load": "new", "cursor": { "column": "id" }, "checksums": "all" });
    ran(&server, folder.path(), keys.clone()).await.agreed(2);
    server.run("UPDATE w SET note = 'changed' WHERE id < 10; INSERT INTO w VALUES (51, NULL), (52, 'last')").await;
    let second = ran(&server, folder.path(), keys.clone()).await;
    second.agreed(2);
    assert_eq!(second.end.outcome.rows, 2);
    let sums: Vec<u64> = recorded(folder.path()).iter().map(|(_, values, _)| *values).collect();
    assert_eq!(sums, [2, 1]);
    let third = ran(&server, folder.path(), keys).await;
    third.agreed(2);
    assert_eq!((third.end.outcome.rows, third.end.outcome.version), (0, None), "nothing was new");
}

/// The first row's values of one column, changed.
fn with_column(batch: Batch, at: usize, column: Arc<dyn Array>) -> Batch {
    let mut columns = batch.rows.columns().to_vec();
    columns[at] = column;
    Batch { rows: RecordBatch::try_new(batch.rows.schema(), columns).expect("a batch"), ..batch }
}

/// One more than the first number is.
fn off_by_one(batch: Batch) -> Batch {
    let ids = batch.rows.column(0).as_primitive::<Int64Type>();
    let bent: Int64Array = ids.iter().enumerate().map(|(row, id)| id.map(|id| id + i64::from(row == 0))).collect();
    with_column(batch, 0, Arc::new(bent))
}

/// The first text is gone.
fn lost(batch: Batch) -> Batch {
    let texts = batch.rows.column(1).as_string::<i32>();
    let bent: StringArray = texts.iter().enumerate().map(|(row, text)| text.filter(|_| row > 0)).collect();
    with_column(batch, 1, Arc::new(bent))
}

/// The last digit of every number is cut.
fn rounded(batch: Batch) -> Batch {
    let kind = batch.rows.column(2).data_type().clone();
    let numbers = batch.rows.column(2).as_primitive::<Decimal128Type>();
    let bent: Decimal128Array = numbers.iter().map(|number| number.map(|number| number / 10 * 10)).collect();
    with_column(batch, 2, Arc::new(bent.with_data_type(kind)))
}

/// What a column could not hold is not kept beside it.
fn without_twins(batch: Batch) -> Batch {
    Batch { twins: Vec::new(), ..batch }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_is_bent_on_its_way_is_caught_and_nothing_is_committed() {
    let server = Postgres::start();
    server
        .run(
            "CREATE TABLE t (id int8, note text, v numeric(12,4));
             INSERT INTO t SELECT g, 'Secretname ' || g, g / 7.0 FROM generate_series(1, 1000) g; INSERT INTO t VALUES (0, 'Secretname', 'NaN')",
        )
        .await;
    let bends: [(Bend, &str); 4] = [
        (off_by_one, "id (other values)"),
        (lost, "note (1000 values in place of 1001)"),
        (rounded, "v (other values)"),
        (without_twins, "v (1000 values in place of 1001)"),
    ];
    for (bend, differs) in bends {
        let folder = tempfile::tempdir().expect("a folder");
        let summed = json!({ "name": "t", "load": "full", "checksums": "all" });
        let caught = bent(&server, folder.path(), summed, bend).await;
        let text = caught.failed(FailureCode::ChecksumMismatch);
        let wanted = format!(
            "what was written is not what the source has in the same snapshot: {differs}; nothing is committed"
        );
        assert_eq!(text, wanted);
        assert_eq!((caught.told(EventCode::ChecksumsDiffer), caught.told(EventCode::ChecksumsAgree)), (Some(1), None));
        assert!(!is_committed(folder.path()), "{differs}");
        // It is the sums that catch it: nothing else does.
        let counted = json!({ "name": "t", "load": "full", "verify-count": true });
        let missed = bent(&server, folder.path(), counted, bend).await;
        assert_eq!(missed.end.outcome.failure, None, "{}", missed.end.text.for_customer());
        assert!(is_committed(folder.path()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_postgres_can_not_sum_is_refused_before_a_row_is_read() {
    let server = Postgres::start();
    server
        .run(
            "CREATE TYPE pair AS (a int, b int);
             CREATE TABLE t (id int8, f4 float4, f8 float8, l int[], p pair, c \"char\", n numeric(10,2)); INSERT INTO t VALUES (1)",
        )
        .await;
    let folder = tempfile::tempdir().expect("a folder");
    for (column, shown) in
        [("f4", "real"), ("f8", "double precision"), ("l", "integer[]"), ("p", "pair"), ("c", "\"char\"")]
    {
        let ran =
            ran(&server, folder.path(), json!({ "name": "t", "load": "full", "checksums": { "of": [column] } })).await;
        let text = ran.failed(FailureCode::ChecksumUnusable);
        assert!(
            text.starts_with(&format!("`checksums` can't take the column {column} (")) && text.contains(shown),
            "{text}"
        );
        assert!(text.contains("no text that is the same at both ends"), "{text}");
    }
    let checked = source(&server).check(&stream("t", json!({ "checksums": "all" }))).await.expect_err("f4 among them");
    assert_eq!(checked.code, FailureCode::ChecksumUnusable);
    for (keys, code, words) in [
        (
            json!({ "checksums": { "of": ["n"] }, "edge-values": "null" }),
            FailureCode::ChecksumUnusable,
            "`edge-values: null`",
        ),
        (json!({ "checksums": { "of": ["nn"] } }), FailureCode::ColumnNotFound, "`checksums` names the column nn"),
        (
            json!({ "checksums": { "of": ["n"] }, "columns": { "drop": ["n"] } }),
            FailureCode::ColumnNotFound,
            "which is not delivered",
        ),
        (
            json!({ "checksums": { "of": ["n"] }, "columns": { "cast": { "n": "text" } } }),
            FailureCode::ChecksumUnusable,
            "takes n, whose values are cast",
        ),
    ] {
        let mut stream = json!({ "name": "t", "load": "full" });
        stream.as_object_mut().expect("an object").extend(keys.as_object().expect("keys").clone());
        let ran = ran(&server, folder.path(), stream).await;
        let text = ran.failed(code);
        assert!(text.contains(words), "{text}");
    }
    assert!(!is_committed(folder.path()));

    let server = Postgres::with(Setup { encoding: "SQL_ASCII", ..Setup::default() });
    server.run("CREATE TABLE t (id int8, note text); INSERT INTO t VALUES (1, E'\\xff')").await;
    let text =
        ran(&server, folder.path(), json!({ "name": "t", "load": "full", "checksums": { "of": ["note"] } })).await;
    assert!(text.failed(FailureCode::ChecksumUnusable).contains("SQL_ASCII"));
    ran(&server, folder.path(), json!({ "name": "t", "load": "full", "checksums": { "of": ["id"] } })).await.agreed(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pipeline_of_the_page_works_as_it_stands_and_its_statement_gives_the_receipts_sum() {
    let page = std::fs::read_to_string(repository().join("docs/checksums.md")).expect("the page");
    let server = Postgres::start();
    server
        .run(
            "CREATE TABLE orders AS SELECT g::int8 AS id, (g / 7.0)::numeric(12,2) AS total, 'customer ' || g AS customer, 0.5::float8 AS weight
                 FROM generate_series(1, 100) g;
             CREATE TABLE customers AS SELECT 1 AS id, 'Ada' AS name, 'secret' AS password_hash;
             CREATE ROLE waybill LOGIN PASSWORD 'a long password'; GRANT SELECT ON orders, customers TO waybill",
        )
        .await;
    let folder = tempfile::tempdir().expect("a folder");
    let [document] = &fenced(&page, "yaml")[..] else { panic!("one pipeline") };
    let report = as_it_stands(&server, folder.path(), document).await;
    let names = |n: usize| -> Vec<String> {
        let sums = report["streams"][n]["receipt"]["checksums"].as_array().expect("sums");
        sums.iter().map(|sum| sum["column"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(
        (names(0), names(1)),
        (vec!["id".into(), "total".into(), "customer".into()], vec!["id".into(), "name".into()])
    );
    let [statement] = &fenced(&page, "sql")[..] else { panic!("one statement") };
    let row = server.client().await.query_one(statement.trim().trim_end_matches(';'), &[]).await.expect("a sum");
    let sum = &report["streams"][0]["receipt"]["checksums"][2];
    assert_eq!((&json!(row.get::<_, i64>(0)), &json!(row.get::<_, String>(1))), (&sum["values"], &sum["sum"]));
}
