//! Tables in a temporary directory, written as the engine writes them, and a bucket that fails where it is told to.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sha2::{Digest, Sha256};
use waybill_connectors::bucket::local::LocalBucket;
use waybill_model::plan::Load;
use waybill_model::receipt::Grade;
use waybill_model::{AttemptId, Epoch, FailureCode, Micros, RunId};
use waybill_pipeline::bucket::{Bucket, BucketError, BucketResult, ObjectMeta, Put, Upload};
use waybill_pipeline::commit::{
    DataFile, Delivery, Drift, FileStats, Merged, Origin, Outcome, Owner, Prepared, Table, audit_table,
};
use waybill_pipeline::{CursorState, FaultResult, Proof, WindowNote};
use waybill_tests::readers;

/// The stream that most tests write.
pub(crate) const STREAM: &str = "orders";

/// A bucket in a temporary directory.
pub(crate) struct Place {
    root: PathBuf,
    /// Removed with the place, where the place made it.
    _dir: Option<tempfile::TempDir>,
    pub(crate) bucket: Arc<dyn Bucket>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let place = Self::at(dir.path());
        Self { _dir: Some(dir), ..place }
    }

    /// A bucket in a directory that is there.
    pub(crate) fn at(root: &Path) -> Self {
        let bucket = Arc::new(LocalBucket::open(root).expect("a bucket"));
        Self { root: root.to_path_buf(), _dir: None, bucket }
    }

    pub(crate) fn table(&self) -> PathBuf {
        self.root.join(STREAM)
    }

    pub(crate) fn log(&self, version: u64) -> PathBuf {
        self.table().join(format!("_delta_log/{version:020}.json"))
    }

    pub(crate) async fn open(&self) -> FaultResult<Table> {
        open_on(&self.bucket).await
    }

    /// Every file below the bucket with its bytes.
    pub(crate) fn contents(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut dirs = vec![self.root.clone()];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path()) {
                if entry.is_dir() {
                    dirs.push(entry);
                } else {
                    let body = std::fs::read(&entry).expect("a file");
                    found.insert(entry, body);
                }
            }
        }
        found
    }

    /// The `id`s that a reader of the log sees, sorted: written anew here, so that it shares nothing with the product.
    pub(crate) fn ids(&self) -> Vec<i64> {
        let mut ids = Vec::new();
        for path in self.active() {
            let file = std::fs::File::open(self.table().join(path)).expect("a data file");
            let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a footer").build().expect("a reader");
            for batch in reader {
                let batch = batch.expect("a batch");
                let column = batch.column_by_name("id").expect("the column").as_any();
                ids.extend(column.downcast_ref::<Int64Array>().expect("numbers").values());
            }
        }
        ids.sort_unstable();
        ids
    }

    /// DuckDB, delta-rs and our own reader see these `id`s.
    pub(crate) fn sees(&self, wanted: Range<i64>) {
        let both = readers::query(&self.table(), "SELECT id FROM t ORDER BY id").expect("readers").agreed();
        assert_eq!(both, serde_json::json!(wanted.clone().map(|id| [id]).collect::<Vec<_>>()));
        // Ours begins at the first version, which a cleaned-up log has no more.
        if self.log(0).exists() {
            assert_eq!(self.ids(), wanted.collect::<Vec<_>>());
        }
    }

    /// An audit with every checksum finds nothing wrong.
    pub(crate) async fn is_sound(&self) {
        let report = audit_table(&*self.bucket, STREAM, true).await.expect("a report");
        assert!(report.is_ok(), "{:?}", report.problems);
    }

    fn active(&self) -> Vec<String> {
        let mut active: Vec<String> = Vec::new();
        for version in 0.. {
            let Ok(text) = std::fs::read_to_string(self.log(version)) else { break };
            let lines: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
            for path in lines.iter().filter_map(|line| line["remove"]["path"].as_str()) {
                active.retain(|other| other != path);
            }
            active.extend(lines.iter().filter_map(|line| line["add"]["path"].as_str()).map(str::to_owned));
        }
        active
    }

    /// Commits of a run in the log, by its own records.
    pub(crate) fn commits_of(&self, run: RunId) -> usize {
        let versions = (0..).map_while(|version| std::fs::read_to_string(self.log(version)).ok());
        versions.filter(|text| text.contains(&format!("\"run\":\"{run}\""))).count()
    }
}

pub(crate) async fn open_on(bucket: &Arc<dyn Bucket>) -> FaultResult<Table> {
    Table::open(bucket.clone(), STREAM, &owner()).await
}

pub(crate) fn owner() -> Owner {
    Owner::new("pl_test")
}

/// One attempt's identity.
#[derive(Clone, Copy)]
pub(crate) struct Try {
    pub(crate) run: RunId,
    pub(crate) attempt: AttemptId,
    pub(crate) epoch: Epoch,
}

impl Try {
    /// An attempt of a new run, now.
    pub(crate) fn new(table: &Table) -> Self {
        Self::of(RunId::generate(), table)
    }

    /// An attempt of this run, now.
    pub(crate) fn of(run: RunId, table: &Table) -> Self {
        Self { run, attempt: AttemptId::generate(), epoch: Epoch::next(table.epoch(), Micros::now()) }
    }
}

/// Rows with these `id`s.
pub(crate) fn ids(range: Range<i64>) -> RecordBatch {
    let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]));
    RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from_iter_values(range))]).expect("a batch")
}

/// Writes a data file as the encoder does.
pub(crate) async fn file(bucket: &Arc<dyn Bucket>, table: &Table, who: Try, rows: &RecordBatch) -> DataFile {
    try_file(bucket, table, who, rows).await.expect("an upload")
}

async fn try_file(bucket: &Arc<dyn Bucket>, table: &Table, who: Try, rows: &RecordBatch) -> BucketResult<DataFile> {
    let mut body = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut body, rows.schema(), None).expect("a writer");
    writer.write(rows).expect("rows");
    let footer = writer.close().expect("a footer");
    let key = table.data_key(who.run, who.attempt, 0);
    let mut upload = bucket.upload(&key).await?;
    let (bytes, sha256) = (body.len() as u64, Sha256::digest(&body).into());
    upload.write(Bytes::from(body)).await?;
    assert_eq!(upload.finish().await?, bytes);
    Ok(DataFile {
        key,
        rows: rows.num_rows() as u64,
        bytes,
        sha256,
        stats: FileStats::of_parquet(&footer),
        partition: BTreeMap::new(),
    })
}

/// A whole run of which any step may fail.
pub(crate) async fn try_run(bucket: &Arc<dyn Bucket>, load: Load, rows: &RecordBatch) -> FaultResult<()> {
    let table = open_on(bucket).await?;
    let who = Try::new(&table);
    let file = try_file(bucket, &table, who, rows).await?;
    let prepared = table.prepare(&delivery(who, load, vec![file], rows.schema())).await?.expect("something to commit");
    table.commit(&prepared).await.map(drop)
}

pub(crate) fn delivery(who: Try, load: Load, files: Vec<DataFile>, schema: SchemaRef) -> Delivery {
    Delivery {
        aside: Vec::new(),
        run: who.run,
        attempt: who.attempt,
        epoch: who.epoch,
        load,
        errand: None,
        files,
        merged: Merged::default(),
        key: Vec::new(),
        schema,
        twins: Vec::new(),
        cursor: (load == Load::New).then(|| CursorState::new("42")),
        window: (load == Load::New).then(WindowNote::default),
        origin: Origin { place: String::new(), table: None, filter: String::new(), zone: None },
        cursor_column: None,
        drift: Drift::default(),
        proof: Proof { grade: Grade::Counted, source_count: None, sums: Vec::new(), snapshot: "s".to_owned() },
        coerced: BTreeMap::new(),
        expected: Vec::new(),
        shrink_guard: 0,
    }
}

/// Uploads and prepares rows.
pub(crate) async fn prepared(
    bucket: &Arc<dyn Bucket>,
    table: &Table,
    who: Try,
    load: Load,
    rows: &RecordBatch,
) -> FaultResult<Prepared> {
    let file = file(bucket, table, who, rows).await;
    let delivery = delivery(who, load, vec![file], rows.schema());
    Ok(table.prepare(&delivery).await?.expect("something to commit"))
}

/// A whole run on what is there.
pub(crate) async fn run(bucket: &Arc<dyn Bucket>, load: Load, rows: &RecordBatch) -> FaultResult<(Try, Outcome)> {
    let table = open_on(bucket).await?;
    let who = Try::new(&table);
    let prepared = prepared(bucket, &table, who, load, rows).await?;
    Ok((who, table.commit(&prepared).await?))
}

pub(crate) fn code<T>(result: FaultResult<T>) -> Option<FailureCode> {
    result.err().map(|fault| fault.code)
}

/// What happens to a put of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blow {
    /// Nothing.
    Pass,
    /// It takes effect and its answer is lost.
    LoseAnswer,
    /// It takes no effect and nobody can tell.
    LoseRequest,
    /// 409.
    Conflict,
    /// No space is left.
    Full,
    /// The condition is ignored.
    Overwrite,
}

/// Stands before a key that is deleted.
pub(crate) const DELETED: &str = "deleted:";

type Hook = Box<dyn FnOnce() + Send>;

/// A bucket whose creations of commits fail in a given order; everything else passes through.
pub(crate) struct Faulty {
    inner: Arc<dyn Bucket>,
    blows: Mutex<Vec<Blow>>,
    /// With what the key or listed prefix holds that each waits for; the first that fits happens, and no more.
    hooks: Mutex<Vec<(&'static str, Hook)>>,
    pub(crate) fired: AtomicUsize,
    only_commits: bool,
    /// Plain commits that are read now, and the most of them at once.
    reading: AtomicUsize,
    most: AtomicUsize,
    /// Objects that were read whole.
    gets: AtomicUsize,
    /// What was made safe besides what was put.
    settled: Mutex<Vec<String>>,
}

impl Faulty {
    /// Blows for the first puts of commits.
    pub(crate) fn commits(inner: &Arc<dyn Bucket>, blows: &[Blow]) -> Arc<Self> {
        Self::make(inner, blows, true)
    }

    /// Blows for the first puts of anything.
    pub(crate) fn all(inner: &Arc<dyn Bucket>, blows: &[Blow]) -> Arc<Self> {
        Self::make(inner, blows, false)
    }

    fn make(inner: &Arc<dyn Bucket>, blows: &[Blow], only_commits: bool) -> Arc<Self> {
        let blows = Mutex::new(blows.iter().rev().copied().collect());
        Arc::new(Self {
            inner: inner.clone(),
            blows,
            hooks: Mutex::new(Vec::new()),
            fired: AtomicUsize::new(0),
            only_commits,
            reading: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            gets: AtomicUsize::new(0),
            settled: Mutex::default(),
        })
    }

    /// Something that happens right before the first put of a commit.
    pub(crate) fn before_commit(self: Arc<Self>, hook: impl FnOnce() + Send + 'static) -> Arc<Self> {
        self.hooks.lock().expect("the hooks").push(("/_delta_log/0", Box::new(hook)));
        self
    }

    /// Something that happens right before the first put of a key that holds this.
    pub(crate) fn before(self: Arc<Self>, key: &'static str, hook: impl FnOnce() + Send + 'static) -> Arc<Self> {
        self.hooks.lock().expect("the hooks").push((key, Box::new(hook)));
        self
    }

    /// Something that happens right before the states are first listed.
    pub(crate) fn before_states(self: Arc<Self>, hook: impl FnOnce() + Send + 'static) -> Arc<Self> {
        self.hooks.lock().expect("the hooks").push(("/_waybill/state/", Box::new(hook)));
        self
    }

    /// Something that happens right before the first data file is deleted; only then may anything be.
    pub(crate) fn before_delete(self: Arc<Self>, hook: impl FnOnce() + Send + 'static) -> Arc<Self> {
        self.hooks.lock().expect("the hooks").push((DELETED, Box::new(hook)));
        self
    }

    async fn come_between(&self, key: &str) {
        let hook = {
            let mut hooks = self.hooks.lock().expect("the hooks");
            hooks.iter().position(|(place, _)| key.contains(*place)).map(|at| hooks.remove(at))
        };
        if let Some((_, hook)) = hook {
            tokio::task::spawn_blocking(hook).await.expect("the hook");
            self.fired.fetch_add(1, Ordering::SeqCst);
        }
    }

    pub(crate) fn fired(&self) -> usize {
        self.fired.load(Ordering::SeqCst)
    }

    /// How many objects were read whole since this was last asked.
    pub(crate) fn gets(&self) -> usize {
        self.gets.swap(0, Ordering::SeqCst)
    }

    /// The keys that were made safe since this was last asked.
    pub(crate) fn settled(&self) -> Vec<String> {
        std::mem::take(&mut *self.settled.lock().expect("the keys"))
    }

    /// How many plain commits were read at once, at most.
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Bucket for Faulty {
    fn url(&self) -> String {
        self.inner.url()
    }

    async fn put_if_absent(&self, key: &str, body: Bytes) -> BucketResult<Put> {
        let commit = key.contains("/_delta_log/") || key.contains("/_waybill/commits/");
        self.come_between(key).await;
        let blow = if commit || !self.only_commits { self.blows.lock().expect("the blows").pop() } else { None };
        let blow = blow.unwrap_or(Blow::Pass);
        if blow != Blow::Pass {
            self.fired.fetch_add(1, Ordering::SeqCst);
        }
        let lost = || BucketError::unknown(FailureCode::BucketUnreachable, "the answer was lost");
        match blow {
            Blow::Pass => self.inner.put_if_absent(key, body).await,
            Blow::LoseAnswer => self.inner.put_if_absent(key, body).await.and_then(|_| Err(lost())),
            Blow::LoseRequest => Err(lost()),
            Blow::Conflict => Ok(Put::Conflict),
            Blow::Full => Err(BucketError::new(FailureCode::BucketFull, "no space left")),
            Blow::Overwrite => {
                self.inner.delete(key).await?;
                self.inner.put_if_absent(key, body).await
            }
        }
    }

    async fn replace(&self, key: &str, body: Bytes) -> BucketResult<()> {
        self.inner.replace(key, body).await
    }

    async fn upload(&self, key: &str) -> BucketResult<Box<dyn Upload>> {
        self.inner.upload(key).await
    }

    async fn get(&self, key: &str, cap: u64) -> BucketResult<Option<Bytes>> {
        self.gets.fetch_add(1, Ordering::SeqCst);
        if !key.contains("/_waybill/commits/") {
            return self.inner.get(key, cap).await;
        }
        self.most.fetch_max(self.reading.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        let got = self.inner.get(key, cap).await;
        self.reading.fetch_sub(1, Ordering::SeqCst);
        got
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> BucketResult<Bytes> {
        self.inner.get_range(key, range).await
    }

    async fn read(&self, key: &str, etag: &str) -> BucketResult<BoxStream<'static, BucketResult<Bytes>>> {
        self.inner.read(key, etag).await
    }

    async fn head(&self, key: &str) -> BucketResult<Option<ObjectMeta>> {
        self.inner.head(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> BucketResult<Vec<ObjectMeta>> {
        self.come_between(prefix).await;
        self.inner.list(prefix, after).await
    }

    async fn delete(&self, key: &str) -> BucketResult<()> {
        self.come_between(&format!("{DELETED}{key}")).await;
        assert!(self.fired() > 0, "neither a committer nor a probe deletes: {key}");
        self.inner.delete(key).await
    }

    async fn settle(&self, key: &str) -> BucketResult<()> {
        self.settled.lock().expect("the keys").push(key.to_owned());
        self.inner.settle(key).await
    }
}
