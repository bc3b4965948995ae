//! Runs that move nothing: a check of both ends, and a listing of the source.

use std::sync::Arc;

use waybill_model::FailureCode;
use waybill_model::event::{Event, EventCode};
use waybill_model::plan::Plan;
use waybill_model::run::StreamState;

use super::{Context, StreamEnd};
use crate::bucket::Bucket;
use crate::commit::{Owner, Table, probe_conditions};
use crate::fault::{Fault, FaultResult};
use crate::observe::Observer;
use crate::source::{Source, Table as SourceTable};
use crate::stop::{End, StopSignal};

/// Probes what a run of these streams needs: the bucket's conditional writes once, then source and table of each.
/// A stream that passed is `Skipped` without a failure: nothing was moved. Where there is no stream yet, both ends are
/// reached all the same, and their failure is that of the whole.
pub async fn check(plan: &Plan, streams: &[u32], context: &Context) -> Result<Vec<StreamEnd>, End> {
    let watched = (context.observer.as_ref(), &context.stop);
    let bucket = check_bucket(context.bucket.as_ref(), watched).await;
    if streams.is_empty() {
        bucket?;
        check_source(context.source.as_ref(), watched).await?;
        return Ok(Vec::new());
    }
    let mut ends = Vec::with_capacity(streams.len());
    for index in streams {
        let end = match &bucket {
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

/// Probes a bucket's conditional writes, whatever is written to it.
pub async fn check_bucket(bucket: &dyn Bucket, (observer, stop): (&dyn Observer, &StopSignal)) -> Result<(), End> {
    stop.or_halt(probe_conditions(bucket)).await??;
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
    context.stop.or_halt(context.source.check(stream)).await??;
    passed(context.observer.as_ref(), Some(index), 2);
    let owner = Owner { pipeline: context.owner.clone(), take_over: stream.take_over, accepted: context.accepted };
    let opening = Table::open_as(Arc::clone(&context.bucket), &stream.name, &owner, &plan.files);
    let table = context.stop.or_halt(opening).await??;
    table.check_epoch()?;
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
