//! Workers that end without a word, or do not end after their last one. Bounds of time are long here: what ends an attempt
//! in these tests is a look at its process.

use anyhow::{Result, ensure};
use waybill_tests::process::{is_alive, is_stopped, signal};
use waybill_tests::sandbox::Options;

use super::super::story::{ROWS, Story, first_task};

/// Nothing ends by the clock within a test.
fn patient(options: Options) -> Options {
    options.with("BOUNDS__LEASE", "10m").with("BOUNDS__OFFLINE_GRACE", "10m").with("BOUNDS__START_TIMEOUT", "10m")
}

/// A worker that left by itself in this way: lost at once, and the next attempt delivers.
async fn replaced(story: &Story, code: i32) -> Result<()> {
    let ended = story.delivers(2).await?;
    ensure!(story.marker.fired()?.len() == 1, "{:?}", story.marker.fired());
    let first = &ended.attempt_list[0];
    let why = first.failure.as_ref().map(|failure| failure.code.to_string());
    ensure!(first.state.to_string() == "lost" && why.as_deref() == Some("worker_lost"), "{first:?}");
    ensure!(story.exit_of(first.id).await? == code, "{first:?}");
    ensure!(story.commits() == 1, "{} commits", story.commits());
    story.table_is_exactly(ROWS)
}

#[tokio::test(flavor = "multi_thread")]
async fn f46_a_process_that_leaves_before_it_enrols_is_lost_at_once() -> Result<()> {
    let story = Story::start("full", |marker| Ok(patient(first_task(marker, "exit 0")?))).await?;
    replaced(&story, 0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn f46_a_process_that_leaves_without_a_report_is_lost_at_once() -> Result<()> {
    for point in ["enrolled", "files_closed"] {
        let faults = |order: String| patient(Options::default().with_faults(&[order]));
        let story = Story::start("full", |marker| Ok(faults(marker.order(&format!("{point}=exit"))))).await?;
        replaced(&story, 0).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f46_a_silent_process_that_is_killed_is_lost_at_once() -> Result<()> {
    let faults = |order: String| patient(Options::default().with_faults(&[order]));
    let story = Story::start("full", |marker| Ok(faults(marker.order("files_closed=stop")))).await?;
    let run = story.sandbox.trigger("items").await?;
    let worker = story.marker.fires(1).await?;
    while !is_stopped(worker) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await; // bounded by the test runner
    }
    signal(worker, "KILL")?;
    let ended = story.succeeds(run, 2).await?;
    ensure!(ended.attempt_list[0].state.to_string() == "lost", "{:?}", ended.attempt_list);
    ensure!(story.exit_of(ended.attempt_list[0].id).await? == 137, "it was not killed");
    ensure!(story.commits() == 1, "{} commits", story.commits());
    story.table_is_exactly(ROWS)
}

#[tokio::test(flavor = "multi_thread")]
async fn f46_a_process_that_hangs_after_its_final_report_is_ended_by_force() -> Result<()> {
    let story = Story::start("full", |marker| {
        let hangs = Options::default().with_faults(&[marker.order("after_report_final=freeze")]);
        Ok(hangs.with("BOUNDS__FINAL_GRACE", "1s"))
    })
    .await?;
    let ended = story.delivers(1).await?;
    let worker = story.marker.fires(1).await?;
    ensure!(is_alive(worker), "it did not hang");
    story.table_is_exactly(ROWS)?;
    // Asked to end it sleeps on; then it is killed.
    ensure!(story.exit_of(ended.attempt_list[0].id).await? == 137, "it ended by itself");
    let codes = story.sandbox.codes(ended.run.id).await?;
    ensure!(codes.iter().filter(|code| *code == "stop_sent").count() == 1, "{codes:?}");
    ensure!(story.commits() == 1, "{} commits", story.commits());
    story.table_is_exactly(ROWS)
}
