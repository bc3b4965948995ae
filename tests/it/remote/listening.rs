//! A store that keeps nothing: it takes every write and tells what some headers of each said.
//!
//! For what no emulator does. One request per connection.

use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What the listener knows.
struct Ear<const N: usize> {
    headers: [&'static str; N],
    /// A request whose first line holds the first is answered with the second.
    begins: (&'static str, &'static str),
    tell: UnboundedSender<[String; N]>,
}

/// The store, and what it heard.
pub(crate) struct Listening<const N: usize> {
    port: u16,
    told: UnboundedReceiver<[String; N]>,
}

impl<const N: usize> Listening<N> {
    /// Listens for these headers, in small letters.
    pub(crate) async fn start(headers: [&'static str; N], begins: &'static str, with: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (tell, told) = unbounded_channel();
        let ear = Arc::new(Ear { headers, begins: (begins, with), tell });
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&ear).hear(stream));
            }
        });
        Self { port, told }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What the next request said, in the order of the headers; empty for one that it has not.
    pub(crate) async fn next(&mut self) -> [String; N] {
        let heard = tokio::time::timeout(std::time::Duration::from_secs(30), self.told.recv()).await;
        heard.expect("a request in 30 s").expect("the store listens")
    }
}

impl<const N: usize> Ear<N> {
    async fn hear(self: Arc<Self>, stream: TcpStream) {
        let (mut stream, mut said, mut length) = (BufReader::new(stream), [(); N].map(|()| String::new()), 0);
        let (mut line, mut first) = (String::new(), String::new());
        while stream.read_line(&mut line).await.is_ok_and(|read| read > 2) {
            let whole = std::mem::take(&mut line);
            if first.is_empty() {
                first = whole;
                continue;
            }
            let (name, value) = whole.trim().split_once(": ").unwrap_or_default();
            let name = name.to_ascii_lowercase();
            if let Some(at) = self.headers.iter().position(|header| *header == name) {
                value.clone_into(&mut said[at]);
            } else if name == "content-length" {
                length = value.parse().expect("a length");
            }
        }
        if first.is_empty() {
            return;
        }
        stream.read_exact(&mut vec![0; length]).await.expect("the body");
        let (begins, with) = self.begins;
        let body = if !begins.is_empty() && first.contains(begins) { with } else { "" };
        let status = if body.is_empty() { "201 Created" } else { "200 OK" };
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
        // Whoever asked may have gone, and the test may have heard enough.
        let _ = self.tell.send(said);
    }
}
