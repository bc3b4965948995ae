//! Whoever gives tokens to workers, and a door with TLS before a server that has none.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, rustls};

/// An answer: its status, and JSON.
pub(crate) type Said = (u16, Value);

/// Who gives tokens, and what was asked of them: head and body of each request.
pub(crate) struct Giver {
    pub(crate) port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Giver {
    /// One that speaks TLS with this certificate, or plain HTTP as on a machine's own link.
    pub(crate) async fn start(tls: Option<TlsAcceptor>, say: fn(&str) -> Said) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, seen) = (tls.clone(), Arc::clone(&seen));
                // A client that leaves is no concern of the giver's.
                tokio::spawn(async move { drop(serve(stream, tls, &seen, say).await) });
            }
        });
        Self { port, asked }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("what was asked").clone()
    }
}

type Seen = Mutex<Vec<String>>;

async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, seen: &Seen, say: fn(&str) -> Said) -> std::io::Result<()> {
    match tls {
        Some(tls) => answer(tls.accept(stream).await?, seen, say).await,
        None => answer(stream, seen, say).await,
    }
}

async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    seen: &Seen,
    say: fn(&str) -> Said,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            break;
        }
        head += &line;
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let asked = format!("{head}\n{}", String::from_utf8_lossy(&body));
    let (status, said) = say(&asked);
    seen.lock().expect("what was asked").push(asked);
    let said = said.to_string();
    let length = said.len();
    let head = format!("HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n");
    stream.write_all(format!("{head}connection: close\r\n\r\n{said}").as_bytes()).await?;
    stream.shutdown().await
}

/// A server's side of TLS with this certificate and key.
pub(crate) fn acceptor(certificate: &str, key: &str) -> TlsAcceptor {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
    let tls = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key);
    TlsAcceptor::from(Arc::new(tls.expect("a server")))
}

/// The port of a door with TLS before the server on another.
pub(crate) async fn door(tls: TlsAcceptor, server: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tls = tls.clone();
            // A client that leaves is no concern of the door's.
            tokio::spawn(async move { drop(pass(stream, tls, server).await) });
        }
    });
    port
}

async fn pass(stream: TcpStream, tls: TlsAcceptor, server: u16) -> std::io::Result<(u64, u64)> {
    let (mut outside, mut inside) = (tls.accept(stream).await?, TcpStream::connect(("127.0.0.1", server)).await?);
    tokio::io::copy_bidirectional(&mut outside, &mut inside).await
}
