//! A source, or one snapshot of it, whose rows go through a step on their way: changed, or held back. Everything else is as the one
//! within says; nothing is answered here in its place.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use waybill_model::errand::Range;
use waybill_model::plan::{Condition, StreamPlan};

use super::{Batch, CursorState, Lane, Proof, Snapshot, Source, Table, Want, WindowNote};
use crate::fault::FaultResult;

/// What becomes of rows between a source and whoever asked for them.
#[async_trait]
pub trait Step: Send + Sync + 'static {
    /// Of the stream's rows.
    async fn rows(&self, batch: Batch) -> FaultResult<Batch>;

    /// Of keys alone, which have columns of their own.
    async fn keys(&self, batch: Batch) -> FaultResult<Batch> {
        Ok(batch)
    }
}

/// The source behind the step, which leaves the columns as they are: all its snapshots and lanes go through the one step.
pub fn stepped(source: Arc<dyn Source>, step: impl Step) -> Arc<dyn Source> {
    Arc::new(Stepped { inner: source, step: Arc::new(step) })
}

struct Stepped {
    inner: Arc<dyn Source>,
    step: Arc<dyn Step>,
}

#[async_trait]
impl Source for Stepped {
    async fn reach(&self) -> FaultResult<()> {
        self.inner.reach().await
    }

    async fn check(&self, stream: &StreamPlan) -> FaultResult<()> {
        self.inner.check(stream).await
    }

    async fn discover(&self) -> FaultResult<Vec<Table>> {
        self.inner.discover().await
    }

    fn throttled(&self) -> u64 {
        self.inner.throttled()
    }

    async fn range(&self, stream: &StreamPlan, range: &Range) -> FaultResult<Vec<Condition>> {
        self.inner.range(stream, range).await
    }

    async fn open(
        &self,
        stream: &StreamPlan,
        after: Option<&CursorState>,
        want: Want,
    ) -> FaultResult<Box<dyn Snapshot>> {
        let inner = self.inner.open(stream, after, want).await?;
        let schema = inner.schema();
        Ok(Box::new(Behind { inner, schema, step: Arc::clone(&self.step) }))
    }
}

/// The snapshot behind the step, whose rows have these columns.
pub(crate) fn behind(inner: Box<dyn Snapshot>, schema: SchemaRef, step: impl Step) -> Box<dyn Snapshot> {
    Box::new(Behind { inner, schema, step: Arc::new(step) })
}

struct Behind {
    inner: Box<dyn Snapshot>,
    schema: SchemaRef,
    step: Arc<dyn Step>,
}

#[async_trait]
impl Snapshot for Behind {
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
        let (inner, step) = (self.inner.lane().await?, Arc::clone(&self.step));
        Ok(Box::new(BehindLane { inner, step, is_keys: false }))
    }

    async fn keys(&self) -> FaultResult<Box<dyn Lane>> {
        let (inner, step) = (self.inner.keys().await?, Arc::clone(&self.step));
        Ok(Box::new(BehindLane { inner, step, is_keys: true }))
    }

    async fn finish(self: Box<Self>) -> FaultResult<Proof> {
        self.inner.finish().await
    }
}

struct BehindLane {
    inner: Box<dyn Lane>,
    step: Arc<dyn Step>,
    is_keys: bool,
}

#[async_trait]
impl Lane for BehindLane {
    async fn next(&mut self) -> FaultResult<Option<Batch>> {
        match self.inner.next().await? {
            Some(batch) if self.is_keys => self.step.keys(batch).await.map(Some),
            Some(batch) => self.step.rows(batch).await.map(Some),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
