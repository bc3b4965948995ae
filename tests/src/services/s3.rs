//! Throw-away S3 servers: roto-aws, which minds conditions and digests but keeps no CRC64NVME and checks no signature.
//!
//! Found through `deploy/dev/python.sh s3`; listens on loopback, keeps what it has in a directory of its own, ended by its own handle.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::canary::files;

use super::programs::{free_port, program};

/// How long a server may take to answer first.
const PATIENCE: Duration = Duration::from_secs(60);

/// The bucket that every server begins with.
pub const BUCKET: &str = "lake";

/// What a request must carry to be taken for a signed one where signatures are not checked.
const UNCHECKED: &str =
    "AWS4-HMAC-SHA256 Credential=waybill/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";

/// A running server.
pub struct Roto {
    child: Child,
    port: u16,
    /// What it keeps on disk goes with it, however it ends.
    _folder: TempDir,
}

impl Roto {
    /// A server with the one empty bucket [`BUCKET`].
    ///
    /// # Panics
    /// When the program is missing or does not start.
    pub async fn start() -> Self {
        let program = program("s3", "roto-server");
        for _ in 0..5 {
            let port = free_port();
            let folder = tempfile::tempdir().expect("a folder");
            let child = Command::new(&program)
                .args(["--ephemeral", "--port", &port.to_string()])
                .env("TMPDIR", folder.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("start roto-server");
            let mut server = Self { child, port, _folder: folder };
            if server.answers().await {
                return server;
            }
        }
        panic!("roto-server did not start");
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The endpoint for clients.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Keys of all objects, read past our own client.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn keys(&self) -> Vec<String> {
        let (mut keys, mut from) = (Vec::new(), String::new());
        loop {
            let listing = self.get(&format!("?list-type=2{from}")).await;
            let of = |name: &str| -> Vec<String> {
                let rests = listing.split(&format!("<{name}>")).skip(1).map(str::to_owned).collect::<Vec<_>>();
                let end = format!("</{name}>");
                rests.iter().filter_map(|rest| rest.split_once(&end)).map(|(text, _)| text.to_owned()).collect()
            };
            keys.extend(of("Key"));
            let Some(next) = of("NextContinuationToken").pop() else { return keys };
            from = format!("&continuation-token={}", next.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D"));
        }
    }

    /// Stores an object, past our own client.
    ///
    /// # Panics
    /// When the server does not take it.
    pub async fn put(&self, key: &str, body: &[u8]) {
        let answer = exchange(self.port, "PUT", &format!("/{key}"), body).await.expect("an answer");
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    }

    /// Lays the objects below `prefix`, a whole name with its slash, in a directory, past our own client, for readers of directories.
    /// Data files and commits that are there already stay, since none is ever written again; what the store has no more goes.
    ///
    /// # Errors
    /// When a file can't be written.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn copy(&self, prefix: &str, to: &Path) -> std::io::Result<()> {
        let keys: Vec<String> = self.keys().await.into_iter().filter(|key| key.starts_with(prefix)).collect();
        let stays: BTreeSet<PathBuf> = keys.iter().map(|key| to.join(key)).collect();
        for gone in files(&to.join(prefix), &[]).into_iter().filter(|place| !stays.contains(place)) {
            std::fs::remove_file(gone)?;
        }
        for key in keys {
            let place = to.join(&key);
            let is_log_or_data = key.contains("/data/") || key.contains("/_delta_log/");
            // The pointer to the last checkpoint has no such ending, and is written over.
            if place.exists() && is_log_or_data && (key.ends_with(".json") || key.ends_with(".parquet")) {
                continue;
            }
            std::fs::create_dir_all(place.parent().expect("a parent"))?;
            let answer = exchange(self.port, "GET", &format!("/{key}"), b"").await?;
            let body = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer's head") + 4;
            assert!(answer.starts_with(b"HTTP/1.1 200"), "{key}: {}", String::from_utf8_lossy(&answer[..body]));
            std::fs::write(place, &answer[body..])?;
        }
        Ok(())
    }

    /// Uploads that were begun and neither finished nor aborted.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn open_uploads(&self) -> usize {
        self.get("?uploads").await.matches("<UploadId>").count()
    }

    async fn get(&self, query: &str) -> String {
        let answer = exchange(self.port, "GET", query, b"").await.expect("an answer");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        answer
    }

    async fn answers(&mut self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return false;
            }
            if let Ok(answer) = exchange(self.port, "PUT", "", b"").await {
                return answer.starts_with(b"HTTP/1.1 200");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }
}

/// One request past our own client, and the whole answer.
async fn exchange(port: u16, method: &str, query: &str, body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!(
        "{method} /{BUCKET}{query} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: {UNCHECKED}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    stream.write_all(body).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

impl Drop for Roto {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
