//! The command line: commands, their options, and the examples that stand on top of every help text.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use waybill_model::run::{MOST_PREVIEW_ROWS, PREVIEW_ROWS, RunKind, RunState};
use waybill_model::size::parse_duration;

use crate::complete;
use crate::output::Form;

const TEMPLATE: &str = "{before-help}{about-with-newline}\n{usage-heading} {usage}\n\n{all-args}{after-help}\n";

macro_rules! examples {
    ($($line:literal),+) => { concat!("Examples:\n", $("  ", $line, "\n"),+) };
}

mod access;
mod agent;
mod data_plane;
mod guard;
mod invitation;
mod key;
mod password;
mod people;
mod pipeline;
mod project;
mod session;
mod trail;

pub(crate) use access::Access;
pub(crate) use agent::Agent;
pub(crate) use data_plane::{AddDataPlane, AwsEcs, DataPlane, Document};
pub(crate) use guard::{Guard, Sign, SignCommand};
pub(crate) use invitation::Invitation;
pub(crate) use key::Key;
pub(crate) use password::Password as PasswordCommand;
pub(crate) use people::{Member, User};
pub(crate) use pipeline::Pipeline;
pub(crate) use project::Project;
pub(crate) use session::Session;
pub(crate) use trail::{Match, Trail};

/// Moves data inside your own cloud, steered from outside of it.
#[derive(Debug, Parser)]
#[command(
    name = "waybill",
    version,
    help_template = TEMPLATE,
    before_help = examples!("waybill validate shop.waybill.yaml", "waybill run start shop-nightly --watch"),
    after_help = "Exit codes: 0 ok, 1 failed, 2 usage, 3 login, 4 not found, 5 conflict, 6 invalid file, 7 unreachable,\n\
                  10 run failed, 11 partly failed, 12 canceled, 13 wait timed out, 20 plan has changes, 21 trail differs",
    disable_help_subcommand = true,
    propagate_version = true
)]
pub(crate) struct Cli {
    /// Form of standard output: table, json, yaml or name.
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORM",
        help_heading = "Everywhere",
        hide_possible_values = true
    )]
    pub(crate) output: Form,

    #[command(flatten)]
    pub(crate) target: Target,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which orchestrator, and as whom.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Target {
    /// Address of the orchestrator; that of the last login where absent.
    #[arg(long, global = true, env = "WAYBILL_URL", value_name = "URL", add = complete::addresses())]
    pub(crate) url: Option<String>,

    /// State directory of an orchestrator on this machine: its address, the CA to trust and the setup token.
    #[arg(long, global = true, env = "WAYBILL_STATE", value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,

    /// PEM file of the CA to trust; that of the state directory or of the last login where absent.
    #[arg(long, global = true, env = "WAYBILL_CA", value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,

    /// Access token, in place of a login.
    #[arg(long, global = true, env = "WAYBILL_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,

    /// Project.
    #[arg(long, global = true, env = "WAYBILL_PROJECT", value_name = "NAME", default_value = "default", add = complete::projects())]
    pub(crate) project: String,

    /// Ask nothing: fail where an answer is needed.
    #[arg(long, global = true)]
    pub(crate) no_input: bool,
}

#[derive(Debug, Subcommand)]
#[command(help_template = TEMPLATE)]
pub(crate) enum Command {
    /// Logs in, and keeps the login for the commands to come.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill login --state ./.waybill", "waybill login --url https://waybill.example.com --email ada@example.org"))]
    Login(Login),
    /// Ends the login.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill logout", "waybill logout --state ./.waybill"))]
    Logout,
    /// Says who is logged in, and where.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill whoami", "waybill whoami -o json"))]
    Whoami,
    /// Finds every mistake of pipeline files, offline.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill validate", "waybill validate shop.waybill.yaml -o json"))]
    Validate {
        /// Files; `-` reads standard input; all *.waybill.yaml of this directory where absent.
        files: Vec<PathBuf>,
    },
    /// Shows what applying a file would change, and changes nothing.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill plan", "waybill plan -f shop.waybill.yaml --exit-code"))]
    Plan {
        #[command(flatten)]
        file: FileArg,
        /// Also remove what the file does not name.
        #[arg(long)]
        prune: bool,
        /// Exit with 20 where there are changes.
        #[arg(long)]
        exit_code: bool,
    },
    /// Makes connections, pipelines and schedules as a file says, all of them or none.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill apply -f shop.waybill.yaml", "waybill apply --plan 8f3c1a5b2b0b"))]
    Apply {
        #[command(flatten)]
        file: FileArg,
        /// Also remove what the file does not name.
        #[arg(long)]
        prune: bool,
        /// Apply exactly the changes that `waybill plan` showed under this digest, or its beginning.
        #[arg(long, value_name = "DIGEST")]
        plan: Option<String>,
        /// Name a secret anew whose connection moves to another place; repeat it for each that `waybill plan` lists.
        #[arg(long = "secret", value_name = "CONNECTION.FIELD=REFERENCE")]
        secrets: Vec<String>,
    },
    /// Agents, which start workers where no role is granted: enrol, list, show, approve, disable, enable, remove.
    #[command(subcommand, help_template = TEMPLATE, before_help = examples!("waybill agent enrol office-1", "waybill agent list"))]
    Agent(Agent),
    /// Connections: list, show, check, discover.
    #[command(subcommand, help_template = TEMPLATE, before_help = examples!("waybill connection list", "waybill connection check shop"))]
    Connection(Connection),
    /// Data planes: list, show, add, set, region, pass-env, drain, resume, policy, check.
    #[command(subcommand, help_template = TEMPLATE, before_help = examples!("waybill data-plane list", "waybill data-plane check frankfurt"))]
    DataPlane(DataPlane),
    /// Projects: list, show, set.
    #[command(subcommand, help_template = TEMPLATE, before_help = examples!("waybill project list", "waybill project set prod --allow-region eu-central-1"))]
    Project(Project),
    /// People of the organization: list, show, add, set, reset-password, disable, enable.
    #[command(subcommand, help_template = TEMPLATE, before_help = examples!("waybill user list", "waybill user set grace@example.org --role administrator"))]
    User(User),
    /// Invitations of people: list, create, revoke, accept.
    #[command(subcommand, help_template = TEMPLATE, before_help = examples!("waybill invitation create grace@example.org", "waybill invitation accept --url https://waybill.example.org"))]
    Invitation(Invitation),
    /// Your password: change, reset.
    #[command(subcommand, help_template = TEMPLATE, before_help = examples!("waybill password change", "waybill password reset --url https://waybill.example.org"))]
    Password(PasswordCommand),
    /// Members of the project that --project names: list, add, set, remove.
    #[command(subcommand, help_template = TEMPLATE, before_help = examples!("waybill member list --project prod", "waybill member add grace@example.org --role editor"))]
    Member(Member),
    /// Why somebody may do something, or may not: explain.
    #[command(subcommand, help_template = TEMPLATE, before_help = examples!("waybill access explain grace@example.org run_start shop-nightly", "waybill access explain grace@example.org user_list"))]
    Access(Access),
    /// Keys for programs, in the project that --project names: list, show, create, revoke.
    #[command(subcommand, help_template = TEMPLATE, before_help = examples!("waybill key create ci --pipeline shop-nightly --days 90", "waybill key revoke ci"))]
    Key(Key),
    /// Login sessions: list, history, revoke.
    #[command(subcommand, help_template = TEMPLATE, before_help = examples!("waybill session list", "waybill session revoke --all"))]
    Session(Session),
    /// Pipelines: list, show, describe, pause, resume, accept-epoch.
    #[command(subcommand, help_template = TEMPLATE, before_help = examples!("waybill pipeline list", "waybill pipeline pause shop-nightly"))]
    Pipeline(Pipeline),
    /// Runs: start, list, show, watch, events, why, logs, cancel, retry, receipt, trail.
    #[command(subcommand, help_template = TEMPLATE, before_help = examples!("waybill run start shop-nightly --watch", "waybill run why --last"))]
    Run(Run),
    /// The infrastructure trail: what Waybill called in your cloud, held against your cloud's own record.
    #[command(subcommand, help_template = TEMPLATE, before_help = examples!("waybill trail match ./AWSLogs --since 24h", "waybill trail match events.json --run run_01jd8m…"))]
    Trail(Trail),
    /// Guards: what workers may do here, whatever the orchestrator asks for. Offline.
    #[command(subcommand, help_template = TEMPLATE, before_help = examples!("waybill guard init shop.waybill.yaml > guard.toml", "waybill guard test shop.waybill.yaml --guard guard.toml"))]
    Guard(Guard),
    /// Signs the plans of a pipeline file, for guards that ask for it. Offline.
    #[command(args_conflicts_with_subcommands = true, help_template = TEMPLATE, before_help = examples!("waybill sign shop.waybill.yaml --key release.key", "waybill sign keygen --key release.key"))]
    Sign(Sign),
    /// Looks for what stands in the way between this machine and the orchestrator.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill doctor", "waybill doctor --state ./.waybill -o json"))]
    Doctor,
    /// Prints the JSON Schema of pipeline files, for editors.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill schema", "waybill schema --write"))]
    Schema {
        /// Write it to ./.waybill/schema.json.
        #[arg(long)]
        write: bool,
    },
    /// Prints what a shell runs to complete commands, options and the names of what there is, each time that it starts.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill completions bash > /etc/bash_completion.d/waybill", "waybill completions zsh > ~/.zfunc/_waybill"))]
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Writes the manual pages, one for each command.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill man --dir ~/.local/share/man/man1", "waybill man --dir ./man -o name"))]
    Man {
        /// Where they are written; made where it is missing.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
    },
    /// Sends one request to the API and prints the answer.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill api GET /v1/runs?limit=5", "waybill api POST /v1/runs --body '{\"pipeline_id\":\"pl_…\"}'"))]
    Api(Request),
}

#[derive(Debug, Args)]
pub(crate) struct Request {
    /// GET, POST, PUT, PATCH or DELETE.
    pub(crate) method: String,
    /// Path with query, from /v1/ on.
    pub(crate) path: String,
    /// JSON body; `-` reads standard input.
    #[arg(long)]
    pub(crate) body: Option<String>,
    /// ETag of what is changed: another one by now is refused. Without it PUT, PATCH and DELETE mean what is there when they are sent.
    #[arg(long, value_name = "ETAG")]
    pub(crate) if_match: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Password {
    /// Read the password from standard input.
    #[arg(long)]
    pub(crate) password_stdin: bool,
    /// File that holds the password.
    #[arg(long, value_name = "FILE", conflicts_with = "password_stdin")]
    pub(crate) password_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Login {
    /// E-mail address.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) email: Option<String>,
    #[command(flatten)]
    pub(crate) password: Password,
    /// File with the one-time setup token, to make the first owner; found in the state directory where absent.
    #[arg(long, value_name = "FILE")]
    pub(crate) setup_token_file: Option<PathBuf>,
    /// Name of the organization that setup makes.
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(crate) organization: String,
}

#[derive(Debug, Args)]
pub(crate) struct FileArg {
    /// Pipeline file; `-` reads standard input; the only *.waybill.yaml of this directory where absent.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Limit {
    /// Most items.
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(crate) limit: u32,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Connection {
    /// Lists connections.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill connection list", "waybill connection list -o name"))]
    List(Limit),
    /// Shows a connection; secrets stand there as references.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill connection show shop", "waybill connection show shop -o yaml"))]
    Show {
        /// Name or id.
        #[arg(add = complete::connections())]
        connection: String,
    },
    /// Starts a worker that connects, logs in and probes what runs need; it moves nothing.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill connection check shop", "waybill connection check lake --timeout 2m"))]
    Check {
        /// Name or id.
        #[arg(add = complete::connections())]
        connection: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Starts a worker that lists tables and columns of a source.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill connection discover shop", "waybill connection discover shop -o json"))]
    Discover {
        /// Name or id.
        #[arg(add = complete::connections())]
        connection: String,
        #[command(flatten)]
        wait: Wait,
    },
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Wait {
    /// Longest wait; the run goes on behind it.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct WhichRun {
    /// Id of the run.
    #[arg(required_unless_present = "last", add = complete::runs())]
    pub(crate) run: Option<String>,
    /// The newest run, of --pipeline where given.
    #[arg(long, conflicts_with = "run")]
    pub(crate) last: bool,
    /// Name or id of the pipeline that --last looks at.
    #[arg(long, value_name = "NAME", requires = "last", add = complete::pipelines())]
    pub(crate) pipeline: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Run {
    /// Starts a run.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill run start shop-nightly --watch", "waybill run start shop-nightly --stream public.orders", "waybill run start shop-nightly --reload public.orders", "waybill run start shop-nightly --backfill public.orders --from 2026-01-01 --to 2026-02-01"))]
    Start {
        /// Name or id of the pipeline.
        #[arg(add = complete::pipelines())]
        pipeline: String,
        /// Follow it until it has ended.
        #[arg(short, long)]
        watch: bool,
        /// What it does.
        #[arg(long, value_enum, default_value_t = Kind::Sync)]
        kind: Kind,
        /// Only this stream; can be given several times.
        #[arg(long = "stream", value_name = "NAME")]
        streams: Vec<String>,
        /// Read this stream whole, whatever its load, in place of what its table has, in one commit; can be given several times.
        #[arg(long, value_name = "NAME")]
        reload: Vec<String>,
        /// Begin this stream's window with the first row, whatever cursor its table keeps; rows are merged by their key, so it needs
        /// `load: changed`. Can be given several times.
        #[arg(long, value_name = "NAME")]
        forget_cursor: Vec<String>,
        /// Read a range of this stream's cursor once more and merge its rows by their key; the table keeps its cursor. Needs
        /// `load: changed`, and --from, --to or both.
        #[arg(long, value_name = "NAME")]
        backfill: Option<String>,
        /// The range's first bound: 100, 2026-01-31 or 2026-01-31T12:00:00 for a cursor without a zone, 2026-01-31T12:00:00Z
        /// for one with. From the first row on where absent.
        #[arg(long, value_name = "VALUE", requires = "backfill", allow_hyphen_values = true)]
        from: Option<String>,
        /// The range's second bound, which is not in it. Up to where a window ends where absent.
        #[arg(long, value_name = "VALUE", requires = "backfill", allow_hyphen_values = true)]
        to: Option<String>,
        /// Bring no more than so many rows of each stream, as a try: into tables that are not there, are empty, or were filled so. The
        /// next run brings all rows in their place.
        #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..), conflicts_with_all = ["reload", "forget_cursor", "backfill"])]
        limit: Option<u64>,
        #[command(flatten)]
        wait: Wait,
    },
    /// Writes the first rows of each stream into your bucket, for you to look at there. Touches no table; the orchestrator sees no row.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill run preview shop-nightly", "waybill run preview shop-nightly --stream public.orders --rows 20"))]
    Preview {
        /// Name or id of the pipeline.
        #[arg(add = complete::pipelines())]
        pipeline: String,
        /// Only this stream; can be given several times.
        #[arg(long = "stream", value_name = "NAME")]
        streams: Vec<String>,
        /// How many rows of each stream at most.
        #[arg(long, value_name = "ROWS", default_value_t = PREVIEW_ROWS, value_parser = clap::value_parser!(u64).range(1..=MOST_PREVIEW_ROWS))]
        rows: u64,
        #[command(flatten)]
        wait: Wait,
    },
    /// Lists runs, newest first.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill run list --status failed", "waybill run list --pipeline shop-nightly --limit 10"))]
    List {
        #[command(flatten)]
        limit: Limit,
        /// Only of this pipeline, by name or id.
        #[arg(long, value_name = "NAME", add = complete::pipelines())]
        pipeline: Option<String>,
        /// Only in this state: queued, launching, running, succeeded, failed or canceled.
        #[arg(long = "status", value_name = "STATE", value_parser = run_state, add = complete::run_states())]
        in_state: Option<RunState>,
    },
    /// Shows a run with its streams and attempts.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill run show --last", "waybill run show run_01jd8m… -o json"))]
    Show(WhichRun),
    /// Follows a run until it has ended. Ctrl+C detaches; the run goes on.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill run watch --last", "waybill run watch run_01jd8m… --timeout 10m"))]
    Watch {
        #[command(flatten)]
        which: WhichRun,
        #[command(flatten)]
        wait: Wait,
    },
    /// Lists what happened in a run. These are typed events; the full log stays in your bucket.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill run events --last --level warn", "waybill run events run_01jd8m… --find orders -o json"))]
    Events {
        #[command(flatten)]
        which: WhichRun,
        /// Only this loud or louder.
        #[arg(long, value_parser = ["info", "warn", "error"])]
        level: Option<String>,
        /// Only those that hold this text.
        #[arg(long, value_name = "TEXT")]
        find: Option<String>,
    },
    /// Explains why a run waits or failed, what was kept and what to do.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill run why --last", "waybill run why --last --pipeline shop-nightly -o json"))]
    Why(WhichRun),
    /// Reads a run's full log from your bucket, with your own credentials. The orchestrator does not have it.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill run logs --last", "waybill run logs --last --where"))]
    Logs {
        #[command(flatten)]
        which: WhichRun,
        /// Only say where the log stands.
        #[arg(long = "where")]
        only_where: bool,
    },
    /// Asks a run to stop.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill run cancel --last", "waybill run cancel run_01jd8m…"))]
    Cancel(WhichRun),
    /// Starts a new run with the streams that a final run did not deliver.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill run retry --last --watch", "waybill run retry run_01jd8m…"))]
    Retry {
        #[command(flatten)]
        which: WhichRun,
        /// Follow it until it has ended.
        #[arg(short, long)]
        watch: bool,
        #[command(flatten)]
        wait: Wait,
    },
    /// Lists what was called in your cloud for a run: which call, as whom, when, under which request id.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill run trail --last", "waybill run trail run_01jd8m… -o json"))]
    Trail(WhichRun),
    /// Shows counts and digests of what a run delivered; the full receipts stand in your bucket.
    #[command(help_template = TEMPLATE, before_help = examples!("waybill run receipt --last", "waybill run receipt run_01jd8m… -o json"))]
    Receipt(WhichRun),
}

/// What a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Moves rows and commits them.
    Sync,
    /// Connects to both ends and probes; moves nothing.
    Check,
    /// Lists tables and columns of the source.
    Discover,
}

impl From<Kind> for RunKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Sync => Self::Sync,
            Kind::Check => Self::Check,
            Kind::Discover => Self::Discover,
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

fn run_state(text: &str) -> Result<RunState, String> {
    let known = || RunState::ALL.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(", ");
    text.parse().map_err(|_| format!("one of: {}", known()))
}

#[cfg(test)]
mod tests;
