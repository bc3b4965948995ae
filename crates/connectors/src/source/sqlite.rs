//! SQLite files as a source: one read transaction is the snapshot, one lane reads it.
//!
//! SQLite has one writer and types by value, not by column. A value whose storage class is not the column's own goes to
//! the column's twin as an SQL literal, so nothing is lost and nothing is guessed. It opens files for reading only.

mod cell;
mod column;
mod connect;
mod declared;
mod describe;
mod query;
mod reader;
#[cfg(test)]
mod tests;
mod window;
mod written;

use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use tokio::sync::Mutex;
use waybill_model::FailureCode;
use waybill_model::errand::Range;
use waybill_model::plan::{Condition, StreamPlan};
use waybill_model::receipt::Grade;
use waybill_pipeline::{CursorState, Fault, FaultResult, Lane, Proof, Snapshot, Source, Table, Want, WindowNote};

use connect::{LOOKED_AT, Reading, blocking};
use describe::Shape;
use query::Query;
use reader::SqliteLane;

use crate::source::shape;

/// One SQLite file.
pub struct SqliteSource {
    path: PathBuf,
}

impl SqliteSource {
    /// A source for the file at `path`; it is opened when it is asked something.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

#[async_trait]
impl Source for SqliteSource {
    async fn reach(&self) -> FaultResult<()> {
        let path = self.path.clone();
        blocking(move || Reading::begin(&path, LOOKED_AT).map(drop)).await
    }

    async fn check(&self, stream: &StreamPlan) -> FaultResult<()> {
        let (path, stream) = (self.path.clone(), stream.clone());
        blocking(move || {
            let reading = Reading::begin(&path, LOOKED_AT)?;
            let shape = Shape::of(reading.connection(), &stream)?;
            Query::plan(reading.connection(), &stream, &shape, None).map(|_| ())
        })
        .await
    }

    async fn discover(&self) -> FaultResult<Vec<Table>> {
        let path = self.path.clone();
        blocking(move || describe::tables(Reading::begin(&path, LOOKED_AT)?.connection())).await
    }

    async fn range(&self, stream: &StreamPlan, range: &Range) -> FaultResult<Vec<Condition>> {
        let (path, stream, range) = (self.path.clone(), stream.clone(), range.clone());
        blocking(move || {
            let reading = Reading::begin(&path, LOOKED_AT)?;
            let shape = Shape::of(reading.connection(), &stream)?;
            window::range(reading.connection(), &stream, &shape, &range)
        })
        .await
    }

    async fn open(
        &self,
        stream: &StreamPlan,
        after: Option<&CursorState>,
        want: Want,
    ) -> FaultResult<Box<dyn Snapshot>> {
        let (path, plan, after) = (self.path.clone(), stream.clone(), after.cloned());
        let opened = blocking(move || {
            let reading = Reading::begin(&path, want.row_bytes)?;
            let shape = Shape::of(reading.connection(), &plan)?;
            let query = Query::plan(reading.connection(), &plan, &shape, after.as_ref())?;
            let keys = match shape::of_keys(&plan, &shape.key) {
                Some(keys) => {
                    let shape = Shape::of(reading.connection(), &keys)?;
                    Some((Arc::new(Query::plan(reading.connection(), &keys, &shape, None)?), Arc::new(shape)))
                }
                None => None,
            };
            let estimate = if query.is_whole() { shape.estimate(reading.connection()) } else { None };
            let snapshot = SqliteSnapshot {
                schema: shape.schema(),
                query: Arc::new(query),
                shape: Arc::new(shape),
                keys,
                estimate,
                want,
                verify: plan.verify_count,
                reading: Arc::new(Mutex::new(Some(reading))),
            };
            Ok(snapshot)
        })
        .await?;
        Ok(Box::new(opened))
    }
}

/// One read transaction.
struct SqliteSnapshot {
    schema: SchemaRef,
    query: Arc<Query>,
    shape: Arc<Shape>,
    /// The key's columns of all rows, where somebody asks which are gone.
    keys: Option<(Arc<Query>, Arc<Shape>)>,
    estimate: Option<u64>,
    want: Want,
    verify: bool,
    /// With the lane while it reads, and back here when it has ended well.
    reading: Arc<Mutex<Option<Reading>>>,
}

#[async_trait]
impl Snapshot for SqliteSnapshot {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn ranges(&self) -> usize {
        1
    }

    fn rows_estimate(&self) -> Option<u64> {
        self.estimate
    }

    fn lanes(&self) -> usize {
        1
    }

    fn cursor(&self) -> Option<CursorState> {
        self.query.cursor()
    }

    fn key(&self) -> Vec<String> {
        self.shape.key.clone()
    }

    fn window(&self) -> WindowNote {
        WindowNote {
            null_cursors: self.query.null_cursors(),
            fixed_lag: self.query.is_lagging(),
            ..WindowNote::default()
        }
    }

    async fn lane(&self) -> FaultResult<Box<dyn Lane>> {
        let (query, shape) = (Arc::clone(&self.query), Arc::clone(&self.shape));
        Ok(Box::new(SqliteLane::start(Arc::clone(&self.reading), query, shape, self.want)))
    }

    async fn keys(&self) -> FaultResult<Box<dyn Lane>> {
        let nobody = || Fault::new(FailureCode::WorkerBug, "keys are asked for that nobody wanted");
        let (query, shape) = self.keys.clone().ok_or_else(nobody)?;
        Ok(Box::new(SqliteLane::start(Arc::clone(&self.reading), query, shape, self.want)))
    }

    async fn finish(self: Box<Self>) -> FaultResult<Proof> {
        let Some(reading) = self.reading.lock().await.take() else {
            return Err(Fault::new(FailureCode::SourceIncomplete, "the file was not read to its end"));
        };
        let (query, verify) = (Arc::clone(&self.query), self.verify);
        let count =
            blocking(move || if verify { query.count(reading.connection()).map(Some) } else { Ok(None) }).await?;
        let grade = if count.is_some() { Grade::Verified } else { Grade::Counted };
        Ok(Proof { grade, source_count: count, sums: Vec::new(), snapshot: "one read transaction".to_owned() })
    }
}
