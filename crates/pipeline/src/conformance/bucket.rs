//! What every bucket must do, as a suite that a connector runs against the real thing.
//!
//! Keys lie below a prefix of the suite's own. A failed expectation panics.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use waybill_model::FailureCode;

use crate::bucket::{Bucket, ObjectMeta, Put};

/// Keys that a listing in the order of bytes shows in this order.
const ORDERED: [&str; 7] = ["A", "a-b", "a.b", "a/b", "a/b.c", "a0", "b"];

/// Runs every check.
///
/// # Panics
/// Where the bucket does not do what the trait says.
pub async fn run(bucket: Arc<dyn Bucket>) {
    let suite = Suite::new(bucket);
    suite.conditions().await;
    suite.contents().await;
    suite.a_listing_goes_past_its_pages().await;
    suite.clear().await;
}

/// Runs the checks that need neither conditions nor pages, and sees that the probe refuses the bucket: for an emulator that knows
/// neither and takes one caller at a time, which can't be the proof of them.
///
/// # Panics
/// Where the bucket does not do what the trait says, or where it does know conditions.
pub async fn run_without_conditions(bucket: Arc<dyn Bucket>) {
    let suite = Suite::new(bucket);
    let fault =
        crate::commit::probe_conditions(&*suite.bucket).await.expect_err("it knows conditions: run the whole suite");
    assert_eq!(fault.code, FailureCode::BucketUnconditional);
    suite.contents().await;
    suite.clear().await;
}

struct Suite {
    bucket: Arc<dyn Bucket>,
    prefix: String,
}

impl Suite {
    fn new(bucket: Arc<dyn Bucket>) -> Self {
        Self { bucket, prefix: format!("conformance-{}", uuid::Uuid::new_v4()) }
    }

    async fn conditions(&self) {
        self.an_object_is_created_once().await;
        self.a_rewritten_object_is_noticed().await;
        self.of_racing_writers_one_wins().await;
        crate::commit::probe_conditions(&*self.bucket).await.expect("conditional creation");
    }

    async fn an_object_is_replaced_as_a_whole(&self) {
        let key = format!("{}/replaced.sql", self.prefix);
        for body in ["a first text", "another", "a third one"] {
            self.bucket.replace(&key, Bytes::from_static(body.as_bytes())).await.expect("replaced");
            assert_eq!(self.bucket.get(&key, 99).await.expect("read").as_deref(), Some(body.as_bytes()));
        }
        assert_eq!(self.bucket.list(&key, None).await.expect("listed").len(), 1, "nothing else is left of it");
    }

    async fn contents(&self) {
        self.a_reader_gets_what_was_written().await;
        self.an_object_is_replaced_as_a_whole().await;
        self.ranges_are_exact().await;
        self.an_upload_shows_only_when_it_is_whole().await;
        self.listings_are_in_the_order_of_bytes().await;
        self.what_is_not_there_is_no_error().await;
    }

    fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.prefix)
    }

    async fn put(&self, name: &str, body: &'static [u8]) -> Put {
        self.bucket.put_if_absent(&self.key(name), Bytes::from_static(body)).await.expect("a put")
    }

    async fn meta(&self, name: &str) -> ObjectMeta {
        self.bucket.head(&self.key(name)).await.expect("a head").expect("an object")
    }

    async fn an_object_is_created_once(&self) {
        assert_eq!(self.put("once/x", b"first").await, Put::Created);
        assert_eq!(self.put("once/x", b"second").await, Put::Exists);
        let body = self.bucket.get(&self.key("once/x"), 100).await.expect("a get").expect("an object");
        assert_eq!(body.as_ref(), b"first");
        assert_eq!(self.put("once/empty", b"").await, Put::Created);
        assert_eq!(self.meta("once/empty").await.size, 0);
    }

    async fn a_reader_gets_what_was_written(&self) {
        self.put("read/x", b"0123456789").await;
        let key = self.key("read/x");
        let meta = self.meta("read/x").await;
        assert_eq!((meta.key.as_str(), meta.size), (key.as_str(), 10));
        let small = self.bucket.get(&key, 9).await.map_err(|error| error.code);
        assert_eq!(small.err(), Some(FailureCode::BucketFailed), "a cap must hold");
        let chunks: Vec<Bytes> =
            self.bucket.read(&key, &meta.etag).await.expect("a stream").try_collect().await.expect("chunks");
        assert_eq!(chunks.concat(), b"0123456789");
    }

    async fn ranges_are_exact(&self) {
        self.put("range/x", b"0123456789").await;
        let key = self.key("range/x");
        assert_eq!(self.bucket.get_range(&key, 3..7).await.expect("a range").as_ref(), b"3456");
        assert_eq!(self.bucket.get_range(&key, 9..10).await.expect("a range").as_ref(), b"9");
        assert!(self.bucket.get_range(&key, 8..11).await.is_err(), "a range past the end");
    }

    async fn an_upload_shows_only_when_it_is_whole(&self) {
        let key = self.key("upload/x");
        let mut upload = self.bucket.upload(&key).await.expect("an upload");
        let mut size = 0;
        for n in 0..7_u8 {
            let part = Bytes::from(vec![n; 1_000_003]);
            size += part.len() as u64;
            upload.write(part).await.expect("a write");
        }
        assert!(self.bucket.head(&key).await.expect("a head").is_none(), "visible before it is whole");
        assert_eq!(upload.finish().await.expect("an end"), size);
        assert_eq!(self.meta("upload/x").await.size, size);
        let seam = self.bucket.get_range(&key, 1_000_002..1_000_004).await.expect("a range");
        assert_eq!(seam.as_ref(), [0, 1]);

        let key = self.key("upload/empty");
        let upload = self.bucket.upload(&key).await.expect("an upload");
        assert_eq!(upload.finish().await.expect("an end"), 0);
        assert_eq!(self.meta("upload/empty").await.size, 0);

        let key = self.key("upload/given-up");
        let mut upload = self.bucket.upload(&key).await.expect("an upload");
        upload.write(Bytes::from(vec![1; 6 << 20])).await.expect("a write");
        upload.abort().await;
        assert!(self.bucket.head(&key).await.expect("a head").is_none(), "visible although given up");
    }

    async fn a_rewritten_object_is_noticed(&self) {
        self.put("etag/x", b"first").await;
        let key = self.key("etag/x");
        let before = self.meta("etag/x").await;
        self.bucket.delete(&key).await.expect("a delete");
        self.put("etag/x", b"other").await;
        assert_ne!(self.meta("etag/x").await.etag, before.etag);
        let code = match self.bucket.read(&key, &before.etag).await {
            Err(error) => Some(error.code),
            Ok(mut chunks) => loop {
                match chunks.next().await {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => break Some(error.code),
                    None => break None,
                }
            },
        };
        assert_eq!(code, Some(FailureCode::SourceChanged));
    }

    async fn listings_are_in_the_order_of_bytes(&self) {
        for name in ORDERED.iter().rev() {
            self.put(&format!("list/{name}"), b"x").await;
        }
        let dir = self.key("list/");
        assert_eq!(self.list(&dir, None).await, ORDERED);
        assert_eq!(self.list(&dir, Some(&format!("{dir}a.b"))).await, ORDERED[3..]);
        assert_eq!(self.list(&dir, Some(&format!("{dir}a.c"))).await, ORDERED[3..]);
        assert_eq!(self.list(&format!("{dir}a/"), None).await, ["a/b", "a/b.c"]);
        assert_eq!(self.list(&format!("{dir}a"), None).await, ORDERED[1..6]);
        assert!(self.list(&self.key("list/none/"), None).await.is_empty());
        let pages: Vec<_> = self.bucket.pages(&dir).try_collect().await.expect("pages");
        let keys: Vec<_> = pages.concat().into_iter().map(|object| object.key[dir.len()..].to_owned()).collect();
        assert_eq!(keys, ORDERED, "pages are in the order of a listing");
    }

    async fn a_listing_goes_past_its_pages(&self) {
        let puts = (0..1_100).map(|n| async move { self.put(&format!("pages/{n:04}"), b"").await });
        futures::stream::iter(puts)
            .buffer_unordered(16)
            .for_each(|put| async move { assert_eq!(put, Put::Created) })
            .await;
        let pages = self.bucket.list(&self.key("pages/"), None).await.expect("a listing");
        assert_eq!(pages.len(), 1_100, "a listing must not stop at a page");
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Vec<String> {
        let found = self.bucket.list(prefix, after).await.expect("a listing");
        let dir = self.key("list/");
        found.iter().map(|meta| meta.key.strip_prefix(&dir).expect("a key below the prefix").to_owned()).collect()
    }

    async fn what_is_not_there_is_no_error(&self) {
        let key = self.key("none/x");
        assert!(self.bucket.get(&key, 10).await.expect("a get").is_none());
        assert!(self.bucket.head(&key).await.expect("a head").is_none());
        self.bucket.delete(&key).await.expect("a delete");
        assert!(self.bucket.get_range(&key, 0..1).await.is_err());
    }

    async fn of_racing_writers_one_wins(&self) {
        for round in 0..5 {
            let puts = (0..6).map(|n| self.race(round, n));
            let created = futures::future::join_all(puts).await.into_iter().filter(|created| *created).count();
            assert_eq!(created, 1);
        }
    }

    /// One writer's way to an answer: a conflict is no answer yet.
    async fn race(&self, round: usize, n: usize) -> bool {
        let key = self.key(&format!("race/{round}"));
        loop {
            match self.bucket.put_if_absent(&key, Bytes::from(format!("writer {n}"))).await.expect("a put") {
                Put::Created => return true,
                Put::Exists => return false,
                Put::Conflict => tokio::task::yield_now().await,
            }
        }
    }

    async fn clear(&self) {
        for object in self.bucket.list(&self.prefix, None).await.expect("a listing") {
            self.bucket.delete(&object.key).await.expect("a delete");
        }
        assert!(self.bucket.list(&self.prefix, None).await.expect("a listing").is_empty());
    }
}
