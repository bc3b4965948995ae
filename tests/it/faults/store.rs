//! Whole runs into S3 through a proxy that loses, delays or forges what store and worker say to each other. What is in the
//! table is read out of the store, past our own client, by DuckDB and delta-rs.

use anyhow::{Result, ensure};
use waybill_api::run::RunStart;
use waybill_model::run::RunKind;
use waybill_tests::process::signal;
use waybill_tests::services::s3::{BUCKET, Roto};
use waybill_tests::services::s3_proxy::{Break, Gate};

use super::lake::{COMMIT, FILES, Lake as AnyLake, PARTS, Shelf, killed};
use crate::remote::rule;

/// What puts the parts of an upload together.
const COMPLETION: &str = "uploadId=";

type Lake = AnyLake<Roto>;

impl Shelf for Roto {
    const VARIABLES: &[(&str, &str)] = &[("LAKE_KEY", "waybill"), ("LAKE_SECRET", "very-secret-key")];

    async fn start() -> Self {
        Self::start().await
    }

    fn port(&self) -> u16 {
        self.port()
    }

    fn connection(endpoint: &str) -> String {
        format!(
            "{{ type: s3, bucket: {BUCKET}, prefix: raw, region: us-east-1, endpoint: \"{endpoint}\", \
             access-key: env://LAKE_KEY, secret-key: env://LAKE_SECRET }}"
        )
    }

    async fn keys(&self) -> Vec<String> {
        self.keys().await
    }

    async fn copy(&self, prefix: &str, to: &std::path::Path) -> std::io::Result<()> {
        self.copy(prefix, to).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f34_a_commit_whose_answer_is_lost_is_read_back_and_nothing_is_deleted() -> Result<()> {
    let lake = Lake::start(FILES, &[rule("PUT", COMMIT, 1, Break::LoseAnswer)]).await?;
    let ended = lake.bears(&[1]).await?;
    let told = lake.story.sandbox.codes(ended.run.id).await?;
    ensure!(told.iter().any(|code| code == "commit_read_back"), "{told:?}");
    let (deletes, puts) = (lake.proxy.count("DELETE", ""), lake.proxy.answers("PUT", COMMIT));
    ensure!((deletes, &puts[..]) == (0, &[200]), "{deletes} deletes; commits were answered {puts:?}");
    ensure!(lake.keys("/data/").await.len() > 1, "the files are one file");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f34_an_upload_whose_completion_is_not_answered_is_settled_by_what_the_store_holds() -> Result<()> {
    let lake = Lake::start(PARTS, &[rule("POST", COMPLETION, 1, Break::LoseAnswer)]).await?;
    lake.bears(&[1]).await?;
    ensure!(lake.proxy.answers("POST", COMPLETION) == [200], "it was completed twice");
    ensure!(lake.proxy.count("DELETE", "") == 0 && lake.keys("/data/").await.len() == 1, "something was done again");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f35_a_commit_and_an_upload_that_conflict_are_tried_again() -> Result<()> {
    let conflict = Break::Answer(409, "ConditionalRequestConflict");
    let rules = [rule("PUT", COMMIT, 2, conflict.clone()), rule("POST", COMPLETION, 2, conflict)];
    let lake = Lake::start(PARTS, &rules).await?;
    lake.bears(&[2, 2]).await?;
    let puts = lake.proxy.count("PUT", COMMIT);
    ensure!(puts == 3 && lake.proxy.answers("PUT", COMMIT) == [200], "{puts} commits were sent");
    ensure!(lake.server.open_uploads().await == 0, "parts are left");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f36_a_store_that_ignores_the_condition_is_refused_by_a_check_and_by_a_run() -> Result<()> {
    let lake = Lake::start(FILES, &[rule("PUT", "", usize::MAX, Break::DropCondition)]).await?;
    let pipeline_id = Some(lake.story.sandbox.pipeline("items").await?);
    for kind in [RunKind::Check, RunKind::Sync] {
        let before = lake.proxy.fired()[0];
        let start = RunStart { pipeline_id, kind: Some(kind), ..RunStart::default() };
        let run = lake.story.sandbox.client.run_start(&start).await?.run.id;
        let ended = lake.story.sandbox.ended(run).await?;
        ensure!(lake.proxy.fired()[0] > before, "no condition was dropped");
        let why = ended.run.failure.as_ref().map(|failure| failure.code.to_string());
        ensure!(why.as_deref() == Some("bucket_unconditional"), "{kind}: {why:?}\n{}", lake.story.sandbox.log());
        ensure!(ended.attempt_list.len() == 1, "{kind}: it was tried again: {:?}", ended.attempt_list);
        ensure!(lake.keys("_delta_log/").await.is_empty(), "{kind}: something was committed");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f3_a_worker_killed_between_two_parts_of_an_upload_is_replaced() -> Result<()> {
    let gate = Gate::default();
    let lake = Lake::start(PARTS, &[rule("PUT", "partNumber=2", 1, Break::HoldRequest(gate.clone()))]).await?;
    let (run, worker) = lake.begins(&gate).await?;
    ensure!(lake.proxy.answered("PUT", "partNumber=1", 1).await == [200], "the first part did not arrive");
    signal(worker, "KILL")?;
    ensure!(lake.keys("/data/").await.is_empty() && lake.server.open_uploads().await == 1, "the upload had ended");
    lake.story.succeeds(run, 2).await?;
    ensure!(lake.proxy.fired() == [1] && lake.proxy.count("PUT", "partNumber=3") > 0, "there were no three parts");
    lake.is_exact().await
}

#[tokio::test(flavor = "multi_thread")]
async fn f4_a_worker_killed_after_its_last_part_leaves_an_upload_whose_late_completion_changes_nothing() -> Result<()> {
    let gate = Gate::default();
    let lake = Lake::start(PARTS, &[rule("POST", COMPLETION, 1, Break::HoldRequest(gate.clone()))]).await?;
    let (run, worker) = lake.begins(&gate).await?;
    let parts = lake.proxy.answers("PUT", "partNumber=");
    ensure!(parts == [200; 3], "its parts were answered {parts:?}");
    ensure!(lake.keys("/data/").await.is_empty(), "the object was there before it was put together");
    signal(worker, "KILL")?;
    lake.story.succeeds(run, 2).await?;
    lake.is_exact().await?;
    // What the dead worker asked for is done only now: an object that no commit names.
    gate.open();
    ensure!(lake.proxy.answered("POST", COMPLETION, 2).await == [200, 200], "it was not put together");
    ensure!(lake.keys("/data/").await.len() == 2, "{:?}", lake.keys("/data/").await);
    lake.is_exact().await
}

#[tokio::test(flavor = "multi_thread")]
async fn f7_a_worker_killed_when_its_commit_has_landed_unanswered_is_adopted() -> Result<()> {
    let gate = Gate::default();
    let lake = Lake::start(FILES, &[rule("PUT", COMMIT, 1, Break::HoldAnswer(gate.clone()))]).await?;
    let ended = killed(&lake, &gate).await?;
    let receipt = lake.story.sandbox.client.run_receipt(ended.run.id).await?;
    ensure!(receipt.streams[0].adopted, "the commit was there, and rows were copied again");
    ensure!(lake.proxy.answers("PUT", COMMIT) == [200], "{:?}", lake.proxy.answers("PUT", COMMIT));
    lake.is_exact().await
}

#[tokio::test(flavor = "multi_thread")]
async fn f7_a_dead_workers_commit_that_arrives_after_the_next_attempts_is_refused_by_the_store() -> Result<()> {
    let gate = Gate::default();
    let lake = Lake::start(FILES, &[rule("PUT", COMMIT, 1, Break::HoldRequest(gate.clone()))]).await?;
    killed(&lake, &gate).await?;
    lake.is_exact().await?;
    gate.open();
    let answers = lake.proxy.answered("PUT", COMMIT, 2).await;
    ensure!(answers == [200, 412], "commits were answered {answers:?}");
    lake.is_exact().await
}

#[tokio::test(flavor = "multi_thread")]
async fn f7_a_dead_workers_commit_that_arrives_before_the_next_attempts_is_adopted() -> Result<()> {
    let (first, second) = (Gate::default(), Gate::default());
    let holds = |gate: &Gate| rule("PUT", COMMIT, 1, Break::HoldRequest(gate.clone()));
    let lake = Lake::start(FILES, &[holds(&first), holds(&second)]).await?;
    let (run, worker) = lake.begins(&first).await?;
    signal(worker, "KILL")?;
    // The next attempt has copied everything, and its own commit is under way.
    second.reached().await;
    first.open();
    ensure!(lake.proxy.answered("PUT", COMMIT, 1).await == [200], "the dead worker's commit did not land");
    second.open();
    let ended = lake.story.succeeds(run, 2).await?;
    let answers = lake.proxy.answers("PUT", COMMIT);
    ensure!(answers == [200, 412], "commits were answered {answers:?}");
    let receipt = lake.story.sandbox.client.run_receipt(ended.run.id).await?;
    ensure!(receipt.streams[0].adopted, "the run has a commit of each attempt");
    lake.is_exact().await
}
