//! Workers as tasks of a cluster, started with the role of this host. The cloud may take long to answer, and nobody waits
//! for it here: each start is seen through beside the session, and what is known of a task is kept and looked at anew.
//!
//! The task's own role finds its guard and its secrets; this host never holds them.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::Notify;
use waybill_identity::channel::Backoff;
use waybill_launcher::ecs::{EcsLauncher, EcsPlace, EcsTask, Wish, client_token_of};
use waybill_launcher::{LaunchError, LaunchRequest, LaunchSpec, Launcher, TaskPhase, TaskRef, TaskStatus};
use waybill_model::AttemptId;

use crate::calls::Calls;

/// Between two looks at tasks that have not ended: the cloud counts how often it is asked.
const LOOK: Duration = Duration::from_secs(5);
/// Longest wait before a start or a search that was not answered is repeated.
const PAUSE: Duration = Duration::from_secs(10);
/// A stop is asked for again where its task still runs after this long.
const STOP_AGAIN: Duration = Duration::from_secs(30);
/// How long a task may not be shown after its start, and how many looks in a row do not find one that is gone.
const SHOWN_BY: Duration = Duration::from_secs(60);
const MISSES: u32 = 2;

const ENDED: TaskStatus = TaskStatus::Stopped { exit_code: None, cause: None };

/// Where tasks run, and what each of them is told.
#[derive(Clone)]
pub(crate) struct Cluster {
    /// Starts them.
    pub(crate) launcher: EcsLauncher,
    /// Where.
    pub(crate) place: EcsPlace,
    /// Whose tasks they are: this agent's id.
    pub(crate) agent: String,
    /// Variables of every task: where to enrol, which authority to expect.
    pub(crate) variables: BTreeMap<String, String>,
    /// What is told of the calls.
    pub(crate) calls: Arc<Calls>,
    /// Name of the session in which this host holds the role.
    pub(crate) session: String,
}

/// The tasks of this agent.
#[derive(Clone)]
pub(super) struct Tasks(Arc<Desk>);

struct Desk {
    cluster: Cluster,
    known: Mutex<BTreeMap<AttemptId, Kept>>,
    /// Something was started, or is to end.
    woken: Notify,
    /// Called when a task's state changed.
    tell: Box<dyn Fn() + Send + Sync>,
}

struct Kept {
    /// None while its start is not answered.
    task: Option<TaskRef>,
    status: TaskStatus,
    since: Instant,
    misses: u32,
    unwanted: bool,
    stopped_at: Option<Instant>,
}

impl Kept {
    fn new(task: Option<TaskRef>, status: TaskStatus) -> Self {
        Self { task, status, since: Instant::now(), misses: 0, unwanted: false, stopped_at: None }
    }

    const fn is_over(&self) -> bool {
        matches!(self.status, TaskStatus::Stopped { .. })
    }

    /// A task that is to end and was not asked to of late.
    fn take_stop(&mut self) -> Option<TaskRef> {
        let asked = self.stopped_at.is_some_and(|at| at.elapsed() < STOP_AGAIN);
        if !self.unwanted || self.is_over() || asked {
            return None;
        }
        let task = self.task.clone()?;
        self.stopped_at = Some(Instant::now());
        Some(task)
    }

    /// What a look brought. True where that is news.
    fn saw(&mut self, status: TaskStatus) -> bool {
        let status = match status {
            TaskStatus::Missing => {
                self.misses += 1;
                if self.misses < MISSES || self.since.elapsed() < SHOWN_BY {
                    return false;
                }
                ENDED
            }
            other => other,
        };
        self.misses = 0;
        std::mem::replace(&mut self.status, status) != status
    }
}

impl Tasks {
    /// Asks the cluster for what runs there, so that a permission that is missing is said before the agent serves.
    pub(super) async fn open(cluster: Cluster, tell: impl Fn() + Send + Sync + 'static) -> Result<Self, LaunchError> {
        cluster.launcher.live().await?;
        let (known, woken, tell) = (Mutex::default(), Notify::new(), Box::new(tell));
        let desk = Arc::new(Desk { cluster, known, woken, tell });
        tokio::spawn(Arc::clone(&desk).look_on());
        Ok(Self(desk))
    }

    /// Makes a request one for this cluster.
    pub(super) fn complete(&self, spec: &mut LaunchSpec) -> Result<(), LaunchError> {
        let Cluster { place, variables, agent, .. } = &self.0.cluster;
        let wish = Wish { memory: spec.memory.unwrap_or(0), ..Wish::default() };
        let task = EcsTask::new(place, wish, variables.clone()).map_err(|error| {
            tracing::error!(%error, "no task of the size that the pipeline asks for can be had");
            LaunchError::Unusable("no task of this size can be had")
        })?;
        spec.token = client_token_of(spec.attempt, agent);
        spec.ecs = Some(task);
        Ok(())
    }

    /// Forgets tasks that nobody asks about any more.
    pub(super) fn forget_all_but(&self, live: &HashSet<AttemptId>) {
        self.0.known().retain(|attempt, kept| live.contains(attempt) || !kept.is_over());
    }
}

#[async_trait]
impl Launcher for Tasks {
    /// Comes back at once: whether the task could be started is seen at the next look.
    async fn start(&self, request: &LaunchRequest) -> Result<TaskRef, LaunchError> {
        let attempt = request.spec().attempt;
        if let std::collections::btree_map::Entry::Vacant(place) = self.0.known().entry(attempt) {
            place.insert(Kept::new(None, TaskStatus::Pending(TaskPhase::Provisioning)));
            tokio::spawn(Arc::clone(&self.0).see_through(request.clone()));
        }
        Ok(reference(attempt))
    }

    async fn describe(&self, task: &TaskRef) -> Result<TaskStatus, LaunchError> {
        let attempt = read(task)?;
        Ok(self.0.known().get(&attempt).map_or(TaskStatus::Unknown, |kept| kept.status))
    }

    async fn stop(&self, task: &TaskRef) -> Result<(), LaunchError> {
        let attempt = read(task)?;
        if let Some(kept) = self.0.known().get_mut(&attempt) {
            kept.unwanted = true;
        }
        self.0.woken.notify_one();
        Ok(())
    }

    async fn find(&self, attempt: AttemptId) -> Result<Option<TaskRef>, LaunchError> {
        let Some(task) = self.0.cluster.launcher.find(attempt).await? else { return Ok(None) };
        self.0.known().entry(attempt).or_insert_with(|| Kept::new(Some(task), TaskStatus::Unknown));
        self.0.woken.notify_one();
        Ok(Some(reference(attempt)))
    }
}

impl Desk {
    fn known(&self) -> MutexGuard<'_, BTreeMap<AttemptId, Kept>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, attempt: AttemptId, change: impl FnOnce(&mut Kept)) {
        if let Some(kept) = self.known().get_mut(&attempt) {
            change(kept);
        }
        self.woken.notify_one();
        (self.tell)();
    }

    /// Starts a task, whatever gets lost on the way: the same request is the same task. Where it is not wanted any more,
    /// the one that may have been started is searched for instead.
    async fn see_through(self: Arc<Self>, request: LaunchRequest) {
        let (attempt, mut pause) = (request.spec().attempt, Backoff::up_to(PAUSE));
        // When the last start came back without an answer: its task may be shown later. The client had tried until then.
        let mut asked: Option<Instant> = None;
        loop {
            let unwanted = self.known().get(&attempt).is_none_or(|kept| kept.unwanted);
            let launcher = &self.cluster.launcher;
            let answer = if unwanted {
                launcher.find(attempt).await
            } else {
                let answer = launcher.start(&request).await.map(Some);
                asked = Some(Instant::now());
                answer
            };
            match answer {
                Ok(Some(task)) => {
                    tracing::info!(attempt.id = %attempt, %task, "started a worker as a task");
                    return self.change(attempt, |kept| (kept.task, kept.since) = (Some(task), Instant::now()));
                }
                Ok(None) if asked.is_some_and(|at| at.elapsed() < SHOWN_BY) => {}
                Ok(None) => return self.change(attempt, |kept| kept.status = ENDED),
                Err(error) => {
                    let shown = &error as &dyn std::error::Error;
                    tracing::warn!(error = shown, attempt.id = %attempt, "a worker's task was not started");
                    if !unwanted && !error.passes() {
                        let cause = Some(error.failure());
                        let refused = TaskStatus::Stopped { exit_code: None, cause };
                        return self.change(attempt, |kept| kept.status = refused);
                    }
                }
            }
            pause.wait().await;
        }
    }

    /// Stops what is to end and looks at what has not, for as long as the agent runs.
    async fn look_on(self: Arc<Self>) {
        loop {
            if self.known().values().all(Kept::is_over) {
                self.woken.notified().await;
            } else {
                let _ = tokio::time::timeout(LOOK, self.woken.notified()).await;
            }
            self.stop_unwanted().await;
            self.look().await;
        }
    }

    fn to_stop(&self) -> Vec<(AttemptId, TaskRef)> {
        let mut known = self.known();
        known.iter_mut().filter_map(|(attempt, kept)| Some((*attempt, kept.take_stop()?))).collect()
    }

    async fn stop_unwanted(&self) {
        for (attempt, task) in self.to_stop() {
            self.cluster.calls.stops(&task, Some(attempt));
            let stopped = self.cluster.launcher.stop(&task).await;
            self.cluster.calls.stops(&task, None);
            if let Err(error) = stopped {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, %task, "a task was not stopped; it is asked to again");
            }
        }
    }

    async fn look(&self) {
        let live: Vec<(AttemptId, TaskRef)> = {
            let known = self.known();
            let live = known.iter().filter(|(_, kept)| !kept.is_over());
            live.filter_map(|(attempt, kept)| Some((*attempt, kept.task.clone()?))).collect()
        };
        let tasks: Vec<TaskRef> = live.iter().map(|(_, task)| task.clone()).collect();
        let seen = self.cluster.launcher.describe_all(&tasks).await;
        let mut news = false;
        for ((attempt, _), status) in live.into_iter().zip(seen) {
            if let (Some(kept), Ok(status)) = (self.known().get_mut(&attempt), status) {
                news |= kept.saw(status);
            }
        }
        if news {
            (self.tell)();
        }
    }
}

/// The cloud's own reference is not known before it answered: the attempt's id stands for the task.
fn reference(attempt: AttemptId) -> TaskRef {
    TaskRef(attempt.to_string())
}

fn read(task: &TaskRef) -> Result<AttemptId, LaunchError> {
    task.0.parse().map_err(|_| LaunchError::Unusable("not a task of this agent"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_is_not_shown_is_gone_after_two_looks_and_not_in_its_first_minute() {
        let mut kept = Kept::new(Some(TaskRef("arn".into())), TaskStatus::Running);
        assert!(!kept.saw(TaskStatus::Missing) && !kept.saw(TaskStatus::Missing), "the cloud may show it later");
        kept.since = Instant::now().checked_sub(SHOWN_BY).unwrap();
        assert!(kept.saw(TaskStatus::Missing) && kept.is_over());
        let mut kept = Kept { since: kept.since, ..Kept::new(None, TaskStatus::Running) };
        assert!(!kept.saw(TaskStatus::Missing) && !kept.saw(TaskStatus::Running), "it is there again");
        assert!(!kept.saw(TaskStatus::Missing), "two looks in a row");
    }

    #[test]
    fn a_stop_is_asked_for_once_and_again_after_a_while() {
        let mut kept = Kept::new(None, TaskStatus::Running);
        kept.unwanted = true;
        assert_eq!(kept.take_stop(), None, "its start was not answered yet");
        kept.task = Some(TaskRef("arn".into()));
        assert!(kept.take_stop().is_some() && kept.take_stop().is_none());
        kept.stopped_at = Instant::now().checked_sub(STOP_AGAIN);
        assert!(kept.take_stop().is_some());
        assert!(kept.saw(ENDED));
        kept.stopped_at = None;
        assert_eq!(kept.take_stop(), None, "it has ended");
    }
}
