//! Runs: begun on one code path whoever asks, stopped by setting what is desired, retried as a new run.
//!
//! Nothing here calls a launcher or waits for a worker; the loops do. State moves only through the model's `next`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use waybill_model::errand::Errand;
use waybill_model::plan::Plan;
use waybill_model::run::{RunKind, RunState};
use waybill_model::{ConnectionId, DataPlaneId, Micros, OrgId, PipelineId, ProjectId, RunId, ScheduleId};
use waybill_store::{
    Attempt, AuditEntry, NewRun, Pipeline, Run, RunEventRow, RunFilter, RunStream, Store, StoreError, Tx,
};

use crate::service::note::Note;
use crate::service::nudge::Nudges;

mod error;

pub use error::RunError;

/// A run that moves nothing has no plan.
const NO_PLAN: &str = "{}";
/// Longest time from the enrolment of a test's worker to its end.
const TEST_LIMIT: Duration = Duration::from_secs(60);

/// On whose behalf something is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The organization.
    pub org: OrgId,
    /// Who: `user:usr_…`, `system:schedule`.
    pub actor: String,
    /// From where.
    pub ip: Option<String>,
}

/// What begins a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Somebody asked for it.
    Manual {
        /// What it does.
        kind: RunKind,
        /// Only these streams of the plan; all where empty.
        streams: Vec<u32>,
        /// What is done with some of the plan in place of their next window; they run, too.
        errands: BTreeMap<u32, Errand>,
        /// So many rows of each at most, for a preview.
        rows: Option<u64>,
    },
    /// A schedule's slot is due.
    Schedule {
        /// The schedule.
        schedule: ScheduleId,
        /// Its slot.
        slot: Micros,
    },
    /// A final run is tried again: only what it did not deliver.
    Retry(RunId),
}

/// A look at one connection, without a pipeline.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The project.
    pub project: ProjectId,
    /// The connection.
    pub connection: ConnectionId,
    /// Its name.
    pub subject: String,
    /// `Check` or `Discover`.
    pub kind: RunKind,
    /// What the worker is told.
    pub plan: Plan,
    /// Where it runs.
    pub data_plane: DataPlaneId,
}

/// A run with all that belongs to it.
#[derive(Clone, Debug)]
pub struct RunDetail {
    /// The run.
    pub run: Run,
    /// Its streams, in the plan's order.
    pub streams: Vec<RunStream>,
    /// Its attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// What somebody else holds it back by, where it waits for its turn.
    pub held: Option<HeldBack>,
}

/// Why a run that waits is not begun, whatever its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldBack {
    /// Its data plane is being drained.
    DataPlaneDrains,
    /// Its pipeline is paused.
    PipelinePaused,
}

/// What can be done with runs.
#[derive(Clone)]
pub struct RunService {
    store: Store,
    nudges: Arc<Nudges>,
}

impl RunService {
    /// Over this store.
    #[must_use]
    pub fn new(store: Store, nudges: Arc<Nudges>) -> Self {
        Self { store, nudges }
    }

    /// Begins a run of a pipeline.
    pub async fn trigger(&self, who: &Caller, pipeline: PipelineId, trigger: Trigger) -> Result<Run, RunError> {
        let mut tx = self.store.write_tx(who.org).await?;
        let id = Self::trigger_in_txn(&mut tx, who, pipeline, trigger).await?;
        tx.commit().await?;
        self.begun(who.org, id).await
    }

    /// Begins a run in the caller's transaction; call [`Self::nudge`] after the commit.
    pub async fn trigger_in_txn(
        tx: &mut Tx,
        who: &Caller,
        pipeline: PipelineId,
        trigger: Trigger,
    ) -> Result<RunId, RunError> {
        let found = Store::pipeline_get_in_txn(tx, who.org, pipeline).await?.ok_or(RunError::NotFound)?;
        if let Some(reason) = &found.paused {
            let hint = found.paused_hint.clone().unwrap_or_else(|| reason.clone());
            return Err(RunError::Paused { hint });
        }
        match trigger {
            Trigger::Manual { kind: RunKind::Test, .. } => Err(RunError::NotATest),
            Trigger::Manual { kind, streams, errands, rows } => {
                let (new, plan) = new_run(tx, who, &found, ("manual", kind, None)).await?;
                if kind == RunKind::Preview && plan.to.system.is_database() {
                    return Err(RunError::NoBucket);
                }
                let wanted = chosen(&plan, &streams, &errands)?;
                let new = NewRun { preview_rows: rows, ..new };
                insert_in_txn(tx, who, new, &named(&plan, &wanted)).await
            }
            Trigger::Schedule { schedule, slot } => {
                let (new, plan) = new_run(tx, who, &found, ("schedule", RunKind::Sync, Some((schedule, slot)))).await?;
                let wanted = chosen(&plan, &[], &BTreeMap::new())?;
                insert_in_txn(tx, who, new, &named(&plan, &wanted)).await
            }
            Trigger::Retry(run) => retry_in_txn(tx, who, pipeline, run).await,
        }
    }

    /// Looks at one connection.
    pub async fn probe(&self, who: &Caller, probe: Probe) -> Result<Run, RunError> {
        let mut tx = self.store.write_tx(who.org).await?;
        let id = Self::probe_in_txn(&mut tx, who, probe).await?;
        tx.commit().await?;
        self.begun(who.org, id).await
    }

    /// Looks at one connection, in the caller's transaction; call [`Self::nudge`] after the commit.
    pub async fn probe_in_txn(tx: &mut Tx, who: &Caller, probe: Probe) -> Result<RunId, RunError> {
        match probe.kind {
            RunKind::Sync => return Err(RunError::NotAProbe),
            RunKind::Test => return Err(RunError::NotATest),
            RunKind::Preview => return Err(RunError::NotAPreview),
            RunKind::Check | RunKind::Discover => {}
        }
        let new = NewRun {
            org: who.org,
            project: probe.project,
            id: RunId::generate(),
            pipeline: None,
            connection: Some(probe.connection),
            owner: PipelineId::generate(),
            pipeline_version: None,
            subject: probe.subject,
            data_plane: probe.data_plane,
            kind: probe.kind,
            trigger: "manual",
            slot: None,
            retry_of: None,
            requested_by: who.actor.clone(),
            plan: serde_json::to_string(&probe.plan).map_err(RunError::Plan)?,
            time_limit: Duration::from_millis(probe.plan.limits.time_ms),
            preview_rows: None,
        };
        let wanted = chosen(&probe.plan, &[], &BTreeMap::new())?;
        insert_in_txn(tx, who, new, &named(&probe.plan, &wanted)).await
    }

    /// Begins a run that starts one worker on a data plane, which enrols and leaves, in the caller's transaction; call
    /// [`Self::nudge`] after the commit. A data plane has one such run at a time.
    pub async fn test_in_txn(
        tx: &mut Tx,
        who: &Caller,
        project: ProjectId,
        (data_plane, name): (DataPlaneId, &str),
    ) -> Result<RunId, RunError> {
        let new = NewRun {
            org: who.org,
            project,
            id: RunId::generate(),
            pipeline: None,
            connection: None,
            owner: PipelineId::over(data_plane),
            pipeline_version: None,
            subject: name.to_owned(),
            data_plane,
            kind: RunKind::Test,
            trigger: "manual",
            slot: None,
            retry_of: None,
            requested_by: who.actor.clone(),
            plan: NO_PLAN.to_owned(),
            time_limit: TEST_LIMIT,
            preview_rows: None,
        };
        insert_in_txn(tx, who, new, &[]).await
    }

    /// Tries a final run again: a new run with only what was not delivered. It never adopts the old run's commits.
    pub async fn retry(&self, who: &Caller, run: RunId) -> Result<Run, RunError> {
        let old = self.store.run_get(who.org, run).await?.ok_or(RunError::NotFound)?;
        if let Some(pipeline) = old.pipeline {
            return self.trigger(who, pipeline, Trigger::Retry(run)).await;
        }
        let mut tx = self.store.write_tx(who.org).await?;
        let id = Self::look_again_in_txn(&mut tx, who, &old).await?;
        tx.commit().await?;
        self.begun(who.org, id).await
    }

    /// Looks at a connection again, in the caller's transaction; call [`Self::nudge`] after the commit.
    pub async fn look_again_in_txn(tx: &mut Tx, who: &Caller, old: &Run) -> Result<RunId, RunError> {
        retry_in_txn(tx, who, old.owner, old.id).await
    }

    /// Asks a run to stop. Sets what is desired; the loops and the worker's next report do the rest.
    pub async fn cancel(&self, who: &Caller, run: RunId) -> Result<Run, RunError> {
        let mut tx = self.store.write_tx(who.org).await?;
        let found = Store::run_lock_in_txn(&mut tx, who.org, run).await?.ok_or(RunError::NotFound)?;
        if found.state.is_final() {
            return Err(RunError::WrongState { state: found.state });
        }
        // Asked twice, it is answered the same.
        if Store::run_cancel_in_txn(&mut tx, who.org, run).await? {
            Store::run_event_append_in_txn(&mut tx, who.org, run, &[Note::CancelAsked.event(None)]).await?;
            Store::audit_append_in_txn(&mut tx, &entry(who, "run.cancel", run)).await?;
        }
        tx.commit().await?;
        self.nudges.task_changed();
        self.begun(who.org, run).await
    }

    /// One run.
    pub async fn get(&self, org: OrgId, run: RunId) -> Result<Run, RunError> {
        self.store.run_get(org, run).await?.ok_or(RunError::NotFound)
    }

    /// One run with its streams and attempts.
    pub async fn detail(&self, org: OrgId, run: RunId) -> Result<RunDetail, RunError> {
        let found = self.get(org, run).await?;
        let streams = self.store.run_stream_list(org, run).await?;
        let attempts = self.store.attempt_list(org, run).await?;
        let held = self.held_back(&found).await?;
        Ok(RunDetail { run: found, streams, attempts, held })
    }

    async fn held_back(&self, run: &Run) -> Result<Option<HeldBack>, RunError> {
        if run.state != RunState::Queued || run.kind == RunKind::Test {
            return Ok(None);
        }
        let plane = self.store.data_plane_get(run.org, run.data_plane).await?;
        if plane.is_some_and(|plane| plane.draining_since.is_some()) {
            return Ok(Some(HeldBack::DataPlaneDrains));
        }
        let Some(pipeline) = run.pipeline else { return Ok(None) };
        let pipeline = self.store.pipeline_get(run.org, pipeline).await?;
        Ok(pipeline.is_some_and(|pipeline| pipeline.paused.is_some()).then_some(HeldBack::PipelinePaused))
    }

    /// Runs, newest first.
    pub async fn list(&self, org: OrgId, filter: &RunFilter, limit: i64) -> Result<Vec<Run>, RunError> {
        Ok(self.store.run_list(org, filter, limit).await?)
    }

    /// Events of a run behind `after`, in order.
    pub async fn events(&self, org: OrgId, run: RunId, after: i64, limit: i64) -> Result<Vec<RunEventRow>, RunError> {
        self.get(org, run).await?;
        Ok(self.store.run_event_list(org, run, after, limit).await?)
    }

    /// Wakes the dispatcher after a run was begun in the caller's transaction.
    pub fn nudge(&self, run: RunId) {
        self.nudges.run_changed(run);
    }

    async fn begun(&self, org: OrgId, id: RunId) -> Result<Run, RunError> {
        self.nudges.run_changed(id);
        self.get(org, id).await
    }
}

fn entry(who: &Caller, action: &'static str, run: RunId) -> AuditEntry {
    AuditEntry { ip: who.ip.clone(), ..AuditEntry::done(who.org, who.actor.clone(), action, &run) }
}

/// What a run does with one stream of its plan.
#[derive(Clone)]
struct Wanted {
    selected: bool,
    errand: Option<Errand>,
}

/// Every stream of the plan with what is wanted of it; all are where none is named.
fn chosen(plan: &Plan, streams: &[u32], errands: &BTreeMap<u32, Errand>) -> Result<Vec<Wanted>, RunError> {
    if let Some(stream) = streams.iter().chain(errands.keys()).find(|s| **s as usize >= plan.streams.len()) {
        return Err(RunError::NoStream { stream: *stream });
    }
    let are_all = streams.is_empty() && errands.is_empty();
    let one = |n: u32| {
        let errand = errands.get(&n).cloned();
        Wanted { selected: are_all || errand.is_some() || streams.contains(&n), errand }
    };
    Ok((0_u32..).zip(&plan.streams).map(|(n, _)| one(n)).collect())
}

async fn new_run(
    tx: &mut Tx,
    who: &Caller,
    pipeline: &Pipeline,
    (trigger, kind, slot): (&'static str, RunKind, Option<(ScheduleId, Micros)>),
) -> Result<(NewRun, Plan), RunError> {
    let version = Store::pipeline_version_get_in_txn(tx, who.org, pipeline.id, pipeline.version).await?;
    let version = version.ok_or(RunError::NotFound)?;
    let plan: Plan = serde_json::from_str(&version.plan).map_err(RunError::Plan)?;
    let new = NewRun {
        org: who.org,
        project: pipeline.project,
        id: RunId::generate(),
        pipeline: Some(pipeline.id),
        connection: None,
        owner: pipeline.id,
        pipeline_version: Some(version.version),
        subject: pipeline.name.clone(),
        data_plane: pipeline.data_plane,
        kind,
        trigger,
        slot,
        retry_of: None,
        requested_by: who.actor.clone(),
        plan: version.plan,
        time_limit: Duration::from_millis(plan.limits.time_ms),
        preview_rows: None,
    };
    Ok((new, plan))
}

/// The old run's own plan and streams, less what readers see already.
async fn retry_in_txn(tx: &mut Tx, who: &Caller, owner: PipelineId, run: RunId) -> Result<RunId, RunError> {
    let old = Store::run_lock_in_txn(tx, who.org, run).await?.ok_or(RunError::NotFound)?;
    if old.owner != owner {
        return Err(RunError::NotFound);
    }
    if old.kind == RunKind::Test {
        return Err(RunError::NotATest);
    }
    if !old.state.is_final() {
        return Err(RunError::WrongState { state: old.state });
    }
    let streams = Store::run_stream_list_in_txn(tx, who.org, run).await?;
    let moves_rows = old.kind == RunKind::Sync;
    let left = |s: &RunStream| s.selected && !(moves_rows && s.delivered_at.is_some());
    let wanted: Vec<Wanted> =
        streams.iter().map(|s| Wanted { selected: left(s), errand: s.errand.clone().filter(|_| left(s)) }).collect();
    let nothing_left =
        if moves_rows { !wanted.iter().any(|wanted| wanted.selected) } else { old.state == RunState::Succeeded };
    if nothing_left {
        return Err(RunError::NothingLeft);
    }
    let plan: Plan = serde_json::from_str(&old.plan).map_err(RunError::Plan)?;
    let new = NewRun {
        org: old.org,
        project: old.project,
        id: RunId::generate(),
        pipeline: old.pipeline,
        connection: old.connection,
        owner: old.owner,
        pipeline_version: old.pipeline_version,
        subject: old.subject,
        data_plane: old.data_plane,
        kind: old.kind,
        trigger: "retry",
        slot: None,
        retry_of: Some(old.id),
        requested_by: who.actor.clone(),
        plan: old.plan,
        time_limit: old.time_limit,
        preview_rows: old.preview_rows,
    };
    insert_in_txn(tx, who, new, &named(&plan, &wanted)).await
}

/// Each stream's name and what is wanted of it, in the plan's order.
fn named<'p>(plan: &'p Plan, wanted: &[Wanted]) -> Vec<(&'p str, Wanted)> {
    plan.streams.iter().map(|stream| stream.name.as_str()).zip(wanted.iter().cloned()).collect()
}

async fn insert_in_txn(tx: &mut Tx, who: &Caller, new: NewRun, streams: &[(&str, Wanted)]) -> Result<RunId, RunError> {
    match Store::run_insert_in_txn(tx, &new).await {
        Err(StoreError::Conflict(_)) if new.slot.is_some() => return Err(RunError::SlotTaken),
        other => other?,
    }
    for (n, (name, wanted)) in (0_u32..).zip(streams) {
        let wanted = (wanted.selected, wanted.errand.as_ref());
        Store::run_stream_insert_in_txn(tx, (new.org, new.id), n, name, wanted).await?;
    }
    let mut body = json!({ "trigger": new.trigger, "kind": new.kind.as_str() });
    if let Some((_, slot)) = new.slot {
        body["slot"] = slot.0.into();
    }
    Store::run_event_append_in_txn(tx, new.org, new.id, &[Note::Queued.with(None, body)]).await?;
    Store::audit_append_in_txn(tx, &entry(who, action(streams), new.id)).await?;
    Ok(new.id)
}

/// What the audit log calls it: the errand that changes most of a table, where there is one.
fn action(streams: &[(&str, Wanted)]) -> &'static str {
    let errands = || streams.iter().filter_map(|(_, wanted)| wanted.errand.as_ref());
    if errands().any(|errand| *errand == Errand::Reload) {
        "run.reload"
    } else if errands().any(|errand| *errand == Errand::ForgetCursor) {
        "run.forget_cursor"
    } else if errands().any(|errand| matches!(errand, Errand::Limit(_))) {
        "run.limited"
    } else if errands().next().is_some() {
        "run.backfill"
    } else {
        "run.trigger"
    }
}
