//! One organization with one pipeline, services, loops, and shell scripts as workers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tempfile::TempDir;
use waybill_launcher::{LaunchError, LaunchRequest, Launcher, ProcessLauncher, TaskRef, TaskStatus};
use waybill_model::event::{Event, EventCode};
use waybill_model::plan::Plan;
use waybill_model::receipt::{ColumnDrift, Grade, StreamOutcome};
use waybill_model::report::{Completion, Directive, Outcome, Progress, Report};
use waybill_model::run::{AttemptState, RunKind, RunState, StreamState};
use waybill_model::{AttemptId, DataPlaneId, Epoch, FailureCode, OrgId, PipelineId, ProjectId, RunId};
use waybill_orchestrator::loops::dispatch::Dispatcher;
use waybill_orchestrator::loops::reap::Reaper;
use waybill_orchestrator::loops::{Context, Launchers, WorkerProgram};
use waybill_orchestrator::service::attempt::{AttemptService, Peer, TicketClaim};
use waybill_orchestrator::service::bounds::Bounds;
use waybill_orchestrator::service::nudge::Nudges;
use waybill_orchestrator::service::run::{Caller, RunService, Trigger};
use waybill_store::{Attempt, NewPipeline, Run, Store, StoreOptions, Tx};
use waybill_tests::services::postgres::Postgres;
use zeroize::Zeroizing;

/// Takes its ticket, says so, and stays.
pub(crate) const STAYS: &str = "exec sleep 300";

/// A database of a test's own.
pub(crate) enum Database {
    Sqlite(TempDir),
    Postgres(Box<Postgres>),
}

impl Database {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(TempDir::new().expect("a directory"))
    }

    pub(crate) fn postgres() -> Self {
        Self::Postgres(Box::new(Postgres::start()))
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite(directory) => format!("sqlite://{}", directory.path().join("waybill.db").display()),
            Self::Postgres(server) => server.owner_url(),
        }
    }
}

/// A fault that the launcher meets at its next starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LaunchFault {
    None,
    /// The place takes no task now.
    Busy,
    /// The orchestrator dies before it calls.
    DiesBefore,
    /// The orchestrator dies before it hears the answer.
    DiesAfter,
    /// The answer is lost although the task was started.
    AnswerLost,
}

/// The process launcher with faults, which it counts.
pub(crate) struct Faulty {
    pub(crate) inner: ProcessLauncher,
    pub(crate) fault: std::sync::Mutex<LaunchFault>,
    pub(crate) fired: AtomicUsize,
}

#[async_trait]
impl Launcher for Faulty {
    async fn start(&self, request: &LaunchRequest) -> Result<TaskRef, LaunchError> {
        let fault = *self.fault.lock().expect("the fault");
        if fault == LaunchFault::None {
            return self.inner.start(request).await;
        }
        if matches!(fault, LaunchFault::DiesAfter | LaunchFault::AnswerLost) {
            self.inner.start(request).await?;
        }
        self.fired.fetch_add(1, Ordering::SeqCst);
        match fault {
            LaunchFault::Busy => Err(LaunchError::Busy),
            LaunchFault::AnswerLost => Err(LaunchError::NoAnswer { action: "start" }),
            _ => std::future::pending().await,
        }
    }

    async fn describe(&self, task: &TaskRef) -> Result<TaskStatus, LaunchError> {
        self.inner.describe(task).await
    }

    async fn stop(&self, task: &TaskRef) -> Result<(), LaunchError> {
        self.inner.stop(task).await
    }

    async fn find(&self, attempt: AttemptId) -> Result<Option<TaskRef>, LaunchError> {
        self.inner.find(attempt).await
    }
}

/// The control plane of a test.
pub(crate) struct World {
    pub(crate) database: Database,
    pub(crate) store: Store,
    pub(crate) context: Context,
    pub(crate) runs: RunService,
    pub(crate) attempts: AttemptService,
    pub(crate) launcher: Arc<Faulty>,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) reaper: Reaper,
    pub(crate) org: OrgId,
    pub(crate) project: ProjectId,
    pub(crate) plane: DataPlaneId,
    pub(crate) pipeline: PipelineId,
    pub(crate) directory: TempDir,
}

/// Bounds that no slow machine runs into by itself.
pub(crate) fn bounds() -> Bounds {
    Bounds {
        launch_claim: Duration::from_millis(150),
        backoff_min: Duration::from_millis(1),
        backoff_max: Duration::from_millis(5),
        ..Bounds::default()
    }
}

impl World {
    pub(crate) async fn new(database: Database, bounds: Bounds) -> Self {
        Self::with_worker(database, bounds, STAYS).await
    }

    /// A world whose workers are this shell script, after they took their ticket.
    pub(crate) async fn with_worker(database: Database, bounds: Bounds, script: &str) -> Self {
        bounds.check().expect("usable bounds");
        let store = Store::open_with(&database.url(), &StoreOptions::default()).await.expect("a store");
        let directory = TempDir::new().expect("a directory");
        let inner = ProcessLauncher::open(&directory.path().join("attempts")).expect("a launcher");
        let inner = inner.with_stop_grace(Duration::from_millis(300));
        let launcher = Arc::new(Faulty { inner, fault: LaunchFault::None.into(), fired: AtomicUsize::new(0) });
        let context = context(store.clone(), bounds, &launcher, &directory, script);
        let (org, project, plane, pipeline) = seed(&store, "shop").await;
        let reaper = Reaper::new(context.clone());
        let world = Self {
            runs: RunService::new(store.clone(), Arc::clone(&context.nudges)),
            attempts: AttemptService::new(store.clone(), Arc::clone(&context.bounds), Arc::clone(&context.nudges)),
            dispatcher: Dispatcher::new(context.clone()),
            reaper,
            database,
            store,
            context,
            launcher,
            org,
            project,
            plane,
            pipeline,
            directory,
        };
        // The first look only learns the clocks.
        world.reap().await;
        world
    }

    pub(crate) fn caller(&self) -> Caller {
        Caller { org: self.org, actor: "user:test".into(), ip: None }
    }

    pub(crate) async fn trigger(&self) -> Run {
        let trigger = Trigger::Manual { kind: RunKind::Sync, streams: vec![], errands: BTreeMap::new(), rows: None };
        self.runs.trigger(&self.caller(), self.pipeline, trigger).await.expect("a run")
    }

    pub(crate) async fn dispatch(&self) {
        self.dispatcher.round().await.expect("a round");
        self.dispatcher.finish().await;
    }

    pub(crate) async fn reap(&self) {
        let lease = self.store.loop_lease_take("reap", "test", Duration::from_secs(60)).await.expect("a lease");
        self.reaper.round(&lease.expect("ours")).await.expect("a round");
    }

    pub(crate) async fn run(&self, id: RunId) -> Run {
        self.store.run_get(self.org, id).await.expect("a read").expect("the run")
    }

    pub(crate) async fn attempt(&self, run: RunId) -> Attempt {
        self.store.attempt_list(self.org, run).await.expect("a read").pop().expect("an attempt")
    }

    pub(crate) async fn attempt_states(&self, run: RunId) -> Vec<AttemptState> {
        self.store.attempt_list(self.org, run).await.expect("a read").iter().map(|a| a.state).collect()
    }

    /// Triggers a run, launches it and enrols its worker.
    pub(crate) async fn running(&self) -> (Run, Attempt) {
        let run = self.trigger().await;
        self.dispatch().await;
        let attempt = self.attempt(run.id).await;
        self.enrol(&attempt).await;
        (self.run(run.id).await, self.attempt(run.id).await)
    }

    pub(crate) async fn enrol(&self, attempt: &Attempt) {
        let grant = self.attempts.enrol(&claim(attempt), [7; 32]).await.expect("enrolled");
        assert_eq!(grant.peer, peer(attempt));
    }

    /// What the tasks themselves wrote when they began.
    pub(crate) fn begun(&self, attempt: AttemptId) -> usize {
        let text = std::fs::read_to_string(self.directory.path().join("begun")).unwrap_or_default();
        text.lines().filter(|line| *line == attempt.to_string()).count()
    }

    pub(crate) async fn until_begun(&self, attempt: AttemptId) {
        until("the task begins", async || self.begun(attempt) > 0).await;
    }

    pub(crate) async fn task_status(&self, attempt: &Attempt) -> TaskStatus {
        let task = self.launcher.find(attempt.id).await.expect("a look").expect("a task");
        self.launcher.describe(&task).await.expect("a look")
    }

    pub(crate) async fn codes(&self, run: RunId) -> Vec<String> {
        let events = self.store.run_event_list(self.org, run, 0, 1_000).await.expect("events");
        assert!(events.iter().zip(1..).all(|(event, n)| event.seq == n), "the timeline has no gap");
        events.into_iter().map(|event| event.code).collect()
    }

    pub(crate) async fn complete(&self, attempt: &Attempt, done: Completion) -> Directive {
        self.attempts.complete(&peer(attempt), attempt.epoch, done).await.expect("an answer")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Every task of the test, by the reference that the launcher kept.
        for entry in std::fs::read_dir(self.directory.path().join("attempts")).into_iter().flatten().flatten() {
            let Ok(text) = std::fs::read_to_string(entry.path().join("task")) else { continue };
            let Ok(task) = serde_json::from_str::<serde_json::Value>(&text) else { continue };
            let pid = task["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
            if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
            }
        }
    }
}

pub(crate) fn context(
    store: Store,
    bounds: Bounds,
    launcher: &Arc<Faulty>,
    directory: &TempDir,
    script: &str,
) -> Context {
    let begun: PathBuf = directory.path().join("begun");
    let script = format!("read attempt epoch || exit 1; echo $attempt >> {}; {script}", begun.display());
    let launchers = Launchers::default().with("process", Arc::clone(launcher) as Arc<dyn Launcher>);
    Context {
        store,
        bounds: Arc::new(bounds),
        retention: Arc::default(),
        nudges: Arc::new(Nudges::default()),
        launchers: Arc::new(launchers),
        worker: Arc::new(WorkerProgram {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script],
            variables: vec![],
        }),
        mint: Arc::new(|claim, _| Zeroizing::new(format!("{} {}", claim.attempt, claim.epoch))),
        holder: ulid().into(),
    }
}

fn ulid() -> String {
    RunId::generate().to_string()
}

/// A second or third tenant in the same database.
pub(crate) async fn seed(store: &Store, name: &str) -> (OrgId, ProjectId, DataPlaneId, PipelineId) {
    let ids = (OrgId::generate(), ProjectId::generate(), DataPlaneId::generate(), PipelineId::generate());
    let (org, project, plane, pipeline) = ids;
    let mut tx = store.write_tx_of_all().await.expect("a transaction");
    Store::organization_insert_in_txn(&mut tx, org, name).await.expect("an organization");
    Store::project_insert_in_txn(&mut tx, org, project, "default", 64).await.expect("a project");
    let process = ("process", r#"{"environment":["PATH"]}"#);
    Store::data_plane_insert_in_txn(&mut tx, org, plane, "local", process).await.expect("a data plane");
    pipeline_on(&mut tx, (org, project, plane, pipeline), name).await;
    tx.commit().await.expect("committed");
    ids
}

/// A pipeline of a project on a data plane.
pub(crate) async fn pipeline_on(tx: &mut Tx, ids: (OrgId, ProjectId, DataPlaneId, PipelineId), name: &str) {
    let (org, project, plane, pipeline) = ids;
    let new = NewPipeline {
        org,
        project,
        id: pipeline,
        name: name.into(),
        data_plane: plane,
        plan: serde_json::to_string(&plan(name)).expect("a plan"),
        source: None,
        digest: "d".into(),
        created_by: "user:test".into(),
    };
    Store::pipeline_insert_in_txn(tx, &new).await.expect("a pipeline");
}

/// Two streams from nowhere to nowhere: no worker of these tests reads it.
pub(crate) fn plan(name: &str) -> Plan {
    serde_json::from_value(serde_json::json!({
        "pipeline": name,
        "from": { "connection": "a", "system": { "type": "sqlite", "path": "/nowhere.db" } },
        "to": { "connection": "b", "system": { "type": "local", "path": "/nowhere" } },
        "streams": [{ "name": "orders", "load": "full" }, { "name": "items", "load": "full" }],
    }))
    .expect("a plan")
}

pub(crate) fn claim(attempt: &Attempt) -> TicketClaim {
    TicketClaim { org: attempt.org, attempt: attempt.id, epoch: attempt.epoch }
}

pub(crate) fn peer(attempt: &Attempt) -> Peer {
    Peer { org: attempt.org, attempt: attempt.id }
}

pub(crate) fn report(attempt: &Attempt, seq: u64, rows: u64) -> Report {
    let progress = Progress {
        stream: 0,
        state: StreamState::Reading,
        rows,
        bytes: rows.saturating_mul(10),
        files: 0,
        rows_estimate: None,
    };
    let event = Event { rows: Some(rows), ..Event::of_stream(EventCode::PartUploaded, 0) };
    Report { seq, epoch: attempt.epoch, progress: vec![progress], events: vec![event] }
}

pub(crate) fn outcome(stream: u32, state: StreamState) -> StreamOutcome {
    let failed = state == StreamState::Failed;
    StreamOutcome {
        stream,
        state,
        rows: 100,
        bytes: 1_000,
        files: 1,
        coerced: 0,
        grade: Grade::Counted,
        version: (!failed).then_some(3),
        epoch: None,
        receipt: (!failed).then(|| "ab".repeat(32)),
        adopted: false,
        failure: failed.then_some(FailureCode::SourceDenied),
        columns: ColumnDrift::default(),
    }
}

pub(crate) fn succeeded() -> Completion {
    let streams = vec![outcome(0, StreamState::Committed), outcome(1, StreamState::Committed)];
    Completion { outcome: Outcome::Succeeded, streams, failure: None, tables: vec![], tables_withheld: 0 }
}

pub(crate) fn failed(code: FailureCode) -> Completion {
    let streams = vec![StreamOutcome { failure: Some(code), ..outcome(0, StreamState::Failed) }];
    Completion { outcome: Outcome::Failed, streams, failure: Some(code), tables: vec![], tables_withheld: 0 }
}

pub(crate) fn with_epoch(mut done: Completion, epoch: Epoch) -> Completion {
    done.streams[0].epoch = Some(epoch);
    done
}

/// Waits for something that will happen by itself, or after the rounds that `check` makes.
pub(crate) async fn until(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !check().await {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Reaps until the run stands in this state.
pub(crate) async fn reap_until(world: &World, run: RunId, state: RunState) {
    until(&format!("the run is {state}"), async || {
        world.reap().await;
        world.run(run).await.state == state
    })
    .await;
}
