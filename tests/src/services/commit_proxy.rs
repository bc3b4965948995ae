//! A proxy before a real Postgres server that cuts the first connection at its COMMIT: before it arrives, or before its answer does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Where the connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The server never hears of the commit.
    Commit,
    /// The server commits, and nobody hears of it.
    Answer,
}

/// A running proxy.
pub struct CommitProxy {
    /// The port on 127.0.0.1.
    pub port: u16,
    fired: Arc<AtomicUsize>,
}

/// A simple query that commits, as it goes over the wire.
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";

impl CommitProxy {
    /// Before the server on this port.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start(upstream: u16, cut: Cut) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let fired = Arc::new(AtomicUsize::new(0));
        let shared = Arc::clone(&fired);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", upstream)).await.expect("the real server");
                tokio::spawn(relay(client, server, cut, Arc::clone(&shared)));
            }
        });
        Self { port, fired }
    }

    /// How often a connection was cut.
    #[must_use]
    pub fn fired(&self) -> usize {
        self.fired.load(Ordering::SeqCst)
    }
}

async fn relay(client: TcpStream, server: TcpStream, cut: Cut, fired: Arc<AtomicUsize>) -> std::io::Result<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let back = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
        (from_server, to_client)
    });
    let mut bytes = vec![0; 64 << 10];
    loop {
        let count = from_client.read(&mut bytes).await?;
        if count == 0 {
            return to_server.shutdown().await;
        }
        let is_commit = bytes[..count].ends_with(COMMIT);
        if is_commit && fired.compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            // Nothing comes back from here on; both ends are closed when this task ends.
            back.abort();
            let _ = back.await;
            if cut == Cut::Answer {
                to_server.write_all(&bytes[..count]).await?;
            }
            return to_server.shutdown().await;
        }
        to_server.write_all(&bytes[..count]).await?;
    }
}
