//! The keys of a connection, by type. Nothing else is taken: no driver option, no connection URL.

use waybill_model::plan::TlsMode;

use super::rule::{
    ACCOUNT, AWS_KEY, BUCKET, CLIENT, CONTAINER, ENDPOINT, FILES_URL, FINGERPRINT, FOREIGN, GCS_BUCKET, HOST, KMS_KEY,
    PATH, PREFIX, PROJECT, REGION, SCOPE, TENANT,
};
use super::{Key, Shape, Table, Tagged};

const S3_REGION: Key = Key::new("region", Shape::Text(REGION), "Region; the worker's own where absent.");
const S3_ENDPOINT: Key =
    Key::new("endpoint", Shape::Text(ENDPOINT), "Another service than AWS S3, as https://host:port.");
const STORE_ENDPOINT: Key = Key::new(
    "endpoint",
    Shape::Text(ENDPOINT),
    "Another service than AWS S3 or the public one of Azure or Google, as https://host:port.",
);
const AZURE_ENDPOINT: Key =
    Key::new("endpoint", Shape::Text(ENDPOINT), "Another endpoint than https://ACCOUNT.blob.core.windows.net.");
const AZURE_ACCOUNT_KEY: Key =
    Key::new("account-key", Shape::Secret, "Reference to one of the account's two keys: it opens the whole account.");
const AZURE_SAS: Key =
    Key::new("sas", Shape::Secret, "Reference to a shared access signature of the account or the container.");
const AZURE_TENANT: Key = Key::new("tenant", Shape::Text(TENANT), "Directory of the application in `client`.");
const AZURE_CLIENT: Key = Key::new(
    "client",
    Shape::Text(CLIENT),
    "Client id of an application, with `client-secret`; by itself the one of the worker's identities that is meant.",
);
const AZURE_CLIENT_SECRET: Key =
    Key::new("client-secret", Shape::Secret, "Reference to the application's secret. Goes with `tenant` and `client`.");
const AZURE_SCOPE: Key = Key::new(
    "encryption-scope",
    Shape::Text(SCOPE),
    "Encryption scope that objects are written in, such as one with a key of your own.",
);
const GCS_ENDPOINT: Key =
    Key::new("endpoint", Shape::Text(ENDPOINT), "Another endpoint than https://storage.googleapis.com.");
const GCS_SERVICE_ACCOUNT: Key = Key::new(
    "service-account",
    Shape::Secret,
    "Reference to the JSON text of a service account's key file; the worker's own identity where absent.",
);
const GCS_ANONYMOUS: Key = Key::new(
    "anonymous",
    Shape::Flag,
    "Nobody logs in: for what anybody may read, and for emulators. Excludes `service-account`.",
);
const GCS_KMS_KEY: Key = Key::new(
    "kms-key",
    Shape::Text(KMS_KEY),
    "Your key of Cloud KMS that objects are encrypted with, as projects/P/locations/L/keyRings/R/cryptoKeys/K.",
);
const GCS_BILLING: Key =
    Key::new("billing-project", Shape::Text(PROJECT), "Project that pays, where the bucket lets its callers pay.");
const S3_ACCESS_KEY: Key = Key::new(
    "access-key",
    Shape::Secret,
    "Reference to a static access key id; the worker's own role where absent. Goes with `secret-key`.",
);
const S3_KMS_KEY: Key = Key::new(
    "kms-key",
    Shape::Text(AWS_KEY),
    "ARN of your key of AWS KMS, or of its alias, that objects are encrypted with; the bucket's default where absent.",
);
const S3_SECRET_KEY: Key =
    Key::new("secret-key", Shape::Secret, "Reference to the secret key. Goes with `access-key`.");
const FILES_URL_DOC: &str =
    "file:///absolute/directory, s3://bucket/prefix, azure://account/container/prefix or gs://bucket/prefix.";
const SERVER_TLS: Key = Key::new(
    "tls",
    Shape::Choice(names!(TlsMode), &["verify-ca", "require", "prefer", "allow"]),
    "How the server proves who it is; verify-full where absent.",
);
const SERVER_CA: Key = Key::new(
    "ca",
    Shape::TextOrSecret(PATH),
    "CA to trust in place of the system's: a PEM file on the worker, or a reference to the PEM text.",
);
const SERVER_CLIENT_CERT: Key = Key::new(
    "client-cert",
    Shape::Secret,
    "Reference to the PEM certificate by which the worker proves itself to the server. Goes with `client-key`.",
);
const SERVER_CLIENT_KEY: Key = Key::new(
    "client-key",
    Shape::Secret,
    "Reference to its private key in PEM, without a passphrase. Goes with `client-cert`.",
);
const SERVER_SSH: Key =
    Key::new("ssh", Shape::Table(&SSH), "An SSH server through which the database is reached, as seen from there.");
static SSH: Table = Table {
    doc: "An SSH server between the worker and a database",
    keys: &[
        Key::must("host", Shape::Text(HOST), "Host name or address."),
        Key::new("port", Shape::Count(1, 65_535), "TCP port; 22 where absent."),
        Key::must("user", Shape::Text(FOREIGN), "Account to log in as."),
        Key::must("key", Shape::Secret, "Reference to the private key, without a passphrase."),
        Key::must(
            "host-key",
            Shape::Text(FINGERPRINT),
            "Fingerprint of the key that the server must show, as SHA256:…; of an Ed25519 or ECDSA key.",
        ),
    ],
};
const TYPE: Key = Key::must("type", Shape::Scalar, "What the system is.");

/// A system that a worker can reach.
pub(crate) static CONNECTION: Tagged = Tagged {
    doc: "A system that a worker can reach. Secrets stand here as references only: env://NAME, file:///path, \
          aws-sm://name#key, aws-ssm:///name or vault://mount/path#key.",
    types: &[
        (
            "postgres",
            Table {
                doc: "A PostgreSQL server, 14 or newer",
                keys: &[
                    TYPE,
                    Key::must("host", Shape::Text(HOST), "Host name or address."),
                    Key::new("port", Shape::Count(1, 65_535), "TCP port; 5432 where absent."),
                    Key::must("database", Shape::Text(FOREIGN), "Database name."),
                    Key::must("user", Shape::Text(FOREIGN), "Role to log in as."),
                    Key::new("password", Shape::Secret, "Reference to the password."),
                    SERVER_TLS,
                    SERVER_CA,
                    SERVER_CLIENT_CERT,
                    SERVER_CLIENT_KEY,
                    SERVER_SSH,
                ],
            },
        ),
        (
            "mysql",
            Table {
                doc: "A MariaDB server, 10.4 or newer, or MySQL 8",
                keys: &[
                    TYPE,
                    Key::must("host", Shape::Text(HOST), "Host name or address."),
                    Key::new("port", Shape::Count(1, 65_535), "TCP port; 3306 where absent."),
                    Key::must(
                        "database",
                        Shape::Text(FOREIGN),
                        "Database; streams without one of their own are looked for in it.",
                    ),
                    Key::must("user", Shape::Text(FOREIGN), "Account to log in as."),
                    Key::new("password", Shape::Secret, "Reference to the password."),
                    SERVER_TLS,
                    SERVER_CA,
                    SERVER_CLIENT_CERT,
                    SERVER_CLIENT_KEY,
                    SERVER_SSH,
                ],
            },
        ),
        (
            "sqlite",
            Table {
                doc: "A SQLite file that the worker can open",
                keys: &[
                    TYPE,
                    Key::must(
                        "path",
                        Shape::Text(PATH),
                        "Absolute path of the file, on the worker; `waybill-worker once` takes a relative one too.",
                    ),
                ],
            },
        ),
        (
            "files",
            Table {
                doc: "Files below a directory or a prefix in S3, Azure Blob Storage or Google Cloud Storage, as a source",
                keys: &[
                    TYPE,
                    Key::must("url", Shape::Text(FILES_URL), FILES_URL_DOC),
                    S3_REGION,
                    STORE_ENDPOINT,
                    S3_ACCESS_KEY,
                    S3_SECRET_KEY,
                    AZURE_ACCOUNT_KEY,
                    AZURE_SAS,
                    AZURE_TENANT,
                    AZURE_CLIENT,
                    AZURE_CLIENT_SECRET,
                    GCS_SERVICE_ACCOUNT,
                    GCS_ANONYMOUS,
                    GCS_BILLING,
                ],
            },
        ),
        (
            "local",
            Table {
                doc: "A local directory as a bucket",
                keys: &[
                    TYPE,
                    Key::must(
                        "path",
                        Shape::Text(PATH),
                        "Absolute path of the directory, on the worker; `waybill-worker once` takes a relative one too.",
                    ),
                ],
            },
        ),
        (
            "s3",
            Table {
                doc: "An S3 bucket as a destination",
                keys: &[
                    TYPE,
                    Key::must("bucket", Shape::Text(BUCKET), "The bucket's name."),
                    Key::new("prefix", Shape::Text(PREFIX), "What every key begins with, without slashes at its ends."),
                    S3_REGION,
                    S3_ENDPOINT,
                    S3_ACCESS_KEY,
                    S3_SECRET_KEY,
                    S3_KMS_KEY,
                ],
            },
        ),
        (
            "azure",
            Table {
                doc: "A container of Azure Blob Storage as a destination",
                keys: &[
                    TYPE,
                    Key::must("account", Shape::Text(ACCOUNT), "The storage account's name."),
                    Key::must("container", Shape::Text(CONTAINER), "The container's name."),
                    Key::new("prefix", Shape::Text(PREFIX), "What every key begins with, without slashes at its ends."),
                    AZURE_ENDPOINT,
                    AZURE_ACCOUNT_KEY,
                    AZURE_SAS,
                    AZURE_TENANT,
                    AZURE_CLIENT,
                    AZURE_CLIENT_SECRET,
                    AZURE_SCOPE,
                ],
            },
        ),
        (
            "gcs",
            Table {
                doc: "A bucket of Google Cloud Storage as a destination",
                keys: &[
                    TYPE,
                    Key::must("bucket", Shape::Text(GCS_BUCKET), "The bucket's name."),
                    Key::new("prefix", Shape::Text(PREFIX), "What every key begins with, without slashes at its ends."),
                    GCS_ENDPOINT,
                    GCS_SERVICE_ACCOUNT,
                    GCS_ANONYMOUS,
                    GCS_KMS_KEY,
                    GCS_BILLING,
                ],
            },
        ),
    ],
    later: &["http", "salesforce", "sftp", "mongodb", "snowflake", "bigquery"],
    short: false,
};

/// Options of drivers and of other tools, without case, `-` and `_`, and what stands for them here.
const REFUSED: &[(&str, &str)] = &[
    ("sslmode", "write `tls: verify-full`, the default"),
    ("sslrootcert", "write `ca: /path/of/the/ca.pem`"),
    ("dsn", ""),
    ("uri", ""),
    ("url", ""),
    ("connectionstring", ""),
    ("jdbcurl", ""),
    ("options", ""),
    ("params", ""),
    ("properties", ""),
    ("extra", ""),
    ("socket", "connections go over TCP: write `host` and `port`"),
    ("unixsocket", "connections go over TCP: write `host` and `port`"),
    ("hostaddr", "write `host`"),
    ("driver", ""),
    ("driverclass", ""),
    ("allowloadlocalinfile", ""),
    ("localinfile", ""),
    ("allowpublickeyretrieval", ""),
    ("autodeserialize", ""),
    ("applicationname", ""),
    ("searchpath", "name the schema in the stream: `schema.table`"),
    ("targetsessionattrs", ""),
    ("service", ""),
    ("passfile", "write `password: file:///path`"),
    ("sslcert", "write `client-cert: file:///path`, or another reference to the PEM text"),
    ("sslkey", "write `client-key: file:///path`, or another reference to the PEM text"),
    ("channelbinding", ""),
    ("verifyssl", "certificates are always verified"),
    ("verify", "certificates are always verified"),
    ("insecure", "certificates are always verified"),
    ("saskey", "write `sas: env://NAME`"),
    ("accountname", "write `account`"),
    ("pathstyle", "it is used by itself where `endpoint` is given"),
];

/// Whether a key is some driver's option; with what to write in its place.
pub(crate) fn refused_option(key: &str) -> Option<&'static str> {
    let key: String = key.chars().filter(|c| !matches!(c, '-' | '_')).take(64).collect::<String>().to_lowercase();
    let (_, instead) = REFUSED.iter().find(|(name, _)| *name == key)?;
    Some(if instead.is_empty() {
        "a connection takes only its own keys: host, port, database, user and so on"
    } else {
        instead
    })
}
