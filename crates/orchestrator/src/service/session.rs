//! Ending login sessions before their time. What is ended here is refused with the next request, since each reads whether its
//! session is alive; an open stream ends within seconds.

use waybill_api::ProblemCode;
use waybill_model::id::SessionId;
use waybill_store::{Store, Tx, User};

use super::ServiceResult;
use super::access::{self, above};
use super::password::standing_role;
use crate::app::Shared;
use crate::auth::authority::may_turn;
use crate::auth::{Caller, Permission, Place};

/// Ends one of the caller's own sessions, or all but the one that asks; tells how many were alive.
pub async fn revoke_own(app: &Shared, caller: &Caller, session: Option<SessionId>) -> ServiceResult<u64> {
    let (user, asking) = access::person_of(caller)?;
    let mut tx = app.store.write_tx(caller.org).await?;
    let ended = match session {
        Some(session) => one(&mut tx, caller, (user, session)).await?,
        None => Store::session_revoke_all_in_txn(&mut tx, caller.org, user, Some(asking)).await?,
    };
    tell(&mut tx, caller, session.map_or_else(|| user.to_string(), |id| id.to_string())).await?;
    tx.commit().await?;
    Ok(ended)
}

/// Ends one session of a person who stands no higher than the caller, or all of them.
pub async fn revoke_of(app: &Shared, caller: &Caller, user: &User, session: Option<SessionId>) -> ServiceResult<u64> {
    let mut tx = app.store.write_tx(caller.org).await?;
    let now = access::locked(&mut tx, caller).await?;
    let role = Some(standing_role(&mut tx, user).await?);
    access::allowed(&now, Permission::UserWrite, Place::Organization)?;
    let own = now.authority.in_organization();
    if !may_turn(own, role, role) {
        return Err(above(own));
    }
    let ended = match session {
        Some(session) => one(&mut tx, caller, (user.id, session)).await?,
        None => Store::session_revoke_all_in_txn(&mut tx, user.org, user.id, None).await?,
    };
    tell(&mut tx, caller, session.map_or_else(|| user.id.to_string(), |id| id.to_string())).await?;
    tx.commit().await?;
    Ok(ended)
}

async fn one(tx: &mut Tx, caller: &Caller, (user, session): (waybill_model::UserId, SessionId)) -> ServiceResult<u64> {
    if Store::session_revoke_of_in_txn(tx, (caller.org, user), session).await? {
        return Ok(1);
    }
    Err(ProblemCode::NotFound.into())
}

async fn tell(tx: &mut Tx, caller: &Caller, object: String) -> ServiceResult<()> {
    Store::audit_append_in_txn(tx, &caller.audit("session_revoke", object)).await?;
    Ok(())
}
