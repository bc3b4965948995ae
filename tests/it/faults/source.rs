//! Whole runs from a real Postgres behind a proxy that drops or forges what it sends, and windows whose edge lies in a crowd.
//! What DuckDB and delta-rs find in the table is held against what the source itself says.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use waybill_api::run::RunDetail;
use waybill_tests::readers;
use waybill_tests::sandbox::{Options, Sandbox};
use waybill_tests::services::postgres::Postgres;
use waybill_tests::services::postgres_proxy::{Forge, PostgresProxy};

const ROWS: i64 = 20_000;
/// Rows that go through before the proxy does what it is for.
const BEFORE: usize = 5_000;
/// What is asked of source and table alike: their answers tell a row that is missing, doubled or changed.
const SUMS: &str =
    "SELECT count(*), count(DISTINCT id), CAST(sum(id) AS BIGINT), count(DISTINCT pad), min(pad), max(pad) FROM t";

/// A product that moves `t` of a real server.
struct Move {
    server: Postgres,
    sandbox: Sandbox,
}

impl Move {
    /// With this table in the server.
    async fn start(table: &str) -> Result<Self> {
        let server = Postgres::start();
        server.run(table).await;
        Ok(Self { server, sandbox: Sandbox::start(Options::default()).await? })
    }

    /// From this port, with these keys of the stream.
    async fn apply(&self, port: u16, keys: &str) -> Result<()> {
        self.apply_within("parallel: 1", port, keys).await
    }

    /// The same within these limits.
    async fn apply_within(&self, limits: &str, port: u16, keys: &str) -> Result<()> {
        let document = format!(
            "waybill: 1\nconnections:\n  db: {{ type: postgres, host: 127.0.0.1, port: {port}, database: postgres, \
             user: postgres, tls: disable }}\n  lake: {{ type: local, path: \"{}\" }}\npipelines:\n  items:\n    from: db\n    \
             to: lake\n    streams: {{ t: {{ {keys} }} }}\n    limits: {{ {limits} }}\n",
            self.sandbox.path("lake").display()
        );
        self.sandbox.apply(&document).await
    }

    async fn runs(&self) -> Result<RunDetail> {
        self.sandbox.ended(self.sandbox.trigger("items").await?).await
    }

    async fn succeeds(&self, attempts: usize) -> Result<RunDetail> {
        let ended = self.runs().await?;
        let state = ended.run.state.to_string();
        ensure!(state == "succeeded", "{:?}\n{}", ended.run.failure, self.sandbox.log());
        ensure!(ended.attempt_list.len() == attempts, "{:?}", ended.attempt_list);
        Ok(ended)
    }

    fn table(&self, sql: &str) -> Result<Value> {
        Ok(readers::query(&self.sandbox.path("lake/t"), sql)?.agreed())
    }

    /// Two readers say of the table what the server says of its own.
    async fn table_is_the_source(&self) -> Result<()> {
        let row = self.server.client().await.query_one(SUMS, &[]).await?;
        let number = |place: usize| row.get::<_, i64>(place);
        let text = |place: usize| row.get::<_, String>(place);
        let source = json!([[number(0), number(1), number(2), number(3), text(4), text(5)]]);
        let table = self.table(SUMS)?;
        ensure!(table == source, "the table has {table}, the source {source}");
        Ok(())
    }

    async fn grade(&self, run: &RunDetail) -> Result<Option<String>> {
        let receipt = self.sandbox.client.run_receipt(run.run.id).await?;
        Ok(receipt.streams[0].grade.as_ref().map(|grade| grade.to_string()))
    }

    /// One more run delivers so many rows.
    async fn brings(&self, rows: u64) -> Result<()> {
        let ended = self.succeeds(1).await?;
        ensure!(ended.streams[0].rows == Some(rows), "wanted {rows} rows: {:?}", ended.streams);
        Ok(())
    }

    /// Waits until nothing but open transactions holds back what was written: the margin has to pass on the server's clock.
    async fn is_older_than_the_margin(&self) -> Result<()> {
        let passed = "SELECT max(at) < clock_timestamp() - interval '2 s' FROM t";
        while !self.server.client().await.query_one(passed, &[]).await?.get::<_, bool>(0) {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await; // bounded by the test runner
        }
        Ok(())
    }

    fn commits(&self) -> usize {
        let log = std::fs::read_dir(self.sandbox.path("lake/t/_delta_log")).into_iter().flatten().flatten();
        log.filter(|entry| entry.path().extension().is_some_and(|end| end == "json")).count()
    }
}

fn plain() -> String {
    format!("CREATE TABLE t AS SELECT g::int8 AS id, md5(g::text) AS pad FROM generate_series(1, {ROWS}) g")
}

fn first_failure(run: &RunDetail) -> Option<String> {
    run.attempt_list[0].failure.as_ref().map(|failure| failure.code.to_string())
}

/// The first attempt ends as `code` while rows flow, and the next one delivers the source's rows; their receipt's grade.
async fn tried_again(forge: Forge, keys: &str, code: &str) -> Result<Option<String>> {
    let moves = Move::start(&plain()).await?;
    let proxy = PostgresProxy::once(moves.server.port(), forge, BEFORE).await;
    moves.apply(proxy.port, keys).await?;
    let ended = moves.succeeds(2).await?;
    ensure!(proxy.fired() == 1 && proxy.bytes() > 16 * BEFORE, "{} times after {}", proxy.fired(), proxy.bytes());
    ensure!(first_failure(&ended).as_deref() == Some(code), "{:?}", ended.attempt_list[0]);
    ensure!(moves.commits() == 1 && ended.streams[0].rows == u64::try_from(ROWS).ok(), "{:?}", ended.streams);
    moves.table_is_the_source().await?;
    moves.grade(&ended).await
}

#[tokio::test(flavor = "multi_thread")]
async fn f26_a_connection_that_drops_inside_a_message_of_rows_is_tried_again_and_the_rows_land_once() -> Result<()> {
    // The one connection holds the snapshot, so that goes with it.
    tried_again(Forge::MidMessage, "load: full", "snapshot_lost").await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn f27a_a_source_that_ends_between_two_rows_is_no_success_and_the_rows_land_once() -> Result<()> {
    tried_again(Forge::Fin, "load: full", "snapshot_lost").await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn f27b_an_end_of_the_copy_without_its_trailer_is_no_success_and_the_rows_land_once() -> Result<()> {
    tried_again(Forge::Done { trailer: false }, "load: full", "source_incomplete").await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn f27b_a_source_that_never_sends_its_trailer_ends_the_run_without_a_table() -> Result<()> {
    let moves = Move::start(&plain()).await?;
    let proxy = PostgresProxy::start(moves.server.port(), Forge::Done { trailer: false }, BEFORE).await;
    moves.apply(proxy.port, "load: full").await?;
    let ended = moves.runs().await?;
    let why = ended.run.failure.as_ref().map(|failure| failure.code.to_string());
    ensure!(why.as_deref() == Some("source_incomplete"), "{:?}\n{}", ended.run, moves.sandbox.log());
    ensure!(proxy.fired() == ended.attempt_list.len() && proxy.fired() > 1, "{:?}", ended.attempt_list);
    ensure!(moves.commits() == 0, "rows are missing, and they were committed");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f27c_a_forged_end_is_found_by_a_counted_run_and_tried_again() -> Result<()> {
    let forged = Forge::Done { trailer: true };
    let grade = tried_again(forged, "load: full, verify-count: true", "source_incomplete").await?;
    ensure!(grade.as_deref() == Some("verified"), "{grade:?}");
    Ok(())
}

/// The limit of what a run can know that does not count: the server's own protocol says that all rows came.
#[tokio::test(flavor = "multi_thread")]
async fn f27c_a_forged_end_passes_without_a_count_and_the_receipt_claims_no_more() -> Result<()> {
    let moves = Move::start(&plain()).await?;
    let proxy = PostgresProxy::once(moves.server.port(), Forge::Done { trailer: true }, BEFORE).await;
    moves.apply(proxy.port, "load: full").await?;
    let ended = moves.succeeds(1).await?;
    ensure!(proxy.fired() == 1, "nothing was forged");
    let grade = moves.grade(&ended).await?;
    ensure!(grade.as_deref() == Some("counted"), "{grade:?}");
    let rows = moves.table("SELECT count(*) FROM t")?[0][0].as_i64().context("a count")?;
    ensure!(0 < rows && rows < ROWS, "{rows} rows of {ROWS}");
    // A source that is honest again settles it.
    moves.succeeds(1).await?;
    moves.table_is_the_source().await
}

#[tokio::test(flavor = "multi_thread")]
async fn f31_a_transaction_that_commits_after_the_next_run_is_in_the_table_after_the_one_behind_it_and_once()
-> Result<()> {
    let table = "CREATE TABLE t (id int8 GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL DEFAULT clock_timestamp(), \
                 pad text NOT NULL DEFAULT md5(random()::text)); \
                 INSERT INTO t (at) SELECT now() - interval '1 hour' FROM generate_series(1, 2000)";
    let moves = Move::start(table).await?;
    moves.apply(moves.server.port(), "load: new, cursor: at").await?;
    moves.brings(2_000).await?;
    // It takes its place in the order first and commits last.
    let late = moves.server.client().await;
    late.batch_execute("BEGIN; INSERT INTO t (pad) VALUES ('late')").await?;
    moves.server.run("INSERT INTO t (pad) SELECT 'second ' || g FROM generate_series(1, 500) g").await;
    moves.is_older_than_the_margin().await?;
    moves.brings(0).await?;
    late.batch_execute("COMMIT").await?;
    moves.brings(501).await?;
    moves.table_is_the_source().await?;
    moves.brings(0).await?;
    moves.table_is_the_source().await
}

#[tokio::test(flavor = "multi_thread")]
async fn f32_ten_thousand_rows_at_one_moment_on_a_windows_edge_come_once_over_two_runs() -> Result<()> {
    let table = "CREATE TABLE t (id int8 GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL, pad text NOT NULL DEFAULT \
                 md5(random()::text)); INSERT INTO t (at) SELECT now() - interval '1 hour' FROM generate_series(1, 2000)";
    let moves = Move::start(table).await?;
    moves.apply(moves.server.port(), "load: new, cursor: at").await?;
    // The oldest open transaction less the margin is where the first window ends, to the microsecond.
    let open = moves.server.client().await;
    open.batch_execute("BEGIN").await?;
    let edge = "SELECT (xact_start - interval '2 s')::text FROM pg_stat_activity WHERE pid = pg_backend_pid()";
    let edge: String = open.query_one(edge, &[]).await?.get(0);
    let crowd = |rows: i64| format!("INSERT INTO t (at) SELECT '{edge}' FROM generate_series(1, {rows})");
    moves.server.run(&format!("INSERT INTO t (at) VALUES ('{edge}'::timestamptz - interval '1 us')")).await;
    moves.server.run(&crowd(6_000)).await;
    moves.brings(2_001).await?;
    // Some come after the run that ended there.
    open.batch_execute("COMMIT").await?;
    moves.server.run(&crowd(4_000)).await;
    moves.brings(10_000).await?;
    moves.table_is_the_source().await?;
    moves.brings(0).await?;
    moves.table_is_the_source().await
}

#[tokio::test(flavor = "multi_thread")]
async fn f32_ten_thousand_rows_with_one_number_on_a_windows_edge_come_once_over_two_runs() -> Result<()> {
    let table = "CREATE TABLE t (id int8 GENERATED ALWAYS AS IDENTITY, step int8 NOT NULL, pad text NOT NULL DEFAULT \
                 md5(random()::text)); INSERT INTO t (step) SELECT g FROM generate_series(1, 2000) g";
    let moves = Move::start(table).await?;
    moves.apply(moves.server.port(), "load: new, cursor: step").await?;
    let crowd = |step: i64| format!("INSERT INTO t (step) SELECT {step} FROM generate_series(1, 10000)");
    for (step, rows) in [(2_000, 12_000), (2_001, 10_000)] {
        moves.server.run(&crowd(step)).await;
        moves.brings(rows).await?;
        moves.table_is_the_source().await?;
    }
    moves.brings(0).await?;
    moves.table_is_the_source().await
}

#[tokio::test(flavor = "multi_thread")]
async fn h20_a_query_that_sleeps_for_ever_ends_with_the_time_limit_of_its_run() -> Result<()> {
    let story = Move::start("CREATE VIEW t AS SELECT 1::int8 AS id FROM (SELECT pg_sleep(1e9)) s").await?;
    story.apply_within("parallel: 1, time: 3s", story.server.port(), "load: full").await?;
    let run = story.sandbox.trigger("items").await?;
    let asleep =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'waybill/%' AND wait_event = 'PgSleep'";
    let client = story.server.client().await;
    let sleeping = async || Ok::<i64, tokio_postgres::Error>(client.query_one(asleep, &[]).await?.get(0));
    while sleeping().await? == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await; // bounded by the test runner
    }
    let ended = story.sandbox.ended(run).await?;
    let failure = ended.run.failure.context("a failure")?;
    ensure!(failure.code.to_string() == "run_timeout", "{failure:?}");
    while sleeping().await? > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await; // bounded by the test runner
    }
    ensure!(!story.sandbox.path("lake/t/_delta_log").exists(), "something was committed");
    Ok(())
}
