//! What an attempt does with what was opened: a pipeline is run, checked or its source listed; a connection that no pipeline
//! ties to another is looked at alone. Nothing is moved without both ends.

use std::sync::Arc;

use waybill_model::FailureCode;
use waybill_model::plan::Plan;
use waybill_model::report::Completion;
use waybill_model::run::RunKind;
use waybill_pipeline::engine::{self, Context};
use waybill_pipeline::stop::End;
use waybill_pipeline::{Destination, Fault, Observer, Source, StopSignal};

use super::outcome;
use crate::guard::Guarded;
use crate::link::{Asked, Link};

/// What was opened.
pub(super) enum Work {
    Pipeline(Box<Plan>, Box<Context>),
    Source(Arc<dyn Source>, Watched),
    Destination(Destination, Watched),
}

/// Who is told of a look, and who ends it.
pub(super) struct Watched {
    pub(super) observer: Arc<dyn Observer>,
    pub(super) stop: StopSignal,
}

impl Watched {
    fn both(&self) -> (&dyn Observer, &StopSignal) {
        (self.observer.as_ref(), &self.stop)
    }
}

impl Work {
    /// Does what was asked for.
    pub(super) async fn done(&self, link: &Link, guarded: &Guarded) -> Completion {
        let (assignment, asked) = (link.assignment(), || link.asked());
        let listed = async |source: &dyn Source, stop: &StopSignal| {
            let ceiling = guarded.names(assignment.name_ceiling_bytes).await;
            outcome::of_discovery(engine::discover(source, stop).await, asked(), ceiling)
        };
        let reached = |end: Result<(), End>| outcome::of_check(end.map(|()| Vec::new()), asked());
        match (assignment.kind, self) {
            (RunKind::Sync, Self::Pipeline(plan, context)) => {
                let ends = engine::run(plan, &assignment.streams, context).await;
                outcome::of_sync(ends, asked())
            }
            (RunKind::Preview, Self::Pipeline(plan, context)) => {
                let ends = engine::preview(plan, &assignment.streams, assignment.preview_rows, context).await;
                outcome::of_check(Ok(ends), asked())
            }
            (RunKind::Check, Self::Pipeline(plan, context)) => {
                let ends = engine::check(plan, &assignment.streams, context).await;
                outcome::of_check(ends, asked())
            }
            (RunKind::Check, Self::Source(source, watched)) => {
                reached(engine::check_source(source.as_ref(), watched.both()).await)
            }
            (RunKind::Check, Self::Destination(destination, watched)) => {
                reached(engine::check_destination(destination, watched.both()).await)
            }
            (RunKind::Discover, Self::Pipeline(_, context)) => listed(context.source.as_ref(), &context.stop).await,
            (RunKind::Discover, Self::Source(source, watched)) => listed(source.as_ref(), &watched.stop).await,
            (RunKind::Test, _) => outcome::of_test(),
            (RunKind::Sync | RunKind::Preview, _) => refused("rows can't be moved with one connection alone"),
            (RunKind::Discover, Self::Destination(..)) => refused("a destination has no tables to list"),
        }
    }
}

/// What no honest orchestrator asks for.
fn refused(why: &'static str) -> Completion {
    outcome::without_streams(Fault::new(FailureCode::SpecRefused, why).into(), Asked::Nothing)
}
