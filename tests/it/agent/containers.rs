//! Workers as containers, by a real engine: the launcher's contract, and whole runs through an agent from the worker's own
//! image. Where there is no engine, `make test` leaves these stories out by name.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use async_trait::async_trait;
use waybill_launcher::conformance::{self, Behaviour, Subject};
use waybill_launcher::container::{ContainerLauncher, ContainerSettings, Mount};
use waybill_launcher::{LaunchRequest, LaunchSpec, Launcher, TaskStatus};
use waybill_model::{AttemptId, FailureCode};
use waybill_tests::sandbox::Options;
use waybill_tests::services::engine::{Engine, PROGRAMS};
use zeroize::Zeroizing;

use super::fixture::{Host, MANY, Office, until};
use super::guarded;

/// Lets every user write to a directory: a worker in a container is another one than this process.
fn open_to_all(directory: &Path) -> Result<()> {
    Ok(std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o777))?)
}

/// A launcher whose containers are shells of this host, and a directory where they say that they began.
struct Shells {
    launcher: ContainerLauncher,
    said: PathBuf,
}

impl Shells {
    async fn on(docker: &Engine, said: &Path) -> Result<Self> {
        open_to_all(said)?;
        let own = |(source, target): &(&str, &str)| Mount {
            source: Path::new(source)
                .canonicalize()
                .map_or_else(|_| (*source).into(), |path| path.display().to_string()),
            target: (*target).into(),
            writable: false,
        };
        let mut mounts: Vec<Mount> = PROGRAMS.iter().map(own).collect();
        mounts.push(Mount { source: said.display().to_string(), target: "/said".into(), writable: true });
        let settings = ContainerSettings {
            image: docker.empty_image()?,
            user: "65532:65532".into(),
            network: Some("host".into()),
            mounts,
            stop_grace: Duration::from_secs(1),
        };
        settings.check()?;
        Ok(Self { launcher: ContainerLauncher::open(&docker.socket(), settings).await?, said: said.to_owned() })
    }

    fn script(&self, attempt: AttemptId, script: &str, memory: Option<u64>) -> LaunchRequest {
        let script =
            format!("read ticket && [ \"$ticket\" = the-ticket ] || exit 1; echo begun >> /said/{attempt}; {script}");
        let args = vec!["-c".to_owned(), script];
        let mut spec = LaunchSpec::new(attempt, attempt.to_string(), "/bin/sh".into(), args);
        spec.memory = memory;
        let bytes = spec.to_bytes().expect("serialises");
        LaunchRequest::from_bytes(&bytes, Zeroizing::new("the-ticket".into())).expect("reads back")
    }
}

#[async_trait]
impl Subject for Shells {
    fn launcher(&self) -> &dyn Launcher {
        &self.launcher
    }

    fn request(&self, attempt: AttemptId, behaviour: Behaviour) -> LaunchRequest {
        let script = match behaviour {
            Behaviour::Stay => "trap 'exit 0' TERM; while :; do sleep 0.05; done".to_owned(),
            Behaviour::StayStubbornly => "trap '' TERM; while :; do sleep 0.05; done".to_owned(),
            Behaviour::Exit(code) => format!("exit {code}"),
        };
        self.script(attempt, &script, None)
    }

    async fn begun(&self, attempt: AttemptId) -> usize {
        std::fs::read_to_string(self.said.join(attempt.to_string())).map_or(0, |text| text.lines().count())
    }
}

/// Waits until the task is over; bounded by the test runner.
async fn ended(launcher: &ContainerLauncher, task: &waybill_launcher::TaskRef) -> Result<TaskStatus> {
    loop {
        match launcher.describe(task).await? {
            status @ TaskStatus::Stopped { .. } => return Ok(status),
            _ => tokio::time::sleep(Duration::from_millis(20)).await, // a poll of the engine
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_of_docker_keep_the_launchers_contract() -> Result<()> {
    let docker = Engine::without_bridge()?;
    let said = tempfile::tempdir()?;
    let shells = Shells::on(&docker, said.path()).await?;
    conformance::all(&shells).await;
    // Out of memory has a cause of its own, and the limit is the plan's.
    let over = starved(&shells).await?;
    ensure!(matches!(over, TaskStatus::Stopped { cause: Some(FailureCode::OutOfMemory), .. }), "{over:?}");
    goes_with_time(&docker, &shells).await
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_of_podman_keep_the_launchers_contract() -> Result<()> {
    let podman = Engine::podman()?;
    let said = tempfile::tempdir()?;
    let shells = Shells::on(&podman, said.path()).await?;
    conformance::all(&shells).await;
    // The limit holds. Podman does not say on every host that it was the limit.
    let over = starved(&shells).await?;
    ensure!(matches!(over, TaskStatus::Stopped { exit_code: Some(137), .. }), "{over:?}");
    goes_with_time(&podman, &shells).await
}

/// How a worker ends that wants more memory than its plan says.
async fn starved(shells: &Shells) -> Result<TaskStatus> {
    let hungry = shells.script(AttemptId::generate(), "a=x; while :; do a=$a$a; done", Some(32 << 20));
    let task = shells.launcher.start(&hungry).await?;
    ended(&shells.launcher, &task).await
}

/// What is over goes; what somebody may still ask about stays.
async fn goes_with_time(engine: &Engine, shells: &Shells) -> Result<()> {
    let request = shells.request(AttemptId::generate(), Behaviour::Exit(0));
    let (keeps, task) = (request.spec().attempt, shells.launcher.start(&request).await?);
    ended(&shells.launcher, &task).await?;
    let removed = shells.launcher.sweep(Duration::ZERO, |attempt| attempt == keeps).await?;
    ensure!(removed > 0 && shells.launcher.find(keeps).await? == Some(task), "{removed} removed");
    let left = engine.docker(&["ps", "--all", "--quiet"])?;
    ensure!(left.lines().count() == 1, "{left}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_was_made_and_never_started_is_started_by_the_same_request() -> Result<()> {
    let docker = Engine::without_bridge()?;
    let said = tempfile::tempdir()?;
    let shells = Shells::on(&docker, said.path()).await?;
    // As an agent leaves it that is killed between the two calls.
    let request = shells.request(AttemptId::generate(), Behaviour::Exit(7));
    let attempt = request.spec().attempt;
    let first = shells.launcher.start(&request).await?;
    ended(&shells.launcher, &first).await?;
    docker.docker(&["rm", &first.0])?;
    let name = format!("waybill-{attempt}");
    let mounts: Vec<String> =
        PROGRAMS.iter().map(|(_, target)| format!("type=bind,source={target},target={target},readonly")).collect();
    let said_at = format!("type=bind,source={},target=/said", said.path().display());
    let mut args = vec!["create", "--name", &name, "--interactive", "--network", "host", "--user", "65532:65532"];
    mounts.iter().chain([&said_at]).for_each(|mount| args.extend(["--mount", mount]));
    let image = docker.empty_image()?;
    let (program, script) = (&request.spec().program, &request.spec().args);
    args.extend(["--entrypoint", program, &image]);
    args.extend(script.iter().map(String::as_str));
    docker.docker(&args)?;
    ensure!(shells.launcher.find(attempt).await?.is_none(), "one that never ran was taken for a task");
    let second = shells.launcher.start(&request).await?;
    let over = ended(&shells.launcher, &second).await?;
    ensure!(over == TaskStatus::Stopped { exit_code: Some(7), cause: None }, "{over:?}");
    ensure!(shells.begun(attempt).await == 2, "it ran {} times", shells.begun(attempt).await);
    Ok(())
}

/// An agent whose workers are containers of the image that ships, on an office that writes to a directory of this host. It
/// is not started.
async fn prepared(docker: &Engine, rows: i64) -> Result<(Office, Host)> {
    let office = Office::start(Options::default(), rows).await?;
    let directory = office.sandbox.dir.path().to_owned();
    // What the worker reads and writes is this test's directory; the container's user is another one.
    for place in [directory.clone(), directory.join("lake")] {
        open_to_all(&place)?;
    }
    std::fs::set_permissions(directory.join("shop.db"), std::fs::Permissions::from_mode(0o666))?;
    let mut host = office.enrolled("office-1").await?;
    let mount = format!("{0}:{0}", directory.display());
    let options = [
        ["--engine", &docker.socket().display().to_string()],
        ["--image", &docker.worker_image()?],
        ["--network", "host"],
        ["--mount", &mount],
    ];
    host.options.extend(options.as_flattened().iter().map(|text| (*text).to_owned()));
    Ok((office, host))
}

/// The same, and it serves.
async fn contained(docker: &Engine, rows: i64) -> Result<(Office, Host)> {
    let (office, mut host) = prepared(docker, rows).await?;
    host.run()?;
    office.until_agent(host.id, |agent| agent.connected).await?;
    Ok((office, host))
}

/// What the engine says of the one container that there is.
fn only_container(docker: &Engine) -> Result<serde_json::Value> {
    let ids = docker.docker(&["ps", "--all", "--quiet", "--no-trunc"])?;
    ensure!(ids.lines().count() == 1, "containers: {ids:?}");
    let found: serde_json::Value = serde_json::from_str(&docker.docker(&["inspect", &ids])?)?;
    Ok(found[0].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_through_an_agent_works_in_a_container_that_may_do_nothing_else() -> Result<()> {
    let docker = Engine::without_bridge()?;
    let (office, _host) = contained(&docker, 1_000).await?;
    let run = office.sandbox.trigger("items").await?;
    let ended = office.succeeds(run, 1).await?;
    let container = only_container(&docker)?;
    let (config, host) = (&container["Config"], &container["HostConfig"]);
    ensure!(container["Name"] == format!("/waybill-{}", ended.attempt_list[0].id), "{}", container["Name"]);
    ensure!(config["User"] == "65532:65532" && host["ReadonlyRootfs"] == true, "{config} {host}");
    ensure!(host["CapDrop"] == serde_json::json!(["ALL"]) && host["Privileged"] == false, "{host}");
    ensure!(host["SecurityOpt"] == serde_json::json!(["no-new-privileges:true"]), "{host}");
    // Nothing else is told to it, so the ticket stands nowhere.
    let told: Vec<_> = config["Cmd"].as_array().into_iter().flatten().filter_map(|word| word.as_str()).collect();
    ensure!(matches!(told[..], ["run", "--orchestrator", _, "--ca-pin", _]), "{told:?}");
    ensure!(config["Env"] == serde_json::json!(["SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"]), "{config}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_through_an_agent_works_in_a_container_of_podman() -> Result<()> {
    let podman = Engine::podman()?;
    let (office, _host) = contained(&podman, 1_000).await?;
    let run = office.sandbox.trigger("items").await?;
    office.succeeds(run, 1).await?;
    let container = only_container(&podman)?;
    let (config, host) = (&container["Config"], &container["HostConfig"]);
    ensure!(config["User"] == "65532:65532" && host["ReadonlyRootfs"] == true, "{config} {host}");
    ensure!(host["Privileged"] == false, "{host}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agents_guard_holds_the_workers_that_are_containers() -> Result<()> {
    held(&Engine::without_bridge()?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agents_guard_holds_the_workers_that_are_containers_of_podman() -> Result<()> {
    held(&Engine::podman()?).await
}

/// The host's guard is seen in every container, where nobody can write it, and by its workers.
async fn held(engine: &Engine) -> Result<()> {
    let (office, mut host) = prepared(engine, 1_000).await?;
    guarded::hold(&office, &mut host).await?;
    host.run()?;
    office.until_agent(host.id, |agent| agent.connected).await?;
    guarded::is_held(&office).await?;
    let ids = engine.docker(&["ps", "--all", "--quiet", "--no-trunc"])?;
    ensure!(ids.lines().count() == 2, "containers: {ids:?}");
    for id in ids.lines() {
        let found: serde_json::Value = serde_json::from_str(&engine.docker(&["inspect", id])?)?;
        let mounts = found[0]["Mounts"].as_array().map(Vec::as_slice).unwrap_or_default();
        let guard = mounts.iter().find(|mount| mount["Destination"] == "/etc/waybill/guard");
        ensure!(guard.is_some_and(|guard| guard["RW"] == false), "{mounts:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_that_is_replaced_stops_a_run_that_is_under_way_in_a_container() -> Result<()> {
    replaced(&Engine::without_bridge()?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_that_is_replaced_stops_a_run_that_is_under_way_in_a_container_of_podman() -> Result<()> {
    replaced(&Engine::podman()?).await
}

/// Another file takes the guard's place while a worker reads, as `install` and most tools do it.
async fn replaced(engine: &Engine) -> Result<()> {
    let (office, mut host) = prepared(engine, MANY).await?;
    guarded::hold(&office, &mut host).await?;
    host.run()?;
    office.until_agent(host.id, |agent| agent.connected).await?;
    let run = office.running().await?;
    let id = only_container(engine)?["Id"].as_str().context("an id")?.to_owned();
    // runc gives up freezing a container whose processes are busy starting others or waiting for a disk: it is asked again.
    until("the engine pauses the worker", || engine.docker(&["pause", &id]).is_ok()).await?;
    let (guard, next) = (office.sandbox.path("guard.toml"), office.sandbox.path("guard.next"));
    let on = std::fs::read_to_string(&guard)?.replace("guard = 1\n", "guard = 1\nstop = true\n");
    std::fs::write(&next, on)?;
    std::fs::set_permissions(&next, std::fs::Permissions::from_mode(0o644))?;
    std::fs::rename(&next, &guard)?;
    let copy = host.state.join("guard/guard.toml");
    until("the copy follows", || std::fs::read_to_string(&copy).is_ok_and(|text| text.contains("stop = true"))).await?;
    engine.docker(&["unpause", &id])?;
    let ended = office.sandbox.ended(run).await?;
    let code = ended.run.failure.as_ref().map(|failure| failure.code.to_string());
    ensure!(code.as_deref() == Some("policy_denied"), "{:?}", ended.run);
    ensure!(!office.sandbox.path("lake/items/_delta_log").exists(), "something was committed");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn t1_an_agent_whose_guard_the_engine_does_not_see_starts_no_container() -> Result<()> {
    unseen(&Engine::without_bridge()?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn t1_an_agent_whose_guard_the_engine_does_not_see_starts_no_container_of_podman() -> Result<()> {
    unseen(&Engine::podman()?).await
}

/// The agent's state is on a volume that only the agent sees, as in a container of its own. Where the engine looks there is nothing,
/// or the guard of another agent, which allows more.
async fn unseen(engine: &Engine) -> Result<()> {
    let (office, mut host) = prepared(engine, 1).await?;
    guarded::hold(&office, &mut host).await?;
    let (at, volume) = (host.state.clone(), office.sandbox.path("volume"));
    host.state = volume.join("state");
    std::fs::create_dir(&volume)?;
    let own = "mount -t tmpfs tmpfs \"$1\" && cp -a \"$2\" \"$1/state\" && shift 2 && exec \"$@\"";
    let own = ["unshare", "--mount", "sh", "-c", own, "sh", &volume.display().to_string(), &at.display().to_string()];
    host.through = own.map(str::to_owned).to_vec();
    let options: Vec<&str> = host.options.iter().map(String::as_str).collect();
    for others in [false, true] {
        if others {
            std::fs::create_dir_all(host.state.join("guard"))?;
            std::fs::write(host.state.join("guard/guard.toml"), "guard = 1\n")?;
        }
        let said = host.refused(&options)?;
        let (dir, state) = (host.state.join("guard"), host.state.display());
        let wanted = format!("the engine does not see this agent's {}", dir.display());
        ensure!(said.contains(&wanted) && said.contains(&format!("--volume {state}:{state}")), "{others}: {said}");
    }
    let left = engine.docker(&["ps", "--all", "--quiet"])?;
    ensure!(left.is_empty(), "a container was left: {left}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_outlives_its_agent_and_one_that_is_killed_is_replaced() -> Result<()> {
    let docker = Engine::without_bridge()?;
    let (office, mut host) = contained(&docker, MANY).await?;
    let run = office.running().await?;
    host.kill()?;
    host.run()?;
    office.until_agent(host.id, |agent| agent.connected).await?;
    let first = only_container(&docker)?;
    ensure!(
        first["State"]["Running"] == true,
        "the container did not outlive its agent, or had ended: {}",
        first["State"]
    );
    docker.docker(&["kill", first["Id"].as_str().context("an id")?])?;
    let ended = office.succeeds(run, 2).await?;
    let why = ended.attempt_list[0].failure.as_ref().map(|failure| failure.code.to_string());
    ensure!(why.as_deref() == Some("worker_lost"), "{:?}", ended.attempt_list);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_says_what_is_wrong_with_its_engine_or_image_before_it_serves() -> Result<()> {
    let office = Office::start(Options::default(), 1).await?;
    let host = office.enrolled("office-1").await?;
    let digest = format!("sha256:{}", "0".repeat(64));
    let nowhere = office.sandbox.path("no.socket").display().to_string();
    let here = office.sandbox.path("shop.db").display().to_string();
    for (options, wanted) in [
        (&["--engine", &here, "--image", "waybill-worker:latest"][..], "name the image by its digest"),
        (&["--engine", &nowhere, "--image", &digest], "no.socket is not there; start the engine, or name its socket"),
        (&["--engine", &here, "--image", &digest, "--user", "root"], "write user and group as numbers other than 0"),
        (&["--engine", &here, "--image", &digest], "the container engine did not answer"),
        (&["--control-group", &nowhere], "cgroup.procs is not there; name the directory of a control group"),
    ] {
        let said = host.refused(options)?;
        ensure!(said.contains(wanted), "{options:?}: {said}");
    }
    let docker = Engine::without_bridge()?;
    let said = host.refused(&["--engine", &docker.socket().display().to_string(), "--image", &digest])?;
    ensure!(said.contains("fetch the image"), "{said}");
    Ok(())
}
