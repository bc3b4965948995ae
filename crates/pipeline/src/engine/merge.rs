//! The merge of a `changed` stream, between its last row and its commit: what its key is, and which files it rewrites.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use tokio::runtime::Handle;
use waybill_model::FailureCode;
use waybill_model::plan::Load;

use super::load::Loaded;
use super::stream::StreamWork;
use crate::commit::{DataFile, Merged, Table};
use crate::fault::{Fault, FaultResult};
use crate::merge::{self, Existing, Work};
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
    pub(super) fn key(&self, snapshot: &dyn Snapshot, table: &Table) -> FaultResult<Key> {
        if self.plan.load != Load::Changed {
            return Ok(Key::default());
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

    /// Which rows of the table the new ones take the place of. Where there are none yet, only the keys are looked at.
    pub(super) async fn merge(
        &self,
        table: &Arc<Table>,
        key: &Key,
        loaded: &Loaded,
        coerced: &BTreeMap<String, u64>,
    ) -> Result<Merged, End> {
        if self.plan.load != Load::Changed || loaded.meter.rows() == 0 {
            return Ok(Merged::default());
        }
        let target = &loaded.target;
        check_values(&key.names(&target.schema), &loaded.files, coerced)?;
        let existing = if self.load == Load::Full { Vec::new() } else { table.existing()? };
        if existing.is_empty() {
            return Ok(Merged::default());
        }
        table.check_columns(&target.schema, &target.twins.places())?;
        self.rewrite(key, loaded, existing).await
    }

    /// Within a lane's place and memory: no lane of this stream runs any more.
    async fn rewrite(&self, key: &Key, loaded: &Loaded, existing: Vec<Existing>) -> Result<Merged, End> {
        let (context, sizing) = (&self.shared.context, &self.shared.sizing);
        let place = Arc::clone(&self.shared.lanes).acquire_owned();
        let gone = |_| Fault::new(FailureCode::WorkerBug, "the run's lanes are gone");
        let _place = context.stop.or_halt(place).await?.map_err(gone)?;
        let memory = context.stop.or_halt(context.budget.reserve(sizing.lane_bytes)).await?;
        // A lane's row group and batches: half of a row group is under way again, and what is read of the table, its bits
        // and the digests share the rest.
        let (half, batches) = (sizing.row_group_bytes / 2, sizing.queue * sizing.batch_bytes);
        let mut target = loaded.target.clone();
        target.row_group_bytes = half;
        let work = Work {
            target,
            key: key.0.clone(),
            memory: half / 2 + batches,
            digests: half / 2,
            runtime: Handle::current(),
            stop: context.stop.clone(),
        };
        let fresh = loaded.files.clone();
        let merging = tokio::task::spawn_blocking(move || {
            let merged = merge::merge(&work, &fresh, &existing);
            drop(memory);
            merged
        });
        merging.await.unwrap_or_else(|_| Err(Fault::new(FailureCode::WorkerBug, "a merge panicked").into()))
    }
}

/// A key must be whole in every row: neither NULL nor bent by a policy.
fn check_values(key: &[String], files: &[DataFile], coerced: &BTreeMap<String, u64>) -> FaultResult<()> {
    for name in key {
        if let Some(bent) = coerced.get(name) {
            let text =
                format!("{bent} values of the key's column {name} do not fit its type, so they can't tell rows apart");
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
