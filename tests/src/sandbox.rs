//! The whole product in a temporary directory: a real orchestrator, real workers, an administrator logged in.
//!
//! Ports are 0, bounds are short, and every process is ended by its own handle when the sandbox is dropped.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use waybill_api::account::{Confidential, LoginRequest, SetupRequest};
use waybill_api::client::{Client, ListQuery, Trust};
use waybill_api::data_plane::{DataPlaneUpdate, ProcessSettings};
use waybill_model::ProjectId;

use crate::binaries::binary;
use crate::process;

mod runs;

/// Bounds that let a fault test end in seconds.
const BOUNDS: &[(&str, &str)] = &[
    ("HEARTBEAT", "500ms"),
    ("LEASE", "3s"),
    ("GRANT", "2s"),
    ("OFFLINE_GRACE", "6s"),
    ("START_TIMEOUT", "20s"),
    ("CANCEL_GRACE", "5s"),
    ("FINAL_GRACE", "5s"),
    ("STOP_CONFIRM", "10s"),
    ("LAUNCH_CLAIM", "2s"),
    ("LEADER_LEASE", "2s"),
    ("SCHEDULE_EVERY", "200ms"),
    ("DISPATCH_EVERY", "200ms"),
    ("RECONCILE_EVERY", "500ms"),
    ("BACKOFF_MIN", "100ms"),
    ("BACKOFF_MAX", "500ms"),
];

/// The orchestrator's own directory below the sandbox's.
const STATE: &str = "state";
/// Another orchestrator's.
const REPLICA: &str = "replica";
/// The administrator.
const EMAIL: &str = "admin@example.com";
const PASSWORD: &str = "a long enough phrase for tests";

/// What differs between sandboxes.
#[derive(Clone, Default)]
pub struct Options {
    /// Environment of the orchestrator beyond what the sandbox sets; wins over it.
    pub orchestrator: Vec<(String, String)>,
    /// Names of variables that workers get as well.
    pub passed: Vec<String>,
    /// Run the fault builds of both programs.
    pub faults: bool,
}

impl Options {
    /// The fault builds of both programs, acting out these orders in turn.
    #[must_use]
    pub fn with_faults(mut self, orders: &[String]) -> Self {
        self.faults = true;
        self.orchestrator.push(("WAYBILL_FAULT".into(), orders.join("|")));
        self.passed.push("WAYBILL_FAULT".into());
        self
    }

    /// The faults are the orchestrator's alone: no worker is told.
    #[must_use]
    pub fn for_itself(mut self) -> Self {
        self.passed.retain(|name| name != "WAYBILL_FAULT");
        self
    }

    /// Another setting of the orchestrator, such as `BOUNDS__LEASE`.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.orchestrator.push((format!("WAYBILL__{name}"), value.to_owned()));
        self
    }
}

/// A running product.
pub struct Sandbox {
    /// The temporary directory: `state`, `lake` and whatever a test puts there.
    pub dir: tempfile::TempDir,
    options: Options,
    orchestrator: Option<Child>,
    /// The administrator's client.
    pub client: Client,
    /// The one project.
    pub project: ProjectId,
}

/// What the orchestrator writes when it is ready.
#[derive(serde::Deserialize)]
pub struct Ports {
    /// REST and enrolment.
    pub api: String,
    /// Workers.
    pub worker: String,
    /// Health and metrics.
    pub private: String,
}

impl Sandbox {
    /// Starts the product with short bounds.
    pub async fn start(options: Options) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        std::fs::create_dir(dir.path().join("lake"))?;
        let mut guard = Ended(Some(serve(dir.path(), STATE, &options)?));
        let ports = ready(dir.path(), STATE, guard.0.as_mut().context("a process")?).await?;
        let (client, project) = first_administrator(dir.path(), &ports, &options).await?;
        Ok(Self { dir, options, orchestrator: guard.0.take(), client, project })
    }

    /// Where the orchestrator listens now.
    pub fn ports(&self) -> Result<Ports> {
        Ok(serde_json::from_slice(&std::fs::read(self.dir.path().join("state/ports.json"))?)?)
    }

    /// A path below the sandbox's directory.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The orchestrator's process id.
    pub fn orchestrator_pid(&self) -> Result<u32> {
        Ok(self.orchestrator.as_ref().context("no orchestrator is running")?.id())
    }

    /// Ends the orchestrator with SIGKILL, as a crash would.
    pub fn kill_orchestrator(&mut self) -> Result<()> {
        let mut child = self.orchestrator.take().context("no orchestrator is running")?;
        child.kill()?;
        child.wait()?;
        std::fs::remove_file(self.path("state/ports.json"))?;
        Ok(())
    }

    /// Waits until the orchestrator has ended by itself, such as at a fault point.
    pub async fn orchestrator_ended(&mut self) -> Result<()> {
        let mut child = self.orchestrator.take().context("no orchestrator is running")?;
        let status = tokio::task::spawn_blocking(move || child.wait()).await??;
        ensure!(!status.success(), "the orchestrator ended in peace");
        std::fs::remove_file(self.path("state/ports.json"))?;
        Ok(())
    }

    /// Waits until the orchestrator, asked to, has left, however it did.
    pub async fn orchestrator_left(&mut self) -> Result<()> {
        let mut child = self.orchestrator.take().context("no orchestrator is running")?;
        tokio::task::spawn_blocking(move || child.wait()).await??;
        Ok(())
    }

    /// Starts the orchestrator again on the same state and the same ports.
    pub async fn restart(&mut self, ports: &Ports) -> Result<()> {
        let mut options = self.options.clone();
        for (name, value) in [("API", &ports.api), ("WORKER", &ports.worker), ("PRIVATE", &ports.private)] {
            options.orchestrator.push((format!("WAYBILL__SERVER__{name}"), value.clone()));
        }
        // While nobody listened there, the system may have given a port to somebody else for a moment.
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let logged = self.log().len();
            let mut guard = Ended(Some(serve(self.dir.path(), STATE, &options)?));
            match ready(self.dir.path(), STATE, guard.0.as_mut().context("a process")?).await {
                Ok(_) => {
                    self.orchestrator = guard.0.take();
                    return Ok(());
                }
                Err(error) => {
                    let is_taken = self.log().get(logged..).is_some_and(|said| said.contains("Address already in use"));
                    ensure!(is_taken && Instant::now() < deadline, error);
                    tokio::time::sleep(Duration::from_millis(50)).await; // nothing tells when a port is free
                }
            }
        }
    }

    /// Sets another setting of the orchestrator, from its next start on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.set_variable(&format!("WAYBILL__{name}"), value);
    }

    /// Sets a variable of the orchestrator's environment, from its next start on.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.options.orchestrator.push((name.to_owned(), value.to_owned()));
    }

    /// Starts another orchestrator with the same keys and database, which `Options::orchestrator` names, and logs in there.
    pub async fn replica(&self) -> Result<Replica> {
        let mut options = self.options.clone();
        let keys = self.path(STATE).join("keys").display().to_string();
        options.orchestrator.push(("WAYBILL__KEYS__DIRECTORY".into(), keys));
        let mut process = Ended(Some(serve(self.dir.path(), REPLICA, &options)?));
        let ports = ready(self.dir.path(), REPLICA, process.0.as_mut().context("a process")?).await?;
        let ca = std::fs::read(self.path("replica/ca.pem"))?;
        let client = Client::new(&format!("https://{}", ports.api), &Trust::Pinned(&ca))?;
        let login = LoginRequest { email: EMAIL.into(), password: Confidential::new(PASSWORD.to_owned()) };
        client.login(&login).await.map_err(refused)?;
        Ok(Replica { _process: process, ports, client })
    }

    /// What the orchestrator logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("orchestrator.log")).unwrap_or_default()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        drop(Ended(self.orchestrator.take()));
        // A test that failed may leave workers that nobody waits for.
        for state in [STATE, REPLICA] {
            process::end_workers(&self.dir.path().join(state).join("attempts"));
        }
    }
}

/// Another orchestrator on a sandbox's database, until it is dropped.
pub struct Replica {
    _process: Ended,
    /// Where it listens.
    pub ports: Ports,
    /// The administrator's client there.
    pub client: Client,
}

/// Ends its process when it is dropped.
struct Ended(Option<Child>);

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn refused(error: waybill_api::client::ClientError) -> anyhow::Error {
    match error.problem() {
        Some(problem) => anyhow::anyhow!("{problem:?}"),
        None => error.into(),
    }
}

fn serve(dir: &Path, state: &str, options: &Options) -> Result<Child> {
    let suffix = if options.faults { "-faults" } else { "" };
    let log = File::options().create(true).append(true).open(dir.join("orchestrator.log"))?;
    let mut command = Command::new(binary(&format!("waybill-orchestrator{suffix}")));
    command.args(["serve", "--dev", "--state"]).arg(dir.join(state));
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    command.env("WAYBILL__WORKER__PROGRAM", binary(&format!("waybill-worker{suffix}")));
    for port in ["API", "WORKER", "PRIVATE"] {
        command.env(format!("WAYBILL__SERVER__{port}"), "127.0.0.1:0");
    }
    for (name, value) in BOUNDS {
        command.env(format!("WAYBILL__BOUNDS__{name}"), value);
    }
    command.envs(options.orchestrator.iter().cloned());
    command.spawn().context("start the orchestrator")
}

async fn ready(dir: &Path, state: &str, child: &mut Child) -> Result<Ports> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        if let Ok(text) = std::fs::read(dir.join(state).join("ports.json"))
            && let Ok(ports) = serde_json::from_slice(&text)
        {
            return Ok(ports);
        }
        if let Some(status) = child.try_wait()? {
            bail!("the orchestrator ended with {status}: {}", std::fs::read_to_string(dir.join("orchestrator.log"))?);
        }
        tokio::time::sleep(Duration::from_millis(20)).await; // a poll for a file, bounded above
    }
    bail!("the orchestrator was not ready in 30 s: {}", std::fs::read_to_string(dir.join("orchestrator.log"))?)
}

async fn first_administrator(dir: &Path, ports: &Ports, options: &Options) -> Result<(Client, ProjectId)> {
    let ca = std::fs::read(dir.join("state/ca.pem"))?;
    let client = Client::new(&format!("https://{}", ports.api), &Trust::Pinned(&ca))?;
    let token = printed_token(dir).await?;
    let setup = SetupRequest {
        setup_token: Confidential::new(token),
        email: EMAIL.into(),
        password: Confidential::new(PASSWORD.to_owned()),
        organization: "Example".into(),
    };
    client.setup(&setup).await.map_err(refused)?;
    let project = client.project_list(&ListQuery::default()).await.map_err(refused)?.items[0].id;
    if !options.passed.is_empty() {
        let plane = client.data_plane_list(&ListQuery::default()).await.map_err(refused)?.items[0].id;
        let found = client.data_plane_get(plane).await.map_err(refused)?;
        let settings = ProcessSettings { environment: options.passed.clone(), region: None };
        client
            .data_plane_update(plane, &found.etag, &DataPlaneUpdate { settings: Some(settings), aws_ecs: None })
            .await
            .map_err(refused)?;
    }
    Ok((client, project))
}

/// The setup token as a person finds it: printed, as soon as the ports are open.
async fn printed_token(dir: &Path) -> Result<String> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        let printed = std::fs::read_to_string(dir.join("orchestrator.log"))?;
        if let Some((_, rest)) = printed.split_once("the one-time setup token is ")
            && let Some((token, _)) = rest.split_once(", kept in ")
        {
            return Ok(token.to_owned());
        }
        tokio::time::sleep(Duration::from_millis(20)).await; // a poll for a line, bounded above
    }
    bail!("no setup token was printed")
}
