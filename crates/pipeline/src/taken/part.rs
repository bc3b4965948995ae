//! One part: a line of JSON for each file, in the order of keys, packed with zstd in a small window.

use std::io::Write;

use bytes::{Buf, Bytes};
use futures::StreamExt;
use futures::stream::BoxStream;
use sha2::{Digest, Sha256};
use waybill_model::FailureCode;
use zstd::stream::raw::{CParameter, DParameter, Decoder, InBuffer, Operation, OutBuffer};
use zstd::stream::write::Encoder;

use super::{Part, Shelf, TakenFile};
use crate::bucket::{BucketResult, Upload};
use crate::fault::{Fault, FaultResult};

/// Both sides hold a window of 128 KiB: as many parts as there may be are read at once.
const WINDOW_LOG: u32 = 17;
const LEVEL: i32 = 3;
/// What is handed to an upload at once.
const CHUNK: usize = 64 << 10;
/// Unpacked bytes that are taken at once.
const STEP: usize = 16 << 10;
/// A line: a key has 1 KiB at most in every store, an ETag is shorter, and JSON makes at most six bytes of one.
const LINE: usize = 64 << 10;

/// Writes a part.
pub(super) struct PartWriter {
    upload: Box<dyn Upload>,
    encoder: Encoder<'static, Vec<u8>>,
    hash: Sha256,
    part: Part,
}

fn broken(_: impl std::error::Error) -> Fault {
    Fault::new(FailureCode::WorkerBug, "a part of the taken files can't be packed")
}

impl PartWriter {
    pub(super) async fn begin(shelf: &Shelf, path: String) -> FaultResult<Self> {
        let part = Part { path, files: 0, bytes: 0, sha256: String::new() };
        let mut encoder = Encoder::new(Vec::new(), LEVEL).map_err(broken)?;
        encoder.set_parameter(CParameter::WindowLog(WINDOW_LOG)).map_err(broken)?;
        let upload = shelf.bucket.upload(&shelf.key(&part)).await?;
        Ok(Self { upload, encoder, hash: Sha256::new(), part })
    }

    pub(super) async fn add(&mut self, file: &TakenFile) -> FaultResult<()> {
        serde_json::to_writer(&mut self.encoder, &(&file.key, &file.etag, file.size)).map_err(broken)?;
        self.encoder.write_all(b"\n").map_err(broken)?;
        self.part.files += 1;
        if self.encoder.get_ref().len() >= CHUNK {
            let packed = std::mem::take(self.encoder.get_mut());
            self.send(packed).await?;
        }
        Ok(())
    }

    async fn send(&mut self, packed: Vec<u8>) -> FaultResult<()> {
        self.hash.update(&packed);
        self.part.bytes += packed.len() as u64;
        Ok(self.upload.write(Bytes::from(packed)).await?)
    }

    pub(super) async fn finish(mut self) -> FaultResult<Part> {
        self.encoder.do_finish().map_err(broken)?;
        let packed = std::mem::take(self.encoder.get_mut());
        self.send(packed).await?;
        self.upload.finish().await?;
        self.part.sha256 = hex::encode(self.hash.finalize());
        Ok(self.part)
    }
}

/// Reads a part to its proven end.
pub(super) struct PartReader {
    chunks: BoxStream<'static, BucketResult<Bytes>>,
    decoder: Decoder<'static>,
    packed: Bytes,
    unpacked: Vec<u8>,
    /// Unpacked bytes before this place are given out.
    given: usize,
    hash: Sha256,
    part: Part,
    files: u64,
    last: Option<String>,
}

impl PartReader {
    pub(super) async fn open(shelf: &Shelf, part: &Part) -> FaultResult<Self> {
        let key = shelf.key(part);
        let found = shelf.bucket.head(&key).await?.filter(|found| found.size == part.bytes);
        let found = found.ok_or_else(|| corrupt(part, "is missing, or has another size"))?;
        let chunks = shelf.bucket.read(&key, &found.etag).await?;
        let mut decoder = Decoder::new().map_err(broken)?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG)).map_err(broken)?;
        let (part, packed, unpacked) = (part.clone(), Bytes::new(), Vec::new());
        Ok(Self { chunks, decoder, packed, unpacked, given: 0, hash: Sha256::new(), part, files: 0, last: None })
    }

    /// The next file; none when all that the state tells of were read.
    pub(super) async fn next(&mut self) -> FaultResult<Option<TakenFile>> {
        loop {
            if let Some(file) = self.line()? {
                return Ok(Some(file));
            }
            if self.unpack()? > 0 {
                continue;
            }
            match self.chunks.next().await {
                Some(chunk) => {
                    self.packed = chunk?;
                    self.hash.update(&self.packed);
                }
                None => return self.end(),
            }
        }
    }

    /// Unpacks some of what has come; gives how many bytes that made.
    fn unpack(&mut self) -> FaultResult<usize> {
        if self.packed.is_empty() {
            return Ok(0);
        }
        let mut out = [0; STEP];
        let mut from = InBuffer::around(self.packed.as_ref());
        let mut to = OutBuffer::around(&mut out[..]);
        self.decoder.run(&mut from, &mut to).map_err(|_| corrupt(&self.part, "is damaged"))?;
        let (taken, made) = (from.pos(), to.pos());
        self.packed.advance(taken);
        self.unpacked.extend_from_slice(&out[..made]);
        Ok(made.max(taken))
    }

    /// A whole line out of what is unpacked.
    fn line(&mut self) -> FaultResult<Option<TakenFile>> {
        let rest = &self.unpacked[self.given..];
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            if rest.len() > LINE {
                return Err(self.corrupt("has a line without end"));
            }
            self.unpacked.drain(..self.given);
            self.given = 0;
            return Ok(None);
        };
        let read = serde_json::from_slice(&rest[..end]);
        let (key, etag, size): (String, String, u64) = read.map_err(|_| self.corrupt("can't be read"))?;
        if self.last.as_ref().is_some_and(|last| *last >= key) {
            return Err(self.corrupt("is not in order"));
        }
        self.given += end + 1;
        self.files += 1;
        self.last = Some(key.clone());
        Ok(Some(TakenFile { key, etag, size }))
    }

    fn end(&mut self) -> FaultResult<Option<TakenFile>> {
        let is_whole = self.unpacked.len() == self.given && self.files == self.part.files;
        if is_whole && hex::encode(self.hash.clone().finalize()) == self.part.sha256 {
            return Ok(None);
        }
        Err(self.corrupt("is not what was written"))
    }

    fn corrupt(&self, what: &str) -> Fault {
        corrupt(&self.part, what)
    }
}

pub(super) fn corrupt(part: &Part, what: &str) -> Fault {
    let text = format!("the list of taken files {} {what}: without it files would be taken twice", part.path);
    Fault::new(FailureCode::CommitLogCorrupt, text)
}
