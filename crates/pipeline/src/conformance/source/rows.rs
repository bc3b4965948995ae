//! The rows that a subject of the suite holds, and what a reading of them gave.

use arrow::array::{Array, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use waybill_model::plan::StreamPlan;

use crate::fault::FaultResult;
use crate::source::{Lane, Proof, Source, Want};

/// The columns of every table: a whole number, a text that may be NULL, a text.
pub const COLUMNS: [&str; 3] = ["id", "note", "region"];

/// Rows of `large`.
pub const LARGE: usize = 4_000;

/// A row's values as text.
pub type Row = Vec<Option<String>>;

fn row(id: usize, note: Option<&str>, region: &str) -> Row {
    vec![Some(id.to_string()), note.map(str::to_owned), Some(region.to_owned())]
}

/// The rows of `items`, by id.
#[must_use]
pub fn items() -> Vec<Row> {
    let notes = [
        Some("plain"),
        None,
        Some(""),
        Some("two\nlines, \"quoted\" and 'single'"),
        Some("ünï 🦀 \u{200b}"),
        Some("x' OR ''='"),
        Some("NULL"),
        Some("back\\slash \\N {1,2}"),
        Some(" kept  "),
    ];
    let regions = ["north", "south"];
    notes.iter().enumerate().map(|(at, note)| row(at + 1, *note, regions[at % 2])).collect()
}

/// The rows of `large`, by id: about 500 bytes each, none like another.
pub fn large() -> impl Iterator<Item = Row> {
    (1..=LARGE).map(|id| row(id, Some(&format!("{id:08} {}", "x".repeat(480))), "north"))
}

/// Rows in an order of their own.
pub(super) fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort();
    rows
}

/// What a reading gave.
pub(super) struct Read {
    pub(super) columns: Vec<String>,
    /// By the first column as a number, where it is one.
    pub(super) rows: Vec<Row>,
    pub(super) batches: usize,
    /// Bytes of the largest batch in memory.
    pub(super) largest: usize,
    /// Values that did not arrive as they are.
    pub(super) altered: u64,
    pub(super) proof: Proof,
}

impl Read {
    pub(super) fn sorted(&self) -> Vec<Row> {
        sorted(self.rows.clone())
    }
}

/// Reads a stream to its proven end with all its lanes at once.
pub(super) async fn read(source: &dyn Source, stream: &StreamPlan, want: Want) -> FaultResult<Read> {
    let snapshot = source.open(stream, None, want).await?;
    let mut lanes = Vec::new();
    for _ in 0..snapshot.lanes() {
        lanes.push(snapshot.lane().await?);
    }
    let mut batches = Vec::new();
    for drained in futures::future::join_all(lanes.into_iter().map(drain)).await {
        batches.extend(drained?);
    }
    let columns = snapshot.schema().fields().iter().map(|field| field.name().clone()).collect();
    let mut rows: Vec<Row> = batches.iter().flat_map(|(batch, _)| texts(batch)).collect();
    rows.sort_by_key(|row| row[0].as_ref().and_then(|id| id.parse::<usize>().ok()));
    let largest = batches.iter().map(|(batch, _)| batch.get_array_memory_size()).max().unwrap_or(0);
    let altered = batches.iter().map(|(_, altered)| altered).sum();
    let proof = snapshot.finish().await?;
    Ok(Read { columns, rows, batches: batches.len(), largest, altered, proof })
}

async fn drain(mut lane: Box<dyn Lane>) -> FaultResult<Vec<(RecordBatch, u64)>> {
    let mut batches = Vec::new();
    while let Some(batch) = lane.next().await? {
        let altered = batch.coerced.iter().map(|(_, count)| count).sum::<u64>() + batch.twins.len() as u64;
        batches.push((batch.rows, altered));
    }
    Ok(batches)
}

fn texts(batch: &RecordBatch) -> Vec<Row> {
    let options = FormatOptions::default();
    let columns: Vec<_> = batch
        .columns()
        .iter()
        .map(|column| {
            (column, ArrayFormatter::try_new(column.as_ref(), &options).expect("a column of numbers or text"))
        })
        .collect();
    let text =
        |at: usize| columns.iter().map(move |(column, shown)| column.is_valid(at).then(|| shown.value(at).to_string()));
    (0..batch.num_rows()).map(|at| text(at).collect()).collect()
}
