//! A gRPC channel over our own TLS, and how long to wait between tries. Workers and agents both speak through it.
//!
//! It makes connections outwards only, and never one that is not TLS.

mod meter;
mod proxy;
mod tap;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tonic::transport::{Channel, Endpoint, Uri};

pub use self::meter::{Meter, Sent};
use self::proxy::Way;
use crate::error::{IdentityError, IdentityResult};

const CONNECT: Duration = Duration::from_secs(10);
const KEEPALIVE: Duration = Duration::from_secs(10);

/// A lazy channel: it is connected when its first call was answered, not before. What it sends is counted by `meter`.
pub fn open(
    endpoint: &str,
    server_name: ServerName<'static>,
    tls: ClientConfig,
    meter: &Meter,
) -> IdentityResult<Channel> {
    // The scheme is only for tonic, which must not add TLS of its own: ours stands below.
    let uri = Uri::try_from(format!("http://{endpoint}"));
    let uri = uri.map_err(|_| IdentityError::Setting("an endpoint is host:port"))?;
    let address: Arc<str> = endpoint.into();
    let (tls, meter) = (Arc::new(tls), meter.clone());
    let way = Way::of_environment();
    let connect = tower::service_fn(move |_: Uri| {
        let (address, name, tls) = (Arc::clone(&address), server_name.clone(), Arc::clone(&tls));
        let (way, meter) = (way.clone(), meter.clone());
        async move {
            let stream = way.connect(&address).await?;
            stream.set_nodelay(true)?;
            Ok::<_, io::Error>(hyper_util::rt::TokioIo::new(meter.secure(stream, name, &tls).await?))
        }
    });
    Ok(Endpoint::from(uri)
        .connect_timeout(CONNECT)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .keep_alive_while_idle(true)
        .connect_with_connector_lazy(connect))
}

/// The name to expect in the certificate of a host, given as a name or an address.
pub fn server_name(host: &str) -> IdentityResult<ServerName<'static>> {
    if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(ServerName::from(address));
    }
    ServerName::try_from(host.to_owned()).map_err(|_| IdentityError::Setting("the server's name is not a host name"))
}

/// Waits with full jitter between tries, from a tenth of a second to `most`.
#[derive(Debug)]
pub struct Backoff {
    tries: u32,
    most: Duration,
}

impl Backoff {
    /// Waits of up to `most`.
    #[must_use]
    pub const fn up_to(most: Duration) -> Self {
        Self { tries: 0, most }
    }

    /// Waits, and will wait longer the next time.
    pub async fn wait(&mut self) {
        let most = Duration::from_millis(100 << self.tries.min(16)).min(self.most);
        self.tries += 1;
        tokio::time::sleep(Duration::from_millis(50) + most.mul_f64(rand::random::<f64>())).await;
    }

    /// Begins with short waits again.
    pub const fn reset(&mut self) {
        self.tries = 0;
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::up_to(Duration::from_secs(5))
    }
}
