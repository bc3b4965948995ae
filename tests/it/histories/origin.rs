//! The real source of a history: a file, a server or a directory, and the sessions that others have open there.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tokio_postgres::Client;
use waybill_tests::cut::Proxy;
use waybill_tests::services::mariadb::{MariaDb, Session};
use waybill_tests::services::mysql_proxy::MySqlProxy;
use waybill_tests::services::postgres::Postgres;
use waybill_tests::services::postgres_proxy::PostgresProxy;

use super::case::{Case, Fault, From};

pub(super) enum Origin {
    Sqlite { file: PathBuf, open: Option<rusqlite::Connection> },
    Postgres { server: Box<Postgres>, way: Proxy, client: Box<Client>, open: Option<Box<Client>> },
    MariaDb { server: MariaDb, way: Proxy, open: Option<Session> },
    Files { folder: PathBuf, ending: &'static str },
}

/// What stands between a run and its source, and counts what it does.
pub(super) enum Between {
    Nothing,
    Rows(PostgresProxy),
    Packets(MySqlProxy),
}

impl Between {
    pub(super) fn fired(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Rows(proxy) => proxy.fired(),
            Self::Packets(proxy) => proxy.fired(),
        }
    }
}

impl Origin {
    pub(super) async fn start(case: &Case, folder: &Path) -> Result<Self> {
        Ok(match case.from {
            From::Sqlite => {
                let file = folder.join("shop.db");
                // So that somebody may write while a run reads.
                rusqlite::Connection::open(&file)?.execute_batch("PRAGMA journal_mode = WAL")?;
                Self::Sqlite { file, open: None }
            }
            From::Postgres => {
                let server = Box::new(Postgres::start());
                let client = Box::new(server.client().await);
                Self::Postgres { server, way: Proxy::start().await?, client, open: None }
            }
            From::MariaDb => Self::MariaDb { server: crate::mysql::server(), way: Proxy::start().await?, open: None },
            From::Csv => Self::Files { folder: folder.join("files/in"), ending: "csv" },
            From::Json => Self::Files { folder: folder.join("files/in"), ending: "jsonl" },
        })
    }

    /// Statements at once, in one transaction.
    pub(super) async fn run(&self, sql: &str) -> Result<()> {
        match self {
            Self::Sqlite { file, .. } => {
                rusqlite::Connection::open(file)?.execute_batch(&format!("BEGIN IMMEDIATE; {sql} COMMIT"))?;
            }
            Self::Postgres { client, .. } => {
                client.batch_execute(&format!("BEGIN; {sql} COMMIT")).await.context("PostgreSQL")?;
            }
            Self::MariaDb { server, .. } => {
                server.run(&format!("SET sql_mode = ''; BEGIN; {sql} COMMIT"));
            }
            Self::Files { .. } => {}
        }
        Ok(())
    }

    /// Puts these files in the place of what is there.
    pub(super) fn lay(&self, texts: &[String]) -> Result<()> {
        let Self::Files { folder, ending } = self else { return Ok(()) };
        if folder.exists() {
            std::fs::remove_dir_all(folder)?;
        }
        std::fs::create_dir_all(folder)?;
        for (at, text) in texts.iter().enumerate() {
            std::fs::write(folder.join(format!("part-{at}.{ending}")), text)?;
        }
        Ok(())
    }

    /// Statements in the transaction that is open; it is begun where none is.
    pub(super) async fn run_open(&mut self, sql: &str) -> Result<()> {
        match self {
            Self::Sqlite { file, open } => {
                if open.is_none() {
                    let session = rusqlite::Connection::open(file)?;
                    session.execute_batch("BEGIN IMMEDIATE")?;
                    *open = Some(session);
                }
                open.as_ref().context("a session")?.execute_batch(sql)?;
            }
            Self::Postgres { server, open, .. } => {
                if open.is_none() {
                    let session = Box::new(server.client().await);
                    session.batch_execute("BEGIN").await?;
                    *open = Some(session);
                }
                open.as_ref().context("a session")?.batch_execute(sql).await?;
            }
            Self::MariaDb { server, open, .. } => {
                if open.is_none() {
                    let mut session = server.session();
                    session.run("SET sql_mode = ''; BEGIN");
                    *open = Some(session);
                }
                open.as_mut().context("a session")?.run(sql);
            }
            Self::Files { .. } => {}
        }
        Ok(())
    }

    /// The end of the open transaction: `COMMIT`, `ROLLBACK`, or on PostgreSQL `PREPARE TRANSACTION 'late'`.
    pub(super) async fn end_open(&mut self, how: &str) -> Result<()> {
        self.run_open(how).await?;
        match self {
            Self::Sqlite { open, .. } => drop(open.take()),
            Self::Postgres { open, .. } => drop(open.take()),
            Self::MariaDb { open, .. } => drop(open.take()),
            Self::Files { .. } => {}
        }
        Ok(())
    }

    /// The end of what was prepared.
    pub(super) async fn end_prepared(&self, how: &str) -> Result<()> {
        let Self::Postgres { client, .. } = self else { return Ok(()) };
        Ok(client.batch_execute(&format!("{how} PREPARED 'late'")).await?)
    }

    /// Whether every row was written longer ago than a window's margin.
    pub(super) async fn is_past_the_margin(&self) -> Result<bool> {
        Ok(match self {
            Self::Postgres { client, .. } => {
                let newest = "SELECT count(*) FROM t WHERE at > now() - interval '1500 milliseconds'";
                client.query_one(newest, &[]).await?.get::<_, i64>(0) == 0
            }
            Self::MariaDb { server, .. } => {
                server.run("SELECT count(*) FROM t WHERE at > now(6) - interval 2100000 microsecond").trim() == "0"
            }
            Self::Sqlite { .. } | Self::Files { .. } => true,
        })
    }

    /// What breaks the way to it, where this fault is meant. The source keeps its place: at another one it would be another source.
    pub(super) async fn between(&self, fault: Option<Fault>) -> Between {
        let (way, port, between) = match (self, fault) {
            (Self::Postgres { server, way, .. }, Some(Fault::Rows(forge))) => {
                let proxy = PostgresProxy::start(server.port(), forge, 5).await;
                (way, proxy.port, Between::Rows(proxy))
            }
            (Self::MariaDb { server, way, .. }, Some(Fault::Packets(forge))) => {
                let proxy = MySqlProxy::start(server.port(), forge, 5).await;
                (way, proxy.port, Between::Packets(proxy))
            }
            (Self::Postgres { server, way, .. }, _) => (way, server.port(), Between::Nothing),
            (Self::MariaDb { server, way, .. }, _) => (way, server.port(), Between::Nothing),
            (Self::Sqlite { .. } | Self::Files { .. }, _) => return Between::Nothing,
        };
        way.leads_to(([127, 0, 0, 1], port).into());
        between
    }

    /// The connection of the spec.
    pub(super) fn connection(&self) -> String {
        match self {
            Self::Sqlite { file, .. } => format!("{{ type: sqlite, path: {} }}", file.display()),
            Self::Postgres { way, .. } => format!(
                "{{ type: postgres, host: 127.0.0.1, port: {}, database: postgres, user: postgres, tls: disable }}",
                way.address.port()
            ),
            Self::MariaDb { way, .. } => format!(
                "{{ type: mysql, host: 127.0.0.1, port: {}, database: shop, user: reader, password: env://SHOP_PASSWORD, \
                 tls: disable }}",
                way.address.port()
            ),
            Self::Files { folder, .. } => {
                let root = folder.parent().unwrap_or(folder);
                format!("{{ type: files, url: \"file://{}\" }}", root.display())
            }
        }
    }
}
