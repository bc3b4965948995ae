//! Workers as containers of an engine on this host, Docker's or Podman's, which speak one language over a Unix socket.
//!
//! A container bears its attempt's name, so the engine itself sees that there is only one. The ticket goes over standard
//! input and stands in nothing that the engine shows. A worker gets no capability and no way to one, cannot write to its
//! image, and has as much memory as its plan says, without swap. Its output stays with the engine and is never read here.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bollard::Docker;
use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum, ContainerSummaryStateEnum as State};
use bollard::query_parameters as ask;
use futures::StreamExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Mutex;
use waybill_model::{AttemptId, FailureCode};

use self::engine::{or_missing, refused_as, settled};
use self::wanted::LABEL;
pub use self::wanted::{ContainerSettings, Mount, SettingsError};
use crate::{LaunchError, LaunchRequest, LaunchSpec, Launcher, TaskRef, TaskStatus};

mod engine;
mod wanted;

/// How long the engine may take to answer one call.
const ANSWER: Duration = Duration::from_secs(30);
/// How long a container may take to take its ticket.
const HAND_OVER: Duration = Duration::from_secs(20);

/// Starts workers as containers.
#[derive(Clone)]
pub struct ContainerLauncher {
    docker: Docker,
    settings: Arc<ContainerSettings>,
    /// One start at a time: a container that is made and not started is then one that an earlier process left.
    starting: Arc<Mutex<()>>,
    exited: Arc<dyn Fn() + Send + Sync>,
}

impl ContainerLauncher {
    /// With the engine behind this socket. The image is fetched where the engine does not have it.
    pub async fn open(socket: &Path, settings: ContainerSettings) -> Result<Self, LaunchError> {
        let docker = engine::connect(socket, ANSWER).await?;
        engine::have_image(&docker, &settings.image).await?;
        Ok(Self { docker, settings: Arc::new(settings), starting: Arc::default(), exited: Arc::new(|| ()) })
    }

    /// The same, with something to call whenever a task of ours has ended: it only saves waiting for the next look.
    #[must_use]
    pub fn on_exit(mut self, exited: impl Fn() + Send + Sync + 'static) -> Self {
        self.exited = Arc::new(exited);
        self
    }

    /// Whether workers see a file of this name in a directory that is one of their mounts. The engine looks for a mount's source
    /// on its own host; to whoever is in a container itself that is another place. A worker's container is made for the look and
    /// never started; one that can't be removed goes with those of attempts.
    pub async fn sees(&self, dir: &Path, file: &str) -> Result<bool, LaunchError> {
        let Some(mount) = self.settings.mounts.iter().find(|mount| Path::new(&mount.source) == dir) else {
            return Ok(false);
        };
        let spec = LaunchSpec::new(AttemptId::generate(), String::new(), "/".to_owned(), Vec::new());
        let name = wanted::name(spec.attempt);
        let options = ask::CreateContainerOptionsBuilder::default().name(&name).build();
        match self.docker.create_container(Some(options), wanted::container(&self.settings, &spec)).await {
            Ok(_) => {}
            // Not even the directory is there.
            Err(error) if engine::names(&error, &mount.source) => return Ok(false),
            Err(error) => return Err(engine::failed("create", error)),
        }
        let inside = format!("{}/{file}", mount.target);
        let options = ask::ContainerArchiveInfoOptionsBuilder::default().path(&inside).build();
        let found = or_missing("look", self.docker.get_container_archive_info(&name, Some(options)).await);
        or_missing("remove", self.docker.remove_container(&name, None::<ask::RemoveContainerOptions>).await)?;
        Ok(found?.is_some())
    }

    /// Removes the containers of attempts that ended longer ago than this; says how many went. `live` are those that
    /// somebody may still ask about: theirs stay.
    pub async fn sweep(&self, age: Duration, live: impl Fn(AttemptId) -> bool) -> Result<usize, LaunchError> {
        let mut removed = 0;
        for (attempt, id) in self.list(&[State::EXITED, State::DEAD, State::CREATED]).await? {
            if live(attempt) {
                continue;
            }
            let Some(found) = self.inspect(&id).await? else { continue };
            if engine::ended_before(&found, age) {
                let removal = self.docker.remove_container(&id, None::<ask::RemoveContainerOptions>).await;
                or_missing("remove", removal)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Containers of ours in one of these states. They are picked here: not every engine knows every state.
    async fn list(&self, states: &[State]) -> Result<Vec<(AttemptId, String)>, LaunchError> {
        let filters = HashMap::from([("label".to_owned(), vec![LABEL.to_owned()])]);
        let options = ask::ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let found = settled(|| self.docker.list_containers(Some(options.clone()))).await;
        let found = found.map_err(|error| engine::failed("list", error))?;
        let ours = found.into_iter().filter_map(|container| {
            let attempt = container.labels?.get(LABEL)?.parse().ok()?;
            container.state.filter(|state| states.contains(state))?;
            Some((attempt, container.id?))
        });
        Ok(ours.collect())
    }

    /// What the engine says of a container; none where it knows none.
    async fn inspect(&self, name: &str) -> Result<Option<ContainerInspectResponse>, LaunchError> {
        let look = || self.docker.inspect_container(name, None::<ask::InspectContainerOptions>);
        or_missing("inspect", settled(look).await)
    }

    /// Makes the attempt's container, or finds it: its id, and whether it was started already.
    async fn make(&self, request: &LaunchRequest) -> Result<(String, bool), LaunchError> {
        let name = wanted::name(request.spec().attempt);
        let options = ask::CreateContainerOptionsBuilder::default().name(&name).build();
        let body = wanted::container(&self.settings, request.spec());
        match self.docker.create_container(Some(options), body).await {
            Ok(made) => Ok((made.id, false)),
            // The name is taken: Docker says 409 then, Podman 500 as for all that fails.
            Err(error) if refused_as(&error, 409) || refused_as(&error, 500) => {
                let found = match self.inspect(&name).await? {
                    Some(found) => found,
                    // It was there a moment ago.
                    None if refused_as(&error, 409) => return Err(LaunchError::Busy),
                    None => return Err(engine::failed("create", error)),
                };
                let is_made = state(&found) == Some(ContainerStateStatusEnum::CREATED);
                Ok((found.id.ok_or(LaunchError::Unusable("a container without an id"))?, !is_made))
            }
            Err(error) => Err(engine::failed("create", error)),
        }
    }

    /// Starts a container that waits for its ticket, and hands it over. What the engine closes the input of ends by itself.
    async fn begin(&self, id: &str, request: &LaunchRequest) -> Result<(), LaunchError> {
        let options = ask::AttachContainerOptionsBuilder::default().stream(true).stdin(true).build();
        let attached = self.docker.attach_container(id, Some(options)).await;
        let mut attached = attached.map_err(|error| engine::failed("attach", error))?;
        let started = self.docker.start_container(id, None::<ask::StartContainerOptions>).await;
        started.map_err(|error| engine::failed("start", error))?;
        let given = async {
            for part in [request.reveal_ticket().as_bytes(), b"\n"] {
                attached.input.write_all(part).await?;
            }
            attached.input.flush().await
        };
        // A container that is gone already shows at the next look; that is no failure of the start.
        if !matches!(tokio::time::timeout(HAND_OVER, given).await, Ok(Ok(()))) {
            tracing::debug!("the container did not take its ticket");
        }
        Ok(())
    }

    /// Calls once the container has ended. A broken wait only means that the next look finds it.
    fn watch(&self, id: String) {
        let launcher = self.clone();
        tokio::spawn(async move {
            let mut waits = Box::pin(launcher.docker.wait_container(&id, None::<ask::WaitContainerOptions>));
            let _ = waits.next().await;
            (launcher.exited)();
        });
    }
}

fn state(found: &ContainerInspectResponse) -> Option<ContainerStateStatusEnum> {
    found.state.as_ref()?.status
}

fn status(found: &ContainerInspectResponse) -> TaskStatus {
    use ContainerStateStatusEnum as Is;
    match state(found) {
        Some(Is::EXITED | Is::DEAD) => {
            let state = found.state.as_ref();
            let exit_code = state.and_then(|state| state.exit_code).and_then(|code| i32::try_from(code).ok());
            let ran_out = state.and_then(|state| state.oom_killed).unwrap_or(false);
            TaskStatus::Stopped { exit_code, cause: ran_out.then_some(FailureCode::OutOfMemory) }
        }
        Some(Is::CREATED | Is::RUNNING | Is::PAUSED | Is::RESTARTING | Is::REMOVING) => TaskStatus::Running,
        _ => TaskStatus::Unknown,
    }
}

#[async_trait]
impl Launcher for ContainerLauncher {
    async fn start(&self, request: &LaunchRequest) -> Result<TaskRef, LaunchError> {
        let _alone = self.starting.lock().await;
        let (id, is_started) = self.make(request).await?;
        if !is_started {
            self.begin(&id, request).await?;
            self.watch(id.clone());
            tracing::info!(attempt.id = %request.spec().attempt, task.container = %id, "started a worker container");
        }
        Ok(TaskRef(id))
    }

    async fn describe(&self, task: &TaskRef) -> Result<TaskStatus, LaunchError> {
        Ok(self.inspect(wanted::id(task)?).await?.map_or(TaskStatus::Missing, |found| status(&found)))
    }

    async fn stop(&self, task: &TaskRef) -> Result<(), LaunchError> {
        let id = wanted::id(task)?.to_owned();
        // Asked here, so that an engine that does not answer is not taken for one that stops.
        if !matches!(self.inspect(&id).await?.map(|found| status(&found)), Some(TaskStatus::Running)) {
            return Ok(());
        }
        let grace = i32::try_from(self.settings.stop_grace.as_secs()).unwrap_or(i32::MAX);
        let docker = self.docker.clone().with_timeout(self.settings.stop_grace + ANSWER);
        tokio::spawn(async move {
            let options = ask::StopContainerOptionsBuilder::default().t(grace).build();
            if let Err(error) = or_missing("stop", docker.stop_container(&id, Some(options)).await) {
                tracing::warn!(error = &error as &dyn std::error::Error, "a container was not stopped; tried again");
            }
        });
        Ok(())
    }

    async fn find(&self, attempt: AttemptId) -> Result<Option<TaskRef>, LaunchError> {
        let found = self.inspect(&wanted::name(attempt)).await?;
        // One that was never started works for nobody; the same request starts it.
        let begun = found.filter(|found| state(found) != Some(ContainerStateStatusEnum::CREATED));
        Ok(begun.and_then(|found| found.id).map(TaskRef))
    }

    async fn live(&self) -> Result<Vec<(AttemptId, TaskRef)>, LaunchError> {
        let found = self.list(&[State::RUNNING, State::PAUSED, State::RESTARTING, State::STOPPING]).await?;
        Ok(found.into_iter().map(|(attempt, id)| (attempt, TaskRef(id))).collect())
    }
}
