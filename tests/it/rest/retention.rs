//! Retention with the real program: what is over goes, and is counted and audited.

use std::time::{Duration, Instant};

use super::*;

const DOCUMENT: &str = "waybill: 1
connections:
  shop: { type: sqlite, path: DIR/shop.db }
  lake: { type: local, path: DIR/lake }
pipelines:
  shop: { from: shop, to: lake, streams: { orders: { load: full } } }
";

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_has_been_kept_long_enough_is_removed_counted_and_audited() {
    let short = ["RUNS", "RUN_EVENTS", "LAUNCH_REQUESTS", "EVERY"].map(|key| format!("WAYBILL__RETENTION__{key}"));
    let settings: Vec<(&str, &str)> = short.iter().map(|key| (key.as_str(), "1s")).collect();
    let (sandbox, door) = with(&settings).await;
    let source = rusqlite::Connection::open(sandbox.path("shop.db")).expect("a source");
    source.execute_batch("create table orders (id integer primary key); insert into orders values (1)").expect("rows");
    sandbox.apply(&DOCUMENT.replace("DIR", &sandbox.dir.path().display().to_string())).await.expect("applied");
    let run = sandbox.trigger("shop").await.expect("a run");
    let path = format!("/v1/runs/{run}");
    let deadline = Instant::now() + Duration::from_secs(90);
    // It is there until it has ended, whatever its age, and not much longer.
    let mut last = Value::Null;
    loop {
        let got = door.get(&path).await;
        if got.status == StatusCode::NOT_FOUND {
            break;
        }
        assert_eq!(got.status, StatusCode::OK, "{}", got.body);
        last = got.body;
        assert!(Instant::now() < deadline, "never removed: {last}");
        tokio::time::sleep(Duration::from_millis(50)).await; // a poll of the public API, bounded above
    }
    assert_eq!(last["state"], "succeeded", "it was seen to its end before it went: {last}");
    let private = sandbox.ports().expect("ports").private;
    let metrics = reqwest::get(format!("http://{private}/metrics")).await.expect("metrics").text().await.expect("text");
    assert!(metrics.contains("waybill_retention_removed_total{what=\"runs\"} 1"), "{metrics}");
    let audit = door.get("/v1/audit").await;
    let entries = audit.body["items"].as_array().expect("entries");
    let removed = entries.iter().any(|entry| entry["action"] == "retention_remove" && entry["object"] == "runs:1");
    let begun = entries.iter().any(|entry| entry["object"] == run.to_string());
    assert!(removed && begun, "the removal is told, and what was told before stays: {}", audit.body);
}
