//! Reading a stream of a database to its end with every lane at once, and looking at what came.

use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use async_trait::async_trait;
use waybill_model::plan::StreamPlan;
use waybill_pipeline::source::{Want, WindowNote};
use waybill_pipeline::{Batch, Credential, CursorState, FaultResult, Lane, Proof, Source};
use zeroize::Zeroizing;

/// A secret that was exchanged: whoever keeps it gives the old value until that is refused.
pub(crate) struct Rotated {
    old: String,
    new: String,
    refused: AtomicBool,
}

impl Rotated {
    pub(crate) fn of(old: &str, new: &str) -> Self {
        Self { old: old.to_owned(), new: new.to_owned(), refused: AtomicBool::new(false) }
    }

    pub(crate) fn was_refused(&self) -> bool {
        self.refused.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Credential for Rotated {
    async fn value(&self) -> FaultResult<Zeroizing<String>> {
        let text = if self.was_refused() { &self.new } else { &self.old };
        Ok(Zeroizing::new(text.clone()))
    }

    async fn anew(&self, refused: &str) -> FaultResult<Zeroizing<String>> {
        assert!(refused == self.old, "only the old one is refused");
        self.refused.store(true, Ordering::SeqCst);
        self.value().await
    }
}

/// A stream from the JSON of its keys beside `name`.
pub(crate) fn stream(name: &str, keys: serde_json::Value) -> StreamPlan {
    let mut plan = serde_json::json!({"name": name, "load": "full"});
    let serde_json::Value::Object(keys) = keys else { panic!("keys of a stream are an object") };
    plan.as_object_mut().expect("an object").extend(keys);
    serde_json::from_value(plan).expect("a stream")
}

pub(crate) fn full(name: &str) -> StreamPlan {
    stream(name, serde_json::json!({}))
}

pub(crate) const fn want(lanes: usize) -> Want {
    Want { lanes, most: lanes, batch_bytes: 8 << 20, row_bytes: 32 << 20 }
}

/// Everything that one reading of a stream gave.
pub(crate) struct Read {
    pub(crate) rows: RecordBatch,
    /// Twins over all rows, by the column's name.
    pub(crate) twins: std::collections::BTreeMap<String, StringArray>,
    pub(crate) coerced: std::collections::BTreeMap<String, u64>,
    pub(crate) proof: Proof,
    pub(crate) cursor: Option<CursorState>,
    pub(crate) note: WindowNote,
}

impl Read {
    pub(crate) fn column(&self, name: &str) -> ArrayRef {
        self.rows.column_by_name(name).unwrap_or_else(|| panic!("no column {name}")).clone()
    }

    pub(crate) fn text(&self, name: &str, row: usize) -> Option<String> {
        let column = self.column(name);
        let texts = column.as_string::<i32>();
        texts.is_valid(row).then(|| texts.value(row).to_owned())
    }

    pub(crate) fn twin(&self, name: &str, row: usize) -> Option<&str> {
        self.twins.get(name).filter(|twin| twin.is_valid(row)).map(|twin| twin.value(row))
    }

    pub(crate) fn sorted(&self, name: &str) -> Vec<i64> {
        let mut values: Vec<i64> = self.column(name).as_primitive::<Int64Type>().values().to_vec();
        values.sort_unstable();
        values
    }
}

/// Reads a stream to its end with every lane at once.
pub(crate) async fn read(source: &dyn Source, stream: &StreamPlan, lanes: usize) -> FaultResult<Read> {
    read_after(source, stream, None, lanes).await
}

pub(crate) async fn read_after(
    source: &dyn Source,
    stream: &StreamPlan,
    after: Option<&CursorState>,
    lanes: usize,
) -> FaultResult<Read> {
    let snapshot = source.open(stream, after, want(lanes)).await?;
    let mut open: Vec<Box<dyn Lane>> = Vec::new();
    for _ in 0..snapshot.lanes() {
        open.push(snapshot.lane().await?);
    }
    let mut batches = Vec::new();
    for lane in futures::future::join_all(open.into_iter().map(drain)).await {
        batches.extend(lane?);
    }
    let (cursor, note, schema) = (snapshot.cursor(), snapshot.window(), snapshot.schema());
    let proof = snapshot.finish().await?;
    let rows = concat_batches(&schema, batches.iter().map(|batch| &batch.rows)).expect("one schema");
    let mut twins = std::collections::BTreeMap::new();
    let mut coerced = std::collections::BTreeMap::new();
    for (place, field) in schema.fields().iter().enumerate() {
        let total: u64 = batches.iter().flat_map(|b| &b.coerced).filter(|(at, _)| *at == place).map(|(_, n)| n).sum();
        if total > 0 {
            coerced.insert(field.name().clone(), total);
        }
        if batches.iter().any(|batch| batch.twins.iter().any(|(at, _)| *at == place)) {
            twins.insert(field.name().clone(), whole_twin(&batches, place));
        }
    }
    Ok(Read { rows, twins, coerced, proof, cursor, note })
}

fn whole_twin(batches: &[Batch], place: usize) -> StringArray {
    let mut texts: Vec<Option<String>> = Vec::new();
    for batch in batches {
        match batch.twins.iter().find(|(at, _)| *at == place) {
            Some((_, twin)) => texts.extend(twin.iter().map(|text| text.map(str::to_owned))),
            None => texts.extend(std::iter::repeat_n(None, batch.rows.num_rows())),
        }
    }
    StringArray::from(texts)
}

pub(crate) async fn drain(mut lane: Box<dyn Lane>) -> FaultResult<Vec<Batch>> {
    let mut batches = Vec::new();
    while let Some(batch) = lane.next().await? {
        batches.push(batch);
    }
    Ok(batches)
}

/// The table below a directory that a pipeline of one stream wrote.
pub(crate) fn table_of(lake: &std::path::Path) -> std::path::PathBuf {
    let mut todo = vec![lake.to_path_buf()];
    while let Some(folder) = todo.pop() {
        if folder.join("_delta_log").is_dir() {
            return folder;
        }
        let entries = std::fs::read_dir(&folder).expect("a folder").flatten();
        todo.extend(entries.map(|entry| entry.path()).filter(|path| path.is_dir()));
    }
    panic!("no table was written");
}
