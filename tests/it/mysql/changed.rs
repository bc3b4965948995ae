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
