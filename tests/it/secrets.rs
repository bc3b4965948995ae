//! References to secrets, followed by the real worker: it logs in at a real PostgreSQL with what it was given, or says why not.

mod authority;
mod aws;
mod leaks;
mod lies;
mod redirects;
mod rotation;
mod vault;
mod vault_aws;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tokio::process::Command;
use waybill_tests::binaries::binary;
use waybill_tests::services::postgres::{Postgres, Setup};

/// What the worker's environment holds besides.
type Environment = Vec<Variable>;

/// A variable of it.
type Variable = (&'static str, String);

/// A database whose user `reader` needs a password, and a worker that reads two tables of it, one after the other.
struct Story {
    server: Postgres,
    dir: tempfile::TempDir,
}

/// How a worker ended and what it printed.
struct Ended {
    exit: Option<i32>,
    said: String,
}

impl Story {
    async fn with(password: &str) -> Self {
        let rule = "host all reader 127.0.0.1/32 scram-sha-256";
        Self::on(Postgres::with(Setup { access: &[rule], ..Setup::default() }), password).await
    }

    async fn on(server: Postgres, password: &str) -> Self {
        server
            .run(&format!(
                "CREATE TABLE first AS SELECT g::int8 AS id FROM generate_series(1, 100) g;
                 CREATE TABLE second AS SELECT g::int8 AS id FROM generate_series(1, 200) g;
                 CREATE ROLE reader LOGIN PASSWORD '{password}'; GRANT SELECT ON first, second TO reader"
            ))
            .await;
        Self { server, dir: tempfile::tempdir().expect("a folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file that only its owner can read, as a reference.
    fn file(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).expect("write");
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o600)).expect("its mode");
        format!("file://{}", self.path(name).display())
    }

    fn document(&self, reference: &str) -> String {
        format!(
            "waybill: 1\nconnections:\n  shop: {{ type: postgres, host: 127.0.0.1, port: {}, database: postgres, \
             user: reader, tls: disable, password: '{reference}' }}\n  lake: {{ type: local, path: '{}' }}\n\
             pipelines:\n  nightly:\n    from: shop\n    to: lake\n    streams:\n      public.first: {{ load: full }}\n\
             \x20     public.second: {{ load: full }}\n    limits: {{ parallel: 1 }}\n",
            self.server.port(),
            self.path("lake").display(),
        )
    }

    /// The worker, about to read with this reference.
    fn worker(&self, reference: &str, environment: &[Variable]) -> Command {
        self.moving(&self.document(reference), environment)
    }

    /// The worker, about to do what this document says.
    fn moving(&self, document: &str, environment: &[Variable]) -> Command {
        std::fs::write(self.path("shop.yaml"), document).expect("write");
        let mut command = Command::new(binary("waybill-worker"));
        command.arg("once").arg("--spec").arg(self.path("shop.yaml")).args(["--memory", "128MiB"]);
        command.env_clear().env("AWS_EC2_METADATA_DISABLED", "true");
        command.envs(environment.iter().map(|(name, value)| (name, value))).kill_on_drop(true);
        command
    }

    async fn once(&self, reference: &str, environment: &[Variable]) -> Ended {
        Ended::of(self.worker(reference, environment).output().await.expect("run the worker"))
    }

    /// Expects that the worker logged in and delivered.
    async fn delivered(&self, reference: &str, environment: &[Variable]) {
        let ended = self.once(reference, environment).await;
        assert_eq!(ended.exit, Some(0), "{reference}: {}", ended.said);
    }

    /// Expects this failure code, naming the reference and all of these.
    async fn refused(&self, reference: &str, environment: &[Variable], code: &str, hints: &[&str]) {
        let Ended { exit, said } = self.once(reference, environment).await;
        assert_eq!(exit, Some(10), "{reference}: {said}");
        for part in [code, reference].iter().chain(hints) {
            assert!(said.contains(part), "{reference}: no {part} in: {said}");
        }
    }
}

impl Ended {
    fn of(output: std::process::Output) -> Self {
        let said = [output.stdout, output.stderr].concat();
        Self { exit: output.status.code(), said: String::from_utf8_lossy(&said).into_owned() }
    }
}
