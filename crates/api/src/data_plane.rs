//! Data planes: registered places where workers run.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use waybill_model::DataPlaneId;

use crate::action::AllowedAction;
use crate::example::{self, Example};
use crate::timestamp::Timestamp;

/// A registered place where workers run.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DataPlane {
    /// Its id.
    #[schema(value_type = String)]
    pub id: DataPlaneId,
    /// Its name; unique in the organization.
    pub name: String,
    /// How workers are started there: `process`, `agent` or `aws-ecs`.
    pub kind: String,
    /// Settings of kind `process` and `agent`.
    pub settings: ProcessSettings,
    /// Settings of kind `aws-ecs`; none before they are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws_ecs: Option<AwsEcsSettings>,
    /// What the customer's trust policy must ask for. Made by the server; it never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Role or user of this orchestrator: what the customer's trust policy must name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orchestrator_principal_arn: Option<String>,
    /// Why there is none to tell, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orchestrator_principal_missing: Option<String>,
    /// What the last check found about it: `enforced` or `open`. Nothing is started there before it was enforced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<String>,
    /// When it was checked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<Timestamp>,
    /// Since when it is being drained: nothing is launched there, and workers finish only the streams that they have begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draining_since: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// What the caller may do with it.
    #[serde(default)]
    pub allowed_actions: Vec<AllowedAction>,
}

/// Settings of a data plane of kind `process`, whose workers are processes on the orchestrator's own host, or `agent`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessSettings {
    /// Names of environment variables that pass to workers, never their values. Only with kind `process`.
    #[serde(default)]
    pub environment: Vec<String>,
    /// Region that its workers run in, on the word of whoever says so: no cloud is asked. A project that allows certain
    /// regions only asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// Settings of an `aws-ecs` data plane: workers are tasks in the customer's account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AwsEcsSettings {
    /// ARN of the role that starts and stops tasks. It never changes once given.
    pub role_arn: String,
    /// ARN of the role that workers run as; enrolment accepts no other.
    pub task_role_arn: String,
    /// Region, such as `eu-central-1`. It never changes once given.
    pub region: String,
    /// Name of the cluster. It never changes once given.
    pub cluster: String,
    /// Family of the task definition.
    pub task_family: String,
    /// Processor that it names: `x86_64` or `arm64`.
    #[serde(default = "x86_64")]
    pub architecture: String,
    /// Family of the same worker for the other processor, for pipelines that ask for it; none where there is one kind only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_task_family: Option<String>,
    /// Name of the worker's container in it.
    #[serde(default = "worker")]
    pub container: String,
    /// Ids of subnets.
    pub subnets: Vec<String>,
    /// Ids of security groups.
    pub security_groups: Vec<String>,
    /// Whether tasks get a public address.
    #[serde(default)]
    pub assign_public_ip: bool,
    /// `fargate`, `fargate-spot` or `ec2`.
    #[serde(default = "fargate")]
    pub capacity: String,
    /// The sentence that allows `ec2`; its error message shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ec2_opt_in: Option<String>,
    /// CPU units of a task; 1024 are one CPU.
    #[serde(default = "cpu")]
    pub cpu: u32,
    /// Memory of a task in MiB.
    #[serde(default = "memory")]
    pub memory_mib: u32,
    /// Ephemeral storage in GiB; 0 for Fargate's own 20.
    #[serde(default)]
    pub disk_gib: u32,
    /// Whether FIPS endpoints are called.
    #[serde(default)]
    pub fips: bool,
    /// Issuer of the account's web identity tokens, such as `https://ID.tokens.sts.global.api.aws`: workers then prove their
    /// role by a token that STS signs. Without it they sign a call of sts:GetCallerIdentity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_issuer: Option<String>,
}

fn worker() -> String {
    "worker".into()
}

fn x86_64() -> String {
    "x86_64".into()
}

fn fargate() -> String {
    "fargate".into()
}

const fn cpu() -> u32 {
    1024
}

const fn memory() -> u32 {
    2048
}

/// What a check found, permission by permission.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DataPlaneCheck {
    /// Nothing is missing, nothing is too much, and all that can be tried was tried.
    pub ready: bool,
    /// Every permission.
    pub rows: Vec<PermissionRow>,
}

/// One permission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PermissionRow {
    /// The action, such as `ecs:RunTask`.
    pub action: String,
    /// On what: an ARN.
    pub resource: String,
    /// `allowed` and `narrow` are as they must be; `missing` and `too_much` are not; `no_answer` could not be tried now;
    /// `not_tested` can't be tried without an effect.
    pub found: String,
    /// What that means, and what to do.
    pub detail: String,
    /// The statement to add to the role, as JSON, where one is missing, or that must be there where it can't be tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
    /// What allows too much, as JSON, where one statement says it: no policy of the role may hold one that does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remove: Option<String>,
}

/// The policies that the customer attaches to the launch role, as Terraform applies them. Each is the whole text of a JSON
/// document; one that was not asked for is absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DataPlanePolicy {
    /// The launch role; absent before the settings are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// Its trust policy: who may assume it, with which external id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<String>,
    /// Its permission policy: what it may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch: Option<String>,
}

/// Registers a data plane.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DataPlaneCreate {
    /// Lower-case letters, digits and dashes, at most 63.
    pub name: String,
    /// How workers are started there: `process`, `agent` or `aws-ecs`.
    pub kind: String,
    /// Settings of kind `process` and `agent`.
    #[serde(default)]
    pub settings: ProcessSettings,
    /// Settings of kind `aws-ecs`. They can be given later: roles are made with the external id of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws_ecs: Option<AwsEcsSettings>,
}

/// Changes a data plane.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DataPlaneUpdate {
    /// New settings of kind `process` and `agent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<ProcessSettings>,
    /// New settings of kind `aws-ecs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws_ecs: Option<AwsEcsSettings>,
}

impl Example for DataPlane {
    fn example() -> Self {
        Self {
            id: example::id("dp", 1),
            name: "local".into(),
            kind: "process".into(),
            settings: ProcessSettings { environment: vec!["SHOP_PASSWORD".into()], region: None },
            aws_ecs: None,
            external_id: None,
            orchestrator_principal_arn: None,
            orchestrator_principal_missing: None,
            trust: None,
            draining_since: None,
            checked_at: None,
            created_at: example::at(0),
            allowed_actions: vec![AllowedAction::no("data_plane_resume", "it takes runs")],
        }
    }
}

impl Example for DataPlaneCreate {
    fn example() -> Self {
        let aws_ecs = Some(AwsEcsSettings::example());
        Self { name: "frankfurt".into(), kind: "aws-ecs".into(), settings: ProcessSettings::default(), aws_ecs }
    }
}

impl Example for DataPlaneUpdate {
    fn example() -> Self {
        let settings =
            ProcessSettings { environment: vec!["SHOP_PASSWORD".into()], region: Some("eu-central-1".into()) };
        Self { settings: Some(settings), aws_ecs: None }
    }
}

impl Example for AwsEcsSettings {
    fn example() -> Self {
        Self {
            role_arn: "arn:aws:iam::222222222222:role/waybill-launch".into(),
            task_role_arn: "arn:aws:iam::222222222222:role/waybill-worker".into(),
            region: "eu-central-1".into(),
            cluster: "waybill".into(),
            task_family: "waybill-worker".into(),
            architecture: x86_64(),
            other_task_family: None,
            container: worker(),
            subnets: vec!["subnet-0a1b2c3d4e5f60718".into()],
            security_groups: vec!["sg-0a1b2c3d4e5f60718".into()],
            assign_public_ip: false,
            capacity: fargate(),
            ec2_opt_in: None,
            cpu: cpu(),
            memory_mib: memory(),
            disk_gib: 0,
            fips: false,
            token_issuer: None,
        }
    }
}

impl Example for DataPlanePolicy {
    fn example() -> Self {
        let trust = r#"{ "Version": "2012-10-17", "Statement": [{ "Sid": "OrchestratorWithExternalId", "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::111111111111:role/waybill-orchestrator" }, "Action": "sts:AssumeRole", "Condition": { "StringEquals": { "sts:ExternalId": "wb-0123456789abcdef0123456789abcdef" } } }] }"#;
        let role_arn = Some(AwsEcsSettings::example().role_arn);
        Self { role_arn, trust: Some(trust.into()), launch: None }
    }
}

impl Example for DataPlaneCheck {
    fn example() -> Self {
        let row = PermissionRow {
            action: "ecs:StopTask".into(),
            resource: "arn:aws:ecs:eu-central-1:222222222222:task/waybill/*".into(),
            found: "allowed".into(),
            detail: "allowed".into(),
            statement: None,
            remove: None,
        };
        Self { ready: true, rows: vec![row] }
    }
}
