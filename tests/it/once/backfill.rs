//! Rows that no window would bring any more, read once more and merged by their key: a range of the cursor, or from its beginning.

use std::process::Output;

use serde_json::{Value, json};

use super::changed::fixture::EVERY;
use super::{Shop, report, rows, talk};

const CHANGED: &str = "      c: { load: changed, cursor: rev }\n      other: { load: new, cursor: id }";

/// Ten rows that a run has brought, and then were changed without their cursor.
fn shop() -> Shop {
    let shop = Shop::with(
        "CREATE TABLE c (id INTEGER PRIMARY KEY, rev INTEGER NOT NULL, note TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10) INSERT INTO c SELECT i, i * 10, 'old' FROM n;
         CREATE TABLE other (id INTEGER PRIMARY KEY); INSERT INTO other VALUES (1)",
        CHANGED,
    );
    shop.delivered();
    shop.sql("UPDATE c SET note = 'unseen'");
    shop
}

fn once(shop: &Shop, arguments: &[&str]) -> Output {
    shop.command("waybill-worker").args(arguments).output().expect("run the worker")
}

fn stream(shop: &Shop, arguments: &[&str], exit: i32) -> Value {
    let output = once(shop, arguments);
    assert_eq!(output.status.code(), Some(exit), "{}", talk(&output));
    let told = report(&output);
    assert_eq!(told["streams"].as_array().map(Vec::len), Some(1), "no other stream runs: {told}");
    told["streams"][0].clone()
}

/// The ids of the rows that came anew.
fn seen(shop: &Shop) -> Value {
    let all = "SELECT count(*), count(DISTINCT id) FROM t";
    let many = shop.count("c");
    assert_eq!(rows(&shop.table("c"), all), json!([[many, many]]), "every key once");
    rows(&shop.table("c"), "SELECT id FROM t WHERE note <> 'old' ORDER BY id")
}

#[test]
fn a_range_comes_once_more_in_place_of_its_rows_and_the_cursor_stays() {
    let shop = shop();
    let told = stream(&shop, &["--backfill", "c", "--from", "30", "--to", "60"], 0);
    assert_eq!((&told["rows"], &told["receipt"]["merged"]["rows"]), (&json!(3), &json!(3)), "{told}");
    assert_eq!(told["receipt"]["errand"], json!({"backfill": {"from": "30", "to": "60"}}));
    assert_eq!(seen(&shop), json!([[3], [4], [5]]));
    // One end alone: up to the first rows, and up to where a window ends.
    assert_eq!(stream(&shop, &["--backfill", "c", "--to", "20"], 0)["rows"], 1);
    assert_eq!(stream(&shop, &["--backfill", "c", "--from", "100"], 0)["rows"], 1);
    assert_eq!(seen(&shop), json!([[1], [3], [4], [5], [10]]));
    let empty = stream(&shop, &["--backfill", "c", "--from", "-7", "--to", "5"], 0);
    assert_eq!(
        (&empty["rows"], &empty["version"]),
        (&json!(0), &Value::Null),
        "nothing lies there, nothing is committed"
    );
    // What came after the cursor is new to the next window, and nothing else is.
    shop.sql("INSERT INTO c VALUES (11, 110, 'next')");
    let early = stream(&shop, &["--backfill", "c", "--from", "110"], 0);
    assert_eq!(early["rows"], 1);
    let next = shop.delivered();
    assert_eq!(next["streams"][0]["rows"], 1, "the cursor stands where the last window ended: {next}");
    assert_eq!(next["streams"][0]["receipt"].get("errand"), None);
    assert_eq!(seen(&shop), json!([[1], [3], [4], [5], [10], [11]]));
}

#[test]
fn a_cursor_that_is_forgotten_brings_every_row_in_its_own_place_and_goes_on_from_there() {
    let shop = shop();
    // Neither another cursor nor another filter holds it up, which a window would be: every row is looked at.
    shop.sql("ALTER TABLE c ADD COLUMN stamp INTEGER NOT NULL DEFAULT 7; UPDATE c SET stamp = id + 1000");
    shop.spec(
        "      c: { load: changed, cursor: stamp, filter: [{ column: id, op: gt, value: 2 }], new-columns: ignore }",
        "",
    );
    assert_eq!(stream(&shop, &[], 10)["failure"], "cursor_changed");
    let told = stream(&shop, &["--forget-cursor", "c"], 0);
    assert_eq!((&told["rows"], &told["receipt"]["errand"]), (&json!(8), &json!("forget-cursor")), "{told}");
    assert_eq!(seen(&shop), json!([[3], [4], [5], [6], [7], [8], [9], [10]]), "and no row was emptied away");
    shop.sql("INSERT INTO c VALUES (11, 1, 'new', 2000)");
    assert_eq!(stream(&shop, &[], 0)["rows"], 1, "it goes on from the new cursor");
}

#[test]
fn what_would_double_rows_or_can_not_be_read_is_refused_in_words_before_anything_is_read() {
    let shop = shop();
    for (arguments, told) in [
        (&["--backfill", "other", "--from", "1"][..], "`load: new` appends"),
        (&["--forget-cursor", "other"], "reload the stream, or give it `load: changed`"),
        (&["--backfill", "c"], "needs `from` or `to`"),
        (&["--backfill", "c", "--from", "9", "--to", "8"], "not below"),
        (&["--backfill", "c", "--from", "soon"], "write a whole number"),
        (&["--backfill", "c", "--from", "1", "--reload", "c"], "named twice"),
        (&["--backfill", "nothing", "--from", "1"], "no stream nothing"),
        (&["--from", "1"], "--backfill"),
        (&["--preview", "3", "--forget-cursor", "c"], "cannot be used with"),
    ] {
        let output = once(&shop, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", talk(&output));
        assert!(talk(&output).contains(told), "{arguments:?}: {}", talk(&output));
    }
    let typed = stream(&shop, &["--backfill", "c", "--from", "2026-01-31"], 10);
    assert_eq!(typed["failure"], "request_unusable");
    assert!(typed["text"].as_str().is_some_and(|text| text.contains("holds whole numbers")), "{typed}");
    assert_eq!(seen(&shop), json!([]));
    // Nothing stands behind a cursor that there is not.
    shop.sql(
        "CREATE TABLE d (id INTEGER PRIMARY KEY, rev INTEGER NOT NULL, note TEXT); INSERT INTO d VALUES (1, 1, '')",
    );
    shop.spec("      d: { load: changed, cursor: rev }", "");
    let first = stream(&shop, &["--backfill", "d", "--from", "1"], 10);
    assert!(first["text"].as_str().is_some_and(|text| text.contains("run the stream first")), "{first}");
}

/// Times as SQLite has them are texts: a bound is written as the column writes.
#[test]
fn a_range_of_times_is_compared_as_the_column_writes_them() {
    for (first, second, third, from, to, wrong) in [
        (
            "2026-01-01 10:00:00",
            "2026-01-02 10:00:00.5",
            "2026-01-03 10:00:00",
            "2026-01-02",
            "2026-01-03T10:00:00",
            "2026-01-02T00:00:00Z",
        ),
        (
            "2026-01-01T10:00:00Z",
            "2026-01-02T10:00:00.5Z",
            "2026-01-03T10:00:00Z",
            "2026-01-02T12:00:00+02:00",
            "2026-01-03T10:00:00Z",
            "2026-01-02",
        ),
        ("2026-01-01", "2026-01-02", "2026-01-03", "2026-01-02", "2026-01-03", "2026-01-02T00:00:01"),
    ] {
        let sql = format!(
            "CREATE TABLE c (id INTEGER PRIMARY KEY, at TIMESTAMP NOT NULL, note TEXT);
             INSERT INTO c VALUES (1, '{first}', 'old'), (2, '{second}', 'old'), (3, '{third}', 'old')"
        );
        let shop = Shop::with(&sql, "      c: { load: changed, cursor: at, cursor-zone: UTC }");
        shop.delivered();
        shop.sql("UPDATE c SET note = 'unseen'");
        let told = stream(&shop, &["--backfill", "c", "--from", from, "--to", to], 0);
        assert_eq!((&told["rows"], seen(&shop)), (&json!(1), json!([[2]])), "{first}: {told}");
        let refused = stream(&shop, &["--backfill", "c", "--from", wrong], 10);
        assert_eq!(refused["failure"], "request_unusable", "{first}: {refused}");
    }
}

/// No plan names it, so the guard is asked of it by itself.
#[test]
fn a_backfill_is_held_to_the_guard() {
    let shop = shop();
    let (place, file) = (shop.path(""), shop.path("guard.toml"));
    let guarded = |keys: &str| {
        let guard = format!(
            "guard = 1\n{keys}[read]\nconnectors = [\"sqlite\"]\npaths = [\"{0}\"]\n[write]\nconnectors = [\"local\"]\npaths = [\"{0}\"]\n",
            place.display().to_string().trim_end_matches('/')
        );
        std::fs::write(&file, guard).expect("write the guard");
        let file = file.display().to_string();
        once(&shop, &["--guard", &file, "--backfill", "c", "--from", "30", "--to", "60"])
    };
    let refused = guarded("backfill = false\n");
    assert!(refused.status.code() == Some(10) && talk(&refused).contains("backfill_not_allowed"), "{}", talk(&refused));
    assert_eq!(seen(&shop), json!([]));
    let allowed = guarded("reload = false\n");
    assert_eq!(allowed.status.code(), Some(0), "{}", talk(&allowed));
    assert_eq!(seen(&shop), json!([[3], [4], [5]]));
}

/// A range says nothing of the rows beside it.
#[test]
fn a_backfill_takes_no_row_for_deleted_and_asks_no_count_of_a_window() {
    let shop = shop();
    shop.spec(
        "      c: { load: changed, cursor: rev, deletes: remove, expect: [{ rows: { min: 2, max: 4, change: 100% } }] }",
        "",
    );
    shop.sql("DELETE FROM c WHERE id = 4; UPDATE c SET rev = rev + 1000 WHERE id > 7");
    stream(&shop, &[], 0);
    shop.sql("DELETE FROM c WHERE id = 5");
    let told = stream(&shop, &["--backfill", "c", "--from", "30", "--to", "40"], 0);
    assert_eq!(told["rows"], 1, "{told}");
    assert_eq!(
        rows(&shop.table("c"), "SELECT count(*) FROM t WHERE id = 5"),
        json!([[1]]),
        "only a window looks for it"
    );
    // What was asked for is not what the next window is compared with.
    shop.sql("UPDATE c SET rev = rev + 5000 WHERE id > 7");
    assert_eq!(stream(&shop, &[], 0)["rows"], 3);
    assert_eq!(rows(&shop.table("c"), "SELECT count(*) FROM t WHERE id = 5"), json!([[0]]));
    let every = stream(&shop, &["--forget-cursor", "c"], 0);
    assert_eq!(every["rows"], 8, "more than a window may bring: {every}");
}

#[test]
fn a_worker_that_dies_at_any_step_of_a_backfill_leaves_every_row_once_and_the_cursor_where_it_was() {
    let shop = shop();
    let asked = ["--backfill", "c", "--from", "30", "--to", "60"];
    for point in EVERY {
        let marker = shop.path(point);
        let mut killed = shop.command("waybill-worker-faults");
        let killed = killed.args(asked).env("WAYBILL_FAULT", format!("{point}=kill;{}", marker.display()));
        let output = killed.output().expect("run");
        assert!(marker.exists(), "{point}: {}", talk(&output));
        let landed = if point == "commit_applied" { json!([[3], [4], [5]]) } else { json!([]) };
        assert_eq!(seen(&shop), landed, "{point}");
    }
    assert_eq!(stream(&shop, &asked, 0)["rows"], 3, "again: they take their own places");
    assert_eq!(seen(&shop), json!([[3], [4], [5]]));
    shop.sql("INSERT INTO c VALUES (11, 110, 'next')");
    assert_eq!(shop.delivered()["streams"][0]["rows"], 1);
}
