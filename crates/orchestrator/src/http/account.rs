//! Set-up, login and people.

use axum::extract::State;
use axum::http::Method;
use axum::response::Response;
use axum::routing::{get, patch, post};
use waybill_api::account::{LoginRequest, RefreshRequest, SetupRequest, Tokens, User, UserCreate, UserUpdate, Whoami};
use waybill_api::open::OrganizationRoleWord;
use waybill_api::{Page, ProblemCode};
use waybill_store::{Listed, User as Row};

use super::App;
use super::action::{self, Action};
use super::body::{Query, Strict};
use super::conditions::{Conditions, Idempotency, stale, tag};
use super::gate::{Permit, Remote, may};
use super::operation::{Operation, Operations};
use super::organization::show_organization;
use super::page::{BY_NAME, Paging};
use super::reply::{Answer, Reply, nothing};
use crate::auth::{Caller, Place};
use crate::service::access::{self, ABOVE, OWN_ROLE};
use crate::service::{Refused, account, user};

pub(super) fn mount(all: &mut Operations) {
    use ProblemCode as C;
    all.add(
        Operation::open(
            "setup",
            Method::POST,
            "/v1/setup",
            "Make the organization and its owner with the one-time setup token",
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
        Operation::of::<action::UserCreate>(
            Method::POST,
            "/v1/users",
            "Make an account: a member, unless another role is named",
        )
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
    all.add(
        Operation::of::<action::UserUpdate>(
            Method::PATCH,
            "/v1/users/{user}",
            "Change a person's role, disable or enable them; who is disabled has no session any more",
        )
        .takes::<UserUpdate>()
        .answers::<User>(200)
        .changes()
        .codes(&[C::LastOwner]),
        patch(update),
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
    let (user, session_id) = access::person_of(&caller)?;
    let user = app.store.user_get(caller.org, user).await?.ok_or(ProblemCode::NotFound)?;
    let organization = app.store.organization_get(caller.org).await?.ok_or(ProblemCode::NotFound)?;
    let organization = show_organization(organization);
    Ok(Reply::ok(Whoami { user: show(&caller, user), organization, session_id }))
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
    let page = turn.page(rows, |row| turn.place(&row.id, &row.email), |row| show(&permit.caller, row));
    Ok(Reply::ok(Page { count, ..page }))
}

async fn create(
    State(app): State<App>,
    permit: Permit<action::UserCreate>,
    idempotency: Idempotency,
    body: Strict<UserCreate>,
) -> Answer<User> {
    // A digest of all of it is kept with the key, and would let a password be guessed fast.
    let told = serde_json::json!({ "email": body.value.email, "role": body.value.role });
    let key = idempotency.once(&permit.caller, action::UserCreate::ID, told.to_string().as_bytes());
    let row = user::create(&app, &permit.caller, &body.value, key.as_ref()).await?;
    let tag = tag(row.version, row.updated_at);
    Ok(Reply::created(show(&permit.caller, row)).tagged(tag))
}

async fn one(permit: Permit<action::UserGet>, conditions: Conditions) -> Response {
    let tag = tag(permit.object.version, permit.object.updated_at);
    conditions.answer(show(&permit.caller, permit.object), tag)
}

async fn update(
    State(app): State<App>,
    permit: Permit<action::UserUpdate>,
    conditions: Conditions,
    body: Strict<UserUpdate>,
) -> Answer<User> {
    let row = &permit.object;
    let old = tag(row.version, row.updated_at);
    conditions.must_match(&old, row.updated_at)?;
    let new = user::update(&app, &permit.caller, row, &body.value).await?;
    let new = new.ok_or_else(|| stale(&old, row.updated_at))?;
    let tag = tag(new.version, new.updated_at);
    Ok(Reply::ok(show(&permit.caller, new)).tagged(tag))
}

fn show(caller: &Caller, row: Row) -> User {
    let role = OrganizationRoleWord::read(&row.role);
    let own = caller.is(row.id).then_some(OWN_ROLE);
    let above = role.known() > caller.authority.in_organization();
    let barred = own.or(above.then_some(ABOVE));
    User {
        id: row.id,
        organization_id: row.org,
        email: row.email,
        role,
        disabled: row.disabled,
        created_at: row.created_at.into(),
        allowed_actions: vec![
            may::<action::UserUpdate>(caller, Place::Organization, barred),
            may::<action::UserPasswordReset>(caller, Place::Organization, barred),
        ],
    }
}
