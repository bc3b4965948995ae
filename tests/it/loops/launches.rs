//! Launches that break off at every step: one task, whatever happens.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use waybill_launcher::TaskStatus;
use waybill_model::FailureCode;
use waybill_model::run::{AttemptState, RunState};
use waybill_orchestrator::loops::dispatch::Dispatcher;
use waybill_orchestrator::service::attempt::EnrolError;
use waybill_orchestrator::service::bounds::Bounds;
use waybill_store::Attempt;

use super::fixture::{Database, LaunchFault, World, bounds, claim, reap_until, until};

/// Lets the first orchestrator die at its launch, and a second one take over.
async fn dies_at(fault: LaunchFault) -> (World, Attempt) {
    let world = World::new(Database::sqlite(), bounds()).await;
    *world.launcher.fault.lock().expect("the fault") = fault;
    let run = world.trigger().await;
    world.dispatcher.round().await.expect("a round");
    until("the fault fires", async || world.launcher.fired.load(Ordering::SeqCst) == 1).await;
    let attempt = world.attempt(run.id).await;
    assert_eq!((attempt.state, &attempt.task), (AttemptState::Launching, &None));
    // Its process is gone; what it was doing goes with it.
    *world.launcher.fault.lock().expect("the fault") = LaunchFault::None;
    let mut context = world.context.clone();
    context.holder = Arc::from("another process");
    let second = Dispatcher::new(context);
    until("the launch is replayed", async || {
        second.round().await.expect("a round");
        second.finish().await;
        world.attempt(run.id).await.task.is_some()
    })
    .await;
    let replayed = world.attempt(run.id).await;
    assert_eq!((replayed.id, &replayed.launch_request), (attempt.id, &attempt.launch_request), "the same bytes");
    assert_eq!(replayed.launch_holder, "another process");
    world.until_begun(attempt.id).await;
    assert_eq!(world.begun(attempt.id), 1, "one task");
    assert_eq!(world.attempt_states(run.id).await, [AttemptState::Launching]);
    (world, replayed)
}

#[tokio::test]
async fn f10_an_attempt_whose_launch_was_never_made_is_launched_once() {
    let (world, attempt) = dies_at(LaunchFault::DiesBefore).await;
    world.enrol(&attempt).await;
    assert_eq!(world.run(attempt.run).await.state, RunState::Running);
}

#[tokio::test]
async fn f11_a_task_that_was_not_recorded_is_found_and_not_doubled() {
    let (world, attempt) = dies_at(LaunchFault::DiesAfter).await;
    world.enrol(&attempt).await;
    assert_eq!(world.run(attempt.run).await.state, RunState::Running);
}

#[tokio::test]
async fn f12_a_launch_without_an_answer_is_asked_again_and_never_failed() {
    let world = World::new(Database::sqlite(), bounds()).await;
    *world.launcher.fault.lock().expect("the fault") = LaunchFault::AnswerLost;
    let run = world.trigger().await;
    until("the fault fires three times", async || {
        world.dispatch().await;
        assert_eq!(world.run(run.id).await.state, RunState::Launching);
        world.launcher.fired.load(Ordering::SeqCst) >= 3
    })
    .await;
    *world.launcher.fault.lock().expect("the fault") = LaunchFault::None;
    until("the task is recorded", async || {
        world.dispatch().await;
        world.attempt(run.id).await.task.is_some()
    })
    .await;
    let attempt = world.attempt(run.id).await;
    world.until_begun(attempt.id).await;
    assert_eq!((world.begun(attempt.id), attempt.number), (1, 1));
}

#[tokio::test]
async fn f16_a_task_that_starts_after_the_start_timeout_is_fenced() {
    let short = Bounds { start_timeout: Duration::from_millis(300), attempts: 1, ..bounds() };
    let world = World::new(Database::sqlite(), short).await;
    let run = world.trigger().await;
    world.dispatch().await;
    let attempt = world.attempt(run.id).await;
    until("the start timeout fences it", async || {
        world.reap().await;
        world.attempt(run.id).await.fenced_at.is_some()
    })
    .await;
    assert!(matches!(world.attempts.may_enrol(attempt.id).await, Err(EnrolError::Fenced)));
    assert!(matches!(world.attempts.enrol(&claim(&attempt), [7; 32]).await, Err(EnrolError::Fenced)));
    reap_until(&world, run.id, RunState::Failed).await;
    assert_eq!(world.run(run.id).await.failure, Some(FailureCode::StartTimeout));
    assert!(matches!(world.task_status(&attempt).await, TaskStatus::Stopped { .. }));
}

#[tokio::test]
async fn f45_a_cancel_while_launching_leaves_no_task() {
    let world = World::new(Database::sqlite(), bounds()).await;
    let run = world.trigger().await;
    world.dispatch().await;
    let attempt = world.attempt(run.id).await;
    world.until_begun(attempt.id).await;
    world.runs.cancel(&world.caller(), run.id).await.expect("asked");
    world.reap().await;
    assert!(world.attempt(run.id).await.fenced_at.is_some(), "fenced first");
    assert!(matches!(world.attempts.enrol(&claim(&attempt), [7; 32]).await, Err(EnrolError::Fenced)));
    until("the task is gone", async || matches!(world.task_status(&attempt).await, TaskStatus::Stopped { .. })).await;
    reap_until(&world, run.id, RunState::Canceled).await;
    assert_eq!(world.attempt_states(run.id).await, [AttemptState::Lost]);
}

#[tokio::test]
async fn f45_a_cancel_before_the_task_is_known_stops_it_when_it_appears() {
    let world = World::new(Database::sqlite(), bounds()).await;
    *world.launcher.fault.lock().expect("the fault") = LaunchFault::DiesAfter;
    let run = world.trigger().await;
    world.dispatcher.round().await.expect("a round");
    until("the fault fires", async || world.launcher.fired.load(Ordering::SeqCst) == 1).await;
    let attempt = world.attempt(run.id).await;
    assert_eq!(attempt.task, None);
    world.runs.cancel(&world.caller(), run.id).await.expect("asked");
    reap_until(&world, run.id, RunState::Canceled).await;
    assert!(matches!(world.task_status(&attempt).await, TaskStatus::Stopped { .. }));
}

#[tokio::test]
async fn a_cancel_in_the_queue_ends_the_run_without_an_attempt() {
    let world = World::new(Database::sqlite(), bounds()).await;
    let run = world.trigger().await;
    world.runs.cancel(&world.caller(), run.id).await.expect("asked");
    world.dispatch().await;
    let run = world.run(run.id).await;
    assert_eq!((run.state, run.attempts), (RunState::Canceled, 0));
}

#[tokio::test]
async fn a_program_that_can_not_be_started_fails_the_run_after_its_tries() {
    let mut world = World::new(Database::sqlite(), Bounds { attempts: 2, ..bounds() }).await;
    let worker = waybill_orchestrator::loops::WorkerProgram {
        program: "/nonexistent/worker".into(),
        args: vec![],
        variables: vec![],
    };
    world.context.worker = Arc::new(worker);
    world.dispatcher = Dispatcher::new(world.context.clone());
    let run = world.trigger().await;
    until("the tries are over", async || {
        world.dispatch().await;
        world.run(run.id).await.state == RunState::Failed
    })
    .await;
    let ended = world.run(run.id).await;
    assert_eq!((ended.failure, ended.attempts), (Some(FailureCode::LaunchFailed), 2));
    assert_eq!(world.attempt_states(run.id).await, [AttemptState::Failed, AttemptState::Failed]);
}
