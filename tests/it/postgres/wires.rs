//! Servers that lie: a proxy that cuts or forges what a real server sends, and one that speaks from a script.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// What the proxy does to a COPY when enough rows went through.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Forge {
    /// Ends the connection between two messages.
    Fin,
    /// Ends the connection inside a message.
    MidMessage,
    /// Says that the COPY is done.
    Done { trailer: bool },
    /// Puts an error with this SQLSTATE in the place of the rest.
    Error(&'static str),
    /// Puts these bytes in the place of a row.
    Row(&'static [u8]),
    /// Cuts every row in two messages, in changing places.
    Split,
    /// Notices without end.
    Notices,
}

/// A proxy before a real server.
pub(super) struct Proxy {
    pub(super) port: u16,
    fired: Arc<AtomicBool>,
}

impl Proxy {
    pub(super) async fn start(upstream: u16, forge: Forge, rows: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let fired = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&fired);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", upstream)).await.expect("the real server");
                let (mut from_client, to_client) = client.into_split();
                let (from_server, mut to_server) = server.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
                let flag = Arc::clone(&flag);
                tokio::spawn(async move { relay(from_server, to_client, forge, rows, &flag).await });
            }
        });
        Self { port, fired }
    }

    /// Whether the forgery took place.
    pub(super) fn has_fired(&self) -> bool {
        self.fired.load(Ordering::SeqCst)
    }
}

async fn relay(
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    forge: Forge,
    rows: usize,
    fired: &AtomicBool,
) -> std::io::Result<()> {
    let mut seen = 0;
    loop {
        let (tag, body) = next(&mut server).await?;
        if tag == b'd' {
            seen += 1;
        }
        if tag != b'd' || seen <= rows {
            client.write_all(&message(tag, &body)).await?;
            continue;
        }
        fired.store(true, Ordering::SeqCst);
        match forge {
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

/// A message with its length.
pub(super) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend((body.len() as u32 + 4).to_be_bytes());
    out.extend_from_slice(body);
    out
}

/// An authentication request.
pub(super) fn authentication(kind: u32, body: &[u8]) -> Vec<u8> {
    message(b'R', &[&kind.to_be_bytes(), body].concat())
}

/// What a scripted server does after each thing that the client sends.
pub(super) type Script = Vec<Answer>;

/// One answer of a scripted server.
pub(super) enum Answer {
    Bytes(Vec<u8>),
    /// The same bytes again and again.
    Endless(Vec<u8>),
    /// SCRAM's first message with this many iterations, for the nonce that the client sent.
    Scram(u32),
}

/// Serves the script to every client, and gives the port.
pub(super) async fn scripted(script: impl Fn() -> Script + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(serve(client, script()));
        }
    });
    port
}

async fn serve(mut client: TcpStream, script: Script) -> std::io::Result<()> {
    let mut said = vec![0; 16 << 10];
    for answer in script {
        let count = client.read(&mut said).await?;
        match answer {
            Answer::Bytes(bytes) => client.write_all(&bytes).await?,
            Answer::Endless(bytes) => loop {
                client.write_all(&bytes).await?;
            },
            Answer::Scram(iterations) => {
                let text = String::from_utf8_lossy(&said[..count]).into_owned();
                let nonce = text.split("r=").nth(1).unwrap_or_default().to_owned();
                let first = format!("r={nonce}more,s=c2FsdHNhbHRzYWx0,i={iterations}");
                client.write_all(&authentication(11, first.as_bytes())).await?;
            }
        }
    }
    // Holds the connection until the client leaves.
    while client.read(&mut said).await? > 0 {}
    Ok(())
}
