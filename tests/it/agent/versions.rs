//! Agents and orchestrators of different minor versions: on one side this build, on the other a fault build that stands
//! for a later one.

use std::time::Duration;

use anyhow::{Result, ensure};
use waybill_protocol::Version;
use waybill_tests::fault::Marker;
use waybill_tests::sandbox::Options;

use super::fixture::{Host, MANY, Office, said};
use crate::faults::versions::ahead;

/// An orchestrator that may stand for another version, and the marker of that.
fn upgradable() -> Result<(tempfile::TempDir, Marker, Options)> {
    let scratch = tempfile::tempdir()?;
    let marker = Marker::at(scratch.path().join("version"));
    Ok((scratch, marker, Options { faults: true, ..Options::default() }))
}

/// Starts the orchestrator again so many minor versions on.
async fn upgraded(office: &mut Office, marker: &Marker, minors: u32) -> Result<()> {
    let ports = office.sandbox.ports()?;
    let (name, order) = ahead(marker, minors);
    office.sandbox.kill_orchestrator()?;
    office.sandbox.set_variable(&name, &order);
    let before = marker.fired().map_or(0, |times| times.len());
    office.sandbox.restart(&ports).await?;
    marker.fires(before + 1).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f53_an_agent_and_its_worker_of_the_minor_version_before_go_on_through_an_upgrade_of_the_orchestrator()
-> Result<()> {
    let (_scratch, marker, options) = upgradable()?;
    let mut office = Office::start(options, MANY).await?;
    let host = office.agent("office-1").await?;
    let run = office.running().await?;
    upgraded(&mut office, &marker, 1).await?;
    office.until_agent(host.id, |agent| agent.connected).await?;
    office.succeeds(run, 1).await?;
    // And the next one, whose worker enrols with the newer orchestrator.
    office.succeeds(office.sandbox.trigger("items").await?, 1).await?;
    let _second = office.agent("office-2").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f53_an_agent_of_the_minor_version_after_the_orchestrators_is_served() -> Result<()> {
    let (_scratch, marker, _) = upgradable()?;
    let office = Office::start(Options::default(), 1_000).await?;
    let invited = office.invite("office-1", false).await?;
    let (name, order) = ahead(&marker, 1);
    let mut host = Host::new(invited.agent.id, office.sandbox.path("office-1"));
    host.program = "waybill-agent-faults";
    host.through = vec!["env".into(), format!("{name}={order}")];
    let output = host.enrol(&invited)?.wait_with_output()?;
    ensure!(output.status.success(), "{}", said(&output));
    host.run()?;
    let next = Version { minor: Version::current().minor + 1, ..Version::current() }.to_string();
    office.until_agent(host.id, |agent| agent.connected && agent.program_version.as_deref() == Some(&next)).await?;
    marker.fired()?;
    office.succeeds(office.sandbox.trigger("items").await?, 1).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f53_an_agent_two_minor_versions_behind_is_told_to_upgrade_and_serves_when_the_orchestrator_is_near_again()
-> Result<()> {
    let (_scratch, marker, options) = upgradable()?;
    let mut office = Office::start(options, 1_000).await?;
    let host = office.agent("office-1").await?;
    upgraded(&mut office, &marker, 2).await?;
    host.says("upgrade_required", Duration::from_secs(60)).await?;
    office.until_agent(host.id, |agent| !agent.connected).await?;
    let invited = office.invite("office-2", false).await?;
    let second = Host::new(invited.agent.id, office.sandbox.path("office-2"));
    let output = second.enrol(&invited)?.wait_with_output()?;
    ensure!(output.status.code() == Some(77) && said(&output).contains("upgrade_required"), "{}", said(&output));
    let run = office.sandbox.trigger("items").await?;
    office.told(run, "no agent of the data plane is heard").await?;
    ensure!(host.workers().is_empty(), "an agent that is not served was given work");
    upgraded(&mut office, &marker, 1).await?;
    office.until_agent(host.id, |agent| agent.connected).await?;
    office.sandbox.ended(run).await?;
    office.succeeds(office.sandbox.trigger("items").await?, 1).await?;
    Ok(())
}
