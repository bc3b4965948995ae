//! Why somebody may do something, or may not.

use std::sync::LazyLock;

use axum::extract::State;
use axum::http::Method;
use axum::routing::get;
use serde::Deserialize;
use waybill_api::ProblemCode;
use waybill_api::access::AccessExplained;
use waybill_model::OrgId;

use super::action::{self, Load};
use super::body::Query;
use super::gate::Permit;
use super::operation::{Operation, Operations};
use super::reply::{Answer, Reply};
use super::{App, operations};
use crate::auth::authority::Held;
use crate::auth::{Authority, Permission, Place};
use crate::role_table::Cell;
use crate::service::{Refused, ServiceResult, access};

/// What every operation declares, made once: with it comes the whole description of the API.
static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| operations().list);

pub(super) fn mount(all: &mut Operations) {
    all.add(
        Operation::of::<action::AccessExplain>(
            Method::GET,
            "/v1/access",
            "Whether a person may do something with an object, by which role, and what it takes",
        )
        .answers::<AccessExplained>(200)
        .query("action", "The operation, such as `pipeline_update`.")
        .query("object", "Id of the object, or of what it would be made in; none for what is about none.")
        .query("user", "Id or e-mail address; the caller where absent. Another one takes `user:read`.")
        .codes(&[ProblemCode::ParameterInvalid, ProblemCode::NotFound]),
        get(explain),
    );
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Asked {
    action: String,
    object: Option<String>,
    user: Option<String>,
}

/// An object that is asked about: its noun as paths name it, where it belongs, and what it takes to see it.
struct Found {
    noun: &'static str,
    place: Place,
    seen: Option<Permission>,
}

async fn explain(
    State(app): State<App>,
    permit: Permit<action::AccessExplain>,
    Query(asked): Query<Asked>,
) -> Answer<AccessExplained> {
    let caller = &permit.caller;
    let user = match &asked.user {
        None => access::person(&app, caller, &caller.actor()).await?,
        Some(user) => {
            let found = access::person(&app, caller, user).await;
            // Who may not look at people learns nothing of who there is.
            if !matches!(&found, Ok(person) if caller.is(person.id)) {
                access::allowed(caller, Permission::UserRead, Place::Organization)?;
            }
            found?
        }
    };
    let operation = OPERATIONS.iter().find(|operation| operation.id == asked.action).ok_or_else(|| {
        let message = "no operation of this name; the API description lists them all";
        Refused::field(ProblemCode::ParameterInvalid, "action", message)
    })?;
    let found = match &asked.object {
        None => None,
        Some(id) => {
            let found = found(&app, caller.org, id).await?.ok_or(ProblemCode::NotFound)?;
            if found.seen.is_some_and(|seen| !caller.authority.decide(seen, found.place).allowed) {
                return Err(ProblemCode::NotFound.into());
            }
            Some(found)
        }
    };
    fits(operation, found.as_ref())?;
    let standing = app.store.standing_of(user.org, user.id).await?;
    let (disabled, authority) = (standing.is_none(), standing.map(Authority::from).unwrap_or_default());
    let place = found.as_ref().map_or(Place::Organization, |found| found.place);
    let seen = found.as_ref().and_then(|found| found.seen);
    let cell = Cell::at(operation.permission, seen, &authority, place);
    let mut said = AccessExplained {
        user_id: user.id,
        email: user.email,
        action: asked.action,
        object: asked.object,
        project_id: match place {
            Place::Project(project) => Some(project),
            Place::Organization => None,
        },
        allowed: cell == Cell::Allowed,
        refused_with: match cell {
            Cell::Allowed => None,
            Cell::Forbidden => Some(403),
            Cell::NotFound => Some(404),
        },
        permission: None,
        role: None,
        scope: None,
        takes: None,
        reason: "it is open to everybody".into(),
    };
    if let Some(permission) = operation.permission {
        say(&mut said, &authority, permission, (place, seen));
        if disabled {
            // Nobody is let in who has no account any more, so nothing is looked at.
            (said.allowed, said.refused_with) = (false, Some(401));
            said.reason = "the account is disabled: it may do nothing".into();
        }
    }
    Ok(Reply::ok(said))
}

/// By which role, or in spite of which.
fn say(said: &mut AccessExplained, authority: &Authority, permission: Permission, at: (Place, Option<Permission>)) {
    let (place, seen) = at;
    let verdict = authority.decide(permission, place);
    let (role, scope) = match verdict.held {
        Held::Nothing => (None, None),
        Held::Organization(role) => (Some(role.to_string()), Some("organization")),
        Held::Project(role) => (Some(role.to_string()), Some("project")),
        held @ Held::Api(_) => (Some(held.to_string()), Some("project")),
        held @ Held::Everywhere(..) => (Some(held.to_string()), Some("organization")),
    };
    let unseen = seen.and_then(|seen| authority.decide(seen, place).why_not());
    said.reason = match (unseen, verdict.why_not()) {
        (Some(unseen), _) => format!("it reads like what is not there: {unseen}"),
        (None, Some(why)) => why,
        (None, None) => format!("the role {} gives {}", verdict.held, permission.as_str()),
    };
    (said.role, said.scope) = (role, scope.map(Into::into));
    (said.permission, said.takes) = (Some(permission.as_str().into()), Some(permission.least().to_string()));
}

/// Refuses an object that the operation is not about.
fn fits(operation: &Operation, found: Option<&Found>) -> ServiceResult<()> {
    let invalid = |message: String| Err(Refused::field(ProblemCode::ParameterInvalid, "object", message));
    let noun = operation.path.split(['{', '}']).nth(1);
    match (noun, found) {
        (Some(noun), None) => invalid(format!("{} is about one {noun}: name it", operation.id)),
        (Some(noun), Some(found)) if found.noun != noun => {
            invalid(format!("{} is about a {noun}, and this is a {}", operation.id, found.noun))
        }
        _ => Ok(()),
    }
}

/// What an id names, whatever its noun.
async fn found(app: &App, org: OrgId, id: &str) -> ServiceResult<Option<Found>> {
    use waybill_store::{
        Agent, ApiKey, Attempt, Connection, DataPlane, Invitation, Organization, Pipeline, Project, Run, User,
    };
    async fn of<T: Load>(app: &App, org: OrgId, id: &str, noun: &'static str) -> ServiceResult<Option<Found>> {
        Ok(T::load(&app.store, org, id).await?.map(|(_, place)| Found { noun, place, seen: T::SEEN }))
    }
    match id.split('_').next() {
        Some("org") => of::<Organization>(app, org, id, "organization").await,
        Some("prj") => of::<Project>(app, org, id, "project").await,
        Some("dp") => of::<DataPlane>(app, org, id, "data_plane").await,
        Some("agt") => of::<Agent>(app, org, id, "agent").await,
        Some("con") => of::<Connection>(app, org, id, "connection").await,
        Some("key") => of::<ApiKey>(app, org, id, "key").await,
        Some("inv") => of::<Invitation>(app, org, id, "invitation").await,
        Some("pl") => of::<Pipeline>(app, org, id, "pipeline").await,
        Some("usr") => of::<User>(app, org, id, "user").await,
        Some("run") => of::<Run>(app, org, id, "run").await,
        Some("att") => of::<Attempt>(app, org, id, "attempt").await,
        _ => Ok(None),
    }
}
