//! The guard of an agent's workers: it must be named on the host, and every worker is held to it, whatever it runs as.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use anyhow::{Result, ensure};
use waybill_tests::canary::files;
use waybill_tests::sandbox::Options;

use super::fixture::{Host, Office};

const ROWS: i64 = 1_000;
const WORD: &str = "no guard: whoever started this worker named none";

/// Has the host's workers held to a guard that allows the office's pipeline, and no other. There is another one.
pub(super) async fn hold(office: &Office, host: &mut Host) -> Result<()> {
    let (dir, guard) = (office.sandbox.dir.path().display(), office.sandbox.path("guard.toml"));
    let text = format!(
        "guard = 1\n[read]\nconnectors = [\"sqlite\"]\npaths = [\"{dir}/shop.db\"]\n\
         [write]\nconnectors = [\"local\"]\npaths = [\"{dir}/lake\"]\n"
    );
    std::fs::write(&guard, text)?;
    std::fs::set_permissions(&guard, std::fs::Permissions::from_mode(0o644))?;
    host.without_guard = false;
    host.options.extend(["--guard".to_owned(), guard.display().to_string()]);
    let document = format!(
        "waybill: 1\nconnections:\n  shop: {{ type: sqlite, path: \"{dir}/shop.db\" }}\n  \
         away: {{ type: local, path: \"{dir}/away\" }}\npipelines:\n  outside: {{ data-plane: office, from: shop, to: away, \
         streams: {{ items: {{ load: full }} }} }}\n"
    );
    office.sandbox.apply(&document).await
}

/// A plan within the guard is delivered, one outside of it is refused before anything is opened.
pub(super) async fn is_held(office: &Office) -> Result<()> {
    let inside = office.sandbox.trigger("items").await?;
    office.succeeds(inside, 1).await?;
    let outside = office.sandbox.ended(office.sandbox.trigger("outside").await?).await?;
    let code = outside.run.failure.as_ref().map(|failure| failure.code.to_string());
    ensure!(code.as_deref() == Some("policy_denied"), "{:?}", outside.run);
    ensure!(!office.sandbox.path("away").exists(), "something was opened outside of the guard");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agents_guard_holds_the_workers_that_are_processes() -> Result<()> {
    let office = Office::start(Options::default(), ROWS).await?;
    let mut host = office.enrolled("office-1").await?;
    hold(&office, &mut host).await?;
    host.run()?;
    office.until_agent(host.id, |agent| agent.connected).await?;
    is_held(&office).await?;
    let logs = host.worker_logs();
    ensure!(logs.contains("write.paths") && !logs.contains(WORD), "{logs}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_without_a_guard_starts_no_worker_unless_it_is_told_to() -> Result<()> {
    let office = Office::start(Options::default(), ROWS).await?;
    let mut host = office.enrolled("office-1").await?;
    host.without_guard = false;
    host.run()?;
    let code = host.ended().await?;
    let said = host.log();
    ensure!(code == Some(2) && said.contains("--guard: a guard's file must be named"), "{code:?}: {said}");
    ensure!(said.contains("--without-guard"), "what to do where none is wanted: {said}");

    host.without_guard = true;
    host.run()?;
    office.until_agent(host.id, |agent| agent.connected).await?;
    host.says("--without-guard: no guard holds the workers", Duration::from_secs(10)).await?;
    let run = office.sandbox.trigger("items").await?;
    office.succeeds(run, 1).await?;
    ensure!(host.worker_logs().contains(WORD), "{}", host.worker_logs());
    // And in the log that the customer keeps.
    let kept = files(&office.sandbox.path("lake/_waybill/logs"), &[]);
    let kept: Vec<String> = kept.iter().map(std::fs::read_to_string).collect::<Result<_, _>>()?;
    ensure!(kept.iter().any(|chunk| chunk.contains(WORD)), "{kept:?}");
    Ok(())
}
