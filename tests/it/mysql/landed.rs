//! MariaDB through the real worker into a table that DuckDB and delta-rs open: what is in the table is what was in the source.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::process::Command;
use waybill_tests::binaries::binary;
use waybill_tests::readers;
use waybill_tests::services::mariadb::MariaDb;

use super::server;
use crate::reading::table_of;

/// The pipeline of docs/mysql.md, with the place of this test's server and folder.
fn document(server: &MariaDb, folder: &Path, stream: &str, keys: &str) -> String {
    format!(
        "waybill: 1\nconnections:\n  db: {{ type: mysql, host: 127.0.0.1, port: {}, database: shop, user: reader, \
         password: env://SHOP_PASSWORD, tls: disable }}\n  lake: {{ type: local, path: \"{}\" }}\npipelines:\n  all:\n    \
         from: db\n    to: lake\n    streams: {{ {stream}: {{ {keys} }} }}\n    limits: {{ parallel: 4 }}\n",
        server.port(),
        folder.join("lake").display()
    )
}

pub(super) async fn delivered(server: &MariaDb, folder: &Path, stream: &str, keys: &str) -> Value {
    run(folder, &document(server, folder, stream, keys)).await
}

/// Runs a document with the real worker, and gives its report.
async fn run(folder: &Path, document: &str) -> Value {
    let spec = folder.join("spec.yaml");
    std::fs::write(&spec, document).expect("write the spec");
    let mut worker = Command::new(binary("waybill-worker"));
    worker.args(["once", "--json", "--memory", "256MiB", "--spec"]).arg(&spec).env("SHOP_PASSWORD", "right");
    let output = worker.kill_on_drop(true).output().await.expect("run the worker");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a report")
}

pub(super) fn query(folder: &Path, sql: &str) -> Value {
    readers::query(&table_of(&folder.join("lake")), sql).expect("readers").agreed()
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_every_type_of_mariadb_reads_back_from_duckdb_and_delta_rs() {
    let server = server();
    server.run(
        "SET sql_mode = '', time_zone = '+00:00';
         CREATE TABLE every (id bigint PRIMARY KEY, t tinyint, tu tinyint unsigned, bu bigint unsigned, d decimal(10,2), n decimal(65,30),
           f float, dd double, da date, dt datetime(6), ts timestamp(3) NULL, ti time(2), y year, b bit(1), bb bit(20), c char(3),
           v varchar(20), l1 varchar(20) CHARACTER SET latin1, sj varchar(20) CHARACTER SET sjis, j json, e enum('a','b'),
           s set('a','b'), bin binary(3), bl blob, p point, u uuid, i6 inet6);
         INSERT INTO every VALUES (1, -128, 255, 18446744073709551615, -12345678.91, 1.000000000000000000000000000001, 0.5, 1e300,
             '2024-02-29', '2024-06-01 23:59:59.999999', '2024-06-01 00:00:00.001', '-838:59:59', 2155, b'1', 1048575, 'ab',
             'ü 🦀', 'é', '漢', '{\"n\": 1.000000000000000000000000001}', 'b', 'a,b', x'00ff', x'00', ST_GeomFromText('POINT(1 2)', 4326),
             '123e4567-e89b-12d3-a456-426655440000', '::1'),
           (2, 0, 0, 0, 0, 0, 0, 0, '0000-00-00', '2022-11-00 00:00:00', '0000-00-00 00:00:00', 0, 0, 0, 0, '', '', '', x'8740', '[]',
             'nonsense', '', '', '', NULL, NULL, NULL), (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
             NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
    );
    let folder = tempfile::tempdir().expect("a folder");
    let report = delivered(&server, folder.path(), "every", "load: full, verify-count: true").await;
    let stream = &report["streams"][0];
    assert_eq!((&stream["rows"], &stream["grade"]), (&json!(3), &json!("verified")));
    assert_eq!(stream["receipt"]["snapshot"], json!("one connection"), "{stream}");
    let numbers = "SELECT t, tu, bu, d, n, f, dd, y, b, bb FROM t ORDER BY id";
    assert_eq!(
        query(folder.path(), numbers),
        json!([
            [
                -128,
                255,
                "18446744073709551615",
                "-12345678.91",
                "1.000000000000000000000000000001",
                0.5,
                1e300,
                2155,
                true,
                "1048575"
            ],
            [0, 0, "0", "0.00", "0.000000000000000000000000000000", 0.0, 0.0, 0, false, "0"],
            [null, null, null, null, null, null, null, null, null, null]
        ])
    );
    let times = "SELECT da, da__text, dt, dt__text, ts, ts__text, ti FROM t ORDER BY id";
    assert_eq!(
        query(folder.path(), times),
        json!([
            [
                "2024-02-29",
                null,
                "2024-06-01T23:59:59.999999",
                null,
                "2024-06-01T00:00:00.001000Z",
                null,
                "-838:59:59.00"
            ],
            [null, "0000-00-00", null, "2022-11-00 00:00:00.000000", null, "0000-00-00 00:00:00.000", "00:00:00.00"],
            [null, null, null, null, null, null, null]
        ])
    );
    let texts = "SELECT c, v, l1, sj, sj__text, j, e, s, bin, bl, p, u, i6 FROM t ORDER BY id";
    let point = "0101000020e6100000000000000000f03f0000000000000040";
    let uuid = "123e4567-e89b-12d3-a456-426655440000";
    assert_eq!(
        query(folder.path(), texts),
        json!([
            [
                "ab",
                "ü 🦀",
                "é",
                "漢",
                null,
                "{\"n\": 1.000000000000000000000000001}",
                "b",
                "a,b",
                "00ff00",
                "00",
                point,
                uuid,
                "::1"
            ],
            ["", "", "", "?", "8740", "[]", "", "", "000000", "", null, null, null],
            [null, null, null, null, null, null, null, null, null, null, null, null, null]
        ])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_mariadb_larger_than_the_memory_of_its_run_lands_whole() {
    let server = server();
    server.run(
        "CREATE TABLE t (id int PRIMARY KEY, pad varchar(2000) NOT NULL);
         INSERT INTO t SELECT seq, repeat(char(97 + seq % 26), 1900) FROM seq_1_to_60000",
    );
    let folder = tempfile::tempdir().expect("a folder");
    let document = document(&server, folder.path(), "t", "load: full");
    let spec = folder.path().join("spec.yaml");
    std::fs::write(&spec, document).expect("write the spec");
    let mut worker = Command::new(binary("waybill-worker"));
    worker.args(["once", "--json", "--memory", "64MiB", "--spec"]).arg(&spec).env("SHOP_PASSWORD", "right");
    let output = worker.output().await.expect("run the worker");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let sums = "SELECT count(*), count(DISTINCT id), CAST(sum(length(pad)) AS BIGINT) FROM t";
    assert_eq!(query(folder.path(), sums), json!([[60_000, 60_000, 60_000 * 1_900]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_late_on_mariadb_is_in_the_table_after_the_next_run_and_once() {
    let server = server();
    server.run(
        "CREATE TABLE t (id int PRIMARY KEY AUTO_INCREMENT, at timestamp(6) NOT NULL DEFAULT current_timestamp(6), note text);
         INSERT INTO t (at, note) SELECT now() - INTERVAL 1 HOUR, concat('note ', seq) FROM seq_1_to_2000",
    );
    let folder = tempfile::tempdir().expect("a folder");
    let keys = "load: new, cursor: at";
    delivered(&server, folder.path(), "t", keys).await;
    assert_eq!(query(folder.path(), "SELECT count(*) FROM t"), json!([[2000]]));

    // It takes its place in the order first and commits last.
    let mut late = server.session();
    late.run("BEGIN; INSERT INTO t (note) VALUES ('late')");
    server.run("INSERT INTO t (note) SELECT concat('second ', seq) FROM seq_1_to_500");
    delivered(&server, folder.path(), "t", keys).await;
    assert_eq!(query(folder.path(), "SELECT count(*) FROM t"), json!([[2000]]), "the window ends before what is open");

    late.run("COMMIT");
    server.run("INSERT INTO t (note) SELECT concat('third ', seq) FROM seq_1_to_500");
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut landed = 0;
    // A margin has to pass on the server's clock.
    while landed < 1001 {
        assert!(Instant::now() < deadline, "only {landed} rows came");
        landed += delivered(&server, folder.path(), "t", keys).await["streams"][0]["rows"].as_u64().expect("rows");
    }
    let sums = "SELECT count(*), count(DISTINCT note) FROM t";
    assert_eq!(query(folder.path(), sums), json!([[3001, 3001]]));
    assert_eq!(query(folder.path(), "SELECT count(*) FROM t WHERE note = 'late'"), json!([[1]]));
    assert_eq!(delivered(&server, folder.path(), "t", keys).await["streams"][0]["rows"], json!(0));
}

/// What stands between fences of this language on the page.
pub(crate) fn fenced(page: &str, language: &str) -> Vec<String> {
    let opens = format!("```{language}\n");
    page.split(&opens).skip(1).filter_map(|rest| rest.split_once("```")).map(|(text, _)| text.to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_and_the_pipeline_of_the_page_work_as_they_stand() {
    let page = std::fs::read_to_string(waybill_tests::binaries::repository().join("docs/mysql.md")).expect("the page");
    let server = MariaDb::start();
    server.run(
        "CREATE TABLE orders (id int PRIMARY KEY, updated_at timestamp NOT NULL DEFAULT '2020-01-01');
         INSERT INTO orders (id) SELECT seq FROM seq_1_to_100;
         CREATE TABLE customers (id int PRIMARY KEY, password_hash text); INSERT INTO customers VALUES (1, 'secret');
         CREATE TABLE items (id int PRIMARY KEY, price decimal(10,2)); INSERT INTO items VALUES (1, 9.99), (2, 0)",
    );
    let accounts = fenced(&page, "sql");
    assert_eq!(accounts.len(), 2);
    for sql in &accounts {
        // This server has no certificate.
        server.run(&sql.replace(" REQUIRE SSL", "").replace("a long password", "right"));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let [document] = &fenced(&page, "yaml")[..] else { panic!("one pipeline") };
    let host = format!("    host: 127.0.0.1\n    port: {}\n    tls: disable\n", server.port());
    let document = document
        .replace("    host: db.example.internal\n", &host)
        .replace("/srv/lake", folder.path().join("lake").to_str().expect("a path"));
    assert!(document.contains("tls: disable") && !document.contains("/srv/"));
    let report = run(folder.path(), &document).await;
    let rows: Vec<(&Value, &Value)> = report["streams"]
        .as_array()
        .expect("streams")
        .iter()
        .map(|stream| (&stream["rows"], &stream["receipt"]["window"]["fixed_lag"]))
        .collect();
    assert_eq!(rows, [(&json!(100), &json!(false)), (&json!(1), &Value::Null), (&json!(1), &Value::Null)]);
}
