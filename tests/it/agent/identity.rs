//! Who an agent is: one token for one key, an approval by fingerprint, a certificate that is renewed, and a copy that
//! locks both.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use waybill_api::agent::{AgentApprove, AgentInvite};
use waybill_api::client::AuditQuery;
use waybill_model::Micros;
use waybill_tests::sandbox::Options;

use super::fixture::{Host, Office, on_postgres, said, until};
use crate::proxy::Gateway;

/// An orchestrator whose agents' certificates live this long.
fn short_lived(life: &str) -> Options {
    let orchestrator = vec![("WAYBILL__BOUNDS__AGENT_CERTIFICATE".into(), life.into())];
    Options { orchestrator, ..Options::default() }
}

async fn audited(office: &Office, action: &str, outcome: &str) -> Result<bool> {
    let entries = office.sandbox.client.audit_list(&AuditQuery::default()).await?.items;
    Ok(entries.iter().any(|entry| entry.action == action && entry.outcome == outcome))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_good_for_one_key_and_a_second_one_locks_the_agent() -> Result<()> {
    let office = Office::start(Options::default(), 10).await?;
    let invited = office.invite("office-1", false).await?;
    let first = Host::new(invited.agent.id, office.sandbox.path("first"));
    let output = first.enrol(&invited)?.wait_with_output()?;
    ensure!(output.status.success(), "{}", said(&output));
    let second = Host::new(invited.agent.id, office.sandbox.path("second"));
    let output = second.enrol(&invited)?.wait_with_output()?;
    ensure!(output.status.code() == Some(77), "{:?} {}", output.status, said(&output));
    ensure!(said(&output).contains("enrolment_refused"), "{}", said(&output));
    ensure!(!second.state.join("identity.json").exists(), "the second key got an identity");
    let agent = office.until_agent(invited.agent.id, |agent| agent.state == "locked").await?;
    ensure!(agent.generation == 1, "{agent:?}");
    ensure!(audited(&office, "agent_enrol", "refused").await?, "the second use is not in the audit chain");
    // A new token makes the earlier identity void and serves again.
    let again = office.sandbox.client.agent_invite(invited.agent.id, &AgentInvite::default()).await?;
    let output = second.enrol(&again)?.wait_with_output()?;
    ensure!(output.status.success(), "{}", said(&output));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_gets_no_certificate_before_its_fingerprint_is_approved() -> Result<()> {
    let office = Office::start(Options::default(), 10).await?;
    let invited = office.invite("office-1", true).await?;
    let host = Host::new(invited.agent.id, office.sandbox.path("office-1"));
    let child = host.enrol(&invited)?;
    let waiting = office.until_agent(invited.agent.id, |agent| agent.state == "pending").await?;
    let fingerprint = waiting.fingerprint.clone().unwrap_or_default();
    ensure!(fingerprint.starts_with("sha256:") && waiting.generation == 0, "{waiting:?}");
    let other = AgentApprove { fingerprint: format!("sha256:{}", "0".repeat(64)) };
    let refused = office.sandbox.client.agent_approve(invited.agent.id, &other).await;
    ensure!(refused.is_err(), "another key's fingerprint was approved");
    ensure!(!host.state.join("identity.json").exists(), "there is an identity without approval");
    office.sandbox.client.agent_approve(invited.agent.id, &AgentApprove { fingerprint: fingerprint.clone() }).await?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success() && said(&output).contains(&fingerprint), "{}", said(&output));
    office.until_agent(invited.agent.id, |agent| agent.state == "active" && agent.generation == 1).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_renews_its_certificate_and_goes_on() -> Result<()> {
    let office = Office::start(short_lived("4s"), 10).await?;
    let host = office.agent("office-1").await?;
    let agent = office.until_agent(host.id, |agent| agent.generation >= 4 && agent.connected).await?;
    ensure!(agent.state == "active", "{agent:?}\n{}", host.log());
    let run = office.sandbox.trigger("items").await?;
    office.succeeds(run, 1).await?;
    Ok(())
}

/// Its host was off for longer than the certificate lives. It ends and says what to do, and the way that it names leads back.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_whose_certificate_is_over_ends_and_names_the_command_that_helps() -> Result<()> {
    let office = Office::start(short_lived("4s"), 10).await?;
    let mut host = office.enrolled("office-1").await?;
    let over = office.sandbox.client.agent_get(host.id).await?.value.certificate_until;
    let over = over.context("a certificate")?.0;
    until("the certificate's life is over", || Micros::now() > over).await?;
    host.run()?;
    ensure!(host.ended().await? == Some(77), "{}", host.log());
    let helps = format!("waybill agent enrol {}", host.id);
    ensure!(host.log().contains(&helps), "{}", host.log());
    let again = office.sandbox.client.agent_invite(host.id, &AgentInvite::default()).await?;
    let output = host.enrol(&again)?.wait_with_output()?;
    ensure!(output.status.success(), "{}", said(&output));
    host.run()?;
    office.until_agent(host.id, |agent| agent.connected).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn t06_two_agents_with_one_copied_identity_are_both_locked() -> Result<()> {
    copied(short_lived("12s")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn t06_a_copied_identity_is_locked_on_postgres_too() -> Result<()> {
    let (options, _server) = on_postgres(short_lived("12s"));
    copied(options).await
}

async fn copied(options: Options) -> Result<()> {
    let office = Office::start(options, 10).await?;
    let mut genuine = office.enrolled("office-1").await?;
    let mut copy = Host::new(genuine.id, office.sandbox.path("copy"));
    std::fs::create_dir(&copy.state)?;
    std::fs::copy(genuine.state.join("identity.json"), copy.state.join("identity.json"))?;
    genuine.run()?;
    // Two that are connected at once end each other's sessions, and may wait for the next one until the certificate is over.
    office.until_agent(genuine.id, |agent| agent.generation == 2).await?;
    copy.run()?;
    office.until_agent(genuine.id, |agent| agent.state == "locked").await?;
    for host in [&genuine, &copy] {
        host.says("agent_locked", Duration::from_secs(40)).await?;
    }
    ensure!(audited(&office, "identity_cloned", "locked").await?, "the copy is not in the audit chain");
    let agent = office.until_agent(genuine.id, |agent| !agent.connected).await?;
    ensure!(agent.state == "locked", "{agent:?}");
    Ok(())
}

/// What ends the API's TLS has a certificate of a private CA: the agent, and the worker that it starts, expect that one.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_behind_a_gateway_with_a_private_ca_enrols_and_so_does_its_worker() -> Result<()> {
    let gateway = Gateway::start().await;
    let options = Options { orchestrator: gateway.settings(), ..Options::default() };
    let office = Office::start(options, 1_000).await?;
    gateway.leads_to(&office.sandbox);
    let _host = office.agent("office-1").await?;
    let enrolled = gateway.passed();
    ensure!(enrolled > 0, "the agent enrolled by another way");
    let run = office.sandbox.trigger("items").await?;
    office.succeeds(run, 1).await?;
    ensure!(gateway.passed() > enrolled, "the worker enrolled by another way");
    Ok(())
}
