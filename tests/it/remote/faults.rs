//! The stories of faults that every store behind HTTP passes, each against a real server through a proxy that breaks what
//! passes. Every story asserts that its fault fired. `stories!` makes the tests of one store.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use waybill_connectors::bucket::remote::Patience;
use waybill_model::FailureCode;
use waybill_pipeline::commit::probe_conditions;
use waybill_pipeline::{Bucket, Put};
use waybill_tests::services::s3_proxy::{Break, Rule, S3Proxy};

use super::{MIB, PATIENCE, content, rule, stored, upload};

/// A store's own words for what all of them do.
pub(crate) struct Words {
    /// How an object is put whole, and how one is looked at.
    pub(crate) put: &'static str,
    pub(crate) look: &'static str,
    /// Whether a part that was garbled on the wire can be sent again; otherwise the upload fails, and makes no object.
    pub(crate) mends_parts: bool,
    /// In the second part of an upload.
    pub(crate) part: &'static str,
    /// What puts the parts together: method, and what its request holds.
    pub(crate) completion: (&'static str, &'static str),
    /// In a request for the contents of `data/x`, for `data/small`, and for the probe of conditions.
    pub(crate) large: &'static str,
    pub(crate) small: &'static str,
    pub(crate) probe: &'static str,
    /// It has too much to do.
    pub(crate) busy: &'static str,
    /// The status that says so alone, in an answer without a body.
    pub(crate) busy_as: u16,
    /// Somebody else is at work on the object.
    pub(crate) conflict: &'static str,
    /// How an object that was made, and one that is there already, is answered.
    pub(crate) answers: [u16; 2],
    /// What a lost completion looks like, and how often before it is settled.
    pub(crate) lost: fn() -> Vec<(Break, usize)>,
}

/// A real server.
pub(crate) trait Store: Sized {
    type Bucket: Bucket;
    const WORDS: Words;

    async fn start() -> Self;

    fn port(&self) -> u16;

    /// Names of the objects that it holds, as the server says.
    async fn names(&self) -> Vec<String>;

    /// The bucket at this address, below `raw/shop`, whose parts have 5 MiB and go out two at once.
    async fn bucket(endpoint: String, patience: Patience) -> Self::Bucket;
}

/// A server behind the proxy with these rules, and the bucket on the other side.
pub(crate) async fn broken<S: Store>(rules: &[Rule]) -> (S, S3Proxy, S::Bucket) {
    patient::<S>(rules, PATIENCE).await
}

async fn patient<S: Store>(rules: &[Rule], patience: Patience) -> (S, S3Proxy, S::Bucket) {
    let server = S::start().await;
    let proxy = S3Proxy::before(server.port()).await;
    for rule in rules {
        proxy.inject(rule.clone());
    }
    let bucket = S::bucket(proxy.endpoint(), patience).await;
    (server, proxy, bucket)
}

macro_rules! stories {
    ($store:ty) => {
        mod faults {
            use super::*;
            use crate::remote::faults as stories;

            /// F33
            #[tokio::test]
            async fn a_busy_store_is_waited_out_and_counted() {
                stories::busy::<$store>().await;
            }

            /// F33
            #[tokio::test]
            async fn a_busy_store_without_end_is_bucket_throttled() {
                stories::busy_without_end::<$store>().await;
            }

            /// F34: the put took effect and its answer was lost. The call says that it does not know, and is not sent twice.
            #[tokio::test]
            async fn a_lost_answer_to_a_conditional_put_is_unknown_and_sent_once() {
                stories::lost_put::<$store>().await;
            }

            /// F34: the parts were put together and the answer was lost, or was a failure although they were not.
            #[tokio::test]
            async fn a_lost_completion_is_settled_by_what_the_store_holds() {
                stories::lost_completion::<$store>().await;
            }

            /// F35
            #[tokio::test]
            async fn a_conflict_is_told_apart_from_an_object_that_exists() {
                stories::conflict::<$store>().await;
            }

            /// F36
            #[tokio::test]
            async fn a_store_that_ignores_the_condition_is_refused() {
                stories::ignored_condition::<$store>().await;
            }

            /// F38
            #[tokio::test]
            async fn a_part_or_object_garbled_on_the_wire_is_sent_again() {
                stories::garbled::<$store>().await;
            }

            /// F38: a commit that is garbled on the wire is not stored.
            #[tokio::test]
            async fn a_garbled_conditional_put_stores_nothing() {
                stories::garbled_put::<$store>().await;
            }

            /// F33
            #[tokio::test]
            async fn a_read_goes_on_where_its_connection_broke() {
                stories::cut_read::<$store>().await;
            }

            /// H31: the object is rewritten between two connections of one read.
            #[tokio::test]
            async fn an_object_rewritten_while_it_is_read_is_source_changed() {
                stories::rewritten::<$store>().await;
            }
        }
    };
}
pub(crate) use stories;

pub(crate) async fn busy<S: Store>() {
    let busy = Break::Answer(503, S::WORDS.busy);
    let rules = [rule("PUT", S::WORDS.part, 30, busy.clone()), rule("GET", S::WORDS.large, 20, busy)];
    let (_server, proxy, bucket) = broken::<S>(&rules).await;
    let body = content(11 * MIB);
    upload(&bucket, "data/x", &body).await.expect("an upload");
    assert_eq!(stored(&bucket, "data/x").await, body);
    assert_eq!((proxy.fired(), bucket.throttled()), (vec![30, 20], 50));
}

pub(crate) async fn busy_without_end<S: Store>() {
    let busy = rule(S::WORDS.look, "x", usize::MAX, Break::Answer(S::WORDS.busy_as, S::WORDS.busy));
    let patience = Patience { throttled_for: Duration::from_secs(2), ..PATIENCE };
    let (_server, proxy, bucket) = patient::<S>(&[busy], patience).await;
    let error = bucket.head("x").await.expect_err("throttled");
    assert_eq!(error.code, FailureCode::BucketThrottled);
    assert!(proxy.fired()[0] > 2);
}

pub(crate) async fn lost_put<S: Store>() {
    for breaks in
        [Break::LoseAnswer, Break::CutRequest, Break::Answer(500, "InternalError"), Break::Answer(503, S::WORDS.busy)]
    {
        let landed = matches!(breaks, Break::LoseAnswer);
        let (_server, proxy, bucket) = broken::<S>(&[rule(S::WORDS.put, "_delta_log", 1, breaks)]).await;
        let error = bucket.put_if_absent("_delta_log/0.json", content(1000)).await.expect_err("unknown");
        assert!(error.outcome_unknown);
        assert_eq!((proxy.fired(), proxy.count(S::WORDS.put, "_delta_log")), (vec![1], 1));
        assert_eq!(bucket.get("_delta_log/0.json", 2000).await.expect("a get").is_some(), landed);
        let again = bucket.put_if_absent("_delta_log/0.json", content(1000)).await.expect("an answer");
        assert_eq!(again, if landed { Put::Exists } else { Put::Created });
    }
}

pub(crate) async fn lost_completion<S: Store>() {
    let (method, holds) = S::WORDS.completion;
    for (breaks, times) in (S::WORDS.lost)() {
        let (server, proxy, bucket) = broken::<S>(&[rule(method, holds, times, breaks)]).await;
        let body = content(11 * MIB);
        assert_eq!(upload(&bucket, "data/x", &body).await.expect("settled"), body.len() as u64);
        assert_eq!(proxy.fired(), [times]);
        assert_eq!(stored(&bucket, "data/x").await, body);
        assert_eq!(server.names().await, ["raw/shop/data/x"]);
    }
}

pub(crate) async fn conflict<S: Store>() {
    let conflict = Break::Answer(409, S::WORDS.conflict);
    let (_server, proxy, bucket) = broken::<S>(&[rule(S::WORDS.put, "_delta_log", 1, conflict)]).await;
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(bucket.put_if_absent("_delta_log/0.json", content(10)).await.expect("an answer"));
    }
    assert_eq!(answers, [Put::Conflict, Put::Created, Put::Exists]);
    assert_eq!((proxy.fired(), proxy.answers(S::WORDS.put, "_delta_log")), (vec![1], S::WORDS.answers.to_vec()));
}

pub(crate) async fn ignored_condition<S: Store>() {
    let ignored = rule(S::WORDS.put, S::WORDS.probe, usize::MAX, Break::DropCondition);
    let (_server, proxy, bucket) = broken::<S>(&[ignored]).await;
    let fault = probe_conditions(&bucket).await.expect_err("unconditional");
    assert_eq!((fault.code, proxy.fired()), (FailureCode::BucketUnconditional, vec![2]));
}

pub(crate) async fn garbled<S: Store>() {
    let times = if S::WORDS.mends_parts { 2 } else { 1 };
    let part = rule("PUT", S::WORDS.part, times, Break::GarbleBody);
    let rules = [part, rule(S::WORDS.put, S::WORDS.small, 1, Break::GarbleBody)];
    let (_server, proxy, bucket) = broken::<S>(&rules).await;
    let (large, small) = (content(11 * MIB), content(5000));
    let sent = upload(&bucket, "data/large", &large).await;
    upload(&bucket, "data/small", &small).await.expect("an upload");
    assert_eq!(proxy.fired(), [times, 1]);
    if S::WORDS.mends_parts {
        sent.expect("an upload");
        assert_eq!(stored(&bucket, "data/large").await, large);
    } else {
        assert_eq!(sent.expect_err("garbled").code, FailureCode::BucketFailed);
        assert_eq!(bucket.head("data/large").await.expect("a head"), None);
    }
    assert_eq!(stored(&bucket, "data/small").await, small);
}

pub(crate) async fn garbled_put<S: Store>() {
    let (server, proxy, bucket) = broken::<S>(&[rule(S::WORDS.put, "_delta_log", 1, Break::GarbleBody)]).await;
    let error = bucket.put_if_absent("_delta_log/0.json", content(1000)).await.expect_err("garbled");
    assert!(!error.outcome_unknown);
    assert_eq!((proxy.fired(), server.names().await.len()), (vec![1], 0));
}

pub(crate) async fn cut_read<S: Store>() {
    let (_server, proxy, bucket) = broken::<S>(&[rule("GET", S::WORDS.large, 5, Break::CutAnswer(MIB))]).await;
    let body = content(8 * MIB);
    upload(&bucket, "data/x", &body).await.expect("an upload");
    let etag = bucket.head("data/x").await.expect("a head").expect("an object").etag;
    let parts: Vec<Bytes> = bucket.read("data/x", &etag).await.expect("a stream").try_collect().await.expect("parts");
    assert_eq!(Bytes::from(parts.concat()), body);
    assert_eq!(proxy.fired(), [5]);
    let range = bucket.get_range("data/x", 100..MIB as u64).await.expect("a range");
    assert_eq!(range, body.slice(100..MIB));
}

/// A listing tells the same tag as a look at the object.
pub(crate) async fn rewritten<S: Store>() {
    let (_server, proxy, bucket) = broken::<S>(&[rule("GET", S::WORDS.large, 1, Break::CutAnswer(MIB))]).await;
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
