//! Windows of rows that the table itself does not vouch for: those of heirs, of a constraint that holds for new rows only, of a
//! subscription, and numbers that a sequence handed out ahead. None is passed by without a word.

use serde_json::json;
use waybill_model::FailureCode;
use waybill_model::plan::StreamPlan;
use waybill_pipeline::FaultResult;
use waybill_tests::services::postgres::{Postgres, Setup};

use super::{Read, read_after, source, stream};

fn by(table: &str, column: &str, nulls: &str) -> StreamPlan {
    stream(table, json!({"load": "new", "cursor": {"column": column, "nulls": nulls, "margin-ms": 1000}}))
}

async fn read(server: &Postgres, plan: &StreamPlan) -> FaultResult<Read> {
    read_after(&source(server), plan, None, 1).await
}

/// One row without the cursor is refused, counted, and brought where that is wished.
async fn one_is_missing(server: &Postgres, table: &str, column: &str, others: &[i64]) {
    let fault = read(server, &by(table, column, "fail")).await.err().expect("refused");
    assert_eq!(fault.code, FailureCode::CursorNull, "{table} by {column}");
    let ignored = read(server, &by(table, column, "ignore")).await.expect("read");
    assert_eq!((ignored.note.null_cursors, ignored.sorted("id")), (1, others.to_vec()), "{table} by {column}");
    let always = read(server, &by(table, column, "include_always")).await.expect("read");
    assert_eq!(always.rows.num_rows(), others.len() + 1, "{table} by {column}");
}

#[tokio::test]
async fn rows_of_heirs_without_a_cursor_are_counted_whatever_their_parent_says() {
    let server = Postgres::start();
    server
        .run(
            "CREATE TABLE t (id int8 NOT NULL, n int8 NOT NULL, at timestamptz NOT NULL);
             CREATE TABLE heir () INHERITS (t); CREATE TABLE later () INHERITS (heir);
             ALTER TABLE heir ALTER n DROP NOT NULL, ALTER at DROP NOT NULL;
             INSERT INTO t VALUES (1, 1, '2020-01-01'); INSERT INTO heir VALUES (2, NULL, NULL);
             INSERT INTO later VALUES (3, 3, '2020-01-01');
             CREATE TABLE only_so (id int8, n int8, at timestamptz); CREATE TABLE its_heir () INHERITS (only_so);
             INSERT INTO only_so VALUES (1, 1, '2020-01-01'); INSERT INTO its_heir VALUES (2, NULL, NULL), (3, 3, '2020-01-01');
             ALTER TABLE ONLY only_so ALTER n SET NOT NULL, ALTER at SET NOT NULL;
             CREATE TABLE held (id int8, n int8 NOT NULL, at timestamptz NOT NULL) PARTITION BY LIST (id);
             CREATE TABLE held_1 PARTITION OF held FOR VALUES IN (1); INSERT INTO held VALUES (1, 1, '2020-01-01')",
        )
        .await;
    for column in ["n", "at"] {
        one_is_missing(&server, "t", column, &[1, 3]).await;
        one_is_missing(&server, "only_so", column, &[1, 3]).await;
        let held = read(&server, &by("held", column, "fail")).await.expect("read");
        assert_eq!((held.note.null_cursors, held.rows.num_rows()), (0, 1));
    }
}

#[tokio::test]
async fn a_constraint_that_was_not_held_against_the_rows_that_are_there_promises_nothing() {
    let server = Postgres::newest();
    server
        .run(
            "CREATE TABLE t (id int8, n int8, at timestamptz); INSERT INTO t VALUES (1, 1, '2020-01-01'), (2, NULL, NULL);
             ALTER TABLE t ADD CONSTRAINT a NOT NULL n NOT VALID, ADD CONSTRAINT b NOT NULL at NOT VALID;
             CREATE TABLE k (id int8, n int8, at timestamptz); INSERT INTO k VALUES (1, NULL, now());
             ALTER TABLE k ADD CONSTRAINT a NOT NULL n NOT VALID; CREATE UNIQUE INDEX ON k (n)",
        )
        .await;
    for column in ["n", "at"] {
        one_is_missing(&server, "t", column, &[1]).await;
    }
    // Nor does it make a unique index a key.
    let changed = stream("k", json!({"load": "changed", "cursor": {"column": "at"}, "key": ["n"]}));
    let fault = read(&server, &changed).await.err().expect("refused");
    assert_eq!(fault.code, FailureCode::KeyUnusable);
}

/// What a publisher's late transactions bring bears times and numbers that lie below a window's end here.
#[tokio::test]
async fn a_window_of_what_a_subscription_brings_says_that_late_commits_are_not_promised() {
    let publisher = Postgres::with(Setup { settings: &["wal_level = logical"], ..Setup::default() });
    let server = Postgres::start();
    let tables = "CREATE TABLE t (id int8 PRIMARY KEY, at timestamptz);
         CREATE TABLE p (id int8 PRIMARY KEY, at timestamptz) PARTITION BY RANGE (id);
         CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (0) TO (100)";
    publisher.run(tables).await;
    publisher.run("CREATE PUBLICATION all_of_it FOR TABLE t, p WITH (publish_via_partition_root)").await;
    server.run(tables).await;
    server.run("CREATE VIEW v AS SELECT * FROM t; CREATE TABLE own (id int8, at timestamptz)").await;
    server.run("CREATE ROLE reader LOGIN; GRANT pg_read_all_data, pg_read_all_stats TO reader").await;
    let subscribed = ["t", "v", "p", "p_1"];
    let reader = super::source_as(&server, "reader");
    let lags = async |table: &str, column: &str| {
        read_after(&reader, &by(table, column, "ignore"), None, 1).await.expect("read").note.fixed_lag
    };
    for table in subscribed {
        assert!(!lags(table, "at").await && !lags(table, "id").await, "{table}, before");
    }
    let place = format!("host=127.0.0.1 port={} user=postgres dbname=postgres", publisher.port());
    server.run(&format!("CREATE SUBSCRIPTION s CONNECTION '{place}' PUBLICATION all_of_it")).await;
    for table in subscribed {
        assert!(lags(table, "at").await && lags(table, "id").await, "{table}");
    }
    server.until("count(*) = 2 FROM pg_subscription_rel WHERE srsubstate = 'r'").await;
    assert!(!lags("own", "at").await && !lags("own", "id").await);
    // A transaction of the publisher that began before, and that nothing here shows: its row lies below what else is here.
    let late = publisher.client().await;
    late.batch_execute("BEGIN; INSERT INTO t VALUES (1, now() - interval '4 minutes')").await.expect("insert");
    publisher.run("INSERT INTO t VALUES (2, now() - interval '3 minutes'), (3, now() - interval '1 hour')").await;
    server.until("count(*) = 2 FROM t").await;
    let first = read(&server, &by("t", "at", "fail")).await.expect("read");
    assert_eq!(first.sorted("id"), [3], "the window ends before the late row");
    late.batch_execute("COMMIT").await.expect("commit");
    server.run("DROP SUBSCRIPTION s").await;
}

#[tokio::test]
async fn numbers_that_a_sequence_hands_out_ahead_are_said_to_come_out_of_order() {
    let server = Postgres::start();
    server
        .run(
            "CREATE SEQUENCE ahead CACHE 50; CREATE SEQUENCE one;
             CREATE TABLE plain (id int8 GENERATED ALWAYS AS IDENTITY, d int8 DEFAULT nextval('one'), n int8);
             CREATE TABLE t (id int8 GENERATED ALWAYS AS IDENTITY (CACHE 50), d int8 DEFAULT nextval('ahead') * 2, n int8);
             CREATE TABLE p (id int8) PARTITION BY RANGE (id); CREATE TABLE p_1 PARTITION OF p (id DEFAULT nextval('ahead'))
               FOR VALUES FROM (0) TO (1000); CREATE VIEW v AS SELECT * FROM t",
        )
        .await;
    let first = server.client().await;
    let second = server.client().await;
    for client in [&first, &second] {
        client.batch_execute("INSERT INTO t (n) VALUES (0)").await.expect("insert");
    }
    let lags = async |table: &str, column: &str| {
        read(&server, &by(table, column, "ignore")).await.expect("read").note.fixed_lag
    };
    for (table, column) in [("t", "id"), ("t", "d"), ("v", "id"), ("p", "id"), ("p_1", "id")] {
        assert!(lags(table, column).await, "{table}.{column}");
    }
    for (table, column) in [("plain", "id"), ("plain", "d"), ("plain", "n"), ("t", "n")] {
        assert!(!lags(table, column).await, "{table}.{column}");
    }
    // It is true: the row of a transaction that begins after the window lies below it.
    let before = read(&server, &by("t", "id", "fail")).await.expect("read");
    first.batch_execute("INSERT INTO t (n) VALUES (0)").await.expect("insert");
    let after = read_after(&source(&server), &by("t", "id", "fail"), before.cursor.as_ref(), 1).await.expect("read");
    assert_eq!((before.sorted("id"), after.rows.num_rows()), (vec![1, 51], 0));
}
