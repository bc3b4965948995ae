//! The organization and its projects.

use axum::extract::State;
use axum::http::Method;
use axum::response::Response;
use axum::routing::{get, patch, post};
use serde::Deserialize;
use waybill_api::organization::{Organization, Project, ProjectCreate, ProjectUpdate};
use waybill_api::{Page, ProblemCode};
use waybill_store::{Listed, Organization as OrganizationRow, Project as Row};

use super::App;
use super::action::{self, Action};
use super::body::{Query, Strict};
use super::conditions::{Conditions, Idempotency, stale, tag, tag_of};
use super::gate::{Permit, may};
use super::operation::{Operation, Operations};
use super::page::{BY_NAME, Count, Paging, SORTS};
use super::reply::{Answer, Reply};
use crate::auth::{Caller, Place};
use crate::service::{access, project};

pub(super) fn mount(all: &mut Operations) {
    use ProblemCode as C;
    let path = "/v1/projects/{project}";
    all.add(
        Operation::of::<action::OrganizationGet>(
            Method::GET,
            "/v1/organizations/{organization}",
            "The caller's organization",
        )
        .answers::<Organization>(200)
        .tagged(),
        get(organization),
    );
    all.add(
        Operation::of::<action::ProjectList>(Method::GET, "/v1/projects", "Projects")
            .pages::<Project>()
            .sorts(SORTS)
            .query("name", "Only the one of this name."),
        get(list),
    );
    all.add(
        Operation::of::<action::ProjectCreate>(Method::POST, "/v1/projects", "Make a project")
            .takes::<ProjectCreate>()
            .answers::<Project>(201)
            .creates()
            .codes(&[C::NameTaken, C::NameInvalid]),
        post(create),
    );
    all.add(
        Operation::of::<action::ProjectGet>(Method::GET, path, "One project").answers::<Project>(200).tagged(),
        get(one),
    );
    all.add(
        Operation::of::<action::ProjectUpdate>(Method::PATCH, path, "Rename a project, or say which regions it allows")
            .takes::<ProjectUpdate>()
            .answers::<Project>(200)
            .changes()
            .codes(&[C::NameTaken, C::NameInvalid, C::Unusable]),
        patch(update),
    );
}

/// Lists that can be narrowed to one name.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Named {
    limit: Option<u32>,
    cursor: Option<String>,
    sort: Option<String>,
    count: Option<Count>,
    /// Only the one of this name.
    pub(super) name: Option<String>,
}

impl Named {
    pub(super) fn split(self) -> (Paging, Option<String>) {
        let Self { limit, cursor, sort, count, name } = self;
        (Paging { limit, cursor, sort, count }, name)
    }
}

async fn organization(permit: Permit<action::OrganizationGet>, conditions: Conditions) -> Response {
    let organization = show_organization(permit.object);
    let tag = tag_of(&organization);
    conditions.answer(organization, tag)
}

async fn list(
    State(app): State<App>,
    permit: Permit<action::ProjectList>,
    Query(query): Query<Named>,
) -> Answer<Page<Project>> {
    let (org, sight) = (permit.caller.org, permit.caller.sight());
    let (paging, name) = query.split();
    let turn = app.pager.sorted(&permit.caller, (action::ProjectList::ID, BY_NAME), paging, &name)?;
    let rows = match &name {
        Some(name) => {
            let found = app.store.project_find(org, name).await?;
            found.into_iter().filter(|row| permit.caller.authority.in_project(row.id).is_some()).collect()
        }
        None => app.store.project_part(org, sight, &turn.part()).await?,
    };
    let found = name.as_ref().map(|_| rows.len());
    let count =
        turn.count_of(found, async |most| app.store.listed_count(org, Listed::Projects(sight), most).await).await?;
    let page = turn.page(rows, |row| turn.place(&row.id, &row.name), |row| show(&permit.caller, row));
    Ok(Reply::ok(Page { count, ..page }))
}

async fn create(
    State(app): State<App>,
    permit: Permit<action::ProjectCreate>,
    idempotency: Idempotency,
    body: Strict<ProjectCreate>,
) -> Answer<Project> {
    let key = idempotency.once(&permit.caller, action::ProjectCreate::ID, &body.bytes);
    let row = project::create(&app, &permit.caller, &body.value.name, key.as_ref()).await?;
    let caller = access::anew(&app, &permit.caller).await?;
    let tag = tag(row.version, row.updated_at);
    Ok(Reply::created(show(&caller, row)).tagged(tag))
}

async fn one(permit: Permit<action::ProjectGet>, conditions: Conditions) -> Response {
    let tag = tag(permit.object.version, permit.object.updated_at);
    conditions.answer(show(&permit.caller, permit.object), tag)
}

async fn update(
    State(app): State<App>,
    permit: Permit<action::ProjectUpdate>,
    conditions: Conditions,
    body: Strict<ProjectUpdate>,
) -> Answer<Project> {
    let Permit { caller, object: row, .. } = permit;
    let (old, changed) = (tag(row.version, row.updated_at), row.updated_at);
    conditions.must_match(&old, changed)?;
    let row = project::update(&app, &caller, row, &body.value).await?.ok_or_else(|| stale(&old, changed))?;
    let tag = tag(row.version, row.updated_at);
    Ok(Reply::ok(show(&caller, row)).tagged(tag))
}

pub(super) fn show_organization(row: OrganizationRow) -> Organization {
    Organization { id: row.id, name: row.name, created_at: row.created_at.into() }
}

fn show(caller: &Caller, row: Row) -> Project {
    let place = Place::Project(row.id);
    Project {
        id: row.id,
        name: row.name,
        allowed_regions: row.allowed_regions,
        created_at: row.created_at.into(),
        role: caller.authority.in_project(row.id).map(Into::into),
        allowed_actions: vec![
            may::<action::ProjectUpdate>(caller, place, None),
            may::<action::MemberCreate>(caller, place, None),
        ],
    }
}
