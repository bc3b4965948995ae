//! `load: changed` from MariaDB: rows take the place of those with their key, and only what its indexes prove is a key.

use std::path::Path;

use serde_json::json;
use waybill_model::FailureCode;
use waybill_pipeline::Source;
use waybill_tests::services::mariadb::MariaDb;

use super::landed::{delivered, query};
use super::{server, source, stream};

const KEYS: &str = "load: changed, cursor: rev";

async fn run(server: &MariaDb, folder: &Path, wanted: u64) {
    assert_eq!(delivered(server, folder, "t", KEYS).await["streams"][0]["rows"], wanted);
    let rows: Vec<Vec<String>> = server
        .run("SELECT concat_ws('|', name, hex(raw), n, v) FROM t ORDER BY rev")
        .lines()
        .map(|line| line.split('|').map(str::to_owned).collect())
        .collect();
    let found = query(folder, "SELECT name, raw, CAST(n AS VARCHAR), v FROM t ORDER BY rev");
    let found = json!(
        found
            .as_array()
            .expect("rows")
            .iter()
            .map(|row| {
                let text = |at: usize| row[at].as_str().expect("text").to_owned();
                json!([text(0), text(1).to_uppercase(), text(2), text(3)])
            })
            .collect::<Vec<_>>()
    );
    assert_eq!(found, json!(rows));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_mariadb_take_the_place_of_those_with_their_key() {
    let server = server();
    server.run(
        "CREATE TABLE t (name varchar(20) COLLATE utf8mb4_bin, raw varbinary(8), n decimal(10,2), v varchar(20), rev bigint NOT NULL,
           PRIMARY KEY (raw, name, n));
         INSERT INTO t SELECT concat('k', seq % 7), unhex(lpad(hex(seq % 5), 2, '0')), seq / 4, 'first', seq FROM seq_1_to_300",
    );
    let folder = tempfile::tempdir().expect("a folder");
    run(&server, folder.path(), 300).await;
    server.run("UPDATE t SET v = 'second', rev = rev + 1000 WHERE rev % 3 = 0; INSERT INTO t VALUES ('new', '', -1, 'new', 2000)");
    run(&server, folder.path(), 101).await;
    server.run("UPDATE t SET v = 'third', rev = rev + 3000");
    run(&server, folder.path(), 301).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_mariadb_has_no_more_go_by_keys_of_every_kind() {
    let server = server();
    server.run(
        "CREATE TABLE t (i int unsigned, u bigint unsigned, d date, dt datetime(3), ts timestamp(6), e enum('a','b'), b binary(2),
           c varchar(20) COLLATE utf8mb4_general_ci, n decimal(20,4), y year, rev bigint NOT NULL, v int,
           PRIMARY KEY (i, u, d, dt, ts, e, b, c, n, y));
         INSERT INTO t SELECT seq, 18446744073709551615 - seq, date '2024-01-01' + interval seq day, '2024-01-01 00:00:00.001',
           '2024-01-01 00:00:00.000001', 'b', unhex(lpad(hex(seq), 4, '0')), concat('Key ', seq), seq / 16, 2000 + seq % 100, seq, 0 FROM seq_1_to_3000;
         CREATE TABLE m (k varchar(20) COLLATE utf8mb4_general_ci PRIMARY KEY, rev bigint NOT NULL) ENGINE = MyISAM;
         INSERT INTO m VALUES ('one', 1), ('two', 2), ('three', 3)",
    );
    let folder = tempfile::tempdir().expect("a folder");
    let keys = "load: changed, cursor: rev, deletes: remove";
    delivered(&server, folder.path(), "t", keys).await;
    // In a column that ignores case another case is another key to the table: the row is there once, as it is now.
    server.run("DELETE FROM t WHERE i % 5 = 0; UPDATE t SET c = upper(c), rev = rev + 5000 WHERE i % 5 = 1; UPDATE t SET v = 1, rev = rev + 5000 WHERE i % 5 = 2");
    let swept = delivered(&server, folder.path(), "t", keys).await;
    let merged = &swept["streams"][0]["receipt"]["merged"];
    assert_eq!((&merged["rows"], &merged["removed"]), (&json!(600), &json!(1200)), "{merged}");
    let told = |sql: &str| server.run(sql).trim().split('\t').map(str::to_owned).collect::<Vec<_>>();
    let sums = "SELECT count(*), count(DISTINCT i), sum(i), sum(v), count(DISTINCT BINARY c), sum(BINARY c LIKE BINARY 'KEY%') FROM t";
    let found = "SELECT count(*), count(DISTINCT i), CAST(sum(i) AS BIGINT), CAST(sum(v) AS BIGINT), count(DISTINCT c), \
        CAST(sum(CASE WHEN c LIKE 'KEY%' THEN 1 ELSE 0 END) AS BIGINT) FROM t";
    let found: Vec<String> =
        query(folder.path(), found)[0].as_array().expect("a row").iter().map(ToString::to_string).collect();
    assert_eq!(found, told(sums));

    // An engine without snapshots shows the keys of a later moment: what is gone then is gone.
    let folder = tempfile::tempdir().expect("a folder");
    delivered(&server, folder.path(), "m", keys).await;
    server.run("DELETE FROM m WHERE k = 'two'");
    assert_eq!(delivered(&server, folder.path(), "m", keys).await["streams"][0]["receipt"]["merged"]["removed"], 1);
    assert_eq!(query(folder.path(), "SELECT k FROM t ORDER BY k"), json!([["one"], ["three"]]));
}

#[tokio::test]
async fn only_an_index_over_columns_that_are_never_null_proves_a_key_of_mariadb() {
    let server = server();
    server.run("CREATE TABLE t (id bigint NOT NULL, a int NOT NULL, n int, f double NOT NULL, rev bigint NOT NULL)");
    let refused = FailureCode::KeyUnusable;
    for (index, key, wanted) in [
        ("", &["id"][..], Some(refused)),
        ("ALTER TABLE t ADD UNIQUE i (n)", &["n"], Some(refused)),
        ("ALTER TABLE t ADD INDEX i (id)", &["id"], Some(refused)),
        ("ALTER TABLE t ADD UNIQUE i (id, a)", &["id"], Some(refused)),
        ("ALTER TABLE t ADD UNIQUE i (id)", &[], Some(refused)),
        ("ALTER TABLE t ADD UNIQUE i (a, id)", &["id", "a"], None),
        ("ALTER TABLE t ADD PRIMARY KEY (id)", &[], None),
    ] {
        server.run(&format!("ALTER TABLE t DROP INDEX IF EXISTS i; {index}"));
        let plan = stream("t", json!({"load": "changed", "cursor": {"column": "rev"}, "key": key}));
        let checked = source(&server).check(&plan).await.err().map(|fault| fault.code);
        assert_eq!(checked, wanted, "{index}: {key:?}");
    }
}
