//! What an agent's workers get of their own where the host gives it: a control group with the plan's memory, and a user.
//! `deploy/dev/test.sh` leaves out by name what this machine allows none of.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use waybill_model::RunId;
use waybill_tests::binaries::binary;
use waybill_tests::control_group::ControlGroup;
use waybill_tests::fault::Marker;
use waybill_tests::process::is_alive;
use waybill_tests::readers;
use waybill_tests::sandbox::Options;

use super::fixture::{Host, Office, until};

const ROWS: i64 = 1_000;
const MIB: u64 = 1 << 20;

/// A program where every user may run it: what builds it may keep it in a home that is closed to others.
fn for_everyone(office: &Office, program: &str) -> Result<PathBuf> {
    let (from, to) = (binary(program), office.sandbox.path(program));
    if std::fs::hard_link(&from, &to).is_err() {
        std::fs::copy(&from, &to).with_context(|| format!("copy {}", from.display()))?;
    }
    Ok(to)
}

/// Workers in the order of their start: each acts out its own fault, in a fault build, and those behind them none.
fn workers(office: &Office, faults: &[String]) -> Result<Vec<String>> {
    let [faulty, sound] = ["waybill-worker-faults", "waybill-worker"].map(|program| for_everyone(office, program));
    let (faulty, sound) = (faulty?, sound?);
    let (script, seats) = (office.sandbox.path("worker.sh"), office.sandbox.path("seats"));
    std::fs::create_dir(&seats)?;
    std::fs::set_permissions(&seats, std::fs::Permissions::from_mode(0o777))?;
    let mut text = String::from("#!/bin/sh\n");
    for (number, fault) in faults.iter().enumerate() {
        let seat = seats.join(number.to_string());
        text.push_str(&format!(
            "if /bin/mkdir {} 2>/dev/null; then WAYBILL_FAULT='{fault}' exec {} \"$@\"; fi\n",
            seat.display(),
            faulty.display()
        ));
    }
    text.push_str(&format!("exec {} \"$@\"\n", sound.display()));
    std::fs::write(&script, text)?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
    Ok(vec!["--worker".into(), script.display().to_string()])
}

/// Two pipelines with a table each, and this much memory for a worker of theirs.
async fn two(office: &Office, memory: &str) -> Result<()> {
    let dir = office.sandbox.dir.path().display();
    let mut document = format!("waybill: 1\nconnections:\n  shop: {{ type: sqlite, path: \"{dir}/shop.db\" }}\n");
    for name in ["one", "other"] {
        document.push_str(&format!("  {name}: {{ type: local, path: \"{dir}/lake/{name}\" }}\n"));
    }
    document.push_str("pipelines:\n");
    for name in ["one", "other"] {
        document.push_str(&format!(
            "  {name}: {{ data-plane: office, from: shop, to: {name}, streams: {{ items: {{ load: full }} }}, limits: {{ memory: {memory} }} }}\n"
        ));
    }
    office.sandbox.apply(&document).await
}

/// The run delivered in so many attempts, and the table is the source.
async fn delivers(office: &Office, (run, name): (RunId, &str), attempts: usize) -> Result<Vec<Option<String>>> {
    let ended = office.sandbox.ended(run).await?;
    ensure!(ended.run.state.to_string() == "succeeded", "{:?}\n{}", ended.run.failure, office.sandbox.log());
    ensure!(ended.attempt_list.len() == attempts, "{:?}", ended.attempt_list);
    let table = office.sandbox.path("lake").join(name).join("items");
    let found = readers::query(&table, "select count(*), count(distinct id), max(id) from t")?.agreed();
    ensure!(found == serde_json::json!([[ROWS, ROWS, ROWS]]), "{found}");
    let failures = ended.attempt_list.iter().map(|one| one.failure.as_ref().map(|failure| failure.code.to_string()));
    Ok(failures.collect())
}

async fn serving(office: &Office, options: Vec<String>) -> Result<Host> {
    let mut host = office.enrolled("office-1").await?;
    host.options = options;
    host.run()?;
    office.until_agent(host.id, |agent| agent.connected).await?;
    Ok(host)
}

#[tokio::test(flavor = "multi_thread")]
async fn f41_the_kernel_ends_one_worker_of_an_agent_at_its_own_memory_and_its_neighbour_goes_on() -> Result<()> {
    let group = ControlGroup::limited_to(1024 * MIB);
    let group = group.context("a control group; deploy/dev/test.sh leaves this test out where none is allowed")?;
    let office = Office::start(Options::default(), ROWS).await?;
    two(&office, "192MiB").await?;
    let (rests, takes) = (Marker::at(office.sandbox.path("rests")), Marker::at(office.sandbox.path("takes")));
    let faults = [rests.order("files_closed=pause"), takes.order("first_part=exhaust")];
    let mut options = workers(&office, &faults)?;
    options.extend(["--control-group".into(), group.place().display().to_string()]);
    let host = serving(&office, options).await?;
    host.says("each worker gets a control group of its own", Duration::from_secs(10)).await?;

    let one = office.sandbox.trigger("one").await?;
    let neighbour = rests.fires(1).await?;
    let inner = group.inner();
    ensure!(inner.len() == 1, "{inner:?}");
    let limit = ["memory.limit_in_bytes", "memory.max"].map(|file| std::fs::read_to_string(inner[0].join(file)));
    let limit = limit.into_iter().find_map(Result::ok).context("a limit")?;
    ensure!(limit.trim() == (192 * MIB).to_string(), "its limit is {limit}");
    let inside = std::fs::read_to_string(inner[0].join("cgroup.procs"))?;
    ensure!(inside.lines().any(|pid| pid == neighbour.to_string()), "{neighbour} is not in its group: {inside}");

    let other = office.sandbox.trigger("other").await?;
    let greedy = takes.fires(1).await?;
    // The next attempt delivers, while the neighbour still rests.
    let failures = delivers(&office, (other, "other"), 2).await?;
    ensure!(failures == [Some("out_of_memory".to_owned()), None], "{failures:?}\n{}", host.log());
    ensure!(!is_alive(greedy) && is_alive(neighbour), "the kernel ended somebody else");
    rests.release()?;
    let failures = delivers(&office, (one, "one"), 1).await?;
    ensure!(failures == [None], "{failures:?}");
    until("no worker's group is left", || group.inner().is_empty()).await
}

/// A field of a process's status, such as `Uid`.
fn status(pid: u32, field: &str) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).context("a field")?;
    Ok(line.split_whitespace().map(str::to_owned).collect())
}

/// Whether this user may read a file.
fn may_read(user: &str, file: &Path) -> Result<bool> {
    let mut read = std::process::Command::new("setpriv");
    read.args(["--reuid", user, "--regid", user, "--clear-groups", "cat"]).arg(file);
    Ok(read.output().context("setpriv of util-linux")?.status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn t14_each_worker_of_an_agent_runs_as_a_user_of_its_own_and_can_not_look_at_its_neighbour() -> Result<()> {
    let office = Office::start(Options::default(), ROWS).await?;
    two(&office, "128MiB").await?;
    // What workers share with others is theirs to reach: the source to read, the lake to write to.
    for (name, mode) in [("", 0o711), ("shop.db", 0o644), ("lake", 0o777)] {
        std::fs::set_permissions(office.sandbox.path(name), std::fs::Permissions::from_mode(mode))?;
    }
    let marks = office.sandbox.path("marks");
    std::fs::create_dir(&marks)?;
    std::fs::set_permissions(&marks, std::fs::Permissions::from_mode(0o777))?;
    let (first, second) = (Marker::at(marks.join("first")), Marker::at(marks.join("second")));
    let mut options = workers(&office, &[first.order("files_closed=pause"), second.order("files_closed=pause")])?;
    options.extend(["--worker-user", "64000-64003", "--slots", "4"].map(str::to_owned));
    let host = serving(&office, options).await?;
    host.says("no --control-group", Duration::from_secs(10)).await?;

    let one = office.sandbox.trigger("one").await?;
    let mine = first.fires(1).await.with_context(|| format!("{}\n{}", host.log(), host.worker_logs()))?;
    let other = office.sandbox.trigger("other").await?;
    let its = second.fires(1).await?;
    for (pid, user) in [(mine, "64000"), (its, "64001")] {
        ensure!(status(pid, "Uid")? == [user; 4] && status(pid, "Gid")? == [user; 4], "{:?}", status(pid, "Uid"));
        ensure!(status(pid, "Groups")?.is_empty() && status(pid, "CapEff")? == ["0000000000000000"], "it kept rights");
    }
    ensure!(may_read("64000", Path::new(&format!("/proc/{mine}/environ")))?, "its own it may look at");
    ensure!(!may_read("64000", Path::new(&format!("/proc/{its}/environ")))?, "it may look at its neighbour");
    let attempts = std::fs::read_dir(host.state.join("attempts"))?.next().context("an attempt")??;
    ensure!(!may_read("64000", &attempts.path().join("task"))?, "it may read what its agent keeps");
    first.release()?;
    second.release()?;
    for (run, name) in [(one, "one"), (other, "other")] {
        delivers(&office, (run, name), 1).await?;
    }
    let owner = |name: &str| Ok::<_, std::io::Error>(std::fs::metadata(office.sandbox.path("lake").join(name))?.uid());
    ensure!((owner("one")?, owner("other")?) == (64_000, 64_001), "{:?}", (owner("one")?, owner("other")?));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_says_what_is_wrong_with_its_workers_users_before_it_serves() -> Result<()> {
    let office = Office::start(Options::default(), 10).await?;
    let host = office.enrolled("office-1").await?;
    for (options, what) in [
        (["--worker-user", "64000", "--slots", "1"], "two numbers such as 64000-64003"),
        (["--worker-user", "0-3", "--slots", "1"], "from 1 on"),
    ] {
        let said = host.refused(&options)?;
        ensure!(said.contains(what), "{options:?}: {said}");
    }
    let said = host.refused(&["--worker-user", "64000-64001", "--slots", "3"])?;
    let wanted = if rustix::process::geteuid().is_root() { "2 users are too few for 3 workers" } else { "takes root" };
    ensure!(said.contains(wanted), "{said}");
    Ok(())
}
