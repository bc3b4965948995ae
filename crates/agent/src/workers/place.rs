//! Where this agent's workers run: as processes of its host, as containers of its engine, or as tasks of a cluster.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use waybill_launcher::container::ContainerLauncher;
use waybill_launcher::process::Keep;
use waybill_launcher::{LaunchError, LaunchSpec, Launcher, ProcessLauncher, TaskRef, TaskStatus};
use waybill_model::AttemptId;

use super::Settings;
use super::tasks::{Cluster, Tasks};
use crate::state::State;

/// What is kept of attempts that are over: the workers' own output, for so long after it was written last.
const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Where workers are to run.
#[derive(Clone)]
pub(crate) enum Wanted {
    /// As processes of the agent's user or of users of their own; below this control group where one is named.
    Processes {
        group: Option<std::path::PathBuf>,
        users: Option<(waybill_launcher::process::Users, std::path::PathBuf)>,
    },
    /// As containers of an engine.
    Containers(ContainerLauncher),
    /// As tasks of this cluster.
    Tasks(Box<Cluster>),
}

/// The launcher of this host.
#[derive(Clone)]
pub(super) enum Place {
    Processes(ProcessLauncher),
    Containers(ContainerLauncher),
    Tasks(Tasks),
}

impl Place {
    pub(super) async fn open(state: &State, settings: &Settings, ended: Arc<Notify>) -> Result<Self, LaunchError> {
        let tell = move || ended.notify_one();
        Ok(match &settings.place {
            Wanted::Processes { group, users } => {
                if group.is_none() {
                    tracing::warn!(
                        "no --control-group: workers share this agent's memory, and one that takes too much may take others along"
                    );
                }
                let launcher = ProcessLauncher::open(&state.attempts())?.with_control_group(group.clone());
                let launcher = launcher.with_users(users.clone());
                Self::Processes(launcher.with_stop_grace(settings.stop_grace).on_exit(tell))
            }
            Wanted::Containers(launcher) => Self::Containers(launcher.clone().on_exit(tell)),
            Wanted::Tasks(cluster) => Self::Tasks(Tasks::open(Cluster::clone(cluster), tell).await?),
        })
    }

    pub(super) fn launcher(&self) -> &dyn Launcher {
        match self {
            Self::Processes(launcher) => launcher,
            Self::Containers(launcher) => launcher,
            Self::Tasks(tasks) => tasks,
        }
    }

    /// Makes a request one for this place.
    pub(super) fn complete(&self, spec: &mut LaunchSpec) -> Result<(), LaunchError> {
        match self {
            Self::Processes(_) | Self::Containers(_) => Ok(()),
            Self::Tasks(tasks) => tasks.complete(spec),
        }
    }

    /// Where a task stands. A process of an earlier boot of this host is over once nobody holds its log.
    pub(super) async fn look(&self, task: &TaskRef) -> TaskStatus {
        match (self.launcher().describe(task).await, self) {
            (Ok(TaskStatus::Unknown), Self::Processes(launcher)) => {
                launcher.left_behind(task).ok().flatten().unwrap_or(TaskStatus::Unknown)
            }
            // The engine is asked by the container's own name: what it does not know was removed.
            (Ok(TaskStatus::Missing), Self::Containers(_)) => TaskStatus::Stopped { exit_code: None, cause: None },
            (Ok(status), _) => status,
            (Err(error), _) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a worker could not be looked at");
                TaskStatus::Unknown
            }
        }
    }

    /// Removes what attempts left that ended long ago and that nobody asks about any more.
    pub(super) fn sweep(&self, live: HashSet<AttemptId>) {
        let place = self.clone();
        tokio::spawn(async move {
            let swept = match place {
                Self::Containers(launcher) => launcher.sweep(KEPT, |attempt| live.contains(&attempt)).await,
                Self::Tasks(tasks) => {
                    tasks.forget_all_but(&live);
                    Ok(0)
                }
                Self::Processes(launcher) => {
                    let keep = Keep { newest: usize::MAX, age: KEPT };
                    let sweep = move || launcher.sweep(keep, &live);
                    tokio::task::spawn_blocking(sweep).await.unwrap_or(Ok(0))
                }
            };
            match swept {
                Ok(0) => {}
                Ok(removed) => tracing::info!(removed, "removed what attempts left that are over"),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "what old attempts left could not be removed");
                }
            }
        });
    }
}
