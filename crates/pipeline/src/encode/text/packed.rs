//! The compressor between a file of text and its upload.

use std::io::{self, Write};

use flate2::write::GzEncoder;
use waybill_model::plan::Compression;

use crate::encode::sink::Sink;

/// Bytes that are handed on together.
const PIECE: usize = 64 << 10;
/// Quick, and within a memory of little more than a megabyte.
const ZSTD_LEVEL: i32 = 1;

/// Takes text in pieces of any size and passes it on, compressed.
pub(in crate::encode) struct Packed {
    piece: Vec<u8>,
    packer: Packer,
}

enum Packer {
    None(Sink),
    Gzip(Box<GzEncoder<Sink>>),
    Zstd(zstd::stream::write::Encoder<'static, Sink>),
}

impl Packed {
    /// Snappy has no form for files of text; nobody can ask for it.
    pub(in crate::encode) fn new(sink: Sink, compression: Compression) -> io::Result<Self> {
        let packer = match compression {
            Compression::Gzip => Packer::Gzip(Box::new(GzEncoder::new(sink, flate2::Compression::default()))),
            Compression::Zstd => {
                let mut packer = zstd::stream::write::Encoder::new(sink, ZSTD_LEVEL)?;
                packer.include_checksum(true)?;
                Packer::Zstd(packer)
            }
            Compression::None | Compression::Snappy => Packer::None(sink),
        };
        Ok(Self { piece: Vec::with_capacity(PIECE), packer })
    }

    pub(in crate::encode) fn sink(&self) -> &Sink {
        match &self.packer {
            Packer::None(sink) => sink,
            Packer::Gzip(packer) => packer.get_ref(),
            Packer::Zstd(packer) => packer.get_ref(),
        }
    }

    pub(in crate::encode) fn sink_mut(&mut self) -> &mut Sink {
        match &mut self.packer {
            Packer::None(sink) => sink,
            Packer::Gzip(packer) => packer.get_mut(),
            Packer::Zstd(packer) => packer.get_mut(),
        }
    }

    /// Passes everything on and ends the compressed form.
    pub(in crate::encode) fn finish(&mut self) -> io::Result<()> {
        self.pass()?;
        match &mut self.packer {
            Packer::None(_) => Ok(()),
            Packer::Gzip(packer) => packer.try_finish(),
            Packer::Zstd(packer) => packer.do_finish(),
        }
    }

    fn pass(&mut self) -> io::Result<()> {
        self.packer.write_all(&self.piece)?;
        self.piece.clear();
        Ok(())
    }
}

impl Packer {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::None(sink) => sink.write_all(bytes),
            Self::Gzip(packer) => packer.write_all(bytes),
            Self::Zstd(packer) => packer.write_all(bytes),
        }
    }
}

/// All that is given is taken: the encoder of base64 answers a part that is taken with a write of nothing, which is an error to
/// whoever writes all.
impl Write for Packed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece.len() + bytes.len() > PIECE {
            self.pass()?;
        }
        if bytes.len() > PIECE {
            self.packer.write_all(bytes)?;
        } else {
            self.piece.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use arrow::array::{Array, BinaryArray};
    use async_trait::async_trait;
    use bytes::Bytes;

    use super::*;
    use crate::bucket::{BucketResult, Upload};
    use crate::encode::text::jsonl;
    use crate::stop::stop_pair;

    struct Kept(Arc<Mutex<Vec<u8>>>);

    #[async_trait]
    impl Upload for Kept {
        async fn write(&mut self, bytes: Bytes) -> BucketResult<()> {
            self.0.lock().expect("bytes").extend_from_slice(&bytes);
            Ok(())
        }
        async fn finish(self: Box<Self>) -> BucketResult<u64> {
            Ok(self.0.lock().expect("bytes").len() as u64)
        }
        async fn abort(self: Box<Self>) {}
        fn buffer_bytes(&self) -> u64 {
            0
        }
    }

    #[test]
    fn values_of_any_size_pass_whole_wherever_a_piece_ends() {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let values: Vec<Vec<u8>> = (0..300).map(|n| vec![n as u8; n * 7]).chain([vec![7; 200_000]]).collect();
        let column = BinaryArray::from_iter_values(&values);
        let mut wanted = Vec::new();
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (_switch, stop) = stop_pair();
        let sink = Sink::new(Box::new(Kept(Arc::clone(&kept))), runtime.handle().clone(), stop);
        let mut packed = Packed::new(sink, Compression::None).expect("a packer");
        for row in 0..column.len() {
            jsonl::value(&column as &dyn Array, row, &mut packed).expect("a value");
            jsonl::value(&column, row, &mut wanted).expect("a value");
        }
        packed.finish().expect("passed on");
        assert!(packed.sink_mut().finish().is_ok());
        assert_eq!(*kept.lock().expect("bytes"), wanted);
    }
}
