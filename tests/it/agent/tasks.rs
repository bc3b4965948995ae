//! An agent whose workers are tasks of a cluster: started with the role of its own host, let in by that agent's voucher
//! and by the role of the task, each once. The cloud is the scripted one.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use waybill_api::client::EventQuery;
use waybill_api::event::RunEvent;
use waybill_model::RunId;
use waybill_tests::aws::{Aws, CUSTOMER, Fault, Program, REGION, Role, Task, Trust};
use waybill_tests::sandbox::Options;

use super::fixture::{Host, Office, until};
use crate::ecs::planes::worker;

/// The role of the agent's host, which nobody may assume but the cloud itself.
pub(super) fn role() -> String {
    format!("arn:aws:iam::{CUSTOMER}:role/waybill-agent")
}

/// A product and a cloud that it can't call: it only asks there who signed.
pub(super) struct Site {
    pub(super) office: Office,
    pub(super) aws: Aws,
}

impl Site {
    pub(super) async fn start() -> Result<Self> {
        let aws = Aws::start().await;
        aws.put_role(Role {
            arn: role(),
            trust: Trust::Nobody,
            cluster: "waybill".into(),
            families: vec!["waybill-worker".into()],
            lacks: Vec::new(),
            extra: Vec::new(),
        });
        aws.run_as(worker());
        let office = Office::start(Options::default().with("AWS__STS_ENDPOINT", &aws.url()), 10).await?;
        Ok(Self { office, aws })
    }

    /// An agent on a host of that role, not started.
    async fn host(&self) -> Result<Host> {
        let mut host = self.office.enrolled("office-1").await?;
        let key = self.aws.keys_of(&role(), "i-0a1b2c3d4e5f60718");
        host.through = vec![
            "env".into(),
            format!("AWS_ACCESS_KEY_ID={}", key.id),
            format!("AWS_SECRET_ACCESS_KEY={}", key.secret),
            format!("AWS_SESSION_TOKEN={}", key.token.unwrap_or_default()),
        ];
        host.options = options(&self.aws.url());
        host.without_guard = false;
        Ok(host)
    }

    pub(super) async fn agent(&self) -> Result<Host> {
        let mut host = self.host().await?;
        host.run()?;
        self.office.until_agent(host.id, |agent| agent.connected).await?;
        Ok(host)
    }

    /// A run that is let in and leaves: a real cloud would stand behind the keys of one that opens anything.
    pub(super) async fn test_task(&self) -> Result<RunId> {
        Ok(self.office.sandbox.client.data_plane_test(self.office.plane).await?.run.id)
    }

    async fn events(&self, run: RunId) -> Result<Vec<RunEvent>> {
        let query = EventQuery { limit: Some(200), ..EventQuery::default() };
        Ok(self.office.sandbox.client.run_events(run, &query).await?.items)
    }

    pub(super) async fn ends(&self, run: RunId, as_what: &str) -> Result<()> {
        let ended = self.office.sandbox.ended(run).await?;
        let failure = ended.run.failure.as_ref().map(|failure| failure.code.to_string());
        let how = failure.unwrap_or_else(|| ended.run.state.to_string());
        ensure!(how == as_what, "{how}, not {as_what}: {:#?}\n{}", ended.run, self.office.sandbox.log());
        Ok(())
    }

    async fn until_over(&self, what: impl Fn(&Task) -> bool) -> Result<()> {
        until("the task is over", || self.aws.tasks().iter().all(|task| what(task) && task.is_over())).await
    }
}

fn options(cloud: &str) -> Vec<String> {
    let task_role = Aws::task_role();
    let options = [
        ["--cluster", "waybill"],
        ["--region", REGION],
        ["--task-family", "waybill-worker"],
        ["--task-role-arn", task_role.as_str()],
        ["--subnet", "subnet-0a1b2c3d4e5f60718"],
        ["--security-group", "sg-0a1b2c3d4e5f60718"],
        ["--ecs-endpoint", cloud],
        ["--sts-endpoint", cloud],
    ];
    options.concat().into_iter().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_of_an_agent_runs_as_a_task_that_the_agents_own_role_starts_and_proves_its_own_role() -> Result<()> {
    let site = Site::start().await?;
    let host = site.agent().await?;
    let run = site.test_task().await?;
    site.ends(run, "succeeded").await?;
    let seen = site.events(run).await?;
    let at =
        |code: &str| seen.iter().position(|event| event.code == code).with_context(|| format!("{code}: {seen:#?}"));
    ensure!(at("task_started")? < at("enrolled")? && at("enrolled")? < at("role_proven")?, "{seen:#?}");
    ensure!(seen[at("role_proven")?].text.contains("waybill-worker"), "{}", seen[at("role_proven")?].text);
    // Nobody assumed anything: the agent's own role made the one call that starts a task.
    let (started, assumed) = (site.aws.calls("RunTask"), site.aws.calls("AssumeRole"));
    ensure!(started.len() == 1 && started[0].role == Some(role()) && assumed.is_empty(), "{started:?} {assumed:?}");
    let task = site.aws.tasks().pop().context("a task")?;
    let attempt = site.office.sandbox.client.run_get(run).await?.attempt_list[0].id;
    ensure!(
        task.started_by == format!("wb/{attempt}") && task.asked["enableExecuteCommand"] == false,
        "{}",
        task.asked
    );
    // A run that opens something is held against the guard that the task's role finds, not against one of this host.
    let run = site.office.sandbox.trigger("items").await?;
    site.ends(run, "policy_denied").await?;
    site.until_over(|_| true).await?;
    until("the agent has forgotten its attempts", || {
        std::fs::read_dir(host.state.join("tasks")).is_ok_and(|tasks| tasks.count() == 0)
    })
    .await
}

/// A thief who may describe tasks reads ticket and voucher, and starts a worker with them under another role.
#[tokio::test(flavor = "multi_thread")]
async fn t04_ticket_and_voucher_of_an_agents_task_are_worth_nothing_without_its_role() -> Result<()> {
    let site = Site::start().await?;
    let _host = site.agent().await?;
    site.aws.give_tasks(&format!("arn:aws:iam::{CUSTOMER}:role/somebody-else"));
    let run = site.test_task().await?;
    site.office.sandbox.told(run, "proof_refused").await?;
    site.office.sandbox.ended(run).await?;
    let seen = site.events(run).await?;
    ensure!(seen.iter().all(|event| event.code != "enrolled"), "{seen:#?}");
    ensure!(site.office.sandbox.log().contains("ALARM"), "{}", site.office.sandbox.log());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launch_whose_answer_is_lost_is_made_again_by_the_agent_and_starts_one_task() -> Result<()> {
    let site = Site::start().await?;
    let _host = site.agent().await?;
    site.aws.fault("RunTask", Fault::LostAnswer, 6);
    let run = site.test_task().await?;
    site.ends(run, "succeeded").await?;
    ensure!(site.aws.fired("RunTask") > 0 && site.aws.tasks().len() == 1, "{} tasks", site.aws.tasks().len());
    Ok(())
}

/// The cloud shows a new task late: a list without it, right after a start that was not answered, proves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn f12_a_task_whose_start_was_not_answered_and_that_is_shown_late_is_found_and_stopped() -> Result<()> {
    let site = Site::start().await?;
    let stays = Program::Process {
        program: "/bin/sleep".into(),
        args: vec!["600".into()],
        environment: vec![],
        stop_time: Duration::from_secs(1),
    };
    site.aws.run_as(stays);
    let _host = site.agent().await?;
    site.aws.fault("RunTask", Fault::LostAndHidden(3), 1);
    site.aws.fault("RunTask", Fault::ServerError, 10_000);
    let run = site.office.sandbox.trigger("items").await?;
    until("the task is there", || site.aws.tasks().len() == 1).await?;
    site.office.sandbox.client.run_cancel(run).await?;
    site.ends(run, "canceled").await?;
    site.until_over(|_| true).await?;
    ensure!(site.aws.fired("RunTask") > 1, "the answer was lost, and so was each later one");
    ensure!(site.aws.tasks().iter().all(|task| task.hidden == 0), "it was shown from the start");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f45_a_cancel_while_an_agents_task_starts_leaves_no_task() -> Result<()> {
    let site = Site::start().await?;
    let _host = site.agent().await?;
    site.aws.fault("RunTask", Fault::Held, 1);
    let run = site.office.sandbox.trigger("items").await?;
    until("the task is there", || site.aws.tasks().len() == 1).await?;
    ensure!(!site.aws.tasks()[0].is_over() && site.aws.fired("RunTask") == 1, "{:?}", site.aws.tasks()[0].last_status);
    site.office.sandbox.client.run_cancel(run).await?;
    site.ends(run, "canceled").await?;
    site.until_over(|_| true).await?;
    ensure!(site.aws.calls("StopTask").iter().all(|call| call.role == Some(role())), "somebody else stopped it");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_killed_and_started_again_finds_its_task_and_stops_it_when_it_is_told_to() -> Result<()> {
    let site = Site::start().await?;
    let mut host = site.agent().await?;
    site.aws.fault("RunTask", Fault::Held, 1);
    let run = site.office.sandbox.trigger("items").await?;
    site.office.sandbox.told(run, "task_started").await?;
    until("the task is there", || site.aws.tasks().len() == 1).await?;
    host.kill()?;
    host.run()?;
    site.office.until_agent(host.id, |agent| agent.connected && agent.workers == 1).await?;
    site.office.sandbox.client.run_cancel(run).await?;
    site.ends(run, "canceled").await?;
    site.until_over(|task| task.number > 0).await?;
    ensure!(site.aws.tasks().len() == 1 && site.aws.fired("RunTask") == 1, "a second task was started");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_the_agents_role_lacks_ends_the_run_with_its_reason_and_no_retry() -> Result<()> {
    let site = Site::start().await?;
    let host = site.agent().await?;
    site.aws.change_role(&role(), |role| role.lacks.push("RunTask"));
    let run = site.office.sandbox.trigger("items").await?;
    site.ends(run, "access_denied").await?;
    ensure!(site.office.sandbox.client.run_get(run).await?.attempt_list.len() == 1, "it was tried again");
    host.says("ecs:RunTask on arn:aws:ecs:eu-central-1:222222222222:task-definition/waybill-worker", PATIENCE).await?;
    Ok(())
}

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_says_what_is_wrong_with_its_cluster_or_role_before_it_serves() -> Result<()> {
    let site = Site::start().await?;
    let host = site.host().await?;
    let guard = site.office.sandbox.path("guard.toml");
    std::fs::write(&guard, "")?;
    let (guard, own) = (guard.display().to_string(), role());
    let with = |changes: &[(&str, &str)]| {
        let mut options = host.options.clone();
        for (option, value) in changes {
            match options.iter().position(|known| known == option) {
                Some(at) => options[at + 1] = (*value).to_owned(),
                None => options.extend([(*option).to_owned(), (*value).to_owned()]),
            }
        }
        host.refused(&options.iter().map(String::as_str).collect::<Vec<_>>())
    };
    for (changes, wanted) in [
        (vec![("--guard", guard.as_str())], "--guard: a task finds its guard by its own role"),
        (vec![("--pass-env", "SHOP_PASSWORD")], "--pass-env: everybody who may describe tasks could read them"),
        (vec![("--subnet", "lan")], "--subnet: 1 to 16 ids"),
        (vec![("--task-role-arn", own.as_str())], "--task-role-arn: the role that starts tasks must not be"),
        (vec![("--memory-mib", "1000")], "--memory-mib: 1000 MiB can't be had"),
        (vec![("--region", "nowhere")], "--region: "),
        (vec![("--cluster", "another")], "ecs:ListTasks"),
    ] {
        let said = with(&changes)?;
        ensure!(said.contains(wanted), "{said}\nwanted: {wanted}");
    }
    let unheld: Vec<&str> = host.options.iter().map(String::as_str).chain(["--without-guard"]).collect();
    let said = host.refused(&unheld)?;
    ensure!(said.contains("cannot be used with"), "{said}");
    let mut nobody = site.office.enrolled("office-2").await?;
    nobody.through = vec!["env".into(), "AWS_EC2_METADATA_DISABLED=true".into()];
    nobody.without_guard = false;
    let options: Vec<&str> = host.options.iter().map(String::as_str).collect();
    let said = nobody.refused(&options)?;
    ensure!(said.contains("--cluster: there are no AWS credentials on this host"), "{said}");
    ensure!(site.aws.tasks().is_empty(), "something was started");
    Ok(())
}
