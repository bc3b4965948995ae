//! Azure Blob Storage against Microsoft's emulator, with and without a proxy that breaks what passes through it.
//!
//! Every test with a break asserts that it happened. What the emulator can't do is listed in docs/assurance/azure.md.

mod identity;
mod run;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use waybill_connectors::bucket::azure::{AzureBucket, Login, Way};
use waybill_connectors::bucket::remote::{Parts, Patience};
use waybill_connectors::dial::{Dialer, Rules};
use waybill_connectors::source::files::Files;
use waybill_model::FailureCode;
use waybill_model::plan::{Azure, AzureAccess};
use waybill_pipeline::commit::probe_conditions;
use waybill_pipeline::{Bucket, Fixed, Put, Source};
use waybill_tests::services::azurite::{ACCOUNT, Azurite, CONTAINER};
use waybill_tests::services::s3_proxy::{Break, Rule, S3Proxy};

use crate::remote::{MIB, PATIENCE, content, rule, stored, upload};

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
    let way = Way { login, dialer: Dialer::new(Rules::local()) };
    let bucket = AzureBucket::connect(&settings(endpoint), way, 256 << 20).await.expect("a bucket");
    bucket.with(PATIENCE, Parts { bytes: 5 << 20, in_flight: 2 })
}

/// A signature, since what passes through the proxy may be changed there.
async fn broken(rules: &[Rule]) -> (Azurite, S3Proxy, AzureBucket) {
    let server = Azurite::start().await;
    let proxy = S3Proxy::before(server.port()).await;
    for rule in rules {
        proxy.inject(rule.clone());
    }
    let bucket = bucket(proxy.endpoint(), by_signature("rwdlc")).await;
    (server, proxy, bucket)
}

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
async fn a_busy_service_is_waited_out_and_counted() {
    let busy = Break::Answer(503, "ServerBusy");
    let (_server, proxy, bucket) =
        broken(&[rule("PUT", "comp=block&", 30, busy.clone()), rule("GET", "data%2Fx", 20, busy)]).await;
    let body = content(11 * MIB);
    upload(&bucket, "data/x", &body).await.expect("an upload");
    assert_eq!(stored(&bucket, "data/x").await, body);
    assert_eq!((proxy.fired(), bucket.throttled()), (vec![30, 20], 50));
}

/// F33
#[tokio::test]
async fn a_busy_service_without_end_is_bucket_throttled() {
    let (_server, proxy, bucket) = broken(&[rule("HEAD", "x", usize::MAX, Break::Answer(503, "ServerBusy"))]).await;
    let bucket = bucket.with(Patience { throttled_for: Duration::from_secs(2), ..PATIENCE }, Parts::for_memory(0));
    let error = bucket.head("x").await.expect_err("throttled");
    assert_eq!(error.code, FailureCode::BucketThrottled);
    assert!(proxy.fired()[0] > 2);
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

/// F34: the put took effect and its answer was lost. The call says that it does not know, and is not sent twice.
#[tokio::test]
async fn a_lost_answer_to_a_conditional_put_of_azure_is_unknown_and_sent_once() {
    for breaks in
        [Break::LoseAnswer, Break::CutRequest, Break::Answer(500, "InternalError"), Break::Answer(503, "ServerBusy")]
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

/// F34: the list of blocks took effect and the answer was lost, or was a failure although it took none.
#[tokio::test]
async fn a_lost_list_of_blocks_is_settled_by_what_the_store_holds() {
    for (breaks, times) in [(Break::LoseAnswer, 1), (Break::CutRequest, 2), (Break::Answer(500, "InternalError"), 2)] {
        let (server, proxy, bucket) = broken(&[rule("PUT", "comp=blocklist", times, breaks)]).await;
        let body = content(11 * MIB);
        assert_eq!(upload(&bucket, "data/x", &body).await.expect("settled"), body.len() as u64);
        assert_eq!(proxy.fired(), [times]);
        assert_eq!(stored(&bucket, "data/x").await, body);
        assert_eq!(server.names().await, ["raw/shop/data/x"]);
    }
}

/// F35: Azure says 409 both where a blob exists and where somebody else is at work; the code tells them apart.
#[tokio::test]
async fn a_conflict_of_azure_is_told_apart_from_a_blob_that_exists() {
    let conflict = Break::Answer(409, "LeaseAlreadyPresent");
    let (_server, proxy, bucket) = broken(&[rule("PUT", "_delta_log", 1, conflict)]).await;
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(bucket.put_if_absent("_delta_log/0.json", content(10)).await.expect("an answer"));
    }
    assert_eq!(answers, [Put::Conflict, Put::Created, Put::Exists]);
    assert_eq!((proxy.fired(), proxy.answers("PUT", "_delta_log")), (vec![1], vec![201, 409]));
}

/// F36
#[tokio::test]
async fn an_azure_that_ignores_the_condition_is_refused() {
    let (_server, proxy, bucket) = broken(&[rule("PUT", "_waybill%2Fprobe", usize::MAX, Break::DropCondition)]).await;
    let fault = probe_conditions(&bucket).await.expect_err("unconditional");
    assert_eq!((fault.code, proxy.fired()), (FailureCode::BucketUnconditional, vec![2]));
}

/// F38
#[tokio::test]
async fn a_block_or_blob_garbled_on_the_wire_is_sent_again() {
    let (_server, proxy, bucket) =
        broken(&[rule("PUT", "comp=block&", 2, Break::GarbleBody), rule("PUT", "data%2Fsmall", 1, Break::GarbleBody)])
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
async fn a_garbled_conditional_put_of_azure_stores_nothing() {
    let (server, proxy, bucket) = broken(&[rule("PUT", "_delta_log", 1, Break::GarbleBody)]).await;
    let error = bucket.put_if_absent("_delta_log/0.json", content(1000)).await.expect_err("garbled");
    assert!(!error.outcome_unknown);
    assert_eq!((proxy.fired(), server.names().await.len()), (vec![1], 0));
}

#[tokio::test]
async fn a_read_of_azure_goes_on_where_its_connection_broke() {
    let (_server, proxy, bucket) = broken(&[rule("GET", "data%2Fx", 5, Break::CutAnswer(MIB))]).await;
    let body = content(8 * MIB);
    upload(&bucket, "data/x", &body).await.expect("an upload");
    let etag = bucket.head("data/x").await.expect("a head").expect("a blob").etag;
    let parts: Vec<Bytes> = bucket.read("data/x", &etag).await.expect("a stream").try_collect().await.expect("parts");
    assert_eq!(Bytes::from(parts.concat()), body);
    assert_eq!(proxy.fired(), [5]);
    let range = bucket.get_range("data/x", 100..MIB as u64).await.expect("a range");
    assert_eq!(range, body.slice(100..MIB));
}

/// H31: the blob is rewritten between two connections of one read. A listing tells the same tag as a look at the blob.
#[tokio::test]
async fn a_blob_rewritten_while_it_is_read_is_source_changed() {
    let (_server, proxy, bucket) = broken(&[rule("GET", "data%2Fx", 1, Break::CutAnswer(MIB))]).await;
    upload(&bucket, "data/x", &content(4 * MIB)).await.expect("an upload");
    let listed = bucket.list("data/", None).await.expect("a list").remove(0);
    assert_eq!(Some(&listed), bucket.head("data/x").await.expect("a head").as_ref());
    let mut stream = bucket.read("data/x", &listed.etag).await.expect("a stream");
    stream.next().await.expect("a part").expect("bytes");
    upload(&bucket, "data/x", &content(3 * MIB)).await.expect("an upload");
    let error = loop {
        match stream.next().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("the change was not seen"),
        }
    };
    assert_eq!((error.code, proxy.fired()), (FailureCode::SourceChanged, vec![1]));
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
        for key in keys {
            assert_eq!(bucket.put_if_absent(key, Bytes::from(key.to_owned())).await.expect(key), Put::Created);
        }
        let mut sorted = keys.to_vec();
        sorted.sort_unstable();
        let listed = bucket.list("", None).await.expect("a list");
        assert_eq!(listed.iter().map(|meta| meta.key.as_str()).collect::<Vec<_>>(), sorted);
        for key in keys {
            assert_eq!(stored(&bucket, key).await, Bytes::from(key.to_owned()));
            bucket.delete(key).await.expect("a delete");
        }
    }
}

/// A page of the service has 5,000 blobs.
#[tokio::test]
async fn a_listing_of_azure_goes_past_its_pages() {
    let (_server, proxy, bucket) = broken(&[]).await;
    let puts = (0..5_050).map(|n| {
        let bucket = &bucket;
        async move { bucket.put_if_absent(&format!("pages/{n:05}"), Bytes::new()).await.expect("a put") }
    });
    futures::stream::iter(puts).buffer_unordered(16).for_each(|put| async move { assert_eq!(put, Put::Created) }).await;
    let listed = bucket.list("pages/", Some("pages/00009")).await.expect("a list");
    assert_eq!((listed.len(), listed[0].key.as_str()), (5_040, "pages/00010"));
    assert!(listed.is_sorted_by(|a, b| a.key < b.key));
    assert_eq!(proxy.count("GET", "comp=list"), 2);
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
    let source = Files::new(Arc::new(bucket(server.endpoint(), by_signature("rl")).await));
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

/// The emulator keeps no scopes, so this store only listens: it takes everything and tells the scope of each write.
#[tokio::test]
async fn an_encryption_scope_is_named_with_every_write() {
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (mut stream, mut scope, mut length) = (BufReader::new(stream), String::new(), 0);
            let mut lines = String::new();
            while stream.read_line(&mut lines).await.is_ok_and(|read| read > 2) {
                let line = lines.split_off(0).to_ascii_lowercase();
                let (name, value) = line.trim().split_once(": ").unwrap_or_default();
                match name {
                    "x-ms-encryption-scope" => scope = value.to_owned(),
                    "content-length" => length = value.parse().expect("a length"),
                    _ => {}
                }
            }
            stream.read_exact(&mut vec![0; length]).await.expect("the body");
            let taken = b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(taken).await.expect("an answer");
            tell.send(scope).expect("the test listens");
        }
    });
    let mut settings = settings(endpoint);
    settings.access.encryption_scope = Some("own-key".into());
    let way = Way { login: by_key(), dialer: Dialer::new(Rules::local()) };
    let bucket = AzureBucket::connect(&settings, way, 256 << 20).await.expect("a bucket");
    let bucket = bucket.with(PATIENCE, Parts { bytes: 5 << 20, in_flight: 1 });
    assert_eq!(bucket.put_if_absent("x", content(10)).await.expect("an answer"), Put::Created);
    let mut upload = bucket.upload("y").await.expect("an upload");
    upload.write(content(6 * MIB)).await.expect("a write");
    for write in ["PutBlob", "PutBlock"] {
        assert_eq!(told.recv().await.as_deref(), Some("own-key"), "{write}");
    }
    upload.abort().await;
}
