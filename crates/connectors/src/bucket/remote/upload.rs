//! Uploads of unknown length from memory: parts in flight within a fixed budget, one object at the end.
//!
//! A file that fits one part is put whole. A lost answer is settled by what the store then holds: size and checksum.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use tokio::task::JoinSet;
use waybill_model::FailureCode;
use waybill_pipeline::bucket::BucketResult;
use waybill_pipeline::{BucketError, Upload};

use super::patience::pause;
use super::{Failed, Inner, Kind, Place, Sent, Store};

const COMPLETE: &str = "Complete";

pub(super) struct PartUpload<S: Store> {
    inner: Arc<Inner<S>>,
    /// With the prefix.
    key: String,
    filling: BytesMut,
    begun: Option<S::Begun>,
    sent: u32,
    /// Bytes of the parts that were sent.
    offset: u64,
    flying: JoinSet<Result<Sent<S::Part>, Failed>>,
    done: Vec<Sent<S::Part>>,
}

impl<S: Store> PartUpload<S> {
    pub(super) fn new(inner: &Arc<Inner<S>>, key: &str) -> Self {
        Self {
            inner: Arc::clone(inner),
            key: inner.key(key),
            filling: BytesMut::new(),
            begun: None,
            sent: 0,
            offset: 0,
            flying: JoinSet::new(),
            done: Vec::new(),
        }
    }

    /// Sends what is filled as the next part.
    async fn send(&mut self) -> Result<(), Failed> {
        if self.sent == S::MOST_PARTS {
            let text = format!("more than {} parts, set files.size lower", S::MOST_PARTS);
            return Err(Failed::new(Kind::TooLarge, "Upload", &text));
        }
        let begun = match &self.begun {
            Some(begun) => begun.clone(),
            None => {
                let begun = self.inner.persist(|| self.inner.store.begin(&self.key)).await?;
                self.begun.insert(begun).clone()
            }
        };
        self.sent += 1;
        let (_, at_once) = self.inner.parts.of(self.sent);
        while self.flying.len() >= at_once {
            self.land().await?;
        }
        let (inner, key, body) = (Arc::clone(&self.inner), self.key.clone(), self.filling.split().freeze());
        let (place, bytes) = (Place { number: self.sent, offset: self.offset }, body.len() as u64);
        self.offset += bytes;
        self.flying.spawn(async move {
            let part = inner.persist(|| inner.store.part(&key, &begun, place, body.clone())).await?;
            Ok(Sent { number: place.number, bytes, part })
        });
        Ok(())
    }

    /// Waits for a part to arrive.
    async fn land(&mut self) -> Result<(), Failed> {
        match self.flying.join_next().await {
            Some(Ok(part)) => self.done.push(part?),
            Some(Err(_)) => return Err(Failed::new(Kind::Other, "Upload", "the upload was stopped")),
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
        let Some(begun) = self.begun.clone() else { return Ok(0) };
        self.complete(&begun, size).await?;
        self.begun = None;
        Ok(size)
    }

    /// Puts the parts together. The key is unique, so finding the object there with our bytes means that it worked.
    async fn complete(&self, begun: &S::Begun, size: u64) -> Result<(), Failed> {
        let (patience, store) = (self.inner.patience, &self.inner.store);
        let other = |kind| Failed::new(kind, COMPLETE, "the object is not what was sent");
        let mut wait = patience.first_wait;
        for last in (0..patience.tries.max(1)).rev() {
            let failed = match store.complete(&self.key, begun, &self.done).await {
                // Success is believed when the object is there: some stores answer 200 and then fail.
                Ok(()) => other(Kind::Other),
                Err(failed) => failed,
            };
            let worth = failed.kind.is_passing() || matches!(failed.kind, Kind::Throttled | Kind::Conflict);
            match self.inner.seen(&self.key).await? {
                Some(seen) if seen.size == size && store.is_whole(&seen, begun, &self.done) => return Ok(()),
                Some(_) => return Err(other(Kind::Garbled)),
                None if last == 0 || !worth => return Err(failed),
                None => pause(&mut wait, patience).await,
            }
        }
        Err(Failed::new(Kind::Unanswered, COMPLETE, "no answer in time"))
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

async fn abandon<S: Store>(inner: &Inner<S>, key: &str, begun: &S::Begun) {
    if inner.persist(|| inner.store.abandon(key, begun)).await.is_err() {
        // The bucket's lifecycle rule for incomplete uploads is the last resort.
        tracing::debug!("an upload could not be aborted");
    }
}

#[async_trait]
impl<S: Store> Upload for PartUpload<S> {
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
            let put = self.inner.persist(|| self.inner.store.put(&self.key, body.clone(), false)).await;
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
            abandon(&self.inner, &self.key, &begun).await;
        }
    }

    fn buffer_bytes(&self) -> u64 {
        self.inner.parts.buffer()
    }
}

/// An upload that is dropped half-way frees its parts, if anything still runs to do it.
impl<S: Store> Drop for PartUpload<S> {
    fn drop(&mut self) {
        self.flying.abort_all();
        let (Some(begun), Ok(runtime)) = (self.begun.take(), tokio::runtime::Handle::try_current()) else { return };
        let (inner, key) = (Arc::clone(&self.inner), std::mem::take(&mut self.key));
        runtime.spawn(async move { abandon(&inner, &key, &begun).await });
    }
}
