//! Two real orchestrators on one Postgres: the one that leads is stopped by a signal, and wakes when the other leads; what one
//! says of that database to its monitoring.

use std::time::Duration;

use anyhow::{Result, ensure};
use waybill_api::run::RunDetail;
use waybill_tests::process::{is_stopped, signal};
use waybill_tests::readers;
use waybill_tests::sandbox::{Options, Sandbox};
use waybill_tests::services::postgres::Postgres;

/// Stops a process where no transaction of anybody is open: one would hold its locks until the server ends it.
async fn stopped_outside_of_transactions(pid: u32, server: &Postgres) -> Result<()> {
    loop {
        signal(pid, "STOP")?;
        tokio::time::sleep(Duration::from_millis(100)).await; // what the server works at now ends by itself
        if server.open_transactions().await == 0 {
            return Ok(()); // bounded by the test runner
        }
        signal(pid, "CONT")?;
    }
}

/// Waits until the orchestrator with this private address leads the loop of the reaper, or does not; bounded by the test runner.
async fn until_it_leads(private: &str, wanted: bool) -> Result<()> {
    let wanted = format!("waybill_loop_leads{{loop=\"reap\"}} {}", u8::from(wanted));
    let address = format!("http://{private}/metrics");
    while !reqwest::get(&address).await?.text().await?.lines().any(|line| line == wanted) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

fn once(run: &RunDetail) -> Result<()> {
    ensure!(run.run.state.to_string() == "succeeded", "{:?}", run.run.failure);
    ensure!(run.attempt_list.len() == 1, "{} attempts", run.attempt_list.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f14_a_leader_that_sleeps_past_its_lease_is_replaced_and_changes_nothing_when_it_wakes() -> Result<()> {
    let server = Postgres::start();
    let mut options = Options::default();
    options.orchestrator.push(("WAYBILL__DATABASE__URL".into(), server.owner_url()));
    let mut sandbox = Sandbox::start(options).await?;
    let source = rusqlite::Connection::open(sandbox.path("shop.db"))?;
    source.execute_batch("create table t (id integer primary key); insert into t values (1), (2), (3)")?;
    let dir = sandbox.dir.path().display();
    sandbox
        .apply(&format!(
            "waybill: 1\nconnections:\n  shop: {{ type: sqlite, path: {dir}/shop.db }}\n  \
             lake: {{ type: local, path: {dir}/lake }}\npipelines:\n  p: {{ from: shop, to: lake, streams: {{ t: {{}} }} }}\n"
        ))
        .await?;
    once(&sandbox.ended(sandbox.trigger("p").await?).await?)?;
    let (leader, private) = (sandbox.orchestrator_pid()?, sandbox.ports()?.private);
    let replica = sandbox.replica().await?;
    until_it_leads(&private, true).await?;
    until_it_leads(&replica.ports.private, false).await?;
    let own = std::mem::replace(&mut sandbox.client, replica.client.clone());

    stopped_outside_of_transactions(leader, &server).await?;
    let (first, second) = (sandbox.trigger("p").await?, sandbox.trigger("p").await?);
    until_it_leads(&replica.ports.private, true).await?;
    once(&sandbox.ended(first).await?)?;
    once(&sandbox.ended(second).await?)?;
    ensure!(is_stopped(leader), "the leader was not stopped");

    signal(leader, "CONT")?;
    until_it_leads(&private, false).await?;
    sandbox.client = own;
    once(&sandbox.ended(sandbox.trigger("p").await?).await?)?;
    for run in [first, second] {
        once(&sandbox.client.run_get(run).await?)?;
    }
    let rows = readers::query(&sandbox.path("lake/t"), "select count(*), count(distinct id) from t")?.agreed();
    ensure!(rows == serde_json::json!([[3, 3]]), "{rows}");
    Ok(())
}

/// What the orchestrator says of row-level security.
async fn row_security(sandbox: &Sandbox) -> Result<Option<String>> {
    let text = reqwest::get(format!("http://{}/metrics", sandbox.ports()?.private)).await?.text().await?;
    Ok(text.lines().find_map(|line| line.strip_prefix("waybill_database_row_security ").map(str::to_owned)))
}

#[tokio::test(flavor = "multi_thread")]
async fn monitoring_sees_when_the_databases_user_begins_to_pass_row_level_security() -> Result<()> {
    let server = Postgres::start();
    let sandbox = Sandbox::start(Options::default().with("DATABASE__URL", &server.owner_url())).await?;
    ensure!(row_security(&sandbox).await?.as_deref() == Some("1"), "of a user of its own");
    server.run("alter role waybill bypassrls").await;
    ensure!(row_security(&sandbox).await?.as_deref() == Some("0"), "of a user who passes it");
    let on_sqlite = Sandbox::start(Options::default()).await?;
    ensure!(row_security(&on_sqlite).await?.is_none(), "SQLite has none");
    Ok(())
}
