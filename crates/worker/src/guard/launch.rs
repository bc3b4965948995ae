//! Where the worker runs, and what a launch request tried to slip in.
//!
//! Whoever may start a task may set its arguments and its environment, but not the program's first arguments: they stand in
//! the image's entry point. So the entry point says `--cloud`, and nothing after it can take it back.

use std::path::Path;

use clap::ValueEnum;
use waybill_spec::guard::{Reason, Refusal};

/// A cloud that runs the worker, as the entry point of its image says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Cloud {
    /// A task of Amazon ECS.
    AwsEcs,
}

/// Where the worker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A process that somebody with an account on this machine started.
    Process,
    /// A task of Amazon ECS.
    AwsEcs,
}

/// What the agent of ECS sets. A launch request could blank these, which is why the entry point counts too.
const ECS_MARKS: &[&str] =
    &["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "ECS_CONTAINER_METADATA_URI_V4", "ECS_CONTAINER_METADATA_URI"];

/// What would lend the worker another identity, or lead it to services that are not the cloud's own.
const NEVER: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_CA_BUNDLE",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "WAYBILL_GUARD",
    // A task of AWS has no identity of Azure's: an application stands in the plan, and who gives it tokens is Microsoft.
    "AZURE_AUTHORITY_HOST",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_CLIENT_ID",
    "AZURE_TENANT_ID",
    // Nor one of Google's: a service account stands in the plan.
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GCE_METADATA_HOST",
];
/// Families of such names: of the cloud's services, of where Azure's clients ask for the identity of a machine, of the C library's
/// loader.
const NEVER_BEGINS: &[&str] = &["AWS_ENDPOINT_URL", "IDENTITY_", "MSI_", "IMDS_", "LD_"];
/// Where the C library looks a name up, and what it puts behind it: another host would then answer to the name in the plan.
const RESOLVER: &[&str] = &["LOCALDOMAIN", "HOSTALIASES"];
const RESOLVER_BEGINS: &[&str] = &["RES_", "RESOLV_"];
/// What may name a trusted certificate, but only one that the image brings.
const CERTIFICATES: &[&str] = &["SSL_CERT_FILE", "SSL_CERT_DIR", "VAULT_CACERT"];
/// Where an image keeps certificates.
const OF_THE_IMAGE: &[&str] = &["/etc", "/usr"];

impl Place {
    /// The place, by the entry point and by what the cloud sets.
    pub(crate) fn of(cloud: Option<Cloud>) -> Self {
        Self::judge(cloud, |name| std::env::var(name).ok())
    }

    fn judge(cloud: Option<Cloud>, variable: impl Fn(&str) -> Option<String>) -> Self {
        let marked = ECS_MARKS.iter().any(|name| variable(name).is_some_and(|value| !value.is_empty()))
            || variable("AWS_EXECUTION_ENV").is_some_and(|value| value.starts_with("AWS_ECS"));
        if marked || cloud == Some(Cloud::AwsEcs) { Self::AwsEcs } else { Self::Process }
    }
}

/// What the launch of a worker in a cloud must not bring; nothing where it is right.
pub(super) fn refused() -> Option<Refusal> {
    judge(
        std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())),
    )
}

/// Whether the launch has names looked up in its own way, or has certificates of its own believed: another host could then pass
/// for a service of the cloud.
#[cfg(feature = "aws")]
pub(crate) fn misleads() -> bool {
    std::env::vars_os().any(|(name, value)| is_misleading(&name.to_string_lossy(), &value.to_string_lossy()))
}

fn is_misleading(name: &str, value: &str) -> bool {
    let of_names = RESOLVER.contains(&name) || RESOLVER_BEGINS.iter().any(|start| name.starts_with(start));
    !value.is_empty() && (of_names || (CERTIFICATES.contains(&name) && !is_of_the_image(value)))
}

fn judge(variables: impl Iterator<Item = (String, String)>) -> Option<Refusal> {
    let bad = |(name, value): &(String, String)| {
        let named = NEVER.contains(&name.as_str()) || NEVER_BEGINS.iter().any(|start| name.starts_with(start));
        (named && !value.is_empty()) || is_misleading(name, value)
    };
    let mut variables = variables;
    variables.find(bad).map(|(name, _)| {
        let text = format!(
            "the environment of the task sets {name}: a worker in a cloud takes no guard, credentials, \
             service addresses, certificates or ways to look names up from there"
        );
        Refusal::without_guard(Reason::LaunchRefused, text)
    })
}

/// A launch request can write into /proc, by its own variables, but not into the image.
fn is_of_the_image(path: &str) -> bool {
    std::fs::canonicalize(path).is_ok_and(|path| OF_THE_IMAGE.iter().any(|root| path.starts_with(Path::new(root))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: &str) -> Option<Refusal> {
        judge([("PATH".to_owned(), "/bin".to_owned()), (name.to_owned(), value.to_owned())].into_iter())
    }

    #[test]
    fn t02_nothing_in_a_launch_request_lends_another_identity_or_another_way() {
        for name in NEVER.iter().chain(RESOLVER) {
            assert_eq!(one(name, "x").map(|found| found.reason), Some(Reason::LaunchRefused), "{name}");
        }
        for name in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SSM", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_S3"] {
            assert!(one(name, "https://evil.example").is_some(), "{name}");
        }
        for name in
            ["IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT", "IMDS_ENDPOINT", "MSI_ENDPOINT"]
        {
            assert!(one(name, "http://169.254.170.2/").is_some(), "{name}");
        }
        for name in ["RES_OPTIONS", "RESOLV_HOST_CONF", "RESOLV_MULTI", "LD_PRELOAD", "LD_LIBRARY_PATH"] {
            assert!(one(name, "ndots:15").is_some(), "{name}");
        }
        for name in CERTIFICATES {
            for value in ["/proc/self/environ", "/dev/stdin", "/tmp/x", "/etc/../proc/self/environ", "/nowhere"] {
                assert!(one(name, value).is_some(), "{name} {value}");
            }
        }
        assert_eq!(one("SSL_CERT_DIR", "/etc"), None);
        for name in ["AWS_REGION", "HTTPS_PROXY", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "LANG"] {
            assert_eq!(one(name, "x"), None, "{name}");
        }
        // What a data plane with FIPS endpoints brings: it leads to the cloud's own services still.
        assert_eq!(one("AWS_USE_FIPS_ENDPOINT", "true"), None);
    }

    #[test]
    fn blanked_marks_do_not_undo_what_the_entry_point_says() {
        let nothing = |_: &str| None;
        assert_eq!(Place::judge(None, nothing), Place::Process);
        assert_eq!(Place::judge(Some(Cloud::AwsEcs), nothing), Place::AwsEcs);
        assert_eq!(Place::judge(Some(Cloud::AwsEcs), |_| Some(String::new())), Place::AwsEcs);
        let marked = |name: &str| (name == "ECS_CONTAINER_METADATA_URI_V4").then(|| "http://169.254.170.2".to_owned());
        assert_eq!(Place::judge(None, marked), Place::AwsEcs, "without the entry point's word, what ECS sets counts");
    }
}
