//! Windows of a `new` stream: rows that commit late come with the next run, and what can't be known is said.

use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int32Type;
use serde_json::{Value, json};
use waybill_model::FailureCode;
use waybill_pipeline::{CursorState, FaultResult};
use waybill_tests::services::mariadb::MariaDb;

use super::bulk::Client;
use super::{READER, Read, read_after, server, source, source_as, stream};

fn new(keys: Value) -> waybill_model::plan::StreamPlan {
    let mut stream = stream("t", keys);
    stream.load = waybill_model::plan::Load::New;
    stream
}

/// A cursor with the least margin.
fn by(column: &str) -> Value {
    json!({"cursor": {"column": column, "margin-ms": 1000}})
}

async fn step(server: &MariaDb, keys: &Value, after: Option<&CursorState>) -> FaultResult<Read> {
    let source = source(server).with_patience(Duration::from_millis(500));
    read_after(&source, &new(keys.clone()), after, 1).await
}

fn ids(read: &Read) -> Vec<i32> {
    let mut ids = read.column("id").as_primitive::<Int32Type>().values().to_vec();
    ids.sort_unstable();
    ids
}

/// Waits until one session waits for a table, and gives what the server calls that it does.
async fn waits_for_table(server: &MariaDb) -> String {
    let sql = "SELECT COMMAND FROM information_schema.PROCESSLIST WHERE STATE LIKE 'Waiting for table%'";
    loop {
        let command = server.run(sql);
        if !command.is_empty() {
            return command.trim().to_owned();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn an_integer_window_of_mariadb_waits_for_transactions_that_were_open() {
    let server = server();
    server.run("CREATE TABLE t (id int PRIMARY KEY AUTO_INCREMENT, v int); INSERT INTO t (v) VALUES (0), (0)");
    let keys = by("id");
    let first = step(&server, &keys, None).await.expect("read");
    assert_eq!((ids(&first), first.note.fixed_lag, first.note.held), (vec![1, 2], false, false));
    let mut late = server.session();
    late.run("BEGIN; INSERT INTO t (v) VALUES (3)");
    server.run("INSERT INTO t (v) VALUES (4)");
    let held = step(&server, &keys, first.cursor.as_ref()).await.expect("read");
    assert_eq!((ids(&held), held.note.held), (vec![], true), "3 may still come");
    assert!(held.cursor == first.cursor);
    late.run("COMMIT");
    let next = step(&server, &keys, held.cursor.as_ref()).await.expect("read");
    assert_eq!(ids(&next), [3, 4]);
    let nothing = step(&server, &keys, next.cursor.as_ref()).await.expect("read");
    assert!(ids(&nothing).is_empty() && nothing.cursor == next.cursor);
}

#[tokio::test]
async fn a_time_window_of_mariadb_ends_before_what_is_open_also_where_it_has_touched_nothing_yet() {
    let server = server();
    server.run(
        "CREATE TABLE t (id int PRIMARY KEY, at timestamp(6) NOT NULL); CREATE TABLE other (id int PRIMARY KEY);
         INSERT INTO t VALUES (1, now(6) - INTERVAL 1 HOUR)",
    );
    // A statement whose clock stands from its beginning, and that waits before it touches a row.
    let mut waits = server.session();
    let mut holds = server.session();
    holds.run("LOCK TABLES t READ");
    waits.send("INSERT INTO t VALUES (2, now(6))");
    waits_for_table(&server).await;
    assert_eq!(
        server.run("SELECT count(*) FROM information_schema.INNODB_TRX").trim(),
        "0",
        "it is in no list but one"
    );
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let keys = by("at");
    let first = step(&server, &keys, None).await.expect("read");
    assert_eq!(ids(&first), [1]);
    holds.run("UNLOCK TABLES");
    waits.wait();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let next = step(&server, &keys, first.cursor.as_ref()).await.expect("read");
    assert_eq!(ids(&next), [2], "its time lies before the look at it");
}

/// `executemany` of MariaDB's connectors, and an event: neither is called a query.
#[tokio::test]
async fn statements_of_every_name_hold_a_window_of_mariadb() {
    let server = server();
    server.run("CREATE TABLE t (id int PRIMARY KEY, at timestamp(6) NOT NULL); INSERT INTO t VALUES (1, now(6) - INTERVAL 1 HOUR)");
    server.run("SET GLOBAL event_scheduler = 1");
    let (mut holds, mut bulk) = (server.session(), Client::connect(server.port()));
    let mut after = None;
    for (name, id) in [("Bulk_execute", 2), ("Connect", 4)] {
        holds.run("LOCK TABLES t READ");
        if id == 2 {
            bulk.begin("INSERT INTO t VALUES (?, now(6))", &[2, 3]);
        } else {
            server.run("CREATE EVENT e ON SCHEDULE AT now() DO INSERT INTO t VALUES (4, now(6))");
        }
        assert_eq!(waits_for_table(&server).await, name);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let read = step(&server, &by("at"), after.as_ref()).await.expect("read");
        assert!(!ids(&read).contains(&id) && !read.note.fixed_lag, "{name}");
        holds.run("UNLOCK TABLES");
        if id == 2 {
            bulk.wait();
        }
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let next = step(&server, &by("at"), read.cursor.as_ref()).await.expect("read");
        let come = if id == 2 { vec![2, 3] } else { vec![4] };
        assert_eq!(ids(&next), come, "{name}: its time lies before the look at it");
        after = next.cursor;
    }
}

/// What another server has not committed is in no list of this one.
#[tokio::test]
async fn tables_of_mariadb_whose_transactions_are_in_no_list_have_a_fixed_lag() {
    let (server, far) = (server(), MariaDb::start());
    let table = "CREATE TABLE t (id int PRIMARY KEY, at timestamp(6) NOT NULL)";
    far.run(&format!("{table}; INSERT INTO t VALUES (1, now(6) - INTERVAL 1 HOUR)"));
    server.run("CREATE TABLE near (id int PRIMARY KEY, at timestamp(6) NOT NULL); CREATE VIEW v AS SELECT * FROM near");
    let lag = async |name: &str| {
        let mut stream = new(by("at"));
        stream.name = name.into();
        read_after(&source(&server), &stream, None, 1).await.expect("read").note.fixed_lag
    };
    assert!(!lag("v").await, "a view of InnoDB's on a server that has nothing else");
    server.run(&format!(
        "INSTALL SONAME 'ha_federatedx'; {table} ENGINE = FEDERATED CONNECTION = 'mysql://root@127.0.0.1:{}/shop/t'",
        far.port()
    ));
    let mut late = server.session();
    late.run("BEGIN; INSERT INTO t VALUES (2, now(6))");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let first = step(&server, &by("at"), None).await.expect("read");
    assert_eq!((ids(&first), first.note.fixed_lag), (vec![1], true));
    late.run("COMMIT");
    let at = server.run("SELECT at FROM t WHERE id = 2");
    let cursor = first.cursor.expect("a cursor");
    let kept: Value = serde_json::from_str(cursor.reveal()).expect("a cursor");
    assert!(kept["at"].as_str().expect("a time") < at.trim(), "the window ended before what was open: {kept} {at}");
    assert!(lag("v").await, "a view may read any of them");
    assert!(!lag("near").await);
}

/// Whoever writes what `INSERT DELAYED` left behind has a clock of its own.
#[tokio::test]
async fn rows_that_are_inserted_later_for_somebody_mean_a_fixed_lag() {
    let server = server();
    server.run(
        "CREATE TABLE t (id int, at timestamp(6) NOT NULL) ENGINE = MyISAM; INSERT INTO t VALUES (1, now(6) - INTERVAL 1 HOUR);
         CREATE TABLE other (id int PRIMARY KEY, at timestamp(6) NOT NULL); INSERT INTO other VALUES (7, now(6) - INTERVAL 1 HOUR)",
    );
    let read = step(&server, &by("at"), None).await.expect("read");
    assert_eq!((ids(&read), read.note.fixed_lag), (vec![1], false));
    server.run("INSERT DELAYED INTO t VALUES (2, now(6))");
    let read = step(&server, &by("at"), None).await.expect("read");
    assert_eq!((ids(&read), read.note.fixed_lag), (vec![1], true));
    let mut stream = new(by("id"));
    stream.name = "other".into();
    let read = read_after(&source(&server), &stream, None, 1).await.expect("read");
    assert_eq!((ids(&read), read.note.fixed_lag, read.note.held), (vec![7], false, false), "InnoDB knows no such rows");
}

#[tokio::test]
async fn a_transaction_that_was_prepared_on_mariadb_holds_the_window() {
    let server = server();
    server.run(
        "CREATE TABLE t (id int PRIMARY KEY, at timestamp NOT NULL); INSERT INTO t VALUES (1, now() - INTERVAL 1 HOUR)",
    );
    for column in ["id", "at"] {
        let name =
            format!("XA START '{column}'; INSERT INTO t VALUES (9, now()); XA END '{column}'; XA PREPARE '{column}'");
        let mut session = server.session();
        session.run(&name);
        let held = step(&server, &by(column), None).await.expect("read");
        assert!(held.note.held && ids(&held).is_empty() && held.cursor.is_none(), "{column}");
        session.run(&format!("XA ROLLBACK '{column}'"));
        let read = step(&server, &by(column), None).await.expect("read");
        assert_eq!((ids(&read), read.note.held), (vec![1], false), "{column}");
    }
}

#[tokio::test]
async fn hidden_transactions_and_a_replica_mean_a_fixed_lag_that_is_said() {
    let server = MariaDb::start();
    server.run(
        "CREATE USER few@'127.0.0.1' IDENTIFIED BY 'right'; GRANT SELECT ON shop.* TO few@'127.0.0.1';
         CREATE TABLE t (id int PRIMARY KEY, at timestamp NOT NULL);
         INSERT INTO t VALUES (1, now() - INTERVAL 1 HOUR), (2, now() - INTERVAL 1 MINUTE)",
    );
    let few = source_as(server.port(), "few");
    let read = read_after(&few, &new(by("at")), None, 1).await.expect("read");
    assert_eq!((ids(&read), read.note.fixed_lag), (vec![1], true));
    server.run(READER);
    let read = step(&server, &by("at"), None).await.expect("read");
    assert_eq!((ids(&read), read.note.fixed_lag), (vec![1, 2], false));
    server.run("SET GLOBAL read_only = 1");
    let read = step(&server, &by("at"), None).await.expect("read");
    assert_eq!((ids(&read), read.note.fixed_lag), (vec![1], true), "a replica's rows were made elsewhere");
}

#[tokio::test]
async fn rows_without_a_cursor_on_mariadb_follow_the_policy_and_are_counted() {
    let server = server();
    server.run(
        "SET sql_mode = ''; CREATE TABLE t (id int PRIMARY KEY, at datetime NULL);
         INSERT INTO t VALUES (1, '2020-01-01'), (2, NULL), (3, '0000-00-00'), (4, '0000-01-01'), (5, '9999-12-31')",
    );
    let keys = |nulls: &str| json!({"cursor": {"column": "at", "zone": "Europe/Berlin", "nulls": nulls}});
    let fault = step(&server, &keys("fail"), None).await.map(drop).expect_err("refused");
    assert_eq!(fault.code, FailureCode::CursorNull);
    let ignored = step(&server, &keys("ignore"), None).await.expect("read");
    assert_eq!((ids(&ignored), ignored.note.null_cursors), (vec![1], 3));
    let always = step(&server, &keys("include_always"), None).await.expect("read");
    assert_eq!(ids(&always), [1, 2, 3, 4]);
    let again = step(&server, &keys("include_always"), always.cursor.as_ref()).await.expect("read");
    assert_eq!(ids(&again), [2, 3, 4], "they come with every run");
    let zoneless = step(&server, &by("at"), None).await.map(drop).expect_err("no zone");
    assert_eq!(zoneless.code, FailureCode::CursorZoneUnknown);
}

#[tokio::test]
async fn ten_thousand_rows_on_the_edge_of_a_window_of_mariadb_come_exactly_once() {
    let server = server();
    server.run(
        "CREATE TABLE t (id int PRIMARY KEY, at timestamp(6) NOT NULL);
         SET @t = now(6); INSERT INTO t SELECT seq, @t FROM seq_1_to_10000",
    );
    let (mut seen, mut after) = (Vec::new(), None);
    while seen.len() < 10_000 {
        let read = step(&server, &by("at"), after.as_ref()).await.expect("read");
        seen.extend(ids(&read));
        after = read.cursor;
    }
    let rest = step(&server, &by("at"), after.as_ref()).await.expect("read");
    seen.extend(ids(&rest));
    seen.sort_unstable();
    assert_eq!(seen, (1..=10_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn numbers_of_mariadb_that_began_anew_end_the_run_and_deleted_ones_do_not() {
    let server = server();
    server
        .run("CREATE TABLE t (id int PRIMARY KEY AUTO_INCREMENT, v int); INSERT INTO t (v) SELECT seq FROM seq_1_to_5");
    let first = step(&server, &by("id"), None).await.expect("read");
    server.run("DELETE FROM t WHERE id > 2");
    let after = step(&server, &by("id"), first.cursor.as_ref()).await.expect("the next ones come higher");
    assert!(ids(&after).is_empty() && after.cursor == first.cursor);
    server.run("TRUNCATE t; INSERT INTO t (v) VALUES (1)");
    let fault = step(&server, &by("id"), first.cursor.as_ref()).await.map(drop).expect_err("began anew");
    assert_eq!(fault.code, FailureCode::CursorFellBack);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_of_a_cursor_of_mariadb_comes_once_more_and_the_cursor_stays() {
    let server = server();
    server.run(
        "SET time_zone = '+00:00'; CREATE TABLE t (id int PRIMARY KEY, u bigint unsigned NOT NULL, z timestamp(6) NOT NULL, \
         l datetime(6) NOT NULL, note varchar(9)); \
         INSERT INTO t VALUES (1, 5, '2026-01-31 12:00:00.000001', '2026-01-31 12:00:00.000001', 'old'), \
         (2, 18446744073709551614, '2026-01-31 13:00:00.000001', '2026-01-31 13:00:00.000001', 'old'), \
         (3, 18446744073709551615, '2026-01-31 14:00:00.000001', '2026-01-31 14:00:00.000001', 'old')",
    );
    for (cursor, from, to, wrong) in [
        ("u", "6", "18446744073709551615", &["2026-01-31", "18446744073709551616"][..]),
        ("z", "2026-01-31T15:00:00.000001+02:00", "2026-01-31T14:00:00.000001Z", &["2026-01-31"]),
        ("l", "2026-01-31T13:00:00.000001", "2026-01-31T14:00:00.000001", &["2026-01-31T00:00:00Z"]),
    ] {
        server.run("UPDATE t SET note = 'old', z = z");
        let line = crate::drift::Line::of_mariadb(&server);
        let zone = if cursor == "l" { ", cursor-zone: UTC" } else { "" };
        let keys = format!("load: changed, cursor: {cursor}{zone}");
        line.delivered(&keys);
        server.run("UPDATE t SET note = 'unseen', z = z");
        let told = line.stream_with(&keys, &["--backfill", "t", "--from", from, "--to", to], 0);
        assert_eq!(told["rows"], json!(1), "{cursor}: {told}");
        assert_eq!(line.rows("SELECT id FROM t WHERE note = 'unseen'"), json!([[2]]), "{cursor}");
        for wrong in wrong {
            let refused = line.stream_with(&keys, &["--backfill", "t", "--from", wrong], 10);
            assert_eq!(refused["failure"], "request_unusable", "{cursor}: {refused}");
        }
        assert_eq!(line.delivered(&keys)["rows"], json!(0), "{cursor}: the cursor stayed");
    }
}
