//! What a run does where the server has no session free for a moment.

use std::time::{Duration, Instant};

use waybill_model::FailureCode;
use waybill_pipeline::Source;
use waybill_tests::services::mariadb::MariaDb;

use super::{full, read, server, source, want};

/// Log-ins that the server has refused so far.
fn refusals(server: &MariaDb) -> u64 {
    let told = server.run("SHOW GLOBAL STATUS LIKE 'Aborted_connects'");
    told.split_whitespace().filter_map(|word| word.parse().ok()).next_back().expect("a number")
}

/// An account with one session, which is still there when the next stream begins.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_mariadb_that_still_counts_is_waited_for_and_one_that_stays_is_an_error() {
    let server = server();
    server.run("CREATE TABLE t (id bigint PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3)");
    server.run("ALTER USER reader@'127.0.0.1' WITH MAX_USER_CONNECTIONS 1");
    let (source, plan) = (source(&server), full("t"));
    let last = source.open(&plan, None, want(1)).await.expect("the only session");
    let before = refusals(&server);
    let (next, ()) = tokio::join!(read(&source, &plan, 1), async {
        let deadline = Instant::now() + Duration::from_secs(30);
        while refusals(&server) < before + 2 {
            assert!(Instant::now() < deadline, "the server refused nobody");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop(last);
    });
    assert_eq!(next.expect("it waited").sorted("id"), [1, 2, 3]);

    let _stays = source.open(&plan, None, want(1)).await.expect("the only session");
    let before = refusals(&server);
    let fault = read(&source, &plan, 1).await.map(drop).expect_err("no session is free");
    assert_eq!(fault.code, FailureCode::SourceUnreachable);
    assert!(refusals(&server) >= before + 6, "it asked six times");
}
