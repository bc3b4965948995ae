//! The list of breached passwords that the program carries, so that a new one is checked without asking anybody.
//!
//! It holds no password: only the first bytes of their digests, in order. `deploy/dev/breached.py` writes it and says from what.

use sha2::{Digest, Sha256};

/// Bytes of each digest.
const BYTES: usize = 5;

static LIST: &[u8] = include_bytes!("breached.bin");

/// Whether a password, in lower case, stands on the list.
pub(super) fn is_known(lower: &str) -> bool {
    let digest = Sha256::digest(lower);
    let (entries, _) = LIST.as_chunks::<BYTES>();
    digest.first_chunk::<BYTES>().is_some_and(|wanted| entries.binary_search(wanted).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t16_breached_passwords_are_known_from_the_first_to_the_last_and_others_are_not() {
        let (entries, rest) = LIST.as_chunks::<BYTES>();
        assert!(rest.is_empty() && entries.len() > 50_000, "{} entries", entries.len());
        assert!(entries.is_sorted_by(|one, next| one < next), "a search by halves needs them in order");
        for known in
            ["123456789012", "passwordpassword", "iloveyou1234", "1qaz2wsx3edc", "correct horse battery staple"]
        {
            assert!(is_known(known), "{known}");
        }
        assert!((0..10_000).all(|n| !is_known(&format!("nobody ever had number {n}"))));
    }
}
