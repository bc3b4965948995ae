//! Attempts that die, freeze or lose the commit's answer: the table is right, and nothing is left behind.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Result, ensure};
use waybill_api::run::RunStart;
use waybill_model::run::RunKind;
use waybill_tests::fault::Marker;
use waybill_tests::sandbox::Options;
use waybill_tests::services::commit_proxy::{CommitProxy, Cut};
use waybill_tests::services::postgres::Postgres;
use waybill_tests::services::statement_proxy::StatementProxy;

use super::{Copy, numbers, report, talk};
use crate::story::{Rows, Story};

/// What is there beside the table and the ledger: nothing, whatever died.
const LEFT: &str = "SELECT count(*) FROM pg_class c WHERE relkind = 'r' AND relname NOT IN ('items', '_waybill_commit') \
    AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)";

async fn one(server: &Postgres, sql: &str) -> String {
    server.client().await.query_one(&format!("SELECT ({sql})::text"), &[]).await.expect("an answer").get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_at_any_step_is_replaced_and_the_table_has_one_commit() -> Result<()> {
    let points = [
        "snapshot_open",
        "last_part",
        "rows_sent",
        "prepared",
        "prepare_granted",
        "before_commit_put",
        "commit_applied",
    ];
    let server = Postgres::start();
    for point in points {
        let both = matches!(point, "prepared" | "commit_applied");
        for load in ["full", "new"].into_iter().take(if both { 2 } else { 1 }) {
            let rows = Rows { many: 500, noise: 100 };
            let story = Story::with_rows(rows, |marker| {
                Ok(Options::default().with_faults(&[marker.order(&format!("{point}=kill"))]))
            })
            .await?;
            let target = format!(
                "{{ type: postgres, host: 127.0.0.1, port: {}, database: postgres, user: postgres, tls: disable }}",
                server.port()
            );
            story.apply(load, &target, "limits: { parallel: 2 }").await?;
            let ended = story.delivers(2).await?;
            story.marker.fired()?;
            let found =
                one(&server, "SELECT count(*) || ' ' || sum(id) || ' ' || count(DISTINCT note) FROM items").await;
            ensure!(found == "500 125250 500", "{point}, {load}: {found}");
            ensure!(one(&server, "SELECT version FROM _waybill_commit").await == "1", "{point}: more than one commit");
            let receipt = story.sandbox.client.run_receipt(ended.run.id).await?;
            ensure!(receipt.streams[0].adopted == (point == "commit_applied"), "{point}: adopted, or not");
            ensure!(one(&server, LEFT).await == "0", "{point}: something is left");
            server.run("DROP TABLE items, _waybill_commit").await;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_read_back() {
    for (cut, lands) in [(Cut::Answer, true), (Cut::Commit, false)] {
        let copy = Copy::with(&numbers(100), "t: { load: new, cursor: id }");
        let proxy = CommitProxy::start(copy.server.port(), cut).await;
        let copy = copy.through(proxy.port, "t: { load: new, cursor: id }");
        let output = tokio::task::block_in_place(|| copy.once());
        assert_eq!(proxy.fired(), 1, "{}", talk(&output));
        let stream = &report(&output)["streams"][0];
        if lands {
            assert_eq!(output.status.code(), Some(0), "{}", talk(&output));
            assert_eq!((&stream["version"], &stream["rows"]), (&1.into(), &100.into()), "{stream}");
        } else {
            assert_eq!(stream["failure"], "target_failed", "{}", talk(&output));
            tokio::task::block_in_place(|| copy.delivered());
        }
        // Whatever was known: once, and the cursor with it.
        tokio::task::block_in_place(|| copy.delivered());
        assert_eq!(copy.one("SELECT count(*) || ' ' || count(DISTINCT id) FROM t").await, "100 100");
        assert_eq!(copy.one("SELECT version FROM _waybill_commit").await, "1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_the_server_refuses_is_told_as_what_it_is() {
    let copy = Copy::with(&numbers(100), "t: {}");
    copy.delivered();
    copy.server
        .run(
            "CREATE TABLE known (id bigint PRIMARY KEY); INSERT INTO known SELECT id FROM t;
             ALTER TABLE t ADD FOREIGN KEY (id) REFERENCES known DEFERRABLE INITIALLY DEFERRED",
        )
        .await;
    copy.source("INSERT INTO t VALUES (101, 'unknown')");
    assert!(copy.fails("value_refused").contains("23503"));
    assert_eq!(copy.one("SELECT count(*) || ' ' || max(id) FROM t").await, "100 100");
    assert_eq!(copy.one("SELECT version FROM _waybill_commit").await, "1");
    copy.server.run("INSERT INTO known VALUES (101)").await;
    copy.delivered();
    assert_eq!(copy.one("SELECT count(*) || ' ' || max(id) FROM t").await, "101 101");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_freezes_with_the_lock_is_ended_by_the_server() {
    let copy = Copy::with(&numbers(100), "t: {}");
    let proxy = StatementProxy::start(copy.server.port(), Some(("'5min'", "'  1s'"))).await;
    let direct = copy.server.port();
    let copy = copy.through(proxy.port, "t: {}");
    let marker = Marker::at(copy.path("fired"));
    let mut slow = copy.command("waybill-worker-faults");
    slow.env("WAYBILL_FAULT", marker.order("locked=pause")).stdout(Stdio::piped()).stderr(Stdio::piped());
    let slow = slow.spawn().expect("run");
    marker.fires(1).await.expect("it has the lock");
    let copy = copy.through(direct, "t: {}");
    let mut next = copy.command("waybill-worker").stdout(Stdio::null()).spawn().expect("run");
    let mut ended = None;
    for _ in 0..1_200 {
        ended = next.try_wait().expect("look at the worker");
        if ended.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await; // a poll for the end, bounded
    }
    if ended.is_none() {
        next.kill().expect("end the worker");
    }
    marker.release().expect("go on");
    let output = tokio::task::block_in_place(|| slow.wait_with_output()).expect("an end");
    assert!(ended.is_some_and(|status| status.success()), "the lock was held by one that does nothing: {ended:?}");
    assert_eq!(report(&output)["streams"][0]["failure"], "target_failed", "{}", talk(&output));
    assert_eq!(copy.one("SELECT count(*) || ' ' || count(DISTINCT id) FROM t").await, "100 100");
    assert_eq!(copy.one("SELECT version FROM _waybill_commit").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_was_overtaken_is_fenced_and_writes_nothing() {
    let copy = Copy::with(&numbers(100), "t: {}");
    copy.delivered();
    let marker = Marker::at(copy.path("fired"));
    let mut slow = copy.command("waybill-worker-faults");
    slow.env("WAYBILL_FAULT", marker.order("rows_sent=pause")).stdout(Stdio::piped()).stderr(Stdio::piped());
    let slow = slow.spawn().expect("run");
    marker.fires(1).await.expect("its rows are sent");
    copy.source("INSERT INTO t VALUES (101, 'later')");
    tokio::task::block_in_place(|| copy.delivered());
    marker.release().expect("go on");
    let output = tokio::task::block_in_place(|| slow.wait_with_output()).expect("an end");
    assert_eq!(report(&output)["streams"][0]["failure"], "fenced", "{}", talk(&output));
    assert_eq!(copy.one("SELECT count(*) || ' ' || max(id) FROM t").await, "101 101");
    assert_eq!(copy.one("SELECT version FROM _waybill_commit").await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_of_a_pipeline_looks_at_both_ends_and_writes_nothing() -> Result<()> {
    let server = Postgres::start();
    let story = Story::with_rows(Rows { many: 10, noise: 1 }, |_| Ok(Options::default())).await?;
    let target = |user: &str| {
        format!(
            "{{ type: postgres, host: 127.0.0.1, port: {}, database: postgres, user: {user}, tls: disable }}",
            server.port()
        )
    };
    story.apply("full", &target("postgres"), "limits: { parallel: 1 }").await?;
    let check = async || -> Result<_> {
        let pipeline_id = Some(story.sandbox.pipeline("items").await?);
        let start = RunStart { pipeline_id, kind: Some(RunKind::Check), ..RunStart::default() };
        story.sandbox.ended(story.sandbox.client.run_start(&start).await?.run.id).await
    };
    crate::story::succeeded(&check().await?)?;
    ensure!(
        one(&server, "SELECT to_regclass('_waybill_commit') IS NULL AND to_regclass('items') IS NULL").await == "true"
    );
    server.run("CREATE ROLE few LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC").await;
    story.apply("full", &target("few"), "limits: { parallel: 1 }").await?;
    let ended = check().await?;
    let why = ended.run.failure.as_ref().map(|failure| failure.code.to_string());
    ensure!(why.as_deref() == Some("target_denied"), "{why:?}");
    Ok(())
}
