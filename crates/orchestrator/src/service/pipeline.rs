//! Pipelines: pausing and removing. They are written as documents.

use waybill_api::ProblemCode;
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
    let mut tx = app.store.write_tx().await?;
    let why = paused.then_some(("user", "resume it with `waybill pipeline resume`"));
    if !Store::pipeline_pause_seen_in_txn(&mut tx, pipeline, why).await? {
        return Ok(None);
    }
    let action = if paused { "pipeline_pause" } else { "pipeline_resume" };
    Store::audit_append_in_txn(&mut tx, &caller.audit(action, pipeline.id)).await?;
    tx.commit().await?;
    app.store.pipeline_get(caller.org, pipeline.id).await.map_err(Refused::from)
}

/// Removes a pipeline without a live run; false where somebody else changed it meanwhile. What it wrote stays.
pub async fn delete(app: &Shared, caller: &Caller, pipeline: &Pipeline) -> ServiceResult<bool> {
    let mut tx = app.store.write_tx().await?;
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
