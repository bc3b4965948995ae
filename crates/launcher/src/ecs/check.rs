//! What a role of a data plane may do, one row per permission, and what it must not be able to do. Nothing can be started:
//! refused things are asked for by names that do not exist, so *denied* means narrow and *not found* means too much.

use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_sdk_ecs::Client;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use serde_json::Value;
use waybill_model::RunId;

use super::answer::ASSUME;
use super::arn::TaskArn;
use super::bucket::Bucket;
use super::call::{self, Listed};
use super::cloud::Cloud;
use super::place::EcsPlace;
use super::policy;
use crate::LaunchError;

/// What a row found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is allowed, as it must be.
    Allowed,
    /// It is refused, as it must be.
    Narrow,
    /// It is missing.
    Missing,
    /// It is allowed and must not be.
    TooMuch,
    /// It can't be tried without an effect.
    NotTested,
    /// It could not be tried now: nothing is known, which is not enough.
    Unanswered,
}

impl Found {
    /// As it stands in an answer.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Narrow => "narrow",
            Self::Missing => "missing",
            Self::TooMuch => "too_much",
            Self::NotTested => "not_tested",
            Self::Unanswered => "no_answer",
        }
    }
}

/// One permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckRow {
    /// The action, such as `ecs:RunTask`.
    pub action: &'static str,
    /// On what: an ARN.
    pub resource: String,
    /// What was found.
    pub found: Found,
    /// What that means, and what to do.
    pub detail: String,
    /// The statement to add where one is missing, or that there must be where it can't be tried.
    pub statement: Option<Value>,
    /// What allows too much: a statement that says this is to be removed.
    pub remove: Option<Value>,
}

impl CheckRow {
    /// A permission without a statement to add or to remove.
    pub fn new(action: &'static str, resource: impl Into<String>, found: Found, detail: impl Into<String>) -> Self {
        Self { action, resource: resource.into(), found, detail: detail.into(), statement: None, remove: None }
    }

    pub(super) fn removing(self, statement: Value) -> Self {
        Self { remove: Some(statement), ..self }
    }

    fn adding(self, statement: Option<Value>) -> Self {
        Self { statement, ..self }
    }
}

/// How the customer's trust stands to the external id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustFound {
    /// The right id is needed.
    Enforced,
    /// The role can be assumed with none or a wrong one: whoever knows its ARN can have us act on it.
    Open,
    /// The role can't be assumed, so nothing can be said.
    Closed,
    /// STS could not be asked.
    Unknown,
}

/// The rows, and how the trust stands.
#[derive(Clone, Debug)]
pub struct Check {
    /// The trust.
    pub trust: TrustFound,
    /// Every permission.
    pub rows: Vec<CheckRow>,
}

impl Check {
    /// Whether workers can be started: all that can be tried was tried, and is as it must be.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let good = |row: &CheckRow| matches!(row.found, Found::Allowed | Found::Narrow | Found::NotTested);
        self.trust == TrustFound::Enforced && self.rows.iter().all(good)
    }
}

impl Cloud {
    /// Whether the external id is enforced: with it, without one, with a wrong one. And the session that the right one
    /// gave.
    async fn check_trust(self: &Arc<Self>, place: &EcsPlace) -> (Check, Option<Credentials>) {
        let (role, mut rows) = (place.role().to_string(), Vec::new());
        let trusting = policy::trust_statement(self.principal().ok().as_ref(), place.external_id());
        let with = self.assume(place, Some(place.external_id()), SESSION).await;
        rows.push(match &with {
            Ok(_) => CheckRow::new(ASSUME, &role, Found::Allowed, "the role can be assumed with its external id"),
            Err(LaunchError::Denied { .. }) => {
                let detail = "the role's trust policy does not name this orchestrator with this external id, or the \
                              orchestrator's own role may not ask for it: AWS does not say which";
                CheckRow::new(ASSUME, &role, Found::Missing, detail).adding(trusting.clone())
            }
            Err(error @ LaunchError::OwnDenied { is_forbidden, .. }) => {
                let detail = if *is_forbidden { FORBIDDEN } else { OWN_MISSING };
                CheckRow::new(ASSUME, &role, Found::Missing, detail).adding(error.own_statement())
            }
            Err(error) => CheckRow::new(ASSUME, &role, Found::Unanswered, format!("STS could not be asked: {error}")),
        });
        let mut trust = match &with {
            Ok(_) => TrustFound::Enforced,
            Err(LaunchError::Denied { .. } | LaunchError::OwnDenied { .. }) => TrustFound::Closed,
            Err(_) => TrustFound::Unknown,
        };
        // Asked even where the right id failed: an open role is open all the same.
        let wrong = format!("wrong-{}", RunId::generate());
        for (id, what) in [(None, "without an external id"), (Some(wrong.as_str()), "with a wrong external id")] {
            let asked = self.assume(place, id, SESSION).await;
            rows.push(match asked {
                Err(LaunchError::Denied { .. }) => {
                    CheckRow::new(ASSUME, &role, Found::Narrow, format!("refused {what}"))
                }
                // Our own role's refusal says nothing about the customer's trust.
                Err(LaunchError::OwnDenied { .. }) => {
                    if trust == TrustFound::Enforced {
                        trust = TrustFound::Unknown;
                    }
                    CheckRow::new(ASSUME, &role, Found::NotTested, format!("{UNASKED} {what}"))
                }
                Ok(_) => {
                    trust = TrustFound::Open;
                    let detail =
                        format!("the role can be assumed {what}: anybody who knows its ARN could use it through us");
                    CheckRow::new(ASSUME, &role, Found::TooMuch, detail).adding(trusting.clone())
                }
                Err(error) => {
                    if trust == TrustFound::Enforced {
                        trust = TrustFound::Unknown;
                    }
                    CheckRow::new(ASSUME, &role, Found::Unanswered, format!("STS could not be asked {what}: {error}"))
                }
            });
        }
        (Check { trust, rows }, with.ok())
    }

    /// All rows. Those of ECS and of the buckets are asked only where the trust is right.
    pub async fn check(self: &Arc<Self>, place: &EcsPlace, buckets: &[Bucket]) -> Check {
        let (mut check, session) = self.check_trust(place).await;
        match session.filter(|_| check.trust == TrustFound::Enforced) {
            Some(session) => {
                let client = self.ecs(place, session.clone(), SESSION);
                check.rows.push(self.task_role_row(place).await);
                check.rows.extend(wanted(&client, place).await);
                check.rows.extend(unwanted(&client, place).await);
                check.rows.extend(self.bucket_rows(place, &session, buckets).await);
            }
            None => {
                let detail = "asked when the role can be assumed with its external id and only with it";
                let resource = place.cluster_arn();
                check.rows.push(CheckRow::new("ecs:*", resource, Found::Unanswered, detail));
            }
        }
        check.rows.extend(untested(place));
        check
    }

    /// The workers' role is for tasks alone.
    async fn task_role_row(&self, place: &EcsPlace) -> CheckRow {
        let role = place.task_role().to_string();
        match self.assume_role(place, &role, Some(place.external_id()), SESSION).await {
            Err(LaunchError::Denied { .. }) => {
                CheckRow::new(ASSUME, role, Found::Narrow, "the role of the workers can't be assumed from here")
            }
            Err(LaunchError::OwnDenied { .. }) => CheckRow::new(ASSUME, role, Found::NotTested, UNASKED),
            Ok(_) => CheckRow::new(ASSUME, role, Found::TooMuch, "the role of the workers is to trust ECS tasks alone"),
            Err(error) => CheckRow::new(ASSUME, role, Found::Unanswered, error.to_string()),
        }
    }
}

pub(super) const SESSION: &str = "waybill-check";
const UNASKED: &str = "the orchestrator's own role may not ask for it, so nothing is known of the trust";
const OWN_MISSING: &str =
    "the orchestrator's own role may not ask for it: whoever runs the orchestrator adds the statement to that role";
const FORBIDDEN: &str =
    "a policy of the orchestrator's own role or organization forbids it: whoever runs the orchestrator takes that away";

/// What the role needs and can be asked without an effect.
async fn wanted(client: &Client, place: &EcsPlace) -> Vec<CheckRow> {
    let tasks = place.arn(&format!("task/{}/*", place.settings().cluster));
    let nobody = place.arn(&format!("task/{}/{}", place.settings().cluster, "0".repeat(32)));
    let mut rows = Vec::new();
    let listed = call::list(client, place, Listed::Family(&place.settings().task_family)).await.map(drop);
    rows.push(needed(place, "ecs:ListTasks", &place.cluster_arn(), listed));
    let looked = call::describe(client, place, &[&nobody]).await.map(drop);
    rows.push(needed(place, "ecs:DescribeTasks", &tasks, looked));
    let stopped = match nobody.parse::<TaskArn>() {
        Ok(nobody) => call::stop(client, place, &nobody).await,
        Err(_) => Err(LaunchError::Unusable("task")),
    };
    rows.push(needed(place, "ecs:StopTask", &tasks, stopped));
    rows
}

fn needed(place: &EcsPlace, action: &'static str, resource: &str, answer: Result<(), LaunchError>) -> CheckRow {
    match answer {
        Ok(()) => CheckRow::new(action, resource, Found::Allowed, "allowed"),
        Err(LaunchError::Denied { .. }) => {
            let statement = policy::statement_for(place, action);
            CheckRow::new(action, resource, Found::Missing, "refused: add the statement").adding(statement)
        }
        Err(LaunchError::Refused { code: "ClusterNotFoundException", .. }) => {
            let detail = format!("there is no cluster {} in {}", place.settings().cluster, place.region().as_str());
            CheckRow::new(action, resource, Found::Missing, detail)
        }
        Err(error) => CheckRow::new(action, resource, Found::Unanswered, error.to_string()),
    }
}

/// What the role must not be able to do, asked by names that do not exist.
async fn unwanted(client: &Client, place: &EcsPlace) -> Vec<CheckRow> {
    let settings = place.settings();
    let other = format!("waybill-check-{}", RunId::generate()).replace('_', "-");
    let (other_cluster, other_family) =
        (place.arn(&format!("cluster/{other}")), place.arn(&format!("task-definition/{other}")));
    let run = |cluster: &str, family: &str| {
        client.run_task().cluster(cluster).task_definition(family).client_token(&other).started_by("wb-check")
    };
    let family = run(&settings.cluster, &other).send().await;
    let mut rows = vec![refused("ecs:RunTask", &other_family, "a family that is not registered", &family)];
    for family in place.families() {
        let cluster = run(&other, family).send().await;
        let what = format!("{family} in a cluster that is not the registered one");
        rows.push(refused("ecs:RunTask", &other_cluster, &what, &cluster));
    }
    let listed = client.list_tasks().cluster(&other).send().await;
    let nobody = "0".repeat(32);
    let stopped = client.stop_task().cluster(&other).task(&nobody).send().await;
    // Without containers it can't be registered, whoever may.
    let registered =
        client.register_task_definition().family(&other).set_container_definitions(Some(Vec::new())).send().await;
    let command = client.execute_command().cluster(&settings.cluster).task(&nobody).command("true").interactive(true);
    let executed = command.send().await;
    rows.extend([
        refused("ecs:ListTasks", &other_cluster, "a cluster that is not the registered one", &listed),
        refused("ecs:StopTask", &other_cluster, "a cluster that is not the registered one", &stopped),
        refused("ecs:RegisterTaskDefinition", &other_family, "task definitions", &registered),
        refused("ecs:ExecuteCommand", &place.cluster_arn(), "commands in running tasks", &executed),
    ]);
    rows
}

fn refused<T, E, R>(action: &'static str, resource: &str, what: &str, answer: &Result<T, SdkError<E, R>>) -> CheckRow
where
    E: ProvideErrorMetadata,
{
    let code = answer.as_ref().err().and_then(|error| error.as_service_error()).and_then(ProvideErrorMetadata::code);
    match (answer, code) {
        (Err(_), Some("AccessDeniedException" | "AccessDenied" | "UnauthorizedOperation")) => {
            CheckRow::new(action, resource, Found::Narrow, format!("refused for {what}"))
        }
        // Done, not found or not valid: it was allowed to ask.
        (Ok(_), _)
        | (
            Err(_),
            Some(
                "ClusterNotFoundException"
                | "ClientException"
                | "InvalidParameterException"
                | "TargetNotConnectedException",
            ),
        ) => CheckRow::new(action, resource, Found::TooMuch, format!("allowed for {what}: remove it from the role")),
        (Err(_), _) => {
            CheckRow::new(action, resource, Found::Unanswered, format!("no answer about {what}; check again"))
        }
    }
}

/// What can't be tried without starting a task.
fn untested(place: &EcsPlace) -> Vec<CheckRow> {
    let passed =
        "seen at the first run: only a started task hands roles over; the second role is the task definition's own";
    let started = |family: &str| {
        let detail = "seen at the first run: trying it would start a task";
        CheckRow::new("ecs:RunTask", place.family_arn(family), Found::NotTested, detail)
            .adding(policy::statement_for(place, "ecs:RunTask"))
    };
    let mut rows: Vec<CheckRow> = place.families().map(started).collect();
    rows.push(
        CheckRow::new("iam:PassRole", place.task_role().to_string(), Found::NotTested, passed)
            .adding(policy::statement_for(place, "iam:PassRole")),
    );
    rows
}
