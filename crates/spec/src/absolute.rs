//! Paths of connections that an orchestrator is given: absolute ones. A worker that it starts has a working directory that
//! nobody chose, so a relative path would be another place after a restart. `waybill-worker once` has its caller's.

use crate::diagnostic::{Code, Findings, show};
use crate::tree::Node;

/// Keys that hold a path on the worker, over all types of connections. A reference to a CA is none.
const KEYS: [&str; 2] = ["path", "ca"];

/// Refuses relative paths of one connection.
pub(crate) fn check_connection(name: &str, node: &Node, found: &mut Findings) {
    for (key, value) in KEYS.iter().filter_map(|key| Some((key, &node.get(key)?.value))) {
        let Some(path) = value.scalar().filter(|path| !path.starts_with('/') && !path.contains("://")) else {
            continue;
        };
        let message = format!(
            "`{key}` of connection {} is relative: {} would depend on where the worker is started",
            show(name),
            show(path)
        );
        let plain = path.trim_start_matches("./");
        found.suggest(Code::BadValue, value.span, message, format!("write it from the root, such as /data/{plain}"));
    }
}

/// Refuses those of all connections of a file.
pub(crate) fn check_document(root: &Node, found: &mut Findings) {
    for entry in root.get("connections").map_or(&[][..], |entry| entry.value.entries()) {
        check_connection(&entry.key, &entry.value, found);
    }
}
