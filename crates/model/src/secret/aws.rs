//! References to secrets that AWS keeps: by name in the worker's own region, or by ARN in the ARN's.

use std::fmt;

use super::SecretRefError;
use super::tail::{Parts, holds_only, is_straight};

/// A secret of AWS Secrets Manager.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AwsSecret {
    id: String,
    key: Option<String>,
    version: Option<AwsVersion>,
}

/// Which version of a secret; the current one where none is named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AwsVersion {
    /// By its id, 32 to 64 characters.
    Id(String),
    /// By a staging label, such as `AWSPREVIOUS`.
    Stage(String),
}

/// A parameter of AWS Systems Manager.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AwsParameter {
    name: String,
}

impl AwsSecret {
    pub(super) fn read(text: &str) -> Result<Self, SecretRefError> {
        let Parts { name, key, choice } = Parts::read(text)?;
        match name.strip_prefix("arn:") {
            Some(arn) => {
                let name = resource(arn, "secretsmanager")?.strip_prefix("secret:").ok_or(SecretRefError::BadArn)?;
                is_secret_name(name).then_some(()).ok_or(SecretRefError::BadArn)?;
            }
            None => is_secret_name(name).then_some(()).ok_or(SecretRefError::BadSecretName)?,
        }
        let version = match choice {
            None => None,
            Some(("version", id)) if (32..=64).contains(&id.len()) && holds_only(id, b"-") => {
                Some(AwsVersion::Id(id.into()))
            }
            Some(("stage", name)) if (1..=256).contains(&name.len()) && holds_only(name, b"_+=.@!-") => {
                Some(AwsVersion::Stage(name.into()))
            }
            Some(_) => return Err(SecretRefError::BadVersion),
        };
        Ok(Self { id: name.into(), key: key.map(Into::into), version })
    }

    /// Its name or ARN.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key in the JSON object that the secret is; none where the whole text is meant.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Which version.
    #[must_use]
    pub const fn version(&self) -> Option<&AwsVersion> {
        self.version.as_ref()
    }

    /// The region that its ARN names.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        region(&self.id)
    }
}

impl AwsParameter {
    pub(super) fn read(text: &str) -> Result<Self, SecretRefError> {
        let Parts { name, key, choice } = Parts::read(text)?;
        if choice.is_some() {
            return Err(SecretRefError::BadVersion);
        }
        match name.strip_prefix("arn:") {
            Some(arn) => {
                let path = resource(arn, "ssm")?.strip_prefix("parameter/").ok_or(SecretRefError::BadArn)?;
                is_parameter_name(path).then_some(()).ok_or(SecretRefError::BadArn)?;
            }
            None => {
                let path = name.strip_prefix('/').unwrap_or(name);
                is_parameter_name(path).then_some(()).ok_or(SecretRefError::BadParameterName)?;
            }
        }
        if key.is_some() { Err(SecretRefError::BadParameterName) } else { Ok(Self { name: name.into() }) }
    }

    /// Its name or ARN.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The region that its ARN names.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        region(&self.name)
    }
}

/// What an ARN names below account and region, the rest of it checked. `arn` is without its `arn:`.
fn resource<'a>(arn: &'a str, wanted: &str) -> Result<&'a str, SecretRefError> {
    let mut parts = arn.splitn(5, ':');
    let mut next = || parts.next().ok_or(SecretRefError::BadArn);
    let (partition, service, region, account, resource) = (next()?, next()?, next()?, next()?, next()?);
    // The region becomes a part of a host's name.
    let is_region =
        |text: &str| text.contains('-') && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    let fits = partition.starts_with("aws")
        && holds_only(partition, b"-")
        && service == wanted
        && is_region(region)
        && account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit());
    if fits { Ok(resource) } else { Err(SecretRefError::BadArn) }
}

fn region(name: &str) -> Option<&str> {
    name.strip_prefix("arn:")?.split(':').nth(2)
}

fn is_secret_name(text: &str) -> bool {
    text.len() <= 519 && holds_only(text, b"/_+=.@!-") && is_straight(text)
}

fn is_parameter_name(text: &str) -> bool {
    text.len() <= 1011 && holds_only(text, b"/_.-") && is_straight(text)
}

impl fmt::Display for AwsSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)?;
        if let Some(key) = &self.key {
            write!(f, "#{key}")?;
        }
        match &self.version {
            Some(AwsVersion::Id(id)) => write!(f, "?version={id}"),
            Some(AwsVersion::Stage(name)) => write!(f, "?stage={name}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for AwsParameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
