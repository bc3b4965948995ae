//! The lanes of one stream: opened within the budget, run beside each other, ended together.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;
use waybill_model::plan::BadRows;
use waybill_model::run::StreamState;
use waybill_model::{Epoch, FailureCode};

use super::lane;
use super::lane::{LaneWork, Written};
use super::meter::Meter;
use super::stream::StreamWork;
use crate::bucket::Bucket;
use crate::budget::Reservation;
use crate::commit::{DataFile, Table};
use crate::encode::{AsideTarget, PartitionBy, Target, TwinSet, Way};
use crate::expect::Expectations;
use crate::fault::{Fault, FaultResult};
use crate::source::{Lane, Snapshot};
use crate::stop::{Directive, End, StopSignal, stop_pair};

/// What the lanes brought.
pub(super) struct Loaded {
    pub(super) files: Vec<DataFile>,
    /// Files of rows that were set aside.
    pub(super) aside: Vec<DataFile>,
    pub(super) way: Way,
    pub(super) meter: Arc<Meter>,
    /// What the rows were held against.
    pub(super) expected: Arc<Expectations>,
    /// The place of the first lane: of the connection that holds the snapshot until that is finished, and then of what comes before
    /// the commit.
    pub(super) lead: Option<OwnedSemaphorePermit>,
}

/// A lane with its memory.
type Opened = (Box<dyn Lane>, Arc<Reservation>);

/// What every lane of a stream works with.
struct Parts {
    way: Way,
    stop: StopSignal,
    meter: Arc<Meter>,
    expected: Arc<Expectations>,
}

/// The lanes that run.
struct Lanes {
    running: JoinSet<Result<Written, End>>,
    lead: Option<OwnedSemaphorePermit>,
    parts: Parts,
    queue: usize,
}

impl Lanes {
    /// Sets a lane going. The first one's place outlives it.
    fn start(&mut self, (lane, memory): Opened, permit: OwnedSemaphorePermit) {
        let Parts { way, stop, meter, expected } = &self.parts;
        let (way, stop) = (way.clone(), stop.clone());
        let (meter, expected, queue) = (Arc::clone(meter), Arc::clone(expected), self.queue);
        let work = LaneWork { way, stop, meter, expected, queue, memory };
        let permit = match self.lead {
            None => {
                self.lead = Some(permit);
                None
            }
            Some(_) => Some(permit),
        };
        self.running.spawn(async move {
            let written = lane::run(lane, work).await;
            drop(permit);
            written
        });
    }
}

impl StreamWork<'_> {
    /// Runs the lanes to their ends. The first real failure stops the others and is the stream's.
    pub(super) async fn load(
        &self,
        snapshot: &dyn Snapshot,
        way: Way,
        mut permits: Vec<OwnedSemaphorePermit>,
    ) -> Result<Loaded, End> {
        let context = &self.shared.context;
        let expected = Arc::new(self.expectations(snapshot).await?);
        let most = snapshot.lanes().max(1);
        permits.truncate(most);
        let meter = Arc::new(Meter::new(self.index, Arc::clone(&context.observer), snapshot.rows_estimate()));
        meter.tell(StreamState::Reading);
        let (switch, stop) = stop_pair();
        switch.raise(context.stop.current());
        let (outer, inner) = (context.stop.clone(), switch.clone());
        let link = tokio::spawn(async move { outer.forward(inner).await });
        let parts = Parts { way: way.clone(), stop, meter: Arc::clone(&meter), expected: Arc::clone(&expected) };
        let mut lanes = Lanes { running: JoinSet::new(), lead: None, parts, queue: self.shared.sizing.queue };
        let mut failed: Option<End> = None;
        let mut late = most.saturating_sub(permits.len());
        for permit in permits {
            match self.open_lane(snapshot, &lanes.parts.stop).await {
                Ok(opened) => lanes.start(opened, permit),
                Err(end) => {
                    failed = Some(end);
                    switch.raise(Directive::Cancel);
                    break;
                }
            }
        }
        let (mut files, mut aside) = (Vec::new(), Vec::new());
        loop {
            let joined = tokio::select! {
                joined = lanes.running.join_next() => joined,
                more = self.late_lane(snapshot, &lanes.parts.stop), if late > 0 && failed.is_none() => {
                    late = more.map_or(0, |(opened, permit)| {
                        lanes.start(opened, permit);
                        late - 1
                    });
                    continue;
                }
            };
            let Some(joined) = joined else { break };
            // A lane ends where no range is left, so another one would find none.
            late = 0;
            match joined.unwrap_or_else(|_| Err(Fault::new(FailureCode::WorkerBug, "a lane panicked").into())) {
                Ok(written) => {
                    files.extend(written.files);
                    aside.extend(written.aside);
                }
                Err(end) => {
                    // What the others say after this is only that they were stopped.
                    failed.get_or_insert(end);
                    switch.raise(Directive::Cancel);
                }
            }
        }
        link.abort();
        match (failed, context.stop.halt()) {
            (Some(_), Some(halt)) => Err(halt.into()),
            (Some(end), None) => Err(end),
            (None, _) => Ok(Loaded { files, aside, way, meter, expected, lead: lanes.lead }),
        }
    }

    /// One more lane, as soon as another stream leaves its place and none waits for its first; none where it can't be opened:
    /// those that run read its ranges.
    async fn late_lane(&self, snapshot: &dyn Snapshot, stop: &StopSignal) -> Option<(Opened, OwnedSemaphorePermit)> {
        self.shared.unplaced.subscribe().wait_for(|streams| *streams == 0).await.ok()?;
        let permit = Arc::clone(&self.shared.lanes).acquire_owned().await.ok()?;
        match self.open_lane(snapshot, stop).await {
            Ok(opened) => Some((opened, permit)),
            Err(End::Fault(fault)) => {
                tracing::info!(code = fault.code.as_str(), "no further lane could be opened: those that read go on");
                None
            }
            Err(End::Halt(_)) => None,
        }
    }

    /// What the stream expects of these rows, with the memory that it takes.
    async fn expectations(&self, snapshot: &dyn Snapshot) -> Result<Expectations, End> {
        let (context, each) = (&self.shared.context, self.shared.sizing.seen_bytes);
        let memory = match self.plan.uniques() {
            0 => None,
            uniques => Some(context.stop.or_halt(context.budget.reserve((uniques * each) as u64)).await?),
        };
        Ok(Expectations::of(self.plan, &snapshot.schema(), (memory, each))?)
    }

    /// Draws a lane's memory, then opens it.
    async fn open_lane(&self, snapshot: &dyn Snapshot, stop: &StopSignal) -> Result<Opened, End> {
        let bytes = self.shared.sizing.lane_bytes;
        let memory = stop.or_halt(self.shared.context.budget.reserve(bytes)).await?;
        let lane = stop.or_halt(snapshot.lane()).await??;
        Ok((lane, Arc::new(memory)))
    }

    /// What lanes write files by.
    pub(super) fn target(
        &self,
        (snapshot, epoch): (&dyn Snapshot, Epoch),
        bucket: &Arc<dyn Bucket>,
        table: &Arc<Table>,
    ) -> FaultResult<Target> {
        let context = &self.shared.context;
        let schema = snapshot.schema();
        let in_table = |name: &str| {
            self.load.has_window()
                && table.state().is_some_and(|state| state.columns.iter().any(|(column, _)| column == name))
        };
        let twins = TwinSet::known(&schema, in_table);
        let (run, attempt) = (context.run, context.attempt);
        let namer = Arc::clone(table);
        let aside = (self.plan.bad_rows == BadRows::Quarantine).then(|| {
            let (namer, bucket) = (Arc::clone(table), Arc::clone(bucket));
            AsideTarget { bucket, key: Arc::new(move |n| namer.aside_key(epoch, attempt, n)), begun: Arc::default() }
        });
        table.check_partition(self.load)?;
        let partition = PartitionBy::of(&schema, &self.shared.plan.files, run)?;
        Ok(Target {
            bucket: Arc::clone(bucket),
            key: Arc::new(move |n, partition| namer.data_key_in(run, attempt, n, partition)),
            partition,
            begun: Arc::default(),
            schema,
            twins,
            files: self.shared.plan.files.clone(),
            row_group_bytes: self.shared.sizing.row_group_bytes,
            notes: Arc::new(vec![("waybill.run".to_owned(), run.to_string())]),
            aside,
        })
    }
}
