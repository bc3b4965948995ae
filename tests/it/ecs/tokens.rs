//! Real workers that prove their role by a token which STS signs, where the data plane names its account's issuer.

use anyhow::{Context, Result, ensure};
use waybill_api::data_plane::AwsEcsSettings;
use waybill_model::FailureCode;
use waybill_tests::aws::issuer::ISSUER;
use waybill_tests::aws::{Aws, Program};

use super::planes::{Story, refused_by_its_guard, settings, worker};

/// The real worker, which finds the scripted STS in place of its region's.
fn worker_of(aws: &Aws) -> Program {
    match worker() {
        Program::Process { program, args, stop_time, .. } => {
            let environment = vec![("AWS_ENDPOINT_URL_STS".to_owned(), aws.url())];
            Program::Process { program, args, environment, stop_time }
        }
        other => other,
    }
}

fn with_issuer() -> AwsEcsSettings {
    AwsEcsSettings { token_issuer: Some(ISSUER.into()), ..settings() }
}

/// Let in by the token; then its own guard refuses the plan, as for every task of the scripted cloud.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_worker_enrols_by_a_token_that_its_accounts_sts_signed() -> Result<()> {
    let story = Story::start().await?;
    story.aws.give_tokens(true);
    let seen = refused_by_its_guard(&story, (with_issuer(), worker_of(&story.aws))).await?;
    let proven = seen.iter().find(|event| event.code == "role_proven").with_context(|| format!("{seen:#?}"))?;
    ensure!(proven.text.ends_with("by a token of its account"), "{}", proven.text);
    let asked = story.aws.calls("GetWebIdentityToken");
    ensure!(asked.len() == 1 && asked[0].by.ends_with(&story.aws.tasks()[0].id), "{asked:?}");
    ensure!(asked[0].body.contains("DurationSeconds=300"), "{}", asked[0].body);
    ensure!(story.aws.keys_asked() == 1, "the issuer was asked {} times", story.aws.keys_asked());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_gives_no_tokens_ends_the_run_and_says_so_in_the_tasks_log() -> Result<()> {
    let bounds = [("ATTEMPTS", "1"), ("START_TIMEOUT", "20s")];
    let story =
        Story::start_with(bounds.map(|(name, value)| (format!("WAYBILL__BOUNDS__{name}"), value.into())).to_vec())
            .await?;
    let plane = story.granted_as(with_issuer()).await?;
    ensure!(story.check(&plane).await?.ready);
    story.aws.run_as(worker_of(&story.aws));
    story.pipeline().await?;
    let run = story.sandbox.trigger("items").await?;
    let ended = story.sandbox.ended(run).await?;
    let failure = ended.run.failure.context("a failure")?;
    ensure!(failure.code != FailureCode::PolicyDenied, "it was let in: {failure:?}");
    ensure!(!story.aws.calls("GetWebIdentityToken").is_empty(), "STS was not asked");
    let codes = story.sandbox.codes(run).await?;
    ensure!(!codes.iter().any(|code| code == "enrolled" || code == "proof_refused"), "{codes:?}");
    Ok(())
}
