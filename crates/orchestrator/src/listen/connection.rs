//! One connection: handshake, identity, HTTP.
//!
//! The identity is read once from the certificate and put into every request of the connection; nothing else sets it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use waybill_identity::{Acceptor, Certified, CertifiedAgent, OnePort, TlsStream, TrustDomain};

use super::body::Guarded;
use super::{HangUp, Limits};

/// Whom a port is for.
pub(super) enum Side {
    Public(Acceptor),
    Workers(Acceptor, TrustDomain),
    Both(OnePort, TrustDomain),
}

impl Side {
    /// Shakes hands; with the domain to identify the client by, where it came as a worker.
    async fn accept(&self, stream: TcpStream) -> io::Result<(TlsStream<TcpStream>, Option<&TrustDomain>)> {
        Ok(match self {
            Self::Public(acceptor) => (acceptor.accept(stream).await?, None),
            Self::Workers(acceptor, domain) => (acceptor.accept(stream).await?, Some(domain)),
            Self::Both(port, domain) => {
                let (stream, is_worker) = port.accept(stream).await?;
                (stream, is_worker.then_some(domain))
            }
        })
    }
}

pub(super) struct Server {
    pub(super) side: Side,
    pub(super) limits: Limits,
    pub(super) public: Router,
    pub(super) workers: Router,
}

impl Server {
    pub(super) async fn serve(&self, stream: TcpStream, remote: SocketAddr, stop: CancellationToken) {
        let (stream, domain) = tokio::select! {
            () = stop.cancelled() => return,
            shaken = self.side.accept(stream) => match shaken {
                Ok(shaken) => shaken,
                Err(error) => {
                    tracing::debug!(%remote, kind = %error.kind(), "no TLS handshake");
                    return;
                }
            },
        };
        let known = match domain {
            None => None,
            Some(domain) => match identify(&stream, domain) {
                Some(known) => Some(known),
                None => {
                    tracing::warn!(%remote, "a client certificate without an identity of ours");
                    return;
                }
            },
        };
        self.speak(stream, remote, known, stop).await;
    }

    async fn speak(
        &self,
        stream: TlsStream<TcpStream>,
        remote: SocketAddr,
        known: Option<Known>,
        stop: CancellationToken,
    ) {
        let router = if known.is_some() { &self.workers } else { &self.public };
        let (router, empty_frames) = (router.clone(), self.limits.empty_frames);
        let hang_up = HangUp::default();
        let hung_up = hang_up.0.clone();
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            let mut request = request.map(|body| Guarded::new(body, empty_frames).boxed());
            request.extensions_mut().insert(ConnectInfo(remote));
            request.extensions_mut().insert(hang_up.clone());
            match &known {
                Some(Known::Worker(certified)) => drop(request.extensions_mut().insert(Arc::clone(certified))),
                Some(Known::Agent(certified)) => drop(request.extensions_mut().insert(Arc::clone(certified))),
                None => {}
            }
            router.clone().oneshot(request)
        });
        let builder = self.builder();
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = hung_up.cancelled() => return,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = connection => ended,
                    () = hung_up.cancelled() => return,
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%remote, error, "a connection broke");
        }
    }

    fn builder(&self) -> Builder<TokioExecutor> {
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(self.limits.header_time);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(self.limits.streams)
            .max_header_list_size(self.limits.headers)
            .max_pending_accept_reset_streams(20)
            .max_local_error_reset_streams(100)
            .max_send_buf_size(256 << 10)
            .keep_alive_interval(self.limits.keepalive)
            .keep_alive_timeout(self.limits.keepalive);
        builder
    }
}

/// Who speaks on a connection. A service hears one kind: an agent's certificate opens nothing of a worker's.
#[derive(Clone)]
enum Known {
    Worker(Arc<Certified>),
    Agent(Arc<CertifiedAgent>),
}

fn identify(stream: &TlsStream<TcpStream>, domain: &TrustDomain) -> Option<Known> {
    let (_, session) = stream.get_ref();
    let certificate = session.peer_certificates()?.first()?;
    match domain.identify(certificate) {
        Ok(worker) => Some(Known::Worker(Arc::new(worker))),
        Err(_) => domain.identify_agent(certificate).ok().map(|agent| Known::Agent(Arc::new(agent))),
    }
}
