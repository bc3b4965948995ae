//! A local directory as a bucket.
//!
//! An object is created by writing a temporary file beside it, syncing it, and linking it to its name, so that it is
//! whole and durable or not there. No key leaves the root: paths are walked step by step and no link is followed.

mod listing;
mod place;
mod upload;

use std::fs::File;
use std::io::{Read, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use rustix::io::Errno;
use waybill_model::{FailureCode, fault};
use waybill_pipeline::bucket::{Bucket, BucketError, BucketResult, ObjectMeta, Put, Upload};

use place::{Root, Spot};

/// Bytes that `read` hands out at once.
const CHUNK: usize = 1 << 20;

/// A directory below which everything lies.
#[derive(Clone)]
pub struct LocalBucket {
    root: Arc<Root>,
}

impl LocalBucket {
    /// The directory at `path`, made if it is not there.
    pub fn open(path: &Path) -> BucketResult<Self> {
        place::make_all(path).map_err(|error| place::root_failure(&error, "make", path))?;
        Self::existing(path)
    }

    /// The directory at `path`, which must be there.
    pub fn existing(path: &Path) -> BucketResult<Self> {
        Ok(Self { root: Arc::new(Root::open(path)?) })
    }

    /// Runs file-system calls where they may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Root) -> BucketResult<T> + Send + 'static,
    ) -> BucketResult<T> {
        let root = self.root.clone();
        let done = tokio::task::spawn_blocking(move || work(&root)).await;
        done.map_err(|_| BucketError::unknown(FailureCode::WorkerBug, "a file-system call panicked"))?
    }
}

#[async_trait]
impl Bucket for LocalBucket {
    fn url(&self) -> String {
        self.root.url()
    }

    async fn put_if_absent(&self, key: &str, body: Bytes) -> BucketResult<Put> {
        let key = key.to_owned();
        self.blocking(move |root| put(&root.make(&key)?, &body)).await
    }

    async fn replace(&self, key: &str, body: Bytes) -> BucketResult<()> {
        let key = key.to_owned();
        self.blocking(move |root| replace(&root.make(&key)?, &body)).await
    }

    async fn upload(&self, key: &str) -> BucketResult<Box<dyn Upload>> {
        let key = key.to_owned();
        let upload = self.blocking(move |root| upload::LocalUpload::begin(root.make(&key)?)).await?;
        Ok(Box::new(upload))
    }

    async fn get(&self, key: &str, cap: u64) -> BucketResult<Option<Bytes>> {
        let key = key.to_owned();
        self.blocking(move |root| {
            let Some(file) = root.open_file(&key)? else { return Ok(None) };
            let size = place::meta(&file, &key)?.size;
            if size > cap {
                let text = format!("{key} has {size} bytes, more than the {cap} that are read");
                return Err(BucketError::new(FailureCode::BucketFailed, text));
            }
            let mut body = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
            let read = (&file).take(cap).read_to_end(&mut body);
            read.map_err(|error| place::failure(&error, "read", &key))?;
            Ok(Some(Bytes::from(body)))
        })
        .await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> BucketResult<Bytes> {
        let key = key.to_owned();
        self.blocking(move |root| {
            let file = root.open_file(&key)?.ok_or_else(|| missing(&key))?;
            let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
            if range.end > place::meta(&file, &key)?.size {
                let text = format!("{key} ends before byte {}", range.end);
                return Err(BucketError::new(FailureCode::BucketFailed, text));
            }
            let mut body = vec![0; length];
            file.read_exact_at(&mut body, range.start).map_err(|error| place::failure(&error, "read", &key))?;
            Ok(Bytes::from(body))
        })
        .await
    }

    async fn read(&self, key: &str, etag: &str) -> BucketResult<BoxStream<'static, BucketResult<Bytes>>> {
        let (name, etag) = (key.to_owned(), etag.to_owned());
        let file = self.blocking(move |root| root.open_file(&name)).await?.ok_or_else(|| missing(key))?;
        let reading = Reading { file: Arc::new(file), key: key.to_owned(), etag, at: 0 };
        Ok(stream::try_unfold(reading, Reading::next).boxed())
    }

    async fn head(&self, key: &str) -> BucketResult<Option<ObjectMeta>> {
        let key = key.to_owned();
        self.blocking(move |root| match root.open_file(&key)? {
            Some(file) => place::meta(&file, &key).map(Some),
            None => Ok(None),
        })
        .await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> BucketResult<Vec<ObjectMeta>> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        self.blocking(move |root| listing::list(root, &prefix, after.as_deref())).await
    }

    async fn delete(&self, key: &str) -> BucketResult<()> {
        let key = key.to_owned();
        self.blocking(move |root| match root.find(&key)? {
            Some(spot) => spot.remove(),
            None => Ok(()),
        })
        .await
    }

    async fn settle(&self, key: &str) -> BucketResult<()> {
        let key = key.to_owned();
        self.blocking(move |root| match root.find(&key)? {
            Some(spot) => spot.settle(),
            None => Err(missing(&key)),
        })
        .await
    }
}

fn missing(key: &str) -> BucketError {
    BucketError::new(FailureCode::BucketFailed, format!("{key} is not there"))
}

/// Creates an object that must not be there yet.
fn put(spot: &Spot, body: &[u8]) -> BucketResult<Put> {
    if spot.exists()? {
        return taken(spot);
    }
    let (temp, mut file) = spot.temp()?;
    let written = file.write_all(body).and_then(|()| file.sync_all());
    fault::point("put_under_way");
    let linked = written.map_err(|error| place::failure(&error, "write", &spot.key)).and_then(|()| spot.link(&temp));
    spot.drop_temp(&temp);
    if linked? {
        spot.settle()?;
        Ok(Put::Created)
    } else {
        taken(spot)
    }
}

/// Whoever reads what is there goes on from it: it must outlive a power cut, although who put it may have died before it said so.
fn taken(spot: &Spot) -> BucketResult<Put> {
    spot.settle()?;
    Ok(Put::Exists)
}

fn replace(spot: &Spot, body: &[u8]) -> BucketResult<()> {
    let (temp, mut file) = spot.temp()?;
    let written = file.write_all(body).and_then(|()| file.sync_all());
    let moved = written.map_err(|error| place::failure(&error, "write", &spot.key)).and_then(|()| spot.rename(&temp));
    if moved.is_err() {
        spot.drop_temp(&temp);
    }
    moved.and_then(|()| spot.settle())
}

/// A file that is being read in chunks.
struct Reading {
    file: Arc<File>,
    key: String,
    etag: String,
    at: u64,
}

impl Reading {
    async fn next(mut self) -> BucketResult<Option<(Bytes, Self)>> {
        let (file, key, etag, at) = (self.file.clone(), self.key.clone(), self.etag.clone(), self.at);
        let chunk = tokio::task::spawn_blocking(move || chunk(&file, &key, &etag, at)).await;
        let chunk = chunk.map_err(|_| BucketError::new(FailureCode::WorkerBug, "a file-system call panicked"))??;
        self.at += chunk.len() as u64;
        Ok((!chunk.is_empty()).then_some((chunk, self)))
    }
}

/// The next bytes. The file is compared with its etag before every chunk and once more at its end.
fn chunk(file: &File, key: &str, etag: &str, at: u64) -> BucketResult<Bytes> {
    let meta = place::meta(file, key)?;
    if meta.etag != etag {
        return Err(BucketError::new(FailureCode::SourceChanged, format!("{key} changed while it was read")));
    }
    let length = usize::try_from(meta.size.saturating_sub(at)).unwrap_or(CHUNK).min(CHUNK);
    let mut body = vec![0; length];
    match file.read_exact_at(&mut body, at) {
        Ok(()) => Ok(Bytes::from(body)),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(BucketError::new(FailureCode::SourceChanged, format!("{key} became shorter while it was read")))
        }
        Err(error) => Err(place::failure(&error, "read", key)),
    }
}

/// An `Errno` as the error that carries it.
fn os(errno: Errno) -> std::io::Error {
    errno.into()
}

#[cfg(test)]
mod tests;
