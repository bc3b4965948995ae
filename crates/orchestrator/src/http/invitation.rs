//! Invitations of people.

use axum::extract::State;
use axum::http::Method;
use axum::routing::{get, post};
use waybill_api::account::Tokens;
use waybill_api::invitation::{Invitation, InvitationAccept, InvitationCreate, InvitationMade};
use waybill_api::open::{OrganizationRoleWord, ProjectRoleWord};
use waybill_api::{Page, ProblemCode};
use waybill_store::Invitation as Row;

use super::App;
use super::action::{self, Action};
use super::body::{Query, Strict};
use super::conditions::Idempotency;
use super::gate::{Permit, Remote, may};
use super::operation::{Operation, Operations};
use super::page::Paging;
use super::reply::{Answer, Reply};
use crate::auth::{Caller, Place};
use crate::service::invitation;

const PATH: &str = "/v1/invitations";

pub(super) fn mount(all: &mut Operations) {
    use ProblemCode as C;
    all.add(
        Operation::of::<action::InvitationList>(Method::GET, PATH, "Invitations, oldest first").pages::<Invitation>(),
        get(list),
    );
    all.add(
        Operation::of::<action::InvitationCreate>(
            Method::POST,
            PATH,
            "Ask a person in: the token in the answer makes their account, once, within 72 hours",
        )
        .takes::<InvitationCreate>()
        .answers::<InvitationMade>(201)
        .creates()
        .codes(&[C::NameTaken, C::NameInvalid, C::Unusable, C::NotFound]),
        post(create),
    );
    all.add(
        Operation::of::<action::InvitationGet>(Method::GET, "/v1/invitations/{invitation}", "One invitation")
            .answers::<Invitation>(200),
        get(one),
    );
    all.add(
        Operation::of::<action::InvitationRevoke>(
            Method::POST,
            "/v1/invitations/{invitation}/revoke",
            "Take an invitation back; one that is over stays as it is",
        )
        .answers::<Invitation>(200),
        post(revoke),
    );
    all.add(
        Operation::open(
            "invitation_accept",
            Method::POST,
            "/v1/invitations:accept",
            "Make the own account with the token of an invitation, and log in",
        )
        .takes::<InvitationAccept>()
        .answers::<Tokens>(201)
        .codes(&[C::InvitationRefused, C::TooManyRequests, C::PasswordWeak]),
        post(accept),
    );
}

async fn list(
    State(app): State<App>,
    permit: Permit<action::InvitationList>,
    Query(paging): Query<Paging>,
) -> Answer<Page<Invitation>> {
    let turn = app.pager.turn(&permit.caller, action::InvitationList::ID, paging, &())?;
    let rows = app.store.invitation_list(permit.caller.org, turn.key()?, turn.fetch()).await?;
    Ok(Reply::ok(turn.page(rows, |row| row.id.to_string(), |row| show(&permit.caller, row))))
}

async fn create(
    State(app): State<App>,
    permit: Permit<action::InvitationCreate>,
    idempotency: Idempotency,
    body: Strict<InvitationCreate>,
) -> Answer<InvitationMade> {
    let once = idempotency.once(&permit.caller, action::InvitationCreate::ID, &body.bytes);
    let (row, token) = invitation::create(&app, &permit.caller, &body.value, once.as_ref()).await?;
    Ok(Reply::created(InvitationMade { invitation: show(&permit.caller, row), token }))
}

async fn one(permit: Permit<action::InvitationGet>) -> Answer<Invitation> {
    Ok(Reply::ok(show(&permit.caller, permit.object)))
}

async fn revoke(State(app): State<App>, permit: Permit<action::InvitationRevoke>) -> Answer<Invitation> {
    let row = invitation::revoke(&app, &permit.caller, &permit.object).await?;
    Ok(Reply::ok(show(&permit.caller, row)))
}

async fn accept(State(app): State<App>, Remote(ip): Remote, body: Strict<InvitationAccept>) -> Answer<Tokens> {
    invitation::accept(&app, &body.value, ip).await.map(Reply::created)
}

fn show(caller: &Caller, row: Row) -> Invitation {
    let over = match row.state.as_str() {
        "accepted" => Some("it is accepted"),
        "revoked" => Some("it is taken back"),
        _ => None,
    };
    let (project_id, project_role) = row.project.map(|(id, role)| (id, ProjectRoleWord::read(&role))).unzip();
    Invitation {
        id: row.id,
        email: row.email,
        role: OrganizationRoleWord::read(&row.role),
        project_id,
        project_role,
        state: row.state,
        invited_by: row.invited_by,
        created_at: row.created_at.into(),
        expires_at: row.expires_at.into(),
        allowed_actions: vec![may::<action::InvitationRevoke>(caller, Place::Organization, over)],
    }
}
