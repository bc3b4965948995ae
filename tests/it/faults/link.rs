//! A worker process whose way to the orchestrator is cut, or carries everything twice and out of order.

use anyhow::{Context as _, Result, ensure};
use waybill_model::RunId;
use waybill_tests::cut::Proxy;
use waybill_tests::process::{is_alive, wake};
use waybill_tests::sandbox::Options;

use super::super::story::{ROWS, Story};

/// A run whose worker, before it reads a row, loses every way to its orchestrator.
async fn cut_off(grace: &str) -> Result<(Story, [Proxy; 2], RunId, u32)> {
    let ways = [Proxy::start().await?, Proxy::start().await?];
    let story = Story::start("full", |marker| {
        let faults = Options::default().with_faults(&[marker.order("snapshot_open=stop")]);
        let told = faults.with("SERVER__PUBLIC_API", &ways[0].address.to_string());
        let told = told.with("SERVER__PUBLIC_WORKER", &ways[1].address.to_string());
        Ok(told.with("BOUNDS__OFFLINE_GRACE", grace))
    })
    .await?;
    let ports = story.sandbox.ports()?;
    ways[0].leads_to(ports.api.parse()?);
    ways[1].leads_to(ports.worker.parse()?);
    let run = story.sandbox.trigger("items").await?;
    let worker = story.marker.fires(1).await?;
    ways.iter().for_each(Proxy::cut);
    wake(worker).await?;
    Ok((story, ways, run, worker))
}

#[tokio::test(flavor = "multi_thread")]
async fn f18_a_worker_that_is_cut_off_within_the_grace_copies_on_and_commits_when_it_may() -> Result<()> {
    let (story, ways, run, worker) = cut_off("60s").await?;
    story.sandbox.told(run, "unreachable").await?;
    let attempt = story.sandbox.client.run_get(run).await?.attempt_list[0].id;
    while story.files_of(run, attempt)? == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(25)).await; // bounded by the test runner
    }
    ensure!(ways[1].cuts() >= 1 && is_alive(worker), "nothing was cut, or the worker left");
    ensure!(story.commits() == 0, "it committed without leave");
    ways.iter().for_each(Proxy::mend);
    story.succeeds(run, 1).await?;
    ensure!(story.commits() == 1, "{} commits", story.commits());
    story.table_is_exactly(ROWS)
}

#[tokio::test(flavor = "multi_thread")]
async fn f19_a_worker_that_is_cut_off_past_the_grace_leaves_and_the_next_attempt_delivers() -> Result<()> {
    let (story, ways, run, worker) = cut_off("4s").await?;
    let attempt = story.sandbox.client.run_get(run).await?.attempt_list[0].id;
    let code = story.exit_of(attempt).await?;
    ensure!(code == 69 && !is_alive(worker), "it left with {code}");
    ensure!(ways[1].cuts() >= 1, "nothing was cut");
    ensure!(story.commits() == 0, "it committed without leave");
    ways.iter().for_each(Proxy::mend);
    let ended = story.succeeds(run, 2).await?;
    ensure!(ended.attempt_list[0].state.to_string() == "lost", "{:?}", ended.attempt_list);
    ensure!(story.commits() == 1, "{} commits", story.commits());
    story.table_is_exactly(ROWS)
}

#[tokio::test(flavor = "multi_thread")]
async fn f21_reports_that_come_twice_and_out_of_order_tell_the_run_once() -> Result<()> {
    let told = async |faults: bool| -> Result<(Story, Vec<String>, u64)> {
        let order = if faults { "report=repeat" } else { "nowhere=repeat" };
        let story = Story::with_fault(order, "full").await?;
        let ended = story.delivers(1).await?;
        story.table_is_exactly(ROWS)?;
        let mut codes = story.sandbox.codes(ended.run.id).await?;
        // What the orchestrator notes itself comes in between as it comes.
        codes.sort();
        let rows = ended.streams[0].rows.context("rows")?;
        Ok((story, codes, rows))
    };
    let (plain, wanted, _) = told(false).await?;
    ensure!(plain.marker.fired().is_err(), "a fault that was not ordered fired");
    let (story, codes, rows) = told(true).await?;
    ensure!(story.marker.fired()?.len() > 1, "{:?}", story.marker.fired());
    ensure!(codes == wanted, "told {codes:?}\nwanted {wanted:?}");
    ensure!(rows == u64::try_from(ROWS)?, "{rows} rows were told");
    Ok(())
}
