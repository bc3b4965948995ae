//! A check of a data plane in AWS, kept and audited. An open trust is refused, not listed: whoever names a role that is
//! not theirs must not have us act on it.

use waybill_api::ProblemCode;
use waybill_api::data_plane::{DataPlaneCheck, PermissionRow};
use waybill_launcher::ecs::EcsPlace;
use waybill_launcher::ecs::check::{CheckRow, TrustFound};
use waybill_store::{DataPlane, Store};

use super::{Refused, ServiceResult};
use crate::app::Shared;
use crate::auth::Caller;
use crate::loops::launchers::AWS_ECS;

pub(super) async fn run(app: &Shared, caller: &Caller, plane: &DataPlane) -> ServiceResult<DataPlaneCheck> {
    if plane.kind != AWS_ECS {
        return Err(Refused::new(ProblemCode::Unusable, "a data plane of this kind has no role to check"));
    }
    let place = EcsPlace::read(&plane.settings, plane.external_id.as_deref().unwrap_or_default()).map_err(|_| {
        Refused::new(ProblemCode::Unusable, "its settings are not given yet").next("waybill data-plane set NAME")
    })?;
    let place = place.owned_by(plane.org, plane.id);
    let check = app.aws.check(&place).await;
    let trust = match check.trust {
        TrustFound::Enforced => Some("enforced"),
        TrustFound::Open => Some("open"),
        TrustFound::Closed => None,
        // Nothing was learned: what is known stays.
        TrustFound::Unknown => plane.trust.as_deref(),
    };
    let mut tx = app.store.write_tx().await?;
    if !Store::data_plane_trust_in_txn(&mut tx, plane, trust).await? {
        return Err(Refused::new(ProblemCode::StateConflict, "it was changed during the check; check again"));
    }
    Store::audit_append_in_txn(&mut tx, &caller.audit("data_plane_check", plane.id)).await?;
    tx.commit().await?;
    if check.trust == TrustFound::Open {
        return Err(not_enforced(&place));
    }
    Ok(DataPlaneCheck { ready: check.is_ready(), rows: check.rows.into_iter().map(show).collect() })
}

fn not_enforced(place: &EcsPlace) -> Refused {
    let detail = format!(
        "{} can be assumed without its external id or with a wrong one: anybody who knows its ARN could use it through us",
        place.role()
    );
    let next = format!(
        "add to the role's trust policy, in Terraform `external_id = \"{0}\"`, or by hand: \
         \"Condition\": {{\"StringEquals\": {{\"sts:ExternalId\": \"{0}\"}}}}",
        place.external_id()
    );
    Refused::new(ProblemCode::ExternalIdNotEnforced, detail).next(next)
}

fn show(row: CheckRow) -> PermissionRow {
    PermissionRow {
        action: row.action.into(),
        resource: row.resource,
        found: row.found.as_str().into(),
        detail: row.detail,
        statement: row.statement.map(|statement| statement.to_string()),
    }
}
