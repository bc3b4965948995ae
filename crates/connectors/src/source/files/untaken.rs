//! Which files no run has taken yet: what is listed beside what was taken, both in the order of keys.
//!
//! A file is known by its key with ETag and size, never by a time. No more is in memory than a page of the one list, a line of each
//! part of the other, and the files that are new.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use futures::TryStreamExt;
use waybill_model::FailureCode;
use waybill_model::plan::{ChangedFiles, StreamPlan};
use waybill_model::receipt::Grade;
use waybill_model::size::show_count;
use waybill_pipeline::{
    Bucket, CursorState, Earlier, Fault, FaultResult, Lane, ObjectMeta, Proof, Snapshot, Taken, TakenFile, WindowNote,
};

use super::set::{listed, nothing_there, pattern, told};

/// What was found.
pub(super) struct Untaken {
    /// Files to read, in the order of their keys.
    pub(super) files: Vec<ObjectMeta>,
    /// Files that were taken and are others now.
    pub(super) rewritten: u64,
}

impl Untaken {
    /// Lists what a stream names and no run has taken, as far as `taken` tells.
    pub(super) async fn list(
        bucket: &Arc<dyn Bucket>,
        stream: &StreamPlan,
        taken: Option<&Taken>,
    ) -> FaultResult<Self> {
        let glob = pattern(stream)?;
        let mut pages = listed(bucket, stream, &glob);
        let mut known = match taken {
            Some(taken) => Known::new(taken.earlier().await?).await?,
            None => Known::default(),
        };
        let (mut files, mut rewritten, mut is_there) = (Vec::new(), Vec::new(), false);
        while let Some(page) = pages.try_next().await? {
            for meta in page {
                is_there = true;
                match known.find(&meta.key).await? {
                    None => files.push(meta),
                    Some((etag, size)) if etag == meta.etag && size == meta.size => {}
                    Some(_) => rewritten.push(meta),
                }
            }
        }
        // What was taken may have been tidied away; a stream of which nothing ever was there is one with a wrong name.
        if !is_there && taken.is_none() {
            return Err(nothing_there());
        }
        known.end().await?;
        Self::of(files, rewritten, stream.changed_files)
    }

    fn of(mut files: Vec<ObjectMeta>, again: Vec<ObjectMeta>, policy: ChangedFiles) -> FaultResult<Self> {
        let rewritten = again.len() as u64;
        match (policy, again.first()) {
            (ChangedFiles::Fail, Some(first)) => {
                let files = show_count(rewritten, "file");
                let text = format!(
                    "rewritten since an earlier run took them: {files}, whose rows in the table are those of before; of the first in \
                     the order of names the {}",
                    told(&first.key)
                );
                return Err(Fault::new(FailureCode::FilesRewritten, text));
            }
            (ChangedFiles::Append, Some(_)) => {
                files.extend(again);
                files.sort_by(|a, b| a.key.as_bytes().cmp(b.key.as_bytes()));
            }
            _ => {}
        }
        Ok(Self { files, rewritten })
    }
}

/// The files that were taken, as far as the listing has come.
#[derive(Default)]
struct Known {
    earlier: Earlier,
    next: Option<TakenFile>,
}

impl Known {
    async fn new(mut earlier: Earlier) -> FaultResult<Self> {
        let next = earlier.next().await?;
        Ok(Self { earlier, next })
    }

    /// How a file was when it was taken. Keys are asked for in their order.
    async fn find(&mut self, key: &str) -> FaultResult<Option<(String, u64)>> {
        while let Some(known) = &self.next {
            match known.key.as_str().cmp(key) {
                Ordering::Less => self.next = self.earlier.next().await?,
                Ordering::Equal => return Ok(Some((known.etag.clone(), known.size))),
                Ordering::Greater => break,
            }
        }
        Ok(None)
    }

    /// Reads the rest: only at its end a list is proven to be whole.
    async fn end(&mut self) -> FaultResult<()> {
        while self.next.is_some() {
            self.next = self.earlier.next().await?;
        }
        Ok(())
    }
}

/// A snapshot in which every file was taken before.
pub(super) struct NothingNew {
    pub(super) taken: Taken,
    pub(super) rewritten: u64,
}

#[async_trait]
impl Snapshot for NothingNew {
    fn schema(&self) -> SchemaRef {
        Arc::new(Schema::empty())
    }

    fn ranges(&self) -> usize {
        0
    }

    fn rows_estimate(&self) -> Option<u64> {
        Some(0)
    }

    fn lanes(&self) -> usize {
        1
    }

    fn cursor(&self) -> Option<CursorState> {
        Some(CursorState::of_taken(self.taken.clone()))
    }

    fn key(&self) -> Vec<String> {
        Vec::new()
    }

    fn window(&self) -> WindowNote {
        WindowNote { rewritten: self.rewritten, is_empty: true, ..WindowNote::default() }
    }

    async fn lane(&self) -> FaultResult<Box<dyn Lane>> {
        Err(Fault::new(FailureCode::WorkerBug, "rows were asked for where no file is new"))
    }

    async fn keys(&self) -> FaultResult<Box<dyn Lane>> {
        self.lane().await
    }

    async fn finish(self: Box<Self>) -> FaultResult<Proof> {
        Ok(Proof { grade: Grade::Counted, source_count: None, sums: Vec::new(), snapshot: "files:0".to_owned() })
    }
}
