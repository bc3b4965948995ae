//! A snapshot without some of its columns: those that the table has not and that are to be left out.
//!
//! The source reads them, and they end here: before a row is encoded, counted or sent anywhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use waybill_model::FailureCode;

use crate::fault::{Fault, FaultResult};
use crate::source::{Batch, CursorState, Lane, Proof, Snapshot, WindowNote};

/// The snapshot without these columns.
pub(super) fn narrowed(inner: Box<dyn Snapshot>, without: &[String]) -> FaultResult<Box<dyn Snapshot>> {
    if without.is_empty() {
        return Ok(inner);
    }
    let whole = inner.schema();
    let stays = whole.fields().iter().enumerate().filter(|(_, field)| !without.contains(field.name()));
    let places: Vec<usize> = stays.map(|(at, _)| at).collect();
    let schema = whole.project(&places).map(Arc::new).map_err(|_| bug())?;
    Ok(Box::new(Narrowed { inner, schema, places: places.into() }))
}

fn bug() -> Fault {
    Fault::new(FailureCode::WorkerBug, "rows do not fit their own schema without some columns")
}

struct Narrowed {
    inner: Box<dyn Snapshot>,
    schema: SchemaRef,
    /// Places of the columns that stay.
    places: Arc<[usize]>,
}

#[async_trait]
impl Snapshot for Narrowed {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn ranges(&self) -> usize {
        self.inner.ranges()
    }

    fn rows_estimate(&self) -> Option<u64> {
        self.inner.rows_estimate()
    }

    fn lanes(&self) -> usize {
        self.inner.lanes()
    }

    fn cursor(&self) -> Option<CursorState> {
        self.inner.cursor()
    }

    fn key(&self) -> Vec<String> {
        self.inner.key()
    }

    fn window(&self) -> WindowNote {
        self.inner.window()
    }

    async fn lane(&self) -> FaultResult<Box<dyn Lane>> {
        let now = self.places.iter().enumerate().map(|(now, was)| (*was, now)).collect();
        Ok(Box::new(NarrowedLane { inner: self.inner.lane().await?, places: Arc::clone(&self.places), now }))
    }

    async fn keys(&self) -> FaultResult<Box<dyn Lane>> {
        self.inner.keys().await
    }

    async fn finish(self: Box<Self>) -> FaultResult<Proof> {
        self.inner.finish().await
    }
}

struct NarrowedLane {
    inner: Box<dyn Lane>,
    places: Arc<[usize]>,
    /// Where a column stands now, by where it stood.
    now: BTreeMap<usize, usize>,
}

#[async_trait]
impl Lane for NarrowedLane {
    async fn next(&mut self) -> FaultResult<Option<Batch>> {
        let Some(batch) = self.inner.next().await? else { return Ok(None) };
        let now = |was: usize| self.now.get(&was).copied();
        Ok(Some(Batch {
            rows: batch.rows.project(&self.places).map_err(|_| bug())?,
            twins: batch.twins.into_iter().filter_map(|(at, texts)| Some((now(at)?, texts))).collect(),
            coerced: batch.coerced.into_iter().filter_map(|(at, count)| Some((now(at)?, count))).collect(),
        }))
    }
}
