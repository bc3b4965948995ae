//! TLS as the two listeners use it: TLS 1.3 only, certificates that can be swapped while connections are open.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use tokio::net::TcpStream;
use tokio_rustls::{LazyConfigAcceptor, TlsAcceptor};
use waybill_model::Micros;

use crate::authority::{Authority, ServerName};
use crate::client::store;
use crate::error::{IdentityError, IdentityResult};
use crate::{TlsStream, provider};

/// How long a peer may take over its handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The certificate that a listener presents, replaceable at any time.
#[derive(Debug)]
pub struct CertificateSlot {
    current: RwLock<(Arc<CertifiedKey>, Micros)>,
    names: Vec<ServerName>,
}

impl CertificateSlot {
    /// A slot with a fresh certificate for these names.
    pub fn new(authority: &Authority, names: Vec<ServerName>) -> IdentityResult<Arc<Self>> {
        let (key, not_after) = authority.issue_listener(&names, Micros::now())?;
        Ok(Arc::new(Self { current: RwLock::new((Arc::new(key), not_after)), names }))
    }

    /// Puts a fresh certificate in; new connections get it, open ones go on.
    pub fn swap(&self, authority: &Authority) -> IdentityResult<()> {
        let (key, not_after) = authority.issue_listener(&self.names, Micros::now())?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = (Arc::new(key), not_after);
        Ok(())
    }

    /// End of the current certificate's life.
    #[must_use]
    pub fn not_after(&self) -> Micros {
        self.current.read().unwrap_or_else(PoisonError::into_inner).1
    }
}

impl ResolvesServerCert for CertificateSlot {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).0))
    }
}

/// Turns accepted TCP connections into TLS streams.
#[derive(Clone)]
pub struct Acceptor(TlsAcceptor);

impl Acceptor {
    /// For the public listener: no client certificate; HTTP/2 and HTTP/1.1.
    pub fn public(slot: Arc<CertificateSlot>) -> IdentityResult<Self> {
        let config = builder()?.with_no_client_auth().with_cert_resolver(slot);
        Ok(Self::from_config(config, &[b"h2", b"http/1.1"]))
    }

    /// For the worker listener: a client certificate of this authority or no handshake; HTTP/2 only.
    pub fn mutual(slot: Arc<CertificateSlot>, authority: &Authority) -> IdentityResult<Self> {
        let roots = Arc::new(store(&[authority.root().to_vec()])?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider())
            .build()
            .map_err(|_| IdentityError::Setting("the root certificate can't be used to check workers"))?;
        let config = builder()?.with_client_cert_verifier(verifier).with_cert_resolver(slot);
        Ok(Self::from_config(config, &[b"h2"]))
    }

    /// Shakes hands, within ten seconds.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        stream.set_nodelay(true)?;
        in_time(self.0.accept(stream)).await
    }

    fn from_config(mut config: ServerConfig, alpn: &[&[u8]]) -> Self {
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        // Every connection proves its certificate anew: no resumption, no early data.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        Self(TlsAcceptor::from(Arc::new(config)))
    }
}

/// Both sides behind one port: who asks for the workers' name needs a client certificate, everybody else meets the public side.
#[derive(Clone)]
pub struct OnePort {
    public: Acceptor,
    workers: Acceptor,
    name: Arc<str>,
}

impl OnePort {
    /// `name` is the one by which workers come.
    #[must_use]
    pub fn new(public: Acceptor, workers: Acceptor, name: &str) -> Self {
        Self { public, workers, name: name.into() }
    }

    /// Shakes hands, within ten seconds; tells whether it was with the workers' side.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<(TlsStream<TcpStream>, bool)> {
        stream.set_nodelay(true)?;
        in_time(async {
            let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await?;
            let asked = start.client_hello().server_name().map(str::to_owned);
            let is_worker = asked.is_some_and(|asked| asked.eq_ignore_ascii_case(&self.name));
            let Acceptor(side) = if is_worker { &self.workers } else { &self.public };
            Ok((start.into_stream(Arc::clone(side.config())).await?, is_worker))
        })
        .await
    }
}

async fn in_time<T>(handshake: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(HANDSHAKE, handshake).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn builder() -> IdentityResult<rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier>> {
    ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(IdentityError::Tls)
}
