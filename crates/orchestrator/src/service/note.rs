//! Events that the control plane itself writes into a run's timeline, from a closed list, with typed arguments.

use serde_json::{Map, Value, json};
use waybill_model::{AttemptId, FailureCode};
use waybill_store::NewEvent;

/// What happened to a run on the control plane's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// The run waits for its turn.
    Queued,
    /// An attempt was made; its worker is being started.
    Launching,
    /// The launcher gave a task for the attempt.
    TaskStarted,
    /// How far a task is that does not run yet.
    TaskWaits,
    /// The launcher could not start a task.
    LaunchFailed,
    /// A field of the plan, or the data plane, stands in a region that the project does not allow.
    RegionRefused,
    /// The data plane has no task as the pipeline's limits ask for.
    TaskRefused,
    /// A worker presented the attempt's ticket.
    Enrolled,
    /// The worker proved the role of its data plane.
    RoleProven,
    /// A good ticket came without the proof of its data plane's role: an alarm.
    ProofRefused,
    /// A ticket was presented again with another key: an alarm.
    TicketReused,
    /// Leave to commit a stream was given.
    CommitGranted,
    /// A user asked the run to stop.
    CancelAsked,
    /// No sign of life: the cloud is asked.
    Unreachable,
    /// The attempt may change nothing any more.
    Fenced,
    /// The attempt's task was asked to stop.
    StopSent,
    /// The task of a test has ended.
    TaskStopped,
    /// The attempt ended without an outcome.
    AttemptLost,
    /// The attempt failed; another follows.
    AttemptFailed,
    /// Events beyond the attempt's quota were dropped.
    EventsDropped,
    /// A commit was found after the attempt had been fenced or the run had ended.
    DeliveredLate,
    /// An epoch, found in the bucket or about to be given, is too far in the future to be believed.
    EpochAhead,
    /// The run ended.
    Ended,
    /// The pipeline was paused since its runs fail the same way.
    Paused,
}

impl Note {
    /// Every note, for the tables that explain them.
    pub const ALL: [Self; 24] = [
        Self::Queued,
        Self::Launching,
        Self::TaskStarted,
        Self::TaskWaits,
        Self::LaunchFailed,
        Self::RegionRefused,
        Self::TaskRefused,
        Self::Enrolled,
        Self::RoleProven,
        Self::ProofRefused,
        Self::TicketReused,
        Self::CommitGranted,
        Self::CancelAsked,
        Self::Unreachable,
        Self::Fenced,
        Self::StopSent,
        Self::TaskStopped,
        Self::AttemptLost,
        Self::AttemptFailed,
        Self::EventsDropped,
        Self::DeliveredLate,
        Self::EpochAhead,
        Self::Ended,
        Self::Paused,
    ];

    /// As it stands in the timeline.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Launching => "launching",
            Self::TaskStarted => "task_started",
            Self::TaskWaits => "task_waits",
            Self::LaunchFailed => "launch_failed",
            Self::RegionRefused => "region_refused",
            Self::TaskRefused => "task_refused",
            Self::Enrolled => "enrolled",
            Self::RoleProven => "role_proven",
            Self::ProofRefused => "proof_refused",
            Self::TicketReused => "ticket_reused",
            Self::CommitGranted => "commit_granted",
            Self::CancelAsked => "cancel_asked",
            Self::Unreachable => "unreachable",
            Self::Fenced => "fenced",
            Self::StopSent => "stop_sent",
            Self::TaskStopped => "task_stopped",
            Self::AttemptLost => "attempt_lost",
            Self::AttemptFailed => "attempt_failed",
            Self::EventsDropped => "events_dropped",
            Self::DeliveredLate => "delivered_late",
            Self::EpochAhead => "epoch_ahead",
            Self::Ended => "ended",
            Self::Paused => "paused",
        }
    }

    /// The event without arguments.
    pub(crate) fn event(self, attempt: Option<AttemptId>) -> NewEvent {
        self.with(attempt, json!({}))
    }

    /// The event with arguments: numbers and values of closed lists only.
    #[expect(clippy::needless_pass_by_value, reason = "the argument is written where the call is made")]
    pub(crate) fn with(self, attempt: Option<AttemptId>, body: Value) -> NewEvent {
        NewEvent { attempt, origin: "control", code: self.as_str(), at: None, body: body.to_string() }
    }

    /// The event with a failure code, where there is one.
    pub(crate) fn because(self, attempt: Option<AttemptId>, failure: Option<FailureCode>) -> NewEvent {
        let mut body = Map::new();
        if let Some(code) = failure {
            body.insert("failure".into(), code.as_str().into());
        }
        self.with(attempt, Value::Object(body))
    }
}
