//! The first rows of each stream, for people to look at: no table, no cursor, and gone when they are old.

use std::fs::File;
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use waybill_tests::binaries::binary;
use waybill_tests::canary::files;

use super::{Shop, orders, report, talk};

fn worker(arguments: &[&str]) -> Output {
    Command::new(binary("waybill-worker")).args(arguments).output().expect("run the worker")
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
}

#[test]
fn a_preview_writes_the_first_rows_and_touches_no_table_and_no_cursor() {
    let shop = Shop::with(
        &orders("CREATE TABLE odd (n integer); INSERT INTO odd VALUES (1), ('no number'), (3), (4);"),
        "      orders: { load: new, cursor: id, columns: { select: [id, customer], rename: { customer: who } } }\n      \
         odd: { expect: [{ rows: { min: 5 } }] }",
    );
    let output = shop.command("waybill-worker").args(["--preview", "3"]).output().expect("run the worker");
    assert_eq!(output.status.code(), Some(0), "{}", talk(&output));
    let told = report(&output);
    let run = told["run"].as_str().expect("a run");
    let url = shop.path("lake").display().to_string();
    assert!(talk(&output).contains(&format!("✓ orders: 3 rows in file://{url}/_waybill/preview/{run}/0-orders/")));
    assert!(!shop.table("orders").exists() && !shop.table("odd").exists(), "no table may be begun");

    let all = worker(&["preview", &url, "--run", run]);
    let who = |n: i64| json!({"id": n, "who": format!("customer {n}")});
    assert_eq!(lines(&all)[..3], [who(1), who(2), who(3)]);
    let odd = lines(&worker(&["preview", &url, "--run", run, "--stream", "1"]));
    assert_eq!(odd.len(), 3);
    assert_eq!((&odd[1]["n"], &odd[1]["n__text"]), (&Value::Null, &json!("'no number'")), "a value keeps its twin");
    let other = worker(&["preview", &url, "--run", "run_01arz3ndektsv4rrffq69g5fav"]);
    assert_eq!(other.status.code(), Some(1), "{}", talk(&other));

    // Nothing was read for a table: the next run brings every row.
    shop.spec("      orders: { load: new, cursor: id }", "");
    assert_eq!(shop.delivered()["streams"][0]["rows"], json!(10_000));
    let verified = worker(&["verify", &url]);
    assert_eq!(verified.status.code(), Some(0), "{}", String::from_utf8_lossy(&verified.stdout));

    let written = files(&shop.path("lake/_waybill/preview"), &[]);
    assert_eq!(written.len(), 2, "{written:?}");
    let old = SystemTime::now() - Duration::from_secs(8 * 86_400);
    File::options().write(true).open(&written[0]).expect("open").set_modified(old).expect("an old file");
    let cleaned = worker(&["gc", &url, "--dry-run"]);
    let said = String::from_utf8_lossy(&cleaned.stdout).into_owned();
    assert!(said.contains("_waybill/preview: would delete 1 file") && said.contains("1 file kept for now"), "{said}");
    assert!(written.iter().all(|file| file.exists()));
    assert_eq!(worker(&["gc", &url]).status.code(), Some(0));
    assert_eq!((written[0].exists(), written[1].exists()), (false, true), "the young one stays");
}
