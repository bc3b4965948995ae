//! One snapshot for all lanes: whatever writers do meanwhile, no row is missing and none comes twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use waybill_pipeline::Source;
use waybill_tests::services::postgres::Postgres;

use super::{drain, full, read, source, want};

const ROWS: i64 = 56_000;

/// Rows with room left by deleted ones in the first half, so that updates of the second half move there.
async fn seeded() -> Postgres {
    let server = Postgres::start();
    server
        .run(&format!(
            "CREATE TABLE t (id int8, n int8, pad text);
             INSERT INTO t SELECT -g, 0, repeat('x', 200) FROM generate_series(1, 20000) g;
             INSERT INTO t SELECT g, 0, repeat('x', 200) FROM generate_series(1, {ROWS}) g;
             DELETE FROM t WHERE id < 0"
        ))
        .await;
    server.run("VACUUM t").await;
    server
}

async fn move_rows(server: &Postgres) {
    server.run(&format!("UPDATE t SET n = n + 1 WHERE id > {ROWS} - 15000")).await;
}

#[tokio::test]
async fn concurrent_updates_and_vacuums_lose_and_double_nothing() {
    let server = Arc::new(seeded().await);
    let stop = Arc::new(AtomicBool::new(false));
    let updates = Arc::new(AtomicU64::new(0));
    let mut writers = Vec::new();
    for kind in 0..2_u64 {
        let (client, stop, updates) = (server.client().await, Arc::clone(&stop), Arc::clone(&updates));
        writers.push(tokio::spawn(async move {
            let mut turn = kind;
            while !stop.load(Ordering::SeqCst) {
                turn += 1;
                let sql = match (kind, turn % 2) {
                    (1, 0) => "VACUUM t".to_owned(),
                    _ => format!("UPDATE t SET n = n + 1 WHERE id % 7 = {}", turn % 7),
                };
                match client.batch_execute(&sql).await {
                    Ok(()) => updates.fetch_add(1, Ordering::SeqCst),
                    // The two writers take rows in no order of theirs: the one that the server gives up tries again.
                    Err(error) if error.code() == Some(&SqlState::T_R_DEADLOCK_DETECTED) => continue,
                    Err(error) => panic!("write: {error}"),
                };
            }
        }));
    }
    for _ in 0..3 {
        let before = updates.load(Ordering::SeqCst);
        let found = loop {
            let found = read(&source(&server), &full("t"), 4).await.expect("read");
            if updates.load(Ordering::SeqCst) > before {
                break found;
            }
        };
        assert_eq!(found.sorted("id"), (1..=ROWS).collect::<Vec<_>>());
    }
    stop.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.expect("writer");
    }
}

#[tokio::test]
async fn rows_that_move_after_the_snapshot_come_once_and_old() {
    let server = seeded().await;
    let snapshot = source(&server).open(&full("t"), None, want(4)).await.expect("open");
    assert!(snapshot.ranges() >= 4 && snapshot.lanes() == 4);
    move_rows(&server).await;
    let mut batches = Vec::new();
    for _ in 0..4 {
        let lane = snapshot.lane().await.expect("a lane");
        batches.extend(drain(lane).await.expect("read"));
    }
    let rows: usize = batches.iter().map(|batch| batch.rows.num_rows()).sum();
    assert_eq!(rows, ROWS as usize);
    for batch in &batches {
        let n = arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(batch.rows.column(1));
        assert!(n.values().iter().all(|n| *n == 0), "a value from after the snapshot");
    }
    snapshot.finish().await.expect("proven");
}

/// The control: why the snapshot is shared. Chunks in transactions of their own lose rows under the same writes.
#[tokio::test]
async fn chunks_in_transactions_of_their_own_would_lose_rows() {
    async fn chunk(client: &Client, condition: &str) -> i64 {
        client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.expect("begin");
        let row = client.query_one(&format!("SELECT count(*) FROM t WHERE {condition}"), &[]).await.expect("count");
        client.batch_execute("COMMIT").await.expect("commit");
        row.get(0)
    }
    let server = seeded().await;
    let client = server.client().await;
    let middle = "'(1000,0)'::tid";
    let first = chunk(&client, &format!("ctid < {middle}")).await;
    move_rows(&server).await;
    let second = chunk(&client, &format!("ctid >= {middle}")).await;
    assert!(first + second < ROWS, "{} of {ROWS} came: the control lost nothing, so it shows nothing", first + second);
}

async fn beside(statement: &str) {
    let server = seeded().await;
    let snapshot = source(&server).open(&full("t"), None, want(4)).await.expect("open");
    let other = server.client().await;
    let statement = statement.to_owned();
    let rewriting = tokio::spawn(async move { other.batch_execute(&statement).await });
    let watcher = server.client().await;
    let waiting = "SELECT count(*) FROM pg_locks WHERE relation = 't'::regclass AND NOT granted";
    while watcher.query_one(waiting, &[]).await.expect("look").get::<_, i64>(0) == 0 {
        assert!(!rewriting.is_finished(), "it did not wait for the snapshot's lock");
        tokio::task::yield_now().await;
    }
    let mut rows = 0;
    for _ in 0..4 {
        let lane = snapshot.lane().await.expect("a lane");
        rows += drain(lane).await.expect("read").iter().map(|batch| batch.rows.num_rows()).sum::<usize>();
    }
    assert_eq!(rows, ROWS as usize);
    snapshot.finish().await.expect("proven");
    rewriting.await.expect("a task").expect("goes on once the snapshot is closed");
}

#[tokio::test]
async fn a_truncate_waits_for_the_copy() {
    beside("TRUNCATE t").await;
}

#[tokio::test]
async fn a_vacuum_full_waits_for_the_copy() {
    beside("VACUUM FULL t").await;
}

#[tokio::test]
async fn f29_a_change_of_the_columns_waits_for_the_copy() {
    beside("ALTER TABLE t ADD more text, ALTER n TYPE text").await;
}
