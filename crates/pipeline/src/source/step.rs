//! A snapshot whose rows go through a step on their way: changed, or held back. Everything else is as the snapshot within says.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;

use super::{Batch, CursorState, Lane, Proof, Snapshot, WindowNote};
use crate::fault::FaultResult;

/// What becomes of rows between a source and whoever asked for them.
#[async_trait]
pub(crate) trait Step: Send + Sync + 'static {
    /// Of the stream's rows.
    async fn rows(&self, batch: Batch) -> FaultResult<Batch>;

    /// Of keys alone, which have columns of their own.
    async fn keys(&self, batch: Batch) -> FaultResult<Batch> {
        Ok(batch)
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
mod tests {
    use arrow::array::RecordBatch;
    use arrow::datatypes::{DataType, Field, Schema};
    use waybill_model::FailureCode;

    use super::*;
    use crate::fault::Fault;

    fn empty() -> SchemaRef {
        Arc::new(Schema::empty())
    }

    /// A snapshot that has something else to say of everything.
    struct Keyed;

    #[async_trait]
    impl Snapshot for Keyed {
        fn schema(&self) -> SchemaRef {
            empty()
        }
        fn ranges(&self) -> usize {
            2
        }
        fn rows_estimate(&self) -> Option<u64> {
            Some(1)
        }
        fn lanes(&self) -> usize {
            3
        }
        fn cursor(&self) -> Option<CursorState> {
            Some(CursorState::new("here"))
        }
        fn key(&self) -> Vec<String> {
            vec!["id".into()]
        }
        fn window(&self) -> WindowNote {
            WindowNote { held: true, ..WindowNote::default() }
        }
        async fn lane(&self) -> FaultResult<Box<dyn Lane>> {
            Ok(Box::new(One(true)))
        }
        async fn keys(&self) -> FaultResult<Box<dyn Lane>> {
            Ok(Box::new(One(true)))
        }
        async fn finish(self: Box<Self>) -> FaultResult<Proof> {
            Err(Fault::new(FailureCode::SourceFailed, "the end"))
        }
    }

    /// One batch.
    struct One(bool);

    #[async_trait]
    impl Lane for One {
        async fn next(&mut self) -> FaultResult<Option<Batch>> {
            Ok(std::mem::take(&mut self.0).then(|| Batch::exact(RecordBatch::new_empty(empty()))))
        }
    }

    /// Counts each batch as coerced, keys twice.
    struct Counting;

    #[async_trait]
    impl Step for Counting {
        async fn rows(&self, batch: Batch) -> FaultResult<Batch> {
            Ok(Batch { coerced: vec![(0, 1)], ..batch })
        }
        async fn keys(&self, batch: Batch) -> FaultResult<Batch> {
            Ok(Batch { coerced: vec![(0, 2)], ..batch })
        }
    }

    #[tokio::test]
    async fn a_snapshot_behind_a_step_says_all_that_the_one_within_says_and_each_batch_takes_its_step() {
        let schema = Arc::new(Schema::new(vec![Field::new("more", DataType::Int64, true)]));
        let behind = behind(Box::new(Keyed), Arc::clone(&schema), Counting);
        assert_eq!((behind.key(), behind.ranges(), behind.lanes()), (vec!["id".to_owned()], 2, 3));
        assert!(behind.window().held && behind.cursor().is_some() && behind.rows_estimate() == Some(1));
        assert_eq!(behind.schema(), schema);
        for (lane, count) in [(behind.lane().await, 1), (behind.keys().await, 2)] {
            let mut lane = lane.unwrap_or_else(|_| panic!("a lane"));
            let batch = lane.next().await.unwrap_or_else(|_| panic!("no fault")).expect("a batch");
            assert_eq!(batch.coerced, [(0, count)]);
            assert!(lane.next().await.is_ok_and(|end| end.is_none()));
        }
        assert_eq!(behind.finish().await.expect_err("its end").text.for_customer(), "the end");
    }
}
