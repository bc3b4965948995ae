//! What a test does with a running product over its public API: documents, pipelines, runs and their timelines.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use waybill_api::client::{Client, EventQuery, ListQuery, RunQuery};
use waybill_api::run::{RunDetail, RunStart};
use waybill_api::spec::{PlanSignature, SpecApply};
use waybill_model::{PipelineId, RunId};

use super::{Replica, Sandbox, refused};
use crate::binaries::binary;

impl Sandbox {
    /// Applies a pipeline document.
    pub async fn apply(&self, document: &str) -> Result<()> {
        self.apply_signed(document, Vec::new()).await
    }

    /// Applies a pipeline document with signatures over its plans.
    pub async fn apply_signed(&self, document: &str, signatures: Vec<PlanSignature>) -> Result<()> {
        let body = SpecApply {
            project_id: self.project,
            document: document.to_owned(),
            prune: false,
            expect: None,
            secrets: BTreeMap::new(),
            signatures,
        };
        self.client.spec_apply(&body, false).await.map(drop).map_err(refused)
    }

    /// The command line in the product's directory, with the administrator's token.
    pub fn cli(&self, arguments: &[&str]) -> Result<std::process::Output> {
        let token = self.client.tokens().context("a login")?.access_token;
        let mut command = std::process::Command::new(binary("waybill"));
        command.args(arguments).current_dir(self.dir.path()).env_clear();
        command.env("XDG_CONFIG_HOME", self.path("config")).env("WAYBILL_STATE", self.path("state"));
        Ok(command.env("WAYBILL_TOKEN", token.reveal()).output()?)
    }

    /// Starts a run of the pipeline of this name.
    pub async fn trigger(&self, pipeline: &str) -> Result<RunId> {
        trigger(&self.client, pipeline).await
    }

    /// The one run that there is: an orchestrator that was killed may have made it and not answered.
    pub async fn only_run(&self) -> Result<RunId> {
        let runs = self.client.run_list(&RunQuery::default()).await.map_err(refused)?.items;
        anyhow::ensure!(runs.len() == 1, "not one run: {runs:?}");
        Ok(runs[0].id)
    }

    /// The pipeline of this name.
    pub async fn pipeline(&self, name: &str) -> Result<PipelineId> {
        pipeline(&self.client, name).await
    }

    /// Every pipeline.
    pub async fn pipelines(&self) -> Result<Vec<PipelineId>> {
        let (mut found, mut query) = (Vec::new(), ListQuery { limit: Some(200), ..ListQuery::default() });
        loop {
            let page = self.client.pipeline_list(&query).await.map_err(refused)?;
            found.extend(page.items.iter().map(|pipeline| pipeline.id));
            match page.next_cursor {
                Some(next) => query.cursor = Some(next),
                None => return Ok(found),
            }
        }
    }

    /// Starts a run of a pipeline.
    pub async fn start_run(&self, pipeline: PipelineId) -> Result<RunId> {
        start_run(&self.client, pipeline).await
    }

    /// Waits until `done` says so of the run; fails after a minute.
    pub async fn until(&self, run: RunId, done: impl Fn(&RunDetail) -> bool) -> Result<RunDetail> {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut last = None;
        while Instant::now() < deadline {
            if let Ok(seen) = self.client.run_get(run).await {
                if done(&seen) {
                    return Ok(seen);
                }
                last = Some(seen);
            }
            tokio::time::sleep(Duration::from_millis(50)).await; // a poll of the public API, bounded above
        }
        bail!("the run did not get there: {last:?}\n{}", self.log())
    }

    /// Waits until the run is final and returns it.
    pub async fn ended(&self, run: RunId) -> Result<RunDetail> {
        self.until(run, |seen| ["succeeded", "failed", "canceled"].contains(&seen.run.state.to_string().as_str())).await
    }

    /// The codes of the run's timeline, in order.
    pub async fn codes(&self, run: RunId) -> Result<Vec<String>> {
        let query = EventQuery { limit: Some(200), ..EventQuery::default() };
        let events = self.client.run_events(run, &query).await.map_err(refused)?;
        Ok(events.items.into_iter().map(|event| event.code).collect())
    }

    /// Waits until the run's timeline holds this code; fails after a minute.
    pub async fn told(&self, run: RunId, code: &str) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let codes = self.codes(run).await?;
            if codes.iter().any(|told| told == code) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "nobody told {code}, but {codes:?}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(25)).await; // a poll of the public API, bounded above
        }
    }
}

impl Replica {
    /// Starts a run of the pipeline of this name, here.
    pub async fn trigger(&self, pipeline: &str) -> Result<RunId> {
        trigger(&self.client, pipeline).await
    }
}

async fn pipeline(client: &Client, name: &str) -> Result<PipelineId> {
    let query = ListQuery { name: Some(name.to_owned()), ..ListQuery::default() };
    let found = client.pipeline_list(&query).await.map_err(refused)?;
    Ok(found.items.first().context("no such pipeline")?.id)
}

async fn start_run(client: &Client, pipeline: PipelineId) -> Result<RunId> {
    let run = client.run_start(&RunStart { pipeline_id: Some(pipeline), ..RunStart::default() }).await;
    Ok(run.map_err(refused)?.run.id)
}

async fn trigger(client: &Client, name: &str) -> Result<RunId> {
    start_run(client, pipeline(client, name).await?).await
}
