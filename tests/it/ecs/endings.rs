//! How tasks end in a cloud, and what a run is told of it.

use std::time::Duration;

use waybill_launcher::ecs::{Capacity, EcsSettings};
use waybill_model::FailureCode;
use waybill_model::run::{AttemptState, RunState};
use waybill_orchestrator::service::bounds::Bounds;
use waybill_tests::aws::{Ending, Fault};

use super::fixture::{bounds, granted, settings, world, world_with};
use crate::loops::fixture::{failed, reap_until, until};

fn ended(stop_code: &'static str, reason: &'static str, container: Option<(Option<i32>, &'static str)>) -> Ending {
    Ending { stop_code, reason, container }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_terminal_state_of_a_task_gives_its_run_a_failure_code() {
    use FailureCode as C;
    let pull = "CannotPullContainerError: image not found";
    for (ending, code) in [
        (ended("TaskFailedToStart", pull, Some((None, pull))), C::ImageUnavailable),
        (ended("TaskFailedToStart", "ResourceInitializationError: unable to pull secrets", None), C::TaskSetupFailed),
        (ended("TaskFailedToStart", "Capacity is unavailable at this time.", None), C::NoCapacity),
        (ended("", "", None), C::TaskSetupFailed),
        (ended("EssentialContainerExited", "", Some((Some(137), "OutOfMemoryError"))), C::OutOfMemory),
        (ended("EssentialContainerExited", "", Some((Some(1), ""))), C::WorkerLost),
        (ended("SpotInterruption", "Your Spot Task was interrupted.", Some((Some(143), ""))), C::SpotInterrupted),
        (ended("UserInitiated", "Task stopped by user", Some((Some(143), ""))), C::WorkerLost),
    ] {
        let aws = granted().await;
        let world = world(&aws, Bounds { attempts: 1, ..bounds() }).await;
        aws.fault("RunTask", Fault::Ends(ending.clone()), 1);
        let run = world.trigger().await;
        world.dispatch().await;
        world.reap().await;
        let run = world.run(run.id).await;
        assert_eq!((run.state, run.failure), (RunState::Failed, Some(code)), "{ending:?}");
        assert_eq!(aws.fired("RunTask"), 1);
        assert!(world.attempt(run.id).await.task_over);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spare_capacity_that_is_not_there_or_taken_back_is_followed_by_the_plain_kind() {
    let spot = EcsSettings { capacity: Capacity::FargateSpot, ..settings() };
    let interrupted = ended("SpotInterruption", "Your Spot Task was interrupted.", Some((Some(143), "")));
    for fault in [Fault::NoRoom, Fault::Ends(interrupted)] {
        let aws = granted().await;
        let world = world_with(&aws, bounds(), &spot).await;
        aws.fault("RunTask", fault, 1);
        let run = world.trigger().await;
        until("the second attempt has its task", async || {
            world.dispatch().await;
            world.reap().await;
            let attempt = world.attempt(run.id).await;
            attempt.number == 2 && attempt.task.is_some()
        })
        .await;
        assert_eq!(aws.fired("RunTask"), 1);
        let asked: Vec<serde_json::Value> =
            aws.calls("RunTask").iter().map(|call| serde_json::from_str(&call.body).expect("JSON")).collect();
        assert_eq!(asked[0]["capacityProviderStrategy"][0]["capacityProvider"], "FARGATE_SPOT");
        assert!(asked[0]["launchType"].is_null());
        assert_eq!(asked[1]["launchType"], "FARGATE");
        assert_ne!(asked[0]["clientToken"], asked[1]["clientToken"], "another attempt, another token");
    }
}

/// A worker that is told to leave reports before its task is over: the attempt ends by its own word.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_uses_its_two_minutes_is_followed_by_the_plain_kind_too() {
    let spot = EcsSettings { capacity: Capacity::FargateSpot, ..settings() };
    let aws = granted().await;
    let world = world_with(&aws, bounds(), &spot).await;
    let (run, attempt) = world.running().await;
    world.complete(&attempt, failed(FailureCode::WorkerLost)).await;
    let arn = attempt.task.clone().expect("a task");
    let taken_back = ended("SpotInterruption", "Your Spot Task was interrupted.", Some((Some(143), "")));
    aws.change_task(&arn, |task| task.end(taken_back));
    until("the second attempt has its task", async || {
        world.dispatch().await;
        world.reap().await;
        let attempt = world.attempt(run.id).await;
        attempt.number == 2 && attempt.task.is_some()
    })
    .await;
    let asked: Vec<serde_json::Value> =
        aws.calls("RunTask").iter().map(|call| serde_json::from_str(&call.body).expect("JSON")).collect();
    assert_eq!(asked[0]["capacityProviderStrategy"][0]["capacityProvider"], "FARGATE_SPOT");
    assert_eq!(asked[1]["launchType"], "FARGATE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_the_cloud_does_not_know_is_gone_after_two_looks_and_its_worker_is_believed_first() {
    let aws = granted().await;
    let lease = Duration::from_millis(1_500);
    let short = Bounds { lease, heartbeat: lease / 3, grant: lease / 2, attempts: 2, ..bounds() };
    let world = world(&aws, short).await;
    let (run, attempt) = world.running().await;
    let arn = attempt.task.clone().expect("a task");
    aws.change_task(&arn, |task| task.vanished = true);
    world.reap().await;
    world.reap().await;
    world.reap().await;
    assert_eq!(world.attempt_states(run.id).await, [AttemptState::Running], "its lease is good");
    until("the lease is over and two looks have missed the task", async || {
        world.reap().await;
        world.attempt(run.id).await.state == AttemptState::Lost
    })
    .await;
    assert!(world.attempt(run.id).await.task_misses >= 1);
    assert_eq!(world.run(run.id).await.state, RunState::Queued);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_task_that_no_look_shows_yet_is_not_taken_for_gone() {
    let aws = granted().await;
    let world = world(&aws, bounds()).await;
    aws.fault("RunTask", Fault::Hidden(4), 1);
    let run = world.trigger().await;
    world.dispatch().await;
    for _ in 0..6 {
        world.reap().await;
    }
    assert_eq!(aws.fired("RunTask"), 1);
    assert_eq!(world.attempt_states(run.id).await, [AttemptState::Launching]);
}

#[tokio::test(flavor = "multi_thread")]
async fn f46_a_worker_that_exits_without_a_report_is_lost_at_once() {
    let aws = granted().await;
    let world = world(&aws, Bounds { attempts: 1, ..bounds() }).await;
    let (run, attempt) = world.running().await;
    let ending = ended("EssentialContainerExited", "Essential container in task exited", Some((Some(0), "")));
    aws.change_task(attempt.task.as_deref().expect("a task"), |task| task.end(ending));
    world.reap().await;
    assert_eq!(world.attempt_states(run.id).await, [AttemptState::Lost]);
    reap_until(&world, run.id, RunState::Failed).await;
    assert_eq!(world.run(run.id).await.failure, Some(FailureCode::WorkerLost));
}
