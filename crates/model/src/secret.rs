//! References to secrets. The value never passes through here: it is resolved in the worker, in the customer's cloud.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where a secret is found by whoever is allowed to read it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretRef {
    /// `env://NAME`: an environment variable of the worker.
    Env(String),
    /// `file:///path`: the contents of a file that the worker can read, without its last newline.
    File(String),
}

/// Why a text is not a reference. The text itself is never repeated: it may be the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretRefError {
    /// It has no known scheme, so it is taken for the secret itself.
    #[error("a literal secret is refused: write a reference such as env://NAME or file:///path")]
    Literal,
    /// The name of the variable is empty or holds other characters than letters, digits and `_`.
    #[error("env:// takes the name of an environment variable: letters, digits and _")]
    BadName,
    /// The path is not absolute.
    #[error("file:// takes an absolute path: file:///run/secrets/name")]
    RelativePath,
}

impl FromStr for SecretRef {
    type Err = SecretRefError;

    fn from_str(text: &str) -> Result<Self, SecretRefError> {
        if let Some(name) = text.strip_prefix("env://") {
            let fits = !name.is_empty()
                && !name.starts_with(|c: char| c.is_ascii_digit())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            return if fits { Ok(Self::Env(name.into())) } else { Err(SecretRefError::BadName) };
        }
        if let Some(path) = text.strip_prefix("file://") {
            let fits = path.starts_with('/') && !path.contains('\0');
            return if fits { Ok(Self::File(path.into())) } else { Err(SecretRefError::RelativePath) };
        }
        Err(SecretRefError::Literal)
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env://{name}"),
            Self::File(path) => write!(f, "file://{path}"),
        }
    }
}

impl Serialize for SecretRef {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_references_and_prints_them_back() {
        for text in ["env://SHOP_PASSWORD", "file:///run/secrets/shop"] {
            assert_eq!(text.parse::<SecretRef>().map(|r| r.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn a_literal_is_refused_and_not_repeated() {
        let error = "hunter2".parse::<SecretRef>().expect_err("a literal");
        assert_eq!(error, SecretRefError::Literal);
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn names_and_paths_are_checked() {
        assert_eq!("env://".parse::<SecretRef>(), Err(SecretRefError::BadName));
        assert_eq!("env://A-B".parse::<SecretRef>(), Err(SecretRefError::BadName));
        assert_eq!("file://etc/x".parse::<SecretRef>(), Err(SecretRefError::RelativePath));
    }
}
