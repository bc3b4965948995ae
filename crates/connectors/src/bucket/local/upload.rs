//! Streaming into a temporary file that gets its name when it is whole.

use std::fs::File;
use std::io::Write;

use async_trait::async_trait;
use bytes::Bytes;
use waybill_model::FailureCode;
use waybill_pipeline::bucket::{BucketError, BucketResult, Upload};

use super::place::{self, Spot};

/// An upload into a local directory. Dropping it removes what was written.
pub(super) struct LocalUpload(Option<Open>);

struct Open {
    spot: Spot,
    temp: String,
    file: File,
    size: u64,
}

impl LocalUpload {
    pub(super) fn begin(spot: Spot) -> BucketResult<Self> {
        let (temp, file) = spot.temp()?;
        Ok(Self(Some(Open { spot, temp, file, size: 0 })))
    }

    /// Runs one step where it may block; a failed one ends the upload.
    async fn step<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Open) -> BucketResult<T> + Send + 'static,
    ) -> BucketResult<T> {
        let open = self.0.take();
        let mut open = open.ok_or_else(|| BucketError::new(FailureCode::BucketFailed, "the upload failed before"))?;
        let done = tokio::task::spawn_blocking(move || {
            let result = work(&mut open);
            if result.is_err() {
                open.spot.drop_temp(&open.temp);
            }
            (result, open)
        });
        let panicked = |_| BucketError::unknown(FailureCode::WorkerBug, "a file-system call panicked");
        let (result, open) = done.await.map_err(panicked)?;
        self.0 = result.is_ok().then_some(open);
        result
    }
}

#[async_trait]
impl Upload for LocalUpload {
    async fn write(&mut self, bytes: Bytes) -> BucketResult<()> {
        self.step(move |open| {
            open.file.write_all(&bytes).map_err(|error| place::failure(&error, "write", &open.spot.key))?;
            open.size += bytes.len() as u64;
            Ok(())
        })
        .await
    }

    async fn finish(mut self: Box<Self>) -> BucketResult<u64> {
        self.step(|open| {
            open.file.sync_all().map_err(|error| place::failure(&error, "sync", &open.spot.key))?;
            if !open.spot.link(&open.temp)? {
                let text = format!("{} is there already; data files have keys of their own", open.spot.key);
                return Err(BucketError::new(FailureCode::BucketFailed, text));
            }
            open.spot.drop_temp(&open.temp);
            open.spot.settle()?;
            Ok(open.size)
        })
        .await
    }

    async fn abort(mut self: Box<Self>) {
        let _ = self
            .step(|open| {
                open.spot.drop_temp(&open.temp);
                Ok(())
            })
            .await;
    }

    fn buffer_bytes(&self) -> u64 {
        0 // bytes go straight to the file
    }
}

impl Drop for LocalUpload {
    fn drop(&mut self) {
        if let Some(open) = &self.0 {
            open.spot.drop_temp(&open.temp);
        }
    }
}
