//! New passwords.

use axum::extract::State;
use axum::http::Method;
use axum::response::Response;
use axum::routing::post;
use waybill_api::ProblemCode;
use waybill_api::account::Tokens;
use waybill_api::password::{PasswordChange, PasswordResetCreate, PasswordResetMade, PasswordResetUse};

use super::App;
use super::action;
use super::body::Strict;
use super::gate::{Permit, Remote};
use super::operation::{Operation, Operations};
use super::reply::{Answer, Reply, nothing};
use crate::service::{Refused, password};

pub(super) fn mount(all: &mut Operations) {
    use ProblemCode as C;
    all.add(
        Operation::of::<action::PasswordChange>(
            Method::POST,
            "/v1/password",
            "Change the own password; every other session ends",
        )
        .takes::<PasswordChange>()
        .codes(&[C::Unusable, C::TooManyRequests, C::PasswordWeak]),
        post(change),
    );
    all.add(
        Operation::of::<action::UserPasswordReset>(
            Method::POST,
            "/v1/users/{user}/password-reset",
            "Make a link by which a person chooses a new password, once",
        )
        .takes::<PasswordResetCreate>()
        .answers::<PasswordResetMade>(201)
        .codes(&[C::Unusable]),
        post(link),
    );
    all.add(
        Operation::open(
            "password_reset_use",
            Method::POST,
            "/v1/password-resets:use",
            "Choose a new password with the token of a link, and log in; every session of before ends",
        )
        .takes::<PasswordResetUse>()
        .answers::<Tokens>(200)
        .codes(&[C::ResetRefused, C::TooManyRequests, C::PasswordWeak]),
        post(reset),
    );
}

async fn change(
    State(app): State<App>,
    permit: Permit<action::PasswordChange>,
    Remote(ip): Remote,
    body: Strict<PasswordChange>,
) -> Result<Response, Refused> {
    password::change(&app, &permit.caller, &body.value, ip).await.map(|()| nothing())
}

async fn link(
    State(app): State<App>,
    permit: Permit<action::UserPasswordReset>,
    body: Strict<PasswordResetCreate>,
) -> Answer<PasswordResetMade> {
    password::link(&app, &permit.caller, &permit.object, body.value).await.map(Reply::created)
}

async fn reset(State(app): State<App>, Remote(ip): Remote, body: Strict<PasswordResetUse>) -> Answer<Tokens> {
    password::reset(&app, &body.value, ip).await.map(Reply::ok)
}
