//! S3 and what speaks its protocol, as a bucket.
//!
//! The SDK's own retries are off. A conditional put is sent exactly once: what became of it is the committer's to settle.
//! All other calls are tried again within bounds. Nothing that the service says goes into a text but its error code.

mod client;
mod error;
mod list;
mod read;
mod retry;
mod upload;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use futures::stream::BoxStream;
use md5::{Digest, Md5};
use waybill_model::FailureCode;
use waybill_model::net::partition_of;
use waybill_pipeline::bucket::BucketResult;
use waybill_pipeline::{Bucket, BucketError, ObjectMeta, Put, Upload};

pub use client::{StaticKeys, Way};
use error::{Failed, Kind};
pub use retry::Patience;
pub use upload::Parts;

/// How long one small call may take.
const CALL: Duration = Duration::from_secs(60);

/// A bucket's name and prefix with a way to reach it. Clones share it.
#[derive(Clone)]
pub struct S3Bucket {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    bucket: String,
    /// Empty, or ends with a slash.
    prefix: String,
    patience: Patience,
    parts: Parts,
    throttled: AtomicU64,
}

impl S3Bucket {
    /// Prepares access to `bucket`, below `prefix`. Without static keys the worker's own role is found by the AWS rules.
    /// `memory` is the worker's budget: it sizes the parts of uploads.
    pub async fn connect(bucket: &str, prefix: &str, way: Way<'_>, memory: u64) -> BucketResult<Self> {
        let client = client::connect(way).await?;
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        let (patience, parts) = (Patience::default(), Parts::for_memory(memory));
        let bucket = bucket.to_owned();
        let inner = Inner { client, bucket, prefix, patience, parts, throttled: AtomicU64::new(0) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The same bucket with other bounds for retries and parts.
    #[must_use]
    pub fn with(self, patience: Patience, parts: Parts) -> Self {
        let Inner { client, bucket, prefix, .. } = &*self.inner;
        let (client, bucket, prefix) = (client.clone(), bucket.clone(), prefix.clone());
        let inner = Inner { client, bucket, prefix, patience, parts, throttled: AtomicU64::new(0) };
        Self { inner: Arc::new(inner) }
    }

    /// How often the service asked to slow down.
    #[must_use]
    pub fn throttled(&self) -> u64 {
        self.inner.throttled.load(Ordering::Relaxed)
    }
}

impl Inner {
    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn url(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.prefix.trim_end_matches('/'))
    }

    /// A failed call as the bucket's error.
    fn error(&self, failed: &Failed) -> BucketError {
        let region = self.client.config().region().map_or("", |region| region.as_ref());
        failed.error(&self.url(), partition_of(region))
    }

    async fn put(&self, key: &str, body: Bytes, condition: Option<&str>, bound: Duration) -> Result<(), Failed> {
        // Which checksum a store minds is not known before it has answered: it gets both.
        let (sum, digest) = (crc_text(crc(&body)), md5_text(&body));
        let call = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(self.key(key))
            .set_if_none_match(condition.map(str::to_owned))
            .checksum_crc64_nvme(sum)
            .content_md5(digest)
            .body(ByteStream::from(body));
        error::call("PutObject", bound, call.send()).await.map(|_| ())
    }

    async fn head(&self, key: &str) -> Result<Option<Seen>, Failed> {
        let call = || {
            use aws_sdk_s3::types::ChecksumMode;
            let call = self.client.head_object().bucket(&self.bucket).key(self.key(key));
            error::call("HeadObject", CALL, call.checksum_mode(ChecksumMode::Enabled).send())
        };
        match retry::persist(self, call).await {
            Ok(head) => Ok(Some(Seen {
                size: u64::try_from(head.content_length().unwrap_or(0)).unwrap_or(0),
                modified: error::micros(head.last_modified()),
                etag: head.e_tag().unwrap_or_default().to_owned(),
                crc: head.checksum_crc64_nvme().map(str::to_owned),
            })),
            Err(failed) if failed.kind == Kind::Absent => Ok(None),
            Err(failed) => Err(failed),
        }
    }
}

/// What a HEAD tells.
struct Seen {
    size: u64,
    modified: waybill_model::Micros,
    etag: String,
    crc: Option<String>,
}

/// The checksum that S3 computes over whole objects.
fn crc(bytes: &[u8]) -> u64 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, bytes)
}

/// The digest that stores minded before there were checksums. It guards the wire, nothing else.
fn md5_text(bytes: &[u8]) -> String {
    BASE64.encode(Md5::digest(bytes))
}

fn crc_text(crc: u64) -> String {
    BASE64.encode(crc.to_be_bytes())
}

#[async_trait]
impl Bucket for S3Bucket {
    fn upload_buffer(&self) -> u64 {
        self.inner.parts.buffer()
    }

    fn url(&self) -> String {
        self.inner.url()
    }

    async fn put_if_absent(&self, key: &str, body: Bytes) -> BucketResult<Put> {
        match self.inner.put(key, body, Some("*"), CALL).await {
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

    async fn upload(&self, key: &str) -> BucketResult<Box<dyn Upload>> {
        Ok(Box::new(upload::S3Upload::new(&self.inner, key)))
    }

    async fn get(&self, key: &str, cap: u64) -> BucketResult<Option<Bytes>> {
        match retry::persist(&self.inner, || read::whole(&self.inner, key, cap)).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(failed) if failed.kind == Kind::Absent => Ok(None),
            Err(failed) => Err(self.inner.error(&failed)),
        }
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> BucketResult<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let read = retry::persist(&self.inner, || read::range(&self.inner, key, &range)).await;
        read.map_err(|failed| self.inner.error(&failed))
    }

    async fn read(&self, key: &str, etag: &str) -> BucketResult<BoxStream<'static, BucketResult<Bytes>>> {
        read::stream(&self.inner, key, etag).await
    }

    async fn head(&self, key: &str) -> BucketResult<Option<ObjectMeta>> {
        let seen = self.inner.head(key).await.map_err(|failed| self.inner.error(&failed))?;
        Ok(seen.map(|seen| ObjectMeta {
            key: key.to_owned(),
            size: seen.size,
            modified: seen.modified,
            etag: seen.etag,
        }))
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> BucketResult<Vec<ObjectMeta>> {
        list::all(&self.inner, prefix, after).await.map_err(|failed| self.inner.error(&failed))
    }

    async fn delete(&self, key: &str) -> BucketResult<()> {
        let call = || {
            let call = self.inner.client.delete_object().bucket(&self.inner.bucket).key(self.inner.key(key));
            error::call("DeleteObject", CALL, call.send())
        };
        match retry::persist(&self.inner, call).await {
            Ok(_) => Ok(()),
            Err(failed) if failed.kind == Kind::Absent => Ok(()),
            Err(failed) => Err(self.inner.error(&failed)),
        }
    }
}
