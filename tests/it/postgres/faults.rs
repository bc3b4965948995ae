//! A source that breaks in the middle: never a success, always a code that says what to do.

use waybill_model::FailureCode;
use waybill_model::receipt::Grade;
use waybill_pipeline::Source;
use waybill_tests::services::postgres::Postgres;
use waybill_tests::services::postgres_proxy::{Forge, PostgresProxy};

use super::{drain, full, read, source, source_at, stream, want};

const ROWS: i64 = 20_000;

async fn seeded() -> Postgres {
    let server = Postgres::start();
    server
        .run(&format!(
            "CREATE TABLE t AS SELECT g::int8 AS id, repeat('x', 100) AS pad FROM generate_series(1, {ROWS}) g"
        ))
        .await;
    server
}

#[tokio::test]
async fn a_copy_cut_in_a_message_fails_and_the_next_try_is_exact() {
    let server = seeded().await;
    for forge in [Forge::MidMessage, Forge::Fin] {
        let proxy = PostgresProxy::start(server.port(), forge, 5_000).await;
        let fault = read(&source_at(proxy.port), &full("t"), 1).await.map(drop).expect_err("cut");
        assert!(proxy.fired() > 0);
        assert_eq!(fault.code, FailureCode::SnapshotLost, "the only lane is the leader");
    }
    let again = read(&source(&server), &full("t"), 1).await.expect("read");
    assert_eq!(again.sorted("id"), (1..=ROWS).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_follower_that_is_cut_is_an_incomplete_source() {
    let server = seeded().await;
    server
        .run("CREATE TABLE wide AS SELECT g::int8 AS id, repeat('y', 1000) AS pad FROM generate_series(1, 40000) g")
        .await;
    let snapshot = source(&server).open(&full("wide"), None, want(2)).await.expect("open");
    let (_leader, mut follower) = (snapshot.lane().await.expect("lane"), snapshot.lane().await.expect("lane"));
    follower.next().await.expect("a batch").expect("rows");
    let client = server.client().await;
    let killed = client.query_one(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'COPY%wide%' AND pid <> pg_backend_pid()",
        &[],
    );
    assert_eq!(killed.await.expect("kill").get::<_, i64>(0), 1);
    let fault = drain(follower).await.map(drop).expect_err("killed");
    assert!(matches!(fault.code, FailureCode::SourceIncomplete | FailureCode::SourceFailed), "{fault}");
    let fault = snapshot.finish().await.map(drop).expect_err("not finished");
    assert_eq!(fault.code, FailureCode::SnapshotLost, "the leader's lane still holds the leader");
}

#[tokio::test]
async fn a_copy_done_without_trailer_is_incomplete() {
    let server = seeded().await;
    let proxy = PostgresProxy::start(server.port(), Forge::Done { trailer: false }, 5_000).await;
    let fault = read(&source_at(proxy.port), &stream("t", serde_json::json!({"verify-count": true})), 1).await;
    assert!(proxy.fired() > 0);
    assert_eq!(fault.map(drop).expect_err("no trailer").code, FailureCode::SourceIncomplete);
}

#[tokio::test]
async fn a_forged_trailer_is_found_by_the_count_only() {
    let server = seeded().await;
    let proxy = PostgresProxy::start(server.port(), Forge::Done { trailer: true }, 5_000).await;
    let counted = stream("t", serde_json::json!({"verify-count": true}));
    let fault = read(&source_at(proxy.port), &counted, 1).await.map(drop).expect_err("found");
    assert!(proxy.fired() > 0);
    assert_eq!(fault.code, FailureCode::SourceIncomplete);
    let unaware = read(&source_at(proxy.port), &full("t"), 1).await.expect("believed");
    assert_eq!(unaware.proof.grade, Grade::Counted, "the receipt does not claim more");
    assert!(unaware.rows.num_rows() < ROWS as usize);
    let honest = read(&source(&server), &counted, 1).await.expect("read");
    assert_eq!((honest.proof.grade, honest.proof.source_count), (Grade::Verified, Some(ROWS as u64)));
}

#[tokio::test]
async fn rows_may_straddle_messages() {
    let server = seeded().await;
    let proxy = PostgresProxy::start(server.port(), Forge::Split, 0).await;
    let found = read(&source_at(proxy.port), &full("t"), 1).await.expect("read");
    assert!(proxy.fired() > 0);
    assert_eq!(found.sorted("id"), (1..=ROWS).collect::<Vec<_>>());
    assert!((0..found.rows.num_rows()).all(|row| found.text("pad", row).is_some_and(|pad| pad == "x".repeat(100))));
}

#[tokio::test]
async fn a_leader_that_dies_loses_the_snapshot() {
    let server = seeded().await;
    let snapshot = source(&server).open(&full("t"), None, want(2)).await.expect("open");
    let lane = snapshot.lane().await.expect("the leader");
    let client = server.client().await;
    let killed = client
        .query_one("SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE application_name = 'waybill/run_test'", &[])
        .await;
    assert_eq!(killed.expect("kill").get::<_, i64>(0), 1);
    assert_eq!(snapshot.lane().await.map(drop).expect_err("no snapshot").code, FailureCode::SnapshotLost);
    assert_eq!(drain(lane).await.map(drop).expect_err("dead").code, FailureCode::SnapshotLost);
}

#[tokio::test]
async fn a_recovery_conflict_and_a_cancel_have_their_own_codes() {
    let server = seeded().await;
    for (state, code) in [("40001", FailureCode::RecoveryConflict), ("57014", FailureCode::SourceFailed)] {
        let proxy = PostgresProxy::start(server.port(), Forge::Error(state), 100).await;
        let fault = read(&source_at(proxy.port), &full("t"), 1).await.map(drop).expect_err("refused");
        assert!(proxy.fired() > 0);
        assert_eq!((fault.code, fault.sqlstate), (code, Some(state)));
    }
}

/// COPY goes on when it is read on, and whoever holds the snapshot is not cut off meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn d8_a_slow_reader_stops_the_copy_at_the_server_and_nobody_is_cut_off() {
    let server = Postgres::start();
    let wide = "CREATE TABLE t AS SELECT g::int8 AS id, repeat('x', 2000) AS pad FROM generate_series(1, 20000) g";
    server.run(wide).await;
    let small = waybill_pipeline::source::Want { lanes: 1, most: 1, batch_bytes: 64 << 10, row_bytes: 1 << 20 };
    let snapshot = source(&server).open(&full("t"), None, small).await.expect("open");
    let mut lane = snapshot.lane().await.expect("a lane");
    let first = lane.next().await.expect("a batch").expect("rows").rows.num_rows();
    // The server can't send on once the socket is full, and waits: as long as nobody reads, and at the same place.
    let client = server.client().await;
    let sent = "SELECT coalesce(max(bytes_processed), 0) FROM pg_stat_activity JOIN pg_stat_progress_copy USING (pid)
        WHERE application_name = 'waybill/run_test' AND wait_event = 'ClientWrite'";
    let (begun, mut place, mut seen) = (std::time::Instant::now(), 0, 0);
    while seen < 25 {
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "the server does not wait at one place: {place}");
        let now: i64 = client.query_one(sent, &[]).await.expect("an answer").get(0);
        seen = if now > 0 && now == place { seen + 1 } else { 0 };
        place = now;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await; // a poll, bounded
    }
    assert!(place < 20_000_000, "of 40 MB, {place} bytes were taken for a batch of 64 KiB");
    let rest: usize = drain(lane).await.expect("read").iter().map(|batch| batch.rows.num_rows()).sum();
    assert_eq!(first + rest, 20_000);
    snapshot.finish().await.expect("proven");
}

#[tokio::test]
async fn a_server_out_of_connections_means_fewer_lanes() {
    let server = Postgres::with(waybill_tests::services::postgres::Setup {
        settings: &["max_connections = 5", "superuser_reserved_connections = 0", "max_wal_senders = 0"],
        ..Default::default()
    });
    server
        .run(&format!(
            "CREATE TABLE t AS SELECT g::int8 AS id, repeat('x', 900) AS pad FROM generate_series(1, {ROWS}) g"
        ))
        .await;
    let mut taken = Vec::new();
    let snapshot = source(&server).open(&full("t"), None, want(2)).await.expect("open");
    let leader = snapshot.lane().await.expect("the leader");
    while let Ok((client, connection)) = tokio_postgres::connect(&server.url(), tokio_postgres::NoTls).await {
        taken.push((client, tokio::spawn(connection)));
        assert!(taken.len() < 6);
    }
    let follower = snapshot.lane().await.expect("a lane without a connection");
    assert!(drain(follower).await.expect("nothing to do").is_empty());
    let rows: usize = drain(leader).await.expect("read").iter().map(|batch| batch.rows.num_rows()).sum();
    assert_eq!(rows, ROWS as usize);
    snapshot.finish().await.expect("proven");
}
