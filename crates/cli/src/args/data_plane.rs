//! The options of `data-plane`.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::complete;

use super::{Limit, TEMPLATE, duration};

#[derive(Debug, Subcommand)]
pub(crate) enum DataPlane {
    /// Lists data planes.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill data-plane list", "waybill data-plane list -o name"))]
    List(Limit),
    /// Shows a data plane with its external id and the orchestrator's own role.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill data-plane show frankfurt", "waybill data-plane show frankfurt -o json"))]
    Show {
        /// Name or id.
        #[arg(add = complete::data_planes())]
        data_plane: String,
    },
    /// Registers a data plane in a cloud and prints whom its role must trust, and with which external id.
    #[command(subcommand, help_template = TEMPLATE, before_help = examples!("waybill data-plane add aws frankfurt", "waybill data-plane add aws dublin -o json"))]
    Add(AddDataPlane),
    /// Gives a data plane the roles and the network that were made for it.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill data-plane set frankfurt --role-arn arn:aws:iam::222222222222:role/waybill-launch --task-role-arn arn:aws:iam::222222222222:role/waybill-worker --region eu-central-1 --cluster main --task-family waybill-worker --subnet subnet-0a1b2c3d4e5f60718 --security-group sg-0a1b2c3d4e5f60718", "waybill data-plane set frankfurt --role-arn arn:aws:iam::222222222222:role/waybill-launch --task-role-arn arn:aws:iam::222222222222:role/waybill-worker --region eu-central-1 --cluster main --task-family waybill-worker --subnet subnet-0a1b2c3d4e5f60718 --security-group sg-0a1b2c3d4e5f60718 --capacity fargate-spot"))]
    Set {
        /// Name or id.
        #[arg(add = complete::data_planes())]
        data_plane: String,
        #[command(flatten)]
        settings: Box<AwsEcs>,
    },
    /// Says in which region the workers of a data plane of kind `process` or `agent` run, which no cloud tells. Projects that allow certain regions only ask for it.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill data-plane region office eu-central-1", "waybill data-plane region local eu-west-1"))]
    Region {
        /// Name or id.
        #[arg(add = complete::data_planes())]
        data_plane: String,
        /// Region, such as eu-central-1.
        region: String,
    },
    /// Names variables of the orchestrator's own environment that its worker processes get as well, for secrets such as env://SHOP_PASSWORD. Their values are kept nowhere.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill data-plane pass-env local SHOP_PASSWORD", "waybill data-plane pass-env local SHOP_PASSWORD --remove"))]
    PassEnv {
        /// Name or id.
        #[arg(add = complete::data_planes())]
        data_plane: String,
        /// Names of variables; those of before stay.
        #[arg(required = true, value_name = "VARIABLE")]
        variables: Vec<String>,
        /// Take these away instead.
        #[arg(long)]
        remove: bool,
    },
    /// Launches nothing there any more: workers finish the streams that they have begun, what is left of their runs waits.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill data-plane drain frankfurt", "waybill data-plane drain frankfurt -o json"))]
    Drain {
        /// Name or id.
        #[arg(add = complete::data_planes())]
        data_plane: String,
    },
    /// Lets a data plane that was drained take runs again; those that wait go on.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill data-plane resume frankfurt", "waybill data-plane resume frankfurt -o json"))]
    Resume {
        /// Name or id.
        #[arg(add = complete::data_planes())]
        data_plane: String,
    },
    /// Prints the policies to attach to the role of a data plane in AWS, with its own external id, cluster, family and roles.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill data-plane policy frankfurt --execution-role waybill-execution", "waybill data-plane policy frankfurt --document trust", "waybill data-plane policy frankfurt --document launch --execution-role waybill-execution | aws iam put-role-policy --role-name waybill-launch --policy-name start-and-stop-workers --policy-document file:///dev/stdin"))]
    Policy {
        /// Name or id.
        #[arg(add = complete::data_planes())]
        data_plane: String,
        /// Which one: alone it is printed as it is, ready to be attached.
        #[arg(long, value_enum, default_value_t)]
        document: Document,
        /// Role by which ECS itself starts the tasks, by name or ARN: executionRoleArn of your task definition. The launch policy names it.
        #[arg(long, value_name = "ROLE")]
        execution_role: Option<String>,
    },
    /// Asks the cloud, permission by permission, what the role may do and that it may do nothing else. Starts nothing, unless told to.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill data-plane check frankfurt", "waybill data-plane check frankfurt --start-test-task"))]
    Check {
        /// Name or id.
        #[arg(add = complete::data_planes())]
        data_plane: String,
        /// Then start one task that enrols and leaves, on any kind of data plane, and tell each step with its time. It is stopped whatever happens, also when this command is ended.
        #[arg(long)]
        start_test_task: bool,
        /// Longest wait for the test; it goes on behind it.
        #[arg(long, value_name = "DURATION", value_parser = duration, requires = "start_test_task")]
        timeout: Option<Duration>,
    },
}

/// A policy of the launch role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Document {
    /// Who may assume the role.
    Trust,
    /// What the role may do.
    Launch,
    /// Both.
    #[default]
    All,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AddDataPlane {
    /// Tasks on Amazon ECS.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill data-plane add aws frankfurt", "waybill data-plane add aws dublin -o json"))]
    Aws {
        /// Its name.
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AwsEcs {
    /// Role that starts and stops tasks; it never changes once given.
    #[arg(long, value_name = "ARN")]
    pub(crate) role_arn: String,
    /// Role that workers run as.
    #[arg(long, value_name = "ARN")]
    pub(crate) task_role_arn: String,
    /// Region; it never changes once given.
    #[arg(long, value_name = "REGION")]
    pub(crate) region: String,
    /// Name of the cluster; it never changes once given.
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: String,
    /// Family of the task definition.
    #[arg(long, value_name = "NAME")]
    pub(crate) task_family: String,
    /// Processor that it names: x86_64 or arm64.
    #[arg(long, value_name = "KIND", default_value = "x86_64")]
    pub(crate) architecture: String,
    /// Family of the same worker for the other processor, for pipelines whose limits ask for it.
    #[arg(long, value_name = "NAME")]
    pub(crate) other_task_family: Option<String>,
    /// Name of the worker's container in it.
    #[arg(long, value_name = "NAME", default_value = "worker")]
    pub(crate) container: String,
    /// Subnet; can be given several times.
    #[arg(long = "subnet", value_name = "ID", required = true)]
    pub(crate) subnets: Vec<String>,
    /// Security group; can be given several times.
    #[arg(long = "security-group", value_name = "ID", required = true)]
    pub(crate) security_groups: Vec<String>,
    /// Give tasks a public address.
    #[arg(long)]
    pub(crate) assign_public_ip: bool,
    /// fargate, fargate-spot or ec2.
    #[arg(long, value_name = "KIND", default_value = "fargate")]
    pub(crate) capacity: String,
    /// The sentence that allows ec2; its error message shows it.
    #[arg(long, value_name = "TEXT")]
    pub(crate) ec2_opt_in: Option<String>,
    /// CPU units of a task; 1024 are one CPU.
    #[arg(long, value_name = "UNITS", default_value_t = 1024)]
    pub(crate) cpu: u32,
    /// Memory of a task in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 2048)]
    pub(crate) memory_mib: u32,
    /// Ephemeral storage in GiB; 0 for Fargate's own 20.
    #[arg(long, value_name = "GIB", default_value_t = 0)]
    pub(crate) disk_gib: u32,
    /// Call FIPS endpoints.
    #[arg(long)]
    pub(crate) fips: bool,
    /// Have workers prove their role by a token of this issuer (aws iam get-outbound-web-identity-federation-info).
    #[arg(long, value_name = "URL")]
    pub(crate) token_issuer: Option<String>,
}
