//! Throw-away servers of Azure Blob Storage: Microsoft's emulator Azurite, which checks signatures, digests and conditions.
//!
//! Found through `deploy/dev/node.sh azurite`; listens on loopback, keeps everything in memory, ended by its own handle.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use tempfile::TempDir;

use super::programs::free_port;
use crate::binaries::node;

/// How long a server may take to answer first.
const PATIENCE: Duration = Duration::from_secs(60);
/// The version that requests past our own client speak.
const VERSION: &str = "2020-08-04";

/// The storage account that every server has.
pub const ACCOUNT: &str = "examplelake";
/// The container that every server begins with.
pub const CONTAINER: &str = "lake";

/// A running server.
pub struct Azurite {
    child: Child,
    port: u16,
    /// What a client must trust where it speaks TLS.
    authority: Option<PathBuf>,
    /// Whatever it lays down goes with it.
    folder: TempDir,
}

impl Azurite {
    /// A server with the one empty container [`CONTAINER`].
    ///
    /// # Panics
    /// When the program is missing or does not start.
    pub async fn start() -> Self {
        Self::begin(None).await
    }

    /// The same over TLS with this certificate and key, below this authority; all PEM files. It takes tokens too, whoever
    /// signed them.
    ///
    /// # Panics
    /// When the program is missing or does not start.
    pub async fn with_tokens(certificate: &Path, key: &Path, authority: &Path) -> Self {
        Self::begin(Some((certificate, key, authority))).await
    }

    async fn begin(tls: Option<(&Path, &Path, &Path)>) -> Self {
        let program = node("azurite").join("node_modules/.bin/azurite-blob");
        for _ in 0..5 {
            let (port, folder) = (free_port(), tempfile::tempdir().expect("a folder"));
            let mut command = Command::new(&program);
            command.args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()]);
            command.args(["--inMemoryPersistence", "--silent", "--skipApiVersionCheck", "--disableTelemetry"]);
            if let Some((certificate, key, _)) = tls {
                command.args(["--oauth", "basic", "--cert"]).arg(certificate).arg("--key").arg(key);
            }
            command.current_dir(folder.path()).env("AZURITE_ACCOUNTS", format!("{ACCOUNT}:{}", Self::key()));
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let child = command.spawn().expect("start azurite-blob");
            let authority = tls.map(|(_, _, authority)| authority.to_path_buf());
            let mut server = Self { child, port, authority, folder };
            if server.answers().await {
                return server;
            }
        }
        panic!("azurite-blob did not start");
    }

    /// The account's key.
    #[must_use]
    pub fn key() -> String {
        BASE64.encode([7; 64])
    }

    /// A shared access signature of the account with these permissions, for a day.
    #[must_use]
    pub fn signature(permissions: &str) -> String {
        let end = (chrono::Utc::now() + chrono::TimeDelta::days(1)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let text = format!("{ACCOUNT}\n{permissions}\nb\nsco\n\n{end}\n\n\n{VERSION}\n");
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 64]);
        let signed = BASE64.encode(hmac::sign(&key, text.as_bytes()));
        let signed = signed.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        format!("sv={VERSION}&ss=b&srt=sco&sp={permissions}&se={end}&sig={signed}")
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The endpoint for clients, without the account.
    #[must_use]
    pub fn endpoint(&self) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// A folder of its own that goes with it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Names of all blobs, read past our own client.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn names(&self) -> Vec<String> {
        let asked = format!("{CONTAINER}?restype=container&comp=list");
        let (status, body) = self.exchange("GET", &asked, Vec::new()).await.expect("an answer");
        let text = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(status, 200, "{text}");
        let names = text.split("<Name>").skip(1).filter_map(|rest| rest.split_once("</Name>"));
        names.map(|(name, _)| name.to_owned()).collect()
    }

    /// Stores a blob, past our own client.
    ///
    /// # Panics
    /// When the server does not take it.
    pub async fn put(&self, name: &str, body: &[u8]) {
        let (status, answer) =
            self.exchange("PUT", &format!("{CONTAINER}/{name}"), body.to_vec()).await.expect("an answer");
        assert_eq!(status, 201, "{}", String::from_utf8_lossy(&answer));
    }

    /// Lays the blobs below `prefix` in a directory, past our own client, for readers of directories.
    ///
    /// # Errors
    /// When a file can't be written.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn copy(&self, prefix: &str, to: &Path) -> std::io::Result<()> {
        for name in self.names().await.into_iter().filter(|name| name.starts_with(prefix)) {
            let place = to.join(&name);
            std::fs::create_dir_all(place.parent().expect("a parent"))?;
            let (status, body) =
                self.exchange("GET", &format!("{CONTAINER}/{name}"), Vec::new()).await.expect("an answer");
            assert_eq!(status, 200, "{name}");
            std::fs::write(place, body)?;
        }
        Ok(())
    }

    /// One request past our own client, and the whole answer.
    async fn exchange(&self, method: &str, asked: &str, body: Vec<u8>) -> reqwest::Result<(u16, Vec<u8>)> {
        let join = if asked.contains('?') { '&' } else { '?' };
        let url = format!("{}/{ACCOUNT}/{asked}{join}{}", self.endpoint(), Self::signature("rwdlac"));
        let mut client = reqwest::Client::builder().no_proxy();
        if let Some(authority) = &self.authority {
            let pem = std::fs::read(authority).expect("the certificate");
            client = client.tls_certs_only(reqwest::Certificate::from_pem_bundle(&pem).expect("a certificate"));
        }
        let method = method.parse().expect("a method");
        let request = client.build()?.request(method, url).header("x-ms-version", VERSION);
        let answer = request.header("x-ms-blob-type", "BlockBlob").body(body).send().await?;
        Ok((answer.status().as_u16(), answer.bytes().await?.to_vec()))
    }

    async fn answers(&mut self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return false;
            }
            if let Ok((status, _)) = self.exchange("PUT", &format!("{CONTAINER}?restype=container"), Vec::new()).await {
                return status == 201;
            }
            tokio::time::sleep(Duration::from_millis(50)).await; // a look, bounded
        }
        false
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
