//! The agent services' messages in the product's own nouns, both ways.
//!
//! What an agent says is bounded and checked field by field; a bad one is named, never repeated. A start order holds a
//! ticket, so orders have no `Debug`.

use std::time::Duration;

use waybill_model::{AttemptId, FailureCode};
use zeroize::Zeroizing;

use crate::enrolment::MAX_CSR_BYTES;
use crate::pb::agent as pb;
use crate::version::Version;
use crate::wire::{self, Problem, WireError, WireResult};

mod calls;

pub use calls::{CloudAction, CloudCall, CloudCaller, MAX_CALLS};

/// Largest token that is read.
pub const MAX_TOKEN_BYTES: usize = 256;
/// Longest role and region that are read.
const MAX_ROLE_BYTES: usize = 2048;
/// Most tasks in one message.
pub const MAX_TASKS: usize = 4096;

/// How far a worker's task is, as its agent sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It runs.
    Running,
    /// It has ended.
    Stopped {
        /// Its exit code, where it is known.
        exit_code: Option<u32>,
        /// Why, where its host knows: it ran out of memory.
        cause: Option<FailureCode>,
    },
    /// It could not be started.
    Failed(FailureCode),
    /// It was started, and the agent can't see it now.
    Unknown,
}

/// What became of one worker's task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its attempt.
    pub attempt: AttemptId,
    /// How far it is.
    pub phase: Phase,
}

/// The role that an agent's workers prove theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerRole {
    /// Its ARN.
    pub role_arn: String,
    /// The region whose STS is asked.
    pub region: String,
    /// Whether its FIPS endpoint is.
    pub fips: bool,
}

/// One message of the agent's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The agent's version; in the first message.
    pub version: Option<Version>,
    /// Generation of its certificate.
    pub generation: u64,
    /// The tasks are all that it knows.
    pub complete: bool,
    /// It starts nothing any more.
    pub draining: bool,
    /// Most workers at once.
    pub slots: u32,
    /// Tasks.
    pub tasks: Vec<Task>,
    /// What its workers prove besides its voucher; in the first message.
    pub worker_role: Option<WorkerRole>,
    /// As whom it calls its own cloud; in the first message.
    pub cloud_caller: Option<CloudCaller>,
    /// Calls that it made there.
    pub cloud_calls: Vec<CloudCall>,
    /// Calls that it had no room for since its last message that said so.
    pub cloud_calls_lost: u64,
}

/// Start one worker.
pub struct StartOrder {
    /// The attempt.
    pub attempt: AttemptId,
    /// The line that the worker reads as its ticket.
    pub ticket: Zeroizing<String>,
    /// The worker's memory in bytes.
    pub memory: Option<u64>,
}

/// One message of the orchestrator's side.
#[derive(Default)]
pub struct Orders {
    /// Workers to start.
    pub start: Vec<StartOrder>,
    /// Attempts whose workers are to end.
    pub stop: Vec<AttemptId>,
    /// Attempts that are asked about.
    pub describe: Vec<AttemptId>,
    /// Attempts whose end is known.
    pub forget: Vec<AttemptId>,
    /// Longest time between two messages of the agent.
    pub heartbeat: Option<Duration>,
    /// The highest number of the agent's calls that was heard.
    pub cloud_calls_heard: Option<u64>,
}

impl Orders {
    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start.is_empty()
            && self.stop.is_empty()
            && self.describe.is_empty()
            && self.forget.is_empty()
            && self.heartbeat.is_none()
            && self.cloud_calls_heard.is_none()
    }
}

/// What an agent presents to get its first certificate. It holds a token, so it has no `Debug`.
pub struct Enrol {
    /// The token.
    pub token: Zeroizing<String>,
    /// PKCS#10, DER; only its public key is taken.
    pub csr: Vec<u8>,
    /// The agent's version.
    pub version: Version,
}

impl TryFrom<pb::EnrolRequest> for Enrol {
    type Error = WireError;

    fn try_from(wire: pb::EnrolRequest) -> WireResult<Self> {
        wire::at_most("token", wire.token.as_bytes(), MAX_TOKEN_BYTES)?;
        wire::at_most("csr", &wire.csr, MAX_CSR_BYTES)?;
        let version = wire.version.ok_or_else(|| WireError::new("version", Problem::Missing))?;
        Ok(Self { token: Zeroizing::new(wire.token), csr: wire.csr, version: version.into() })
    }
}

impl From<Task> for pb::Task {
    fn from(task: Task) -> Self {
        let (phase, exit_code, failure) = match task.phase {
            Phase::Running => (pb::TaskPhase::Running, None, None),
            Phase::Stopped { exit_code, cause } => {
                (pb::TaskPhase::Stopped, exit_code, cause.map(|code| code.as_str().to_owned()))
            }
            Phase::Failed(code) => (pb::TaskPhase::Failed, None, Some(code.as_str().to_owned())),
            Phase::Unknown => (pb::TaskPhase::Unknown, None, None),
        };
        Self { attempt_id: task.attempt.to_string(), phase: phase.into(), exit_code, failure }
    }
}

impl TryFrom<pb::Task> for Task {
    type Error = WireError;

    fn try_from(wire: pb::Task) -> WireResult<Self> {
        let attempt = wire::id("attempt_id", &wire.attempt_id)?;
        let failure = wire.failure.as_deref().map(|code| wire::code("failure", code)).transpose()?;
        let phase = match wire.phase() {
            pb::TaskPhase::Unspecified => return Err(WireError::new("phase", Problem::UnknownValue)),
            pb::TaskPhase::Running => Phase::Running,
            pb::TaskPhase::Stopped => Phase::Stopped { exit_code: wire.exit_code, cause: failure },
            pb::TaskPhase::Failed => Phase::Failed(failure.unwrap_or(FailureCode::LaunchFailed)),
            pb::TaskPhase::Unknown => Phase::Unknown,
        };
        Ok(Self { attempt, phase })
    }
}

impl From<Told> for pb::SessionRequest {
    fn from(told: Told) -> Self {
        Self {
            version: told.version.map(Into::into),
            generation: told.generation,
            complete: told.complete,
            draining: told.draining,
            slots: told.slots,
            tasks: told.tasks.into_iter().map(Into::into).collect(),
            worker_role: told.worker_role.map(Into::into),
            cloud_caller: told.cloud_caller.map(Into::into),
            cloud_calls: told.cloud_calls.into_iter().map(Into::into).collect(),
            cloud_calls_lost: told.cloud_calls_lost,
        }
    }
}

impl From<WorkerRole> for pb::WorkerRole {
    fn from(role: WorkerRole) -> Self {
        let WorkerRole { role_arn, region, fips } = role;
        Self { role_arn, region, fips }
    }
}

impl TryFrom<pb::WorkerRole> for WorkerRole {
    type Error = WireError;

    fn try_from(wire: pb::WorkerRole) -> WireResult<Self> {
        for (field, text) in [("worker_role.role_arn", &wire.role_arn), ("worker_role.region", &wire.region)] {
            wire::at_most(field, text.as_bytes(), MAX_ROLE_BYTES)?;
        }
        let pb::WorkerRole { role_arn, region, fips } = wire;
        Ok(Self { role_arn, region, fips })
    }
}

impl TryFrom<pb::SessionRequest> for Told {
    type Error = WireError;

    fn try_from(wire: pb::SessionRequest) -> WireResult<Self> {
        wire::at_most("tasks", &wire.tasks, MAX_TASKS)?;
        wire::at_most("cloud_calls", &wire.cloud_calls, MAX_CALLS)?;
        Ok(Self {
            version: wire.version.map(Into::into),
            generation: wire::count("generation", wire.generation)?,
            complete: wire.complete,
            draining: wire.draining,
            slots: wire.slots,
            tasks: wire::each("tasks", wire.tasks, Task::try_from)?,
            worker_role: wire.worker_role.map(WorkerRole::try_from).transpose()?,
            cloud_caller: wire.cloud_caller.map(CloudCaller::try_from).transpose()?,
            cloud_calls: wire::each("cloud_calls", wire.cloud_calls, CloudCall::try_from)?,
            cloud_calls_lost: wire::count("cloud_calls_lost", wire.cloud_calls_lost)?,
        })
    }
}

impl From<Orders> for pb::SessionResponse {
    fn from(orders: Orders) -> Self {
        let ids = |attempts: Vec<AttemptId>| attempts.iter().map(ToString::to_string).collect();
        let start = orders.start.into_iter().map(|order| pb::Start {
            attempt_id: order.attempt.to_string(),
            ticket: order.ticket.to_string(),
            memory_bytes: order.memory.unwrap_or(0),
        });
        Self {
            start: start.collect(),
            stop: ids(orders.stop),
            describe: ids(orders.describe),
            forget: ids(orders.forget),
            cloud_calls_heard: orders.cloud_calls_heard.unwrap_or(0),
            heartbeat_ms: orders.heartbeat.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

impl TryFrom<pb::SessionResponse> for Orders {
    type Error = WireError;

    fn try_from(wire: pb::SessionResponse) -> WireResult<Self> {
        let ids = |list: &str, ids: Vec<String>| wire::each(list, ids, |id| wire::id("id", &id));
        let start = wire::each("start", wire.start, |order| {
            let memory = Some(order.memory_bytes).filter(|bytes| *bytes > 0);
            Ok(StartOrder {
                attempt: wire::id("attempt_id", &order.attempt_id)?,
                ticket: Zeroizing::new(order.ticket),
                memory,
            })
        })?;
        Ok(Self {
            start,
            stop: ids("stop", wire.stop)?,
            describe: ids("describe", wire.describe)?,
            forget: ids("forget", wire.forget)?,
            cloud_calls_heard: Some(wire.cloud_calls_heard).filter(|seq| *seq > 0),
            heartbeat: Some(wire.heartbeat_ms).filter(|ms| *ms > 0).map(Duration::from_millis),
        })
    }
}

#[cfg(test)]
mod tests {
    use waybill_model::Micros;

    use super::*;

    fn task(phase: Phase) -> Task {
        Task { attempt: AttemptId::generate(), phase }
    }

    #[test]
    fn what_an_agent_tells_reads_back() {
        let tasks = vec![
            task(Phase::Running),
            task(Phase::Stopped { exit_code: Some(75), cause: None }),
            task(Phase::Stopped { exit_code: Some(137), cause: Some(FailureCode::OutOfMemory) }),
            task(Phase::Stopped { exit_code: None, cause: None }),
            task(Phase::Failed(FailureCode::LaunchFailed)),
            task(Phase::Unknown),
        ];
        let version = Some(Version::current());
        let role_arn = "arn:aws:iam::222222222222:role/waybill-worker".into();
        let worker_role = Some(WorkerRole { role_arn, region: "eu-central-1".into(), fips: true });
        let caller = CloudCaller {
            role_arn: "arn:aws:iam::222222222222:role/waybill-agent".into(),
            session: "i-0a1b2c3d4e5f60718".into(),
            region: "eu-central-1".into(),
        };
        let call = CloudCall {
            seq: 7,
            action: CloudAction::RunTask,
            attempt: Some(AttemptId::generate()),
            at: Micros(1_700_000_000_000_000),
            request_id: Some("3f1c1b9e-5a3d".into()),
            outcome: "ok".into(),
            again: true,
        };
        let look =
            CloudCall { seq: 8, action: CloudAction::ListTasks, attempt: None, request_id: None, ..call.clone() };
        let told = Told {
            version,
            generation: 3,
            complete: true,
            draining: false,
            slots: 4,
            tasks,
            worker_role,
            cloud_caller: Some(caller),
            cloud_calls: vec![call, look],
            cloud_calls_lost: 2,
        };
        assert_eq!(Told::try_from(pb::SessionRequest::from(told.clone())), Ok(told));
    }

    #[test]
    fn a_bad_call_is_named_and_not_repeated() {
        let good = pb::CloudCall { seq: 1, action: 1, at_us: 5, outcome: "ok".into(), ..Default::default() };
        let read = |call: pb::CloudCall| {
            Told::try_from(pb::SessionRequest { cloud_calls: vec![good.clone(), call], ..Default::default() })
        };
        assert!(read(good.clone()).is_ok());
        for (field, wrong) in [
            ("seq", pb::CloudCall { seq: 0, ..good.clone() }),
            ("action", pb::CloudCall { action: 0, ..good.clone() }),
            ("action", pb::CloudCall { action: 99, ..good.clone() }),
            ("attempt_id", pb::CloudCall { attempt_id: Some("hunter2".into()), ..good.clone() }),
            ("at_us", pb::CloudCall { at_us: u64::MAX, ..good.clone() }),
            ("request_id", pb::CloudCall { request_id: Some("two words".into()), ..good.clone() }),
            ("request_id", pb::CloudCall { request_id: Some("a".repeat(65)), ..good.clone() }),
            ("outcome", pb::CloudCall { outcome: "a".repeat(65), ..good.clone() }),
        ] {
            let error = read(wrong).unwrap_err();
            assert_eq!(error.field, format!("cloud_calls[1].{field}"));
            assert!(!error.to_string().contains("hunter2"));
        }
        let flood = pb::SessionRequest { cloud_calls: vec![good; MAX_CALLS + 1], ..Default::default() };
        assert_eq!(Told::try_from(flood).unwrap_err().problem, Problem::Limit(MAX_CALLS));
        let long = pb::CloudCaller { session: "x".repeat(2049), ..Default::default() };
        let long = pb::SessionRequest { cloud_caller: Some(long), ..Default::default() };
        assert_eq!(Told::try_from(long).unwrap_err().field, "cloud_caller.session");
    }

    /// An agent of the minor version before tells of no calls, and takes an answer with a field that it does not know.
    #[test]
    fn without_calls_a_message_is_what_it_was_before() {
        let told = Told::try_from(pb::SessionRequest { slots: 4, ..Default::default() }).expect("a message");
        assert_eq!((told.cloud_caller, told.cloud_calls, told.cloud_calls_lost), (None, vec![], 0));
        let orders = Orders::try_from(pb::SessionResponse::default()).expect("an answer");
        assert!(orders.is_empty(), "nothing was heard, so nothing is to be forgotten");
    }

    #[test]
    fn a_bad_task_is_named_and_not_repeated() {
        let good = pb::Task::from(task(Phase::Running));
        let read = |task: pb::Task| {
            Told::try_from(pb::SessionRequest { tasks: vec![good.clone(), task], ..Default::default() }).unwrap_err()
        };
        assert_eq!(read(pb::Task { phase: 0, ..good.clone() }).field, "tasks[1].phase");
        assert_eq!(read(pb::Task { attempt_id: "x".into(), ..good.clone() }).field, "tasks[1].attempt_id");
        let other = pb::Task { failure: Some("hunter2".into()), phase: 3, ..good.clone() };
        assert_eq!(read(other).to_string(), "tasks[1].failure: is not on the list of codes");
        let long = pb::WorkerRole { role_arn: "x".repeat(MAX_ROLE_BYTES + 1), ..Default::default() };
        let long = pb::SessionRequest { worker_role: Some(long), ..Default::default() };
        assert_eq!(Told::try_from(long).unwrap_err().field, "worker_role.role_arn");
        let flood = pb::SessionRequest { tasks: vec![good.clone(); MAX_TASKS + 1], ..Default::default() };
        assert_eq!(Told::try_from(flood).unwrap_err().problem, Problem::Limit(MAX_TASKS));
    }

    #[test]
    fn orders_read_back() {
        let (one, two) = (AttemptId::generate(), AttemptId::generate());
        let start = StartOrder { attempt: one, ticket: Zeroizing::new("line".into()), memory: Some(1 << 28) };
        let heartbeat = Some(Duration::from_secs(10));
        let orders = Orders {
            start: vec![start],
            stop: vec![two],
            describe: vec![one],
            forget: vec![two],
            heartbeat,
            cloud_calls_heard: Some(9),
        };
        let read = Orders::try_from(pb::SessionResponse::from(orders)).unwrap_or_default();
        assert_eq!(
            (read.cloud_calls_heard, read.start[0].attempt, read.start[0].ticket.as_str(), read.start[0].memory),
            (Some(9), one, "line", Some(1 << 28))
        );
        assert_eq!(
            (read.stop, read.describe, read.forget, read.heartbeat),
            (vec![two], vec![one], vec![two], heartbeat)
        );
        assert!(Orders::default().is_empty());
    }
}
