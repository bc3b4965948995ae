//! Workers for whom memory runs out, at the limit that the launcher sets and by the kernel's hand: told apart from a lost
//! worker, tried once more, then left with the advice. And what a stopping orchestrator says of workers that go on.

use serde_json::json;
use waybill_api::run::RunDetail;
use waybill_tests::control_group::ControlGroup;
use waybill_tests::fault::Marker;
use waybill_tests::process::{signal, wake};
use waybill_tests::readers;
use waybill_tests::sandbox::{Options, Sandbox};

/// Applies a pipeline whose run draws up to `memory`, and runs it to its end.
async fn run(sandbox: &Sandbox, memory: &str) -> RunDetail {
    begin(sandbox, memory).await;
    let run = sandbox.trigger("shop").await.expect("a run");
    sandbox.ended(run).await.expect("its end")
}

async fn begin(sandbox: &Sandbox, memory: &str) {
    let source = rusqlite::Connection::open(sandbox.path("shop.db")).expect("a source");
    source.execute_batch("create table t (id integer primary key); insert into t values (1), (2), (3)").expect("rows");
    let document = format!(
        "waybill: 1\nconnections:\n  shop: {{ type: sqlite, path: DIR/shop.db }}\n  lake: {{ type: local, path: DIR/lake }}\n\
         pipelines:\n  shop: {{ from: shop, to: lake, streams: {{ t: {{}} }}{memory} }}\n"
    );
    sandbox.apply(&document.replace("DIR", &sandbox.dir.path().display().to_string())).await.expect("applied");
}

/// DuckDB and delta-rs find the source's rows, once each.
fn table_is_the_source(sandbox: &Sandbox) {
    let rows = readers::query(&sandbox.path("lake/t"), "select id from t order by id").expect("readers").agreed();
    assert_eq!(rows, json!([[1], [2], [3]]));
    let log = std::fs::read_dir(sandbox.path("lake/t/_delta_log")).expect("a log").count();
    assert_eq!(log, 1, "commits of one run");
}

fn failures(run: &RunDetail) -> Vec<Option<String>> {
    run.attempt_list.iter().map(|attempt| attempt.failure.as_ref().map(|failure| failure.code.to_string())).collect()
}

const OUT_OF_MEMORY: &str = "out_of_memory";

#[tokio::test(flavor = "multi_thread")]
async fn f41_a_worker_that_meets_its_limit_is_tried_once_more_and_succeeds() {
    let scratch = tempfile::tempdir().expect("a directory");
    let marker = Marker::at(scratch.path().join("fired"));
    let sandbox = Sandbox::start(Options::default().with_faults(&[marker.order("first_part=exhaust")])).await;
    let sandbox = sandbox.expect("a product");
    let ended = run(&sandbox, ", limits: { memory: 64MiB }").await;
    assert_eq!(marker.fired().expect("the fault fired").len(), 1);
    assert_eq!(ended.run.state.to_string(), "succeeded", "{:?}", ended.run.failure);
    assert_eq!(failures(&ended), [Some(OUT_OF_MEMORY.to_owned()), None]);
    table_is_the_source(&sandbox);
}

#[tokio::test(flavor = "multi_thread")]
async fn f41_a_second_time_out_of_memory_ends_the_run_with_the_advice() {
    let scratch = tempfile::tempdir().expect("a directory");
    let markers = ["first", "second"].map(|name| Marker::at(scratch.path().join(name)));
    let orders = markers.each_ref().map(|marker| marker.order("first_part=exhaust"));
    let sandbox = Sandbox::start(Options::default().with_faults(&orders)).await.expect("a product");
    let ended = run(&sandbox, ", limits: { memory: 64MiB }").await;
    assert_eq!(ended.run.state.to_string(), "failed");
    assert_eq!(failures(&ended), [Some(OUT_OF_MEMORY.to_owned()), Some(OUT_OF_MEMORY.to_owned())]);
    let failure = ended.run.failure.expect("a failure");
    assert_eq!(failure.code.to_string(), OUT_OF_MEMORY);
    assert!(failure.hint.contains("more memory"), "{}", failure.hint);
    assert!(markers.iter().all(|marker| marker.fired().is_ok_and(|pids| pids.len() == 1)), "a fault did not fire");
    assert!(!sandbox.path("lake/t/_delta_log").exists(), "something was committed");
    // With memory again, and nothing else, the next run delivers.
    let next = sandbox.trigger("shop").await.expect("a run");
    assert_eq!(sandbox.ended(next).await.expect("its end").run.state.to_string(), "succeeded");
    table_is_the_source(&sandbox);
}

#[tokio::test(flavor = "multi_thread")]
async fn f41_the_kernel_ends_the_worker_and_not_the_orchestrator_and_the_run_says_why() {
    let group = ControlGroup::limited_to(400 << 20);
    let group = group.expect("a control group; deploy/dev/test.sh leaves this test out where none is allowed");
    let scratch = tempfile::tempdir().expect("a directory");
    let marker = Marker::at(scratch.path().join("fired"));
    let options = Options::default()
        .with_faults(&[marker.order("first_part=exhaust")])
        .with("WORKER__CONTROL_GROUP", &group.place().display().to_string());
    let sandbox = Sandbox::start(options).await.expect("a product");
    let ended = run(&sandbox, "").await;
    assert_eq!(marker.fired().expect("the fault fired").len(), 1);
    assert_eq!(group.kills(), 1, "the kernel ended the worker, and what was asked for its end goes on");
    assert_eq!(ended.run.state.to_string(), "succeeded", "{:?}", ended.run.failure);
    assert_eq!(failures(&ended), [Some(OUT_OF_MEMORY.to_owned()), None]);
    table_is_the_source(&sandbox);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_orchestrator_says_what_still_runs_and_keeps_its_directory() {
    let scratch = tempfile::tempdir().expect("a directory");
    let marker = Marker::at(scratch.path().join("fired"));
    let options = Options::default()
        .with_faults(&[marker.order("first_part=stop")])
        .with("WORKER__KEEP_ATTEMPTS", "1")
        .with("SERVER__DRAIN", "1s")
        .with("BOUNDS__OFFLINE_GRACE", "60s");
    let mut sandbox = Sandbox::start(options).await.expect("a product");
    begin(&sandbox, "").await;
    let stopped = sandbox.trigger("shop").await.expect("a run");
    let worker = marker.fires(1).await.expect("the fault fired");
    let (ports, pid) = (sandbox.ports().expect("ports"), sandbox.orchestrator_pid().expect("a process"));
    signal(pid, "TERM").expect("kill");
    sandbox.orchestrator_left().await.expect("its end");
    assert!(sandbox.log().contains(&format!("still running: {stopped} (")), "{}", sandbox.log());
    sandbox.restart(&ports).await.expect("again");
    wake(worker).await.expect("awake");
    let ended = sandbox.ended(stopped).await.expect("its end");
    assert_eq!((ended.run.state.to_string(), ended.attempt_list.len()), ("succeeded".to_owned(), 1));
    table_is_the_source(&sandbox);
}
