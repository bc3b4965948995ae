//! Drives the streams of a plan from their source to a commit, each independently of the others, within one budget.
//!
//! It owns the order of a stream's phases and nothing of their content: it knows no vendor, and what a row or a cursor
//! holds never passes through its events.

mod check;
mod drift;
mod errand;
mod judge;
mod lane;
mod limited;
mod load;
mod marked;
mod merge;
mod meter;
mod narrowed;
mod place;
mod preview;
mod sizing;
mod stream;
mod sums;
#[cfg(test)]
mod tests;
mod throttled;

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use waybill_model::errand::Errand;
use waybill_model::plan::{Plan, StreamPlan};
use waybill_model::receipt::{ColumnDrift, Grade, StreamOutcome};
use waybill_model::run::StreamState;
use waybill_model::{AttemptId, Epoch, FailureCode, RunId};

use self::throttled::Throttled;
use crate::budget::Budget;
use crate::database::Destination;
use crate::expect::Expected;
use crate::fault::CustomerText;
use crate::observe::{CommitGate, Observer};
use crate::source::Source;
use crate::stop::{Directive, End, Halt, StopSignal, StopSwitch, stop_pair};

pub use check::{check, check_destination, check_source, discover};
pub use marked::DELETED_AT;
pub use preview::preview;
pub use sizing::Sizing;

/// What one attempt works with.
#[derive(Clone)]
pub struct Context {
    /// Where rows come from.
    pub source: Arc<dyn Source>,
    /// Where tables are written.
    pub destination: Destination,
    /// What is done with streams in place of their next window; by their place in the plan.
    pub errands: BTreeMap<u32, Errand>,
    /// The run.
    pub run: RunId,
    /// The attempt.
    pub attempt: AttemptId,
    /// Its fencing number; where there is no orchestrator, none: each table's own next one is taken.
    pub epoch: Option<Epoch>,
    /// The epoch that somebody accepted although it stands more than 24 h in the future.
    pub accepted: Option<Epoch>,
    /// Who owns the tables: the pipeline's id, or `once/<its name>` where there is no orchestrator.
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
pub struct StreamEnd {
    /// What may leave the customer's cloud.
    pub outcome: StreamOutcome,
    /// What went wrong, in words for the customer only.
    pub text: CustomerText,
    /// It was stopped and did not fail by itself.
    pub halt: Option<Halt>,
    /// How its expectations came out; none where it ended before, or was found from an earlier attempt.
    pub expected: Vec<Expected>,
}

impl StreamEnd {
    /// A stream that did nothing yet.
    fn blank(stream: u32, state: StreamState) -> Self {
        let outcome = StreamOutcome {
            stream,
            state,
            rows: 0,
            bytes: 0,
            files: 0,
            coerced: 0,
            grade: Grade::Unchecked,
            version: None,
            epoch: None,
            receipt: None,
            adopted: false,
            failure: None,
            columns: ColumnDrift::default(),
        };
        Self { outcome, text: CustomerText::default(), halt: None, expected: Vec::new() }
    }

    /// A stream that ended without a commit.
    fn ended(stream: u32, end: End) -> Self {
        let mut blank = Self::blank(stream, StreamState::Failed);
        match end {
            End::Fault(fault) => {
                blank.outcome.failure = Some(fault.code);
                blank.text = fault.text;
            }
            End::Halt(halt) => {
                blank.outcome.failure = halt.failure();
                blank.halt = Some(halt);
            }
        }
        blank
    }
}

/// What the streams of one run share.
struct Shared {
    plan: Plan,
    context: Context,
    sizing: Sizing,
    lanes: Arc<Semaphore>,
    unfinished: AtomicUsize,
    /// Streams that have no place yet. Until each has one, none takes a further one.
    unplaced: watch::Sender<usize>,
}

impl Shared {
    /// Lanes that a stream which begins now may take at most, so that none of the others waits needlessly.
    fn fair_lanes(&self) -> usize {
        (self.sizing.lanes / self.unfinished.load(Ordering::Relaxed).max(1)).max(1)
    }
}

/// Runs the given streams of a plan (places in it) and returns how each ended, in the same order.
pub async fn run(plan: &Plan, streams: &[u32], context: &Context) -> Vec<StreamEnd> {
    let (switch, stop) = stop_pair();
    switch.raise(context.stop.current());
    let limit = Duration::from_millis(plan.limits.time_ms);
    let link = tokio::spawn(pass_on(context.stop.clone(), switch, limit));
    let parallel = usize::try_from(plan.limits.parallel).unwrap_or(1);
    let upload =
        sizing::uploads(context.destination.buffer(), chosen(plan, streams).any(|one| !one.bad_rows.is_fail()));
    let sizing = Sizing::new(&context.budget, parallel, upload, chosen(plan, streams).map(StreamPlan::uniques).sum());
    let shared = Arc::new(Shared {
        plan: plan.clone(),
        context: Context { stop, ..context.clone() },
        sizing,
        lanes: Arc::new(Semaphore::new(sizing.lanes)),
        unfinished: AtomicUsize::new(streams.len()),
        unplaced: watch::Sender::new(streams.len()),
    });
    let mut tasks = JoinSet::new();
    let mut places = HashMap::new();
    for (place, index) in streams.iter().enumerate() {
        let task = tasks.spawn(one(Arc::clone(&shared), *index));
        places.insert(task.id(), (place, *index));
    }
    let ends = Throttled::from_now(context).beside(all_ends(tasks, &places, streams.len())).await;
    link.abort();
    ends
}

/// How every stream ended, in the order that was asked for.
async fn all_ends(
    mut tasks: JoinSet<StreamEnd>,
    places: &HashMap<tokio::task::Id, (usize, u32)>,
    streams: usize,
) -> Vec<StreamEnd> {
    let mut ends: Vec<Option<StreamEnd>> = vec![None; streams];
    while let Some(joined) = tasks.join_next_with_id().await {
        let (id, end) = match joined {
            Ok((id, end)) => (id, Some(end)),
            Err(error) => (error.id(), None),
        };
        if let Some((place, index)) = places.get(&id) {
            ends[*place] = Some(end.unwrap_or_else(|| bug(*index)));
        }
    }
    ends.into_iter().flatten().collect()
}

/// The streams of a plan that are run.
fn chosen<'p>(plan: &'p Plan, streams: &'p [u32]) -> impl Iterator<Item = &'p StreamPlan> {
    streams.iter().filter_map(|index| plan.streams.get(usize::try_from(*index).ok()?))
}

/// One stream, from its turn to its end.
async fn one(shared: Arc<Shared>, index: u32) -> StreamEnd {
    let turn = shared.context.stop.or_halt(Arc::clone(&shared.lanes).acquire_owned()).await;
    shared.unplaced.send_modify(|streams| *streams -= 1);
    let end = match turn {
        _ if shared.context.stop.current() == Directive::Drain => skipped(index, Halt::Drain),
        Err(halt) => skipped(index, halt),
        Ok(Err(_)) => bug(index),
        Ok(Ok(first)) => stream::run(&shared, index, first).await,
    };
    shared.unfinished.fetch_sub(1, Ordering::Relaxed);
    end
}

fn skipped(index: u32, halt: Halt) -> StreamEnd {
    let mut end = StreamEnd::blank(index, StreamState::Skipped);
    end.outcome.failure = halt.failure();
    end.halt = Some(halt);
    end
}

/// A stream whose task panicked; the panic hook has told where.
fn bug(index: u32) -> StreamEnd {
    let mut end = StreamEnd::blank(index, StreamState::Failed);
    end.outcome.failure = Some(FailureCode::WorkerBug);
    end
}

/// Passes directives on to the run's own switch, and raises it when the longest run time is over.
async fn pass_on(outer: StopSignal, inner: StopSwitch, limit: Duration) {
    tokio::select! {
        () = outer.forward(inner.clone()) => {}
        () = tokio::time::sleep(limit) => {
            inner.raise(Directive::TimeOut);
            outer.forward(inner).await;
        }
    }
}
