//! What an agent tells of the calls that it made to its own cloud: typed, bounded, and nobody's word but its own.

use waybill_model::{AttemptId, Micros};

use super::MAX_ROLE_BYTES;
use crate::pb::agent as pb;
use crate::wire::{self, Problem, WireError, WireResult};

/// Most calls in one message.
pub const MAX_CALLS: usize = 500;
/// Longest request id, and longest outcome, that are read.
const MAX_TEXT_BYTES: usize = 64;

/// The role by which an agent calls its own cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudCaller {
    /// Its ARN.
    pub role_arn: String,
    /// The name of the session in which the agent's host holds it.
    pub session: String,
    /// The region that is called.
    pub region: String,
}

/// What an agent calls its cloud for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloudAction {
    /// Starts a worker's task.
    RunTask,
    /// Stops one.
    StopTask,
    /// Looks at tasks.
    DescribeTasks,
    /// Lists tasks.
    ListTasks,
    /// Asks which role the agent's host holds.
    GetCallerIdentity,
}

impl CloudAction {
    const ALL: [Self; 5] =
        [Self::RunTask, Self::StopTask, Self::DescribeTasks, Self::ListTasks, Self::GetCallerIdentity];

    /// As permissions name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RunTask => "ecs:RunTask",
            Self::StopTask => "ecs:StopTask",
            Self::DescribeTasks => "ecs:DescribeTasks",
            Self::ListTasks => "ecs:ListTasks",
            Self::GetCallerIdentity => "sts:GetCallerIdentity",
        }
    }

    /// The one that permissions name so.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == text)
    }
}

/// One try of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudCall {
    /// Its number, from 1.
    pub seq: u64,
    /// What for.
    pub action: CloudAction,
    /// The attempt whose task it starts or stops.
    pub attempt: Option<AttemptId>,
    /// When it was sent, by the agent's clock.
    pub at: Micros,
    /// What the cloud calls it.
    pub request_id: Option<String>,
    /// How it was answered: a text that may stand on no list.
    pub outcome: String,
    /// It was told in an earlier session, which did not say that it was heard.
    pub again: bool,
}

impl From<CloudCaller> for pb::CloudCaller {
    fn from(caller: CloudCaller) -> Self {
        let CloudCaller { role_arn, session, region } = caller;
        Self { role_arn, session, region }
    }
}

impl TryFrom<pb::CloudCaller> for CloudCaller {
    type Error = WireError;

    fn try_from(wire: pb::CloudCaller) -> WireResult<Self> {
        let pb::CloudCaller { role_arn, session, region } = wire;
        for (field, text) in
            [("cloud_caller.role_arn", &role_arn), ("cloud_caller.session", &session), ("cloud_caller.region", &region)]
        {
            wire::at_most(field, text.as_bytes(), MAX_ROLE_BYTES)?;
        }
        Ok(Self { role_arn, session, region })
    }
}

impl From<CloudCall> for pb::CloudCall {
    fn from(call: CloudCall) -> Self {
        let action = match call.action {
            CloudAction::RunTask => pb::CloudAction::RunTask,
            CloudAction::StopTask => pb::CloudAction::StopTask,
            CloudAction::DescribeTasks => pb::CloudAction::DescribeTasks,
            CloudAction::ListTasks => pb::CloudAction::ListTasks,
            CloudAction::GetCallerIdentity => pb::CloudAction::GetCallerIdentity,
        };
        Self {
            seq: call.seq,
            action: action.into(),
            attempt_id: call.attempt.map(|attempt| attempt.to_string()),
            at_us: call.at.0.unsigned_abs(),
            request_id: call.request_id,
            outcome: call.outcome,
            again: call.again,
        }
    }
}

impl TryFrom<pb::CloudCall> for CloudCall {
    type Error = WireError;

    fn try_from(wire: pb::CloudCall) -> WireResult<Self> {
        let action = match wire.action() {
            pb::CloudAction::Unspecified => return Err(WireError::new("action", Problem::UnknownValue)),
            pb::CloudAction::RunTask => CloudAction::RunTask,
            pb::CloudAction::StopTask => CloudAction::StopTask,
            pb::CloudAction::DescribeTasks => CloudAction::DescribeTasks,
            pb::CloudAction::ListTasks => CloudAction::ListTasks,
            pb::CloudAction::GetCallerIdentity => CloudAction::GetCallerIdentity,
        };
        if wire.seq == 0 {
            return Err(WireError::new("seq", Problem::OutOfRange));
        }
        let id = wire.request_id.as_deref().unwrap_or_default();
        wire::at_most("request_id", id.as_bytes(), MAX_TEXT_BYTES)?;
        wire::at_most("outcome", wire.outcome.as_bytes(), MAX_TEXT_BYTES)?;
        if wire.request_id.is_some() && !is_request_id(id) {
            return Err(WireError::new("request_id", Problem::NotAnId));
        }
        let at = i64::try_from(wire.at_us).map_err(|_| WireError::new("at_us", Problem::OutOfRange))?;
        Ok(Self {
            seq: wire::count("seq", wire.seq)?,
            action,
            attempt: wire.attempt_id.as_deref().map(|id| wire::id("attempt_id", id)).transpose()?,
            at: Micros(at),
            request_id: wire.request_id,
            outcome: wire.outcome,
            again: wire.again,
        })
    }
}

fn is_request_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
