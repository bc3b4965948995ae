//! Set-up, login and people.

use axum::extract::State;
use axum::http::Method;
use axum::response::Response;
use axum::routing::{get, post};
use waybill_api::account::{LoginRequest, RefreshRequest, SetupRequest, Tokens, User, UserCreate, Whoami};
use waybill_api::{Page, ProblemCode};
use waybill_store::{Listed, User as Row};

use super::App;
use super::action::{self, Action};
use super::body::{Query, Strict};
use super::conditions::{Conditions, Idempotency, tag_of};
use super::gate::{Permit, Remote};
use super::operation::{Operation, Operations};
use super::organization::show_organization;
use super::page::{BY_NAME, Paging};
use super::reply::{Answer, Reply, nothing};
use crate::service::{Refused, account};

pub(super) fn mount(all: &mut Operations) {
    use ProblemCode as C;
    all.add(
        Operation::open(
            "setup",
            Method::POST,
            "/v1/setup",
            "Make the first administrator with the one-time setup token",
        )
        .takes::<SetupRequest>()
        .answers::<Tokens>(201)
        .codes(&[C::SetupRefused, C::TooManyRequests, C::PasswordWeak, C::NameInvalid]),
        post(setup),
    );
    all.add(
        Operation::open("login", Method::POST, "/v1/login", "Log in")
            .takes::<LoginRequest>()
            .answers::<Tokens>(200)
            .codes(&[C::LoginFailed, C::TooManyRequests]),
        post(login),
    );
    all.add(
        Operation::open("refresh", Method::POST, "/v1/refresh", "Exchange a refresh token for new tokens")
            .takes::<RefreshRequest>()
            .answers::<Tokens>(200)
            .codes(&[C::TokenInvalid]),
        post(refresh),
    );
    all.add(Operation::of::<action::Logout>(Method::POST, "/v1/logout", "End the own session"), post(logout));
    all.add(
        Operation::of::<action::Whoami>(Method::GET, "/v1/whoami", "Who is logged in").answers::<Whoami>(200),
        get(whoami),
    );
    all.add(
        Operation::of::<action::UserList>(Method::GET, "/v1/users", "People of the organization")
            .pages::<User>()
            .sorts("created_at, -created_at, name or -name (the e-mail address); created_at where absent."),
        get(list),
    );
    all.add(
        Operation::of::<action::UserCreate>(Method::POST, "/v1/users", "Make another administrator")
            .takes::<UserCreate>()
            .answers::<User>(201)
            .creates()
            .codes(&[C::NameTaken, C::NameInvalid, C::PasswordWeak]),
        post(create),
    );
    all.add(
        Operation::of::<action::UserGet>(Method::GET, "/v1/users/{user}", "One person").answers::<User>(200).tagged(),
        get(one),
    );
}

async fn setup(State(app): State<App>, Remote(ip): Remote, body: Strict<SetupRequest>) -> Answer<Tokens> {
    account::setup(&app, &body.value, ip).await.map(Reply::created)
}

async fn login(State(app): State<App>, Remote(ip): Remote, body: Strict<LoginRequest>) -> Answer<Tokens> {
    account::login(&app, &body.value, ip).await.map(Reply::ok)
}

async fn refresh(State(app): State<App>, Remote(ip): Remote, body: Strict<RefreshRequest>) -> Answer<Tokens> {
    account::refresh(&app, &body.value, ip).await.map(Reply::ok)
}

async fn logout(State(app): State<App>, permit: Permit<action::Logout>) -> Result<Response, Refused> {
    account::logout(&app, &permit.caller).await.map(|()| nothing())
}

async fn whoami(State(app): State<App>, permit: Permit<action::Whoami>) -> Answer<Whoami> {
    let caller = permit.caller;
    let user = app.store.user_get(caller.org, caller.user).await?.ok_or(ProblemCode::NotFound)?;
    let organization = app.store.organization_get(caller.org).await?.ok_or(ProblemCode::NotFound)?;
    let organization = show_organization(organization);
    Ok(Reply::ok(Whoami { user: show(user), organization, session_id: caller.session }))
}

async fn list(
    State(app): State<App>,
    permit: Permit<action::UserList>,
    Query(paging): Query<Paging>,
) -> Answer<Page<User>> {
    let org = permit.caller.org;
    let turn = app.pager.sorted(&permit.caller, (action::UserList::ID, BY_NAME), paging, &())?;
    let rows = app.store.user_part(org, &turn.part()).await?;
    let count = turn.count(async |most| app.store.listed_count(org, Listed::Users, most).await).await?;
    let page = turn.page(rows, |row| turn.place(&row.id, &row.email), show);
    Ok(Reply::ok(Page { count, ..page }))
}

async fn create(
    State(app): State<App>,
    permit: Permit<action::UserCreate>,
    idempotency: Idempotency,
    body: Strict<UserCreate>,
) -> Answer<User> {
    let key = idempotency.once(&permit.caller, action::UserCreate::ID, &body.bytes);
    let user = show(account::user_create(&app, &permit.caller, &body.value, key.as_ref()).await?);
    let tag = tag_of(&user);
    Ok(Reply::created(user).tagged(tag))
}

async fn one(permit: Permit<action::UserGet>, conditions: Conditions) -> Response {
    let user = show(permit.object);
    let tag = tag_of(&user);
    conditions.answer(user, tag)
}

fn show(row: Row) -> User {
    User { id: row.id, organization_id: row.org, email: row.email, role: row.role, created_at: row.created_at.into() }
}
