//! The workers of this host: started once for an attempt, looked at, stopped, and remembered over a restart of the agent.
//!
//! The program, its guard and the variables that pass are the agent's own settings; of an order only the attempt, the
//! ticket and the memory are taken.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use waybill_launcher::{LaunchError, LaunchRequest, LaunchSpec, TaskRef, TaskStatus};
use waybill_model::{AttemptId, FailureCode};
use waybill_protocol::agent::{CloudCaller, Phase, StartOrder, Task, WorkerRole};

use self::place::Place;
pub(crate) use self::place::Wanted;
pub(crate) use self::tasks::Cluster;
use crate::calls::Calls;
use crate::state::State;

mod place;
mod tasks;

/// What every worker of this agent is started with.
pub(crate) struct Settings {
    /// Where it runs.
    pub(crate) place: Wanted,
    /// The worker program.
    pub(crate) program: String,
    /// Its arguments.
    pub(crate) args: Vec<String>,
    /// Names of variables that pass.
    pub(crate) environment: Vec<String>,
    /// How long one may take to end by itself.
    pub(crate) stop_grace: Duration,
    /// Most workers at once.
    pub(crate) slots: u32,
}

/// Between two looks for what is kept no longer.
const SWEEP: Duration = Duration::from_secs(60 * 60);

/// The workers of this host.
pub(crate) struct Workers {
    state: State,
    settings: Settings,
    place: Place,
    known: BTreeMap<AttemptId, Known>,
    /// A worker ended.
    ended: Arc<Notify>,
    swept: Option<Instant>,
}

struct Known {
    task: Option<TaskRef>,
    phase: Phase,
    told: bool,
}

const ENDED: Phase = Phase::Stopped { exit_code: None, cause: None };
/// There is no room for it: the order goes back.
const NO_ROOM: Phase = Phase::Failed(FailureCode::NoCapacity);

impl Known {
    const fn new(task: Option<TaskRef>, phase: Phase) -> Self {
        Self { task, phase, told: false }
    }

    /// Its process is not known to be over. Of one without a task nothing can be found out any more.
    const fn is_live(&self) -> bool {
        self.task.is_some() && matches!(self.phase, Phase::Running | Phase::Unknown)
    }
}

impl Workers {
    /// Takes up the attempts that an earlier process of this agent was given.
    pub(crate) async fn open(state: State, settings: Settings) -> Result<Self, LaunchError> {
        let ended = Arc::new(Notify::new());
        let place = Place::open(&state, &settings, Arc::clone(&ended)).await?;
        let mut known = BTreeMap::new();
        for attempt in state.tasks() {
            match place.launcher().find(attempt).await? {
                Some(task) => {
                    known.insert(attempt, Known::new(Some(task), Phase::Unknown));
                }
                // The last process ended between its note and the start: the order will come again.
                None => state.forget(attempt),
            }
        }
        let mut workers = Self { state, settings, place, known, ended, swept: None };
        workers.look().await;
        Ok(workers)
    }

    /// What workers prove at their enrolment besides this agent's voucher, where they can.
    pub(crate) fn role(&self) -> Option<WorkerRole> {
        let Wanted::Tasks(cluster) = &self.settings.place else { return None };
        let (place, fips) = (&cluster.place, cluster.place.settings().fips);
        Some(WorkerRole { role_arn: place.task_role().to_string(), region: place.region().as_str().to_owned(), fips })
    }

    /// As whom this agent calls its own cloud, where it does.
    pub(crate) fn caller(&self) -> Option<CloudCaller> {
        let Wanted::Tasks(cluster) = &self.settings.place else { return None };
        let (role_arn, region) = (cluster.place.role().to_string(), cluster.place.region().as_str().to_owned());
        Some(CloudCaller { role_arn, session: cluster.session.clone(), region })
    }

    /// What it calls there.
    pub(crate) fn calls(&self) -> Option<&Calls> {
        let Wanted::Tasks(cluster) = &self.settings.place else { return None };
        Some(&cluster.calls)
    }

    /// The state directory.
    pub(crate) const fn state(&self) -> &State {
        &self.state
    }

    /// Comes back when a worker may have ended.
    pub(crate) fn ended(&self) -> Arc<Notify> {
        Arc::clone(&self.ended)
    }

    /// Whether some worker is not known to be over.
    pub(crate) fn is_busy(&self) -> bool {
        self.known.values().any(Known::is_live)
    }

    fn is_full(&self) -> bool {
        self.known.values().filter(|known| known.is_live()).count() >= self.settings.slots as usize
    }

    /// Every task that is known.
    pub(crate) fn all(&mut self) -> Vec<Task> {
        self.known.values_mut().for_each(|known| known.told = true);
        self.known.iter().map(|(attempt, known)| Task { attempt: *attempt, phase: known.phase }).collect()
    }

    /// Tasks that changed since they were told.
    pub(crate) fn changed(&mut self) -> Vec<Task> {
        let changed = self.known.iter_mut().filter(|(_, known)| !known.told);
        changed
            .map(|(attempt, known)| {
                known.told = true;
                Task { attempt: *attempt, phase: known.phase }
            })
            .collect()
    }

    /// Starts the worker of an order, or finds the one that it started before. Where there is no room the order goes back:
    /// this host's own setting counts, whatever the orchestrator takes it for.
    pub(crate) async fn start(&mut self, order: StartOrder) {
        let attempt = order.attempt;
        if self.knows(attempt) {
            return;
        }
        if self.is_full() {
            self.look().await;
        }
        if self.is_full() {
            self.refuse(attempt);
            return;
        }
        let known = match self.launch(order).await {
            Ok(task) => Known::new(Some(task), Phase::Running),
            Err(error) => {
                tracing::error!(error = &*error, attempt.id = %attempt, "a worker could not be started");
                Known::new(None, Phase::Failed(FailureCode::LaunchFailed))
            }
        };
        self.known.insert(attempt, known);
    }

    /// Whether the attempt was started here; it is told of again.
    fn knows(&mut self, attempt: AttemptId) -> bool {
        match self.known.get_mut(&attempt) {
            Some(known) if known.phase != NO_ROOM => {
                known.told = false;
                true
            }
            _ => false,
        }
    }

    /// Gives an order back: there is no room for it, or the agent is about to end.
    pub(crate) fn refuse(&mut self, attempt: AttemptId) {
        if !self.knows(attempt) {
            tracing::info!(attempt.id = %attempt, "no room for a worker: its order goes back");
            self.known.insert(attempt, Known::new(None, NO_ROOM));
        }
    }

    async fn launch(&self, order: StartOrder) -> Result<TaskRef, Box<dyn std::error::Error + Send + Sync>> {
        self.state.note(order.attempt)?;
        let Settings { program, args, environment, .. } = &self.settings;
        let mut spec = LaunchSpec::new(order.attempt, order.attempt.to_string(), program.clone(), args.clone());
        spec.environment.clone_from(environment);
        spec.memory = order.memory;
        self.place.complete(&mut spec)?;
        let request = LaunchRequest::from_bytes(&spec.to_bytes()?, order.ticket)?;
        Ok(self.place.launcher().start(&request).await?)
    }

    /// Asks a worker to end. One that this agent never started, or of which nothing can be found out, has ended. What runs
    /// is told of when it has ended, not before.
    pub(crate) async fn stop(&mut self, attempt: AttemptId) {
        let known = self.known.entry(attempt).or_insert_with(|| Known::new(None, ENDED));
        let Some(task) = known.task.as_ref().filter(|_| known.is_live()) else {
            if known.phase == Phase::Unknown {
                known.phase = ENDED;
            }
            known.told = false;
            return;
        };
        match self.place.launcher().stop(task).await {
            Ok(()) => {}
            // Of another boot: the next look says whether somebody still holds its log.
            Err(LaunchError::OutOfReach) => self.look().await,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, attempt.id = %attempt, "a worker was not stopped");
            }
        }
    }

    /// Asks every worker to end.
    pub(crate) async fn stop_all(&mut self) {
        let attempts: Vec<AttemptId> = self.known.keys().copied().collect();
        for attempt in attempts {
            self.stop(attempt).await;
        }
    }

    /// Will tell where an attempt stands; one that is not known can't be seen.
    pub(crate) fn describe(&mut self, attempt: AttemptId) {
        self.known.entry(attempt).or_insert_with(|| Known::new(None, Phase::Unknown)).told = false;
    }

    /// The orchestrator knows the end of this attempt.
    pub(crate) fn forget(&mut self, attempt: AttemptId) {
        let over = |known: &Known| matches!(known.phase, Phase::Stopped { .. } | Phase::Failed(_));
        if self.known.get(&attempt).is_some_and(over) {
            self.known.remove(&attempt);
        }
        if !self.known.contains_key(&attempt) {
            self.state.forget(attempt);
        }
    }

    /// Looks at every worker that is not known to be over, and now and then at what old ones left.
    pub(crate) async fn look(&mut self) {
        for (attempt, known) in &mut self.known {
            let Some(task) = known.task.as_ref().filter(|_| known.is_live()) else { continue };
            let phase = match self.place.look(task).await {
                // Accepted is started: when it works, the worker says so itself.
                TaskStatus::Running | TaskStatus::Pending(_) => Phase::Running,
                TaskStatus::Stopped { exit_code, cause } => {
                    Phase::Stopped { exit_code: exit_code.and_then(|code| u32::try_from(code).ok()), cause }
                }
                _ => Phase::Unknown,
            };
            if phase != known.phase {
                tracing::info!(attempt.id = %attempt, ?phase, "a worker's task changed");
                (known.phase, known.told) = (phase, false);
            }
        }
        if self.swept.is_none_or(|at| at.elapsed() >= SWEEP) {
            self.swept = Some(Instant::now());
            self.place.sweep(self.known.keys().copied().chain(self.state.tasks()).collect());
        }
    }
}

#[cfg(test)]
mod tests;
