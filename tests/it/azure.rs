//! Azure Blob Storage against Microsoft's emulator, with and without a proxy that breaks what passes through it.
//!
//! Every test with a break asserts that it happened. What the emulator can't do is listed in docs/assurance/azure.md.

mod identity;
mod run;

use std::sync::Arc;

use bytes::Bytes;
use waybill_connectors::bucket::azure::{AzureBucket, Login, Way};
use waybill_connectors::bucket::remote::{Parts, Patience};
use waybill_connectors::dial::{Dialer, Rules};
use waybill_model::FailureCode;
use waybill_model::plan::{Azure, AzureAccess};
use waybill_pipeline::{Bucket, Fixed, Put};
use waybill_tests::services::azurite::{ACCOUNT, Azurite, CONTAINER};
use waybill_tests::services::s3_proxy::{Break, Rule, S3Proxy};

use crate::remote::faults::{Store, Words, stories};
use crate::remote::listening::Listening;
use crate::remote::{MIB, PATIENCE, content, files_are_read, is_listed_whole, keys_arrive, rule, stored, upload};

fn fixed(text: impl Into<String>) -> Arc<Fixed> {
    Arc::new(Fixed::new(text))
}

fn by_key() -> Login {
    Login::Key(fixed(Azurite::key()))
}

fn by_signature(permissions: &str) -> Login {
    Login::Signature(fixed(Azurite::signature(permissions)))
}

fn settings(endpoint: String) -> Azure {
    let access = AzureAccess { endpoint: Some(endpoint), ..AzureAccess::default() };
    Azure { account: ACCOUNT.into(), container: CONTAINER.into(), prefix: "raw/shop".into(), access }
}

async fn bucket(endpoint: String, login: Login) -> AzureBucket {
    patient(endpoint, login, PATIENCE).await
}

async fn patient(endpoint: String, login: Login, patience: Patience) -> AzureBucket {
    let way = Way { login, dialer: Dialer::new(Rules::local()) };
    let bucket = AzureBucket::connect(&settings(endpoint), way, 256 << 20).await.expect("a bucket");
    bucket.with(patience, Parts { bytes: 5 << 20, in_flight: 2 })
}

async fn broken(rules: &[Rule]) -> (Azurite, S3Proxy, AzureBucket) {
    crate::remote::faults::broken(rules).await
}

impl Store for Azurite {
    type Bucket = AzureBucket;

    // Azure says 409 both where a blob exists and where somebody else is at work; the code tells them apart.
    const WORDS: Words = Words {
        put: "PUT",
        look: "HEAD",
        mends_parts: true,
        part: "comp=block&",
        completion: ("PUT", "comp=blocklist"),
        large: "data%2Fx",
        small: "data%2Fsmall",
        probe: "_waybill%2Fprobe",
        busy: "ServerBusy",
        busy_as: 503,
        conflict: "LeaseAlreadyPresent",
        answers: [201, 409],
        lost: || vec![(Break::LoseAnswer, 1), (Break::CutRequest, 2), (Break::Answer(500, "InternalError"), 2)],
    };

    async fn start() -> Self {
        Self::start().await
    }

    fn port(&self) -> u16 {
        self.port()
    }

    async fn names(&self) -> Vec<String> {
        self.names().await
    }

    /// By a signature, since what passes through the proxy may be changed there.
    async fn bucket(endpoint: String, patience: Patience) -> AzureBucket {
        patient(endpoint, by_signature("rwdlc"), patience).await
    }
}

stories!(Azurite);

#[tokio::test]
async fn azure_passes_the_bucket_suite_with_a_key_and_with_a_signature() {
    let server = Azurite::start().await;
    for login in [by_key(), by_signature("rwdlc")] {
        waybill_pipeline::conformance::bucket::run(Arc::new(bucket(server.endpoint(), login).await)).await;
    }
}

#[tokio::test]
async fn an_upload_of_many_blocks_arrives_whole_and_a_small_one_in_one_put() {
    let (_server, proxy, bucket) = broken(&[]).await;
    let (large, small) = (content(17 * MIB + 123), content(1000));
    assert_eq!(upload(&bucket, "data/large", &large).await.expect("an upload"), large.len() as u64);
    assert_eq!((proxy.count("PUT", "comp=block&"), proxy.count("PUT", "comp=blocklist")), (4, 1));
    assert_eq!(stored(&bucket, "data/large").await, large);
    upload(&bucket, "data/small", &small).await.expect("an upload");
    assert_eq!(proxy.count("PUT", "data%2Fsmall"), 1);
    assert_eq!(stored(&bucket, "data/small").await, small);
}

/// F33
#[tokio::test]
async fn server_errors_and_resets_of_azure_are_tried_again_within_bounds() {
    let (_server, proxy, bucket) = broken(&[
        rule("PUT", "comp=block&", 3, Break::Answer(500, "InternalError")),
        rule("PUT", "comp=block&", 3, Break::CutRequest),
        rule("PUT", "comp=block&", 2, Break::LoseAnswer),
        rule("GET", "comp=list", 2, Break::CutAnswer(20)),
        rule("GET", "always", usize::MAX, Break::Answer(500, "OperationTimedOut")),
    ])
    .await;
    let body = content(12 * MIB);
    upload(&bucket, "data/x", &body).await.expect("an upload");
    assert_eq!(stored(&bucket, "data/x").await, body);
    let listed = bucket.list("data/", None).await.expect("a list");
    let listed: Vec<_> = listed.iter().map(|meta| (meta.key.as_str(), meta.size)).collect();
    assert_eq!(listed, [("data/x", body.len() as u64)]);
    let error = bucket.get("always", 10).await.expect_err("an error");
    assert_eq!((error.code, proxy.fired()), (FailureCode::BucketFailed, vec![3, 3, 2, 2, 8]));
}

/// No call removes blocks; the service forgets them after a week. Nobody sees them before.
#[tokio::test]
async fn an_upload_to_azure_that_is_dropped_or_aborted_is_never_seen() {
    let (server, proxy, bucket) = broken(&[]).await;
    for (drop_it, arrived) in [(false, 1), (true, 2)] {
        let mut upload = bucket.upload("data/x").await.expect("an upload");
        upload.write(content(11 * MIB)).await.expect("a write");
        proxy.answered("PUT", "comp=block&", arrived).await;
        if drop_it {
            drop(upload);
        } else {
            upload.abort().await;
        }
        assert!(server.names().await.is_empty() && bucket.list("", None).await.expect("a list").is_empty());
        assert!(bucket.head("data/x").await.expect("a head").is_none());
    }
    let body = content(6 * MIB);
    upload(&bucket, "data/x", &body).await.expect("an upload");
    assert_eq!(stored(&bucket, "data/x").await, body, "blocks of others are not taken for ours");
}

/// H31
#[tokio::test]
async fn odd_keys_arrive_in_azure_as_they_are_and_are_listed_so() {
    let server = Azurite::start().await;
    for login in [by_key(), by_signature("rwdlc")] {
        let bucket = bucket(server.endpoint(), login).await;
        let keys = ["a//b", "a/../b", "plus+and space%41", "ünï/😀", "q?x=1#y&z", &"k".repeat(1000)];
        keys_arrive(&bucket, &keys).await;
        for key in keys {
            bucket.delete(key).await.expect("a delete");
        }
    }
}

/// A page of the service has 5,000 blobs.
#[tokio::test]
async fn a_listing_of_azure_goes_past_its_pages() {
    let (_server, proxy, bucket) = broken(&[]).await;
    is_listed_whole(&bucket, 5_050).await;
    assert_eq!(proxy.count("GET", "comp=list"), 4, "two pages, listed twice");
}

#[tokio::test]
async fn a_refusal_of_azure_names_action_and_right_and_no_secret() {
    let server = Azurite::start().await;
    let wrong = Login::Key(fixed("d3Jvbmctd3Jvbmctd3Jvbmctd3Jvbmctd3Jvbmctd3I="));
    for (login, code) in [(wrong, "AuthorizationFailure"), (by_signature("rl"), "AuthorizationPermissionMismatch")] {
        let bucket = bucket(server.endpoint(), login).await;
        let denied = bucket.put_if_absent("x", Bytes::new()).await.expect_err("denied");
        let text = denied.text.for_customer();
        assert!(denied.code == FailureCode::BucketDenied && !denied.outcome_unknown, "{denied:?}: {text}");
        assert!(text.contains("azure:PutBlob on azure://examplelake/lake/raw/shop: 403"), "{text}");
        assert!(text.contains("containers/blobs/write") && text.contains("sp=cw") && text.contains(code), "{text}");
        assert!(!text.contains("sig=") && !text.contains("d3Jvbmct"), "{text}");
    }
}

#[tokio::test]
async fn a_container_that_is_not_there_is_no_missing_blob() {
    let server = Azurite::start().await;
    let settings = Azure { container: "elsewhere".into(), ..settings(server.endpoint()) };
    let way = Way { login: by_key(), dialer: Dialer::new(Rules::local()) };
    let bucket = AzureBucket::connect(&settings, way, 256 << 20).await.expect("a bucket");
    for error in [bucket.get("x", 1).await.err(), bucket.list("", None).await.err(), bucket.head("x").await.err()] {
        let error = error.expect("an error");
        let text = error.text.for_customer();
        assert!(error.code == FailureCode::BucketFailed && text.contains("there is no such bucket"), "{text}");
    }
}

#[tokio::test]
async fn files_in_azure_are_read_as_files_in_a_directory() {
    let server = Azurite::start().await;
    for (name, body) in [("in/a.csv", "id\n1\n2\n"), ("in/b.csv", "id\n3\n"), ("other/c.csv", "id\n4\n")] {
        server.put(&format!("raw/shop/{name}"), body.as_bytes()).await;
    }
    files_are_read(Arc::new(bucket(server.endpoint(), by_signature("rl")).await)).await;
}

/// The emulator keeps no scopes, so this store only listens: it takes everything and tells the scope of each write.
#[tokio::test]
async fn an_encryption_scope_is_named_with_every_write() {
    let mut store = Listening::start(["x-ms-encryption-scope"], "", "").await;
    let mut settings = settings(store.endpoint());
    settings.access.encryption_scope = Some("own-key".into());
    let way = Way { login: by_key(), dialer: Dialer::new(Rules::local()) };
    let bucket = AzureBucket::connect(&settings, way, 256 << 20).await.expect("a bucket");
    let bucket = bucket.with(PATIENCE, Parts { bytes: 5 << 20, in_flight: 1 });
    assert_eq!(bucket.put_if_absent("x", content(10)).await.expect("an answer"), Put::Created);
    let mut upload = bucket.upload("y").await.expect("an upload");
    upload.write(content(6 * MIB)).await.expect("a write");
    for write in ["PutBlob", "PutBlock"] {
        assert_eq!(store.next().await, ["own-key"], "{write}");
    }
    upload.abort().await;
}
