//! What a worker may ask of the control plane during its attempt, behind the wire: enrol, assignment, report, leave to
//! commit, outcome. Who asks is the [`Peer`] of the certificate; an id that is foreign or unknown is simply not found.
//!
//! Each call is one transaction that begins with the run's row, so a cancel, a fence and a grant have one order.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use waybill_model::event::Event;
use waybill_model::receipt::StreamOutcome;
use waybill_model::run::{Desired, RunKind};
use waybill_model::{AttemptId, Epoch, FailureCode, OrgId, PipelineId, RunId};
use waybill_store::{Attempt, Run, Store, StoreError, StoreResult, Tx};

use crate::service::bounds::Bounds;
use crate::service::nudge::Nudges;

mod complete;
mod enrol;
mod report;

pub use waybill_identity::{Peer, TicketClaim};
pub use waybill_store::StreamProgress;

/// What a worker should do from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directive {
    /// Go on.
    Continue,
    /// End now: stop reading, abort uploads, report.
    Cancel,
    /// Finish the streams that are under way, begin no others.
    Drain,
    /// Another attempt took over: stop at once, touch nothing.
    Fenced,
}

/// The answer to a request for leave to commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitAnswer {
    /// The commit may be made, within the grant's bound.
    Granted,
    /// It may not; this is what to do instead.
    Refused(Directive),
}

/// A ticket was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnrolGrant {
    /// For whom the certificate is to be made.
    pub peer: Peer,
    /// The run that the attempt belongs to.
    pub run: RunId,
    /// The same ticket with the same key came again: answer with the same certificate.
    pub again: bool,
}

/// Why no certificate is given.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// No such attempt.
    #[error("not found")]
    NotFound,
    /// The attempt is fenced or has ended: the worker exits without touching anything.
    #[error("the attempt is fenced")]
    Fenced,
    /// The ticket was used: with this key too long ago, or with another key, which is an alarm.
    #[error("the ticket was used before")]
    Used {
        /// It came with another key.
        other_key: bool,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a worker's call was not served.
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    /// No such attempt in the certificate's organization.
    #[error("not found")]
    NotFound,
    /// The attempt is fenced or has ended.
    #[error("the attempt is fenced")]
    Fenced,
    /// A field can't be right.
    #[error("{field} {what}")]
    Invalid {
        /// Which one.
        field: &'static str,
        /// What is wrong with it; never a value.
        what: &'static str,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Time bounds that the orchestrator holds the worker to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerBounds {
    /// Between reports at most.
    pub heartbeat: Duration,
    /// How long the worker goes on copying without an answer.
    pub offline_grace: Duration,
    /// Oldest grant that a commit may be made under.
    pub grant: Duration,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The run.
    pub run: RunId,
    /// The pipeline that owns the tables.
    pub pipeline: PipelineId,
    /// Fencing number of this attempt.
    pub epoch: Epoch,
    /// What kind of run.
    pub kind: RunKind,
    /// The plan in canonical JSON.
    pub plan: Vec<u8>,
    /// Streams to run, by their place in the plan.
    pub streams: Vec<u32>,
    /// Bounds that the orchestrator holds the worker to.
    pub bounds: WorkerBounds,
    /// Most bytes of names that discovery may send; 0 forbids it.
    pub name_ceiling: u64,
}

/// One message of a running worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Rises with every message of the attempt; a repeated one is ignored.
    pub seq: u64,
    /// Fencing number of the attempt.
    pub epoch: Epoch,
    /// Progress of streams that moved.
    pub progress: Vec<StreamProgress>,
    /// What happened.
    pub events: Vec<Event>,
}

/// How an attempt ended, in the worker's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// All streams delivered.
    Succeeded,
    /// At least one stream failed, or the attempt as a whole.
    Failed,
    /// Stopped as asked.
    Canceled,
}

/// A table or file set, from discovery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiscoveredTable {
    /// As a stream would be named.
    pub name: String,
    /// Its columns in order.
    pub columns: Vec<DiscoveredColumn>,
    /// Rows, about.
    pub rows_estimate: Option<u64>,
    /// Columns of the primary key, by their place above.
    pub key: Vec<u32>,
}

/// A column, from discovery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiscoveredColumn {
    /// Its name.
    pub name: String,
    /// Its type in the source's words.
    pub source_type: String,
    /// Whether NULLs are allowed.
    pub nullable: bool,
}

/// The outcome of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Completion {
    /// How it ended.
    pub outcome: Outcome,
    /// Every stream of the assignment.
    pub streams: Vec<StreamOutcome>,
    /// Why, where the attempt as a whole failed.
    pub failure: Option<FailureCode>,
    /// What discovery found.
    pub tables: Vec<DiscoveredTable>,
    /// Tables that would not fit the ceiling.
    pub withheld: u64,
}

/// The worker's side of attempts.
#[derive(Clone)]
pub struct AttemptService {
    store: Store,
    bounds: Arc<Bounds>,
    nudges: Arc<Nudges>,
}

/// An attempt and its run, read under the run's lock.
struct Held {
    run: Run,
    attempt: Attempt,
}

impl AttemptService {
    /// Over this store.
    #[must_use]
    pub fn new(store: Store, bounds: Arc<Bounds>, nudges: Arc<Nudges>) -> Self {
        Self { store, bounds, nudges }
    }

    /// What to do. Asked again, it is answered the same.
    pub async fn assignment(&self, peer: &Peer) -> Result<Assignment, AttemptError> {
        let attempt = self.store.attempt_get(peer.org, peer.attempt).await?.ok_or(AttemptError::NotFound)?;
        if attempt.state.is_final() || attempt.fenced_at.is_some() {
            return Err(AttemptError::Fenced);
        }
        let run = self.store.run_get(peer.org, attempt.run).await?.ok_or(AttemptError::NotFound)?;
        let project = self.store.project_get(peer.org, run.project).await?.ok_or(AttemptError::NotFound)?;
        let streams = self.store.run_stream_list(peer.org, run.id).await?;
        Ok(Assignment {
            run: run.id,
            pipeline: run.owner,
            epoch: attempt.epoch,
            kind: run.kind,
            plan: run.plan.into_bytes(),
            streams: streams.iter().filter(|s| s.selected).map(|s| s.stream).collect(),
            bounds: WorkerBounds {
                heartbeat: self.bounds.heartbeat,
                offline_grace: self.bounds.offline_grace,
                grant: self.bounds.grant,
            },
            name_ceiling: if run.kind == RunKind::Discover { project.name_ceiling } else { 0 },
        })
    }

    /// Whether the attempt may have a new certificate: only while it is live and not fenced.
    pub async fn may_renew(&self, peer: &Peer) -> Result<bool, AttemptError> {
        let attempt = self.store.attempt_get(peer.org, peer.attempt).await?.ok_or(AttemptError::NotFound)?;
        Ok(attempt.enrolled_at.is_some() && !attempt.state.is_final() && attempt.fenced_at.is_none())
    }

    /// Where an attempt stands before its worker shows a ticket: fenced and ended ones learn of it at once.
    pub async fn may_enrol(&self, attempt: AttemptId) -> Result<(), EnrolError> {
        let found = self.store.attempt_find(attempt).await?.ok_or(EnrolError::NotFound)?;
        if found.state.is_final() || found.fenced_at.is_some() { Err(EnrolError::Fenced) } else { Ok(()) }
    }

    /// Begins a transaction that holds the run of an attempt.
    async fn hold(&self, org: OrgId, attempt: AttemptId) -> StoreResult<Option<(Tx, Held)>> {
        let Some(known) = self.store.attempt_get(org, attempt).await? else { return Ok(None) };
        let mut tx = self.store.write_tx().await?;
        let Some(run) = Store::run_lock_in_txn(&mut tx, org, known.run).await? else { return Ok(None) };
        let Some(attempt) = Store::attempt_get_in_txn(&mut tx, org, attempt).await? else { return Ok(None) };
        Ok(Some((tx, Held { run, attempt })))
    }
}

impl Held {
    /// What a live attempt of this run should do.
    fn directive(&self) -> Directive {
        match self.run.desired {
            Desired::Run => Directive::Continue,
            Desired::Cancel => Directive::Cancel,
        }
    }
}
