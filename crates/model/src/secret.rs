//! References to secrets. The value never passes through here: it is resolved in the worker, in the customer's cloud.
//!
//! A reference has exactly one spelling, so that a guard which lists it can't be walked around: what is read is what is
//! printed. A text that is no reference is never repeated, since it may be the secret itself.

use std::fmt;
use std::str::FromStr;

mod aws;
mod tail;
mod vault;

use crate::text::as_text;

pub use aws::{AwsParameter, AwsSecret, AwsVersion};
pub use vault::VaultSecret;

/// Where a secret is found by whoever is allowed to read it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretRef {
    /// `env://NAME`: an environment variable of the worker.
    Env(String),
    /// `file:///path`: the contents of a file that the worker can read, without its last newline.
    File(String),
    /// `aws-sm://name-or-arn#key?version=…`: a secret of AWS Secrets Manager, or one key of the JSON object in it.
    AwsSecret(AwsSecret),
    /// `aws-ssm://name-or-arn`: a parameter of AWS Systems Manager, decrypted.
    AwsParameter(AwsParameter),
    /// `vault://mount/path#key?version=…`: one key of a secret in a KV version 2 engine of Vault or OpenBao.
    Vault(VaultSecret),
}

/// Why a text is not a reference. The text itself is never repeated: it may be the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretRefError {
    /// It has no known scheme, so it is taken for the secret itself.
    #[error("a literal secret is refused: write a reference such as {}", SecretRef::EXAMPLES)]
    Literal,
    /// The name of the variable is empty or holds other characters than letters, digits and `_`.
    #[error("env:// takes the name of an environment variable: letters, digits and _")]
    BadName,
    /// The path is not absolute.
    #[error("file:// takes an absolute path: file:///run/secrets/name")]
    RelativePath,
    /// The name of a secret in Secrets Manager can't be one.
    #[error("aws-sm:// takes a secret's name or ARN: letters, digits and /_+=.@!-, without empty parts, `.` and `..`")]
    BadSecretName,
    /// The name of a parameter can't be one.
    #[error("aws-ssm:// takes a parameter's name or ARN, aws-ssm:///shop/db-password: letters, digits and /_.-")]
    BadParameterName,
    /// An ARN is not whole or is of another service.
    #[error(
        "the ARN needs the form arn:aws:SERVICE:REGION:ACCOUNT:…, of secretsmanager for aws-sm:// and ssm for aws-ssm://"
    )]
    BadArn,
    /// Mount or path can't be one.
    #[error(
        "vault:// takes mount and path, vault://kv/shop/db#password: letters, digits and /_.@+- in parts that are not empty"
    )]
    BadVaultPath,
    /// A secret of Vault is a mapping, so one key must be named.
    #[error("vault:// needs the key in the secret behind a #: vault://kv/shop/db#password")]
    KeyMissing,
    /// The key behind `#` can't be one.
    #[error("behind # stands the key in the secret: letters, digits and _.@:+-, at most 128; ?version= comes after it")]
    BadKey,
    /// What stands behind `?` can't be followed.
    #[error(
        "behind ? stands version=ID or stage=NAME for aws-sm://, version=NUMBER for vault://, and nothing for others"
    )]
    BadVersion,
}

impl SecretRef {
    /// What references look like, for messages.
    pub const EXAMPLES: &str = "env://NAME, file:///path, aws-sm://name#key, aws-ssm:///name or vault://mount/path#key";

    /// What each scheme's references begin with.
    pub const SCHEMES: &[&str] = &["env://", "file:///", "aws-sm://", "aws-ssm://", "vault://"];

    /// A regular expression that every reference matches, for editors. Reading is stricter.
    pub const PATTERN: &str = "^(env://[A-Za-z_][A-Za-z0-9_]*|file:///.+|aws-sm://[A-Za-z0-9/_+=.@!:-]+(#[A-Za-z0-9_.@:+-]{1,128})?\
        (\\?(version|stage)=[A-Za-z0-9_+=.@!-]+)?|aws-ssm://[A-Za-z0-9/_.:-]+|\
        vault://[A-Za-z0-9_.@+-]+/[A-Za-z0-9/_.@+-]+#[A-Za-z0-9_.@:+-]{1,128}(\\?version=[1-9][0-9]{0,9})?)$";

    /// The region that it names: an ARN does, a name alone does not.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        match self {
            Self::AwsSecret(secret) => secret.region(),
            Self::AwsParameter(parameter) => parameter.region(),
            Self::Env(_) | Self::File(_) | Self::Vault(_) => None,
        }
    }

    /// What the worker's own identity must be allowed to do for it, in the words of the system that holds it.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Self::Env(_) => "having the variable in its environment",
            Self::File(_) => "reading the file",
            Self::AwsSecret(_) => "secretsmanager:GetSecretValue",
            Self::AwsParameter(_) => "ssm:GetParameter",
            Self::Vault(_) => "read",
        }
    }
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
        if let Some(rest) = text.strip_prefix("aws-sm://") {
            return AwsSecret::read(rest).map(Self::AwsSecret);
        }
        if let Some(rest) = text.strip_prefix("aws-ssm://") {
            return AwsParameter::read(rest).map(Self::AwsParameter);
        }
        if let Some(rest) = text.strip_prefix("vault://") {
            return VaultSecret::read(rest).map(Self::Vault);
        }
        Err(SecretRefError::Literal)
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env://{name}"),
            Self::File(path) => write!(f, "file://{path}"),
            Self::AwsSecret(secret) => write!(f, "aws-sm://{secret}"),
            Self::AwsParameter(parameter) => write!(f, "aws-ssm://{parameter}"),
            Self::Vault(secret) => write!(f, "vault://{secret}"),
        }
    }
}

as_text!(SecretRef);

#[cfg(test)]
mod tests;
