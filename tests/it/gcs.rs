//! Google Cloud Storage: the bucket against two emulators and a server of ours that does what the service's description says,
//! with and without a proxy that breaks what passes through it.
//!
//! Every test with a break asserts that it happened. What none of them can show is listed in docs/assurance/gcs.md.

mod identity;
mod run;
mod steered;

use std::sync::Arc;

use bytes::Bytes;
use waybill_connectors::bucket::gcs::{GcsBucket, Login, Way};
use waybill_connectors::bucket::remote::{Parts, Patience};
use waybill_connectors::dial::{Dialer, Rules};
use waybill_model::FailureCode;
use waybill_model::plan::{Gcs as Settings, GcsAccess};
use waybill_pipeline::commit::probe_conditions;
use waybill_pipeline::{Bucket, Put, conformance};
use waybill_tests::services::gcs::own::OwnGcs;
use waybill_tests::services::gcs::{BUCKET, Emulator, Gcs};
use waybill_tests::services::s3_proxy::{Break, Rule, S3Proxy};

use crate::remote::faults::{Store, Words, stories};
use crate::remote::{MIB, PATIENCE, content, files_are_read, is_listed_whole, keys_arrive, rule, stored, upload};

fn settings(endpoint: String) -> Settings {
    let access = GcsAccess { endpoint: Some(endpoint), anonymous: true, ..GcsAccess::default() };
    Settings { bucket: BUCKET.into(), prefix: "raw/shop".into(), access }
}

async fn opened(settings: &Settings, patience: Patience) -> GcsBucket {
    let way = Way { login: Login::Nobody, dialer: Dialer::new(Rules::local()) };
    let bucket = GcsBucket::connect(settings, way, 256 << 20).await.expect("a bucket");
    bucket.with(patience, Parts { bytes: 5 << 20, in_flight: 2 })
}

async fn bucket(endpoint: String) -> GcsBucket {
    opened(&settings(endpoint), PATIENCE).await
}

async fn broken(rules: &[Rule]) -> (OwnGcs, S3Proxy, GcsBucket) {
    crate::remote::faults::broken(rules).await
}

impl Store for OwnGcs {
    type Bucket = GcsBucket;

    // The memory of three parts of 5 MiB holds two of 7.5 MiB, which go one after the other.
    const WORDS: Words = Words {
        put: "POST",
        look: "GET",
        mends_parts: false,
        part: " bytes 7864320-",
        completion: ("PUT", " bytes */1"),
        large: "data%2Fx?alt=media",
        small: "data%2Fsmall",
        probe: "_waybill%2Fprobe",
        busy: "rateLimitExceeded",
        busy_as: 429,
        conflict: "conflict",
        answers: [200, 412],
        lost: || vec![(Break::LoseAnswer, 1), (Break::CutRequest, 2), (Break::Answer(503, "backendError"), 2)],
    };

    async fn start() -> Self {
        Self::start().await
    }

    fn port(&self) -> u16 {
        self.port()
    }

    async fn names(&self) -> Vec<String> {
        self.names()
    }

    async fn bucket(endpoint: String, patience: Patience) -> GcsBucket {
        opened(&settings(endpoint), patience).await
    }
}

stories!(OwnGcs);

#[tokio::test]
async fn gcs_passes_the_bucket_suite() {
    let (own, emulator) = (OwnGcs::start().await, Gcs::start(Emulator::FakeGcs).await);
    for endpoint in [own.endpoint(), emulator.endpoint()] {
        conformance::bucket::run(Arc::new(bucket(endpoint).await)).await;
    }
    assert_eq!(own.sessions(), 0);
}

/// gcp-storage-emulator knows no `ifGenerationMatch`, lists everything at once, and resets a crowd of callers: all but
/// conditions and pages is checked, and that the probe refuses it.
#[tokio::test]
async fn gcs_passes_the_suite_but_conditions_and_pages_on_an_emulator_without_them() {
    let emulator = Gcs::start(Emulator::Storage).await;
    conformance::bucket::run_without_conditions(Arc::new(bucket(emulator.endpoint()).await)).await;
}

/// fake-gcs-server ends a session that is asked what it has, gcp-storage-emulator answers it right: only there it can be shown.
#[tokio::test]
async fn a_session_whose_answer_was_lost_goes_on_from_what_it_has() {
    let (emulator, body) = (Gcs::start(Emulator::Storage).await, content(17 * MIB + 123));
    let proxy = S3Proxy::before(emulator.port()).await;
    for holds in [" bytes 0-", " bytes 7864320-", " bytes 15728640-"] {
        proxy.inject(rule("PUT", holds, 1, Break::LoseAnswer));
    }
    let bucket = bucket(proxy.endpoint()).await;
    upload(&bucket, "data/x", &body).await.expect("an upload");
    assert_eq!(stored(&bucket, "data/x").await, body);
    assert_eq!((proxy.fired(), proxy.count("PUT", " bytes */*")), (vec![1, 1, 1], 3));
    assert_eq!(proxy.count("PUT", " bytes 7864320-"), 1, "what it has is not sent again");
}

#[tokio::test]
async fn a_session_that_keeps_half_of_a_chunk_gets_the_rest() {
    let server = OwnGcs::start().await;
    let (proxy, body) = (S3Proxy::before(server.port()).await, content(17 * MIB + 123));
    server.keep_half(4);
    let bucket = bucket(proxy.endpoint()).await;
    upload(&bucket, "data/x", &body).await.expect("an upload");
    assert_eq!(stored(&bucket, "data/x").await, body);
    assert_eq!((proxy.count("PUT", " bytes "), proxy.count("PUT", " bytes */*")), (8, 0));
}

#[tokio::test]
async fn an_upload_of_many_chunks_arrives_whole_and_a_small_one_in_one_request() {
    let (_server, proxy, bucket) = broken(&[]).await;
    let (large, small) = (content(17 * MIB + 123), content(1000));
    assert_eq!(upload(&bucket, "data/large", &large).await.expect("an upload"), large.len() as u64);
    // Two parts, the whole steps of the third, and what was left with the object's end.
    assert_eq!((proxy.count("POST", "uploadType=resumable"), proxy.count("PUT", "upload_id=")), (1, 4));
    assert_eq!(stored(&bucket, "data/large").await, large);
    upload(&bucket, "data/small", &small).await.expect("an upload");
    assert_eq!((proxy.count("POST", "data%2Fsmall"), proxy.count("POST", "uploadType=multipart")), (1, 1));
    assert_eq!(stored(&bucket, "data/small").await, small);
}

/// F33
#[tokio::test]
async fn server_errors_and_resets_of_google_are_tried_again_within_bounds() {
    let (_server, proxy, bucket) = broken(&[
        rule("PUT", " bytes 0-", 3, Break::Answer(503, "backendError")),
        rule("PUT", " bytes 7864320-", 3, Break::CutRequest),
        rule("PUT", " bytes */*", 2, Break::Answer(500, "internalError")),
        rule("POST", "uploadType=resumable", 2, Break::LoseAnswer),
        rule("GET", "/o?fields=", 2, Break::CutAnswer(20)),
        rule("GET", "always", usize::MAX, Break::Answer(500, "internalError")),
    ])
    .await;
    let body = content(12 * MIB);
    upload(&bucket, "data/x", &body).await.expect("an upload");
    assert_eq!(stored(&bucket, "data/x").await, body);
    let listed = bucket.list("data/", None).await.expect("a list");
    let listed: Vec<_> = listed.iter().map(|meta| (meta.key.as_str(), meta.size)).collect();
    assert_eq!(listed, [("data/x", body.len() as u64)]);
    let error = bucket.get("always", 10).await.expect_err("an error");
    assert_eq!((error.code, proxy.fired()), (FailureCode::BucketFailed, vec![3, 3, 2, 2, 2, 8]));
}

/// F38: the service tells the checksum of what it has with each whole object.
#[tokio::test]
async fn an_object_that_is_garbled_on_its_way_here_is_asked_for_again() {
    let (_server, proxy, bucket) = broken(&[rule("GET", "small?alt=media", 2, Break::GarbleAnswer)]).await;
    let body = content(5000);
    upload(&bucket, "data/small", &body).await.expect("an upload");
    assert_eq!(stored(&bucket, "data/small").await, body);
    assert_eq!(proxy.fired(), [2]);
}

#[tokio::test]
async fn an_upload_to_google_that_is_dropped_or_aborted_is_never_seen_and_freed() {
    let (server, proxy, bucket) = broken(&[]).await;
    for (drop_it, arrived) in [(false, 1), (true, 2)] {
        let mut upload = bucket.upload("data/x").await.expect("an upload");
        upload.write(content(11 * MIB)).await.expect("a write");
        proxy.answered("PUT", " bytes 0-", arrived).await;
        if drop_it {
            drop(upload);
        } else {
            upload.abort().await;
        }
        assert_eq!(proxy.answered("DELETE", "upload_id=", arrived).await, vec![499; arrived]);
        assert!(server.names().is_empty() && server.sessions() == 0);
        assert!(bucket.head("data/x").await.expect("a head").is_none());
    }
}

/// H31
#[tokio::test]
async fn odd_keys_arrive_in_google_as_they_are_and_are_listed_so() {
    let (own, emulator) = (OwnGcs::start().await, Gcs::start(Emulator::FakeGcs).await);
    for endpoint in [own.endpoint(), emulator.endpoint()] {
        let bucket = bucket(endpoint).await;
        let keys = ["a//b", "a/../b", "plus+and space%41", "ünï/😀", "q?x=1#y&z", &"k".repeat(1000)];
        keys_arrive(&bucket, &keys).await;
        for key in keys {
            bucket.delete(key).await.expect("a delete");
        }
    }
}

/// A page of the service has at most 1,000 objects.
#[tokio::test]
async fn a_listing_of_google_goes_past_its_pages() {
    let (_server, proxy, bucket) = broken(&[]).await;
    is_listed_whole(&bucket, 1_050).await;
    assert_eq!(proxy.count("GET", "/o?fields="), 4, "two pages, listed twice");
}

#[tokio::test]
async fn a_refusal_of_google_names_the_permission_and_no_secret() {
    let (server, proxy, bucket) = broken(&[rule("GET", "/o?fields=", 1, Break::Answer(403, "forbidden"))]).await;
    let denied = bucket.list("", None).await.expect_err("denied");
    assert!(denied.text.for_customer().contains("storage.objects.list on gs://lake/raw/shop"), "{denied:?}");
    server.wants("ya29.another");
    let denied = bucket.put_if_absent("x", Bytes::new()).await.expect_err("denied");
    let text = denied.text.for_customer();
    assert!(denied.code == FailureCode::BucketDenied && !denied.outcome_unknown, "{denied:?}: {text}");
    assert!(text.contains("gcs:InsertObject on gs://lake/raw/shop: 401 authError"), "{text}");
    assert!(text.contains("storage.objects.create") && !text.contains("ya29"), "{text}");
    assert_eq!(proxy.fired(), [1]);
}

#[tokio::test]
async fn a_bucket_of_google_that_is_not_there_is_no_missing_object() {
    let server = OwnGcs::start().await;
    let bucket = opened(&Settings { bucket: "elsewhere".into(), ..settings(server.endpoint()) }, PATIENCE).await;
    for error in [bucket.get("x", 1).await.err(), bucket.list("", None).await.err(), bucket.head("x").await.err()] {
        let error = error.expect("an error");
        let text = error.text.for_customer();
        assert!(error.code == FailureCode::BucketFailed && text.contains("there is no such bucket"), "{text}");
    }
}

/// F36 by an emulator as it comes: it takes every put for the first.
#[tokio::test]
async fn an_emulator_that_ignores_the_condition_is_refused() {
    let emulator = Gcs::start(Emulator::Storage).await;
    let fault = probe_conditions(&bucket(emulator.endpoint()).await).await.expect_err("unconditional");
    assert_eq!(fault.code, FailureCode::BucketUnconditional);
}

#[tokio::test]
async fn files_in_google_are_read_as_files_in_a_directory() {
    let server = Gcs::start(Emulator::FakeGcs).await;
    for (name, body) in [("in/a.csv", "id\n1\n2\n"), ("in/b.csv", "id\n3\n"), ("other/c.csv", "id\n4\n")] {
        server.put(&format!("raw/shop/{name}"), body.as_bytes()).await;
    }
    files_are_read(Arc::new(bucket(server.endpoint()).await)).await;
}

#[tokio::test]
async fn a_key_of_ones_own_is_named_with_every_object_and_whoever_pays_with_every_request() {
    let server = OwnGcs::start().await;
    let proxy = S3Proxy::before(server.port()).await;
    let key = "projects/example-1/locations/europe-west3/keyRings/lake/cryptoKeys/own";
    let mut settings = settings(proxy.endpoint());
    settings.access.kms_key = Some(key.into());
    settings.access.billing_project = Some("example-1".into());
    let bucket = opened(&settings, PATIENCE).await;
    assert_eq!(bucket.put_if_absent("x", content(10)).await.expect("an answer"), Put::Created);
    upload(&bucket, "y", &content(9 * MIB)).await.expect("an upload");
    assert_eq!(server.made_with("kmsKeyName"), [key, key]);
    bucket.get("x", 100).await.expect("a get");
    bucket.delete("x").await.expect("a delete");
    bucket.list("", None).await.expect("a list");
    let of = |holds| ["POST", "PUT", "GET", "DELETE"].map(|method| proxy.count(method, holds));
    assert_eq!(of("userProject=example-1"), of("/storage/v1/"));
}
