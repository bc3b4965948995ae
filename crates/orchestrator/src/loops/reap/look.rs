//! Looks at the tasks of many attempts: each data plane once, all data planes at the same time, none longer than its bound.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::task::JoinSet;
use waybill_launcher::{LaunchError, Launcher, TaskRef, TaskStatus};
use waybill_model::{AttemptId, DataPlaneId, OrgId};
use waybill_store::{Attempt, StoreResult};

use super::super::Context;

/// Calls for single tasks at once on one data plane.
const AT_ONCE: usize = 8;

/// An attempt's task and what can be said about it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) task: Option<TaskRef>,
    pub(super) status: TaskStatus,
    /// Nobody could say whether there is a task: none is known, which does not mean that there is none.
    pub(super) hidden: bool,
    /// It is not shown, its attempt is over, and a request to end it was answered.
    pub(super) stop_answered: bool,
}

impl Seen {
    const fn blind(task: Option<TaskRef>, hidden: bool) -> Self {
        Self { task, status: TaskStatus::Unknown, hidden, stop_answered: false }
    }
}

/// An attempt as a look needs it: its place in the batch, and what is recorded of its task.
#[derive(Clone)]
struct Wanted {
    at: usize,
    attempt: AttemptId,
    task: Option<TaskRef>,
    is_over: bool,
}

/// What one data plane showed.
pub(super) struct PlaneSeen {
    pub(super) plane: DataPlaneId,
    /// None where its kind is not served here.
    pub(super) launcher: Option<Arc<dyn Launcher>>,
    /// Whether it answered in time.
    pub(super) answered: bool,
    /// Places in the batch, and what is seen there.
    pub(super) attempts: Vec<(usize, Seen)>,
}

/// Begins to look at every data plane of these attempts. Each answer can be taken as soon as it is there; those that
/// were silent before are not asked again.
pub(super) async fn begin(
    context: &Context,
    attempts: &[Attempt],
    silent: &HashSet<DataPlaneId>,
) -> StoreResult<JoinSet<PlaneSeen>> {
    let mut planes: HashMap<(OrgId, DataPlaneId), Vec<Wanted>> = HashMap::new();
    for (at, attempt) in attempts.iter().enumerate() {
        let wanted = Wanted {
            at,
            attempt: attempt.id,
            task: attempt.task.clone().map(TaskRef),
            is_over: attempt.state.is_final(),
        };
        planes.entry((attempt.org, attempt.data_plane)).or_default().push(wanted);
    }
    let mut looks = JoinSet::new();
    for ((org, id), wanted) in planes {
        let plane = context.store.data_plane_get(org, id).await?;
        let launcher = plane.and_then(|plane| context.launchers.of(&plane));
        let bound = (!silent.contains(&id)).then_some(context.bounds.look);
        looks.spawn(plane_at(id, launcher, wanted, bound));
    }
    Ok(looks)
}

/// What one data plane shows. One that does not answer in time knows nothing, and neither does a launcher that fails.
async fn plane_at(
    plane: DataPlaneId,
    launcher: Option<Arc<dyn Launcher>>,
    wanted: Vec<Wanted>,
    bound: Option<Duration>,
) -> PlaneSeen {
    let Some(launcher) = launcher else {
        let blind = |it: Wanted| (it.at, Seen::blind(it.task, false));
        return PlaneSeen { plane, launcher: None, answered: true, attempts: wanted.into_iter().map(blind).collect() };
    };
    let answer = match bound {
        Some(bound) => tokio::time::timeout(bound, ask(&launcher, wanted.clone())).await.ok(),
        None => None,
    };
    let answered = answer.is_some();
    if !answered && bound.is_some() {
        tracing::warn!(plane.id = %plane, "a data plane did not answer in time; what its tasks do is not known");
    }
    let blind = |it: Wanted| {
        let hidden = it.task.is_none();
        (it.at, Seen::blind(it.task, hidden))
    };
    let attempts = answer.unwrap_or_else(|| wanted.into_iter().map(blind).collect());
    PlaneSeen { plane, launcher: Some(launcher), answered, attempts }
}

async fn ask(launcher: &Arc<dyn Launcher>, wanted: Vec<Wanted>) -> Vec<(usize, Seen)> {
    let finds = futures::stream::iter(wanted).map(|it| find(Arc::clone(launcher), it));
    let found: Vec<Found> = finds.buffer_unordered(AT_ONCE).collect().await;
    let tasks: Vec<TaskRef> = found.iter().filter_map(|found| found.task.clone()).collect();
    let mut statuses = launcher.describe_all(&tasks).await.into_iter();
    let see = |Found { at, is_over, task, hidden }: Found| {
        let status = match &task {
            Some(_) => known(statuses.next().unwrap_or(Ok(TaskStatus::Unknown))),
            None => TaskStatus::Unknown,
        };
        (at, is_over, Seen { status, ..Seen::blind(task, hidden) })
    };
    let seen: Vec<_> = found.into_iter().map(see).collect();
    let ends =
        futures::stream::iter(seen).map(|(at, is_over, seen)| end_unseen(Arc::clone(launcher), at, is_over, seen));
    ends.buffer_unordered(AT_ONCE).collect().await
}

/// Asks the task of an attempt that is over to end where the cloud does not show it: a list may be wrong.
async fn end_unseen(launcher: Arc<dyn Launcher>, at: usize, is_over: bool, mut seen: Seen) -> (usize, Seen) {
    if let (true, TaskStatus::Missing, Some(task)) = (is_over, seen.status, &seen.task) {
        let asked = launcher.stop(task).await;
        let nobody = |error: &LaunchError| {
            matches!(error, LaunchError::Busy | LaunchError::NoAnswer { .. } | LaunchError::SessionEnded)
        };
        seen.stop_answered = !asked.as_ref().is_err_and(nobody);
    }
    (at, seen)
}

/// A task's reference, as recorded or as looked for.
struct Found {
    at: usize,
    is_over: bool,
    task: Option<TaskRef>,
    hidden: bool,
}

async fn find(launcher: Arc<dyn Launcher>, wanted: Wanted) -> Found {
    let Wanted { at, attempt, task, is_over } = wanted;
    if task.is_some() {
        return Found { at, is_over, task, hidden: false };
    }
    match launcher.find(attempt).await {
        Ok(task) => Found { at, is_over, task, hidden: false },
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "an unrecorded task could not be looked for");
            Found { at, is_over, task: None, hidden: true }
        }
    }
}

fn known(looked: Result<TaskStatus, LaunchError>) -> TaskStatus {
    looked.unwrap_or_else(|error| {
        tracing::warn!(error = &error as &dyn std::error::Error, "a task could not be looked at");
        TaskStatus::Unknown
    })
}

/// Asks one data plane's tasks to end, some at once and none longer than the bound; what fails is tried again next time.
pub(super) async fn stop_all(launcher: Arc<dyn Launcher>, tasks: Vec<TaskRef>, bound: Duration) {
    let many = tasks.len();
    let stops = futures::stream::iter(tasks).map(|task| stop(Arc::clone(&launcher), task));
    let all = stops.buffer_unordered(AT_ONCE).for_each(|()| std::future::ready(()));
    if tokio::time::timeout(bound, all).await.is_err() {
        tracing::warn!(tasks = many, "a data plane did not stop its tasks in time; tried again");
    }
}

async fn stop(launcher: Arc<dyn Launcher>, task: TaskRef) {
    match launcher.stop(&task).await {
        Ok(()) | Err(LaunchError::OutOfReach) => {}
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "a task could not be stopped; tried again");
        }
    }
}
