//! The engine against a source and a bucket that do as they are told.

mod late;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use tokio::sync::Semaphore;
use waybill_model::errand::Errand;
use waybill_model::event::Event;
use waybill_model::plan::{Files, Format, Load, Plan, StreamPlan};
use waybill_model::receipt::Grade;
use waybill_model::run::{MOST_PREVIEW_ROWS, StreamState};
use waybill_model::{AttemptId, FailureCode, RunId};

use super::{Context, preview, run};
use crate::bucket::{Bucket, BucketError, BucketResult, ObjectMeta, Put, Upload};
use crate::budget::Budget;
use crate::database::Destination;
use crate::fault::FaultResult;
use crate::observe::{Observer, OpenGate, Progress};
use crate::source::{Batch, CursorState, Lane, Proof, Snapshot, Source, Table, Want, WindowNote};
use crate::stop::{Directive, Halt, StopSwitch, stop_pair};

/// Gives batches for ever, and counts them.
#[derive(Clone, Default)]
struct Endless {
    given: Arc<AtomicUsize>,
    note: WindowNote,
    /// Texts beside each batch, which has as many rows then.
    texts: Option<StringArray>,
}

#[async_trait]
impl Source for Endless {
    async fn reach(&self) -> FaultResult<()> {
        Ok(())
    }
    async fn check(&self, _: &StreamPlan) -> FaultResult<()> {
        Ok(())
    }
    async fn discover(&self) -> FaultResult<Vec<Table>> {
        Ok(Vec::new())
    }
    async fn open(&self, _: &StreamPlan, _: Option<&CursorState>, _: Want) -> FaultResult<Box<dyn Snapshot>> {
        Ok(Box::new(self.clone()))
    }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]))
}

#[async_trait]
impl Snapshot for Endless {
    fn schema(&self) -> SchemaRef {
        schema()
    }
    fn ranges(&self) -> usize {
        1
    }
    fn rows_estimate(&self) -> Option<u64> {
        None
    }
    fn lanes(&self) -> usize {
        1
    }
    fn cursor(&self) -> Option<CursorState> {
        None
    }
    fn key(&self) -> Vec<String> {
        vec!["id".into()]
    }
    fn window(&self) -> WindowNote {
        self.note
    }
    async fn lane(&self) -> FaultResult<Box<dyn Lane>> {
        Ok(Box::new(self.clone()))
    }
    async fn keys(&self) -> FaultResult<Box<dyn Lane>> {
        Ok(Box::new(self.clone()))
    }
    async fn finish(self: Box<Self>) -> FaultResult<Proof> {
        Ok(Proof { grade: Grade::Counted, source_count: None, sums: Vec::new(), snapshot: String::new() })
    }
}

#[async_trait]
impl Lane for Endless {
    async fn next(&mut self) -> FaultResult<Option<Batch>> {
        let n = i64::try_from(self.given.fetch_add(1, Ordering::SeqCst)).unwrap_or(0);
        // Values without order, so that they do not shrink to nothing on the way.
        let mut seed = n.wrapping_add(1);
        let many = self.texts.as_ref().map_or(100_000, Array::len);
        let values = (0..many).map(|_| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        });
        let rows = RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from_iter_values(values))]);
        let twins = || self.texts.iter().map(|texts| (0, texts.clone())).collect();
        Ok(rows.ok().map(|rows| Batch { twins: twins(), ..Batch::exact(rows) }))
    }
}

/// Takes a piece of an upload for every permit; has no objects.
struct Slow {
    permits: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

#[async_trait]
impl Bucket for Slow {
    fn url(&self) -> String {
        "test:".to_owned()
    }
    async fn put_if_absent(&self, _: &str, _: Bytes) -> BucketResult<Put> {
        Ok(Put::Created)
    }
    async fn replace(&self, _: &str, _: Bytes) -> BucketResult<()> {
        Ok(())
    }
    async fn upload(&self, _: &str) -> BucketResult<Box<dyn Upload>> {
        Ok(Box::new(SlowUpload { permits: Arc::clone(&self.permits), waiting: Arc::clone(&self.waiting), size: 0 }))
    }
    async fn get(&self, _: &str, _: u64) -> BucketResult<Option<Bytes>> {
        Ok(None)
    }
    async fn get_range(&self, _: &str, _: Range<u64>) -> BucketResult<Bytes> {
        Err(BucketError::new(FailureCode::BucketFailed, "there is no object"))
    }
    async fn read(&self, _: &str, _: &str) -> BucketResult<BoxStream<'static, BucketResult<Bytes>>> {
        Err(BucketError::new(FailureCode::BucketFailed, "there is no object"))
    }
    async fn head(&self, _: &str) -> BucketResult<Option<ObjectMeta>> {
        Ok(None)
    }
    async fn list(&self, _: &str, _: Option<&str>) -> BucketResult<Vec<ObjectMeta>> {
        Ok(Vec::new())
    }
    async fn delete(&self, _: &str) -> BucketResult<()> {
        Ok(())
    }
}

struct SlowUpload {
    permits: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    size: u64,
}

#[async_trait]
impl Upload for SlowUpload {
    async fn write(&mut self, bytes: Bytes) -> BucketResult<()> {
        self.size += bytes.len() as u64;
        self.waiting.add_permits(1);
        if let Ok(permit) = self.permits.acquire().await {
            permit.forget();
        }
        Ok(())
    }
    async fn finish(self: Box<Self>) -> BucketResult<u64> {
        Ok(self.size)
    }
    async fn abort(self: Box<Self>) {}
    fn buffer_bytes(&self) -> u64 {
        0
    }
}

/// Forbids the run once it tells of more rows than these, as a guard's ceiling does; keeps the newest number.
struct Ceiling {
    most: u64,
    switch: StopSwitch,
    rows: Arc<AtomicUsize>,
}

impl Observer for Ceiling {
    fn progress(&self, progress: Progress) {
        self.rows.store(usize::try_from(progress.rows).unwrap_or(usize::MAX), Ordering::SeqCst);
        if progress.rows > self.most {
            self.switch.raise(Directive::Forbidden(FailureCode::PolicyDenied));
        }
    }
    fn event(&self, _: Event) {}
}

struct Silent;

impl Observer for Silent {
    fn progress(&self, _: Progress) {}
    fn event(&self, _: Event) {}
}

fn plan() -> Plan {
    let local = serde_json::json!({ "connection": "c", "system": { "type": "local", "path": "x" } });
    let streams = serde_json::json!([{ "name": "t", "load": "full" }]);
    let plan = serde_json::json!({ "pipeline": "p", "from": local, "to": local, "streams": streams });
    serde_json::from_value(plan).expect("a plan")
}

struct Rig {
    source: Endless,
    permits: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    switch: StopSwitch,
    context: Context,
}

fn rig() -> Rig {
    let source = Endless::default();
    let (permits, waiting) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (switch, stop) = stop_pair();
    let context = Context {
        source: Arc::new(source.clone()),
        destination: Destination::Bucket(Arc::new(Slow {
            permits: Arc::clone(&permits),
            waiting: Arc::clone(&waiting),
        })),
        errands: BTreeMap::new(),
        run: RunId::generate(),
        attempt: AttemptId::generate(),
        epoch: None,
        accepted: None,
        owner: "test".to_owned(),
        observer: Arc::new(Silent),
        gate: Arc::new(OpenGate),
        stop,
        budget: Budget::new(64 << 20).expect("budget"),
    };
    Rig { source, permits, waiting, switch, context }
}

/// Whatever is written: text has no row group to wait in.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_bucket_stops_the_reads() {
    for format in [Format::Delta, Format::Csv] {
        stops_the_reads(format).await;
    }
}

async fn stops_the_reads(format: Format) {
    let rig = rig();
    let context = rig.context.clone();
    let plan = Plan { files: Files::of(format), ..plan() };
    let running = tokio::spawn(async move { run(&plan, &[0], &context).await });
    // The upload has a piece that it does not take.
    rig.waiting.acquire().await.expect("a piece").forget();
    // What is under way behind it fills the few places there are, and then nothing is read any more.
    let mut before = usize::MAX;
    while before != rig.source.given.load(Ordering::SeqCst) {
        before = rig.source.given.load(Ordering::SeqCst);
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
    let bytes = before * 800_000;
    assert!(bytes < 40 << 20, "{before} batches were read while nothing was taken");
    // It goes on as soon as the bucket does.
    rig.permits.add_permits(64);
    rig.waiting.acquire_many(8).await.expect("more pieces").forget();
    assert!(rig.source.given.load(Ordering::SeqCst) > before);
    rig.switch.raise(Directive::Cancel);
    running.await.expect("joined");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_ends_a_source_that_never_ends() {
    let rig = rig();
    let context = rig.context.clone();
    let running = tokio::spawn(async move { run(&plan(), &[0], &context).await });
    rig.waiting.acquire().await.expect("a piece").forget();
    rig.switch.raise(Directive::Cancel);
    let ends = tokio::time::timeout(std::time::Duration::from_secs(5), running).await.expect("in 5 s").expect("joined");
    assert_eq!((ends[0].halt, ends[0].outcome.state), (Some(Halt::Cancel), StreamState::Failed));
    assert_eq!((ends[0].outcome.failure, ends[0].outcome.version), (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_run_time_ends_a_run() {
    let rig = rig();
    let mut short = plan();
    short.limits.time_ms = 50;
    let ends = run(&short, &[0], &rig.context).await;
    assert_eq!(ends[0].outcome.failure, Some(FailureCode::RunTimeout));
}

#[tokio::test]
async fn a_drain_begins_no_stream() {
    let rig = rig();
    rig.switch.raise(Directive::Drain);
    let ends = run(&plan(), &[0], &rig.context).await;
    assert_eq!((ends[0].halt, ends[0].outcome.state), (Some(Halt::Drain), StreamState::Skipped));
    assert_eq!(rig.source.given.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn rows_of_text_files_are_not_replaced() {
    let rig = rig();
    for format in [Format::Csv, Format::Jsonl] {
        let mut plan = Plan { files: Files::of(format), ..plan() };
        plan.streams[0].load = Load::Changed;
        let ends = run(&plan, &[0], &rig.context).await;
        assert_eq!(ends[0].outcome.failure, Some(FailureCode::SpecRefused));
        assert!(ends[0].text.for_customer().contains("needs Parquet"), "{}", ends[0].text.for_customer());
    }
    assert_eq!(rig.source.given.load(Ordering::SeqCst), 0);
}

/// Nothing is read of such a window, so its rows would be none.
#[tokio::test]
async fn a_reload_whose_window_is_held_is_tried_again_and_replaces_nothing() {
    let rig = rig();
    let held = WindowNote { held: true, ..WindowNote::default() };
    let source = Endless { note: held, ..rig.source.clone() };
    let mut plan = plan();
    plan.streams[0].load = Load::New;
    let context =
        Context { source: Arc::new(source), errands: BTreeMap::from([(0, Errand::Reload)]), ..rig.context.clone() };
    let ends = run(&plan, &[0], &context).await;
    assert_eq!(ends[0].outcome.failure, Some(FailureCode::SourceIncomplete));
    assert_eq!(FailureCode::SourceIncomplete.policy(), waybill_model::failure::RetryPolicy::Retry);
    assert_eq!((ends[0].outcome.version, rig.source.given.load(Ordering::SeqCst)), (None, 0), "no row was asked for");
}

/// A preview of rows without end, with a ceiling: how it ended, how many rows were told of, and how many pieces were written.
async fn previewed(most: u64) -> (super::StreamEnd, usize, usize) {
    let rig = rig();
    rig.permits.add_permits(64);
    let rows = Arc::new(AtomicUsize::new(0));
    let ceiling = Ceiling { most, switch: rig.switch.clone(), rows: Arc::clone(&rows) };
    let context = Context { observer: Arc::new(ceiling), ..rig.context.clone() };
    let mut ends = preview(&plan(), &[0], u64::MAX, &context).await;
    (ends.remove(0), rows.load(Ordering::SeqCst), rig.waiting.available_permits())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_takes_no_more_rows_than_can_be_asked_for_and_is_counted_like_a_run() {
    let most = usize::try_from(MOST_PREVIEW_ROWS).expect("a number");
    let (end, told, written) = previewed(MOST_PREVIEW_ROWS).await;
    assert_eq!((end.outcome.failure, end.outcome.rows, told), (None, MOST_PREVIEW_ROWS, most));
    assert!(written > 0);
    let (end, told, written) = previewed(MOST_PREVIEW_ROWS - 1).await;
    assert_eq!((end.halt, told), (Some(Halt::Forbidden(FailureCode::PolicyDenied)), most));
    assert_eq!((end.outcome.state, written), (StreamState::Failed, 0), "what passes the ceiling is not written");
}

/// The texts of twins count like rows: of a million letters each, sixteen fill the memory.
#[tokio::test(flavor = "multi_thread")]
async fn a_preview_counts_the_texts_beside_its_rows() {
    let rig = rig();
    rig.permits.add_permits(1024);
    let texts = StringArray::from(vec!["x".repeat(1 << 20); 4]);
    let source = Endless { texts: Some(texts), ..rig.source.clone() };
    let context = Context { source: Arc::new(source), ..rig.context.clone() };
    let end = preview(&plan(), &[0], 64, &context).await.remove(0);
    assert_eq!(end.outcome.failure, None, "{}", end.text.for_customer());
    assert!((8..=16).contains(&end.outcome.rows), "{}", end.outcome.rows);
}
