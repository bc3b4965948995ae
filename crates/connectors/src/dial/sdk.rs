//! The dialer as the AWS SDK asks it. Hosts that are addresses are not asked for: they are checked beforehand.

use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use super::Dialer;

#[derive(Clone)]
struct CheckedNames(Dialer);

impl std::fmt::Debug for CheckedNames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CheckedNames")
    }
}

impl ResolveDns for CheckedNames {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move {
            let found = self.0.addresses(name, 0).await.map_err(ResolveDnsError::new)?;
            Ok(found.into_iter().map(|checked| checked.address().ip()).collect())
        })
    }
}

/// What every client here speaks TLS with.
const TLS: Provider = Provider::Rustls(CryptoMode::AwsLc);

/// An HTTP client for a service of the SDK that dials checked addresses only.
#[must_use]
pub fn http_client(dialer: Dialer) -> SharedHttpClient {
    Builder::new().tls_provider(TLS).build_with_resolver(CheckedNames(dialer))
}

/// The same without the dialer: for the worker's own identity, keys and guard, whose services the plan can't name. The SDK's own
/// client would ask the environment for a proxy.
#[must_use]
pub fn straight() -> SharedHttpClient {
    Builder::new().tls_provider(TLS).build_https()
}
