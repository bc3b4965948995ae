//! Makes the document from a checked tree, and finds what only whole objects can show: a missing cursor, a clash.
//!
//! It reads leniently: where `check` has found a mistake the value counts as absent, so that both passes tell all.

mod bad_rows;
mod checksums;
mod columns;
mod connection;
mod effect;
mod expect;
mod pipeline;
mod stream;
mod tables;

pub(crate) use connection::read_system;

use std::collections::{BTreeMap, HashSet};
use std::str::FromStr;

use waybill_model::secret::SecretRef;

use crate::diagnostic::Findings;
use crate::document::Document;
use crate::tree::{Node, Span};

/// The names that stand a second time in a list, and where.
fn twice(names: &[(String, Span)]) -> impl Iterator<Item = &(String, Span)> {
    let mut seen = HashSet::new();
    names.iter().filter(move |(name, _)| !seen.insert(name))
}

/// Reads a whole file.
pub(crate) fn read_document(root: &Node, found: &mut Findings) -> Document {
    let mut connections = BTreeMap::new();
    for entry in child(root, "connections") {
        if let Some(system) = read_system(&entry.key, &entry.value, entry.at, found) {
            connections.insert(entry.key.clone(), system);
        }
    }
    let declared: Vec<&str> = child(root, "connections").iter().map(|entry| entry.key.as_str()).collect();
    let mut pipelines = BTreeMap::new();
    for entry in child(root, "pipelines") {
        let known = pipeline::Known { connections: &connections, declared: &declared };
        if let Some(pipeline) = pipeline::read_pipeline(entry, &known, found) {
            pipelines.insert(entry.key.clone(), pipeline);
        }
    }
    let document = Document { connections, pipelines };
    tables::check_tables(root, &document, found);
    document
}

/// The entries of a mapping under a key; none where there are none.
fn child<'n>(node: &'n Node, key: &str) -> &'n [crate::tree::Entry] {
    node.get(key).map_or(&[], |entry| entry.value.entries())
}

/// Settings of one mapping, and of another that fills its gaps.
#[derive(Clone, Copy)]
struct Settings<'n> {
    own: &'n Node,
    fallback: Option<&'n Node>,
}

impl<'n> Settings<'n> {
    const fn of(own: &'n Node) -> Self {
        Self { own, fallback: None }
    }

    fn node(&self, key: &str) -> Option<&'n Node> {
        self.own.get(key).or_else(|| self.fallback?.get(key)).map(|entry| &entry.value)
    }

    /// Where the mapping itself has the key.
    fn own_place(&self, key: &str) -> Option<Span> {
        self.own.get(key).map(|entry| entry.at)
    }

    fn text(&self, key: &str) -> Option<&'n str> {
        self.node(key)?.scalar()
    }

    fn owned(&self, key: &str) -> Option<String> {
        self.text(key).map(str::to_owned)
    }

    /// A value that is read from its text; none where it is absent or `check` has refused it.
    fn parsed<T: FromStr>(&self, key: &str) -> Option<T> {
        self.node(key)?.word()?.parse().ok()
    }

    fn flag(&self, key: &str) -> bool {
        self.text(key) == Some("true")
    }

    fn secret(&self, key: &str) -> Option<SecretRef> {
        self.parsed(key)
    }

    fn texts(&self, key: &str) -> Vec<(String, Span)> {
        let items = self.node(key).map_or(&[][..], Node::list);
        items.iter().filter_map(|item| Some((item.scalar()?.to_owned(), item.span))).collect()
    }
}
