//! References to secrets in a KV version 2 engine of Vault or OpenBao.
//!
//! A reference names no server, no namespace and no way to log in: those are the worker's own settings, or whoever writes
//! the reference could have the worker log in at a server of theirs.

use std::fmt;

use super::SecretRefError;
use super::tail::{Parts, holds_only, is_straight};

/// One key of a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VaultSecret {
    mount: String,
    path: String,
    key: String,
    version: Option<u32>,
}

impl VaultSecret {
    pub(super) fn read(text: &str) -> Result<Self, SecretRefError> {
        let Parts { name, key, choice } = Parts::read(text)?;
        let (mount, path) = name.split_once('/').ok_or(SecretRefError::BadVaultPath)?;
        if name.len() > 1024 || !holds_only(name, b"/_.@+-") || !is_straight(name) {
            return Err(SecretRefError::BadVaultPath);
        }
        let version = match choice {
            None => None,
            Some(("version", number)) if !number.starts_with(['0', '+']) => {
                Some(number.parse().map_err(|_| SecretRefError::BadVersion)?)
            }
            Some(_) => return Err(SecretRefError::BadVersion),
        };
        let key = key.ok_or(SecretRefError::KeyMissing)?;
        Ok(Self { mount: mount.into(), path: path.into(), key: key.into(), version })
    }

    /// Where the engine is mounted: one part.
    #[must_use]
    pub fn mount(&self) -> &str {
        &self.mount
    }

    /// The secret's path below the mount.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The key in the secret.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Which version; the newest where none is named.
    #[must_use]
    pub const fn version(&self) -> Option<u32> {
        self.version
    }
}

impl fmt::Display for VaultSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}#{}", self.mount, self.path, self.key)?;
        self.version.map_or(Ok(()), |version| write!(f, "?version={version}"))
    }
}
