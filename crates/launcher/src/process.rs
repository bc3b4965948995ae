//! Workers as processes of this host: for development, for a single machine, and for tests of everything else.
//!
//! The attempt's directory is made once; its log file is locked by whoever starts the task and then by the task itself,
//! which inherits the locked file as its output. So a second start finds either the running task, or the reference of
//! the one that ended. The ticket goes over standard input. The pipe stays open as long as this process lives: a task
//! that meets the end of its input before it has its ticket must exit.

use std::collections::{HashMap, HashSet};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rustix::process::{Pid, Resource, Rlimit, Signal};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};
use waybill_model::{AttemptId, FailureCode};

use self::directory::{AttemptDirectory, Entry, Exit, LockedLog};
use self::group::Groups;
use self::host::{Host, Sight};
use self::memory::KillCount;
use self::reference::ProcessRef;
pub use self::sweep::Keep;
pub use self::user::{Users, UsersError, become_worker};
use crate::{LaunchError, LaunchRequest, Launcher, TaskRef, TaskStatus};

mod directory;
mod group;
mod host;
mod memory;
mod reference;
mod sweep;
mod user;

/// How long a start waits for another one of the same attempt.
const START_PATIENCE: Duration = Duration::from_secs(5);

/// Starts workers as child processes.
#[derive(Clone)]
pub struct ProcessLauncher {
    root: PathBuf,
    host: Host,
    stop_grace: Duration,
    /// The control group that tasks are put into, other than ours.
    groups: Option<Groups>,
    /// Users that tasks run as, other than ours.
    users: Option<(Users, PathBuf)>,
    /// Tasks whose end this process waits for and has not recorded yet.
    watched: Arc<Mutex<HashMap<AttemptId, ProcessRef>>>,
    exited: Arc<dyn Fn() + Send + Sync>,
}

impl ProcessLauncher {
    /// Keeps attempt directories below `root`, which is made where it is missing.
    pub fn open(root: &Path) -> Result<Self, LaunchError> {
        directory::make_private(root).map_err(LaunchError::Directory)?;
        let root = root.canonicalize().map_err(LaunchError::Directory)?;
        let host = Host::this().map_err(LaunchError::Directory)?;
        let stop_grace = Duration::from_secs(20);
        Ok(Self { root, host, stop_grace, groups: None, users: None, watched: Arc::default(), exited: Arc::new(|| ()) })
    }

    /// The same, with this time between the request to end and the end by force.
    #[must_use]
    pub const fn with_stop_grace(mut self, grace: Duration) -> Self {
        self.stop_grace = grace;
        self
    }

    /// The same, with tasks below this control group: its directory, which exists and may be written to. Each gets one of its
    /// own there with its memory, where the kernel gives one. Memory that runs out there is no concern of ours; in one group
    /// with them, the kernel may end us while it ends a task.
    #[must_use]
    pub fn with_control_group(mut self, group: Option<PathBuf>) -> Self {
        self.groups = group.map(Groups::below);
        self
    }

    /// The same, with each task as a user of its own: started through this program, whose command `worker` calls
    /// [`become_worker`].
    #[must_use]
    pub fn with_users(mut self, users: Option<(Users, PathBuf)>) -> Self {
        self.users = users;
        self
    }

    /// The same, with something to call whenever a task of ours has ended: it only saves waiting for the next look.
    #[must_use]
    pub fn on_exit(mut self, exited: impl Fn() + Send + Sync + 'static) -> Self {
        self.exited = Arc::new(exited);
        self
    }

    /// The same as another host sees it.
    #[cfg(test)]
    fn seen_from(mut self, host: &str) -> Self {
        self.host = Host::named(host);
        self
    }

    /// Where an attempt's output is kept. It stays on this side: nothing of it is stored or shown, and only its end is read, for
    /// the one sentence by which a worker says that its memory ran out.
    #[must_use]
    pub fn log_file(&self, attempt: AttemptId) -> PathBuf {
        self.directory(attempt).log()
    }

    /// Removes the directories of attempts that are over, beyond what is kept; says how many went. `live` are those that
    /// somebody may still ask about: theirs stay, and so does any whose process lives.
    pub fn sweep(&self, keep: Keep, live: &HashSet<AttemptId>) -> Result<usize, LaunchError> {
        sweep::sweep(&self.root, keep, live).map_err(LaunchError::Directory)
    }

    /// Looks at a task of another boot or pid namespace, for a caller that knows that these directories were that task's own:
    /// it is over once nobody holds its log. None: somebody does.
    pub fn left_behind(&self, task: &TaskRef) -> Result<Option<TaskStatus>, LaunchError> {
        let directory = self.directory(ProcessRef::read(task)?.attempt);
        let is_held = directory.is_held().map_err(LaunchError::Directory)?;
        Ok((!is_held).then(|| stopped(&directory)))
    }

    fn directory(&self, attempt: AttemptId) -> AttemptDirectory {
        AttemptDirectory::new(&self.root, attempt)
    }

    fn watched(&self) -> MutexGuard<'_, HashMap<AttemptId, ProcessRef>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The task's process; where tasks have users of their own, what becomes it as one of them.
    fn child(&self, request: &LaunchRequest, log: LockedLog) -> Result<Child, LaunchError> {
        let (spec, users) = (request.spec(), self.users.as_ref());
        let Some((users, through)) = users else {
            return command(request, log, (&spec.program, &spec.args))?.spawn().map_err(LaunchError::Start);
        };
        let user = users.take(spec.attempt).map_err(LaunchError::Start)?.ok_or(LaunchError::NoCapacity)?;
        let mut args = vec!["worker".to_owned(), "--user".to_owned(), user.to_string()];
        args.extend(spec.memory.into_iter().flat_map(|memory| ["--memory".to_owned(), memory.to_string()]));
        args.extend(["--".to_owned(), spec.program.clone()]);
        args.extend(spec.args.iter().cloned());
        let program = through.display().to_string();
        let started =
            command(request, log, (&program, &args)).and_then(|mut it| it.spawn().map_err(LaunchError::Start));
        started.inspect_err(|_| users.give_back(spec.attempt))
    }

    async fn spawn(&self, request: &LaunchRequest, log: LockedLog) -> Result<TaskRef, LaunchError> {
        let spec = request.spec();
        let directory = self.directory(spec.attempt);
        let mut child = self.child(request, log)?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        let (Some(pid), Some(input)) = (pid, child.stdin.take()) else {
            return Err(LaunchError::Unusable("the process ended before it could be seen"));
        };
        // It waits for its ticket now, so limits and reference stand before it does anything.
        if let Some(groups) = &self.groups {
            groups.enter(spec.attempt, pid, spec.memory).map_err(LaunchError::Start)?;
        }
        if self.users.is_none() {
            limit(Some(pid), spec.memory).map_err(LaunchError::Start)?;
        }
        memory::offer_first(pid);
        let kills = KillCount::of(pid);
        let started = self.host.start_time(pid).ok_or(LaunchError::Unusable("the process has no start time"))?;
        let reference = ProcessRef::new(&self.host, spec.attempt, pid, started);
        directory.keep_task(&reference).map_err(LaunchError::Directory)?;
        let input = hand_over(input, request).await;
        self.watched().insert(spec.attempt, reference.clone());
        let (launcher, attempt) = (self.clone(), spec.attempt);
        tokio::spawn(async move {
            watch(child, (input, kills), directory).await;
            if let Some(groups) = &launcher.groups {
                groups.leave(attempt);
            }
            if let Some((users, _)) = &launcher.users {
                users.give_back(attempt);
            }
            launcher.watched().remove(&attempt);
            (launcher.exited)();
        });
        tracing::info!(attempt.id = %spec.attempt, task.pid = pid.as_raw_nonzero().get(), "started a worker process");
        Ok(reference.to_task())
    }
}

#[async_trait]
impl Launcher for ProcessLauncher {
    async fn start(&self, request: &LaunchRequest) -> Result<TaskRef, LaunchError> {
        let directory = self.directory(request.spec().attempt);
        let deadline = tokio::time::Instant::now() + START_PATIENCE;
        loop {
            match directory.enter().map_err(LaunchError::Directory)? {
                Entry::Ours(log) => return self.spawn(request, log).await,
                Entry::Started(task) => return Ok(task.to_task()),
                Entry::Busy if tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Entry::Busy => return Err(LaunchError::Busy),
            }
        }
    }

    async fn describe(&self, task: &TaskRef) -> Result<TaskStatus, LaunchError> {
        let task = ProcessRef::read(task)?;
        Ok(match self.host.see(&task) {
            Sight::OtherHost => TaskStatus::Unknown,
            Sight::Alive => TaskStatus::Running,
            // How it ended is not recorded yet: a look now would take it for lost without a reason.
            Sight::Over if self.watched().get(&task.attempt) == Some(&task) => TaskStatus::Running,
            Sight::Over => stopped(&self.directory(task.attempt)),
        })
    }

    async fn stop(&self, task: &TaskRef) -> Result<(), LaunchError> {
        let task = ProcessRef::read(task)?;
        match self.host.see(&task) {
            Sight::OtherHost => return Err(LaunchError::OutOfReach),
            Sight::Over => return Ok(()),
            Sight::Alive => task.signal(Signal::TERM),
        }
        // A stopped process takes no TERM; one that goes on is not disturbed by CONT.
        task.signal(Signal::CONT);
        let (host, grace) = (self.host.clone(), self.stop_grace);
        tokio::spawn(async move {
            tokio::time::sleep(grace).await;
            if matches!(host.see(&task), Sight::Alive) {
                tracing::warn!(attempt.id = %task.attempt, "the worker process did not end by itself and is killed");
                task.signal(Signal::KILL);
            }
        });
        Ok(())
    }

    async fn find(&self, attempt: AttemptId) -> Result<Option<TaskRef>, LaunchError> {
        let found = self.directory(attempt).task().map_err(LaunchError::Directory)?;
        Ok(found.map(|task| task.to_task()))
    }
}

/// How a task that is over ended.
fn stopped(directory: &AttemptDirectory) -> TaskStatus {
    let exit = directory.exit();
    let ran_out = exit.is_some_and(|exit| exit.out_of_memory);
    TaskStatus::Stopped { exit_code: exit.map(|exit| exit.code), cause: ran_out.then_some(FailureCode::OutOfMemory) }
}

/// Only what is listed passes from our environment; the process leads a group of its own, so that a signal reaches all
/// of it and a signal for us does not reach it.
fn command(
    request: &LaunchRequest,
    log: LockedLog,
    (program, args): (&str, &[String]),
) -> Result<Command, LaunchError> {
    let output = log.into_file();
    let errors = output.try_clone().map_err(LaunchError::Directory)?;
    let mut command = Command::new(program);
    command.args(args).env_clear().process_group(0);
    command.stdin(Stdio::piped()).stdout(output).stderr(errors);
    for name in &request.spec().environment {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    Ok(command)
}

/// No core dump, since it would hold rows; and an end to memory far beyond the worker's own budget, which is the real
/// bound: the budget counts buffers, this one counts whatever the process maps, thread stacks too. Of this process where none
/// is named.
fn limit(pid: Option<Pid>, memory: Option<u64>) -> std::io::Result<()> {
    let set =
        |resource, most| rustix::process::prlimit(pid, resource, Rlimit { current: Some(most), maximum: Some(most) });
    set(Resource::Core, 0)?;
    if let Some(memory) = memory {
        set(Resource::Data, memory.saturating_mul(2).saturating_add(512 << 20))?;
    }
    Ok(())
}

/// Writes the ticket. A process that is gone already shows at the next look; that is no failure of the start.
async fn hand_over(mut input: ChildStdin, request: &LaunchRequest) -> ChildStdin {
    for part in [request.reveal_ticket().as_bytes(), b"\n"] {
        if let Err(error) = input.write_all(part).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "the worker process did not take its ticket");
            break;
        }
    }
    input
}

/// Holds the pipe and waits for the end, so that no zombie stays and the exit code is known to later looks.
async fn watch(mut child: Child, (input, kills): (ChildStdin, Option<KillCount>), directory: AttemptDirectory) {
    let status = child.wait().await;
    drop(input);
    let exit = |status: ExitStatus| {
        let out_of_memory = ran_out(status, kills.as_ref(), &directory.log());
        Exit { code: exit_code(status), out_of_memory }
    };
    match status.map(|status| directory.keep_exit(exit(status))) {
        Ok(Ok(())) => {}
        Ok(Err(error)) | Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "the worker's exit code could not be kept");
        }
    }
}

/// Killed while the kernel's count rose, or given up by itself at the limit that stands around it.
fn ran_out(status: ExitStatus, kills: Option<&KillCount>, log: &Path) -> bool {
    match status.signal().and_then(Signal::from_named_raw) {
        Some(Signal::KILL) => kills.is_some_and(KillCount::rose),
        Some(Signal::ABORT) => memory::gave_up(log),
        _ => false,
    }
}

fn exit_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

#[cfg(test)]
mod tests;
