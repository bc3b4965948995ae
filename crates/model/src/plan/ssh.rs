//! An SSH server through which a database is reached, and the key by which that server is known.
//!
//! A host key's fingerprint is no secret, and whoever exchanges it can stand between: it belongs to the place.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::secret::SecretRef;
use crate::text::as_text;

/// An SSH server between the worker and a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ssh {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    #[serde(default = "port")]
    pub port: u16,
    /// Account to log in as.
    pub user: String,
    /// Where the private key lies, without a passphrase.
    pub key: SecretRef,
    /// The key that the server must show.
    #[serde(rename = "host-key")]
    pub host_key: Fingerprint,
}

const fn port() -> u16 {
    22
}

/// A public key's fingerprint as OpenSSH prints it: `SHA256:` and 43 characters of base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint(String);

/// A text is no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is SHA256: and 43 characters, as `ssh-keygen -lf` prints it")]
pub struct NoFingerprint;

impl Fingerprint {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Fingerprint {
    type Err = NoFingerprint;

    fn from_str(text: &str) -> Result<Self, NoFingerprint> {
        let digest = text.strip_prefix("SHA256:").unwrap_or_default();
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
        if digest.len() == 43 && digest.bytes().all(plain) { Ok(Self(text.to_owned())) } else { Err(NoFingerprint) }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

as_text!(Fingerprint);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_what_openssh_prints_and_nothing_else() {
        let right = format!("SHA256:{}", "aZ09+/x".repeat(7).split_at(43).0);
        assert_eq!(right.parse::<Fingerprint>().expect("one").to_string(), right);
        for wrong in
            ["", "SHA256:", "MD5:aa:bb", &right[7..], &right[..49], &format!("{right}="), &right.replace('x', " ")]
        {
            assert_eq!(wrong.parse::<Fingerprint>(), Err(NoFingerprint), "{wrong}");
        }
    }
}
