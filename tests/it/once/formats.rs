//! Files of text and plain Parquet as `once` writes them: whole runs, several files, and what docs/formats.md tells people to type.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use waybill_tests::binaries::{binary, repository};
use waybill_tests::readers;

use super::{Shop, orders, report, talk, verified};

fn written(sql: &str, stream: &str, files: &str) -> Shop {
    let shop = Shop::with(sql, "");
    shop.spec(stream, &format!("    files: {{ {files} }}\n"));
    shop
}

fn live(table: &Path, sql: &str) -> Value {
    readers::live(table, sql).expect("DuckDB")
}

fn newest(table: &Path) -> Value {
    let mut commits: Vec<_> = std::fs::read_dir(table.join("_waybill/commits"))
        .expect("commits")
        .map(|file| file.expect("one").path())
        .collect();
    commits.retain(|file| file.extension().is_some_and(|name| name == "json"));
    commits.sort();
    let text = std::fs::read_to_string(commits.last().expect("a commit")).expect("readable");
    serde_json::from_str(&text).expect("JSON")
}

pub(super) fn worker(shop: &Shop, command: &str, more: &[&str]) -> Output {
    let lake = format!("file://{}", shop.path("lake").display());
    Command::new(binary("waybill-worker")).args([command, &lake]).args(more).output().expect("run the worker")
}

const SUMS: &str = "SELECT count(*), count(DISTINCT id), sum(id)::bigint, sum(total)::varchar FROM t";

#[test]
fn a_killed_worker_leaves_whole_files_of_text_and_the_next_run_brings_each_row_once() {
    for (point, landed) in
        [("last_part", false), ("prepare_granted", false), ("before_commit_put", false), ("commit_applied", true)]
    {
        let shop = written(&orders(""), "      orders: { load: new, cursor: id }\n", "format: csv");
        shop.delivered();
        shop.sql("INSERT INTO orders SELECT id + 10000, customer, total, day, made FROM orders");
        let marker = shop.path("fired");
        // Of the claims, states and receipts before it none is meant: only the commit's own put has this point.
        let fault = format!("{point}=kill;{}", marker.display());
        let killed = shop.command("waybill-worker-faults").env("WAYBILL_FAULT", fault).output().expect("run");
        assert!(std::fs::read_to_string(&marker).expect("the fault fired").starts_with(point), "{}", talk(&killed));
        let rows = if landed { 20_000 } else { 10_000 };
        assert_eq!(live(&shop.table("orders"), "SELECT count(*) FROM t"), json!([[rows]]), "{point}");
        let next = shop.delivered();
        assert_eq!(next["streams"][0]["rows"], if landed { 0 } else { 10_000 }, "{point}");
        assert_eq!(live(&shop.table("orders"), SUMS), json!([[20_000, 20_000, 200_010_000, "1000100.00"]]), "{point}");
        verified(&shop);
    }
}

/// Noise does not shrink, so that a file of the least size is soon full; a twin that comes late is in the later files only.
#[test]
fn a_table_of_several_files_of_text_is_read_as_one_with_its_twins() {
    let sql = "CREATE TABLE c (id INTEGER PRIMARY KEY, day DATE, noise BLOB);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
         INSERT INTO c SELECT i, CASE WHEN i = 2500 THEN 'infinity' ELSE date('2024-01-01', (i % 300) || ' days') END,
             randomblob(1000) FROM n";
    for (files, least) in [
        ("format: csv, size: 1MiB", 3),
        ("format: jsonl, size: 1MiB, compression: zstd", 2),
        ("format: csv, compression: none, size: 1MiB", 3),
        ("format: parquet-files, size: 1MiB", 2),
    ] {
        let shop = written(sql, "      c: { load: full }\n", files);
        let report = shop.delivered();
        assert_eq!((&report["streams"][0]["rows"], &report["streams"][0]["coerced"]), (&json!(3000), &json!(1)));
        let commit = newest(&shop.table("c"));
        let many = commit["files"].as_array().map_or(0, Vec::len);
        assert!(many >= least, "{files}: {many} files");
        let sums =
            "SELECT count(*), count(day), count(day__text), sum(octet_length(noise))::bigint, sum(id)::bigint FROM t";
        assert_eq!(live(&shop.table("c"), sums), json!([[3000, 2999, 1, 3_000_000, 4_501_500]]), "{files}");
        assert_eq!(
            live(&shop.table("c"), "SELECT id, day__text FROM t WHERE day IS NULL"),
            json!([[2500, "'infinity'"]])
        );
        verified(&shop);
        let listed = worker(&shop, "rollback", &["--table", "c"]);
        assert!(
            listed.status.success() && String::from_utf8_lossy(&listed.stdout).contains("full"),
            "{}",
            talk(&listed)
        );
        let gc = worker(&shop, "gc", &["--dry-run"]);
        assert_eq!(String::from_utf8_lossy(&gc.stdout), "c: would delete 0 files, 0 B\n");
    }
}

/// Rows of plain Parquet files can take the place of others, as those of a Delta table.
#[test]
fn changed_rows_take_their_place_in_plain_parquet_files() {
    let sql = "CREATE TABLE c (id INTEGER PRIMARY KEY, rev INTEGER NOT NULL, note TEXT);
         INSERT INTO c VALUES (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c')";
    let shop = written(sql, "      c: { load: changed, cursor: rev }\n", "format: parquet-files");
    shop.delivered();
    shop.sql("UPDATE c SET note = 'B', rev = 4 WHERE id = 2; INSERT INTO c VALUES (4, 5, 'd')");
    let second = shop.delivered();
    assert_eq!(
        (&second["streams"][0]["rows"], newest(&shop.table("c"))["operation"].as_str()),
        (&json!(2), Some("changed"))
    );
    let rows = live(&shop.table("c"), "SELECT id, rev, note FROM t ORDER BY id");
    assert_eq!(rows, json!([[1, 1, "a"], [2, 4, "B"], [3, 3, "c"], [4, 5, "d"]]));
    verified(&shop);
}

#[test]
fn a_table_keeps_its_kind_and_only_a_full_load_changes_the_format_of_its_files() {
    let shop = written(&orders(""), "      orders: { load: new, cursor: id }\n", "format: csv");
    shop.delivered();
    let failure = |stream: &str, files: &str| {
        shop.spec(stream, &format!("    files: {{ {files} }}\n"));
        let output = shop.once();
        (report(&output)["streams"][0]["failure"].clone(), talk(&output))
    };
    let (code, text) = failure("      orders: { load: full }\n", "format: parquet");
    assert!(code == "spec_refused" && text.contains("move the whole directory away"), "{code} {text}");
    shop.sql("INSERT INTO orders VALUES (10001, 'late', 1, NULL, NULL)");
    let (code, text) = failure("      orders: { load: new, cursor: id }\n", "format: jsonl");
    assert!(code == "schema_changed" && text.contains("one `full` load replaces them"), "{code} {text}");
    let (code, _) = failure("      orders: { load: full }\n", "format: jsonl, compression: none");
    assert_eq!(code, Value::Null);
    assert_eq!(newest(&shop.table("orders"))["table"]["format"], "jsonl");
    assert_eq!(live(&shop.table("orders"), "SELECT count(*) FROM t"), json!([[10_001]]));
    verified(&shop);
}

/// The blocks of a document in one language.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    document
        .split(&fence)
        .skip(1)
        .filter_map(|rest| rest.split_once("```"))
        .map(|(block, _)| block.to_owned())
        .collect()
}

/// What docs/formats.md tells people to type, on what its example writes; its shell commands run in the test of all documents.
#[test]
fn the_sql_of_the_formats_page_reads_what_its_example_writes() {
    let page = std::fs::read_to_string(repository().join("docs/formats.md")).expect("the page");
    let shop = Shop::with(&std::fs::read_to_string(repository().join("examples/shop.sql")).expect("the shop"), "");
    let spec = repository().join("examples/files.waybill.yaml");
    for pipeline in ["customers-as-csv", "orders-as-jsonl"] {
        let mut worker = Command::new(binary("waybill-worker"));
        worker.args(["once", "--pipeline", pipeline, "--spec"]).arg(&spec).current_dir(shop.dir.path());
        let output = worker.output().expect("run the worker");
        assert!(output.status.success(), "{}", talk(&output));
    }
    let statements = blocks(&page, "sql");
    let rows: Vec<Value> = statements.iter().map(|sql| readers::typed(shop.dir.path(), sql).expect("DuckDB")).collect();
    assert_eq!(
        rows,
        [
            json!([[1, "Ada", "ada@example.com"], [2, "Grace", null]]),
            json!([[1, 1, "12.50"], [2, 2, "0.99"], [3, 1, "1048.00"]])
        ]
    );
    for (table, wanted) in [("customers", "'name': 'Grace', 'email': ''"), ("orders", "'total': '1048.00'")] {
        let script = repository().join("examples/read_files.py");
        let output = Command::new("python3").arg(script).arg(shop.table(table)).output().expect("python3");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains(wanted), "{said}{}", talk(&output));
    }
}
