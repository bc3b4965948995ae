//! Makes the guard from a checked tree. Where `check` has found a mistake the value counts as absent; the guard is
//! then refused as a whole, so nothing is ever evaluated against half of one.

use std::collections::BTreeMap;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveTime};
use waybill_model::Micros;
use waybill_model::size::{parse_bytes, parse_duration};

use super::pattern::TextPattern;
use super::{Ceilings, Guard, Names, Network, Read, Signer, Write};
use crate::diagnostic::{Code, Findings};
use crate::tree::{Node, Span};

/// Every key whose place a refusal may name; a section stands before its keys.
const PLACED: &[&str] = &[
    "stop",
    "expires",
    "secrets",
    "images",
    "require_signed_specs",
    "reload",
    "backfill",
    "signers",
    "read",
    "read.connectors",
    "read.hosts",
    "read.tables",
    "read.buckets",
    "read.paths",
    "write",
    "write.connectors",
    "write.hosts",
    "write.tables",
    "write.buckets",
    "write.paths",
    "network",
    "network.endpoints",
    "network.egress",
    "network.special",
    "network.require_tls",
    "limits",
    "limits.bytes_per_run",
    "limits.rows_per_run",
    "limits.time_per_run",
    "limits.parallel",
];

/// The guard of a tree.
pub(super) fn read_guard(root: &Node, found: &mut Findings) -> Guard {
    let keys = Keys(Some(root));
    let guard = Guard {
        stop: keys.flag("stop").unwrap_or(false),
        expires: keys.text("expires").and_then(read_time),
        names: if keys.text("names") == Some("discovery") { Names::Discovery } else { Names::None },
        secrets: patterns(keys, "secrets").unwrap_or_default(),
        images: keys.list("images").unwrap_or_default(),
        require_signed_specs: keys.flag("require_signed_specs").unwrap_or(false),
        reload: keys.flag("reload"),
        backfill: keys.flag("backfill"),
        signers: signers(keys),
        read: read(keys.section("read")),
        write: write(keys.section("write")),
        network: network(keys.section("network")),
        limits: limits(keys.section("limits")),
        digest: String::new(),
        places: places(root),
    };
    if guard.require_signed_specs && guard.signers.is_empty() {
        let at = guard.place("require_signed_specs");
        let message = "`require_signed_specs` is true and no signer is listed: nothing could ever run";
        found.suggest(Code::MissingField, at, message, "add [signers.NAME] with the key of `waybill sign keygen`");
    }
    guard
}

fn places(root: &Node) -> BTreeMap<&'static str, Span> {
    let at = |path: &&'static str| {
        let mut parts = path.split('.');
        let mut entry = root.get(parts.next()?)?;
        for part in parts {
            entry = entry.value.get(part)?;
        }
        Some((*path, entry.at))
    };
    PLACED.iter().filter_map(at).collect()
}

/// A day or a time with its offset.
pub(super) fn read_time(text: &str) -> Option<Micros> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(Micros(time.timestamp_micros()));
    }
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(Micros(day.and_time(NaiveTime::MIN).and_utc().timestamp_micros()))
}

/// The keys of one mapping, or of none.
#[derive(Clone, Copy)]
struct Keys<'n>(Option<&'n Node>);

impl<'n> Keys<'n> {
    fn node(self, key: &str) -> Option<&'n Node> {
        self.0?.get(key).map(|entry| &entry.value)
    }

    fn section(self, key: &str) -> Self {
        Self(self.node(key))
    }

    fn text(self, key: &str) -> Option<&'n str> {
        self.node(key)?.scalar()
    }

    fn flag(self, key: &str) -> Option<bool> {
        self.text(key).map(|text| text == "true")
    }

    fn number<T: FromStr>(self, key: &str) -> Option<T> {
        self.text(key)?.parse().ok()
    }

    /// A list's values; none where the list is absent.
    fn list<T: FromStr>(self, key: &str) -> Option<Vec<T>> {
        Some(self.node(key)?.list().iter().filter_map(|item| item.scalar()?.parse().ok()).collect())
    }
}

fn patterns(keys: Keys<'_>, key: &str) -> Option<Vec<TextPattern>> {
    Some(keys.node(key)?.list().iter().filter_map(|item| TextPattern::read(item.scalar()?)).collect())
}

fn signers(keys: Keys<'_>) -> Vec<Signer> {
    let entries = keys.node("signers").map_or(&[][..], Node::entries);
    let signer = |entry: &crate::tree::Entry| {
        let keys = Keys(Some(&entry.value));
        let key = keys.text("key")?.parse().ok()?;
        Some(Signer { name: entry.key.clone(), key, expires: keys.text("expires").and_then(read_time) })
    };
    entries.iter().filter_map(signer).collect()
}

fn read(keys: Keys<'_>) -> Read {
    Read {
        connectors: keys.list("connectors").unwrap_or_default(),
        hosts: keys.list("hosts").unwrap_or_default(),
        tables: patterns(keys, "tables"),
        buckets: keys.list("buckets").unwrap_or_default(),
        paths: keys.list("paths").unwrap_or_default(),
    }
}

fn write(keys: Keys<'_>) -> Write {
    Write {
        connectors: keys.list("connectors").unwrap_or_default(),
        hosts: keys.list("hosts").unwrap_or_default(),
        tables: patterns(keys, "tables").unwrap_or_default(),
        buckets: keys.list("buckets").unwrap_or_default(),
        paths: keys.list("paths").unwrap_or_default(),
    }
}

fn network(keys: Keys<'_>) -> Network {
    Network {
        endpoints: keys.list("endpoints").unwrap_or_default(),
        egress: keys.list("egress"),
        special: keys.list("special").unwrap_or_default(),
        require_tls: keys.flag("require_tls").unwrap_or(true),
    }
}

fn limits(keys: Keys<'_>) -> Ceilings {
    let time = keys.text("time_per_run").and_then(|text| parse_duration(text).ok());
    Ceilings {
        bytes: keys.text("bytes_per_run").and_then(|text| parse_bytes(text).ok()),
        rows: keys.number("rows_per_run"),
        rows_per_second: keys.number("rows_per_second"),
        time_ms: time.and_then(|time| u64::try_from(time.as_millis()).ok()),
        parallel: keys.number("parallel"),
    }
}
