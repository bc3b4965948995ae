//! Members of a project.

use axum::extract::{Path, State};
use axum::http::Method;
use axum::response::Response;
use axum::routing::{delete, get, patch, post};
use waybill_api::member::{Member, MemberCreate, MemberUpdate};
use waybill_api::open::ProjectRoleWord;
use waybill_api::{Page, ProblemCode};
use waybill_store::Member as Row;

use super::App;
use super::action::{self, Action};
use super::body::{Query, Strict};
use super::conditions::{Conditions, Idempotency, stale, tag};
use super::gate::{Permit, may};
use super::operation::{Operation, Operations};
use super::page::Paging;
use super::reply::{Answer, Reply, nothing};
use crate::auth::{Caller, Place};
use crate::service::access::{ABOVE, OWN_ROLE};
use crate::service::{Refused, member};

const PATHS: &str = "/v1/projects/{project}/members";
const PATH: &str = "/v1/projects/{project}/members/{user}";

pub(super) fn mount(all: &mut Operations) {
    use ProblemCode as C;
    all.add(
        Operation::of::<action::MemberList>(Method::GET, PATHS, "Members of a project, by their ids").pages::<Member>(),
        get(list),
    );
    all.add(
        Operation::of::<action::MemberCreate>(Method::POST, PATHS, "Take a person of the organization into a project")
            .takes::<MemberCreate>()
            .answers::<Member>(201)
            .creates()
            .codes(&[C::NameTaken, C::Unusable]),
        post(create),
    );
    all.add(
        Operation::of::<action::MemberGet>(Method::GET, PATH, "One member of a project")
            .answers::<Member>(200)
            .tagged(),
        get(one),
    );
    all.add(
        Operation::of::<action::MemberUpdate>(Method::PATCH, PATH, "Change a member's role")
            .takes::<MemberUpdate>()
            .answers::<Member>(200)
            .changes()
            .codes(&[C::LastOwner]),
        patch(update),
    );
    all.add(
        Operation::of::<action::MemberDelete>(Method::DELETE, PATH, "Take a member out of a project")
            .changes()
            .codes(&[C::LastOwner]),
        delete(remove),
    );
}

async fn list(
    State(app): State<App>,
    permit: Permit<action::MemberList>,
    Query(paging): Query<Paging>,
) -> Answer<Page<Member>> {
    let project = &permit.object;
    let turn = app.pager.turn(&permit.caller, action::MemberList::ID, paging, &project.id)?;
    let rows = app.store.member_list(project.org, project.id, turn.key()?, turn.fetch()).await?;
    Ok(Reply::ok(turn.page(rows, |row| row.user.to_string(), |row| show(&permit.caller, row))))
}

async fn create(
    State(app): State<App>,
    permit: Permit<action::MemberCreate>,
    idempotency: Idempotency,
    body: Strict<MemberCreate>,
) -> Answer<Member> {
    let key = idempotency.once(&permit.caller, action::MemberCreate::ID, &body.bytes);
    let row = member::create(&app, &permit.caller, &permit.object, &body.value, key.as_ref()).await?;
    let tag = tag(row.version, row.updated_at);
    Ok(Reply::created(show(&permit.caller, row)).tagged(tag))
}

/// What the path names behind its project.
type Second = Path<(String, String)>;

async fn one(
    State(app): State<App>,
    permit: Permit<action::MemberGet>,
    Path((_, user)): Second,
    conditions: Conditions,
) -> Result<Response, Refused> {
    let row = member::get(&app, &permit.object, &user).await?;
    let tag = tag(row.version, row.updated_at);
    Ok(conditions.answer(show(&permit.caller, row), tag))
}

async fn update(
    State(app): State<App>,
    permit: Permit<action::MemberUpdate>,
    Path((_, user)): Second,
    conditions: Conditions,
    body: Strict<MemberUpdate>,
) -> Answer<Member> {
    let row = member::get(&app, &permit.object, &user).await?;
    let old = tag(row.version, row.updated_at);
    conditions.must_match(&old, row.updated_at)?;
    let new = member::update(&app, &permit.caller, &row, body.value.role).await?;
    let new = new.ok_or_else(|| stale(&old, row.updated_at))?;
    let tag = tag(new.version, new.updated_at);
    Ok(Reply::ok(show(&permit.caller, new)).tagged(tag))
}

async fn remove(
    State(app): State<App>,
    permit: Permit<action::MemberDelete>,
    Path((_, user)): Second,
    conditions: Conditions,
) -> Result<Response, Refused> {
    let row = member::get(&app, &permit.object, &user).await?;
    let old = tag(row.version, row.updated_at);
    conditions.must_match(&old, row.updated_at)?;
    if member::delete(&app, &permit.caller, &row).await? { Ok(nothing()) } else { Err(stale(&old, row.updated_at)) }
}

fn show(caller: &Caller, row: Row) -> Member {
    let (place, role) = (Place::Project(row.project), ProjectRoleWord::read(&row.role));
    let own = caller.is(row.user).then_some(OWN_ROLE);
    let above = role.known() > caller.authority.in_project(row.project);
    let last = row.is_last_owner.then_some("the last owner of the project stays");
    let barred = own.or(above.then_some(ABOVE)).or(last);
    Member {
        project_id: row.project,
        user_id: row.user,
        email: row.email,
        disabled: row.disabled,
        role,
        created_at: row.created_at.into(),
        allowed_actions: vec![
            may::<action::MemberUpdate>(caller, place, barred),
            may::<action::MemberDelete>(caller, place, barred),
        ],
    }
}
