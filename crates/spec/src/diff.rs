//! What differs between two documents, named by the paths of the file.
//!
//! It compares meaning, not text: comments, quotes and the order of keys make no difference; the order of streams does.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::document::Document;
use crate::write::{self, Out};

/// What happens to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeOp {
    /// It is new.
    Add,
    /// It differs.
    Change,
    /// It goes.
    Remove,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// What happens.
    pub op: ChangeOp,
    /// Where, as in the file: `pipelines.shop-nightly.schedule.cron`.
    pub path: String,
    /// What stood there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What will stand there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// What follows from it, where that is not plain to see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The changes that make `before` into `after`; none where they mean the same.
#[must_use]
pub fn diff(before: &Document, after: &Document) -> Vec<Change> {
    let mut changes = Vec::new();
    compare(&mut Vec::new(), Some(&write::document(before)), Some(&write::document(after)), &mut changes);
    changes
}

fn compare(path: &mut Vec<String>, before: Option<&Out>, after: Option<&Out>, changes: &mut Vec<Change>) {
    match (before, after) {
        (Some(before), Some(after)) if before == after => {}
        (before, after) if descend(path, before, after) => {
            compare_maps(path, (entries(before), entries(after)), changes);
        }
        (before, after) => {
            let op = match (before, after) {
                (None, _) => ChangeOp::Add,
                (_, None) => ChangeOp::Remove,
                _ => ChangeOp::Change,
            };
            let (before, after) = (before.map(Out::json), after.map(Out::json));
            changes.push(Change { op, path: path.join("."), before, after, note: note(path, op) });
        }
    }
}

/// Mappings are compared key by key. Whole objects that come or go are one change; the two lists of objects never are.
fn descend(path: &[String], before: Option<&Out>, after: Option<&Out>) -> bool {
    let is_map = |side: Option<&Out>| matches!(side, Some(Out::Map(_)));
    (is_map(before) && is_map(after)) || (path.len() < 2 && (is_map(before) || is_map(after)))
}

fn entries(side: Option<&Out>) -> &[(String, Out)] {
    if let Some(Out::Map(entries)) = side { entries } else { &[] }
}

type Entries<'o> = &'o [(String, Out)];

fn compare_maps(path: &mut Vec<String>, sides: (Entries<'_>, Entries<'_>), changes: &mut Vec<Change>) {
    let (before, after) = sides;
    let find = |entries: Entries<'_>, key: &str| entries.iter().position(|(other, _)| other == key);
    for (key, old) in before {
        let new = find(after, key).map(|n| &after[n].1);
        path.push(key.clone());
        compare(path, Some(old), new, changes);
        path.pop();
    }
    for (key, new) in after.iter().filter(|(key, _)| find(before, key).is_none()) {
        path.push(key.clone());
        compare(path, None, Some(new), changes);
        path.pop();
    }
    if is_streams(path) {
        compare_order(path, sides, changes);
    }
}

fn is_streams(path: &[String]) -> bool {
    path.len() == 3 && path[0] == "pipelines" && path[2] == "streams"
}

fn compare_order(path: &[String], sides: (Entries<'_>, Entries<'_>), changes: &mut Vec<Change>) {
    let kept = |entries: Entries<'_>, other: Entries<'_>| -> Vec<String> {
        let known: std::collections::HashSet<&str> = other.iter().map(|(key, _)| key.as_str()).collect();
        entries.iter().map(|(key, _)| key.clone()).filter(|key| known.contains(key.as_str())).collect()
    };
    let (old, new) = (kept(sides.0, sides.1), kept(sides.1, sides.0));
    let names = |entries: Entries<'_>| entries.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
    // A stream that came in before others moves them too: the order gives the numbers that events bear.
    let inserted = !names(sides.1).starts_with(&new) && old == new;
    if old != new || inserted {
        changes.push(Change {
            op: ChangeOp::Change,
            path: path.join("."),
            before: Some(names(sides.0).into()),
            after: Some(names(sides.1).into()),
            note: Some("their order changes".to_owned()),
        });
    }
}

/// A cursor says nothing about rows that were not looked at when it was set.
const STANDS: &str = "a `new` or `changed` stream that has a cursor stops with cursor_changed: one `full` load begins anew, `take-over` goes on";

/// What a reader of the change may not see at once.
fn note(path: &[String], op: ChangeOp) -> Option<String> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let text = match (path.as_slice(), op) {
        (["pipelines", _], ChangeOp::Remove) => "no more runs; its tables stay in the bucket",
        (["pipelines", _, "streams", _], ChangeOp::Remove) => "no longer moved; its table stays in the bucket",
        (["pipelines", _, "streams", _], ChangeOp::Add) => "its table is made by the next run",
        (["pipelines", _, "streams", _, "columns", ..], _) => {
            "`full`: the next run writes the table anew; `new` and `changed`: where the columns differ then, the next run stops with schema_changed, or takes in what `select` or `rename` newly names"
        }
        (["pipelines", _, "streams", _, "new-columns" | "changed-files"], _) => {
            "from the next run on; what a table has already stays"
        }
        (["pipelines", _, "from"] | ["pipelines", _, "streams", _, "filter" | "cursor-zone", ..], _) => STANDS,
        (["pipelines", _, "streams", _, "cursor"], ChangeOp::Change) => {
            "a `new` or `changed` stream that has a cursor stops with cursor_changed: one `full` load begins anew"
        }
        (["connections", _, "host" | "port" | "database"], ChangeOp::Change) => STANDS,
        (["pipelines", _, "streams", _, "load"], ChangeOp::Change) => "from the next run on",
        (["pipelines", _, "streams", _, "key", ..], _) => {
            "where it is another than the one that the table's rows are merged by, the next run stops with key_unusable: one `full` load begins anew"
        }
        (["pipelines", _, "to"], _) => "tables at the old place stay; the next run makes new ones",
        (["connections", _, "path"], ChangeOp::Change) => {
            "tables at the old place stay there; a `new` or `changed` stream from here that has a cursor stops with cursor_changed"
        }
        (["connections", _, "bucket" | "prefix"], ChangeOp::Change) => "what stands at the old place stays there",
        _ => return None,
    };
    Some(text.to_owned())
}
