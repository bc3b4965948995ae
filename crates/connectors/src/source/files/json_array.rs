//! Splits a JSON array into its elements, as `json_line` splits lines: bounded before they are buffered, and looked into by nobody here.

use waybill_model::FailureCode;

use super::json_line::{LINE, Lines, broken};
use super::rows::Broken;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// How objects follow each other in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// One on each line.
    Lines,
    /// The elements of one array.
    Array,
}

/// The splitter of one file.
pub(super) enum Pieces {
    Lines(Lines),
    Elements(Elements),
}

impl Pieces {
    pub(super) fn new(framing: Framing, cap: usize) -> Self {
        match framing {
            Framing::Lines => Self::Lines(Lines::new(cap)),
            Framing::Array => Self::Elements(Elements::new(cap)),
        }
    }

    /// What one piece is called.
    pub(super) const fn noun(&self) -> &'static str {
        match self {
            Self::Lines(_) => LINE,
            Self::Elements(_) => "element",
        }
    }

    /// Takes bytes up to a piece's end and hands it over with the line that it began on; gives how many.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        take: &mut impl FnMut(&[u8], u64) -> Result<(), Broken>,
    ) -> Result<usize, Broken> {
        match self {
            Self::Lines(lines) => lines.feed(bytes, take),
            Self::Elements(elements) => elements.feed(bytes, take),
        }
    }

    /// The file has ended.
    pub(super) fn end(&mut self, take: &mut impl FnMut(&[u8], u64) -> Result<(), Broken>) -> Result<(), Broken> {
        match self {
            Self::Lines(lines) => lines.end(take),
            Self::Elements(elements) => elements.end(),
        }
    }
}

/// Where the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the array, after so many bytes of a byte-order mark.
    Start(usize),
    /// Before an element, after a comma or the array's begin.
    Before { comma: bool },
    /// In an element.
    Inside { depth: usize, quoted: bool, escaped: bool },
    /// Behind the array.
    After,
}

/// The elements of one array.
pub(super) struct Elements {
    cap: usize,
    carry: Vec<u8>,
    place: Place,
    line: u64,
    /// Line on which the element began.
    began: u64,
}

impl Elements {
    const fn new(cap: usize) -> Self {
        Self { cap, carry: Vec::new(), place: Place::Start(0), line: 1, began: 1 }
    }

    fn feed(&mut self, bytes: &[u8], take: &mut impl FnMut(&[u8], u64) -> Result<(), Broken>) -> Result<usize, Broken> {
        let mut at = 0;
        while let Some(byte) = bytes.get(at).copied() {
            if matches!(self.place, Place::Inside { .. }) {
                let (taken, ended) = self.inside(&bytes[at..])?;
                at += taken;
                if !ended {
                    continue;
                }
                let whole = std::mem::take(&mut self.carry);
                take(whole.trim_ascii_end(), self.began)?;
                self.carry = whole;
                self.carry.clear();
                return Ok(at);
            }
            at += usize::from(self.outside(byte)?);
        }
        Ok(at)
    }

    /// Takes a byte between elements; false where it is the first one of an element, which is looked at once more.
    fn outside(&mut self, byte: u8) -> Result<bool, Broken> {
        self.line += u64::from(byte == b'\n');
        self.place = match (self.place, byte) {
            (Place::Start(seen), byte) if seen < BOM.len() && byte == BOM[seen] => Place::Start(seen + 1),
            (Place::Start(0), 0xFF | 0xFE) => return Err(self.broken("the file is UTF-16: save it as UTF-8")),
            (Place::Start(0 | 3), b' ' | b'\t' | b'\r' | b'\n') => Place::Start(BOM.len()),
            (Place::Start(0 | 3), b'[') => Place::Before { comma: false },
            (Place::Start(0 | 3), b'{') => {
                return Err(self.broken(
                    "the file begins an object, not an array: for one object on each line say `format: jsonl`",
                ));
            }
            (Place::Start(_), _) => return Err(self.broken("the file is no JSON array")),
            (place, b' ' | b'\t' | b'\r' | b'\n') => place,
            (Place::Before { comma: false }, b']') => Place::After,
            (Place::Before { .. }, b',' | b']') => return Err(self.broken("an element is missing beside a comma")),
            (Place::After, _) => return Err(self.broken("something stands behind the array")),
            (Place::Before { .. } | Place::Inside { .. }, _) => {
                self.began = self.line;
                self.place = Place::Inside { depth: 0, quoted: false, escaped: false };
                return Ok(false);
            }
        };
        Ok(true)
    }

    /// Takes bytes of an element into the buffer; gives how many, and whether its end is among them, which is not buffered.
    fn inside(&mut self, bytes: &[u8]) -> Result<(usize, bool), Broken> {
        let Place::Inside { mut depth, mut quoted, mut escaped } = self.place else { return Ok((0, false)) };
        let mut end = None;
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                _ if quoted => {}
                b',' | b']' if depth == 0 => {
                    end = Some(at);
                    break;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        let part = &bytes[..end.unwrap_or(bytes.len())];
        if self.carry.len() + part.len() > self.cap {
            let text = "an element is larger than an eighth of the memory budget".to_owned();
            return Err(Broken { code: FailureCode::RowTooLarge, line: self.began, text });
        }
        self.line += memchr::memchr_iter(b'\n', part).count() as u64;
        self.carry.extend_from_slice(part);
        self.place = match end.map(|end| bytes[end]) {
            None => Place::Inside { depth, quoted, escaped },
            Some(b',') => Place::Before { comma: true },
            Some(_) => Place::After,
        };
        Ok((part.len() + usize::from(end.is_some()), end.is_some()))
    }

    fn end(&self) -> Result<(), Broken> {
        match self.place {
            Place::After => Ok(()),
            Place::Start(_) => Err(self.broken("the file is empty: a JSON array was expected")),
            Place::Before { .. } | Place::Inside { .. } => Err(self.broken("the file ends before its array does")),
        }
    }

    fn broken(&self, text: &str) -> Broken {
        broken(self.line, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The elements with their lines, fed in pieces of so many bytes.
    fn split(text: &[u8], step: usize) -> Result<Vec<(String, u64)>, (FailureCode, u64, String)> {
        let (mut pieces, mut all) = (Pieces::new(Framing::Array, 64), Vec::new());
        let mut take = |piece: &[u8], line: u64| {
            all.push((String::from_utf8_lossy(piece).into_owned(), line));
            Ok(())
        };
        let mut read = || {
            for part in text.chunks(step) {
                let mut at = 0;
                while at < part.len() {
                    at += pieces.feed(&part[at..], &mut take)?;
                }
            }
            pieces.end(&mut take)
        };
        read().map_err(|broken: Broken| (broken.code, broken.line, broken.text))?;
        Ok(all)
    }

    #[test]
    fn elements_are_split_the_same_however_the_bytes_arrive() {
        let text = "\u{feff} [\n{\"a\": \"],\\\"[\"},\n  {\"b\": [1, {\"c\": 2}]} ,{}, 7\n]\n ";
        let expect = [("{\"a\": \"],\\\"[\"}", 2), ("{\"b\": [1, {\"c\": 2}]}", 3), ("{}", 3), ("7", 3)];
        for step in 1..=text.len() {
            let found = split(text.as_bytes(), step).expect("elements");
            let found: Vec<_> = found.iter().map(|(text, line)| (text.as_str(), *line)).collect();
            assert_eq!(found, expect, "in steps of {step}");
        }
        assert_eq!(split(b"[]", 1), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_array_is_refused_with_its_line() {
        for (text, line, what) in [
            ("", 1, "empty"),
            ("{\"a\":1}", 1, "format: jsonl"),
            ("\n7", 2, "no JSON array"),
            ("[{},]", 1, "missing"),
            ("[,{}]", 1, "missing"),
            ("[{}\n", 2, "ends before"),
            ("[{}] [", 1, "behind"),
            ("\u{feff}\u{feff}[]", 1, "no JSON array"),
            ("\u{ff}", 1, "no JSON array"),
        ] {
            let (code, at, said) = split(text.as_bytes(), 2).expect_err(text);
            assert!(code == FailureCode::JsonMalformed && at == line && said.contains(what), "{text}: {at} {said}");
        }
        assert!(split(b"\xff\xfe[\0", 1).expect_err("UTF-16").2.contains("UTF-16"));
    }

    #[test]
    fn an_element_is_bounded_before_it_is_buffered() {
        let large = format!("[1,\n{{\"a\":\"{}\"}}]", "x".repeat(100));
        let (code, line, _) = split(large.as_bytes(), 7).expect_err("large");
        assert_eq!((code, line), (FailureCode::RowTooLarge, 2));
    }
}
