//! Every kind of source through the one suite that all of them pass, against the real thing.

mod files;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;
use serde_json::json;
use waybill_connectors::source::mysql::MySqlSource;
use waybill_connectors::source::postgres::PostgresSource;
use waybill_connectors::source::sqlite::SqliteSource;
use waybill_model::FailureCode;
use waybill_model::plan::{MySql, Postgres as Settings, StreamPlan, TlsMode};
use waybill_pipeline::conformance::source::{self, Broken, Holds, Refused, Subject, items, large};
use waybill_pipeline::{Credential, Fixed, Source};
use waybill_tests::services::mariadb::MariaDb;
use waybill_tests::services::mysql_proxy::{self, MySqlProxy};
use waybill_tests::services::postgres::{Postgres, Setup};
use waybill_tests::services::postgres_proxy::{Forge, PostgresProxy};

fn stream(name: &str) -> StreamPlan {
    serde_json::from_value(json!({"name": name, "load": "full"})).expect("a stream")
}

const fn table(holds: Holds) -> &'static str {
    match holds {
        Holds::Items => "items",
        Holds::Empty => "empty",
        Holds::Large => "large",
        Holds::Missing => "missing",
    }
}

/// A SQLite file.
struct Sqlite {
    dir: tempfile::TempDir,
}

impl Sqlite {
    fn new() -> Self {
        let subject = Self { dir: tempfile::tempdir().expect("a directory") };
        let mut database = Connection::open(subject.path("shop.db")).expect("open");
        let writing = database.transaction().expect("a transaction");
        for (name, rows) in [("items", items()), ("empty", Vec::new()), ("large", large().collect())] {
            writing
                .execute_batch(&format!(
                    "CREATE TABLE {name} (id integer PRIMARY KEY, note text, region text NOT NULL)"
                ))
                .expect("a table");
            let insert = format!("INSERT INTO {name} VALUES (?1, ?2, ?3)");
            for row in rows {
                writing.execute(&insert, rusqlite::params_from_iter(row)).expect("a row");
            }
        }
        writing.commit().expect("a commit");
        subject
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// Whether SQLite finds the file whole.
fn is_whole(path: &Path) -> bool {
    let database = Connection::open(path).expect("open");
    database.query_row("PRAGMA quick_check", [], |row| row.get::<_, String>(0)).is_ok_and(|said| said == "ok")
}

#[async_trait]
impl Subject for Sqlite {
    fn source(&self) -> Box<dyn Source> {
        Box::new(SqliteSource::new(self.path("shop.db")))
    }

    fn stream(&self, holds: Holds) -> StreamPlan {
        stream(table(holds))
    }

    async fn refused(&self) -> Vec<Refused> {
        std::fs::write(self.path("none.db"), "x".repeat(4096)).expect("write");
        let at = |name: &str| -> Box<dyn Source> { Box::new(SqliteSource::new(self.path(name))) };
        vec![
            Refused { what: "no file", source: Ok(at("missing.db")), code: FailureCode::SourceUnreachable },
            Refused { what: "no database", source: Ok(at("none.db")), code: FailureCode::SourceMalformed },
        ]
    }

    /// The second half of the file is overwritten below the reader.
    async fn broken(&self) -> Broken {
        let path = self.path("broken.db");
        std::fs::copy(self.path("shop.db"), &path).expect("a copy");
        assert!(is_whole(&path));
        let overwritten = path.clone();
        let arm = move || {
            use std::os::unix::fs::FileExt;
            let file = std::fs::File::options().write(true).open(&overwritten).expect("open");
            let size = file.metadata().expect("its size").len();
            file.write_all_at(&vec![0xff; (size / 4) as usize], size / 2).expect("write");
        };
        Broken {
            source: Box::new(SqliteSource::new(&path)),
            code: FailureCode::SourceMalformed,
            arm: Box::new(arm),
            fired: Box::new(move || !is_whole(&path)),
        }
    }

    /// A writer that wants the file alone gets it at once.
    async fn is_idle(&self) -> bool {
        let database = Connection::open(self.path("shop.db")).expect("open");
        database.busy_timeout(std::time::Duration::ZERO).expect("a setting");
        database.execute_batch("BEGIN EXCLUSIVE; ROLLBACK").is_ok()
    }
}

/// A PostgreSQL server.
struct Server(Postgres);

impl Server {
    async fn new() -> Self {
        let access = &["host all guarded 127.0.0.1/32 scram-sha-256"];
        let server = Postgres::with(Setup { access, ..Setup::default() });
        let mut sql = String::from("CREATE ROLE guarded LOGIN PASSWORD 'right';");
        for name in ["items", "empty", "large"] {
            sql += &format!("CREATE TABLE {name} (id int8 PRIMARY KEY, note text, region text NOT NULL);");
        }
        for row in items() {
            let text = |at: usize| row[at].as_ref().map_or("NULL".to_owned(), |text| format!("$w${text}$w$"));
            sql += &format!("INSERT INTO items VALUES ({}, {}, {});", text(0), text(1), text(2));
        }
        sql += &format!(
            "INSERT INTO large SELECT g, lpad(g::text, 8, '0') || ' ' || repeat('x', 480), 'north'
             FROM generate_series(1, {}) g",
            source::LARGE
        );
        server.run(&sql).await;
        Self(server)
    }

    fn at(port: u16, user: &str, password: Option<&str>) -> Box<dyn Source> {
        let settings = Settings {
            host: "127.0.0.1".into(),
            port,
            database: "postgres".into(),
            user: user.into(),
            password: None,
            tls: TlsMode::Disable,
            ca: None,
            client_cert: None,
            client_key: None,
            ssh: None,
        };
        let password = password.map(|text| Arc::new(Fixed::new(text)) as Arc<dyn Credential>);
        Box::new(PostgresSource::new(&settings, password, "run_suite").expect("a source"))
    }
}

#[async_trait]
impl Subject for Server {
    fn source(&self) -> Box<dyn Source> {
        Self::at(self.0.port(), "postgres", None)
    }

    fn stream(&self, holds: Holds) -> StreamPlan {
        stream(&format!("public.{}", table(holds)))
    }

    async fn refused(&self) -> Vec<Refused> {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
        let wrong = Self::at(self.0.port(), "guarded", Some("wrong"));
        let unreachable = Self::at(nobody, "postgres", None);
        vec![
            Refused { what: "wrong password", source: Ok(wrong), code: FailureCode::SourceDenied },
            Refused { what: "nobody there", source: Ok(unreachable), code: FailureCode::SourceUnreachable },
        ]
    }

    /// The connection is cut inside a row; the one lane reads on the connection that holds the snapshot.
    async fn broken(&self) -> Broken {
        let proxy = PostgresProxy::start(self.0.port(), Forge::MidMessage, source::LARGE / 2).await;
        Broken {
            source: Self::at(proxy.port, "postgres", None),
            code: FailureCode::SnapshotLost,
            arm: Box::new(|| ()),
            fired: Box::new(move || proxy.fired() > 0),
        }
    }

    async fn is_idle(&self) -> bool {
        self.0.open_transactions().await == 0
    }
}

/// A MariaDB server.
struct Maria(MariaDb);

impl Maria {
    fn new() -> Self {
        let server = MariaDb::start();
        let mut sql = String::from(
            "CREATE USER reader@'127.0.0.1' IDENTIFIED BY 'right'; GRANT SELECT ON shop.* TO reader@'127.0.0.1';",
        );
        for name in ["items", "empty", "large"] {
            sql += &format!("CREATE TABLE {name} (id bigint PRIMARY KEY, note text, region text NOT NULL);");
        }
        for row in items() {
            let text =
                |at: usize| row[at].as_ref().map_or("NULL".to_owned(), |text| format!("x'{}'", hex::encode(text)));
            let id = row[0].as_ref().expect("a key");
            sql += &format!("INSERT INTO items VALUES ({id}, {}, {});", text(1), text(2));
        }
        sql += &format!(
            "INSERT INTO large SELECT seq, concat(lpad(seq, 8, '0'), ' ', repeat('x', 480)), 'north' FROM seq_1_to_{}",
            source::LARGE
        );
        server.run(&sql);
        Self(server)
    }

    fn at(port: u16, password: &str) -> Box<dyn Source> {
        let settings = MySql {
            host: "127.0.0.1".into(),
            port,
            database: "shop".into(),
            user: "reader".into(),
            password: None,
            tls: TlsMode::Disable,
            ca: None,
            client_cert: None,
            client_key: None,
            ssh: None,
        };
        let password = Arc::new(Fixed::new(password)) as Arc<dyn Credential>;
        Box::new(MySqlSource::new(&settings, Some(password), "run_suite").expect("a source"))
    }
}

#[async_trait]
impl Subject for Maria {
    fn source(&self) -> Box<dyn Source> {
        Self::at(self.0.port(), "right")
    }

    fn stream(&self, holds: Holds) -> StreamPlan {
        stream(&format!("shop.{}", table(holds)))
    }

    async fn refused(&self) -> Vec<Refused> {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
        let (wrong, unreachable) = (Self::at(self.0.port(), "wrong"), Self::at(nobody, "right"));
        vec![
            Refused { what: "wrong password", source: Ok(wrong), code: FailureCode::SourceDenied },
            Refused { what: "nobody there", source: Ok(unreachable), code: FailureCode::SourceUnreachable },
        ]
    }

    async fn broken(&self) -> Broken {
        let proxy = MySqlProxy::start(self.0.port(), mysql_proxy::Forge::MidPacket, source::LARGE / 2).await;
        Broken {
            source: Self::at(proxy.port, "right"),
            code: FailureCode::SnapshotLost,
            arm: Box::new(|| ()),
            fired: Box::new(move || proxy.fired() > 0),
        }
    }

    async fn is_idle(&self) -> bool {
        self.0.busy("reader") == 0
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_passes_the_source_suite() {
    source::run(&Maria::new()).await;
}

#[tokio::test]
async fn sqlite_passes_the_source_suite() {
    source::run(&Sqlite::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_passes_the_source_suite() {
    source::run(&Server::new().await).await;
}
