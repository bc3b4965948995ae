//! A snapshot of which only the first rows are taken.
//!
//! Nobody waits for the end of the others, so that nothing proves it: what was cut is `unchecked`. A source that ends before
//! is proven as ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::Array;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use waybill_model::receipt::Grade;

use crate::fault::FaultResult;
use crate::source::{Batch, CursorState, Lane, Proof, Snapshot, WindowNote};

/// The snapshot, of which so many rows are taken at most, in one lane.
pub(super) fn limited(inner: Box<dyn Snapshot>, rows: Option<u64>) -> Box<dyn Snapshot> {
    let Some(rows) = rows else { return inner };
    let left = usize::try_from(rows).unwrap_or(usize::MAX);
    Box::new(Limited { inner, rows, left: Arc::new(AtomicUsize::new(left)) })
}

struct Limited {
    inner: Box<dyn Snapshot>,
    rows: u64,
    left: Arc<AtomicUsize>,
}

#[async_trait]
impl Snapshot for Limited {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    fn ranges(&self) -> usize {
        self.inner.ranges()
    }

    fn rows_estimate(&self) -> Option<u64> {
        self.inner.rows_estimate().map(|rows| rows.min(self.rows))
    }

    fn lanes(&self) -> usize {
        1
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
        Ok(Box::new(LimitedLane { inner: self.inner.lane().await?, left: Arc::clone(&self.left) }))
    }

    async fn keys(&self) -> FaultResult<Box<dyn Lane>> {
        self.inner.keys().await
    }

    async fn finish(self: Box<Self>) -> FaultResult<Proof> {
        if self.left.load(Ordering::Relaxed) > 0 {
            return self.inner.finish().await;
        }
        let snapshot = format!("its first {} rows", self.rows);
        Ok(Proof { grade: Grade::Unchecked, source_count: None, sums: Vec::new(), snapshot })
    }
}

struct LimitedLane {
    inner: Box<dyn Lane>,
    left: Arc<AtomicUsize>,
}

#[async_trait]
impl Lane for LimitedLane {
    async fn next(&mut self) -> FaultResult<Option<Batch>> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return Ok(None);
        }
        let Some(mut batch) = self.inner.next().await? else { return Ok(None) };
        let rows = batch.rows.num_rows();
        self.left.store(left.saturating_sub(rows), Ordering::Relaxed);
        if rows <= left {
            return Ok(Some(batch));
        }
        // What was read beside the rows that stay, and can't be a row, is told of.
        let aside = std::mem::take(&mut batch.aside);
        Ok(Some(Batch { aside, ..first(&batch, left) }))
    }
}

/// The first rows of a batch. Of values with a text beside them those that stayed are counted; how many of the others were changed
/// only the source knew, of all rows: no more than there are rows now.
fn first(batch: &Batch, rows: usize) -> Batch {
    let mut first = batch.slice(0, rows);
    first.twins.retain(|(_, texts)| texts.null_count() < texts.len());
    let had_twin = |at: usize| batch.twins.iter().any(|(place, _)| *place == at);
    let texts = |at: usize| first.twins.iter().find(|(place, _)| *place == at);
    let counted = |(at, count): &(usize, u64)| {
        let now = match texts(*at) {
            Some((_, texts)) => (texts.len() - texts.null_count()) as u64,
            None if had_twin(*at) => 0,
            None => (*count).min(rows as u64),
        };
        (now > 0).then_some((*at, now))
    };
    first.coerced = batch.coerced.iter().filter_map(counted).collect();
    first
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, RecordBatch, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    #[test]
    fn what_is_cut_off_takes_its_texts_and_their_count_along() {
        let schema =
            Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true), Field::new("b", DataType::Int64, true)]));
        let numbers = || Arc::new(Int64Array::from(vec![Some(1), None, None]));
        let rows = RecordBatch::try_new(schema, vec![numbers(), numbers()]).expect("rows");
        let texts = StringArray::from(vec![None, Some("x"), Some("y")]);
        let late = StringArray::from(vec![None, None, Some("z")]);
        let twins = vec![(0, texts), (1, late)];
        let batch = Batch { twins, coerced: vec![(0, 2), (1, 1)], ..Batch::exact(rows) };
        let cut = first(&batch, 2);
        assert_eq!((cut.rows.num_rows(), cut.coerced.as_slice()), (2, &[(0, 1)][..]));
        assert_eq!(cut.twins.len(), 1, "a text that is not there makes no column");
        let plain = Batch { twins: Vec::new(), coerced: vec![(1, 3)], ..batch };
        assert_eq!(first(&plain, 2).coerced, [(1, 2)]);
    }
}
