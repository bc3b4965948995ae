//! An emulator of AWS that enforces IAM, on loopback: ministack, mended as `deploy/dev/emulator/aws.py` says.
//!
//! It is no AWS: what a test shows here, it shows of our requests and of how we read answers. Without a container engine its
//! tasks only pretend to run; with one it stands in a network of its own, where tasks find it by AWS's own names, over TLS.
//! Ended by its own handle.

mod account;

pub use self::account::{ACCOUNT, Keys, REGION};

use std::collections::BTreeMap;
use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::binaries::{python, repository};
use crate::grants::{Rendered, feed};

use super::engine::Engine;
use super::network::{HERE, TASK_SERVER};
use super::programs::free_port;

/// How long the emulator may take to listen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running emulator.
pub struct Emulator {
    child: Child,
    port: u16,
    dir: tempfile::TempDir,
}

/// How an emulator whose tasks are containers is reached by them.
pub struct Tasks<'a> {
    /// What starts them.
    pub engine: &'a Engine,
    /// Names that they find at this side of their bridge.
    pub names: &'a [&'a str],
    /// What the emulator shows under those names, PEM.
    pub certificate: &'a str,
    /// Its key, PEM.
    pub key: &'a str,
    /// Whom the certificate is from, PEM.
    pub authority: &'a str,
}

/// What the engine says of the containers that were started, one document each.
const STARTED: &str = "started.json";
/// Whom the emulator's certificate is from, where it has one.
const AUTHORITY: &str = "authority.pem";

impl Emulator {
    /// Starts one with empty accounts, whose tasks only pretend to run.
    pub fn start() -> Result<Self> {
        let local =
            |_: &Path, port: u16| Ok(vec![("BIND_HOST", "127.0.0.1".to_owned()), ("GATEWAY_PORT", port.to_string())]);
        Self::listening(local)
    }

    /// Starts one whose tasks are containers, in the network that the calling thread entered: for them under `names` and
    /// TLS, for this side on loopback.
    pub fn with(tasks: &Tasks<'_>) -> Result<Self> {
        Self::listening(|dir, port| {
            let (certificate, key) = (dir.join("certificate.pem"), dir.join("key.pem"));
            std::fs::write(&certificate, tasks.certificate)?;
            std::fs::write(&key, tasks.key)?;
            std::fs::write(dir.join(AUTHORITY), tasks.authority)?;
            let names: Vec<String> = tasks.names.iter().map(|name| format!("{name}={HERE}")).collect();
            Ok(vec![
                ("DOCKER_HOST", tasks.engine.address()),
                // Where TLS is on, port 443 comes by itself.
                ("BIND_HOST", HERE.to_string()),
                ("GATEWAY_PORT", port.to_string()),
                ("USE_SSL", "1".to_owned()),
                ("MINISTACK_SSL_CERT", certificate.display().to_string()),
                ("MINISTACK_SSL_KEY", key.display().to_string()),
                ("EMULATOR_PLAIN", format!("127.0.0.1:{port} {TASK_SERVER}:80")),
                ("EMULATOR_TASK_HOSTS", names.join(" ")),
                ("EMULATOR_STARTED", dir.join(STARTED).display().to_string()),
            ])
        })
    }

    /// Starts one with these settings for a free port.
    fn listening(settings: impl Fn(&Path, u16) -> Result<Vec<(&'static str, String)>>) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        for _ in 0..5 {
            let port = free_port();
            let log = File::create(dir.path().join("emulator.log"))?;
            let mut child = Command::new(python("grants"))
                .arg(repository().join("deploy/dev/emulator/aws.py"))
                .env_remove("DOCKER_HOST")
                .envs([
                    ("AUTH", "true"),
                    ("IOT_MTLS_ENABLED", "0"),
                    ("SFTP_ENABLED", "0"),
                    ("MINISTACK_REGION", REGION),
                ])
                .envs(settings(dir.path(), port)?)
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

    /// Its endpoint for clients, without TLS.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A program that signs calls: its endpoint, over TLS where there is a certificate, is the first argument.
    fn signer(&self, program: &str) -> Command {
        let (mut command, authority) = (Command::new(python("grants")), self.dir.path().join(AUTHORITY));
        command.args(["-c", program]);
        if authority.exists() {
            command.arg(format!("https://{HERE}")).env("AWS_CA_BUNDLE", authority);
        } else {
            command.arg(self.endpoint());
        }
        command.arg(REGION);
        command
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("emulator.log")).unwrap_or_default()
    }

    /// What the engine said of each container that was started for a task, first one first.
    ///
    /// # Panics
    /// When it is not written as JSON.
    #[must_use]
    pub fn started(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.dir.path().join(STARTED)).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
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
