//! A proxy before a real Postgres server that writes down every statement, and puts other words in the place of some.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A running proxy.
pub struct StatementProxy {
    /// The port on 127.0.0.1.
    pub port: u16,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl StatementProxy {
    /// Before the server on this port. `swap` are words and others of the same length.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start(upstream: u16, swap: Option<(&'static str, &'static str)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", upstream)).await.expect("the real server");
                tokio::spawn(relay(client, server, swap, Arc::clone(&shared)));
            }
        });
        Self { port, heard }
    }

    /// The statements of all simple queries so far, each by itself and in order.
    #[must_use]
    pub fn statements(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut rest = &heard[..];
        let mut found = Vec::new();
        while let [tag, a, b, c, d, tail @ ..] = rest {
            let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize - 4;
            let (body, next) = tail.split_at(length.min(tail.len()));
            if *tag == b'Q' {
                let text = String::from_utf8_lossy(body);
                found.extend(text.trim_end_matches('\0').split(';').map(|part| part.trim().to_owned()));
            }
            rest = next;
        }
        found
    }
}

/// One connection. What opens it has no tag, and is not written down.
async fn relay(
    client: TcpStream,
    server: TcpStream,
    swap: Option<(&'static str, &'static str)>,
    heard: Arc<Mutex<Vec<u8>>>,
) -> std::io::Result<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    let length = from_client.read_u32().await?;
    let mut opening = vec![0; length as usize - 4];
    from_client.read_exact(&mut opening).await?;
    to_server.write_u32(length).await?;
    to_server.write_all(&opening).await?;
    loop {
        let mut head = [0; 5];
        if from_client.read_exact(&mut head).await.is_err() {
            return to_server.shutdown().await;
        }
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize - 4;
        let mut body = vec![0; length];
        from_client.read_exact(&mut body).await?;
        if let Some((from, to)) = swap.filter(|_| head[0] == b'Q') {
            body = String::from_utf8_lossy(&body).replace(from, to).into_bytes();
        }
        {
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.extend(head);
            heard.extend(&body);
        }
        to_server.write_all(&head).await?;
        to_server.write_all(&body).await?;
    }
}
