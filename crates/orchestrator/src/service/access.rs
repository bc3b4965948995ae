//! Whether a caller may, as a refusal: where an operation's object is named in its body the gate can't know it, so the service
//! that loads it asks here. The answer is that of the one function; nothing here knows what a role may do.

use waybill_api::ProblemCode;
use waybill_model::id::SessionId;
use waybill_model::{PipelineId, ProjectId, RunId, UserId};
use waybill_store::{Store, Tx, User};

use super::{Refused, ServiceResult, key};
use crate::app::Shared;
use crate::auth::{Caller, Permission, Place, Who};

/// Refuses what the caller may not do there, and says by which role they may not.
pub fn allowed(caller: &Caller, permission: Permission, place: Place) -> ServiceResult<()> {
    match caller.authority.decide(permission, place).why_not() {
        None => Ok(()),
        Some(why) => Err(Refused::new(ProblemCode::Forbidden, why)),
    }
}

/// The same in a project that a body, a filter or a topic leads to: one that the caller does not see reads like none.
pub fn in_project(
    caller: &Caller,
    permission: Permission,
    project: ProjectId,
    missing: impl FnOnce() -> Refused,
) -> ServiceResult<()> {
    if caller.authority.in_project(project).is_none() {
        return Err(missing());
    }
    allowed(caller, permission, Place::Project(project))
}

/// The caller with the rights of this moment: for what goes on longer than a request, and behind a change of them.
pub async fn anew(app: &Shared, caller: &Caller) -> ServiceResult<Caller> {
    let authority = match &caller.who {
        Who::Person { user, session } => app.store.standing_get(caller.org, *session, *user).await?.map(Into::into),
        Who::Service(service) => key::authority_now(app, service.key).await?,
    };
    let authority = authority.ok_or(ProblemCode::TokenInvalid)?;
    Ok(Caller { authority, ..caller.clone() })
}

/// That no token, or none that is good, came with a request: the same words whatever is wrong.
pub fn login_first() -> Refused {
    Refused::new(ProblemCode::TokenInvalid, "the access token is missing, too old or not valid").next("waybill login")
}

/// The person who calls, and their session. A key is nobody: it gives no roles, makes no keys and has no sessions.
pub fn person_of(caller: &Caller) -> ServiceResult<(UserId, SessionId)> {
    match caller.who {
        Who::Person { user, session } => Ok((user, session)),
        Who::Service(_) => Err(Refused::new(ProblemCode::Forbidden, "a key is no person: this takes a login")),
    }
}

/// Which pipeline or run something is, or belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Neither.
    Other,
    /// This pipeline.
    Pipeline(PipelineId),
    /// This run.
    Run(RunId),
}

/// Whether a caller's key, where it names its pipelines, reaches this: of pipelines those, of runs the ones that it started.
pub async fn reaches(app: &Shared, caller: &Caller, part: Part) -> ServiceResult<bool> {
    let Some((service, named)) = caller.bounded() else { return Ok(true) };
    Ok(match part {
        Part::Other => true,
        Part::Pipeline(pipeline) => named.contains(&pipeline),
        Part::Run(run) => {
            let run = app.store.run_get(caller.org, run).await?;
            run.is_some_and(|run| run.requested_by == service.key.to_string())
        }
    })
}

/// Takes the lock of everybody's roles and reads the caller's behind it: from here to the end of the transaction nobody else
/// changes what somebody may do, so that a grant never stands on a right that was just taken away.
pub async fn locked(tx: &mut Tx, caller: &Caller) -> ServiceResult<Caller> {
    let user = person_of(caller)?.0;
    Store::authority_lock_in_txn(tx, caller.org).await?;
    let standing = Store::standing_of_in_txn(tx, caller.org, user).await?;
    let standing = standing.ok_or(ProblemCode::TokenInvalid)?;
    Ok(Caller { authority: standing.into(), ..caller.clone() })
}

/// Why nobody turns their own role.
pub const OWN_ROLE: &str = "nobody changes what they themselves may do";
/// Why nobody turns the role of somebody above them.
pub const ABOVE: &str = "nobody gives or takes a role above their own";

/// A person of the caller's organization, by id or e-mail address.
pub async fn person(app: &Shared, caller: &Caller, wanted: &str) -> ServiceResult<User> {
    let found = match wanted.parse() {
        Ok(id) => app.store.user_get(caller.org, id).await?,
        Err(_) => app.store.user_find_by_email(&wanted.trim().to_lowercase()).await?,
    };
    found.filter(|person| person.org == caller.org).ok_or_else(|| ProblemCode::NotFound.into())
}

/// That somebody turns their own role.
pub(super) fn own_role() -> Refused {
    Refused::new(ProblemCode::Forbidden, OWN_ROLE).next("ask somebody else who may")
}

/// That somebody turns a role above their own.
pub(super) fn above(own: Option<impl std::fmt::Display>) -> Refused {
    let own = own.map_or_else(|| "none".to_owned(), |role| role.to_string());
    let detail = format!("{ABOVE}, which is {own}");
    Refused::new(ProblemCode::Forbidden, detail).next("ask somebody whose role is as high")
}

/// That nobody would be left who owns it.
pub(super) fn last_owner(of: &str) -> Refused {
    Refused::new(ProblemCode::LastOwner, format!("the last owner of {of} stays"))
}
