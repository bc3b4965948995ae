//! Workers and orchestrators of different minor versions, as real processes: on one side this build, on the other a fault
//! build that stands for a later one. One minor version apart works either way round; two end the run, which says why.

use anyhow::{Result, ensure};
use waybill_protocol::{UPGRADE_REQUIRED, Version};
use waybill_tests::binaries::binary;
use waybill_tests::fault::Marker;
use waybill_tests::sandbox::Options;

use super::super::story::{ROWS, Story, first_task};

/// The order to stand for the version that is so many minor versions after this build's.
pub(crate) fn ahead(marker: &Marker, minors: u32) -> (String, String) {
    let own = Version::current();
    let version = Version { minor: own.minor + minors, ..own };
    ("WAYBILL_FAULT_VERSION".into(), marker.order(&version.to_string()))
}

/// An orchestrator that stands for a later version, and workers of this one.
fn later_orchestrator(marker: &Marker, minors: u32) -> Options {
    let mut options = Options { faults: true, ..Options::default() };
    options.orchestrator.push(ahead(marker, minors));
    options.with("WORKER__PROGRAM", &binary("waybill-worker").display().to_string())
}

/// An orchestrator of this version, and workers that stand for a later one.
fn later_worker(marker: &Marker, minors: u32) -> Result<Options> {
    let (name, order) = ahead(marker, minors);
    let worker = binary("waybill-worker-faults");
    first_task(&marker.beside("task"), &format!("export {name}='{order}'\n  exec {} \"$@\"", worker.display()))
}

async fn is_served(story: &Story) -> Result<()> {
    story.delivers(1).await?;
    story.marker.fired()?;
    story.table_is_exactly(ROWS)
}

async fn is_told_to_upgrade(story: &Story) -> Result<()> {
    let run = story.sandbox.trigger("items").await?;
    let ended = story.sandbox.ended(run).await?;
    story.marker.fired()?;
    let why = ended.run.failure.as_ref().map(|failure| failure.code.to_string());
    ensure!(why.as_deref() == Some("upgrade_required"), "{:?}\n{}", ended.run.failure, story.sandbox.log());
    // Another attempt would end the same way.
    ensure!(ended.attempt_list.len() == 1 && ended.attempt_list[0].enrolled_at.is_none(), "{:?}", ended.attempt_list);
    ensure!(story.exit_of(ended.attempt_list[0].id).await? == i32::from(UPGRADE_REQUIRED));
    ensure!(story.commits() == 0, "something was committed");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f53_a_worker_of_the_minor_version_before_the_orchestrators_is_served() -> Result<()> {
    is_served(&Story::start("full", |marker| Ok(later_orchestrator(marker, 1))).await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn f53_a_worker_of_the_minor_version_after_the_orchestrators_is_served() -> Result<()> {
    is_served(&Story::start("full", |marker| later_worker(marker, 1)).await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn f53_a_worker_two_minor_versions_behind_ends_its_run_as_upgrade_required() -> Result<()> {
    is_told_to_upgrade(&Story::start("full", |marker| Ok(later_orchestrator(marker, 2))).await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn f53_a_worker_two_minor_versions_ahead_ends_its_run_as_upgrade_required() -> Result<()> {
    is_told_to_upgrade(&Story::start("full", |marker| later_worker(marker, 2)).await?).await
}
