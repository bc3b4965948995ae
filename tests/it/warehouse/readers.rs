//! What others see of a table while it is replaced, and what they keep of it.

use super::{Copy, numbers};

#[tokio::test(flavor = "multi_thread")]
async fn readers_see_the_old_rows_or_the_new_ones_and_never_none() {
    let copy = Copy::with(&numbers(20_000), "t: {}");
    copy.delivered();
    // A snapshot from before the swap, which has not looked at the table yet.
    let old = copy.server.client().await;
    old.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await.expect("a snapshot");
    copy.source("DELETE FROM t; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000) INSERT INTO t SELECT i, 'new' FROM n");
    let reader = copy.server.client().await;
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let reading = tokio::spawn(async move {
        let mut seen = std::collections::BTreeSet::new();
        while stopped.try_recv().is_err() {
            let row =
                reader.query_one("SELECT count(*), count(DISTINCT note) FROM t", &[]).await.expect("never blocked");
            seen.insert((row.get::<_, i64>(0), row.get::<_, i64>(1)));
        }
        seen
    });
    let copy = tokio::task::spawn_blocking(move || {
        copy.delivered();
        copy
    });
    let copy = copy.await.expect("delivered");
    stop.send(()).expect("reading");
    let seen = reading.await.expect("read");
    assert!(!seen.is_empty() && seen.iter().all(|pair| [(20_000, 20_000), (30_000, 1)].contains(pair)), "{seen:?}");
    let rows: i64 = old.query_one("SELECT count(*) FROM t", &[]).await.expect("old rows").get(0);
    assert_eq!(rows, 20_000, "a snapshot from before the swap sees what was there");
    assert_eq!(copy.one("SELECT count(*) FROM t").await, "30000");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_from_before_the_first_load_sees_the_whole_table_or_none() {
    let copy = Copy::with(&numbers(1000), "t: {}");
    let old = copy.server.client().await;
    old.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await.expect("a snapshot");
    copy.delivered();
    let rows: i64 = old.query_one("SELECT count(*) FROM t", &[]).await.expect("rows").get(0);
    assert_eq!(rows, 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_views_indexes_and_policies_outlive_a_replace() {
    let copy = Copy::with(&numbers(100), "t: {}");
    copy.delivered();
    copy.server
        .run(
            "CREATE ROLE analyst; GRANT SELECT ON t TO analyst; GRANT UPDATE (note) ON t TO analyst;
             CREATE VIEW many AS SELECT count(*) AS n FROM t; CREATE INDEX ON t (note); COMMENT ON TABLE t IS 'ours';
             ALTER TABLE t ADD COLUMN words tsvector GENERATED ALWAYS AS (to_tsvector('simple', note)) STORED;
             ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON t FOR SELECT TO analyst USING (id < 10)",
        )
        .await;
    let held = "SELECT c.oid, relacl, (SELECT attacl FROM pg_attribute WHERE attrelid = c.oid AND attname = 'note'), \
        obj_description(c.oid), (SELECT count(*) FROM pg_index WHERE indrelid = c.oid), (SELECT count(*) FROM pg_policies) \
        FROM pg_class c WHERE relname = 't'";
    let before = copy.rows(held).await;
    copy.source("DELETE FROM t WHERE id > 60");
    copy.delivered();
    assert_eq!(copy.rows(held).await, before);
    assert_eq!(copy.rows("SELECT n, (SELECT count(words) FROM t) FROM many").await, ["(60,60)"]);
    // A change that a view forbids is told and changes nothing.
    copy.server.run("ALTER TABLE t DROP COLUMN words").await;
    copy.source("ALTER TABLE t RENAME COLUMN note TO remark");
    copy.delivered();
    copy.server.run("CREATE VIEW remarks AS SELECT remark FROM t").await;
    copy.source("ALTER TABLE t DROP COLUMN remark");
    assert!(copy.fails("schema_changed").contains("the column remark"));
    assert_eq!(copy.one("SELECT count(remark) FROM remarks").await, "60");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_load_takes_the_new_shape_of_the_source() {
    let copy = Copy::with("CREATE TABLE t (a INTEGER, b TEXT, c TEXT); INSERT INTO t VALUES (1, '5', 'x')", "t: {}");
    copy.delivered();
    copy.server.run("CREATE ROLE analyst; GRANT SELECT (b) ON t TO analyst").await;
    copy.source("DROP TABLE t; CREATE TABLE t (a INTEGER, b INTEGER, d REAL); INSERT INTO t VALUES (1, 5, 0.5)");
    copy.delivered();
    let columns = "SELECT string_agg(column_name || ' ' || data_type, ', ' ORDER BY column_name) FROM information_schema.columns \
         WHERE table_name = 't'";
    assert_eq!(copy.one(columns).await, "a bigint, b bigint, d double precision");
    assert_eq!(
        copy.rows("SELECT a, b, d, has_column_privilege('analyst', 't', 'b', 'SELECT') FROM t").await,
        ["(1,5,0.5,t)"]
    );
}
