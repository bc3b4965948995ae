//! Projects.

use waybill_api::ProblemCode;
use waybill_api::organization::ProjectUpdate;
use waybill_model::role::ProjectRole;
use waybill_model::{OrgId, ProjectId, UserId};
use waybill_store::{Project, Store, Tx};

use super::{Once, Refused, ServiceResult, access, check_name, member, once, region};
use crate::app::Shared;
use crate::auth::{Caller, Permission, Place};

/// Most bytes of names that one discovery may bring.
const NAME_CEILING: u64 = 1 << 20;

/// Adds a project that belongs to who makes it.
pub(super) async fn add(tx: &mut Tx, (org, id): (OrgId, ProjectId), name: &str, owner: UserId) -> ServiceResult<()> {
    Store::project_insert_in_txn(tx, org, id, name, NAME_CEILING).await?;
    Ok(Store::member_insert_in_txn(tx, (org, id), owner, ProjectRole::Owner.as_str()).await?)
}

/// Makes a project.
pub async fn create(app: &Shared, caller: &Caller, name: &str, key: Option<&Once>) -> ServiceResult<Project> {
    check_name(name)?;
    let id: ProjectId = once(&app.store, key, async || {
        let (id, owner) = (ProjectId::generate(), access::person_of(caller)?.0);
        let mut tx = app.store.write_tx(caller.org).await?;
        // It makes an owner, so it is decided behind the lock like every change of a role.
        let now = access::locked(&mut tx, caller).await?;
        access::allowed(&now, Permission::ProjectCreate, Place::Organization)?;
        add(&mut tx, (caller.org, id), name, owner).await?;
        if let Some(key) = key {
            key.keep(&mut tx, &id.to_string()).await?;
        }
        Store::audit_append_in_txn(&mut tx, &caller.audit("project_create", id)).await?;
        member::tell(&mut tx, (caller, "member_create"), (id, owner), (None, Some(ProjectRole::Owner))).await?;
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
pub async fn of_filter(
    app: &Shared,
    caller: &Caller,
    permission: Permission,
    named: Option<&str>,
) -> ServiceResult<Project> {
    let org = caller.org;
    let missing = || Refused::new(ProblemCode::NotFound, "no such project in this organization");
    let found = match named {
        None => app.store.project_find(org, "default").await?,
        Some(text) => match text.parse() {
            Ok(id) => app.store.project_get(org, id).await?,
            Err(_) => None,
        },
    };
    let found = found.ok_or_else(missing)?;
    access::in_project(caller, permission, found.id, missing)?;
    Ok(found)
}

/// The project that a body names, for what the caller is to do in it.
pub async fn of_body(app: &Shared, caller: &Caller, permission: Permission, id: ProjectId) -> ServiceResult<Project> {
    of_filter(app, caller, permission, Some(&id.to_string())).await
}

async fn read(app: &Shared, org: OrgId, id: ProjectId) -> ServiceResult<Project> {
    app.store.project_get(org, id).await?.ok_or_else(|| ProblemCode::NotFound.into())
}
