//! What a run does where the server has no session free for a moment, and what its global settings may not do to it.

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

#[tokio::test]
async fn global_settings_of_mariadb_take_no_row_away() {
    let server = server();
    server.run(
        "CREATE TABLE t (id bigint PRIMARY KEY) WITH SYSTEM VERSIONING; INSERT INTO t SELECT seq FROM seq_1_to_1000;
         SET GLOBAL sql_select_limit = 10; SET GLOBAL system_versioning_asof = '2001-01-01 00:00:00';
         SET GLOBAL sql_mode = 'ANSI,NO_BACKSLASH_ESCAPES'; SET GLOBAL sql_big_selects = 0; SET GLOBAL max_join_size = 10",
    );
    assert_eq!(
        server.run("SET sql_big_selects = 1, system_versioning_asof = DEFAULT; SELECT * FROM t").lines().count(),
        10,
        "others are cut"
    );
    let read = read(&source(&server), &full("t"), 1).await.expect("read");
    assert_eq!(read.sorted("id"), (1..=1000).collect::<Vec<_>>());
}
