//! Pages by ranged reads: each header is checked for size, and each page against its checksum, before it is decoded.
//!
//! Used only on a blocking thread: it waits there for the bucket.

use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{ChunkReader, Length};
use tokio::runtime::Handle;
use waybill_model::FailureCode;
use waybill_pipeline::{Bucket, Fault};

use super::skim::{Bad, PageHead, page_head};
use crate::source::files::rows::Bounds;
use crate::source::files::set::{File, FileSet, read_fault};

/// Pages up to this size are read whatever the budget: common writers make them.
const PAGE: usize = 16 << 20;
/// What a page header may take; statistics stand in it.
const HEAD: u64 = 1 << 20;

/// The pages of one file.
#[derive(Clone)]
pub(super) struct Pages {
    inner: Arc<Inner>,
}

struct Inner {
    bucket: Arc<dyn Bucket>,
    file: File,
    handle: Handle,
    page_cap: usize,
    window: u64,
    heavy: u64,
    /// Start and end of each column chunk, in order.
    chunks: Vec<(u64, u64)>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By column chunk: what is read ahead, and where it begins.
    windows: HashMap<usize, (u64, Bytes)>,
    /// By where a page's bytes begin: what its header said.
    heads: HashMap<u64, PageHead>,
    /// By column chunk: pages begun since the batch began, and bytes of those after the first.
    begun: HashMap<usize, (u32, u64)>,
    heavy: bool,
    fault: Option<Fault>,
}

impl Pages {
    pub(super) fn new(set: &FileSet, file: &File, metadata: &ParquetMetaData, columns: usize, bounds: Bounds) -> Self {
        let mut chunks: Vec<(u64, u64)> = metadata
            .row_groups()
            .iter()
            .filter(|group| group.num_rows() > 0) // where an empty one lies was not checked
            .flat_map(|group| group.columns())
            .map(|column| column.byte_range())
            .map(|(start, length)| (start, start + length))
            .collect();
        chunks.sort_unstable();
        let window = (bounds.bytes / columns.max(1)).clamp(64 << 10, 2 << 20) as u64;
        Self {
            inner: Arc::new(Inner {
                bucket: Arc::clone(&set.bucket),
                file: file.clone(),
                handle: Handle::current(),
                page_cap: bounds.row_bytes.max(PAGE),
                window,
                heavy: bounds.bytes as u64 * 4,
                chunks,
                state: Mutex::default(),
            }),
        }
    }

    /// A batch begins: pages are counted anew.
    pub(super) fn begin_batch(&self) {
        self.state().begun.clear();
    }

    /// A row group begins: what was read ahead of the last one is forgotten.
    pub(super) fn begin_group(&self) {
        let mut state = self.state();
        state.windows.clear();
        state.heads.clear();
    }

    /// Whether the batch was given up for taking too many bytes; asking clears it.
    pub(super) fn was_heavy(&self) -> bool {
        std::mem::take(&mut self.state().heavy)
    }

    /// Why reading failed, if it was not the decoder.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.state().fault.take()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn chunk(&self, at: u64) -> Option<usize> {
        let next = self.inner.chunks.partition_point(|(start, _)| *start <= at);
        next.checked_sub(1).filter(|place| at < self.inner.chunks[*place].1)
    }

    /// Bytes from `start`: at least `length`, more where they were read ahead.
    fn bytes(&self, start: u64, length: u64) -> ParquetResult<Bytes> {
        let Some(chunk) = self.chunk(start) else { return Err(self.malformed("a page lies outside its column")) };
        let end = self.inner.chunks[chunk].1;
        if start + length > end {
            return Err(self.malformed("a page is longer than its column"));
        }
        if let Some((from, bytes)) = self.state().windows.get(&chunk)
            && *from <= start
            && start + length <= from + bytes.len() as u64
        {
            return Ok(bytes.slice(place(start - from)..));
        }
        let until = end.min(start + length.max(self.inner.window));
        let read = self.inner.bucket.get_range(&self.inner.file.meta.key, start..until);
        match self.inner.handle.block_on(read) {
            Ok(bytes) if bytes.len() as u64 == until - start => {
                self.state().windows.insert(chunk, (start, bytes.clone()));
                Ok(bytes)
            }
            Ok(_) => Err(self.malformed("a range of it came short")),
            Err(error) => Err(self.failed(read_fault(error))),
        }
    }

    /// Reads and checks the page header at `start`; gives just the header's bytes.
    fn head(&self, start: u64) -> ParquetResult<Bytes> {
        let Some(chunk) = self.chunk(start) else { return Err(self.malformed("a page lies outside its column")) };
        let left = self.inner.chunks[chunk].1 - start;
        let mut need = left.min(256);
        let (head, bytes) = loop {
            let bytes = self.bytes(start, need)?;
            match page_head(&bytes) {
                Ok(head) => break (head, bytes),
                Err(Bad::Short) if need < left.min(HEAD) => need = left.min(HEAD).min(need * 16),
                Err(_) => return Err(self.malformed("a page header is damaged")),
            }
        };
        let cap = self.inner.page_cap as i64;
        if head.unpacked > cap || head.packed > cap {
            let text =
                format!("a page of {} bytes is larger than the {cap} that this memory budget allows", head.unpacked);
            let code = if head.is_dictionary { FailureCode::ParquetMalformed } else { FailureCode::RowTooLarge };
            return Err(self.failed(self.inner.file.fault(code, &text)));
        }
        self.state().heads.insert(start + head.length as u64, head);
        Ok(bytes.slice(..head.length))
    }

    /// Counts a page that is about to be decoded, and gives the batch up when it holds too many bytes.
    fn weigh(&self, start: u64, head: &PageHead) -> ParquetResult<()> {
        if head.is_dictionary {
            return Ok(());
        }
        let mut state = self.state();
        let (pages, weight) = state.begun.entry(self.chunk(start).unwrap_or(0)).or_default();
        if *pages > 0 {
            *weight += u64::try_from(head.unpacked.max(head.values.saturating_mul(2))).unwrap_or(0);
        }
        *pages += 1;
        if *weight > self.inner.heavy {
            state.heavy = true;
            return Err(ParquetError::General("a batch is too heavy".into()));
        }
        Ok(())
    }

    fn malformed(&self, text: &str) -> ParquetError {
        self.failed(self.inner.file.fault(FailureCode::ParquetMalformed, text))
    }

    fn failed(&self, fault: Fault) -> ParquetError {
        self.state().fault.get_or_insert(fault);
        ParquetError::General("see the fault".into())
    }
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

impl Length for Pages {
    fn len(&self) -> u64 {
        self.inner.file.meta.size
    }
}

impl ChunkReader for Pages {
    type T = Head;

    fn get_read(&self, start: u64) -> ParquetResult<Head> {
        Ok(Head { pages: self.clone(), start, bytes: None })
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        if length > self.inner.page_cap {
            return Err(self.malformed("a page is longer than its header said"));
        }
        if length == 0 {
            return Ok(Bytes::new());
        }
        let head = self.state().heads.remove(&start);
        if let Some(head) = &head {
            self.weigh(start, head)?;
        }
        let bytes = self.bytes(start, length as u64)?.slice(..length);
        if let Some(expected) = head.and_then(|head| head.crc) {
            let mut crc = flate2::Crc::new();
            crc.update(&bytes);
            if crc.sum() != expected {
                return Err(self.malformed("a page does not match its checksum"));
            }
        }
        Ok(bytes)
    }
}

/// A page header, read when it is first asked for.
pub(super) struct Head {
    pages: Pages,
    start: u64,
    bytes: Option<Bytes>,
}

impl Read for Head {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let bytes = match self.bytes.take() {
            Some(bytes) => bytes,
            None => self.pages.head(self.start).map_err(std::io::Error::other)?,
        };
        let count = out.len().min(bytes.len());
        out[..count].copy_from_slice(&bytes[..count]);
        self.bytes = Some(bytes.slice(count..));
        Ok(count)
    }
}
