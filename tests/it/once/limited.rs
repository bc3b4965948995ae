//! A real load of a few rows: into tables that nobody relies on yet, said to be limited wherever it is told, and replaced by the
//! next run.

use std::process::Output;

use serde_json::{Value, json};

use super::changed::fixture::EVERY;
use super::{Shop, report, rows, talk};

const LOADS: [&str; 3] = ["load: full", "load: new, cursor: id", "load: changed, cursor: id, deletes: mark"];

fn shop(keys: &str) -> Shop {
    let sql = "CREATE TABLE c (id INTEGER PRIMARY KEY, note TEXT);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO c SELECT i, 'note' FROM n";
    Shop::with(sql, &format!("      c: {{ {keys} }}"))
}

fn once(shop: &Shop, arguments: &[&str]) -> Output {
    shop.command("waybill-worker").args(arguments).output().expect("run the worker")
}

fn stream(shop: &Shop, arguments: &[&str], exit: i32) -> Value {
    let output = once(shop, arguments);
    assert_eq!(output.status.code(), Some(exit), "{}", talk(&output));
    let is_told = arguments.contains(&"--limit") && exit == 0;
    assert_eq!(talk(&output).contains("LIMITED: "), is_told, "{}", talk(&output));
    report(&output)["streams"][0].clone()
}

fn count(shop: &Shop) -> Value {
    rows(&shop.table("c"), "SELECT count(*), count(DISTINCT id) FROM t")
}

#[test]
fn a_limited_run_brings_the_first_rows_and_the_next_one_all_of_them_in_their_place() {
    for keys in LOADS {
        let more = ", verify-count: true, expect: [{ rows: { min: 4000, change: 5% } }, { not-null: [note] }]";
        let shop = shop(&format!("{keys}{more}"));
        for (limit, rows) in [("3", 3), ("2100", 2100), ("7", 7)] {
            let told = stream(&shop, &["--limit", limit], 0);
            assert_eq!((&told["rows"], &told["grade"]), (&json!(rows), &json!("unchecked")), "{keys}: {told}");
            assert_eq!(told["receipt"]["errand"], json!({"limit": rows}), "{keys}");
            assert_eq!(count(&shop), json!([[rows, rows]]), "{keys}");
        }
        let whole = stream(&shop, &[], 0);
        assert_eq!((&whole["rows"], &whole["grade"]), (&json!(5000), &json!("verified")), "{keys}: {whole}");
        assert_eq!(whole["receipt"].get("errand"), None);
        assert_eq!(count(&shop), json!([[5000, 5000]]), "{keys}");
        shop.sql("INSERT INTO c VALUES (5001, 'new')");
        shop.spec(&format!("      c: {{ {keys} }}"), "");
        let next = stream(&shop, &[], 0);
        assert_eq!(next["rows"], if keys == LOADS[0] { 5001 } else { 1 }, "{keys}: {next}");
        // What whole runs have filled is nobody's to try on.
        let refused = stream(&shop, &["--limit", "3"], 10);
        assert_eq!(refused["failure"], "request_unusable", "{keys}");
        assert!(refused["text"].as_str().is_some_and(|text| text.contains("whole runs")), "{refused}");
        assert_eq!(count(&shop), json!([[5001, 5001]]), "{keys}");
    }
}

#[test]
fn a_source_with_fewer_rows_is_proven_to_its_end_and_a_smaller_whole_run_is_held_to_no_try() {
    let shop = shop("load: new, cursor: id");
    let told = stream(&shop, &["--limit", "9000"], 0);
    assert_eq!((&told["rows"], &told["grade"]), (&json!(5000), &json!("counted")), "{told}");
    shop.sql("DELETE FROM c WHERE id > 5");
    assert_eq!(stream(&shop, &[], 0)["rows"], 5, "the shrink guard compares with no try");
    assert_eq!(count(&shop), json!([[5, 5]]));
}

#[test]
fn a_limit_stands_beside_nothing_else_and_takes_no_table_over() {
    let shop = shop("load: full, take-over: true");
    assert!(stream(&shop, &["--limit", "3"], 10)["text"].as_str().is_some_and(|text| text.contains("take-over")));
    for arguments in [&["--limit", "0"][..], &["--limit", "3", "--preview", "3"], &["--limit", "3", "--reload", "c"]] {
        assert_eq!(once(&shop, arguments).status.code(), Some(2), "{arguments:?}");
    }
    assert!(!shop.table("c").exists());
}

#[test]
fn a_worker_that_dies_at_any_step_of_a_try_leaves_a_try_or_nothing() {
    let shop = shop("load: changed, cursor: id");
    for point in EVERY {
        let marker = shop.path(point);
        let mut killed = shop.command("waybill-worker-faults");
        let killed = killed.args(["--limit", "50"]).env("WAYBILL_FAULT", format!("{point}=kill;{}", marker.display()));
        let output = killed.output().expect("run");
        assert!(marker.exists(), "{point}: {}", talk(&output));
        let first = shop.table("c").join("_delta_log/00000000000000000000.json");
        assert_eq!(first.exists(), point == "commit_applied", "{point}: what died earlier left nothing");
    }
    assert_eq!(count(&shop), json!([[50, 50]]));
    stream(&shop, &["--limit", "60"], 0);
    stream(&shop, &[], 0);
    assert_eq!(count(&shop), json!([[5000, 5000]]));
}
