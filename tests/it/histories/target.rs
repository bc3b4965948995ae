//! The real target of a history, and how it is read by others than the product.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use waybill_tests::readers::{Foreign, Reader, change};
use waybill_tests::services::commit_proxy::CommitProxy;
use waybill_tests::services::postgres::Postgres;
use waybill_tests::services::s3::{BUCKET, Roto};
use waybill_tests::services::s3_proxy::{Break, Rule, S3Proxy};
use waybill_tests::verify::verified;

use super::case::{Case, Fault, To};
use super::rows::{Shown, shown_bytes};

pub(super) enum Target {
    Lake { lake: PathBuf, plain: Option<&'static str>, reader: Mutex<Reader> },
    S3 { server: Roto, mirror: PathBuf, reader: Mutex<Reader> },
    Postgres { server: Postgres },
}

/// What stands between a run and its target, and counts what it does.
pub(super) enum Between {
    Nothing,
    Store(S3Proxy),
    Commit(CommitProxy),
}

impl Between {
    pub(super) fn fired(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Store(proxy) => proxy.fired().iter().sum(),
            Self::Commit(proxy) => proxy.fired(),
        }
    }
}

impl Target {
    pub(super) async fn start(case: &Case, folder: &Path) -> Result<Self> {
        let lake = |plain| -> Result<Self> {
            Ok(Self::Lake { lake: folder.join("lake"), plain, reader: Mutex::new(Reader::start()?) })
        };
        match case.to {
            To::Delta => lake(None),
            To::Plain(format) => lake(Some(format)),
            To::S3 => {
                let (server, mirror) = (Roto::start().await, folder.join("mirror"));
                Ok(Self::S3 { server, mirror, reader: Mutex::new(Reader::start()?) })
            }
            To::Postgres => Ok(Self::Postgres { server: Postgres::start() }),
        }
    }

    /// What breaks the way to it, where this fault is meant.
    pub(super) async fn between(&self, fault: Option<Fault>) -> Between {
        match (self, fault) {
            (Self::S3 { server, .. }, Some(Fault::Store(method, holds, how))) => {
                let breaks = match how {
                    "lost" => Break::LoseAnswer,
                    "cut" => Break::CutRequest,
                    "garbled" => Break::GarbleBody,
                    _ => Break::Answer(503, "SlowDown"),
                };
                let proxy = S3Proxy::before(server.port()).await;
                proxy.inject(Rule { method, holds, times: 1, breaks });
                Between::Store(proxy)
            }
            (Self::Postgres { server }, Some(Fault::Commit(cut))) => {
                Between::Commit(CommitProxy::start(server.port(), cut).await)
            }
            _ => Between::Nothing,
        }
    }

    /// The connection of the spec, and what a pipeline says of its files.
    pub(super) fn connection(&self, between: &Between) -> (String, String) {
        match self {
            Self::Lake { lake, plain, .. } => {
                let format = plain.map_or_else(String::new, |format| format!("    files: {{ format: {format} }}\n"));
                (format!("{{ type: local, path: {} }}", lake.display()), format)
            }
            Self::S3 { server, .. } => {
                let endpoint = if let Between::Store(proxy) = between { proxy.endpoint() } else { server.endpoint() };
                let keys = "access-key: env://LAKE_KEY, secret-key: env://LAKE_SECRET";
                let place = format!("bucket: {BUCKET}, prefix: raw, region: us-east-1, endpoint: \"{endpoint}\"");
                (format!("{{ type: s3, {place}, {keys} }}"), String::new())
            }
            Self::Postgres { server } => {
                let port = if let Between::Commit(proxy) = between { proxy.port } else { server.port() };
                let place = format!("host: 127.0.0.1, port: {port}, database: postgres, user: postgres");
                (format!("{{ type: postgres, {place}, tls: disable }}"), String::new())
            }
        }
    }

    /// All rows that are committed, by readers that are not ours; none where there is no table yet.
    pub(super) async fn read(&self) -> Result<Vec<Shown>> {
        let (how, reader) = match self {
            Self::Postgres { server } => return of_postgres(server).await,
            Self::Lake { plain: Some(_), reader, .. } => ("plain", reader),
            Self::Lake { reader, .. } | Self::S3 { reader, .. } => ("delta", reader),
        };
        let Some(table) = self.files().await?.as_deref().and_then(table_below) else { return Ok(Vec::new()) };
        let question = json!({"op": "held", "table": table, "how": how});
        let answer = tokio::task::block_in_place(|| reader.lock().expect("the reader").ask(&question))?;
        serde_json::from_value(answer["rows"].clone()).context("rows")
    }

    /// The lake of files that it is, or a copy of it.
    async fn files(&self) -> Result<Option<PathBuf>> {
        match self {
            Self::Postgres { .. } => Ok(None),
            Self::Lake { lake, .. } => Ok(Some(lake.clone())),
            // It answers no request for a part of an object, without which nobody reads Parquet there.
            Self::S3 { server, mirror, .. } => {
                server.copy("raw/", mirror).await?;
                Ok(Some(mirror.join("raw")))
            }
        }
    }

    /// Where it is files: the product finds all that a history left there whole, once there is a commit.
    pub(super) async fn is_whole(&self) -> Result<()> {
        match self.files().await? {
            Some(lake) if table_below(&lake).is_some() => tokio::task::block_in_place(|| verified(&lake)),
            _ => Ok(()),
        }
    }

    /// Another writer changes the files and no row, where there are any; whether it could.
    pub(super) fn change(&self, other: Foreign) -> Result<bool> {
        let Self::Lake { lake, plain: None, .. } = self else { return Ok(false) };
        let Some(table) = table_below(lake) else { return Ok(false) };
        // delta-rs writes nothing where the newest version is in a checkpoint alone, and no second one.
        if !newest(&table.join("_delta_log")).ends_with(".json") {
            return Ok(false);
        }
        tokio::task::block_in_place(|| change(&table, other)).map(|()| true)
    }
}

/// The name of the newest version in a log; of its commit, where it has one and a checkpoint.
fn newest(log: &Path) -> String {
    let names =
        log.read_dir().into_iter().flatten().flatten().map(|file| file.file_name().to_string_lossy().into_owned());
    let versions = names.filter(|name| name.starts_with(|first: char| first.is_ascii_digit()));
    versions.max_by_key(|name| (name[..20].to_owned(), name.ends_with(".json"))).unwrap_or_default()
}

/// The table in a lake of one table, once it has a commit.
fn table_below(lake: &Path) -> Option<PathBuf> {
    let has = |folder: PathBuf| {
        let mut files = folder.read_dir().into_iter().flatten().flatten();
        files.any(|file| file.path().extension().is_some_and(|ending| ending == "json" || ending == "parquet"))
    };
    let tables = lake.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    tables.into_iter().find(|path| has(path.join("_delta_log")) || has(path.join("_waybill/commits")))
}

async fn of_postgres(server: &Postgres) -> Result<Vec<Shown>> {
    let client = server.client().await;
    let table = "SELECT a.attname::text, format_type(a.atttypid, NULL) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE c.relname = 't' AND c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped";
    let columns: Vec<(String, String)> =
        client.query(table, &[]).await?.iter().map(|row| (row.get(0), row.get(1))).collect();
    if columns.is_empty() {
        return Ok(Vec::new());
    }
    let list: Vec<String> = columns.iter().map(|(name, _)| format!("\"{name}\"::text")).collect();
    let rows = client.query(&format!("SELECT {} FROM public.t", list.join(", ")), &[]).await?;
    let shown = |row: &tokio_postgres::Row| -> Result<Shown> {
        let mut shown = Shown::new();
        for (at, (name, kind)) in columns.iter().enumerate() {
            let Some(text) = row.get::<_, Option<String>>(at) else { continue };
            let value: Value = match kind.as_str() {
                "bigint" => json!(text.parse::<i64>()?),
                "bytea" => shown_bytes(&hex::decode(text.trim_start_matches("\\x"))?),
                _ => json!(text),
            };
            shown.insert(name.clone(), value);
        }
        Ok(shown)
    };
    rows.iter().map(shown).collect()
}
