//! The first rows of each stream, written into the bucket for people to look at. No table, cursor or state is read or touched, and
//! nothing is committed: what was written is all that there is.
//!
//! Each stream is read as a `full` load would read it, whatever its own load is, in one lane that ends early.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::Array;
use tokio::runtime::Handle;
use waybill_model::event::{Event, EventCode};
use waybill_model::plan::{Checksums, Compression, Deletes, Files, Format, Load, Plan, StreamPlan};
use waybill_model::run::{MOST_PREVIEW_ROWS, StreamState};
use waybill_model::{FailureCode, RunId};

use super::{Context, Sizing, StreamEnd, pass_on};
use crate::bucket::Bucket;
use crate::cast;
use crate::commit::{DataFile, key};
use crate::encode::{LaneWriter, PartitionBy, Target, TwinSet};
use crate::fault::Fault;
use crate::observe::{Observer, Progress};
use crate::source::{Batch, Lane, Want};
use crate::stop::{End, StopSignal, stop_pair};

/// More than this of rows in memory is not taken, however many were asked for.
const MOST_BYTES: usize = 16 << 20;

/// Writes the first rows of the given streams (places in the plan), one stream after the other, and returns how each ended, in the same
/// order. One that was written is `Skipped` without a failure: nothing was delivered. No more rows are taken than can be asked for,
/// whatever the number: it comes from outside.
pub async fn preview(plan: &Plan, streams: &[u32], rows: u64, context: &Context) -> Vec<StreamEnd> {
    let (switch, stop) = stop_pair();
    switch.raise(context.stop.current());
    let limit = Duration::from_millis(plan.limits.time_ms);
    let link = tokio::spawn(pass_on(context.stop.clone(), switch, limit));
    let (rows, outer) = (rows.min(MOST_PREVIEW_ROWS), &context.stop);
    let context = Context { stop, ..context.clone() };
    let mut ends = Vec::with_capacity(streams.len());
    for index in streams {
        let end = one(plan, (*index, rows), outer, &context).await.unwrap_or_else(|end| StreamEnd::ended(*index, end));
        if let Some(code) = end.outcome.failure {
            let event = Event::of_stream(EventCode::StreamFailed, *index);
            context.observer.event(Event { failure: Some(code), ..event });
            tracing::error!(stream = index, code = %code, text = end.text.for_customer(), "stream failed");
        }
        ends.push(end);
    }
    link.abort();
    ends
}

async fn one(plan: &Plan, (index, rows): (u32, u64), outer: &StopSignal, context: &Context) -> Result<StreamEnd, End> {
    let refused = |text| Fault::new(FailureCode::SpecRefused, text);
    let Some(stream) = usize::try_from(index).ok().and_then(|at| plan.streams.get(at)) else {
        return Err(refused("a stream was asked for that the plan does not have").into());
    };
    let Some(bucket) = context.destination.bucket() else {
        return Err(refused("a preview is written into a bucket, and this pipeline writes to a database").into());
    };
    let sizing = Sizing::new(&context.budget, 1, bucket.upload_buffer(), 0);
    let want = Want { lanes: 1, most: 1, batch_bytes: sizing.batch_bytes, row_bytes: sizing.row_bytes };
    let memory = context.stop.or_halt(context.budget.reserve(sizing.lane_bytes)).await?;
    let whole = as_whole(stream);
    let want = cast::wanted(&whole, want);
    let snapshot = context.stop.or_halt(context.source.open(&whole, None, want)).await??;
    let snapshot = cast::applied(snapshot, &whole)?;
    let mut lane = context.stop.or_halt(snapshot.lane()).await??;
    let told = Told { index, observer: context.observer.as_ref(), outer };
    let first = first(lane.as_mut(), rows, &told, &context.stop).await?;
    drop((lane, snapshot));
    let schema = first.first().map(|batch| batch.rows.schema());
    let files = match schema {
        None => Vec::new(),
        Some(schema) => {
            let target = target(bucket, context.run, (index, &stream.name), schema, sizing.row_group_bytes);
            let (runtime, stop) = (Handle::current(), context.stop.clone());
            let written = tokio::task::spawn_blocking(move || {
                let files = write(LaneWriter::new(target, runtime, stop), &first);
                drop(memory);
                files
            });
            written.await.map_err(|_| Fault::new(FailureCode::WorkerBug, "an encoder panicked"))??
        }
    };
    told.of_files(&files)?;
    let mut end = StreamEnd::blank(index, StreamState::Skipped);
    end.outcome.rows = files.iter().map(|file| file.rows).sum();
    end.outcome.bytes = files.iter().map(|file| file.bytes).sum();
    end.outcome.files = files.len() as u64;
    let event = Event::of_stream(EventCode::PreviewWritten, index);
    context.observer.event(Event { rows: Some(end.outcome.rows), bytes: Some(end.outcome.bytes), ..event });
    Ok(end)
}

/// The stream as a `full` load reads it, without what is asked of whole runs.
fn as_whole(stream: &StreamPlan) -> StreamPlan {
    StreamPlan {
        load: Load::Full,
        cursor: None,
        key: Vec::new(),
        deletes: Deletes::Keep,
        verify_count: false,
        checksums: Checksums::Off,
        expect: Vec::new(),
        ..stream.clone()
    }
}

/// Who hears of a stream's numbers as they come, as of a run's: a guard holds its ceilings against them.
struct Told<'a> {
    index: u32,
    observer: &'a dyn Observer,
    /// Raised at once where a ceiling is passed; the one that halts the work follows later.
    outer: &'a StopSignal,
}

impl Told<'_> {
    /// Before rows are written.
    fn of_rows(&self, rows: u64) -> Result<(), End> {
        self.of((rows, 0, 0))
    }

    fn of_files(&self, files: &[DataFile]) -> Result<(), End> {
        for file in files {
            let event = Event::of_stream(EventCode::PartUploaded, self.index);
            self.observer.event(Event { rows: Some(file.rows), bytes: Some(file.bytes), ..event });
        }
        let rows = files.iter().map(|file| file.rows).sum();
        self.of((rows, files.iter().map(|file| file.bytes).sum(), files.len() as u64))
    }

    fn of(&self, (rows, bytes, files): (u64, u64, u64)) -> Result<(), End> {
        // It waits all the while: a stream that was read can't end as one that nothing was delivered of.
        let (stream, state) = (self.index, StreamState::Waiting);
        self.observer.progress(Progress { stream, state, rows, bytes, files, rows_estimate: None });
        self.outer.halt().map_or(Ok(()), |halt| Err(halt.into()))
    }
}

/// So many rows at most, and no more than fit the memory.
async fn first(lane: &mut dyn Lane, rows: u64, told: &Told<'_>, stop: &StopSignal) -> Result<Vec<Batch>, End> {
    let mut left = usize::try_from(rows).unwrap_or(usize::MAX);
    let (mut batches, mut bytes) = (Vec::new(), 0);
    while left > 0 && bytes < MOST_BYTES {
        let Some(batch) = stop.or_halt(lane.next()).await?? else { break };
        let many = batch.rows.num_rows().min(left);
        left -= many;
        told.of_rows(rows - left as u64)?;
        let mut first = batch.slice(0, many);
        // What of a longer batch is left out needs no twin.
        first.twins.retain(|(_, texts)| texts.null_count() < texts.len());
        bytes += first.memory();
        batches.push(first);
    }
    Ok(batches)
}

/// JSON Lines as they are: every program that people have at hand shows them.
fn target(
    bucket: &Arc<dyn Bucket>,
    run: RunId,
    (index, name): (u32, &str),
    schema: arrow::datatypes::SchemaRef,
    row_group_bytes: usize,
) -> Target {
    let dir = key::preview(run, index, name);
    Target {
        bucket: Arc::clone(bucket),
        key: Arc::new(move |n, _| format!("{dir}{n:05}.jsonl")),
        begun: Arc::default(),
        twins: TwinSet::default(),
        partition: PartitionBy::default(),
        schema,
        files: Files { compression: Compression::None, ..Files::of(Format::Jsonl) },
        row_group_bytes,
        notes: Arc::default(),
        // Rows that can't be read are left out of what people look at.
        aside: None,
    }
}

fn write(mut writer: LaneWriter, batches: &[Batch]) -> Result<Vec<DataFile>, End> {
    let mut files = Vec::new();
    for batch in batches {
        writer.write(batch, |file| files.push(file))?;
    }
    writer.close(|file| files.push(file))?;
    Ok(files)
}
