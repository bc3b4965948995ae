//! Launches that break off at every step of the cloud's calls: one task, whatever happens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use waybill_model::FailureCode;
use waybill_model::run::{AttemptState, RunState};
use waybill_orchestrator::loops::dispatch::Dispatcher;
use waybill_orchestrator::service::attempt::EnrolError;
use waybill_orchestrator::service::bounds::Bounds;
use waybill_tests::aws::{Aws, Fault, Trust};
use zeroize::Zeroizing;

use super::fixture::{another, bodies, bounds, granted, world};
use super::storm::runs;
use crate::loops::fixture::{World, claim, reap_until, until};

/// Rounds of another orchestrator until the attempt has its task.
async fn taken_over(world: &World, second: &Dispatcher, run: waybill_model::RunId) {
    until("the launch is replayed", async || {
        second.round().await.expect("a round");
        second.finish().await;
        world.attempt(run).await.task.is_some()
    })
    .await;
}

async fn one_task(world: &World, aws: &Aws, run: waybill_model::RunId) {
    let attempt = world.attempt(run).await;
    let tasks = aws.tasks_of(&attempt.id.to_string());
    assert_eq!(tasks.len(), 1, "one task");
    assert_eq!(attempt.task.as_deref(), Some(tasks[0].arn.as_str()));
    assert_eq!(world.attempt_states(run).await, [AttemptState::Launching]);
}

#[tokio::test(flavor = "multi_thread")]
async fn f10_an_orchestrator_that_dies_before_run_task_is_replaced_and_one_task_starts() {
    let aws = granted().await;
    let world = world(&aws, bounds()).await;
    aws.fault("AssumeRole", Fault::Silence, 1);
    let run = world.trigger().await;
    world.dispatcher.round().await.expect("a round");
    until("the fault fires", async || aws.fired("AssumeRole") == 1).await;
    assert!(aws.calls("RunTask").is_empty());
    taken_over(&world, &another(&world), run.id).await;
    one_task(&world, &aws, run.id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f11_an_orchestrator_that_dies_before_the_arn_is_recorded_is_replaced_and_finds_the_task() {
    let aws = granted().await;
    let world = world(&aws, bounds()).await;
    aws.fault("RunTask", Fault::Silence, 1);
    let run = world.trigger().await;
    world.dispatcher.round().await.expect("a round");
    until("the fault fires", async || aws.fired("RunTask") == 1).await;
    assert_eq!(world.attempt(run.id).await.task, None);
    taken_over(&world, &another(&world), run.id).await;
    let calls = aws.calls("RunTask");
    assert_eq!((calls.len(), &calls[0].body), (2, &calls[1].body), "the same bytes");
    one_task(&world, &aws, run.id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f11_a_replay_with_another_ticket_learns_the_task_from_the_conflict() {
    let aws = granted().await;
    let world = world(&aws, bounds()).await;
    aws.fault("RunTask", Fault::Silence, 1);
    let run = world.trigger().await;
    world.dispatcher.round().await.expect("a round");
    until("the fault fires", async || aws.fired("RunTask") == 1).await;
    let mut context = world.context.clone();
    context.holder = Arc::from("another");
    context.mint = Arc::new(|_, _| Zeroizing::new("another ticket".into()));
    taken_over(&world, &Dispatcher::new(context), run.id).await;
    let calls = aws.calls("RunTask");
    assert!(calls.len() == 2 && calls[0].body != calls[1].body);
    one_task(&world, &aws, run.id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f12_a_launch_without_an_answer_is_asked_again_and_never_failed() {
    let aws = granted().await;
    let world = world(&aws, bounds()).await;
    aws.fault("RunTask", Fault::LostAnswer, 3);
    let run = world.trigger().await;
    until("the task is recorded", async || {
        world.dispatch().await;
        assert_eq!(world.run(run.id).await.state, RunState::Launching);
        world.attempt(run.id).await.task.is_some()
    })
    .await;
    assert_eq!(aws.fired("RunTask"), 3);
    one_task(&world, &aws, run.id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f13_two_orchestrators_on_one_queue_start_one_task_for_each_run() {
    let aws = granted().await;
    let world = world(&aws, bounds()).await;
    let second = another(&world);
    // Each is earlier once, and the other one comes when it has launched something: it is late for what is left, and wants it.
    let launched = async |many: usize| until("something is launched", async || aws.tasks().len() > many).await;
    let early = runs(&world, 0..40).await;
    let late_second = async {
        launched(0).await;
        second.round().await
    };
    let (one, two) = tokio::join!(world.dispatcher.round(), late_second);
    tokio::join!(world.dispatcher.finish(), second.finish());
    let late = runs(&world, 40..80).await;
    let late_first = async {
        launched(40).await;
        world.dispatcher.round().await
    };
    let (three, four) = tokio::join!(second.round(), late_first);
    tokio::join!(world.dispatcher.finish(), second.finish());
    let rounds = [one, two, three, four].map(|round| round.expect("a round"));
    let [one, two, three, four] = &rounds;
    assert!(one.acted + four.acted > 0 && two.acted + three.acted > 0, "both took some: {rounds:?}");
    assert!(one.seen + two.seen > 40 && three.seen + four.seen > 40, "both wanted the same: {rounds:?}");
    let (acted, failed) = rounds.iter().fold((0, 0), |sum, round| (sum.0 + round.acted, sum.1 + round.failed));
    assert_eq!((acted, failed, aws.tasks().len()), (80, 0, 80), "{rounds:?}");
    for run in early.into_iter().chain(late) {
        one_task(&world, &aws, run).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f15_room_that_never_comes_ends_in_no_capacity_within_the_start_timeout() {
    let aws = granted().await;
    let short = Bounds { start_timeout: Duration::from_millis(800), attempts: 1, ..bounds() };
    let world = world(&aws, short).await;
    aws.fault("RunTask", Fault::Held, 1);
    let run = world.trigger().await;
    let begun = Instant::now();
    world.dispatch().await;
    assert_eq!(aws.fired("RunTask"), 1);
    world.reap().await;
    let waits = bodies(&world, run.id, "task_waits").await;
    assert_eq!(waits, [serde_json::json!({ "phase": "provisioning" })]);
    reap_until(&world, run.id, RunState::Failed).await;
    assert_eq!(world.run(run.id).await.failure, Some(FailureCode::NoCapacity));
    let attempt = world.attempt(run.id).await;
    let fenced = attempt.fenced_at.expect("fenced").since(attempt.created_at);
    assert!(fenced >= Duration::from_millis(800), "fenced before its bound: {fenced:?}");
    assert!(begun.elapsed() < Duration::from_secs(5), "within its bound and a reconcile, not {:?}", begun.elapsed());
    let codes = world.codes(run.id).await;
    let at = |code: &str| codes.iter().position(|known| known == code).expect(code);
    assert!(at("fenced") < at("stop_sent") && at("stop_sent") < at("ended"), "{codes:?}");
    assert!(aws.tasks()[0].is_over());
}

#[tokio::test(flavor = "multi_thread")]
async fn f15_a_cloud_without_room_is_asked_again_with_the_same_token() {
    let aws = granted().await;
    let world = world(&aws, bounds()).await;
    aws.fault("RunTask", Fault::NoRoom, 2);
    let run = world.trigger().await;
    until("the task is recorded", async || {
        world.dispatch().await;
        world.attempt(run.id).await.task.is_some()
    })
    .await;
    assert_eq!(aws.fired("RunTask"), 2);
    assert_eq!(bodies(&world, run.id, "task_waits").await, [serde_json::json!({ "phase": "no_room" })], "told once");
    one_task(&world, &aws, run.id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f16_a_task_that_starts_after_the_start_timeout_is_fenced_and_stopped() {
    let aws = granted().await;
    let short = Bounds { start_timeout: Duration::from_millis(800), attempts: 1, ..bounds() };
    let world = world(&aws, short).await;
    aws.fault("RunTask", Fault::Held, 1);
    let run = world.trigger().await;
    world.dispatch().await;
    let attempt = world.attempt(run.id).await;
    aws.fault("StopTask", Fault::Throttle, 1);
    until("the start timeout fences it", async || {
        world.reap().await;
        world.attempt(run.id).await.fenced_at.is_some()
    })
    .await;
    assert_eq!(aws.fired("StopTask"), 1, "the stop was lost");
    aws.release(attempt.task.as_deref().expect("a task"));
    assert_eq!(aws.tasks()[0].last_status, "RUNNING");
    assert!(matches!(world.attempts.may_enrol(attempt.id).await, Err(EnrolError::Fenced)));
    assert!(matches!(world.attempts.enrol(&claim(&attempt), [7; 32]).await, Err(EnrolError::Fenced)));
    reap_until(&world, run.id, RunState::Failed).await;
    assert!(aws.tasks()[0].is_over());
}

#[tokio::test(flavor = "multi_thread")]
async fn f37_a_role_that_was_taken_away_ends_the_run_with_action_and_arn_and_no_retry() {
    let aws = granted().await;
    let world = world(&aws, bounds()).await;
    aws.change_role(&Aws::launch_role(), |role| role.trust = Trust::Nobody);
    let run = world.trigger().await;
    world.dispatch().await;
    let ended = world.run(run.id).await;
    assert_eq!((ended.state, ended.failure, ended.attempts), (RunState::Failed, Some(FailureCode::AccessDenied), 1));
    let said = bodies(&world, run.id, "launch_failed").await;
    assert_eq!((&said[0]["action"], &said[0]["resource"]), (&"sts:AssumeRole".into(), &Aws::launch_role().into()));

    aws.change_role(&Aws::launch_role(), |role| role.trust = Trust::Id(super::fixture::EXTERNAL_ID.into()));
    aws.change_role(&Aws::launch_role(), |role| role.families = vec!["another-family".into()]);
    let run = world.trigger().await;
    world.dispatch().await;
    let said = bodies(&world, run.id, "launch_failed").await;
    let family = "arn:aws:ecs:eu-central-1:222222222222:task-definition/waybill-worker";
    assert_eq!((&said[0]["action"], &said[0]["resource"]), (&"ecs:RunTask".into(), &family.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn f45_a_cancel_while_launching_leaves_no_task_after_one_reconcile() {
    let aws = granted().await;
    let world = world(&aws, bounds()).await;
    let run = world.trigger().await;
    world.dispatch().await;
    world.runs.cancel(&world.caller(), run.id).await.expect("asked");
    world.reap().await;
    assert!(world.attempt(run.id).await.fenced_at.is_some(), "fenced first");
    assert!(aws.tasks()[0].is_over(), "stopped in the same round");
    reap_until(&world, run.id, RunState::Canceled).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f45_a_cancel_before_the_task_is_known_stops_it_when_the_cloud_shows_it() {
    let aws = granted().await;
    let world = world(&aws, bounds()).await;
    aws.fault("RunTask", Fault::Silence, 1);
    let run = world.trigger().await;
    world.dispatcher.round().await.expect("a round");
    until("the fault fires", async || aws.fired("RunTask") == 1).await;
    assert_eq!(world.attempt(run.id).await.task, None);
    world.runs.cancel(&world.caller(), run.id).await.expect("asked");
    reap_until(&world, run.id, RunState::Canceled).await;
    assert!(aws.tasks()[0].is_over());
}

#[tokio::test(flavor = "multi_thread")]
async fn f45_a_task_that_the_cloud_shows_only_after_its_attempt_ended_is_stopped_as_a_stray() {
    let aws = granted().await;
    let world = world(&aws, bounds()).await;
    // Its answer is lost, and no list shows it while the cancel is settled.
    aws.fault("RunTask", Fault::LostAnswer, 1);
    let run = world.trigger().await;
    world.dispatch().await;
    let arn = aws.tasks()[0].arn.clone();
    aws.change_task(&arn, |task| task.vanished = true);
    world.runs.cancel(&world.caller(), run.id).await.expect("asked");
    reap_until(&world, run.id, RunState::Canceled).await;
    assert!(world.attempt(run.id).await.task_over && !aws.tasks()[0].is_over());
    aws.change_task(&arn, |task| task.vanished = false);
    aws.fault("StopTask", Fault::ServerError, 3);
    until("a reconcile stops it", async || {
        world.reap().await;
        aws.tasks()[0].is_over()
    })
    .await;
    assert_eq!(aws.fired("StopTask"), 3, "it was asked again and again");
    let told = world.codes(run.id).await.iter().filter(|code| *code == "stop_sent").count();
    assert_eq!(told, 1, "the timeline tells it once");
}
