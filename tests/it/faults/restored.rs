//! An orchestrator whose database comes back from yesterday's copy: what it forgot stands in the bucket.

use std::path::Path;

use anyhow::{Result, ensure};

use super::super::story::{ROWS, Story, first_task};

/// Copies the database and what SQLite keeps beside it, or puts it back.
fn copy(from: &Path, to: &Path) -> Result<()> {
    for name in ["waybill.db", "waybill.db-wal", "waybill.db-shm"] {
        if to.join(name).exists() {
            std::fs::remove_file(to.join(name))?;
        }
        if from.join(name).exists() {
            std::fs::copy(from.join(name), to.join(name))?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f50_a_restored_database_replays_no_cursor_and_goes_on_above_the_epochs_that_it_forgot() -> Result<()> {
    let mut story = Story::start("new", |marker| first_task(marker, ":")).await?;
    let (ports, backup) = (story.sandbox.ports()?, tempfile::tempdir()?);
    let first = story.delivers(1).await?;
    story.sandbox.kill_orchestrator()?;
    copy(&story.sandbox.path("state"), backup.path())?;
    story.sandbox.restart(&ports).await?;
    story.insert(ROWS + 1, ROWS + 500)?;
    let forgotten = story.delivers(1).await?;
    story.table_is_exactly(ROWS + 500)?;

    story.sandbox.kill_orchestrator()?;
    copy(backup.path(), &story.sandbox.path("state"))?;
    story.sandbox.restart(&ports).await?;
    ensure!(story.sandbox.client.run_get(first.run.id).await.is_ok(), "the copy does not hold the first run");
    let gone = story.sandbox.client.run_get(forgotten.run.id).await;
    ensure!(gone.is_err_and(|error| error.problem().is_some()), "the database was not restored");
    story.insert(ROWS + 501, ROWS + 700)?;
    let after = story.delivers(1).await?;
    ensure!(after.streams[0].rows == Some(200), "rows that were there came again: {:?}", after.streams);
    let epochs = [&first, &forgotten, &after].map(|run| run.attempt_list[0].epoch);
    ensure!(epochs.is_sorted_by(|before, next| before < next), "{epochs:?}");
    ensure!(story.commits() == 3, "{} commits", story.commits());
    story.table_is_exactly(ROWS + 700)
}
