//! Who this orchestrator is to the customers of data planes in a cloud. It is told from what is known: no list waits for it.

use waybill_store::DataPlane;

use crate::app::Shared;

/// The ARN, or why there is none; neither for a data plane that no role belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The role or user that the customer's trust policy must name.
    pub arn: Option<String>,
    /// Why there is none to tell.
    pub missing: Option<String>,
}

/// What is known at this moment.
#[cfg(feature = "aws")]
pub fn told(app: &Shared, plane: &DataPlane) -> Told {
    if plane.external_id.is_none() {
        return Told::default();
    }
    app.aws.principal().into()
}

/// The same, after a moment for the first answer.
#[cfg(feature = "aws")]
pub async fn told_soon(app: &Shared, plane: &DataPlane) -> Told {
    if plane.external_id.is_none() {
        return Told::default();
    }
    app.aws.principal_within(MOMENT).await.into()
}

/// How long the first answer is waited for.
#[cfg(feature = "aws")]
pub(super) const MOMENT: std::time::Duration = std::time::Duration::from_secs(2);

#[cfg(feature = "aws")]
impl From<Result<waybill_launcher::ecs::Principal, waybill_launcher::ecs::NoPrincipal>> for Told {
    fn from(known: Result<waybill_launcher::ecs::Principal, waybill_launcher::ecs::NoPrincipal>) -> Self {
        match known {
            Ok(principal) => Self { arn: Some(principal.to_string()), missing: None },
            Err(why) => Self { arn: None, missing: Some(why.to_string()) },
        }
    }
}

/// Without a way to a cloud there is no role.
#[cfg(not(feature = "aws"))]
pub fn told(_: &Shared, _: &DataPlane) -> Told {
    Told::default()
}

/// Without a way to a cloud there is no role.
#[cfg(not(feature = "aws"))]
pub async fn told_soon(_: &Shared, _: &DataPlane) -> Told {
    Told::default()
}
