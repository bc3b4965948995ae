//! A throw-away OpenSSH server on loopback: its own directory, port and keys, ended by its own handle.
//!
//! Whoever runs the tests logs in at it with one of the keys that it made, and may go on to wherever its settings allow.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::programs::{free_port, installed, own_user};

/// How long a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server.
pub struct Sshd {
    child: Child,
    folder: TempDir,
    port: u16,
}

impl Sshd {
    /// A server with Ed25519 and ECDSA host keys and these lines in its settings.
    ///
    /// # Panics
    /// When its programs are missing or it does not start.
    #[must_use]
    pub fn start(lines: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("waybill-sshd-").tempdir().expect("a folder");
        for kind in ["ed25519", "ecdsa"] {
            generate(&folder.path().join(format!("host_{kind}")), &["-t", kind]);
        }
        if own_user() == 0 {
            std::fs::create_dir_all("/run/sshd").expect("the directory that a server of root wants");
        }
        let port = free_port();
        let (child, begun) = (Self::launch(&folder, port, lines), Instant::now());
        let mut server = Self { child, folder, port };
        while begun.elapsed() < PATIENCE && server.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            if server.log().contains("Server listening on 127.0.0.1") {
                return server;
            }
            std::thread::sleep(Duration::from_millis(10)); // a poll for a listening server, bounded above
        }
        let log = server.log();
        assert!(log.contains("Address already in use"), "sshd does not start: {log}");
        // Somebody else was quicker.
        drop(server);
        Self::start(lines)
    }

    fn launch(folder: &TempDir, port: u16, lines: &[&str]) -> Child {
        let path = |name: &str| folder.path().join(name).display().to_string();
        let config = format!(
            "{}\nListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nHostKey {}\nPidFile none\nAuthorizedKeysFile {}\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n\
             MaxStartups 100\nLogLevel DEBUG1\n",
            lines.join("\n"),
            path("host_ed25519"),
            path("host_ecdsa"),
            path("authorized")
        );
        std::fs::write(folder.path().join("config"), config).expect("write");
        std::fs::write(folder.path().join("authorized"), "").expect("write");
        let log = std::fs::File::create(folder.path().join("log")).expect("a log");
        Command::new(installed("sshd", vec!["/usr/sbin".into()], "openssh-server"))
            .args(["-D", "-e", "-f", &path("config")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("run sshd")
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whom a key of the server lets in: whoever runs the tests.
    ///
    /// # Panics
    /// When the system does not know who that is.
    #[must_use]
    pub fn user() -> String {
        let said = Command::new("id").arg("-un").output().expect("run id").stdout;
        String::from_utf8(said).expect("a name").trim().to_owned()
    }

    /// A new private key that lets in, made by `ssh-keygen` with these options.
    ///
    /// # Panics
    /// When it can't be made.
    #[must_use]
    pub fn key(&self, options: &[&str]) -> String {
        let (key, public) = self.stranger(options);
        let place = self.folder.path().join("authorized");
        let known = std::fs::read_to_string(&place).expect("the known keys");
        std::fs::write(place, known + &public).expect("write");
        key
    }

    /// A new private key that does not, and its public one.
    ///
    /// # Panics
    /// When it can't be made.
    #[must_use]
    pub fn stranger(&self, options: &[&str]) -> (String, String) {
        let place = tempfile::tempdir_in(self.folder.path()).expect("a folder");
        let path = place.path().join("key");
        generate(&path, options);
        let read = |path: PathBuf| std::fs::read_to_string(path).expect("a key");
        (read(path.clone()), read(path.with_extension("pub")))
    }

    /// The fingerprint of its host key of this kind.
    ///
    /// # Panics
    /// When `ssh-keygen` does not tell.
    #[must_use]
    pub fn fingerprint(&self, kind: &str) -> String {
        let public = self.folder.path().join(format!("host_{kind}.pub"));
        let said = keygen().arg("-lf").arg(public).output().expect("run ssh-keygen").stdout;
        String::from_utf8_lossy(&said).split(' ').nth(1).expect("a fingerprint").to_owned()
    }

    /// Ends all sessions at once, as a crash of each would, and tells how many there were.
    pub fn cut(&self) -> usize {
        let own = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
        let ended = children
            .split_whitespace()
            .filter(|pid| Command::new("kill").args(["-KILL", pid]).status().is_ok_and(|status| status.success()));
        ended.count()
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.cut();
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn keygen() -> Command {
    Command::new(installed("ssh-keygen", Vec::new(), "openssh-client"))
}

fn generate(path: &std::path::Path, options: &[&str]) {
    let made =
        keygen().args(["-q", "-N", "", "-C", "", "-f"]).arg(path).args(options).output().expect("run ssh-keygen");
    assert!(made.status.success(), "ssh-keygen: {}", String::from_utf8_lossy(&made.stderr));
}
