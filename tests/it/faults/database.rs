//! The orchestrator's database is locked, away, or another one than before, while runs work: callers are told when to come
//! back, and no run, attempt or row is lost.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use waybill_api::run::RunDetail;
use waybill_model::RunId;
use waybill_tests::cut::Proxy;
use waybill_tests::fault::Marker;
use waybill_tests::process::wake;
use waybill_tests::sandbox::{Options, Sandbox};
use waybill_tests::services::postgres::Postgres;

use super::super::story::{ROWS, Story};
use super::until_no_lease_holds;

/// Workers that sleep with all their rows read, the first two, and bounds of the link and the start that no outage reaches.
pub(super) fn patient(marker: &Marker) -> Options {
    let orders = [marker, &marker.beside("again")].map(|marker| marker.order("files_closed=stop"));
    Options::default()
        .with_faults(&orders)
        .with("BOUNDS__OFFLINE_GRACE", "10m")
        .with("BOUNDS__START_TIMEOUT", "10m")
        .with("DATABASE__PATIENCE", "500ms")
}

/// Somebody who wants to log in, which is written: status and the time to come back.
async fn knock(sandbox: &Sandbox) -> Result<(u16, Option<u64>)> {
    let roots = reqwest::Certificate::from_pem_bundle(&std::fs::read(sandbox.path("state/ca.pem"))?)?;
    let http = reqwest::Client::builder().tls_certs_only(roots).build()?;
    let body = json!({ "email": "admin@example.com", "password": "a long enough phrase for tests" }).to_string();
    let address = format!("https://{}/v1/login", sandbox.ports()?.api);
    let answer = http.post(address).header("content-type", "application/json").body(body).send().await?;
    let after = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    Ok((answer.status().as_u16(), after))
}

/// Asks until the orchestrator says that it has no database; bounded by the test runner.
pub(super) async fn until_it_has_none(sandbox: &Sandbox) -> Result<()> {
    loop {
        match knock(sandbox).await? {
            (503, after) => {
                ensure!(after.is_some_and(|seconds| (1..=60).contains(&seconds)), "no time to come back: {after:?}");
                return Ok(());
            }
            (200, _) => tokio::time::sleep(Duration::from_millis(50)).await, // it had not noticed yet
            (other, _) => anyhow::bail!("answered {other}"),
        }
    }
}

/// Rounds of the reaper that failed so far.
async fn failed_rounds(private: &str) -> Result<u64> {
    let text = reqwest::get(format!("http://{private}/metrics")).await?.text().await?;
    let name = "waybill_loop_rounds_total{loop=\"reap\",ended=\"failed\"} ";
    text.lines().find_map(|line| line.strip_prefix(name)?.parse().ok()).with_context(|| format!("no {name} in {text}"))
}

/// Waits until the reaper missed more rounds than a lease has: every lease ran out meanwhile. Bounded by the test runner.
async fn until_every_lease_ran_out(sandbox: &Sandbox) -> Result<()> {
    let private = sandbox.ports()?.private;
    let before = failed_rounds(&private).await?;
    while failed_rounds(&private).await? < before + 7 {
        tokio::time::sleep(Duration::from_millis(100)).await; // bounded by the test runner
    }
    let ready = reqwest::get(format!("http://{private}/readyz")).await?.status().as_u16();
    ensure!(ready == 503, "/readyz says {ready} without a database");
    Ok(())
}

/// What a run has done so far and will have done whatever happens to the database.
pub(super) fn kept(before: &RunDetail, after: &RunDetail) -> Result<()> {
    let ids = |run: &RunDetail| run.attempt_list.iter().map(|attempt| attempt.id).collect::<Vec<_>>();
    ensure!(ids(before) == ids(after), "attempts were {:?}, are {:?}", ids(before), ids(after));
    Ok(())
}

pub(super) async fn asleep(story: &Story, marker: &Marker) -> Result<(RunId, u32, RunDetail)> {
    let run = story.sandbox.trigger("items").await?;
    let worker = marker.fires(1).await?;
    Ok((run, worker, story.sandbox.client.run_get(run).await?))
}

#[tokio::test(flavor = "multi_thread")]
async fn f42_a_locked_sqlite_file_is_told_with_a_time_to_come_back_and_costs_the_run_nothing() -> Result<()> {
    let story = Story::start("full", |marker| Ok(patient(marker))).await?;
    let (run, worker, before) = asleep(&story, &story.marker).await?;
    let place = story.sandbox.path("state/waybill.db");
    let other = rusqlite::Connection::open(&place)?;
    other.busy_timeout(Duration::from_secs(10))?;
    other.execute_batch("begin immediate")?;
    // It asks for leave to commit while nothing can be written, and goes on asking.
    wake(worker).await?;
    until_it_has_none(&story.sandbox).await?;
    let still = story.sandbox.client.run_get(run).await?;
    ensure!(still.run.state == before.run.state, "readers wait for writers: {:?}", still.run.state);
    // Nothing leaves that it was not given leave for.
    until_no_lease_holds(&place).await?;
    ensure!(story.commits() == 0, "it committed without leave");
    other.execute_batch("commit")?;
    kept(&before, &story.succeeds(run, 1).await?)?;
    story.table_is_exactly(ROWS)
}

/// A story on a Postgres behind a proxy, whose worker sleeps.
async fn on(server: &Postgres) -> Result<(Story, Proxy)> {
    let way = Proxy::before(([127, 0, 0, 1], server.port()).into()).await?;
    let url = format!("postgres://postgres@{}/postgres", way.address);
    let story = Story::start("full", |marker| Ok(patient(marker).with("DATABASE__URL", &url))).await?;
    Ok((story, way))
}

#[tokio::test(flavor = "multi_thread")]
async fn f42_a_postgres_that_is_down_for_longer_than_every_lease_costs_the_run_nothing() -> Result<()> {
    let mut server = Postgres::with(durable());
    let (story, _way) = on(&server).await?;
    let (run, worker, before) = asleep(&story, &story.marker).await?;
    server.crash();
    until_it_has_none(&story.sandbox).await?;
    wake(worker).await?;
    until_every_lease_ran_out(&story.sandbox).await?;
    ensure!(story.commits() == 0, "it committed without leave");
    server.recover();
    kept(&before, &story.succeeds(run, 1).await?)?;
    ensure!(knock(&story.sandbox).await?.0 == 200, "it has not noticed that its database is back");
    story.table_is_exactly(ROWS)
}

#[tokio::test(flavor = "multi_thread")]
async fn f42_a_failover_to_a_standby_loses_no_run_and_no_attempt() -> Result<()> {
    let mut server = Postgres::with(durable());
    let (story, way) = on(&server).await?;
    let (first, early, _) = asleep(&story, &story.marker).await?;
    wake(early).await?;
    story.succeeds(first, 1).await?;
    let standby = server.standby().await;
    // What follows is in two places before it is answered.
    let (run, worker, before) = asleep(&story, &story.marker.beside("again")).await?;
    server.crash();
    standby.promote().await;
    way.cut();
    until_it_has_none(&story.sandbox).await?;
    way.leads_to(([127, 0, 0, 1], standby.port()).into());
    way.mend();
    wake(worker).await?;
    kept(&before, &story.succeeds(run, 1).await?)?;
    ensure!(way.cuts() > 0, "no connection was cut");
    ensure!(story.sandbox.client.run_get(first).await?.run.state.to_string() == "succeeded", "the first run is lost");
    story.table_is_exactly(ROWS)
}

/// A server that answers no commit before it is on its disk, as one would run for real.
fn durable() -> waybill_tests::services::postgres::Setup<'static> {
    let settings = &["fsync = on", "synchronous_commit = on", "full_page_writes = on"];
    waybill_tests::services::postgres::Setup { settings, ..Default::default() }
}
