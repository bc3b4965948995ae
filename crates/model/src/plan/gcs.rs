//! Google Cloud Storage as a plan names it.

use serde::{Deserialize, Serialize};

use crate::secret::SecretRef;

/// A bucket of Google Cloud Storage as a destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gcs {
    /// The bucket's name.
    pub bucket: String,
    /// What every key begins with, without slashes at its ends.
    #[serde(default)]
    pub prefix: String,
    /// How to reach it.
    #[serde(flatten)]
    pub access: GcsAccess,
}

/// How to reach Google Cloud Storage, and as whom: a service account's key, or nobody; the worker's own identity where
/// neither is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct GcsAccess {
    /// Another endpoint than Google's public one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The key file of a service account, as JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<SecretRef>,
    /// Nobody logs in: for what anybody may read, and for emulators.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub anonymous: bool,
    /// The customer's key of Cloud KMS that objects are encrypted with; the bucket's default where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
    /// The project that pays, where the bucket lets its callers pay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing_project: Option<String>,
}

/// Bucket and prefix of `gs://bucket/prefix`; none where the bucket is missing or is no name.
#[must_use]
pub fn gcs_place(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("gs://")?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    (!bucket.is_empty() && bucket.bytes().all(is_name)).then(|| (bucket, prefix.trim_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_bucket_and_prefix() {
        assert_eq!(gcs_place("gs://lake"), Some(("lake", "")));
        assert_eq!(gcs_place("gs://lake.example.com/raw/x/"), Some(("lake.example.com", "raw/x")));
        for url in ["gs://", "gs:///raw", "gs://k:s@lake/x", "gs://lake?x", "s3://lake", "gcs://lake"] {
            assert_eq!(gcs_place(url), None, "{url}");
        }
    }
}
