//! Launches that go wrong, as a real orchestrator process meets them on the scripted cloud.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use waybill_api::client::EventQuery;
use waybill_api::run::RunDetail;
use waybill_model::{FailureCode, RunId};
use waybill_tests::aws::{Aws, Called, Ending, Fault, Program, Trust};
use waybill_tests::fault::Marker;
use waybill_tests::sandbox::Options;

use super::planes::Story;

/// A run's start may take so long here.
const START: Duration = Duration::from_secs(3);

/// A data plane that a check found ready, with a pipeline whose runs have one attempt.
async fn ready() -> Result<Story> {
    let bounds = [("START_TIMEOUT", "3s"), ("ATTEMPTS", "1")];
    let bounds = bounds.map(|(name, value)| (format!("WAYBILL__BOUNDS__{name}"), value.to_owned()));
    let story = Story::start_with(bounds.to_vec()).await?;
    let plane = story.granted().await?;
    ensure!(story.check(&plane).await?.ready, "the check did not find it ready");
    story.pipeline().await?;
    Ok(story)
}

impl Story {
    async fn fails_with(&self, run: RunId, code: FailureCode) -> Result<RunDetail> {
        let ended = self.sandbox.ended(run).await?;
        let failure = ended.run.failure.clone().context("a failure")?;
        ensure!(failure.code == code, "{failure:?}\n{}", self.sandbox.log());
        ensure!(ended.attempt_list.len() == 1, "{:?}", ended.attempt_list);
        Ok(ended)
    }

    /// The time between two events of a run's timeline.
    async fn between(&self, run: RunId, from: &str, to: &str) -> Result<Duration> {
        let events = self.sandbox.client.run_events(run, &EventQuery::default()).await?.items;
        let at = |code: &str| events.iter().find(|event| event.code == code).map(|event| event.at.0);
        let (from, to) = (at(from).context("the first event")?, at(to).with_context(|| format!("{to}: {events:#?}"))?);
        Ok(to.since(from))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f15_a_real_orchestrator_gives_up_on_room_that_never_comes_within_its_bound() -> Result<()> {
    let story = ready().await?;
    story.aws.fault("RunTask", Fault::Held, 1);
    let run = story.sandbox.trigger("items").await?;
    story.fails_with(run, FailureCode::NoCapacity).await?;
    ensure!(story.aws.fired("RunTask") == 1, "the fault did not fire");
    let waited = story.between(run, "launching", "fenced").await?;
    ensure!(waited >= START && waited < START + Duration::from_secs(5), "it was fenced after {waited:?}");
    let settled = story.between(run, "fenced", "ended").await?;
    ensure!(settled < Duration::from_secs(10), "it ended {settled:?} after it was fenced");
    let codes = story.sandbox.codes(run).await?;
    let at = |code: &str| codes.iter().position(|known| known == code).with_context(|| format!("{code}: {codes:?}"));
    ensure!(at("task_waits")? < at("fenced")? && at("fenced")? < at("stop_sent")?, "{codes:?}");
    ensure!(at("stop_sent")? < at("ended")? && story.aws.tasks()[0].is_over(), "{codes:?}");

    // A task that stops before it has a container is told at once, and not by the bound.
    let reason = "Capacity is unavailable at this time. Please try again later or in a different availability zone";
    let ending = Ending { stop_code: "TaskFailedToStart", reason, container: None };
    story.aws.fault("RunTask", Fault::Ends(ending), 1);
    let run = story.sandbox.trigger("items").await?;
    story.fails_with(run, FailureCode::NoCapacity).await?;
    ensure!(story.aws.fired("RunTask") == 2, "the fault did not fire");
    let told = story.between(run, "launching", "ended").await?;
    ensure!(told < START, "it was told after {told:?}");
    Ok(())
}

/// A real orchestrator that the kernel kills at this step of its first launch, and one that takes over its state. The story, and the
/// run.
async fn killed_at(point: &str) -> Result<(Story, RunId)> {
    let marks = tempfile::tempdir()?;
    let marker = Marker::at(marks.path().join("mark"));
    let faults = Options::default().with_faults(&[marker.order(&format!("{point}=kill"))]).for_itself();
    let mut story = Story::start_as(faults).await?;
    let plane = story.granted().await?;
    ensure!(story.check(&plane).await?.ready, "the check did not find it ready");
    story.pipeline().await?;
    story.aws.run_as(Program::Nothing);
    let ports = story.sandbox.ports()?;
    // It may be killed before it answers: the run is there all the same.
    let _ = story.sandbox.trigger("items").await;
    story.sandbox.orchestrator_ended().await?;
    marker.fired()?;
    // What the cloud has before anybody looks again.
    let (asked, there) = (launches(&story).len(), story.aws.tasks().len());
    let before = if point == "task_started" { (1, 1) } else { (0, 0) };
    ensure!((asked, there) == before, "killed at {point} after {asked} calls, with {there} tasks");
    story.sandbox.restart(&ports).await?;
    let run = story.sandbox.only_run().await?;
    story.sandbox.until(run, |seen| seen.attempt_list.iter().any(|attempt| attempt.task.is_some())).await?;
    Ok((story, run))
}

/// Calls that start a task for an attempt; those of the check start none.
fn launches(story: &Story) -> Vec<Called> {
    story.aws.calls("RunTask").into_iter().filter(|call| call.body.contains("\"wb/")).collect()
}

/// One attempt, one task, recorded as the cloud names it; and it goes when it is not wanted any more.
async fn has_one_task(story: &Story, run: RunId) -> Result<()> {
    let (tasks, seen) = (story.aws.tasks(), story.sandbox.client.run_get(run).await?);
    ensure!(tasks.len() == 1 && seen.attempt_list.len() == 1, "{} tasks, {:?}", tasks.len(), seen.attempt_list);
    ensure!(seen.attempt_list[0].task.as_deref() == Some(&tasks[0].arn), "{:?}", seen.attempt_list);
    story.sandbox.client.run_cancel(run).await?;
    let ended = story.sandbox.ended(run).await?;
    ensure!(ended.run.state.to_string() == "canceled", "{:?}", ended.run);
    ensure!(story.aws.tasks().iter().all(waybill_tests::aws::Task::is_over), "a task is left");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f10_a_real_orchestrator_that_is_killed_before_run_task_is_followed_by_one_that_starts_one_task() -> Result<()>
{
    let (story, run) = killed_at("attempt_row_committed").await?;
    ensure!(launches(&story).len() == 1, "{:?}", launches(&story));
    has_one_task(&story, run).await
}

#[tokio::test(flavor = "multi_thread")]
async fn f11_a_real_orchestrator_that_is_killed_before_it_records_the_arn_is_followed_by_one_that_learns_it()
-> Result<()> {
    let (story, run) = killed_at("task_started").await?;
    let calls = launches(&story);
    ensure!(calls.len() == 2 && calls[0].body == calls[1].body, "the same bytes again: {calls:?}");
    has_one_task(&story, run).await
}

#[tokio::test(flavor = "multi_thread")]
async fn f37_a_real_orchestrator_ends_a_run_whose_role_was_taken_away_and_names_action_and_role() -> Result<()> {
    let story = ready().await?;
    story.aws.change_role(&Aws::launch_role(), |role| role.trust = Trust::Nobody);
    let before = story.aws.calls("AssumeRole").len();
    let run = story.sandbox.trigger("items").await?;
    story.fails_with(run, FailureCode::AccessDenied).await?;
    ensure!(story.aws.calls("AssumeRole").len() > before && story.aws.tasks().is_empty(), "the role was not asked for");
    let events = story.sandbox.client.run_events(run, &EventQuery::default()).await?.items;
    let told = events.iter().find(|event| event.code == "launch_failed").context("the step")?;
    ensure!(told.text.contains(&format!("sts:AssumeRole on {} is not allowed", Aws::launch_role())), "{}", told.text);
    ensure!(told.failure == Some(FailureCode::AccessDenied.into()), "{told:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f37_a_real_orchestrator_takes_another_session_where_its_own_was_taken_back() -> Result<()> {
    let story = ready().await?;
    story.aws.run_as(Program::Nothing);
    let run = story.sandbox.trigger("items").await?;
    story.sandbox.until(run, |seen| seen.attempt_list.iter().any(|attempt| attempt.task.is_some())).await?;
    // It has looked by its kept session, which the cloud takes back now.
    let kept = |story: &Story| story.aws.count("DescribeTasks", |call| call.by.ends_with("/waybill-look"));
    while kept(&story) == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await; // a poll of the fake, bounded by the test runner
    }
    let refused = |story: &Story| {
        let of = |action| story.aws.count(action, |call| call.served.is_none());
        of("DescribeTasks") + of("StopTask") + of("ListTasks")
    };
    let (before, asked) = (refused(&story), story.aws.calls("AssumeRole").len());
    story.aws.revoke_sessions(&Aws::launch_role());
    story.sandbox.client.run_cancel(run).await?;
    let ended = story.sandbox.ended(run).await?;
    ensure!(ended.run.state.to_string() == "canceled", "{:?}", ended.run);
    ensure!(story.aws.tasks().iter().all(waybill_tests::aws::Task::is_over), "a task is left");
    ensure!(refused(&story) > before, "no call met the session's end");
    ensure!(story.aws.calls("AssumeRole").len() > asked, "no other session was taken");
    Ok(())
}
