//! A data plane that is drained under a worker: what has begun is delivered, the rest waits, and nothing is launched.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use waybill_api::client::ListQuery;
use waybill_api::data_plane::DataPlane;
use waybill_model::run::{RunState, StreamState};
use waybill_tests::fault::Marker;
use waybill_tests::process::{is_stopped, wake};
use waybill_tests::readers;
use waybill_tests::sandbox::{Options, Sandbox};

async fn plane(sandbox: &Sandbox) -> Result<DataPlane> {
    let page = sandbox.client.data_plane_list(&ListQuery::default()).await?;
    page.items.into_iter().next().context("a data plane")
}

/// More streams than are begun while one commit is on its way: a stream gives its connection back before it commits.
const STREAMS: usize = 16;

fn table(n: usize) -> String {
    format!("t{n:02}")
}

/// Small tables, one connection at a time, and a second pipeline.
async fn apply(sandbox: &Sandbox) -> Result<()> {
    let source = rusqlite::Connection::open(sandbox.path("shop.db"))?;
    for table in (0..STREAMS).map(table) {
        source.execute_batch(&format!(
            "create table {table} (id integer primary key); insert into {table} values (1), (2), (3)"
        ))?;
    }
    let dir = sandbox.dir.path().display();
    let streams: String = (0..STREAMS).map(|n| format!("{}: {{}}, ", table(n))).collect();
    let document = format!(
        "waybill: 1\nconnections:\n  shop: {{ type: sqlite, path: \"{dir}/shop.db\" }}\n  \
         lake: {{ type: local, path: \"{dir}/lake\" }}\n  other: {{ type: local, path: \"{dir}/other\" }}\npipelines:\n  \
         many: {{ from: shop, to: lake, limits: {{ parallel: 1 }}, streams: {{ {streams} }} }}\n  \
         one: {{ from: shop, to: other, streams: {{ t00: {{}} }} }}\n"
    );
    sandbox.apply(&document).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_of_a_drained_data_plane_finishes_what_it_has_begun_and_the_rest_waits() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let marker = Marker::at(scratch.path().join("fired"));
    // One attempt is allowed: to be drained is no try.
    let options = Options::default().with("BOUNDS__ATTEMPTS", "1");
    let sandbox = Sandbox::start(options.with_faults(&[marker.order("files_closed=stop")])).await?;
    apply(&sandbox).await?;
    let run = sandbox.trigger("many").await?;
    let worker = marker.fires(1).await?;
    while !is_stopped(worker) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await; // bounded by the test runner
    }
    let plane = plane(&sandbox).await?;
    let drained = sandbox.client.data_plane_drain(plane.id).await?;
    ensure!(drained.draining_since.is_some() && plane.draining_since.is_none());
    wake(worker).await?;

    // What was begun is delivered, and of the others there is nothing.
    let queued = sandbox.until(run, |run| run.run.state.known() == Some(RunState::Queued)).await?;
    let states: Vec<_> = queued.streams.iter().map(|stream| stream.state.known()).collect();
    let delivered: Vec<_> = states.iter().map(|state| *state == Some(StreamState::Committed)).collect();
    let there: Vec<_> = (0..STREAMS).map(|n| sandbox.path("lake").join(table(n)).exists()).collect();
    let some = delivered.contains(&true) && delivered.contains(&false);
    ensure!(some && delivered == there, "{states:?} {there:?}\n{}", sandbox.log());
    let ended = queued.attempt_list[0].failure.as_ref().map(|failure| failure.code.to_string());
    ensure!(ended.as_deref() == Some("drained"), "{ended:?}\n{}", sandbox.log());
    let waits = queued.run.waiting_for.unwrap_or_default();
    ensure!(waits.contains("waybill data-plane resume"), "{waits}");
    ensure!(sandbox.codes(run).await?.contains(&"stop_begun".to_owned()));

    // A test task is started there, so the dispatcher has looked: at no run of rows.
    let other = sandbox.trigger("one").await?;
    let test = sandbox.ended(sandbox.client.data_plane_test(plane.id).await?.run.id).await?;
    ensure!(test.run.state.known() == Some(RunState::Succeeded), "{:?}", test.run.failure);
    for waiting in [run, other] {
        let run = sandbox.client.run_get(waiting).await?;
        ensure!(run.run.state.known() == Some(RunState::Queued), "{} is {}", run.run.subject, run.run.state);
        ensure!(run.run.waiting_for.is_some_and(|waits| waits.contains("being drained")));
    }
    let again = sandbox.client.data_plane_drain(plane.id).await.err().and_then(|error| error.problem().cloned());
    ensure!(again.is_some_and(|problem| problem.code == "state_conflict"));

    let resumed = sandbox.client.data_plane_resume(plane.id).await?;
    ensure!(resumed.draining_since.is_none());
    for (run, attempts) in [(run, 2), (other, 1)] {
        let ended = sandbox.ended(run).await?;
        ensure!(ended.run.state.known() == Some(RunState::Succeeded), "{:?}\n{}", ended.run.failure, sandbox.log());
        ensure!(ended.attempt_list.len() == attempts, "{:?}", ended.attempt_list);
    }
    // The first, the last, and one of a run that waited whole.
    let looked_at = ["lake/t00".to_owned(), format!("lake/{}", table(STREAMS - 1)), "other/t00".to_owned()];
    for table in &looked_at {
        let rows = readers::query(&sandbox.path(table), "select count(*), max(id) from t")?.agreed();
        ensure!(rows == json!([[3, 3]]), "{table}: {rows}");
    }
    for table in (0..STREAMS).map(table) {
        let commits = std::fs::read_dir(sandbox.path("lake").join(&table).join("_delta_log"))?.count();
        ensure!(commits == 1, "{table} has {commits} commits: it was delivered twice");
    }
    Ok(())
}
