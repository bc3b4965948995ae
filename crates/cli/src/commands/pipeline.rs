//! `pipeline`: list, show, describe, pause, resume, accept-epoch.

use serde::Serialize;
use waybill_api::client::{Client, ListQuery};
use waybill_api::pipeline::{EpochAccept, Pipeline, PipelineUpdate, PipelineVersion};
use waybill_api::schedule::Schedule;
use waybill_model::size::write_duration;

use crate::args::{Pipeline as Command, Target};
use crate::exit::{Exit, Failure, Result};
use crate::output::{Output, Row, clean, facts, shell_word};
use crate::{resolve, session};

impl Row for Pipeline {
    const HEADER: &'static [&'static str] = &["NAME", "FROM", "TO", "STREAMS", "VERSION", "STATE"];

    fn cells(&self) -> Vec<String> {
        let state = match (self.live_run_id, self.paused) {
            (Some(run), _) => format!("running {run}"),
            (None, true) => "paused".to_owned(),
            (None, false) => "ready".to_owned(),
        };
        let (streams, version) = (self.streams.len().to_string(), self.version.to_string());
        vec![self.name.clone(), self.from.clone(), self.to.clone(), streams, version, state]
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

/// A pipeline with what it does.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    pipeline: Pipeline,
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<PipelineVersion>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<Schedule>,
}

pub(crate) async fn pipeline(target: &Target, command: Command, output: &Output) -> Result<Exit> {
    let client = session::connect(target)?.client;
    match command {
        Command::List(limit) => {
            let query: ListQuery = resolve::query(&client, target, limit.limit).await?;
            let page = client.pipeline_list(&query).await?;
            output.list(&page.items, page.next_cursor.as_deref())?;
        }
        Command::Show { pipeline } => {
            let pipeline = resolve::pipeline(&client, target, &pipeline).await?;
            let newest = ListQuery { limit: Some(1), ..ListQuery::default() };
            let current = match client.pipeline_versions(pipeline.id, &newest).await.map_err(Failure::from) {
                Ok(page) => page.items.into_iter().next(),
                // Not everybody who sees a pipeline sees its settings.
                Err(failure) if failure.code == "forbidden" => None,
                Err(failure) => return Err(failure),
            };
            let schedule = match client.schedule_get(pipeline.id).await.map_err(Failure::from) {
                Ok(found) => Some(found.value),
                Err(failure) if failure.exit == Exit::NotFound => None,
                Err(failure) => return Err(failure),
            };
            show(&Shown { pipeline, current, schedule }, output)?;
        }
        Command::Describe { pipeline } => {
            let found = resolve::pipeline(&client, target, &pipeline).await?;
            let described = client.pipeline_describe(found.id).await?;
            output.one(&described, &described.name, || clean(&described.markdown))?;
        }
        Command::Pause { pipeline } => changed(set_paused(&client, target, (&pipeline, true)).await?, output)?,
        Command::Resume { pipeline } => changed(set_paused(&client, target, (&pipeline, false)).await?, output)?,
        Command::AcceptEpoch { pipeline } => {
            let found = resolve::pipeline(&client, target, &pipeline).await?;
            changed(accept_epoch(&client, &found).await?, output)?;
        }
    }
    Ok(Exit::Done)
}

fn changed(pipeline: Pipeline, output: &Output) -> Result<()> {
    show(&Shown { pipeline, current: None, schedule: None }, output)
}

fn show(shown: &Shown, output: &Output) -> Result<()> {
    output.one(shown, &shown.pipeline.name, || people(shown))
}

async fn set_paused(client: &Client, target: &Target, (wanted, paused): (&str, bool)) -> Result<Pipeline> {
    let found = resolve::pipeline(client, target, wanted).await?;
    let seen = client.pipeline_get(found.id).await?;
    Ok(client.pipeline_update(found.id, &seen.etag, &PipelineUpdate { paused }).await?)
}

async fn accept_epoch(client: &Client, pipeline: &Pipeline) -> Result<Pipeline> {
    let Some(found) = pipeline.epoch_ahead else {
        let text = format!("no epoch of {} waits to be accepted", pipeline.name);
        return Err(Failure::new(Exit::Conflict, "state_conflict", text)
            .next(format!("waybill run why --last --pipeline {}", shell_word(&pipeline.name))));
    };
    Ok(client.pipeline_accept_epoch(pipeline.id, &EpochAccept { found }).await?)
}

/// When a schedule's runs are due, as its pipeline file says it.
fn slots(schedule: &Schedule) -> String {
    match (&schedule.cron, schedule.every_ms) {
        (Some(cron), _) => format!("{cron} ({})", schedule.zone.as_deref().unwrap_or("UTC")),
        (None, Some(millis)) => format!("every {}", write_duration(millis)),
        (None, None) => "–".to_owned(),
    }
}

fn people(shown: &Shown) -> String {
    let pipeline = &shown.pipeline;
    let mut rows = vec![
        ("name", pipeline.name.clone()),
        ("id", pipeline.id.to_string()),
        ("version", pipeline.version.to_string()),
        ("from", pipeline.from.clone()),
        ("to", pipeline.to.clone()),
        ("paused", pipeline.paused.to_string()),
    ];
    if let Some(schedule) = &shown.schedule {
        rows.push(("schedule", slots(schedule)));
        rows.push(("next run", schedule.next_at.map_or_else(|| "–".to_owned(), |at| at.to_string())));
    }
    if let Some(epoch) = pipeline.epoch_ahead {
        let next = format!("waybill pipeline accept-epoch {}", shell_word(&pipeline.name));
        rows.push(("epoch ahead", format!("{epoch}, too far in the future; accept it with {next}")));
    }
    if let Some(run) = pipeline.live_run_id {
        rows.push(("live run", run.to_string()));
    }
    let loads = shown.current.as_ref().and_then(|version| version.plan.get("streams")?.as_array());
    for (n, name) in pipeline.streams.iter().enumerate() {
        let load = loads.and_then(|streams| streams.get(n)?.get("load")?.as_str()).unwrap_or_default();
        rows.push((if n == 0 { "streams" } else { "" }, format!("{name}  {load}")));
    }
    facts(&rows)
}
