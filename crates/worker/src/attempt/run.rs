//! What an assignment says, done: plan read and held against the guard, both ends opened, engine run, outcome told.

use std::path::PathBuf;
use std::sync::Arc;

use waybill_model::FailureCode;
use waybill_model::event::{Event, EventCode};
use waybill_model::plan::Plan;
use waybill_model::report::{Completion, Directive as Told};
use waybill_model::run::RunKind;
use waybill_pipeline::engine::Context;
use waybill_pipeline::stop::End;
use waybill_pipeline::{Budget, Directive, Fault, Observer, StopSignal, StopSwitch};

use super::outcome;
use super::work::{Watched, Work};
use crate::connect::{self, Ends};
use crate::exit::Exit;
use crate::guard::{self, Guarded, Place};
use crate::link::{Link, LinkError};
use crate::logs::{AttemptLog, Logged};
use crate::panic;
use crate::secret::Resolver;
use crate::terminal::say;

/// For the worker's own output and for its log in the bucket.
const UNGUARDED: &str = "no guard: whoever started this worker named none, so it does what the orchestrator asks for";

/// What the worker knows by itself, without its orchestrator.
pub(super) struct Own {
    pub(super) place: Place,
    pub(super) guard: Option<PathBuf>,
    pub(super) memory: Option<u64>,
}

/// An attempt that may begin.
struct Begun {
    work: Work,
    /// None where no bucket was opened that could keep it.
    log: Option<AttemptLog>,
    guarded: Guarded,
}

/// One attempt from its assignment to its end.
pub(super) async fn attempt(link: &Link, (switch, stop): (StopSwitch, StopSignal), own: &Own) -> Exit {
    let told = tokio::spawn(tell_stop(link.observer(), stop.clone()));
    // It was started, it has enrolled: that is all that was to be proven, and there is no plan to hold against a guard.
    let prepared = match link.assignment().kind {
        RunKind::Test => None,
        _ => Some(prepare(link, (switch, stop.clone()), own).await),
    };
    let (completion, begun) = match prepared {
        None => (outcome::of_test(), None),
        Some(Ok(begun)) => (begun.work.done(link, &begun.guarded).await, Some(begun)),
        Some(Err(end)) => (outcome::without_streams(end, link.asked()), None),
    };
    let exit = end(link, &stop, completion).await;
    told.abort();
    link.close().await;
    if let Some(Begun { log: Some(log), .. }) = begun {
        log.finish().await;
    }
    exit
}

/// Says in the run's timeline that the worker stops, from the moment that it was asked to.
async fn tell_stop(observer: Arc<dyn Observer>, stop: StopSignal) {
    stop.asked().await;
    observer.event(Event::new(EventCode::StopBegun));
}

/// Reads the plan, holds it against the guard, and only then opens its ends. What waits for others ends where the attempt
/// is told to.
async fn prepare(link: &Link, (switch, stop): (StopSwitch, StopSignal), own: &Own) -> Result<Begun, End> {
    let assignment = link.assignment();
    let plan: Plan = serde_json::from_slice(&assignment.plan)
        .map_err(|error| Fault::new(FailureCode::SpecRefused, format!("the plan can't be read: {error}")))?;
    let wanted = guard::Wanted {
        place: own.place,
        file: own.guard.as_deref(),
        plan: &plan,
        bytes: &assignment.plan,
        signature: assignment.signature.as_deref(),
        errands: &assignment.errands,
    };
    let mut guarded = stop.or_halt(Guarded::enter(wanted, switch)).await??;
    if !guarded.is_held() {
        say(UNGUARDED);
    }
    let budget = Budget::detect(own.memory.unwrap_or(plan.limits.memory))
        .map_err(|error| Fault::new(FailureCode::SpecRefused, error.to_string()))?;
    let means = guarded.means();
    let ends = stop.or_halt(connect::open(&plan, &assignment.run.to_string(), &budget, &means)).await?;
    let ends = ends.inspect_err(|fault| tell_secret(link, &plan, &means.secrets, fault.code))?;
    let log = AttemptLog::of(ends.bucket(), assignment.run, link.attempt());
    if !guarded.is_held() {
        tracing::warn!("{UNGUARDED}");
    }
    let observer: Arc<dyn Observer> = Arc::new(Logged(Shared(link.observer())));
    let observer = guarded.observer(observer).await;
    panic::install(Some(Arc::clone(&observer)));
    let (source, destination) = match ends {
        Ends::Both(source, destination) => (guarded.source(source), destination),
        Ends::Source(source) => {
            let work = Work::Source(guarded.source(source), Watched { observer, stop });
            return Ok(Begun { work, log, guarded });
        }
        Ends::Destination(destination) => {
            return Ok(Begun { work: Work::Destination(destination, Watched { observer, stop }), log, guarded });
        }
    };
    let context = Context {
        source,
        destination,
        errands: assignment.errands.clone(),
        run: assignment.run,
        attempt: link.attempt(),
        epoch: Some(assignment.epoch),
        accepted: assignment.accepted_epoch,
        owner: assignment.pipeline.to_string(),
        observer,
        gate: guarded.gate(link.gate()),
        stop,
        budget,
    };
    Ok(Begun { work: Work::Pipeline(Box::new(plan), Box::new(context)), log, guarded })
}

/// Says which reference could not be followed, by its place in the plan: the orchestrator has the plan.
fn tell_secret(link: &Link, plan: &Plan, secrets: &Resolver, code: FailureCode) {
    let Some(failed) = secrets.failed() else { return };
    let place = plan.secrets().iter().position(|secret| *secret.reference == failed);
    let count = place.and_then(|place| u64::try_from(place).ok());
    link.observer().event(Event { count, failure: Some(code), ..Event::new(EventCode::SecretFailed) });
}

/// Tells the outcome, unless the attempt is known to be somebody else's by now. One that gave up asks as well: a worker that
/// wakes finds its own grace over before it can have heard that it was fenced.
async fn end(link: &Link, stop: &StopSignal, completion: Completion) -> Exit {
    if stop.current() == Directive::Fenced {
        tracing::warn!("fenced: another attempt took over");
        return Exit::Fenced;
    }
    let exit = outcome::exit_of(&completion);
    match link.complete(completion).await {
        Ok(Told::Fenced) | Err(LinkError::Fenced) => {
            tracing::warn!("fenced: another attempt took over before the outcome was told");
            Exit::Fenced
        }
        Ok(_) => exit,
        Err(LinkError::Unreachable(_)) => Exit::Unreachable,
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "the outcome was not taken");
            Exit::Failed
        }
    }
}

/// Lets an observer be shared with the log's wrapper.
struct Shared(Arc<dyn Observer>);

impl Observer for Shared {
    fn progress(&self, progress: waybill_pipeline::Progress) {
        self.0.progress(progress);
    }

    fn event(&self, event: Event) {
        self.0.event(event);
    }
}
