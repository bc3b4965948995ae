//! The reference to a process: host, pid, start time and the attempt that it works for.

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};
use waybill_model::AttemptId;

use super::host::Host;
use crate::{LaunchError, TaskRef};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProcessRef {
    pub(super) host: String,
    pub(super) pid: i32,
    pub(super) started: u64,
    pub(super) attempt: AttemptId,
}

impl ProcessRef {
    pub(super) fn new(host: &Host, attempt: AttemptId, pid: Pid, started: u64) -> Self {
        Self { host: host.name().to_owned(), pid: pid.as_raw_nonzero().get(), started, attempt }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub(super) fn read(task: &TaskRef) -> Result<Self, LaunchError> {
        Self::parse(&task.0).ok_or(LaunchError::Unusable("not a process of this launcher"))
    }

    pub(super) fn to_task(&self) -> TaskRef {
        // Four plain fields can't fail to serialise.
        TaskRef(serde_json::to_string(self).unwrap_or_default())
    }

    pub(super) fn pid(&self) -> Option<Pid> {
        Pid::from_raw(self.pid).filter(|_| self.pid > 1)
    }

    /// Sends a signal to the whole group. One that is gone meanwhile needs none.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            let _ = rustix::process::kill_process_group(pid, signal);
        }
    }
}
