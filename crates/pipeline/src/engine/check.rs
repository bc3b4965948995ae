//! Runs that move nothing: a check of both ends, and a listing of the source.

use waybill_model::FailureCode;
use waybill_model::event::{Event, EventCode};
use waybill_model::plan::Plan;
use waybill_model::run::StreamState;

use super::place::Place;
use super::{Context, StreamEnd};
use crate::commit::probe_conditions;
use crate::database::Destination;
use crate::fault::{Fault, FaultResult};
use crate::observe::Observer;
use crate::source::{Source, Table as SourceTable};
use crate::stop::{End, StopSignal};
use crate::sums;

/// Probes what a run of these streams needs: the bucket's conditional writes or the database's log-in once, then source and table of each.
/// A stream that passed is `Skipped` without a failure: nothing was moved. Where there is no stream yet, both ends are
/// reached all the same, and their failure is that of the whole.
pub async fn check(plan: &Plan, streams: &[u32], context: &Context) -> Result<Vec<StreamEnd>, End> {
    let watched = (context.observer.as_ref(), &context.stop);
    let destination = check_destination(&context.destination, watched).await;
    if streams.is_empty() {
        destination?;
        check_source(context.source.as_ref(), watched).await?;
        return Ok(Vec::new());
    }
    let mut ends = Vec::with_capacity(streams.len());
    for index in streams {
        let end = match &destination {
            Err(end) => Err(end.clone()),
            Ok(()) => one(plan, *index, context).await,
        };
        ends.push(match end {
            Ok(()) => StreamEnd::blank(*index, StreamState::Skipped),
            Err(end) => {
                let end = StreamEnd::ended(*index, end);
                let event = Event::of_stream(EventCode::StreamFailed, *index);
                context.observer.event(Event { failure: end.outcome.failure, ..event });
                end
            }
        });
    }
    Ok(ends)
}

/// Probes a bucket's conditional writes, or logs in to a database, whatever is written to it.
pub async fn check_destination(
    destination: &Destination,
    (observer, stop): (&dyn Observer, &StopSignal),
) -> Result<(), End> {
    match destination {
        Destination::Bucket(bucket) => stop.or_halt(probe_conditions(bucket.as_ref())).await??,
        Destination::Database(database) => stop.or_halt(database.reach()).await??,
    }
    passed(observer, None, 1);
    Ok(())
}

/// Reaches a source and logs in there, whatever is read from it.
pub async fn check_source(source: &dyn Source, (observer, stop): (&dyn Observer, &StopSignal)) -> Result<(), End> {
    stop.or_halt(source.reach()).await??;
    passed(observer, None, 2);
    Ok(())
}

async fn one(plan: &Plan, index: u32, context: &Context) -> Result<(), End> {
    let Some(stream) = usize::try_from(index).ok().and_then(|at| plan.streams.get(at)) else {
        return Err(Fault::new(FailureCode::SpecRefused, "a stream was asked for that the plan does not have").into());
    };
    sums::check(plan, stream, &context.destination)?;
    context.stop.or_halt(context.source.check(stream)).await??;
    passed(context.observer.as_ref(), Some(index), 2);
    let table = context.stop.or_halt(Place::open(context, (stream, stream.load), plan)).await??;
    table.check_epoch(context.accepted)?;
    table.check_proven(stream.load)?;
    passed(context.observer.as_ref(), Some(index), 3);
    Ok(())
}

fn passed(observer: &dyn Observer, stream: Option<u32>, place: u64) {
    observer.event(Event { stream, count: Some(place), ..Event::new(EventCode::CheckPassed) });
}

/// Lists what the source's user can read.
pub async fn discover(source: &dyn Source, stop: &StopSignal) -> Result<Vec<SourceTable>, End> {
    let listed: FaultResult<Vec<SourceTable>> = stop.or_halt(source.discover()).await?;
    Ok(listed?)
}
