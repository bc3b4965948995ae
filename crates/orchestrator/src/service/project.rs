//! Projects.

use waybill_api::ProblemCode;
use waybill_api::organization::ProjectUpdate;
use waybill_model::{OrgId, ProjectId};
use waybill_store::{Project, Store};

use super::{Once, Refused, ServiceResult, check_name, once, region};
use crate::app::Shared;
use crate::auth::Caller;

/// Most bytes of names that one discovery may bring.
const NAME_CEILING: u64 = 1 << 20;

/// Makes a project.
pub async fn create(app: &Shared, caller: &Caller, name: &str, key: Option<&Once>) -> ServiceResult<Project> {
    check_name(name)?;
    let id: ProjectId = once(&app.store, key, async || {
        let id = ProjectId::generate();
        let mut tx = app.store.write_tx(caller.org).await?;
        Store::project_insert_in_txn(&mut tx, caller.org, id, name, NAME_CEILING).await?;
        if let Some(key) = key {
            key.keep(&mut tx, &id.to_string()).await?;
        }
        Store::audit_append_in_txn(&mut tx, &caller.audit("project_create", id)).await?;
        tx.commit().await?;
        Ok(id)
    })
    .await?;
    read(app, caller.org, id).await
}

/// Changes a project; `None` where somebody else changed it meanwhile. What stands in a region that is not allowed any more
/// is not launched until it is mended.
pub async fn update(
    app: &Shared,
    caller: &Caller,
    mut project: Project,
    body: &ProjectUpdate,
) -> ServiceResult<Option<Project>> {
    if let Some(name) = &body.name {
        check_name(name)?;
        project.name.clone_from(name);
    }
    if let Some(regions) = &body.allowed_regions {
        project.allowed_regions = region::listed(regions)?;
    }
    let mut tx = app.store.write_tx(caller.org).await?;
    if !Store::project_update_in_txn(&mut tx, &project).await? {
        return Ok(None);
    }
    Store::audit_append_in_txn(&mut tx, &caller.audit("project_update", project.id)).await?;
    tx.commit().await?;
    read(app, caller.org, project.id).await.map(Some)
}

/// The project of a list's filter; the project `default` where none is named.
pub async fn of_filter(app: &Shared, org: OrgId, named: Option<&str>) -> ServiceResult<Project> {
    let found = match named {
        None => app.store.project_find(org, "default").await?,
        Some(text) => match text.parse() {
            Ok(id) => app.store.project_get(org, id).await?,
            Err(_) => None,
        },
    };
    found.ok_or_else(|| Refused::new(ProblemCode::NotFound, "no such project in this organization"))
}

async fn read(app: &Shared, org: OrgId, id: ProjectId) -> ServiceResult<Project> {
    app.store.project_get(org, id).await?.ok_or_else(|| ProblemCode::NotFound.into())
}
