//! Unpacks gzip, zstd and entries of zip as a stream, members and frames one after the other, and stops at bombs.
//!
//! Output grows in small steps, so that neither a ratio nor a window can take memory before it is checked.

use std::io::Write;

use bytes::{Buf, Bytes};
use flate2::write::MultiGzDecoder;
use flate2::{Crc, Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::zip::Entry;

/// Output may be this many times its input, once it is large.
const RATIO: u64 = 250;
/// What counts as large.
const RATIO_FROM: u64 = 64 << 20;
/// The most that one file may hold.
const LARGEST: u64 = 1 << 40;
/// Input taken at once: gzip makes at most about a thousand times as much of it.
const STEP: usize = 4 << 10;
/// Output given at once.
const OUT: usize = 128 << 10;
/// Windows up to 8 MiB: every zstd level up to 19.
const WINDOW_LOG: u32 = 23;

/// How a file is packed, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
    Zstd,
    /// An archive whose entries are read each as a file.
    Zip,
    /// Such an entry.
    Entry(Entry),
    /// An archive of another kind, a compression that is not read, or one inside another.
    Refused,
}

impl Packing {
    /// From a file's name in lower case; also gives the name without the packing's ending.
    pub(super) fn of(name: &str) -> (Self, &str) {
        const REFUSED: &[&str] =
            &[".tar", ".tgz", ".tbz2", ".txz", ".7z", ".rar", ".bz2", ".xz", ".lz4", ".lzma", ".z", ".br", ".sz"];
        const PACKED: [(&str, Packing); 3] = [(".gz", Packing::Gzip), (".zst", Packing::Zstd), (".zip", Packing::Zip)];
        let known = PACKED.iter().find_map(|(end, packing)| Some((*packing, name.strip_suffix(end)?)));
        let (packing, inner) = known.unwrap_or((Self::Plain, name));
        let nested = packing != Self::Plain && PACKED.iter().any(|(end, _)| inner.ends_with(end));
        if nested || REFUSED.iter().any(|end| inner.ends_with(end)) {
            return (Self::Refused, inner);
        }
        (packing, inner)
    }
}

/// An unpacker with its counts.
pub(super) struct Inflate {
    kind: Kind,
    taken: u64,
    given: u64,
}

enum Kind {
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    /// The decoder, and whether it stands between two frames.
    Zstd(Decoder<'static>, bool),
    /// An entry of an archive.
    Entry(Unzip),
}

/// An entry under way.
struct Unzip {
    entry: Entry,
    /// None where it is stored as it is.
    decoder: Option<Decompress>,
    is_complete: bool,
    crc: Crc,
}

impl Unzip {
    fn new(entry: Entry) -> Self {
        let decoder = entry.is_deflated.then(|| Decompress::new(false));
        Self { entry, decoder, is_complete: !entry.is_deflated, crc: Crc::new() }
    }

    /// Takes some of the input; gives what it unpacks to.
    fn step(&mut self, input: &mut Bytes) -> Result<Vec<u8>, &'static str> {
        let out = match &mut self.decoder {
            None => input.split_to(input.len().min(OUT)).to_vec(),
            Some(_) if self.is_complete && !input.is_empty() => return Err("something follows the end of its data"),
            Some(_) if self.is_complete => Vec::new(),
            Some(decoder) => {
                let (mut out, before) = (vec![0; OUT], (decoder.total_in(), decoder.total_out()));
                let part = &input[..input.len().min(STEP)];
                let status = decoder.decompress(part, &mut out, FlushDecompress::None);
                self.is_complete = status.map_err(|_| "its deflated data is damaged")? == Status::StreamEnd;
                input.advance(usize::try_from(decoder.total_in() - before.0).unwrap_or(part.len()));
                out.truncate(usize::try_from(decoder.total_out() - before.1).unwrap_or(OUT));
                out
            }
        };
        self.crc.update(&out);
        Ok(out)
    }

    /// All of it came: its size and checksum must be those of the directory.
    fn finish(&self, given: u64) -> Result<(), &'static str> {
        match () {
            () if !self.is_complete => Err("its deflated data ends too early"),
            () if given != self.entry.size => Err("it unpacks to another size than the directory says"),
            () if self.crc.sum() != self.entry.crc => Err("it has another checksum than the directory says"),
            () => Ok(()),
        }
    }
}

impl Inflate {
    /// None where nothing is packed.
    pub(super) fn new(packing: Packing) -> Result<Option<Self>, &'static str> {
        let kind = match packing {
            Packing::Gzip => Kind::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            Packing::Zstd => {
                let mut decoder = Decoder::new().map_err(|_| "zstd could not be set up")?;
                let bounded = decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG));
                bounded.map_err(|_| "zstd could not be set up")?;
                Kind::Zstd(decoder, true)
            }
            Packing::Entry(entry) => Kind::Entry(Unzip::new(entry)),
            Packing::Plain | Packing::Zip | Packing::Refused => return Ok(None),
        };
        Ok(Some(Self { kind, taken: 0, given: 0 }))
    }

    /// Takes some of the input and gives what it unpacks to, which may be nothing yet.
    pub(super) fn step(&mut self, input: &mut Bytes) -> Result<Bytes, &'static str> {
        let before = input.len();
        let out = match &mut self.kind {
            Kind::Gzip(decoder) => {
                let part = &input[..input.len().min(STEP)];
                let taken =
                    decoder.write(part).map_err(|_| "its gzip data is damaged or followed by something else")?;
                input.advance(taken);
                std::mem::take(decoder.get_mut())
            }
            Kind::Entry(unzip) => unzip.step(input)?,
            // Between two frames without input there is nothing to do, and asking would begin a frame.
            Kind::Zstd(_, true) if input.is_empty() => Vec::new(),
            Kind::Zstd(decoder, between) => {
                let mut out = vec![0; OUT];
                let mut from = InBuffer::around(input.as_ref());
                let mut to = OutBuffer::around(out.as_mut_slice());
                let left = decoder.run(&mut from, &mut to).map_err(
                    |_| "its zstd data is damaged, or needs a window over 8 MiB (compress without --long and --ultra)",
                )?;
                let (taken, made) = (from.pos(), to.pos());
                *between = left == 0;
                input.advance(taken);
                out.truncate(made);
                out
            }
        };
        self.taken += (before - input.len()) as u64;
        self.given += out.len() as u64;
        if self.given > LARGEST {
            return Err("it unpacks to more than 1 TiB");
        }
        if self.given > RATIO_FROM && self.given / RATIO > self.taken {
            return Err("it unpacks to more than 250 times its size: this is how a compression bomb looks");
        }
        Ok(out.into())
    }

    /// Ends the input: what is still inside, if the last member or frame is complete.
    pub(super) fn finish(&mut self) -> Result<Bytes, &'static str> {
        if let Kind::Entry(unzip) = &self.kind {
            return unzip.finish(self.given).map(|()| Bytes::new());
        }
        if self.taken == 0 {
            return Err("it is empty: not even an empty file is packed into nothing");
        }
        match &mut self.kind {
            Kind::Gzip(decoder) => {
                decoder.try_finish().map_err(|_| "its gzip data ends too early or has a wrong checksum")?;
                Ok(std::mem::take(decoder.get_mut()).into())
            }
            Kind::Zstd(_, true) | Kind::Entry(_) => Ok(Bytes::new()),
            Kind::Zstd(decoder, between) => {
                let mut out = vec![0; OUT];
                let mut to = OutBuffer::around(out.as_mut_slice());
                let left = decoder.run(&mut InBuffer::around(&[]), &mut to).map_err(|_| "its zstd data is damaged")?;
                let made = to.pos();
                if left > 0 && made == 0 {
                    return Err("its zstd data ends too early");
                }
                *between = left == 0;
                out.truncate(made);
                Ok(out.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpack(packing: Packing, data: &[u8]) -> Result<Vec<u8>, &'static str> {
        let mut inflate = Inflate::new(packing)?.expect("packed");
        let (mut input, mut out) = (Bytes::copy_from_slice(data), Vec::new());
        loop {
            let had = input.len();
            let part = inflate.step(&mut input)?;
            if part.is_empty() && input.is_empty() {
                break;
            }
            assert!(had > 0 || !part.is_empty());
            out.extend_from_slice(&part);
        }
        loop {
            let part = inflate.finish()?;
            if part.is_empty() {
                return Ok(out);
            }
            out.extend_from_slice(&part);
        }
    }

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(data).expect("write");
        encoder.finish().expect("finish")
    }

    #[test]
    fn members_and_frames_follow_one_another() {
        let text = b"line\n".repeat(100_000);
        let two = [gzip(&text), gzip(&text)].concat();
        assert_eq!(unpack(Packing::Gzip, &two), Ok(text.repeat(2)));
        let frame = zstd::encode_all(text.as_slice(), 3).expect("zstd");
        assert_eq!(unpack(Packing::Zstd, &frame.repeat(2)), Ok(text.repeat(2)));
    }

    #[test]
    fn a_packed_file_without_a_byte_is_one_that_was_cut() {
        assert!(unpack(Packing::Gzip, b"").is_err() && unpack(Packing::Zstd, b"").is_err());
        assert_eq!(unpack(Packing::Gzip, &gzip(b"")), Ok(Vec::new()));
        assert_eq!(unpack(Packing::Zstd, &zstd::encode_all(&b""[..], 3).expect("zstd")), Ok(Vec::new()));
    }

    #[test]
    fn a_cut_or_altered_file_is_an_error() {
        let text: Vec<u8> = (0..200_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let (gz, zst) = (gzip(&text), zstd::encode_all(text.as_slice(), 3).expect("zstd"));
        assert!(unpack(Packing::Gzip, &gz[..gz.len() - 5]).is_err());
        assert!(unpack(Packing::Gzip, &[gz.as_slice(), b"tail"].concat()).is_err());
        assert!(unpack(Packing::Zstd, &zst[..zst.len() - 5]).is_err());
        let mut altered = gz;
        let last = altered.len() - 6;
        altered[last] ^= 1;
        assert!(unpack(Packing::Gzip, &altered).is_err());
    }
}
