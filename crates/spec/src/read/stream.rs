//! Streams: load and cursor, filter, policies, and what a kind of source can't do.

use std::collections::BTreeMap;

use waybill_model::plan::{
    BAD_ROWS_SHARE, ChangedFiles, Condition, Csv, CsvType, Cursor, Deletes, FileFormat, Json, Load, Op, StreamPlan,
    System,
};

use super::checksums::read_checksums;
use super::columns::read_columns;
use super::effect::check_own;
use super::expect::read_expectations;
use super::pipeline::millis;
use super::{Settings, twice};
use crate::check::read_share;
use crate::diagnostic::{Code, Findings, show};
use crate::glob::is_glob;
use crate::tree::{Entry, Node, Span, Value, is_decimal};

/// The kind of source, as far as streams differ by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Tables of PostgreSQL.
    Postgres,
    /// Tables of MariaDB and MySQL.
    MySql,
    /// Tables of SQLite.
    Sqlite,
    /// File sets.
    Files,
}

impl End {
    /// None where the source is not known.
    pub(super) fn of(system: Option<&System>) -> Option<Self> {
        match system? {
            System::Postgres(_) => Some(Self::Postgres),
            System::MySql(_) => Some(Self::MySql),
            System::Sqlite { .. } => Some(Self::Sqlite),
            System::Files(_) => Some(Self::Files),
            System::Local { .. } | System::S3(_) | System::Azure(_) | System::Gcs(_) => None,
        }
    }

    /// Whether it computes sums of its columns.
    const fn can_sum(self) -> bool {
        matches!(self, Self::Postgres | Self::MySql)
    }

    const fn has_tables(self) -> bool {
        matches!(self, Self::Postgres | Self::MySql | Self::Sqlite)
    }
}

/// One stream with the defaults merged in.
pub(super) fn read_stream(
    entry: &Entry,
    defaults: Option<&Node>,
    end: Option<End>,
    found: &mut Findings,
) -> StreamPlan {
    let keys = Settings { own: &entry.value, fallback: defaults };
    let load = keys.parsed("load").unwrap_or(Load::Full);
    check_name(entry, end, found);
    let cursor = read_cursor(entry, keys, (end, load), found);
    let key = read_key(entry, keys, load, found);
    let deletes = read_deletes(entry, keys, load, found);
    let expect = read_expectations(keys.node("expect"), found);
    let looked_at = expect.iter().flat_map(|one| one.check.columns()).map(|column| ("expected", column));
    let checksums = read_checksums(entry, keys, end.is_none_or(End::can_sum), found);
    let summed = checksums.named().iter().map(|column| ("summed", column.as_str()));
    let needed = key.iter().map(|column| ("key", column.as_str())).chain(looked_at).chain(summed);
    let column = cursor.iter().filter(|cursor| !is_transaction(end, &cursor.column));
    let needed: Vec<_> = column.map(|cursor| ("cursor", cursor.column.as_str())).chain(needed).collect();
    check_files(entry, keys, (end, load), found);
    check_own(entry, defaults, end, found);
    let columns = read_columns(entry, keys.node("columns"), &needed, found);
    StreamPlan {
        name: entry.key.clone(),
        load,
        columns,
        cursor,
        key,
        deletes,
        filter: keys
            .node("filter")
            .map_or(&[][..], Node::list)
            .iter()
            .filter_map(|node| condition(node, found))
            .collect(),
        new_columns: keys.parsed("new-columns"),
        changed_files: read_changed_files(entry, keys, (end, load), found),
        bad_rows: keys.parsed("bad-rows").unwrap_or_default(),
        bad_rows_share: keys.text("bad-rows-share").and_then(read_share).unwrap_or(BAD_ROWS_SHARE),
        edge_values: keys.parsed("edge-values").unwrap_or_default(),
        arrays: keys.parsed("arrays").unwrap_or_default(),
        invalid_text: keys.parsed("invalid-text").unwrap_or_default(),
        verify_count: keys.flag("verify-count"),
        checksums,
        expect,
        shrink_guard: keys.text("shrink-guard").and_then(read_share).unwrap_or(50),
        take_over: keys.flag("take-over"),
        table: keys.owned("table"),
        format: keys.node("format").and_then(format).filter(|_| !end.is_some_and(End::has_tables)),
    }
}

pub(super) fn of(entry: &Entry) -> String {
    format!("stream {}", show(&entry.key))
}

fn check_name(entry: &Entry, end: Option<End>, found: &mut Findings) {
    let name = entry.key.as_str();
    if end.is_some_and(End::has_tables) && is_glob(name) {
        let message = format!("globs over tables are not built yet: {}", show(name));
        found.suggest(
            Code::NotBuiltYet,
            entry.at,
            message,
            "name each table: `waybill connection discover` lists them",
        );
    }
    let odd = name.starts_with('/') || name.split('/').any(|part| matches!(part, "" | "." | ".."));
    if end == Some(End::Files) && odd {
        let message = format!("{} can't have this name", of(entry));
        found.suggest(
            Code::Name,
            entry.at,
            message,
            "write a path or glob below the connection's URL, without `.` or `..`",
        );
    }
}

/// The cursor of a `new` or `changed` stream. One that stands in the defaults is no mistake for a `full` stream; its own one is.
fn read_cursor(
    entry: &Entry,
    keys: Settings<'_>,
    (end, load): (Option<End>, Load),
    found: &mut Findings,
) -> Option<Cursor> {
    if !load.has_window() {
        for key in ["cursor", "cursor-zone", "cursor-nulls", "cursor-margin"] {
            if let Some(at) = keys.own_place(key) {
                let message = format!("`{key}` of {} has no meaning with `load: {load}`", of(entry));
                found.suggest(Code::Cursor, at, message, "remove it, or write `load: new` or `changed`");
            }
        }
        return None;
    }
    // What is new of files is told by the files themselves.
    if end == Some(End::Files) {
        for key in ["cursor", "cursor-zone", "cursor-nulls", "cursor-margin"] {
            if let Some(at) = keys.own_place(key) {
                let message = format!("`{key}` of {} has no meaning for files", of(entry));
                found.suggest(Code::Cursor, at, message, "remove it: a file that no run has taken yet is new");
            }
        }
        return None;
    }
    let Some(column) = keys.owned("cursor") else {
        if keys.node("cursor").is_none() {
            let at = keys.own_place("load").unwrap_or(entry.at);
            let message = format!("`load: {load}` of {} needs a cursor", of(entry));
            found.suggest(
                Code::Cursor,
                at,
                message,
                format!("name the column that tells {load} rows: `cursor: updated_at`"),
            );
        }
        return None;
    };
    if is_transaction(end, &column) {
        for key in ["cursor-zone", "cursor-nulls", "cursor-margin"] {
            if let Some(at) = keys.own_place(key) {
                let message = format!("`{key}` of {} has no meaning with `cursor: {TRANSACTION}`", of(entry));
                found.suggest(
                    Code::Cursor,
                    at,
                    message,
                    "remove it: the transaction that wrote a row has no zone, NULL or margin",
                );
            }
        }
    }
    Some(Cursor {
        column,
        zone: keys.owned("cursor-zone"),
        nulls: keys.parsed("cursor-nulls").unwrap_or_default(),
        margin_ms: keys.text("cursor-margin").and_then(millis).unwrap_or(2_000),
    })
}

/// A cursor on Postgres that is no column: the transaction that wrote a row. No column of a table there can bear its name.
const TRANSACTION: &str = "xmin";

fn is_transaction(end: Option<End>, column: &str) -> bool {
    end == Some(End::Postgres) && column == TRANSACTION
}

/// The key of a `changed` stream; the source's primary key where it is empty. One that stands in the defaults is no mistake
/// for another stream; its own one is.
fn read_key(entry: &Entry, keys: Settings<'_>, load: Load, found: &mut Findings) -> Vec<String> {
    if load != Load::Changed {
        if let Some(at) = keys.own_place("key") {
            let message = format!("`key` of {} has no meaning with `load: {load}`", of(entry));
            found.suggest(Code::Key, at, message, "remove it, or write `load: changed`");
        }
        return Vec::new();
    }
    let columns = keys.texts("key");
    let at = keys.own_place("key").unwrap_or(entry.at);
    if columns.is_empty() && keys.node("key").is_some() {
        let message = format!("`key` of {} names no column", of(entry));
        found.suggest(
            Code::Key,
            at,
            message,
            "name the columns of a unique index, or remove it: the primary key is the default",
        );
    }
    for (name, at) in twice(&columns) {
        found.add(Code::Key, *at, format!("`key` of {} names {} twice", of(entry), show(name)));
    }
    columns.into_iter().map(|(name, _)| name).collect()
}

/// What a `changed` stream does with rows that the source has no more. As with `key`, only its own one is a mistake elsewhere.
fn read_deletes(entry: &Entry, keys: Settings<'_>, load: Load, found: &mut Findings) -> Deletes {
    if load == Load::Changed {
        return keys.parsed("deletes").unwrap_or_default();
    }
    if let Some(at) = keys.own_place("deletes") {
        let message = format!("`deletes` of {} has no meaning with `load: {load}`", of(entry));
        found.suggest(Code::Key, at, message, "remove it, or write `load: changed`");
    }
    Deletes::default()
}

/// What a `new` stream of files does with one that was rewritten. As with `key`, only its own one is a mistake elsewhere.
fn read_changed_files(
    entry: &Entry,
    keys: Settings<'_>,
    (end, load): (Option<End>, Load),
    found: &mut Findings,
) -> ChangedFiles {
    if load == Load::New && end.is_none_or(|end| end == End::Files) {
        return keys.parsed("changed-files").unwrap_or_default();
    }
    if let Some(at) = keys.own_place("changed-files").filter(|_| end == Some(End::Files)) {
        let message = format!("`changed-files` of {} has no meaning with `load: {load}`", of(entry));
        found.suggest(Code::WrongEnd, at, message, "remove it, or write `load: new`");
    }
    ChangedFiles::default()
}

/// What files can't do yet, and what must be told of them.
fn check_files(entry: &Entry, keys: Settings<'_>, (end, load): (Option<End>, Load), found: &mut Findings) {
    if end != Some(End::Files) {
        return;
    }
    if load == Load::Changed {
        let at = keys.own_place("load").unwrap_or(entry.at);
        let message = format!("`load: {load}` for files is not built yet ({})", of(entry));
        found.suggest(Code::NotBuiltYet, at, message, "files have `load: full` and `new`");
    }
    if keys.node("format").is_none() && format_by_name(&entry.key).is_none() {
        let message = format!("`format` is missing in {}: its name does not tell it", of(entry));
        found.suggest(Code::MissingField, entry.at, message, "write `format: csv`, jsonl, json or parquet");
    }
}

/// The format that a stream of files is read as: what is written, or else what its name tells.
pub(super) fn format_of<'n>(entry: &'n Entry, defaults: Option<&'n Node>) -> Option<&'n str> {
    let keys = Settings { own: &entry.value, fallback: defaults };
    match keys.node("format") {
        Some(node) => node.scalar().or_else(|| Settings::of(node).text("type")),
        None => format_by_name(&entry.key),
    }
}

/// The format that the last part of a path or glob tells.
fn format_by_name(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let bare = [".gz", ".zst", ".zip"].iter().find_map(|packed| name.strip_suffix(packed)).unwrap_or(&name);
    let endings =
        [(".csv", "csv"), (".jsonl", "jsonl"), (".ndjson", "jsonl"), (".json", "json"), (".parquet", "parquet")];
    endings.iter().find(|(ending, _)| bare.ends_with(ending)).map(|(_, format)| *format)
}

fn condition(node: &Node, found: &mut Findings) -> Option<Condition> {
    let keys = Settings::of(node);
    let op: Op = keys.parsed("op")?;
    let tests_null = matches!(op, Op::IsNull | Op::NotNull);
    let at = keys.own_place("op").unwrap_or(node.span);
    match (tests_null, keys.own_place("value")) {
        (true, Some(at)) => {
            found.suggest(Code::BadValue, at, format!("`op: {op}` takes no value"), "remove `value`");
        }
        (false, None) => {
            let message = format!("`op: {op}` needs a value");
            found.suggest(Code::MissingField, at, message, "add `value`, or use is_null or not_null");
        }
        _ => {}
    }
    let text = matches!(keys.node("value").map(|node| &node.value),
        Some(Value::Scalar { text, plain: false }) if is_decimal(text));
    Some(Condition { column: keys.owned("column")?, op, value: keys.owned("value"), text })
}

fn format(node: &Node) -> Option<FileFormat> {
    let keys = Settings::of(node);
    let name = if matches!(node.value, Value::Map(_)) { keys.text("type")? } else { node.scalar()? };
    let encoding = keys.parsed("encoding").unwrap_or_default();
    match name {
        "csv" => {
            let default = Csv::default();
            Some(FileFormat::Csv(Csv {
                delimiter: keys.parsed("delimiter").unwrap_or(default.delimiter),
                quote: keys.parsed("quote").unwrap_or(default.quote),
                header: keys.parsed("header").unwrap_or(default.header),
                null: keys.owned("null"),
                types: keys.node("types").map(types).unwrap_or_default(),
                encoding,
            }))
        }
        "jsonl" => Some(FileFormat::Jsonl(Json { encoding })),
        "json" => Some(FileFormat::Json(Json { encoding })),
        "parquet" => Some(FileFormat::Parquet),
        _ => None,
    }
}

/// Types of CSV columns; those that `check` has refused are left out.
fn types(node: &Node) -> BTreeMap<String, CsvType> {
    let read = |entry: &Entry| Some((entry.key.clone(), entry.value.scalar()?.parse().ok()?));
    node.entries().iter().filter_map(read).collect()
}

/// The place of a stream's setting, or of the stream where the setting comes from the defaults.
pub(super) fn place_in(entry: &Entry, keys: &[&str]) -> Span {
    let mut at = entry.at;
    let mut node = &entry.value;
    for key in keys {
        match node.get(key) {
            Some(inner) => (at, node) = (inner.at, &inner.value),
            None => return entry.at,
        }
    }
    at
}
