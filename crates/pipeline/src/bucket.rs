//! What a bucket must offer: conditional creation, streaming uploads, reads, listing past a page.
//!
//! A key is a `/`-separated path below the connection's prefix, already safe for every store (see `commit`). No
//! implementation may retry a conditional put on its own: an unknown outcome is the committer's to settle.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use waybill_model::{FailureCode, Micros};

use crate::fault::{CustomerText, Fault};

/// The outcome of a conditional creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The object is there now and was not before.
    Created,
    /// An object was there already (412): read it.
    Exists,
    /// Another writer was at work on the same key (409): try again.
    Conflict,
}

/// What a listing and a HEAD tell of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Key below the connection's prefix.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Last change.
    pub modified: Micros,
    /// What changes with every rewrite: an ETag, or inode, size and time of a local file.
    pub etag: String,
}

/// Why a bucket call failed. `outcome_unknown` marks calls that may have taken effect.
#[derive(Clone)]
pub struct BucketError {
    /// The public code: one of the `bucket_*` ones.
    pub code: FailureCode,
    /// A write may have taken effect although this call failed (time-out, reset, 5xx).
    pub outcome_unknown: bool,
    /// What stays with the customer.
    pub text: CustomerText,
}

impl BucketError {
    /// A failure that certainly changed nothing.
    pub fn new(code: FailureCode, text: impl Into<String>) -> Self {
        Self { code, outcome_unknown: false, text: CustomerText::new(text) }
    }

    /// A failure after which the write may or may not be there.
    pub fn unknown(code: FailureCode, text: impl Into<String>) -> Self {
        Self { code, outcome_unknown: true, text: CustomerText::new(text) }
    }
}

impl std::fmt::Debug for BucketError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code.as_str())
    }
}

impl From<BucketError> for Fault {
    fn from(error: BucketError) -> Self {
        Self { code: error.code, sqlstate: None, text: error.text }
    }
}

/// The result of bucket calls.
pub type BucketResult<T> = Result<T, BucketError>;

/// Where tables are written: a prefix of an object store, or a directory.
#[async_trait]
pub trait Bucket: Send + Sync {
    /// The address for people and receipts (`file:///…`, `s3://…`), without credentials.
    fn url(&self) -> String;

    /// Creates a small object if there is none: one call, atomic, durable when it returns.
    async fn put_if_absent(&self, key: &str, body: Bytes) -> BucketResult<Put>;

    /// Puts a small object, over one that may be there: readers see the one or the other. For what nothing depends on.
    async fn replace(&self, key: &str, body: Bytes) -> BucketResult<()>;

    /// Begins an upload of unknown length; nothing is visible before `finish`.
    async fn upload(&self, key: &str) -> BucketResult<Box<dyn Upload>>;

    /// Bytes that one upload may hold in memory at most: the engine draws them from the budget for every lane.
    fn upload_buffer(&self) -> u64 {
        1 << 20
    }

    /// How often the store asked to slow down since this was made; each time was waited out, or ended in `bucket_throttled`.
    fn throttled(&self) -> u64 {
        0
    }

    /// The whole of a small object, or none. One larger than `cap` bytes is `bucket_failed`.
    async fn get(&self, key: &str, cap: u64) -> BucketResult<Option<Bytes>>;

    /// A byte range of an object.
    async fn get_range(&self, key: &str, range: Range<u64>) -> BucketResult<Bytes>;

    /// The bytes of an object in order. If it is not `etag` any more, the stream ends with `source_changed`.
    async fn read(&self, key: &str, etag: &str) -> BucketResult<BoxStream<'static, BucketResult<Bytes>>>;

    /// What is known of an object, or none.
    async fn head(&self, key: &str) -> BucketResult<Option<ObjectMeta>>;

    /// All objects whose key begins with `prefix` and sorts after `after`, in order of their keys' bytes, over all pages.
    async fn list(&self, prefix: &str, after: Option<&str>) -> BucketResult<Vec<ObjectMeta>>;

    /// The same from the first key on, in pages, each of them behind the one before: where the store gives pages, no more than one is
    /// in memory.
    fn pages<'a>(&'a self, prefix: &'a str) -> BoxStream<'a, BucketResult<Vec<ObjectMeta>>> {
        futures::stream::once(self.list(prefix, None)).boxed()
    }

    /// Removes an object; one that is not there is no error.
    async fn delete(&self, key: &str) -> BucketResult<()>;

    /// Makes an object that was found, and that somebody may have put who died before it was safe, outlive a power cut. A store shows
    /// nothing that would not.
    async fn settle(&self, _key: &str) -> BucketResult<()> {
        Ok(())
    }
}

/// An upload under way. Dropping it without `finish` leaves nothing that a reader sees; `abort` also frees its parts.
#[async_trait]
pub trait Upload: Send {
    /// Takes bytes; waits while too much is in flight, so that memory stays bounded.
    async fn write(&mut self, bytes: Bytes) -> BucketResult<()>;

    /// Makes the object visible and returns its size. The caller's keys are unique, so this has no condition.
    async fn finish(self: Box<Self>) -> BucketResult<u64>;

    /// Gives up and frees what was stored.
    async fn abort(self: Box<Self>);

    /// Bytes that this upload may hold in memory at most: drawn from the budget before it begins.
    fn buffer_bytes(&self) -> u64;
}
