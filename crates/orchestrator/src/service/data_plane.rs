//! Data planes.

use waybill_api::ProblemCode;
use waybill_api::data_plane::{DataPlaneCreate, ProcessSettings};
use waybill_model::DataPlaneId;
use waybill_store::{DataPlane, Store};

use super::agent::AGENT;
use super::{Once, Refused, ServiceResult, check_name, once};
use crate::app::Shared;
use crate::auth::Caller;

/// Workers are processes of the orchestrator's own host.
const PROCESS: &str = "process";

/// Registers a data plane.
pub async fn create(
    app: &Shared,
    caller: &Caller,
    body: &DataPlaneCreate,
    key: Option<&Once>,
) -> ServiceResult<DataPlane> {
    check_name(&body.name)?;
    let kind = [PROCESS, AGENT].into_iter().find(|kind| body.kind == *kind).ok_or_else(|| {
        Refused::field(ProblemCode::Unusable, "/kind", "not built yet: only `process` and `agent` are")
    })?;
    if kind == AGENT && !body.settings.environment.is_empty() {
        let message = "an agent's host says which variables pass: waybill-agent run --pass-env NAME";
        return Err(Refused::field(ProblemCode::Unusable, "/settings/environment", message));
    }
    let settings = canonical(&body.settings)?;
    let id: DataPlaneId = once(&app.store, key, async || {
        let id = DataPlaneId::generate();
        let mut tx = app.store.write_tx().await?;
        Store::data_plane_insert_in_txn(&mut tx, caller.org, id, &body.name, (kind, &settings)).await?;
        if let Some(key) = key {
            key.keep(&mut tx, &id.to_string()).await?;
        }
        Store::audit_append_in_txn(&mut tx, &caller.audit("data_plane_create", id)).await?;
        tx.commit().await?;
        Ok(id)
    })
    .await?;
    read(app, caller, id).await
}

/// Changes a data plane's settings; `None` where somebody else changed it meanwhile.
pub async fn update(
    app: &Shared,
    caller: &Caller,
    mut plane: DataPlane,
    settings: &ProcessSettings,
) -> ServiceResult<Option<DataPlane>> {
    plane.settings = canonical(settings)?;
    let mut tx = app.store.write_tx().await?;
    if !Store::data_plane_update_in_txn(&mut tx, &plane).await? {
        return Ok(None);
    }
    Store::audit_append_in_txn(&mut tx, &caller.audit("data_plane_update", plane.id)).await?;
    tx.commit().await?;
    read(app, caller, plane.id).await.map(Some)
}

/// The settings as they are stored, where every name can be one of an environment variable.
fn canonical(settings: &ProcessSettings) -> ServiceResult<String> {
    let fits = |name: &String| {
        (1..=128).contains(&name.len())
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    if settings.environment.len() > 100 || !settings.environment.iter().all(fits) {
        let message = "names of at most 100 environment variables: letters, digits and _";
        return Err(Refused::field(ProblemCode::NameInvalid, "/settings/environment", message));
    }
    serde_json::to_string(settings).map_err(|_| ProblemCode::Internal.into())
}

async fn read(app: &Shared, caller: &Caller, id: DataPlaneId) -> ServiceResult<DataPlane> {
    app.store.data_plane_get(caller.org, id).await?.ok_or_else(|| ProblemCode::NotFound.into())
}
