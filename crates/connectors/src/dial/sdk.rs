//! The dialer as the AWS SDK asks it. Hosts that are addresses are not asked for: they are checked beforehand.

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

/// An HTTP client for a service of the SDK that dials checked addresses only.
#[must_use]
pub fn http_client(dialer: Dialer) -> SharedHttpClient {
    let provider = Provider::Rustls(CryptoMode::AwsLc);
    aws_smithy_http_client::Builder::new().tls_provider(provider).build_with_resolver(CheckedNames(dialer))
}
