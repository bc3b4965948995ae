//! Login sessions and how somebody signed in: one's own, and those of others for who looks after people.

use axum::extract::State;
use axum::http::Method;
use axum::routing::{get, post};
use waybill_api::session::{Session, SessionRevoke, SessionsRevoked, SignIn};
use waybill_api::{Page, ProblemCode};
use waybill_model::UserId;
use waybill_store::{AuditRow, Session as Row};

use super::App;
use super::action::{self, Action};
use super::body::{Query, Strict};
use super::gate::Permit;
use super::operation::{Operation, Operations};
use super::page::Paging;
use super::reply::{Answer, Reply};
use crate::auth::Caller;
use crate::service::{access, session};

pub(super) fn mount(all: &mut Operations) {
    use ProblemCode as C;
    all.add(
        Operation::of::<action::SessionList>(
            Method::GET,
            "/v1/sessions",
            "The caller's own login sessions, oldest first",
        )
        .pages::<Session>(),
        get(own),
    );
    all.add(
        Operation::of::<action::SessionRevoke>(
            Method::POST,
            "/v1/sessions:revoke",
            "End one of the caller's own sessions, or all but the one that asks",
        )
        .takes::<SessionRevoke>()
        .answers::<SessionsRevoked>(200)
        .codes(&[C::NotFound]),
        post(revoke_own),
    );
    all.add(
        Operation::of::<action::UserSessionList>(
            Method::GET,
            "/v1/users/{user}/sessions",
            "A person's login sessions, oldest first",
        )
        .pages::<Session>(),
        get(of_user),
    );
    all.add(
        Operation::of::<action::UserSessionRevoke>(
            Method::POST,
            "/v1/users/{user}/sessions:revoke",
            "End one of a person's sessions, or all of them",
        )
        .takes::<SessionRevoke>()
        .answers::<SessionsRevoked>(200),
        post(revoke_of_user),
    );
    all.add(
        Operation::of::<action::SignInList>(
            Method::GET,
            "/v1/sign-ins",
            "How the caller signed in, and who tried to as them, newest first",
        )
        .pages::<SignIn>(),
        get(own_sign_ins),
    );
    all.add(
        Operation::of::<action::UserSignInList>(
            Method::GET,
            "/v1/users/{user}/sign-ins",
            "How a person signed in, and who tried to as them, newest first",
        )
        .pages::<SignIn>(),
        get(sign_ins_of_user),
    );
}

async fn own(
    State(app): State<App>,
    permit: Permit<action::SessionList>,
    Query(paging): Query<Paging>,
) -> Answer<Page<Session>> {
    let user = access::person_of(&permit.caller)?.0;
    list(&app, &permit.caller, (action::SessionList::ID, user), paging).await
}

async fn of_user(
    State(app): State<App>,
    permit: Permit<action::UserSessionList>,
    Query(paging): Query<Paging>,
) -> Answer<Page<Session>> {
    list(&app, &permit.caller, (action::UserSessionList::ID, permit.object.id), paging).await
}

async fn list(app: &App, caller: &Caller, (operation, user): (&str, UserId), paging: Paging) -> Answer<Page<Session>> {
    let turn = app.pager.turn(caller, operation, paging, &user)?;
    let rows = app.store.session_list(caller.org, user, turn.key()?, turn.fetch()).await?;
    Ok(Reply::ok(turn.page(rows, |row| row.id.to_string(), |row| show(caller, row))))
}

async fn revoke_own(
    State(app): State<App>,
    permit: Permit<action::SessionRevoke>,
    body: Strict<SessionRevoke>,
) -> Answer<SessionsRevoked> {
    let ended = session::revoke_own(&app, &permit.caller, body.value.session_id).await?;
    Ok(Reply::ok(SessionsRevoked { ended }))
}

async fn revoke_of_user(
    State(app): State<App>,
    permit: Permit<action::UserSessionRevoke>,
    body: Strict<SessionRevoke>,
) -> Answer<SessionsRevoked> {
    let ended = session::revoke_of(&app, &permit.caller, &permit.object, body.value.session_id).await?;
    Ok(Reply::ok(SessionsRevoked { ended }))
}

async fn own_sign_ins(
    State(app): State<App>,
    permit: Permit<action::SignInList>,
    Query(paging): Query<Paging>,
) -> Answer<Page<SignIn>> {
    let user = access::person_of(&permit.caller)?.0;
    sign_ins(&app, &permit.caller, (action::SignInList::ID, user), paging).await
}

async fn sign_ins_of_user(
    State(app): State<App>,
    permit: Permit<action::UserSignInList>,
    Query(paging): Query<Paging>,
) -> Answer<Page<SignIn>> {
    sign_ins(&app, &permit.caller, (action::UserSignInList::ID, permit.object.id), paging).await
}

async fn sign_ins(
    app: &App,
    caller: &Caller,
    (operation, user): (&str, UserId),
    paging: Paging,
) -> Answer<Page<SignIn>> {
    let turn = app.pager.turn(caller, operation, paging, &user)?;
    let rows = app.store.sign_in_list(caller.org, user, turn.key()?, turn.fetch()).await?;
    Ok(Reply::ok(turn.page(rows, |row| row.seq.to_string(), sign_in)))
}

fn sign_in(row: AuditRow) -> SignIn {
    SignIn { seq: row.seq.unsigned_abs(), at: row.at.into(), how: row.action, outcome: row.outcome, ip: row.ip }
}

fn show(caller: &Caller, row: Row) -> Session {
    Session {
        id: row.id,
        current: access::person_of(caller).is_ok_and(|(_, session)| session == row.id),
        ip: row.ip,
        created_at: row.created_at.into(),
        used_at: row.used_at.into(),
        expires_at: row.expires_at.into(),
    }
}
