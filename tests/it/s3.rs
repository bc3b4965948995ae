//! The S3 bucket against a real server, with and without a proxy that breaks what passes through it.
//!
//! Every test with a break asserts that it happened. What the server can't do is listed in docs/assurance/s3-and-files.md.

mod credentials;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use waybill_connectors::bucket::remote::{Parts, Patience};
use waybill_connectors::bucket::s3::{S3Bucket, StaticKeys, Way};
use waybill_connectors::dial::{Dialer, Rules};
use waybill_model::FailureCode;
use waybill_model::plan::S3Access;
use waybill_pipeline::commit::probe_conditions;
use waybill_pipeline::{Bucket, Fixed};
use waybill_tests::services::s3::{BUCKET, Roto};
use waybill_tests::services::s3_proxy::{Break, Rule, S3Proxy};

use crate::remote::faults::{Store, Words, stories};
use crate::remote::listening::Listening;
use crate::remote::{MIB, PATIENCE, content, files_are_read, keys_arrive, rule, stored, upload};

async fn bucket(endpoint: String) -> S3Bucket {
    <Roto as Store>::bucket(endpoint, PATIENCE).await
}

async fn broken(rules: &[Rule]) -> (Roto, S3Proxy, S3Bucket) {
    crate::remote::faults::broken(rules).await
}

impl Store for Roto {
    type Bucket = S3Bucket;

    const WORDS: Words = Words {
        put: "PUT",
        look: "HEAD",
        mends_parts: true,
        part: "partNumber=2",
        completion: ("POST", "uploadId="),
        large: "data/x",
        small: "data/small",
        probe: "_waybill/probe",
        busy: "SlowDown",
        busy_as: 429,
        conflict: "ConditionalRequestConflict",
        answers: [200, 412],
        // A failure may come in the guise of a 200.
        lost: || {
            vec![
                (Break::LoseAnswer, 1),
                (Break::Answer(200, "InternalError"), 2),
                (Break::Answer(500, "InternalError"), 2),
            ]
        },
    };

    async fn start() -> Self {
        Self::start().await
    }

    fn port(&self) -> u16 {
        self.port()
    }

    async fn names(&self) -> Vec<String> {
        self.keys().await
    }

    async fn bucket(endpoint: String, patience: Patience) -> S3Bucket {
        let access = S3Access { region: Some("us-east-1".into()), endpoint: Some(endpoint), ..S3Access::default() };
        let keys = StaticKeys::new(Arc::new(Fixed::new("AKIDEXAMPLE")), Arc::new(Fixed::new("very-secret-key")));
        let way = Way { access: &access, keys: Some(keys), dialer: Dialer::new(Rules::local()) };
        let bucket = S3Bucket::connect(BUCKET, "raw/shop", way, 256 << 20).await.expect("a bucket");
        bucket.with(patience, Parts { bytes: 5 << 20, in_flight: 2 })
    }
}

stories!(Roto);

#[tokio::test]
async fn s3_passes_the_bucket_suite() {
    let server = Roto::start().await;
    waybill_pipeline::conformance::bucket::run(Arc::new(bucket(server.endpoint()).await)).await;
}

#[tokio::test]
async fn files_of_text_are_committed_in_s3_by_the_plain_log() {
    let server = Roto::start().await;
    crate::commit::plain::lands_in(Arc::new(bucket(server.endpoint()).await)).await;
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

/// F35
#[tokio::test]
async fn a_completion_that_conflicts_once_is_settled() {
    let conflict = Break::Answer(409, "ConditionalRequestConflict");
    let (_server, proxy, bucket) = broken(&[rule("POST", "uploadId=", 1, conflict)]).await;
    let body = content(11 * MIB);
    upload(&bucket, "data/x", &body).await.expect("settled");
    assert_eq!(stored(&bucket, "data/x").await, body);
    assert_eq!(proxy.fired(), [1]);
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
async fn a_store_that_does_not_know_the_condition_is_refused() {
    let (_server, proxy, bucket) =
        broken(&[rule("PUT", "_waybill/probe", usize::MAX, Break::Answer(501, "NotImplemented"))]).await;
    let fault = probe_conditions(&bucket).await.expect_err("unconditional");
    assert_eq!((fault.code, proxy.fired()[0]), (FailureCode::BucketUnconditional, 1));
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

/// The emulator keeps no keys, so this store only listens: it takes everything and tells the key of each write.
#[tokio::test]
async fn a_key_of_ones_own_is_named_with_every_object_that_is_written() {
    let key = "arn:aws:kms:eu-west-1:111122223333:key/0a1b";
    let headers = ["x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id"];
    let begun = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";
    let mut store = Listening::start(headers, "uploads", begun).await;
    let access = S3Access { endpoint: Some(store.endpoint()), kms_key: Some(key.into()), ..S3Access::default() };
    let (id, secret) = (Arc::new(Fixed::new("AKIDEXAMPLE")), Arc::new(Fixed::new("secret")));
    let way = Way { access: &access, keys: Some(StaticKeys::new(id, secret)), dialer: Dialer::new(Rules::local()) };
    let bucket = S3Bucket::connect("lake", "", way, 256 << 20).await.expect("a bucket");
    let bucket = bucket.with(PATIENCE, Parts { bytes: 5 << 20, in_flight: 1 });
    bucket.put_if_absent("x", content(10)).await.expect("an answer");
    let mut upload = bucket.upload("y").await.expect("an upload");
    upload.write(content(6 * MIB)).await.expect("a write");
    for (write, named) in [("PutObject", true), ("CreateMultipartUpload", true), ("UploadPart", false)] {
        let told = store.next().await;
        let expected = if named { ["aws:kms", key] } else { ["", ""] };
        assert_eq!(told, expected, "{write}");
    }
    upload.abort().await;
}

/// H31
#[tokio::test]
async fn odd_keys_arrive_as_they_are_and_are_listed_so() {
    let server = Roto::start().await;
    let bucket = bucket(server.endpoint()).await;
    let keys = ["a//b", "a/../b", "ctl\u{1}\u{1f}", "plus+and space%41", "ünï/😀", &"k".repeat(1000)];
    keys_arrive(&bucket, &keys).await;
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
    files_are_read(Arc::new(bucket)).await;
}
