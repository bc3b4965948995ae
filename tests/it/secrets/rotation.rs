//! A password that is rotated while a run is under way: the next connection of the same run logs in with the new one.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::process::Child;
use tokio_postgres::Client;
use waybill_tests::services::openbao::OpenBao;
use waybill_tests::services::postgres::Postgres;

use super::vault::by_role;
use super::{Ended, Story};

const OLD: &str = "old-horse-battery";
const NEW: &str = "new-horse-battery";

/// Waits for what a session or a log shows.
async fn until(what: &str, mut seen: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !seen().await {
        assert!(begun.elapsed() < Duration::from_secs(60), "not seen: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await; // a poll of the server, bounded above
    }
}

fn refusals(server: &Postgres) -> usize {
    server.log().matches("password authentication failed for user \"reader\"").count()
}

/// A worker that is connected with the old password and waits for a table; the other one needs another connection.
struct Held {
    worker: Child,
    holder: Client,
}

impl Held {
    async fn start(story: &Story, bao: &OpenBao) -> Self {
        bao.put("shop", json!({ "password": OLD })).await;
        // The token serves one read: the read after the rotation has to log in anew.
        let ids = bao.role("worker", &["shop"], json!({ "token_num_uses": 1 })).await;
        let holder = story.server.client().await;
        // Both: the order of the streams is the worker's affair.
        holder.batch_execute("BEGIN; LOCK TABLE first, second IN ACCESS EXCLUSIVE MODE").await.expect("the locks");
        let mut command = story.worker("vault://kv/shop#password", &by_role(story, bao.address(), &ids));
        let worker = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start the worker");
        let watcher = story.server.client().await;
        until("a worker that waits for the table", async || {
            let sql = "SELECT 1 FROM pg_stat_activity WHERE usename = 'reader' AND wait_event_type = 'Lock'";
            !watcher.query(sql, &[]).await.expect("the sessions").is_empty()
        })
        .await;
        assert_eq!(refusals(&story.server), 0);
        Self { worker, holder }
    }

    async fn let_go(&self) {
        self.holder.batch_execute("COMMIT").await.expect("let go");
    }

    /// Expects that everything was delivered, that the old password was refused once, and that none was printed.
    async fn delivered(self, story: &Story) {
        let ended = Ended::of(self.worker.wait_with_output().await.expect("the worker's end"));
        assert_eq!(ended.exit, Some(0), "{}", ended.said);
        assert_eq!(refusals(&story.server), 1, "the old password was refused, and only once");
        assert!(![OLD, NEW].iter().any(|text| ended.said.contains(text)), "{}", ended.said);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_rotated_during_a_run_is_resolved_anew_for_the_next_connection() {
    let (story, bao) = tokio::join!(Story::with(OLD), OpenBao::start());
    let held = Held::start(&story, &bao).await;
    story.server.run(&format!("ALTER ROLE reader PASSWORD '{NEW}'")).await;
    bao.put("shop", json!({ "password": NEW })).await;
    held.let_go().await;
    held.delivered(&story).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_reached_the_database_first_is_waited_for() {
    let (story, bao) = tokio::join!(Story::with(OLD), OpenBao::start());
    let held = Held::start(&story, &bao).await;
    story.server.run(&format!("ALTER ROLE reader PASSWORD '{NEW}'")).await;
    held.let_go().await;
    until("a refused log-in", async || refusals(&story.server) == 1).await;
    bao.put("shop", json!({ "password": NEW })).await;
    held.delivered(&story).await;
}
