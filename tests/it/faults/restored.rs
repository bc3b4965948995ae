//! An orchestrator whose database comes back from yesterday's copy: what it forgot stands in the bucket.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;
use waybill_model::Micros;

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

/// What a clock that runs two days ahead leaves: an orchestrator that gives such epochs and accepts them itself, and a table
/// that holds one. The clock and the database are then put right; the table is not.
async fn leave_an_epoch_ahead(story: &mut Story, backup: &Path) -> Result<i64> {
    let ports = story.sandbox.ports()?;
    story.sandbox.kill_orchestrator()?;
    copy(&story.sandbox.path("state"), backup)?;
    let ahead = Micros::now().plus(Duration::from_secs(48 * 3_600)).0;
    let file = rusqlite::Connection::open(story.sandbox.path("state/waybill.db"))?;
    ensure!(file.execute("update pipeline set last_epoch = ?1, accepted_epoch = ?1", [ahead])? == 1);
    drop(file);
    story.sandbox.restart(&ports).await?;
    story.insert(ROWS + 1, ROWS + 500)?;
    let far = story.delivers(1).await?.attempt_list[0].epoch;
    ensure!(far == ahead + 1, "the epoch {far} was given, {ahead} was the last");
    story.sandbox.kill_orchestrator()?;
    copy(backup, &story.sandbox.path("state"))?;
    let marks = story.sandbox.path("lake/items/_waybill/accepted-epochs");
    ensure!(std::fs::read_dir(&marks)?.count() == 1, "the table does not say which epoch it accepted");
    std::fs::remove_dir_all(marks)?;
    story.sandbox.restart(&ports).await?;
    Ok(far)
}

#[tokio::test(flavor = "multi_thread")]
async fn f50_one_command_mends_a_table_whose_epoch_stands_days_ahead_and_no_row_is_lost_or_doubled() -> Result<()> {
    let mut story = Story::start("new", |marker| first_task(marker, ":")).await?;
    story.delivers(1).await?;
    let backup = tempfile::tempdir()?;
    let far = leave_an_epoch_ahead(&mut story, backup.path()).await?;

    // It is refused, by its code and with the number, until somebody accepts it; nothing is written.
    story.insert(ROWS + 501, ROWS + 700)?;
    let refused = story.sandbox.ended(story.sandbox.trigger("items").await?).await?;
    let failure = refused.run.failure.clone().map(|failure| (failure.code.to_string(), failure.hint));
    ensure!(failure.as_ref().is_some_and(|(code, _)| code == "epoch_ahead"), "{failure:?}\n{}", story.sandbox.log());
    ensure!(failure.is_some_and(|(_, hint)| hint.contains("waybill pipeline accept-epoch")));
    ensure!(story.sandbox.codes(refused.run.id).await?.contains(&"epoch_ahead".to_owned()));
    ensure!(story.commits() == 2 && refused.attempt_list.len() == 1, "{} commits", story.commits());
    let pipeline = story.sandbox.pipeline("items").await?;
    ensure!(story.sandbox.client.pipeline_get(pipeline).await?.value.epoch_ahead == Some(far));

    let accepted = story.sandbox.cli(&["pipeline", "accept-epoch", "items", "-o", "json"])?;
    ensure!(accepted.status.success(), "{}", String::from_utf8_lossy(&accepted.stderr));
    ensure!(serde_json::from_slice::<Value>(&accepted.stdout)?.get("epoch_ahead").is_none());
    let again = story.sandbox.cli(&["pipeline", "accept-epoch", "items"])?;
    ensure!(again.status.code() == Some(5), "accepted twice: {}", String::from_utf8_lossy(&again.stderr));
    for (run, to) in [ROWS + 700, ROWS + 800].into_iter().enumerate() {
        story.insert(ROWS + 701, if run == 0 { ROWS + 700 } else { to })?;
        let delivered = story.delivers(1).await?;
        ensure!(delivered.attempt_list[0].epoch > far);
        story.table_is_exactly(to)?;
    }
    ensure!(story.commits() == 4, "{} commits", story.commits());
    let marks = story.sandbox.path("lake/items/_waybill/accepted-epochs");
    ensure!(std::fs::read_dir(marks)?.count() == 1, "the table does not say that it was accepted");
    Ok(())
}
