//! Data planes.

use axum::extract::State;
use axum::http::Method;
use axum::response::Response;
use axum::routing::{get, patch, post};
use serde::Deserialize;
use waybill_api::data_plane::{DataPlane, DataPlaneCheck, DataPlaneCreate, DataPlanePolicy, DataPlaneUpdate};
use waybill_api::run::RunDetail;
use waybill_api::{Page, ProblemCode};
use waybill_store::{DataPlane as Row, Listed};

use super::App;
use super::action::{self, Action};
use super::body::{Query, Strict};
use super::conditions::{Conditions, Idempotency, stale, tag};
use super::gate::{Permit, may};
use super::operation::{Operation, Operations};
use super::organization::Named;
use super::page::{BY_NAME, SORTS};
use super::reply::{Answer, Reply};
use super::run;
use crate::auth::{Caller, Place};
use crate::service::data_plane::{self, Told, Wanted, told, told_soon};
use crate::service::{Refused, ServiceResult};

pub(super) fn mount(all: &mut Operations) {
    use ProblemCode as C;
    let (paths, path) = ("/v1/data-planes", "/v1/data-planes/{data_plane}");
    all.add(
        Operation::of::<action::DataPlaneList>(Method::GET, paths, "Data planes")
            .pages::<DataPlane>()
            .sorts(SORTS)
            .query("name", "Only the one of this name."),
        get(list),
    );
    all.add(
        Operation::of::<action::DataPlaneCreate>(Method::POST, paths, "Register a data plane")
            .takes::<DataPlaneCreate>()
            .answers::<DataPlane>(201)
            .creates()
            .codes(&[C::NameTaken, C::NameInvalid, C::Unusable]),
        post(create),
    );
    all.add(
        Operation::of::<action::DataPlaneGet>(Method::GET, path, "One data plane").answers::<DataPlane>(200).tagged(),
        get(one),
    );
    all.add(
        Operation::of::<action::DataPlaneUpdate>(Method::PATCH, path, "Change a data plane's settings")
            .takes::<DataPlaneUpdate>()
            .answers::<DataPlane>(200)
            .changes()
            .codes(&[C::NameInvalid, C::Unusable]),
        patch(update),
    );
    all.add(
        Operation::of::<action::DataPlanePolicy>(
            Method::GET,
            "/v1/data-planes/{data_plane}/policy",
            "The policies that the role of a data plane in AWS needs, as Terraform applies them",
        )
        .query("document", "`trust`, `launch` or `all`; `all` where absent.")
        .query("execution_role", "Name or ARN of the role by which ECS starts the tasks; `launch` names it.")
        .answers::<DataPlanePolicy>(200)
        .codes(&[C::ParameterInvalid, C::Unusable]),
        get(policy),
    );
    mount_drain(all);
    let summary = "Ask the cloud, permission by permission, what the role of a data plane may do";
    all.add(
        Operation::of::<action::DataPlaneCheck>(Method::POST, "/v1/data-planes/{data_plane}/check", summary)
            .answers::<DataPlaneCheck>(200)
            .codes(&[C::Unusable, C::ExternalIdNotEnforced]),
        post(check),
    );
    all.add(
        Operation::of::<action::DataPlaneTest>(
            Method::POST,
            "/v1/data-planes/{data_plane}/test",
            "Start one task of a data plane that enrols and leaves; the run that is answered tells its steps",
        )
        .answers::<RunDetail>(201)
        .creates()
        .codes(&[C::Unusable, C::StateConflict]),
        post(test),
    );
}

fn mount_drain(all: &mut Operations) {
    all.add(
        Operation::of::<action::DataPlaneDrain>(
            Method::POST,
            "/v1/data-planes/{data_plane}/drain",
            "Launch nothing there any more and let workers finish only the streams that they have begun; runs wait",
        )
        .answers::<DataPlane>(200)
        .codes(&[ProblemCode::StateConflict]),
        post(drain),
    );
    all.add(
        Operation::of::<action::DataPlaneResume>(
            Method::POST,
            "/v1/data-planes/{data_plane}/resume",
            "Let a data plane that was drained take runs again; those that wait go on",
        )
        .answers::<DataPlane>(200)
        .codes(&[ProblemCode::StateConflict]),
        post(resume),
    );
}

async fn list(
    State(app): State<App>,
    permit: Permit<action::DataPlaneList>,
    Query(query): Query<Named>,
) -> Answer<Page<DataPlane>> {
    let org = permit.caller.org;
    let (paging, name) = query.split();
    let turn = app.pager.sorted(&permit.caller, (action::DataPlaneList::ID, BY_NAME), paging, &name)?;
    let rows = match &name {
        Some(name) => app.store.data_plane_find(org, name).await?.into_iter().collect(),
        None => app.store.data_plane_part(org, &turn.part()).await?,
    };
    let found = name.as_ref().map(|_| rows.len());
    let count = turn.count_of(found, async |most| app.store.listed_count(org, Listed::DataPlanes, most).await).await?;
    let page = turn.page(
        rows,
        |row| turn.place(&row.id, &row.name),
        |row| {
            let told = told(&app, &row);
            show(&permit.caller, row, told)
        },
    );
    Ok(Reply::ok(Page { count, ..page }))
}

async fn create(
    State(app): State<App>,
    permit: Permit<action::DataPlaneCreate>,
    idempotency: Idempotency,
    body: Strict<DataPlaneCreate>,
) -> Answer<DataPlane> {
    let key = idempotency.once(&permit.caller, action::DataPlaneCreate::ID, &body.bytes);
    let row = data_plane::create(&app, &permit.caller, &body.value, key.as_ref()).await?;
    let tag = tag(row.version, row.updated_at);
    let told = told_soon(&app, &row).await;
    Ok(Reply::created(show(&permit.caller, row, told)).tagged(tag))
}

async fn one(State(app): State<App>, permit: Permit<action::DataPlaneGet>, conditions: Conditions) -> Response {
    let tag = tag(permit.object.version, permit.object.updated_at);
    let told = told_soon(&app, &permit.object).await;
    conditions.answer(show(&permit.caller, permit.object, told), tag)
}

async fn update(
    State(app): State<App>,
    permit: Permit<action::DataPlaneUpdate>,
    conditions: Conditions,
    body: Strict<DataPlaneUpdate>,
) -> Answer<DataPlane> {
    let Permit { caller, object: row, .. } = permit;
    let (old, changed) = (tag(row.version, row.updated_at), row.updated_at);
    conditions.must_match(&old, changed)?;
    let row = data_plane::update(&app, &caller, row, &body.value).await?;
    let row = row.ok_or_else(|| stale(&old, changed))?;
    let tag = tag(row.version, row.updated_at);
    let told = told(&app, &row);
    Ok(Reply::ok(show(&caller, row, told)).tagged(tag))
}

async fn drain(State(app): State<App>, permit: Permit<action::DataPlaneDrain>) -> Answer<DataPlane> {
    drained(&app, &permit.caller, &data_plane::drain(&app, &permit.caller, &permit.object, true).await?)
}

async fn resume(State(app): State<App>, permit: Permit<action::DataPlaneResume>) -> Answer<DataPlane> {
    drained(&app, &permit.caller, &data_plane::drain(&app, &permit.caller, &permit.object, false).await?)
}

fn drained(app: &App, caller: &Caller, row: &Row) -> Answer<DataPlane> {
    let (tag, told) = (tag(row.version, row.updated_at), told(app, row));
    Ok(Reply::ok(show(caller, row.clone(), told)).tagged(tag))
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Asked {
    document: Option<String>,
    execution_role: Option<String>,
}

async fn policy(
    State(app): State<App>,
    permit: Permit<action::DataPlanePolicy>,
    Query(query): Query<Asked>,
) -> Answer<DataPlanePolicy> {
    let (trust, launch) = documents(query.document.as_deref())?;
    let wanted = Wanted { trust, launch, execution_role: query.execution_role.as_deref() };
    Ok(Reply::ok(data_plane::policy(&app, &permit.object, wanted).await?))
}

async fn test(
    State(app): State<App>,
    permit: Permit<action::DataPlaneTest>,
    idempotency: Idempotency,
) -> Answer<RunDetail> {
    let key = idempotency.once(&permit.caller, action::DataPlaneTest::ID, &[]);
    let run = data_plane::test(&app, &permit.caller, &permit.object, key.as_ref()).await?;
    Ok(Reply::created(run::show::detail(&permit.caller, &run)))
}

/// Whether the trust policy, and whether the launch policy is asked for.
fn documents(document: Option<&str>) -> ServiceResult<(bool, bool)> {
    match document {
        None | Some("all") => Ok((true, true)),
        Some("trust") => Ok((true, false)),
        Some("launch") => Ok((false, true)),
        Some(_) => Err(Refused::field(ProblemCode::ParameterInvalid, "document", "one of trust, launch, all")),
    }
}

async fn check(State(app): State<App>, permit: Permit<action::DataPlaneCheck>) -> Answer<DataPlaneCheck> {
    Ok(Reply::ok(data_plane::check(&app, &permit.caller, &permit.object).await?))
}

fn show(caller: &Caller, row: Row, told: Told) -> DataPlane {
    let (drains, place) = (row.draining_since.is_some(), Place::Organization);
    DataPlane {
        id: row.id,
        name: row.name,
        kind: row.kind,
        settings: serde_json::from_str(&row.settings).unwrap_or_default(),
        aws_ecs: serde_json::from_str(&row.settings).ok(),
        external_id: row.external_id,
        orchestrator_principal_arn: told.arn,
        orchestrator_principal_missing: told.missing,
        trust: row.trust,
        checked_at: row.checked_at.map(Into::into),
        created_at: row.created_at.into(),
        draining_since: row.draining_since.map(Into::into),
        allowed_actions: vec![
            may::<action::DataPlaneUpdate>(caller, place, None),
            may::<action::DataPlaneDrain>(caller, place, drains.then_some("it is being drained")),
            may::<action::DataPlaneResume>(caller, place, (!drains).then_some("it takes runs")),
        ],
    }
}
