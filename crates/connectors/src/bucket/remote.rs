//! What all object stores behind HTTP have in common: the law of a bucket, kept in one place.
//!
//! A [`Store`] makes single calls of one service, one try each. Here stands which of them are tried again and for how long,
//! what their failures mean to a run, how uploads are cut and settled, and how broken reads go on. A conditional put is
//! sent exactly once: what became of it is the committer's to settle.

mod failure;
mod parts;
mod patience;
mod read;
mod upload;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use waybill_model::{FailureCode, Micros};
use waybill_pipeline::bucket::BucketResult;
use waybill_pipeline::{Bucket, BucketError, ObjectMeta, Put, Upload};

pub(super) use failure::within;
pub use failure::{Failed, Kind};
pub use parts::{Parts, STEP};
pub use patience::Patience;

/// How long one small call may take.
pub(super) const CALL: Duration = Duration::from_secs(60);
/// How long one part may take.
pub(super) const PART: Duration = Duration::from_secs(5 * 60);
/// How long the store may take to put the parts together.
pub(super) const COMPLETE: Duration = Duration::from_secs(10 * 60);

/// The calls of one service. Each is one try; keys are whole, with the prefix in front.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// What messages call the service.
    const SERVICE: &'static str;
    /// Parts of one upload that it takes.
    const MOST_PARTS: u32;
    /// It takes a part only behind the one before, and all but the last in whole multiples of [`parts::STEP`].
    const IN_ORDER: bool = false;
    /// An upload that was begun.
    type Begun: Clone + Send + Sync + 'static;
    /// What completing an upload needs to know of a part that arrived.
    type Part: Send + Sync + 'static;

    /// The address without prefix and slash at its end, for people and receipts.
    fn root(&self) -> String;

    /// What has to be granted for an operation, in the service's own words; `url` is the address with the prefix.
    fn grant(&self, operation: &str, url: &str) -> String;

    /// Stores a whole object; where `is_new`, only if there is none.
    async fn put(&self, key: &str, body: Bytes, is_new: bool) -> Result<(), Failed>;

    /// What is known of an object.
    async fn head(&self, key: &str) -> Result<Seen, Failed>;

    /// Asks for bytes.
    async fn get(&self, ask: &Ask<'_>) -> Result<Answer, Failed>;

    /// One page of a listing: where there is a token, the page that it stands for.
    async fn page(&self, prefix: &str, after: Option<&str>, token: Option<&str>) -> Result<Page, Failed>;

    /// Removes an object.
    async fn delete(&self, key: &str) -> Result<(), Failed>;

    /// Begins an upload in parts.
    async fn begin(&self, key: &str) -> Result<Self::Begun, Failed>;

    /// Sends one part; done when the store has exactly these bytes.
    async fn part(&self, key: &str, begun: &Self::Begun, place: Place, body: Bytes) -> Result<Self::Part, Failed>;

    /// Puts the parts together.
    async fn complete(&self, key: &str, begun: &Self::Begun, parts: &[Sent<Self::Part>]) -> Result<(), Failed>;

    /// Whether an object of the right size is what was sent, as far as the store keeps a checksum.
    fn is_whole(&self, seen: &Seen, begun: &Self::Begun, parts: &[Sent<Self::Part>]) -> bool;

    /// Frees what an upload has stored.
    async fn abandon(&self, key: &str, begun: &Self::Begun) -> Result<(), Failed>;
}

/// What a HEAD tells.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Bytes.
    pub size: u64,
    /// Last change.
    pub modified: Micros,
    /// What changes with every rewrite.
    pub etag: String,
    /// The checksum that the service keeps, as it spells it.
    pub sum: Option<String>,
}

/// Which bytes of which object.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The whole key.
    pub key: &'a str,
    /// Only if it is still this one.
    pub etag: Option<&'a str>,
    /// The first byte; 0 for all.
    pub from: u64,
    /// Behind the last byte; the object's end where absent.
    pub to: Option<u64>,
}

impl Ask<'_> {
    /// The header that asks for these bytes; none for a whole object.
    #[must_use]
    pub fn range(&self) -> Option<String> {
        match (self.from, self.to) {
            (0, None) => None,
            (from, None) => Some(format!("bytes={from}-")),
            (from, Some(to)) => Some(format!("bytes={from}-{}", to.saturating_sub(1))),
        }
    }
}

/// Bytes as they come.
pub type Body = BoxStream<'static, Result<Bytes, Failed>>;

/// The beginning of an answer with bytes.
pub struct Answer {
    /// Bytes that come.
    pub length: Option<u64>,
    /// Which state of the object they are of.
    pub etag: Option<String>,
    /// The store says that these are the bytes of a range.
    pub is_range: bool,
    /// The bytes.
    pub body: Body,
}

/// One page of a listing, with whole keys.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// What it holds.
    pub objects: Vec<ObjectMeta>,
    /// The token of the page that follows.
    pub next: Option<String>,
}

/// Where a part belongs in its upload.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// From 1.
    pub number: u32,
    /// Bytes before it.
    pub offset: u64,
}

/// One part that the store has.
#[derive(Clone, Debug)]
pub struct Sent<P> {
    /// From 1.
    pub number: u32,
    /// Its size.
    pub bytes: u64,
    /// What the store said of it.
    pub part: P,
}

/// A store with a prefix, as a bucket. Clones share it.
pub struct Remote<S> {
    inner: Arc<Inner<S>>,
}

impl<S> Clone for Remote<S> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

/// Where a listing in pages stands.
enum Walk {
    /// At the page of this token, behind this key.
    On {
        token: Option<String>,
        last: Option<String>,
    },
    Done,
}

struct Inner<S> {
    store: Arc<S>,
    /// Empty, or ends with a slash.
    prefix: String,
    patience: Patience,
    parts: Parts,
    throttled: AtomicU64,
}

impl<S: Store> Remote<S> {
    /// The bucket below `prefix`. `memory` is the worker's budget: it sizes the parts of uploads.
    pub fn new(store: S, prefix: &str, memory: u64) -> Self {
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self::made(Arc::new(store), prefix, Patience::default(), Parts::for_memory(memory))
    }

    fn made(store: Arc<S>, prefix: String, patience: Patience, parts: Parts) -> Self {
        let parts = if S::IN_ORDER { parts.in_order() } else { parts };
        Self { inner: Arc::new(Inner { store, prefix, patience, parts, throttled: AtomicU64::new(0) }) }
    }

    /// The same bucket with other bounds for retries and parts.
    #[must_use]
    pub fn with(self, patience: Patience, parts: Parts) -> Self {
        Self::made(Arc::clone(&self.inner.store), self.inner.prefix.clone(), patience, parts)
    }
}

impl<S: Store> Inner<S> {
    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn url(&self) -> String {
        format!("{}/{}", self.store.root(), self.prefix.trim_end_matches('/'))
    }

    /// A failed call as the bucket's error.
    fn error(&self, failed: &Failed) -> BucketError {
        let url = self.url();
        failed.error(S::SERVICE, &url, |operation| self.store.grant(operation, &url))
    }

    /// What is known of the object with this whole key.
    async fn seen(&self, whole: &str) -> Result<Option<Seen>, Failed> {
        match self.persist(|| self.store.head(whole)).await {
            Ok(seen) => Ok(Some(seen)),
            Err(failed) if failed.kind == Kind::Absent => Ok(None),
            Err(failed) => Err(failed),
        }
    }

    /// All objects below `prefix` whose key sorts after `after`, over all pages.
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<ObjectMeta>, Failed> {
        let (mut found, mut token): (Vec<ObjectMeta>, _) = (Vec::new(), None);
        loop {
            let (objects, next) = self.page((prefix, after), token).await?;
            found.extend(objects);
            if next.is_none() {
                break;
            }
            token = next;
        }
        found.sort_by(|a, b| a.key.as_bytes().cmp(b.key.as_bytes()));
        Ok(found)
    }

    /// What one page of a listing has of it, and the token of the next page.
    async fn page(
        &self,
        (prefix, after): (&str, Option<&str>),
        token: Option<String>,
    ) -> Result<(Vec<ObjectMeta>, Option<String>), Failed> {
        let (below, behind) = (self.key(prefix), after.map(|after| self.key(after)));
        let page = self.persist(|| self.store.page(&below, behind.as_deref(), token.as_deref())).await?;
        if page.next.is_some() && page.next == token {
            return Err(Failed::new(Kind::Other, "List", "a page without a way to the next one"));
        }
        // What a store lists outside of what was asked for is not ours to see.
        let inside = page.objects.into_iter().filter_map(|object| {
            let key = object.key.strip_prefix(&self.prefix)?.to_owned();
            let is_meant = key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after);
            is_meant.then_some(ObjectMeta { key, ..object })
        });
        Ok((inside.collect(), page.next))
    }

    /// The next page of a listing that is told in pages; none behind the last one. A store whose pages are not in order can't be
    /// held against an ordered list.
    async fn ordered(&self, prefix: &str, walk: Walk) -> Result<Option<(Vec<ObjectMeta>, Walk)>, Failed> {
        let Walk::On { token, last } = walk else { return Ok(None) };
        let (objects, next) = self.page((prefix, None), token).await?;
        let keys = last.iter().map(String::as_bytes).chain(objects.iter().map(|object| object.key.as_bytes()));
        if !keys.is_sorted() {
            return Err(Failed::new(Kind::Other, "List", "keys that are not in the order of their bytes"));
        }
        let last = objects.last().map(|object| object.key.clone()).or(last);
        let walk = if next.is_some() { Walk::On { token: next, last } } else { Walk::Done };
        Ok(Some((objects, walk)))
    }
}

#[async_trait]
impl<S: Store> Bucket for Remote<S> {
    fn upload_buffer(&self) -> u64 {
        self.inner.parts.buffer()
    }

    fn url(&self) -> String {
        self.inner.url()
    }

    async fn put_if_absent(&self, key: &str, body: Bytes) -> BucketResult<Put> {
        match self.inner.store.put(&self.inner.key(key), body, true).await {
            Ok(()) => Ok(Put::Created),
            Err(failed) if failed.kind == Kind::Precondition => Ok(Put::Exists),
            Err(failed) if failed.kind == Kind::Conflict => Ok(Put::Conflict),
            Err(failed) if failed.kind == Kind::Unsupported => {
                let text = format!("{}: the store does not know conditional writes", self.inner.url());
                Err(BucketError::new(FailureCode::BucketUnconditional, text))
            }
            Err(failed) => Err(self.inner.error(&failed)),
        }
    }

    async fn replace(&self, key: &str, body: Bytes) -> BucketResult<()> {
        self.inner.store.put(&self.inner.key(key), body, false).await.map_err(|failed| self.inner.error(&failed))
    }

    async fn upload(&self, key: &str) -> BucketResult<Box<dyn Upload>> {
        Ok(Box::new(upload::PartUpload::new(&self.inner, key)))
    }

    fn throttled(&self) -> u64 {
        self.inner.throttled.load(Ordering::Relaxed)
    }

    async fn get(&self, key: &str, cap: u64) -> BucketResult<Option<Bytes>> {
        match self.inner.persist(|| self.inner.whole(key, cap)).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(failed) if failed.kind == Kind::Absent => Ok(None),
            Err(failed) => Err(self.inner.error(&failed)),
        }
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> BucketResult<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let read = self.inner.persist(|| self.inner.range(key, &range)).await;
        read.map_err(|failed| self.inner.error(&failed))
    }

    async fn read(&self, key: &str, etag: &str) -> BucketResult<BoxStream<'static, BucketResult<Bytes>>> {
        read::stream(&self.inner, key, etag).await
    }

    async fn head(&self, key: &str) -> BucketResult<Option<ObjectMeta>> {
        let seen = self.inner.seen(&self.inner.key(key)).await.map_err(|failed| self.inner.error(&failed))?;
        Ok(seen.map(|Seen { size, modified, etag, sum: _ }| ObjectMeta { key: key.to_owned(), size, modified, etag }))
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> BucketResult<Vec<ObjectMeta>> {
        self.inner.list(prefix, after).await.map_err(|failed| self.inner.error(&failed))
    }

    fn pages<'a>(&'a self, prefix: &'a str) -> BoxStream<'a, BucketResult<Vec<ObjectMeta>>> {
        let first = Walk::On { token: None, last: None };
        stream::try_unfold(first, move |walk| async move {
            self.inner.ordered(prefix, walk).await.map_err(|failed| self.inner.error(&failed))
        })
        .boxed()
    }

    async fn delete(&self, key: &str) -> BucketResult<()> {
        let whole = self.inner.key(key);
        match self.inner.persist(|| self.inner.store.delete(&whole)).await {
            Ok(()) => Ok(()),
            Err(failed) if failed.kind == Kind::Absent => Ok(()),
            Err(failed) => Err(self.inner.error(&failed)),
        }
    }
}
