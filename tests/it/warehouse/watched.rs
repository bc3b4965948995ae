//! What a source of the same server and the same role sees of a delivery that is under way.

use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use waybill_connectors::source::postgres::PostgresSource;
use waybill_tests::fault::Marker;

use super::{Copy, talk};
use crate::postgres::settings;
use crate::reading::{read_after, stream};

/// A column of the customer's own says when a row was written: at the beginning of the transaction, which may be long ago when
/// its rows appear.
#[tokio::test(flavor = "multi_thread")]
async fn a_window_of_a_table_that_waybill_writes_waits_for_its_transaction() {
    let streams = "t: { load: new, cursor: id }";
    let copy = Copy::with("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)", streams);
    copy.delivered();
    let own = "ALTER TABLE t ADD loaded_at timestamptz DEFAULT now() - interval '1 hour', ADD n int8 GENERATED ALWAYS AS IDENTITY;
               ALTER TABLE t ALTER loaded_at SET DEFAULT now()";
    copy.server.run(own).await;
    copy.source("INSERT INTO t VALUES (3)");
    let marker = Marker::at(copy.path("fired"));
    let mut slow = copy.command("waybill-worker-faults");
    slow.env("WAYBILL_FAULT", marker.order("rows_sent=pause")).stdout(Stdio::piped()).stderr(Stdio::piped());
    let slow = slow.spawn().expect("run");
    marker.fires(1).await.expect("its transaction is open");
    // Longer than the margin of a window.
    let waited = "min(xact_start) < now() - interval '1500 milliseconds' FROM pg_stat_activity \
                  WHERE state LIKE 'idle in%' AND application_name LIKE 'waybill%'";
    copy.server.until(waited).await;
    let source = PostgresSource::new(&settings(copy.server.port()), None, "run_test").expect("a source");
    let by = |column: &str| stream("t", json!({"load": "new", "cursor": {"column": column, "margin-ms": 1000}}));
    let first = read_after(&source, &by("loaded_at"), None, 1).await.expect("read");
    let impatient = PostgresSource::new(&settings(copy.server.port()), None, "run_test").expect("a source");
    let number = read_after(&impatient.with_patience(Duration::ZERO), &by("n"), None, 1).await.expect("read");
    marker.release().expect("go on");
    let output = tokio::task::block_in_place(|| slow.wait_with_output()).expect("an end");
    assert_eq!(output.status.code(), Some(0), "{}", talk(&output));
    assert_eq!(first.sorted("id"), [1, 2]);
    assert!(!first.note.fixed_lag);
    let kept: serde_json::Value = serde_json::from_str(first.cursor.expect("a cursor").reveal()).expect("JSON");
    let end = kept["at"].as_str().expect("a time");
    let below = copy.one(&format!("SELECT count(*) FROM t WHERE loaded_at < '{end}'")).await;
    assert_eq!(below, "2", "a row below the window's end that no run brought is lost");
    assert!(number.note.held, "numbers wait for it too");
}
