//! A source that is right in all but its rows: each batch is bent on its way, as a decoder with a defect would.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use waybill_model::plan::StreamPlan;
use waybill_pipeline::source::{Table, Want, WindowNote};
use waybill_pipeline::{Batch, CursorState, FaultResult, Lane, Proof, Snapshot, Source};

/// What becomes of a batch.
pub(super) type Bend = fn(Batch) -> Batch;

/// The source within, whose rows are bent.
pub(super) struct Bent {
    pub(super) inner: Arc<dyn Source>,
    pub(super) bend: Bend,
}

#[async_trait]
impl Source for Bent {
    async fn reach(&self) -> FaultResult<()> {
        self.inner.reach().await
    }
    async fn check(&self, stream: &StreamPlan) -> FaultResult<()> {
        self.inner.check(stream).await
    }
    async fn discover(&self) -> FaultResult<Vec<Table>> {
        self.inner.discover().await
    }
    async fn open(
        &self,
        stream: &StreamPlan,
        after: Option<&CursorState>,
        want: Want,
    ) -> FaultResult<Box<dyn Snapshot>> {
        let inner = self.inner.open(stream, after, want).await?;
        Ok(Box::new(BentSnapshot { inner, bend: self.bend }))
    }
}

struct BentSnapshot {
    inner: Box<dyn Snapshot>,
    bend: Bend,
}

#[async_trait]
impl Snapshot for BentSnapshot {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
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
        Ok(Box::new(BentLane { inner: self.inner.lane().await?, bend: self.bend }))
    }
    async fn keys(&self) -> FaultResult<Box<dyn Lane>> {
        self.inner.keys().await
    }
    async fn finish(self: Box<Self>) -> FaultResult<Proof> {
        self.inner.finish().await
    }
}

struct BentLane {
    inner: Box<dyn Lane>,
    bend: Bend,
}

#[async_trait]
impl Lane for BentLane {
    async fn next(&mut self) -> FaultResult<Option<Batch>> {
        Ok(self.inner.next().await?.map(self.bend))
    }
}
