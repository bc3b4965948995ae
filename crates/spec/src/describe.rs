//! What a pipeline does to rows on their way, in words: made from its plan alone, the same for the same plan.
//!
//! One fact for each key that changes which rows arrive, what is in them or what becomes of the table, also where the key is not
//! written: then what holds in its place. It looks nothing up, and holds no secret and no value but what the pipeline file says.

mod markdown;
mod stream;
#[cfg(test)]
mod tests;

use waybill_model::plan::{Endpoint, Files, Format, Plan, RUN_DAY, System};
use waybill_model::size::show_bytes;

use crate::diagnostic::visible;

pub use markdown::markdown;

/// A pipeline in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Its name.
    pub pipeline: String,
    /// Where rows come from.
    pub from: End,
    /// Where they land.
    pub to: End,
    /// Its streams, in the plan's order.
    pub streams: Vec<Described>,
}

/// One end of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The connection's name.
    pub connection: String,
    /// Its kind: `postgres`, `s3`.
    pub kind: String,
    /// Which server, file or bucket.
    pub place: String,
}

/// A stream in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its name.
    pub stream: String,
    /// What holds of it, in the order in which it happens to a row.
    pub facts: Vec<Fact>,
}

/// One thing that holds of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Where on the way it happens.
    pub part: Part,
    /// The key of the pipeline file that says it, or that would.
    pub key: String,
    /// Whether the pipeline says other than what holds where the key is absent.
    pub is_set: bool,
    /// What holds.
    pub text: String,
}

/// Where on a row's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Which rows and columns are read.
    Read,
    /// What becomes of values.
    Values,
    /// What is expected of the rows.
    Expected,
    /// How they come into the table.
    Table,
}

impl Part {
    /// As it stands in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Values => "values",
            Self::Expected => "expected",
            Self::Table => "table",
        }
    }

    /// As it stands above its facts.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Read => "What is read",
            Self::Values => "What becomes of values",
            Self::Expected => "What is expected",
            Self::Table => "How it comes into the table",
        }
    }
}

/// The pipeline of a plan, in words.
#[must_use]
pub fn describe(plan: &Plan) -> Description {
    let streams =
        plan.streams.iter().map(|one| Described { stream: one.name.clone(), facts: stream::facts(one, plan) });
    Description {
        pipeline: plan.pipeline.clone(),
        from: end(&plan.from),
        to: end(&plan.to),
        streams: streams.collect(),
    }
}

fn end(endpoint: &Endpoint) -> End {
    let (system, connection) = (&endpoint.system, endpoint.connection.clone());
    End { connection, kind: system.kind().to_owned(), place: system.place() }
}

fn fact(part: Part, key: &str, is_set: bool, text: impl Into<String>) -> Fact {
    Fact { part, key: key.to_owned(), is_set, text: text.into() }
}

/// How the files of a table are written; a database has none.
fn of_files(files: &Files, to: &System) -> Vec<Fact> {
    if to.is_database() {
        return Vec::new();
    }
    let usual = Files::of(files.format);
    let format = match files.format {
        Format::Delta => "a Delta table of Parquet files",
        Format::ParquetFiles => "Parquet files with Waybill's own commit log",
        Format::Csv => "CSV files with Waybill's own commit log",
        Format::Jsonl => "JSON Lines files with Waybill's own commit log",
    };
    let by = match files.partition_by.as_slice() {
        [] => "rows are kept apart by no column".to_owned(),
        columns => {
            let named = |column: &String| {
                if column == RUN_DAY { "the day of the run (UTC)".to_owned() } else { ticked(column) }
            };
            format!("rows are kept in files apart by {}", columns.iter().map(named).collect::<Vec<_>>().join(", "))
        }
    };
    vec![
        fact(Part::Table, "files.format", files.format != Format::default(), format),
        fact(Part::Table, "files.partition-by", !files.partition_by.is_empty(), by),
        fact(
            Part::Table,
            "files.compression",
            files.compression != usual.compression,
            format!("compressed with {}", files.compression),
        ),
        fact(
            Part::Table,
            "files.size",
            files.size != usual.size,
            format!("a file is closed at about {}", show_bytes(files.size)),
        ),
    ]
}

/// A name as Markdown shows it letter by letter, whatever is in it; what would end the line, turn it or move a terminal is shown by its number.
fn ticked(name: &str) -> String {
    let name: String = name.chars().flat_map(visible).collect();
    let longest = name.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    if longest == 0 {
        return format!("`{name}`");
    }
    let fence = "`".repeat(longest + 1);
    format!("{fence} {name} {fence}")
}

fn all(names: &[String]) -> String {
    names.iter().map(|name| ticked(name)).collect::<Vec<_>>().join(", ")
}
