//! `load: changed` from Postgres: late commits, keys of many types, and what of its indexes proves a key.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use waybill_model::FailureCode;
use waybill_pipeline::Source;
use waybill_tests::services::postgres::Postgres;

use super::landed::{delivered, read};
use super::{source, stream};

/// Runs until so many rows came: a margin has to pass on the server's clock.
async fn until(server: &Postgres, folder: &std::path::Path, keys: &str, rows: u64) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut came = 0;
    while came < rows {
        assert!(Instant::now() < deadline, "only {came} of {rows} rows came");
        came += delivered(server, folder, keys).await["streams"][0]["rows"].as_u64().expect("rows");
    }
    assert_eq!(came, rows);
}

/// The rows that a query gives, each as the text of its columns.
async fn asked(server: &Postgres, sql: &str) -> Value {
    let rows = server.client().await.query(sql, &[]).await.expect("rows");
    let row = |row: &tokio_postgres::Row| -> Value {
        (0..row.len()).map(|at| row.get::<_, Option<String>>(at).map_or(Value::Null, Value::from)).collect()
    };
    rows.iter().map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_commits_late_is_merged_with_the_next_run_and_the_table_is_the_source() {
    let server = Postgres::start();
    let seed = "CREATE TABLE t (id int8 PRIMARY KEY, at timestamptz NOT NULL, note text);
                INSERT INTO t SELECT g, now() - interval '1 hour', 'note ' || g FROM generate_series(1, 2000) g";
    server.run(seed).await;
    let folder = tempfile::tempdir().expect("a folder");
    let keys = "load: changed, cursor: at, cursor-margin: 1s";
    until(&server, folder.path(), keys, 2000).await;

    let late = server.client().await;
    late.batch_execute("BEGIN; UPDATE t SET at = now(), note = 'late' WHERE id BETWEEN 10 AND 20")
        .await
        .expect("an update");
    server.run("UPDATE t SET at = now(), note = 'early' WHERE id BETWEEN 30 AND 40; INSERT INTO t VALUES (3000, now(), 'new')").await;
    assert_eq!(
        delivered(&server, folder.path(), keys).await["streams"][0]["rows"],
        0,
        "the window ends before what is open"
    );
    late.batch_execute("COMMIT").await.expect("a commit");
    until(&server, folder.path(), keys, 23).await;
    let note = "SELECT CAST(id AS TEXT) AS n, note FROM t ORDER BY id";
    assert_eq!(read(folder.path(), &note.replace("TEXT", "VARCHAR")), asked(&server, note).await);
    let sums = "SELECT count(*), count(DISTINCT id) FROM t";
    assert_eq!(read(folder.path(), sums), json!([[2001, 2001]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_every_type_tells_rows_apart_while_rows_move_between_files() {
    let server = Postgres::start();
    let seed = "CREATE TYPE mood AS ENUM ('calm', 'loud'); CREATE DOMAIN code AS text;
        CREATE TABLE t (b bool, i int2, n numeric(12,3), u numeric, tx text, co code, mo mood, uu uuid, d date, ts timestamp, tz timestamptz,
          by bytea, at timestamptz NOT NULL, v int4, PRIMARY KEY (n, tx, uu, tz, by, b, i, u, co, mo, d, ts));
        INSERT INTO t SELECT g % 2 = 0, g % 7, g / 8.0, g % 3 + 0.50, left(repeat('ü🦀', g % 4), g % 5), 'c' || g % 2,
          (ARRAY['calm', 'loud'])[g % 2 + 1]::mood, md5((g % 11)::text)::uuid, date '0001-01-01' + g % 3, timestamp '2024-01-01' + g % 5 * interval '1 us',
          timestamptz 'epoch' - g % 2 * interval '1 us', decode(repeat('00', g % 4), 'hex'), now() - interval '1 hour', 0
        FROM generate_series(1, 3000) g";
    server.run(seed).await;
    let folder = tempfile::tempdir().expect("a folder");
    let keys = "load: changed, cursor: at, cursor-margin: 1s";
    until(&server, folder.path(), keys, 3000).await;
    for share in [3, 5, 1] {
        let sql = format!("UPDATE t SET v = v + 1, at = now() WHERE floor(n * 8) % {share} = 0");
        let changed = server.client().await.execute(&sql, &[]).await.expect("an update");
        until(&server, folder.path(), keys, changed).await;
        server.run(&format!("DELETE FROM t WHERE floor(n * 8) % 97 = {share}")).await;
        let swept = delivered(&server, folder.path(), &format!("{keys}, deletes: remove")).await;
        assert!(swept["streams"][0]["receipt"]["merged"]["removed"].as_u64() > Some(20), "{swept}");
        let all = "SELECT CAST(n AS TEXT) AS a, CAST(v AS TEXT) AS b, tx, CAST(u AS TEXT) AS c, CAST(uu AS TEXT) AS d FROM t ORDER BY n";
        assert_eq!(read(folder.path(), &all.replace("TEXT", "VARCHAR")), asked(&server, all).await, "every {share}");
    }
}

#[tokio::test]
async fn only_a_whole_index_over_columns_that_are_never_null_proves_a_key_of_postgres() {
    let server = Postgres::start();
    server
        .run(
            "CREATE TABLE t (id int8 NOT NULL, a int4 NOT NULL, n int4, f float8 NOT NULL, rev int8 NOT NULL);
             CREATE TABLE p (id int8, a int4, rev int8, PRIMARY KEY (id, a)) PARTITION BY RANGE (a);
             CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
             CREATE TABLE parent (id int8 PRIMARY KEY, rev int8); CREATE TABLE child () INHERITS (parent);
             CREATE VIEW v AS SELECT * FROM p",
        )
        .await;
    let source = source(&server);
    let by =
        |table: &str, key: &[&str]| stream(table, json!({"load": "changed", "cursor": {"column": "rev"}, "key": key}));
    let refused = FailureCode::KeyUnusable;
    for (index, key, wanted) in [
        ("", &["id"][..], Some(refused)),
        ("CREATE UNIQUE INDEX i ON t (id) WHERE a > 0", &["id"], Some(refused)),
        ("CREATE UNIQUE INDEX i ON t ((id + 1))", &["id"], Some(refused)),
        ("CREATE UNIQUE INDEX i ON t (n)", &["n"], Some(refused)),
        ("CREATE INDEX i ON t (id)", &["id"], Some(refused)),
        ("CREATE UNIQUE INDEX i ON t (id, a)", &["id"], Some(refused)),
        ("CREATE UNIQUE INDEX i ON t (id)", &["id", "a"], Some(refused)),
        ("CREATE UNIQUE INDEX i ON t (id)", &[], Some(refused)),
        ("CREATE UNIQUE INDEX i ON t (id)", &["missing"], Some(FailureCode::ColumnNotFound)),
        ("CREATE UNIQUE INDEX i ON t (a, id)", &["id", "a"], None),
        ("CREATE UNIQUE INDEX i ON t (id) INCLUDE (n)", &["id"], None),
        ("ALTER TABLE t ADD CONSTRAINT i UNIQUE (id) DEFERRABLE INITIALLY DEFERRED", &["id"], None),
        ("ALTER TABLE t ADD CONSTRAINT i PRIMARY KEY (id)", &[], None),
    ] {
        server.run(&format!("ALTER TABLE t DROP CONSTRAINT IF EXISTS i; DROP INDEX IF EXISTS i; {index}")).await;
        let checked = source.check(&by("t", key)).await.err().map(|fault| fault.code);
        assert_eq!(checked, wanted, "{index}: {key:?}");
    }
    for (table, wanted) in
        [("p", None), ("p1", None), ("parent", Some(refused)), ("child", Some(refused)), ("v", Some(refused))]
    {
        assert_eq!(source.check(&by(table, &[])).await.err().map(|fault| fault.code), wanted, "{table}");
    }
}
