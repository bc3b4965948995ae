//! Proving the password to a server, by the ways that it may ask for.
//!
//! It is sent in the clear only within TLS, whose certificate is verified. The older hash is a challenge's answer.

use aws_lc_rs::digest::{Algorithm, Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use waybill_model::FailureCode;
use waybill_pipeline::{Fault, FaultResult};

use super::handshake::CHALLENGE;
use crate::source::server::reach::needed;

pub(super) const NATIVE: &str = "mysql_native_password";
const CACHING: &str = "caching_sha2_password";
const CLEAR: [&str; 3] = ["mysql_clear_password", "sha256_password", "dialog"];

/// Whether a way sends a hash over a challenge, never the password.
pub(super) fn is_hashed(plugin: &str) -> bool {
    matches!(plugin, NATIVE | CACHING)
}

/// The first proof for a way, by its name.
pub(super) fn first(
    plugin: &str,
    password: Option<&str>,
    challenge: &[u8; CHALLENGE],
    is_tls: bool,
) -> FaultResult<Vec<u8>> {
    match plugin {
        // An account without a password takes an empty proof.
        NATIVE | CACHING if password.is_none_or(str::is_empty) => Ok(Vec::new()),
        NATIVE => {
            let once = digest(&SHA1_FOR_LEGACY_USE_ONLY, needed(password)?.as_bytes());
            let twice = digest(&SHA1_FOR_LEGACY_USE_ONLY, once.as_ref());
            Ok(mixed(once.as_ref(), &of(&SHA1_FOR_LEGACY_USE_ONLY, challenge, twice.as_ref())))
        }
        CACHING => {
            let once = digest(&SHA256, needed(password)?.as_bytes());
            let twice = digest(&SHA256, once.as_ref());
            Ok(mixed(once.as_ref(), &of(&SHA256, twice.as_ref(), challenge)))
        }
        clear if CLEAR.contains(&clear) => in_the_clear(password, is_tls),
        _ => {
            let shown: String = plugin.chars().filter(char::is_ascii_graphic).take(60).collect();
            let text = format!(
                "the server asks for the log-in {shown}, which is not known here: use an account of {NATIVE} or {CACHING}"
            );
            Err(Fault::new(FailureCode::SourceDenied, text))
        }
    }
}

/// The password itself, which only TLS may carry.
pub(super) fn in_the_clear(password: Option<&str>, is_tls: bool) -> FaultResult<Vec<u8>> {
    if !is_tls {
        let text = "the server wants the password in the clear, which is never sent without TLS";
        return Err(Fault::new(FailureCode::SourceDenied, text));
    }
    let password = needed(password)?;
    if password.contains('\0') {
        return Err(Fault::new(FailureCode::SourceDenied, "the password holds a NUL character"));
    }
    let mut out = password.as_bytes().to_vec();
    out.push(0);
    Ok(out)
}

fn of(algorithm: &'static Algorithm, one: &[u8], other: &[u8]) -> Vec<u8> {
    let mut context = Context::new(algorithm);
    context.update(one);
    context.update(other);
    context.finish().as_ref().to_vec()
}

fn mixed(one: &[u8], other: &[u8]) -> Vec<u8> {
    one.iter().zip(other).map(|(a, b)| a ^ b).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &[u8; CHALLENGE] = b"abcdefghijklmnopqrst";

    #[test]
    fn proofs_are_what_a_server_expects() {
        let proof = |plugin| hex::encode(first(plugin, Some("secret"), NONCE, false).expect("a proof"));
        // Computed with Python's hashlib from the protocol's description.
        assert_eq!(proof(NATIVE), "8817c50fa779daef010ee7577825b0847df9842e");
        assert_eq!(proof(CACHING), "c76e2898612a4cf042c77fa8c4702c4c64c0c2c557c53c4d75595aaa6abae809");
        assert!(first(NATIVE, None, NONCE, false).expect("a proof").is_empty());
    }

    #[test]
    fn a_password_leaves_in_the_clear_only_within_tls() {
        for plugin in CLEAR {
            let fault = first(plugin, Some("secret"), NONCE, false).expect_err("no TLS");
            assert!(fault.text.for_customer().contains("never sent without TLS"), "{plugin}");
            assert_eq!(first(plugin, Some("secret"), NONCE, true).expect("TLS"), b"secret\0");
        }
        let fault = first("client_ed25519", Some("secret"), NONCE, true).expect_err("unknown");
        assert_eq!(fault.code, FailureCode::SourceDenied);
    }
}
