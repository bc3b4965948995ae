//! The cluster that the command line names, with the role that this host holds: checked before the agent serves.

use std::collections::BTreeMap;
use std::sync::Arc;

use waybill_launcher::ecs::arn::{NameError, Region};
use waybill_launcher::ecs::{Capacity, Cloud, CloudOptions, EcsPlace, EcsSettings, SettingError};
use waybill_model::plan::Architecture;

use crate::AgentError;
use crate::calls::Calls;
use crate::cli::{RunArguments, TaskArguments};
use crate::identity::Identity;
use crate::workers::Cluster;

/// Reads the cluster's settings and asks STS which role this host holds.
pub(super) async fn read(arguments: &RunArguments, identity: &Identity, name: &str) -> Result<Cluster, AgentError> {
    let refused = |text: String| AgentError::Usage(text);
    if arguments.guard.is_some() {
        // Variables and arguments of a task can be set by whoever starts one; its role's own parameter can't.
        let next =
            "a task finds its guard by its own role; put it there with `aws ssm put-parameter`, as docs/guard.md says";
        return Err(refused(format!("--guard: {next}")));
    }
    if !arguments.pass_env.is_empty() {
        let next = "everybody who may describe tasks could read them; set variables and secrets in the task definition";
        return Err(refused(format!("--pass-env: {next}")));
    }
    let wanted = &arguments.tasks;
    let text = wanted.region.as_deref().unwrap_or_default();
    let region: Region = text.parse().map_err(|error: NameError| refused(format!("--region: {error}")))?;
    if wanted.fips {
        // Before STS is asked: in another region there is none to ask.
        region.check_fips().map_err(|error| refused(format!("--fips: {error}")))?;
    }
    let options = CloudOptions {
        ecs_endpoint: wanted.ecs_endpoint.clone(),
        sts_endpoint: wanted.sts_endpoint.clone(),
        ..CloudOptions::default()
    };
    let calls = Arc::new(Calls::default());
    let cloud = Arc::new(Cloud::open(options).await.seen_by(Arc::clone(&calls) as _));
    let (role, session) =
        cloud.own_role(&region, wanted.fips).await.map_err(|error| refused(format!("--cluster: {error}")))?;
    let place = EcsPlace::own(settings(wanted, name, role.to_string())).map_err(|error| refused(flag(&error)))?;
    tracing::info!(role = place.role().as_str(), cluster = name, "workers are tasks, started with this role");
    let variables = [("WAYBILL_ORCHESTRATOR", &identity.orchestrator), ("WAYBILL_CA_PIN", &identity.ca_pin)];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.clone()));
    let (launcher, agent) = (cloud.launcher(place.clone()), identity.agent.clone());
    Ok(Cluster { launcher, place, agent, variables: BTreeMap::from(variables), calls, session })
}

fn settings(wanted: &TaskArguments, cluster: &str, role_arn: String) -> EcsSettings {
    EcsSettings {
        role_arn,
        task_role_arn: wanted.task_role_arn.clone().unwrap_or_default(),
        region: wanted.region.clone().unwrap_or_default(),
        cluster: cluster.to_owned(),
        task_family: wanted.task_family.clone().unwrap_or_default(),
        // What a pipeline asks for is not told to agents: each starts the one family that it was given.
        architecture: Architecture::default(),
        other_task_family: None,
        container: wanted.container.clone(),
        subnets: wanted.subnets.clone(),
        security_groups: wanted.security_groups.clone(),
        assign_public_ip: wanted.assign_public_ip,
        // Spare capacity needs to know of the attempts before, which only the orchestrator does.
        capacity: Capacity::Fargate,
        ec2_opt_in: None,
        cpu: wanted.cpu,
        memory_mib: wanted.memory_mib,
        disk_gib: wanted.disk_gib,
        fips: wanted.fips,
        token_issuer: None,
    }
}

/// A setting's error under the option's name.
fn flag(error: &SettingError) -> String {
    let option = match error.field {
        "subnets" => "subnet".to_owned(),
        "security_groups" => "security-group".to_owned(),
        "role_arn" => "cluster".to_owned(),
        field => field.replace('_', "-"),
    };
    format!("--{option}: {}", error.what)
}
