//! What stands behind the name of a secret: `#key`, then `?name=value`. Both are taken literally; nothing is decoded.

use super::SecretRefError;

/// A reference without its scheme, taken apart.
pub(super) struct Parts<'a> {
    /// The name, ARN or path.
    pub(super) name: &'a str,
    /// The key in the secret.
    pub(super) key: Option<&'a str>,
    /// Name and value behind `?`.
    pub(super) choice: Option<(&'a str, &'a str)>,
}

impl<'a> Parts<'a> {
    pub(super) fn read(text: &'a str) -> Result<Self, SecretRefError> {
        let (text, choice) = match text.split_once('?') {
            Some((text, choice)) => (text, Some(choice.split_once('=').ok_or(SecretRefError::BadVersion)?)),
            None => (text, None),
        };
        let (name, key) = match text.split_once('#') {
            Some((name, key)) => (name, Some(key)),
            None => (text, None),
        };
        // A key behind the version would read as part of the version.
        if choice.is_some_and(|(_, value)| value.contains('#')) || key.is_some_and(|key| !is_key(key)) {
            return Err(SecretRefError::BadKey);
        }
        Ok(Self { name, key, choice })
    }
}

/// Whether a text can be a key in a secret.
fn is_key(text: &str) -> bool {
    (1..=128).contains(&text.len()) && holds_only(text, b"_.@:+-")
}

/// Whether a text is made of ASCII letters, digits and these.
pub(super) fn holds_only(text: &str, others: &[u8]) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || others.contains(&b))
}

/// Whether a path has no part that is empty or a detour.
pub(super) fn is_straight(path: &str) -> bool {
    path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}
