//! `run preview`: the first rows of a pipeline's streams, written by a worker into the customer's own bucket.
//!
//! The rows never come here by way of the orchestrator: it is told where they lie, and how to look at them with credentials of one's own.

use serde::Serialize;
use waybill_api::client::Client;
use waybill_api::run::{RunDetail, RunStart};
use waybill_model::run::RunKind;
use waybill_model::size::{show_bytes, show_number};

use crate::args::{Target, Wait};
use crate::commands::logs::{self, Where};
use crate::commands::{watch, why};
use crate::exit::{Exit, Result};
use crate::output::{Output, Row, table};
use crate::resolve;

/// What is asked for.
pub(super) struct Asked {
    pub(super) pipeline: String,
    pub(super) streams: Vec<String>,
    pub(super) rows: u64,
    pub(super) wait: Wait,
}

/// Where the rows of a preview lie.
#[derive(Debug, Serialize)]
struct Preview {
    run_id: String,
    streams: Vec<Rows>,
    /// Prints all of them.
    command: String,
}

/// The same of one stream.
#[derive(Debug, Serialize)]
struct Rows {
    stream: String,
    rows: u64,
    bytes: u64,
    files: String,
    /// The same with DuckDB, where it reads such an address as it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    duckdb: Option<String>,
}

impl Row for Rows {
    const HEADER: &'static [&'static str] = &["STREAM", "ROWS", "BYTES", "FILES"];

    fn cells(&self) -> Vec<String> {
        vec![self.stream.clone(), show_number(self.rows), show_bytes(self.bytes), self.files.clone()]
    }

    fn name(&self) -> String {
        self.stream.clone()
    }
}

/// Starts a preview, waits for its end and says where the rows lie.
pub(super) async fn preview(client: &Client, target: &Target, asked: Asked, output: &Output) -> Result<Exit> {
    let found = resolve::pipeline(client, target, &asked.pipeline).await?;
    let start = RunStart {
        pipeline_id: Some(found.id),
        kind: Some(RunKind::Preview),
        streams: asked.streams,
        rows: Some(asked.rows),
        ..RunStart::default()
    };
    let started = client.run_start(&start).await?;
    let ended = watch::follow(client, started, asked.wait, output).await?;
    let shown = shown(client, &ended.run).await?;
    output.one(&shown, &shown.run_id, || table(&shown.streams))?;
    if output.is_table() {
        if shown.streams.is_empty() {
            output.say("no row was written");
        } else {
            output.say(&format!("look at them with your own credentials: {}", shown.command));
        }
        if let Some(duckdb) = shown.streams.iter().find_map(|rows| rows.duckdb.as_ref()) {
            output.say(&format!("or one stream with DuckDB: {duckdb}"));
        }
        if ended.exit != Exit::Done {
            output.say(why::sentence(&ended.run).trim_end());
        }
    }
    Ok(ended.exit)
}

/// Only streams of which something was written.
async fn shown(client: &Client, detail: &RunDetail) -> Result<Preview> {
    let run = &detail.run;
    let place = logs::place(client, run.id).await?;
    let written = detail.streams.iter().filter(|stream| stream.files.is_some_and(|files| files > 0));
    let rows = |stream: &waybill_api::run::RunStream| {
        let files = format!("{}/_waybill/preview/{}/{}-*/*.jsonl", place.url, run.id, stream.index);
        Rows {
            stream: stream.name.clone(),
            rows: stream.rows.unwrap_or(0),
            bytes: stream.bytes.unwrap_or(0),
            duckdb: duckdb(&place, &files),
            files,
        }
    };
    Ok(Preview {
        run_id: run.id.to_string(),
        streams: written.map(rows).collect(),
        command: format!("{}waybill-worker preview {} --run {}", variables(&place), place.url, run.id),
    })
}

/// What stands before a command of the worker's, so that it finds the bucket.
fn variables(place: &Where) -> String {
    place.variables().into_iter().map(|(name, value)| format!("{name}={value} ")).collect()
}

/// A directory is a path to DuckDB, and S3 an address that it knows. One that it takes for a pattern, or a shell for more than a
/// text, is not told.
fn duckdb(place: &Where, files: &str) -> Option<String> {
    let is_plain = !place.url.contains(['[', '*', '?', '"', '$', '`', '\\', '!']);
    let path = match files.strip_prefix("file://") {
        Some(path) => path,
        None if files.starts_with("s3://") => files,
        None => return None,
    };
    let path = path.replace('\'', "''");
    (is_plain && place.is_complete()).then(|| format!("duckdb -c \"SELECT * FROM read_json_auto('{path}')\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(url: &str, endpoint: Option<&str>) -> (Option<String>, String) {
        let place = Where::of(url, Some("eu-north-1"), endpoint);
        (duckdb(&place, &format!("{url}/_waybill/preview/run_1/0-*/*.jsonl")), variables(&place))
    }

    #[test]
    fn duckdb_is_named_only_where_it_reads_the_address_as_it_stands() {
        let local = told("file:///data/o'neil", None).0.expect("a path");
        assert!(local.ends_with("read_json_auto('/data/o''neil/_waybill/preview/run_1/0-*/*.jsonl')\""), "{local}");
        assert!(told("s3://lake/raw", None).0.expect("S3").contains("'s3://lake/raw/_waybill"));
        for url in ["azure://shop/lake", "file:///data/[2024]", "file:///data/a*", "file:///data/$HOME", "file:///a\"b"]
        {
            assert_eq!(told(url, None).0, None, "{url}");
        }
    }

    #[test]
    fn a_bucket_elsewhere_is_told_with_what_leads_there() {
        let (duckdb, variables) = told("s3://lake/raw", Some("http://127.0.0.1:9000"));
        assert_eq!(duckdb, None);
        assert_eq!(variables, "AWS_REGION=eu-north-1 AWS_ENDPOINT_URL=http://127.0.0.1:9000 ");
        assert_eq!(told("file:///data", None).1, "");
    }
}
