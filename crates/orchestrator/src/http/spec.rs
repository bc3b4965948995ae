//! Documents.

use axum::extract::State;
use axum::http::Method;
use axum::routing::post;
use serde::Deserialize;
use waybill_api::ProblemCode;
use waybill_api::spec::{SpecApplied, SpecApply, SpecDiagnostics, SpecValidate};

use super::App;
use super::action;
use super::body::{Query, Strict};
use super::gate::Permit;
use super::operation::{Operation, Operations};
use super::reply::{Answer, Reply};
use crate::service::document;

pub(super) fn mount(all: &mut Operations) {
    use ProblemCode as C;
    all.add(
        Operation::of::<action::SpecValidate>(Method::POST, "/v1/specs:validate", "Say what is wrong with a document")
            .takes::<SpecValidate>()
            .answers::<SpecDiagnostics>(200),
        post(validate),
    );
    all.add(
        Operation::of::<action::SpecApply>(
            Method::POST,
            "/v1/specs:apply",
            "Make a project's connections, pipelines and schedules as a document says",
        )
        .takes::<SpecApply>()
        .answers::<SpecApplied>(200)
        .query("dry_run", "true: only say what would change.")
        .codes(&[
            C::NotFound,
            C::ParameterInvalid,
            C::SpecInvalid,
            C::SecretRequired,
            C::RegionNotAllowed,
            C::ScheduleInvalid,
            C::PreconditionFailed,
            C::RunLive,
            C::NameTaken,
        ]),
        post(apply),
    );
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DryRun {
    dry_run: bool,
}

async fn validate(_: Permit<action::SpecValidate>, body: Strict<SpecValidate>) -> Answer<SpecDiagnostics> {
    let diagnostics = document::read(&body.value.document).err().unwrap_or_default();
    Ok(Reply::ok(SpecDiagnostics { valid: diagnostics.is_empty(), diagnostics }))
}

async fn apply(
    State(app): State<App>,
    permit: Permit<action::SpecApply>,
    Query(query): Query<DryRun>,
    body: Strict<SpecApply>,
) -> Answer<SpecApplied> {
    document::apply(&app, &permit.caller, &body.value, query.dry_run).await.map(Reply::ok)
}
