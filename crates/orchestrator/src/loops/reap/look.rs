//! Looks at the tasks of many attempts: each data plane once, all data planes at the same time.

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::future::join_all;
use waybill_launcher::{LaunchError, Launcher, TaskRef, TaskStatus};
use waybill_model::{DataPlaneId, OrgId};
use waybill_store::{Attempt, StoreResult};

use super::super::Context;

/// Look-ups of unrecorded tasks at once on one data plane.
const FINDS: usize = 8;

/// An attempt's task and what can be said about it.
pub(super) struct Seen {
    pub(super) launcher: Option<Arc<dyn Launcher>>,
    pub(super) task: Option<TaskRef>,
    pub(super) status: TaskStatus,
}

/// What is seen of each attempt, in their order. A launcher that fails to answer knows nothing.
pub(super) async fn at(context: &Context, attempts: &[Attempt]) -> StoreResult<Vec<Seen>> {
    let mut planes: HashMap<(OrgId, DataPlaneId), Vec<usize>> = HashMap::new();
    for (at, attempt) in attempts.iter().enumerate() {
        planes.entry((attempt.org, attempt.data_plane)).or_default().push(at);
    }
    let mut looks = Vec::with_capacity(planes.len());
    for ((org, plane), places) in planes {
        let plane = context.store.data_plane_get(org, plane).await?;
        let launcher = plane.and_then(|plane| context.launchers.of(&plane));
        looks.push(plane_at(launcher, places, attempts));
    }
    let mut seen: Vec<Option<Seen>> = attempts.iter().map(|_| None).collect();
    for (at, one) in join_all(looks).await.into_iter().flatten() {
        seen[at] = Some(one);
    }
    let nothing = || Seen { launcher: None, task: None, status: TaskStatus::Unknown };
    Ok(seen.into_iter().map(|one| one.unwrap_or_else(nothing)).collect())
}

async fn plane_at(launcher: Option<Arc<dyn Launcher>>, places: Vec<usize>, attempts: &[Attempt]) -> Vec<(usize, Seen)> {
    let Some(launcher) = launcher else {
        let blind = |at: usize| {
            let task = attempts[at].task.clone().map(TaskRef);
            (at, Seen { launcher: None, task, status: TaskStatus::Unknown })
        };
        return places.into_iter().map(blind).collect();
    };
    let found = futures::stream::iter(places.into_iter().map(|at| find(launcher.as_ref(), at, &attempts[at])));
    let found: Vec<(usize, Option<TaskRef>)> = found.buffer_unordered(FINDS).collect().await;
    let tasks: Vec<TaskRef> = found.iter().filter_map(|(_, task)| task.clone()).collect();
    let mut statuses = launcher.describe_all(&tasks).await.into_iter();
    let see = |(at, task): (usize, Option<TaskRef>)| {
        let status = match &task {
            Some(_) => known(statuses.next().unwrap_or(Ok(TaskStatus::Unknown))),
            None => TaskStatus::Unknown,
        };
        (at, Seen { launcher: Some(Arc::clone(&launcher)), task, status })
    };
    found.into_iter().map(see).collect()
}

async fn find(launcher: &dyn Launcher, at: usize, attempt: &Attempt) -> (usize, Option<TaskRef>) {
    if let Some(task) = &attempt.task {
        return (at, Some(TaskRef(task.clone())));
    }
    let found = launcher.find(attempt.id).await.unwrap_or_else(|error| {
        tracing::warn!(error = &error as &dyn std::error::Error, "an unrecorded task could not be looked for");
        None
    });
    (at, found)
}

fn known(looked: Result<TaskStatus, LaunchError>) -> TaskStatus {
    looked.unwrap_or_else(|error| {
        tracing::warn!(error = &error as &dyn std::error::Error, "a task could not be looked at");
        TaskStatus::Unknown
    })
}
