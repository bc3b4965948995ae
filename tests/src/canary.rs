//! Unique texts that must not leave the customer's side, and the search for them in every form they could have taken.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use prost::encoding::encode_varint;

/// What is planted: a text of letters and digits only, so that no escaping changes it, or a number or a moment.
#[derive(Clone)]
pub struct Canary {
    text: String,
    /// What to look for.
    forms: Vec<Vec<u8>>,
}

impl Canary {
    /// A new text; `place` says where it is planted, for the message when it is found.
    #[must_use]
    pub fn new(place: &str) -> Self {
        let random: u64 = rand::random();
        let text = format!("canary{place}x{random:016x}");
        let forms = forms_of(&text);
        Self { text, forms }
    }

    /// A text that comes of what was planted.
    #[must_use]
    pub fn known(text: &str) -> Self {
        Self { text: text.to_owned(), forms: forms_of(text) }
    }

    /// A new number of 18 digits, such as a cursor: looked for in decimal, and as databases and protocols hold it.
    #[must_use]
    pub fn number() -> Self {
        let number = rand::random_range(100_000_000_000_000_000..1_000_000_000_000_000_000_i64);
        let text = number.to_string();
        let forms = forms_of(&text).into_iter().chain(binary(number)).collect();
        Self { text, forms }
    }

    /// A new moment with microseconds, `YYYY-MM-DD HH:MM:SS.ffffff`: looked for as texts, with either separator, its time of day
    /// alone, and as microseconds since 1970 or 2000, which Postgres counts from.
    ///
    /// # Panics
    /// Never: all moments of these years can be written.
    #[must_use]
    pub fn moment() -> Self {
        let micros = rand::random_range(1_000_000_000_000_000..1_700_000_000_000_000_i64);
        // No trailing zero, which a writer may leave away.
        let micros = micros - micros % 10 + 7;
        let moment = chrono::DateTime::from_timestamp_micros(micros).expect("a moment of our time");
        let [text, with_t, of_day] =
            ["%Y-%m-%d %H:%M:%S%.6f", "%Y-%m-%dT%H:%M:%S%.6f", "%H:%M:%S%.6f"].map(|f| moment.format(f).to_string());
        let numbers = [micros, micros - 946_684_800_000_000];
        let mut forms: Vec<_> = [&text, &with_t, &of_day].into_iter().flat_map(|form| forms_of(form)).collect();
        forms.extend(numbers.iter().flat_map(|n| forms_of(&n.to_string()).into_iter().chain(binary(*n))));
        Self { text, forms }
    }

    /// What to plant.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether `bytes` hold it in any form, also inside gzip streams that begin anywhere in them.
    #[must_use]
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        !Search::of([self]).found_in(bytes).is_empty()
    }
}

/// A search for many of them at once, which takes one look at each byte.
pub struct Search<'a> {
    canaries: Vec<&'a Canary>,
    forms: AhoCorasick,
    /// Whose form each is, as a place in `canaries`.
    owners: Vec<usize>,
}

impl<'a> Search<'a> {
    /// For these.
    ///
    /// # Panics
    /// Never: there are few forms, and short ones.
    #[must_use]
    pub fn of(canaries: impl IntoIterator<Item = &'a Canary>) -> Self {
        let canaries: Vec<&Canary> = canaries.into_iter().collect();
        let all = canaries.iter().enumerate().flat_map(|(owner, c)| c.forms.iter().map(move |form| (owner, form)));
        let (owners, forms): (Vec<usize>, Vec<&Vec<u8>>) = all.unzip();
        let forms = AhoCorasick::new(forms).expect("few forms");
        Self { canaries, forms, owners }
    }

    /// Those that `bytes` hold in any form, also inside gzip streams that begin anywhere in them.
    #[must_use]
    pub fn found_in(&self, bytes: &[u8]) -> Vec<&'a Canary> {
        let mut found = BTreeSet::new();
        for bytes in std::iter::once(bytes).chain(unpacked(bytes).iter().map(Vec::as_slice)) {
            found.extend(self.forms.find_overlapping_iter(bytes).map(|hit| self.owners[hit.pattern().as_usize()]));
        }
        found.into_iter().map(|owner| self.canaries[owner]).collect()
    }
}

/// As it is, in both cases of hex, and in base64 at each of its three alignments. A text has nothing that URL encoding
/// would change, so its raw form covers that one; the encoded form of every byte is searched as well.
fn forms_of(text: &str) -> Vec<Vec<u8>> {
    let raw = text.as_bytes();
    let mut forms = vec![raw.to_vec(), hex::encode(raw).into_bytes(), hex::encode_upper(raw).into_bytes()];
    forms.push(raw.iter().flat_map(|byte| format!("%{byte:02X}").into_bytes()).collect());
    for engine in [&STANDARD, &URL_SAFE] {
        for pad in 0..3 {
            let mut padded = vec![b'.'; pad];
            padded.extend_from_slice(raw);
            let encoded = engine.encode(&padded).into_bytes();
            // The first and last groups mix with their neighbours: what lies between is the same wherever it stands.
            let from = if pad == 0 { 0 } else { 4 };
            forms.push(encoded[from..encoded.len() - 4].to_vec());
        }
    }
    forms
}

/// A number as eight bytes in both orders, as protocol buffers write it, plain and zigzag, and in hexadecimal.
fn binary(number: i64) -> Vec<Vec<u8>> {
    let varint = |number: u64| {
        let mut bytes = Vec::new();
        encode_varint(number, &mut bytes);
        bytes
    };
    vec![
        number.to_be_bytes().to_vec(),
        number.to_le_bytes().to_vec(),
        varint(number as u64),
        varint(((number << 1) ^ (number >> 63)) as u64),
        format!("{number:016x}").into_bytes(),
    ]
}

/// Whatever unpacks from a gzip member in `bytes`.
fn unpacked(bytes: &[u8]) -> Vec<Vec<u8>> {
    let starts = bytes.windows(3).enumerate().filter(|(_, window)| *window == [0x1f, 0x8b, 8]).map(|(at, _)| at);
    starts
        .filter_map(|at| {
            let mut inner = Vec::new();
            let _ = flate2::read::GzDecoder::new(&bytes[at..]).take(64 << 20).read_to_end(&mut inner);
            (!inner.is_empty()).then_some(inner)
        })
        .collect()
}

/// All files below `folder` whose path has none of `except` in it.
#[must_use]
pub fn files(folder: &Path, except: &[&str]) -> Vec<PathBuf> {
    let (mut found, mut todo) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(folder) = todo.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if except.iter().any(|part| path.components().any(|c| c.as_os_str() == *part)) {
                continue;
            }
            if path.is_dir() { todo.push(path) } else { found.push(path) }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_canary_is_found_in_every_form() {
        let canary = Canary::new("form");
        let text = canary.text();
        let around = |inner: &str| format!("before {inner} after").into_bytes();
        assert!(canary.is_in(&around(text)));
        assert!(canary.is_in(&around(&hex::encode(text))));
        assert!(canary.is_in(&around(&hex::encode_upper(text))));
        for pad in ["", "a", "ab", "abc"] {
            assert!(canary.is_in(&around(&STANDARD.encode(format!("{pad}{text}{pad}")))), "base64 behind {pad:?}");
        }
        let mut packed = flate2::write::GzEncoder::new(b"head".to_vec(), flate2::Compression::best());
        packed.write_all(&around(text)).expect("pack");
        assert!(canary.is_in(&packed.finish().expect("pack")));
    }

    #[test]
    fn a_number_and_a_moment_are_found_as_databases_and_protocols_hold_them() {
        let (number, moment) = (Canary::number(), Canary::moment());
        let value: i64 = number.text().parse().expect("a number");
        let written = chrono::NaiveDateTime::parse_from_str(moment.text(), "%Y-%m-%d %H:%M:%S%.f").expect("a moment");
        let micros = written.and_utc().timestamp_micros();
        for (canary, value) in [(&number, value), (&moment, micros), (&moment, micros - 946_684_800_000_000)] {
            for held in [value.to_be_bytes().to_vec(), value.to_le_bytes().to_vec(), value.to_string().into_bytes()] {
                assert!(canary.is_in(&[b"ab".as_slice(), &held, b"cd"].concat()), "{value}");
            }
            // As `int64 = 1` and as `sint64 = 1` of a message.
            let mut messages = (Vec::new(), Vec::new());
            prost::encoding::int64::encode(1, &value, &mut messages.0);
            prost::encoding::sint64::encode(1, &value, &mut messages.1);
            assert!(canary.is_in(&messages.0) && canary.is_in(&messages.1), "{value} in a message");
        }
        assert!(moment.is_in(moment.text().replace(' ', "T").as_bytes()));
        assert!(!Canary::number().is_in(number.text().as_bytes()));
    }

    #[test]
    fn another_text_is_not_taken_for_it() {
        assert!(!Canary::new("one").is_in(Canary::new("one").text().as_bytes()));
    }
}
