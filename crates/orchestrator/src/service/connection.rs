//! Connections. They hold references to secrets; a secret itself is refused and never repeated.

use serde_json::Value;
use waybill_api::ProblemCode;
use waybill_api::connection::{ConnectionCreate, ConnectionUpdate};
use waybill_api::problem::FieldError;
use waybill_model::ConnectionId;
use waybill_model::plan::System;
use waybill_spec::Diagnostic;
use waybill_store::{Connection, NewConnection, Project, Store};

use super::endpoint::{self, Carried};
use super::region::Allowed;
use super::{Once, Refused, ServiceResult, check_name, digest_of, document, once, project};
use crate::app::Shared;
use crate::auth::{Caller, Permission};

/// Makes a connection.
pub async fn create(
    app: &Shared,
    caller: &Caller,
    body: &ConnectionCreate,
    key: Option<&Once>,
) -> ServiceResult<Connection> {
    check_name(&body.name)?;
    let system = read_system(&body.name, &body.system)?;
    let project = project::of_body(app, caller, Permission::ConnectionWrite, body.project_id).await?;
    within(&project, &body.name, &system)?;
    let id: ConnectionId = once(&app.store, key, async || {
        let new = NewConnection {
            org: caller.org,
            project: project.id,
            id: ConnectionId::generate(),
            name: body.name.clone(),
            kind: system.kind().into(),
            system: canonical(&system)?,
        };
        let mut tx = app.store.write_tx(caller.org).await?;
        Store::connection_insert_in_txn(&mut tx, &new).await?;
        if let Some(key) = key {
            key.keep(&mut tx, &new.id.to_string()).await?;
        }
        let mut entry = caller.audit("connection_create", new.id);
        entry.after = Some(digest_of(&new.system));
        Store::audit_append_in_txn(&mut tx, &entry).await?;
        tx.commit().await?;
        Ok(new.id)
    })
    .await?;
    read(app, caller, id).await
}

/// Changes how a connection is reached, and with it every pipeline that uses it; `None` where somebody else changed it
/// meanwhile.
pub async fn update(
    app: &Shared,
    caller: &Caller,
    connection: &Connection,
    body: &ConnectionUpdate,
) -> ServiceResult<Option<Connection>> {
    let system = read_system(&connection.name, &body.system)?;
    let project = app.store.project_get(caller.org, connection.project).await?;
    within(&project.ok_or(ProblemCode::NotFound)?, &connection.name, &system)?;
    let before: System = serde_json::from_str(&connection.system).map_err(|_| document::damaged("connection"))?;
    let next = "send `secrets` with the reference of each of these fields, if the new place is meant to get it";
    endpoint::check(&Carried::of(&before, &system, ""), &body.secrets, next)?;
    let mut target = document::of_project(app, caller.org, connection.project).await?;
    target.document.connections.insert(connection.name.clone(), system.clone());
    let replanned = target.replan(&connection.name)?;
    let new = NewConnection {
        org: caller.org,
        project: connection.project,
        id: connection.id,
        name: connection.name.clone(),
        kind: system.kind().into(),
        system: canonical(&system)?,
    };
    let mut tx = app.store.write_tx(caller.org).await?;
    if !Store::connection_update_in_txn(&mut tx, &new, connection.version).await? {
        return Ok(None);
    }
    for (pipeline, version) in &replanned {
        let mut pipeline = pipeline.clone();
        pipeline.created_by = caller.actor();
        if !Store::pipeline_version_add_in_txn(&mut tx, &pipeline, *version).await? {
            return Ok(None);
        }
    }
    let mut entry = caller.audit("connection_update", connection.id);
    (entry.before, entry.after) = (Some(digest_of(&connection.system)), Some(digest_of(&new.system)));
    Store::audit_append_in_txn(&mut tx, &entry).await?;
    tx.commit().await?;
    read(app, caller, connection.id).await.map(Some)
}

/// Names of the pipelines that use a connection.
pub async fn used_by(app: &Shared, caller: &Caller, connection: &Connection) -> ServiceResult<Vec<String>> {
    let held = document::of_project(app, caller.org, connection.project).await?;
    let uses = |end: &str| end == connection.name;
    let users = held.document.pipelines.iter().filter(|(_, pipeline)| uses(&pipeline.from) || uses(&pipeline.to));
    Ok(users.map(|(name, _)| name.clone()).collect())
}

/// Removes a connection that nothing uses; false where somebody else changed it meanwhile.
pub async fn delete(app: &Shared, caller: &Caller, connection: &Connection) -> ServiceResult<bool> {
    let users = used_by(app, caller, connection).await?;
    if !users.is_empty() {
        let detail = format!("used by {}", users.join(", "));
        return Err(Refused::new(ProblemCode::InUse, detail).next("remove those pipelines first"));
    }
    let mut tx = app.store.write_tx(caller.org).await?;
    if !Store::connection_delete_in_txn(&mut tx, caller.org, connection.id, connection.version).await? {
        return Ok(false);
    }
    let mut entry = caller.audit("connection_delete", connection.id);
    entry.before = Some(digest_of(&connection.system));
    Store::audit_append_in_txn(&mut tx, &entry).await?;
    tx.commit().await?;
    Ok(true)
}

/// Its bucket and its secrets stand where the project allows it.
fn within(project: &Project, name: &str, system: &System) -> ServiceResult<()> {
    let allowed = Allowed::of(project);
    allowed.refuse(&allowed.system(name, system))
}

fn read_system(name: &str, system: &Value) -> ServiceResult<System> {
    waybill_spec::parse_connection(name, &system.to_string()).map_err(|found| {
        let errors = found.iter().map(in_body).collect();
        Refused::new(ProblemCode::SpecInvalid, "the connection has mistakes").errors(errors)
    })
}

/// A diagnostic of a value of the body: its place in our own rendering would tell nothing.
fn in_body(found: &Diagnostic) -> FieldError {
    FieldError { pointer: Some("/system".into()), line: None, column: None, ..document::field_error(found) }
}

pub(super) fn canonical(system: &System) -> ServiceResult<String> {
    serde_json::to_string(system).map_err(|_| ProblemCode::Internal.into())
}

async fn read(app: &Shared, caller: &Caller, id: ConnectionId) -> ServiceResult<Connection> {
    app.store.connection_get(caller.org, id).await?.ok_or_else(|| ProblemCode::NotFound.into())
}
