//! Settings of streams that do nothing for what is read: each is refused where it stands, never accepted and ignored.
//!
//! One that stands in `every-stream` is refused where it does nothing for any of the streams.

use super::stream::{End, format_of, of};
use crate::diagnostic::{Code, Findings};
use crate::tree::{Entry, Node};

/// What one stream reads, as far as settings differ by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    Postgres,
    MySql,
    Sqlite,
    /// CSV of text only, or JSON.
    Lines,
    /// The same with columns of other types, or that are cast.
    Typed,
    Parquet,
}

/// None where the source or the format is not known.
fn reads(entry: &Entry, defaults: Option<&Node>, end: Option<End>) -> Option<Reads> {
    match end? {
        End::Postgres => Some(Reads::Postgres),
        End::MySql => Some(Reads::MySql),
        End::Sqlite => Some(Reads::Sqlite),
        End::Files => match format_of(entry, defaults)? {
            "parquet" => Some(Reads::Parquet),
            "csv" | "jsonl" | "json" if has_types(entry, defaults) || has_casts(entry, defaults) => Some(Reads::Typed),
            "csv" | "jsonl" | "json" => Some(Reads::Lines),
            _ => None,
        },
    }
}

/// Whether columns are cast, so that values may not fit.
fn has_casts(entry: &Entry, defaults: Option<&Node>) -> bool {
    let columns = entry.value.get("columns").or_else(|| defaults?.get("columns"));
    columns.and_then(|columns| columns.value.get("cast")).is_some_and(|cast| !cast.value.entries().is_empty())
}

fn has_types(entry: &Entry, defaults: Option<&Node>) -> bool {
    let format = entry.value.get("format").or_else(|| defaults?.get("format"));
    format.and_then(|format| format.value.get("types")).is_some_and(|types| !types.value.entries().is_empty())
}

/// What the setting would need, where it does nothing for what is read.
fn needs(key: &str, value: Option<&str>, reads: Reads) -> Option<&'static str> {
    match (key, reads) {
        ("format", Reads::Postgres | Reads::MySql | Reads::Sqlite) => Some("it says how files are read"),
        ("changed-files", Reads::Postgres | Reads::MySql | Reads::Sqlite) => {
            Some("it is for files that were rewritten")
        }
        ("bad-rows" | "bad-rows-share", Reads::Postgres | Reads::MySql | Reads::Sqlite | Reads::Parquet) => {
            Some("it is for lines of CSV and JSON that are no rows")
        }
        ("arrays", Reads::MySql | Reads::Sqlite | Reads::Lines | Reads::Typed | Reads::Parquet) => {
            Some("it is for arrays of PostgreSQL")
        }
        ("edge-values", Reads::Lines) => {
            Some("CSV without `types` and JSON without `columns.cast` hold no value that their columns can't")
        }
        ("edge-values", Reads::Sqlite | Reads::Typed | Reads::Parquet) if value == Some("sentinel") => {
            Some("`sentinel` is for dates and times of PostgreSQL and MySQL: write twin, fail or null")
        }
        ("checksums", Reads::Sqlite | Reads::Lines | Reads::Typed | Reads::Parquet) => {
            Some("only PostgreSQL, MariaDB and MySQL compute sums of their columns")
        }
        ("invalid-text", Reads::Parquet) => Some("a Parquet file with such text is refused as a whole"),
        _ => None,
    }
}

/// The stream's own settings.
pub(super) fn check_own(entry: &Entry, defaults: Option<&Node>, end: Option<End>, found: &mut Findings) {
    let Some(reads) = reads(entry, defaults, end) else { return };
    for setting in entry.value.entries() {
        if let Some(needs) = needs(&setting.key, setting.value.scalar(), reads) {
            refuse(setting, &of(entry), needs, found);
        }
    }
}

/// The settings that all streams share.
pub(super) fn check_shared(defaults: Option<&Node>, streams: &[Entry], end: Option<End>, found: &mut Findings) {
    let all: Option<Vec<Reads>> = streams.iter().map(|stream| reads(stream, defaults, end)).collect();
    let Some(all) = all.filter(|all| !all.is_empty()) else { return };
    for setting in defaults.map_or(&[][..], Node::entries) {
        let why: Vec<_> = all.iter().filter_map(|reads| needs(&setting.key, setting.value.scalar(), *reads)).collect();
        if let (Some(needs), true) = (why.first(), why.len() == all.len()) {
            refuse(setting, "every stream", needs, found);
        }
    }
}

fn refuse(setting: &Entry, of: &str, needs: &str, found: &mut Findings) {
    let message = format!("`{}` of {of} does nothing here", setting.key);
    found.suggest(Code::WrongEnd, setting.at, message, format!("remove it: {needs}"));
}
