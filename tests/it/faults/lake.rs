//! A product whose table lies in a store behind HTTP, with a proxy between the two.

use std::path::Path;

use anyhow::{Result, ensure};
use waybill_api::run::RunDetail;
use waybill_model::RunId;
use waybill_tests::process::{is_alive, signal, workers};
use waybill_tests::sandbox::Options;
use waybill_tests::services::s3_proxy::{Gate, Rule, S3Proxy};

use super::super::story::{Rows, Story, holds_exactly};

/// Rows of a table of several files, each of which is put whole.
pub(crate) const FILES: Rows = Rows { many: 3_000, noise: 1_000 };
/// Rows of one file that goes up in three parts.
pub(crate) const PARTS: Rows = Rows { many: 2_000, noise: 10_000 };
/// In a commit's key.
pub(crate) const COMMIT: &str = "_delta_log/0000";

/// A store, asked past our own client.
pub(crate) trait Shelf: Sized {
    /// What workers get in their environment.
    const VARIABLES: &[(&str, &str)];

    async fn start() -> Self;

    fn port(&self) -> u16;

    /// The connection that leads here, below `raw`.
    fn connection(endpoint: &str) -> String;

    async fn keys(&self) -> Vec<String>;

    /// Lays the objects below a prefix in a directory.
    async fn copy(&self, prefix: &str, to: &Path) -> std::io::Result<()>;
}

pub(crate) struct Lake<S> {
    pub(crate) server: S,
    pub(crate) proxy: S3Proxy,
    pub(crate) story: Story,
    rows: Rows,
}

impl<S: Shelf> Lake<S> {
    pub(crate) async fn start(rows: Rows, rules: &[Rule]) -> Result<Self> {
        let server = S::start().await;
        let proxy = S3Proxy::before(server.port()).await;
        rules.iter().for_each(|rule| proxy.inject(rule.clone()));
        let mut options = Options::default();
        for (name, value) in S::VARIABLES {
            options.orchestrator.push(((*name).into(), (*value).into()));
            options.passed.push((*name).into());
        }
        let story = Story::with_rows(rows, |_| Ok(options)).await?;
        let size = if rows.noise == FILES.noise { "1MiB" } else { "256MiB" };
        let keys = format!("files: {{ size: {size} }}\n    limits: {{ memory: 128MiB }}");
        story.apply("full", &S::connection(&proxy.endpoint()), &keys).await?;
        Ok(Self { server, proxy, story, rows })
    }

    /// Begins a run, and waits until what it says or hears waits at the gate; its worker.
    pub(crate) async fn begins(&self, gate: &Gate) -> Result<(RunId, u32)> {
        let run = self.story.sandbox.trigger("items").await?;
        gate.reached().await;
        let attempts = workers(&self.story.sandbox.path("state/attempts"));
        let live: Vec<u32> = attempts.into_iter().filter(|pid| is_alive(*pid)).collect();
        ensure!(live.len() == 1, "{live:?}");
        Ok((run, live[0]))
    }

    /// The run's one commit stands, and the table is the source.
    pub(crate) async fn is_exact(&self) -> Result<()> {
        let commits = self.keys("_delta_log/").await.len();
        ensure!(commits == 1, "{commits} commits of one run");
        let copy = tempfile::tempdir()?;
        self.server.copy("raw/items/", copy.path()).await?;
        holds_exactly(&copy.path().join("raw/items"), self.rows.many)
    }

    pub(crate) async fn keys(&self, holds: &str) -> Vec<String> {
        let keys = self.server.keys().await;
        keys.into_iter().filter(|key| key.contains("/items/") && key.contains(holds)).collect()
    }

    /// The rules did what they say, and the run succeeded all the same, in its first attempt.
    pub(crate) async fn bears(&self, fired: &[usize]) -> Result<RunDetail> {
        let ended = self.story.delivers(1).await?;
        ensure!(self.proxy.fired() == fired, "fired {:?}, not {fired:?}", self.proxy.fired());
        self.is_exact().await?;
        Ok(ended)
    }
}

/// The worker is killed while something waits at the gate; the next attempt delivers.
pub(crate) async fn killed<S: Shelf>(lake: &Lake<S>, gate: &Gate) -> Result<RunDetail> {
    let (run, worker) = lake.begins(gate).await?;
    signal(worker, "KILL")?;
    let ended = lake.story.succeeds(run, 2).await?;
    ensure!(lake.story.exit_of(ended.attempt_list[0].id).await? == 137, "it was not killed");
    Ok(ended)
}
