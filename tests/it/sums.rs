//! Sums of columns, computed by a real server in the snapshot and by the worker over the files that it wrote: they agree for
//! every type that is taken, and a value that is bent on its way is caught before the commit.

mod bent;
mod mysql;
mod postgres;

use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use waybill_connectors::bucket::local::LocalBucket;
use waybill_model::event::{Event, EventCode};
use waybill_model::plan::{Plan, System};
use waybill_model::run::StreamState;
use waybill_model::{AttemptId, FailureCode, RunId};
use waybill_pipeline::engine::{self, Context, StreamEnd};
use waybill_pipeline::{Budget, Destination, Observer, OpenGate, Progress, Source, stop_pair};
use waybill_tests::canary::files;

use crate::reading::table_of;

/// Keeps what may leave.
#[derive(Default)]
struct Heard(Mutex<Vec<Event>>);

impl Observer for Heard {
    fn progress(&self, _: Progress) {}
    fn event(&self, event: Event) {
        self.0.lock().expect("no panic").push(event);
    }
}

/// How one run of one stream ended, and what was told of it.
struct Ran {
    end: StreamEnd,
    events: Vec<Event>,
}

impl Ran {
    /// The count of the one event of this code; none where there is none.
    fn told(&self, code: EventCode) -> Option<u64> {
        let mut all = self.events.iter().filter(|event| event.code == code);
        let one = all.next()?.count;
        assert!(all.next().is_none(), "told once");
        one
    }

    /// It committed, and so many columns agree.
    #[track_caller]
    fn agreed(&self, columns: u64) {
        let text = self.end.text.for_customer();
        assert_eq!((self.end.outcome.state, self.end.outcome.failure), (StreamState::Committed, None), "{text}");
        assert_eq!(
            (self.told(EventCode::ChecksumsAgree), self.told(EventCode::ChecksumsDiffer)),
            (Some(columns), None)
        );
    }

    /// It ended with this code; what the customer is told.
    #[track_caller]
    fn failed(&self, code: FailureCode) -> &str {
        let text = self.end.text.for_customer();
        assert_eq!((self.end.outcome.state, self.end.outcome.failure), (StreamState::Failed, Some(code)), "{text}");
        text
    }
}

/// Moves a stream, by four connections at most.
async fn moved(source: Arc<dyn Source>, system: System, folder: &Path, stream: Value) -> Ran {
    let to = json!({ "connection": "lake", "system": { "type": "local", "path": folder } });
    let plan = json!({
        "pipeline": "p", "from": { "connection": "db", "system": system }, "to": to, "streams": [stream],
        "limits": { "parallel": 4 },
    });
    let plan: Plan = serde_json::from_value(plan).expect("a plan");
    let heard = Arc::new(Heard::default());
    let bucket = LocalBucket::open(folder).expect("a bucket");
    let context = Context {
        source,
        destination: Destination::Bucket(Arc::new(bucket)),
        errands: std::collections::BTreeMap::new(),
        run: RunId::generate(),
        attempt: AttemptId::generate(),
        epoch: None,
        accepted: None,
        owner: "once/p".into(),
        observer: Arc::clone(&heard) as Arc<dyn Observer>,
        gate: Arc::new(OpenGate),
        stop: stop_pair().1,
        budget: Budget::new(256 << 20).expect("a budget"),
    };
    let end = engine::run(&plan, &[0], &context).await.remove(0);
    let events = std::mem::take(&mut *heard.0.lock().expect("no panic"));
    Ran { end, events }
}

/// The sums of the newest receipt: column, values and sum.
fn recorded(folder: &Path) -> Vec<(String, u64, String)> {
    let receipts = files(&table_of(folder), &[]);
    let newest = receipts.iter().filter(|path| path.to_string_lossy().contains("/receipts/")).max().expect("a receipt");
    let receipt: Value = serde_json::from_slice(&std::fs::read(newest).expect("a receipt")).expect("JSON");
    let one = |sum: &Value| {
        let text = |key: &str| sum[key].as_str().expect("a text").to_owned();
        (text("column"), sum["values"].as_u64().expect("a count"), text("sum"))
    };
    receipt["checksums"].as_array().map(|sums| sums.iter().map(one).collect()).unwrap_or_default()
}

/// Whether anything was committed.
fn is_committed(folder: &Path) -> bool {
    std::fs::read_dir(folder).into_iter().flatten().flatten().any(|entry| entry.path().join("_delta_log").exists())
}
