//! Workers and orchestrators that die, stop or are cut off at the worst moments: the table is always right.
//!
//! Each test asserts that its fault fired, and that the committed rows equal the source's.

mod files;
mod merging;

use anyhow::{Context, Result, ensure};
use waybill_api::run::RunDetail;
use waybill_tests::fault::Marker;
use waybill_tests::process::wake;
use waybill_tests::sandbox::{Options, Sandbox};

use super::story::{ROWS, Story, succeeded};

/// Where F1 to F9 kill: the step and its point in the fault build.
const STEPS: &[(&str, &str)] = &[
    ("F1", "enrolled"),
    ("F2", "snapshot_open"),
    ("F3", "first_part"),
    ("F4", "last_part"),
    ("F5", "files_closed"),
    ("F6", "prepare_granted"),
    ("F7", "put_under_way"),
    ("F8", "commit_applied"),
    ("F9", "before_report_final"),
];

/// The order to act so at a step. The commit's put is one of many: only the first one after the point before it is meant.
fn order(marker: &Marker, fault: &str, action: &str) -> Vec<String> {
    let mut orders = Vec::new();
    if fault == "put_under_way" {
        orders.push(marker.beside("armed").order("before_commit_put=mark"));
    }
    orders.push(marker.order(&format!("{fault}={action}")));
    orders
}

async fn begun(fault: &str, action: &str, load: &str) -> Result<Story> {
    Story::start(load, |marker| Ok(Options::default().with_faults(&order(marker, fault, action)))).await
}

async fn killed_at(fault: &str, load: &str) -> Result<(Story, RunDetail)> {
    let story = begun(fault, "kill", load).await?;
    let run = story.sandbox.trigger("items").await?;
    let ended = story.sandbox.ended(run).await?;
    story.marker.fired()?;
    succeeded(&ended)?;
    ensure!(ended.attempt_list.len() == 2, "{} attempts at {fault}", ended.attempt_list.len());
    story.table_is_exactly(ROWS)?;
    Ok((story, ended))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_at_any_step_is_replaced_and_the_run_commits_once() -> Result<()> {
    for (name, fault) in STEPS {
        let (story, ended) = killed_at(fault, "full").await.with_context(|| format!("{name} at {fault}"))?;
        ensure!(story.commits() == 1, "{name}: {} commits", story.commits());
        let of = |place: usize| story.files_of(ended.run.id, ended.attempt_list[place].id);
        let files = (of(0)?, of(1)?);
        match *name {
            "F1" | "F2" => ensure!(files.0 == 0 && files.1 > 2, "{name}: {files:?}"),
            // The first of several, and all of them.
            "F3" => ensure!(files.0 == 1 && files.1 > 2, "{name}: {files:?}"),
            "F7" => {
                // Written beside its name, and not linked to it yet.
                let log = std::fs::read_dir(story.sandbox.path("lake/items/_delta_log"))?;
                let begun =
                    log.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(".waybill-tmp-"));
                ensure!(begun.count() == 1, "the commit's put was not under way");
                ensure!(files.0 > 2 && files.1 == files.0, "{name}: {files:?}");
            }
            "F4" | "F5" | "F6" => ensure!(files.0 > 2 && files.1 == files.0, "{name}: {files:?}"),
            _ => ensure!(files.0 > 2 && files.1 == 0, "{name}: {files:?}"),
        }
        if ["commit_applied", "before_report_final"].contains(fault) {
            let receipt = story.sandbox.client.run_receipt(ended.run.id).await?;
            ensure!(receipt.streams[0].adopted, "{name}: the commit was there and rows were copied again");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_moves_no_cursor_past_rows_that_are_not_committed() -> Result<()> {
    for (name, fault) in STEPS.iter().filter(|(name, _)| ["F3", "F6", "F8"].contains(name)) {
        let (story, _) = killed_at(fault, "new").await.with_context(|| format!("{name} at {fault}"))?;
        story.insert(ROWS + 1, ROWS + 500)?;
        let run = story.sandbox.trigger("items").await?;
        succeeded(&story.sandbox.ended(run).await?)?;
        story.table_is_exactly(ROWS + 500)?;
    }
    Ok(())
}

/// Stops the worker at a step, cancels, lets it go on.
async fn canceled_at(fault: &str) -> Result<(Story, RunDetail)> {
    let story = begun(fault, "stop", "full").await?;
    let run = story.sandbox.trigger("items").await?;
    let worker = story.marker.fires(1).await?;
    story.sandbox.client.run_cancel(run).await?;
    wake(worker).await?;
    let ended = story.sandbox.ended(run).await?;
    Ok((story, ended))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_at_any_step_ends_the_run_and_agrees_with_the_bucket() -> Result<()> {
    for (name, fault) in STEPS {
        let (story, ended) = canceled_at(fault).await.with_context(|| format!("{name} at {fault}"))?;
        let state = ended.run.state.to_string();
        // Before there is leave to commit, a cancel is certain to be in time.
        let in_time = !["F6", "F7", "F8", "F9"].contains(name);
        ensure!(state == "canceled" || (state == "succeeded" && !in_time), "{name}: the run ended {state}");
        let delivered = story.sandbox.path("lake/items/_delta_log/00000000000000000000.json").exists();
        if delivered {
            story.table_is_exactly(ROWS)?;
        }
        ensure!(state != "succeeded" || delivered, "{name}: succeeded without a commit");
        let stream = &ended.streams[0];
        ensure!(delivered == (stream.state.to_string() == "committed"), "{name}: the bucket and the run disagree");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_ends_a_worker_that_still_waits_for_a_secret() -> Result<()> {
    // It takes whoever connects and never answers.
    let door = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let port = door.local_addr()?.port();
    let mut options = Options::default();
    for (name, value) in [
        ("VAULT_ADDR", format!("http://127.0.0.1:{port}")),
        ("WAYBILL_VAULT_AUTH", "token".into()),
        ("WAYBILL_VAULT_TOKEN", "env://TOKEN".into()),
        ("TOKEN", "t".into()),
    ] {
        options.orchestrator.push((name.into(), value));
        options.passed.push(name.into());
    }
    let sandbox = Sandbox::start(options).await?;
    let document = format!(
        "waybill: 1\nconnections:\n  shop: {{ type: postgres, host: 127.0.0.1, port: {port}, database: d, user: u, \
         tls: disable, password: \"vault://kv/shop#p\" }}\n  lake: {{ type: local, path: \"{}\" }}\n\
         pipelines: {{ items: {{ from: shop, to: lake, streams: {{ public.t: {{ load: full }} }} }} }}\n",
        sandbox.path("lake/below").display()
    );
    sandbox.apply(&document).await?;
    let run = sandbox.trigger("items").await?;
    let (_held, _) = door.accept().await?;
    sandbox.client.run_cancel(run).await?;
    let ended = sandbox.ended(run).await?;
    ensure!(ended.run.state.to_string() == "canceled", "the run ended {}", ended.run.state);
    let attempts: Vec<_> = ended.attempt_list.iter().map(|a| (a.state.to_string(), a.failure.is_some())).collect();
    ensure!(attempts == [("canceled".to_owned(), false)], "{attempts:?}");
    ensure!(!sandbox.path("lake/below").exists(), "something was begun");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orchestrator_killed_between_attempt_and_task_starts_one_task() -> Result<()> {
    for point in ["attempt_row_committed", "task_started"] {
        // The orchestrator's own fault: no worker is told.
        let order = |marker: &Marker| marker.order(&format!("{point}=kill"));
        let own = |marker: &Marker| Ok(Options::default().with_faults(&[order(marker)]).for_itself());
        let mut story = Story::start("full", own).await?;
        let ports = story.sandbox.ports()?;
        // It may be killed before it answers: the run is there all the same.
        let _ = story.sandbox.trigger("items").await;
        story.sandbox.orchestrator_ended().await?;
        story.marker.fired()?;
        story.sandbox.restart(&ports).await?;
        let ended = story.sandbox.ended(story.sandbox.only_run().await?).await?;
        succeeded(&ended).with_context(|| format!("after a kill at {point}"))?;
        ensure!(
            ended.attempt_list.len() == 1,
            "after a kill at {point}: {:?}\n{}",
            ended.attempt_list,
            story.sandbox.log()
        );
        let log = story.sandbox.log();
        ensure!(log.matches("started a worker process").count() == 1, "after a kill at {point}:\n{log}");
        story.table_is_exactly(ROWS)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orchestrator_that_is_away_for_a_while_loses_no_run() -> Result<()> {
    let mut story = Story::with_fault("files_closed=stop", "full").await?;
    let ports = story.sandbox.ports()?;
    let run = story.sandbox.trigger("items").await?;
    let worker = story.marker.fires(1).await?;
    story.sandbox.kill_orchestrator()?;
    wake(worker).await?;
    story.sandbox.restart(&ports).await?;
    let ended = story.sandbox.ended(run).await?;
    succeeded(&ended)?;
    ensure!(
        ended.attempt_list.len() == 1,
        "the worker did not outlive its starter: {:?}\n{}",
        ended.attempt_list,
        story.sandbox.log()
    );
    story.table_is_exactly(ROWS)
}

#[test]
fn the_programs_that_ship_have_no_fault_points() -> Result<()> {
    let all = ["WAYBILL_FAULT", "WAYBILL_TAP", "WAYBILL_LEAK"];
    for (name, marks) in
        [("waybill-worker", &all[..]), ("waybill-orchestrator", &all[..1]), ("waybill-agent", &all[..1])]
    {
        let has = |suffix: &str, mark: &str| -> Result<bool> {
            let program = std::fs::read(waybill_tests::binaries::binary(&format!("{name}{suffix}")))?;
            Ok(program.windows(mark.len()).any(|window| window == mark.as_bytes()))
        };
        for mark in marks {
            ensure!(has("-faults", mark)?, "{name}-faults knows no {mark}: this test looks for the wrong text");
        }
        for mark in all {
            ensure!(!has("", mark)?, "{name} knows {mark}");
        }
    }
    Ok(())
}
