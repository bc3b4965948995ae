//! New passwords: changed by who knows the old one, or chosen by a link that somebody who looks after people made. Either ends every
//! other session. Whatever is wrong with a link, the answer is the same and takes as long.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use waybill_api::account::{Confidential, Tokens};
use waybill_api::password::{PasswordChange, PasswordResetCreate, PasswordResetMade, PasswordResetUse};
use waybill_api::{ProblemCode, Timestamp};
use waybill_model::role::OrganizationRole;
use waybill_store::{PasswordReset, Store, Tx, User};

use super::access::{self, above, allowed, own_role};
use super::account::{audit, begin, check_password, wait};
use super::user::role_of;
use super::{Refused, ServiceResult, digest_of};
use crate::app::Shared;
use crate::auth::authority::may_turn;
use crate::auth::throttle::Subject;
use crate::auth::{Authority, Caller, Permission, Place};

/// How long a link may be good for, in hours.
const MOST_HOURS: u8 = 24;
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Changes the caller's own password; every session but the one that asks ends.
pub async fn change(app: &Shared, caller: &Caller, body: &PasswordChange, ip: Option<IpAddr>) -> ServiceResult<()> {
    let (id, session) = access::person_of(caller)?;
    let user = app.store.user_get(caller.org, id).await?.ok_or(ProblemCode::TokenInvalid)?;
    context(app, &user, &body.password).await?;
    wait(app, Subject::Login(&user.email), ip)?;
    if !app.passwords.verify(&body.current_password, Some(&user.password_hash)).await? {
        app.throttle.failed(Subject::Login(&user.email), ip);
        let message = "this is not the password that you have";
        return Err(Refused::field(ProblemCode::Unusable, "/current_password", message));
    }
    let hash = app.passwords.hash(&body.password).await?;
    let mut tx = app.store.write_tx(caller.org).await?;
    if !Store::password_set_in_txn(&mut tx, (user.org, id), &user.password_hash, &hash).await? {
        return Err(ProblemCode::TokenInvalid.into());
    }
    Store::session_revoke_all_in_txn(&mut tx, user.org, id, Some(session)).await?;
    Store::password_reset_delete_in_txn(&mut tx, (user.org, id)).await?;
    Store::audit_append_in_txn(&mut tx, &caller.audit("password_change", id)).await?;
    Ok(tx.commit().await?)
}

/// Makes a link for a person who stands no higher than the caller; one that they had before is refused from now on.
pub async fn link(
    app: &Shared,
    caller: &Caller,
    user: &User,
    body: PasswordResetCreate,
) -> ServiceResult<PasswordResetMade> {
    let hours = body.hours.unwrap_or(1);
    if !(1..=MOST_HOURS).contains(&hours) {
        let message = format!("a link is good for 1 to {MOST_HOURS} hours");
        return Err(Refused::field(ProblemCode::Unusable, "/hours", message));
    }
    if caller.is(user.id) {
        return Err(own_role());
    }
    let maker = access::person_of(caller)?.0;
    let token = format!("wbp_{}", URL_SAFE_NO_PAD.encode(crate::random::<32>()));
    let mut tx = app.store.write_tx(caller.org).await?;
    let now = access::locked(&mut tx, caller).await?;
    allowed(&now, Permission::UserWrite, Place::Organization)?;
    let role = standing_role(&mut tx, user).await?;
    if !may_turn(now.authority.in_organization(), Some(role), Some(role)) {
        return Err(above(now.authority.in_organization()));
    }
    let who = (user.org, user.id);
    let until =
        Store::password_reset_insert_in_txn(&mut tx, who, &digest_of(&token), (maker, HOUR * u32::from(hours))).await?;
    Store::audit_append_in_txn(&mut tx, &caller.audit("password_reset_create", user.id)).await?;
    tx.commit().await?;
    Ok(PasswordResetMade { user_id: user.id, token: Confidential::new(token), expires_at: Timestamp(until) })
}

/// Gives the person of a link the password that they chose, and logs them in; every session of before ends.
pub async fn reset(app: &Shared, body: &PasswordResetUse, ip: Option<IpAddr>) -> ServiceResult<Tokens> {
    check_password(&body.password, &[])?;
    wait(app, Subject::Link, ip)?;
    let digest = digest_of(body.token.reveal());
    let now = app.store.clock().await?;
    let found = app.store.password_reset_find(&digest).await?.filter(|link| link.expires_at > now);
    let user = match &found {
        Some(link) => app.store.user_get(link.org, link.user).await?.filter(|user| !user.disabled),
        None => None,
    };
    if let Some(user) = &user {
        context(app, user, &body.password).await?;
    }
    // What takes long is done whatever the token is.
    let hash = app.passwords.hash(&body.password).await?;
    let done = match found.zip(user) {
        Some((link, user)) => given(app, (&link, &digest), (&user, &hash), ip).await?,
        None => None,
    };
    done.ok_or_else(|| {
        app.throttle.failed(Subject::Link, ip);
        Refused::new(ProblemCode::ResetRefused, "the link is not valid (any more)")
    })
}

/// The new password, in the transaction that uses the link up; none where somebody else was first, or its maker may not any more.
async fn given(
    app: &Shared,
    (link, digest): (&PasswordReset, &str),
    (user, hash): (&User, &str),
    ip: Option<IpAddr>,
) -> ServiceResult<Option<Tokens>> {
    let who = (user.org, user.id);
    let mut tx = app.store.write_tx(user.org).await?;
    Store::authority_lock_in_txn(&mut tx, user.org).await?;
    let role = standing_role(&mut tx, user).await?;
    let maker = Store::standing_of_in_txn(&mut tx, user.org, link.made_by).await?.map(Authority::from);
    let may = maker.is_some_and(|maker| {
        maker.decide(Permission::UserWrite, Place::Organization).allowed
            && may_turn(maker.in_organization(), Some(role), Some(role))
    });
    if !may
        || !Store::password_reset_use_in_txn(&mut tx, who, digest).await?
        || !Store::password_set_in_txn(&mut tx, who, &user.password_hash, hash).await?
    {
        return Ok(None);
    }
    Store::session_revoke_all_in_txn(&mut tx, user.org, user.id, None).await?;
    audit(&mut tx, user, "password_reset", ip).await?;
    let tokens = begin(app, &mut tx, user, ip).await?;
    tx.commit().await?;
    app.throttle.succeeded(&user.email);
    Ok(Some(tokens))
}

/// The person's role behind the lock: they may just have been given more. Who is disabled stands where they stood.
pub(super) async fn standing_role(tx: &mut Tx, user: &User) -> ServiceResult<OrganizationRole> {
    match Store::standing_of_in_txn(tx, user.org, user.id).await? {
        Some(standing) => standing.role.parse().map_err(|_| super::document::damaged("user")),
        None => role_of(user),
    }
}

/// Refuses a password that is made of what everybody knows of this person.
async fn context(app: &Shared, user: &User, password: &Confidential) -> ServiceResult<()> {
    let organization = app.store.organization_get(user.org).await?.ok_or(ProblemCode::Internal)?;
    check_password(password, &[&user.email, &organization.name])
}
