//! Lines of JSON, split off their file, and objects, checked and taken apart into members whose values stay as they are written.
//!
//! Numbers are never read into a float here, and nested values are never rebuilt.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use waybill_model::FailureCode;

use super::rows::Broken;

/// What one piece of JSON Lines is called.
pub(super) const LINE: &str = "line";
/// What is wrong with an object that can't be a row for its names.
pub(super) const TWICE: &str = "an object has the same name twice";
/// Names beyond this are taken for values in the place of names.
pub(super) const COLUMNS: usize = 4096;
/// Deeper values are refused.
const DEPTH: usize = 128;

/// Splits a file into lines, bounded before they are buffered.
pub(super) struct Lines {
    cap: usize,
    carry: Vec<u8>,
    /// Line being read, from 1.
    line: u64,
}

impl Lines {
    pub(super) const fn new(cap: usize) -> Self {
        Self { cap, carry: Vec::new(), line: 1 }
    }

    /// Takes bytes up to a line's end and hands the line over; gives how many.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        take: &mut impl FnMut(&[u8], u64) -> Result<(), Broken>,
    ) -> Result<usize, Broken> {
        let end = memchr::memchr(b'\n', bytes);
        let part = &bytes[..end.unwrap_or(bytes.len())];
        if self.carry.len() + part.len() > self.cap {
            let text = "a line is larger than an eighth of the memory budget".to_owned();
            return Err(Broken { code: FailureCode::RowTooLarge, line: self.line, text });
        }
        let Some(end) = end else {
            self.carry.extend_from_slice(part);
            return Ok(bytes.len());
        };
        if self.carry.is_empty() {
            self.line(part, take)?;
        } else {
            self.carry.extend_from_slice(part);
            let whole = std::mem::take(&mut self.carry);
            self.line(&whole, take)?;
            self.carry = whole;
            self.carry.clear();
        }
        self.line += 1;
        Ok(end + 1)
    }

    /// The file has ended: what is left is its last line.
    pub(super) fn end(&mut self, take: &mut impl FnMut(&[u8], u64) -> Result<(), Broken>) -> Result<(), Broken> {
        let whole = std::mem::take(&mut self.carry);
        if whole.is_empty() { Ok(()) } else { self.line(&whole, take) }
    }

    fn line(&self, line: &[u8], take: &mut impl FnMut(&[u8], u64) -> Result<(), Broken>) -> Result<(), Broken> {
        let mut line = line;
        if self.line == 1 {
            if line.starts_with(b"\xff\xfe") || line.starts_with(b"\xfe\xff") {
                return Err(broken(1, "the file is UTF-16: save it as UTF-8"));
            }
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        take(line, self.line)
    }
}

/// Takes an object apart: `member` gets each name and the value's exact text, and says what is wrong with it if anything.
pub(super) fn members<'a>(
    line: &'a [u8],
    (noun, number): (&str, u64),
    member: &mut dyn FnMut(&str, &'a str) -> Result<(), String>,
) -> Result<(), Broken> {
    let first = line.iter().find(|b| !b.is_ascii_whitespace());
    if first != Some(&b'{') {
        let text = match first {
            Some(b'[') if noun == LINE => {
                "the line begins an array: JSON Lines has one object on each line; for one array of objects say `format: json`"
                    .to_owned()
            }
            _ => format!("the {noun} is not a JSON object"),
        };
        return Err(broken(number, &text));
    }
    shallow(line, number)?;
    let mut refused = None;
    let mut reader = serde_json::Deserializer::from_slice(line);
    let read = Object { member, refused: &mut refused }.deserialize(&mut reader);
    if let Some(text) = refused {
        return Err(broken(number, &text));
    }
    match read.and_then(|()| reader.end()) {
        Ok(()) => Ok(()),
        Err(error) => {
            let what = match error.classify() {
                serde_json::error::Category::Eof => format!("the {noun} ends inside a value"),
                _ => format!("the {noun} is not valid JSON"),
            };
            Err(broken(number, &format!("{what}, at byte {}", error.column())))
        }
    }
}

/// What is wrong with a piece that can't be a row, where it is one piece beyond doubt; fails where it may be several. Of a line that
/// holds always: no line end stands inside a value. An element ends where its array says so, which only a whole value tells.
pub(super) fn unsound(piece: &[u8], (noun, number): (&str, u64)) -> Result<Option<Broken>, Broken> {
    let mut names = HashSet::new();
    let read = members(piece, (noun, number), &mut |name, _| {
        // One with more names than a table has columns ends the file, as ever: they are not all kept for that.
        match names.len() > COLUMNS || names.insert(name.to_owned()) {
            true => Ok(()),
            false => Err(TWICE.to_owned()),
        }
    });
    match read {
        Ok(()) => Ok(None),
        Err(broken) if noun != LINE && serde_json::from_slice::<IgnoredAny>(piece).is_err() => Err(broken),
        Err(broken) => Ok(Some(broken)),
    }
}

/// Refuses deep nesting before anything else looks at the line.
fn shallow(line: &[u8], number: u64) -> Result<(), Broken> {
    let (mut depth, mut quoted, mut at) = (0_usize, false, 0);
    while at < line.len() {
        match line[at] {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                depth += 1;
                if depth > DEPTH {
                    return Err(broken(number, "a value is nested more than 128 levels deep"));
                }
            }
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

pub(super) fn broken(line: u64, text: &str) -> Broken {
    Broken { code: FailureCode::JsonMalformed, line, text: text.to_owned() }
}

struct Object<'m, 'a> {
    member: &'m mut dyn FnMut(&str, &'a str) -> Result<(), String>,
    refused: &'m mut Option<String>,
}

impl<'a> DeserializeSeed<'a> for Object<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Object<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            let value: &'a RawValue = map.next_value()?;
            if let Err(text) = (self.member)(&name, value.get()) {
                *self.refused = Some(text);
                return Err(serde::de::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

/// A member's name without a copy where it has no escapes.
struct Name;

impl<'a> DeserializeSeed<'a> for Name {
    type Value = std::borrow::Cow<'a, str>;

    fn deserialize<D: Deserializer<'a>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for Name {
    type Value = std::borrow::Cow<'a, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'a str) -> Result<Self::Value, E> {
        Ok(name.into())
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(name.to_owned().into())
    }
}

/// The text of a string whose grammar is proven, and whether it is exactly what was written. Half a surrogate pair is no
/// text at all: it becomes U+FFFD.
pub(super) fn unescape(raw: &str) -> (std::borrow::Cow<'_, str>, bool) {
    let inner = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(raw);
    if !inner.contains('\\') {
        return (inner.into(), true);
    }
    let (mut out, mut exact, mut rest) = (String::with_capacity(inner.len()), true, inner);
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let sign = rest.as_bytes().get(at + 1).copied().unwrap_or(b'\\');
        rest = rest.get(at + 2..).unwrap_or("");
        match sign {
            b'n' => out.push('\n'),
            b't' => out.push('\t'),
            b'r' => out.push('\r'),
            b'b' => out.push('\u{8}'),
            b'f' => out.push('\u{c}'),
            b'u' => {
                let unit = unit(rest);
                rest = rest.get(4..).unwrap_or("");
                let next = rest.strip_prefix("\\u").map(self::unit);
                match (char::from_u32(unit), next) {
                    (Some(c), _) => out.push(c),
                    (None, Some(low)) if unit < 0xDC00 && (0xDC00..0xE000).contains(&low) => {
                        out.extend(char::from_u32(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00)));
                        rest = &rest[6..];
                    }
                    _ => {
                        out.push('\u{FFFD}');
                        exact = false;
                    }
                }
            }
            other => out.push(char::from(other)),
        }
    }
    out.push_str(rest);
    (out.into(), exact)
}

fn unit(hex: &str) -> u32 {
    hex.get(..4).and_then(|four| u32::from_str_radix(four, 16).ok()).unwrap_or(0xFFFD)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(line: &str) -> Result<Vec<(String, String)>, String> {
        let mut all = Vec::new();
        let read = members(line.as_bytes(), ("line", 7), &mut |name, value| {
            all.push((name.to_owned(), value.to_owned()));
            Ok(())
        });
        read.map(|()| all).map_err(|b| b.text)
    }

    #[test]
    fn values_keep_the_text_that_was_written() {
        let all = taken(r#" {"a":1.10, "b\n" : {"x": [1e5,  "}"]}, "c":"q\"\u00e9"} "#).expect("members");
        let pairs: Vec<_> = all.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(pairs, [("a", "1.10"), ("b\n", r#"{"x": [1e5,  "}"]}"#), ("c", r#""q\"\u00e9""#)]);
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        for line in
            ["[1]", "1", "{\"a\":1},", "{\"a\":1}{}", "{\"a\":01}", "{\"a\":1", "{\"a\" 1}", "{\"a\":NaN}", "{a:1}"]
        {
            assert!(taken(line).is_err(), "{line}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
        assert!(taken(&deep).expect_err("deep").contains("nested"));
    }

    #[test]
    fn only_a_piece_that_is_one_beyond_doubt_can_be_set_aside() {
        let told = |piece: &str, noun| unsound(piece.as_bytes(), (noun, 3)).map(|bad| bad.map(|broken| broken.line));
        assert_eq!(told("{\"a\":1}", LINE).ok(), Some(None));
        for line in ["{\"a\":", "{\"a\":1,\"\\u0061\":2}", "7", "{\"a\" 1}", "\"x"] {
            assert_eq!(told(line, LINE).ok(), Some(Some(3)), "{line}");
        }
        for element in ["{\"a\":1,\"a\":2}", "7", "[1]"] {
            assert_eq!(told(element, "element").ok(), Some(Some(3)), "{element}");
        }
        for element in ["{\"a\":", "{\"a\": \"x}, {\"b\": \"y}", "{\"a\" 1}"] {
            assert!(told(element, "element").is_err(), "{element}");
        }
    }

    #[test]
    fn escapes_are_read_and_half_pairs_are_told() {
        assert_eq!(unescape(r#""a\u00e9\ud83d\ude00\\\/\"""#), ("aé😀\\/\"".into(), true));
        assert_eq!(unescape(r#""x\ud800y""#), ("x\u{FFFD}y".into(), false));
        assert_eq!(unescape(r#""\udc00\u0041""#), ("\u{FFFD}A".into(), false));
    }

    #[test]
    fn a_line_is_bounded_before_it_is_buffered() {
        let mut lines = Lines::new(10_000);
        let mut fed = 0;
        let broken = loop {
            fed += 1000;
            if let Err(broken) = lines.feed(&[b' '; 1000], &mut |_, _| Ok(())) {
                break broken;
            }
        };
        assert_eq!((broken.code, fed), (FailureCode::RowTooLarge, 11_000));
    }
}
