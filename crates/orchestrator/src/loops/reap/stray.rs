//! Tasks that a cloud shows and that serve no live attempt: started by a call whose answer came too late, or shown again
//! after they had not been. They can change nothing, since their attempt is fenced or over; they only cost money.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use waybill_launcher::{LaunchError, Launcher, TaskRef};
use waybill_model::AttemptId;
use waybill_store::{DataPlane, LoopLease, Store, StoreError, StoreResult};

use super::super::launchers::AWS_ECS;
use super::super::{Context, Round};
use super::{look, stop_sent};

/// Data planes that started nothing for so long are left in peace.
const QUIET: Duration = Duration::from_secs(24 * 60 * 60);

/// What a data plane lists, or that it does not in time.
type Listed = Option<Result<Vec<(AttemptId, TaskRef)>, LaunchError>>;

/// Stops them on every data plane that had attempts of late: all are asked at the same time, each within the bound.
pub(super) async fn sweep(
    context: &Context,
    lease: &LoopLease,
    round: &mut Round,
    stops: &mut JoinSet<()>,
) -> StoreResult<()> {
    let mut lists = JoinSet::new();
    for plane in context.store.data_plane_recent(AWS_ECS, QUIET).await? {
        if let Some(launcher) = context.launchers.of(&plane) {
            lists.spawn(list(plane, launcher, context.bounds.look));
        }
    }
    while let Some(listed) = lists.join_next().await {
        let Ok((plane, launcher, Some(Ok(live)))) = listed else { continue };
        let mut strays = Vec::new();
        for (attempt, task) in live {
            match settle(context, (lease, &plane), (attempt, &task)).await {
                Err(error @ StoreError::StaleLeader { .. }) => return Err(error),
                Ok(true) => {
                    round.count("a stray task", Ok::<_, StoreError>(true));
                    strays.push(task);
                }
                result => round.count("a stray task", result),
            }
        }
        if !strays.is_empty() {
            stops.spawn(look::stop_all(launcher, strays, context.bounds.look));
        }
    }
    Ok(())
}

async fn list(
    plane: DataPlane,
    launcher: Arc<dyn Launcher>,
    bound: Duration,
) -> (DataPlane, Arc<dyn Launcher>, Listed) {
    let listed = tokio::time::timeout(bound, launcher.live()).await.ok();
    match &listed {
        Some(Ok(_)) => {}
        Some(Err(error)) => {
            let error = error as &dyn std::error::Error;
            tracing::warn!(error, plane.id = %plane.id, "a data plane's tasks could not be listed");
        }
        None => tracing::warn!(plane.id = %plane.id, "a data plane's tasks were not listed in time"),
    }
    (plane, launcher, listed)
}

/// True where the task is to be asked to stop.
async fn settle(
    context: &Context,
    (lease, plane): (&LoopLease, &DataPlane),
    (attempt, task): (AttemptId, &TaskRef),
) -> StoreResult<bool> {
    // An attempt that this database does not know may be another deployment's: not ours to stop.
    let Some(attempt) = context.store.attempt_get(plane.org, attempt).await? else { return Ok(false) };
    let recorded = attempt.task.as_deref();
    let is_its_task = recorded == Some(&task.0);
    // What the attempt's own look takes care of.
    let looked_at = !attempt.task_over && (is_its_task || recorded.is_none());
    if attempt.data_plane != plane.id || looked_at {
        return Ok(false);
    }
    let mut tx = context.store.write_tx_led(lease, attempt.org).await?;
    if Store::run_lock_in_txn(&mut tx, attempt.org, attempt.run).await?.is_none() {
        return Ok(false);
    }
    // It may be asked again and again until it is over; the timeline tells it once.
    stop_sent(&mut tx, &attempt).await?;
    tx.commit().await?;
    tracing::warn!(attempt.id = %attempt.id, task = %task, "a stray task is stopped");
    Ok(true)
}
