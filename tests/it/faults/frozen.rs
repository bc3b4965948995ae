//! A worker whose machine sleeps past every grace, with leave to commit in its hand, and wakes at four moments. In all of
//! them the run has one commit, and no file that a reader needs is gone.

use anyhow::{Result, ensure};
use waybill_api::run::RunDetail;
use waybill_model::RunId;
use waybill_tests::fault::Marker;
use waybill_tests::process::{is_alive, wake};
use waybill_tests::sandbox::Options;

use super::super::story::{ROWS, Story};

/// How a worker leaves that another attempt took over from. Its own grace is over too when it wakes, but the orchestrator is
/// there and says that it is fenced.
const FENCED: i32 = 75;

/// Begins a run whose first worker sleeps just before it puts its commit; the faults that follow are for the second one.
/// Short bounds, so that the second attempt starts long before the first is ended by force.
async fn sleeping(then: Option<&str>, confirm: &str) -> Result<(Story, RunId, u32)> {
    let story = Story::start("full", |marker| {
        let mut orders = vec![marker.order("before_commit_put=freeze")];
        orders.extend(then.map(|fault| marker.beside("second").order(fault)));
        let bounds = Options::default().with("BOUNDS__OFFLINE_GRACE", "4s").with("BOUNDS__STOP_CONFIRM", confirm);
        Ok(bounds.with_faults(&orders))
    })
    .await?;
    let run = story.sandbox.trigger("items").await?;
    let worker = story.marker.fires(1).await?;
    Ok((story, run, worker))
}

async fn woken(marker: &Marker, worker: u32) -> Result<()> {
    ensure!(is_alive(worker), "the sleeping worker is gone");
    marker.release()?;
    wake(worker).await
}

/// The second attempt took the first one's commit over and copied nothing.
async fn adopted(story: &Story, run: RunId) -> Result<RunDetail> {
    let ended = story.succeeds(run, 2).await?;
    let receipt = story.sandbox.client.run_receipt(run).await?;
    ensure!(receipt.streams[0].adopted, "the commit was there, and rows were copied again");
    let code = story.exit_of(ended.attempt_list[0].id).await?;
    ensure!(code == FENCED, "the first worker left with {code}");
    ensure!(story.commits() == 1, "{} commits of one run", story.commits());
    story.table_is_exactly(ROWS)?;
    Ok(ended)
}

#[tokio::test(flavor = "multi_thread")]
async fn f17a_a_worker_that_wakes_before_the_next_attempt_commits_and_that_is_adopted() -> Result<()> {
    let (story, run, worker) = sleeping(None, "60s").await?;
    story.sandbox.told(run, "stop_sent").await?;
    woken(&story.marker, worker).await?;
    adopted(&story, run).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn f17b_a_worker_that_wakes_while_the_next_attempt_copies_commits_and_that_is_adopted() -> Result<()> {
    let (story, run, worker) = sleeping(Some("first_part=freeze"), "1s").await?;
    let second = story.marker.beside("second");
    let next = second.fires(1).await?;
    woken(&story.marker, worker).await?;
    while story.commits() == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await; // bounded by the test runner
    }
    woken(&second, next).await?;
    let ended = adopted(&story, run).await?;
    ensure!(story.files_of(run, ended.attempt_list[0].id)? > 0, "the first worker's files are gone");
    Ok(())
}

/// The next attempt has committed; nothing that the first one does now changes the table.
async fn superseded() -> Result<(Story, RunDetail, u32)> {
    let (story, run, worker) = sleeping(None, "1s").await?;
    let ended = story.succeeds(run, 2).await?;
    ensure!(story.commits() == 1, "{} commits", story.commits());
    Ok((story, ended, worker))
}

#[tokio::test(flavor = "multi_thread")]
async fn f17c_a_worker_that_wakes_after_the_next_attempt_committed_changes_nothing() -> Result<()> {
    let (story, ended, worker) = superseded().await?;
    let first = ended.attempt_list[0].id;
    let files = story.files_of(ended.run.id, first)?;
    woken(&story.marker, worker).await?;
    let code = story.exit_of(first).await?;
    ensure!(code == FENCED, "it left with {code}");
    ensure!(story.commits() == 1, "{} commits of one run", story.commits());
    ensure!(files > 0 && story.files_of(ended.run.id, first)? == files, "the loser's files do not wait for their end");
    story.table_is_exactly(ROWS)
}

#[tokio::test(flavor = "multi_thread")]
async fn f17d_a_worker_that_wakes_after_a_later_run_committed_changes_nothing() -> Result<()> {
    let (story, ended, worker) = superseded().await?;
    story.insert(ROWS + 1, ROWS + 500)?;
    story.delivers(1).await?;
    woken(&story.marker, worker).await?;
    let code = story.exit_of(ended.attempt_list[0].id).await?;
    ensure!(code == FENCED, "it left with {code}");
    ensure!(story.commits() == 2, "{} commits of two runs", story.commits());
    story.table_is_exactly(ROWS + 500)
}
