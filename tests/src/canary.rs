//! Unique texts that must not leave the customer's side, and the search for them in every form they could have taken.

use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// A planted text: letters and digits only, so that no escaping changes it.
#[derive(Clone)]
pub struct Canary(String);

impl Canary {
    /// A new one; `place` says where it is planted, for the message when it is found.
    #[must_use]
    pub fn new(place: &str) -> Self {
        let random: u64 = rand::random();
        Self(format!("canary{place}x{random:016x}"))
    }

    /// The text to plant.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// What to look for: as it is, in both cases of hex, and in base64 at each of its three alignments. The text has nothing
    /// that URL encoding would change, so its raw form covers that one; the encoded form of every byte is searched as well.
    fn forms(&self) -> Vec<Vec<u8>> {
        let raw = self.0.as_bytes();
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

    /// Whether `bytes` hold it in any form, also inside gzip streams that begin anywhere in them.
    #[must_use]
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        let forms = self.forms();
        holds(bytes, &forms) || unpacked(bytes).iter().any(|inner| holds(inner, &forms))
    }
}

fn holds(bytes: &[u8], forms: &[Vec<u8>]) -> bool {
    forms.iter().any(|form| bytes.windows(form.len()).any(|window| window == form.as_slice()))
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
    fn another_text_is_not_taken_for_it() {
        assert!(!Canary::new("one").is_in(Canary::new("one").text().as_bytes()));
    }
}
