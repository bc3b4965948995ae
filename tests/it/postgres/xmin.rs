//! Windows by `xmin`: what commits late comes with a later run and nothing comes twice, whatever else goes on; where numbers tell
//! nothing they are refused.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use serde_json::json;
use tokio_postgres::Client;
use waybill_model::FailureCode;
use waybill_model::plan::StreamPlan;
use waybill_pipeline::{CursorState, Source};
use waybill_tests::services::postgres::{Postgres, Setup};

use super::{Read, read_after, source, source_as, stream};

const TABLE: &str = "CREATE TABLE t (id int8 PRIMARY KEY, v int8 NOT NULL)";

fn by(load: &str) -> StreamPlan {
    stream("t", json!({"load": load, "cursor": {"column": "xmin"}}))
}

/// Runs one after the other, and what a table merged from them would hold.
struct Runs<'a> {
    server: &'a Postgres,
    user: &'static str,
    plan: StreamPlan,
    cursor: Option<CursorState>,
    merged: BTreeMap<i64, i64>,
    came: usize,
}

impl<'a> Runs<'a> {
    fn of(server: &'a Postgres, load: &str) -> Self {
        Self { server, user: "postgres", plan: by(load), cursor: None, merged: BTreeMap::new(), came: 0 }
    }

    async fn next(&mut self) -> Read {
        let source = source_as(self.server, self.user);
        let read = read_after(&source, &self.plan, self.cursor.as_ref(), 3).await;
        let read = read.map_err(|fault| fault.text.for_customer().to_owned()).expect("read");
        self.cursor.clone_from(&read.cursor);
        let (ids, values) = (read.column("id"), read.column("v"));
        let pairs = ids.as_primitive::<Int64Type>().values().iter().zip(values.as_primitive::<Int64Type>().values());
        self.came += pairs.len();
        self.merged.extend(pairs.map(|(id, value)| (*id, *value)));
        read
    }

    async fn refused(&mut self) -> (FailureCode, String) {
        let read = read_after(&source(self.server), &self.plan, self.cursor.as_ref(), 1).await;
        let fault = read.map(drop).expect_err("refused");
        (fault.code, fault.text.for_customer().to_owned())
    }
}

async fn held(server: &Postgres) -> BTreeMap<i64, i64> {
    let rows = server.client().await.query("SELECT id, v FROM t", &[]).await.expect("rows");
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

async fn run(client: &Client, sql: &str) {
    client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

#[tokio::test]
async fn a_row_of_a_transaction_that_commits_late_comes_with_the_next_run_and_once() {
    late_row_comes_once(Postgres::start()).await;
}

#[tokio::test]
async fn a_row_of_a_transaction_that_commits_late_on_the_newest_server_comes_with_the_next_run_and_once() {
    late_row_comes_once(Postgres::newest()).await;
}

async fn late_row_comes_once(server: Postgres) {
    server.run(&format!("{TABLE}; INSERT INTO t SELECT g, 0 FROM generate_series(1, 100) g")).await;
    let late = server.client().await;
    // The row's number is that of the savepoint, which is higher than the transaction's own.
    run(&late, "BEGIN; INSERT INTO t VALUES (101, 0); SAVEPOINT s; INSERT INTO t VALUES (102, 0); RELEASE s").await;
    server.run("INSERT INTO t VALUES (103, 0); UPDATE t SET v = 1 WHERE id = 7").await;
    let mut runs = Runs::of(&server, "new");
    let first = runs.next().await;
    assert!(!first.note.held && !first.note.fixed_lag);
    assert_eq!(runs.came, 99, "nothing from the open transaction on, so not row 7 either");
    assert!(runs.next().await.note.held, "the open transaction holds the window");
    assert_eq!(runs.came, 99);
    run(&late, "COMMIT").await;
    runs.next().await;
    assert_eq!(runs.came, 103);
    assert_eq!(runs.merged, held(&server).await);
    server.run("UPDATE t SET v = 2 WHERE id <= 3").await;
    server.run("VACUUM FREEZE t").await;
    runs.next().await;
    assert!(!runs.next().await.note.held, "nothing is open");
    assert_eq!((runs.came, runs.merged == held(&server).await), (106, true));
}

#[tokio::test]
async fn only_rows_that_a_table_of_this_server_keeps_have_windows_by_xmin() {
    let server = Postgres::start();
    server
        .run(
            "CREATE EXTENSION file_fdw; CREATE SERVER s FOREIGN DATA WRAPPER file_fdw; CREATE TABLE t (id int8);
             CREATE VIEW v AS SELECT id, 1::int8 AS xmin FROM t; CREATE MATERIALIZED VIEW m AS SELECT * FROM t;
             CREATE FOREIGN TABLE f (id int8) SERVER s OPTIONS (filename '/dev/null'); CREATE TABLE p (id int8) PARTITION BY RANGE (id);
             CREATE FOREIGN TABLE pf PARTITION OF p FOR VALUES FROM (0) TO (9) SERVER s OPTIONS (filename '/dev/null')",
        )
        .await;
    let refused = Some(FailureCode::CursorUnusable);
    for (name, wanted) in [("t", None), ("v", refused), ("m", refused), ("f", refused), ("p", refused)] {
        let plan = stream(name, json!({"load": "new", "cursor": {"column": "xmin"}}));
        assert_eq!(source(&server).check(&plan).await.err().map(|fault| fault.code), wanted, "{name}");
        assert_eq!(read_after(&source(&server), &plan, None, 1).await.err().map(|fault| fault.code), wanted, "{name}");
    }
}

#[tokio::test]
async fn a_partition_that_is_attached_with_older_rows_comes_whole() {
    let server = Postgres::start();
    server
        .run(
            "CREATE TABLE t (id int8, v int8 NOT NULL) PARTITION BY RANGE (id); CREATE ROLE reader LOGIN;
             CREATE TABLE a PARTITION OF t FOR VALUES FROM (1) TO (101); GRANT SELECT ON t TO reader;
             CREATE TABLE b (id int8, v int8 NOT NULL); INSERT INTO b SELECT g, 0 FROM generate_series(101, 200) g;
             INSERT INTO t SELECT g, 0 FROM generate_series(1, 100) g",
        )
        .await;
    for user in ["postgres", "reader"] {
        let mut runs = Runs { user, ..Runs::of(&server, "new") };
        runs.next().await;
        assert_eq!(runs.came, 100);
        server
            .run("ALTER TABLE t ATTACH PARTITION b FOR VALUES FROM (101) TO (201); UPDATE t SET v = v + 1 WHERE id = 7")
            .await;
        runs.next().await;
        assert_eq!((runs.came, runs.merged == held(&server).await), (201, true), "the older rows of b, and row 7");
        runs.next().await;
        assert_eq!(runs.came, 201);
        server.run("ALTER TABLE t DETACH PARTITION b").await;
    }
}

#[tokio::test]
async fn numbers_that_may_stand_for_others_are_refused_and_a_replica_has_none() {
    let mut server = Postgres::start();
    server.run(&format!("{TABLE}; INSERT INTO t SELECT g, 0 FROM generate_series(1, 100) g")).await;
    let mut runs = Runs::of(&server, "changed");
    runs.next().await;
    let (kept, merged) = (runs.cursor, runs.merged);
    let standby = server.standby().await;
    let (code, text) = Runs::of(&standby, "new").refused().await;
    assert!(code == FailureCode::CursorUnusable && text.contains("replica"), "{text}");
    // Another history of the same numbers, as after a promotion.
    server.crash();
    standby.promote().await;
    let mut elsewhere = Runs { cursor: kept.clone(), ..Runs::of(&standby, "changed") };
    let (code, text) = elsewhere.refused().await;
    assert!(code == FailureCode::CursorFellBack && text.contains("promoted"), "{text}");
    drop(standby);
    server.recover();
    server.run("ALTER SYSTEM RESET synchronous_standby_names").await;
    server.run("SET synchronous_commit = off; UPDATE t SET v = 1 WHERE id = 4; CHECKPOINT").await;
    server.let_all_numbers_pass();
    let (code, text) = Runs::of(&server, "new").refused().await;
    assert!(code == FailureCode::CursorUnusable && text.contains("load: changed"), "{text}");
    // A whole round later a row's half tells nothing of when it was written: all come.
    let mut anew = Runs { cursor: kept, merged, ..Runs::of(&server, "changed") };
    anew.next().await;
    assert_eq!((anew.came, anew.merged == held(&server).await), (100, true));
    let at = |runs: &Runs<'_>| {
        let kept: serde_json::Value =
            serde_json::from_str(runs.cursor.as_ref().expect("a cursor").reveal()).expect("JSON");
        kept["at"].as_str().expect("text").parse::<u64>().expect("a number")
    };
    assert!(at(&anew) > 1 << 32, "{}", at(&anew));
    // From here on halves are told apart: what was written since, in a savepoint and frozen too, and nothing else.
    server
        .run("BEGIN; SAVEPOINT s; UPDATE t SET v = 2 WHERE id = 5; RELEASE s; COMMIT; INSERT INTO t VALUES (101, 0)")
        .await;
    server.run("VACUUM FREEZE t").await;
    let late = server.client().await;
    run(&late, "BEGIN; UPDATE t SET v = 3 WHERE id = 6").await;
    anew.next().await;
    assert_eq!(anew.came, 102);
    run(&late, "COMMIT").await;
    anew.next().await;
    assert_eq!((anew.came, anew.merged == held(&server).await), (103, true));
    anew.next().await;
    assert_eq!(anew.came, 103);
}

#[tokio::test]
async fn a_window_by_xmin_takes_nothing_that_a_crash_could_undo() {
    // Nothing of a page that is not full reaches the disk by itself here.
    let mut server = Postgres::with(Setup { settings: &["wal_writer_delay = '1s'"], ..Setup::default() });
    server.run(&format!("{TABLE}; INSERT INTO t SELECT g, 0 FROM generate_series(1, 100) g; CHECKPOINT")).await;
    let mut runs = Runs::of(&server, "new");
    runs.next().await;
    let open = server.client().await;
    server.run("INSERT INTO t VALUES (101, 0)").await;
    // It writes at the log's end and stays open.
    run(&open, "BEGIN; INSERT INTO t VALUES (500, 0)").await;
    runs.next().await;
    let (cursor, merged) = (runs.cursor, runs.merged);
    server.crash();
    drop(open);
    server.recover();
    server.run("INSERT INTO t SELECT g, 0 FROM generate_series(200, 210) g").await;
    let mut runs = Runs { cursor, merged, ..Runs::of(&server, "new") };
    runs.next().await;
    assert_eq!(runs.merged, held(&server).await, "what was read is there, and what came since was read");
}
