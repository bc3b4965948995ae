//! Rows that are not what their stream expects, in a whole run: told by number and count, and not tried again.

use anyhow::{Result, ensure};
use waybill_api::client::EventQuery;
use waybill_model::RunId;
use waybill_tests::sandbox::Options;

use super::super::story::{Rows, Story};

/// Level and text of what was told of expectations.
async fn told(story: &Story, run: RunId) -> Result<Vec<(String, String)>> {
    let query = EventQuery { limit: Some(200), ..EventQuery::default() };
    let events = story.sandbox.client.run_events(run, &query).await?.items;
    let of_them = events.into_iter().filter(|event| event.code.starts_with("expectation_"));
    Ok(of_them.map(|event| (event.level, event.text)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_expectation_is_told_by_its_number_and_not_tried_again() -> Result<()> {
    let story = Story::with_rows(Rows { many: 20, noise: 32 }, |_| Ok(Options::default())).await?;
    let lake = format!("{{ type: local, path: \"{}\" }}", story.sandbox.path("lake").display());
    let expect = |policy: &str| {
        format!("every-stream: {{ expect: [{{ unique: [id] }}, {{ range: {{ column: id, max: 3 }}{policy} }}] }}")
    };
    story.apply("full", &lake, &expect(", on-failure: warn")).await?;
    let warned = story.delivers(1).await?;
    let wanted = |level: &str| vec![(level.to_owned(), "items: expectation 2 (range of id): 17 rows".to_owned())];
    ensure!(told(&story, warned.run.id).await? == wanted("warn"), "{:?}", told(&story, warned.run.id).await?);
    story.table_is_exactly(20)?;

    story.apply("full", &lake, &expect("")).await?;
    story.insert(21, 21)?;
    let run = story.sandbox.trigger("items").await?;
    let failed = story.sandbox.ended(run).await?;
    ensure!(failed.run.state.to_string() == "failed" && failed.attempt_list.len() == 1, "{failed:?}");
    let code = failed.streams[0].failure.as_ref().map(|failure| failure.code.to_string());
    ensure!(code.as_deref() == Some("expectation_failed"), "{failed:?}");
    let eighteen = vec![("error".to_owned(), "items: expectation 2 (range of id): 18 rows".to_owned())];
    ensure!(told(&story, run).await? == eighteen, "{:?}", told(&story, run).await?);
    let shown = story.sandbox.cli(&["run", "events", &run.to_string()])?;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    ensure!(shown.contains("items: expectation 2 (range of id): 18 rows"), "{shown}");
    story.table_is_exactly(20)
}
