//! A check of a data plane in AWS, kept and audited. An open trust is refused, not listed: whoever names a role that is
//! not theirs must not have us act on it.

use std::collections::BTreeSet;

use waybill_api::ProblemCode;
use waybill_api::data_plane::{DataPlaneCheck, PermissionRow};
use waybill_launcher::ecs::EcsPlace;
use waybill_launcher::ecs::bucket::Bucket;
use waybill_launcher::ecs::check::{CheckRow, Found, TrustFound};
use waybill_model::plan::{Plan, System};
use waybill_store::{DataPlane, Store};

use super::{Refused, ServiceResult};
use crate::app::Shared;
use crate::auth::Caller;
use crate::loops::launchers::AWS_ECS;
use crate::service::document;

/// Most pipelines whose buckets a check looks for.
const MOST_PIPELINES: i64 = 1_000;

pub(super) async fn run(app: &Shared, caller: &Caller, plane: &DataPlane) -> ServiceResult<DataPlaneCheck> {
    if plane.kind != AWS_ECS {
        return Err(Refused::new(ProblemCode::Unusable, "a data plane of this kind has no role to check"));
    }
    let place = EcsPlace::read(&plane.settings, plane.external_id.as_deref().unwrap_or_default()).map_err(|_| {
        Refused::new(ProblemCode::Unusable, "its settings are not given yet").next("waybill data-plane set NAME")
    })?;
    let place = place.owned_by(plane.org, plane.id);
    let buckets = buckets(app, plane).await?;
    let mut check = app.aws.check(&place, &buckets).await;
    check.rows.extend(issuer(app, &place).await);
    let trust = match check.trust {
        TrustFound::Enforced => Some("enforced"),
        TrustFound::Open => Some("open"),
        TrustFound::Closed => None,
        // Nothing was learned: what is known stays.
        TrustFound::Unknown => plane.trust.as_deref(),
    };
    let mut tx = app.store.write_tx(caller.org).await?;
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

/// Whether the issuer of the account's tokens has keys, where workers prove themselves by them: that needs no permission.
async fn issuer(app: &Shared, place: &EcsPlace) -> Option<CheckRow> {
    let issuer = place.settings().token_issuer.as_deref()?;
    let (found, detail) = match app.issuers.ask(issuer).await {
        Ok(_) => (Found::Allowed, "its keys were read".to_owned()),
        Err(error) => (
            Found::Unanswered,
            format!("{error}: compare it with `aws iam get-outbound-web-identity-federation-info`, then check again"),
        ),
    };
    Some(CheckRow::new("token issuer", issuer, found, detail))
}

/// Where the pipelines on this data plane read and write in S3, each place once.
async fn buckets(app: &Shared, plane: &DataPlane) -> ServiceResult<Vec<Bucket>> {
    let plans = app.store.pipeline_plan_list(plane.org, plane.id, MOST_PIPELINES).await?;
    let mut found = BTreeSet::new();
    for plan in plans {
        let plan: Plan = serde_json::from_str(&plan).map_err(|_| document::damaged("pipeline"))?;
        found.extend([&plan.from, &plan.to].into_iter().filter_map(|end| bucket(&end.system)));
    }
    Ok(found.into_iter().collect())
}

fn bucket(system: &System) -> Option<Bucket> {
    let (name, prefix, access) = match system {
        System::S3(s3) => (s3.bucket.as_str(), s3.prefix.as_str(), Some(&s3.access)),
        System::Files(files) => {
            let rest = files.url.strip_prefix("s3://")?;
            let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            (name, prefix, files.s3.as_ref())
        }
        System::Postgres(_)
        | System::MySql(_)
        | System::Sqlite { .. }
        | System::Local { .. }
        | System::Azure(_)
        | System::Gcs(_) => return None,
    };
    Some(Bucket {
        name: name.to_owned(),
        prefix: prefix.trim_matches('/').to_owned(),
        region: access.and_then(|access| access.region.clone()),
        is_elsewhere: access.is_some_and(|access| access.endpoint.is_some() || access.access_key.is_some()),
    })
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
        remove: row.remove.map(|statement| statement.to_string()),
    }
}
