//! The way to the orchestrator: straight, or by CONNECT through the proxy that `HTTPS_PROXY` names unless `NO_PROXY`
//! exempts the host. TLS runs through the tunnel end to end, so a proxy sees host names and nothing else.

use std::io;

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use tokio::net::TcpStream;
use tonic::transport::Uri;
use tower::ServiceExt;

/// The proxies of the environment, read once.
#[derive(Clone)]
pub(super) struct Way(std::sync::Arc<Matcher>);

impl Way {
    pub(super) fn of_environment() -> Self {
        Self(std::sync::Arc::new(Matcher::from_env()))
    }

    /// A connection to `endpoint`, host:port.
    pub(super) async fn connect(&self, endpoint: &str) -> io::Result<TcpStream> {
        let target: Uri = format!("https://{endpoint}").parse().map_err(io::Error::other)?;
        let Some(proxy) = self.0.intercept(&target) else { return TcpStream::connect(endpoint).await };
        // The proxy's address may hold a password: it is not repeated.
        if proxy.uri().scheme_str() != Some("http") {
            return Err(io::Error::other("HTTPS_PROXY must be http://host:port: the tunnel carries TLS of its own"));
        }
        let mut tunnel = Tunnel::new(proxy.uri().clone(), HttpConnector::new());
        if let Some(auth) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(auth.clone());
        }
        let stream = tunnel.oneshot(target).await.map_err(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "the proxy of HTTPS_PROXY let nothing through");
            io::Error::other(error)
        })?;
        Ok(stream.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(proxy: &str, no: &str) -> Way {
        Way(std::sync::Arc::new(Matcher::builder().https(proxy).no(no).build()))
    }

    #[tokio::test]
    async fn a_proxy_that_is_no_http_address_is_refused_without_its_password() {
        let error = way("socks5://ada:hunter2@127.0.0.1:1", "").connect("orchestrator.invalid:443").await;
        let told = error.expect_err("no such proxy").to_string();
        assert!(told.contains("HTTPS_PROXY must be http://") && !told.contains("hunter2"), "{told}");
    }

    #[tokio::test]
    async fn an_exempt_host_is_reached_straight() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        // Nothing listens on port 1: only the exemption lets this connect.
        assert!(way("http://127.0.0.1:1", "127.0.0.1").connect(&address).await.is_ok());
        assert!(way("http://127.0.0.1:1", "10.0.0.0/8").connect(&address).await.is_err());
    }
}
