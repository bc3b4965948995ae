//! A worker that an orchestrator steers, while the session of its role ends, or its role is taken away.

use anyhow::{Context as _, Result, ensure};
use waybill_model::FailureCode;
use waybill_tests::sandbox::Options;
use waybill_tests::services::s3::{BUCKET, Roto};
use waybill_tests::services::s3_proxy::{Break, Rule, S3Proxy};
use waybill_tests::services::sessions::Sessions;

use super::super::story::{Rows, Story, holds_exactly};

/// Rows of one file that goes up in several parts.
const PARTS: Rows = Rows { many: 2_000, noise: 10_000 };

/// A product whose workers write to S3 by the sessions of a role.
struct ByRole {
    server: Roto,
    proxy: S3Proxy,
    sessions: Sessions,
    story: Story,
}

impl ByRole {
    async fn start() -> Result<Self> {
        let server = Roto::start().await;
        let (proxy, sessions) = (S3Proxy::before(server.port()).await, Sessions::start().await);
        let mut options = Options::default();
        let role =
            [("AWS_CONTAINER_CREDENTIALS_FULL_URI", sessions.address.as_str()), ("AWS_EC2_METADATA_DISABLED", "true")];
        for (name, value) in role {
            options.orchestrator.push((name.into(), value.into()));
            options.passed.push(name.into());
        }
        let story = Story::with_rows(PARTS, |_| Ok(options)).await?;
        let lake = format!(
            "{{ type: s3, bucket: {BUCKET}, prefix: raw, region: us-east-1, endpoint: \"{}\" }}",
            proxy.endpoint()
        );
        story.apply("full", &lake, "files: { size: 256MiB }\n    limits: { memory: 128MiB }").await?;
        Ok(Self { server, proxy, sessions, story })
    }

    async fn commits(&self) -> usize {
        let keys = self.server.keys().await;
        keys.iter().filter(|key| key.contains("/items/_delta_log/")).count()
    }

    async fn is_exact(&self) -> Result<()> {
        ensure!(self.commits().await == 1, "{} commits of one run", self.commits().await);
        let copy = tempfile::tempdir()?;
        self.server.copy("raw/items/", copy.path()).await?;
        holds_exactly(&copy.path().join("raw/items"), PARTS.many)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f37_a_steered_worker_whose_session_ends_in_the_middle_of_an_upload_renews_it_and_delivers() -> Result<()> {
    let lake = ByRole::start().await?;
    let run = lake.story.sandbox.trigger("items").await?;
    while lake.proxy.count("PUT", "partNumber=1") == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await; // a poll, bounded by the test runner
    }
    let given = lake.sessions.given();
    lake.sessions.end_at(&lake.proxy);
    lake.story.succeeds(run, 1).await?;
    ensure!(lake.proxy.expired() > 0, "no call met the session's end");
    ensure!(lake.sessions.given() > given, "no other session was asked for");
    ensure!(lake.server.open_uploads().await == 0, "an upload was left open");
    lake.is_exact().await
}

#[tokio::test(flavor = "multi_thread")]
async fn f37_a_steered_worker_whose_role_is_taken_away_ends_the_run_without_a_retry_and_the_next_run_delivers()
-> Result<()> {
    let lake = ByRole::start().await?;
    // The first part passes; whatever is written after it is refused.
    let refused = Break::Answer(403, "AccessDenied");
    lake.proxy.inject(Rule { method: "PUT", holds: "partNumber=2", times: 1, breaks: refused });
    let sandbox = &lake.story.sandbox;
    let ended = sandbox.ended(sandbox.trigger("items").await?).await?;
    let failure = ended.run.failure.clone().context("a failure")?;
    ensure!(failure.code == FailureCode::BucketDenied, "{failure:?}\n{}", sandbox.log());
    ensure!(ended.attempt_list.len() == 1 && lake.proxy.fired() == [1], "{:?}", lake.proxy.fired());
    ensure!(lake.commits().await == 0 && lake.server.open_uploads().await == 0, "something was left of it");
    // Action and ARN stand with the customer: in the worker's own log, which is in the bucket.
    let attempt = ended.attempt_list[0].id.to_string();
    let logs: Vec<_> = lake.server.keys().await.into_iter().filter(|key| key.contains("/logs/")).collect();
    let (copy, mut log) = (tempfile::tempdir()?, String::new());
    for key in logs.iter().filter(|key| key.contains(&attempt)) {
        lake.server.copy(key, copy.path()).await?;
        log.push_str(&std::fs::read_to_string(copy.path().join(key))?);
    }
    ensure!(log.contains("s3:PutObject on arn:aws:s3:::lake/raw/*"), "{logs:?}\n{log}");
    lake.story.delivers(1).await?;
    lake.is_exact().await
}
