//! A worker by itself, from a source of known rows into a store behind HTTP, and what it says.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use waybill_tests::binaries::binary;

pub(crate) const SUMS: &str = "SELECT count(*), count(DISTINCT id), CAST(sum(id) AS BIGINT), \
                    count(CASE WHEN name = 'name ' || CAST(id AS VARCHAR) THEN 1 END) FROM t";

/// The first commit of a table, as it stands in an address.
pub(crate) const COMMIT: &str = "_delta_log%2F00000000000000000000.json";

/// A source of 5,000 rows.
pub(crate) fn rows(dir: &Path) {
    let source = rusqlite::Connection::open(dir.join("shop.db")).expect("open");
    let sql = "CREATE TABLE t (id integer primary key, name text); \
               WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) \
               INSERT INTO t SELECT i, 'name ' || i FROM n";
    source.execute_batch(sql).expect("rows");
}

/// A worker with nothing around it but what is given.
pub(crate) fn worker(arguments: &[&str], variables: &[(&str, String)]) -> Output {
    let mut worker = Command::new(binary("waybill-worker"));
    worker.args(arguments).env_clear().envs(variables.iter().map(|(name, value)| (*name, value)));
    tokio::task::block_in_place(|| worker.output()).expect("run the worker")
}

/// A run of the pipeline in this file.
pub(crate) fn once(dir: &Path, spec: &str, variables: &[(&str, String)]) -> Output {
    let file = dir.join("spec.yaml");
    std::fs::write(&file, spec).expect("write the spec");
    worker(&["once", "--memory", "128MiB", "--json", "--spec", &file.display().to_string()], variables)
}

pub(crate) fn report(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a report")
}
