//! Keys of services as text: `wbk_<id>_<secret>_<checksum>`, so that a scanner for secrets finds one and can tell it from a likeness.
//!
//! The secret is 32 random bytes, so a fast digest of the whole is as good as a slow one; only that digest is ever kept.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use crc_fast::CrcAlgorithm::Crc32IsoHdlc;
use secrecy::{ExposeSecret, SecretString};
use waybill_model::id::KeyId;

use crate::service::digest_of;

/// What every key begins with.
pub const PREFIX: &str = "wbk_";
/// Digits of the secret, and of the checksum: CRC-32 over all that stands before it.
const SECRET: usize = 64;
const CHECKSUM: usize = 8;

/// A key as it was handed in, or made.
pub struct Given {
    /// The id that it names.
    pub id: KeyId,
    text: SecretString,
}

impl Given {
    /// A new key with this id.
    #[must_use]
    pub fn make(id: KeyId) -> Self {
        let body = format!("{}_{}", shown(id), hex::encode(crate::random::<32>()));
        let text = format!("{body}_{:08x}", checksum(&body));
        Self { id, text: text.into() }
    }

    /// Reads one; none where it has another form, or its checksum is off.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (body, sum) = text.rsplit_once('_')?;
        let (id, secret) = body.strip_prefix(PREFIX)?.split_once('_')?;
        let is_hex = |text: &str, digits: usize| {
            text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        let good = is_hex(secret, SECRET) && is_hex(sum, CHECKSUM) && format!("{:08x}", checksum(body)) == sum;
        let id = good.then(|| format!("key_{id}").parse().ok()).flatten()?;
        Some(Self { id, text: text.to_owned().into() })
    }

    /// What is kept of it.
    #[must_use]
    pub fn digest(&self) -> String {
        digest_of(self.text.expose_secret())
    }

    /// Whether it is the key that this digest is of, in the same time whatever differs.
    #[must_use]
    pub fn is(&self, digest: &str) -> bool {
        verify_slices_are_equal(self.digest().as_bytes(), digest.as_bytes()).is_ok()
    }

    /// The key itself: only for the one answer that hands it out.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.text.expose_secret()
    }
}

/// The part of a key that may be shown.
#[must_use]
pub fn shown(id: KeyId) -> String {
    let id = id.to_string();
    format!("{PREFIX}{}", id.split_once('_').map_or("", |(_, rest)| rest))
}

fn checksum(text: &str) -> u64 {
    crc_fast::checksum(Crc32IsoHdlc, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_form_which_a_scanner_can_know_and_reads_back() {
        let made = Given::make(KeyId::generate());
        let text = made.reveal().to_owned();
        assert_eq!(text.len(), 4 + 26 + 1 + 64 + 1 + 8, "{text}");
        let read = Given::read(&text).expect("a key");
        assert!(read.id == made.id && read.is(&made.digest()) && text.starts_with(&shown(made.id)));
        assert!(!Given::make(made.id).is(&made.digest()), "another secret");
        assert_eq!(checksum("123456789"), 0xcbf4_3926, "the CRC-32 of every other tool");
    }

    #[test]
    fn whatever_is_no_key_is_not_read() {
        let text = Given::make(KeyId::generate()).reveal().to_owned();
        for at in 0..text.len() {
            let mut other = text.clone().into_bytes();
            other[at] = if other[at] == b'0' { b'1' } else { b'0' };
            let other = String::from_utf8(other).expect("text");
            assert!(Given::read(&other).is_none(), "digit {at}");
        }
        let upper = text.to_uppercase();
        let cut = &text[..text.len() - 1];
        let long = format!("{text}0");
        for other in ["", "wbk_", "wbk___", "wbk_x_y_z", &upper, cut, &long, &format!(" {text}"), "wbk_ä_ä_ä"] {
            assert!(Given::read(other).is_none(), "{other}");
        }
    }
}
