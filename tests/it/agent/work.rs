//! What agents do: workers that are started once, whatever restarts, falls silent, is canceled or disabled meanwhile.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use anyhow::{Result, ensure};
use waybill_tests::binaries::binary;
use waybill_tests::process::{is_alive, signal};
use waybill_tests::sandbox::Options;

use super::fixture::{Host, MANY, Office, on_postgres, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_through_an_agent_succeeds_and_the_agent_is_told_to_forget_it() -> Result<()> {
    let office = Office::start(Options::default(), 1_000).await?;
    let host = office.agent("office-1").await?;
    let run = office.sandbox.trigger("items").await?;
    office.succeeds(run, 1).await?;
    let codes = office.sandbox.codes(run).await?;
    ensure!(codes.iter().any(|code| code == "task_started"), "{codes:?}");
    until("the agent has forgotten the attempt", || {
        std::fs::read_dir(host.state.join("tasks")).is_ok_and(|tasks| tasks.count() == 0)
    })
    .await?;
    let agent = office.until_agent(host.id, |agent| agent.workers == 0).await?;
    ensure!(agent.connected && agent.slots == 4, "{agent:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_killed_and_started_again_costs_its_run_no_attempt() -> Result<()> {
    let office = Office::start(Options::default(), MANY).await?;
    let mut host = office.agent("office-1").await?;
    let run = office.running().await?;
    host.kill()?;
    let workers = host.workers();
    ensure!(workers.len() == 1 && is_alive(workers[0]), "the worker went with its agent");
    host.run()?;
    office.succeeds(run, 1).await?;
    ensure!(host.workers() == workers, "a second worker was started");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orchestrator_that_restarts_costs_an_agents_run_no_attempt() -> Result<()> {
    let mut office = Office::start(Options::default(), MANY).await?;
    let host = office.agent("office-1").await?;
    let ports = office.sandbox.ports()?;
    let run = office.running().await?;
    office.sandbox.kill_orchestrator()?;
    office.sandbox.restart(&ports).await?;
    office.until_agent(host.id, |agent| agent.connected).await?;
    office.succeeds(run, 1).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_asked_to_end_waits_for_its_worker_and_takes_no_other() -> Result<()> {
    let office = Office::start(Options::default(), MANY).await?;
    let mut host = office.agent("office-1").await?;
    let run = office.running().await?;
    signal(host.pid()?, "TERM")?;
    office.until_agent(host.id, |agent| agent.draining).await?;
    ensure!(!host.is_over()? && is_alive(host.workers()[0]), "the agent did not wait\n{}", host.log());
    office.succeeds(run, 1).await?;
    ensure!(host.ended().await? == Some(0), "{}", host.log());
    // Its last word was heard before it ended: it was told what it may forget.
    let kept: Vec<_> = std::fs::read_dir(host.state.join("tasks"))?.collect();
    ensure!(kept.is_empty(), "{kept:?}\n{}", host.log());
    let agent = office.until_agent(host.id, |agent| !agent.connected).await?;
    ensure!(agent.workers == 0, "{agent:?}");
    Ok(())
}

/// The agent's stream is closed within five seconds, its run is fenced; enabled again, it serves the next attempt.
#[tokio::test(flavor = "multi_thread")]
async fn f25_a_disabled_agent_is_cut_off_at_once_and_its_run_is_fenced() -> Result<()> {
    let office = Office::start(Options::default(), MANY).await?;
    let host = office.agent("office-1").await?;
    let run = office.running().await?;
    let worker = host.workers()[0];
    office.sandbox.client.agent_disable(host.id).await?;
    let took = host.says("agent_disabled", Duration::from_secs(5)).await?;
    ensure!(took < Duration::from_secs(5), "{took:?}");
    until("its worker has ended", || !is_alive(worker)).await?;
    let codes = office.sandbox.codes(run).await?;
    ensure!(codes.iter().any(|code| code == "fenced"), "{codes:?}");
    let agent = office.sandbox.client.agent_get(host.id).await?.value;
    ensure!(agent.state == "disabled" && !agent.connected, "{agent:?}");
    // The agent asks again after half a minute to a minute; another one on the same data plane takes over at once.
    let _second = office.agent("office-2").await?;
    office.succeeds(run, 2).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_of_an_agent_that_runs_out_of_memory_ends_its_attempt_as_that() -> Result<()> {
    let office = Office::start(Options::default(), 10).await?;
    let script = office.sandbox.path("worker.sh");
    let words =
        "#!/bin/sh\nread ticket || exit 1\necho 'memory allocation of 16777216 bytes failed' >&2\nkill -ABRT $$\n";
    std::fs::write(&script, words)?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
    let mut host = office.enrolled("office-1").await?;
    host.options = vec!["--worker".into(), script.display().to_string()];
    host.run()?;
    let run = office.sandbox.trigger("items").await?;
    let seen = office.sandbox.until(run, |seen| seen.attempt_list.iter().any(|one| one.failure.is_some())).await?;
    let failure = seen.attempt_list[0].failure.as_ref().map(|failure| failure.code.to_string());
    ensure!(failure.as_deref() == Some("out_of_memory"), "{:?}\n{}", seen.attempt_list, host.log());
    office.sandbox.client.run_cancel(run).await?;
    office.sandbox.ended(run).await?;
    Ok(())
}

/// A worker that says that it began, and waits for leave before it takes its ticket to the orchestrator.
fn waiting_worker(office: &Office) -> Result<(Vec<String>, std::path::PathBuf)> {
    let (script, go) = (office.sandbox.path("worker.sh"), office.sandbox.path("go"));
    let text = format!(
        "#!/bin/sh\nread ticket || exit 1\nwhile [ ! -e {} ]; do sleep 0.05; done\necho \"$ticket\" | exec {} \"$@\"\n",
        go.display(),
        binary("waybill-worker").display()
    );
    std::fs::write(&script, text)?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
    let options = vec!["--worker".into(), script.display().to_string(), "--pass-env".into(), "PATH".into()];
    Ok((options, go))
}

async fn agent_with_waiting_worker(office: &Office, name: &str) -> Result<(Host, std::path::PathBuf)> {
    let mut host = office.enrolled(name).await?;
    let (options, go) = waiting_worker(office)?;
    host.options = options;
    host.run()?;
    office.until_agent(host.id, |agent| agent.connected).await?;
    Ok((host, go))
}

#[tokio::test(flavor = "multi_thread")]
async fn f45_a_cancel_while_an_agent_launches_leaves_no_worker() -> Result<()> {
    let office = Office::start(Options::default(), 10).await?;
    let (host, _go) = agent_with_waiting_worker(&office, "office-1").await?;
    let run = office.sandbox.trigger("items").await?;
    until("the worker begins", || host.workers().len() == 1).await?;
    let worker = host.workers()[0];
    office.sandbox.client.run_cancel(run).await?;
    let ended = office.sandbox.ended(run).await?;
    ensure!(ended.run.state.to_string() == "canceled", "{}", ended.run.state);
    until("the worker has ended", || !is_alive(worker)).await?;
    ensure!(host.workers().len() == 1, "another worker was started");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_agent_loses_its_order_and_its_late_worker_may_not_enrol() -> Result<()> {
    failover(Options::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_agent_loses_its_order_on_postgres_too() -> Result<()> {
    let (options, _server) = on_postgres(Options::default());
    failover(options).await
}

/// The first agent falls silent with the order in its hands; the second one starts the worker. When the first one wakes
/// and starts its own, that one may not enrol. Heartbeats are long enough for the order to find it silent and not yet gone.
async fn failover(options: Options) -> Result<()> {
    let office = Office::start(options.with("BOUNDS__HEARTBEAT", "2s").with("BOUNDS__LEASE", "8s"), 1_000).await?;
    let first = office.agent("office-1").await?;
    let second = office.agent("office-2").await?;
    signal(first.pid()?, "STOP")?;
    let run = office.sandbox.trigger("items").await?;
    office.succeeds(run, 1).await?;
    ensure!(first.workers().is_empty() && second.workers().len() == 1, "the silent agent started the worker");
    ensure!(office.sandbox.log().contains("a silent agent lost a task"), "the order never went to the first agent");
    signal(first.pid()?, "CONT")?;
    until("the late worker is refused", || {
        let log = first.worker_logs();
        log.contains("enrolment_refused") || log.contains("fenced")
    })
    .await?;
    office.until_agent(first.id, |agent| agent.connected && agent.workers == 0).await?;
    office.succeeds(run, 1).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_waits_for_an_agent_that_comes_later() -> Result<()> {
    let office = Office::start(Options::default(), 10).await?;
    let mut host = office.enrolled("office-1").await?;
    let run = office.sandbox.trigger("items").await?;
    office.told(run, "no agent of the data plane is heard; start one on its host").await?;
    host.run()?;
    office.succeeds(run, 1).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_for_a_free_slot_says_so() -> Result<()> {
    one_slot(Options::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_waits_for_a_free_slot_on_postgres_too() -> Result<()> {
    let (options, _server) = on_postgres(Options::default());
    one_slot(options).await
}

async fn one_slot(options: Options) -> Result<()> {
    let office = Office::start(options, 10).await?;
    let mut host = office.enrolled("office-1").await?;
    let (mut options, go) = waiting_worker(&office)?;
    options.extend(["--slots".to_owned(), "1".to_owned()]);
    host.options = options;
    host.run()?;
    office.until_agent(host.id, |agent| agent.connected).await?;
    let holds = office.sandbox.trigger("items").await?;
    until("the worker begins", || host.workers().len() == 1).await?;
    let path = |name: &str| office.sandbox.path(name).display().to_string();
    let document = format!(
        "waybill: 1\nconnections:\n  shop: {{ type: sqlite, path: \"{}\" }}\n  else: {{ type: local, path: \"{}\" }}\n\
         pipelines:\n  second:\n    data-plane: office\n    from: shop\n    to: else\n    streams:\n      items: {{ load: full }}\n",
        path("shop.db"),
        path("else")
    );
    std::fs::create_dir(office.sandbox.path("else"))?;
    office.sandbox.apply(&document).await?;
    let waits = office.sandbox.trigger("second").await?;
    office.told(waits, "the agents of the data plane have no free slot").await?;
    std::fs::write(go, "")?;
    office.succeeds(holds, 1).await?;
    let ended = office.sandbox.ended(waits).await?;
    ensure!(ended.run.state.to_string() == "succeeded", "{:?}", ended.run.failure);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_task_through_an_agent_starts_enrols_and_leaves() -> Result<()> {
    let office = Office::start(Options::default(), 1).await?;
    let host = office.agent("office-1").await?;
    let run = office.sandbox.client.data_plane_test(office.plane).await?.run.id;
    let ended = office.sandbox.ended(run).await?;
    ensure!(ended.run.state.to_string() == "succeeded", "{:?}\n{}", ended.run.failure, office.sandbox.log());
    office.told(run, "has ended with exit code 0").await?;
    ensure!(host.workers().len() == 1 && !is_alive(host.workers()[0]), "a worker is left");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_task_without_an_agent_says_so_and_ends_within_its_own_bound() -> Result<()> {
    let bound = ("WAYBILL__BOUNDS__TEST_START_TIMEOUT".to_owned(), "2s".to_owned());
    let office = Office::start(Options { orchestrator: vec![bound], ..Options::default() }, 1).await?;
    let run = office.sandbox.client.data_plane_test(office.plane).await?.run.id;
    let ended = office.sandbox.ended(run).await?;
    ensure!(ended.run.failure.is_some() && ended.run.attempts == 1, "{:?}", ended.run);
    office.told(run, "no agent of the data plane is heard; start one").await
}
