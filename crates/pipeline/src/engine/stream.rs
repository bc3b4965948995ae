//! One stream from the table as it was found to the commit: open, adopt, read and write, prove, prepare, commit.
//!
//! Whatever fails before the commit leaves readers with what they saw before; files that were written stay as garbage
//! for a later sweep, since an earlier commit of this run might hold them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use waybill_model::event::{Event, EventCode};
use waybill_model::plan::{Load, StreamPlan};
use waybill_model::receipt::{ColumnDrift, Grade};
use waybill_model::run::StreamState;
use waybill_model::{Epoch, FailureCode, Micros, fault};

use super::limited::limited;
use super::marked::marked;
use super::meter::Meter;
use super::place::{Place, Ready};
use super::{Shared, StreamEnd};
use crate::cast;
use crate::commit::{Committed, DataFile, Delivered, Delivery, Origin, Outcome};
use crate::expect::{Expectations, Expected};
use crate::fault::{Fault, FaultResult};
use crate::source::{CursorState, Proof, Snapshot, Want};
use crate::stop::End;
use crate::sums;

/// Once leave is given a commit is not broken off, so it has a bound of its own: less than a grant's age.
const COMMIT_BOUND: Duration = Duration::from_secs(40);
/// Waits between tries to settle a commit.
const SETTLE: [Duration; 3] = [Duration::from_millis(300), Duration::from_secs(2), Duration::from_secs(6)];

/// Runs one stream; its first lane's place is taken.
pub(super) async fn run(shared: &Shared, index: u32, first: OwnedSemaphorePermit) -> StreamEnd {
    let observer = &shared.context.observer;
    let Some(plan) = usize::try_from(index).ok().and_then(|at| shared.plan.streams.get(at)) else {
        let fault = Fault::new(FailureCode::SpecRefused, "a stream was asked for that the plan does not have");
        return StreamEnd::ended(index, fault.into());
    };
    let (drift, expected) = (ColumnDrift::default(), Vec::new());
    let mut work = StreamWork { shared, index, plan, load: plan.load, epoch: None, drift, expected };
    let end = match work.deliver(first).await {
        Ok(end) => end,
        Err(end) => StreamEnd::ended(index, end),
    };
    if let Some(code) = end.outcome.failure {
        let event = Event::of_stream(EventCode::StreamFailed, index);
        observer.event(Event { failure: Some(code), ..event });
        tracing::error!(stream = %plan.name, code = %code, text = end.text.for_customer(), "stream failed");
    }
    let outcome = waybill_model::receipt::StreamOutcome { epoch: work.epoch, columns: work.drift, ..end.outcome };
    StreamEnd { outcome, expected: work.expected, ..end }
}

/// A stream under way.
pub(super) struct StreamWork<'a> {
    pub(super) shared: &'a Shared,
    pub(super) index: u32,
    pub(super) plan: &'a StreamPlan,
    /// How its rows come into the table: the first ones of a stream with windows after a `full` load replace what that one left.
    pub(super) load: Load,
    /// The newest epoch known to be in the table.
    epoch: Option<Epoch>,
    /// Columns that were found to be others than the table's.
    pub(super) drift: ColumnDrift,
    /// How its expectations came out.
    pub(super) expected: Vec<Expected>,
}

impl StreamWork<'_> {
    async fn deliver(&mut self, first: OwnedSemaphorePermit) -> Result<StreamEnd, End> {
        let context = &self.shared.context;
        let load = if self.is_replace() { Load::Full } else { self.load };
        sums::check(&self.shared.plan, self.plan, &context.destination)?;
        let opening = Place::open(context, (self.plan, load), &self.shared.plan);
        let table = context.stop.or_halt(opening).await??;
        self.epoch = table.epoch();
        table.check_epoch(context.accepted)?;
        if let Some(delivered) = table.delivered(context.run) {
            context.stop.or_halt(table.settle()).await??;
            return Ok(self.adopted(&delivered));
        }
        self.check_errand(&table)?;
        let epoch = self.own_epoch(&table)?;
        let after = self.start_from(&table)?;
        // Before rows are read that could not be committed.
        table.check_proven(self.load)?;
        let permits = self.take_lanes(first);
        let sizing = &self.shared.sizing;
        let (lanes, most) = (permits.len(), sizing.lanes);
        let want = Want { lanes, most, batch_bytes: sizing.batch_bytes, row_bytes: sizing.row_bytes };
        let want = cast::wanted(self.plan, want);
        let reading = self.reading().await?;
        let snapshot = context.stop.or_halt(context.source.open(&reading, after.as_ref(), want)).await??;
        if snapshot.window().is_empty {
            return self.unchanged(snapshot, &table).await;
        }
        let snapshot = marked(cast::applied(snapshot, self.plan)?, self.plan)?;
        let (snapshot, mut drift) = self.decide(snapshot, &table)?;
        let snapshot = limited(snapshot, self.limit());
        self.tell_opened(snapshot.as_ref());
        self.check_held(snapshot.window())?;
        fault::point("snapshot_open");

        let schema = snapshot.schema();
        let cursor = self.cursor_behind(snapshot.cursor(), &table);
        let takes_files = cursor.as_ref().is_some_and(CursorState::takes_files);
        if takes_files && context.destination.bucket().is_none() {
            let text =
                "`load: new` of files into a database is not built yet: write `load: full`, or write into a bucket";
            return Err(Fault::new(FailureCode::SpecRefused, text).into());
        }
        let window = self.plan.load.has_window().then(|| snapshot.window());
        let key = self.key(snapshot.as_ref(), &table)?;
        let way = self.begin((snapshot.as_ref(), epoch), &table, &mut drift).await?;
        let loaded = self.load(snapshot.as_ref(), way, permits).await?;
        fault::point("last_part");
        let names = |at: &usize| schema.field(*at).name().clone();
        let coerced: BTreeMap<String, u64> = loaded.meter.coerced().iter().map(|(at, n)| (names(at), *n)).collect();
        // Which rows the source has no more can be asked only while its snapshot is open.
        let swept = match self.sweeps() {
            true => Some(self.merge(&table, &key, &loaded, (&coerced, &drift, Some(snapshot.as_ref()))).await?),
            false => None,
        };
        let proof = context.stop.or_halt(snapshot.finish()).await??;
        let proof = self.compare_sums(&loaded, proof).await?;
        let rows = loaded.meter.rows();
        check_count(rows, &loaded.files, &proof)?;
        self.check_aside(rows, &loaded)?;
        self.judge(&table, &loaded.expected, rows).await?;
        fault::point("files_closed");
        let merged = match swept {
            Some(merged) => merged,
            None => self.merge(&table, &key, &loaded, (&coerced, &drift, None)).await?,
        };
        fault::point("merged");
        let delivery = Delivery {
            run: context.run,
            attempt: context.attempt,
            epoch,
            // A window in which nothing is found commits nothing, also where it would have begun anew.
            load: if rows == 0 && !self.is_replace() && !takes_files { self.plan.load } else { self.load },
            errand: self.errand().cloned(),
            files: loaded.files,
            aside: loaded.aside,
            merged,
            schema: Arc::clone(&schema),
            twins: loaded.way.twins(),
            key: key.names(&schema),
            origin: Origin::of(&self.shared.plan.from.system, self.plan),
            cursor_column: cursor.is_some().then(|| self.plan.cursor.as_ref().map(|c| c.column.clone())).flatten(),
            cursor,
            window,
            drift,
            proof,
            coerced,
            expected: self.expected.clone(),
            shrink_guard: self.shrink_guard(&table),
        };
        loaded.meter.tell(StreamState::Committing);
        self.commit(&table, &delivery, (&loaded.meter, loaded.lead)).await
    }

    /// Ends a stream of which nothing is new before a row or a column is known.
    async fn unchanged(&mut self, snapshot: Box<dyn Snapshot>, table: &Place) -> Result<StreamEnd, End> {
        self.tell_opened(snapshot.as_ref());
        let meter = Meter::new(self.index, Arc::clone(&self.shared.context.observer), Some(0));
        let proof = self.shared.context.stop.or_halt(snapshot.finish()).await??;
        self.judge(table, &Arc::new(Expectations::of_no_rows(self.plan)), 0).await?;
        Ok(self.nothing(&meter, proof.grade))
    }

    /// How a stream ends that commits nothing, since nothing is new.
    fn nothing(&mut self, meter: &Meter, grade: Grade) -> StreamEnd {
        // Columns come into the table with rows.
        self.drift = ColumnDrift { ignored: self.drift.ignored, ..ColumnDrift::default() };
        self.shared.context.observer.event(Event::of_stream(EventCode::StreamUnchanged, self.index));
        meter.tell(StreamState::Committed);
        let mut end = StreamEnd::blank(self.index, StreamState::Committed);
        end.outcome.grade = grade;
        end
    }

    /// The attempt's epoch, or the table's next one where there is no orchestrator. A higher one in the table fences.
    fn own_epoch(&self, table: &Place) -> FaultResult<Epoch> {
        let (found, now) = (table.epoch(), Micros::now());
        match (self.shared.context.epoch, found) {
            (None, found) => Ok(Epoch::next(found, now)),
            (Some(own), Some(found)) if found >= own => {
                // The table accepted one that the pipeline knows nothing of: no attempt of today took over.
                let ahead = found.is_ahead(now, self.shared.context.accepted);
                let code = if ahead { FailureCode::EpochAhead } else { FailureCode::Fenced };
                Err(Fault::new(code, format!("the table has epoch {found}, this attempt {own}")))
            }
            (Some(own), _) => Ok(own),
        }
    }

    /// The first lane's place, and more as long as the other streams have theirs.
    fn take_lanes(&self, first: OwnedSemaphorePermit) -> Vec<OwnedSemaphorePermit> {
        let mut permits = vec![first];
        while self.limit().is_none() && permits.len() < self.shared.fair_lanes() {
            let Ok(permit) = Arc::clone(&self.shared.lanes).try_acquire_owned() else { break };
            permits.push(permit);
        }
        permits
    }

    fn tell_opened(&self, snapshot: &dyn Snapshot) {
        let event = |code| Event::of_stream(code, self.index);
        let observer = &self.shared.context.observer;
        observer.event(Event { count: Some(snapshot.ranges() as u64), ..event(EventCode::SnapshotOpened) });
        let note = snapshot.window();
        if note.held {
            observer.event(event(EventCode::WindowHeld));
        }
        if note.fixed_lag {
            observer.event(event(EventCode::WindowFixedLag));
        }
        if note.null_cursors > 0 {
            observer.event(Event { count: Some(note.null_cursors), ..event(EventCode::CursorNulls) });
        }
        if note.rewritten > 0 {
            observer.event(Event { count: Some(note.rewritten), ..event(EventCode::FilesRewritten) });
        }
    }

    /// Commits what was read. The stream's place is kept until all is ready: no other stream takes memory that this may need.
    async fn commit(
        &mut self,
        table: &Place,
        delivery: &Delivery,
        (meter, place): (&Meter, Option<OwnedSemaphorePermit>),
    ) -> Result<StreamEnd, End> {
        let context = &self.shared.context;
        // A list of files goes up in parts, as data files do.
        let takes_files = delivery.cursor.as_ref().is_some_and(CursorState::takes_files);
        let buffer = if takes_files { context.destination.buffer() } else { 0 };
        let memory = context.stop.or_halt(context.budget.reserve(buffer)).await?;
        let Some(prepared) = context.stop.or_halt(table.prepare(delivery)).await?? else {
            return Ok(self.nothing(meter, delivery.proof.grade));
        };
        drop((memory, place));
        fault::point("before_prepare");
        context.stop.or_halt(context.gate.prepare(self.index, prepared.digest)).await??;
        fault::point("prepare_granted");
        let end = match settle(table, &prepared).await? {
            Outcome::Adopted(delivered) => Ok(self.adopted(&delivered)),
            Outcome::Overtaken => {
                let text = "an earlier run's commit landed meanwhile; the next attempt starts from its state";
                Err(Fault::new(FailureCode::CommitUnknown, text).into())
            }
            Outcome::Landed(committed) => {
                self.epoch = Some(delivery.epoch);
                meter.tell(StreamState::Committed);
                Ok(self.landed(&committed, delivery, (table.files(delivery), &prepared)))
            }
        };
        // Whoever waits for the commit has heard of it.
        table.after_commit().await;
        end
    }

    fn landed(&self, committed: &Committed, delivery: &Delivery, (files, ready): (u64, &Ready)) -> StreamEnd {
        let observer = &self.shared.context.observer;
        let event = |code| Event::of_stream(code, self.index);
        if committed.rebased {
            observer.event(event(EventCode::CommitRebased));
        }
        if committed.read_back {
            observer.event(event(EventCode::CommitReadBack));
        }
        let coerced = delivery.coerced.values().sum();
        if coerced > 0 {
            observer.event(Event { count: Some(coerced), ..event(EventCode::ValuesCoerced) });
        }
        for (code, count) in
            [(EventCode::ColumnsAdded, self.drift.new), (EventCode::ColumnsIgnored, self.drift.ignored)]
        {
            if count > 0 {
                observer.event(Event { count: Some(count), ..event(code) });
            }
        }
        let taken = delivery.merged.taken();
        if taken > 0 {
            observer.event(Event { count: Some(taken), ..event(EventCode::RowsReplaced) });
        }
        let deleted = ready.swept.removed + ready.swept.marked;
        if deleted > 0 {
            observer.event(Event { count: Some(deleted), ..event(EventCode::RowsDeleted) });
        }
        let (rows, bytes) = (delivery.rows(), delivery.bytes());
        observer.event(Event { rows: Some(rows), bytes: Some(bytes), ..event(EventCode::StreamCommitted) });
        let mut end = StreamEnd::blank(self.index, StreamState::Committed);
        end.outcome.rows = rows;
        end.outcome.bytes = bytes;
        end.outcome.files = files;
        end.outcome.coerced = coerced;
        end.outcome.grade = delivery.proof.grade;
        end.outcome.version = Some(committed.version);
        end.outcome.receipt = Some(hex::encode(ready.receipt));
        end
    }

    fn adopted(&mut self, delivered: &Delivered) -> StreamEnd {
        self.epoch = Some(delivered.epoch);
        self.drift = delivered.drift;
        let event = Event::of_stream(EventCode::CommitAdopted, self.index);
        self.shared.context.observer.event(Event { rows: Some(delivered.rows), ..event });
        self.tell_aside(delivered.aside);
        let mut end = StreamEnd::blank(self.index, StreamState::Committed);
        end.outcome.rows = delivered.rows;
        end.outcome.bytes = delivered.bytes;
        end.outcome.files = delivered.files;
        end.outcome.coerced = delivered.coerced;
        end.outcome.grade = delivered.grade;
        end.outcome.version = Some(delivered.version);
        end.outcome.receipt = Some(hex::encode(delivered.receipt_digest));
        end.outcome.adopted = true;
        end
    }
}

/// Rows in the files are the rows that were read, and those that the source counted where it was asked to.
fn check_count(rows: u64, files: &[DataFile], proof: &Proof) -> FaultResult<()> {
    let written: u64 = files.iter().map(|file| file.rows).sum();
    if written != rows {
        return Err(Fault::new(FailureCode::WorkerBug, format!("{rows} rows were read, but {written} were written")));
    }
    match proof.source_count {
        Some(counted) if counted != rows => {
            let text = format!("the source counts {counted} rows in the same snapshot, but {rows} were read");
            Err(Fault::new(FailureCode::SourceIncomplete, text))
        }
        _ => Ok(()),
    }
}

/// Commits, and asks again while the destination can't be reached or the outcome can't be read.
async fn settle(table: &Place, prepared: &Ready) -> FaultResult<Outcome> {
    let tries = async {
        let mut waits = SETTLE.into_iter();
        loop {
            let fault = match table.commit(prepared).await {
                Ok(outcome) => return Ok(outcome),
                Err(fault) => fault,
            };
            let passing = matches!(
                fault.code,
                FailureCode::CommitUnknown
                    | FailureCode::BucketUnreachable
                    | FailureCode::BucketThrottled
                    | FailureCode::TargetUnreachable
            );
            match waits.next() {
                Some(wait) if passing => tokio::time::sleep(wait).await,
                _ => return Err(fault),
            }
        }
    };
    let late =
        || Fault::new(FailureCode::CommitUnknown, "the destination did not tell in time whether the commit landed");
    tokio::time::timeout(COMMIT_BOUND, tries).await.unwrap_or_else(|_| Err(late()))
}
