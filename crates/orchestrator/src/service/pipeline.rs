//! Pipelines: pausing, removing, and going on from an epoch that nobody believed. They are written as documents.

use waybill_api::ProblemCode;
use waybill_model::Epoch;
use waybill_store::{Pipeline, Store};

use super::{Refused, ServiceResult};
use crate::app::Shared;
use crate::auth::Caller;

/// Pauses or resumes a pipeline; `None` where somebody else changed it meanwhile.
pub async fn pause(
    app: &Shared,
    caller: &Caller,
    pipeline: &Pipeline,
    paused: bool,
) -> ServiceResult<Option<Pipeline>> {
    let mut tx = app.store.write_tx(caller.org).await?;
    let why = paused.then_some(("user", "resume it with `waybill pipeline resume`"));
    if !Store::pipeline_pause_seen_in_txn(&mut tx, pipeline, why).await? {
        return Ok(None);
    }
    let action = if paused { "pipeline_pause" } else { "pipeline_resume" };
    Store::audit_append_in_txn(&mut tx, &caller.audit(action, pipeline.id)).await?;
    tx.commit().await?;
    if !paused {
        app.nudges.room_made();
    }
    app.store.pipeline_get(caller.org, pipeline.id).await.map_err(Refused::from)
}

/// Goes on from an epoch that stood too far in the future to be believed: the one that waits, and that the caller has seen.
pub async fn accept_epoch(app: &Shared, caller: &Caller, pipeline: &Pipeline, found: Epoch) -> ServiceResult<Pipeline> {
    if found > Epoch::LARGEST {
        let message = "it stands after the year 9999, where no clock put it: somebody wrote it into the table";
        let next = "find out who; then give the pipeline a new prefix, or take the table's last commit back";
        return Err(Refused::field(ProblemCode::Unusable, "/found", message).next(next));
    }
    let mut tx = app.store.write_tx(caller.org).await?;
    if !Store::pipeline_epoch_accept_in_txn(&mut tx, pipeline, found).await? {
        let detail = "this epoch does not wait to be accepted, or not any more";
        return Err(Refused::new(ProblemCode::StateConflict, detail).next("read `epoch_ahead` of the pipeline again"));
    }
    Store::audit_append_in_txn(&mut tx, &caller.audit("pipeline_accept_epoch", pipeline.id)).await?;
    tx.commit().await?;
    let accepted = app.store.pipeline_get(caller.org, pipeline.id).await?;
    accepted.ok_or_else(|| ProblemCode::NotFound.into())
}

/// Removes a pipeline without a live run; false where somebody else changed it meanwhile. What it wrote stays.
pub async fn delete(app: &Shared, caller: &Caller, pipeline: &Pipeline) -> ServiceResult<bool> {
    let mut tx = app.store.write_tx(caller.org).await?;
    if Store::run_pending_in_txn(&mut tx, caller.org, pipeline.id).await? {
        let detail = "a run of it has not ended";
        return Err(Refused::new(ProblemCode::RunLive, detail).next("cancel the run, or wait for its end"));
    }
    Store::schedule_delete_in_txn(&mut tx, caller.org, pipeline.id).await?;
    if !Store::pipeline_delete_in_txn(&mut tx, caller.org, pipeline.id, pipeline.version).await? {
        return Ok(false);
    }
    Store::audit_append_in_txn(&mut tx, &caller.audit("pipeline_delete", pipeline.id)).await?;
    tx.commit().await?;
    Ok(true)
}
