//! Tasks that a cloud shows and that serve no live attempt: started by a call whose answer came too late, or shown again
//! after they had not been. They can change nothing, since their attempt is fenced or over; they only cost money.

use std::time::Duration;

use waybill_launcher::{Launcher, TaskRef};
use waybill_model::AttemptId;
use waybill_store::{DataPlane, LoopLease, Store, StoreError, StoreResult};

use super::super::launchers::AWS_ECS;
use super::super::{Context, Round};
use super::send_stop;
use crate::service::note::Note;

/// Data planes that started nothing for so long are left in peace.
const QUIET: Duration = Duration::from_secs(24 * 60 * 60);

/// Stops them on every data plane that had attempts of late.
pub(super) async fn sweep(context: &Context, lease: &LoopLease, round: &mut Round) -> StoreResult<()> {
    for plane in context.store.data_plane_recent(AWS_ECS, QUIET).await? {
        let Some(launcher) = context.launchers.of(&plane) else { continue };
        let live = match launcher.live().await {
            Ok(live) => live,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, plane.id = %plane.id, "a data plane's tasks could not be listed");
                continue;
            }
        };
        for (attempt, task) in live {
            match settle(context, (lease, &plane), launcher.as_ref(), (attempt, &task)).await {
                Err(error @ StoreError::StaleLeader { .. }) => return Err(error),
                result => round.count("a stray task", result),
            }
        }
    }
    Ok(())
}

/// True where the task was asked to stop.
async fn settle(
    context: &Context,
    (lease, plane): (&LoopLease, &DataPlane),
    launcher: &dyn Launcher,
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
    let mut tx = context.store.write_tx_led(lease).await?;
    if Store::run_lock_in_txn(&mut tx, attempt.org, attempt.run).await?.is_none() {
        return Ok(false);
    }
    let event = Note::StopSent.event(Some(attempt.id));
    Store::run_event_append_in_txn(&mut tx, attempt.org, attempt.run, &[event]).await?;
    tx.commit().await?;
    tracing::warn!(attempt.id = %attempt.id, task = %task, "a stray task is stopped");
    send_stop(launcher, task).await;
    Ok(true)
}
