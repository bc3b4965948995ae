//! A worker that takes new files and dies at the worst moments: each file's rows land once, and no name of one leaves.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use waybill_api::client::EventQuery;
use waybill_tests::fault::Marker;
use waybill_tests::readers;
use waybill_tests::sandbox::{Options, Sandbox};

use crate::story::succeeded;

fn put(sandbox: &Sandbox, name: &str, text: &str) -> Result<()> {
    let beside = sandbox.path("beside");
    std::fs::write(&beside, text)?;
    Ok(std::fs::rename(beside, sandbox.path("in").join(name))?)
}

#[tokio::test(flavor = "multi_thread")]
async fn f8_a_killed_worker_is_replaced_and_new_files_land_once() -> Result<()> {
    for fault in ["files_listed", "prepare_granted", "commit_applied"] {
        let scratch = tempfile::tempdir()?;
        let marker = Marker::at(scratch.path().join("fired"));
        let order = marker.order(&format!("{fault}=kill"));
        let sandbox = Sandbox::start(Options::default().with_faults(&[order])).await?;
        std::fs::create_dir(sandbox.path("in"))?;
        put(&sandbox, "secret-a.csv", "id\n1\n2\n")?;
        let document = format!(
            "waybill: 1\nconnections:\n  inbox: {{ type: files, url: \"file://{}\" }}\n  lake: {{ type: local, path: \"{}\" }}\n\
             pipelines:\n  items: {{ from: inbox, to: lake, streams: {{ \"*.csv\": {{ load: new, changed-files: ignore }} }} }}\n",
            sandbox.path("in").display(),
            sandbox.path("lake").display()
        );
        sandbox.apply(&document).await?;
        let ended = sandbox.ended(sandbox.trigger("items").await?).await?;
        marker.fired()?;
        succeeded(&ended).with_context(|| format!("{fault}: {}", sandbox.log()))?;
        ensure!(ended.attempt_list.len() == 2, "{} attempts at {fault}", ended.attempt_list.len());
        put(&sandbox, "secret-b.csv", "id\n3\n")?;
        put(&sandbox, "secret-a.csv", "id\n9\n9\n")?;
        let next = sandbox.ended(sandbox.trigger("items").await?).await?;
        succeeded(&next)?;
        let tables = std::fs::read_dir(sandbox.path("lake"))?.flatten().map(|entry| entry.path());
        let table = tables.into_iter().find(|path| path.join("_delta_log").is_dir()).context("a table")?;
        let seen = readers::query(&table, "SELECT id FROM t ORDER BY id")?.agreed();
        ensure!(seen == json!([["1"], ["2"], ["3"]]), "{fault}: {seen}");
        let events = serde_json::to_string(&sandbox.client.run_events(next.run.id, &EventQuery::default()).await?)?;
        ensure!(
            events.contains("rewritten since an earlier run took them: 1 file") && !events.contains("secret"),
            "{events}"
        );
    }
    Ok(())
}
