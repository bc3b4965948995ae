//! What every launcher must do, as tests that any of them can run: `conformance::all(&subject).await`.
//!
//! A subject brings its launcher and tasks that behave as asked, and counts how often a task really began.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use waybill_model::AttemptId;

use crate::{LaunchRequest, Launcher, TaskRef, TaskStatus};

/// How a test task behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Takes its ticket and goes on until it is stopped.
    Stay,
    /// The same, and does not listen to a polite request.
    StayStubbornly,
    /// Takes its ticket and ends with this code.
    Exit(i32),
}

/// A launcher under test.
#[async_trait]
pub trait Subject: Sync {
    /// It.
    fn launcher(&self) -> &dyn Launcher;

    /// A request for a task of this behaviour.
    fn request(&self, attempt: AttemptId, behaviour: Behaviour) -> LaunchRequest;

    /// How many tasks have begun for this attempt so far, as the tasks themselves say.
    async fn begun(&self, attempt: AttemptId) -> usize;
}

/// Runs the whole suite.
///
/// # Panics
/// Where the launcher does not conform.
pub async fn all(subject: &dyn Subject) {
    a_task_runs_until_it_is_stopped(subject).await;
    a_stubborn_task_is_ended_by_force(subject).await;
    an_exit_code_is_kept(subject).await;
    the_same_request_makes_one_task(subject).await;
    starts_at_once_make_one_task(subject).await;
    a_task_that_ended_is_not_started_again(subject).await;
    an_unrecorded_task_is_found(subject).await;
    stopping_twice_does_no_harm(subject).await;
}

async fn a_task_runs_until_it_is_stopped(subject: &dyn Subject) {
    let task = start(subject, AttemptId::generate(), Behaviour::Stay).await;
    assert_eq!(look(subject, &task).await, TaskStatus::Running);
    stop(subject, &task).await;
    assert!(matches!(until_stopped(subject, &task).await, TaskStatus::Stopped { .. }));
}

async fn a_stubborn_task_is_ended_by_force(subject: &dyn Subject) {
    let attempt = AttemptId::generate();
    let task = start(subject, attempt, Behaviour::StayStubbornly).await;
    until_begun(subject, attempt).await;
    stop(subject, &task).await;
    until_stopped(subject, &task).await;
}

async fn an_exit_code_is_kept(subject: &dyn Subject) {
    let task = start(subject, AttemptId::generate(), Behaviour::Exit(75)).await;
    until_stopped(subject, &task).await;
    let until = Instant::now() + Duration::from_secs(20);
    let kept = TaskStatus::Stopped { exit_code: Some(75), cause: None };
    while look(subject, &task).await != kept {
        assert!(Instant::now() < until, "the exit code was not kept");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn the_same_request_makes_one_task(subject: &dyn Subject) {
    let attempt = AttemptId::generate();
    let first = start(subject, attempt, Behaviour::Stay).await;
    let second = start(subject, attempt, Behaviour::Stay).await;
    assert_eq!(first, second);
    until_begun(subject, attempt).await;
    assert_eq!(subject.begun(attempt).await, 1);
    stop(subject, &first).await;
    until_stopped(subject, &first).await;
}

async fn starts_at_once_make_one_task(subject: &dyn Subject) {
    let attempt = AttemptId::generate();
    let requests: Vec<_> = (0..8).map(|_| subject.request(attempt, Behaviour::Stay)).collect();
    let mut starts = Vec::new();
    for request in &requests {
        starts.push(subject.launcher().start(request));
    }
    let mut tasks = Vec::new();
    for answer in join_all(starts).await {
        tasks.push(answer.expect("every start finds the task"));
    }
    assert!(tasks.iter().all(|task| *task == tasks[0]));
    until_begun(subject, attempt).await;
    assert_eq!(subject.begun(attempt).await, 1);
    stop(subject, &tasks[0]).await;
    until_stopped(subject, &tasks[0]).await;
}

async fn a_task_that_ended_is_not_started_again(subject: &dyn Subject) {
    let attempt = AttemptId::generate();
    let task = start(subject, attempt, Behaviour::Exit(0)).await;
    until_stopped(subject, &task).await;
    assert_eq!(start(subject, attempt, Behaviour::Exit(0)).await, task);
    assert!(matches!(look(subject, &task).await, TaskStatus::Stopped { .. }));
    assert_eq!(subject.begun(attempt).await, 1);
}

async fn an_unrecorded_task_is_found(subject: &dyn Subject) {
    let attempt = AttemptId::generate();
    assert_eq!(subject.launcher().find(attempt).await.expect("a look"), None);
    let task = start(subject, attempt, Behaviour::Stay).await;
    assert_eq!(subject.launcher().find(attempt).await.expect("a look"), Some(task.clone()));
    stop(subject, &task).await;
    until_stopped(subject, &task).await;
}

async fn stopping_twice_does_no_harm(subject: &dyn Subject) {
    let task = start(subject, AttemptId::generate(), Behaviour::Stay).await;
    stop(subject, &task).await;
    stop(subject, &task).await;
    until_stopped(subject, &task).await;
    stop(subject, &task).await;
}

async fn start(subject: &dyn Subject, attempt: AttemptId, behaviour: Behaviour) -> TaskRef {
    subject.launcher().start(&subject.request(attempt, behaviour)).await.expect("a task starts")
}

async fn stop(subject: &dyn Subject, task: &TaskRef) {
    subject.launcher().stop(task).await.expect("a stop is taken");
}

async fn look(subject: &dyn Subject, task: &TaskRef) -> TaskStatus {
    subject.launcher().describe(task).await.expect("a look")
}

async fn until_stopped(subject: &dyn Subject, task: &TaskRef) -> TaskStatus {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let status = look(subject, task).await;
        if matches!(status, TaskStatus::Stopped { .. }) {
            return status;
        }
        assert!(Instant::now() < until, "the task did not stop");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn until_begun(subject: &dyn Subject, attempt: AttemptId) {
    let until = Instant::now() + Duration::from_secs(20);
    while subject.begun(attempt).await == 0 {
        assert!(Instant::now() < until, "the task did not begin");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Polls all of them in turn, without a crate for it.
async fn join_all<F: Future + Unpin>(mut futures: Vec<F>) -> Vec<F::Output> {
    let mut done: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, slot) in futures.iter_mut().zip(&mut done) {
            if slot.is_none()
                && let std::task::Poll::Ready(output) = std::pin::Pin::new(future).poll(context)
            {
                *slot = Some(output);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}
