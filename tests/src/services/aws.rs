//! An emulator of AWS that enforces IAM, on loopback: ministack, mended as `deploy/dev/emulator/aws.py` says.
//!
//! It is no AWS: what a test shows here, it shows of our requests and of how we read answers. Without a container engine its
//! tasks only pretend to run. Ended by its own handle.

mod account;

pub use self::account::{ACCOUNT, Keys, REGION};

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use crate::binaries::{python, repository};
use crate::grants::{Rendered, feed};

use super::programs::free_port;

/// How long the emulator may take to listen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running emulator.
pub struct Emulator {
    child: Child,
    port: u16,
    dir: tempfile::TempDir,
}

impl Emulator {
    /// Starts one with empty accounts.
    pub fn start() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        for _ in 0..5 {
            let port = free_port();
            let log = File::create(dir.path().join("emulator.log"))?;
            let mut child = Command::new(python("grants"))
                .arg(repository().join("deploy/dev/emulator/aws.py"))
                .env_remove("DOCKER_HOST")
                .envs([("AUTH", "true"), ("IOT_MTLS_ENABLED", "0"), ("SFTP_ENABLED", "0"), ("BIND_HOST", "127.0.0.1")])
                .envs([("GATEWAY_PORT", port.to_string()), ("MINISTACK_REGION", REGION.into())])
                .env("HOME", dir.path())
                .current_dir(dir.path())
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log)
                .spawn()
                .context("start the emulator")?;
            if listens(&mut child, port) {
                return Ok(Self { child, port, dir });
            }
            drop((child.kill(), child.wait()));
        }
        let log = std::fs::read_to_string(dir.path().join("emulator.log")).unwrap_or_default();
        bail!("the emulator did not start: {log}")
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Its endpoint for clients.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("emulator.log")).unwrap_or_default()
    }

    /// Loads grants as a customer does and makes the calls of `deploy/dev/emulator/enforce.py`; `allowed` or `denied` by call.
    pub fn enforce(&self, grants: &Rendered) -> Result<BTreeMap<String, String>> {
        let mut command = Command::new(python("grants"));
        command.arg(repository().join("deploy/dev/emulator/enforce.py")).arg(self.endpoint());
        let seen = feed(&mut command, &serde_json::to_value(grants)?).with_context(|| self.log())?;
        serde_json::from_slice(&seen).context("the calls' outcomes")
    }
}

/// Waits until the process accepts connections; false when it ended first.
fn listens(child: &mut Child, port: u16) -> bool {
    let begun = Instant::now();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    while begun.elapsed() < PATIENCE {
        if !matches!(child.try_wait(), Ok(None)) {
            return false;
        }
        if TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20)); // a poll for a listening socket, bounded above
    }
    false
}

impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
