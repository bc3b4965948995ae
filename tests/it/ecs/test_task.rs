//! A data plane's test task in the scripted cloud, with a real orchestrator: what is told of it, how it fails, and that no
//! task is left of it whatever happens.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use waybill_api::client::{AuditQuery, EventQuery};
use waybill_api::data_plane::DataPlane;
use waybill_api::event::RunEvent;
use waybill_api::run::{RunDetail, RunStart};
use waybill_model::run::RunKind;
use waybill_model::{FailureCode, RunId};
use waybill_tests::aws::task::IMAGE;
use waybill_tests::aws::{Aws, Ending, Fault, Program};

use super::planes::{Story, code, worker};

impl Story {
    /// A data plane that a check found ready.
    async fn ready(&self) -> Result<DataPlane> {
        let plane = self.granted().await?;
        assert!(self.check(&plane).await?.ready);
        Ok(plane)
    }

    async fn events(&self, run: RunId) -> Result<Vec<RunEvent>> {
        Ok(self.sandbox.client.run_events(run, &EventQuery::default()).await?.items)
    }

    /// Waits until the end of the test's task was told.
    async fn stopped(&self, run: RunId) -> Result<Vec<RunEvent>> {
        let until = std::time::Instant::now() + Duration::from_secs(60);
        loop {
            let events = self.events(run).await?;
            if events.iter().any(|event| event.code == "task_stopped") {
                return Ok(events);
            }
            anyhow::ensure!(std::time::Instant::now() < until, "{events:#?}\n{}", self.sandbox.log());
            tokio::time::sleep(Duration::from_millis(50)).await; // a poll of the public API, bounded above
        }
    }

    /// A test that fails with this code, in one attempt.
    async fn fails(&self, plane: &DataPlane, failure: FailureCode) -> Result<RunDetail> {
        let run = self.sandbox.client.data_plane_test(plane.id).await?.run.id;
        let ended = self.sandbox.ended(run).await?;
        let found = ended.run.failure.clone().context("a failure")?;
        assert_eq!((found.code, ended.run.attempts), (failure.into(), 1), "{}", self.sandbox.log());
        assert!(!found.hint.is_empty(), "it says what to do");
        Ok(ended)
    }

    /// Every task that was ever started is over.
    async fn none_is_left(&self) -> Result<()> {
        let until = std::time::Instant::now() + Duration::from_secs(30);
        while !self.aws.tasks().iter().all(waybill_tests::aws::Task::is_over) {
            anyhow::ensure!(std::time::Instant::now() < until, "a task is left\n{}", self.sandbox.log());
            tokio::time::sleep(Duration::from_millis(50)).await; // a poll of the fake, bounded above
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_task_starts_enrols_by_its_role_and_leaves_and_each_step_is_told() -> Result<()> {
    let story = Story::start().await?;
    let plane = story.ready().await?;
    story.aws.run_as(worker());
    let began = std::time::Instant::now();
    let run = story.sandbox.client.data_plane_test(plane.id).await?;
    assert_eq!((run.run.kind, run.run.subject.as_str()), (RunKind::Test.into(), "cloud"));
    let ended = story.sandbox.ended(run.run.id).await?;
    assert_eq!(
        ended.run.state.to_string(),
        "succeeded",
        "{:?}\n{}",
        story.events(run.run.id).await?,
        story.sandbox.log()
    );
    let told = story.stopped(run.run.id).await?;
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());

    let at =
        |code: &str| told.iter().position(|event| event.code == code).with_context(|| format!("{code}: {told:#?}"));
    assert!(at("queued")? < at("launching")? && at("launching")? < at("task_started")?);
    assert!(
        at("enrolled")? < at("role_proven")? && at("role_proven")? < at("ended")? && at("ended")? < at("task_stopped")?
    );
    let proven = &told[at("role_proven")?].text;
    assert!(proven.contains("waybill-worker of account 222222222222, as the task that was started"), "{proven}");
    let stopped = &told[at("task_stopped")?].text;
    assert!(stopped.contains("exit code 0") && stopped.contains(IMAGE), "{stopped}");
    assert_eq!(story.aws.tasks().len(), 1);
    story.none_is_left().await?;

    let audit = story.sandbox.client.audit_list(&AuditQuery::default()).await?.items;
    let entry = audit.iter().find(|entry| entry.action == "data_plane_test").context("an audit entry")?;
    assert!(entry.object.contains(&plane.id.to_string()) && entry.actor.starts_with("usr_"), "{entry:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_task_that_is_denied_is_told_with_action_and_resource_and_starts_nothing() -> Result<()> {
    let story = Story::start().await?;
    let plane = story.ready().await?;
    story.aws.change_role(&Aws::launch_role(), |role| role.lacks = vec!["RunTask"]);
    let ended = story.fails(&plane, FailureCode::AccessDenied).await?;
    let told = story.events(ended.run.id).await?;
    let denied = told.iter().find(|event| event.code == "launch_failed").context("the step")?;
    assert!(denied.level == "error" && denied.text.contains("ecs:RunTask on arn:aws:ecs:"), "{}", denied.text);
    let add: Value = serde_json::from_str(denied.statement.as_deref().context("the statement to add")?)?;
    assert_eq!((&add["Action"], &add["Effect"]), (&"ecs:RunTask".into(), &"Allow".into()));
    assert!(denied.text.contains(&add.to_string()) && add.to_string().contains("ecs:cluster"), "{}", denied.text);

    // The role that could not be handed over is named, and stands in the statement.
    story.aws.change_role(&Aws::launch_role(), |role| role.lacks = vec!["PassRole"]);
    let ended = story.fails(&plane, FailureCode::AccessDenied).await?;
    let told = story.events(ended.run.id).await?;
    let denied = told.iter().find(|event| event.code == "launch_failed").context("the step")?;
    let role = "arn:aws:iam::222222222222:role/teams/execution";
    assert!(denied.text.contains(&format!("iam:PassRole on {role} is not allowed")), "{}", denied.text);
    let add: Value = serde_json::from_str(denied.statement.as_deref().context("the statement to add")?)?;
    assert_eq!(add["Resource"], serde_json::json!([Aws::task_role(), role]));
    assert!(story.aws.tasks().is_empty() && told.iter().all(|event| event.code != "task_started"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_task_that_never_enrols_is_stopped_within_its_own_bound() -> Result<()> {
    let bound =
        [("TEST_START_TIMEOUT", "2s")].map(|(name, value)| (format!("WAYBILL__BOUNDS__{name}"), value.to_owned()));
    let story = Story::start_with(bound.to_vec()).await?;
    let plane = story.ready().await?;
    story.aws.run_as(Program::Nothing);
    let ended = story.fails(&plane, FailureCode::StartTimeout).await?;
    let attempt = ended.attempt_list.first().context("an attempt")?;
    let took = attempt.ended_at.context("an end")?.0.since(attempt.created_at.0);
    assert!(took < Duration::from_secs(15), "not the bound of a run's start: {took:?}");
    let told = story.stopped(ended.run.id).await?;
    assert!(told.iter().any(|event| event.code == "stop_sent"), "{told:#?}");
    assert_eq!(story.aws.tasks().len(), 1, "one task, and none after it");
    story.none_is_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_can_not_be_had_is_told_as_that() -> Result<()> {
    let story = Story::start().await?;
    let plane = story.ready().await?;
    let reason = "CannotPullContainerError: pull image manifest has been retried 5 time(s): not found";
    let ending = Ending { stop_code: "TaskFailedToStart", reason, container: Some((None, "")) };
    story.aws.fault("RunTask", Fault::Ends(ending), 1);
    let ended = story.fails(&plane, FailureCode::ImageUnavailable).await?;
    assert_eq!(story.aws.fired("RunTask"), 1, "the fault fired");
    let told = story.stopped(ended.run.id).await?;
    let stopped = told.iter().find(|event| event.code == "task_stopped").context("the step")?;
    assert!(stopped.text.contains("without an exit code"), "{}", stopped.text);
    assert_eq!(story.aws.calls("RunTask").iter().filter(|call| call.body.contains("\"wb/")).count(), 1);
    story.none_is_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_whose_caller_and_orchestrator_go_away_leaves_no_task() -> Result<()> {
    let bound = [("WAYBILL__BOUNDS__TEST_START_TIMEOUT".to_owned(), "3s".to_owned())];
    let mut story = Story::start_with(bound.to_vec()).await?;
    let plane = story.ready().await?;
    story.aws.run_as(Program::Nothing);
    let run = story.sandbox.client.data_plane_test(plane.id).await?.run.id;
    let started = |seen: &RunDetail| seen.attempt_list.iter().any(|attempt| attempt.task.is_some());
    story.sandbox.until(run, started).await?;
    let ports = story.sandbox.ports()?;
    story.sandbox.kill_orchestrator()?;
    assert!(!story.aws.tasks()[0].is_over(), "nobody has stopped it yet");
    story.sandbox.restart(&ports).await?;
    let ended = story.sandbox.ended(run).await?;
    assert_eq!(ended.run.failure.context("a failure")?.code, FailureCode::StartTimeout);
    story.none_is_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_asks_for_a_checked_data_plane_and_comes_once_at_a_time() -> Result<()> {
    let story = Story::start().await?;
    let client = &story.sandbox.client;
    let plane = story.granted().await?;
    let refused = client.data_plane_test(plane.id).await.expect_err("nobody checked it");
    let next = refused.problem().and_then(|problem| problem.next.clone()).unwrap_or_default();
    assert_eq!((code(&refused), next.as_str()), ("state_conflict", "waybill data-plane check cloud"));
    assert!(story.check(&plane).await?.ready);
    story.aws.run_as(Program::Nothing);
    let run = client.data_plane_test(plane.id).await?.run.id;
    let refused = client.data_plane_test(plane.id).await.expect_err("one is under way");
    assert!(code(&refused) == "state_conflict" && format!("{refused:?}").contains(&run.to_string()), "{refused:?}");
    client.run_cancel(run).await?;
    let ended = story.sandbox.ended(run).await?;
    assert_eq!(ended.run.state.to_string(), "canceled");
    story.none_is_left().await?;

    // It is no run of a pipeline or connection, and is not tried again as one.
    let refused = client.run_retry(run).await.expect_err("a test is started anew");
    assert_eq!(code(&refused), "unusable");
    let start = RunStart { kind: Some(RunKind::Test), ..RunStart::default() };
    assert_eq!(code(&client.run_start(&start).await.expect_err("for a data plane only")), "unusable");
    Ok(())
}
