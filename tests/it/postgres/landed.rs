//! Postgres through the real worker into a table that DuckDB and delta-rs open: lanes of one snapshot while others write, and
//! windows of one run after another while somebody commits late. What is in the table is what was in the source.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::process::Command;
use waybill_tests::binaries::binary;
use waybill_tests::readers;
use waybill_tests::services::postgres::Postgres;

use crate::mysql::landed::fenced;
use crate::reading::table_of;

const ROWS: i64 = 100_000;

/// Runs the pipeline that moves `t` as it is told.
async fn once(server: &Postgres, folder: &Path, keys: &str) -> Output {
    once_as(server, "postgres", folder, keys).await
}

async fn once_as(server: &Postgres, user: &str, folder: &Path, keys: &str) -> Output {
    worker(server, user, folder, keys).output().await.expect("run the worker")
}

fn worker(server: &Postgres, user: &str, folder: &Path, keys: &str) -> Command {
    let document = format!(
        "waybill: 1\nconnections:\n  db: {{ type: postgres, host: 127.0.0.1, port: {}, database: postgres, user: {user}, \
         tls: disable }}\n  lake: {{ type: local, path: \"{}\" }}\npipelines:\n  all:\n    from: db\n    to: lake\n    streams: \
         {{ public.t: {{ {keys} }} }}\n    limits: {{ parallel: 4 }}\n",
        server.port(),
        folder.join("lake").display()
    );
    let spec = folder.join("spec.yaml");
    std::fs::write(&spec, document).expect("write the spec");
    let mut worker = Command::new(binary("waybill-worker"));
    worker.args(["once", "--json", "--memory", "256MiB", "--spec"]).arg(&spec).kill_on_drop(true);
    worker
}

pub(super) async fn delivered(server: &Postgres, folder: &Path, keys: &str) -> Value {
    let output = once(server, folder, keys).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a report")
}

pub(super) fn read(folder: &Path, sql: &str) -> Value {
    readers::query(&table_of(&folder.join("lake")), sql).expect("readers").agreed()
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_four_lanes_of_a_table_that_others_update_land_as_one_moment() {
    let server = Postgres::start();
    // Rows move with each update, and what is taken from one is given to another: every moment has the same sum.
    let table = format!(
        "CREATE TABLE t (id int8 PRIMARY KEY, v int8 NOT NULL, pad text NOT NULL) WITH (autovacuum_enabled = false);
         INSERT INTO t SELECT g, 100, repeat('x', 100) FROM generate_series(1, {ROWS}) g; ANALYZE t"
    );
    server.run(&table).await;
    let folder = tempfile::tempdir().expect("a folder");
    let writer = server.client().await;
    let mut moved = 0_u64;
    let writes = async {
        loop {
            let sql = format!(
                "UPDATE t SET v = v + CASE WHEN id % 2 = 0 THEN 1 ELSE -1 END
                 WHERE id BETWEEN 1 + {at} % {ROWS} AND 1000 + {at} % {ROWS}",
                at = moved * 1000
            );
            writer.batch_execute(&sql).await.expect("an update");
            moved += 1;
            if moved.is_multiple_of(10) {
                writer.batch_execute("VACUUM t").await.expect("a vacuum");
            }
        }
    };
    let report = tokio::select! {
        report = delivered(&server, folder.path(), "load: full, verify-count: true") => report,
        never = writes => never,
    };
    assert!(moved > 3, "the writer wrote beside it: {moved}");
    assert_eq!((&report["streams"][0]["rows"], &report["streams"][0]["grade"]), (&json!(ROWS), &json!("verified")));
    assert!(report["streams"][0]["files"].as_u64() > Some(1), "several lanes wrote: {report}");
    let sums = "SELECT count(*), count(DISTINCT id), min(id), max(id), CAST(sum(v) AS BIGINT) FROM t";
    assert_eq!(read(folder.path(), sums), json!([[ROWS, ROWS, 1, ROWS, 100 * ROWS]]));
}

/// The server ends the session that holds the snapshot while rows are read: what was delivered before is what readers find, while
/// the attempt is dying and when it is dead.
#[tokio::test(flavor = "multi_thread")]
async fn d6_the_table_of_the_run_before_is_read_while_an_attempt_without_its_snapshot_dies() {
    let server = Postgres::start();
    server.run("CREATE TABLE t AS SELECT g::int8 AS id, 'old' AS note FROM generate_series(1, 5000) g").await;
    let folder = tempfile::tempdir().expect("a folder");
    delivered(&server, folder.path(), "load: full").await;
    let notes = || read(folder.path(), "SELECT note, count(*), count(DISTINCT id) FROM t GROUP BY note");
    let old = json!([["old", 5000, 5000]]);
    assert_eq!(notes(), old);
    // The leader waits in the middle of its COPY.
    server
        .run(
            "ALTER TABLE t RENAME TO kept; UPDATE kept SET note = 'new';
             CREATE VIEW t AS SELECT id, CASE WHEN id = 4000 AND pg_advisory_xact_lock_shared(7)::text <> '' THEN 'locked' ELSE note END AS note FROM kept",
        )
        .await;
    let holder = server.client().await;
    holder.execute("SELECT pg_advisory_lock(7)", &[]).await.expect("the lock");
    let slow = worker(&server, "postgres", folder.path(), "load: full").stdout(Stdio::piped()).spawn();
    let client = server.client().await;
    server.until("count(pid) > 0 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").await;
    assert_eq!(notes(), old, "while it reads");
    let ended =
        "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    assert_eq!(client.query_one(ended, &[]).await.expect("an answer").get::<_, i64>(0), 1);
    let output = slow.expect("run the worker").wait_with_output().await.expect("an end");
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!(report["streams"][0]["failure"], json!("snapshot_lost"), "{report}");
    assert_eq!(notes(), old, "when it is dead");
    holder.execute("SELECT pg_advisory_unlock(7)", &[]).await.expect("the lock is free");
    delivered(&server, folder.path(), "load: full").await;
    assert_eq!(notes(), json!([["new", 5000, 5000]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn f31_what_is_committed_late_is_in_the_table_after_the_next_run_and_once() {
    let server = Postgres::start();
    let seed = "CREATE TABLE t (id bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(), note text);
                INSERT INTO t (at, note) SELECT now() - interval '1 hour', 'note ' || g FROM generate_series(1, 2000) g";
    server.run(seed).await;
    let folder = tempfile::tempdir().expect("a folder");
    let keys = "load: new, cursor: at";
    delivered(&server, folder.path(), keys).await;
    assert_eq!(read(folder.path(), "SELECT count(*) FROM t"), json!([[2000]]));

    // It takes its place in the order first and commits last.
    let late = server.client().await;
    late.batch_execute("BEGIN; INSERT INTO t (note) VALUES ('late')").await.expect("an insert");
    server.run("INSERT INTO t (note) SELECT 'second ' || g FROM generate_series(1, 500) g").await;
    delivered(&server, folder.path(), keys).await;
    assert_eq!(read(folder.path(), "SELECT count(*) FROM t"), json!([[2000]]), "the window ends before what is open");

    late.batch_execute("COMMIT").await.expect("a commit");
    server.run("INSERT INTO t (note) SELECT 'third ' || g FROM generate_series(1, 500) g").await;
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut landed = 0;
    // A margin has to pass on the server's clock.
    while landed < 1001 {
        assert!(Instant::now() < deadline, "only {landed} rows came");
        landed += delivered(&server, folder.path(), keys).await["streams"][0]["rows"].as_u64().expect("rows");
    }
    let sums = "SELECT count(*), count(DISTINCT id), CAST(sum(id) AS BIGINT) FROM t";
    assert_eq!(read(folder.path(), sums), json!([[3001, 3001, 3001 * 3002 / 2]]));
    assert_eq!(read(folder.path(), "SELECT count(*) FROM t WHERE note = 'late'"), json!([[1]]));
    assert_eq!(delivered(&server, folder.path(), keys).await["streams"][0]["rows"], json!(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fixed_lag_and_rows_without_a_cursor_stand_in_the_receipt() {
    let server = Postgres::start();
    let seed = "CREATE TABLE t (id bigserial PRIMARY KEY, at timestamptz);
                INSERT INTO t (at) SELECT now() - interval '1 hour' FROM generate_series(1, 10);
                INSERT INTO t (at) VALUES (NULL), (NULL), (NULL), (now() - interval '1 minute');
                CREATE ROLE reader LOGIN; GRANT SELECT ON t TO reader";
    server.run(seed).await;
    let keys = "load: new, cursor: at, cursor-nulls: ignore";
    let window = |fixed_lag: bool| json!({"fixed_lag": fixed_lag, "held": false, "null_cursors": 3});
    let may = "GRANT pg_read_all_stats TO reader";
    for (grant, keys, rows, expected) in
        [("", keys, 10, window(true)), (may, keys, 11, window(false)), ("", "load: full", 14, Value::Null)]
    {
        server.run(grant).await;
        let folder = tempfile::tempdir().expect("a folder");
        let output = once_as(&server, "reader", folder.path(), keys).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
        let stream = &report["streams"][0];
        assert_eq!((&stream["rows"], &stream["receipt"]["window"]), (&json!(rows), &expected), "{keys}");
        // The receipt in the bucket, with the window and without one, is what `verify` finds whole.
        let lake = folder.path().join("lake");
        tokio::task::block_in_place(|| waybill_tests::verify::verified(&lake)).expect("the lake is whole");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_and_the_pipeline_of_the_postgres_page_work_as_they_stand() {
    let page =
        std::fs::read_to_string(waybill_tests::binaries::repository().join("docs/postgres.md")).expect("the page");
    let server = Postgres::start();
    server
        .run(
            "CREATE TABLE orders AS SELECT g::int8 AS id, timestamptz '2020-01-01' AS updated_at FROM generate_series(1, 100) g;
             CREATE TABLE customers AS SELECT 1 AS id, 'secret' AS password_hash; REVOKE ALL ON SCHEMA public FROM PUBLIC",
        )
        .await;
    let [account] = &fenced(&page, "sql")[..] else { panic!("one account") };
    server.run(account).await;
    let folder = tempfile::tempdir().expect("a folder");
    let documents = fenced(&page, "yaml");
    let report = as_it_stands(&server, folder.path(), &documents[0]).await;
    let told = |n: usize| (&report["streams"][n]["rows"], &report["streams"][n]["receipt"]["window"]["fixed_lag"]);
    assert_eq!((told(0), told(1)), ((&json!(100), &json!(false)), (&json!(1), &Value::Null)));

    server.run("CREATE TABLE stock (id int8 PRIMARY KEY, pieces int4); INSERT INTO stock SELECT g, 0 FROM generate_series(1, 50) g").await;
    server.run("GRANT SELECT ON stock TO waybill").await;
    let by_transaction = documents.iter().find(|document| document.contains("cursor: xmin")).expect("an example");
    let mut came = Vec::new();
    for change in [
        "UPDATE stock SET pieces = 1 WHERE id <= 3",
        "SELECT",
        "UPDATE stock SET pieces = 2 WHERE id = 3; DELETE FROM stock WHERE id = 50",
    ] {
        came.push(as_it_stands(&server, folder.path(), by_transaction).await["streams"][0]["rows"].clone());
        server.run(change).await;
    }
    came.push(as_it_stands(&server, folder.path(), by_transaction).await["streams"][0]["rows"].clone());
    assert_eq!(json!(came), json!([50, 3, 0, 1]));
    let stock =
        readers::query(&folder.path().join("lake/public.stock"), "SELECT count(*), CAST(sum(pieces) AS BIGINT) FROM t");
    assert_eq!(stock.expect("readers").agreed(), json!([[49, 4]]));
}

/// Runs a document of a page with nothing but the place and the mode of TLS of its connections changed.
pub(crate) async fn as_it_stands(server: &Postgres, folder: &Path, document: &str) -> Value {
    let document = document
        .replace("host: db.example.internal, ", &format!("host: 127.0.0.1, port: {}, tls: disable, ", server.port()))
        .replace(
            "    host: db.example.internal\n",
            &format!("    host: 127.0.0.1\n    port: {}\n    tls: disable\n", server.port()),
        )
        .replace("database: shop", "database: postgres")
        .replace("/srv/lake", folder.join("lake").to_str().expect("a path"));
    assert!(document.contains("tls: disable") && !document.contains("/srv/"));
    let spec = folder.join("spec.yaml");
    std::fs::write(&spec, document).expect("write the spec");
    let mut worker = Command::new(binary("waybill-worker"));
    worker.args(["once", "--json", "--memory", "256MiB", "--spec"]).arg(&spec).env("SHOP_PASSWORD", "a long password");
    let output = worker.kill_on_drop(true).output().await.expect("run the worker");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a report")
}
