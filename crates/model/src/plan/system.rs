//! The systems that a worker can reach: what each needs to be found, and references to what it logs in with.

use serde::{Deserialize, Serialize};

use super::{Azure, AzureAccess, Ca, Gcs, GcsAccess, Ssh};
use crate::run::named;
use crate::secret::SecretRef;

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
    /// A bucket of Google Cloud Storage.
    Gcs(Gcs),
}

impl System {
    /// Whether rows are written into tables of its own, and not into files.
    #[must_use]
    pub const fn is_database(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

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
            Self::Gcs(_) => "gcs",
        }
    }

    /// What tells the place of its rows from all others: neither who logs in nor how the way there is secured. Behind an SSH
    /// server a host may be another one.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Postgres(server) => {
                let behind = behind(server.ssh.as_ref());
                format!("postgres://{}:{}/{}{behind}", server.host, server.port, server.database)
            }
            Self::MySql(server) => {
                let behind = behind(server.ssh.as_ref());
                format!("mysql://{}:{}/{}{behind}", server.host, server.port, server.database)
            }
            Self::Sqlite { path } => format!("sqlite:{path}"),
            Self::Files(files) => format!("files:{}", files.url),
            Self::Local { path } => format!("local:{path}"),
            Self::S3(bucket) => format!("s3://{}/{}", bucket.bucket, bucket.prefix),
            Self::Azure(azure) => format!("azure://{}/{}/{}", azure.account, azure.container, azure.prefix),
            Self::Gcs(bucket) => format!("gs://{}/{}", bucket.bucket, bucket.prefix),
        }
    }
}

fn behind(ssh: Option<&Ssh>) -> String {
    ssh.map(|ssh| format!(" behind {}:{}", ssh.host, ssh.port)).unwrap_or_default()
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
    /// PEM certificate by which the worker proves itself; goes with `client-key`.
    #[serde(default, rename = "client-cert", skip_serializing_if = "Option::is_none")]
    pub client_cert: Option<SecretRef>,
    /// Its private key in PEM, without a passphrase.
    #[serde(default, rename = "client-key", skip_serializing_if = "Option::is_none")]
    pub client_key: Option<SecretRef>,
    /// The SSH server through which it is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<Ssh>,
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
    /// The CA to trust; the system's roots otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<Ca>,
    /// PEM certificate by which the worker proves itself; goes with `client-key`.
    #[serde(default, rename = "client-cert", skip_serializing_if = "Option::is_none")]
    pub client_cert: Option<SecretRef>,
    /// Its private key in PEM, without a passphrase.
    #[serde(default, rename = "client-key", skip_serializing_if = "Option::is_none")]
    pub client_key: Option<SecretRef>,
    /// The SSH server through which it is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<Ssh>,
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
    /// `file:///absolute/dir`, `s3://bucket/prefix`, `azure://account/container/prefix` or `gs://bucket/prefix`.
    pub url: String,
    /// Region, endpoint and keys where the URL is an `s3://` one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3Access>,
    /// Endpoint and credentials where the URL is an `azure://` one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azure: Option<AzureAccess>,
    /// Endpoint and credentials where the URL is a `gs://` one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gcs: Option<Box<GcsAccess>>,
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
    /// ARN of the customer's key of AWS KMS that objects are encrypted with; the bucket's default where absent.
    #[serde(default, rename = "kms-key", skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
}
