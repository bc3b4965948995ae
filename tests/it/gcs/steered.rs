//! Runs of a whole product into Google Cloud Storage, with workers that die and answers that are lost on their way.

use std::path::Path;

use anyhow::{Result, ensure};
use waybill_tests::process::signal;
use waybill_tests::services::gcs::{BUCKET, Emulator, Gcs};
use waybill_tests::services::s3_proxy::{Break, Gate};

use crate::faults::lake::{FILES, Lake, PARTS, Shelf, killed};
use crate::remote::rule;

/// In the request that commits, and in the one for a file's second chunk.
const COMMIT: &str = "_delta_log%2F0000";
const SECOND: &str = " bytes 8388608-";

impl Shelf for Gcs {
    const VARIABLES: &[(&str, &str)] = &[];

    async fn start() -> Self {
        Self::start(Emulator::FakeGcs).await
    }

    fn port(&self) -> u16 {
        self.port()
    }

    fn connection(endpoint: &str) -> String {
        format!("{{ type: gcs, bucket: {BUCKET}, prefix: raw, endpoint: \"{endpoint}\", anonymous: true }}")
    }

    async fn keys(&self) -> Vec<String> {
        self.names().await
    }

    async fn copy(&self, prefix: &str, to: &Path) -> std::io::Result<()> {
        self.copy(prefix, to).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f34_a_steered_commit_into_google_whose_answer_is_lost_is_read_back_and_nothing_is_deleted() -> Result<()> {
    let lake = Lake::<Gcs>::start(FILES, &[rule("POST", COMMIT, 1, Break::LoseAnswer)]).await?;
    let ended = lake.bears(&[1]).await?;
    let told = lake.story.sandbox.codes(ended.run.id).await?;
    ensure!(told.iter().any(|code| code == "commit_read_back"), "{told:?}");
    let (deletes, puts) = (lake.proxy.count("DELETE", ""), lake.proxy.answers("POST", COMMIT));
    ensure!((deletes, &puts[..]) == (0, &[200]), "{deletes} deletes; commits were answered {puts:?}");
    ensure!(lake.keys("/data/").await.len() > 1, "the files are one file");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f7_a_worker_killed_when_its_commit_has_landed_in_google_unanswered_is_adopted() -> Result<()> {
    let gate = Gate::default();
    let lake = Lake::<Gcs>::start(FILES, &[rule("POST", COMMIT, 1, Break::HoldAnswer(gate.clone()))]).await?;
    let ended = killed(&lake, &gate).await?;
    let receipt = lake.story.sandbox.client.run_receipt(ended.run.id).await?;
    ensure!(receipt.streams[0].adopted, "the commit was there, and rows were copied again");
    ensure!(lake.proxy.answers("POST", COMMIT) == [200], "{:?}", lake.proxy.answers("POST", COMMIT));
    lake.is_exact().await
}

#[tokio::test(flavor = "multi_thread")]
async fn f3_a_worker_killed_between_two_chunks_of_a_file_in_google_is_replaced() -> Result<()> {
    let gate = Gate::default();
    let lake = Lake::<Gcs>::start(PARTS, &[rule("PUT", SECOND, 1, Break::HoldRequest(gate.clone()))]).await?;
    let (run, worker) = lake.begins(&gate).await?;
    ensure!(lake.proxy.answered("PUT", " bytes 0-", 1).await == [308], "the first chunk did not arrive");
    signal(worker, "KILL")?;
    ensure!(lake.keys("/data/").await.is_empty(), "the object was there before its end");
    lake.story.succeeds(run, 2).await?;
    ensure!(lake.proxy.fired() == [1] && lake.keys("/data/").await.len() == 1, "{:?}", lake.keys("/data/").await);
    lake.is_exact().await
}
