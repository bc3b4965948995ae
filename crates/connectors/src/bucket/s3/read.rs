//! Reads: small objects whole, ranges exactly, and long ones as a stream that goes on where a connection broke.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use bytes::{Bytes, BytesMut};
use futures::stream::{BoxStream, StreamExt};
use waybill_model::FailureCode;
use waybill_pipeline::BucketError;
use waybill_pipeline::bucket::BucketResult;

use super::error::{self, Failed, Kind};
use super::{CALL, Inner, retry};

/// A connection that brings nothing for this long is given up.
const QUIET: Duration = Duration::from_secs(60);
/// A store that cuts every answer short is not followed for ever.
const RESUMES: u32 = 1000;

/// A small object.
pub(super) async fn whole(inner: &Inner, key: &str, cap: u64) -> Result<Bytes, Failed> {
    let call = inner.client.get_object().bucket(&inner.bucket).key(inner.key(key));
    let answer = error::call("GetObject", CALL, call.send()).await?;
    let length = length_of(&answer);
    if length.is_some_and(|length| length > cap) {
        return Err(Failed::new(Kind::TooLarge, "GetObject", "the object is larger than it should be"));
    }
    let bytes = collect(answer.body, cap).await?;
    if length.is_some_and(|length| length != bytes.len() as u64) {
        return Err(Failed::new(Kind::Unanswered, "GetObject", "the answer broke off"));
    }
    Ok(bytes)
}

/// Exactly these bytes.
pub(super) async fn range(inner: &Inner, key: &str, range: &Range<u64>) -> Result<Bytes, Failed> {
    let want = range.end - range.start;
    let header = format!("bytes={}-{}", range.start, range.end - 1);
    let call = inner.client.get_object().bucket(&inner.bucket).key(inner.key(key)).range(header);
    let answer = error::call("GetObject", CALL, call.send()).await?;
    // A store that ignores the header answers with the whole object.
    if answer.content_range().is_none() && (range.start != 0 || length_of(&answer) != Some(want)) {
        return Err(Failed::new(Kind::Other, "GetObject", "the store does not answer ranges"));
    }
    if length_of(&answer).is_some_and(|length| length != want) {
        return Err(Failed::new(Kind::Other, "GetObject", "the object ends inside the range"));
    }
    let bytes = collect(answer.body, want).await?;
    if bytes.len() as u64 != want {
        return Err(Failed::new(Kind::Unanswered, "GetObject", "the answer broke off"));
    }
    Ok(bytes)
}

fn length_of(answer: &GetObjectOutput) -> Option<u64> {
    answer.content_length().and_then(|length| u64::try_from(length).ok())
}

async fn collect(mut body: ByteStream, cap: u64) -> Result<Bytes, Failed> {
    let mut all = BytesMut::new();
    while let Some(part) = next(&mut body).await? {
        if (all.len() + part.len()) as u64 > cap {
            return Err(Failed::new(Kind::TooLarge, "GetObject", "the object is larger than it should be"));
        }
        all.extend_from_slice(&part);
    }
    Ok(all.freeze())
}

async fn next(body: &mut ByteStream) -> Result<Option<Bytes>, Failed> {
    match tokio::time::timeout(QUIET, body.next()).await {
        Ok(None) => Ok(None),
        Ok(Some(Ok(part))) => Ok(Some(part)),
        Ok(Some(Err(_))) => Err(Failed::new(Kind::Unanswered, "GetObject", "the answer broke off")),
        Err(_) => Err(Failed::new(Kind::Unanswered, "GetObject", "the answer stalled")),
    }
}

/// An object's bytes in order, as long as it is `etag`.
pub(super) async fn stream(
    inner: &Arc<Inner>,
    key: &str,
    etag: &str,
) -> BucketResult<BoxStream<'static, BucketResult<Bytes>>> {
    let mut reading = Reading {
        inner: Arc::clone(inner),
        key: key.to_owned(),
        etag: etag.to_owned(),
        at: 0,
        size: None,
        body: None,
        breaks: 0,
    };
    reading.begin().await?;
    let parts = futures::stream::unfold(Some(reading), |reading| async move {
        let mut reading = reading?;
        match reading.part().await {
            Ok(Some(part)) => Some((Ok(part), Some(reading))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(parts.boxed())
}

struct Reading {
    inner: Arc<Inner>,
    key: String,
    etag: String,
    at: u64,
    size: Option<u64>,
    body: Option<ByteStream>,
    /// Connections that broke since the start.
    breaks: u32,
}

impl Reading {
    /// Asks for what is left, on the condition that the object is the same.
    async fn begin(&mut self) -> BucketResult<()> {
        let (inner, at) = (Arc::clone(&self.inner), self.at);
        let answer = retry::persist(&inner, || {
            let call = inner.client.get_object().bucket(&inner.bucket).key(inner.key(&self.key)).if_match(&self.etag);
            let call = call.set_range((at > 0).then(|| format!("bytes={at}-")));
            error::call("GetObject", CALL, call.send())
        });
        let answer = answer.await.map_err(|failed| match failed.kind {
            Kind::Precondition | Kind::Absent => self.changed(),
            _ => inner.error(&failed),
        })?;
        // Not every store minds the condition.
        if answer.e_tag().is_some_and(|etag| etag != self.etag) {
            return Err(self.changed());
        }
        let size = length_of(&answer).map(|length| at + length);
        if self.size.is_some() && size != self.size {
            return Err(self.changed());
        }
        self.size = size;
        self.body = Some(answer.body);
        Ok(())
    }

    async fn part(&mut self) -> BucketResult<Option<Bytes>> {
        let mut wait = self.inner.patience.first_wait;
        loop {
            let came = match &mut self.body {
                Some(body) => next(body).await,
                None => Ok(None),
            };
            match came {
                Ok(Some(part)) => {
                    self.at += part.len() as u64;
                    return Ok(Some(part));
                }
                Ok(None) if self.size.is_none_or(|size| size == self.at) => return Ok(None),
                Err(_) if self.size == Some(self.at) => {
                    let text = format!("{}: an object did not match its checksum", self.inner.url());
                    return Err(BucketError::new(FailureCode::BucketFailed, text));
                }
                broken => {
                    self.breaks += 1;
                    if self.breaks > RESUMES {
                        let code = "every answer broke off";
                        return Err(self
                            .inner
                            .error(&broken.err().unwrap_or_else(|| Failed::new(Kind::Unanswered, "GetObject", code))));
                    }
                    self.body = None;
                    retry::pause(&mut wait, self.inner.patience).await;
                    self.begin().await?;
                }
            }
        }
    }

    fn changed(&self) -> BucketError {
        let text = format!("{}: an object was rewritten or removed while it was read", self.inner.url());
        BucketError::new(FailureCode::SourceChanged, text)
    }
}
