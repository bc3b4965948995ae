//! Connections.

use axum::extract::State;
use axum::http::Method;
use axum::response::Response;
use axum::routing::{delete, get, patch, post};
use serde::{Deserialize, Serialize};
use waybill_api::connection::{Connection, ConnectionCreate, ConnectionUpdate};
use waybill_api::{Page, ProblemCode};
use waybill_store::{Connection as Row, Listed};

use super::App;
use super::action::{self, Action};
use super::body::{Query, Strict};
use super::conditions::{Conditions, Idempotency, stale, tag};
use super::gate::{Permit, may, may_with};
use super::operation::{Operation, Operations};
use super::page::{BY_NAME, Count, Paging, SORTS};
use super::reply::{Answer, Reply, nothing};
use crate::auth::{Caller, Permission, Place};
use crate::service::{Refused, connection, project};

pub(super) fn mount(all: &mut Operations) {
    use ProblemCode as C;
    let (paths, path) = ("/v1/connections", "/v1/connections/{connection}");
    all.add(
        Operation::of::<action::ConnectionList>(Method::GET, paths, "Connections of a project")
            .pages::<Connection>()
            .sorts(SORTS)
            .query("project", "Id of the project; the project `default` where absent.")
            .query("name", "Only the one of this name.")
            .codes(&[C::NotFound]),
        get(list),
    );
    all.add(
        Operation::of::<action::ConnectionCreate>(Method::POST, paths, "Make a connection")
            .takes::<ConnectionCreate>()
            .answers::<Connection>(201)
            .creates()
            .codes(&[C::NotFound, C::NameTaken, C::NameInvalid, C::SpecInvalid, C::RegionNotAllowed]),
        post(create),
    );
    all.add(
        Operation::of::<action::ConnectionGet>(Method::GET, path, "One connection").answers::<Connection>(200).tagged(),
        get(one),
    );
    all.add(
        Operation::of::<action::ConnectionUpdate>(Method::PATCH, path, "Change how a connection is reached")
            .takes::<ConnectionUpdate>()
            .answers::<Connection>(200)
            .changes()
            .codes(&[C::SpecInvalid, C::SecretRequired, C::RegionNotAllowed]),
        patch(update),
    );
    all.add(
        Operation::of::<action::ConnectionDelete>(Method::DELETE, path, "Remove a connection that nothing uses")
            .changes()
            .codes(&[C::InUse]),
        delete(remove),
    );
}

/// Lists of a project.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct OfProject {
    limit: Option<u32>,
    cursor: Option<String>,
    sort: Option<String>,
    count: Option<Count>,
    project: Option<String>,
    name: Option<String>,
}

/// What narrows a list of a project.
#[derive(Serialize)]
pub(super) struct Filters {
    pub(super) project: Option<String>,
    pub(super) name: Option<String>,
}

impl OfProject {
    pub(super) fn split(self) -> (Paging, Filters) {
        let Self { limit, cursor, sort, count, project, name } = self;
        (Paging { limit, cursor, sort, count }, Filters { project, name })
    }
}

async fn list(
    State(app): State<App>,
    permit: Permit<action::ConnectionList>,
    Query(query): Query<OfProject>,
) -> Answer<Page<Connection>> {
    let org = permit.caller.org;
    let (paging, filters) = query.split();
    let turn = app.pager.sorted(&permit.caller, (action::ConnectionList::ID, BY_NAME), paging, &filters)?;
    let project =
        project::of_filter(&app, &permit.caller, Permission::ConnectionRead, filters.project.as_deref()).await?;
    let rows = match &filters.name {
        Some(name) => app.store.connection_find(org, project.id, name).await?.into_iter().collect(),
        None => app.store.connection_part(org, project.id, &turn.part()).await?,
    };
    let found = filters.name.as_ref().map(|_| rows.len());
    let count = turn
        .count_of(found, async |most| app.store.listed_count(org, Listed::Connections(project.id), most).await)
        .await?;
    let page = turn.page(rows, |row| turn.place(&row.id, &row.name), |row| show(&permit.caller, row, None));
    Ok(Reply::ok(Page { count, ..page }))
}

async fn create(
    State(app): State<App>,
    permit: Permit<action::ConnectionCreate>,
    idempotency: Idempotency,
    body: Strict<ConnectionCreate>,
) -> Answer<Connection> {
    let key = idempotency.once(&permit.caller, action::ConnectionCreate::ID, &body.bytes);
    let row = connection::create(&app, &permit.caller, &body.value, key.as_ref()).await?;
    let tag = tag(row.version, row.updated_at);
    Ok(Reply::created(show(&permit.caller, row, None)).tagged(tag))
}

async fn one(
    State(app): State<App>,
    permit: Permit<action::ConnectionGet>,
    conditions: Conditions,
) -> Result<Response, Refused> {
    let users = connection::used_by(&app, &permit.caller, &permit.object).await?;
    let in_use = (!users.is_empty()).then(|| format!("used by {}", users.join(", ")));
    let tag = tag(permit.object.version, permit.object.updated_at);
    Ok(conditions.answer(show(&permit.caller, permit.object, in_use.as_deref()), tag))
}

async fn update(
    State(app): State<App>,
    permit: Permit<action::ConnectionUpdate>,
    conditions: Conditions,
    body: Strict<ConnectionUpdate>,
) -> Answer<Connection> {
    let row = &permit.object;
    let old = tag(row.version, row.updated_at);
    conditions.must_match(&old, row.updated_at)?;
    let new = connection::update(&app, &permit.caller, row, &body.value).await?;
    let new = new.ok_or_else(|| stale(&old, row.updated_at))?;
    let tag = tag(new.version, new.updated_at);
    Ok(Reply::ok(show(&permit.caller, new, None)).tagged(tag))
}

async fn remove(
    State(app): State<App>,
    permit: Permit<action::ConnectionDelete>,
    conditions: Conditions,
) -> Result<Response, Refused> {
    let row = &permit.object;
    let old = tag(row.version, row.updated_at);
    conditions.must_match(&old, row.updated_at)?;
    if connection::delete(&app, &permit.caller, row).await? { Ok(nothing()) } else { Err(stale(&old, row.updated_at)) }
}

/// `in_use`: why it can't be removed, where that is known.
fn show(caller: &Caller, row: Row, in_use: Option<&str>) -> Connection {
    let place = Place::Project(row.project);
    Connection {
        id: row.id,
        project_id: row.project,
        name: row.name,
        kind: row.kind,
        system: serde_json::from_str(&row.system).unwrap_or_default(),
        version: row.version.unsigned_abs(),
        created_at: row.created_at.into(),
        updated_at: row.updated_at.into(),
        allowed_actions: vec![
            may::<action::ConnectionUpdate>(caller, place, None),
            // A look at a connection uses its secret.
            may_with::<action::RunStart>(caller, Permission::ConnectionCheck, place, None),
            may::<action::ConnectionDelete>(caller, place, in_use),
        ],
    }
}
