//! A throw-away MariaDB: its own directory, its own port, ended by its own handle.
//!
//! It runs as an unprivileged user, also where the tests run as root, and listens on loopback only.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::programs::{as_user, free_port, installed, made_once, own_user};

/// How long a server may take to answer first.
const PATIENCE: Duration = Duration::from_secs(60);
/// What every server is told.
const OPTIONS: [&str; 12] = [
    "--no-defaults",
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--innodb-buffer-pool-size=48M",
    "--innodb-log-file-size=16M",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
    "--sync-binlog=0",
    "--server-id=1",
    "--max-allowed-packet=64M",
    "--character-set-server=utf8mb4",
    "--plugin-maturity=gamma",
];

/// A running server.
pub struct MariaDb {
    child: Child,
    folder: TempDir,
    port: u16,
}

impl MariaDb {
    /// A server that keeps a log of its transactions, with an empty database `shop`.
    ///
    /// # Panics
    /// When the server's programs are missing or it does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::with(&["--log-bin=log"], &[])
    }

    /// A server with options of its own, and files in its directory.
    ///
    /// # Panics
    /// As `start`.
    #[must_use]
    pub fn with(options: &[&str], files: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new().prefix("waybill-maria-").tempdir().expect("a folder");
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).expect("open the folder");
        let data = folder.path().join("data");
        let copied = Command::new("cp").arg("-a").arg(template()).arg(&data).status().expect("run cp");
        assert!(copied.success(), "copy of the empty server");
        for (name, contents) in files {
            let path = folder.path().join(name);
            std::fs::write(&path, contents).expect("write a file of the server");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("open a file");
        }
        let (child, port) = launch(folder.path(), options);
        let server = Self { child, folder, port };
        server.run("CREATE DATABASE shop");
        server
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// A session of its own, as root in `shop`.
    ///
    /// # Panics
    /// When the client is missing.
    #[must_use]
    pub fn session(&self) -> Session {
        Session::open(self.port)
    }

    /// Runs statements as root in `shop`, and gives what they print: a line for each row, fields between tabs.
    ///
    /// # Panics
    /// When one of them fails.
    pub fn run(&self, sql: &str) -> String {
        let mut client = client(self.port);
        if !sql.starts_with("CREATE DATABASE shop") {
            client.arg("shop");
        }
        let mut child =
            client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("mariadb");
        let mut stdin = child.stdin.take().expect("its input");
        let statements = sql.to_owned();
        let writing = std::thread::spawn(move || stdin.write_all(statements.as_bytes()));
        let output = child.wait_with_output().expect("its output");
        assert!(output.status.success(), "{}: {}", &sql[..sql.len().min(200)], String::from_utf8_lossy(&output.stderr));
        writing.join().expect("written").expect("written");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Sessions of other accounts than root that do something or have a transaction open.
    #[must_use]
    pub fn busy(&self, user: &str) -> usize {
        let sql = format!(
            "SELECT count(*) FROM information_schema.PROCESSLIST p WHERE p.USER = '{user}' AND p.ID <> CONNECTION_ID()"
        );
        self.run(&sql).trim().parse().expect("a number")
    }

    /// The directory of its data.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What the server wrote into its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        // The data goes with the server, so it need not be in order.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A session whose transactions stay open between its statements.
pub struct Session {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    asked: u64,
}

impl Session {
    fn open(port: u16) -> Self {
        let mut client = client(port);
        client.args(["--unbuffered", "shop"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = client.spawn().expect("run mariadb");
        let stdin = child.stdin.take().expect("its input");
        let stdout = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, stdin, stdout, asked: 0 }
    }

    /// Runs statements to their end, and gives the lines that they print.
    ///
    /// # Panics
    /// When one of them fails.
    pub fn run(&mut self, sql: &str) -> Vec<String> {
        self.send(sql);
        self.wait()
    }

    /// Begins statements without a wait for their end.
    ///
    /// # Panics
    /// When the client has ended.
    pub fn send(&mut self, sql: &str) {
        self.asked += 1;
        let text = format!("{sql};\nSELECT 'done {}';\n", self.asked);
        self.stdin.write_all(text.as_bytes()).and_then(|()| self.stdin.flush()).expect("the session stands");
    }

    /// Waits for the end of what was begun.
    ///
    /// # Panics
    /// When a statement failed.
    pub fn wait(&mut self) -> Vec<String> {
        let end = format!("done {}", self.asked);
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            let count = self.stdout.read_line(&mut line).expect("its output");
            assert!(count > 0, "a statement failed: the session is over");
            match line.trim_end_matches('\n') {
                line if line == end => return lines,
                line => lines.push(line.to_owned()),
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn client(port: u16) -> Command {
    let mut command = Command::new(find("mariadb"));
    command.args([
        "--no-defaults",
        "--host=127.0.0.1",
        "--user=root",
        "--batch",
        "--raw",
        "--skip-column-names",
        "--default-character-set=utf8mb4",
        "--max-allowed-packet=64M",
    ]);
    command.arg(format!("--port={port}"));
    command
}

/// An empty server that others are copied from: making one takes seconds, copying it does not. It outlives the tests.
fn template() -> PathBuf {
    let place = std::env::temp_dir().join(format!("waybill-maria-template-{}", own_user()));
    made_once(&place, "data", |data| {
        let made = program("mariadb-install-db")
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .arg(format!("--datadir={}", data.display()))
            .output()
            .expect("run mariadb-install-db");
        assert!(made.status.success(), "mariadb-install-db: {}", String::from_utf8_lossy(&made.stderr));
    })
}

/// Starts the server on a free port; another is tried where somebody else was quicker.
fn launch(folder: &Path, options: &[&str]) -> (Child, u16) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let port = free_port();
        let log = std::fs::File::create(folder.join("log")).expect("a log");
        let mut child = program("mariadbd")
            .args(OPTIONS)
            .arg(format!("--datadir={}", folder.join("data").display()))
            // A server that starts removes every temporary table that it finds there, also those of another one that runs.
            .arg(format!("--tmpdir={}", folder.display()))
            .arg(format!("--socket={}", folder.join("socket").display()))
            .arg(format!("--pid-file={}", folder.join("pid").display()))
            .arg(format!("--port={port}"))
            .args(options)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("run mariadbd");
        loop {
            let said = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            if child.try_wait().expect("look at mariadbd").is_some() {
                assert!(said.contains("Address already in use") && Instant::now() < deadline, "mariadbd ended: {said}");
                break;
            }
            if said.contains("ready for connections") {
                return (child, port);
            }
            assert!(Instant::now() < deadline, "mariadbd does not start: {said}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// One of the server's programs, as a user that it accepts.
fn program(name: &str) -> Command {
    as_user("mysql", find(name))
}

fn find(name: &str) -> PathBuf {
    installed(name, Vec::new(), "mariadb-server")
}
