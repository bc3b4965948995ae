//! An agent whose workers are tasks of the cloud that enforces the grants: started with the agent's own role, which has what the
//! launch role has, and delivering rows by the role of the task.

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};
use waybill_api::agent::AgentCreate;
use waybill_api::client::ListQuery;
use waybill_api::data_plane::{DataPlaneCreate, ProcessSettings};
use waybill_api::trail::TrailEntry;
use waybill_tests::readers;
use waybill_tests::services::aws::{ACCOUNT, Keys, REGION};

use super::world::{PIPELINE, PLANE, ROWS, World, story};
use crate::agent::fixture::Host;

const OFFICE: &str = "office";
/// The role of the agent's host.
const HOST: &str = "waybill-office";

impl World {
    /// A session of a role of the host's own, with the launch role's policy: an agent that calls as the role which the
    /// orchestrator assumes is refused.
    fn host_session(&self) -> Result<Keys> {
        let arn = format!("arn:aws:iam::{ACCOUNT}:role/{HOST}");
        let allowed = |whom: &str, what: Value| json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "sts:AssumeRole", whom: what }] });
        let trust = allowed("Principal", json!({ "AWS": format!("arn:aws:iam::{ACCOUNT}:root") }));
        let policy = self.grants.documents["launch"].to_string();
        let _ = self.emulator.root(&json!([
            ["iam", "create_role", { "RoleName": HOST, "AssumeRolePolicyDocument": trust.to_string() }],
            ["iam", "put_role_policy", { "RoleName": HOST, "PolicyName": "launch", "PolicyDocument": policy }],
        ]));
        let somebody = self.emulator.user("machine", &allowed("Resource", json!(arn)));
        let asked = json!([["sts", "assume_role", { "RoleArn": arn, "RoleSessionName": "i-0a1b2c3d4e5f60718" }]]);
        let answer = self.emulator.calls(&somebody, &asked).remove(0);
        Ok(Keys::of(&answer.map_err(|code| anyhow!("the host's role: {code}"))?, "Credentials"))
    }

    /// An agent that enrolled and runs, on a host that holds a session of the role which may start workers.
    async fn agent(&self) -> Result<Host> {
        let client = &self.sandbox.client;
        let settings = ProcessSettings::default();
        let body = DataPlaneCreate { name: OFFICE.into(), kind: "agent".into(), settings, aws_ecs: None };
        let data_plane_id = client.data_plane_create(&body).await?.id;
        let body = AgentCreate { name: "office-1".into(), data_plane_id, needs_approval: false };
        let invited = client.agent_create(&body).await?;
        let mut host = Host::new(invited.agent.id, self.sandbox.path("office-1"));
        let (keys, endpoint, task_role) = (self.host_session()?, self.emulator.endpoint(), self.role("task_role"));
        host.through = vec![
            "env".into(),
            "AWS_EC2_METADATA_DISABLED=true".into(),
            format!("AWS_ACCESS_KEY_ID={}", keys.id),
            format!("AWS_SECRET_ACCESS_KEY={}", keys.secret),
            format!("AWS_SESSION_TOKEN={}", keys.session.unwrap_or_default()),
        ];
        host.without_guard = false;
        let options = [
            ["--cluster", self.name("cluster")],
            ["--region", REGION],
            ["--task-family", self.name("family")],
            ["--task-role-arn", &task_role],
            ["--subnet", "subnet-0a1b2c3d4e5f60718"],
            ["--security-group", "sg-0a1b2c3d4e5f60718"],
            ["--ecs-endpoint", &endpoint],
            ["--sts-endpoint", &endpoint],
        ];
        host.options = options.concat().into_iter().map(str::to_owned).collect();
        let enrolled = host.enrol(&invited)?.wait_with_output()?;
        ensure!(enrolled.status.success(), "{}", String::from_utf8_lossy(&enrolled.stderr));
        host.run()?;
        Ok(host)
    }
}

#[test]
fn rows_are_delivered_by_a_task_that_an_agents_own_role_starts() -> Result<()> {
    story(async |world: &mut World| {
        let host = world.agent().await?;
        let document = world.document()?.replace(&format!("data-plane: {PLANE}"), &format!("data-plane: {OFFICE}"));
        ensure!(document.contains(OFFICE), "{document}");
        std::fs::write(world.sandbox.path("office.waybill.yaml"), document)?;
        world.cli().json(0, &["apply", "-f", "office.waybill.yaml"]);

        let run = world.sandbox.trigger(PIPELINE).await?;
        let ended = world.sandbox.ended(run).await?;
        ensure!(ended.run.state.to_string() == "succeeded", "{:?}\n{}", ended.run, host.log());
        let read = readers::query(&world.table()?, "select count(*), count(distinct id), min(id), max(id) from t")?;
        ensure!(read.agreed() == json!([[ROWS, ROWS, 1, ROWS]]));

        let started = world.emulator.started();
        ensure!(started.len() == 1 && ended.attempt_list.len() == 1, "{:?}", ended.attempt_list);
        let task = world.stopped(&[World::arn_of(&started[0])]).await?.pop().context("the task")?;
        ensure!(task["startedBy"] == format!("wb/{}", ended.attempt_list[0].id), "{task:#}");
        ensure!(task["containers"][0]["exitCode"] == 0, "{task:#}");
        let seen = world.events(run).await?;
        let proven = seen.iter().find(|event| event.code == "role_proven").with_context(|| format!("{seen:#?}"))?;
        ensure!(proven.text.contains(world.name("task_role")), "{}", proven.text);
        // The orchestrator has no role here and made no call: all of the trail is the agent's.
        let trail = world.sandbox.client.run_trail(run, &ListQuery::default()).await?.items;
        let of_host = |entry: &TrailEntry| entry.role_arn == format!("arn:aws:iam::{ACCOUNT}:role/{HOST}");
        ensure!(trail.iter().all(of_host) && trail.iter().any(|entry| entry.action == "ecs:RunTask"), "{trail:#?}");
        Ok(())
    })
}
