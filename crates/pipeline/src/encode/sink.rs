//! Where a file's bytes go: hashed while they pass, then to the upload in pieces.
//!
//! An upload's failure can't travel through `std::io::Error` without losing its code, so it is kept here.

use std::io;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::{Bytes, BytesMut};
use tokio::runtime::Handle;

use waybill_model::FailureCode;

use crate::bucket::Upload;
use crate::fault::Fault;
use crate::stop::{End, StopSignal};

/// Bytes of one piece.
const PIECE: usize = 1 << 20;

/// A blocking writer over one upload.
pub(super) struct Sink {
    upload: Option<Box<dyn Upload>>,
    piece: BytesMut,
    hash: Context,
    size: u64,
    runtime: Handle,
    stop: StopSignal,
    end: Option<End>,
}

impl Sink {
    pub(super) fn new(upload: Box<dyn Upload>, runtime: Handle, stop: StopSignal) -> Self {
        let piece = BytesMut::with_capacity(PIECE);
        Self { upload: Some(upload), piece, hash: Context::new(&SHA256), size: 0, runtime, stop, end: None }
    }

    /// Bytes taken so far.
    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// Why a write failed, where it was the upload or a stop.
    pub(super) const fn take_end(&mut self) -> Option<End> {
        self.end.take()
    }

    /// Makes the object visible; returns its size and SHA-256.
    pub(super) fn finish(&mut self) -> Result<(u64, [u8; 32]), End> {
        self.send()?;
        let Some(upload) = self.upload.take() else {
            return Err(Fault::new(FailureCode::WorkerBug, "an upload was finished twice").into());
        };
        let done = self.runtime.block_on(self.stop.or_halt(upload.finish()))?;
        let stored = done.map_err(Fault::from)?;
        if stored != self.size {
            let text = format!("an object has {stored} bytes in the bucket, but {} were written", self.size);
            return Err(Fault::new(FailureCode::BucketFailed, text).into());
        }
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.hash.clone().finish().as_ref());
        Ok((stored, sha256))
    }

    /// Gives up and frees what the bucket holds.
    pub(super) fn abort(&mut self) {
        if let Some(upload) = self.upload.take() {
            self.runtime.block_on(upload.abort());
        }
    }

    fn send(&mut self) -> Result<(), End> {
        let piece = self.piece.split().freeze();
        if piece.is_empty() {
            return Ok(());
        }
        self.hash.update(&piece);
        self.pass(piece)
    }

    fn pass(&mut self, piece: Bytes) -> Result<(), End> {
        let Some(upload) = &mut self.upload else { return Ok(()) };
        self.runtime.block_on(self.stop.or_halt(upload.write(piece)))?.map_err(|error| Fault::from(error).into())
    }
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PIECE - self.piece.len();
        let taken = bytes.len().min(room);
        self.piece.extend_from_slice(&bytes[..taken]);
        self.size += taken as u64;
        if self.piece.len() == PIECE {
            if let Err(end) = self.send() {
                self.end = Some(end);
                return Err(io::Error::other("the upload ended"));
            }
            self.piece.reserve(PIECE);
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
