//! The merge of a `changed` stream, between its last row and its commit: what its key is, whether rows that the source has no
//! more are looked for, and which files it rewrites.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::SchemaRef;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use waybill_model::plan::{Deletes, Load};
use waybill_model::size::show_count;
use waybill_model::{FailureCode, Micros};

use super::load::Loaded;
use super::marked::DELETED_AT;
use super::place::Place;
use super::stream::StreamWork;
use crate::budget::Reservation;
use crate::commit::{DataFile, Drift, Merged};
use crate::database::DatabaseTable;
use crate::encode::{Target, partition};
use crate::fault::{Fault, FaultResult};
use crate::merge::{self, Existing, KeyRequest, SourceKeys, Sweep, Work};
use crate::source::Snapshot;
use crate::stop::End;

/// Places of the columns that rows are merged by, in the stream's schema; none for other loads.
#[derive(Default)]
pub(super) struct Key(Vec<usize>);

impl Key {
    pub(super) fn names(&self, schema: &SchemaRef) -> Vec<String> {
        self.0.iter().map(|at| schema.field(*at).name().clone()).collect()
    }
}

impl StreamWork<'_> {
    /// The key that the source proves, if rows can be told apart by it and the table's rows are merged by no other.
    pub(super) fn key(&self, snapshot: &dyn Snapshot, table: &Place) -> FaultResult<Key> {
        if self.plan.load != Load::Changed {
            return Ok(Key::default());
        }
        if !self.shared.plan.files.format.is_parquet() {
            let format = self.shared.plan.files.format;
            let text = format!("rows of {format} files can't be replaced: `load: changed` needs Parquet");
            return Err(Fault::new(FailureCode::SpecRefused, text));
        }
        if partition::has_run_day(&self.shared.plan.files) {
            let text =
                "rows that stay would be of another run's day: `load: changed` can't have `partition-by: [run.day]`";
            return Err(Fault::new(FailureCode::SpecRefused, text));
        }
        let (schema, names) = (snapshot.schema(), snapshot.key());
        if names.is_empty() {
            let text = "the source has no primary key or unique index that proves the stream's key";
            return Err(Fault::new(FailureCode::KeyUnusable, text));
        }
        let place = |name: &String| schema.index_of(name).ok();
        let places: Option<Vec<usize>> = names.iter().map(place).collect();
        let places = places.ok_or_else(|| Fault::new(FailureCode::WorkerBug, "a key's column is not in the stream"))?;
        merge::check_key(&schema, &places)?;
        let before = table.state().filter(|_| self.load != Load::Full).map_or(&[][..], |state| state.key.as_slice());
        if !before.is_empty() && before.iter().collect::<BTreeSet<_>>() != names.iter().collect() {
            let text = format!(
                "the table's rows are merged by ({}), and the stream's key is ({}) now: name the old one again, or run one \
                 `full` load",
                before.join(", "),
                names.join(", ")
            );
            return Err(Fault::new(FailureCode::KeyUnusable, text));
        }
        Ok(Key(places))
    }

    /// Whether rows that the source has no more are looked for. Where the table is replaced there are none, and a range
    /// does not tell.
    pub(super) fn sweeps(&self) -> bool {
        let is_merge = self.plan.load == Load::Changed && self.load != Load::Full;
        is_merge && self.plan.deletes != Deletes::Keep && !self.is_backfill()
    }

    /// Which rows of the table the new ones take the place of, and with a snapshot which the source has no more. Where there are
    /// none yet, only the keys are looked at.
    pub(super) async fn merge(
        &self,
        place: &Place,
        key: &Key,
        loaded: &Loaded,
        (coerced, drift, snapshot): (&BTreeMap<String, u64>, &Drift, Option<&dyn Snapshot>),
    ) -> Result<Merged, End> {
        if self.plan.load != Load::Changed || (loaded.meter.rows() == 0 && snapshot.is_none()) {
            return Ok(Merged::default());
        }
        // A database merges by statements of its own, and needs only the keys for what is gone.
        let Place::Files(table) = place else {
            if let (Place::Rows(table), Some(snapshot)) = (place, snapshot) {
                self.send_keys(table.as_ref(), key, snapshot).await?;
            }
            return Ok(Merged::default());
        };
        let target = loaded.way.files()?;
        check_values(&key.names(&target.schema), &loaded.files, coerced)?;
        let existing = if self.load == Load::Full { Vec::new() } else { table.existing()? };
        if existing.is_empty() {
            return Ok(Merged::default());
        }
        table.check_columns(&target.schema, &target.twins.places(), &drift.new)?;
        self.rewrite(key, loaded, existing, snapshot).await
    }

    /// A lane's memory, for what comes behind the lanes: none of this stream runs any more, and the place of the first one is kept
    /// until the commit, so that a stream that still reads does not take it away.
    pub(super) async fn room(&self) -> Result<Reservation, End> {
        let context = &self.shared.context;
        Ok(context.stop.or_halt(context.budget.reserve(self.shared.sizing.lane_bytes)).await?)
    }

    /// Sends the keys of all rows of the source into a database, which holds its own rows against them.
    async fn send_keys(&self, table: &dyn DatabaseTable, key: &Key, snapshot: &dyn Snapshot) -> Result<(), End> {
        let stop = &self.shared.context.stop;
        let Some(sink) = stop.or_halt(table.begin_keys(&key.0)).await?? else { return Ok(()) };
        let _room = self.room().await?;
        let mut lane = stop.or_halt(snapshot.keys()).await??;
        while let Some(batch) = stop.or_halt(lane.next()).await?? {
            merge::check_whole(&batch)?;
            if !sink.twins(&batch).is_empty() {
                let text = "values of the key do not fit its column's type in the table, so rows can't be told apart";
                return Err(Fault::new(FailureCode::KeyUnusable, text).into());
            }
            let chunk = sink.encode(&batch, &[])?;
            stop.or_halt(sink.send(chunk)).await??;
        }
        Ok(())
    }

    /// Within a lane's place and memory.
    async fn rewrite(
        &self,
        key: &Key,
        loaded: &Loaded,
        existing: Vec<Existing>,
        snapshot: Option<&dyn Snapshot>,
    ) -> Result<Merged, End> {
        let memory = self.room().await?;
        let (keys, asked) = SourceKeys::new();
        let work = self.work(key, loaded.way.files()?.clone(), snapshot.map(|_| keys));
        let fresh = loaded.files.clone();
        let merging = tokio::task::spawn_blocking(move || {
            let merged = merge::merge(&work, &fresh, &existing);
            drop(memory);
            merged
        });
        tokio::pin!(merging);
        let answering = self.give_keys(snapshot, asked);
        tokio::pin!(answering);
        let merged = tokio::select! {
            merged = &mut merging => merged,
            // Nobody asks any more, or nobody can.
            () = &mut answering => merging.as_mut().await,
        };
        merged.unwrap_or_else(|_| Err(Fault::new(FailureCode::WorkerBug, "a merge panicked").into()))
    }

    /// What the merge works with. A lane's row group and batches: half of a row group is under way again, and what is read of the
    /// table, its bits and the digests share the rest.
    pub(super) fn work(&self, key: &Key, mut target: Target, keys: Option<SourceKeys>) -> Work {
        let (context, sizing) = (&self.shared.context, &self.shared.sizing);
        let (half, batches) = (sizing.row_group_bytes / 2, sizing.queue * sizing.batch_bytes);
        target.row_group_bytes = half;
        let mark = target.schema.index_of(DELETED_AT).ok().filter(|_| self.plan.deletes == Deletes::Mark);
        let (at, shrink_guard) = (Micros::now().0, self.plan.shrink_guard);
        Work {
            target,
            key: key.0.clone(),
            memory: half / 2 + batches,
            digests: half / 2,
            sweep: keys.map(|keys| Sweep { mark, at, shrink_guard, keys }),
            runtime: Handle::current(),
            stop: context.stop.clone(),
        }
    }

    /// Opens a lane over the source's keys whenever the merge asks for one.
    async fn give_keys(&self, snapshot: Option<&dyn Snapshot>, mut asked: mpsc::Receiver<KeyRequest>) {
        let Some(snapshot) = snapshot else { return };
        while let Some(answer) = asked.recv().await {
            let lane = self.shared.context.stop.or_halt(snapshot.keys()).await;
            // Who asked may have ended meanwhile: its own result tells why.
            let _ = answer.send(lane.map_err(End::from).and_then(|lane| lane.map_err(End::from)));
        }
    }
}

/// A key must be whole in every row: neither NULL nor bent by a policy.
fn check_values(key: &[String], files: &[DataFile], coerced: &BTreeMap<String, u64>) -> FaultResult<()> {
    for name in key {
        if let Some(bent) = coerced.get(name) {
            let values = show_count(*bent, "value");
            let text = format!(
                "{values} without a place in the type of the key's column {name}: rows can't be told apart by it"
            );
            return Err(Fault::new(FailureCode::KeyUnusable, text));
        }
        let nulls: Option<u64> = files.iter().map(|file| file.stats.null_count.get(name).copied()).sum();
        let nulls =
            nulls.ok_or_else(|| Fault::new(FailureCode::WorkerBug, "a file does not tell the NULLs of its key"))?;
        if nulls > 0 {
            let text = format!("{nulls} of the rows that were read have NULL in the key's column {name}");
            return Err(Fault::new(FailureCode::KeyViolated, text));
        }
    }
    Ok(())
}
