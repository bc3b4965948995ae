//! Postgres as a destination, through the real worker into a real server: what readers see, whose a table is, what a fault leaves.

mod attempts;
mod clearing;
mod columns;
mod deletes;
mod expected;
mod loads;
mod readers;
mod streams;
mod tables;
mod watched;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rusqlite::Connection;
use serde_json::Value;
use waybill_tests::binaries::binary;
use waybill_tests::services::postgres::Postgres;

/// A source in a file, a server, and a pipeline from one to the other.
pub(super) struct Copy {
    pub(super) server: Postgres,
    folder: tempfile::TempDir,
    port: u16,
}

impl Copy {
    /// With a source that these statements make, and these streams.
    pub(super) fn with(sql: &str, streams: &str) -> Self {
        Self::on(Postgres::start(), sql, streams)
    }

    /// The same into this server.
    pub(super) fn on(server: Postgres, sql: &str, streams: &str) -> Self {
        let copy = Self { port: server.port(), server, folder: tempfile::tempdir().expect("a folder") };
        copy.source(sql);
        copy.streams(streams);
        copy
    }

    /// The same through whatever listens on this port.
    pub(super) fn through(mut self, port: u16, streams: &str) -> Self {
        self.port = port;
        self.streams(streams);
        self
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Changes the source.
    pub(super) fn source(&self, sql: &str) {
        Connection::open(self.path("shop.db")).expect("open").execute_batch(sql).expect("sql");
    }

    pub(super) fn streams(&self, streams: &str) {
        self.pipeline("moved", streams);
    }

    pub(super) fn pipeline(&self, name: &str, streams: &str) {
        let text = format!(
            "waybill: 1\nconnections:\n  shop: {{ type: sqlite, path: {} }}\n  copy: {{ type: postgres, host: 127.0.0.1, port: {}, \
             database: postgres, user: postgres, tls: disable }}\npipelines:\n  {name}:\n    from: shop\n    to: copy\n    streams: \
             {{ {streams} }}\n",
            self.path("shop.db").display(),
            self.port
        );
        std::fs::write(self.path("spec.yaml"), text).expect("write the spec");
    }

    /// Writes as another role from now on.
    pub(super) fn log_in_as(&self, user: &str) {
        let spec = std::fs::read_to_string(self.path("spec.yaml")).expect("the spec");
        let spec = spec.replace("user: postgres", &format!("user: {user}"));
        std::fs::write(self.path("spec.yaml"), spec).expect("write the spec");
    }

    /// The same from another server, as its superuser.
    pub(super) fn of_postgres(&self, from: &Postgres, streams: &str) {
        let end = |port: u16| {
            format!(
                "{{ type: postgres, host: 127.0.0.1, port: {port}, database: postgres, user: postgres, tls: disable }}"
            )
        };
        let text = format!(
            "waybill: 1\nconnections:\n  shop: {}\n  copy: {}\npipelines:\n  moved:\n    from: shop\n    to: copy\n    streams: \
             {{ {streams} }}\n",
            end(from.port()),
            end(self.port)
        );
        std::fs::write(self.path("spec.yaml"), text).expect("write the spec");
    }

    pub(super) fn command(&self, program: &str) -> Command {
        worker(program, &self.path("spec.yaml"))
    }

    pub(super) fn once(&self) -> Output {
        self.command("waybill-worker").output().expect("run the worker")
    }

    /// Runs and expects all streams delivered; returns the report.
    pub(super) fn delivered(&self) -> Value {
        let output = self.once();
        assert_eq!(output.status.code(), Some(0), "{}", talk(&output));
        report(&output)
    }

    /// Reads one stream whole and expects it delivered.
    pub(super) fn reloaded(&self, stream: &str) -> Value {
        let output = self.command("waybill-worker").args(["--reload", stream]).output().expect("run the worker");
        assert_eq!(output.status.code(), Some(0), "{}", talk(&output));
        report(&output)
    }

    /// Runs and expects the first stream to end so; returns what the customer is told.
    pub(super) fn fails(&self, code: &str) -> String {
        self.fails_with(&[], code)
    }

    /// The same with options of the command.
    pub(super) fn fails_with(&self, options: &[&str], code: &str) -> String {
        let output = self.command("waybill-worker").args(options).output().expect("run the worker");
        let report = report(&output);
        let stream = &report["streams"][0];
        assert_eq!(stream["failure"], code, "{}", talk(&output));
        stream["text"].as_str().expect("a text").to_owned()
    }

    /// The rows of a statement, each as one text.
    pub(super) async fn rows(&self, sql: &str) -> Vec<String> {
        let sql = format!("SELECT r::text FROM ({sql}) r");
        let rows = self.server.client().await.query(&sql, &[]).await;
        rows.unwrap_or_else(|error| panic!("{sql}: {error:?}")).iter().map(|row| row.get(0)).collect()
    }

    /// The only field of the only row, as text.
    pub(super) async fn one(&self, sql: &str) -> String {
        let sql = format!("SELECT ({sql})::text");
        self.server.client().await.query_one(&sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
    }
}

pub(super) fn worker(program: &str, spec: &Path) -> Command {
    let mut command = Command::new(binary(program));
    command.args(["once", "--json", "--memory", "128MiB", "--spec"]).arg(spec);
    command
}

pub(super) fn talk(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(super) fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no report: {}", talk(output)))
}

/// `t` with so many rows.
pub(super) fn numbers(to: i64) -> String {
    format!(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, note TEXT); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n \
         WHERE i < {to}) INSERT INTO t SELECT i, 'note ' || i FROM n"
    )
}
