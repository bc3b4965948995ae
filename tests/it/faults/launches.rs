//! Launches that go wrong around a real process: its start is not answered, it works only later, or nobody wants it any more.

use anyhow::{Result, ensure};
use waybill_tests::process::is_alive;

use super::super::story::{ROWS, Story, first_task, until_released};

#[tokio::test(flavor = "multi_thread")]
async fn f12_a_launch_whose_answer_is_lost_is_asked_again_and_finds_its_process() -> Result<()> {
    let story = Story::start("full", |marker| {
        let lost = marker.beside("lost").order("task_started=lose");
        Ok(first_task(marker, &until_released(marker))?.with_faults(&[lost]).for_itself())
    })
    .await?;
    let run = story.sandbox.trigger("items").await?;
    let worker = story.marker.fires(1).await?;
    story.marker.beside("lost").fires(1).await?;
    let found = story.sandbox.until(run, |seen| seen.attempt_list.iter().any(|attempt| attempt.task.is_some())).await?;
    ensure!(found.run.state.to_string() == "launching", "{:?}", found.run);
    ensure!(is_alive(worker), "the process that was started first is gone");
    story.marker.release()?;
    story.succeeds(run, 1).await?;
    ensure!(story.sandbox.log().matches("started a worker process").count() == 1, "{}", story.sandbox.log());
    story.table_is_exactly(ROWS)
}

#[tokio::test(flavor = "multi_thread")]
async fn f16_a_process_that_works_only_after_the_start_timeout_is_fenced_and_writes_nothing() -> Result<()> {
    let story = Story::start("full", |marker| {
        // It does not hear that it is to end.
        let late = first_task(marker, &format!("trap '' TERM; {}", until_released(marker)))?;
        Ok(late.with("BOUNDS__START_TIMEOUT", "5s"))
    })
    .await?;
    let run = story.sandbox.trigger("items").await?;
    let late = story.marker.fires(1).await?;
    story.sandbox.told(run, "stop_sent").await?;
    ensure!(is_alive(late), "it was to start late, and is gone");
    story.marker.release()?;
    let ended = story.succeeds(run, 2).await?;
    let first = &ended.attempt_list[0];
    let why = first.failure.as_ref().map(|failure| failure.code.to_string());
    ensure!(why.as_deref() == Some("start_timeout") && first.enrolled_at.is_none(), "{first:?}");
    ensure!(story.exit_of(first.id).await? == 75, "it was not told that it is fenced");
    ensure!(story.files_of(run, first.id)? == 0, "a fenced worker wrote");
    ensure!(story.commits() == 1, "{} commits", story.commits());
    story.table_is_exactly(ROWS)
}

#[tokio::test(flavor = "multi_thread")]
async fn f45_a_cancel_while_a_process_starts_leaves_none() -> Result<()> {
    let story = Story::start("full", |marker| first_task(marker, &until_released(marker))).await?;
    let run = story.sandbox.trigger("items").await?;
    let worker = story.marker.fires(1).await?;
    story.sandbox.client.run_cancel(run).await?;
    let ended = story.sandbox.ended(run).await?;
    ensure!(ended.run.state.to_string() == "canceled" && ended.attempt_list.len() == 1, "{ended:?}");
    story.exit_of(ended.attempt_list[0].id).await?;
    ensure!(!is_alive(worker), "a process outlived its run");
    ensure!(story.files_of(run, ended.attempt_list[0].id)? == 0 && story.commits() == 0, "something was written");
    // The next run is not held up by it.
    story.delivers(1).await?;
    story.table_is_exactly(ROWS)
}
