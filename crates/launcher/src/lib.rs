//! Starts, describes and stops ONE worker task. Knows nothing of connectors, rows or the control plane's database.
//!
//! A start is idempotent: the same request gives the same task, whoever asks and however often, so that a launch whose
//! answer was lost can simply be made again. What can't be seen from here is *unknown*, never *gone*.

use std::fmt;

use async_trait::async_trait;
use waybill_model::{AttemptId, FailureCode};

pub mod conformance;
pub mod process;
mod request;

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

/// What a look at a task brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskStatus {
    /// Accepted, not running yet.
    Pending,
    /// It runs.
    Running,
    /// It has ended and will not come back.
    Stopped {
        /// Its exit code where it is known; 128 and the signal's number where a signal ended it.
        exit_code: Option<i32>,
        /// The platform says that it was ended for using too much memory.
        out_of_memory: bool,
    },
    /// It can't be seen from here: it may run.
    Unknown,
}

/// Why a launcher could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The platform has no room for the task now.
    #[error("no room for the task")]
    NoCapacity,
    /// Somebody else is starting this task at this moment, or the platform asks to come back.
    #[error("the task is being started by somebody else")]
    Busy,
    /// The task belongs to another host or account, so nothing can be said about it.
    #[error("the task can't be reached from here")]
    OutOfReach,
    /// The request or the reference is not one of this launcher's.
    #[error("the launch request or task reference can't be used: {0}")]
    Unusable(&'static str),
    /// The program could not be started at all.
    #[error("the worker program could not be started")]
    Start(#[source] std::io::Error),
    /// A file of the attempt's directory failed.
    #[error("the attempt's directory could not be used")]
    Directory(#[source] std::io::Error),
}

impl LaunchError {
    /// What the run is told, where this ends the attempt.
    #[must_use]
    pub const fn failure(&self) -> FailureCode {
        match self {
            Self::NoCapacity => FailureCode::NoCapacity,
            _ => FailureCode::LaunchFailed,
        }
    }

    /// Whether the same call may succeed by itself a little later.
    #[must_use]
    pub const fn passes(&self) -> bool {
        matches!(self, Self::NoCapacity | Self::Busy | Self::OutOfReach)
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
}
