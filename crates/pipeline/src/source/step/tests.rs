//! A source that has something else to say of everything, and that a step in front of it changes no word of what it says.

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use serde_json::json;
use waybill_model::FailureCode;

use super::*;
use crate::fault::Fault;

/// The rows of each batch.
pub(crate) const ROWS: u64 = 500;

/// Has two batches of keys, and as many of rows in each lane; nothing that it says is what a source or a snapshot has by default.
pub(crate) struct Keyed;

fn ids() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]))
}

fn refused<T>(text: &'static str) -> FaultResult<T> {
    Err(Fault::new(FailureCode::SourceFailed, text))
}

#[async_trait]
impl Source for Keyed {
    async fn reach(&self) -> FaultResult<()> {
        refused("reached")
    }
    async fn check(&self, stream: &StreamPlan) -> FaultResult<()> {
        Err(Fault::new(FailureCode::SourceFailed, format!("checked {}", stream.name)))
    }
    async fn discover(&self) -> FaultResult<Vec<Table>> {
        refused("discovered")
    }
    async fn range(&self, _: &StreamPlan, range: &Range) -> FaultResult<Vec<Condition>> {
        Err(Fault::new(FailureCode::SourceFailed, format!("range {}", json!(range))))
    }
    async fn open(&self, _: &StreamPlan, after: Option<&CursorState>, _: Want) -> FaultResult<Box<dyn Snapshot>> {
        if after.is_some() { refused("opened behind a cursor") } else { Ok(Box::new(Self)) }
    }
}

#[async_trait]
impl Snapshot for Keyed {
    fn schema(&self) -> SchemaRef {
        ids()
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
        Ok(Box::new(Batches(2)))
    }
    async fn keys(&self) -> FaultResult<Box<dyn Lane>> {
        Ok(Box::new(Batches(2)))
    }
    async fn finish(self: Box<Self>) -> FaultResult<Proof> {
        refused("the end")
    }
}

/// So many batches are left.
struct Batches(usize);

#[async_trait]
impl Lane for Batches {
    async fn next(&mut self) -> FaultResult<Option<Batch>> {
        let Some(left) = self.0.checked_sub(1) else { return Ok(None) };
        self.0 = left;
        let rows = RecordBatch::try_new(ids(), vec![Arc::new(Int64Array::from_iter_values(0..ROWS.cast_signed()))]);
        Ok(Some(Batch::exact(rows.expect("a batch"))))
    }
}

fn stream() -> StreamPlan {
    serde_json::from_value(json!({ "name": "t", "load": "full" })).expect("a stream")
}

const WANT: Want = Want { lanes: 1, most: 1, batch_bytes: 1 << 20, row_bytes: 1 << 20 };

fn well<T>(result: FaultResult<T>) -> T {
    result.unwrap_or_else(|fault| panic!("{}", fault.text.for_customer()))
}

/// A snapshot of its one stream.
pub(crate) async fn opened(source: &Arc<dyn Source>) -> Box<dyn Snapshot> {
    well(source.open(&stream(), None, WANT).await)
}

/// Reads a lane to its end: how often the batches say that a value of theirs was coerced.
pub(crate) async fn read(lane: FaultResult<Box<dyn Lane>>) -> Vec<u64> {
    let (mut lane, mut counts) = (well(lane), Vec::new());
    while let Some(batch) = well(lane.next().await) {
        assert_eq!(batch.rows.num_rows() as u64, ROWS);
        counts.push(batch.coerced.iter().map(|(_, many)| many).sum());
    }
    counts
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

async fn says_all_and_takes_its_step(behind: Box<dyn Snapshot>, schema: SchemaRef) {
    assert_eq!((behind.key(), behind.ranges(), behind.lanes()), (vec!["id".to_owned()], 2, 3));
    assert!(behind.window().held && behind.cursor().is_some() && behind.rows_estimate() == Some(1));
    assert_eq!(behind.schema(), schema);
    assert_eq!((read(behind.lane().await).await, read(behind.keys().await).await), (vec![1, 1], vec![2, 2]));
    assert_eq!(behind.finish().await.expect_err("its end").text.for_customer(), "the end");
}

#[tokio::test]
async fn a_snapshot_behind_a_step_says_all_that_the_one_within_says_and_each_batch_takes_its_step() {
    let schema = Arc::new(Schema::new(vec![Field::new("more", DataType::Int64, true)]));
    says_all_and_takes_its_step(behind(Box::new(Keyed), Arc::clone(&schema) as SchemaRef, Counting), schema).await;
}

#[tokio::test]
async fn a_source_behind_a_step_says_all_that_the_one_within_says_and_each_snapshot_takes_the_step() {
    let source = stepped(Arc::new(Keyed), Counting);
    says_all_and_takes_its_step(opened(&source).await, ids()).await;
    let (stream, range) = (stream(), serde_json::from_value(json!({ "from": "7" })).expect("a range"));
    let told = |fault: Option<Fault>| fault.map(|fault| fault.text.for_customer().to_owned()).unwrap_or_default();
    assert_eq!(told(source.reach().await.err()), "reached");
    assert_eq!(told(source.check(&stream).await.err()), "checked t");
    assert_eq!(told(source.discover().await.err()), "discovered");
    assert_eq!(told(source.range(&stream, &range).await.err()), "range {\"from\":\"7\"}");
    let behind = source.open(&stream, Some(&CursorState::new("here")), WANT).await;
    assert_eq!(told(behind.err()), "opened behind a cursor");
}
