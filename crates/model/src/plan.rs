//! A plan: one pipeline of a validated spec with its two connections, as the worker gets it.
//!
//! Its canonical form is JSON with keys in declared order. It holds references to secrets, never a secret.
//! `spec` makes plans from YAML and is the only place that explains mistakes; reading one here refuses unknown keys.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::run::named;
use crate::secret::SecretRef;

mod azure;
mod ca;
mod lone;
mod regions;
mod secrets;

pub use azure::{Azure, AzureAccess, azure_place};
pub use ca::Ca;
pub use lone::Side;
pub use regions::PlanRegion;
pub use secrets::PlanSecret;

/// What a worker is asked to move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The pipeline's name in its project; unique there.
    pub pipeline: String,
    /// The source.
    pub from: Endpoint,
    /// The destination.
    pub to: Endpoint,
    /// What is moved; its order gives the stream indices.
    pub streams: Vec<StreamPlan>,
    /// How files are written.
    #[serde(default)]
    pub files: Files,
    /// Bounds of one run.
    #[serde(default)]
    pub limits: Limits,
}

/// A connection by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The connection's name in its project.
    pub connection: String,
    /// What it is.
    pub system: System,
}

/// A system that a worker can reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum System {
    /// A PostgreSQL server, 14 or newer.
    Postgres(Postgres),
    /// A MariaDB server, 10.4 or newer, or MySQL 8.
    #[serde(rename = "mysql")]
    MySql(MySql),
    /// A SQLite file that the worker can open.
    Sqlite {
        /// Absolute path; for a worker without an orchestrator also relative to its working directory.
        path: String,
    },
    /// Files below a directory or an object prefix, as a source.
    Files(FileSource),
    /// A local directory as a bucket.
    Local {
        /// Absolute path; for a worker without an orchestrator also relative to its working directory.
        path: String,
    },
    /// An S3 bucket.
    S3(S3),
    /// A container of Azure Blob Storage.
    Azure(Azure),
}

impl System {
    /// Its name in YAML and in messages.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "postgres",
            Self::MySql(_) => "mysql",
            Self::Sqlite { .. } => "sqlite",
            Self::Files(_) => "files",
            Self::Local { .. } => "local",
            Self::S3(_) => "s3",
            Self::Azure(_) => "azure",
        }
    }

    /// What tells the place of its rows from all others: neither who logs in nor how the way there is secured.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Postgres(server) => format!("postgres://{}:{}/{}", server.host, server.port, server.database),
            Self::MySql(server) => format!("mysql://{}:{}/{}", server.host, server.port, server.database),
            Self::Sqlite { path } => format!("sqlite:{path}"),
            Self::Files(files) => format!("files:{}", files.url),
            Self::Local { path } => format!("local:{path}"),
            Self::S3(bucket) => format!("s3://{}/{}", bucket.bucket, bucket.prefix),
            Self::Azure(azure) => format!("azure://{}/{}/{}", azure.account, azure.container, azure.prefix),
        }
    }
}

/// How to reach a PostgreSQL server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    #[serde(default = "postgres_port")]
    pub port: u16,
    /// Database name.
    pub database: String,
    /// Role to log in as.
    pub user: String,
    /// Where the password is found; none for trust or peer rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretRef>,
    /// How the server proves who it is.
    #[serde(default)]
    pub tls: TlsMode,
    /// The CA to trust; the system's roots otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<Ca>,
}

const fn postgres_port() -> u16 {
    5432
}

/// How to reach a MariaDB or MySQL server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MySql {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    #[serde(default = "mysql_port")]
    pub port: u16,
    /// Database, in which streams without one of their own are looked for.
    pub database: String,
    /// Account to log in as.
    pub user: String,
    /// Where the password is found; none for an account without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretRef>,
    /// How the server proves who it is.
    #[serde(default)]
    pub tls: TlsMode,
    /// Path of a PEM file with the CA to trust, on the worker; the system's roots otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<Ca>,
}

const fn mysql_port() -> u16 {
    3306
}

named! {
    /// How a server proves who it is.
    TlsMode {
        /// TLS with a trusted certificate for this host's name: the default.
        VerifyFull = "verify-full",
        /// No TLS: only for loopback and tests. Never chosen silently.
        Disable = "disable",
    }
}

/// Files as a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSource {
    /// `file:///absolute/dir`, `s3://bucket/prefix` or `azure://account/container/prefix`.
    pub url: String,
    /// Region, endpoint and keys where the URL is an `s3://` one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3Access>,
    /// Endpoint and credentials where the URL is an `azure://` one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azure: Option<AzureAccess>,
}

/// An S3 bucket as a destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3 {
    /// The bucket's name.
    pub bucket: String,
    /// What every key begins with, without slashes at its ends.
    #[serde(default)]
    pub prefix: String,
    /// How to reach it.
    #[serde(flatten)]
    pub access: S3Access,
}

/// How to reach an S3 service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct S3Access {
    /// Region; the environment's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Another endpoint than AWS's, for compatible stores; path-style addressing is used then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Static access key id; the worker's own role where absent.
    #[serde(default, rename = "access-key", skip_serializing_if = "Option::is_none")]
    pub access_key: Option<SecretRef>,
    /// Static secret key; goes with `access-key`.
    #[serde(default, rename = "secret-key", skip_serializing_if = "Option::is_none")]
    pub secret_key: Option<SecretRef>,
}

/// One table, object or file set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StreamPlan {
    /// `schema.table` or `table` in a database; a path or a glob below the URL for files. Also names the table directory.
    pub name: String,
    /// What a run brings.
    pub load: Load,
    /// The column that tells new rows; `load: new` needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
    /// Which columns, under which names.
    #[serde(default, skip_serializing_if = "Columns::is_all")]
    pub columns: Columns,
    /// Which rows; all conditions must hold. Pushed down to the source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filter: Vec<Condition>,
    /// What happens to values that the target type can't hold.
    #[serde(default)]
    pub edge_values: EdgePolicy,
    /// What happens to arrays that are not one-dimensional from 1.
    #[serde(default)]
    pub arrays: ArrayPolicy,
    /// What happens to text that is not valid UTF-8.
    #[serde(default)]
    pub invalid_text: TextPolicy,
    /// Count the source in the same snapshot and compare: grade `verified`.
    #[serde(default)]
    pub verify_count: bool,
    /// A replace must keep at least this share of the rows, in percent; 0 turns the guard off.
    #[serde(default = "shrink_guard")]
    pub shrink_guard: u8,
    /// Accept a table that something else made, that belongs to another pipeline, or whose cursor is of another source or filter.
    #[serde(default)]
    pub take_over: bool,
    /// How the files are read, for file sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<FileFormat>,
}

const fn shrink_guard() -> u8 {
    50
}

named! {
    /// What a run brings of a stream.
    Load {
        /// All rows; they replace the table in one commit.
        Full = "full",
        /// Rows whose cursor is in the next window; they are appended.
        New = "new",
    }
}

/// How new rows are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Cursor {
    /// The column.
    pub column: String,
    /// IANA zone of a zone-less timestamp column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// What happens to rows whose cursor is NULL.
    #[serde(default)]
    pub nulls: NullCursor,
    /// How far the window's end stays behind the oldest open transaction, in milliseconds; at least 1000.
    #[serde(default = "cursor_margin")]
    pub margin_ms: u64,
}

const fn cursor_margin() -> u64 {
    2_000
}

named! {
    /// What happens to rows whose cursor is NULL. They are counted in any case.
    NullCursor {
        /// The run fails.
        Fail = "fail",
        /// They come with every run.
        IncludeAlways = "include_always",
        /// They never come.
        Ignore = "ignore",
    }
}

/// Which columns, under which names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Columns {
    /// Only these, in this order; all where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub select: Vec<String>,
    /// Not these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
    /// Source name to table name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rename: BTreeMap<String, String>,
}

impl Columns {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.select.is_empty() && self.drop.is_empty() && self.rename.is_empty()
    }
}

/// One condition of a row filter: column, operator, value. Never SQL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// Source column.
    pub column: String,
    /// How it is compared.
    pub op: Op,
    /// What with, as text that the source reads as the column's type; none for the two null tests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The value is text although it reads as a number: it stood in quotes. Only a column that takes values of any type
    /// asks for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub text: bool,
}

named! {
    /// How a column is compared.
    Op {
        /// Equal.
        Eq = "eq",
        /// Not equal.
        Ne = "ne",
        /// Less.
        Lt = "lt",
        /// Less or equal.
        Le = "le",
        /// Greater.
        Gt = "gt",
        /// Greater or equal.
        Ge = "ge",
        /// Is NULL.
        IsNull = "is_null",
        /// Is not NULL.
        NotNull = "not_null",
    }
}

named! {
    /// What happens to values that the target type can't hold, such as NaN in a decimal or an infinite date.
    EdgePolicy {
        /// Exact text in the column `<name>__text` beside a NULL: nothing is lost.
        Twin = "twin",
        /// The stream fails.
        Fail = "fail",
        /// NULL; the value is lost, and counted.
        Null = "null",
        /// Dates and times only: the nearest end of the calendar (9999-12-31 or 0001-01-01); the value is lost, and counted.
        Sentinel = "sentinel",
    }
}

named! {
    /// What happens to arrays that are not one-dimensional from 1.
    ArrayPolicy {
        /// Exact text in the column `<name>__text` beside a NULL: nothing is lost.
        Twin = "twin",
        /// The stream fails with `array_shape`.
        Fail = "fail",
        /// The whole column is stored as JSON text.
        Json = "json",
    }
}

named! {
    /// What happens to text that is not valid UTF-8.
    TextPolicy {
        /// Each bad sequence becomes U+FFFD, counted; exact bytes go as hex into the twin column.
        Replace = "replace",
        /// The stream fails.
        Fail = "fail",
    }
}

/// How files are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum FileFormat {
    /// Comma separated values: every column is text.
    Csv(Csv),
    /// One JSON object per line.
    Jsonl,
    /// Apache Parquet.
    Parquet,
}

/// A CSV dialect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Csv {
    /// Between fields; one ASCII character.
    pub delimiter: char,
    /// Around fields; one ASCII character.
    pub quote: char,
    /// Whether the first record names the columns; they are `column_1`… otherwise.
    pub header: bool,
    /// An unquoted field of this text is NULL.
    pub null: Option<String>,
}

impl Default for Csv {
    fn default() -> Self {
        Self { delimiter: ',', quote: '"', header: true, null: None }
    }
}

/// How files are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Files {
    /// A file is closed when it has grown to this many bytes.
    pub size: u64,
    /// How pages are compressed.
    pub compression: Compression,
}

impl Default for Files {
    fn default() -> Self {
        Self { size: 256 << 20, compression: Compression::Zstd }
    }
}

named! {
    /// How Parquet pages are compressed.
    Compression {
        /// Small and quick to read: the default.
        Zstd = "zstd",
        /// Quicker to write, larger.
        Snappy = "snappy",
    }
}

/// Bounds of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Limits {
    /// Connections to the source at once, over all streams.
    pub parallel: u32,
    /// The worker's memory budget in bytes; from its control group where 0.
    pub memory: u64,
    /// Longest run in milliseconds.
    pub time_ms: u64,
    /// CPU of the worker's task in units of which 1024 are one CPU; the data plane's own where 0.
    #[serde(default, skip_serializing_if = "is_zero_u32")]
    pub cpu: u32,
    /// Ephemeral storage of the worker's task in bytes; the data plane's own where 0.
    #[serde(default, skip_serializing_if = "is_zero_u64")]
    pub disk: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero_u32(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero_u64(number: &u64) -> bool {
    *number == 0
}

impl Default for Limits {
    fn default() -> Self {
        Self { parallel: 2, memory: 0, time_ms: 24 * 60 * 60 * 1000, cpu: 0, disk: 0 }
    }
}

macro_rules! default_first {
    ($($name:ident),+) => { $(impl Default for $name {
        fn default() -> Self { Self::ALL[0] }
    })+ };
}
default_first!(TlsMode, NullCursor, EdgePolicy, ArrayPolicy, TextPolicy, Compression);
