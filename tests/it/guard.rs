//! The customer's guard against a real orchestrator that asks for what it may not have: nothing is opened, and only a code
//! leaves.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use waybill_api::client::ListQuery;
use waybill_api::run::{RunDetail, RunStart};
use waybill_api::spec::PlanSignature;
use waybill_model::run::RunKind;
use waybill_tests::binaries::binary;
use waybill_tests::canary::files;
use waybill_tests::fault::Marker;
use waybill_tests::process::wake;
use waybill_tests::sandbox::{Options, Sandbox};

mod signed;

/// A listener that counts who connects, and hangs up.
struct Door {
    port: u16,
    knocks: Arc<AtomicUsize>,
}

impl Door {
    fn open() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let (port, knocks) = (listener.local_addr()?.port(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&knocks);
        // It ends with the test's process.
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
                drop(connection);
            }
        });
        Ok(Self { port, knocks })
    }

    fn knocks(&self) -> usize {
        self.knocks.load(Ordering::SeqCst)
    }
}

/// A product whose workers are held to a guard, and a directory beside it.
struct Guarded {
    sandbox: Sandbox,
    scratch: tempfile::TempDir,
}

impl Guarded {
    /// `text` is the guard; `{scratch}` in it is the directory.
    async fn start(text: &str, mut options: Options) -> Result<Self> {
        let scratch = tempfile::tempdir()?;
        let guarded = |options: &mut Options| {
            let file = scratch.path().join("guard.toml").display().to_string();
            options.orchestrator.push(("WAYBILL_GUARD".into(), file));
            options.passed.push("WAYBILL_GUARD".into());
        };
        guarded(&mut options);
        let text = text.replace("{scratch}", &scratch.path().display().to_string());
        std::fs::write(scratch.path().join("guard.toml"), text)?;
        Ok(Self { sandbox: Sandbox::start(options).await?, scratch })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// Runs a pipeline to its end and returns it with its failure code.
    async fn run(&self, pipeline: &str) -> Result<(RunDetail, Option<String>)> {
        let ended = self.sandbox.ended(self.sandbox.trigger(pipeline).await?).await?;
        let code = ended.run.failure.as_ref().map(|failure| failure.code.to_string());
        Ok((ended, code))
    }

    /// What the worker of a run's newest attempt wrote into its own log.
    fn log_of(&self, ended: &RunDetail) -> Result<String> {
        let attempt = ended.attempt_list.iter().max_by_key(|attempt| attempt.number).context("an attempt")?.id;
        let dir = self.sandbox.path("state/attempts");
        let own = files(&dir, &[]).into_iter().find(|file| {
            file.ends_with("worker.log")
                && file.components().any(|part| part.as_os_str() == attempt.to_string().as_str())
        });
        Ok(std::fs::read_to_string(own.context("the attempt's log")?)?)
    }

    /// What workers wrote into their own logs, on the customer's side.
    fn worker_logs(&self) -> Result<String> {
        let mut text = String::new();
        for file in files(&self.sandbox.path("state/attempts"), &[]) {
            if file.ends_with("worker.log") {
                text.push_str(&std::fs::read_to_string(file)?);
            }
        }
        Ok(text)
    }
}

/// What a hostile orchestrator might ask for: a name, its source, its destination, its streams, and the guard's reason.
fn hostile(allowed: u16, evil: u16, dir: &Path) -> Vec<(&'static str, String, String, String, &'static str)> {
    let postgres = |rest: &str| format!("{{ type: postgres, database: shop, user: reader, {rest} }}");
    let good = postgres(&format!("host: 127.0.0.1, port: {allowed}, tls: disable"));
    let at = |host: &str, port: u16| postgres(&format!("host: \"{host}\", port: {port}, tls: disable"));
    let with =
        |password: &str| postgres(&format!("host: 127.0.0.1, port: {allowed}, tls: disable, password: \"{password}\""));
    let lake = "LAKE";
    let s3 = |rest: &str| format!("{{ type: s3, bucket: attacker, {rest} }}");
    let files = |path: &str| format!("{{ type: files, url: \"file://{path}\" }}");
    let orders = "public.orders: { load: full }".to_owned();
    let case = |name, from: String, to: &str, streams: &str, reason| {
        // No two pipelines of a document may write one table.
        let to = to.replace("LAKE", &format!("{{ type: local, path: \"{}/lake/{name}\" }}", dir.display()));
        (name, from, to, streams.to_owned(), reason)
    };
    vec![
        case("other-host", at("127.0.0.1", evil), lake, &orders, "host_not_allowed"),
        case("metadata", at("169.254.169.254", 80), lake, &orders, "address_not_allowed"),
        case("credentials", at("169.254.170.2", 80), lake, &orders, "address_not_allowed"),
        case("spelled", at("2130706433", allowed), lake, &orders, "address_not_allowed"),
        case("other-table", good.clone(), lake, "secret.salaries: { load: full }", "table_not_allowed"),
        case("environment", with("env://AWS_SECRET_ACCESS_KEY"), lake, &orders, "secret_not_allowed"),
        case("shadow", with("file:///etc/shadow"), lake, &orders, "secret_not_allowed"),
        case("own-bucket", good.clone(), &s3("region: eu-central-1"), &orders, "bucket_not_allowed"),
        case(
            "own-store",
            good.clone(),
            &s3(&format!("endpoint: \"http://127.0.0.1:{evil}\"")),
            &orders,
            "endpoint_not_allowed",
        ),
        case(
            "other-place",
            good.clone(),
            &format!("{{ type: local, path: \"{}/lake2\" }}", dir.display()),
            &orders,
            "path_not_allowed",
        ),
        case(
            "detour",
            good,
            &format!("{{ type: local, path: \"{}/lake/../etc\" }}", dir.display()),
            &orders,
            "path_not_allowed",
        ),
        case(
            "files",
            files("/etc"),
            lake,
            "\"*.conf\": { load: full, format: { type: csv } }",
            "connector_not_allowed",
        ),
    ]
}

#[tokio::test]
async fn t01_twelve_hostile_plans_are_refused_and_no_socket_is_opened() -> Result<()> {
    let (allowed, evil) = (Door::open()?, Door::open()?);
    let guard = format!(
        "guard = 1\n[read]\nconnectors = [\"postgres\"]\nhosts = [\"127.0.0.1:{}\"]\ntables = [\"public.*\"]\n\
         [write]\nconnectors = [\"local\"]\npaths = [\"{{scratch}}/lake\"]\n\
         [network]\nspecial = [\"127.0.0.1\"]\nrequire_tls = false\n",
        allowed.port
    );
    let story = Guarded::start(&guard, Options::default()).await?;
    let cases = hostile(allowed.port, evil.port, story.scratch.path());
    ensure!(cases.len() == 12);
    let (mut connections, mut pipelines) = (String::new(), String::new());
    for (name, from, to, streams, _) in &cases {
        connections += &format!("  {name}-from: {from}\n  {name}-to: {to}\n");
        pipelines += &format!("  {name}: {{ from: {name}-from, to: {name}-to, streams: {{ {streams} }} }}\n");
    }
    let lake = story.path("lake").display().to_string();
    connections += &format!(
        "  good-from: {{ type: postgres, host: 127.0.0.1, port: {}, database: shop, user: reader, tls: disable }}\n  \
         good-to: {{ type: local, path: \"{lake}\" }}\n",
        allowed.port
    );
    pipelines += "  good: { from: good-from, to: good-to, streams: { public.orders: { load: full } } }\n";
    story.sandbox.apply(&format!("waybill: 1\nconnections:\n{connections}pipelines:\n{pipelines}")).await?;

    for (name, .., reason) in &cases {
        let (ended, code) = story.run(name).await?;
        ensure!(code.as_deref() == Some("policy_denied"), "{name}: {:?}", ended.run.failure);
        ensure!(ended.attempt_list.len() == 1, "{name}: a refusal is not tried again");
        let logs = story.log_of(&ended)?;
        ensure!(logs.contains(reason), "{name}: {logs}");
    }
    ensure!((allowed.knocks(), evil.knocks()) == (0, 0), "{} and {} connections", allowed.knocks(), evil.knocks());
    ensure!(!story.path("lake").exists() && !story.path("lake2").exists());
    // Only the code leaves: what the guard says stands in the worker's own log.
    for file in files(&story.sandbox.path("state"), &["attempts"]) {
        let held = String::from_utf8_lossy(&std::fs::read(&file)?).into_owned();
        ensure!(!held.contains("not_allowed"), "{} holds a reason of the guard", file.display());
    }
    // The doors do count: the plan that is allowed knocks at its own.
    let (_, code) = story.run("good").await?;
    ensure!(code.is_some_and(|code| code != "policy_denied") && allowed.knocks() > 0 && evil.knocks() == 0);
    Ok(())
}

/// A guard for SQLite and a local lake in `{scratch}`.
const LOCAL: &str = "guard = 1\n[read]\nconnectors = [\"sqlite\"]\npaths = [\"{scratch}\"]\n\
                     [write]\nconnectors = [\"local\"]\npaths = [\"{scratch}/lake\"]\n";

fn shop(dir: &Path, rows: i64) -> Result<String> {
    let mut database = rusqlite::Connection::open(dir.join("shop.db"))?;
    let transaction = database.transaction()?;
    transaction.execute_batch("create table items (id integer primary key, note text not null)")?;
    for id in 1..=rows {
        transaction.execute("insert into items values (?1, ?2)", (id, format!("note {id}")))?;
    }
    transaction.commit()?;
    Ok(format!(
        "waybill: 1\nconnections:\n  shop: {{ type: sqlite, path: \"{0}/shop.db\" }}\n  lake: {{ type: local, path: \"{0}/lake\" }}\n\
         pipelines:\n  items: {{ from: shop, to: lake, streams: {{ items: {{ load: full }} }} }}\n",
        dir.display()
    ))
}

#[tokio::test]
async fn the_kill_switch_stops_a_run_that_is_under_way_before_its_commit() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let marker = Marker::at(scratch.path().join("fired"));
    let options = Options::default().with_faults(&[marker.order("first_part=stop")]);
    let story = Guarded::start(LOCAL, options).await?;
    story.sandbox.apply(&shop(story.scratch.path(), 3_000)?).await?;
    let run = story.sandbox.trigger("items").await?;
    let worker = marker.fires(1).await?;
    let on = std::fs::read_to_string(story.path("guard.toml"))?.replace("guard = 1\n", "guard = 1\nstop = true\n");
    std::fs::write(story.path("guard.toml"), on)?;
    wake(worker).await?;
    let ended = story.sandbox.ended(run).await?;
    let code = ended.run.failure.as_ref().map(|failure| failure.code.to_string());
    ensure!(code.as_deref() == Some("policy_denied"), "{:?}", ended.run.failure);
    ensure!(!story.path("lake/items/_delta_log").exists(), "something was committed");
    // The worker's last lines reach the bucket after its outcome was told.
    for _ in 0..400 {
        let logs = files(&story.path("lake/_waybill/logs"), &[]);
        let logged = logs.iter().map(std::fs::read_to_string).collect::<std::io::Result<String>>()?;
        if logged.contains("guard_stopped") {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await; // a poll for the last chunk, bounded
    }
    anyhow::bail!("the customer's log does not say why")
}

#[tokio::test]
async fn names_stay_unless_the_guard_lets_them_leave() -> Result<()> {
    for (names, told) in [("none", 0), ("discovery", 1)] {
        let story = Guarded::start(&format!("names = \"{names}\"\n{LOCAL}"), Options::default()).await?;
        story.sandbox.apply(&shop(story.scratch.path(), 1)?).await?;
        let client = &story.sandbox.client;
        let connections = client.connection_list(&ListQuery::default()).await?;
        let connection = connections.items.iter().find(|c| c.name == "shop").context("the connection")?.id;
        let start = RunStart { connection_id: Some(connection), kind: Some(RunKind::Discover), ..RunStart::default() };
        let ended = story.sandbox.ended(client.run_start(&start).await?.run.id).await?;
        ensure!(ended.run.failure.is_none(), "{:?}", ended.run.failure);
        let found = client.run_discovery(ended.run.id).await?;
        ensure!(found.tables.len() == told, "{names}: {} tables", found.tables.len());
    }
    Ok(())
}

#[tokio::test]
async fn t02_a_worker_in_a_cloud_takes_no_guard_from_its_launch_and_runs_nothing_without_one() -> Result<()> {
    let door = Door::open()?;
    let scratch = tempfile::tempdir()?;
    // What an image's entry point does: the launch request can only add to it.
    let entry = scratch.path().join("entry-point");
    let worker = binary("waybill-worker");
    std::fs::write(&entry, format!("#!/bin/sh\nexec {} --cloud aws-ecs \"$@\"\n", worker.display()))?;
    std::fs::set_permissions(&entry, std::fs::Permissions::from_mode(0o755))?;
    let mut options = Options::default();
    options.orchestrator.push(("WAYBILL__WORKER__PROGRAM".into(), entry.display().to_string()));
    options.orchestrator.push(("AWS_EC2_METADATA_DISABLED".into(), "true".into()));
    options.passed.push("AWS_EC2_METADATA_DISABLED".into());
    let document = format!(
        "waybill: 1\nconnections:\n  db: {{ type: postgres, host: 127.0.0.1, port: {}, database: d, user: u, tls: disable }}\n  \
         lake: {{ type: local, path: \"{}/lake\" }}\npipelines: {{ p: {{ from: db, to: lake, streams: {{ public.t: {{}} }} }} }}\n",
        door.port,
        scratch.path().display()
    );
    let everything = "guard = 1\n[read]\nconnectors = [\"postgres\"]\nhosts = [\"127.0.0.0/8:*\"]\n";
    let slipped_in = Guarded::start(everything, options.clone()).await?;
    slipped_in.sandbox.apply(&document).await?;
    let (_, code) = slipped_in.run("p").await?;
    ensure!(code.as_deref() == Some("policy_denied"), "{code:?}");
    ensure!(slipped_in.worker_logs()?.contains("launch_refused"), "{}", slipped_in.worker_logs()?);

    let bare = Sandbox::start(options).await?;
    bare.apply(&document).await?;
    let bare = Guarded { sandbox: bare, scratch: tempfile::tempdir()? };
    let (_, code) = bare.run("p").await?;
    ensure!(code.as_deref() == Some("policy_denied"), "{code:?}");
    ensure!(bare.worker_logs()?.contains("guard_missing"), "{}", bare.worker_logs()?);
    ensure!(door.knocks() == 0, "{} connections to the source", door.knocks());
    Ok(())
}

#[test]
fn t02_an_entry_point_can_not_be_taken_back_and_runs_attempts_only() {
    for arguments in [
        &["--cloud", "aws-ecs", "--cloud", "aws-ecs", "once"][..],
        &["--cloud", "aws-ecs", "once", "--spec", "/proc/self/environ"],
        &["--cloud", "aws-ecs", "verify", "/tmp"],
        &["--cloud", "aws-ecs", "logs", "/tmp", "--run", "run_01j9x00000000000000000000"],
        &["--cloud", "aws-ecs", "run", "--cloud", "process"],
    ] {
        let output = Command::new(binary("waybill-worker")).args(arguments).output().expect("run");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// `once` in a directory with a source of 3,000 rows and this guard.
fn once(guard: &str) -> Result<(Output, tempfile::TempDir)> {
    once_with(guard, &[])
}

/// The same with more options.
fn once_with(guard: &str, more: &[&str]) -> Result<(Output, tempfile::TempDir)> {
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("shop.yaml"), shop(dir.path(), 3_000)?)?;
    std::fs::write(dir.path().join("guard.toml"), guard.replace("{scratch}", &dir.path().display().to_string()))?;
    let mut command = Command::new(binary("waybill-worker"));
    command.arg("once").arg("--spec").arg(dir.path().join("shop.yaml")).args(["--memory", "128MiB"]);
    let output = command.arg("--guard").arg(dir.path().join("guard.toml")).args(more).output()?;
    Ok((output, dir))
}

#[test]
fn a_run_without_an_orchestrator_is_held_to_its_guard_too() -> Result<()> {
    let (output, dir) = once(LOCAL)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success() && dir.path().join("lake/items/_delta_log").exists(), "{said}");
    for (guard, reason) in [
        (LOCAL.replace("{scratch}/lake", "{scratch}/other"), "path_not_allowed"),
        (format!("expires = 2020-01-01\n{LOCAL}"), "guard_expired"),
        (format!("nonsense = 1\n{LOCAL}"), "guard_unreadable"),
    ] {
        let (output, dir) = once(&guard)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(10) && said.contains(reason), "{reason}: {said}");
        ensure!(!dir.path().join("lake").exists(), "{reason}: something was opened");
    }
    Ok(())
}

#[test]
fn a_run_that_passes_a_ceiling_of_its_guard_commits_nothing() -> Result<()> {
    for limit in ["rows_per_run = 2999", "bytes_per_run = \"1KiB\""] {
        let (output, dir) = once(&format!("{LOCAL}[limits]\n{limit}\n"))?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(10) && said.contains("policy_denied"), "{limit}: {said}");
        ensure!(!dir.path().join("lake/items/_delta_log").exists(), "{limit}: something was committed");
    }
    let (output, _) = once(&format!("{LOCAL}[limits]\nrows_per_run = 3000\nrows_per_second = 1000000\n"))?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// No plan names a reload, so the guard is asked of it by itself; a preview's rows count as a run's do.
#[test]
fn a_reload_and_a_preview_are_held_to_the_guard_too() -> Result<()> {
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let reload = ["--reload", "items"];
    let (output, dir) = once_with(&format!("reload = false\n{LOCAL}"), &reload)?;
    ensure!(output.status.code() == Some(10) && said(&output).contains("reload_not_allowed"), "{}", said(&output));
    ensure!(!dir.path().join("lake").exists(), "something was opened");
    let (output, _) = once_with(LOCAL, &reload)?;
    ensure!(output.status.success(), "{}", said(&output));
    let (output, _) = once(&format!("reload = false\n{LOCAL}"))?;
    ensure!(output.status.success(), "a run that reloads nothing: {}", said(&output));

    let ceiling = format!("{LOCAL}[limits]\nrows_per_run = 10\n");
    let (output, dir) = once_with(&ceiling, &["--preview", "11"])?;
    ensure!(output.status.code() == Some(10) && said(&output).contains("policy_denied"), "{}", said(&output));
    ensure!(!dir.path().join("lake/_waybill/preview").exists(), "rows were written");
    let (output, _) = once_with(&ceiling, &["--preview", "10"])?;
    ensure!(output.status.success(), "{}", said(&output));
    Ok(())
}
