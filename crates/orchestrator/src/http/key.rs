//! Keys of services, in a project.

use axum::extract::State;
use axum::http::Method;
use axum::routing::{get, post};
use waybill_api::key::{ApiKey, KeyCreate, KeyMade};
use waybill_api::open::ServiceRoleWord;
use waybill_api::{Page, ProblemCode};
use waybill_model::role::ServiceRole;
use waybill_store::ApiKey as Row;

use super::App;
use super::action::{self, Action};
use super::body::{Query, Strict};
use super::conditions::Idempotency;
use super::gate::{Permit, may};
use super::operation::{Operation, Operations};
use super::page::Paging;
use super::reply::{Answer, Reply};
use crate::auth::key::shown;
use crate::auth::{Caller, Place};
use crate::service::{ServiceResult, key};

const PATHS: &str = "/v1/projects/{project}/keys";

pub(super) fn mount(all: &mut Operations) {
    use ProblemCode as C;
    all.add(
        Operation::of::<action::KeyList>(Method::GET, PATHS, "Keys of a project, oldest first").pages::<ApiKey>(),
        get(list),
    );
    all.add(
        Operation::of::<action::KeyCreate>(
            Method::POST,
            PATHS,
            "Make a key for a program: it reaches this project, and may what its maker may there, up to its role",
        )
        .takes::<KeyCreate>()
        .answers::<KeyMade>(201)
        .creates()
        .codes(&[C::NameTaken, C::NameInvalid, C::Unusable]),
        post(create),
    );
    all.add(Operation::of::<action::KeyGet>(Method::GET, "/v1/keys/{key}", "One key").answers::<ApiKey>(200), get(one));
    all.add(
        Operation::of::<action::KeyRevoke>(
            Method::POST,
            "/v1/keys/{key}/revoke",
            "Revoke a key: it is refused with the next request",
        )
        .answers::<ApiKey>(200),
        post(revoke),
    );
}

async fn list(
    State(app): State<App>,
    permit: Permit<action::KeyList>,
    Query(paging): Query<Paging>,
) -> Answer<Page<ApiKey>> {
    let project = &permit.object;
    let turn = app.pager.turn(&permit.caller, action::KeyList::ID, paging, &project.id)?;
    let rows = app.store.key_list(project.org, project.id, turn.key()?, turn.fetch()).await?;
    let page = turn.page(rows, |row| row.id.to_string(), |row| row);
    let mut items = Vec::with_capacity(page.items.len());
    for row in page.items {
        items.push(show(&app, &permit.caller, row).await?);
    }
    Ok(Reply::ok(Page { items, next_cursor: page.next_cursor, count: None }))
}

async fn create(
    State(app): State<App>,
    permit: Permit<action::KeyCreate>,
    idempotency: Idempotency,
    body: Strict<KeyCreate>,
) -> Answer<KeyMade> {
    let once = idempotency.once(&permit.caller, action::KeyCreate::ID, &body.bytes);
    let (row, secret) = key::create(&app, &permit.caller, &permit.object, &body.value, once.as_ref()).await?;
    Ok(Reply::created(KeyMade { key: show(&app, &permit.caller, row).await?, secret }))
}

async fn one(State(app): State<App>, permit: Permit<action::KeyGet>) -> Answer<ApiKey> {
    show(&app, &permit.caller, permit.object).await.map(Reply::ok)
}

async fn revoke(State(app): State<App>, permit: Permit<action::KeyRevoke>) -> Answer<ApiKey> {
    let row = key::revoke(&app, &permit.caller, &permit.object).await?;
    show(&app, &permit.caller, row).await.map(Reply::ok)
}

async fn show(app: &App, caller: &Caller, row: Row) -> ServiceResult<ApiKey> {
    let revoked = row.revoked_at.map(|_| "it is revoked");
    Ok(ApiKey {
        id: row.id,
        project_id: row.project,
        pipelines: match row.role == ServiceRole::Api.as_str() {
            true => app.store.key_pipeline_list(row.org, row.id).await?,
            false => Vec::new(),
        },
        networks: row.networks.split_whitespace().map(str::to_owned).collect(),
        prefix: shown(row.id),
        role: ServiceRoleWord::read(&row.role),
        name: row.name,
        state: row.state,
        created_by: row.created_by,
        created_at: row.created_at.into(),
        expires_at: row.expires_at.into(),
        last_used_at: row.last_used_at.map(Into::into),
        revoked_at: row.revoked_at.map(Into::into),
        allowed_actions: vec![may::<action::KeyRevoke>(caller, Place::Project(row.project), revoked)],
    })
}
