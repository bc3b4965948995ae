//! People of an organization: made, given another role, disabled and enabled. Nobody gives or takes a role above their own,
//! nobody changes their own, and the last owner stays; all of it is decided behind one lock, in the transaction of the change.

use waybill_api::ProblemCode;
use waybill_api::account::{UserCreate, UserUpdate};
use waybill_model::UserId;
use waybill_model::role::OrganizationRole;
use waybill_store::{RoleChange, Store, Tx, User};

use super::access::{self, above, last_owner, own_role};
use super::account::{check_password, email, person};
use super::{Once, ServiceResult, digest_of, once};
use crate::app::Shared;
use crate::auth::authority::may_turn;
use crate::auth::{Caller, Permission, Place};

/// Makes an account in the caller's organization.
pub async fn create(app: &Shared, caller: &Caller, body: &UserCreate, key: Option<&Once>) -> ServiceResult<User> {
    let email = email(&body.email)?;
    let organization = app.store.organization_get(caller.org).await?.ok_or(ProblemCode::NotFound)?;
    check_password(&body.password, &[&email, &organization.name])?;
    let role = body.role.unwrap_or(OrganizationRole::Member);
    let id: UserId = once(&app.store, key, async || {
        let password_hash = app.passwords.hash(&body.password).await?;
        let person = person((caller.org, UserId::generate()), email.clone(), password_hash, role);
        let mut tx = app.store.write_tx(caller.org).await?;
        may(&mut tx, caller, (None, Some(role))).await?;
        Store::user_insert_in_txn(&mut tx, &person).await?;
        if let Some(key) = key {
            key.keep(&mut tx, &person.id.to_string()).await?;
        }
        let mut entry = caller.audit("user_create", person.id);
        entry.after = Some(digest_of(role.as_str()));
        Store::audit_append_in_txn(&mut tx, &entry).await?;
        tx.commit().await?;
        Ok(person.id)
    })
    .await?;
    app.store.user_get(caller.org, id).await?.ok_or_else(|| ProblemCode::NotFound.into())
}

/// Changes a person's role or state; `None` where somebody else changed it meanwhile. Who is disabled has no session any more.
pub async fn update(app: &Shared, caller: &Caller, user: &User, body: &UserUpdate) -> ServiceResult<Option<User>> {
    if caller.is(user.id) {
        return Err(own_role());
    }
    let from = role_of(user)?;
    let (to, disabled) = (body.role.unwrap_or(from), body.disabled.unwrap_or(user.disabled));
    let mut tx = app.store.write_tx(caller.org).await?;
    may(&mut tx, caller, (Some(from), Some(to))).await?;
    match Store::user_update_in_txn(&mut tx, user, to.as_str(), disabled).await? {
        RoleChange::Done => {}
        RoleChange::Stale => return Ok(None),
        RoleChange::LastOwner => return Err(last_owner("the organization")),
    }
    if disabled {
        Store::session_revoke_all_in_txn(&mut tx, user.org, user.id, None).await?;
    }
    let action = match (user.disabled, disabled) {
        (false, true) => "user_disable",
        (true, false) => "user_enable",
        _ => "user_update",
    };
    let mut entry = caller.audit(action, user.id);
    (entry.before, entry.after) = (Some(digest_of(from.as_str())), Some(digest_of(to.as_str())));
    Store::audit_append_in_txn(&mut tx, &entry).await?;
    tx.commit().await?;
    Ok(app.store.user_get(user.org, user.id).await?)
}

/// What turns a person's role may be, as the caller's rights are behind the lock.
async fn may(
    tx: &mut Tx,
    caller: &Caller,
    (from, to): (Option<OrganizationRole>, Option<OrganizationRole>),
) -> ServiceResult<()> {
    let now = access::locked(tx, caller).await?;
    access::allowed(&now, Permission::UserWrite, Place::Organization)?;
    let own = now.authority.in_organization();
    if may_turn(own, from, to) { Ok(()) } else { Err(above(own)) }
}

pub(crate) fn role_of(user: &User) -> ServiceResult<OrganizationRole> {
    user.role.parse().map_err(|_| super::document::damaged("user"))
}
