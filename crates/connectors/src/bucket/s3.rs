//! S3 and what speaks its protocol, as a store behind a bucket.
//!
//! The SDK's own retries are off: trying again is `remote`'s to decide. Nothing that the service says goes into a text but
//! its error code.

mod client;
mod error;
mod keys;
mod list;
mod multipart;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumMode, ServerSideEncryption};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use futures::stream::StreamExt;
use md5::{Digest, Md5};
use waybill_model::net::partition_of;
use waybill_pipeline::bucket::BucketResult;

use super::remote::{Answer, Ask, CALL, Failed, Kind, PART, Page, Place, Remote, Seen, Sent, Store};
pub use client::Way;
pub use keys::StaticKeys;

/// A bucket of S3.
pub type S3Bucket = Remote<S3Store>;

/// The calls of S3 on one bucket.
pub struct S3Store {
    client: Client,
    bucket: String,
    /// The customer's key that objects are encrypted with.
    kms_key: Option<String>,
}

impl S3Bucket {
    /// Prepares access to `bucket`, below `prefix`. Without static keys the worker's own role is found by the AWS rules.
    /// `memory` is the worker's budget: it sizes the parts of uploads.
    pub async fn connect(bucket: &str, prefix: &str, way: Way<'_>, memory: u64) -> BucketResult<Self> {
        let kms_key = way.access.kms_key.clone();
        let client = client::connect(way).await?;
        Ok(Self::new(S3Store { client, bucket: bucket.to_owned(), kms_key }, prefix, memory))
    }
}

impl S3Store {
    /// How an object is encrypted; as the bucket says where nobody names a key.
    fn encryption(&self) -> Option<ServerSideEncryption> {
        self.kms_key.as_ref().map(|_| ServerSideEncryption::AwsKms)
    }
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

fn length_of(length: Option<i64>) -> Option<u64> {
    length.and_then(|length| u64::try_from(length).ok())
}

/// The action that a policy has to allow for an operation, and on what.
fn grant(operation: &str, url: &str, partition: &str) -> String {
    let place = url.strip_prefix("s3://").unwrap_or(url).trim_end_matches('/');
    let bucket = place.split('/').next().unwrap_or_default();
    let action = match operation {
        "ListObjectsV2" => return format!("s3:ListBucket on arn:{partition}:s3:::{bucket}"),
        "GetObject" | "HeadObject" => "GetObject",
        "DeleteObject" => "DeleteObject",
        "AbortMultipartUpload" => "AbortMultipartUpload",
        _ => "PutObject",
    };
    format!("s3:{action} on arn:{partition}:s3:::{place}/*")
}

#[async_trait]
impl Store for S3Store {
    const SERVICE: &'static str = "s3";
    const MOST_PARTS: u32 = 10_000;
    type Begun = multipart::Begun;
    type Part = multipart::Part;

    fn root(&self) -> String {
        format!("s3://{}", self.bucket)
    }

    fn grant(&self, operation: &str, url: &str) -> String {
        let region = self.client.config().region().map_or("", |region| region.as_ref());
        grant(operation, url, partition_of(region))
    }

    async fn put(&self, key: &str, body: Bytes, is_new: bool) -> Result<(), Failed> {
        // Which checksum a store minds is not known before it has answered: it gets both.
        let (sum, digest) = (crc_text(crc(&body)), md5_text(&body));
        let call = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .set_if_none_match(is_new.then(|| "*".to_owned()))
            .set_server_side_encryption(self.encryption())
            .set_ssekms_key_id(self.kms_key.clone())
            .checksum_crc64_nvme(sum)
            .content_md5(digest)
            .body(ByteStream::from(body));
        let bound = if is_new { CALL } else { PART };
        error::call("PutObject", bound, call.send()).await.map(|_| ())
    }

    async fn head(&self, key: &str) -> Result<Seen, Failed> {
        let call = self.client.head_object().bucket(&self.bucket).key(key);
        let head = error::call("HeadObject", CALL, call.checksum_mode(ChecksumMode::Enabled).send()).await?;
        Ok(Seen {
            size: length_of(head.content_length()).unwrap_or(0),
            modified: error::micros(head.last_modified()),
            etag: head.e_tag().unwrap_or_default().to_owned(),
            sum: head.checksum_crc64_nvme().map(str::to_owned),
        })
    }

    async fn get(&self, ask: &Ask<'_>) -> Result<Answer, Failed> {
        let call = self.client.get_object().bucket(&self.bucket).key(ask.key).set_range(ask.range());
        let call = call.set_if_match(ask.etag.map(str::to_owned));
        let answer = error::call("GetObject", CALL, call.send()).await?;
        let body = futures::stream::unfold(answer.body, |mut body| async move {
            let part = body.next().await?;
            Some((part.map_err(|_| Failed::new(Kind::Unanswered, "GetObject", "the answer broke off")), body))
        });
        Ok(Answer {
            length: length_of(answer.content_length),
            etag: answer.e_tag,
            is_range: answer.content_range.is_some(),
            body: body.boxed(),
        })
    }

    async fn page(&self, prefix: &str, after: Option<&str>, token: Option<&str>) -> Result<Page, Failed> {
        list::page(self, prefix, after, token).await
    }

    async fn delete(&self, key: &str) -> Result<(), Failed> {
        let call = self.client.delete_object().bucket(&self.bucket).key(key);
        error::call("DeleteObject", CALL, call.send()).await.map(|_| ())
    }

    async fn begin(&self, key: &str) -> Result<Self::Begun, Failed> {
        multipart::begin(self, key).await
    }

    async fn part(&self, key: &str, begun: &Self::Begun, place: Place, body: Bytes) -> Result<Self::Part, Failed> {
        multipart::part(self, key, begun, place.number, body).await
    }

    async fn complete(&self, key: &str, begun: &Self::Begun, parts: &[Sent<Self::Part>]) -> Result<(), Failed> {
        multipart::complete(self, key, begun, parts).await
    }

    fn is_whole(&self, seen: &Seen, begun: &Self::Begun, parts: &[Sent<Self::Part>]) -> bool {
        seen.sum.as_ref().is_none_or(|own| !begun.sums || *own == crc_text(multipart::sum(parts)))
    }

    async fn abandon(&self, key: &str, begun: &Self::Begun) -> Result<(), Failed> {
        multipart::abandon(self, key, begun).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_action_and_the_arn_to_allow() {
        let named = |operation, url, region| grant(operation, url, partition_of(region));
        assert_eq!(named("UploadPart", "s3://lake/raw", "eu-central-1"), "s3:PutObject on arn:aws:s3:::lake/raw/*");
        assert_eq!(named("HeadObject", "s3://lake/", "us-gov-west-1"), "s3:GetObject on arn:aws-us-gov:s3:::lake/*");
        assert_eq!(named("ListObjectsV2", "s3://lake/raw", "cn-north-1"), "s3:ListBucket on arn:aws-cn:s3:::lake");
    }
}
