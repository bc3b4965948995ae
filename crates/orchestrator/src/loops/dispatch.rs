//! Gives queued runs an attempt and has its task started. In two transactions around the launcher's call: first the
//! attempt's row with the exact request, then the task's reference. What breaks off in between is replayed with the
//! same bytes, and the launcher finds the same task.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;
use waybill_launcher::{LaunchError, LaunchRequest, Launcher, TaskRef};
use waybill_model::run::{Desired, RunEvent, RunKind, RunState};
use waybill_model::{AttemptId, Epoch, FailureCode, fault};
use waybill_store::{Attempt, NewAttempt, Run, Store, StoreError, StoreResult, Tx};

use super::{Context, Round};
use crate::service::agent::AGENT;
use crate::service::attempt::TicketClaim;
use crate::service::note::Note;
use crate::service::settle::{Ending, Finding, end_attempt_in_txn, end_queued_in_txn};

mod wanted;

use wanted::NoLaunch;

const ACTOR: &str = "system:dispatch";

/// The phase of a launch that the cloud has no room for.
pub(super) const NO_ROOM: &str = "no_room";
/// The phase of a launch whose data plane has no agent that is heard.
const NO_AGENT: &str = "no_agent";
/// The phase of a launch whose data plane's agents all have as many workers as they take.
pub(super) const SLOTS_BUSY: &str = "slots_busy";

/// Runs and attempts in one round, and launches under way beyond which no further round is made before its tick.
const BATCH: usize = 100;

/// A launch is not repeated later than this: clouds forget a client token after 24 hours.
const REPLAY: Duration = Duration::from_secs(23 * 60 * 60);

/// The dispatcher's loop. It needs no leader: every claim is a compare-and-set.
pub struct Dispatcher {
    context: Context,
    launches: Arc<Semaphore>,
    running: Mutex<JoinSet<()>>,
    /// Whether the last round took as many runs as it may.
    full: AtomicBool,
}

impl Dispatcher {
    /// Over this context.
    #[must_use]
    pub fn new(context: Context) -> Self {
        let launches = Arc::new(Semaphore::new(context.bounds.launches));
        Self { context, launches, running: Mutex::default(), full: AtomicBool::new(false) }
    }

    /// One round: queued runs that were canceled end, due runs get an attempt, broken launches are replayed. Launches
    /// go on in the background; [`Self::finish`] waits for them.
    pub async fn round(&self) -> StoreResult<Round> {
        let (mut round, store, many) = (Round::default(), &self.context.store, BATCH as i64);
        for run in store.run_canceled_in_queue(many).await? {
            round.count("a queued run's cancel", self.end_canceled(&run).await);
        }
        let (now, mut leased) = (store.clock().await?, 0);
        for run in store.run_due(i64::from(self.context.bounds.live_per_organization), many).await? {
            round.lagged(now.since(run.not_before));
            match self.lease(&run).await {
                Ok(Some(attempt)) => {
                    fault::point("attempt_row_committed");
                    self.launch(attempt).await;
                    leased += 1;
                    round.count("a run", Ok::<_, StoreError>(true));
                }
                // Another dispatcher was first.
                Ok(None) | Err(StoreError::Conflict(_)) => round.count("a run", Ok::<_, StoreError>(false)),
                Err(error) => round.count("a run", Err(error)),
            }
        }
        self.full.store(leased == BATCH, Ordering::Relaxed);
        for attempt in store.attempt_unlaunched(many).await? {
            round.count("a broken launch", self.replay(attempt).await);
        }
        Ok(round)
    }

    /// Comes when a round follows the last one at once: that one took as many runs as it may, and of the launches so few
    /// are still under way that no claim runs out while it waits for its call.
    pub async fn more(&self) {
        if !self.full.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        let mut running = self.running.lock().await;
        while running.len() >= BATCH {
            running.join_next().await;
        }
    }

    /// How long to wait for the next round: less than `tick` where a requeued run is due earlier.
    pub async fn pause(&self, tick: Duration) -> Duration {
        let next = async {
            let now = self.context.store.clock().await?;
            Ok::<_, StoreError>(self.context.store.run_next_due().await?.map(|next| next.since(now)))
        };
        next.await.ok().flatten().map_or(tick, |due| due.min(tick)).max(Duration::from_millis(5))
    }

    /// Waits for launches that are under way.
    pub async fn finish(&self) {
        let mut running = self.running.lock().await;
        while running.join_next().await.is_some() {}
    }

    async fn end_canceled(&self, run: &Run) -> StoreResult<bool> {
        let mut tx = self.context.store.write_tx(run.org).await?;
        let Some(run) = Store::run_lock_in_txn(&mut tx, run.org, run.id).await? else { return Ok(false) };
        let ended = run.desired == Desired::Cancel
            && end_queued_in_txn(&mut tx, &self.context.bounds, &run, None, ACTOR).await?;
        tx.commit().await?;
        self.context.nudges.run_progressed(run.id);
        Ok(ended)
    }

    /// Takes the run: next epoch, attempt row, launch request; all or nothing. None: somebody else has it.
    async fn lease(&self, run: &Run) -> StoreResult<Option<Attempt>> {
        let mut tx = self.context.store.write_tx(run.org).await?;
        let Some(run) = Store::run_lock_in_txn(&mut tx, run.org, run.id).await? else { return Ok(None) };
        let now = tx.clock().await?;
        if run.state != RunState::Queued || run.desired != Desired::Run || run.not_before > now {
            return Ok(None);
        }
        let (last, accepted) = match run.pipeline {
            Some(pipeline) => Store::pipeline_get_in_txn(&mut tx, run.org, pipeline)
                .await?
                .map_or((None, None), |pipeline| (pipeline.last_epoch, pipeline.accepted_epoch)),
            None => (None, None),
        };
        let epoch = Epoch::next(last, now);
        if epoch.is_ahead(now, accepted) {
            self.end_ahead(tx, &run, epoch).await?;
            return Ok(None);
        }
        let new = match self.new_attempt(&run, epoch).await? {
            Ok(new) => new,
            Err(NoLaunch { failure, told }) => {
                Store::run_event_append_in_txn(&mut tx, run.org, run.id, told.as_slice()).await?;
                end_queued_in_txn(&mut tx, &self.context.bounds, &run, Some(failure), ACTOR).await?;
                tx.commit().await?;
                return Ok(None);
            }
        };
        if let Some(pipeline) = run.pipeline
            && !Store::pipeline_epoch_raise_in_txn(&mut tx, run.org, pipeline, epoch).await?
        {
            return Ok(None);
        }
        self.make_attempt(tx, &run, &new).await
    }

    /// Ends a run whose epoch would stand too far in the future: it waits for somebody to accept it.
    async fn end_ahead(&self, mut tx: Tx, run: &Run, epoch: Epoch) -> StoreResult<()> {
        if let Some(pipeline) = run.pipeline {
            Store::pipeline_epoch_ahead_in_txn(&mut tx, run.org, pipeline, epoch).await?;
        }
        let note = Note::EpochAhead.with(None, json!({ "epoch": epoch.0 }));
        Store::run_event_append_in_txn(&mut tx, run.org, run.id, &[note]).await?;
        end_queued_in_txn(&mut tx, &self.context.bounds, run, Some(FailureCode::EpochAhead), ACTOR).await?;
        tx.commit().await
    }

    async fn make_attempt(&self, mut tx: Tx, run: &Run, new: &NewAttempt) -> StoreResult<Option<Attempt>> {
        let Ok(launching) = run.state.next(RunEvent::Leased) else { return Ok(None) };
        if !Store::run_move_in_txn(&mut tx, run, launching, None).await? {
            return Ok(None);
        }
        Store::attempt_insert_in_txn(&mut tx, new).await?;
        Store::run_count_in_txn(&mut tx, run, run.attempts + 1, run.tries + 1).await?;
        Store::run_stream_reset_in_txn(&mut tx, run.org, run.id).await?;
        let note = Note::Launching.with(Some(new.id), json!({ "number": new.number, "epoch": new.epoch.0 }));
        Store::run_event_append_in_txn(&mut tx, run.org, run.id, &[note]).await?;
        let attempt = Store::attempt_get_in_txn(&mut tx, new.org, new.id).await?;
        tx.commit().await?;
        self.context.nudges.run_progressed(run.id);
        Ok(attempt)
    }

    /// An attempt with its exact launch request, or why none can be made.
    async fn new_attempt(&self, run: &Run, epoch: Epoch) -> StoreResult<Result<NewAttempt, NoLaunch>> {
        let id = AttemptId::generate();
        let spec = match wanted::launch_spec(&self.context, run, id).await? {
            Ok(spec) => spec,
            Err(why) => return Ok(Err(why)),
        };
        let Ok(launch_request) = spec.to_bytes() else { return Ok(Err(FailureCode::LaunchFailed.into())) };
        let bounds = &self.context.bounds;
        Ok(Ok(NewAttempt {
            org: run.org,
            id,
            run: run.id,
            number: run.attempts + 1,
            epoch,
            data_plane: run.data_plane,
            launch_request,
            launch_holder: self.context.holder.to_string(),
            launch_claim: bounds.launch_claim,
            start_timeout: match run.kind {
                RunKind::Test => bounds.test_start(),
                _ => bounds.start_timeout,
            },
        }))
    }

    /// Takes over a launch whose starter was not heard of any more.
    async fn replay(&self, attempt: Attempt) -> StoreResult<bool> {
        if self.context.store.clock().await?.since(attempt.created_at) > REPLAY {
            // The same token might start a second task by now: the reaper fences the attempt instead.
            return Ok(false);
        }
        let mut tx = self.context.store.write_tx(attempt.org).await?;
        let (holder, claim) = (&self.context.holder, self.context.bounds.launch_claim);
        if !Store::attempt_launch_claim_in_txn(&mut tx, &attempt, holder, claim).await? {
            return Ok(false);
        }
        tx.commit().await?;
        tracing::info!(attempt.id = %attempt.id, "a launch that broke off is replayed");
        self.launch(attempt).await;
        Ok(true)
    }

    /// Calls the launcher in the background, with a bound on how many calls are made at once.
    async fn launch(&self, attempt: Attempt) {
        let (context, launches) = (self.context.clone(), Arc::clone(&self.launches));
        let mut running = self.running.lock().await;
        while running.try_join_next().is_some() {}
        running.spawn(async move {
            let Ok(_permit) = launches.acquire_owned().await else { return };
            if let Err(error) = start(&context, &attempt).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, attempt.id = %attempt.id, "a launch could not be recorded and is replayed");
            }
        });
    }
}

/// What a launch waits for that does not go on yet, where that is known.
const fn waits_for(error: &LaunchError, by_agent: bool) -> Option<&'static str> {
    match (error, by_agent) {
        (LaunchError::OutOfReach, true) => Some(NO_AGENT),
        (LaunchError::NoCapacity, true) => Some(SLOTS_BUSY),
        (LaunchError::NoCapacity, false) => Some(NO_ROOM),
        _ => None,
    }
}

async fn start(context: &Context, attempt: &Attempt) -> StoreResult<()> {
    let plane = context.store.data_plane_get(attempt.org, attempt.data_plane).await?;
    let by_agent = plane.as_ref().is_some_and(|plane| plane.kind == AGENT);
    let Some(launcher) = plane.and_then(|plane| context.launchers.of(&plane)) else { return Ok(()) };
    let claim = TicketClaim { org: attempt.org, attempt: attempt.id, epoch: attempt.epoch };
    let ticket = (context.mint)(&claim, attempt.created_at.plus(context.bounds.start_timeout));
    let started = match LaunchRequest::from_bytes(&attempt.launch_request, ticket) {
        Ok(request) => launcher.start(&request).await,
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, attempt.id = %attempt.id, "a defect");
            Err(LaunchError::Unusable("stored bytes"))
        }
    };
    fault::point("task_started");
    // A fault build loses the answer about a task that did start.
    let started =
        if fault::asked("task_started", "lose") { Err(LaunchError::NoAnswer { action: "start" }) } else { started };
    match started {
        Ok(task) => record(context, launcher.as_ref(), attempt, &task).await,
        // The claim runs out and the launch is replayed, until the start timeout ends the attempt.
        Err(error) if error.passes() => {
            tracing::info!(error = &error as &dyn std::error::Error, attempt.id = %attempt.id, "the launch waits");
            match waits_for(&error, by_agent) {
                Some(phase) => waits(context, attempt, phase).await,
                None => Ok(()),
            }
        }
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, attempt.id = %attempt.id, "the launch failed");
            give_up(context, launcher.as_ref(), attempt, &error).await
        }
    }
}

/// Records the task. One that came too late for its attempt is stopped at once.
async fn record(context: &Context, launcher: &dyn Launcher, attempt: &Attempt, task: &TaskRef) -> StoreResult<()> {
    let mut tx = context.store.write_tx(attempt.org).await?;
    if Store::run_lock_in_txn(&mut tx, attempt.org, attempt.run).await?.is_none() {
        return Ok(());
    }
    let recorded = Store::attempt_task_in_txn(&mut tx, attempt, &task.0).await?;
    if recorded {
        let note = Note::TaskStarted.event(Some(attempt.id));
        Store::run_event_append_in_txn(&mut tx, attempt.org, attempt.run, &[note]).await?;
    }
    let current = Store::attempt_get_in_txn(&mut tx, attempt.org, attempt.id).await?;
    tx.commit().await?;
    let wanted = current.is_some_and(|a| !a.state.is_final() && a.fenced_at.is_none());
    if !wanted && let Err(error) = launcher.stop(task).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "a late task is stopped at the next look");
    }
    Ok(())
}

/// Says once in the run's timeline what its launch waits for.
async fn waits(context: &Context, attempt: &Attempt, phase: &'static str) -> StoreResult<()> {
    let mut tx = context.store.write_tx(attempt.org).await?;
    if Store::run_lock_in_txn(&mut tx, attempt.org, attempt.run).await?.is_none() {
        return Ok(());
    }
    if Store::attempt_phase_in_txn(&mut tx, attempt, phase).await? {
        let note = Note::TaskWaits.with(Some(attempt.id), json!({ "phase": phase }));
        Store::run_event_append_in_txn(&mut tx, attempt.org, attempt.run, &[note]).await?;
    }
    tx.commit().await?;
    context.nudges.run_progressed(attempt.run);
    Ok(())
}

/// No task can be started: the attempt ends here, and its run gets another one where the failure may pass.
async fn give_up(
    context: &Context,
    launcher: &dyn Launcher,
    attempt: &Attempt,
    error: &LaunchError,
) -> StoreResult<()> {
    let mut tx = context.store.write_tx(attempt.org).await?;
    let Some(run) = Store::run_lock_in_txn(&mut tx, attempt.org, attempt.run).await? else { return Ok(()) };
    let Some(attempt) = Store::attempt_get_in_txn(&mut tx, attempt.org, attempt.id).await? else { return Ok(()) };
    let failure = error.failure();
    let mut body = json!({ "failure": failure.as_str() });
    if let LaunchError::Denied { action, resource } | LaunchError::OwnDenied { action, resource, .. } = error {
        body["action"] = (*action).into();
        body["resource"] = resource.as_str().into();
        let is_own = matches!(error, LaunchError::OwnDenied { .. });
        body["own"] = is_own.into();
        let statement = if is_own { error.own_statement() } else { launcher.missing(action, resource) };
        if let Some(statement) = statement {
            body["statement"] = statement.to_string().into();
        }
    }
    let note = Note::LaunchFailed.with(Some(attempt.id), body);
    Store::run_event_append_in_txn(&mut tx, attempt.org, attempt.run, &[note]).await?;
    let (both, finding) = ((&run, &attempt), Finding { actor: ACTOR, outcome: None });
    end_attempt_in_txn(&mut tx, &context.bounds, both, Ending::Failed(failure), finding).await?;
    Store::attempt_task_over_in_txn(&mut tx, &attempt).await?;
    tx.commit().await?;
    context.nudges.run_changed(attempt.run);
    Ok(())
}
