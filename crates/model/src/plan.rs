//! A plan: one pipeline of a validated spec with its two connections, as the worker gets it.
//!
//! Its canonical form is JSON with keys in declared order. It holds references to secrets, never a secret.
//! `spec` makes plans from YAML and is the only place that explains mistakes; reading one here refuses unknown keys.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::run::named;

mod azure;
mod bad_rows;
mod ca;
mod checksums;
mod csv;
mod encoding;
mod expect;
mod gcs;
mod limits;
mod lone;
mod regions;
mod secrets;
mod ssh;
mod system;
mod target;

pub use azure::{Azure, AzureAccess, azure_place};
pub use bad_rows::{BAD_ROWS_SHARE, BadRows};
pub use ca::Ca;
pub use checksums::Checksums;
pub use csv::{Csv, CsvType, NoCsvType};
pub use encoding::{Encoding, Json};
pub use expect::{Bound, Check, Expectation, OnFailure, Range, RowCount};
pub use gcs::{Gcs, GcsAccess, gcs_place};
pub use limits::{Architecture, Limits};
pub use lone::Side;
pub use regions::PlanRegion;
pub use secrets::PlanSecret;
pub use ssh::{Fingerprint, NoFingerprint, Ssh};
pub use system::{FileSource, MySql, Postgres, S3, S3Access, System, TlsMode};

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

/// One table, object or file set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StreamPlan {
    /// `schema.table` or `table` in a database; a path or a glob below the URL for files. Also names the table directory.
    pub name: String,
    /// What a run brings.
    pub load: Load,
    /// The column that tells new rows; `load: new` and `changed` need it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
    /// Source columns that tell a row of a `changed` stream from all others; the source's primary key where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
    /// What becomes of the table's rows whose key the source has no more, for `changed`.
    #[serde(default, skip_serializing_if = "Deletes::is_keep")]
    pub deletes: Deletes,
    /// Which columns, under which names.
    #[serde(default, skip_serializing_if = "Columns::is_all")]
    pub columns: Columns,
    /// What becomes of a column that the source has and the table, which is there already, has not; told by the load where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_columns: Option<NewColumns>,
    /// What becomes of a file that was rewritten after a run took it, for `new` streams of files.
    #[serde(default, skip_serializing_if = "ChangedFiles::is_fail")]
    pub changed_files: ChangedFiles,
    /// What becomes of a row of a text file that can't be read as a row of the stream.
    #[serde(default, skip_serializing_if = "BadRows::is_fail")]
    pub bad_rows: BadRows,
    /// Of the rows that are read no more than this share may be set aside, in percent; 0 allows any.
    #[serde(default = "bad_rows::bad_rows_share", skip_serializing_if = "bad_rows::is_bad_rows_share")]
    pub bad_rows_share: u8,
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
    /// Columns whose values both ends sum, to be compared before the commit.
    #[serde(default, skip_serializing_if = "Checksums::is_off")]
    pub checksums: Checksums,
    /// What its rows are expected to be, in the order of their numbers from 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<Expectation>,
    /// A replace must keep at least this share of the rows, in percent; 0 turns the guard off.
    #[serde(default = "shrink_guard")]
    pub shrink_guard: u8,
    /// Accept a table that something else made, that belongs to another pipeline, or whose cursor is of another source, filter or zone.
    #[serde(default)]
    pub take_over: bool,
    /// The table of a database that rows are written to, as `schema.table`; the stream's own name where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// How the files are read, for file sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<FileFormat>,
}

impl StreamPlan {
    /// Expectations that keep something of every row while a run goes on.
    #[must_use]
    pub fn uniques(&self) -> usize {
        self.expect.iter().filter(|one| matches!(one.check, Check::Unique(_))).count()
    }
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
        /// Rows whose cursor is in the next window; each takes the place of the row with its key.
        Changed = "changed",
    }
}

impl Load {
    /// Whether a run takes one window of a cursor, and not all rows.
    #[must_use]
    pub const fn has_window(self) -> bool {
        matches!(self, Self::New | Self::Changed)
    }
}

named! {
    /// What becomes of the rows of a `changed` stream whose key the source has no more.
    Deletes {
        /// They stay as they were when a run last saw them; the source is not asked.
        Keep = "keep",
        /// They stay, with the time of the run that missed them in a column of their own.
        Mark = "mark",
        /// They go.
        Remove = "remove",
    }
}

impl Deletes {
    /// Whether nothing is looked for.
    #[must_use]
    pub fn is_keep(&self) -> bool {
        *self == Self::Keep
    }
}

named! {
    /// What becomes of a column that the source has and the table, which is there already, has not.
    NewColumns {
        /// The stream fails until somebody has decided.
        Ask = "ask",
        /// The table gets it; rows that are there already have NULL in it.
        Add = "add",
        /// It is left out.
        Ignore = "ignore",
    }
}

named! {
    /// What becomes of a file that was rewritten after a run of a `new` stream took it.
    ChangedFiles {
        /// The stream fails: rows of the file are in the table as it was.
        Fail = "fail",
        /// All its rows come again, beside those that it had.
        Append = "append",
        /// It is left as it was taken.
        Ignore = "ignore",
    }
}

impl ChangedFiles {
    /// Whether it is what is taken where nothing is said.
    #[must_use]
    pub fn is_fail(&self) -> bool {
        *self == Self::Fail
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

impl Cursor {
    /// The margin that holds for a server, whose clock and sessions are not read at one moment.
    #[must_use]
    pub fn server_margin_ms(&self) -> u64 {
        self.margin_ms.max(1_000)
    }
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
    /// Source name to the type that the column has in the table; those of the source where absent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cast: BTreeMap<String, CsvType>,
}

impl Columns {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.select.is_empty() && self.drop.is_empty() && self.rename.is_empty() && self.cast.is_empty()
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
    /// Comma separated values: columns are text, or of the types that the spec gives them.
    Csv(Csv),
    /// One JSON object per line.
    Jsonl(Json),
    /// One JSON array of objects.
    Json(Json),
    /// Apache Parquet.
    Parquet,
}

named! {
    /// What is written, and which commit log stands beside it.
    Format {
        /// A Delta table of Parquet files: the default.
        Delta = "parquet",
        /// Parquet files with the plain commit log.
        ParquetFiles = "parquet-files",
        /// Comma separated values with the plain commit log.
        Csv = "csv",
        /// One JSON object per line, with the plain commit log.
        Jsonl = "jsonl",
    }
}

impl Format {
    /// Whether its files are Parquet.
    #[must_use]
    pub const fn is_parquet(self) -> bool {
        matches!(self, Self::Delta | Self::ParquetFiles)
    }

    /// How its files are compressed where nothing is said: the way that most of its readers know.
    #[must_use]
    pub const fn compression(self) -> Compression {
        if self.is_parquet() { Compression::Zstd } else { Compression::Gzip }
    }

    /// Whether its files can be compressed so.
    #[must_use]
    pub const fn takes(self, compression: Compression) -> bool {
        match compression {
            Compression::Zstd => true,
            Compression::Snappy => self.is_parquet(),
            Compression::Gzip | Compression::None => !self.is_parquet(),
        }
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How files are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Files {
    /// What is written. The default does not stand in the canonical form, which is then what it was before there were others.
    #[serde(skip_serializing_if = "Format::is_default")]
    pub format: Format,
    /// A file is closed when it has grown to this many bytes.
    pub size: u64,
    /// How pages, or whole files of text, are compressed.
    pub compression: Compression,
    /// Columns of the table by whose values rows are kept in files apart, or [`RUN_DAY`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub partition_by: Vec<String>,
}

/// What stands in [`Files::partition_by`] for the day of the run, in UTC, which becomes a column `run_day`.
pub const RUN_DAY: &str = "run.day";

impl Default for Files {
    fn default() -> Self {
        Self::of(Format::default())
    }
}

impl Files {
    /// Of this format, and otherwise as where nothing is said.
    #[must_use]
    pub const fn of(format: Format) -> Self {
        Self { format, size: 256 << 20, compression: format.compression(), partition_by: Vec::new() }
    }
}

named! {
    /// How what is written is compressed.
    Compression {
        /// Small and quick to read: the default of Parquet.
        Zstd = "zstd",
        /// Quicker to write, larger; Parquet only.
        Snappy = "snappy",
        /// What every reader of text files knows: the default of CSV and JSON Lines, and theirs only.
        Gzip = "gzip",
        /// Not at all; CSV and JSON Lines only.
        None = "none",
    }
}

impl FileFormat {
    /// The encoding of its text; none where it is no text.
    #[must_use]
    pub const fn encoding(&self) -> Option<Encoding> {
        match self {
            Self::Csv(csv) => Some(csv.encoding),
            Self::Jsonl(json) | Self::Json(json) => Some(json.encoding),
            Self::Parquet => None,
        }
    }
}

macro_rules! default_first {
    ($($name:ident),+) => { $(impl Default for $name {
        fn default() -> Self { Self::ALL[0] }
    })+ };
}
default_first!(
    TlsMode,
    BadRows,
    Deletes,
    ChangedFiles,
    Encoding,
    OnFailure,
    NullCursor,
    EdgePolicy,
    ArrayPolicy,
    TextPolicy,
    Format,
    Compression,
    Architecture
);
