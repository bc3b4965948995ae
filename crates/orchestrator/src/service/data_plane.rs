//! Data planes: registering, changing and checking them.
//!
//! The external id is made here, by the server, once: a customer's role that asks for it can't be used for anybody else.

use waybill_api::ProblemCode;
use waybill_api::data_plane::{
    AwsEcsSettings, DataPlaneCheck, DataPlaneCreate, DataPlanePolicy, DataPlaneUpdate, ProcessSettings,
};
use waybill_launcher::ecs::{EcsPlace, EcsSettings};
use waybill_model::DataPlaneId;
use waybill_model::plan::Architecture;
use waybill_store::{DataPlane, Store};

use super::agent::AGENT;
use super::{Once, Refused, ServiceResult, check_name, once, region};
use crate::app::Shared;
use crate::auth::Caller;
use crate::loops::launchers::{AWS_ECS, PROCESS};

#[cfg(feature = "aws")]
mod check;
#[cfg(feature = "aws")]
mod policy;
mod principal;
mod test;

pub use principal::{Told, told, told_soon};
pub use test::test;

/// What stands in a data plane of a cloud before its settings are given.
const NOTHING_YET: &str = "{}";

/// Registers a data plane.
pub async fn create(
    app: &Shared,
    caller: &Caller,
    body: &DataPlaneCreate,
    key: Option<&Once>,
) -> ServiceResult<DataPlane> {
    check_name(&body.name)?;
    let external_id = (body.kind == AWS_ECS).then(new_external_id);
    let settings = match (body.kind.as_str(), &body.aws_ecs) {
        (PROCESS, None) => canonical(&body.settings)?,
        (PROCESS | AGENT, Some(_)) => {
            return Err(Refused::field(ProblemCode::Unusable, "/aws_ecs", "only with kind `aws-ecs`"));
        }
        (AWS_ECS, _) if body.settings != ProcessSettings::default() => {
            let message = "only with the kinds `process` and `agent`; see `aws_ecs`";
            return Err(Refused::field(ProblemCode::Unusable, "/settings", message));
        }
        (AGENT, None) => of_agent(&body.settings)?,
        (AWS_ECS, Some(settings)) => aws_ecs(settings, external_id.as_deref().unwrap_or_default())?.0,
        (AWS_ECS, None) => NOTHING_YET.to_owned(),
        _ => return Err(Refused::field(ProblemCode::Unusable, "/kind", "one of `process`, `agent`, `aws-ecs`")),
    };
    let id: DataPlaneId = once(&app.store, key, async || {
        let id = DataPlaneId::generate();
        let mut tx = app.store.write_tx(caller.org).await?;
        Store::data_plane_insert_in_txn(&mut tx, caller.org, id, &body.name, (&body.kind, &settings)).await?;
        if let Some(external_id) = &external_id {
            Store::data_plane_name_external_in_txn(&mut tx, caller.org, id, external_id).await?;
        }
        if let Some(key) = key {
            key.keep(&mut tx, &id.to_string()).await?;
        }
        Store::audit_append_in_txn(&mut tx, &caller.audit("data_plane_create", id)).await?;
        tx.commit().await?;
        Ok(id)
    })
    .await?;
    read(app, caller, id).await
}

/// Changes a data plane's settings; `None` where somebody else changed it meanwhile.
pub async fn update(
    app: &Shared,
    caller: &Caller,
    mut plane: DataPlane,
    body: &DataPlaneUpdate,
) -> ServiceResult<Option<DataPlane>> {
    plane.settings = match (plane.kind.as_str(), &body.settings, &body.aws_ecs) {
        (PROCESS, Some(settings), None) => canonical(settings)?,
        (AGENT, Some(settings), None) => of_agent(settings)?,
        (AWS_ECS, None, Some(settings)) => changed(&plane, settings)?,
        (PROCESS | AGENT, ..) => {
            return Err(Refused::field(ProblemCode::Unusable, "/settings", "the settings of its kind"));
        }
        _ => return Err(Refused::field(ProblemCode::Unusable, "/aws_ecs", "the settings of its kind")),
    };
    let mut tx = app.store.write_tx(caller.org).await?;
    if !Store::data_plane_update_in_txn(&mut tx, &plane).await? {
        return Ok(None);
    }
    Store::audit_append_in_txn(&mut tx, &caller.audit("data_plane_update", plane.id)).await?;
    tx.commit().await?;
    read(app, caller, plane.id).await.map(Some)
}

/// Begins to drain a data plane, or lets it take runs again.
pub async fn drain(app: &Shared, caller: &Caller, plane: &DataPlane, drain: bool) -> ServiceResult<DataPlane> {
    let mut tx = app.store.write_tx(caller.org).await?;
    if !Store::data_plane_drain_in_txn(&mut tx, caller.org, plane.id, drain).await? {
        let detail = if drain { "it is being drained already" } else { "it takes runs already" };
        return Err(Refused::new(ProblemCode::StateConflict, detail).next("nothing is to be done"));
    }
    let action = if drain { "data_plane_drain" } else { "data_plane_resume" };
    Store::audit_append_in_txn(&mut tx, &caller.audit(action, plane.id)).await?;
    tx.commit().await?;
    app.nudges.room_made();
    read(app, caller, plane.id).await
}

/// Asks the cloud what the data plane's role may do, and keeps what it says about the external id.
#[cfg(feature = "aws")]
pub async fn check(app: &Shared, caller: &Caller, plane: &DataPlane) -> ServiceResult<DataPlaneCheck> {
    check::run(app, caller, plane).await
}

/// Without a way to a cloud there is nothing to ask.
#[cfg(not(feature = "aws"))]
pub async fn check(_: &Shared, _: &Caller, _: &DataPlane) -> ServiceResult<DataPlaneCheck> {
    Err(Refused::new(ProblemCode::Unusable, "this server was built without AWS"))
}

/// The policies that its role needs.
#[cfg(feature = "aws")]
pub async fn policy(app: &Shared, plane: &DataPlane, wanted: Wanted<'_>) -> ServiceResult<DataPlanePolicy> {
    policy::print(app, plane, wanted).await
}

/// Without a way to a cloud there is nothing to grant.
#[cfg(not(feature = "aws"))]
pub async fn policy(_: &Shared, _: &DataPlane, _: Wanted<'_>) -> ServiceResult<DataPlanePolicy> {
    Err(Refused::new(ProblemCode::Unusable, "this server was built without AWS"))
}

/// Which policies are asked for, and what no setting says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Who may assume the role.
    pub trust: bool,
    /// What the role may do.
    pub launch: bool,
    /// Name or ARN of the role by which ECS itself starts the tasks.
    pub execution_role: Option<&'a str>,
}

/// 128 random bits: nobody guesses it, and two organizations never have the same.
fn new_external_id() -> String {
    format!("wb-{}", hex::encode(crate::random::<16>()))
}

/// Checked settings as they are stored, and the place that they name.
fn aws_ecs(settings: &AwsEcsSettings, external_id: &str) -> ServiceResult<(String, EcsPlace)> {
    if cfg!(not(feature = "aws")) {
        return Err(Refused::field(ProblemCode::Unusable, "/kind", "this server was built without AWS"));
    }
    let internal = |_| Refused::from(ProblemCode::Internal);
    let json = serde_json::to_value(settings).map_err(internal)?;
    if settings.architecture.parse::<Architecture>().is_err() {
        return Err(Refused::field(ProblemCode::Unusable, "/aws_ecs/architecture", "one of x86_64, arm64"));
    }
    let capacity = "one of fargate, fargate-spot, ec2";
    let read: EcsSettings = serde_json::from_value(json)
        .map_err(|_| Refused::field(ProblemCode::Unusable, "/aws_ecs/capacity", capacity))?;
    let place = EcsPlace::new(read, external_id).map_err(|error| {
        Refused::field(ProblemCode::Unusable, &format!("/aws_ecs/{}", error.field), error.to_string())
    })?;
    Ok((serde_json::to_string(place.settings()).map_err(internal)?, place))
}

/// New settings of a data plane: what its running tasks are found by stays as it is.
fn changed(plane: &DataPlane, settings: &AwsEcsSettings) -> ServiceResult<String> {
    let external_id = plane.external_id.as_deref().unwrap_or_default();
    let (json, new) = aws_ecs(settings, external_id)?;
    if let Ok(old) = EcsPlace::read(&plane.settings, external_id) {
        let (was, is) = (old.settings(), new.settings());
        for (field, same) in [
            ("role_arn", was.role_arn == is.role_arn),
            ("region", was.region == is.region),
            ("cluster", was.cluster == is.cluster),
        ] {
            if !same {
                let message = "can't change: tasks that run are found by it; register another data plane";
                return Err(Refused::field(ProblemCode::Unusable, &format!("/aws_ecs/{field}"), message));
            }
        }
    }
    Ok(json)
}

/// The settings of kind `agent` as they are stored: a region, no variables.
fn of_agent(settings: &ProcessSettings) -> ServiceResult<String> {
    if !settings.environment.is_empty() {
        let message = "an agent's host says which variables pass: waybill-agent run --pass-env NAME";
        return Err(Refused::field(ProblemCode::Unusable, "/settings/environment", message));
    }
    canonical(settings)
}

/// The settings as they are stored, where every name can be one of an environment variable.
fn canonical(settings: &ProcessSettings) -> ServiceResult<String> {
    let fits = |name: &String| {
        (1..=128).contains(&name.len())
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    if settings.environment.len() > 100 || !settings.environment.iter().all(fits) {
        let message = "names of at most 100 environment variables: letters, digits and _";
        return Err(Refused::field(ProblemCode::NameInvalid, "/settings/environment", message));
    }
    if settings.region.as_deref().is_some_and(|region| !region::is_region(region)) {
        return Err(Refused::field(ProblemCode::Unusable, "/settings/region", region::SPELLING));
    }
    serde_json::to_string(settings).map_err(|_| ProblemCode::Internal.into())
}

async fn read(app: &Shared, caller: &Caller, id: DataPlaneId) -> ServiceResult<DataPlane> {
    app.store.data_plane_get(caller.org, id).await?.ok_or_else(|| ProblemCode::NotFound.into())
}
