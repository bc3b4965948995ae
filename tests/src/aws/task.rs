//! Tasks: rows of the fake, and what runs for them: a real process of its own group, or a seat that a test sits in.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::Notify;

use super::{REGION, Shared};

/// Digest of the image of every task.
pub const IMAGE: &str = "sha256:3f9c0d5e8a7b4c1d3f9c0d5e8a7b4c1d3f9c0d5e8a7b4c1d3f9c0d5e8a7b4c1d";

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Such as `TaskFailedToStart`; empty for none.
    pub stop_code: &'static str,
    /// Text for people.
    pub reason: &'static str,
    /// Exit code and reason of the container; none where the task never had one.
    pub container: Option<(Option<i32>, &'static str)>,
}

/// What runs for a task.
#[derive(Clone, Default)]
pub enum Program {
    /// Nothing: it is RUNNING until it is stopped.
    #[default]
    Nothing,
    /// A process with the container's environment and nothing else.
    Process {
        /// Path.
        program: String,
        /// Arguments.
        args: Vec<String>,
        /// Variables beside those of the task.
        environment: Vec<(String, String)>,
        /// After SIGTERM: how long until SIGKILL.
        stop_time: Duration,
    },
    /// A test's own code; it must call [`Seat::leave`].
    Seat(Arc<dyn Fn(Seat) + Send + Sync>),
}

/// A place at a task for a test's own code.
#[derive(Clone)]
pub struct Seat {
    /// The task's ARN.
    pub arn: String,
    /// The container's variables.
    pub environment: Vec<(String, String)>,
    /// Told when the task is to stop.
    pub stopped: Arc<Notify>,
    shared: Shared,
}

impl Seat {
    /// A variable of the container.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Ends the task with this exit code.
    pub fn leave(&self, code: i32) {
        exited(&self.shared, &self.arn, Some(code));
    }
}

/// A task as the cloud keeps it.
#[derive(Clone)]
pub struct Task {
    /// Rises with each task.
    pub number: u64,
    /// The last part of its ARN.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// Its cluster's name.
    pub cluster: String,
    /// Its family.
    pub family: String,
    /// What it was started with.
    pub started_by: String,
    /// The whole RunTask.
    pub asked: Value,
    /// Variables of the container.
    pub environment: Vec<(String, String)>,
    /// Such as `RUNNING`.
    pub last_status: &'static str,
    /// How it ended, or is to end.
    pub ending: Option<Ending>,
    /// Looks and lists that don't show it yet.
    pub hidden: u32,
    /// It is never shown again.
    pub vanished: bool,
    /// What asks for its keys must show this.
    pub secret: String,
    /// When it began and when it was over.
    pub ended_at: Option<std::time::Instant>,
    ran: bool,
    stopping: bool,
    stopped: Arc<Notify>,
    pid: Option<Pid>,
}

impl Task {
    pub(super) fn new(number: u64, (id, arn): (&str, &str), (cluster, family): (&str, &str), started_by: &str) -> Self {
        Self {
            number,
            id: id.into(),
            arn: arn.into(),
            cluster: cluster.into(),
            family: family.into(),
            started_by: started_by.into(),
            asked: Value::Null,
            environment: Vec::new(),
            last_status: "PROVISIONING",
            ending: None,
            hidden: 0,
            vanished: false,
            secret: format!("task-secret-{number}"),
            ended_at: None,
            ran: false,
            stopping: false,
            stopped: Arc::default(),
            pid: None,
        }
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.last_status == "STOPPED"
    }

    pub(super) fn wanted_stopped(&self) -> bool {
        self.stopping || self.is_over()
    }

    /// Puts it into a terminal state.
    pub fn end(&mut self, ending: Ending) {
        self.last_status = "STOPPED";
        self.ending = Some(ending);
        self.ended_at = Some(std::time::Instant::now());
    }

    pub(super) fn kill(&self) {
        if let Some(pid) = self.pid {
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        }
    }

    pub(super) fn shown(&self) -> Value {
        let mut shown = json!({
            "taskArn": self.arn,
            "clusterArn": format!("arn:aws:ecs:{REGION}:222222222222:cluster/{}", self.cluster),
            "taskDefinitionArn": format!("arn:aws:ecs:{REGION}:222222222222:task-definition/{}:1", self.family),
            "startedBy": self.started_by,
            "lastStatus": self.last_status,
            "desiredStatus": if self.wanted_stopped() { "STOPPED" } else { "RUNNING" },
            "containers": [{ "name": "worker", "lastStatus": self.last_status }],
        });
        // Known once the image was pulled.
        if self.ran {
            shown["containers"][0]["imageDigest"] = IMAGE.into();
        }
        if let (true, Some(ending)) = (self.is_over(), &self.ending) {
            shown["stoppedReason"] = ending.reason.into();
            if !ending.stop_code.is_empty() {
                shown["stopCode"] = ending.stop_code.into();
            }
            match ending.container {
                Some((code, reason)) => {
                    shown["containers"][0]["exitCode"] = code.into();
                    shown["containers"][0]["reason"] = reason.into();
                }
                None => shown["containers"] = json!([]),
            }
        }
        shown
    }
}

/// Lets a task run, unless it has ended or is to end.
pub(super) fn begin(shared: &Shared, arn: &str) {
    let mut state = shared.lock();
    let program = state.program.clone();
    let Some(task) = state.tasks.get_mut(arn).filter(|task| !task.wanted_stopped()) else { return };
    (task.last_status, task.ran) = ("RUNNING", true);
    match program {
        Program::Nothing => {}
        Program::Seat(sit) => {
            let (environment, stopped) = (task.environment.clone(), Arc::clone(&task.stopped));
            drop(state);
            sit(Seat { arn: arn.to_owned(), environment, stopped, shared: shared.clone() });
        }
        Program::Process { program, args, environment, .. } => {
            let mut command = Command::new(program);
            // What the launch says of the region counts more than what the platform does.
            command.args(args).env_clear().env("AWS_REGION", REGION);
            command.envs(environment).envs(task.environment.iter().cloned());
            for (name, path) in [
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("task-credentials/{}", task.id)),
                ("ECS_CONTAINER_METADATA_URI_V4", format!("task-metadata/{}", task.id)),
            ] {
                command.env(name, format!("http://{}/{path}", shared.address));
            }
            command.env("AWS_CONTAINER_AUTHORIZATION_TOKEN", &task.secret);
            command.stdin(Stdio::null()).process_group(0).kill_on_drop(true);
            let mut child = command.spawn().expect("the task's program starts");
            task.pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
            let (shared, arn) = (shared.clone(), arn.to_owned());
            drop(state);
            tokio::spawn(async move {
                use std::os::unix::process::ExitStatusExt as _;
                let status = child.wait().await.ok();
                let code =
                    status.and_then(|status| status.code().or_else(|| status.signal().map(|signal| 128 + signal)));
                exited(&shared, &arn, code);
            });
        }
    }
}

/// Asks a task to end: what runs for it is told first and killed later.
pub(super) fn stop(shared: &Shared, arn: &str, ending: &Ending) {
    let mut state = shared.lock();
    let stop_time = match &state.program {
        Program::Process { stop_time, .. } => Some(*stop_time),
        Program::Seat(_) => Some(Duration::ZERO),
        Program::Nothing => None,
    };
    let Some(task) = state.tasks.get_mut(arn).filter(|task| !task.wanted_stopped()) else { return };
    let ran = task.last_status == "RUNNING";
    task.stopping = true;
    task.ending = Some(ending.clone());
    match (stop_time, task.pid) {
        (Some(stop_time), Some(pid)) => {
            task.last_status = "STOPPING";
            let _ = rustix::process::kill_process_group(pid, Signal::TERM);
            let (shared, arn) = (shared.clone(), arn.to_owned());
            tokio::spawn(async move {
                tokio::time::sleep(stop_time).await;
                if let Some(task) = shared.lock().tasks.get(&arn).filter(|task| !task.is_over()) {
                    task.kill();
                }
            });
        }
        (Some(_), None) if ran => {
            task.last_status = "STOPPING";
            task.stopped.notify_one();
        }
        _ => task.end(ending.clone()),
    }
}

fn exited(shared: &Shared, arn: &str, code: Option<i32>) {
    let mut state = shared.lock();
    let Some(task) = state.tasks.get_mut(arn).filter(|task| !task.is_over()) else { return };
    let own =
        Ending { stop_code: "EssentialContainerExited", reason: "Essential container in task exited", container: None };
    let ending = task.ending.clone().unwrap_or(own);
    task.pid = None;
    task.end(Ending { container: Some((code, "")), ..ending });
}
