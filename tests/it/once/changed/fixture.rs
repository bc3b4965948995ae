//! What stories of merges share: a shop, what its table must hold, and the steps at which a worker may end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::types::ValueRef;
use serde_json::{Value, json};

use crate::once::{Shop, report, rows, talk};

/// Every step of a run that merges, in its order.
pub(in crate::once) const EVERY: [&str; 9] = [
    "snapshot_open",
    "first_part",
    "last_part",
    "files_closed",
    "merged",
    "before_prepare",
    "prepared",
    "before_commit_put",
    "commit_applied",
];

/// A shop whose streams are merged.
pub(super) struct Merging(pub(super) Shop);

impl Merging {
    /// A run that brings so many rows.
    pub(super) fn delivers(&self, table: &str, many: u64) {
        let report = self.0.delivered();
        assert_eq!(report["streams"][0]["rows"], many, "{table}: {report}");
    }

    /// A run that fails with this code; what it said.
    pub(super) fn fails(&self, table: &str, code: &str) -> String {
        let output = self.0.once();
        let report = report(&output);
        assert_eq!(report["streams"][0]["failure"], code, "{table}: {report} {}", talk(&output));
        talk(&output)
    }

    /// Both readers find exactly the source's rows.
    pub(super) fn is_the_source(&self, table: &str, columns: &str, order: &str) {
        let sql = format!("SELECT {columns} FROM {table} ORDER BY {order}");
        let source = rusqlite::Connection::open(self.0.path("shop.db")).expect("open");
        let mut statement = source.prepare(&sql).expect("a query");
        let width = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| -> rusqlite::Result<Value> {
            let cells: rusqlite::Result<Vec<Value>> = (0..width).map(|at| Ok(cell(row.get_ref(at)?))).collect();
            Ok(Value::Array(cells?))
        };
        let wanted: rusqlite::Result<Vec<Value>> = statement.query_map([], row).expect("rows").collect();
        let found = rows(&self.0.table(table), &format!("SELECT {columns} FROM t ORDER BY {order}"));
        assert_eq!(found, Value::Array(wanted.expect("rows")), "the table (left) and its source (right)");
    }
}

/// As both readers show it.
fn cell(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => json!(number),
        ValueRef::Real(number) => json!(number),
        ValueRef::Text(text) => json!(String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => json!(hex::encode(bytes)),
    }
}

/// The actions of a version.
pub(super) fn log(shop: &Shop, version: u64) -> Vec<Value> {
    let text = std::fs::read_to_string(shop.table("c").join(format!("_delta_log/{version:020}.json")));
    text.expect("a version").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Every file of a directory with its bytes.
pub(super) fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(dir).expect("a directory").flatten().map(|entry| entry.path());
    entries.filter(|path| path.is_file()).map(|path| (path.clone(), std::fs::read(path).expect("a file"))).collect()
}
