//! Reads: small objects whole, ranges exactly, and long ones as a stream that goes on where a connection broke.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::stream::{BoxStream, StreamExt};
use waybill_model::FailureCode;
use waybill_pipeline::BucketError;
use waybill_pipeline::bucket::BucketResult;

use super::patience::pause;
use super::{Ask, Body, Failed, Inner, Kind, Store};

const GET: &str = "GetObject";
/// A connection that brings nothing for this long is given up.
const QUIET: Duration = Duration::from_secs(60);
/// A store that cuts every answer short is not followed for ever.
const RESUMES: u32 = 1000;

impl<S: Store> Inner<S> {
    /// A small object.
    pub(super) async fn whole(&self, key: &str, cap: u64) -> Result<Bytes, Failed> {
        let answer = self.store.get(&Ask { key: &self.key(key), etag: None, from: 0, to: None }).await?;
        if answer.length.is_some_and(|length| length > cap) {
            return Err(Failed::new(Kind::TooLarge, GET, "the object is larger than it should be"));
        }
        let bytes = collect(answer.body, cap).await?;
        if answer.length.is_some_and(|length| length != bytes.len() as u64) {
            return Err(Failed::new(Kind::Unanswered, GET, "the answer broke off"));
        }
        Ok(bytes)
    }

    /// Exactly these bytes.
    pub(super) async fn range(&self, key: &str, range: &Range<u64>) -> Result<Bytes, Failed> {
        let want = range.end - range.start;
        let ask = Ask { key: &self.key(key), etag: None, from: range.start, to: Some(range.end) };
        let answer = self.store.get(&ask).await?;
        // A store that ignores the header answers with the whole object.
        if !answer.is_range && (range.start != 0 || answer.length != Some(want)) {
            return Err(Failed::new(Kind::Other, GET, "the store does not answer ranges"));
        }
        if answer.length.is_some_and(|length| length != want) {
            return Err(Failed::new(Kind::Other, GET, "the object ends inside the range"));
        }
        let bytes = collect(answer.body, want).await?;
        if bytes.len() as u64 != want {
            return Err(Failed::new(Kind::Unanswered, GET, "the answer broke off"));
        }
        Ok(bytes)
    }
}

async fn collect(mut body: Body, cap: u64) -> Result<Bytes, Failed> {
    let mut all = BytesMut::new();
    while let Some(part) = next(&mut body).await? {
        if (all.len() + part.len()) as u64 > cap {
            return Err(Failed::new(Kind::TooLarge, GET, "the object is larger than it should be"));
        }
        all.extend_from_slice(&part);
    }
    Ok(all.freeze())
}

async fn next(body: &mut Body) -> Result<Option<Bytes>, Failed> {
    match tokio::time::timeout(QUIET, body.next()).await {
        Ok(part) => part.transpose(),
        Err(_) => Err(Failed::new(Kind::Unanswered, GET, "the answer stalled")),
    }
}

/// An object's bytes in order, as long as it is `etag`.
pub(super) async fn stream<S: Store>(
    inner: &Arc<Inner<S>>,
    key: &str,
    etag: &str,
) -> BucketResult<BoxStream<'static, BucketResult<Bytes>>> {
    let (key, etag) = (inner.key(key), etag.to_owned());
    let mut reading = Reading { inner: Arc::clone(inner), key, etag, at: 0, size: None, body: None, breaks: 0 };
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

struct Reading<S> {
    inner: Arc<Inner<S>>,
    key: String,
    etag: String,
    at: u64,
    size: Option<u64>,
    body: Option<Body>,
    /// Connections that broke since the start.
    breaks: u32,
}

impl<S: Store> Reading<S> {
    /// Asks for what is left, on the condition that the object is the same.
    async fn begin(&mut self) -> BucketResult<()> {
        let inner = Arc::clone(&self.inner);
        let ask = Ask { key: &self.key, etag: Some(&self.etag), from: self.at, to: None };
        let answer = inner.persist(|| inner.store.get(&ask)).await.map_err(|failed| match failed.kind {
            Kind::Precondition | Kind::Absent => self.changed(),
            _ => inner.error(&failed),
        })?;
        // Not every store minds the condition.
        if answer.etag.is_some_and(|etag| etag != self.etag) {
            return Err(self.changed());
        }
        let size = answer.length.map(|length| self.at + length);
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
                        let cut = || Failed::new(Kind::Unanswered, GET, "every answer broke off");
                        return Err(self.inner.error(&broken.err().unwrap_or_else(cut)));
                    }
                    self.body = None;
                    pause(&mut wait, self.inner.patience).await;
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
