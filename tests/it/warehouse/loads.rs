//! What each way of loading leaves in the table.

use serde_json::json;
use waybill_tests::services::postgres::Postgres;

use super::{Copy, numbers, report, talk};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_load_makes_the_table_and_then_replaces_its_rows() {
    replaces(Postgres::start()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_load_into_the_newest_server_makes_the_table_and_then_replaces_its_rows() {
    replaces(Postgres::newest()).await;
}

async fn replaces(server: Postgres) {
    let copy = Copy::on(server, &numbers(1000), "t: {}");
    let report = copy.delivered();
    assert_eq!((&report["streams"][0]["rows"], &report["streams"][0]["files"]), (&json!(1000), &json!(0)));
    assert_eq!(copy.one("SELECT count(*) || ' ' || sum(id) || ' ' || min(note) FROM t").await, "1000 500500 note 1");
    copy.source(
        "DELETE FROM t WHERE id > 800; UPDATE t SET note = 'new' WHERE id = 1; INSERT INTO t VALUES (2000, NULL)",
    );
    let report = copy.delivered();
    assert_eq!(report["streams"][0]["version"], 2);
    assert_eq!(copy.one("SELECT count(*) || ' ' || sum(id) FROM t").await, "801 322400");
    assert_eq!(copy.rows("SELECT id, note FROM t WHERE id IN (1, 2000) ORDER BY 1").await, ["(1,new)", "(2000,)"]);
    let kept = copy.rows("SELECT table_name, version, pipeline, epoch > 0 FROM _waybill_commit").await;
    assert_eq!(kept, ["(t,2,once/moved,t)"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_rows_are_appended_with_their_cursor_and_none_comes_twice() {
    let copy = Copy::with(&numbers(1000), "t: { load: new, cursor: id }");
    assert_eq!(copy.delivered()["streams"][0]["rows"], 1000);
    // Nothing new commits nothing.
    assert_eq!(copy.delivered()["streams"][0]["rows"], 0);
    assert_eq!(copy.one("SELECT version FROM _waybill_commit").await, "1");
    copy.source("INSERT INTO t VALUES (1001, 'a'), (1002, 'b')");
    assert_eq!(copy.delivered()["streams"][0]["rows"], 2);
    assert_eq!(
        copy.one("SELECT count(*) || ' ' || count(DISTINCT id) || ' ' || max(id) FROM t").await,
        "1002 1002 1002"
    );
    // A column more is a decision of somebody's; one `full` load takes it, and the first `new` after it brings no row twice.
    copy.source("ALTER TABLE t ADD COLUMN more TEXT; INSERT INTO t VALUES (1003, 'c', 'x')");
    assert!(copy.fails("columns_undecided").contains("the table has not: \"more\""));
    assert_eq!(copy.one("SELECT count(*) FROM t").await, "1002");
    copy.streams("t: {}");
    copy.delivered();
    copy.streams("t: { load: new, cursor: id }");
    copy.source("INSERT INTO t VALUES (1004, 'd', 'y')");
    copy.delivered();
    assert_eq!(
        copy.one("SELECT count(*) || ' ' || count(DISTINCT id) || ' ' || count(more) FROM t").await,
        "1004 1004 2"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_gone_is_not_begun_anew_by_a_window() {
    let copy = Copy::with(&numbers(10), "t: { load: new, cursor: id }");
    copy.delivered();
    copy.server.run("DROP TABLE t").await;
    copy.source("INSERT INTO t VALUES (11, 'late')");
    assert!(copy.fails("table_changed_by_other").contains("`--reload t`"));
    let check = "SELECT count(*) || ' ' || max(id) FROM t";
    copy.reloaded("t");
    assert_eq!(copy.one(check).await, "11 11");
    // It goes on from the cursor that the reload set, and a table that is there is reloaded as well.
    copy.source("INSERT INTO t VALUES (12, 'later')");
    assert_eq!(copy.delivered()["streams"][0]["rows"], 1);
    copy.source("DELETE FROM t WHERE id = 1");
    copy.reloaded("t");
    assert_eq!(copy.one(check).await, "11 12");
    copy.server.run("DROP TABLE t").await;
    copy.streams("t: {}");
    copy.delivered();
    assert_eq!(copy.one(check).await, "11 12");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_and_a_forgotten_cursor_are_merged_into_a_table_of_a_database() {
    let copy = Copy::with(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, rev INTEGER, note TEXT); INSERT INTO t VALUES (1, 10, 'old'), (2, 20, 'old'), (3, 30, 'old')",
        "t: { load: changed, cursor: rev }",
    );
    copy.delivered();
    copy.source("UPDATE t SET note = 'unseen'");
    let asked = |arguments: &[&str]| {
        let output = copy.command("waybill-worker").args(arguments).output().expect("run the worker");
        assert_eq!(output.status.code(), Some(0), "{}", talk(&output));
        report(&output)["streams"][0]["rows"].clone()
    };
    assert_eq!(asked(&["--backfill", "t", "--from", "20", "--to", "30"]), 1);
    assert_eq!(
        copy.one("SELECT count(*) || ' ' || string_agg(id::text, ',') FILTER (WHERE note = 'unseen') FROM t").await,
        "3 2"
    );
    assert!(copy.one("SELECT string_agg(state, '') FROM _waybill_commit").await.contains("\"errand\":{\"backfill\""));
    copy.source("INSERT INTO t VALUES (4, 40, 'new')");
    assert_eq!(copy.delivered()["streams"][0]["rows"], 1, "the cursor stayed");
    assert_eq!(asked(&["--forget-cursor", "t"]), 4);
    assert_eq!(copy.one("SELECT count(*) || ' ' || count(*) FILTER (WHERE note = 'unseen') FROM t").await, "4 3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limited_run_fills_a_table_of_a_database_only_before_whole_runs_do() {
    for keys in ["{}", "{ load: new, cursor: id }", "{ load: changed, cursor: id }"] {
        let copy = Copy::with(&numbers(1000), &format!("t: {keys}"));
        let asked = |exit: i32| {
            let output = copy.command("waybill-worker").args(["--limit", "7"]).output().expect("run the worker");
            assert_eq!(output.status.code(), Some(exit), "{keys}: {}", talk(&output));
            report(&output)["streams"][0].clone()
        };
        for _ in 0..2 {
            assert_eq!(asked(0)["rows"], 7, "{keys}");
            assert_eq!(copy.one("SELECT count(*) FROM t").await, "7", "{keys}");
        }
        copy.delivered();
        assert_eq!(copy.one("SELECT count(*) || ' ' || count(DISTINCT id) FROM t").await, "1000 1000", "{keys}");
        assert_eq!(asked(10)["failure"], "request_unusable", "{keys}");
        assert_eq!(copy.one("SELECT count(*) FROM t").await, "1000", "{keys}");
        // A table that is gone has nothing that whole runs have brought.
        copy.server.run("DROP TABLE t").await;
        assert_eq!(asked(0)["rows"], 7, "{keys}");
        copy.delivered();
        assert_eq!(copy.one("SELECT count(*) || ' ' || count(DISTINCT id) FROM t").await, "1000 1000", "{keys}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_the_column_can_not_hold_stands_in_its_twin() {
    let copy = Copy::with(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, day DATE, sum DECIMAL(6,2));
         INSERT INTO t VALUES (1, '2024-02-29', 1.25), (2, 'never', 12345678.5)",
        "t: {}",
    );
    for _ in 0..2 {
        copy.delivered();
        let rows = copy.rows("SELECT id, day, sum, day__text, sum__text FROM t ORDER BY id").await;
        assert_eq!(rows, ["(1,2024-02-29,1.25,,)", "(2,,,'never',12345678.5)"]);
    }
    // The twins stay when they are not needed any more, and the text that no text of Postgres holds is refused.
    copy.source("DELETE FROM t WHERE id = 2");
    copy.delivered();
    assert_eq!(copy.rows("SELECT * FROM t").await, ["(1,2024-02-29,1.25,,)"]);
    copy.source("CREATE TABLE u (id INTEGER PRIMARY KEY, word TEXT); INSERT INTO u VALUES (1, 'a' || char(0) || 'b')");
    copy.streams("u: {}");
    let told = copy.fails("value_refused");
    assert!(told.contains("column word") && told.contains("U+0000"), "{told}");
    assert_eq!(copy.one("SELECT to_regclass('public.u') IS NULL").await, "true");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_row_takes_the_place_of_the_one_with_its_key() {
    merges(Postgres::start()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_row_in_the_newest_server_takes_the_place_of_the_one_with_its_key() {
    merges(Postgres::newest()).await;
}

async fn merges(server: Postgres) {
    let sql = "CREATE TABLE t (id INTEGER PRIMARY KEY, seen INTEGER NOT NULL, day DATE);
         INSERT INTO t VALUES (1, 1, '2024-01-01'), (2, 2, 'odd'), (3, 3, NULL)";
    let copy = Copy::on(server, sql, "t: { load: changed, cursor: seen }");
    copy.delivered();
    copy.source("UPDATE t SET seen = 4, day = '2024-05-05' WHERE id = 2; INSERT INTO t VALUES (4, 5, 'strange')");
    assert_eq!(copy.delivered()["streams"][0]["rows"], 2);
    // The twin of the row that was odd is gone with it.
    let rows = ["(1,1,2024-01-01,)", "(2,4,2024-05-05,)", "(3,3,,)", "(4,5,,'strange')"];
    assert_eq!(copy.rows("SELECT id, seen, day, day__text FROM t ORDER BY id").await, rows);
    copy.source("UPDATE t SET seen = 6, day = NULL WHERE id = 4");
    copy.delivered();
    assert_eq!(copy.rows("SELECT id, seen, day, day__text FROM t WHERE id = 4").await, ["(4,6,,)"]);
    let unique = "SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass AND indisunique";
    assert_eq!(copy.one(unique).await, "1");
    // Back and forth between the ways of loading: no row twice.
    for (streams, indexes) in [("t: {}", "0"), ("t: { load: changed, cursor: seen }", "1")] {
        copy.streams(streams);
        copy.delivered();
        assert_eq!(copy.one("SELECT count(*) || ' ' || count(DISTINCT id) FROM t").await, "4 4");
        assert_eq!(copy.one(unique).await, indexes);
    }
}

/// The columns of each unique index of `t`, in the order in which they were made.
const UNIQUE: &str = "SELECT string_agg((SELECT string_agg(attname, ',' ORDER BY attname) FROM pg_attribute WHERE attrelid = indexrelid), \
    ' ' ORDER BY indexrelid) FROM pg_index WHERE indrelid = 't'::regclass AND indisunique";

#[tokio::test(flavor = "multi_thread")]
async fn a_load_with_another_key_or_none_is_not_refused_by_the_index_of_the_old_one() {
    let copy = Copy::with(
        "CREATE TABLE t (id INTEGER NOT NULL, region TEXT NOT NULL, seen INTEGER NOT NULL);
         CREATE UNIQUE INDEX by_id ON t (id); CREATE UNIQUE INDEX by_both ON t (id, region);
         CREATE UNIQUE INDEX by_seen ON t (seen); INSERT INTO t VALUES (1, 'n', 1), (2, 'n', 2)",
        "t: { load: changed, cursor: seen, key: [id] }",
    );
    let both = "t: { load: changed, cursor: seen, key: [id, region] }";
    let count = "SELECT count(*) FROM t";
    copy.delivered();
    // One of somebody else stays, whatever its columns.
    copy.server.run("CREATE UNIQUE INDEX mine ON t (seen)").await;
    assert_eq!(copy.one(UNIQUE).await, "id seen");
    copy.source("DROP INDEX by_id; INSERT INTO t VALUES (1, 's', 3)");
    copy.streams(both);
    assert!(copy.fails("key_unusable").contains("run one `full` load"));
    copy.streams("t: {}");
    copy.delivered();
    assert_eq!((copy.one(count).await.as_str(), copy.one(UNIQUE).await.as_str()), ("3", "seen"));
    copy.streams(both);
    copy.delivered();
    copy.source("UPDATE t SET seen = 4 WHERE region = 's'");
    assert_eq!(copy.delivered()["streams"][0]["rows"], 1);
    assert_eq!((copy.one(count).await.as_str(), copy.one(UNIQUE).await.as_str()), ("3", "seen id,region"));
    // Rows that are appended may have a key that is there.
    copy.streams("t: { load: new, cursor: seen }");
    copy.source("UPDATE t SET seen = 5 WHERE id = 2");
    assert_eq!(copy.delivered()["streams"][0]["rows"], 1);
    assert_eq!((copy.one(count).await.as_str(), copy.one(UNIQUE).await.as_str()), ("4", "seen"));
    copy.streams(both);
    copy.delivered();
    assert_eq!((copy.one(count).await.as_str(), copy.one(UNIQUE).await.as_str()), ("3", "seen id,region"));
    // What somebody has put on it is not taken along.
    copy.server
        .run("CREATE TABLE child (id bigint, region text, FOREIGN KEY (id, region) REFERENCES t (id, region))")
        .await;
    copy.streams("t: { load: changed, cursor: seen, key: [seen] }");
    copy.source("DROP INDEX by_both; INSERT INTO t VALUES (1, 's', 6)");
    copy.fails("key_unusable");
    let again = copy.command("waybill-worker").args(["--reload", "t"]).output().expect("run the worker");
    let told = report(&again)["streams"][0].clone();
    assert_eq!(told["failure"], "schema_changed", "{told}");
    assert!(told["text"].as_str().expect("a text").contains("a foreign key or a constraint stands on it"), "{told}");
    assert_eq!((copy.one(count).await.as_str(), copy.one(UNIQUE).await.as_str()), ("3", "seen id,region"));
    copy.server.run("DROP TABLE child").await;
    copy.reloaded("t");
    assert_eq!((copy.one(count).await.as_str(), copy.one(UNIQUE).await.as_str()), ("4", "seen"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_files_goes_where_its_table_says() {
    let copy = Copy::with("CREATE TABLE t (id INTEGER)", "t: {}");
    std::fs::write(copy.path("a.csv"), "id,name\n1,\"x, y\"\n2,\n").expect("write");
    copy.server.run("CREATE SCHEMA raw").await;
    let spec = std::fs::read_to_string(copy.path("spec.yaml")).expect("the spec");
    let folder = copy.path("a.csv").parent().expect("a folder").display().to_string();
    let files = format!("{{ type: files, url: \"file://{folder}\" }}");
    let from = spec.lines().find(|line| line.contains("type: sqlite")).expect("the source").to_owned();
    let to = "streams: { \"*.csv\": { table: raw.Things, format: csv } }";
    let spec = spec.replace(&from, &format!("  shop: {files}")).replace("streams: { t: {} }", to);
    std::fs::write(copy.path("spec.yaml"), spec).expect("write");
    copy.delivered();
    assert_eq!(copy.rows("SELECT * FROM raw.things ORDER BY id").await, ["(1,\"x, y\")", "(2,\"\")"]);
}
