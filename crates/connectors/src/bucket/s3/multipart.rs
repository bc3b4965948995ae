//! The calls of an upload in parts. Each part is checked when it arrives, the whole when it is put together.

use aws_sdk_s3::operation::upload_part::UploadPartOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use md5::{Digest, Md5};

use super::super::remote::{CALL, COMPLETE, Failed, Kind, PART, Sent};
use super::{S3Store, crc, crc_text, error};

/// A multipart upload that was begun.
#[derive(Clone)]
pub struct Begun {
    id: String,
    /// The store keeps a checksum over the whole object.
    pub(super) sums: bool,
}

/// One part that the store has.
pub struct Part {
    etag: String,
    crc: u64,
}

pub(super) async fn begin(store: &S3Store, key: &str) -> Result<Begun, Failed> {
    let call = store
        .client
        .create_multipart_upload()
        .bucket(&store.bucket)
        .key(key)
        .set_server_side_encryption(store.encryption())
        .set_ssekms_key_id(store.kms_key.clone())
        .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
        .checksum_type(ChecksumType::FullObject);
    let answer = error::call("CreateMultipartUpload", CALL, call.send()).await?;
    let sums = answer.checksum_algorithm() == Some(&ChecksumAlgorithm::Crc64Nvme);
    match answer.upload_id() {
        Some(id) => Ok(Begun { id: id.to_owned(), sums }),
        None => Err(Failed::new(Kind::Other, "CreateMultipartUpload", "an upload without an id")),
    }
}

/// Sends one part and looks whether the store has exactly these bytes.
pub(super) async fn part(store: &S3Store, key: &str, begun: &Begun, number: u32, body: Bytes) -> Result<Part, Failed> {
    let sum = crc(&body);
    let text = crc_text(sum);
    let digest = (!begun.sums).then(|| Md5::digest(&body));
    let call = store
        .client
        .upload_part()
        .bucket(&store.bucket)
        .key(key)
        .upload_id(&begun.id)
        .part_number(i32::try_from(number).unwrap_or(i32::MAX))
        .checksum_crc64_nvme(text.clone())
        .set_content_md5(digest.as_ref().map(|digest| BASE64.encode(digest)))
        .body(ByteStream::from(body));
    let answer = error::call("UploadPart", PART, call.send()).await?;
    if arrived(&answer, &text, digest.as_ref().map(hex::encode).as_deref()) {
        Ok(Part { etag: answer.e_tag.unwrap_or_default(), crc: sum })
    } else {
        Err(Failed::new(Kind::Garbled, "UploadPart", "the part is not what was sent"))
    }
}

/// Whether the store's answer fits the part. Without a checksum the ETag tells, where it is the digest of the bytes: it
/// is not where the store encrypts them with a key of its own.
fn arrived(answer: &UploadPartOutput, sum: &str, digest: Option<&str>) -> bool {
    if let Some(there) = answer.checksum_crc64_nvme() {
        return there == sum;
    }
    let etag = answer.e_tag().unwrap_or_default().trim_matches('"');
    let is_digest = etag.len() == 32
        && etag.bytes().all(|b| b.is_ascii_hexdigit())
        && answer.server_side_encryption().is_none()
        && answer.sse_customer_algorithm().is_none();
    !is_digest || digest.is_none_or(|digest| digest.eq_ignore_ascii_case(etag))
}

/// The checksum of the whole, from those of its parts in order.
pub(super) fn sum(parts: &[Sent<Part>]) -> u64 {
    let combine = |sum: Option<u64>, sent: &Sent<Part>| match sum {
        None => Some(sent.part.crc),
        Some(sum) => {
            let algorithm = crc_fast::CrcAlgorithm::Crc64Nvme;
            Some(crc_fast::checksum_combine(algorithm, sum, sent.part.crc, sent.bytes))
        }
    };
    parts.iter().fold(None, combine).unwrap_or(0)
}

pub(super) async fn complete(store: &S3Store, key: &str, begun: &Begun, parts: &[Sent<Part>]) -> Result<(), Failed> {
    let size: u64 = parts.iter().map(|sent| sent.bytes).sum();
    let completed = parts.iter().map(|sent| {
        let own = begun.sums.then(|| crc_text(sent.part.crc));
        let number = i32::try_from(sent.number).unwrap_or(i32::MAX);
        CompletedPart::builder().part_number(number).e_tag(&sent.part.etag).set_checksum_crc64_nvme(own).build()
    });
    let completed = CompletedMultipartUpload::builder().set_parts(Some(completed.collect())).build();
    let mut call = store
        .client
        .complete_multipart_upload()
        .bucket(&store.bucket)
        .key(key)
        .upload_id(&begun.id)
        .multipart_upload(completed);
    if begun.sums {
        call = call
            .checksum_type(ChecksumType::FullObject)
            .checksum_crc64_nvme(crc_text(sum(parts)))
            .mpu_object_size(i64::try_from(size).unwrap_or(i64::MAX));
    }
    error::call("CompleteMultipartUpload", COMPLETE, call.send()).await.map(|_| ())
}

pub(super) async fn abandon(store: &S3Store, key: &str, begun: &Begun) -> Result<(), Failed> {
    let call = store.client.abort_multipart_upload().bucket(&store.bucket).key(key).upload_id(&begun.id);
    error::call("AbortMultipartUpload", CALL, call.send()).await.map(|_| ())
}
