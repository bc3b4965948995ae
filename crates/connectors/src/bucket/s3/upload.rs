//! Uploads of unknown length from memory: parts in flight within a fixed budget, one object at the end.
//!
//! A file that fits one part is put whole. A lost answer is settled by what the store then holds: size and checksum.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::operation::upload_part::UploadPartOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};
use md5::{Digest, Md5};
use tokio::task::JoinSet;
use waybill_model::FailureCode;
use waybill_pipeline::bucket::BucketResult;
use waybill_pipeline::{BucketError, Upload};

use super::error::{self, Failed, Kind};
use super::{CALL, Inner, crc, crc_text, retry};

const MIB: u64 = 1 << 20;
/// Parts of one upload that S3 takes.
const MOST_PARTS: u32 = 10_000;
/// Parts grow after each so many, so that a long object stays below the limit.
const GROW_AFTER: u32 = 1_000;
/// How long one part may take.
const PART: Duration = Duration::from_secs(5 * 60);
/// How long the store may take to put the parts together.
const COMPLETE: Duration = Duration::from_secs(10 * 60);

/// How an upload is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Bytes of the first parts.
    pub bytes: u64,
    /// Parts on their way at once.
    pub in_flight: u64,
}

impl Parts {
    /// 16 MiB and four in flight, less where the budget is small; never below 8 MiB.
    #[must_use]
    pub fn for_memory(memory: u64) -> Self {
        let share = memory / 4;
        let bytes = (share / 5).clamp(8 * MIB, 16 * MIB);
        Self { bytes, in_flight: (share / bytes).saturating_sub(1).clamp(1, 4) }
    }

    /// What an upload may hold: the parts in flight and the one that is being filled.
    pub(super) const fn buffer(self) -> u64 {
        self.bytes * (self.in_flight + 1)
    }

    /// The size of a part and how many of that size may be in flight: their sum never grows.
    fn of(self, number: u32) -> (u64, usize) {
        let doubled = self.bytes << ((number - 1) / GROW_AFTER).min(16);
        let bytes = doubled.min(self.buffer() / 2);
        (bytes, usize::try_from(self.buffer() / bytes - 1).unwrap_or(1).max(1))
    }
}

/// One part that the store has.
struct Done {
    number: i32,
    etag: String,
    crc: u64,
    bytes: u64,
}

/// A multipart upload that was begun.
#[derive(Clone)]
struct Begun {
    id: String,
    /// The store keeps a checksum over the whole object.
    sums: bool,
}

pub(super) struct S3Upload {
    inner: Arc<Inner>,
    key: String,
    filling: BytesMut,
    begun: Option<Begun>,
    sent: u32,
    flying: JoinSet<Result<Done, Failed>>,
    done: Vec<Done>,
}

impl S3Upload {
    pub(super) fn new(inner: &Arc<Inner>, key: &str) -> Self {
        Self {
            inner: Arc::clone(inner),
            key: key.to_owned(),
            filling: BytesMut::new(),
            begun: None,
            sent: 0,
            flying: JoinSet::new(),
            done: Vec::new(),
        }
    }

    /// Sends what is filled as the next part.
    async fn send(&mut self) -> Result<(), Failed> {
        if self.sent == MOST_PARTS {
            return Err(Failed::new(Kind::TooLarge, "UploadPart", "more than 10000 parts, set files.size lower"));
        }
        let begun = match &self.begun {
            Some(begun) => begun.clone(),
            None => {
                let begun = begin(&self.inner, &self.key).await?;
                self.begun.insert(begun).clone()
            }
        };
        self.sent += 1;
        let (_, at_once) = self.inner.parts.of(self.sent);
        while self.flying.len() >= at_once {
            self.land().await?;
        }
        let (inner, key, body) = (Arc::clone(&self.inner), self.key.clone(), self.filling.split().freeze());
        let number = i32::try_from(self.sent).unwrap_or(i32::MAX);
        self.flying.spawn(async move { send_part(&inner, &key, &begun, number, body).await });
        Ok(())
    }

    /// Waits for a part to arrive.
    async fn land(&mut self) -> Result<(), Failed> {
        match self.flying.join_next().await {
            Some(Ok(part)) => self.done.push(part?),
            Some(Err(_)) => return Err(Failed::new(Kind::Other, "UploadPart", "the upload was stopped")),
            None => {}
        }
        Ok(())
    }

    async fn finish_parts(&mut self) -> Result<u64, Failed> {
        if !self.filling.is_empty() {
            self.send().await?;
        }
        while !self.flying.is_empty() {
            self.land().await?;
        }
        self.done.sort_by_key(|part| part.number);
        let size = self.done.iter().map(|part| part.bytes).sum();
        let sum = self.done.iter().fold(None, |sum, part| match sum {
            None => Some(part.crc),
            Some(sum) => Some(crc_fast::checksum_combine(crc_fast::CrcAlgorithm::Crc64Nvme, sum, part.crc, part.bytes)),
        });
        let Some(begun) = self.begun.clone() else { return Ok(0) };
        self.complete(&begun, size, sum.unwrap_or(0)).await?;
        self.begun = None;
        Ok(size)
    }

    /// Puts the parts together. The key is unique, so finding the object there with our bytes means that it worked.
    async fn complete(&self, begun: &Begun, size: u64, sum: u64) -> Result<(), Failed> {
        let patience = self.inner.patience;
        let mut wait = patience.first_wait;
        for last in (0..patience.tries.max(1)).rev() {
            let answer =
                error::call("CompleteMultipartUpload", COMPLETE, self.completion(begun, size, sum).send()).await;
            let failed = match answer {
                // Success is believed when the object is there: some stores answer 200 and then fail.
                Ok(_) => Failed::new(Kind::Other, "CompleteMultipartUpload", "the object is not what was sent"),
                Err(failed) => failed,
            };
            let worth = matches!(
                failed.kind,
                Kind::Unanswered | Kind::Unreachable | Kind::Throttled | Kind::Conflict | Kind::Garbled
            );
            match self.inner.head(&self.key).await? {
                Some(seen)
                    if seen.size == size
                        && seen.crc.as_ref().is_none_or(|own| !begun.sums || *own == crc_text(sum)) =>
                {
                    return Ok(());
                }
                Some(_) => {
                    return Err(Failed::new(
                        Kind::Garbled,
                        "CompleteMultipartUpload",
                        "the object is not what was sent",
                    ));
                }
                None if last == 0 || !worth => return Err(failed),
                None => retry::pause(&mut wait, patience).await,
            }
        }
        Err(Failed::new(Kind::Unanswered, "CompleteMultipartUpload", "no answer in time"))
    }

    fn completion(
        &self,
        begun: &Begun,
        size: u64,
        sum: u64,
    ) -> aws_sdk_s3::operation::complete_multipart_upload::builders::CompleteMultipartUploadFluentBuilder {
        let parts = self.done.iter().map(|part| {
            let own = begun.sums.then(|| crc_text(part.crc));
            CompletedPart::builder().part_number(part.number).e_tag(&part.etag).set_checksum_crc64_nvme(own).build()
        });
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
        let call = self
            .inner
            .client
            .complete_multipart_upload()
            .bucket(&self.inner.bucket)
            .key(self.inner.key(&self.key))
            .upload_id(&begun.id)
            .multipart_upload(parts);
        if !begun.sums {
            return call;
        }
        call.checksum_type(ChecksumType::FullObject)
            .checksum_crc64_nvme(crc_text(sum))
            .mpu_object_size(i64::try_from(size).unwrap_or(i64::MAX))
    }

    fn error(&self, failed: &Failed) -> BucketError {
        match failed.kind {
            Kind::Conflict => {
                BucketError::unknown(FailureCode::BucketFailed, format!("{}: 409 on an upload", self.inner.url()))
            }
            _ => self.inner.error(failed),
        }
    }
}

async fn begin(inner: &Inner, key: &str) -> Result<Begun, Failed> {
    let answer = retry::persist(inner, || {
        let call = inner
            .client
            .create_multipart_upload()
            .bucket(&inner.bucket)
            .key(inner.key(key))
            .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
            .checksum_type(ChecksumType::FullObject);
        error::call("CreateMultipartUpload", CALL, call.send())
    })
    .await?;
    let sums = answer.checksum_algorithm() == Some(&ChecksumAlgorithm::Crc64Nvme);
    match answer.upload_id() {
        Some(id) => Ok(Begun { id: id.to_owned(), sums }),
        None => Err(Failed::new(Kind::Other, "CreateMultipartUpload", "an upload without an id")),
    }
}

/// Sends one part until the store has exactly these bytes.
async fn send_part(inner: &Inner, key: &str, begun: &Begun, number: i32, body: Bytes) -> Result<Done, Failed> {
    let (bytes, sum) = (body.len() as u64, crc(&body));
    let text = crc_text(sum);
    let digest = (!begun.sums).then(|| Md5::digest(&body));
    let answer = retry::persist(inner, || {
        let call = inner
            .client
            .upload_part()
            .bucket(&inner.bucket)
            .key(inner.key(key))
            .upload_id(&begun.id)
            .part_number(number)
            .checksum_crc64_nvme(text.clone())
            .set_content_md5(digest.as_ref().map(|digest| BASE64.encode(digest)))
            .body(ByteStream::from(body.clone()));
        let (text, digest) = (&text, digest.as_ref().map(hex::encode));
        async move {
            let answer = error::call("UploadPart", PART, call.send()).await?;
            if arrived(&answer, text, digest.as_deref()) {
                return Ok(answer);
            }
            Err(Failed::new(Kind::Garbled, "UploadPart", "the part is not what was sent"))
        }
    })
    .await?;
    let etag = answer.e_tag().unwrap_or_default().to_owned();
    Ok(Done { number, etag, crc: sum, bytes })
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

async fn abandon(inner: &Inner, key: &str, id: &str) {
    let given_up = retry::persist(inner, || {
        let call = inner.client.abort_multipart_upload().bucket(&inner.bucket).key(inner.key(key)).upload_id(id);
        error::call("AbortMultipartUpload", CALL, call.send())
    });
    if given_up.await.is_err() {
        // The bucket's lifecycle rule for incomplete uploads is the last resort.
        tracing::debug!("an upload could not be aborted");
    }
}

#[async_trait]
impl Upload for S3Upload {
    async fn write(&mut self, bytes: Bytes) -> BucketResult<()> {
        let mut bytes = bytes;
        while !bytes.is_empty() {
            let (size, _) = self.inner.parts.of(self.sent + 1);
            let room = usize::try_from(size).unwrap_or(usize::MAX).saturating_sub(self.filling.len());
            if room == 0 {
                self.send().await.map_err(|failed| self.error(&failed))?;
                continue;
            }
            let part = bytes.split_to(room.min(bytes.len()));
            self.filling.extend_from_slice(&part);
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> BucketResult<u64> {
        if self.begun.is_none() {
            let body = self.filling.split().freeze();
            let size = body.len() as u64;
            let put = retry::persist(&self.inner, || self.inner.put(&self.key, body.clone(), None, PART)).await;
            return put.map(|()| size).map_err(|failed| self.error(&failed));
        }
        let finished = self.finish_parts().await.map_err(|failed| self.error(&failed));
        if finished.is_err() {
            self.abort().await;
        }
        finished
    }

    async fn abort(mut self: Box<Self>) {
        self.flying.shutdown().await;
        if let Some(begun) = self.begun.take() {
            abandon(&self.inner, &self.key, &begun.id).await;
        }
    }

    fn buffer_bytes(&self) -> u64 {
        self.inner.parts.buffer()
    }
}

/// An upload that is dropped half-way frees its parts, if anything still runs to do it.
impl Drop for S3Upload {
    fn drop(&mut self) {
        self.flying.abort_all();
        let (Some(begun), Ok(runtime)) = (self.begun.take(), tokio::runtime::Handle::try_current()) else { return };
        let (inner, key) = (Arc::clone(&self.inner), std::mem::take(&mut self.key));
        runtime.spawn(async move { abandon(&inner, &key, &begun.id).await });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_fit_the_budget_and_the_service() {
        assert_eq!(Parts::for_memory(128 * MIB), Parts { bytes: 8 * MIB, in_flight: 3 });
        assert_eq!(Parts::for_memory(64 * MIB), Parts { bytes: 8 * MIB, in_flight: 1 });
        assert_eq!(Parts::for_memory(4 << 30), Parts { bytes: 16 * MIB, in_flight: 4 });
        let parts = Parts::for_memory(4 << 30);
        for number in [1, 1000, 1001, 2001, 5000, 10_000] {
            let (bytes, at_once) = parts.of(number);
            assert!(bytes * (at_once as u64 + 1) <= parts.buffer(), "part {number}");
        }
        assert_eq!((parts.of(1000).0, parts.of(1001).0), (16 * MIB, 32 * MIB));
    }
}
