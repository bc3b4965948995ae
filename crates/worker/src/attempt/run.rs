//! What an assignment says, done: plan read, both ends opened, engine run, outcome told.

use std::sync::Arc;

use waybill_model::FailureCode;
use waybill_model::event::Event;
use waybill_model::plan::Plan;
use waybill_model::report::{Completion, Directive as Told};
use waybill_model::run::RunKind;
use waybill_pipeline::engine::{self, Context};
use waybill_pipeline::{Budget, Directive, Fault, FaultResult, Observer, StopSignal};

use super::outcome;
use crate::exit::Exit;
use crate::link::{Link, LinkError, egress};
use crate::logs::{self, AttemptLog, Logged};
use crate::{connect, panic};

/// One attempt from its assignment to its end.
pub(super) async fn attempt(link: &Link, stop: StopSignal, memory: Option<u64>) -> Exit {
    let (completion, log) = match prepare(link, stop.clone(), memory).await {
        Ok((plan, context, log)) => (work(link, &plan, &context).await, Some(log)),
        Err(fault) => {
            logs::tell(&fault);
            (outcome::failed(fault.code), None)
        }
    };
    let exit = end(link, &stop, completion).await;
    egress::tell(&link.ledger());
    if let Some(log) = log {
        log.finish().await;
    }
    exit
}

async fn prepare(link: &Link, stop: StopSignal, memory: Option<u64>) -> FaultResult<(Plan, Context, AttemptLog)> {
    let assignment = link.assignment();
    let plan: Plan = serde_json::from_slice(&assignment.plan)
        .map_err(|error| Fault::new(FailureCode::SpecRefused, format!("the plan can't be read: {error}")))?;
    let budget = Budget::detect(memory.unwrap_or(plan.limits.memory))
        .map_err(|error| Fault::new(FailureCode::SpecRefused, error.to_string()))?;
    let source = connect::source(&plan.from.system, &assignment.run.to_string()).await?;
    let bucket = connect::bucket(&plan.to.system, budget.per_lane(plan.limits.parallel)).await?;
    let log = AttemptLog::start(Arc::clone(&bucket), assignment.run, link.attempt());
    let observer: Arc<dyn Observer> = Arc::new(Logged(Shared(link.observer())));
    panic::install(Some(Arc::clone(&observer)));
    let context = Context {
        source,
        bucket,
        run: assignment.run,
        attempt: link.attempt(),
        epoch: Some(assignment.epoch),
        accept_epoch: false,
        owner: assignment.pipeline.to_string(),
        observer,
        gate: link.gate(),
        stop,
        budget,
    };
    Ok((plan, context, log))
}

async fn work(link: &Link, plan: &Plan, context: &Context) -> Completion {
    let assignment = link.assignment();
    match assignment.kind {
        RunKind::Sync => {
            let ends = engine::run(plan, &assignment.streams, context).await;
            outcome::of_sync(ends, link.cancel_told())
        }
        RunKind::Check => {
            let ends = engine::check(plan, &assignment.streams, context).await;
            outcome::of_check(ends, link.cancel_told())
        }
        RunKind::Discover => {
            outcome::of_discovery(engine::discover(context).await, link.cancel_told(), assignment.name_ceiling_bytes)
        }
    }
}

/// Tells the outcome, unless the attempt is somebody else's by now, or nobody can be reached.
async fn end(link: &Link, stop: &StopSignal, completion: Completion) -> Exit {
    if stop.current() == Directive::Fenced {
        tracing::warn!("fenced: another attempt took over");
        return Exit::Fenced;
    }
    if link.gave_up() {
        return Exit::Unreachable;
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
