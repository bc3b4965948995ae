//! What the cloud says about a task, as what follows for its attempt. Every way to end has one failure code; text of the
//! cloud is read for its kind and goes no further.

use waybill_model::FailureCode;

use crate::{TaskPhase, TaskStatus};

/// What a look at a task shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen<'a> {
    pub(super) last_status: &'a str,
    pub(super) stop_code: Option<&'a str>,
    pub(super) stopped_reason: &'a str,
    /// Exit code and reason of the worker's container; a task that never started may have none.
    pub(super) container: Option<(Option<i32>, &'a str)>,
}

impl Seen<'_> {
    pub(super) fn status(&self) -> TaskStatus {
        match self.last_status {
            "PROVISIONING" => TaskStatus::Pending(TaskPhase::Provisioning),
            "PENDING" => TaskStatus::Pending(TaskPhase::Pending),
            "ACTIVATING" => TaskStatus::Pending(TaskPhase::Activating),
            // On its way out it may still write: it is not over before it is stopped.
            "RUNNING" | "DEACTIVATING" | "STOPPING" | "DEPROVISIONING" => TaskStatus::Running,
            "STOPPED" | "DELETED" => TaskStatus::Stopped { exit_code: self.exit_code(), cause: self.cause() },
            _ => TaskStatus::Unknown,
        }
    }

    fn exit_code(&self) -> Option<i32> {
        self.container.and_then(|(code, _)| code)
    }

    /// Why it ended, where the cloud knows more than that it did.
    fn cause(&self) -> Option<FailureCode> {
        let container = self.container.map_or("", |(_, reason)| reason);
        let says = |word: &str| self.stopped_reason.contains(word) || container.contains(word);
        if says("OutOfMemory") {
            return Some(FailureCode::OutOfMemory);
        }
        match self.stop_code {
            Some("SpotInterruption") => Some(FailureCode::SpotInterrupted),
            Some("TaskFailedToStart") => Some(self.failed_to_start(says)),
            // Nobody stopped it and it was killed: the kernel did, for its memory.
            Some("EssentialContainerExited") if self.exit_code() == Some(137) => Some(FailureCode::OutOfMemory),
            Some("EssentialContainerExited" | "UserInitiated" | "TerminationNotice" | "InfrastructureHealth") => None,
            _ if says("apacity") => Some(FailureCode::NoCapacity),
            _ if says("CannotPull") => Some(FailureCode::ImageUnavailable),
            // Neither a code nor a container: it never began.
            _ if self.container.is_none() => Some(FailureCode::TaskSetupFailed),
            _ => None,
        }
    }

    fn failed_to_start(&self, says: impl Fn(&str) -> bool) -> FailureCode {
        const SETUP: [&str; 4] = ["ResourceInitializationError", "CannotCreate", "CannotInspect", "CannotStart"];
        if says("CannotPull") || says("ImagePull") || says("pull image") {
            FailureCode::ImageUnavailable
        } else if SETUP.iter().any(|word| says(word)) {
            FailureCode::TaskSetupFailed
        } else if says("apacity") || says("RESOURCE:") {
            FailureCode::NoCapacity
        } else {
            FailureCode::TaskSetupFailed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stopped<'a>(stop_code: &'a str, reason: &'a str, container: Option<(Option<i32>, &'a str)>) -> Seen<'a> {
        let stop_code = Some(stop_code).filter(|code| !code.is_empty());
        Seen { last_status: "STOPPED", stop_code, stopped_reason: reason, container }
    }

    #[test]
    fn every_way_to_end_has_its_code() {
        use FailureCode as C;
        let exited = "Essential container in task exited";
        let pull = "CannotPullContainerError: pull image manifest has been retried 5 time(s): not found";
        let eni = "Timeout waiting for network interface provisioning to complete.";
        let secret = "ResourceInitializationError: unable to pull secrets or registry auth";
        let capacity =
            "Capacity is unavailable at this time. Please try again later or in a different availability zone";
        let memory = "OutOfMemoryError: Container killed due to memory usage";
        let table = [
            (stopped("EssentialContainerExited", exited, Some((Some(0), ""))), Some(0), None),
            (stopped("EssentialContainerExited", exited, Some((Some(75), ""))), Some(75), None),
            (stopped("EssentialContainerExited", exited, Some((Some(137), memory))), Some(137), Some(C::OutOfMemory)),
            (stopped("EssentialContainerExited", exited, Some((Some(137), ""))), Some(137), Some(C::OutOfMemory)),
            (stopped("UserInitiated", "Task stopped by user", Some((Some(137), ""))), Some(137), None),
            (
                stopped("SpotInterruption", "Your Spot Task was interrupted.", Some((Some(143), ""))),
                Some(143),
                Some(C::SpotInterrupted),
            ),
            (stopped("TerminationNotice", "", Some((Some(143), ""))), Some(143), None),
            (stopped("InfrastructureHealth", "", Some((None, ""))), None, None),
            (stopped("TaskFailedToStart", pull, Some((None, ""))), None, Some(C::ImageUnavailable)),
            (stopped("TaskFailedToStart", "Task failed to start", Some((None, pull))), None, Some(C::ImageUnavailable)),
            (stopped("TaskFailedToStart", secret, None), None, Some(C::TaskSetupFailed)),
            (stopped("TaskFailedToStart", eni, None), None, Some(C::TaskSetupFailed)),
            (stopped("TaskFailedToStart", capacity, None), None, Some(C::NoCapacity)),
            (stopped("TaskFailedToStart", "", None), None, Some(C::TaskSetupFailed)),
            (stopped("", capacity, None), None, Some(C::NoCapacity)),
            (stopped("", "", None), None, Some(C::TaskSetupFailed)),
            (stopped("", "Host EC2 terminated", Some((None, ""))), None, None),
        ];
        for (seen, exit_code, cause) in table {
            assert_eq!(seen.status(), TaskStatus::Stopped { exit_code, cause }, "{seen:?}");
        }
    }

    #[test]
    fn a_task_on_its_way_out_is_not_over() {
        let at = |last_status| Seen { last_status, ..Seen::default() }.status();
        for going in ["RUNNING", "DEACTIVATING", "STOPPING", "DEPROVISIONING"] {
            assert_eq!(at(going), TaskStatus::Running, "{going}");
        }
        assert_eq!(at("PROVISIONING"), TaskStatus::Pending(TaskPhase::Provisioning));
        assert_eq!(at("PENDING"), TaskStatus::Pending(TaskPhase::Pending));
        assert_eq!(at("ACTIVATING"), TaskStatus::Pending(TaskPhase::Activating));
        assert_eq!(at("SOMETHING_NEW"), TaskStatus::Unknown);
    }
}
