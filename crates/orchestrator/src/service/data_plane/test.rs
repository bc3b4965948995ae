//! A data plane's test: one task is started, enrols and leaves. It is a run like any other, so that whatever breaks, whoever
//! goes away, the loops end it and stop its task; nothing here waits for it.

use std::sync::Arc;
use std::time::Duration;

use waybill_api::ProblemCode;
use waybill_model::run::{RunKind, RunState};
use waybill_model::{ProjectId, RunId};
use waybill_store::{DataPlane, ListPart, Run, RunFilter, Sight, Store, StoreResult};

use super::{Once, Refused, ServiceResult, once};
use crate::app::Shared;
use crate::auth::Caller;
use crate::loops::launchers::AWS_ECS;
use crate::service::run::{RunDetail, RunService};
use crate::service::start::who;

/// What a check must have found about the external id.
const ENFORCED: &str = "enforced";
/// Between two looks at a test's task: somebody watches how far it is.
const LOOK: Duration = Duration::from_secs(2);

/// Starts the test, once for each idempotency key.
pub async fn test(
    app: &Arc<Shared>,
    caller: &Caller,
    plane: &DataPlane,
    key: Option<&Once>,
) -> ServiceResult<RunDetail> {
    let id: RunId = once(&app.store, key, async || {
        if plane.kind == AWS_ECS && plane.trust.as_deref() != Some(ENFORCED) {
            let detail = "no check has found yet that its role asks for the external id, so nothing is started there";
            let next = format!("waybill data-plane check {}", plane.name);
            return Err(Refused::new(ProblemCode::StateConflict, detail).next(next));
        }
        let project = oldest_project(app, caller).await?;
        none_under_way(app, caller, plane).await?;
        let mut tx = app.store.write_tx(caller.org).await?;
        let id = RunService::test_in_txn(&mut tx, &who(caller), project, (plane.id, &plane.name)).await?;
        if let Some(key) = key {
            key.keep(&mut tx, &id.to_string()).await?;
        }
        Store::audit_append_in_txn(&mut tx, &caller.audit("data_plane_test", plane.id)).await?;
        tx.commit().await?;
        app.runs.nudge(id);
        Ok(id)
    })
    .await?;
    let detail = app.runs.detail(caller.org, id).await?;
    tokio::spawn(hurry(Arc::clone(app), detail.run.clone()));
    Ok(detail)
}

/// A run belongs to a project and a data plane does not: the oldest one keeps the organization's tests.
async fn oldest_project(app: &Shared, caller: &Caller) -> ServiceResult<ProjectId> {
    let first = app.store.project_part(caller.org, Sight::All, &ListPart::by_id(None::<ProjectId>, 1)).await?;
    let missing =
        || Refused::new(ProblemCode::StateConflict, "the organization has no project yet").next("make a project");
    first.first().map(|project| project.id).ok_or_else(missing)
}

/// A second test would only wait for the first one: whoever asks is told of that one.
async fn none_under_way(app: &Shared, caller: &Caller, plane: &DataPlane) -> ServiceResult<()> {
    for state in [RunState::Queued, RunState::Launching, RunState::Running] {
        let filter = RunFilter { kind: Some(RunKind::Test), state: Some(state), ..RunFilter::default() };
        let live = app.runs.list(caller.org, &filter, MOST).await?;
        if let Some(run) = live.iter().find(|run| run.data_plane == plane.id) {
            let detail = "a test of this data plane is under way";
            return Err(Refused::new(ProblemCode::StateConflict, detail).next(format!("waybill run watch {}", run.id)));
        }
    }
    Ok(())
}

/// Live tests of one organization that are looked through.
const MOST: i64 = 200;

/// Has the task looked at more often than others until it is over. Where this ends early, the loops' own pace remains.
async fn hurry(app: Arc<Shared>, run: Run) {
    let bounds = &app.bounds;
    let longest = bounds.test_start() + run.time_limit + bounds.final_grace + bounds.stop_confirm;
    let watch = async {
        while !matches!(is_over(&app, &run).await, Ok(true)) {
            app.nudges.task_changed();
            tokio::time::sleep(LOOK.min(bounds.reconcile_every)).await;
        }
    };
    tokio::select! {
        () = app.stop.cancelled() => {}
        _ = tokio::time::timeout(longest, watch) => {}
    }
}

/// Whether the run has ended and no task of it is left.
async fn is_over(app: &Shared, run: &Run) -> StoreResult<bool> {
    let ended = app.store.run_get(run.org, run.id).await?.is_none_or(|run| run.state.is_final());
    let attempts = app.store.attempt_list(run.org, run.id).await?;
    Ok(ended && attempts.iter().all(|attempt| attempt.task_over))
}
