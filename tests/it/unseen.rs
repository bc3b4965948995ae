//! What leaves the customer's side: unique texts in every cell, key, cursor, column, file name and error path, and a search
//! for them in everything that the orchestrator holds and in every frame that a worker sent, before TLS.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use waybill_api::client::{EventQuery, RunQuery};
use waybill_tests::canary::Canary;

mod freight;
mod planted;

use freight::{as_planned, move_everything};
use planted::Planted;

async fn nothing_left(story: &Planted) -> Result<()> {
    let found = story.found().await?;
    ensure!(found.is_empty(), "left the customer's side:\n{}", found.join("\n"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn t13_no_value_key_cursor_name_or_error_text_reaches_the_orchestrator() -> Result<()> {
    let mut story = Planted::start(&[]).await?;
    as_planned(&move_everything(&mut story, 2).await?)?;
    story.arrived()?;
    nothing_left(&story).await?;
    let paths: BTreeSet<String> = story.calls().await?.into_iter().map(|call| call.path).collect();
    let wanted = [
        "enrolment.v1.Enrolment/Enrol",
        "enrolment.v1.Enrolment/Hello",
        "worker.v1.Worker/Complete",
        "worker.v1.Worker/GetAssignment",
        "worker.v1.Worker/PrepareCommit",
        "worker.v1.Worker/Report",
    ];
    let wanted = wanted.iter().map(|call| format!("/waybill.{call}")).collect();
    ensure!(paths == wanted, "the calls that were made: {paths:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn t13_an_orchestrator_on_postgres_holds_no_value_either_nor_does_its_servers_log() -> Result<()> {
    let mut story = Planted::on_postgres().await?;
    as_planned(&move_everything(&mut story, 2).await?)?;
    story.arrived()?;
    nothing_left(&story).await
}

#[tokio::test(flavor = "multi_thread")]
async fn t13_a_panic_leaves_as_a_hash_of_its_place() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let order = format!("files_closed=panic;{}", scratch.path().join("fired").display());
    let mut story = Planted::start(&[("WAYBILL_FAULT", &order)]).await?;
    move_everything(&mut story, 1).await?;
    ensure!(scratch.path().join("fired").exists(), "the panic did not happen");
    let mut told = String::new();
    for run in story.sandbox.client.run_list(&RunQuery::default()).await?.items {
        let events = story.sandbox.client.run_events(run.id, &EventQuery::default()).await?.items;
        told.push_str(&serde_json::to_string(&events)?);
    }
    ensure!(told.contains("a defect in the worker at location "), "nobody was told: {told}");
    nothing_left(&story).await
}

#[tokio::test(flavor = "multi_thread")]
async fn t13_a_leak_planted_in_a_test_build_is_found() -> Result<()> {
    let leak = Canary::new("leak");
    let mut story = Planted::start(&[("WAYBILL_LEAK", leak.text())]).await?;
    story.look_for(leak);
    move_everything(&mut story, 1).await?;
    let found = story.found().await?;
    let calls: Vec<&String> = found.iter().filter(|line| line.contains("canaryleak")).collect();
    ensure!(calls.iter().any(|line| line.ends_with("the messages of /waybill.worker.v1.Worker/Report")), "{found:?}");
    Ok(())
}

/// A name is the customer's own word and may be known: so the search has to find it wherever the orchestrator keeps it.
async fn a_name_is_found_in(story: &mut Planted, places: &[&str]) -> Result<()> {
    let name = Canary::new("name");
    let dir = story.sandbox.dir.path().display().to_string();
    let document = format!(
        "waybill: 1\nconnections:\n  {}: {{ type: local, path: \"{dir}/lake\" }}\npipelines: {{}}\n",
        name.text()
    );
    story.look_for(name);
    story.sandbox.apply(&document).await?;
    let found = story.found().await?;
    for place in places {
        ensure!(found.iter().any(|line| line.contains(place)), "not found in {place}: {found:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn t13_what_the_orchestrator_stores_is_found_where_it_stores_it() -> Result<()> {
    let mut lite = Planted::start(&[]).await?;
    a_name_is_found_in(&mut lite, &["/waybill.db"]).await?;
    let mut server = Planted::on_postgres().await?;
    a_name_is_found_in(&mut server, &["table connection", "the log of the orchestrator's database"]).await
}
