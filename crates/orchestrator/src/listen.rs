//! The two TLS listeners, which may be one port: accepts, shakes hands, and hands each connection's requests to a router.
//!
//! It knows no route and no message. A connection that breaks a bound is closed; none holds up another.

mod body;
mod connection;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use waybill_identity::{Acceptor, OnePort, TrustDomain};

use connection::Side;

/// Bounds of a listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; more wait in the kernel's queue.
    pub connections: usize,
    /// Requests at once on one HTTP/2 connection.
    pub streams: u32,
    /// Bytes of one request's headers.
    pub headers: u32,
    /// A silent peer is asked whether it lives after so long, and dropped after as long again.
    pub keepalive: Duration,
    /// How long HTTP/1.1 headers may take.
    pub header_time: Duration,
    /// Empty body frames in a row that end a request.
    pub empty_frames: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            streams: 64,
            headers: 16 << 10,
            keepalive: Duration::from_secs(20),
            header_time: Duration::from_secs(10),
            empty_frames: 64,
        }
    }
}

/// Ends the connection that a request came on, whatever waits to be sent on it. Each request has its own in its extensions.
#[derive(Clone, Default)]
pub(crate) struct HangUp(CancellationToken);

impl HangUp {
    /// That of the connection which a request came on; of one that came on none, an end of nothing.
    pub(crate) fn of(request: &http::Extensions) -> Self {
        request.get::<Self>().cloned().unwrap_or_default()
    }

    /// Ends it.
    pub(crate) fn now(&self) {
        self.0.cancel();
    }
}

/// A bound port with its TLS side.
pub struct Listener {
    tcp: TcpListener,
    side: Side,
    limits: Limits,
}

impl Listener {
    /// The public listener: REST and enrolment, no client certificates.
    pub async fn public(address: SocketAddr, acceptor: Acceptor, limits: Limits) -> io::Result<Self> {
        Ok(Self { tcp: TcpListener::bind(address).await?, side: Side::Public(acceptor), limits })
    }

    /// The worker listener: who speaks is in the client certificate; one without an identity of `domain` is not heard.
    pub async fn workers(
        address: SocketAddr,
        acceptor: Acceptor,
        domain: TrustDomain,
        limits: Limits,
    ) -> io::Result<Self> {
        Ok(Self { tcp: TcpListener::bind(address).await?, side: Side::Workers(acceptor, domain), limits })
    }

    /// Both behind one port, told apart by the name that a client asks for.
    pub async fn both(address: SocketAddr, port: OnePort, domain: TrustDomain, limits: Limits) -> io::Result<Self> {
        Ok(Self { tcp: TcpListener::bind(address).await?, side: Side::Both(port, domain), limits })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Serves until `stop`, then lets open requests end; gives up on what is still open after `patience`.
    pub async fn serve(self, router: Router, stop: CancellationToken, patience: Duration) {
        self.serve_both((router.clone(), router), stop, patience).await;
    }

    /// The same, with a router for the public side and one for the workers'.
    pub async fn serve_both(self, (public, workers): (Router, Router), stop: CancellationToken, patience: Duration) {
        let connections = TaskTracker::new();
        let room = Arc::new(Semaphore::new(self.limits.connections));
        let server = Arc::new(connection::Server { side: self.side, limits: self.limits, public, workers });
        loop {
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { break };
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.tcp.accept() => accepted,
            };
            match accepted {
                Ok((stream, remote)) => {
                    let (server, stop) = (Arc::clone(&server), stop.clone());
                    connections.spawn(async move {
                        server.serve(stream, remote, stop).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    // Out of file descriptors, most likely: what is open must end before more can come.
                    tracing::warn!(error = %error.kind(), "accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop(self.tcp);
        connections.close();
        if tokio::time::timeout(patience, connections.wait()).await.is_err() {
            tracing::warn!(open = connections.len(), "connections did not end in time and are dropped");
        }
    }
}
