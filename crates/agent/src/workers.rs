//! The workers of this host: started once for an attempt, looked at, stopped, and remembered over a restart of the agent.
//!
//! The program, its guard and the variables that pass are the agent's own settings; of an order only the attempt, the
//! ticket and the memory are taken.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use waybill_launcher::{LaunchError, LaunchRequest, LaunchSpec, Launcher, ProcessLauncher, TaskRef, TaskStatus};
use waybill_model::{AttemptId, FailureCode};
use waybill_protocol::agent::{Phase, StartOrder, Task};

use crate::state::State;

/// What every worker of this agent is started with.
pub(crate) struct Settings {
    /// The worker program.
    pub(crate) program: String,
    /// Its arguments.
    pub(crate) args: Vec<String>,
    /// Names of variables that pass.
    pub(crate) environment: Vec<String>,
    /// How long one may take to end by itself.
    pub(crate) stop_grace: Duration,
}

/// The workers of this host.
pub(crate) struct Workers {
    state: State,
    settings: Settings,
    launcher: ProcessLauncher,
    known: BTreeMap<AttemptId, Known>,
    /// A worker ended.
    ended: Arc<Notify>,
}

struct Known {
    task: Option<TaskRef>,
    phase: Phase,
    told: bool,
}

impl Workers {
    /// Takes up the attempts that an earlier process of this agent was given.
    pub(crate) async fn open(state: State, settings: Settings) -> Result<Self, LaunchError> {
        let ended = Arc::new(Notify::new());
        let tell = Arc::clone(&ended);
        let launcher = ProcessLauncher::open(&state.attempts())?;
        let launcher = launcher.with_stop_grace(settings.stop_grace).on_exit(move || tell.notify_one());
        let mut known = BTreeMap::new();
        for attempt in state.tasks() {
            match launcher.find(attempt).await? {
                Some(task) => {
                    known.insert(attempt, Known { task: Some(task), phase: Phase::Unknown, told: false });
                }
                // The last process ended between its note and the start: the order will come again.
                None => state.forget(attempt),
            }
        }
        state.prune();
        let mut workers = Self { state, settings, launcher, known, ended };
        workers.look().await;
        Ok(workers)
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
        self.known.values().any(|known| matches!(known.phase, Phase::Running | Phase::Unknown))
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

    /// Starts the worker of an order, or finds the one that it started before.
    pub(crate) async fn start(&mut self, order: StartOrder) {
        let attempt = order.attempt;
        if let Some(known) = self.known.get_mut(&attempt) {
            known.told = false;
            return;
        }
        let (task, phase) = match self.launch(order).await {
            Ok(task) => (Some(task), Phase::Running),
            Err(error) => {
                tracing::error!(error = &*error, attempt.id = %attempt, "a worker could not be started");
                (None, Phase::Failed(FailureCode::LaunchFailed))
            }
        };
        self.known.insert(attempt, Known { task, phase, told: false });
    }

    async fn launch(&self, order: StartOrder) -> Result<TaskRef, Box<dyn std::error::Error + Send + Sync>> {
        self.state.note(order.attempt)?;
        let Settings { program, args, environment, .. } = &self.settings;
        let mut spec = LaunchSpec::new(order.attempt, order.attempt.to_string(), program.clone(), args.clone());
        spec.environment.clone_from(environment);
        spec.memory = order.memory;
        let request = LaunchRequest::from_bytes(&spec.to_bytes()?, order.ticket)?;
        Ok(self.launcher.start(&request).await?)
    }

    /// Asks a worker to end. One that this agent never started has ended.
    pub(crate) async fn stop(&mut self, attempt: AttemptId) {
        let known = self.known.entry(attempt).or_insert(Known {
            task: None,
            phase: Phase::Stopped { exit_code: None },
            told: false,
        });
        known.told = false;
        if let Some(task) = &known.task
            && let Err(error) = self.launcher.stop(task).await
        {
            tracing::warn!(error = &error as &dyn std::error::Error, attempt.id = %attempt, "a worker was not stopped");
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
        let unseen = Known { task: None, phase: Phase::Unknown, told: false };
        self.known.entry(attempt).or_insert(unseen).told = false;
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

    /// Looks at every worker that is not known to be over.
    pub(crate) async fn look(&mut self) {
        for (attempt, known) in &mut self.known {
            let Some(task) = known.task.as_ref().filter(|_| matches!(known.phase, Phase::Running | Phase::Unknown))
            else {
                continue;
            };
            let phase = match self.launcher.describe(task).await {
                Ok(TaskStatus::Running) => Phase::Running,
                Ok(TaskStatus::Stopped { exit_code, .. }) => {
                    Phase::Stopped { exit_code: exit_code.and_then(|code| u32::try_from(code).ok()) }
                }
                _ => Phase::Unknown,
            };
            if phase != known.phase {
                tracing::info!(attempt.id = %attempt, ?phase, "a worker's task changed");
                (known.phase, known.told) = (phase, false);
            }
        }
    }
}
