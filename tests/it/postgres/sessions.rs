//! How many sessions a run has open, and what it does where the server has none free for a moment.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::process::Command;
use waybill_pipeline::Source;
use waybill_tests::binaries::binary;
use waybill_tests::services::postgres::Postgres;

use super::{full, read, source_as, want};

/// The ends on our side of the connections to a port on 127.0.0.1 that are open there: one that was closed is in another state
/// at once, whatever the server still does about it.
fn open_to(port: u16) -> BTreeSet<String> {
    let table = std::fs::read_to_string("/proc/self/net/tcp").expect("the table of connections");
    let remote = format!("0100007F:{port:04X}");
    let ends = table.lines().filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let own = words.next()?;
        words.take(2).eq([remote.as_str(), "01"]).then(|| own.to_owned())
    });
    ends.collect()
}

/// Looks all the time, in a thread of its own, until it is told to stop; the most that were open at once. The table is no picture
/// of one moment, but what stands in two of them was open between the two.
fn watch(port: u16, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<usize> {
    std::thread::spawn(move || {
        let (mut most, mut before) = (0, BTreeSet::new());
        while !stop.load(Ordering::SeqCst) {
            let now = open_to(port);
            most = most.max(now.intersection(&before).count());
            before = now;
            std::thread::sleep(Duration::from_millis(1));
        }
        most
    })
}

/// Three tables that two lanes read, and three views of which each reading and each count takes a while: the session that holds
/// a snapshot stays open long after its lane has ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_many_streams_never_has_more_connections_than_it_was_given() {
    let server = Postgres::start();
    for n in 0..3 {
        let seed = format!(
            "CREATE TABLE t{n} AS SELECT g AS id, repeat('x', 400) AS pad FROM generate_series(1, 30000) g; ANALYZE t{n};
             CREATE VIEW v{n} AS WITH s AS MATERIALIZED (SELECT pg_sleep(0.4)) SELECT g AS id FROM generate_series(1, 100) g, s"
        );
        server.run(&seed).await;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let streams: String =
        (0..3).map(|n| format!("public.v{n}: {{ verify-count: true }}, public.t{n}: {{}}, ")).collect();
    let document = format!(
        "waybill: 1\nconnections:\n  db: {{ type: postgres, host: 127.0.0.1, port: {}, database: postgres, user: postgres, \
         tls: disable }}\n  lake: {{ type: local, path: \"{}\" }}\npipelines:\n  all:\n    from: db\n    to: lake\n    streams: \
         {{ {streams} }}\n    limits: {{ parallel: 2 }}\n",
        server.port(),
        folder.path().join("lake").display()
    );
    std::fs::write(folder.path().join("spec.yaml"), document).expect("write the spec");
    while !open_to(server.port()).is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await; // until our own sessions are closed; bounded by the test runner
    }
    let stop = Arc::new(AtomicBool::new(false));
    let watched = watch(server.port(), Arc::clone(&stop));
    let mut worker = Command::new(binary("waybill-worker"));
    worker.args(["once", "--json", "--memory", "256MiB", "--spec"]).arg(folder.path().join("spec.yaml"));
    let output = worker.kill_on_drop(true).output().await.expect("run the worker");
    stop.store(true, Ordering::SeqCst);
    assert_eq!(watched.join().expect("no panic"), 2, "sessions of the worker at once");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    let rows: Vec<u64> =
        report["streams"].as_array().expect("streams").iter().filter_map(|stream| stream["rows"].as_u64()).collect();
    assert_eq!(json!(rows), json!([100, 30_000, 100, 30_000, 100, 30_000]));
}

/// A user with one session, which is still there when the next stream begins.
#[tokio::test]
async fn a_session_that_still_counts_is_waited_for_and_one_that_stays_is_an_error() {
    let server = Postgres::start();
    let seed = "CREATE ROLE mover LOGIN CONNECTION LIMIT 1; CREATE TABLE t AS SELECT g::int8 AS id FROM generate_series(1, 10) g;
                GRANT SELECT ON t TO mover";
    server.run(seed).await;
    let source = source_as(&server, "mover");
    let last = source.open(&full("t"), None, want(1)).await.expect("the only session");
    let refusals = || server.log().matches("too many connections for role").count();
    let plan = full("t");
    let (next, ()) = tokio::join!(read(&source, &plan, 1), async {
        let deadline = Instant::now() + Duration::from_secs(30);
        while refusals() < 2 {
            assert!(Instant::now() < deadline, "the server refused nobody");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop(last);
    });
    assert_eq!(next.expect("it waited").sorted("id"), (1..=10).collect::<Vec<_>>());

    let before = refusals();
    let _stays = source.open(&full("t"), None, want(1)).await.expect("the only session");
    let fault = read(&source, &plan, 1).await.map(drop).expect_err("no session is free");
    assert_eq!(fault.sqlstate, Some("53300"));
    assert!(refusals() >= before + 6, "it asked six times");
}
