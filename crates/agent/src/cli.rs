//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use tracing::Level;
use waybill_identity::Pin;
use waybill_launcher::container::Mount;
use waybill_launcher::process::Users;
use waybill_model::size::parse_duration;

/// Starts workers on this host for an orchestrator that it calls. It opens no port and touches no row.
#[derive(Parser)]
#[command(name = "waybill-agent", version, about, max_term_width = 110)]
pub(crate) struct Arguments {
    /// error, warn, info or debug
    #[arg(long, global = true, env = "WAYBILL_AGENT_LOG", value_name = "LEVEL", default_value = "info")]
    pub(crate) level: Level,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Get this host's identity with a one-time token, which is read from standard input
    Enrol(EnrolArguments),
    /// Serve the orchestrator until SIGTERM: then the workers under way are waited for, and none is started
    Run(Box<RunArguments>),
    /// What `run --worker-user` starts: becomes a worker as another user
    #[command(hide = true)]
    Worker(WorkerArguments),
}

/// A worker as another user; of no use by itself.
#[derive(Args)]
pub(crate) struct WorkerArguments {
    /// The user, and the group of the same number
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) user: u32,
    /// Memory of its plan, in bytes
    #[arg(long)]
    pub(crate) memory: Option<u64>,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    pub(crate) command: Vec<String>,
}

/// Where the agent keeps what it must not lose.
#[derive(Args, Clone)]
pub(crate) struct StateArgument {
    /// Directory of the agent's key and of its workers' attempts; only its own user may read it
    #[arg(long, env = "WAYBILL_AGENT_STATE", value_name = "DIR", default_value = "/var/lib/waybill-agent")]
    pub(crate) state: PathBuf,
}

/// Example: `waybill-agent enrol --orchestrator waybill.example.com:443 --ca-pin sha256:… < token`
#[derive(Args)]
pub(crate) struct EnrolArguments {
    #[command(flatten)]
    pub(crate) state: StateArgument,
    /// Host and port of the orchestrator's public listener
    #[arg(long, env = "WAYBILL_ORCHESTRATOR", value_name = "HOST:PORT")]
    pub(crate) orchestrator: String,
    /// Fingerprint of the certificate authority that the orchestrator's certificate must come from
    #[arg(long, env = "WAYBILL_CA_PIN", value_name = "sha256:HEX", value_parser = pin)]
    pub(crate) ca_pin: Pin,
    /// File that holds the token; standard input where absent
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

/// Example: `waybill-agent run --slots 4 --guard /etc/waybill/guard.toml`, or with containers
/// `waybill-agent run --engine /run/docker.sock --image registry.example.com/waybill-worker@sha256:… --guard /etc/waybill/guard.toml`, or with tasks on ECS
/// `waybill-agent run --cluster waybill --region eu-central-1 --task-family waybill-worker --task-role-arn arn:… --subnet subnet-… --security-group sg-…`
#[derive(Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) state: StateArgument,
    /// The worker program; the one beside this program where absent
    #[arg(long, env = "WAYBILL_WORKER", value_name = "FILE")]
    pub(crate) worker: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) containers: ContainerArguments,
    #[command(flatten)]
    pub(crate) tasks: TaskArguments,
    /// Control group below which each worker gets its own, with its plan's memory: a directory that the agent may write to
    #[arg(long, value_name = "DIR", conflicts_with = "engine")]
    pub(crate) control_group: Option<PathBuf>,
    /// Users that workers run as, each worker another one: numbers that nobody else has on this host; takes root
    #[arg(long, value_name = "UID-UID", conflicts_with_all = ["engine", "cluster"])]
    pub(crate) worker_user: Option<Users>,
    /// Guard file that every worker is held to; must be named, except with --cluster, where a task finds its own
    #[arg(long, env = "WAYBILL_GUARD", value_name = "FILE")]
    pub(crate) guard: Option<PathBuf>,
    /// Starts workers that no guard holds: they do whatever the orchestrator asks for
    #[arg(long, conflicts_with_all = ["guard", "cluster"])]
    pub(crate) without_guard: bool,
    /// Most workers at once
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) slots: u32,
    /// Name of an environment variable that passes to workers, such as one that holds a secret; may be repeated
    #[arg(long = "pass-env", value_name = "NAME")]
    pub(crate) pass_env: Vec<String>,
    /// How long SIGTERM waits for workers; those that are left go on, and the next start of the agent finds them
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    pub(crate) drain: Duration,
    /// How long a worker may take to end by itself before it is killed
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = duration)]
    pub(crate) stop_grace: Duration,
}

/// Workers as containers instead of processes.
#[derive(Args)]
pub(crate) struct ContainerArguments {
    /// Socket of Docker or Podman: workers run as containers of that engine, from --image
    #[arg(long, env = "WAYBILL_ENGINE", value_name = "SOCKET", requires = "image", conflicts_with = "worker")]
    pub(crate) engine: Option<PathBuf>,
    /// The worker's image, by digest; fetched where the engine does not have it
    #[arg(long, env = "WAYBILL_WORKER_IMAGE", value_name = "NAME@sha256:HEX", requires = "engine")]
    pub(crate) image: Option<String>,
    /// User and group of the worker in its container
    #[arg(long, value_name = "UID:GID", default_value = "65532:65532")]
    pub(crate) user: String,
    /// The engine's network that containers join; its default one where absent
    #[arg(long, value_name = "NAME", requires = "engine")]
    pub(crate) network: Option<String>,
    /// What containers see of this host, such as a directory of files to read; may be repeated
    #[arg(long = "mount", value_name = "SOURCE:TARGET[:ro]", requires = "engine")]
    pub(crate) mounts: Vec<Mount>,
}

/// Workers as tasks on Amazon ECS instead of processes.
#[derive(Args)]
pub(crate) struct TaskArguments {
    /// Cluster of Amazon ECS: workers run as its tasks, which this agent starts with the AWS role of its own host
    #[arg(long, value_name = "NAME", conflicts_with_all = ["worker", "engine", "control_group"])]
    #[arg(requires_all = ["region", "task_family", "task_role_arn", "subnets", "security_groups"])]
    pub(crate) cluster: Option<String>,
    /// The cluster's region
    #[arg(long, env = "AWS_REGION", value_name = "NAME")]
    pub(crate) region: Option<String>,
    /// Family of the worker's task definition; its newest revision is run
    #[arg(long, value_name = "NAME", requires = "cluster")]
    pub(crate) task_family: Option<String>,
    /// Role that tasks run as; a worker enrols with no other
    #[arg(long, value_name = "ARN", requires = "cluster")]
    pub(crate) task_role_arn: Option<String>,
    /// Name of the worker's container in the task definition
    #[arg(long, value_name = "NAME", default_value = "worker")]
    pub(crate) container: String,
    /// Subnet of tasks; may be repeated
    #[arg(long = "subnet", value_name = "ID", requires = "cluster")]
    pub(crate) subnets: Vec<String>,
    /// Security group of tasks; may be repeated
    #[arg(long = "security-group", value_name = "ID", requires = "cluster")]
    pub(crate) security_groups: Vec<String>,
    /// Gives tasks a public address
    #[arg(long, requires = "cluster")]
    pub(crate) assign_public_ip: bool,
    /// CPU units of a task; 1024 are one CPU
    #[arg(long, value_name = "UNITS", default_value_t = 1024)]
    pub(crate) cpu: u32,
    /// Memory of a task in MiB; a pipeline that asks for more gets the smallest size that holds it
    #[arg(long, value_name = "MIB", default_value_t = 2048)]
    pub(crate) memory_mib: u32,
    /// Ephemeral storage of a task in GiB; 0 for Fargate's own 20
    #[arg(long, value_name = "GIB", default_value_t = 0)]
    pub(crate) disk_gib: u32,
    /// Calls FIPS endpoints
    #[arg(long, requires = "cluster")]
    pub(crate) fips: bool,
    /// Another endpoint of ECS than the region's own, such as a VPC endpoint's
    #[arg(long, value_name = "URL", requires = "cluster")]
    pub(crate) ecs_endpoint: Option<String>,
    /// Another endpoint of STS than the region's own
    #[arg(long, value_name = "URL", requires = "cluster")]
    pub(crate) sts_endpoint: Option<String>,
}

fn pin(text: &str) -> Result<Pin, String> {
    text.parse().map_err(|error: waybill_identity::IdentityError| error.to_string())
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
