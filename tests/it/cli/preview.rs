//! `waybill run preview`: by a worker into the bucket, and refused where it has no meaning.

use anyhow::{Context as _, Result, ensure};
use waybill_api::run::RunStart;
use waybill_model::run::RunKind;
use waybill_tests::binaries::binary;
use waybill_tests::sandbox::Options;

use crate::story::{Rows, Story};

fn said(output: &std::process::Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_says_where_its_rows_lie_and_leaves_no_table() -> Result<()> {
    let story = Story::with_rows(Rows { many: 500, noise: 32 }, |_| Ok(Options::default())).await?;
    let lake = story.sandbox.path("lake").display().to_string();
    story.apply("full", &format!("{{ type: local, path: \"{lake}\" }}"), "").await?;
    let output = story.sandbox.cli(&["run", "preview", "items", "--rows", "20", "-o", "json"])?;
    ensure!(output.status.success(), "{}", said(&output));
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let run = shown["run_id"].as_str().unwrap_or_default();
    let stream = &shown["streams"][0];
    ensure!(stream["stream"] == "items" && stream["rows"] == 20, "{shown}");
    ensure!(stream["files"] == format!("file://{lake}/_waybill/preview/{run}/0-*/*.jsonl"), "{shown}");
    let command = format!("waybill-worker preview file://{lake} --run {run}");
    ensure!(shown["command"] == command, "{shown}");
    let typed = command.split_whitespace().skip(1);
    let rows = std::process::Command::new(binary("waybill-worker")).args(typed).output()?;
    ensure!(String::from_utf8_lossy(&rows.stdout).lines().count() == 20, "{}", said(&rows));
    ensure!(!std::path::Path::new(&lake).join("items").exists(), "a table was begun");

    let events = story.sandbox.cli(&["run", "events", run])?;
    ensure!(said(&events).contains("items: the first 20 rows are in your bucket"), "{}", said(&events));
    let again = story.sandbox.cli(&["run", "retry", run])?;
    ensure!(!again.status.success(), "there is nothing to retry: {}", said(&again));
    // The run after it is a whole one.
    story.delivers(1).await?;
    story.table_is_exactly(500)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_without_a_bucket_or_of_a_strange_size_is_refused_before_a_worker_starts() -> Result<()> {
    let story = Story::with_rows(Rows { many: 1, noise: 32 }, |_| Ok(Options::default())).await?;
    let database = "{ type: postgres, host: db.internal, database: copy, user: loader }";
    story.apply("full", database, "").await?;
    let refused = story.sandbox.cli(&["run", "preview", "items"])?;
    ensure!(!refused.status.success() && said(&refused).contains("writes to a database"), "{}", said(&refused));
    // From here on everything but the number is right.
    let lake = story.sandbox.path("lake").display().to_string();
    story.apply("full", &format!("{{ type: local, path: \"{lake}\" }}"), "").await?;
    let refused = story.sandbox.cli(&["run", "preview", "items", "--rows", "0"])?;
    ensure!(!refused.status.success() && said(&refused).contains("--rows"), "{}", said(&refused));
    let pipeline_id = Some(story.sandbox.pipeline("items").await?);
    for (kind, rows) in [(RunKind::Preview, 10_001), (RunKind::Preview, 0), (RunKind::Sync, 5)] {
        let start = RunStart { pipeline_id, kind: Some(kind), rows: Some(rows), ..RunStart::default() };
        let error = story.sandbox.client.run_start(&start).await.err().map(|error| error.to_string());
        let error = error.with_context(|| format!("{kind} of {rows} rows was begun"))?;
        ensure!(error.contains("rows"), "{kind} of {rows} rows: {error}");
    }
    Ok(())
}
