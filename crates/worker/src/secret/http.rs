//! Every connection to whoever keeps secrets is made with what this module hands out, through the worker's dialer.
//!
//! TLS is verified always, no redirect is followed, every step has a bound, and an answer is read up to a ceiling.

use std::error::Error;
use std::time::Duration;

use reqwest::{Certificate, Client, RequestBuilder};
use waybill_connectors::dial::{self, Dialer};
use zeroize::Zeroizing;

use super::Problem;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(3);
/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(5);
/// The longest answer that is read.
pub(super) const LONGEST_ANSWER: usize = 1 << 20;

/// A client that trusts the system's roots, or these alone. `is_local` is for a server on this very machine.
pub(super) fn client(roots: Option<&[u8]>, is_local: bool, dialer: Dialer) -> Result<Client, Problem> {
    let mut builder = dial::http::client(dialer).connect_timeout(CONNECT).timeout(REQUEST).https_only(!is_local);
    if let Some(pem) = roots {
        let roots = Certificate::from_pem_bundle(pem).ok().filter(|roots| !roots.is_empty());
        let why = "can't be read: VAULT_CACERT holds no certificate in PEM form";
        builder = builder.tls_certs_only(roots.ok_or_else(|| Problem::unusable(why))?);
    }
    builder
        .build()
        .map_err(|_| Problem::unusable("can't be read: no trusted root certificates are found on the worker"))
}

/// Sends a request and reads the answer: status and body.
pub(super) async fn exchange(request: RequestBuilder) -> Result<(u16, Zeroizing<Vec<u8>>), Problem> {
    let mut answer = request.send().await.map_err(|error| failed(&error))?;
    let mut body = Zeroizing::new(Vec::with_capacity(8 << 10));
    while let Some(piece) = answer.chunk().await.map_err(|error| failed(&error))? {
        if body.len() + piece.len() > LONGEST_ANSWER {
            return Err(Problem::unusable("can't be read: the answer is longer than 1 MiB"));
        }
        body.extend_from_slice(&piece);
    }
    Ok((answer.status().as_u16(), body))
}

/// A problem, where the dialer refused.
pub(super) fn barred(error: &(dyn Error + 'static)) -> Option<Problem> {
    dial::denial(error).map(|refused| Problem::barred(format!("can't be read: {refused}")))
}

/// What went wrong, without what the other side said.
fn failed(error: &reqwest::Error) -> Problem {
    if let Some(problem) = barred(error) {
        return problem;
    }
    if dial::causes(error).any(|cause| cause.is::<rustls::Error>()) {
        let why = "can't be read: TLS to the server failed; give its CA with VAULT_CACERT, or check its name";
        return Problem::unreachable(why);
    }
    Problem::unreachable(match error {
        error if error.is_timeout() => "can't be read: the server did not answer in time",
        error if error.is_connect() => "can't be read: no connection to the server could be made",
        _ => "can't be read: the connection to the server broke",
    })
}

/// The SDK's settings for AWS: region and credentials by the AWS rules, no retries of its own.
#[cfg(feature = "aws")]
pub(super) async fn aws() -> aws_config::SdkConfig {
    use aws_config::retry::RetryConfig;
    use aws_config::timeout::TimeoutConfig;

    let times = TimeoutConfig::builder().connect_timeout(CONNECT).operation_timeout(REQUEST).build();
    aws_config::defaults(aws_config::BehaviorVersion::latest())
        .http_client(dial::sdk::straight())
        .retry_config(RetryConfig::disabled())
        .timeout_config(times)
        .load()
        .await
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;

    use async_trait::async_trait;
    use waybill_connectors::dial::Rules;
    use waybill_model::FailureCode;
    use waybill_model::secret::SecretRef;

    use super::*;

    /// Every name leads to the metadata server.
    struct Rebound;

    #[async_trait]
    impl waybill_connectors::dial::Resolve for Rebound {
        async fn resolve(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
            Ok(vec![IpAddr::from([169, 254, 169, 254])])
        }
    }

    #[tokio::test]
    async fn a_server_whose_name_leads_to_the_metadata_server_is_not_dialed() {
        let client =
            client(None, false, Dialer::with(Rules::local(), Arc::new(Rebound))).unwrap_or_else(|_| panic!("a client"));
        let Err(problem) = exchange(client.get("https://vault.example/v1/kv")).await else { panic!("it was dialed") };
        assert_eq!(problem.fault(&SecretRef::Env("X".into())).code, FailureCode::EgressDenied);
    }
}
