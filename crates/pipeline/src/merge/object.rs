//! An object of the bucket as the Parquet reader wants it: read in blocks, of which a bounded number is kept.
//!
//! A column's pages lie one behind the other, so that a block per column that is read serves it without a second request.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{ChunkReader, Length};
use tokio::runtime::Handle;
use waybill_model::FailureCode;

use crate::bucket::Bucket;
use crate::fault::Fault;
use crate::stop::{End, StopSignal};

/// The largest block.
const LARGEST: usize = 1 << 20;
/// The smallest one: less costs a request for every page.
const LEAST: usize = 64 << 10;

/// One object, of which parts are in memory. Clones share them. Its calls block.
#[derive(Clone)]
pub(super) struct Object(Arc<Inner>);

struct Inner {
    bucket: Arc<dyn Bucket>,
    key: String,
    size: u64,
    block: usize,
    blocks: usize,
    runtime: Handle,
    stop: StopSignal,
    kept: Mutex<VecDeque<(u64, Bytes)>>,
    end: Mutex<Option<End>>,
}

impl Object {
    /// An object of `size` bytes, read `columns` columns at a time within about `memory` bytes.
    pub(super) fn new(
        bucket: &Arc<dyn Bucket>,
        (key, size): (String, u64),
        (columns, memory): (usize, usize),
        runtime: &Handle,
        stop: &StopSignal,
    ) -> Self {
        // Two more: the footer's, and the one behind the edge of a page. Where memory is short some are read twice.
        let blocks = (columns + 2).min(memory / LEAST).max(2);
        let block = (memory / blocks).clamp(LEAST, LARGEST);
        let (runtime, stop) = (runtime.clone(), stop.clone());
        let (kept, end) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { bucket: Arc::clone(bucket), key, size, block, blocks, runtime, stop, kept, end }))
    }

    /// Why a read failed, where it was the bucket or a stop; otherwise the file is not what its footer says.
    pub(super) fn reason(&self, error: &impl std::fmt::Display) -> End {
        let end = self.0.end.lock().unwrap_or_else(PoisonError::into_inner).take();
        end.unwrap_or_else(|| {
            let text = format!("{} can't be read as the table's Parquet: {error}", self.0.key);
            Fault::new(FailureCode::ParquetMalformed, text).into()
        })
    }

    fn block(&self, number: u64) -> ParquetResult<Bytes> {
        let inner = &*self.0;
        {
            let mut kept = inner.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(at) = kept.iter().position(|(there, _)| *there == number)
                && let Some(found) = kept.remove(at)
            {
                kept.push_back(found.clone());
                return Ok(found.1);
            }
        }
        let from = number * inner.block as u64;
        let to = (from + inner.block as u64).min(inner.size);
        let bytes = self.fetch(from, to)?;
        let mut kept = inner.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= inner.blocks {
            kept.pop_front();
        }
        kept.push_back((number, bytes.clone()));
        Ok(bytes)
    }

    fn fetch(&self, from: u64, to: u64) -> ParquetResult<Bytes> {
        let inner = &*self.0;
        let got = inner.runtime.block_on(inner.stop.or_halt(inner.bucket.get_range(&inner.key, from..to)));
        let end = match got {
            Ok(Ok(bytes)) if bytes.len() as u64 == to - from => return Ok(bytes),
            Ok(Ok(_)) => {
                Fault::new(FailureCode::BucketFailed, format!("{} is shorter than the log says", inner.key)).into()
            }
            Ok(Err(error)) => Fault::from(error).into(),
            Err(halt) => End::from(halt),
        };
        *inner.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
        Err(ParquetError::General("the bucket did not give the bytes".into()))
    }

    /// Up to `length` bytes from `at`: what one block has of them.
    fn piece(&self, at: u64, length: usize) -> ParquetResult<Bytes> {
        let block = self.0.block as u64;
        let bytes = self.block(at / block)?;
        let from = usize::try_from(at % block).unwrap_or(usize::MAX).min(bytes.len());
        Ok(bytes.slice(from..(from + length).min(bytes.len())))
    }
}

impl Length for Object {
    fn len(&self) -> u64 {
        self.0.size
    }
}

impl ChunkReader for Object {
    type T = Pages;

    fn get_read(&self, start: u64) -> ParquetResult<Pages> {
        Ok(Pages { object: self.clone(), at: start })
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let end = start.checked_add(length as u64).filter(|end| *end <= self.0.size);
        let end = end.ok_or_else(|| ParquetError::EOF("a page reaches behind the file's end".into()))?;
        if length > 2 * self.0.block {
            return self.fetch(start, end); // a page of its own size: through the blocks it would only push others out
        }
        let first = self.piece(start, length)?;
        if first.len() == length {
            return Ok(first);
        }
        let mut whole = BytesMut::with_capacity(length);
        whole.extend_from_slice(&first);
        while whole.len() < length {
            let piece = self.piece(start + whole.len() as u64, length - whole.len())?;
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }
}

/// Reads on from one place.
pub(super) struct Pages {
    object: Object,
    at: u64,
}

impl Read for Pages {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.object.0.size {
            return Ok(0);
        }
        let piece = self.object.piece(self.at, into.len()).map_err(io::Error::other)?;
        into[..piece.len()].copy_from_slice(&piece);
        self.at += piece.len() as u64;
        Ok(piece.len())
    }
}
