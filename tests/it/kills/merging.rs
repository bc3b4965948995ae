//! Steered workers that die, or are overtaken by another writer, while rows are merged: the run ends well, and each row is there once.

use anyhow::{Result, ensure};
use waybill_api::client::EventQuery;
use waybill_api::run::RunDetail;
use waybill_tests::process::wake;
use waybill_tests::readers::{self, Foreign, change};
use waybill_tests::sandbox::Options;

use crate::story::{Rows, Story, succeeded};

const ROWS: i64 = 2_000;

/// A product whose first run has delivered every row; the fault is for the second one, which brings every third row anew.
async fn second_run(fault: &str) -> Result<Story> {
    let rows = Rows { many: ROWS, noise: 2_000 };
    let story = Story::with_rows(rows, |marker| {
        let gate = marker.beside("gate").order("commit_applied=mark");
        Ok(Options::default().with_faults(&[gate, marker.order(fault)]))
    });
    let story = story.await?;
    let source = rusqlite::Connection::open(story.sandbox.path("shop.db"))?;
    source.execute_batch("alter table items add column rev integer; update items set rev = id")?;
    let document = "waybill: 1\nconnections:\n  shop: { type: sqlite, path: DIR/shop.db }\n  lake: { type: local, path: DIR/lake }\n\
         pipelines:\n  items:\n    from: shop\n    to: lake\n    files: { size: 1MiB }\n    streams:\n      \
         items: { load: changed, cursor: rev }\n";
    story.sandbox.apply(&document.replace("DIR", &story.sandbox.dir.path().display().to_string())).await?;
    story.delivers(1).await?;
    story.table_is_exactly(ROWS)?;
    source.execute_batch(
        "update items set rev = rev + 10000, noise = randomblob(2000) where id % 3 = 0;
         insert into items values (2001, 'note 2001', randomblob(2000), 20000)",
    )?;
    Ok(story)
}

/// Every row of the source is in the table, once, as it is now.
fn is_exact(story: &Story, ended: &RunDetail) -> Result<()> {
    succeeded(ended)?;
    ensure!(ended.attempt_list.len() == 2, "{:?}\n{}", ended.attempt_list, story.sandbox.log());
    story.table_is_exactly(ROWS + 1)?;
    let merged = "select count(*) from t where id % 3 = 0 and rev = id + 10000";
    let found = readers::query(&story.sandbox.path("lake/items"), merged)?.agreed();
    ensure!(found == serde_json::json!([[ROWS / 3]]), "{found} rows as they are now");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_while_rows_are_merged_is_replaced_and_every_row_is_there_once() -> Result<()> {
    for point in ["merged", "prepare_granted", "commit_applied"] {
        let story = second_run(&format!("{point}=kill")).await?;
        let run = story.sandbox.trigger("items").await?;
        let ended = story.sandbox.ended(run).await?;
        ensure!(story.marker.fired()?.len() == 1, "the fault fired once");
        is_exact(&story, &ended)?;
        ensure!(story.commits() == 2, "{point}: {} commits", story.commits());
        let receipt = story.sandbox.client.run_receipt(run).await?;
        ensure!(receipt.streams[0].adopted == (point == "commit_applied"), "{point}: {receipt:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_that_an_optimize_overtakes_is_tried_again_and_every_row_is_there_once() -> Result<()> {
    let story = second_run("merged=stop").await?;
    let run = story.sandbox.trigger("items").await?;
    let worker = story.marker.fires(1).await?;
    change(&story.sandbox.path("lake/items"), Foreign::Compact)?;
    wake(worker).await?;
    let ended = story.sandbox.ended(run).await?;
    is_exact(&story, &ended)?;
    let first = ended.attempt_list[0].failure.as_ref().map(|failure| failure.code.to_string());
    ensure!(first.as_deref() == Some("merge_overtaken"), "the first attempt ended with {first:?}");
    ensure!(
        story.commits() == 3,
        "{} commits: the first run's, the other writer's and the second one's",
        story.commits()
    );
    let events = story.sandbox.client.run_events(run, &EventQuery::default()).await?;
    let replaced: Vec<_> =
        events.items.iter().filter(|event| event.code == "rows_replaced").map(|event| event.count).collect();
    ensure!(replaced == [Some(666)], "{replaced:?}");
    Ok(())
}
