//! Two real orchestrators on one Postgres that want the same: a schedule's slot, the same queue of runs, the end of an attempt.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use waybill_api::client::RunQuery;
use waybill_model::RunId;
use waybill_tests::fault::Marker;
use waybill_tests::process::{is_stopped, signal, wake};
use waybill_tests::readers;
use waybill_tests::sandbox::{Options, Replica, Sandbox};
use waybill_tests::services::postgres::Postgres;

/// Runs that both are given to launch at the same time.
const RUNS: usize = 12;

/// Two orchestrators, and pipelines that each write a table of their own.
async fn both(server: &Postgres, options: Options, pipelines: &str) -> Result<(Sandbox, Replica)> {
    let sandbox = Sandbox::start(options.with("DATABASE__URL", &server.owner_url())).await?;
    let source = rusqlite::Connection::open(sandbox.path("shop.db"))?;
    source.execute_batch("create table t (id integer primary key); insert into t values (1), (2), (3)")?;
    let document = format!("waybill: 1\nconnections:\n  shop: {{ type: sqlite, path: DIR/shop.db }}\n{pipelines}");
    sandbox.apply(&document.replace("DIR", &sandbox.dir.path().display().to_string())).await?;
    let replica = sandbox.replica().await?;
    Ok((sandbox, replica))
}

fn table_is_right(sandbox: &Sandbox, lake: &str) -> Result<()> {
    let rows = readers::query(&sandbox.path(lake).join("t"), "select count(*), max(id) from t")?.agreed();
    ensure!(rows == serde_json::json!([[3, 3]]), "{lake}: {rows}");
    Ok(())
}

/// One number of an orchestrator's metrics.
async fn metric(private: &str, name: &str) -> Result<u64> {
    let text = reqwest::get(format!("http://{private}/metrics")).await?.text().await?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.with_context(|| format!("no {name} in {text}"))
}

/// The orchestrator that sleeps at this point, and not in the middle of something else as well, whose locks nobody could take
/// over: continued it stops again by itself.
async fn sleeper(marker: &Marker, server: &Postgres) -> Result<u32> {
    let asleep = marker.fires(1).await?;
    while server.open_transactions().await > 0 {
        signal(asleep, "CONT")?;
        tokio::time::sleep(std::time::Duration::from_millis(100)).await; // bounded by the test runner
    }
    Ok(asleep)
}

#[tokio::test(flavor = "multi_thread")]
async fn f13_two_orchestrators_that_want_one_slot_begin_one_run() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let marker = Marker::at(scratch.path().join("fired"));
    let server = Postgres::start();
    let options = Options::default().with_faults(&[marker.order("slot_due=freeze")]).for_itself();
    let pipelines = "  lake: { type: local, path: DIR/lake }\npipelines:\n  p: { from: shop, to: lake, streams: { t: {} }, \
                     schedule: { cron: \"0 0 1 1 *\" } }\n";
    let (mut sandbox, replica) = both(&server, options, pipelines).await?;
    let due = "update schedule set next_slot = (extract(epoch from now())::bigint - 1) * 1000000";
    ensure!(server.client().await.execute(due, &[]).await? == 1, "there is no schedule");
    // Whoever leads has seen the slot, and sleeps before it takes it; the other one leads next.
    let asleep = sleeper(&marker, &server).await?;
    let own_sleeps = asleep == sandbox.orchestrator_pid()?;
    let (awake, slept) = match own_sleeps {
        true => (replica.ports.private.clone(), sandbox.ports()?.private),
        false => (sandbox.ports()?.private, replica.ports.private.clone()),
    };
    if own_sleeps {
        sandbox.client = replica.client.clone();
    }
    let run = loop {
        let runs = sandbox.client.run_list(&RunQuery::default()).await?.items;
        if let Some(run) = runs.first() {
            break run.id;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await; // bounded by the test runner
    };
    ensure!(is_stopped(asleep), "the first leader was not asleep");
    ensure!(metric(&awake, "waybill_loop_leads{loop=\"schedule\"}").await? == 1, "who is awake does not lead");
    marker.release()?;
    wake(asleep).await?;
    // It wakes in the middle of what it was about to write, is refused, and goes on as a follower.
    while metric(&slept, "waybill_loop_leads{loop=\"schedule\"}").await? == 1 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await; // bounded by the test runner
    }
    let ended = sandbox.ended(run).await?;
    ensure!(ended.run.state.to_string() == "succeeded" && ended.attempt_list.len() == 1, "{ended:?}");
    let runs = sandbox.client.run_list(&RunQuery::default()).await?.items;
    ensure!(runs.len() == 1, "{} runs of one slot", runs.len());
    // Both write into one log: the one that came too late says so, and nobody else does.
    let said = sandbox.log().lines().filter(|line| line.contains("slot_taken")).count();
    ensure!(said == 1, "slot_taken was said {said} times:\n{}", sandbox.log());
    table_is_right(&sandbox, "lake")
}

#[tokio::test(flavor = "multi_thread")]
async fn f13_two_orchestrators_on_one_queue_start_one_process_for_each_run() -> Result<()> {
    let server = Postgres::start();
    let mut pipelines: String =
        (0..RUNS).map(|n| format!("  lake{n}: {{ type: local, path: DIR/lake/{n} }}\n")).collect();
    pipelines.push_str("pipelines:\n");
    let each = |n| format!("  p{n}: {{ from: shop, to: lake{n}, streams: {{ t: {{}} }} }}\n");
    pipelines.extend((0..RUNS).map(each));
    let (sandbox, replica) = both(&server, Options::default(), &pipelines).await?;
    let privates = [sandbox.ports()?.private, replica.ports.private.clone()];
    let acted = async || -> Result<Vec<u64>> {
        let name = "waybill_loop_acted_total{loop=\"dispatch\"}";
        Ok(vec![metric(&privates[0], name).await.unwrap_or(0), metric(&privates[1], name).await.unwrap_or(0)])
    };
    let mut launched = 0;
    // Again until both have taken part; bounded by the test runner.
    while launched == 0 || acted().await?.contains(&0) {
        let names: Vec<String> = (0..RUNS).map(|n| format!("p{n}")).collect();
        let begun = names.chunks(2).map(async |two| {
            let (one, other) = tokio::join!(sandbox.trigger(&two[0]), replica.trigger(&two[1]));
            Ok::<[RunId; 2], anyhow::Error>([one?, other?])
        });
        let runs = futures::future::try_join_all(begun).await?.concat();
        launched += runs.len();
        for (n, run) in runs.into_iter().enumerate() {
            let ended = sandbox.ended(run).await?;
            ensure!(ended.run.state.to_string() == "succeeded", "{:?}\n{}", ended.run.failure, sandbox.log());
            ensure!(ended.attempt_list.len() == 1, "{:?}", ended.attempt_list);
            table_is_right(&sandbox, &format!("lake/{n}"))?;
        }
    }
    let log = sandbox.log();
    let started: Vec<&str> = log.lines().filter(|line| line.contains("started a worker process")).collect();
    let different: BTreeSet<_> = started.iter().collect();
    ensure!(
        started.len() == launched && different.len() == launched,
        "{} processes for {launched} runs",
        started.len()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f14_a_leader_that_slept_as_it_was_about_to_end_an_attempt_is_refused_when_it_wakes() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let (killed, frozen) = (Marker::at(scratch.path().join("killed")), Marker::at(scratch.path().join("frozen")));
    let server = Postgres::start();
    let orders = [killed.order("files_closed=kill"), frozen.order("loss_seen=freeze")];
    let pipelines =
        "  lake: { type: local, path: DIR/lake }\npipelines:\n  p: { from: shop, to: lake, streams: { t: {} } }\n";
    let (mut sandbox, replica) = both(&server, Options::default().with_faults(&orders), pipelines).await?;
    let run = sandbox.trigger("p").await?;
    killed.fires(1).await?;
    // Whoever leads has seen that the worker is gone, and sleeps before it writes so.
    let asleep = sleeper(&frozen, &server).await?;
    let own_sleeps = asleep == sandbox.orchestrator_pid()?;
    let slept = if own_sleeps { sandbox.ports()?.private } else { replica.ports.private.clone() };
    let own = sandbox.client.clone();
    if own_sleeps {
        sandbox.client = replica.client.clone();
    }
    let ended = sandbox.ended(run).await?;
    ensure!(ended.run.state.to_string() == "succeeded", "{:?}\n{}", ended.run.failure, sandbox.log());
    ensure!(ended.attempt_list.len() == 2, "{:?}", ended.attempt_list);
    ensure!(is_stopped(asleep), "the first leader was not asleep");
    frozen.release()?;
    wake(asleep).await?;
    // It wakes before the write, is refused, and goes on as a follower.
    while !sandbox.log().contains("the loop reap is led by another now") {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await; // bounded by the test runner
    }
    ensure!(metric(&slept, "waybill_loop_leads{loop=\"reap\"}").await? == 0, "two lead");
    sandbox.client = own;
    let after = sandbox.client.run_get(run).await?;
    ensure!(serde_json::to_value(&after)? == serde_json::to_value(&ended)?, "it changed the run: {after:?}");
    table_is_right(&sandbox, "lake")
}
