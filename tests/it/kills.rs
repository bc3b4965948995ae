//! Workers and orchestrators that die, stop or are cut off at the worst moments: the table is always right.
//!
//! Each test asserts that its fault fired, and that the committed rows equal the source's.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use waybill_api::run::RunDetail;
use waybill_model::RunId;
use waybill_tests::readers;
use waybill_tests::sandbox::{Options, Sandbox};

const ROWS: i64 = 3_000;

/// Where F1 to F9 kill: the step and its point in the fault build.
const STEPS: &[(&str, &str)] = &[
    ("F1", "enrolled"),
    ("F2", "snapshot_open"),
    ("F3", "first_part"),
    ("F4", "last_part"),
    ("F5", "files_closed"),
    ("F6", "prepare_granted"),
    ("F7", "before_commit_put"),
    ("F8", "commit_applied"),
    ("F9", "before_report_final"),
];

struct Story {
    sandbox: Sandbox,
    marker: std::path::PathBuf,
    _scratch: tempfile::TempDir,
}

impl Story {
    async fn with_fault(fault: &str, load: &str) -> Result<Self> {
        let scratch = tempfile::tempdir()?;
        let marker = scratch.path().join("fired");
        let sandbox = Sandbox::start(Options::default().with_worker_fault(fault, &marker)).await?;
        let story = Self { sandbox, marker, _scratch: scratch };
        story.insert(1, ROWS)?;
        story.sandbox.apply(&story.document(load)).await?;
        Ok(story)
    }

    fn document(&self, load: &str) -> String {
        let cursor = if load == "new" { ", cursor: id" } else { "" };
        format!(
            "waybill: 1\nconnections:\n  shop: {{ type: sqlite, path: \"{}\" }}\n  lake: {{ type: local, path: \"{}\" }}\n\
             pipelines:\n  items:\n    from: shop\n    to: lake\n    streams:\n      items: {{ load: {load}{cursor} }}\n",
            self.sandbox.path("shop.db").display(),
            self.sandbox.path("lake").display()
        )
    }

    /// Adds rows `from..=to` to the source.
    fn insert(&self, from: i64, to: i64) -> Result<()> {
        let mut database = rusqlite::Connection::open(self.sandbox.path("shop.db"))?;
        let transaction = database.transaction()?;
        transaction.execute_batch("create table if not exists items (id integer primary key, note text not null)")?;
        for id in from..=to {
            transaction.execute("insert into items values (?1, ?2)", (id, format!("note {id}")))?;
        }
        Ok(transaction.commit()?)
    }

    /// Asserts that a reader of the table finds exactly the ids `1..=to`, each with its note.
    fn table_is_exactly(&self, to: i64) -> Result<()> {
        let (rows, ids, notes) = table(&self.sandbox.path("lake/items"))?;
        ensure!((rows, ids, notes) == (to, to, to), "{rows} rows, {ids} ids, {notes} right notes; wanted {to} of each");
        Ok(())
    }

    fn fired(&self) -> Result<u32> {
        let text = std::fs::read_to_string(&self.marker).context("the fault did not fire")?;
        Ok(text.rsplit(' ').next().context("a process id")?.trim().parse()?)
    }

    async fn fault_fires(&self) -> Result<u32> {
        for _ in 0..1_200 {
            if let Ok(pid) = self.fired() {
                return Ok(pid);
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await; // a poll for the marker, bounded
        }
        anyhow::bail!("the fault did not fire in 30 s\n{}", self.sandbox.log())
    }
}

/// Rows, different ids, and rows whose note is the one that belongs to their id, as DuckDB and delta-rs read them.
fn table(path: &Path) -> Result<(i64, i64, i64)> {
    let sql = "select count(*), count(distinct id), \
               count(case when note = 'note ' || cast(id as varchar) then 1 end) from t";
    let rows = readers::query(path, sql)?.agreed();
    let number = |place: usize| rows[0][place].as_i64().with_context(|| format!("number {place} of {rows}"));
    Ok((number(0)?, number(1)?, number(2)?))
}

fn signal(pid: u32, name: &str) -> Result<()> {
    let status = Command::new("kill").args(["-s", name, &pid.to_string()]).status()?;
    ensure!(status.success(), "kill -s {name} {pid}");
    Ok(())
}

fn succeeded(run: &RunDetail) -> Result<()> {
    ensure!(run.run.state.to_string() == "succeeded", "the run ended {}: {:?}", run.run.state, run.run.failure);
    Ok(())
}

async fn killed_at(fault: &str, load: &str) -> Result<(Story, RunDetail)> {
    let story = Story::with_fault(&format!("{fault}=kill"), load).await?;
    let run = story.sandbox.trigger("items").await?;
    let ended = story.sandbox.ended(run).await?;
    story.fired()?;
    succeeded(&ended)?;
    ensure!(ended.attempt_list.len() == 2, "{} attempts at {fault}", ended.attempt_list.len());
    story.table_is_exactly(ROWS)?;
    Ok((story, ended))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_at_any_step_is_replaced_and_the_run_commits_once() -> Result<()> {
    for (name, fault) in STEPS {
        let (story, ended) = killed_at(fault, "full").await.with_context(|| format!("{name} at {fault}"))?;
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
    let story = Story::with_fault(&format!("{fault}=stop"), "full").await?;
    let run = story.sandbox.trigger("items").await?;
    let worker = story.fault_fires().await?;
    story.sandbox.client.run_cancel(run).await?;
    signal(worker, "CONT")?;
    let ended = story.sandbox.ended(run).await?;
    Ok((story, ended))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_at_any_step_ends_the_run_and_agrees_with_the_bucket() -> Result<()> {
    for (name, fault) in STEPS {
        let (story, ended) = canceled_at(fault).await.with_context(|| format!("{name} at {fault}"))?;
        let state = ended.run.state.to_string();
        ensure!(["canceled", "succeeded"].contains(&state.as_str()), "{name}: the run ended {state}");
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

/// A worker stopped past its grace with the grant in hand; the next attempt takes over.
async fn stopped_with_a_grant() -> Result<(Story, RunId, u32)> {
    let story = Story::with_fault("before_commit_put=stop", "full").await?;
    let run = story.sandbox.trigger("items").await?;
    let worker = story.fault_fires().await?;
    Ok((story, run, worker))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_worker_that_wakes_after_the_next_attempt_committed_changes_nothing() -> Result<()> {
    let (story, run, _worker) = stopped_with_a_grant().await?;
    let ended = story.sandbox.ended(run).await?;
    succeeded(&ended)?;
    ensure!(ended.attempt_list.len() == 2, "{} attempts", ended.attempt_list.len());
    story.table_is_exactly(ROWS)?;
    let commits = std::fs::read_dir(story.sandbox.path("lake/items/_delta_log"))?.count();
    ensure!(commits == 1, "{commits} commits of one run");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orchestrator_killed_between_attempt_and_task_starts_one_task() -> Result<()> {
    for point in ["attempt_row_committed", "task_started"] {
        let scratch = tempfile::tempdir()?;
        let marker = scratch.path().join("fired");
        let options = Options {
            faults: true,
            orchestrator: vec![("WAYBILL_FAULT".into(), format!("{point}=kill;{}", marker.display()))],
            ..Options::default()
        };
        let mut story = Story { sandbox: Sandbox::start(options).await?, marker, _scratch: scratch };
        story.insert(1, ROWS)?;
        story.sandbox.apply(&story.document("full")).await?;
        let ports = story.sandbox.ports()?;
        let run = story.sandbox.trigger("items").await?;
        story.sandbox.orchestrator_ended().await?;
        story.fired()?;
        story.sandbox.restart(&ports).await?;
        let ended = story.sandbox.ended(run).await?;
        succeeded(&ended).with_context(|| format!("after a kill at {point}"))?;
        ensure!(
            ended.attempt_list.len() == 1,
            "after a kill at {point}: {:?}\n{}",
            ended.attempt_list,
            story.sandbox.log()
        );
        story.table_is_exactly(ROWS)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orchestrator_that_is_away_for_a_while_loses_no_run() -> Result<()> {
    let mut story = Story::with_fault("files_closed=stop", "full").await?;
    let ports = story.sandbox.ports()?;
    let run = story.sandbox.trigger("items").await?;
    let worker = story.fault_fires().await?;
    story.sandbox.kill_orchestrator()?;
    signal(worker, "CONT")?;
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
    for name in ["waybill-worker", "waybill-orchestrator"] {
        let has = |suffix: &str| -> Result<bool> {
            let program = std::fs::read(waybill_tests::binaries::binary(&format!("{name}{suffix}")))?;
            Ok(program.windows(b"WAYBILL_FAULT".len()).any(|window| window == b"WAYBILL_FAULT"))
        };
        ensure!(has("-faults")?, "{name}-faults has no fault points: this test looks for the wrong text");
        ensure!(!has("")?, "{name} has fault points");
    }
    Ok(())
}
