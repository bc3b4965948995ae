//! Where a file source's files are: the kinds of URL that it takes.

use std::path::PathBuf;

use waybill_model::FailureCode;
use waybill_model::plan::{azure_place, gcs_place};
use waybill_pipeline::{Fault, FaultResult};

/// The place that a file source's URL names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `file:///absolute/dir`
    Directory(PathBuf),
    /// `s3://bucket/prefix`
    S3 {
        /// The bucket's name.
        bucket: String,
        /// What every key begins with, without slashes at its ends.
        prefix: String,
    },
    /// `azure://account/container/prefix`
    Azure {
        /// The storage account's name.
        account: String,
        /// The container's name.
        container: String,
        /// What every key begins with, without slashes at its ends.
        prefix: String,
    },
    /// `gs://bucket/prefix`
    Gcs {
        /// The bucket's name.
        bucket: String,
        /// What every key begins with, without slashes at its ends.
        prefix: String,
    },
}

impl Address {
    /// Reads the `url` of a file source.
    pub fn read(url: &str) -> FaultResult<Self> {
        let refuse = |text: &str| Err(Fault::new(FailureCode::SpecRefused, text));
        if let Some(path) = url.strip_prefix("file://") {
            if !path.starts_with('/') || path.contains('\0') {
                return refuse("`url` needs an absolute path: file:///data/in");
            }
            let Ok(path) = percent_encoding::percent_decode_str(path).decode_utf8() else {
                return refuse("`url` holds a percent-encoding that is not UTF-8");
            };
            return Ok(Self::Directory(PathBuf::from(path.as_ref())));
        }
        if let Some((account, container, prefix)) = azure_place(url) {
            let (account, container, prefix) = (account.to_owned(), container.to_owned(), prefix.to_owned());
            return Ok(Self::Azure { account, container, prefix });
        }
        if let Some((bucket, prefix)) = gcs_place(url) {
            return Ok(Self::Gcs { bucket: bucket.to_owned(), prefix: prefix.to_owned() });
        }
        let Some(rest) = url.strip_prefix("s3://") else {
            return refuse(
                "`url` is none of file:///directory, s3://bucket/prefix, azure://account/container/prefix and gs://bucket/prefix",
            );
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() || bucket.contains(['@', ':', '?']) {
            return refuse("`url` needs a bucket's name: s3://bucket/prefix");
        }
        Ok(Self::S3 { bucket: bucket.to_owned(), prefix: prefix.trim_matches('/').to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_all_kinds_and_refuses_others() {
        assert_eq!(Address::read("file:///a%20b").expect("dir"), Address::Directory("/a b".into()));
        let s3 = Address::S3 { bucket: "b".into(), prefix: "p/q".into() };
        assert_eq!(Address::read("s3://b/p/q/").expect("s3"), s3);
        let azure = Address::Azure { account: "a".into(), container: "c".into(), prefix: "p/q".into() };
        assert_eq!(Address::read("azure://a/c/p/q/").expect("azure"), azure);
        let gcs = Address::Gcs { bucket: "b".into(), prefix: "p/q".into() };
        assert_eq!(Address::read("gs://b/p/q/").expect("gcs"), gcs);
        for url in [
            "file://data",
            "gs://",
            "gs://key:secret@b",
            "s3://",
            "s3://key:secret@b",
            "azure://a",
            "azure://key:secret@a/c",
            "http://x/y",
            "/data",
        ] {
            assert_eq!(Address::read(url).expect_err(url).code, FailureCode::SpecRefused);
        }
    }
}
