//! An orchestrator that is away while many workers work: none is given up, and each delivers in its first attempt.

use anyhow::{Result, ensure};
use waybill_tests::fault::Marker;
use waybill_tests::process::{is_stopped, wake};
use waybill_tests::proof::runs;
use waybill_tests::readers;
use waybill_tests::sandbox::{Options, Sandbox};

use super::until_no_lease_holds;

/// Runs at once, where no proof asks for more.
const USUAL: usize = 8;

/// Pipelines `p0`, `p1` …, each with a table of its own.
fn document(sandbox: &Sandbox, many: usize) -> String {
    let dir = sandbox.dir.path().display();
    let mut text = format!("waybill: 1\nconnections:\n  shop: {{ type: sqlite, path: \"{dir}/shop.db\" }}\n");
    for n in 0..many {
        text.push_str(&format!("  lake{n}: {{ type: local, path: \"{dir}/lake/{n}\" }}\n"));
    }
    text.push_str("pipelines:\n");
    for n in 0..many {
        text.push_str(&format!("  p{n}: {{ from: shop, to: lake{n}, streams: {{ t: {{}} }} }}\n"));
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn f20_an_orchestrator_that_is_away_while_many_runs_work_loses_none_of_them() -> Result<()> {
    let many = runs(USUAL);
    let scratch = tempfile::tempdir()?;
    let marker = Marker::at(scratch.path().join("fired"));
    let patient = Options::default().with("BOUNDS__START_TIMEOUT", "10m").with("BOUNDS__OFFLINE_GRACE", "10m");
    let mut sandbox = Sandbox::start(patient.with_faults(&[marker.order("files_closed=hold")])).await?;
    let source = rusqlite::Connection::open(sandbox.path("shop.db"))?;
    source.execute_batch("create table t (id integer primary key); insert into t values (1), (2), (3)")?;
    sandbox.apply(&document(&sandbox, many)).await?;
    let ports = sandbox.ports()?;
    let mut runs = Vec::new();
    for n in 0..many {
        runs.push(sandbox.trigger(&format!("p{n}")).await?);
    }
    // Every worker has read its rows, and sleeps.
    while marker.fired().map_or(0, |pids| pids.len()) < many {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await; // bounded by the test runner
    }
    sandbox.kill_orchestrator()?;
    let workers = marker.fired()?;
    while !workers.iter().all(|worker| is_stopped(*worker)) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await; // bounded by the test runner
    }
    marker.release()?;
    until_no_lease_holds(&sandbox.path("state/waybill.db")).await?;
    // One half wakes while nobody answers, the other when the orchestrator is back.
    let (early, late) = workers.split_at(many / 2);
    futures::future::try_join_all(early.iter().map(|worker| wake(*worker))).await?;
    sandbox.restart(&ports).await?;
    futures::future::try_join_all(late.iter().map(|worker| wake(*worker))).await?;
    for (n, run) in runs.into_iter().enumerate() {
        let ended = sandbox.ended(run).await?;
        ensure!(ended.run.state.to_string() == "succeeded", "{:?}\n{}", ended.run.failure, sandbox.log());
        ensure!(ended.attempt_list.len() == 1, "{:?}\n{}", ended.attempt_list, sandbox.log());
        let rows = readers::query(&sandbox.path(&format!("lake/{n}/t")), "select count(*), max(id) from t")?.agreed();
        ensure!(rows == serde_json::json!([[3, 3]]), "p{n}: {rows}");
    }
    Ok(())
}
