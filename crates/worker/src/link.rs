//! The worker's link to its orchestrator: enrolment, the report stream, leave to commit, renewal and the outcome.
//!
//! Everything that leaves passes [`egress::Egress::clear`]. The link never stops a copy because the orchestrator is away;
//! it only refuses commits then, and gives up when the offline grace is over by the monotonic clock.

mod channel;
mod contact;
pub mod egress;
mod enrol;
mod gate;
mod outbox;
mod prove;
mod renew;
mod report;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use waybill_identity::{IdentityError, Pin, Ticket};
use waybill_model::event::{Event, EventCode};
use waybill_model::report::{Assignment, Completion, Directive};
use waybill_model::{AttemptId, fault};
use waybill_pipeline::{CommitGate, Observer, Progress, StopSwitch};
use waybill_protocol::worker::{Submission, read_directive};
use waybill_protocol::{Ledger, Unclassified, WireError, pb};

use channel::Channels;
use contact::Contact;
use egress::Egress;
use outbox::Outbox;

/// How long the outcome is offered at least, by a worker whose grace is over: time for a connection that was closed in its
/// sleep to be made again. One that died without a word is noticed later than that.
const LAST_WORD: Duration = Duration::from_secs(2);

/// Where the orchestrator is and how it proves itself.
#[derive(Clone, Debug)]
pub struct Address {
    /// Host and port of the public listener.
    pub endpoint: String,
    /// The CA that its chain must end in.
    pub pin: Pin,
}

/// Why the link ended or could not be made.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Another attempt took over.
    #[error("fenced: another attempt took over")]
    Fenced,
    /// Versions are too far apart.
    #[error("upgrade_required: worker and orchestrator are more than one minor version apart")]
    UpgradeRequired,
    /// The orchestrator refused; its answer is one of a closed list.
    #[error("refused: {0}")]
    Refused(String),
    /// It could not be reached in time.
    #[error("the orchestrator could not be reached within {} s", .0.as_secs())]
    Unreachable(Duration),
    /// It said something that makes no sense.
    #[error("the orchestrator's answer can't be used")]
    Answer(#[from] WireError),
    /// Keys or certificates can't be used.
    #[error("set up the worker's identity")]
    Identity(#[from] IdentityError),
    /// A message held something that may not leave.
    #[error("a message was withheld")]
    Withheld(#[from] Unclassified),
    /// The worker can't prove where it runs.
    #[error("{0}")]
    Proof(&'static str),
    /// The worker can't prove where it runs now, and may a little later.
    #[error("{0}")]
    ProofLater(&'static str),
    /// The address can't be used.
    #[error("{0}")]
    Address(&'static str),
}

/// A live link. Dropping it stops its tasks.
pub struct Link {
    shared: Arc<Shared>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// What the link's tasks work with.
struct Shared {
    attempt: AttemptId,
    assignment: Assignment,
    channels: Channels,
    egress: Arc<Egress>,
    outbox: Outbox,
    contact: Contact,
    switch: StopSwitch,
    /// The orchestrator told to cancel; a signal does not.
    cancel_told: AtomicBool,
    /// The orchestrator told to drain; a signal does not.
    drain_told: AtomicBool,
    /// Something is there to report.
    pending: Notify,
    /// Every report is acknowledged.
    drained: Notify,
}

/// What the orchestrator asked a worker for before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To go on.
    Nothing,
    /// To finish what has begun.
    Drain,
    /// To end.
    Cancel,
}

impl Link {
    /// Enrols, gets the assignment, and begins to report. `start` bounds how long the orchestrator may be unreachable.
    pub async fn join(
        address: &Address,
        ticket: &Ticket,
        switch: StopSwitch,
        start: Duration,
    ) -> Result<Self, LinkError> {
        let egress = Arc::new(Egress::open());
        let enrolled = enrol::enrol(address, ticket, &egress, start).await?;
        fault::point("enrolled");
        let (channels, life, roots) = enrolled.connect(&egress)?;
        let assignment = enrol::assignment(&channels, &egress, start).await?;
        tracing::info!(run = %assignment.run, kind = %assignment.kind, "connected to the orchestrator");
        let shared = Arc::new(Shared {
            attempt: enrolled.attempt,
            contact: Contact::new(assignment.bounds.offline_grace),
            assignment,
            channels,
            egress,
            outbox: Outbox::default(),
            switch,
            cancel_told: AtomicBool::new(false),
            drain_told: AtomicBool::new(false),
            pending: Notify::new(),
            drained: Notify::new(),
        });
        let link = Self { shared, tasks: TaskTracker::new(), stop: CancellationToken::new() };
        link.spawn(report::run(Arc::clone(&link.shared)));
        link.spawn(renew::run(Arc::clone(&link.shared), roots, life));
        link.spawn(contact::watch(Arc::clone(&link.shared)));
        link.observer().event(Event::new(EventCode::WorkerStarted));
        Ok(link)
    }

    /// What to do.
    #[must_use]
    pub fn assignment(&self) -> &Assignment {
        &self.shared.assignment
    }

    /// The attempt of this worker's ticket.
    #[must_use]
    pub fn attempt(&self) -> AttemptId {
        self.shared.attempt
    }

    /// Hears what the engine tells, for the orchestrator.
    #[must_use]
    pub fn observer(&self) -> Arc<dyn Observer> {
        Arc::new(Reporter(Arc::clone(&self.shared)))
    }

    /// Asks the orchestrator for leave to commit.
    #[must_use]
    pub fn gate(&self) -> Arc<dyn CommitGate> {
        Arc::new(gate::Gate::new(Arc::clone(&self.shared)))
    }

    /// What has left so far, per class.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.shared.egress.ledger()
    }

    /// Ends the link and tells the customer's own log what has left: nothing more is reported, so that its numbers stay true.
    pub async fn close(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.shared.egress.tell();
    }

    /// What the orchestrator asked for, as against a signal from whoever runs the task.
    #[must_use]
    pub fn asked(&self) -> Asked {
        if self.shared.cancel_told.load(Ordering::Acquire) {
            Asked::Cancel
        } else if self.shared.drain_told.load(Ordering::Acquire) {
            Asked::Drain
        } else {
            Asked::Nothing
        }
    }

    /// Sends what is left to report, then the outcome, until it is taken, refused, or the offline grace is over. A worker
    /// that slept past its grace asks for [`LAST_WORD`] all the same: whether it is fenced is the orchestrator's to say.
    pub async fn complete(&self, completion: Completion) -> Result<Directive, LinkError> {
        let bounds = self.shared.assignment.bounds;
        // The last numbers are worth a moment, not the outcome.
        let last_words = bounds.heartbeat.min(Duration::from_secs(5));
        let _ = tokio::time::timeout(last_words, self.shared.all_acknowledged()).await;
        fault::point("before_report_final");
        let submission = Submission { epoch: self.shared.assignment.epoch, completion };
        let request = pb::worker::CompleteRequest::from(submission);
        let mut pause = channel::Backoff::default();
        let last_word = Instant::now() + LAST_WORD;
        loop {
            let cleared = self.shared.egress.clear(request.clone())?;
            let mut client = self.shared.channels.client();
            let asked = client.complete(cleared.into_request());
            match channel::bounded(bounds.heartbeat, asked).await {
                Ok(answer) => {
                    fault::point("after_report_final");
                    return Ok(read_directive(answer.into_inner().directive())?);
                }
                Err(status) => channel::unless_final(&status)?,
            }
            if self.shared.contact.is_over() && Instant::now() >= last_word {
                return Err(LinkError::Unreachable(bounds.offline_grace));
            }
            pause.wait().await;
        }
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move { stop.run_until_cancelled(work).await });
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Shared {
    /// Waits until nothing is left to report.
    async fn all_acknowledged(&self) {
        loop {
            let drained = self.drained.notified();
            if self.outbox.is_empty() {
                return;
            }
            self.pending.notify_one();
            drained.await;
        }
    }
}

/// Keeps what the engine tells until it is reported.
struct Reporter(Arc<Shared>);

impl Observer for Reporter {
    fn progress(&self, progress: Progress) {
        self.0.outbox.progress(progress);
    }

    fn event(&self, event: Event) {
        self.0.outbox.event(event);
        self.0.pending.notify_one();
    }
}
