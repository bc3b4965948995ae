//! The launch request of an attempt: what its data plane and its pipeline ask for, written down before any call.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;
use waybill_launcher::LaunchSpec;
use waybill_launcher::ecs::size::SizeError;
use waybill_launcher::ecs::{EcsPlace, EcsTask, Wish, client_token};
use waybill_model::plan::{Limits, Plan};
use waybill_model::run::RunKind;
use waybill_model::{AttemptId, FailureCode};
use waybill_store::{DataPlane, NewEvent, Run, StoreResult};

use super::super::Context;
use super::super::launchers::AWS_ECS;
use crate::service::note::Note;
use crate::service::region::Allowed;

/// What a check must have found about the external id.
const ENFORCED: &str = "enforced";

/// Why no launch request can be made, and what the run's timeline tells of it beside the failure.
pub(super) struct NoLaunch {
    pub(super) failure: FailureCode,
    pub(super) told: Option<NewEvent>,
}

impl From<FailureCode> for NoLaunch {
    fn from(failure: FailureCode) -> Self {
        Self { failure, told: None }
    }
}

/// What a data plane of kind `process` says about its workers.
#[derive(Default, Deserialize)]
struct ProcessSettings {
    #[serde(default)]
    environment: Vec<String>,
}

/// What is asked for. A failure: the data plane is gone, its kind has no launcher here, the size can't be had, or something
/// stands where the project does not allow it.
pub(super) async fn launch_spec(
    context: &Context,
    run: &Run,
    id: AttemptId,
) -> StoreResult<Result<LaunchSpec, NoLaunch>> {
    let Some(plane) = context.store.data_plane_get(run.org, run.data_plane).await? else {
        return Ok(Err(FailureCode::LaunchFailed.into()));
    };
    if context.launchers.of(&plane).is_none() {
        return Ok(Err(FailureCode::LaunchFailed.into()));
    }
    let plan = serde_json::from_str::<Plan>(&run.plan).ok();
    if let Some(refused) = outside(context, run, (&plane, plan.as_ref())).await? {
        return Ok(Err(refused));
    }
    let limits = plan.map(|plan| plan.limits).unwrap_or_default();
    let mut spec = process_spec(context, &plane, &limits, id);
    if plane.kind == AWS_ECS {
        // A role that nobody checked may be anybody's.
        if plane.trust.as_deref() != Some(ENFORCED) {
            tracing::warn!(plane.id = %plane.id, "nothing is started before a check found the external id enforced");
            return Ok(Err(FailureCode::DataPlaneUnchecked.into()));
        }
        let before = context.store.attempt_list(run.org, run.id).await?;
        // A worker that is taken back uses its two minutes and may say itself that it was stopped: what the cloud says of its
        // task comes later, and ends no attempt any more.
        let spot = |failure| {
            matches!(failure, FailureCode::NoCapacity | FailureCode::SpotInterrupted | FailureCode::WorkerLost)
        };
        let spot_failed = before.iter().any(|attempt| attempt.failure.is_some_and(spot));
        let Limits { memory, cpu, disk, architecture, .. } = limits;
        let task = match ecs_task(context, &plane, Wish { memory, cpu, disk, architecture, spot_failed }) {
            Some(Ok(task)) => task,
            Some(Err(error)) => {
                let told = Note::TaskRefused.with(None, json!({ "limit": error.field, "reason": error.what }));
                return Ok(Err(NoLaunch { failure: FailureCode::LaunchRefused, told: Some(told) }));
            }
            None => return Ok(Err(FailureCode::LaunchRefused.into())),
        };
        (spec.environment, spec.program, spec.args) = (Vec::new(), String::new(), Vec::new());
        spec.ecs = Some(task);
    }
    Ok(Ok(spec))
}

/// Why a run whose parts don't all stand in a region that the project allows by now is not started. A test of the data plane
/// itself moves nothing of a project.
/// A project that is gone, or a plan that can't be read, is no leave to start.
async fn outside(
    context: &Context,
    run: &Run,
    (plane, plan): (&DataPlane, Option<&Plan>),
) -> StoreResult<Option<NoLaunch>> {
    if run.kind == RunKind::Test {
        return Ok(None);
    }
    let project = context.store.project_get(run.org, run.project).await?;
    let (Some(project), Some(plan)) = (project, plan) else {
        return Ok(Some(FailureCode::LaunchFailed.into()));
    };
    let allowed = Allowed::of(&project);
    let outside = allowed.data_plane(plane).or_else(|| allowed.plan(plan));
    Ok(outside.map(|outside| {
        let told = Some(Note::RegionRefused.with(None, json!({ "outside": outside, "regions": allowed })));
        NoLaunch { failure: FailureCode::RegionNotAllowed, told }
    }))
}

fn process_spec(context: &Context, plane: &DataPlane, limits: &Limits, id: AttemptId) -> LaunchSpec {
    let (program, args) = (context.worker.program.clone(), context.worker.args.clone());
    let settings: ProcessSettings = serde_json::from_str(&plane.settings).unwrap_or_default();
    let mut spec = LaunchSpec::new(id, client_token(id), program, args);
    spec.environment = settings.environment;
    spec.memory = Some(limits.memory).filter(|memory| *memory > 0);
    spec
}

/// The task, or why there is none as the pipeline asks for; nothing where the data plane's settings can't be read.
fn ecs_task(context: &Context, plane: &DataPlane, wish: Wish) -> Option<Result<EcsTask, SizeError>> {
    let place = EcsPlace::read(&plane.settings, plane.external_id.as_deref()?).ok()?;
    let variables: BTreeMap<String, String> = context.worker.variables.iter().cloned().collect();
    Some(EcsTask::new(&place, wish, variables))
}
