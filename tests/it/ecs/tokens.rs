//! Real workers that prove their role by a token which STS signs, where the data plane names its account's issuer.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use waybill_api::data_plane::AwsEcsSettings;
use waybill_model::FailureCode;
use waybill_tests::aws::issuer::ISSUER;
use waybill_tests::aws::{Aws, Program};
use waybill_tests::binaries::binary;

use super::planes::{Story, found, refused_by_its_guard, settings};

/// The worker of a fault build, which may be led to the scripted STS, with its words in a file.
fn worker_of(aws: &Aws, name: &str, log: &Path, more: &[(&str, String)]) -> Program {
    let script = format!("exec {} run 2>> {}", binary(name).display(), log.display());
    let own = [("WAYBILL_TAP_STS", aws.url())];
    let environment = own.iter().chain(more).map(|(name, value)| ((*name).to_owned(), value.clone()));
    Program::Process {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script],
        environment: environment.collect(),
        stop_time: Duration::from_secs(5),
    }
}

fn with_issuer() -> AwsEcsSettings {
    AwsEcsSettings { token_issuer: Some(ISSUER.into()), ..settings() }
}

/// A story whose runs have one attempt that must begin within this time.
async fn impatient(start: &str) -> Result<Story> {
    let bounds = [("ATTEMPTS", "1"), ("START_TIMEOUT", start)];
    Story::start_with(bounds.map(|(name, value)| (format!("WAYBILL__BOUNDS__{name}"), value.into())).to_vec()).await
}

/// What a worker that is not let in says, and how the run ends.
async fn not_let_in(story: &Story, worker: Program, log: &Path) -> Result<String> {
    let plane = story.granted_as(with_issuer()).await?;
    ensure!(story.check(&plane).await?.ready);
    story.aws.run_as(worker);
    story.pipeline().await?;
    let run = story.sandbox.trigger("items").await?;
    let ended = story.sandbox.ended(run).await?;
    let failure = ended.run.failure.context("a failure")?;
    ensure!(failure.code != FailureCode::PolicyDenied, "it was let in: {failure:?}");
    let codes = story.sandbox.codes(run).await?;
    ensure!(!codes.iter().any(|code| code == "enrolled" || code == "proof_refused"), "{codes:?}");
    Ok(std::fs::read_to_string(log)?)
}

/// Let in by the token; then its own guard refuses the plan, as for every task of the scripted cloud.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_worker_enrols_by_a_token_that_its_accounts_sts_signed() -> Result<()> {
    let (story, dir) = (Story::start().await?, tempfile::tempdir()?);
    story.aws.give_tokens(true);
    // Its keys and its token are asked for straight: nobody listens where the proxy would be.
    let proxy = [("HTTP_PROXY", "http://127.0.0.1:1".to_owned())];
    let worker = worker_of(&story.aws, "waybill-worker-faults", &dir.path().join("log"), &proxy);
    let seen = refused_by_its_guard(&story, (with_issuer(), worker)).await?;
    let proven = seen.iter().find(|event| event.code == "role_proven").with_context(|| format!("{seen:#?}"))?;
    ensure!(proven.text.ends_with("by a token of its account"), "{}", proven.text);
    let asked = story.aws.calls("GetWebIdentityToken");
    ensure!(asked.len() == 1 && asked[0].by.ends_with(&story.aws.tasks()[0].id), "{asked:?}");
    ensure!(asked[0].body.contains("DurationSeconds=300"), "{}", asked[0].body);
    // Once by the check, once for the worker.
    ensure!(story.aws.keys_asked() == 2, "the issuer was asked {} times", story.aws.keys_asked());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_gives_no_tokens_ends_the_run_and_says_so_in_the_tasks_log() -> Result<()> {
    let (story, dir) = (impatient("20s").await?, tempfile::tempdir()?);
    let log = dir.path().join("log");
    let worker = worker_of(&story.aws, "waybill-worker-faults", &log, &[]);
    let said = not_let_in(&story, worker, &log).await?;
    ensure!(said.contains("enable outbound identity federation"), "{said}");
    ensure!(!story.aws.calls("GetWebIdentityToken").is_empty(), "STS was not asked");
    Ok(())
}

/// Whoever holds the launch role may set variables. What ships asks the region's own STS all the same.
#[tokio::test(flavor = "multi_thread")]
async fn t02_a_launch_leads_the_request_for_a_token_nowhere_else() -> Result<()> {
    for (program, heard) in [("waybill-worker", false), ("waybill-worker-faults", true)] {
        let (story, dir) = (impatient("3s").await?, tempfile::tempdir()?);
        let log = dir.path().join("log");
        let ears = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let there = format!("http://{}", ears.local_addr()?);
        let profile = dir.path().join("config");
        std::fs::write(&profile, format!("[default]\nendpoint_url = {there}\nregion = eu-west-1\n"))?;
        let more = [
            ("AWS_ENDPOINT_URL", there.clone()),
            ("AWS_ENDPOINT_URL_STS", there.clone()),
            ("AWS_CONFIG_FILE", profile.display().to_string()),
            // The orchestrator is reached straight: who is led to the proxy asks it for STS.
            ("HTTPS_PROXY", there.clone()),
            ("NO_PROXY", "127.0.0.1,localhost".to_owned()),
            // What ships does not know it; a fault build does, which shows that here is listened and that the worker asks.
            ("WAYBILL_TAP_STS", there),
        ];
        let said = not_let_in(&story, worker_of(&story.aws, program, &log, &more), &log).await?;
        // It was fenced while it still asked, or its time was over; one that is being heard is ended while it waits for an answer.
        ensure!(heard || said.contains("fenced") || said.contains("STS gave no token"), "{program}: {said}");
        let led = tokio::time::timeout(Duration::ZERO, ears.accept()).await.is_ok();
        ensure!(led == heard, "{program} was led elsewhere: {led}");
        ensure!(story.aws.calls("GetWebIdentityToken").is_empty(), "{program} was led to the scripted STS");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn t02_what_is_no_region_makes_no_host_and_a_certificate_of_the_launch_makes_no_sts() -> Result<()> {
    let ears = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    for (name, value, refused) in [
        ("AWS_REGION", format!("{}/", ears.local_addr()?), "AWS_REGION is no region"),
        ("AWS_REGION", "s3".to_owned(), "AWS_REGION is no region"),
        ("SSL_CERT_FILE", "/proc/self/environ".to_owned(), "no token is asked for"),
    ] {
        let (story, dir) = (impatient("3s").await?, tempfile::tempdir()?);
        let log = dir.path().join("log");
        let more = [(name, value.clone())];
        let said = not_let_in(&story, worker_of(&story.aws, "waybill-worker", &log, &more), &log).await?;
        ensure!(said.contains(refused), "{name}={value}: {said}");
    }
    ensure!(tokio::time::timeout(Duration::ZERO, ears.accept()).await.is_err(), "it was led elsewhere");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_asks_the_issuer_for_its_keys() -> Result<()> {
    let story = Story::start().await?;
    let plane = story.granted_as(with_issuer()).await?;
    ensure!(found(&story.check(&plane).await?, "token issuer") == ["allowed"]);
    let away = Story::start_with(vec![("WAYBILL__AWS__ISSUER_ENDPOINT".into(), "http://127.0.0.1:1".into())]).await?;
    let plane = away.granted_as(with_issuer()).await?;
    let check = away.check(&plane).await?;
    ensure!(!check.ready && found(&check, "token issuer") == ["no_answer"], "{check:?}");
    Ok(())
}
