//! A worker process whose certificate can't be renewed for a while: in time again, or not before it is over.

use std::time::Duration;

use anyhow::{Result, ensure};
use waybill_model::{Micros, RunId};
use waybill_tests::fault::Marker;
use waybill_tests::process::is_alive;
use waybill_tests::sandbox::Options;

use super::super::story::{ROWS, Story};

/// Life of a certificate, in seconds: renewed at half of it.
const LIFE: u64 = 6;

/// A run whose worker rests with all files closed, on a link that works, and whose certificate is not renewed until `refused`
/// is released; its worker.
async fn resting(grace: &str) -> Result<(Story, Marker, RunId, u32)> {
    let story = Story::start("full", |marker| {
        let orders = [marker.order("files_closed=pause"), marker.beside("refused").order("renew=repeat")];
        let life = Options::default().with("BOUNDS__WORKER_CERTIFICATE", &format!("{LIFE}s"));
        Ok(life.with("BOUNDS__OFFLINE_GRACE", grace).with_faults(&orders))
    })
    .await?;
    let refused = story.marker.beside("refused");
    let run = story.sandbox.trigger("items").await?;
    let worker = story.marker.fires(1).await?;
    refused.fires(1).await?;
    Ok((story, refused, run, worker))
}

/// Ends of the certificates that were issued, first one first.
fn ends(story: &Story) -> Result<Vec<Micros>> {
    let database = rusqlite::Connection::open(story.sandbox.path("state/waybill.db"))?;
    let mut found = database.prepare("select not_after from certificate order by not_after")?;
    let ends = found.query_map([], |row| Ok(Micros(row.get(0)?)))?;
    Ok(ends.collect::<Result<_, _>>()?)
}

/// Waits until a certificate is over.
async fn over(end: Micros) {
    while Micros::now() <= end {
        tokio::time::sleep(Duration::from_millis(50)).await; // a clock's hand, bounded by the certificate's life
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f23_a_renewal_that_fails_for_a_while_is_made_up_for_before_the_certificate_ends() -> Result<()> {
    let (story, refused, run, worker) = resting("6s").await?;
    refused.fires(2).await?;
    let first = ends(&story)?[0];
    ensure!(Micros::now() < first, "the first certificate was over before its renewal was refused twice");
    refused.release()?;
    while ends(&story)?.len() < 2 {
        ensure!(Micros::now() < first.plus(Duration::from_secs(1)), "it was not renewed in time");
        tokio::time::sleep(Duration::from_millis(25)).await; // a poll, bounded above
    }
    over(first).await;
    ensure!(is_alive(worker), "the worker left");
    story.marker.release()?;
    story.succeeds(run, 1).await?;
    ensure!(story.commits() == 1, "{} commits", story.commits());
    story.table_is_exactly(ROWS)
}

#[tokio::test(flavor = "multi_thread")]
async fn f23_a_certificate_that_ends_before_it_can_be_renewed_ends_its_attempt_and_the_next_one_delivers() -> Result<()>
{
    let (story, refused, run, worker) = resting("3s").await?;
    let issued = ends(&story)?;
    over(issued[0]).await;
    ensure!(ends(&story)?.len() == 1 && refused.fired()?.len() > 1, "it was renewed, or nobody asked again");
    // The orchestrator would renew again, but whose certificate is over is nobody.
    refused.release()?;
    let attempt = story.sandbox.client.run_get(run).await?.attempt_list[0].id;
    story.sandbox.told(run, "unreachable").await?;
    story.marker.release()?;
    let code = story.exit_of(attempt).await?;
    ensure!(code == 69 && !is_alive(worker), "it left with {code}");
    let ended = story.succeeds(run, 2).await?;
    ensure!(ended.attempt_list[0].state.to_string() == "lost", "{:?}", ended.attempt_list);
    ensure!(story.commits() == 1, "{} commits", story.commits());
    story.table_is_exactly(ROWS)
}
