//! An orchestrator with a data plane of kind `agent`, agents that are enrolled as a person would, and a source that takes
//! a worker some seconds to copy.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use waybill_api::agent::{Agent, AgentCreate, AgentInvited};
use waybill_api::client::EventQuery;
use waybill_api::data_plane::{DataPlaneCreate, ProcessSettings};
use waybill_api::run::RunDetail;
use waybill_model::{AgentId, DataPlaneId, RunId};
use waybill_tests::binaries::binary;
use waybill_tests::process;
use waybill_tests::readers;
use waybill_tests::sandbox::{Options, Sandbox};
use waybill_tests::services::postgres::Postgres;

/// Enough rows for a test to look at a run while it copies.
pub(super) const MANY: i64 = 400_000;

/// The same product on a Postgres of its own, which ends with the second part.
pub(super) fn on_postgres(options: Options) -> (Options, Postgres) {
    let server = Postgres::start();
    (options.with("DATABASE__URL", &server.owner_url()), server)
}

/// The product with a data plane whose workers agents start.
pub(crate) struct Office {
    pub(crate) sandbox: Sandbox,
    pub(super) plane: DataPlaneId,
    rows: i64,
}

impl Office {
    pub(crate) async fn start(options: Options, rows: i64) -> Result<Self> {
        let sandbox = Sandbox::start(options).await?;
        let body = DataPlaneCreate {
            name: "office".into(),
            kind: "agent".into(),
            settings: ProcessSettings::default(),
            aws_ecs: None,
        };
        let plane = sandbox.client.data_plane_create(&body).await?.id;
        let office = Self { sandbox, plane, rows };
        let mut database = rusqlite::Connection::open(office.sandbox.path("shop.db"))?;
        let transaction = database.transaction()?;
        transaction.execute_batch("create table items (id integer primary key, note text not null)")?;
        transaction.execute(
            "insert into items with recursive n(id) as (select 1 union all select id + 1 from n where id < ?1)
             select id, 'note ' || id from n",
            [rows],
        )?;
        transaction.commit()?;
        let path = |name: &str| office.sandbox.path(name).display().to_string();
        let document = format!(
            "waybill: 1\nconnections:\n  shop: {{ type: sqlite, path: \"{}\" }}\n  lake: {{ type: local, path: \"{}\" }}\n\
             pipelines:\n  items:\n    data-plane: office\n    from: shop\n    to: lake\n    streams:\n      items: {{ load: full }}\n",
            path("shop.db"),
            path("lake")
        );
        office.sandbox.apply(&document).await?;
        Ok(office)
    }

    pub(crate) async fn invite(&self, name: &str, needs_approval: bool) -> Result<AgentInvited> {
        let body = AgentCreate { name: name.into(), data_plane_id: self.plane, needs_approval };
        Ok(self.sandbox.client.agent_create(&body).await?)
    }

    /// An agent that was invited and enrolled, and runs.
    pub(super) async fn agent(&self, name: &str) -> Result<Host> {
        let mut host = self.enrolled(name).await?;
        host.run()?;
        self.until_agent(host.id, |agent| agent.connected).await?;
        Ok(host)
    }

    /// An agent that was invited and enrolled.
    pub(super) async fn enrolled(&self, name: &str) -> Result<Host> {
        let invited = self.invite(name, false).await?;
        let host = Host::new(invited.agent.id, self.sandbox.path(name));
        let output = host.enrol(&invited)?.wait_with_output()?;
        ensure!(output.status.success(), "{}", said(&output));
        Ok(host)
    }

    pub(super) async fn until_agent(&self, id: AgentId, done: impl Fn(&Agent) -> bool) -> Result<Agent> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let agent = self.sandbox.client.agent_get(id).await?.value;
            if done(&agent) {
                return Ok(agent);
            }
            ensure!(Instant::now() < deadline, "the agent did not get there: {agent:?}\n{}", self.sandbox.log());
            tokio::time::sleep(Duration::from_millis(50)).await; // a poll of the public API, bounded above
        }
    }

    /// Starts a run and waits until its worker copies.
    pub(super) async fn running(&self) -> Result<RunId> {
        let run = self.sandbox.trigger("items").await?;
        self.sandbox.until(run, |seen| seen.run.state.to_string() == "running").await?;
        // Enrolled is not enough: a worker without its assignment holds nothing that it could give up.
        self.sandbox.told(run, "worker_started").await?;
        Ok(run)
    }

    /// Waits for the end and asserts that the run succeeded with this many attempts, and that the table is right.
    pub(crate) async fn succeeds(&self, run: RunId, attempts: usize) -> Result<RunDetail> {
        let ended = self.sandbox.ended(run).await?;
        let (state, log) = (ended.run.state.to_string(), self.sandbox.log());
        ensure!(state == "succeeded", "the run ended {state}: {:?}\n{log}", ended.run.failure);
        let list = &ended.attempt_list;
        ensure!(list.len() == attempts, "{} attempts, wanted {attempts}: {list:?}\n{log}", list.len());
        let sql = "select count(*), count(distinct id) from t";
        let found = readers::query(&self.sandbox.path("lake/items"), sql)?.agreed();
        let numbers = (found[0][0].as_i64(), found[0][1].as_i64());
        ensure!(numbers == (Some(self.rows), Some(self.rows)), "rows and ids: {numbers:?}, wanted {}", self.rows);
        Ok(ended)
    }

    /// Waits until the run's timeline says this.
    pub(super) async fn told(&self, run: RunId, text: &str) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        let query = EventQuery { limit: Some(200), ..EventQuery::default() };
        loop {
            let events = self.sandbox.client.run_events(run, &query).await?.items;
            if events.iter().any(|event| event.text.contains(text)) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "nobody said {text:?}: {events:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await; // a poll of the public API, bounded above
        }
    }
}

/// An agent's host: its state directory and its process.
pub(crate) struct Host {
    pub(super) id: AgentId,
    pub(super) state: PathBuf,
    pub(crate) options: Vec<String>,
    /// Whether its workers are held by no guard, as most stories are about something else.
    pub(crate) without_guard: bool,
    /// Which build of the agent.
    pub(super) program: &'static str,
    /// What the program is run through, such as a network namespace.
    pub(crate) through: Vec<String>,
    child: Option<Child>,
}

impl Host {
    pub(crate) fn new(id: AgentId, state: PathBuf) -> Self {
        let (options, through) = (Vec::new(), Vec::new());
        Self { id, state, options, without_guard: true, program: "waybill-agent", through, child: None }
    }

    fn command(&self, command: &str) -> Command {
        let agent = binary(self.program);
        let mut built = match self.through.split_first() {
            Some((program, rest)) => {
                let mut built = Command::new(program);
                built.args(rest).arg(agent);
                built
            }
            None => Command::new(agent),
        };
        built.arg(command).arg("--state").arg(&self.state);
        built
    }

    /// Begins to enrol with the token of an invitation.
    pub(crate) fn enrol(&self, invited: &AgentInvited) -> Result<Child> {
        let orchestrator = invited.orchestrator.as_ref().context("an address")?;
        let pin = invited.ca_pin.as_ref().context("a pin")?;
        let mut command = self.command("enrol");
        command.args(["--orchestrator", orchestrator, "--ca-pin", pin]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let token = invited.token.as_ref().context("a token")?;
        writeln!(child.stdin.take().context("an input")?, "{}", token.reveal())?;
        Ok(child)
    }

    fn to_run(&self) -> Command {
        let mut command = self.command("run");
        if self.without_guard {
            command.arg("--without-guard");
        }
        command
    }

    /// Starts the agent, or starts it again.
    pub(crate) fn run(&mut self) -> Result<()> {
        let log = File::options().create(true).append(true).open(self.log_file())?;
        let mut command = self.to_run();
        command.args(["--stop-grace", "2s"]).args(&self.options);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.child = Some(command.spawn()?);
        Ok(())
    }

    /// Starts an agent that can't serve with these options, and says what it said.
    pub(super) fn refused(&self, options: &[&str]) -> Result<String> {
        let output = self.to_run().args(options).stdin(Stdio::null()).output()?;
        ensure!(output.status.code().is_some_and(|code| code != 0), "it ended in peace: {}", said(&output));
        Ok(said(&output))
    }

    fn log_file(&self) -> PathBuf {
        self.state.with_extension("log")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    pub(super) fn pid(&self) -> Result<u32> {
        Ok(self.child.as_ref().context("the agent does not run")?.id())
    }

    pub(super) fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("the agent does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Waits until the agent has ended by itself; its exit code.
    pub(super) async fn ended(&mut self) -> Result<Option<i32>> {
        let mut child = self.child.take().context("the agent does not run")?;
        let waited = tokio::time::timeout(Duration::from_secs(60), tokio::task::spawn_blocking(move || child.wait()));
        Ok(waited.await.with_context(|| format!("the agent did not end\n{}", self.log()))???.code())
    }

    pub(super) fn is_over(&mut self) -> Result<bool> {
        Ok(self.child.as_mut().context("the agent does not run")?.try_wait()?.is_some())
    }

    /// Waits until the agent's log holds this text.
    pub(super) async fn says(&self, text: &str, within: Duration) -> Result<Duration> {
        let began = Instant::now();
        while !self.log().contains(text) {
            ensure!(began.elapsed() < within, "the agent did not say {text:?} within {within:?}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await; // a poll of a file, bounded above
        }
        Ok(began.elapsed())
    }

    /// Process ids of the workers that this agent ever started.
    pub(super) fn workers(&self) -> Vec<u32> {
        process::workers(&self.state.join("attempts"))
    }

    /// What the workers of this host wrote.
    pub(super) fn worker_logs(&self) -> String {
        let attempts = std::fs::read_dir(self.state.join("attempts")).into_iter().flatten().flatten();
        attempts.filter_map(|entry| std::fs::read_to_string(entry.path().join("worker.log")).ok()).collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        process::end_workers(&self.state.join("attempts"));
    }
}

pub(super) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Waits for something that happens by itself.
pub(super) async fn until(what: &str, mut check: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !check() {
        ensure!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await; // a poll, bounded above
    }
    Ok(())
}
