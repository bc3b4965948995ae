//! The worker's image as tasks of a cloud, by real parts only: a container engine starts it, an emulator that enforces IAM holds
//! the grants that are shipped, and a real orchestrator launches by them. Nothing that a worker refuses in a cloud is lent to it:
//! its services are found by AWS's own names, over TLS, by an authority that its image trusts.
//!
//! Root, dockerd and Terraform are needed: `deploy/dev/containers.sh` says whether they are here.

mod agent;
mod storm;
mod world;

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio_postgres::Client;
use waybill_api::client::{EventQuery, ListQuery};
use waybill_api::event::RunEvent;
use waybill_model::{FailureCode, RunId};
use waybill_tests::readers;
use waybill_tests::services::aws::{Keys, REGION};

use crate::grants::THROUGH;
use world::{BUCKET, PIPELINE, PLANE, ROWS, World, story};

/// From the start of a release build's container to its first report, at most.
const FIRST_REPORT_MS: i64 = 1_000;

impl World {
    /// What happened in a run, oldest first.
    async fn events(&self, run: RunId) -> Result<Vec<RunEvent>> {
        Ok(self.sandbox.client.run_events(run, &EventQuery::default()).await?.items)
    }

    /// Runs the pipeline, which its worker must refuse.
    async fn refused_under(&self, guard: &str) -> Result<()> {
        let ended = self.sandbox.ended(self.sandbox.trigger(PIPELINE).await?).await?;
        let failure = ended.run.failure.with_context(|| format!("it ran under {guard}"))?;
        ensure!(failure.code == FailureCode::PolicyDenied, "{guard}: {failure:?}");
        ensure!(ended.attempt_list.len() == 1, "a refusal is not tried again: {:?}", ended.attempt_list);
        Ok(())
    }

    /// Tasks as the cloud shows them to their owner.
    fn tasks(&self, arns: &[String]) -> Vec<Value> {
        let asked = json!({ "cluster": self.name("cluster"), "tasks": arns });
        let answer = self.emulator.root(&json!([["ecs", "describe_tasks", asked]]));
        answer[0]["tasks"].as_array().cloned().unwrap_or_default()
    }

    /// A session of the launch role, as the orchestrator gets it.
    fn launch_session(&self) -> Keys {
        let trust = &self.grants.documents["launch_trust"]["Statement"][0]["Condition"]["StringEquals"];
        let asked = json!({
            "RoleArn": self.role("launch_role"), "RoleSessionName": "somebody", "ExternalId": trust["sts:ExternalId"],
        });
        let answer = self.emulator.calls(&self.orchestrator, &json!([["sts", "assume_role", asked]]));
        Keys::of(answer[0].as_ref().expect("a session"), "Credentials")
    }
}

#[test]
fn t02_t09_a_run_goes_from_the_command_to_rows_in_a_bucket_that_only_its_tasks_role_may_write() -> Result<()> {
    story(async |world: &mut World| {
        world.the_grants_hold()?;
        let output = world.cli().with_input(&["run", "start", PIPELINE, "--watch", "-o", "json"], "");
        let run: Value = serde_json::from_slice(&output.stdout)?;
        ensure!((&run["state"], &run["streams"][0]["rows"]) == (&"succeeded".into(), &ROWS.into()), "{run}");
        let id: RunId = run["id"].as_str().context("an id")?.parse()?;
        world.its_rows_are_in_the_bucket()?;
        world.its_task_was_what_the_definition_says(id).await?;
        world.nobody_else_reaches_the_bucket()
    })
}

impl World {
    /// Before any run: what the grants' own proof and the product's check find on this very cloud.
    fn the_grants_hold(&self) -> Result<()> {
        let wrong: Vec<_> = self
            .enforced
            .iter()
            .filter(|(call, found)| *found != if THROUGH.contains(&call.as_str()) { "allowed" } else { "denied" })
            .collect();
        ensure!(wrong.is_empty() && self.enforced.len() == 43, "{wrong:?}");
        let check = self.cli().json(0, &["data-plane", "check", PLANE]);
        let found = |action: &str| -> Vec<&str> {
            let rows = check["items"].as_array().map(Vec::as_slice).unwrap_or_default();
            rows.iter().filter(|row| row["action"] == action).filter_map(|row| row["found"].as_str()).collect()
        };
        // With the external id, without one, with a wrong one. The orchestrator's own policy names the launch role alone, so nothing
        // can be found out about the trust of the workers' role.
        ensure!(found("sts:AssumeRole") == ["allowed", "narrow", "narrow", "not_tested"], "{check:#}");
        ensure!(found("ecs:RunTask") == ["narrow", "narrow", "not_tested"], "{check:#}");
        Ok(())
    }

    fn its_rows_are_in_the_bucket(&self) -> Result<()> {
        let read = readers::query(&self.table()?, "select count(*), count(distinct id), min(id), max(id) from t")?;
        ensure!(read.agreed() == json!([[ROWS, ROWS, 1, ROWS]]));
        Ok(())
    }

    async fn its_task_was_what_the_definition_says(&self, run: RunId) -> Result<()> {
        let (seen, detail) = (self.events(run).await?, self.sandbox.client.run_get(run).await?);
        let at = |code: &str| seen.iter().position(|event| event.code == code).context(code.to_owned());
        ensure!(at("launching")? < at("task_started")? && at("enrolled")? < at("plan_allowed")?, "{seen:#?}");
        let proven = &seen[at("role_proven")?];
        ensure!(proven.text.contains("as the task that was started"), "{}", proven.text);

        let attempt = &detail.attempt_list[0];
        let arn = attempt.task.as_deref().context("a task")?;
        let task = self.tasks(&[arn.to_owned()]).pop().context("the task")?;
        let id = arn.rsplit('/').next().unwrap_or_default();
        ensure!(task["startedBy"] == format!("wb/{}", attempt.id) && task["lastStatus"] == "STOPPED", "{task:#}");
        ensure!(task["containers"][0]["exitCode"] == 0, "{task:#}\n{}", self.log_of(id));
        ensure!(
            task["taskDefinitionArn"].as_str().is_some_and(|arn| arn.ends_with(":2")),
            "the newest revision: {task:#}"
        );

        self.its_launch_is_in_the_trail(run, &attempt.id.to_string()).await?;
        let container = self.emulator.started().pop().context("a container")?;
        let (host, config) = (&container["HostConfig"], &container["Config"]);
        ensure!(container["Image"] == self.image, "another image: {container:#}");
        ensure!(host["ReadonlyRootfs"] == true && host["CapDrop"] == json!(["ALL"]), "{host:#}");
        ensure!(host["Memory"] == 2048_u64 << 20 && host["Privileged"] == false, "{host:#}");
        ensure!(config["User"] == "65532:65532" && config["Cmd"] == json!(["run"]), "{config:#}");
        ensure!(config["Entrypoint"] == json!(["/waybill-worker", "--cloud", "aws-ecs"]), "{config:#}");
        let environment = config["Env"].to_string();
        ensure!(!environment.contains("AWS_ENDPOINT_URL") && !environment.contains("AWS_ACCESS_KEY"), "{environment}");
        self.tell_how_long_it_took(&container, &seen)
    }

    /// As whom, where and how it was answered.
    async fn its_launch_is_in_the_trail(&self, run: RunId, attempt: &str) -> Result<()> {
        let role = self.role("launch_role");
        let told = async || {
            let trail = self.sandbox.client.run_trail(run, &ListQuery::default()).await?.items;
            let made = |action: &str| {
                let mut entries = trail.iter().filter(|entry| entry.action == action && entry.session == attempt);
                entries.any(|entry| entry.role_arn == role && entry.region == REGION && entry.outcome == "ok")
            };
            Ok(made("sts:AssumeRole") && made("ecs:RunTask"))
        };
        until("the launch in the run's trail", told).await
    }

    /// From the start of the container's process to what the orchestrator first hears of it.
    fn tell_how_long_it_took(&self, container: &Value, seen: &[RunEvent]) -> Result<()> {
        let started: DateTime<Utc> = container["State"]["StartedAt"].as_str().context("a time")?.parse()?;
        let mut line = String::from("from the start of the worker's container");
        for code in ["enrolled", "worker_started"] {
            let event = seen.iter().find(|event| event.code == code).context(code)?;
            let millis = (event.at.0.0 - started.timestamp_micros()) / 1_000;
            ensure!(millis >= 0, "{code} before its container: {started} {event:?}");
            line += &format!(", to {code}: {millis} ms");
        }
        writeln!(std::io::stderr(), "{line}")?;
        // A debug build is an image of hundreds of megabytes: held is what ships, as IMAGE_PROGRAMS says.
        let begun = seen.iter().find(|event| event.code == "worker_started").context("a report")?;
        let millis = (begun.at.0.0 - started.timestamp_micros()) / 1_000;
        let is_release = std::env::var_os("IMAGE_PROGRAMS").is_some();
        ensure!(!is_release || millis <= FIRST_REPORT_MS, "{line}: at most {FIRST_REPORT_MS} ms is allowed");
        Ok(())
    }

    /// The bucket's policy is not asked to keep out what no identity may do anyway: an administrator may do everything else.
    fn nobody_else_reaches_the_bucket(&self) -> Result<()> {
        let anything =
            json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*" }] });
        let administrator = self.emulator.user("administrator", &anything);
        let put = |key: &str| json!(["s3", "put_object", { "Bucket": BUCKET, "Key": key, "Body": "x" }]);
        let get = json!(["s3", "get_object", { "Bucket": BUCKET, "Key": "raw/table" }]);
        let list = json!(["s3", "list_objects_v2", { "Bucket": BUCKET, "Prefix": "raw/" }]);
        let calls = json!([
            put("elsewhere/x"),
            get,
            put("raw/x"),
            put("raw/public.orders/_delta_log/00000000000000000001.json")
        ]);
        let found = self.emulator.calls(&administrator, &calls);
        let codes: Vec<_> = found.iter().map(|outcome| outcome.as_ref().err().map(String::as_str)).collect();
        ensure!(codes == [None, None, Some("AccessDenied"), Some("AccessDenied")], "an administrator: {codes:?}");
        for (who, keys) in [("launch role", self.launch_session()), ("orchestrator", self.orchestrator.clone())] {
            let found = self.emulator.calls(&keys, &json!([get, list, put("raw/x"), put("elsewhere/x")]));
            ensure!(
                found.iter().all(|outcome| outcome.as_ref().is_err_and(|code| code == "AccessDenied")),
                "{who}: {found:?}"
            );
        }
        Ok(())
    }
}

#[test]
fn t02_a_task_whose_guard_is_missing_off_or_for_another_image_moves_nothing() -> Result<()> {
    story(async |world: &mut World| {
        world.cli().json(0, &["data-plane", "check", PLANE]);
        let right = world.guard()?;
        let other = right.replace(&world.image, &format!("sha256:{}", "0".repeat(64)));
        world.put_guard(&other);
        world.refused_under(&other).await?;
        let _ = world.emulator.root(&json!([["ssm", "delete_parameter", { "Name": world.grants.guard_parameter }]]));
        world.refused_under("no guard").await?;
        let listed = json!([["s3", "list_objects_v2", { "Bucket": BUCKET, "Prefix": "raw/public.orders/" }]]);
        ensure!(world.emulator.root(&listed)[0]["KeyCount"] == 0, "something was written");
        // Under the right one the same task works, and after it was switched off it does not.
        world.put_guard(&right);
        let run = world.sandbox.ended(world.sandbox.trigger(PIPELINE).await?).await?;
        ensure!(run.run.state.to_string() == "succeeded", "{:?}", run.run);
        let stopped = format!("stop = true\n{right}");
        world.put_guard(&stopped);
        world.refused_under(&stopped).await
    })
}

/// Whoever holds the launch role may set a task's command and environment, and reads tickets: that is what it must not help with.
#[test]
fn t02_t04_who_holds_the_launch_role_gets_nothing_out_of_the_workers_image() -> Result<()> {
    story(async |world: &mut World| {
        let keys = world.launch_session();
        let lake = format!("s3://{BUCKET}/raw");
        let cases = [
            (json!({ "name": "worker", "command": ["verify", lake] }), "cloud"),
            (json!({ "name": "worker", "command": ["once", "--spec", "/proc/self/environ"] }), "cloud"),
            (
                json!({ "name": "worker", "command": ["run", "--orchestrator", "10.89.0.1:1", "--ca-pin", "x"] }),
                "ca-pin",
            ),
            (json!({ "name": "worker" }), "--orchestrator"),
        ];
        let overrides = cases.iter().map(|(container, _)| json!({ "containerOverrides": [container] })).collect();
        let arns = world.start_tasks(&keys, overrides)?;
        let tasks = world.stopped(&arns).await?;
        for ((container, says), (arn, task)) in cases.iter().zip(arns.iter().zip(&tasks)) {
            let log = world.log_of(arn.rsplit('/').next().unwrap_or_default());
            let code = task["containers"][0]["exitCode"].as_i64();
            ensure!(code.is_some_and(|code| code != 0 && code < 125), "{container}: {task:#}");
            ensure!(log.contains(says), "{container}: {log}");
        }
        Ok(())
    })
}

impl World {
    /// Starts a task for each of these overrides, past the product. Their ARNs.
    fn start_tasks(&self, keys: &Keys, overrides: Vec<Value>) -> Result<Vec<String>> {
        let network = json!({ "subnets": ["subnet-1"], "securityGroups": ["sg-1"] });
        let asked = |overrides: Value| {
            json!(["ecs", "run_task", {
                "cluster": self.name("cluster"), "taskDefinition": self.name("family"), "launchType": "FARGATE",
                "networkConfiguration": { "awsvpcConfiguration": network }, "overrides": overrides,
            }])
        };
        let answers = self.emulator.calls(keys, &overrides.into_iter().map(asked).collect());
        let arn = |answer: Result<Value, String>| {
            let arn = answer.as_ref().ok().and_then(|answer| answer["tasks"][0]["taskArn"].as_str());
            arn.map(str::to_owned).with_context(|| format!("{answer:?}"))
        };
        answers.into_iter().map(arn).collect()
    }

    /// Waits until these tasks are over, and returns them in this order.
    async fn stopped(&self, arns: &[String]) -> Result<Vec<Value>> {
        let over = async || Ok(self.tasks(arns).iter().all(|task| task["lastStatus"] == "STOPPED"));
        until("tasks that are over", over).await?;
        Ok(self.tasks(arns))
    }
}

impl World {
    /// A run whose worker is connected to the database and waits for the table, until the session that has it locked lets go.
    async fn held_run(&self) -> Result<(RunId, Client)> {
        self.cli().json(0, &["data-plane", "check", PLANE]);
        let (holder, watcher) = (self.database.client().await, self.database.client().await);
        holder.batch_execute("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE").await?;
        let run = self.sandbox.trigger(PIPELINE).await?;
        let waits = "SELECT 1 FROM pg_stat_activity WHERE usename = 'waybill' AND wait_event_type = 'Lock'";
        until("a worker that waits for the table", async || Ok(!watcher.query(waits, &[]).await?.is_empty())).await?;
        Ok((run, holder))
    }
}

impl World {
    /// The orchestrator's process is killed, and started again.
    async fn dies_and_comes_back(&mut self) -> Result<()> {
        let ports = self.sandbox.ports()?;
        self.sandbox.kill_orchestrator()?;
        self.sandbox.restart(&ports).await
    }

    /// The task that a container was started for.
    fn arn_of(container: &Value) -> String {
        container["Config"]["Labels"]["com.amazonaws.ecs.task-arn"].as_str().unwrap_or_default().to_owned()
    }
}

/// Waits until something was seen.
async fn until(what: &str, seen: impl AsyncFn() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !seen().await? {
        ensure!(begun.elapsed() < Duration::from_secs(60), "not seen: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await; // a poll, bounded above
    }
    Ok(())
}

#[test]
fn f20_an_orchestrator_that_is_killed_under_a_running_task_finds_it_again_and_starts_no_other() -> Result<()> {
    story(async |world: &mut World| {
        let (run, holder) = world.held_run().await?;
        world.dies_and_comes_back().await?;
        holder.batch_execute("COMMIT").await?;
        let ended = world.sandbox.ended(run).await?;
        ensure!(ended.run.state.to_string() == "succeeded", "{:?}", ended.run);
        ensure!(ended.attempt_list.len() == 1 && world.emulator.started().len() == 1, "{:?}", ended.attempt_list);
        world.its_rows_are_in_the_bucket()
    })
}

/// Whoever may describe tasks reads tickets. One that enrolled already is worth nothing to a second task of the very same role,
/// and since nobody can tell which of the two is the thief's, that attempt delivers nothing.
#[test]
fn t04_a_ticket_that_is_read_in_the_clouds_own_answer_lets_no_second_task_in() -> Result<()> {
    story(async |world: &mut World| {
        let (run, holder) = world.held_run().await?;
        let seen = world.sandbox.client.run_get(run).await?;
        let arn = seen.attempt_list[0].task.clone().context("a task")?;
        let keys = world.launch_session();
        let asked = json!({ "cluster": world.name("cluster"), "tasks": [arn] });
        let answer = world.emulator.calls(&keys, &json!([["ecs", "describe_tasks", asked]]));
        let read =
            answer[0].as_ref().ok().map(|answer| answer["tasks"][0]["overrides"].clone()).context("an answer")?;
        ensure!(read.to_string().contains("WAYBILL_TICKET"), "{read:#}");
        let again = world.start_tasks(&keys, vec![read])?;
        let told = async || Ok(world.events(run).await?.iter().any(|event| event.code == "ticket_reused"));
        until("that somebody is told of the second task", told).await?;
        holder.batch_execute("COMMIT").await?;
        let thief = world.stopped(&again).await?;
        ensure!(thief[0]["containers"][0]["exitCode"].as_i64().is_some_and(|code| code != 0), "{thief:#?}");
        let ended = world.sandbox.ended(run).await?;
        ensure!(ended.run.state.to_string() == "succeeded", "{:?}", ended.run);
        let tasks: Vec<_> = ended.attempt_list.iter().filter_map(|attempt| attempt.task.as_deref()).collect();
        ensure!(tasks.len() == 2 && !tasks.contains(&again[0].as_str()), "{:?}", ended.attempt_list);
        world.its_rows_are_in_the_bucket()
    })
}
