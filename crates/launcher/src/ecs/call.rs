//! The four calls as the SDK takes them. What RunTask gets is made from the kept task alone, so a repeated call is the
//! same call.

use aws_sdk_ecs::Client;
use aws_sdk_ecs::config::http::HttpResponse;
use aws_sdk_ecs::error::SdkError;
use aws_sdk_ecs::operation::run_task::{RunTaskError, RunTaskOutput};
use aws_sdk_ecs::types::{
    AssignPublicIp, AwsVpcConfiguration, CapacityProviderStrategyItem, Container, ContainerOverride, DesiredStatus,
    EphemeralStorage, KeyValuePair, LaunchType, NetworkConfiguration, Task, TaskOverride,
};

use super::answer::{self, Call};
use super::arn::TaskArn;
use super::place::{Capacity, EcsPlace};
use super::status::Seen;
use super::task::{EcsTask, started_by};
use crate::{LaunchError, LaunchRequest, TaskStatus};

/// Tasks of one DescribeTasks.
pub(super) const BATCH: usize = 100;

/// What RunTask brought.
pub(super) enum Started {
    /// It runs, or did.
    Task(String),
    /// The token belongs to these tasks, started with other parameters.
    Conflict(Vec<String>),
    /// The cloud has no room.
    NoRoom,
}

/// Starts the task, or finds the one of the same token.
pub(super) async fn run(
    client: &Client,
    place: &EcsPlace,
    request: &LaunchRequest,
    task: &EcsTask,
) -> Result<Started, LaunchError> {
    let (spec, family) = (request.spec(), place.family_arn(&task.family));
    let call = Call { action: "ecs:RunTask", resource: &family };
    let mut wanted = client
        .run_task()
        .cluster(&task.cluster)
        .task_definition(&task.family)
        .count(1)
        .client_token(&spec.token)
        .started_by(started_by(spec.attempt))
        .enable_execute_command(false)
        .network_configuration(network(task)?)
        .overrides(overrides(task, request.reveal_ticket()));
    wanted = match task.capacity {
        Capacity::Fargate => wanted.launch_type(LaunchType::Fargate),
        Capacity::Ec2 => wanted.launch_type(LaunchType::Ec2),
        Capacity::FargateSpot => {
            let spot = CapacityProviderStrategyItem::builder().capacity_provider("FARGATE_SPOT").weight(1).build();
            wanted.capacity_provider_strategy(spot.map_err(|_| LaunchError::Unusable("capacity"))?)
        }
    };
    match wanted.send().await {
        Ok(answer) => started(&answer, &call),
        Err(error) => match conflict(&error) {
            Some(tasks) => Ok(Started::Conflict(tasks)),
            None => Err(answer::failed(&error, &call)),
        },
    }
}

fn started(answer: &RunTaskOutput, call: &Call<'_>) -> Result<Started, LaunchError> {
    if let Some(arn) = answer.tasks().first().and_then(Task::task_arn) {
        return Ok(Started::Task(arn.to_owned()));
    }
    let reason = answer.failures().first().and_then(|failure| failure.reason()).unwrap_or_default();
    tracing::info!(action = call.action, reason, "no task was started");
    if reason.contains("apacity") || reason.starts_with("RESOURCE:") || reason == "AGENT" {
        return Ok(Started::NoRoom);
    }
    let code = if reason == "MISSING" || reason == "INACTIVE" { "ClusterNotFoundException" } else { "other" };
    Err(LaunchError::Refused { action: call.action, code })
}

fn conflict(error: &SdkError<RunTaskError, HttpResponse>) -> Option<Vec<String>> {
    match error.as_service_error()? {
        RunTaskError::ConflictException(conflict) => Some(conflict.resource_ids().to_vec()),
        _ => None,
    }
}

fn network(task: &EcsTask) -> Result<NetworkConfiguration, LaunchError> {
    let public = if task.assign_public_ip { AssignPublicIp::Enabled } else { AssignPublicIp::Disabled };
    let network = AwsVpcConfiguration::builder()
        .set_subnets(Some(task.subnets.clone()))
        .set_security_groups(Some(task.security_groups.clone()));
    // Not a word of it where tasks run on instances: there it can't be said.
    let network = if task.capacity == Capacity::Ec2 { network } else { network.assign_public_ip(public) };
    let network = network.build().map_err(|_| LaunchError::Unusable("network"))?;
    Ok(NetworkConfiguration::builder().awsvpc_configuration(network).build())
}

fn overrides(task: &EcsTask, ticket: &str) -> TaskOverride {
    let pair = |name: &str, value: &str| KeyValuePair::builder().name(name).value(value).build();
    let mut variables: Vec<KeyValuePair> = task.variables.iter().map(|(name, value)| pair(name, value)).collect();
    variables.push(pair("WAYBILL_TICKET", ticket));
    let container = ContainerOverride::builder().name(&task.container).set_environment(Some(variables)).build();
    let mut overrides = TaskOverride::builder()
        .cpu(task.cpu.to_string())
        .memory(task.memory_mib.to_string())
        .container_overrides(container);
    if task.disk_gib > 0 {
        let gib = i32::try_from(task.disk_gib).unwrap_or(i32::MAX);
        overrides = overrides.ephemeral_storage(EphemeralStorage::builder().size_in_gib(gib).build());
    }
    overrides.build()
}

/// Looks at tasks of the place, at most [`BATCH`]; each answer beside its ARN.
pub(super) async fn describe(
    client: &Client,
    place: &EcsPlace,
    tasks: &[&str],
) -> Result<Vec<(String, TaskStatus, Option<String>)>, LaunchError> {
    let cluster = place.cluster_arn();
    let call = Call { action: "ecs:DescribeTasks", resource: &cluster };
    let arns = tasks.iter().map(|task| (*task).to_owned()).collect();
    let looked = client.describe_tasks().cluster(&place.settings().cluster).set_tasks(Some(arns));
    let answer = looked.send().await.map_err(|error| answer::failed(&error, &call))?;
    let seen = answer.tasks().iter().filter_map(|task| {
        let started_by = task.started_by().map(str::to_owned);
        Some((task.task_arn()?.to_owned(), status(task, &place.settings().container), started_by))
    });
    let missing = answer.failures().iter().filter_map(|failure| {
        let status = if failure.reason() == Some("MISSING") { TaskStatus::Missing } else { TaskStatus::Unknown };
        Some((failure.arn()?.to_owned(), status, None))
    });
    Ok(seen.chain(missing).collect())
}

/// Digest of the image of the worker's container, as the cloud pulled it.
pub(super) async fn image(client: &Client, place: &EcsPlace, task: &TaskArn) -> Result<Option<String>, LaunchError> {
    let cluster = place.cluster_arn();
    let call = Call { action: "ecs:DescribeTasks", resource: &cluster };
    let looked = client.describe_tasks().cluster(&place.settings().cluster).tasks(task.as_str());
    let answer = looked.send().await.map_err(|error| answer::failed(&error, &call))?;
    let worker = answer.tasks().first().and_then(|task| worker_of(task, &place.settings().container));
    let digest = worker.and_then(Container::image_digest).filter(|digest| is_digest(digest));
    Ok(digest.map(str::to_owned))
}

/// `sha256:` and 64 hexadecimal digits: nothing else of the cloud goes on.
fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn worker_of<'t>(task: &'t Task, container: &str) -> Option<&'t Container> {
    task.containers().iter().find(|it| it.name() == Some(container))
}

fn status(task: &Task, container: &str) -> TaskStatus {
    let of_worker = worker_of(task, container);
    let stop_code = task.stop_code().map(|code| code.as_str().to_owned());
    Seen {
        last_status: task.last_status().unwrap_or_default(),
        stop_code: stop_code.as_deref(),
        stopped_reason: task.stopped_reason().unwrap_or_default(),
        container: of_worker.map(|it| (it.exit_code(), it.reason().unwrap_or_default())),
    }
    .status()
}

/// Which tasks are listed.
#[derive(Clone, Copy)]
pub(super) enum Listed<'a> {
    /// Those that were started with this text.
    StartedBy(&'a str, DesiredStatusOf),
    /// Those of this family that are wanted to run.
    Family(&'a str),
}

/// What a listed task is wanted to be.
#[derive(Clone, Copy)]
pub(super) enum DesiredStatusOf {
    Running,
    Stopped,
}

/// ARNs of tasks, all pages.
pub(super) async fn list(client: &Client, place: &EcsPlace, which: Listed<'_>) -> Result<Vec<String>, LaunchError> {
    let cluster = place.cluster_arn();
    let call = Call { action: "ecs:ListTasks", resource: &cluster };
    let asked = client.list_tasks().cluster(&place.settings().cluster);
    let asked = match which {
        Listed::StartedBy(text, DesiredStatusOf::Running) => {
            asked.started_by(text).desired_status(DesiredStatus::Running)
        }
        Listed::StartedBy(text, DesiredStatusOf::Stopped) => {
            asked.started_by(text).desired_status(DesiredStatus::Stopped)
        }
        Listed::Family(family) => asked.family(family).desired_status(DesiredStatus::Running),
    };
    let mut pages = asked.into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| answer::failed(&error, &call))?;
        found.extend(page.task_arns().iter().cloned());
    }
    Ok(found)
}

/// Asks a task to end: SIGTERM, then SIGKILL after the definition's stop time. One that is not known needs none.
pub(super) async fn stop(client: &Client, place: &EcsPlace, task: &TaskArn) -> Result<(), LaunchError> {
    let call = Call { action: "ecs:StopTask", resource: task.as_str() };
    let asked = client
        .stop_task()
        .cluster(&place.settings().cluster)
        .task(task.as_str())
        .reason("Waybill: the attempt is over");
    match asked.send().await {
        Ok(_) => Ok(()),
        Err(error) => match answer::failed(&error, &call) {
            LaunchError::Refused { code: "InvalidParameterException", .. } => Ok(()),
            error => Err(error),
        },
    }
}
