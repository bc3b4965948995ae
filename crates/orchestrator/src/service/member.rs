//! Members of a project: taken in, given another role, taken out. Nobody gives or takes a role above their own there, nobody
//! changes their own, and the last owner stays; all of it is decided behind one lock, in the transaction of the change.

use waybill_api::ProblemCode;
use waybill_api::member::MemberCreate;
use waybill_model::role::ProjectRole;
use waybill_model::{ProjectId, UserId};
use waybill_store::{Member, Project, RoleChange, Store, StoreError, Tx};

use super::access::{self, above, last_owner, own_role};
use super::{Once, Refused, ServiceResult, digest_of, once};
use crate::app::Shared;
use crate::auth::authority::may_turn;
use crate::auth::{Caller, Permission};

/// One member.
pub async fn get(app: &Shared, project: &Project, user: &str) -> ServiceResult<Member> {
    let user: UserId = user.parse().map_err(|_| ProblemCode::NotFound)?;
    app.store.member_get(project.org, project.id, user).await?.ok_or_else(|| ProblemCode::NotFound.into())
}

/// Takes a person of the organization into a project.
pub async fn create(
    app: &Shared,
    caller: &Caller,
    project: &Project,
    body: &MemberCreate,
    key: Option<&Once>,
) -> ServiceResult<Member> {
    let email = body.email.trim().to_lowercase();
    let person = app.store.user_find_by_email(&email).await?.filter(|person| person.org == caller.org);
    let person = person.ok_or_else(|| {
        let message = "nobody of this organization has this e-mail address";
        Refused::field(ProblemCode::Unusable, "/email", message).next("an administrator makes the account first")
    })?;
    if caller.is(person.id) {
        return Err(own_role());
    }
    let user: UserId = once(&app.store, key, async || {
        let mut tx = app.store.write_tx(caller.org).await?;
        may(&mut tx, caller, project.id, (None, Some(body.role))).await?;
        let inserted =
            Store::member_insert_in_txn(&mut tx, (caller.org, project.id), person.id, body.role.as_str()).await;
        match inserted {
            Err(StoreError::Conflict(_)) => {
                return Err(Refused::new(ProblemCode::NameTaken, "this person is in the project already")
                    .next("change the role that is there"));
            }
            other => other?,
        }
        if let Some(key) = key {
            key.keep(&mut tx, &person.id.to_string()).await?;
        }
        tell(&mut tx, (caller, "member_create"), (project.id, person.id), (None, Some(body.role))).await?;
        tx.commit().await?;
        Ok(person.id)
    })
    .await?;
    app.store.member_get(caller.org, project.id, user).await?.ok_or_else(|| ProblemCode::NotFound.into())
}

/// Gives a member another role; `None` where somebody else changed it meanwhile.
pub async fn update(
    app: &Shared,
    caller: &Caller,
    member: &Member,
    role: ProjectRole,
) -> ServiceResult<Option<Member>> {
    if !changed(app, (caller, "member_update"), member, Some(role)).await? {
        return Ok(None);
    }
    Ok(app.store.member_get(caller.org, member.project, member.user).await?)
}

/// Takes a member out; false where somebody else changed it meanwhile.
pub async fn delete(app: &Shared, caller: &Caller, member: &Member) -> ServiceResult<bool> {
    changed(app, (caller, "member_delete"), member, None).await
}

async fn changed(
    app: &Shared,
    (caller, action): (&Caller, &'static str),
    member: &Member,
    to: Option<ProjectRole>,
) -> ServiceResult<bool> {
    if caller.is(member.user) {
        return Err(own_role());
    }
    let from = role_of(member)?;
    let mut tx = app.store.write_tx(caller.org).await?;
    may(&mut tx, caller, member.project, (Some(from), to)).await?;
    let outcome = match to {
        Some(role) => Store::member_update_in_txn(&mut tx, member, role.as_str()).await?,
        None => Store::member_delete_in_txn(&mut tx, member).await?,
    };
    match outcome {
        RoleChange::Done => {}
        RoleChange::Stale => return Ok(false),
        RoleChange::LastOwner => return Err(last_owner("the project")),
    }
    tell(&mut tx, (caller, action), (member.project, member.user), (Some(from), to)).await?;
    tx.commit().await?;
    Ok(true)
}

/// What turns a member's role may be, as the caller's rights are behind the lock.
async fn may(
    tx: &mut Tx,
    caller: &Caller,
    project: ProjectId,
    (from, to): (Option<ProjectRole>, Option<ProjectRole>),
) -> ServiceResult<()> {
    let now = access::locked(tx, caller).await?;
    access::in_project(&now, Permission::MemberWrite, project, || ProblemCode::NotFound.into())?;
    let own = now.authority.in_project(project);
    if may_turn(own, from, to) { Ok(()) } else { Err(above(own)) }
}

/// The audit entry: which project, who, and digests of the role before and after.
pub(super) async fn tell(
    tx: &mut Tx,
    (caller, action): (&Caller, &'static str),
    (project, user): (ProjectId, UserId),
    (from, to): (Option<ProjectRole>, Option<ProjectRole>),
) -> ServiceResult<()> {
    let mut entry = caller.audit(action, format!("{project}/{user}"));
    entry.before = from.map(|role| digest_of(role.as_str()));
    entry.after = to.map(|role| digest_of(role.as_str()));
    Ok(Store::audit_append_in_txn(tx, &entry).await.map(drop)?)
}

pub(crate) fn role_of(member: &Member) -> ServiceResult<ProjectRole> {
    member.role.parse().map_err(|_| super::document::damaged("member"))
}
