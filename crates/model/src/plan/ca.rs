//! The CA that a server's certificate must come from: a file on the worker, or a text that a reference leads to.
//!
//! A CA is no secret, and whoever exchanges it can stand for the server: it belongs to the place, not to the credentials.

use std::fmt;
use std::str::FromStr;

use crate::secret::{SecretRef, SecretRefError};
use crate::text::as_text;

/// Where the CA is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ca {
    /// Path of a PEM file on the worker.
    Path(String),
    /// Where its PEM text lies, found as secrets are.
    Reference(SecretRef),
}

impl Ca {
    /// The reference, where it is one.
    #[must_use]
    pub const fn reference(&self) -> Option<&SecretRef> {
        match self {
            Self::Path(_) => None,
            Self::Reference(reference) => Some(reference),
        }
    }
}

impl FromStr for Ca {
    type Err = SecretRefError;

    /// What has a scheme is a reference, all else is a path.
    fn from_str(text: &str) -> Result<Self, SecretRefError> {
        if text.contains("://") { text.parse().map(Self::Reference) } else { Ok(Self::Path(text.to_owned())) }
    }
}

impl fmt::Display for Ca {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => f.write_str(path),
            Self::Reference(reference) => reference.fmt(f),
        }
    }
}

as_text!(Ca);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_is_a_path_or_a_reference_and_is_written_as_it_was_read() {
        for (text, is_reference) in [
            ("/etc/ssl/shop.pem", false),
            ("ca.pem", false),
            ("aws-ssm:///shop/ca", true),
            ("file:///etc/ssl/shop.pem", true),
            ("vault://kv/shop/db#ca", true),
        ] {
            let ca: Ca = serde_json::from_value(text.into()).expect(text);
            assert_eq!(ca.reference().is_some(), is_reference, "{text}");
            assert_eq!(serde_json::to_value(&ca).expect("JSON"), text);
        }
        for text in ["https://ca.example/ca.pem", "file://ca.pem", "vault://kv/shop/db", "env://a b"] {
            assert!(text.parse::<Ca>().is_err(), "{text}");
        }
    }
}
