//! `run`: start, preview, list, show, watch, events, cancel, retry, receipt, trail.

use waybill_api::client::{Client, EventQuery, RunQuery};
use waybill_api::event::RunEvent;
use waybill_api::run::{Backfill, Run, RunDetail, RunStart, StreamReceipt};
use waybill_model::run::RunKind;
use waybill_model::size::{show_bytes, show_number};

use crate::args::{Run as Command, Target, Wait, WhichRun};
use crate::commands::preview::{self, Asked};
use crate::commands::{logs, trail, watch, why};
use crate::exit::{Exit, Result};
use crate::output::{Output, Row, facts, table};
use crate::{resolve, session};

impl Row for Run {
    const HEADER: &'static [&'static str] = &["RUN", "OF", "KIND", "STATE", "STREAMS", "TRIGGER", "CREATED", "FAILURE"];

    fn cells(&self) -> Vec<String> {
        let failure = self.failure.as_ref().map_or_else(|| "–".to_owned(), |failure| failure.code.to_string());
        vec![
            self.id.to_string(),
            self.subject.clone(),
            self.kind.to_string(),
            self.state.to_string(),
            format!("{}/{}", self.streams_delivered, self.streams_total),
            self.trigger.clone(),
            self.created_at.to_string(),
            failure,
        ]
    }

    fn name(&self) -> String {
        self.id.to_string()
    }
}

impl Row for RunEvent {
    const HEADER: &'static [&'static str] = &["TIME", "LEVEL", "CODE", "TEXT"];

    fn cells(&self) -> Vec<String> {
        vec![self.at.to_string(), self.level.clone(), self.code.clone(), self.text.clone()]
    }

    fn name(&self) -> String {
        self.seq.to_string()
    }
}

impl Row for StreamReceipt {
    const HEADER: &'static [&'static str] =
        &["STREAM", "STATE", "ROWS", "BYTES", "FILES", "COERCED", "GRADE", "DIGEST"];

    fn cells(&self) -> Vec<String> {
        let dash = || "–".to_owned();
        vec![
            self.name.clone(),
            self.state.to_string(),
            show_number(self.rows),
            show_bytes(self.bytes),
            self.files.to_string(),
            show_number(self.coerced),
            self.grade.as_ref().map_or_else(dash, ToString::to_string),
            self.digest.as_deref().map_or_else(dash, |digest| digest.chars().take(16).collect()),
        ]
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

pub(crate) async fn run(target: &Target, command: Command, output: &Output) -> Result<Exit> {
    let client = session::connect(target)?.client;
    match command {
        Command::Start { pipeline, watch, kind, streams, reload, forget_cursor, backfill, from, to, limit, wait } => {
            let found = resolve::pipeline(&client, target, &pipeline).await?;
            let start = RunStart {
                pipeline_id: Some(found.id),
                kind: Some(kind.into()),
                streams,
                reload,
                forget_cursor,
                limit,
                backfill: backfill.map(|stream| Backfill { stream, from, to }).into_iter().collect(),
                ..RunStart::default()
            };
            let started = client.run_start(&start).await?;
            started_run(&client, started, watch.then_some(wait), output).await
        }
        Command::Preview { pipeline, streams, rows, wait } => {
            preview::preview(&client, target, Asked { pipeline, streams, rows, wait }, output).await
        }
        Command::List { limit, pipeline, in_state: state } => {
            let query = RunQuery { limit: Some(limit.limit), state, ..RunQuery::default() };
            list(&client, target, (query, pipeline), output).await
        }
        Command::Show(which) => show(&client, target, &which, output).await,
        Command::Watch { which, wait } => {
            let id = resolve::run(&client, target, &which).await?;
            let run = client.run_get(id).await?;
            watched(&client, run, wait, output).await
        }
        Command::Events { which, level, find } => events(&client, target, (&which, level, find), output).await,
        Command::Why(which) => {
            let id = resolve::run(&client, target, &which).await?;
            why::why(&client.run_get(id).await?, output)
        }
        Command::Logs { which, only_where } => {
            let id = resolve::run(&client, target, &which).await?;
            logs::logs(&client, id, only_where, output).await
        }
        Command::Cancel(which) => {
            let id = resolve::run(&client, target, &which).await?;
            let run = client.run_cancel(id).await?;
            output.one(&run, &id.to_string(), || people(&run))?;
            output.say(&format!("asked to stop; `waybill run watch {id}` shows when it has"));
            Ok(Exit::Done)
        }
        Command::Retry { which, watch, wait } => {
            let id = resolve::run(&client, target, &which).await?;
            let started = client.run_retry(id).await?;
            output.say(&tries_again(&started.run, &id.to_string()));
            started_run(&client, started, watch.then_some(wait), output).await
        }
        Command::Trail(which) => {
            let id = resolve::run(&client, target, &which).await?;
            trail::of_run(&client, id, output).await
        }
        Command::Receipt(which) => receipt(&client, target, &which, output).await,
    }
}

/// What a retry runs: only the streams that the old run left.
fn tries_again(run: &Run, old: &str) -> String {
    match (run.kind == RunKind::Sync, run.streams_total) {
        (false, _) => format!("{} does again what {old} did not end well", run.id),
        (true, 1) => format!("{} runs the 1 stream that {old} did not deliver", run.id),
        (true, left) => format!("{} runs the {left} streams that {old} did not deliver", run.id),
    }
}

async fn list(client: &Client, target: &Target, what: (RunQuery, Option<String>), output: &Output) -> Result<Exit> {
    let (mut query, pipeline) = what;
    if let Some(wanted) = pipeline {
        query.pipeline_id = Some(resolve::pipeline(client, target, &wanted).await?.id);
    }
    query.project_id = Some(resolve::project(client, target).await?);
    let page = client.run_list(&query).await?;
    output.list(&page.items, page.next_cursor.as_deref())?;
    Ok(Exit::Done)
}

async fn receipt(client: &Client, target: &Target, which: &WhichRun, output: &Output) -> Result<Exit> {
    let id = resolve::run(client, target, which).await?;
    let receipt = client.run_receipt(id).await?;
    output.one(&receipt, &id.to_string(), || table(&receipt.streams))?;
    if output.is_table() {
        output.say("the full receipts stand in your bucket; `waybill-worker verify URL` checks them without Waybill");
    }
    Ok(Exit::Done)
}

async fn started_run(client: &Client, run: RunDetail, wait: Option<Wait>, output: &Output) -> Result<Exit> {
    match wait {
        Some(wait) => watched(client, run, wait, output).await,
        None => {
            let id = run.run.id.to_string();
            output.one(&run, &id, || people(&run))?;
            output.say(&format!("`waybill run watch {id}` follows it"));
            Ok(Exit::Done)
        }
    }
}

async fn watched(client: &Client, run: RunDetail, wait: Wait, output: &Output) -> Result<Exit> {
    let ended = watch::follow(client, run, wait, output).await?;
    output.one(&ended.run, &ended.run.run.id.to_string(), || people(&ended.run))?;
    if matches!(ended.exit, Exit::RunFailed | Exit::RunPartly) && output.is_table() {
        output.say(why::sentence(&ended.run).trim_end());
    }
    Ok(ended.exit)
}

async fn show(client: &Client, target: &Target, which: &WhichRun, output: &Output) -> Result<Exit> {
    let id = resolve::run(client, target, which).await?;
    let run = client.run_get(id).await?;
    output.one(&run, &id.to_string(), || people(&run))?;
    Ok(Exit::Done)
}

/// All events, page by page: a run's list is bounded by the worker.
async fn events(
    client: &Client,
    target: &Target,
    what: (&WhichRun, Option<String>, Option<String>),
    output: &Output,
) -> Result<Exit> {
    let (which, level, find) = what;
    let id = resolve::run(client, target, which).await?;
    let mut all = Vec::new();
    let mut query = EventQuery { limit: Some(200), level, find, ..EventQuery::default() };
    loop {
        let page = client.run_events(id, &query).await?;
        all.extend(page.items);
        if !page.more || query.after == Some(page.next_after) {
            break;
        }
        query.after = Some(page.next_after);
    }
    output.list(&all, None)?;
    if output.is_table() {
        output.say(&format!("these are typed events; the full log stays in your bucket: `waybill run logs {id}`"));
    }
    Ok(Exit::Done)
}

/// A run as people read it.
fn people(detail: &RunDetail) -> String {
    let run = &detail.run;
    let mut rows = vec![
        ("run", run.id.to_string()),
        ("of", run.subject.clone()),
        ("kind", run.kind.to_string()),
        ("state", run.state.to_string()),
        ("attempts", run.attempts.to_string()),
        ("created", run.created_at.to_string()),
    ];
    if run.kind == RunKind::Sync {
        rows.push(("delivered", format!("{} of {} streams", run.streams_delivered, run.streams_total)));
    }
    if let Some(ended) = run.ended_at {
        rows.push(("ended", format!("{ended}, after {}", crate::progress::span(run.created_at.0, ended.0))));
    }
    if let Some(waiting) = &run.waiting_for {
        rows.push(("waits for", waiting.clone()));
    }
    if let Some(failure) = &run.failure {
        rows.push(("failure", format!("{}: {}", failure.code, failure.hint)));
    }
    // Only a run that moves rows has something to say of each stream.
    let streams = if run.kind == RunKind::Sync { crate::progress::streams(detail, None) } else { Vec::new() };
    facts(&rows) + &streams.iter().map(|line| format!("{line}\n")).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use waybill_api::Example;

    #[test]
    fn a_run_is_shown_with_its_streams_and_what_was_delivered() {
        let shown = people(&RunDetail::example());
        for part in ["1 of 2 streams", "source_denied", "public.orders", "1,204,511"] {
            assert!(shown.contains(part), "{part} is missing in\n{shown}");
        }
    }
}
