//! What the tests of buckets behind HTTP share: bytes, uploads, short waits, and faults in a line.

pub(crate) mod faults;
pub(crate) mod giver;
pub(crate) mod listening;
pub(crate) mod once;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use waybill_connectors::bucket::remote::Patience;
use waybill_connectors::source::files::Files;
use waybill_pipeline::source::Want;
use waybill_pipeline::{Bucket, BucketError, Put, Source};
use waybill_tests::services::s3_proxy::{Break, Rule};

pub(crate) const MIB: usize = 1 << 20;

/// Waits in tests are short; how often calls are tried again is as in production.
pub(crate) const PATIENCE: Patience = Patience {
    tries: 8,
    first_wait: Duration::from_millis(1),
    longest_wait: Duration::from_millis(20),
    throttled_for: Duration::from_secs(30),
};

pub(crate) const fn rule(method: &'static str, holds: &'static str, times: usize, breaks: Break) -> Rule {
    Rule { method, holds, times, breaks }
}

/// Bytes that differ everywhere.
pub(crate) fn content(length: usize) -> Bytes {
    let mut state = 0x9e37_79b9_u32;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    (0..length).map(|_| byte()).collect::<Vec<u8>>().into()
}

pub(crate) async fn upload(bucket: &dyn Bucket, key: &str, body: &Bytes) -> Result<u64, BucketError> {
    let mut upload = bucket.upload(key).await?;
    for at in (0..body.len()).step_by(MIB) {
        upload.write(body.slice(at..body.len().min(at + MIB))).await?;
    }
    upload.finish().await
}

pub(crate) async fn stored(bucket: &dyn Bucket, key: &str) -> Bytes {
    bucket.get(key, 1 << 30).await.expect("a get").expect("an object")
}

/// These names arrive as they are and are listed so.
pub(crate) async fn keys_arrive(bucket: &dyn Bucket, keys: &[&str]) {
    for key in keys {
        assert_eq!(bucket.put_if_absent(key, Bytes::from((*key).to_owned())).await.expect(key), Put::Created);
    }
    let mut sorted = keys.to_vec();
    sorted.sort_unstable();
    let listed = bucket.list("", None).await.expect("a list");
    assert_eq!(listed.iter().map(|meta| meta.key.as_str()).collect::<Vec<_>>(), sorted);
    for key in keys {
        assert_eq!(stored(bucket, key).await, Bytes::from((*key).to_owned()));
    }
}

/// So many objects are listed behind the tenth, in order, over all pages.
pub(crate) async fn is_listed_whole(bucket: &dyn Bucket, objects: usize) {
    let puts = (0..objects)
        .map(|n| async move { bucket.put_if_absent(&format!("pages/{n:05}"), Bytes::new()).await.expect("a put") });
    futures::stream::iter(puts).buffer_unordered(16).for_each(|put| async move { assert_eq!(put, Put::Created) }).await;
    let listed = bucket.list("pages/", Some("pages/00009")).await.expect("a list");
    assert_eq!((listed.len(), listed[0].key.as_str()), (objects - 10, "pages/00010"));
    assert!(listed.is_sorted_by(|a, b| a.key < b.key));
    let pages: Vec<_> = bucket.pages("pages/").try_collect().await.expect("pages");
    let keys = pages.concat().into_iter().map(|object| object.key).collect::<Vec<_>>();
    assert!(pages.len() > 1, "the listing came at once");
    assert_eq!(keys, (0..objects).map(|n| format!("pages/{n:05}")).collect::<Vec<_>>());
}

/// Of the files in this bucket, the three rows below `in/` are read.
pub(crate) async fn files_are_read(bucket: Arc<dyn Bucket>) {
    let source = Files::new(bucket);
    let plan: waybill_model::plan::StreamPlan =
        serde_json::from_value(serde_json::json!({"name": "in/*.csv", "load": "full"})).expect("a stream");
    let want = Want { lanes: 2, most: 2, batch_bytes: MIB, row_bytes: MIB };
    let snapshot = source.open(&plan, None, want).await.expect("a snapshot");
    let mut lane = snapshot.lane().await.expect("a lane");
    let mut rows = 0;
    while let Some(batch) = lane.next().await.expect("a batch") {
        rows += batch.rows.num_rows();
    }
    assert_eq!(rows, 3);
    snapshot.finish().await.expect("a proof");
}
