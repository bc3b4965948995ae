//! A stream that still reads takes the places that others leave.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::fault::Fault;

/// Two tables: `large` is read in three ranges, `small` in one. A range ends when the test lets it.
#[derive(Clone, Default)]
struct Tables {
    /// Lanes that were opened of each.
    opened: Arc<Mutex<HashMap<String, usize>>>,
    /// Told at each of them.
    told: Arc<tokio::sync::Notify>,
    large: Arc<Gate>,
    small: Arc<Gate>,
    /// A second lane of `large` is refused.
    refuses: bool,
}

struct Gate(Semaphore);

impl Default for Gate {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

#[async_trait]
impl Source for Tables {
    async fn reach(&self) -> FaultResult<()> {
        Ok(())
    }
    async fn check(&self, _: &StreamPlan) -> FaultResult<()> {
        Ok(())
    }
    async fn discover(&self) -> FaultResult<Vec<Table>> {
        Ok(Vec::new())
    }
    async fn open(&self, plan: &StreamPlan, _: Option<&CursorState>, want: Want) -> FaultResult<Box<dyn Snapshot>> {
        let (gate, ranges) = if plan.name == "large" { (&self.large, 3) } else { (&self.small, 1) };
        let left = Arc::new(AtomicUsize::new(ranges));
        Ok(Box::new(View { tables: self.clone(), name: plan.name.clone(), gate: Arc::clone(gate), left, want }))
    }
}

#[derive(Clone)]
struct View {
    tables: Tables,
    name: String,
    gate: Arc<Gate>,
    left: Arc<AtomicUsize>,
    want: Want,
}

#[async_trait]
impl Snapshot for View {
    fn schema(&self) -> SchemaRef {
        schema()
    }
    fn ranges(&self) -> usize {
        self.left.load(Ordering::SeqCst)
    }
    fn rows_estimate(&self) -> Option<u64> {
        None
    }
    fn lanes(&self) -> usize {
        self.ranges().clamp(1, self.want.most)
    }
    fn cursor(&self) -> Option<CursorState> {
        None
    }
    fn key(&self) -> Vec<String> {
        Vec::new()
    }
    fn window(&self) -> WindowNote {
        WindowNote::default()
    }
    async fn lane(&self) -> FaultResult<Box<dyn Lane>> {
        let mut opened = self.tables.opened.lock().expect("opened");
        let count = opened.entry(self.name.clone()).or_default();
        *count += 1;
        self.tables.told.notify_one();
        if self.tables.refuses && self.name == "large" && *count > 1 {
            return Err(Fault::new(FailureCode::SourceUnreachable, "no more connections"));
        }
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
impl Lane for View {
    async fn next(&mut self) -> FaultResult<Option<Batch>> {
        let claimed = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if claimed.is_err() {
            return Ok(None);
        }
        self.gate.0.acquire().await.expect("a gate").forget();
        let rows = RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from_iter_values(0..10))]);
        Ok(rows.ok().map(Batch::exact))
    }
}

fn two_streams() -> Plan {
    let mut plan = plan();
    let stream = |name: &str| StreamPlan { name: name.to_owned(), ..plan.streams[0].clone() };
    let streams = vec![stream("large"), stream("small")];
    plan.streams = streams;
    plan.limits.parallel = 2;
    plan
}

/// Waits until so many lanes of a table were opened.
async fn opened(tables: &Tables, name: &str, lanes: usize) {
    let enough = async {
        while tables.opened.lock().expect("opened").get(name).copied().unwrap_or(0) < lanes {
            tables.told.notified().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), enough).await.unwrap_or_else(|_| panic!("{lanes} lanes of {name}"));
}

/// Rows that were told of each stream.
#[derive(Default)]
struct Told {
    rows: Mutex<HashMap<u32, u64>>,
    tables: Tables,
    /// Lanes of `large` a while after the small one was read.
    at_commit: AtomicUsize,
}

impl Observer for Told {
    fn progress(&self, progress: Progress) {
        self.rows.lock().expect("told").insert(progress.stream, progress.rows);
        if progress.stream == 1 && progress.state == StreamState::Committing {
            // Whoever could take the place has the time to.
            std::thread::sleep(Duration::from_millis(300));
            let lanes = self.tables.opened.lock().expect("opened")["large"];
            self.at_commit.store(lanes, Ordering::SeqCst);
        }
    }
    fn event(&self, _: Event) {}
}

async fn begun(refuses: bool) -> (Tables, Arc<Told>, tokio::task::JoinHandle<Vec<crate::engine::StreamEnd>>) {
    let rig = rig();
    rig.permits.add_permits(64);
    let tables = Tables { refuses, ..Tables::default() };
    let told = Arc::new(Told { tables: tables.clone(), ..Told::default() });
    // Memory for two lanes.
    let budget = Budget::new(256 << 20).expect("budget");
    let context = Context { source: Arc::new(tables.clone()), budget, observer: told.clone(), ..rig.context.clone() };
    let running = tokio::spawn(async move {
        let ends = run(&two_streams(), &[0, 1], &context).await;
        drop(rig);
        ends
    });
    opened(&tables, "large", 1).await;
    opened(&tables, "small", 1).await;
    assert_eq!(tables.opened.lock().expect("opened").values().sum::<usize>(), 2, "one place for each");
    (tables, told, running)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_stream_takes_the_lanes_that_a_small_one_leaves() {
    let (tables, told, running) = begun(false).await;
    tables.small.0.add_permits(1);
    // No range of the large one has ended: only the small one's place can have let the second lane in.
    opened(&tables, "large", 2).await;
    tables.large.0.add_permits(3);
    running.await.expect("joined");
    assert_eq!(*told.rows.lock().expect("told"), HashMap::from([(0, 30), (1, 10)]));
    assert_eq!(tables.opened.lock().expect("opened")["large"], 2, "no third lane: there are two places");
    assert_eq!(told.at_commit.load(Ordering::SeqCst), 1, "what comes before a commit keeps its place");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_further_lane_that_can_not_be_opened_ends_no_stream() {
    let (tables, told, running) = begun(true).await;
    tables.small.0.add_permits(1);
    opened(&tables, "large", 2).await;
    tables.large.0.add_permits(3);
    let ends = running.await.expect("joined");
    assert_ne!(ends[0].outcome.failure, Some(FailureCode::SourceUnreachable));
    assert_eq!(told.rows.lock().expect("told")[&0], 30, "the lane that reads takes every range");
}

/// On one thread the large stream comes to its further lane before the small one has even asked for a place.
#[tokio::test]
async fn a_further_lane_waits_until_every_stream_has_its_first_place() {
    let (tables, told, running) = begun(false).await;
    tables.small.0.add_permits(1);
    tables.large.0.add_permits(3);
    running.await.expect("joined");
    assert_eq!(*told.rows.lock().expect("told"), HashMap::from([(0, 30), (1, 10)]));
}
