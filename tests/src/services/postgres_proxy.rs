//! A proxy before a real Postgres server that cuts or forges what the server sends once rows flow, and counts how often it did.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// What the proxy does to a COPY when enough rows went through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forge {
    /// Ends the connection between two messages.
    Fin,
    /// Ends the connection inside a message.
    MidMessage,
    /// Says that the COPY is done.
    Done {
        /// Ends the rows as a whole COPY ends them.
        trailer: bool,
    },
    /// Puts an error with this SQLSTATE in the place of the rest.
    Error(&'static str),
    /// Puts these bytes in the place of a row.
    Row(&'static [u8]),
    /// Cuts every row in two messages, in changing places.
    Split,
    /// Notices without end.
    Notices,
}

/// A running proxy.
pub struct PostgresProxy {
    /// The port on 127.0.0.1.
    pub port: u16,
    told: Arc<Told>,
}

/// What it is told to do, and what it did.
struct Told {
    forge: Forge,
    /// Messages of rows that a COPY brings before.
    rows: usize,
    /// How often it may still happen.
    left: AtomicUsize,
    fired: AtomicUsize,
    bytes: AtomicUsize,
}

impl PostgresProxy {
    /// Before the server on this port: forges every COPY after so many rows.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start(upstream: u16, forge: Forge, rows: usize) -> Self {
        Self::with(upstream, forge, rows, usize::MAX).await
    }

    /// The same, for the first COPY that has so many rows; every later one passes.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn once(upstream: u16, forge: Forge, rows: usize) -> Self {
        Self::with(upstream, forge, rows, 1).await
    }

    async fn with(upstream: u16, forge: Forge, rows: usize, times: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (left, fired, bytes) = (times.into(), 0.into(), 0.into());
        let told = Arc::new(Told { forge, rows, left, fired, bytes });
        let shared = Arc::clone(&told);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", upstream)).await.expect("the real server");
                let (mut from_client, to_client) = client.into_split();
                let (from_server, mut to_server) = server.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
                let told = Arc::clone(&shared);
                tokio::spawn(async move { relay(from_server, to_client, &told).await });
            }
        });
        Self { port, told }
    }

    /// How often the forgery took place.
    #[must_use]
    pub fn fired(&self) -> usize {
        self.told.fired.load(Ordering::SeqCst)
    }

    /// Bytes of rows that went through before.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.told.bytes.load(Ordering::SeqCst)
    }
}

impl Told {
    /// Whether it happens now.
    fn fires(&self) -> bool {
        let one_less = |left: usize| left.checked_sub(1);
        let fires = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok();
        self.fired.fetch_add(usize::from(fires), Ordering::SeqCst);
        fires
    }
}

async fn relay(mut server: OwnedReadHalf, mut client: OwnedWriteHalf, told: &Told) -> std::io::Result<()> {
    let mut seen = 0;
    loop {
        let (tag, body) = next(&mut server).await?;
        if tag == b'd' {
            seen += 1;
        }
        if tag != b'd' || seen <= told.rows || !told.fires() {
            if tag == b'd' && told.fired.load(Ordering::SeqCst) == 0 {
                told.bytes.fetch_add(body.len(), Ordering::SeqCst);
            }
            client.write_all(&message(tag, &body)).await?;
            continue;
        }
        match told.forge {
            Forge::Fin => return client.shutdown().await,
            Forge::MidMessage => {
                let whole = message(tag, &body);
                client.write_all(&whole[..whole.len() - 1]).await?;
                return client.shutdown().await;
            }
            Forge::Done { trailer } => {
                if trailer {
                    client.write_all(&message(b'd', b"\xff\xff")).await?;
                }
                client.write_all(&message(b'c', b"")).await?;
                skip_to_ready(&mut server, &mut client, b"COPY 1\0").await?;
                seen = 0;
            }
            Forge::Error(state) => {
                let text = format!("SERROR\0C{state}\0Mcanceling statement due to conflict with recovery\0\0");
                client.write_all(&message(b'E', text.as_bytes())).await?;
                return client.shutdown().await;
            }
            Forge::Row(bytes) => {
                client.write_all(&message(b'd', bytes)).await?;
            }
            Forge::Split => {
                let (head, tail) = body.split_at(seen % (body.len() + 1));
                client.write_all(&[message(b'd', head), message(b'd', tail)].concat()).await?;
            }
            Forge::Notices => loop {
                client.write_all(&message(b'N', b"SNOTICE\0Mhello\0\0")).await?;
            },
        }
    }
}

async fn next(server: &mut OwnedReadHalf) -> std::io::Result<(u8, Vec<u8>)> {
    let tag = server.read_u8().await?;
    let length = server.read_u32().await? as usize;
    let mut body = vec![0; length - 4];
    server.read_exact(&mut body).await?;
    Ok((tag, body))
}

/// Drops what the server really sends up to its being ready.
async fn skip_to_ready(server: &mut OwnedReadHalf, client: &mut OwnedWriteHalf, done: &[u8]) -> std::io::Result<()> {
    client.write_all(&message(b'C', done)).await?;
    loop {
        let (tag, body) = next(server).await?;
        if tag == b'Z' {
            return client.write_all(&message(b'Z', &body)).await;
        }
    }
}

/// A message of the protocol: its tag, its length, its body.
#[must_use]
pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend((body.len() as u32 + 4).to_be_bytes());
    out.extend_from_slice(body);
    out
}
