//! A worker whose lake, or an orchestrator whose database lies on a disk that is full, and has room again.

use std::path::Path;

use anyhow::{Result, ensure};
use waybill_tests::process::wake;
use waybill_tests::sandbox::Options;
use waybill_tests::small_disk;

use super::super::story::{Rows, Story, holds_exactly};
use super::database::{asleep, kept, patient, until_it_has_none};
use super::until_no_lease_holds;

const NAME: &str =
    "faults::full_disk::f39_a_run_without_room_commits_nothing_and_the_next_one_in_the_same_place_delivers";
const ROWS: Rows = Rows { many: 3_000, noise: 1_000 };

/// Names below a directory that hold this.
fn left(below: &Path, holds: &str) -> Result<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir(below)? {
        let entry = entry?;
        count += usize::from(entry.file_name().to_string_lossy().contains(holds));
        if entry.file_type()?.is_dir() {
            count += left(&entry.path(), holds)?;
        }
    }
    Ok(count)
}

#[tokio::test(flavor = "multi_thread")]
async fn f39_a_run_without_room_commits_nothing_and_the_next_one_in_the_same_place_delivers() -> Result<()> {
    let Some(disk) = small_disk::inside(NAME, "24m") else { return Ok(()) };
    let story = Story::with_rows(ROWS, |_| Ok(Options::default())).await?;
    let lake = disk.join("lake");
    let table = lake.join("items");
    let connection = format!("{{ type: local, path: \"{}\" }}", lake.display());
    story.apply("full", &connection, "files: { size: 1MiB }").await?;
    story.delivers(1).await?;
    holds_exactly(&table, ROWS.many)?;
    story.insert(ROWS.many + 1, ROWS.many + 500)?;
    // Room for no file, and for all of several but the last.
    for free in [64 << 10, 3_300 << 10] {
        let filler = small_disk::fill(&disk, free);
        let ended = story.sandbox.ended(story.sandbox.trigger("items").await?).await?;
        let why = ended.run.failure.as_ref().map(|failure| failure.code.to_string());
        ensure!(why.as_deref() == Some("bucket_full"), "with {free} bytes: {why:?}\n{}", story.sandbox.log());
        ensure!(ended.attempt_list.len() == 1, "it was tried again: {:?}", ended.attempt_list);
        ensure!(left(&table.join("_delta_log"), ".json")? == 1, "a commit of a run that failed");
        holds_exactly(&table, ROWS.many)?;
        std::fs::remove_file(filler)?;
    }
    story.delivers(1).await?;
    holds_exactly(&table, ROWS.many + 500)?;
    ensure!(left(&table, ".waybill-tmp-")? == 0, "temporary files stay behind");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f39_a_run_outlasts_an_orchestrator_without_room_for_its_database() -> Result<()> {
    const NAME: &str = "faults::full_disk::f39_a_run_outlasts_an_orchestrator_without_room_for_its_database";
    let Some(disk) = small_disk::inside(NAME, "16m") else { return Ok(()) };
    let place = disk.join("waybill.db");
    let url = format!("sqlite://{}", place.display());
    let story = Story::start("full", |marker| Ok(patient(marker).with("DATABASE__URL", &url))).await?;
    let (run, worker, before) = asleep(&story, &story.marker).await?;
    let filler = small_disk::fill(&disk, 0);
    // What the file has set aside is used up first.
    until_it_has_none(&story.sandbox).await?;
    wake(worker).await?;
    until_no_lease_holds(&place).await?;
    ensure!(story.commits() == 0, "it committed without leave");
    std::fs::remove_file(filler)?;
    kept(&before, &story.succeeds(run, 1).await?)?;
    story.table_is_exactly(super::super::story::ROWS)
}
