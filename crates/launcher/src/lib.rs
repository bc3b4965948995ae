//! Starts, describes and stops ONE worker task. Knows nothing of connectors, rows or the control plane's database.
//!
//! A start is idempotent: the same request gives the same task, whoever asks and however often, so that a launch whose
//! answer was lost can simply be made again. What can't be seen from here is *unknown*, never *gone*.

use std::fmt;

use async_trait::async_trait;
use waybill_model::{AttemptId, FailureCode};

pub mod conformance;
#[cfg(feature = "container")]
pub mod container;
pub mod ecs;
pub mod process;
mod request;
pub mod trail;

pub use process::ProcessLauncher;
pub use request::{LaunchRequest, LaunchSpec, RequestError};

/// A launcher's own reference to a task. Opaque to everybody else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TaskRef(pub String);

impl fmt::Display for TaskRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far a task is that does not run yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskPhase {
    /// The platform looks for room and a network address; usually 5 to 20 seconds.
    Provisioning,
    /// The image is loaded; usually 5 to 30 seconds.
    Pending,
    /// It is about to run; a second or two.
    Activating,
}

impl TaskPhase {
    /// As it stands in a run's timeline.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Pending => "pending",
            Self::Activating => "activating",
        }
    }
}

/// What a look at a task brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskStatus {
    /// Accepted, not running yet.
    Pending(TaskPhase),
    /// It runs.
    Running,
    /// It has ended and will not come back.
    Stopped {
        /// Its exit code where it is known; 128 and the signal's number where a signal ended it.
        exit_code: Option<i32>,
        /// Why, where the platform knows: memory, room, image, an interruption.
        cause: Option<FailureCode>,
    },
    /// The platform, asked for it, does not know it. One such answer proves nothing: it may know it a moment later.
    Missing,
    /// It can't be seen from here: it may run.
    Unknown,
}

/// Why a launcher could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The platform has no room for the task now.
    #[error("no room for the task")]
    NoCapacity,
    /// There is no spare capacity now; the next attempt takes the plain kind.
    #[error("no spare capacity for the task")]
    NoSpotCapacity,
    /// Somebody else is starting this task at this moment, or the platform asks to come back.
    #[error("the task is being started by somebody else, or the platform asks to come back")]
    Busy,
    /// The call may have had its effect or not: it is made again as it was.
    #[error("{action} was not answered")]
    NoAnswer {
        /// The call.
        action: &'static str,
    },
    /// The session of the role came to its end, or was taken back.
    #[error("the session of the role is over")]
    SessionEnded,
    /// A permission is missing.
    #[error("{action} on {resource} is not allowed")]
    Denied {
        /// The permission.
        action: &'static str,
        /// On what: an ARN of the data plane's settings.
        resource: String,
    },
    /// Our own role lacks the permission, or forbids the call: no customer can mend that.
    #[error("{action} on {resource} is not allowed to the orchestrator's own role")]
    OwnDenied {
        /// The permission.
        action: &'static str,
        /// On what: an ARN of the data plane's settings.
        resource: String,
        /// A policy forbids it, so that no statement added would help.
        is_forbidden: bool,
    },
    /// The platform does not accept what is asked for.
    #[error("{action} was refused: {code}")]
    Refused {
        /// The call.
        action: &'static str,
        /// The platform's code, from a closed list.
        code: &'static str,
    },
    /// The task belongs to another host or account, so nothing can be said about it.
    #[error("the task can't be reached from here")]
    OutOfReach,
    /// The request or the reference is not one of this launcher's.
    #[error("the launch request or task reference can't be used: {0}")]
    Unusable(&'static str),
    /// The program could not be started at all.
    #[error("the worker program could not be started")]
    Start(#[source] std::io::Error),
    /// The container engine did not do what it was asked for.
    #[cfg(feature = "container")]
    #[error("the container engine did not {action}")]
    Engine {
        /// What it was asked for.
        action: &'static str,
        /// Its own words, which stay on this side.
        #[source]
        source: Box<bollard::errors::Error>,
    },
    /// A file of the attempt's directory failed.
    #[error("the attempt's directory could not be used")]
    Directory(#[source] std::io::Error),
}

impl LaunchError {
    /// What the run is told, where this ends the attempt.
    #[must_use]
    pub const fn failure(&self) -> FailureCode {
        match self {
            Self::NoCapacity | Self::NoSpotCapacity => FailureCode::NoCapacity,
            Self::Denied { .. } | Self::OwnDenied { .. } | Self::SessionEnded => FailureCode::AccessDenied,
            Self::Refused { .. } => FailureCode::LaunchRefused,
            _ => FailureCode::LaunchFailed,
        }
    }

    /// The statement that our own role lacks, where adding one helps.
    #[must_use]
    pub fn own_statement(&self) -> Option<serde_json::Value> {
        match self {
            Self::OwnDenied { action, resource, is_forbidden: false } => {
                Some(serde_json::json!({ "Effect": "Allow", "Action": action, "Resource": resource }))
            }
            _ => None,
        }
    }

    /// Whether the same call may succeed by itself a little later.
    #[must_use]
    pub const fn passes(&self) -> bool {
        matches!(self, Self::NoCapacity | Self::Busy | Self::OutOfReach | Self::NoAnswer { .. })
    }
}

/// A place where worker tasks run.
#[async_trait]
pub trait Launcher: Send + Sync {
    /// Starts the task of this request, or finds the one that it started before.
    async fn start(&self, request: &LaunchRequest) -> Result<TaskRef, LaunchError>;

    /// Looks at a task.
    async fn describe(&self, task: &TaskRef) -> Result<TaskStatus, LaunchError>;

    /// Asks a task to end, and ends it by force a little later. Comes back at once; asked again, it does no harm.
    async fn stop(&self, task: &TaskRef) -> Result<(), LaunchError>;

    /// The task of an attempt whose reference was never recorded, if there is one.
    async fn find(&self, attempt: AttemptId) -> Result<Option<TaskRef>, LaunchError>;

    /// Looks at many tasks, in as few calls as the platform allows; answers in the same order.
    async fn describe_all(&self, tasks: &[TaskRef]) -> Vec<Result<TaskStatus, LaunchError>> {
        let mut answers = Vec::with_capacity(tasks.len());
        for task in tasks {
            answers.push(self.describe(task).await);
        }
        answers
    }

    /// Digest of the image that a task runs or ran, where the platform tells it.
    async fn image(&self, _task: &TaskRef) -> Result<Option<String>, LaunchError> {
        Ok(None)
    }

    /// The statement to add where this was refused for want of a permission, as JSON, where the launcher knows it.
    fn missing(&self, _action: &str, _resource: &str) -> Option<serde_json::Value> {
        None
    }

    /// Tasks that this launcher started and that have not ended, where the platform can list them.
    async fn live(&self) -> Result<Vec<(AttemptId, TaskRef)>, LaunchError> {
        Ok(Vec::new())
    }
}
