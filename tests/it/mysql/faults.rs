//! A source that breaks in the middle: never a success, always a code that says what to do.

use std::time::{Duration, Instant};

use serde_json::json;
use waybill_model::FailureCode;
use waybill_model::receipt::Grade;
use waybill_pipeline::Source;
use waybill_tests::services::mariadb::MariaDb;
use waybill_tests::services::mysql_proxy::{Forge, MySqlProxy};

use super::{drain, full, read, server, source, source_at, stream, want};

const ROWS: i64 = 20_000;

fn seeded() -> MariaDb {
    let server = server();
    server.run(&format!(
        "CREATE TABLE t (id bigint PRIMARY KEY, pad varchar(500) NOT NULL); INSERT INTO t SELECT seq, repeat('x', 400) FROM seq_1_to_{ROWS}"
    ));
    server
}

#[tokio::test]
async fn a_mariadb_connection_cut_among_rows_fails_and_the_next_try_is_exact() {
    let server = seeded();
    for forge in [Forge::MidPacket, Forge::Fin] {
        let proxy = MySqlProxy::start(server.port(), forge, 5_000).await;
        let fault = read(&source_at(proxy.port), &full("t"), 1).await.map(drop).expect_err("cut");
        assert!(proxy.fired() > 0);
        assert_eq!(fault.code, FailureCode::SnapshotLost);
    }
    let again = read(&source(&server), &full("t"), 1).await.expect("read");
    assert_eq!(again.sorted("id"), (1..=ROWS).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_early_end_of_mariadb_is_found_by_the_count_only_and_the_grade_says_so() {
    let server = seeded();
    let proxy = MySqlProxy::start(server.port(), Forge::End, 5_000).await;
    let unaware = read(&source_at(proxy.port), &full("t"), 1).await.expect("believed");
    assert!(proxy.fired() > 0);
    assert_eq!(
        (unaware.proof.grade, unaware.rows.num_rows()),
        (Grade::Counted, 5_000),
        "the receipt does not claim more"
    );
    let counted = stream("t", json!({"verify-count": true}));
    let fault = read(&source_at(proxy.port), &counted, 1).await.map(drop).expect_err("found");
    assert!(matches!(fault.code, FailureCode::SourceIncomplete | FailureCode::SnapshotLost), "{fault}");
    let honest = read(&source(&server), &counted, 1).await.expect("read");
    assert_eq!((honest.proof.grade, honest.proof.source_count), (Grade::Verified, Some(ROWS as u64)));
}

#[tokio::test]
async fn a_mariadb_connection_that_is_killed_loses_the_snapshot() {
    let server = seeded();
    server.run("INSERT INTO t SELECT seq + 100000, repeat('y', 500) FROM seq_1_to_60000; ANALYZE TABLE t");
    for lanes in [1, 4] {
        let snapshot = source(&server).open(&full("t"), None, want(lanes)).await.expect("open");
        let lanes = snapshot.lanes();
        let mut open = Vec::new();
        for _ in 0..lanes {
            open.push(snapshot.lane().await.expect("a lane"));
        }
        open[0].next().await.expect("a batch").expect("rows");
        server.run("KILL USER reader");
        let fault = drain(open.remove(0)).await.map(drop).expect_err("killed");
        assert_eq!(fault.code, FailureCode::SnapshotLost, "{}", fault.text.for_customer());
        drop(open);
        assert_eq!(snapshot.finish().await.map(drop).expect_err("not finished").code, FailureCode::SourceIncomplete);
    }
}

#[tokio::test]
async fn errors_of_mariadb_among_rows_have_their_own_codes() {
    let server = seeded();
    for (number, state, code) in [
        (1412, "HY000", FailureCode::SourceChanged),
        (1053, "08S01", FailureCode::SnapshotLost),
        (1927, "70100", FailureCode::SnapshotLost),
        (1317, "70100", FailureCode::SourceFailed),
    ] {
        let proxy = MySqlProxy::start(server.port(), Forge::Error(number, state), 100).await;
        let fault = read(&source_at(proxy.port), &full("t"), 1).await.map(drop).expect_err("refused");
        assert!(proxy.fired() > 0);
        assert_eq!((fault.code, fault.sqlstate), (code, Some(state)), "{number}");
    }
}

#[tokio::test]
async fn a_mariadb_out_of_connections_means_fewer_lanes() {
    let server = MariaDb::with(&["--log-bin=log", "--max-connections=10"], &[]);
    server.run(super::READER);
    server.run(
        "CREATE TABLE t (id bigint PRIMARY KEY, pad varchar(500) NOT NULL);
                INSERT INTO t SELECT seq, repeat('x', 450) FROM seq_1_to_40000; ANALYZE TABLE t",
    );
    // Room for the first connection, the one that locks, and two more.
    let mut taken: Vec<_> = (0..6).map(|_| server.session()).collect();
    for session in &mut taken {
        session.run("SELECT 1");
    }
    let snapshot = source(&server).open(&full("t"), None, want(8)).await.expect("open");
    let lanes = snapshot.lanes();
    assert!((1..8).contains(&lanes), "{lanes}");
    let mut rows = 0;
    for _ in 0..lanes {
        let lane = snapshot.lane().await.expect("a lane");
        rows += drain(lane).await.expect("read").iter().map(|batch| batch.rows.num_rows()).sum::<usize>();
    }
    assert_eq!(rows, 40_000);
    snapshot.finish().await.expect("proven");
}

#[tokio::test]
async fn a_slow_reader_stops_the_reads_of_mariadb_and_nobody_is_cut_off() {
    let server = seeded();
    let small = waybill_pipeline::source::Want { lanes: 1, most: 1, batch_bytes: 64 << 10, row_bytes: 1 << 20 };
    let snapshot = source(&server).open(&full("t"), None, small).await.expect("open");
    let mut lane = snapshot.lane().await.expect("a lane");
    lane.next().await.expect("a batch").expect("rows");
    let begun = Instant::now();
    // The server can't send on once the socket is full, and waits.
    let sending =
        "SELECT count(*) FROM information_schema.PROCESSLIST WHERE USER = 'reader' AND STATE LIKE '%Writing to net%'";
    while server.run(sending).trim() != "1" {
        assert!(begun.elapsed() < Duration::from_secs(20), "the server does not wait");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let rest: usize = drain(lane).await.expect("read").iter().map(|batch| batch.rows.num_rows()).sum();
    assert!(rest > 0);
    snapshot.finish().await.expect("proven");
}
