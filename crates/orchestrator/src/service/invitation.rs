//! Invitations: whoever looks after people asks somebody in, and who has the token makes their own account, once. Whatever is wrong with
//! a token, the answer is the same and takes as long; what it gives is held against what its maker may give at that moment.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use waybill_api::ProblemCode;
use waybill_api::account::{Confidential, Tokens};
use waybill_api::invitation::{InvitationAccept, InvitationCreate};
use waybill_model::id::InvitationId;
use waybill_model::role::{OrganizationRole, ProjectRole};
use waybill_model::{ProjectId, UserId};
use waybill_store::{AuditEntry, Invitation, NewInvitation, Store, StoreError, Tx, User};

use super::access::{self, above, allowed};
use super::account::{begin, check_password, email, person, wait};
use super::{Once, Refused, ServiceResult, digest_of, once};
use crate::app::Shared;
use crate::auth::authority::may_turn;
use crate::auth::throttle::Subject;
use crate::auth::{Authority, Caller, Permission, Place};

/// How long an invitation is good for.
const LIFE: Duration = Duration::from_secs(72 * 60 * 60);

/// The project that takes somebody in, and the role there.
type InProject = Option<(ProjectId, ProjectRole)>;

/// Asks a person in. The token is there once: a repeat under the same idempotency key tells which invitation was made, and no more.
pub async fn create(
    app: &Shared,
    caller: &Caller,
    body: &InvitationCreate,
    key: Option<&Once>,
) -> ServiceResult<(Invitation, Option<Confidential>)> {
    let email = email(&body.email)?;
    let in_project = match (body.project_id, body.project_role) {
        (None, None) => None,
        (Some(project), Some(role)) => Some((project, role)),
        _ => {
            let message = "a project and the role there go together";
            return Err(Refused::field(ProblemCode::Unusable, "/project_role", message));
        }
    };
    if let Some((project, _)) = in_project {
        app.store.project_get(caller.org, project).await?.ok_or(ProblemCode::NotFound)?;
    }
    let there = app.store.user_find_by_email(&email).await?;
    if there.is_some_and(|person| person.org == caller.org) {
        return Err(Refused::new(ProblemCode::NameTaken, "this person is in the organization already")
            .next("a project takes them in, or they are given another role"));
    }
    let role = body.role.unwrap_or(OrganizationRole::Member);
    let inviter = access::person_of(caller)?.0;
    let (made, token) = (InvitationId::generate(), format!("wbi_{}", URL_SAFE_NO_PAD.encode(crate::random::<32>())));
    let id: InvitationId = once(&app.store, key, async || {
        let mut tx = app.store.write_tx(caller.org).await?;
        let now = access::locked(&mut tx, caller).await?;
        may(&now.authority, (role, in_project))?;
        allowed(&now, Permission::UserWrite, Place::Organization)?;
        let new = NewInvitation {
            org: caller.org,
            id: made,
            email: email.clone(),
            role: role.as_str(),
            project: in_project.map(|(project, role)| (project, role.as_str())),
            digest: digest_of(&token),
            invited_by: inviter,
            life: LIFE,
        };
        Store::invitation_insert_in_txn(&mut tx, &new).await?;
        if let Some(key) = key {
            key.keep(&mut tx, &made.to_string()).await?;
        }
        let mut entry = caller.audit("invitation_create", made);
        entry.after = Some(digest_of(role.as_str()));
        Store::audit_append_in_txn(&mut tx, &entry).await?;
        tx.commit().await?;
        Ok(made)
    })
    .await?;
    let row = app.store.invitation_get(caller.org, id).await?.ok_or(ProblemCode::NotFound)?;
    Ok((row, (id == made).then(|| Confidential::new(token))))
}

/// Takes an invitation back; one that is over stays as it is.
pub async fn revoke(app: &Shared, caller: &Caller, invitation: &Invitation) -> ServiceResult<Invitation> {
    let mut tx = app.store.write_tx(caller.org).await?;
    let now = access::locked(&mut tx, caller).await?;
    allowed(&now, Permission::UserWrite, Place::Organization)?;
    if Store::invitation_revoke_in_txn(&mut tx, invitation.org, invitation.id).await? {
        Store::audit_append_in_txn(&mut tx, &caller.audit("invitation_revoke", invitation.id)).await?;
        tx.commit().await?;
    }
    app.store.invitation_get(invitation.org, invitation.id).await?.ok_or_else(|| ProblemCode::NotFound.into())
}

/// Makes the account of who was invited, and logs them in.
pub async fn accept(app: &Shared, body: &InvitationAccept, ip: Option<IpAddr>) -> ServiceResult<Tokens> {
    check_password(&body.password, &[])?;
    wait(app, Subject::Link, ip)?;
    let found = app.store.invitation_find(&digest_of(body.token.reveal())).await?;
    let open = found.filter(|invitation| invitation.state == "open");
    if let Some(invitation) = &open {
        let organization = app.store.organization_get(invitation.org).await?.ok_or(ProblemCode::Internal)?;
        check_password(&body.password, &[&invitation.email, &organization.name])?;
    }
    // What takes long is done whatever the token is.
    let password_hash = app.passwords.hash(&body.password).await?;
    let done = match open {
        Some(invitation) => taken_in(app, &invitation, password_hash, ip).await?,
        None => None,
    };
    done.ok_or_else(|| {
        app.throttle.failed(Subject::Link, ip);
        Refused::new(ProblemCode::InvitationRefused, "the invitation is not valid (any more)")
    })
}

/// The account with its roles, in the transaction that uses the invitation up; none where it gives more than its maker may give now,
/// where somebody else was first, or where the address has an account.
async fn taken_in(
    app: &Shared,
    invitation: &Invitation,
    password_hash: String,
    ip: Option<IpAddr>,
) -> ServiceResult<Option<Tokens>> {
    let (org, id) = (invitation.org, UserId::generate());
    let damaged = || super::document::damaged("invitation");
    let role: OrganizationRole = invitation.role.parse().map_err(|_| damaged())?;
    let in_project: InProject = match &invitation.project {
        Some((project, role)) => Some((*project, role.parse().map_err(|_| damaged())?)),
        None => None,
    };
    let mut tx = app.store.write_tx(org).await?;
    Store::authority_lock_in_txn(&mut tx, org).await?;
    let inviter = Store::standing_of_in_txn(&mut tx, org, invitation.invited_by).await?.map(Authority::from);
    if inviter.is_none_or(|inviter| may(&inviter, (role, in_project)).is_err()) {
        return Ok(None);
    }
    let person = person((org, id), invitation.email.clone(), password_hash, role);
    match Store::user_insert_in_txn(&mut tx, &person).await {
        Err(StoreError::Conflict(_)) => return Ok(None),
        other => other?,
    }
    if !Store::invitation_accept_in_txn(&mut tx, org, invitation.id, id).await? {
        return Ok(None);
    }
    if let Some((project, role)) = in_project {
        Store::member_insert_in_txn(&mut tx, (org, project), id, role.as_str()).await?;
    }
    tell(&mut tx, &person, invitation, ip).await?;
    let tokens = begin(app, &mut tx, &person, ip).await?;
    tx.commit().await?;
    Ok(Some(tokens))
}

async fn tell(tx: &mut Tx, person: &User, invitation: &Invitation, ip: Option<IpAddr>) -> ServiceResult<()> {
    let entry = AuditEntry {
        ip: ip.map(|ip| ip.to_string()),
        after: Some(digest_of(&invitation.role)),
        ..AuditEntry::done(person.org, person.id.to_string(), "invitation_accept", &invitation.id)
    };
    Ok(Store::audit_append_in_txn(tx, &entry).await.map(drop)?)
}

/// Whether somebody may give these roles: never above their own, in the organization and in the project.
fn may(who: &Authority, (role, in_project): (OrganizationRole, InProject)) -> ServiceResult<()> {
    let verdict = who.decide(Permission::UserWrite, Place::Organization);
    if verdict.why_not().is_some() || !may_turn(who.in_organization(), None, Some(role)) {
        return Err(above(who.in_organization()));
    }
    let Some((project, role)) = in_project else { return Ok(()) };
    let Some(own) = who.in_project(project) else { return Err(ProblemCode::NotFound.into()) };
    if may_turn(Some(own), None, Some(role)) { Ok(()) } else { Err(above(Some(own))) }
}
