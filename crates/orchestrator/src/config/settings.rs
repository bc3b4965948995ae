//! Layers of settings, each value with the place that it came from, and every mistake with its line.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use waybill_model::size::{parse_bytes, parse_duration};

use super::{DEFAULT, secret};

/// One mistake in the settings. The value itself is never repeated: it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {message}")]
pub struct ConfigError {
    /// Where it stands: file and line, or the environment variable.
    pub origin: Origin,
    /// What is wrong and what to do.
    pub message: String,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The default inside the binary.
    BuiltIn,
    /// A line of the file.
    Line(PathBuf, usize),
    /// The file as a whole.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("settings"),
            Self::Line(path, line) => write!(f, "{}:{line}", path.display()),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Text(String),
    Number(i64),
    List(Vec<String>),
}

/// The layers, merged key by key.
pub struct Settings {
    values: BTreeMap<String, (Value, Origin)>,
    errors: Vec<ConfigError>,
    private_file: bool,
}

impl Settings {
    /// What stands inside the binary: also the list of all keys and their types.
    #[must_use]
    pub fn defaults() -> Self {
        let mut settings = Self { values: BTreeMap::new(), errors: Vec::new(), private_file: true };
        for (key, value, _) in flatten(DEFAULT).unwrap_or_default() {
            if let Some(value) = value {
                settings.values.insert(key, (value, Origin::BuiltIn));
            }
        }
        settings
    }

    /// Lays a file over it.
    pub fn add_file(&mut self, path: &Path) {
        let whole = || Origin::File(path.to_owned());
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => return self.error(whole(), format!("can't be read: {}", error.kind())),
        };
        self.private_file = !secret::others_can_read(path);
        let line = |line: usize| Origin::Line(path.to_owned(), line);
        for (number, content) in text.split('\n').enumerate() {
            if content.contains('\r') {
                self.error(line(number + 1), "ends with a carriage return; save the file with Unix line ends");
            } else if content.contains('\t') {
                self.error(line(number + 1), "holds a tab; write spaces");
            }
        }
        if !self.errors.is_empty() {
            return;
        }
        match flatten(&text) {
            Ok(entries) => {
                for (key, value, at) in entries {
                    self.lay(&key, value, line(line_of(&text, at)));
                }
            }
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                self.error(line(line_of(&text, at)), error.message().to_owned());
            }
        }
    }

    /// Lays the environment over it.
    pub fn add_environment(&mut self, environment: impl IntoIterator<Item = (String, String)>) {
        for (name, text) in environment {
            let Some(path) = name.strip_prefix("WAYBILL__") else { continue };
            let key = path.split("__").map(|part| part.to_ascii_lowercase().replace('_', "-")).collect::<Vec<_>>();
            let key = key.join(".");
            let value = match self.values.get(&key).map(|(known, _)| known) {
                Some(Value::Number(_)) => text.parse().ok().map(Value::Number),
                Some(Value::List(_)) => Some(Value::List(text.split(',').map(|item| item.trim().to_owned()).collect())),
                _ => Some(Value::Text(text)),
            };
            self.lay(&key, value, Origin::Variable(name));
        }
    }

    fn lay(&mut self, key: &str, value: Option<Value>, origin: Origin) {
        let Some((known, _)) = self.values.get(key) else {
            let message = match self.nearest(key) {
                Some(near) => format!("there is no setting {}; did you mean `{near}`?", shown(key)),
                None => format!("there is no setting {}; `waybill-orchestrator config print` lists all", shown(key)),
            };
            return self.error(origin, message);
        };
        match (known, value) {
            (Value::Text(_), Some(value @ Value::Text(_)))
            | (Value::Number(_), Some(value @ Value::Number(_)))
            | (Value::List(_), Some(value @ Value::List(_))) => {
                self.values.insert(key.to_owned(), (value, origin));
            }
            (Value::Text(_), _) => self.error(origin, format!("{key} takes text in quotes")),
            (Value::Number(_), _) => self.error(origin, format!("{key} takes a whole number")),
            (Value::List(_), _) => self.error(origin, format!("{key} takes a list of texts")),
        }
    }

    /// The known key with the same last or first part.
    fn nearest(&self, key: &str) -> Option<&str> {
        let last = key.rsplit('.').next()?;
        self.values.keys().find(|known| known.rsplit('.').next() == Some(last)).map(String::as_str)
    }

    fn error(&mut self, origin: Origin, message: impl Into<String>) {
        self.errors.push(ConfigError { origin, message: message.into() });
    }

    /// Refuses the value of a key.
    pub(super) fn refuse(&mut self, key: &str, message: &str) {
        let origin = self.values.get(key).map_or(Origin::BuiltIn, |(_, origin)| origin.clone());
        self.error(origin, format!("{key} {message}"));
    }

    /// The whole, or every mistake.
    pub(super) fn finish<T>(self, whole: Option<T>) -> Result<T, Vec<ConfigError>> {
        match whole {
            Some(whole) if self.errors.is_empty() => Ok(whole),
            _ => Err(self.errors),
        }
    }

    /// A text; none where it is empty.
    fn text_of(&self, key: &str) -> Option<String> {
        match self.values.get(key) {
            Some((Value::Text(text), _)) if !text.is_empty() => Some(text.clone()),
            _ => None,
        }
    }

    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        let text = self.text_of(key);
        self.required(key, text)
    }

    /// Reads a text by `read`, or refuses it with `message`.
    fn parsed<T>(&mut self, key: &str, message: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let value = read(&self.text(key)?);
        if value.is_none() {
            self.refuse(key, message);
        }
        value
    }

    pub(super) fn required<T>(&mut self, key: &str, value: Option<T>) -> Option<T> {
        // A value that was given and refused has its error already.
        if value.is_none() && self.text_of(key).is_none() {
            self.refuse(key, "is not set; set it, or use `serve --dev`");
        }
        value
    }

    pub(super) fn address(&mut self, key: &str) -> Option<SocketAddr> {
        self.parsed(key, "takes an address and a port, such as 127.0.0.1:7443", |text| text.parse().ok())
    }

    /// A name of the certificate and a port; none where empty.
    pub(super) fn outside(&mut self, key: &str, names: &[String]) -> Option<String> {
        let text = self.text_of(key)?;
        let parts = text.rsplit_once(':').map(|(name, port)| (name.to_owned(), port.parse::<u16>().unwrap_or(0)));
        match parts {
            Some((name, port)) if port > 0 && names.contains(&name) => return Some(text),
            Some((_, port)) if port > 0 => self.refuse(key, "begins with a name that stands in server.names"),
            _ => self.refuse(key, "takes a name and a port, such as waybill.example.com:443"),
        }
        None
    }

    pub(super) fn duration(&mut self, key: &str, floor: Duration) -> Option<Duration> {
        let value =
            self.parsed(key, "takes a duration with its unit, such as 30s", |text| parse_duration(text).ok())?;
        if value < floor {
            self.refuse(key, &format!("must be at least {floor:?}"));
        }
        Some(value)
    }

    pub(super) fn bytes(&mut self, key: &str, least: u64, most: u64) -> Option<usize> {
        let value = self.parsed(key, "takes a size with its unit, such as 1MiB", |text| parse_bytes(text).ok())?;
        if !(least..=most).contains(&value) {
            self.refuse(key, &format!("must be between {least} B and {most} B"));
        }
        usize::try_from(value).ok()
    }

    pub(super) fn number(&mut self, key: &str, least: u32, most: u32) -> Option<u32> {
        let value = match self.values.get(key) {
            Some((Value::Number(number), _)) => u32::try_from(*number).ok(),
            _ => None,
        };
        let value = value.filter(|number| (least..=most).contains(number));
        if value.is_none() {
            self.refuse(key, &format!("must be between {least} and {most}"));
        }
        value
    }

    pub(super) fn list(&mut self, key: &str, least: usize) -> Option<Vec<String>> {
        match self.values.get(key) {
            Some((Value::List(list), _)) if list.len() >= least && list.iter().all(|item| !item.is_empty()) => {
                Some(list.clone())
            }
            _ => {
                self.refuse(key, "takes a list of at least one text");
                None
            }
        }
    }

    /// A list, which may be empty, each item of it read.
    pub(super) fn parsed_list<T: FromStr<Err: fmt::Display>>(&mut self, key: &str) -> Option<Vec<T>> {
        let list = match self.values.get(key) {
            Some((Value::List(list), _)) => list.iter().filter(|item| !item.is_empty()).cloned().collect(),
            _ => Vec::new(),
        };
        let read: Result<Vec<T>, _> = list.iter().map(|item| item.parse()).collect();
        read.map_err(|why| self.refuse(key, &format!("can't be used: {why}"))).ok()
    }

    /// A section that has a struct of its own.
    pub(super) fn section<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let prefix = format!("{name}.");
        let keys: Vec<String> = self.values.keys().filter(|key| key.starts_with(&prefix)).cloned().collect();
        let mut table = toml::Table::new();
        for key in keys {
            let value = match &self.values[&key].0 {
                Value::Text(text) => text.clone().into(),
                Value::Number(number) => (*number).into(),
                Value::List(list) => list.clone().into(),
            };
            let field = key[prefix.len()..].to_owned();
            // One key at a time, so that a mistake has its line.
            let alone = toml::Table::from_iter([(field.clone(), toml::Value::clone(&value))]);
            if let Err(error) = alone.try_into::<T>() {
                self.refuse(&key, error.message());
                return None;
            }
            table.insert(field, value);
        }
        table.try_into().ok()
    }

    pub(super) fn one_of(&mut self, key: &str, words: &[&str]) -> Option<String> {
        let message = format!("takes one of {}", words.join(", "));
        self.parsed(key, &message, |text| words.contains(&text).then(|| text.to_owned()))
    }

    /// What may be left empty; none where it is, or is not right.
    pub(super) fn optional<T>(&mut self, key: &str, message: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.text_of(key)?;
        let value = read(&text);
        if value.is_none() {
            self.refuse(key, message);
        }
        value
    }

    /// An `http://` or `https://` address; none where it is empty.
    pub(super) fn url(&mut self, key: &str) -> Option<String> {
        let text = self.text_of(key)?;
        if text.starts_with("https://") || text.starts_with("http://") {
            return Some(text);
        }
        self.refuse(key, "takes an address that begins with https:// or http://");
        None
    }

    /// An absolute path; none where it is empty.
    pub(super) fn path(&mut self, key: &str) -> Option<PathBuf> {
        let path = PathBuf::from(self.text_of(key)?);
        if path.is_absolute() {
            return Some(path);
        }
        self.refuse(key, "must be an absolute path");
        None
    }

    /// A text that may be a secret: written out, or `env://NAME` or `file:///path`.
    pub(super) fn secret(&mut self, key: &str) -> Option<SecretString> {
        let text = self.text_of(key)?;
        let in_file = matches!(self.values.get(key), Some((_, Origin::Line(..))));
        match secret::resolve(&text, in_file && !self.private_file) {
            Ok(secret) => Some(secret),
            Err(message) => {
                self.refuse(key, &message);
                None
            }
        }
    }
}

type Entry = (String, Option<Value>, usize);

/// Every key of a TOML text as `section.key` with its value (none where no setting is of that type) and position.
fn flatten(text: &str) -> Result<Vec<Entry>, toml::de::Error> {
    let mut entries = Vec::new();
    walk("", DeTable::parse(text)?.get_ref(), &mut entries);
    Ok(entries)
}

fn walk(prefix: &str, table: &DeTable<'_>, entries: &mut Vec<Entry>) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.get_ref().to_string() } else { format!("{prefix}.{}", key.get_ref()) };
        match value.get_ref() {
            DeValue::Table(inner) => walk(&path, inner, entries),
            _ => entries.push((path, read(value), key.span().start)),
        }
    }
}

fn read(value: &Spanned<DeValue<'_>>) -> Option<Value> {
    match value.get_ref() {
        DeValue::String(text) => Some(Value::Text(text.to_string())),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok().map(Value::Number),
        DeValue::Array(items) => {
            let texts = items.iter().map(|item| item.get_ref().as_str().map(str::to_owned));
            texts.collect::<Option<Vec<_>>>().map(Value::List)
        }
        _ => None,
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// A key as it may be printed.
fn shown(key: &str) -> String {
    let cut: String = key.chars().take(64).flat_map(char::escape_debug).collect();
    format!("`{cut}`")
}
