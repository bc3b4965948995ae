//! Drives the streams of a plan from their source to a commit, each independently of the others, within one budget.
//!
//! It owns the order of a stream's phases and nothing of their content: it knows no vendor, and what a row or a cursor
//! holds never passes through its events.

use std::sync::Arc;

use waybill_model::receipt::StreamOutcome;
use waybill_model::{AttemptId, Epoch, RunId};

use crate::bucket::Bucket;
use crate::budget::Budget;
use crate::fault::CustomerText;
use crate::observe::{CommitGate, Observer};
use crate::source::Source;
use crate::stop::StopSignal;

/// What one attempt works with.
#[derive(Clone)]
pub struct Context {
    /// Where rows come from.
    pub source: Arc<dyn Source>,
    /// Where tables are written.
    pub bucket: Arc<dyn Bucket>,
    /// The run.
    pub run: RunId,
    /// The attempt.
    pub attempt: AttemptId,
    /// Its fencing number.
    pub epoch: Epoch,
    /// Who owns the tables: the pipeline's id, or its name where there is no orchestrator.
    pub owner: String,
    /// Hears of progress and events.
    pub observer: Arc<dyn Observer>,
    /// Gives leave to commit.
    pub gate: Arc<dyn CommitGate>,
    /// Tells when to stop.
    pub stop: StopSignal,
    /// Memory.
    pub budget: Budget,
}

/// How one stream ended.
#[derive(Clone)]
pub struct Delivery {
    /// What may leave the customer's cloud.
    pub outcome: StreamOutcome,
    /// The receipt, as it stands in the bucket; none where nothing was committed.
    pub receipt: Option<bytes::Bytes>,
    /// What went wrong, in words for the customer only.
    pub text: CustomerText,
    /// It was stopped as asked, and did not fail.
    pub stopped: bool,
}
