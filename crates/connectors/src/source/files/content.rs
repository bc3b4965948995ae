//! The bytes of one file in order, unpacked, with proof that all of them came.

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use waybill_model::FailureCode;
use waybill_pipeline::{Fault, FaultResult};

use super::decode::Decode;
use super::inflate::Inflate;
use super::lane::fault;
use super::set::File;

/// A file being read.
pub(super) struct Content {
    stream: BoxStream<'static, FaultResult<Bytes>>,
    file: File,
    inflate: Option<Inflate>,
    packed: Bytes,
    taken: u64,
    given: u64,
    state: State,
    /// None where the file is no text.
    decode: Option<Decode>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The packing is not looked at yet.
    New,
    Reading,
    /// All bytes came; the unpacker may still hold some.
    Ended,
    /// All bytes are unpacked.
    Read,
}

impl Content {
    pub(super) fn new(stream: BoxStream<'static, FaultResult<Bytes>>, file: &File) -> Self {
        let (file, decode) = (file.clone(), file.format.encoding().map(Decode::new));
        Self { stream, file, inflate: None, packed: Bytes::new(), taken: 0, given: 0, state: State::New, decode }
    }

    /// The next bytes, of text in UTF-8; none when the file's whole length has come, was unpacked to its end and was text to its end.
    pub(super) async fn next(&mut self) -> FaultResult<Option<Bytes>> {
        loop {
            let Some(decode) = &mut self.decode else { return self.bytes().await };
            let is_last = self.state == State::Read;
            if let Some(text) = decode.next(is_last).map_err(|broken| fault(&self.file, &broken))? {
                return Ok(Some(text));
            }
            if is_last {
                return Ok(None);
            }
            match (self.bytes().await?, &mut self.decode) {
                (Some(bytes), Some(decode)) => decode.take(bytes),
                _ => self.state = State::Read,
            }
        }
    }

    /// The next bytes as they are in the file.
    async fn bytes(&mut self) -> FaultResult<Option<Bytes>> {
        if self.state == State::New {
            self.inflate = Inflate::new(self.file.packing).map_err(|text| self.refused(text))?;
            self.state = State::Reading;
        }
        loop {
            let out = match self.unpacked()? {
                Some(out) => out,
                None if self.state == State::Ended => match &mut self.inflate {
                    Some(inflate) => inflate.finish().map_err(|text| self.refused(text))?,
                    None => return Ok(None),
                },
                None => {
                    self.fetch().await?;
                    continue;
                }
            };
            if out.is_empty() {
                return Ok(None);
            }
            if self.given == 0 {
                self.look_inside(&out)?;
            }
            self.given += out.len() as u64;
            return Ok(Some(out));
        }
    }

    /// What can be given without reading on.
    fn unpacked(&mut self) -> FaultResult<Option<Bytes>> {
        let Some(inflate) = &mut self.inflate else {
            let out = std::mem::take(&mut self.packed);
            return Ok(Some(out).filter(|out| !out.is_empty()));
        };
        loop {
            let before = self.packed.len();
            let out =
                inflate.step(&mut self.packed).map_err(|text| self.file.fault(FailureCode::ArchiveRefused, text))?;
            if !out.is_empty() {
                return Ok(Some(out));
            }
            if self.packed.is_empty() || self.packed.len() == before {
                return Ok(None);
            }
        }
    }

    async fn fetch(&mut self) -> FaultResult<()> {
        match self.stream.next().await {
            Some(part) => {
                let part = part?;
                self.taken += part.len() as u64;
                self.packed = part;
            }
            None if self.taken == self.file.packed_size() => self.state = State::Ended,
            None => {
                let text = "fewer or more bytes came than its listed size";
                return Err(self.file.fault(FailureCode::SourceIncomplete, text));
            }
        }
        Ok(())
    }

    /// Text never begins like an archive; one inside another is not unpacked.
    fn look_inside(&self, first: &[u8]) -> FaultResult<()> {
        const MAGIC: &[&[u8]] = &[
            b"PK\x03\x04",
            b"PK\x05\x06",
            b"\x1f\x8b",
            b"\x28\xb5\x2f\xfd",
            b"7z\xbc\xaf",
            b"BZh",
            b"\xfd7zXZ",
            b"Rar!",
        ];
        if MAGIC.iter().any(|magic| first.starts_with(magic)) {
            return Err(self.refused("it holds another archive or compression than its name tells"));
        }
        Ok(())
    }

    fn refused(&self, text: &str) -> Fault {
        self.file.fault(FailureCode::ArchiveRefused, text)
    }
}
