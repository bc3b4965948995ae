//! The calls of an agent that starts its workers as tasks, as the run shows them and as the cloud's own record has them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use waybill_api::client::{ListQuery, TrailQuery};
use waybill_api::trail::TrailEntry;
use waybill_model::RunId;
use waybill_tests::aws::{Fault, Program};

use super::fixture::until;
use super::tasks::{Site, role};

impl Site {
    async fn entries(&self) -> Result<Vec<TrailEntry>> {
        let (mut all, mut query) = (Vec::new(), TrailQuery { limit: Some(200), ..TrailQuery::default() });
        loop {
            let page = self.office.sandbox.client.trail_list(&query).await?;
            all.extend(page.items);
            match page.next_cursor {
                Some(next) => query.cursor = Some(next),
                None => return Ok(all),
            }
        }
    }

    async fn trail_of(&self, run: RunId) -> Result<Vec<TrailEntry>> {
        Ok(self.office.sandbox.client.run_trail(run, &ListQuery::default()).await?.items)
    }

    /// Waits until the trail has each of these calls, and asserts that each stands there once.
    async fn until_known(&self, wanted: &BTreeSet<String>) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let ids: Vec<String> = self.entries().await?.into_iter().flat_map(|entry| entry.request_ids).collect();
            let known: BTreeSet<String> = ids.iter().cloned().collect();
            ensure!(known.len() == ids.len(), "a call stands twice: {ids:?}");
            if wanted.is_subset(&known) {
                return Ok(());
            }
            let missing: Vec<_> = wanted.difference(&known).collect();
            ensure!(Instant::now() < deadline, "not in the trail: {missing:?}\n{}", self.office.sandbox.log());
            tokio::time::sleep(Duration::from_millis(100)).await; // a poll of the public API, bounded above
        }
    }

    /// What the cloud recorded of the agent's role.
    fn recorded(&self) -> Vec<Value> {
        let export = self.aws.cloudtrail();
        let records = export["Records"].as_array().cloned().unwrap_or_default();
        let by = |it: &Value| it["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"] == role();
        records.into_iter().filter(by).collect()
    }

    fn matched(&self, exit: i32, name: &str, export: &Value, more: &[&str]) -> Result<Value> {
        let file = self.office.sandbox.path(name);
        std::fs::write(&file, export.to_string())?;
        let file = file.display().to_string();
        let words = [&["trail", "match", file.as_str()][..], more, &["-o", "json"]].concat();
        let output = self.office.sandbox.cli(&words)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(exit), "{words:?}: {said} {}", String::from_utf8_lossy(&output.stdout));
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

fn ids(records: &[Value]) -> BTreeSet<String> {
    records.iter().filter_map(|it| Some(it["requestID"].as_str()?.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_calls_of_an_agents_own_role_stand_in_the_runs_trail_and_agree_with_cloudtrail() -> Result<()> {
    let site = Site::start().await?;
    let mut host = site.agent().await?;
    let run = site.test_task().await?;
    site.ends(run, "succeeded").await?;
    let stays = Program::Process {
        program: "/bin/sleep".into(),
        args: vec!["600".into()],
        environment: vec![],
        stop_time: Duration::from_secs(1),
    };
    site.aws.run_as(stays);
    let canceled = site.office.sandbox.trigger("items").await?;
    until("the task is there", || site.aws.tasks().len() == 2).await?;
    site.office.sandbox.client.run_cancel(canceled).await?;
    site.ends(canceled, "canceled").await?;
    // The agent's last word has what it called until then.
    kill_process(Pid::from_raw(i32::try_from(host.pid()?)?).context("a process")?, Signal::TERM)?;
    ensure!(host.ended().await? == Some(0), "{}", host.log());
    let recorded = site.recorded();
    site.until_known(&ids(&recorded)).await?;

    for (run, actions) in [(run, &["ecs:RunTask"][..]), (canceled, &["ecs:RunTask", "ecs:StopTask"])] {
        let attempt = site.office.sandbox.client.run_get(run).await?.attempt_list[0].id;
        let trail = site.trail_of(run).await?;
        for action in actions {
            let entry = trail.iter().find(|entry| entry.action == *action).context("an entry")?;
            ensure!(entry.attempt_id == Some(attempt) && entry.role_arn == role(), "{entry:?}");
            ensure!(entry.session == "i-0a1b2c3d4e5f60718" && entry.outcome == "ok", "{entry:?}");
        }
        let people = site.office.sandbox.cli(&["run", "trail", &run.to_string()])?;
        ensure!(String::from_utf8(people.stdout)?.contains(&role()), "people see as whom it was made");
    }
    let shown = site.office.sandbox.client.agent_get(host.id).await?.value;
    ensure!(shown.role_arn == Some(role()), "{shown:?}");

    let whole = json!({ "Records": site.aws.cloudtrail()["Records"] });
    let agrees = site.matched(0, "whole.json", &whole, &[])?;
    ensure!(agrees["matched"] == recorded.len() && agrees["matched_without_request_id"] == 0, "{agrees}");
    // What the agent says and the export does not show, and what somebody else does with the role of the agent's host.
    let launched =
        site.trail_of(run).await?.iter().find(|it| it.action == "ecs:RunTask").context("a call")?.request_ids[0]
            .clone();
    let mut torn: Vec<Value> = recorded.iter().filter(|it| it["requestID"] != launched.as_str()).cloned().collect();
    let mut foreign = recorded[0].clone();
    (foreign["requestID"], foreign["eventID"]) = (json!("stolen-1"), json!("e-stolen-1"));
    torn.push(foreign);
    let torn = json!({ "Records": torn });
    let differs = site.matched(21, "torn.json", &torn, &[])?;
    ensure!(differs["only_cloudtrail"][0]["request_id"] == "stolen-1", "{differs}");
    let differs = site.matched(21, "torn.json", &torn, &["--run", &run.to_string()])?;
    let missing = differs["only_waybill"].as_array().context("a list")?;
    ensure!(missing.len() == 1 && missing[0]["request_id"] == launched.as_str(), "{differs}");
    Ok(())
}

/// The orchestrator stops in order and comes back: what was called meanwhile is told then, and nothing stands twice.
#[tokio::test(flavor = "multi_thread")]
async fn calls_that_an_agent_makes_while_the_orchestrator_is_away_are_told_when_it_is_back() -> Result<()> {
    let mut site = Site::start().await?;
    let _host = site.agent().await?;
    site.aws.fault("RunTask", Fault::Held, 1);
    let run = site.office.sandbox.trigger("items").await?;
    site.office.sandbox.told(run, "task_started").await?;
    until("the task is there", || site.aws.tasks().len() == 1).await?;
    let ports = site.office.sandbox.ports()?;
    let process = i32::try_from(site.office.sandbox.orchestrator_pid()?)?;
    kill_process(Pid::from_raw(process).context("a process")?, Signal::TERM)?;
    site.office.sandbox.orchestrator_left().await?;
    let before = site.aws.calls("DescribeTasks").len();
    until("the agent looks at its task", || site.aws.calls("DescribeTasks").len() >= before + 2).await?;
    let recorded = site.recorded();
    site.office.sandbox.restart(&ports).await?;
    site.until_known(&ids(&recorded)).await?;
    let told = site.trail_of(run).await?;
    ensure!(told.iter().filter(|entry| entry.action == "ecs:RunTask").count() == 1, "{told:?}");
    Ok(())
}
