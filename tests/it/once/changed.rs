//! `load: changed` over SQLite: rows that changed take the place of those with their key, and no other file is touched.

pub(super) mod fixture;
mod overtaken;
mod refused;
mod sweeps;

use std::process::Command;

use serde_json::{Value, json};
use waybill_tests::binaries::binary;

use super::{Shop, report, rows, talk};
use fixture::{Merging, contents, log};

/// Rows with noise, so that a few thousand fill several files of the least size.
fn noisy(many: i64) -> Merging {
    let sql = format!(
        "CREATE TABLE c (id INTEGER PRIMARY KEY, rev INTEGER NOT NULL, note TEXT, noise BLOB);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {many})
         INSERT INTO c SELECT i, i, 'note ' || i, randomblob(2000) FROM n"
    );
    let merging = Merging(Shop::with(&sql, ""));
    merging.0.spec("      c: { load: changed, cursor: rev }", "    files: { size: 1MiB }\n");
    merging
}

#[test]
fn changed_rows_take_the_place_of_those_with_their_key_and_only_their_files_are_written_anew() {
    let merging = noisy(9000);
    let shop = &merging.0;
    let first = shop.delivered();
    assert_eq!(first["streams"][0]["rows"], 9000);
    let before = log(shop, 0);
    let added = before.iter().filter(|action| action.get("add").is_some()).count();
    assert!(added > 4, "several files: {added}");

    // Rows of one place in the table, one new row, and one that no window sees.
    shop.sql(
        "UPDATE c SET note = 'changed ' || id, rev = 10000 + id WHERE id BETWEEN 40 AND 60;
         INSERT INTO c VALUES (9001, 20000, 'new', x'00')",
    );
    let second = shop.delivered();
    let stream = &second["streams"][0];
    assert_eq!(stream["rows"], 22, "{second}");
    merging.is_the_source("c", "id, rev, note", "id");
    let after = log(shop, 1);
    let of = |kind: &str| after.iter().filter(|action| action.get(kind).is_some()).count();
    assert_eq!(of("remove"), 1, "one file went: {after:?}");
    assert!((2..=3).contains(&of("add")), "its other rows, in one file or two, and the new ones came: {after:?}");
    assert!(!shop.table("c").join("_delta_log").join(format!("{:020}.json", 2)).exists(), "one commit");
    let merged = &stream["receipt"]["merged"];
    let kept: u64 =
        merged["kept"].as_array().expect("files").iter().map(|file| file["rows"].as_u64().expect("rows")).sum();
    assert_eq!((&merged["rows"], &merged["key"]), (&json!(21), &json!(["id"])), "{merged}");
    assert_eq!(merged["rows_before"].as_u64(), Some(kept + 21));
    super::verified(shop);

    let third = shop.delivered();
    assert_eq!((&third["streams"][0]["rows"], &third["streams"][0]["version"]), (&json!(0), &Value::Null));
}

#[test]
fn keys_of_several_columns_and_types_tell_rows_apart() {
    let shop = Shop::with(
        "CREATE TABLE c (a TEXT NOT NULL, n INTEGER NOT NULL, d DATE NOT NULL, b BLOB NOT NULL, rev INTEGER NOT NULL, v TEXT,
           PRIMARY KEY (n, b, a, d));
         INSERT INTO c VALUES ('', 1, '2024-01-01', x'', 1, 'one'), ('x', 1, '2024-01-01', x'', 2, 'two'),
           ('', 1, '2024-01-01', x'00', 3, 'three'), ('', 1, '2024-01-02', x'', 4, 'four'), ('x', -1, '2024-01-01', x'', 5, 'five'),
           ('xx', 1, '2024-01-01', x'78', 6, 'six'), ('ü 🦀', 9223372036854775807, '0001-01-01', x'ff00ff', 7, 'seven')",
        "      c: { load: changed, cursor: rev }",
    );
    let merging = Merging(shop);
    merging.delivers("c", 7);
    for (at, n) in [(1, 8), (7, 9), (3, 10)] {
        merging.0.sql(&format!("UPDATE c SET v = v || ' again', rev = {n} WHERE rev = {at}"));
        merging.delivers("c", 1);
        merging.is_the_source("c", "a, n, d, b, rev, v", "rev");
    }
    merging.0.sql("UPDATE c SET v = upper(v), rev = rev + 100");
    merging.delivers("c", 7);
    merging.is_the_source("c", "a, n, d, b, rev, v", "rev");
}

#[test]
fn what_a_full_or_new_load_left_is_read_anew_before_rows_are_merged_into_it() {
    let shop = Shop::with(
        "CREATE TABLE c (id INTEGER PRIMARY KEY, rev INTEGER NOT NULL); INSERT INTO c VALUES (1, 1), (2, 2)",
        "      c: { load: new, cursor: rev }",
    );
    let merging = Merging(shop);
    merging.delivers("c", 2);
    merging.0.sql("UPDATE c SET rev = 3 WHERE id = 1");
    merging.delivers("c", 1);
    let count = "select count(*), count(distinct id) from t";
    assert_eq!(rows(&merging.0.table("c"), count), json!([[3, 2]]), "`new` appends another row of the key");
    merging.0.spec("      c: { load: changed, cursor: rev }", "");
    merging.delivers("c", 2);
    merging.is_the_source("c", "id, rev", "id");
    merging.0.spec("      c: { load: full }", "");
    merging.delivers("c", 2);
    merging.0.sql("INSERT INTO c VALUES (3, 4)");
    merging.0.spec("      c: { load: changed, cursor: rev }", "");
    merging.delivers("c", 3);
    merging.0.sql("UPDATE c SET rev = 5 WHERE id = 2");
    merging.delivers("c", 1);
    merging.is_the_source("c", "id, rev", "id");
}

#[test]
fn twins_of_rows_that_stay_and_of_rows_that_come_are_in_the_table() {
    let shop = Shop::with(
        "CREATE TABLE c (id INTEGER PRIMARY KEY, rev INTEGER NOT NULL, price DECIMAL(6,2), day DATE);
         INSERT INTO c VALUES (1, 1, 'much', '2024-01-01'), (2, 2, 2.5, '2024-01-02'), (3, 3, 3, NULL)",
        "      c: { load: changed, cursor: rev }",
    );
    let merging = Merging(shop);
    merging.delivers("c", 3);
    let table = merging.0.table("c");
    // The first twin follows its row into another file, and a second one comes for a row that stood there without.
    merging.0.sql("UPDATE c SET day = 'soon', rev = 4 WHERE id = 2");
    merging.delivers("c", 1);
    let all = "select id, price, price__text, day, day__text from t order by id";
    assert_eq!(
        rows(&table, all),
        json!([
            [1, null, "'much'", "2024-01-01", null],
            [2, "2.50", null, null, "'soon'"],
            [3, "3.00", null, null, null]
        ])
    );
    merging.0.sql("UPDATE c SET price = 1, rev = 5 WHERE id = 1; UPDATE c SET price = 'little', rev = 6 WHERE id = 3");
    merging.delivers("c", 2);
    assert_eq!(
        rows(&table, all),
        json!([
            [1, "1.00", null, "2024-01-01", null],
            [2, "2.50", null, null, "'soon'"],
            [3, null, "'little'", null, null]
        ])
    );
    super::verified(&merging.0);
}

#[test]
fn a_column_that_is_new_or_of_another_type_stops_the_stream_as_it_does_a_new_one() {
    let shop = Shop::with(
        "CREATE TABLE c (id INTEGER PRIMARY KEY, rev INTEGER NOT NULL, n TEXT); INSERT INTO c VALUES (1, 1, 'a'), (2, 2, 'b')",
        "      c: { load: changed, cursor: rev }",
    );
    let merging = Merging(shop);
    merging.delivers("c", 2);
    let before = contents(&merging.0.table("c").join("_delta_log"));
    merging.0.sql("ALTER TABLE c ADD COLUMN more TEXT");
    merging.fails("c", "columns_undecided");
    merging.0.sql("UPDATE c SET rev = 3, more = 'x' WHERE id = 1");
    merging.fails("c", "columns_undecided");
    merging.0.sql("DROP TABLE c; CREATE TABLE c (id INTEGER PRIMARY KEY, rev INTEGER NOT NULL, n INTEGER)");
    merging.0.sql("INSERT INTO c VALUES (1, 3, 1)");
    merging.fails("c", "schema_changed");
    assert_eq!(contents(&merging.0.table("c").join("_delta_log")), before);
}

/// A worker of 64 MiB: the memory that it made its own, in KiB, and its report.
fn small(shop: &Shop) -> (u64, Value) {
    let mut command = Command::new(binary("waybill-worker"));
    command.args(["once", "--json", "--memory", "64MiB", "--spec"]).arg(shop.path("shop.yaml"));
    let (most, output) = super::footprint::watched(command);
    assert_eq!(output.status.code(), Some(0), "{}", talk(&output));
    (most, report(&output))
}

#[test]
fn wide_rows_behind_each_other_in_a_file_of_narrow_ones_stay_within_the_memory() {
    // 300 rows of 1.3 MiB that compress to next to nothing: of such rows the average of a file tells little.
    let shop = Shop::with(
        "CREATE TABLE c (id INTEGER PRIMARY KEY, rev INTEGER NOT NULL, pad TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
         INSERT INTO c SELECT i, i, CASE WHEN i BETWEEN 50000 AND 50299 THEN printf('%.*c', 1300000, 'x') ELSE 'n' END FROM n",
        "      c: { load: changed, cursor: rev }",
    );
    small(&shop);
    shop.sql("UPDATE c SET rev = rev + 100000 WHERE id IN (7, 50100)");
    let (most, report) = small(&shop);
    assert_eq!(
        (&report["streams"][0]["rows"], &report["streams"][0]["receipt"]["merged"]["rows"]),
        (&json!(2), &json!(2))
    );
    assert!(most > 10 << 10 && most < 64 << 10, "{most} KiB at the most, of 64 MiB");
    let sums = "select count(*), count(distinct id), cast(sum(length(pad)) as bigint) from t";
    assert_eq!(rows(&shop.table("c"), sums), json!([[100_000, 100_000, 300 * 1_300_000 + 99_700]]));
}

#[test]
fn every_row_of_a_table_many_times_the_memory_is_replaced_within_the_memory() {
    // 400,000 keys, a few times what fits at once, and rows of five times the worker's limit.
    let shop = Shop::with(
        "CREATE TABLE c (id INTEGER PRIMARY KEY, rev INTEGER NOT NULL, pad TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400000)
         INSERT INTO c SELECT i, i, hex(randomblob(16)) || printf('%.*c', 752, 'x') FROM n",
        "      c: { load: changed, cursor: rev }",
    );
    shop.delivered();
    shop.sql("UPDATE c SET rev = rev + 400000 WHERE id % 4 <> 0");
    let (most, report) = small(&shop);
    assert_eq!(report["streams"][0]["rows"], 300_000);
    assert!(most > 10 << 10 && most < 64 << 10, "{most} KiB at the most, of 64 MiB");
    let sums = "select count(*), count(distinct id), cast(sum(rev) as bigint), min(length(pad)) from t";
    let wanted: i64 = (1..=400_000_i64).map(|id| if id % 4 == 0 { id } else { id + 400_000 }).sum();
    assert_eq!(rows(&shop.table("c"), sums), json!([[400_000, 400_000, wanted, 784]]));
    super::verified(&shop);
}
