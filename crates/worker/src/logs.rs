//! The full log of an attempt: lines of JSON in the customer's bucket, in chunks that are complete once they are there.
//!
//! Losing a line never fails the data: what can't be kept or written is counted and told in the next chunk.

mod chunk;
mod layer;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use waybill_model::event::Event;
use waybill_model::{AttemptId, RunId};
use waybill_pipeline::{Bucket, Fault, FaultResult, Observer, Progress};

use crate::cli::LogsArguments;
use crate::connect;
use crate::exit::Exit;
use crate::terminal;
use layer::LineLayer;

/// Lines that may wait for the writer.
const WAITING: usize = 4096;
/// How long the end of an attempt waits for its last chunk.
const LAST_CHUNK: Duration = Duration::from_secs(5);
/// The largest chunk that is read back.
const CHUNK_CAP: u64 = 8 << 20;

/// Where chunks of an attempt lie, below the connection's prefix.
fn directory(run: RunId, attempt: Option<AttemptId>) -> String {
    match attempt {
        Some(attempt) => format!("_waybill/logs/{run}/{attempt}/"),
        None => format!("_waybill/logs/{run}/"),
    }
}

/// The log of one attempt, from its start to `finish`.
pub struct AttemptLog {
    end: oneshot::Sender<()>,
    writer: JoinHandle<()>,
}

impl AttemptLog {
    /// The log of an attempt that writes to this bucket. One that writes to a database has none to keep its log in: it goes to
    /// the process's own standard error, which stays with whoever runs it.
    #[must_use]
    pub fn of(bucket: Option<&Arc<dyn Bucket>>, run: RunId, attempt: AttemptId) -> Option<Self> {
        if bucket.is_none() {
            let _ = tracing_subscriber::registry().with(LineLayer::to_terminal()).try_init();
        }
        bucket.map(|bucket| Self::start(Arc::clone(bucket), run, attempt))
    }

    /// Sends everything that is traced in this process to the bucket from now on. Once per process.
    #[must_use]
    pub fn start(bucket: Arc<dyn Bucket>, run: RunId, attempt: AttemptId) -> Self {
        let (lines, receiver) = mpsc::channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let (end, ended) = oneshot::channel();
        let prefix = directory(run, Some(attempt));
        let writer = tokio::spawn(chunk::write(bucket, prefix, receiver, Arc::clone(&lost), ended));
        let layer = LineLayer::new(lines, lost);
        // A second log in one process would be a defect; the first one stays.
        let _ = tracing_subscriber::registry().with(layer).try_init();
        Self { end, writer }
    }

    /// Writes the last chunk, if the bucket takes it in time.
    pub async fn finish(self) {
        let _ = self.end.send(());
        let _ = tokio::time::timeout(LAST_CHUNK, self.writer).await;
    }
}

/// Keeps every event in the log on its way to the observer behind it.
pub struct Logged<O>(pub O);

impl<O: Observer> Observer for Logged<O> {
    fn progress(&self, progress: Progress) {
        self.0.progress(progress);
    }

    fn event(&self, event: Event) {
        let arguments = serde_json::to_string(&event).unwrap_or_default();
        tracing::info!(event = arguments, "{}", event.code);
        self.0.event(event);
    }
}

/// Counts what the layer could not keep.
fn count_lost(lost: &AtomicU64) {
    lost.fetch_add(1, Ordering::Relaxed);
}

/// Prints the log of a run.
pub(crate) async fn show(arguments: &LogsArguments) -> Exit {
    let directory = directory(arguments.run, arguments.attempt);
    show_below((&arguments.url, &directory), CHUNK_CAP, &format!("log of {}", arguments.run)).await
}

/// Prints every object below a directory of a bucket, each of at most `cap` bytes, in the order of their keys.
pub(crate) async fn show_below((url, directory): (&str, &str), cap: u64, what: &str) -> Exit {
    match print_below(url, directory, cap).await {
        Ok(0) => {
            terminal::say(&format!("there is no {what} below {url}"));
            Exit::Failed
        }
        Ok(_) => Exit::Ok,
        Err(fault) => {
            terminal::say(&format!("{}: {}", fault.code, fault.text.for_customer()));
            Exit::Failed
        }
    }
}

/// How many there are.
async fn print_below(url: &str, directory: &str, cap: u64) -> FaultResult<usize> {
    let bucket = connect::bucket_at(url).await?;
    let objects = bucket.list(directory, None).await?;
    for object in &objects {
        if let Some(bytes) = bucket.get(&object.key, cap).await?
            && std::io::stdout().write_all(&bytes).is_err()
        {
            // Whoever read the output has seen enough.
            break;
        }
    }
    Ok(objects.len())
}

/// Tells the log and the terminal of a failure that belongs to no stream.
pub fn tell(fault: &Fault) {
    tracing::error!(code = %fault.code, text = fault.text.for_customer(), "attempt failed");
    terminal::say(&format!("× {}: {}\n  help: {}", fault.code, fault.text.for_customer(), fault.code.hint()));
}
