//! The S3 bucket against a real server, with and without a proxy that breaks what passes through it.
//!
//! Every test with a break asserts that it happened. What the server can't do is listed in docs/assurance/s3-and-files.md.

mod credentials;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use waybill_connectors::bucket::remote::{Parts, Patience};
use waybill_connectors::bucket::s3::{S3Bucket, StaticKeys, Way};
use waybill_connectors::dial::{Dialer, Rules};
use waybill_connectors::source::files::Files;
use waybill_model::FailureCode;
use waybill_model::plan::S3Access;
use waybill_pipeline::commit::probe_conditions;
use waybill_pipeline::{Bucket, Put, Source};
use waybill_tests::services::s3::{BUCKET, Roto};
use waybill_tests::services::s3_proxy::{Break, Rule, S3Proxy};

use crate::remote::{MIB, PATIENCE, content, rule, stored, upload};

async fn bucket(endpoint: String) -> S3Bucket {
    let access = S3Access { region: Some("us-east-1".into()), endpoint: Some(endpoint), ..S3Access::default() };
    let keys = StaticKeys::new("AKIDEXAMPLE", "very-secret-key");
    let way = Way { access: &access, keys: Some(keys), dialer: Dialer::new(Rules::local()) };
    let bucket = S3Bucket::connect(BUCKET, "raw/shop", way, 256 << 20).await.expect("a bucket");
    bucket.with(PATIENCE, Parts { bytes: 5 << 20, in_flight: 2 })
}

async fn broken(rules: &[Rule]) -> (Roto, S3Proxy, S3Bucket) {
    let server = Roto::start().await;
    let proxy = S3Proxy::before(server.port()).await;
    for rule in rules {
        proxy.inject(rule.clone());
    }
    let bucket = bucket(proxy.endpoint()).await;
    (server, proxy, bucket)
}

#[tokio::test]
async fn s3_passes_the_bucket_suite() {
    let server = Roto::start().await;
    waybill_pipeline::conformance::bucket::run(Arc::new(bucket(server.endpoint()).await)).await;
}

#[tokio::test]
async fn an_upload_of_many_parts_arrives_whole_and_a_small_one_in_one_put() {
    let (_server, proxy, bucket) = broken(&[]).await;
    let (large, small) = (content(17 * MIB + 123), content(1000));
    assert_eq!(upload(&bucket, "data/large", &large).await.expect("an upload"), large.len() as u64);
    assert_eq!(proxy.count("PUT", "partNumber="), 4);
    assert_eq!(stored(&bucket, "data/large").await, large);
    upload(&bucket, "data/small", &small).await.expect("an upload");
    assert_eq!((proxy.count("POST", "data/small"), proxy.count("PUT", "data/small")), (0, 1));
    assert_eq!(stored(&bucket, "data/small").await, small);
}

/// F33
#[tokio::test]
async fn slow_down_is_waited_out_and_counted() {
    let slow = Break::Answer(503, "SlowDown");
    let (_server, proxy, bucket) =
        broken(&[rule("PUT", "partNumber=2", 30, slow.clone()), rule("GET", "data/x", 20, slow)]).await;
    let body = content(11 * MIB);
    upload(&bucket, "data/x", &body).await.expect("an upload");
    assert_eq!(stored(&bucket, "data/x").await, body);
    assert_eq!(proxy.fired(), [30, 20]);
    assert_eq!(bucket.throttled(), 50);
}

/// F33
#[tokio::test]
async fn slow_down_without_end_is_bucket_throttled() {
    let (_server, proxy, bucket) = broken(&[rule("HEAD", "x", usize::MAX, Break::Answer(429, "SlowDown"))]).await;
    let bucket = bucket.with(Patience { throttled_for: Duration::from_secs(2), ..PATIENCE }, Parts::for_memory(0));
    let error = bucket.head("x").await.expect_err("throttled");
    assert_eq!(error.code, FailureCode::BucketThrottled);
    assert!(proxy.fired()[0] > 2);
}

/// F33
#[tokio::test]
async fn server_errors_and_resets_are_tried_again_within_bounds() {
    let (_server, proxy, bucket) = broken(&[
        rule("PUT", "partNumber=1", 3, Break::Answer(500, "InternalError")),
        rule("PUT", "partNumber=2", 3, Break::CutRequest),
        rule("PUT", "partNumber=3", 2, Break::LoseAnswer),
        rule("POST", "uploads", 2, Break::LoseAnswer),
        rule("GET", "list-type=2", 2, Break::CutAnswer(20)),
        rule("GET", "always", usize::MAX, Break::Answer(500, "InternalError")),
    ])
    .await;
    let body = content(12 * MIB);
    upload(&bucket, "data/x", &body).await.expect("an upload");
    let listed = bucket.list("data/", None).await.expect("a list");
    assert_eq!(
        listed.iter().map(|meta| (meta.key.as_str(), meta.size)).collect::<Vec<_>>(),
        [("data/x", body.len() as u64)]
    );
    let error = bucket.get("always", 10).await.expect_err("an error");
    assert_eq!(error.code, FailureCode::BucketFailed);
    assert_eq!(proxy.fired(), [3, 3, 2, 2, 2, 8]);
}

/// F34: the put took effect and its answer was lost. The call says that it does not know, and is not sent twice.
#[tokio::test]
async fn a_lost_answer_to_a_conditional_put_is_unknown_and_sent_once() {
    for breaks in
        [Break::LoseAnswer, Break::CutRequest, Break::Answer(500, "InternalError"), Break::Answer(503, "SlowDown")]
    {
        let landed = matches!(breaks, Break::LoseAnswer);
        let (_server, proxy, bucket) = broken(&[rule("PUT", "_delta_log", 1, breaks)]).await;
        let error = bucket.put_if_absent("_delta_log/0.json", content(1000)).await.expect_err("unknown");
        assert!(error.outcome_unknown);
        assert_eq!((proxy.fired(), proxy.count("PUT", "_delta_log")), (vec![1], 1));
        assert_eq!(bucket.get("_delta_log/0.json", 2000).await.expect("a get").is_some(), landed);
        let again = bucket.put_if_absent("_delta_log/0.json", content(1000)).await.expect("an answer");
        assert_eq!(again, if landed { Put::Exists } else { Put::Created });
    }
}

/// F34: the parts were put together and the answer was lost, or was a failure in the guise of a 200.
#[tokio::test]
async fn a_lost_completion_is_settled_by_what_the_store_holds() {
    for (breaks, times) in
        [(Break::LoseAnswer, 1), (Break::Answer(200, "InternalError"), 2), (Break::Answer(500, "InternalError"), 2)]
    {
        let (server, proxy, bucket) = broken(&[rule("POST", "uploadId=", times, breaks)]).await;
        let body = content(11 * MIB);
        assert_eq!(upload(&bucket, "data/x", &body).await.expect("settled"), body.len() as u64);
        assert_eq!(proxy.fired(), [times]);
        assert_eq!(stored(&bucket, "data/x").await, body);
        assert_eq!(server.keys().await, ["raw/shop/data/x"]);
    }
}

/// F35
#[tokio::test]
async fn a_conflict_is_told_apart_from_an_object_that_exists() {
    let conflict = Break::Answer(409, "ConditionalRequestConflict");
    let (_server, proxy, bucket) =
        broken(&[rule("PUT", "_delta_log", 1, conflict.clone()), rule("POST", "uploadId=", 1, conflict)]).await;
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(bucket.put_if_absent("_delta_log/0.json", content(10)).await.expect("an answer"));
    }
    assert_eq!(answers, [Put::Conflict, Put::Created, Put::Exists]);
    let body = content(11 * MIB);
    upload(&bucket, "data/x", &body).await.expect("settled");
    assert_eq!(stored(&bucket, "data/x").await, body);
    assert_eq!(proxy.fired(), [1, 1]);
}

/// F35: a completion that conflicts for ever is an error, and the parts are freed.
#[tokio::test]
async fn a_completion_that_conflicts_for_ever_leaves_nothing() {
    let conflict = Break::Answer(409, "ConditionalRequestConflict");
    let (server, proxy, bucket) = broken(&[rule("POST", "uploadId=", usize::MAX, conflict)]).await;
    let error = upload(&bucket, "data/x", &content(11 * MIB)).await.expect_err("a conflict");
    assert_eq!(error.code, FailureCode::BucketFailed);
    assert_eq!(proxy.fired(), [8]);
    assert_eq!((server.keys().await.len(), server.open_uploads().await), (0, 0));
}

/// F36
#[tokio::test]
async fn a_store_that_ignores_the_condition_is_refused() {
    let (_server, proxy, bucket) = broken(&[rule("PUT", "_waybill/probe", usize::MAX, Break::DropCondition)]).await;
    let fault = probe_conditions(&bucket).await.expect_err("unconditional");
    assert_eq!(fault.code, FailureCode::BucketUnconditional);
    assert_eq!(proxy.fired(), [2]);
    let (_server, proxy, bucket) =
        broken(&[rule("PUT", "_waybill/probe", usize::MAX, Break::Answer(501, "NotImplemented"))]).await;
    let fault = probe_conditions(&bucket).await.expect_err("unconditional");
    assert_eq!((fault.code, proxy.fired()[0]), (FailureCode::BucketUnconditional, 1));
}

/// F38
#[tokio::test]
async fn a_part_or_object_garbled_on_the_wire_is_sent_again() {
    let (_server, proxy, bucket) =
        broken(&[rule("PUT", "partNumber=2", 2, Break::GarbleBody), rule("PUT", "data/small", 1, Break::GarbleBody)])
            .await;
    let (large, small) = (content(11 * MIB), content(5000));
    upload(&bucket, "data/large", &large).await.expect("an upload");
    upload(&bucket, "data/small", &small).await.expect("an upload");
    assert_eq!(proxy.fired(), [2, 1]);
    assert_eq!(stored(&bucket, "data/large").await, large);
    assert_eq!(stored(&bucket, "data/small").await, small);
}

/// F38: a commit that is garbled on the wire is not stored.
#[tokio::test]
async fn a_garbled_conditional_put_stores_nothing() {
    let (server, proxy, bucket) = broken(&[rule("PUT", "_delta_log", 1, Break::GarbleBody)]).await;
    let error = bucket.put_if_absent("_delta_log/0.json", content(1000)).await.expect_err("garbled");
    assert!(!error.outcome_unknown);
    assert_eq!((proxy.fired(), server.keys().await.len()), (vec![1], 0));
}

#[tokio::test]
async fn a_read_goes_on_where_its_connection_broke() {
    let (_server, proxy, bucket) = broken(&[rule("GET", "data/x", 5, Break::CutAnswer(MIB))]).await;
    let body = content(8 * MIB);
    upload(&bucket, "data/x", &body).await.expect("an upload");
    let etag = bucket.head("data/x").await.expect("a head").expect("an object").etag;
    let parts: Vec<Bytes> = bucket.read("data/x", &etag).await.expect("a stream").try_collect().await.expect("parts");
    assert_eq!(Bytes::from(parts.concat()), body);
    assert_eq!(proxy.fired(), [5]);
    let range = bucket.get_range("data/x", 100..MIB as u64).await.expect("a range");
    assert_eq!(range, body.slice(100..MIB));
}

/// H31: the object is rewritten between two connections of one read.
#[tokio::test]
async fn an_object_rewritten_while_it_is_read_is_source_changed() {
    let (_server, proxy, bucket) = broken(&[rule("GET", "data/x", 1, Break::CutAnswer(MIB))]).await;
    upload(&bucket, "data/x", &content(4 * MIB)).await.expect("an upload");
    let etag = bucket.head("data/x").await.expect("a head").expect("an object").etag;
    let mut stream = bucket.read("data/x", &etag).await.expect("a stream");
    stream.next().await.expect("a part").expect("bytes");
    upload(&bucket, "data/x", &content(3 * MIB)).await.expect("an upload");
    let error = loop {
        match stream.next().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("the change was not seen"),
        }
    };
    assert_eq!(error.code, FailureCode::SourceChanged);
    assert_eq!(proxy.fired(), [1]);
}

#[tokio::test]
async fn an_upload_that_is_dropped_or_aborted_leaves_no_parts() {
    let (server, _proxy, bucket) = broken(&[]).await;
    for drop_it in [false, true] {
        let mut upload = bucket.upload("data/x").await.expect("an upload");
        upload.write(content(11 * MIB)).await.expect("a write");
        assert_eq!(server.open_uploads().await, 1);
        if drop_it {
            drop(upload);
        } else {
            upload.abort().await;
        }
        let begun = std::time::Instant::now();
        while server.open_uploads().await > 0 {
            assert!(begun.elapsed() < Duration::from_secs(30), "the parts are still there");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(server.keys().await.is_empty());
    }
}

/// H31
#[tokio::test]
async fn odd_keys_arrive_as_they_are_and_are_listed_so() {
    let server = Roto::start().await;
    let bucket = bucket(server.endpoint()).await;
    let keys = ["a//b", "a/../b", "ctl\u{1}\u{1f}", "plus+and space%41", "ünï/😀", &"k".repeat(1000)];
    for key in keys {
        assert_eq!(bucket.put_if_absent(key, Bytes::from(key.to_owned())).await.expect(key), Put::Created);
    }
    let mut sorted = keys.to_vec();
    sorted.sort_unstable();
    let listed = bucket.list("", None).await.expect("a list");
    assert_eq!(listed.iter().map(|meta| meta.key.as_str()).collect::<Vec<_>>(), sorted);
    for key in keys {
        assert_eq!(stored(&bucket, key).await, Bytes::from(key.to_owned()));
    }
}

#[tokio::test]
async fn a_refusal_names_the_action_and_no_secret() {
    let (_server, proxy, bucket) = broken(&[
        rule("PUT", "x", 1, Break::Answer(403, "AccessDenied")),
        rule("PUT", "x", 1, Break::Answer(403, "RequestTimeTooSkewed")),
    ])
    .await;
    let denied = bucket.put_if_absent("x", Bytes::new()).await.expect_err("denied");
    let text = denied.text.for_customer();
    assert!(denied.code == FailureCode::BucketDenied && !denied.outcome_unknown);
    assert!(text.contains("s3:PutObject") && text.contains("AccessDenied"), "{text}");
    assert!(!text.contains("very-secret-key") && !text.contains("AKIDEXAMPLE"), "{text}");
    let skewed = bucket.put_if_absent("x", Bytes::new()).await.expect_err("skewed");
    assert!(skewed.text.for_customer().contains("clock"));
    assert_eq!(proxy.fired(), [1, 1]);
}

#[tokio::test]
async fn files_in_s3_are_read_as_files_in_a_directory() {
    let server = Roto::start().await;
    let bucket = bucket(server.endpoint()).await;
    for (key, body) in [("in/a.csv", "id\n1\n2\n"), ("in/b.csv", "id\n3\n"), ("other/c.csv", "id\n4\n")] {
        bucket.put_if_absent(key, Bytes::from_static(body.as_bytes())).await.expect("a put");
    }
    let source = Files::new(Arc::new(bucket));
    let plan: waybill_model::plan::StreamPlan =
        serde_json::from_value(serde_json::json!({"name": "in/*.csv", "load": "full"})).expect("a stream");
    let want = waybill_pipeline::source::Want { lanes: 2, batch_bytes: MIB, row_bytes: MIB };
    let snapshot = source.open(&plan, None, want).await.expect("a snapshot");
    let mut lane = snapshot.lane().await.expect("a lane");
    let mut rows = 0;
    while let Some(batch) = lane.next().await.expect("a batch") {
        rows += batch.rows.num_rows();
    }
    assert_eq!(rows, 3);
    snapshot.finish().await.expect("a proof");
}
