//! One view for all connections: whatever writers do meanwhile, no row is missing, none comes twice, and all are of one moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int32Type;
use waybill_pipeline::Source;
use waybill_tests::services::mariadb::MariaDb;

use super::{READER, drain, full, read, server, source, source_as, want};

const ROWS: i64 = 60_000;

/// A table that is worth several connections. Whatever is moved between its rows, `v` has the same sum.
fn seed(server: &MariaDb) {
    server.run(&format!(
        "CREATE TABLE t (id bigint PRIMARY KEY, v int NOT NULL, pad varchar(300) NOT NULL);
         INSERT INTO t SELECT seq, 100, repeat('x', 280) FROM seq_1_to_{ROWS}; ANALYZE TABLE t"
    ));
}

fn sum(read: &super::Read) -> i64 {
    read.column("v").as_primitive::<Int32Type>().values().iter().map(|v| i64::from(*v)).sum()
}

/// Moves from one row to another for as long as it is let, in transactions of their own.
fn moving(server: &Arc<MariaDb>, stop: &Arc<AtomicBool>, moved: &Arc<AtomicU64>) -> std::thread::JoinHandle<()> {
    let (mut session, stop, moved) = (server.session(), Arc::clone(stop), Arc::clone(moved));
    std::thread::spawn(move || {
        let mut turn: i64 = 0;
        while !stop.load(Ordering::SeqCst) {
            turn += 1;
            let (one, other) = (1 + turn * 7_919 % ROWS, 1 + (turn * 104_729 + ROWS / 2) % ROWS);
            session.run(&format!(
                "BEGIN; UPDATE t SET v = v - 1 WHERE id = {one}; UPDATE t SET v = v + 1 WHERE id = {other};
                 DELETE FROM t WHERE id = {one}; INSERT INTO t VALUES ({one}, 0, 'moved'); UPDATE t SET v = v + 100 WHERE id = {one};
                 ROLLBACK; BEGIN; UPDATE t SET v = v - 1 WHERE id = {one}; UPDATE t SET v = v + 1 WHERE id = {other}; COMMIT"
            ));
            moved.fetch_add(1, Ordering::SeqCst);
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writes_to_mariadb_lose_and_double_nothing_and_every_reading_is_one_moment() {
    let server = Arc::new(server());
    seed(&server);
    let (stop, moved) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writers = [moving(&server, &stop, &moved), moving(&server, &stop, &moved)];
    let mut several = 0;
    for lanes in [4, 4, 4, 1] {
        let before = moved.load(Ordering::SeqCst);
        let found = loop {
            let found = read(&source(&server), &full("t"), lanes).await.expect("read");
            if moved.load(Ordering::SeqCst) > before {
                break found;
            }
        };
        assert_eq!(found.sorted("id"), (1..=ROWS).collect::<Vec<_>>());
        assert_eq!(sum(&found), 100 * ROWS, "{}", found.proof.snapshot);
        several += usize::from(found.proof.snapshot.contains("behind a table lock"));
    }
    stop.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.join().expect("writer");
    }
    assert!(several > 0, "several connections were never used");
}

/// The control: why several connections need proof. Ranges in transactions of their own see different moments.
#[tokio::test(flavor = "multi_thread")]
async fn ranges_of_mariadb_in_transactions_of_their_own_would_see_two_moments() {
    let server = server();
    seed(&server);
    let part = |condition: &str| -> i64 {
        let sql = format!(
            "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY; SELECT sum(v) FROM t WHERE {condition}; COMMIT"
        );
        server.run(&sql).trim().parse().expect("a sum")
    };
    let first = part("id <= 30000");
    server.run("UPDATE t SET v = v + 1 WHERE id <= 30000; UPDATE t SET v = v - 1 WHERE id > 30000");
    assert_ne!(first + part("id > 30000"), 100 * ROWS, "the control saw one moment, so it shows nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_mariadb_that_change_after_the_snapshot_come_old_on_every_connection() {
    let server = server();
    seed(&server);
    for lanes in [1, 4] {
        let snapshot = source(&server).open(&full("t"), None, want(lanes)).await.expect("open");
        let lanes = if lanes == 1 { 1 } else { lanes - 1 };
        assert_eq!(snapshot.lanes(), lanes, "one of the connections that were given locks");
        assert!(lanes == 1 || snapshot.ranges() > lanes);
        server.run("UPDATE t SET v = v + 1; DELETE FROM t WHERE id % 2 = 0; INSERT INTO t VALUES (-1, 0, '')");
        let mut rows = 0;
        for _ in 0..lanes {
            let lane = snapshot.lane().await.expect("a lane");
            for batch in drain(lane).await.expect("read") {
                let values = batch.rows.column(1).as_primitive::<Int32Type>().clone();
                assert!(values.values().iter().all(|v| *v == 100), "a value from after the snapshot");
                rows += batch.rows.num_rows();
            }
        }
        assert_eq!(rows, ROWS as usize);
        snapshot.finish().await.expect("proven");
        server.run("DELETE FROM t");
        server.run(&format!("INSERT INTO t SELECT seq, 100, repeat('x', 280) FROM seq_1_to_{ROWS}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_lock_a_log_or_a_key_one_connection_reads_alone_and_the_receipt_says_so() {
    let server = server();
    seed(&server);
    server.run(
        "CREATE TABLE keyless AS SELECT * FROM t; CREATE TABLE texts (k varchar(20) PRIMARY KEY, pad text);
                INSERT INTO texts SELECT concat('k', id), pad FROM t; ANALYZE TABLE keyless, texts;
                CREATE USER few@'127.0.0.1' IDENTIFIED BY 'right'; GRANT SELECT ON shop.* TO few@'127.0.0.1'",
    );
    let alone = |table: &'static str, user: &'static str| {
        let source = source_as(server.port(), user);
        async move { read(&source, &full(table), 4).await.expect("read") }
    };
    for (table, user) in [("t", "few"), ("keyless", "reader"), ("texts", "reader")] {
        let found = alone(table, user).await;
        assert_eq!(
            (found.proof.snapshot.as_str(), found.rows.num_rows()),
            ("one connection", ROWS as usize),
            "{table}"
        );
    }
    // Somebody has written and not ended: the lock is not waited for.
    let mut open = server.session();
    open.run("BEGIN; UPDATE t SET v = v + 1 WHERE id = 1");
    assert_eq!(alone("t", "reader").await.proof.snapshot, "one connection");
    open.run("ROLLBACK");
    let found = alone("t", "reader").await;
    assert!(found.proof.snapshot.starts_with("3 connections at log.0"), "{}", found.proof.snapshot);

    let quiet = MariaDb::with(&[], &[]);
    quiet.run(READER);
    seed(&quiet);
    assert_eq!(read(&source(&quiet), &full("t"), 4).await.expect("read").proof.snapshot, "one connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_for_several_connections_is_let_go_at_once() {
    let server = server();
    seed(&server);
    let snapshot = source(&server).open(&full("t"), None, want(4)).await.expect("open");
    assert_eq!(snapshot.lanes(), 3);
    assert_eq!(server.busy("reader"), 3, "no more than were given");
    let begun = std::time::Instant::now();
    server.run("UPDATE t SET v = 0 WHERE id = 5");
    assert!(begun.elapsed() < Duration::from_secs(2), "a writer waited {:?}", begun.elapsed());
    drop(snapshot);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncate_and_an_alter_of_mariadb_wait_for_the_copy() {
    for statement in ["TRUNCATE t", "ALTER TABLE t ADD x int, ALGORITHM=COPY", "RENAME TABLE t TO gone"] {
        let server = server();
        seed(&server);
        for lanes in [1, 4] {
            if lanes == 4 && statement != "TRUNCATE t" {
                continue;
            }
            let snapshot = source(&server).open(&full("t"), None, want(lanes)).await.expect("open");
            let mut other = server.session();
            other.send(statement);
            let waiting = "SELECT count(*) FROM information_schema.PROCESSLIST WHERE STATE LIKE 'Waiting for table metadata lock'";
            while server.run(waiting).trim() != "1" {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let mut rows = 0;
            for _ in 0..snapshot.lanes() {
                let lane = snapshot.lane().await.expect("a lane");
                rows += drain(lane).await.expect("read").iter().map(|batch| batch.rows.num_rows()).sum::<usize>();
            }
            assert_eq!(rows, ROWS as usize, "{statement}");
            snapshot.finish().await.expect("proven");
            other.wait();
            if lanes == 1 && statement == "TRUNCATE t" {
                server.run(&format!("INSERT INTO t SELECT seq, 100, repeat('x', 280) FROM seq_1_to_{ROWS}"));
            }
        }
    }
}

#[tokio::test]
async fn keys_at_the_ends_of_their_types_are_cut_without_loss() {
    let server = server();
    server.run(
        "CREATE TABLE u (k bigint unsigned, part int, pad varchar(1000) NOT NULL, PRIMARY KEY (k, part));
         INSERT INTO u SELECT 0, seq, repeat('x', 900) FROM seq_1_to_4000;
         INSERT INTO u SELECT 18446744073709551615 - seq, 1, repeat('x', 900) FROM seq_0_to_8000;
         INSERT INTO u SELECT seq, 0, repeat('y', 900) FROM seq_1_to_4000; ANALYZE TABLE u",
    );
    let found = read(&source(&server), &full("u"), 4).await.expect("read");
    assert!(found.proof.snapshot.starts_with("3 connections"), "{}", found.proof.snapshot);
    assert_eq!(found.rows.num_rows(), 16_001);
    let parts: i64 =
        found.column("part").as_primitive::<Int32Type>().values().iter().map(|part| i64::from(*part)).sum();
    assert_eq!(parts, 4000 * 4001 / 2 + 8001);
}
