//! Prints the policies that the customer attaches to a data plane's role. What they name comes from the stored settings, from
//! our own identity and, where no setting says it, from the caller; nothing is asked of the customer's cloud.

use std::time::Duration;

use waybill_api::ProblemCode;
use waybill_api::data_plane::DataPlanePolicy;
use waybill_launcher::ecs::{EcsPlace, NoPrincipal, Principal, TemplateError, policy};
use waybill_store::DataPlane;

use super::principal::MOMENT;
use super::{Refused, ServiceResult, Wanted};
use crate::app::Shared;

pub(super) async fn print(app: &Shared, plane: &DataPlane, wanted: Wanted<'_>) -> ServiceResult<DataPlanePolicy> {
    let Some(external_id) = plane.external_id.as_deref() else {
        let message = "a data plane of this kind needs no role in your cloud, so there is no policy to attach";
        return Err(Refused::new(ProblemCode::Unusable, message).next("waybill data-plane list"));
    };
    let place = EcsPlace::read(&plane.settings, external_id);
    let trust = if wanted.trust { Some(trust(app, place.as_ref().ok(), external_id).await?) } else { None };
    let launch = match &place {
        _ if !wanted.launch => None,
        Ok(place) => Some(launch(place, wanted.execution_role)?),
        Err(_) => return Err(without_settings(&plane.name)),
    };
    Ok(DataPlanePolicy { role_arn: place.ok().map(|place| place.role().to_string()), trust, launch })
}

fn without_settings(name: &str) -> Refused {
    let message = "the launch policy names cluster, family and roles, and the settings are not given yet";
    let next =
        format!("waybill data-plane set {name} …; its trust policy: waybill data-plane policy {name} --document trust");
    Refused::new(ProblemCode::Unusable, message).next(next)
}

async fn trust(app: &Shared, place: Option<&EcsPlace>, external_id: &str) -> ServiceResult<String> {
    let principal = app.aws.principal_within(MOMENT).await.map_err(|why| no_principal(&why))?;
    if let Some(place) = place {
        same_world(&principal, place)?;
    }
    policy::trust(&principal, external_id).map_err(|error| broken(&error))
}

fn no_principal(why: &NoPrincipal) -> Refused {
    let detail = format!("the trust policy names this orchestrator, and {why}");
    match why {
        NoPrincipal::Asking => Refused::new(ProblemCode::Unavailable, detail).after(Duration::from_secs(2)),
        NoPrincipal::Missing(_) => Refused::new(ProblemCode::Unusable, detail)
            .next("who runs the orchestrator gives it a role, or sets aws.principal-arn in its settings"),
    }
}

/// A role of one partition can't be assumed from another: a policy that says so would only look right.
fn same_world(principal: &Principal, place: &EcsPlace) -> ServiceResult<()> {
    let (ours, theirs) = (principal.partition().as_str(), place.role().partition().as_str());
    if ours == theirs {
        return Ok(());
    }
    let detail = format!("{principal} can't assume a role of the partition {theirs}");
    Err(Refused::new(ProblemCode::Unusable, detail)
        .next(format!("an orchestrator with a role in {theirs}, or an agent")))
}

fn launch(place: &EcsPlace, execution_role: Option<&str>) -> ServiceResult<String> {
    let unusable =
        |message: String| Refused::field(ProblemCode::ParameterInvalid, "execution_role", message).next(NAME_IT);
    let given = execution_role.ok_or_else(|| {
        unusable(
            "name the role by which ECS starts the tasks: the launch role may hand it over, and no setting says it"
                .into(),
        )
    })?;
    let role = policy::execution_role(place, given).map_err(|error| unusable(error.what))?;
    policy::launch(place, &role).map_err(|error| broken(&error))
}

const NAME_IT: &str =
    "--execution-role NAME, as in your task definition (executionRoleArn); waybill-execution where Terraform made it";

fn broken(error: &TemplateError) -> Refused {
    tracing::error!(error = error as &dyn std::error::Error, "a policy could not be rendered");
    Refused::from(ProblemCode::Internal)
}
