//! Writes a document as people write it: the keys of the file, sizes with units, defaults left out.
//!
//! Reading what this writes gives the same document. It is also what two documents are compared by, so that a
//! difference is named by the path that stands in the file.

use serde_json::Value as Json;
use waybill_model::plan::{
    BAD_ROWS_SHARE, Check, Columns, Condition, Cursor, Expectation, FileFormat, Files, Limits, Ssh, StreamPlan, System,
};
use waybill_model::schedule::{Schedule, When};
use waybill_model::size::write_duration;

use crate::check::{MOST_UNITS, UNITS_OF_A_CPU};
use crate::document::{Document, Pipeline};
use crate::keys::VERSION;
use crate::tree::is_decimal;

mod access;

/// A value in the shape of the file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Out {
    Text(String),
    /// A number of any kind as it was written.
    Bare(String),
    Number(u64),
    Flag(bool),
    List(Vec<Out>),
    Map(Vec<(String, Out)>),
}

impl Out {
    pub(crate) fn json(&self) -> Json {
        match self {
            Self::Text(text) => Json::from(text.as_str()),
            Self::Bare(text) => serde_json::from_str(text).unwrap_or_else(|_| Json::from(text.as_str())),
            Self::Number(number) => Json::from(*number),
            Self::Flag(flag) => Json::from(*flag),
            Self::List(items) => Json::Array(items.iter().map(Self::json).collect()),
            Self::Map(entries) => {
                Json::Object(entries.iter().map(|(key, value)| (key.clone(), value.json())).collect())
            }
        }
    }
}

/// Collects the keys of one mapping.
#[derive(Default)]
struct Keys(Vec<(String, Out)>);

impl Keys {
    fn put(&mut self, key: &str, value: Out) {
        self.0.push((key.to_owned(), value));
    }

    fn text(&mut self, key: &str, value: &(impl ToString + ?Sized)) {
        self.put(key, Out::Text(value.to_string()));
    }

    fn names(&mut self, key: &str, texts: &[String]) {
        if !texts.is_empty() {
            self.put(key, names(texts));
        }
    }

    fn maybe(&mut self, key: &str, value: Option<&impl ToString>) {
        if let Some(value) = value {
            self.text(key, &value.to_string());
        }
    }

    /// Left out where it is what an absent key means.
    fn unless<T: PartialEq + ToString>(&mut self, key: &str, value: &T, default: &T) {
        if value != default {
            self.text(key, &value.to_string());
        }
    }

    fn nested(&mut self, key: &str, keys: Self) {
        if !keys.0.is_empty() {
            self.put(key, Out::Map(keys.0));
        }
    }
}

/// An SSH server between.
impl Keys {
    fn ssh(&mut self, ssh: Option<&Ssh>) {
        let Some(Ssh { host, port, user, key, host_key }) = ssh else { return };
        let mut keys = Self::default();
        keys.text("host", host);
        if *port != 22 {
            keys.put("port", Out::Number((*port).into()));
        }
        keys.text("user", user);
        keys.text("key", key);
        keys.text("host-key", host_key);
        self.nested("ssh", keys);
    }
}

/// The whole file.
pub(crate) fn document(document: &Document) -> Out {
    let mut keys = Keys::default();
    keys.put("waybill", Out::Number(VERSION));
    let connections = document.connections.iter().map(|(name, system)| (name.clone(), connection(system))).collect();
    keys.nested("connections", Keys(connections));
    let pipelines = document.pipelines.iter().map(|(name, this)| (name.clone(), pipeline(this))).collect();
    keys.nested("pipelines", Keys(pipelines));
    Out::Map(keys.0)
}

fn connection(system: &System) -> Out {
    let mut keys = Keys::default();
    keys.text("type", system.kind());
    match system {
        System::Postgres(postgres) => {
            keys.text("host", &postgres.host);
            if postgres.port != 5432 {
                keys.put("port", Out::Number(postgres.port.into()));
            }
            keys.text("database", &postgres.database);
            keys.text("user", &postgres.user);
            keys.maybe("password", postgres.password.as_ref());
            keys.text("tls", &postgres.tls);
            keys.maybe("ca", postgres.ca.as_ref());
            keys.maybe("client-cert", postgres.client_cert.as_ref());
            keys.maybe("client-key", postgres.client_key.as_ref());
            keys.ssh(postgres.ssh.as_ref());
        }
        System::MySql(mysql) => {
            keys.text("host", &mysql.host);
            if mysql.port != 3306 {
                keys.put("port", Out::Number(mysql.port.into()));
            }
            keys.text("database", &mysql.database);
            keys.text("user", &mysql.user);
            keys.maybe("password", mysql.password.as_ref());
            keys.text("tls", &mysql.tls);
            keys.maybe("ca", mysql.ca.as_ref());
            keys.maybe("client-cert", mysql.client_cert.as_ref());
            keys.maybe("client-key", mysql.client_key.as_ref());
            keys.ssh(mysql.ssh.as_ref());
        }
        System::Sqlite { path } | System::Local { path } => keys.text("path", path),
        System::Files(files) => {
            keys.text("url", &files.url);
            keys.s3(files.s3.as_ref());
            keys.azure(files.azure.as_ref());
            keys.gcs(files.gcs.as_deref());
        }
        System::S3(s3) => {
            keys.text("bucket", &s3.bucket);
            keys.unless("prefix", &s3.prefix, &String::new());
            keys.s3(Some(&s3.access));
        }
        System::Azure(azure) => {
            keys.text("account", &azure.account);
            keys.text("container", &azure.container);
            keys.unless("prefix", &azure.prefix, &String::new());
            keys.azure(Some(&azure.access));
        }
        System::Gcs(gcs) => {
            keys.text("bucket", &gcs.bucket);
            keys.unless("prefix", &gcs.prefix, &String::new());
            keys.gcs(Some(&gcs.access));
        }
    }
    Out::Map(keys.0)
}

fn pipeline(pipeline: &Pipeline) -> Out {
    let mut keys = Keys::default();
    keys.text("from", &pipeline.from);
    keys.text("to", &pipeline.to);
    keys.maybe("data-plane", pipeline.data_plane.as_ref());
    if let Some(this) = &pipeline.schedule {
        keys.nested("schedule", schedule(this));
    }
    keys.put("streams", Out::Map(pipeline.streams.iter().map(|this| (this.name.clone(), stream(this))).collect()));
    keys.nested("files", files(&pipeline.files));
    keys.nested("limits", limits(&pipeline.limits));
    Out::Map(keys.0)
}

fn schedule(schedule: &Schedule) -> Keys {
    let mut keys = Keys::default();
    match &schedule.when {
        When::Cron { line, zone } => {
            keys.text("cron", line);
            keys.text("zone", zone);
        }
        When::Every(every) => keys.text("every", &write_duration(every.millis())),
    }
    keys.unless("overlap", &schedule.overlap, &Default::default());
    keys.unless("catch-up", &schedule.catch_up, &Default::default());
    keys
}

fn stream(stream: &StreamPlan) -> Out {
    let mut keys = Keys::default();
    keys.text("load", &stream.load);
    if let Some(this) = &stream.cursor {
        cursor(this, &mut keys);
    }
    keys.names("key", &stream.key);
    keys.unless("deletes", &stream.deletes, &Default::default());
    keys.nested("columns", columns(&stream.columns));
    keys.maybe("new-columns", stream.new_columns.as_ref());
    keys.unless("changed-files", &stream.changed_files, &Default::default());
    keys.unless("bad-rows", &stream.bad_rows, &Default::default());
    match stream.bad_rows_share {
        BAD_ROWS_SHARE => {}
        share => keys.text("bad-rows-share", &shared(share)),
    }
    if !stream.filter.is_empty() {
        keys.put("filter", Out::List(stream.filter.iter().map(condition).collect()));
    }
    keys.unless("edge-values", &stream.edge_values, &Default::default());
    keys.unless("arrays", &stream.arrays, &Default::default());
    keys.unless("invalid-text", &stream.invalid_text, &Default::default());
    if stream.verify_count {
        keys.put("verify-count", Out::Flag(true));
    }
    keys.names("checksums", stream.checksums.named());
    keys.maybe("checksums", stream.checksums.word().as_ref());
    if !stream.expect.is_empty() {
        keys.put("expect", Out::List(stream.expect.iter().map(expectation).collect()));
    }
    match stream.shrink_guard {
        50 => {}
        share => keys.text("shrink-guard", &shared(share)),
    }
    if stream.take_over {
        keys.put("take-over", Out::Flag(true));
    }
    keys.maybe("table", stream.table.as_ref());
    if let Some(format) = &stream.format {
        keys.put("format", file_format(format));
    }
    Out::Map(keys.0)
}

fn shared(share: u8) -> String {
    if share == 0 { "off".to_owned() } else { format!("{share}%") }
}

fn cursor(cursor: &Cursor, keys: &mut Keys) {
    keys.text("cursor", &cursor.column);
    keys.maybe("cursor-zone", cursor.zone.as_ref());
    keys.unless("cursor-nulls", &cursor.nulls, &Default::default());
    if cursor.margin_ms != 2_000 {
        keys.text("cursor-margin", &amount(cursor.margin_ms, "ms"));
    }
}

fn columns(columns: &Columns) -> Keys {
    let mut keys = Keys::default();
    keys.names("select", &columns.select);
    keys.names("drop", &columns.drop);
    keys.nested(
        "rename",
        Keys(columns.rename.iter().map(|(from, to)| (from.clone(), Out::Text(to.clone()))).collect()),
    );
    keys.nested(
        "cast",
        Keys(columns.cast.iter().map(|(column, to)| (column.clone(), Out::Text(to.to_string()))).collect()),
    );
    keys
}

fn names(names: &[String]) -> Out {
    Out::List(names.iter().cloned().map(Out::Text).collect())
}

fn condition(condition: &Condition) -> Out {
    let mut keys = Keys::default();
    keys.text("column", &condition.column);
    keys.text("op", &condition.op);
    if let Some(value) = &condition.value {
        keys.put("value", if condition.text { Out::Text(value.clone()) } else { scalar(value) });
    }
    Out::Map(keys.0)
}

/// A number as it was written, and any other text.
fn scalar(text: &str) -> Out {
    if is_decimal(text) { Out::Bare(text.to_owned()) } else { Out::Text(text.to_owned()) }
}

fn expectation(one: &Expectation) -> Out {
    let mut keys = Keys::default();
    let check = match &one.check {
        Check::NotNull(columns) | Check::Unique(columns) => names(columns),
        Check::Range(range) => {
            let mut keys = Keys::default();
            keys.text("column", &range.column);
            for (key, bound) in [("min", &range.min), ("max", &range.max)] {
                bound.iter().for_each(|bound| keys.put(key, scalar(bound)));
            }
            Out::Map(keys.0)
        }
        Check::Rows(count) => {
            let mut keys = Keys::default();
            for (key, bound) in [("min", count.min), ("max", count.max)] {
                bound.iter().for_each(|bound| keys.put(key, Out::Number(*bound)));
            }
            keys.maybe("change", count.change.map(|share| format!("{share}%")).as_ref());
            Out::Map(keys.0)
        }
    };
    keys.put(one.check.kind(), check);
    keys.unless("on-failure", &one.on_failure, &Default::default());
    Out::Map(keys.0)
}

fn file_format(format: &FileFormat) -> Out {
    let mut keys = Keys::default();
    match format {
        FileFormat::Csv(csv) => {
            keys.text("type", "csv");
            keys.unless("delimiter", &csv.delimiter, &',');
            keys.unless("quote", &csv.quote, &'"');
            if !csv.header {
                keys.put("header", Out::Flag(false));
            }
            keys.maybe("null", csv.null.as_ref());
            let types = csv.types.iter().map(|(column, kind)| (column.clone(), Out::Text(kind.to_string())));
            keys.nested("types", Keys(types.collect()));
        }
        FileFormat::Jsonl(_) => keys.text("type", "jsonl"),
        FileFormat::Json(_) => keys.text("type", "json"),
        FileFormat::Parquet => keys.text("type", "parquet"),
    }
    if let Some(encoding) = format.encoding() {
        keys.unless("encoding", &encoding, &Default::default());
    }
    Out::Map(keys.0)
}

fn files(files: &Files) -> Keys {
    let (mut keys, default) = (Keys::default(), Files::of(files.format));
    keys.unless("format", &files.format, &Files::default().format);
    if files.size != default.size {
        keys.text("size", &amount(files.size, "bytes"));
    }
    keys.unless("compression", &files.compression, &default.compression);
    keys.names("partition-by", &files.partition_by);
    keys
}

fn limits(limits: &Limits) -> Keys {
    let (mut keys, default) = (Keys::default(), Limits::default());
    if limits.parallel != default.parallel {
        keys.put("parallel", Out::Number(limits.parallel.into()));
    }
    if limits.memory != default.memory {
        keys.text("memory", &amount(limits.memory, "bytes"));
    }
    if limits.time_ms != default.time_ms {
        keys.text("time", &amount(limits.time_ms, "ms"));
    }
    if limits.cpu != default.cpu {
        let whole = limits.cpu.is_multiple_of(UNITS_OF_A_CPU) && limits.cpu <= MOST_UNITS;
        keys.put("cpu", Out::Number(if whole { limits.cpu / UNITS_OF_A_CPU } else { limits.cpu }.into()));
    }
    if limits.disk != default.disk {
        keys.text("disk", &amount(limits.disk, "bytes"));
    }
    keys.maybe("architecture", limits.architecture.as_ref());
    keys
}

/// An amount in the largest unit that shows it exactly.
pub(crate) fn amount(amount: u64, unit: &str) -> String {
    if unit == "ms" {
        return write_duration(amount);
    }
    let units: &[(u64, &str)] = &[(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B")];
    let fits = units.iter().find(|(size, _)| amount != 0 && amount.is_multiple_of(*size)).or(units.last());
    fits.map_or_else(String::new, |(size, name)| format!("{}{name}", amount / size))
}

/// YAML text of a value.
pub(crate) fn yaml(out: &Out) -> String {
    let mut text = String::new();
    block(out, 0, &mut text);
    text
}

fn block(out: &Out, indent: usize, text: &mut String) {
    match out {
        Out::Map(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                text.push_str(&" ".repeat(indent));
                text.push_str(&quoted(key));
                text.push(':');
                entry(value, indent + 2, text);
            }
        }
        other => {
            text.push_str(&flow(other));
            text.push('\n');
        }
    }
}

fn entry(value: &Out, indent: usize, text: &mut String) {
    let scalars = |items: &[Out]| items.iter().all(|item| !matches!(item, Out::Map(_) | Out::List(_)));
    match value {
        Out::Map(entries) if !entries.is_empty() => {
            text.push('\n');
            block(value, indent, text);
        }
        Out::List(items) if !items.is_empty() && !scalars(items) => {
            text.push('\n');
            for item in items {
                text.push_str(&format!("{}- {}\n", " ".repeat(indent), flow(item)));
            }
        }
        other => text.push_str(&format!(" {}\n", flow(other))),
    }
}

fn flow(out: &Out) -> String {
    match out {
        Out::Text(text) => quoted(text),
        Out::Bare(text) => text.clone(),
        Out::Number(number) => number.to_string(),
        Out::Flag(flag) => flag.to_string(),
        Out::List(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Out::Map(entries) if entries.is_empty() => "{}".to_owned(),
        Out::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| format!("{}: {}", quoted(key), flow(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

/// Text as a YAML scalar: bare where no reader could take it for something else, in double quotes otherwise.
fn quoted(text: &str) -> String {
    const WORDS: &[&str] = &["true", "false", "null", "yes", "no", "on", "off", "y", "n", "inf", "nan"];
    let bare = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'/'))
        && (!WORDS.contains(&text.to_ascii_lowercase().as_str()) || text == "off");
    if bare {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if crate::diagnostic::is_hidden(c) || !('\u{20}'..'\u{10fffe}').contains(&c) => {
                out.push_str(&format!("\\U{:08X}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_take_the_largest_unit_that_is_exact() {
        assert_eq!((amount(128 << 20, "bytes").as_str(), amount(90_000, "ms").as_str()), ("128MiB", "90s"));
        assert_eq!((amount(1_500, "bytes").as_str(), amount(86_400_000, "ms").as_str()), ("1500B", "1d"));
        assert_eq!(amount(0, "bytes"), "0B");
    }

    #[test]
    fn what_could_be_taken_for_something_else_is_quoted() {
        for text in ["1", "true", "no", "", "a b", "*.csv", "a: b", "#x", "-", "~", "null", "0 2 * * *", "env://X"] {
            assert!(quoted(text).starts_with('"'), "{text}");
        }
        assert_eq!(quoted("public.orders"), "public.orders");
        assert_eq!(quoted("a\n\u{1b}"), "\"a\\U0000000A\\U0000001B\"");
    }
}
