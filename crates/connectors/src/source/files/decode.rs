//! Text in other encodings than UTF-8 becomes UTF-8 on its way, exactly or not at all.
//!
//! A byte-order mark tells the encoding, or else the spec, or else it is UTF-8. Bytes that are no text in it end the file: nothing is
//! put in their place. UTF-8 itself passes as it is: what becomes of bytes that are none, `invalid-text` says.

use bytes::Bytes;
use encoding_rs::{Decoder, DecoderResult, UTF_16BE, UTF_16LE};
use waybill_model::FailureCode;
use waybill_model::plan::Encoding;

use super::rows::Broken;

/// Bytes that are decoded at once.
const STEP: usize = 64 << 10;
/// The longest byte-order mark.
const MARK: usize = 3;

/// The text of one file on its way.
pub(super) struct Decode {
    way: Way,
    declared: Encoding,
    /// Bytes that came and are not decoded yet.
    input: Bytes,
    line: u64,
}

enum Way {
    /// The first bytes may be a byte-order mark.
    Start,
    Utf8,
    /// Each byte is the character of its number.
    Latin1,
    Coded(Box<Decoder>),
    Ended,
}

impl Way {
    fn of(first: &[u8], declared: Encoding) -> Self {
        let coded = |decoder: Decoder| Self::Coded(Box::new(decoder));
        match first {
            [0xFF, 0xFE, ..] => coded(UTF_16LE.new_decoder_with_bom_removal()),
            [0xFE, 0xFF, ..] => coded(UTF_16BE.new_decoder_with_bom_removal()),
            [0xEF, 0xBB, 0xBF, ..] => Self::Utf8,
            _ => match (declared, encoding_rs::Encoding::for_label(declared.as_str().as_bytes())) {
                (Encoding::Utf8, _) | (_, None) => Self::Utf8,
                // The label stands for windows-1252 on the web, which has other characters from 0x80 to 0x9F.
                (Encoding::Latin1, _) => Self::Latin1,
                (_, Some(encoding)) => coded(encoding.new_decoder_without_bom_handling()),
            },
        }
    }
}

impl Decode {
    pub(super) const fn new(declared: Encoding) -> Self {
        Self { way: Way::Start, declared, input: Bytes::new(), line: 1 }
    }

    /// Takes the next bytes of the file.
    pub(super) fn take(&mut self, bytes: Bytes) {
        self.input = if self.input.is_empty() { bytes } else { [self.input.as_ref(), &bytes].concat().into() };
    }

    /// The next piece of text; none where more bytes must come first, or where the file has ended, which `is_last` tells.
    pub(super) fn next(&mut self, is_last: bool) -> Result<Option<Bytes>, Broken> {
        if matches!(self.way, Way::Start) {
            if self.input.len() < MARK && !is_last {
                return Ok(None);
            }
            self.way = Way::of(&self.input, self.declared);
        }
        loop {
            let text = match &mut self.way {
                Way::Utf8 => std::mem::take(&mut self.input),
                Way::Latin1 => {
                    let step = self.input.split_to(self.input.len().min(STEP));
                    encoding_rs::mem::decode_latin1(&step).into_owned().into_bytes().into()
                }
                Way::Coded(decoder) => {
                    let step = self.input.split_to(self.input.len().min(STEP));
                    let ends = is_last && self.input.is_empty();
                    let text = decoded(decoder, &step, ends).map_err(|before| undecodable(self.line, &before))?;
                    if ends {
                        self.way = Way::Ended;
                    }
                    self.line += newlines(&text);
                    text.into()
                }
                Way::Start | Way::Ended => Bytes::new(),
            };
            if !text.is_empty() {
                return Ok(Some(text));
            }
            if self.input.is_empty() {
                return Ok(None);
            }
        }
    }
}

/// The text of some bytes, of which the last may be half a character where more come; what stands before bytes that are no text.
fn decoded(decoder: &mut Decoder, mut bytes: &[u8], is_last: bool) -> Result<Vec<u8>, Vec<u8>> {
    let mut text = Vec::new();
    loop {
        let room = decoder.max_utf8_buffer_length_without_replacement(bytes.len()).unwrap_or(STEP);
        let made = text.len();
        text.resize(made + room, 0);
        let (result, taken, written) = decoder.decode_to_utf8_without_replacement(bytes, &mut text[made..], is_last);
        text.truncate(made + written);
        bytes = &bytes[taken..];
        match result {
            DecoderResult::InputEmpty => return Ok(text),
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => return Err(text),
        }
    }
}

fn undecodable(line: u64, before: &[u8]) -> Broken {
    let text =
        "bytes that are no text in the file's encoding, which its byte-order mark or `encoding` tells".to_owned();
    Broken { code: FailureCode::TextUndecodable, line: line + newlines(before), text }
}

fn newlines(text: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', text).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of these bytes, given in pieces of so many.
    fn read(bytes: &[u8], declared: Encoding, step: usize) -> Result<Vec<u8>, u64> {
        let (mut decode, mut out) = (Decode::new(declared), Vec::new());
        let mut pieces = bytes.chunks(step).peekable();
        loop {
            let more = pieces.next();
            decode.take(Bytes::copy_from_slice(more.unwrap_or_default()));
            while let Some(text) = decode.next(more.is_none()).map_err(|broken| broken.line)? {
                out.extend_from_slice(&text);
            }
            if more.is_none() {
                return Ok(out);
            }
        }
    }

    fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(unit).collect()
    }

    #[test]
    fn text_is_the_same_in_every_encoding_however_its_bytes_arrive() {
        let text = "größe,n\nЖ ü 東京 🦀,1\r\n";
        let mut cases = vec![
            (utf16(text, u16::to_le_bytes), Encoding::Utf16Le, text),
            (utf16(text, u16::to_be_bytes), Encoding::Utf16Be, text),
            (utf16(&format!("\u{feff}{text}"), u16::to_le_bytes), Encoding::Utf8, text),
            (utf16(&format!("\u{feff}{text}"), u16::to_be_bytes), Encoding::Windows1252, text),
            (text.as_bytes().to_vec(), Encoding::Utf8, text),
            (b"caf\xe9 \x80 \x93x\x94,\xff\n".to_vec(), Encoding::Windows1252, "café € “x”,ÿ\n"),
            (b"caf\xe9 \x80,\xff\n".to_vec(), Encoding::Latin1, "café \u{80},ÿ\n"),
            (b"\xd0\xd3\n".to_vec(), Encoding::Koi8R, "пс\n"),
        ];
        for (encoding, text) in [
            (Encoding::ShiftJis, "東京,表示\nソ,1\n"),
            (Encoding::EucJp, "東京,表示\n"),
            (Encoding::Gb18030, "北京,🦀\n"),
            (Encoding::Big5, "台北,1\n"),
            (Encoding::EucKr, "서울,1\n"),
            (Encoding::Windows1251, "Москва,1\n"),
            (Encoding::Iso8859_2, "łódź,1\n"),
        ] {
            let known = encoding_rs::Encoding::for_label(encoding.as_str().as_bytes()).expect("an encoding");
            let (bytes, _, altered) = known.encode(text);
            assert!(!altered, "{encoding}");
            cases.push((bytes.into_owned(), encoding, text));
        }
        for (bytes, encoding, text) in cases {
            for step in [1, 2, 3, 5, 1000] {
                let found = read(&bytes, encoding, step).expect("text");
                assert_eq!(String::from_utf8_lossy(&found), text, "{encoding} in steps of {step}");
            }
        }
        // A mark outweighs what is declared, and stays for the parser.
        let marked = "\u{feff}ü".as_bytes();
        assert_eq!(read(marked, Encoding::Windows1252, 1).as_deref(), Ok(marked));
    }

    #[test]
    fn every_encoding_that_the_spec_knows_is_known_here_by_its_own_name() {
        for encoding in Encoding::ALL.iter().filter(|encoding| **encoding != Encoding::Latin1) {
            let known = encoding_rs::Encoding::for_label(encoding.as_str().as_bytes());
            let name = known.map(|known| known.name().to_ascii_lowercase());
            assert_eq!(name.as_deref(), Some(encoding.as_str()), "another one is read in its place");
        }
    }

    #[test]
    fn bytes_that_are_no_text_end_the_file_with_their_line() {
        let half = utf16("a\nb\n\u{10437}", u16::to_le_bytes);
        for (bytes, encoding, line) in [
            (b"a\n\x81".to_vec(), Encoding::ShiftJis, 2),
            (b"a\n\n\x81\x20,\n".to_vec(), Encoding::ShiftJis, 3),
            (b"\xff".to_vec(), Encoding::EucKr, 1),
            (b"\xff\xfea\0\n\0b".to_vec(), Encoding::Utf8, 2),
            (half[..half.len() - 2].to_vec(), Encoding::Utf16Le, 3),
        ] {
            for step in [1, 2, 1000] {
                assert_eq!(read(&bytes, encoding, step), Err(line), "{encoding} in steps of {step}");
            }
        }
        assert_eq!(read(b"a\xff\n", Encoding::Utf8, 1), Ok(b"a\xff\n".to_vec()), "what UTF-8 has is the parser's");
    }
}
