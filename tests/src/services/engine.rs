//! A real container engine, dockerd or Podman's service, in directories of its own, with its mounts in a namespace of its own: they go with it.
//!
//! It is to be started by a thread that entered a [`Network`](super::network::Network), whose bridge its containers hang on;
//! it is told to leave packet filter and routes alone. No image comes from anywhere but this machine.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use super::network::BRIDGE;

mod images;
mod podman;

pub use images::PROGRAMS;

/// How long the engine may take to answer, and to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where images keep the certificates that their program trusts.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A running engine. Its containers end with it.
pub struct Engine {
    child: Child,
    dir: tempfile::TempDir,
}

impl Engine {
    /// Starts one without images.
    pub fn start() -> Result<Self> {
        Self::on(BRIDGE)
    }

    /// Starts one whose containers have this host's network or none.
    pub fn without_bridge() -> Result<Self> {
        Self::on("none").context("no engine starts here; deploy/dev/containers.sh says what is missing")
    }

    fn on(bridge: &str) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("waybill-engine-").tempdir()?;
        let place = |name: &str| dir.path().join(name);
        let settings = json!({
            "data-root": place("data"), "exec-root": place("exec"), "pidfile": place("pid"), "group": "root",
            "hosts": [address(dir.path())], "bridge": bridge, "shutdown-timeout": 5,
            "log-level": "warn", "iptables": false, "ip-forward": false, "ip-masq": false,
        });
        std::fs::write(place("daemon.json"), settings.to_string())?;
        let settings = place("daemon.json").display().to_string();
        Self::serve(dir, &["dockerd", "--config-file", &settings], &[])
    }

    /// Starts an engine's service and waits until it answers at the socket in this directory.
    fn serve(dir: tempfile::TempDir, command: &[&str], variables: &[(&str, PathBuf)]) -> Result<Self> {
        let log = File::create(dir.path().join("log"))?;
        // It ends with the test, however that ends.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "unshare", "--mount"])
            .args(command)
            // What an engine's parts write beside themselves goes with it.
            .current_dir(dir.path())
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", command[0]))?;
        let mut this = Self { child, dir };
        this.wait_until_it_answers()?;
        Ok(this)
    }

    fn wait_until_it_answers(&mut self) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if ping(&self.dir.path().join(SOCKET)).is_ok_and(|answer| answer.ends_with("OK")) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the engine ended with {status}: {}", self.log());
            }
            std::thread::sleep(Duration::from_millis(20)); // a poll for an answer, bounded above
        }
        bail!("the engine does not answer: {}", self.log())
    }

    /// Where its clients find it, as `DOCKER_HOST` says it.
    #[must_use]
    pub fn address(&self) -> String {
        address(self.dir.path())
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join(SOCKET)
    }

    /// Runs its command line and returns what that printed.
    pub fn docker<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<String> {
        let mut command = Command::new("docker");
        command.args(args).env("DOCKER_HOST", self.address()).env("DOCKER_BUILDKIT", "0").env("HOME", self.dir.path());
        let output = command.stdin(Stdio::null()).output().context("run docker")?;
        ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Makes `name` from a loaded image, whose program trusts one more authority; all else is as it was. Its id.
    pub fn trusting(&self, image: &str, authority: &str, name: &str) -> Result<String> {
        let context = tempfile::tempdir_in(self.dir.path())?;
        let file = |name: &str| -> PathBuf { context.path().join(name) };
        let known = std::fs::read_to_string(CERTIFICATES).context(CERTIFICATES)?;
        std::fs::write(file("certificates"), known + authority)?;
        std::fs::set_permissions(file("certificates"), std::fs::Permissions::from_mode(0o444))?;
        std::fs::write(file("Dockerfile"), format!("FROM {image}\nCOPY certificates {CERTIFICATES}\n"))?;
        let at: &OsStr = context.path().as_os_str();
        self.docker(&["build".as_ref(), "--quiet".as_ref(), "--tag".as_ref(), name.as_ref(), at])?;
        self.docker(&["inspect", "--format", "{{.Id}}", name])
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Containers that a failed story left would be waited for.
        if let Ok(left) = self.docker(&["ps", "--quiet"])
            && !left.is_empty()
        {
            let _ = self.docker(&[&["rm", "--force"], left.lines().collect::<Vec<_>>().as_slice()].concat());
        }
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        let begun = Instant::now();
        while asked.as_ref().is_ok_and(|status| status.success()) && begun.elapsed() < PATIENCE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20)); // a poll for the end of a process, bounded above
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

const SOCKET: &str = "docker.sock";

fn address(dir: &Path) -> String {
    format!("unix://{}", dir.join(SOCKET).display())
}

fn ping(socket: &Path) -> std::io::Result<String> {
    let mut connection = UnixStream::connect(socket)?;
    connection.write_all(b"GET /_ping HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer)
}
