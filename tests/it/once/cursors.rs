//! What a committed cursor stands for: its column, its source, its filter. Under others it is refused, never followed.

use serde_json::json;
use waybill_tests::readers::{self, Foreign};

use super::{Shop, rows, talk};

#[test]
fn a_cursor_of_another_column_is_refused_and_one_full_load_begins_anew_with_it() {
    let shop = Shop::with(
        "CREATE TABLE c (id INTEGER PRIMARY KEY, seq INTEGER); INSERT INTO c VALUES (100, 1), (200, 2);",
        "      c: { load: new, cursor: id }",
    );
    shop.delivered();
    // By the other column's last value this row was never new.
    shop.sql("INSERT INTO c VALUES (201, 3)");
    shop.spec("      c: { load: new, cursor: seq }", "");
    let output = shop.once();
    assert_eq!(output.status.code(), Some(10), "{}", talk(&output));
    let told = talk(&output);
    assert!(told.contains("cursor_changed") && told.contains("that of id") && told.contains("seq"), "{told}");
    assert_eq!(rows(&shop.table("c"), "select count(*) from t"), json!([[2]]), "nothing may be written");

    for load in ["{ load: full }", "{ load: new, cursor: seq }"] {
        shop.spec(&format!("      c: {load}"), "");
        shop.delivered();
        assert_eq!(rows(&shop.table("c"), "select count(*), count(distinct id) from t"), json!([[3, 3]]), "{load}");
    }
    shop.sql("INSERT INTO c VALUES (7, 4)");
    let report = shop.delivered();
    assert_eq!(report["streams"][0]["rows"], 1, "only what is new: {report}");
    assert_eq!(rows(&shop.table("c"), "select count(*), count(distinct id) from t"), json!([[4, 4]]));
}

#[test]
fn a_new_run_that_finds_nothing_after_a_full_one_takes_nothing_away() {
    let shop = Shop::with("CREATE TABLE c (id INTEGER PRIMARY KEY); INSERT INTO c VALUES (1), (2);", "      c: {}");
    shop.delivered();
    shop.sql("DELETE FROM c");
    shop.spec("      c: { load: new, cursor: id, shrink-guard: off }", "");
    shop.delivered();
    assert_eq!(rows(&shop.table("c"), "select count(*), max(id) from t"), json!([[2, 2]]));
    shop.sql("INSERT INTO c VALUES (9)");
    shop.delivered();
    assert_eq!(rows(&shop.table("c"), "select count(*), max(id) from t"), json!([[1, 9]]), "it begins anew with rows");
}

/// A table of three rows, two of them delivered by the first filter or from the first source.
const TWO_REGIONS: &str = "CREATE TABLE c (id INTEGER PRIMARY KEY, region TEXT);
    INSERT INTO c VALUES (1, 'north'), (2, 'south'), (3, 'north');";
const NORTH: &str = "      c: { load: new, cursor: id, filter: [{ column: region, op: eq, value: north }] }";

#[test]
fn a_filter_that_lets_more_rows_in_is_refused_until_one_full_load_or_a_word_of_consent() {
    let shop = Shop::with(TWO_REGIONS, NORTH);
    shop.delivered();
    // Row 2 stands below the cursor: no window would ever take it.
    shop.spec("      c: { load: new, cursor: id }", "");
    let output = shop.once();
    let told = talk(&output);
    assert_eq!(output.status.code(), Some(10), "{told}");
    assert!(told.contains("cursor_changed") && told.contains("the stream's filter is another"), "{told}");
    assert_eq!(rows(&shop.table("c"), "select count(*) from t"), json!([[2]]), "nothing may be written");
    for load in ["{ load: full }", "{ load: new, cursor: id }"] {
        shop.spec(&format!("      c: {load}"), "");
        shop.delivered();
        assert_eq!(rows(&shop.table("c"), "select id from t order by id"), json!([[1], [2], [3]]), "{load}");
    }
    shop.sql("INSERT INTO c VALUES (4, 'south'), (5, 'north')");
    shop.spec(&NORTH.replace("filter", "take-over: true, filter"), "");
    shop.delivered();
    shop.spec(NORTH, "");
    assert_eq!(shop.delivered()["streams"][0]["rows"], 0, "consent is kept");
    assert_eq!(
        rows(&shop.table("c"), "select max(id), count(*) from t"),
        json!([[5, 4]]),
        "from the cursor on, as was asked"
    );
}

/// The source's table is gone by then: whoever read before looking at the table would say so instead.
#[test]
fn a_take_over_of_a_cut_log_is_refused_before_the_source_is_read() {
    let shop = Shop::with(TWO_REGIONS, "      c: { load: new, cursor: id }");
    shop.delivered();
    let table = shop.table("c");
    std::fs::remove_dir_all(table.join("_delta_log")).expect("the log goes");
    readers::create(&table, &json!({})).expect("a table of delta-rs");
    readers::change(&table, Foreign::CleanUp).expect("a clean-up");
    shop.sql("DROP TABLE c");
    shop.spec("      c: { load: new, cursor: id, take-over: true }", "");
    let told = talk(&shop.once());
    assert!(told.contains("append_in_doubt") && told.contains("an append might double them"), "{told}");
}

#[test]
fn another_source_under_the_same_name_is_refused_with_its_cursor() {
    let shop = Shop::with(TWO_REGIONS, "      c: { load: new, cursor: id }");
    shop.delivered();
    let other = shop.path("other.db");
    rusqlite::Connection::open(&other).expect("open").execute_batch(TWO_REGIONS).expect("rows");
    let spec = shop.path("shop.yaml");
    let text = std::fs::read_to_string(&spec).expect("the spec").replace("/shop.db", "/other.db");
    std::fs::write(&spec, text).expect("another source");
    let output = shop.once();
    let told = talk(&output);
    assert_eq!(output.status.code(), Some(10), "{told}");
    assert!(told.contains("cursor_changed") && told.contains("the source is another"), "{told}");
    assert!(told.contains("take-over: true"), "the way on: {told}");
}

#[test]
fn a_cursor_of_another_zone_is_refused() {
    let shop = Shop::with(
        "CREATE TABLE c (id INTEGER PRIMARY KEY, at TIMESTAMP); INSERT INTO c VALUES (1, '2026-01-05 10:00:00');",
        "      c: { load: new, cursor: at, cursor-zone: Asia/Tokyo }",
    );
    shop.delivered();
    shop.spec("      c: { load: new, cursor: at, cursor-zone: UTC }", "");
    let told = talk(&shop.once());
    assert!(told.contains("cursor_changed") && told.contains("`cursor-zone` is another"), "{told}");
}
