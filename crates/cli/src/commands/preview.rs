//! `run preview`: the first rows of a pipeline's streams, written by a worker into the customer's own bucket.
//!
//! The rows never come here by way of the orchestrator: it is told where they lie, and how to look at them with credentials of one's own.

use serde::Serialize;
use waybill_api::client::Client;
use waybill_api::run::{RunDetail, RunStart};
use waybill_model::RunId;
use waybill_model::run::RunKind;
use waybill_model::size::{show_bytes, show_number};

use crate::args::{Target, Wait};
use crate::commands::logs::{self, Where};
use crate::commands::{watch, why};
use crate::exit::{Exit, Result};
use crate::output::{Output, Row, shell_word, table};
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
    Ok(Preview { run_id: run.id.to_string(), streams: written.map(rows).collect(), command: command(&place, run.id) })
}

/// The worker's command, with what stands before it so that it finds the bucket. The orchestrator names the place: whoever pastes
/// the line runs this command and no other.
fn command(place: &Where, id: RunId) -> String {
    let variables = place.variables();
    let set: String = variables.into_iter().map(|(name, value)| format!("{name}={} ", shell_word(value))).collect();
    format!("{set}waybill-worker preview {} --run {id}", shell_word(&place.url))
}

/// A directory is a path to DuckDB, and S3 an address that it knows. One that it takes for a pattern is not told.
fn duckdb(place: &Where, files: &str) -> Option<String> {
    let is_pattern = place.url.contains(['[', '*', '?']);
    let path = match files.strip_prefix("file://") {
        Some(path) => path,
        None if files.starts_with("s3://") => files,
        None => return None,
    };
    let path = path.replace('\'', "''");
    let statement = format!("SELECT * FROM read_json_auto('{path}')");
    (!is_pattern && place.is_complete()).then(|| format!("duckdb -c {}", shell_word(&statement)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    fn told(url: &str, endpoint: Option<&str>) -> (Option<String>, String, RunId) {
        let (place, id) = (Where::of(url, Some("eu-north-1"), endpoint), RunId::generate());
        (duckdb(&place, &format!("{url}/_waybill/preview/run_1/0-*/*.jsonl")), command(&place, id), id)
    }

    #[test]
    fn duckdb_is_named_only_where_it_reads_the_address_as_it_stands() {
        let local = told("file:///data/o'neil", None).0.expect("a path");
        assert!(local.ends_with("read_json_auto('/data/o''neil/_waybill/preview/run_1/0-*/*.jsonl')\""), "{local}");
        assert!(told("s3://lake/raw", None).0.expect("S3").contains("'s3://lake/raw/_waybill"));
        for url in ["azure://shop/lake", "file:///data/[2024]", "file:///data/a*", "file:///data/?"] {
            assert_eq!(told(url, None).0, None, "{url}");
        }
    }

    #[test]
    fn a_bucket_elsewhere_is_told_with_what_leads_there() {
        let (duckdb, command, id) = told("s3://lake/raw", Some("http://127.0.0.1:9000"));
        assert_eq!(duckdb, None);
        let set = "AWS_REGION=eu-north-1 AWS_ENDPOINT_URL=http://127.0.0.1:9000";
        assert_eq!(command, format!("{set} waybill-worker preview s3://lake/raw --run {id}"));
        assert_eq!(told("file:///data", None).1.split(' ').next(), Some("waybill-worker"));
    }

    /// By a real shell, with programs of these names that say what they were given.
    #[test]
    fn what_the_orchestrator_names_is_one_word_of_the_command_and_no_other_command() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["waybill-worker", "duckdb"] {
            let program = folder.path().join(name);
            std::fs::write(&program, "#!/bin/sh\nprintf '%s\\n' \"$AWS_REGION$AWS_ENDPOINT_URL\" \"$@\"\n")
                .expect("a program");
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("one that runs");
        }
        let said = |command: &str| {
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", command]).current_dir(folder.path()).env("PATH", folder.path());
            let output = shell.env_remove("AWS_REGION").env_remove("AWS_ENDPOINT_URL").output().expect("a shell");
            assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect::<Vec<_>>()
        };
        for odd in [
            "$(>made)", "`>made`", ";>made", " b", "'", "\"", "'\"$HOME", "\\", "!!", "&>made", "~", "#", "<x",
            "\u{e9}",
        ] {
            let url = format!("s3://lake/a{odd}");
            let (_, command, id) = told(&url, Some(odd));
            let wanted =
                [format!("eu-north-1{odd}").as_str(), "preview", &url, "--run", &id.to_string()].map(str::to_owned);
            assert_eq!(said(&command), wanted, "{command}");
            let asked = said(&told(&url, None).0.expect("S3"));
            let path = format!("s3://lake/a{odd}/_waybill/preview/run_1/0-*/*.jsonl").replace('\'', "''");
            assert_eq!(asked[1..], ["-c".to_owned(), format!("SELECT * FROM read_json_auto('{path}')")], "{odd}");
        }
        assert_eq!(shell_word("a\u{1b}[2Jb\nc"), "'a\u{fffd}[2Jb c'", "nor does it move the terminal");
        assert!(!folder.path().join("made").exists());
    }
}
