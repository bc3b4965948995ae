//! Azure Blob Storage as a plan names it.

use serde::{Deserialize, Serialize};

use crate::secret::SecretRef;

/// A container of Azure Blob Storage as a destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Azure {
    /// The storage account's name.
    pub account: String,
    /// The container's name.
    pub container: String,
    /// What every key begins with, without slashes at its ends.
    #[serde(default)]
    pub prefix: String,
    /// How to reach it.
    #[serde(flatten)]
    pub access: AzureAccess,
}

/// How to reach Azure Blob Storage, and as whom: the account's key, a shared access signature, an application's secret; the
/// worker's own identity where none is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AzureAccess {
    /// Another endpoint than the account's public one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// One of the account's two keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_key: Option<SecretRef>,
    /// A shared access signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sas: Option<SecretRef>,
    /// The directory of the application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The application; by itself the one of the worker's identities that is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The application's secret; goes with `tenant` and `client`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<SecretRef>,
    /// The encryption scope that objects are written in; the container's default where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption_scope: Option<String>,
}

/// Account, container and prefix of `azure://account/container/prefix`; none where one of the first two is missing.
#[must_use]
pub fn azure_place(url: &str) -> Option<(&str, &str, &str)> {
    let rest = url.strip_prefix("azure://")?;
    let (account, rest) = rest.split_once('/')?;
    let (container, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (is_name(account) && is_name(container)).then(|| (account, container, prefix.trim_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_account_container_and_prefix() {
        assert_eq!(azure_place("azure://shop/lake"), Some(("shop", "lake", "")));
        assert_eq!(azure_place("azure://shop/lake/raw/x/"), Some(("shop", "lake", "raw/x")));
        for url in ["azure://shop", "azure://shop/", "azure:///lake", "azure://k:s@shop/lake", "s3://shop/lake"] {
            assert_eq!(azure_place(url), None, "{url}");
        }
    }
}
