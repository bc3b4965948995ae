//! What a stream expects of its rows: what fails leaves the table as it was, what warns is told, and no value is shown.

use serde_json::{Value, json};
use waybill_tests::canary::files;

use super::{Shop, report, rows, talk};

/// `people` with a value that must not be shown, and `others`.
const PEOPLE: &str = "CREATE TABLE people (id integer, name text, born date);
    INSERT INTO people VALUES (1, 'Ada', '1815-12-10'), (2, 'Bob', '1990-01-01'), (3, 'Cyd', '2000-01-01');
    CREATE TABLE others (id integer); INSERT INTO others VALUES (1);";

fn people(expect: &str) -> String {
    format!("      people: {{ load: full, expect: [{expect}] }}\n      others: {{ load: full }}")
}

fn counted(stream: &Value) -> Vec<Value> {
    let all = stream["expected"].as_array().expect("expectations").iter();
    all.map(|one| json!([one["number"], one["rows"], one["holds"]])).collect()
}

#[test]
fn rows_that_are_not_as_expected_leave_the_table_as_it_was_and_the_others_commit() {
    let shop = Shop::with(PEOPLE, &people("{ not-null: [id] }"));
    assert_eq!(counted(&shop.delivered()["streams"][0]), [json!([1, 0, true])]);
    shop.sql(
        "INSERT INTO people VALUES (3, 'Secretname', '3024-01-01'), (NULL, NULL, NULL); INSERT INTO others VALUES (2)",
    );
    shop.spec(
        &people(
            "{ not-null: [id, name] }, { unique: [id] }, { range: { column: born, min: 1900-01-01, max: 2026-01-01 } }, \
             { rows: { min: 1, change: 50% } }",
        ),
        "",
    );
    let output = shop.once();
    assert_eq!(output.status.code(), Some(11), "partly failed: {}", talk(&output));
    let told = report(&output);
    let (people, others) = (&told["streams"][0], &told["streams"][1]);
    assert_eq!((&people["failure"], &others["state"]), (&json!("expectation_failed"), &json!("committed")));
    let wanted = "expectation 1 (not-null of id, name): 1 row; expectation 2 (unique of id): 1 row; \
                  expectation 3 (range of born): 2 rows; expectation 4 (number of rows): 5 rows";
    assert_eq!(people["text"], wanted);
    assert!(talk(&output).contains(&format!("× people: expectation_failed: {wanted}")), "{}", talk(&output));
    assert_eq!(rows(&shop.table("people"), "SELECT count(*) FROM t"), json!([[3]]));
    assert_eq!(rows(&shop.table("others"), "SELECT count(*) FROM t"), json!([[2]]));
    for file in files(&shop.path("lake/_waybill"), &[]) {
        let text = String::from_utf8_lossy(&std::fs::read(&file).expect("a log")).into_owned();
        assert!(!text.contains("Secretname") && !text.contains("3024"), "{}", file.display());
    }
    assert!(!talk(&output).contains("Secretname") && !talk(&output).contains("3024"));
}

#[test]
fn rows_that_only_warn_are_delivered_and_counted_in_the_receipt() {
    let shop =
        Shop::with(PEOPLE, &people("{ range: { column: id, max: 2 }, on-failure: warn }, { unique: [id, name] }"));
    let output = shop.once();
    assert_eq!(output.status.code(), Some(0), "{}", talk(&output));
    assert!(talk(&output).contains("! people: expectation 1 (range of id): 1 row\n"), "{}", talk(&output));
    let told = report(&output);
    let wanted = [json!([1, 1, false]), json!([2, 0, true])];
    assert_eq!(counted(&told["streams"][0]), wanted);
    assert_eq!(counted(&told["streams"][0]["receipt"]), wanted, "the receipt says so too");
    assert_eq!(told["streams"][1]["receipt"]["expected"], Value::Null, "who expects nothing has nothing to tell");
    assert_eq!(rows(&shop.table("people"), "SELECT count(*) FROM t"), json!([[3]]));
}

#[test]
fn a_number_of_rows_is_compared_with_the_table_that_is_replaced_or_with_the_last_window() {
    let expect = "expect: [{ rows: { change: 100% } }]";
    let shop = Shop::with(
        "CREATE TABLE n (id integer primary key); INSERT INTO n VALUES (1), (2), (3), (4), (5), (6);",
        &format!("      n: {{ load: new, cursor: id, {expect} }}"),
    );
    let came = |ids: &str, is_expected: bool| {
        shop.sql(&format!("INSERT INTO n VALUES {ids}"));
        let output = shop.once();
        assert_eq!(output.status.success(), is_expected, "{ids}: {}", talk(&output));
    };
    shop.delivered();
    came("(11), (12)", true);
    // Against the two rows of the last window, and not against the eight of the table.
    came("(21), (22), (23), (24)", true);
    came("(31), (32), (33), (34), (35), (36), (37), (38), (39)", false);
    shop.spec(&format!("      n: {{ load: full, {expect} }}"), "");
    // 21 rows in place of the 12 of the table, and not of the last window's four.
    shop.delivered();
}

#[test]
fn the_most_that_a_window_may_bring_bounds_windows_and_no_run_that_reads_the_whole_table() {
    let shop = Shop::with(PEOPLE, "");
    let spec = |load: &str| shop.spec(&format!("      people: {{ {load}, expect: [{{ rows: {{ max: 2 }} }}] }}"), "");
    // The first run, and the first one behind a full load.
    spec("load: new, cursor: id");
    shop.delivered();
    shop.spec("      people: { load: full }", "");
    shop.delivered();
    spec("load: new, cursor: id");
    assert_eq!(shop.delivered()["streams"][0]["rows"], 3);
    shop.sql("INSERT INTO people VALUES (4, 'D', NULL), (5, 'E', NULL), (6, 'F', NULL)");
    assert_eq!(report(&shop.once())["streams"][0]["failure"], "expectation_failed");
    assert_eq!(rows(&shop.table("people"), "SELECT count(*) FROM t"), json!([[3]]));
}

#[test]
fn rows_that_do_not_fit_the_memory_end_the_stream_with_a_number() {
    let shop = Shop::with(
        "CREATE TABLE many (id integer); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500000)
         INSERT INTO many SELECT i FROM n",
        "      many: { load: full, expect: [{ unique: [id] }] }",
    );
    let output = shop.once();
    let stream = &report(&output)["streams"][0];
    assert_eq!(stream["failure"], "expectation_too_large", "{}", talk(&output));
    let text = stream["text"].as_str().expect("a text");
    assert!(
        text.starts_with("expectation 1 (unique of id): its 13.5 MiB of the memory hold the digests of "),
        "{text}"
    );
    assert!(!shop.table("many").join("_delta_log").exists(), "nothing may be committed");
}
