//! `deletes: remove` and `mark`: rows that the source has no more go or bear a mark, both readers see it, and nothing else changes.

use serde_json::{Value, json};

use super::fixture::{Merging, contents, log};
use super::{noisy, small};
use crate::once::{Shop, rows};

fn swept(sql: &str, keys: &str) -> Merging {
    Merging(Shop::with(sql, &format!("      c: {{ load: changed, cursor: rev, {keys} }}")))
}

/// What a run's receipt says of the rows of files that went.
fn told(report: &Value) -> [u64; 4] {
    let merged = &report["streams"][0]["receipt"]["merged"];
    ["rows", "removed", "marked", "unmarked"]
        .map(|name| merged[name].as_u64().unwrap_or_else(|| panic!("{name}: {report}")))
}

fn commits(merging: &Merging) -> usize {
    contents(&merging.0.table("c").join("_delta_log")).len()
}

const ROWS: &str = "CREATE TABLE c (id INTEGER PRIMARY KEY, rev INTEGER, note TEXT);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) INSERT INTO c SELECT i, i, 'note ' || i FROM n;";

#[test]
fn rows_that_the_source_has_no_more_go_and_only_their_files_are_written_anew() {
    let merging = noisy(9000);
    let shop = &merging.0;
    shop.spec("      c: { load: changed, cursor: rev, deletes: remove }", "    files: { size: 1MiB }\n");
    merging.delivers("c", 9000);
    assert!(log(shop, 0).iter().filter(|action| action.get("add").is_some()).count() > 4);

    // A run without new rows, whose deletions are rows of one file.
    shop.sql("DELETE FROM c WHERE id BETWEEN 40 AND 60");
    let second = shop.delivered();
    assert_eq!((&second["streams"][0]["rows"], told(&second)), (&json!(0), [0, 21, 0, 0]));
    merging.is_the_source("c", "id, rev, note", "id");
    let of = |version, kind: &str| log(shop, version).iter().filter(|action| action.get(kind).is_some()).count();
    assert_eq!(of(1, "remove"), 1, "one file went");
    assert!((1..=2).contains(&of(1, "add")), "its other rows came, in one file or two");
    super::super::verified(shop);

    // Deletions, changes and a key that is there again, at once.
    shop.sql(
        "DELETE FROM c WHERE id > 8000 AND id < 9000; UPDATE c SET note = 'changed', rev = rev + 10000 WHERE id % 1000 = 1;
         INSERT INTO c VALUES (50, 20000, 'again', x'00')",
    );
    let third = shop.delivered();
    assert_eq!((&third["streams"][0]["rows"], told(&third)), (&json!(9), [8, 999, 0, 0]));
    merging.is_the_source("c", "id, rev, note", "id");
    super::super::verified(shop);

    let fourth = shop.delivered();
    assert_eq!((&fourth["streams"][0]["rows"], &fourth["streams"][0]["version"]), (&json!(0), &Value::Null));
    assert_eq!(commits(&merging), 3, "neither new rows nor deletions: nothing is committed");
}

#[test]
fn marked_rows_stay_with_the_time_and_lose_the_mark_when_their_key_is_back() {
    let sql = format!("{ROWS} UPDATE c SET rev = NULL WHERE id = 99");
    let merging = swept(&sql, "deletes: mark, cursor-nulls: ignore, columns: { rename: { id: number } }");
    merging.delivers("c", 99);
    let table = merging.0.table("c");
    let gone = "SELECT number FROM t WHERE _waybill_deleted_at IS NOT NULL ORDER BY number";
    let state = || (rows(&table, gone), rows(&table, "SELECT count(*), count(DISTINCT number) FROM t"));
    merging.0.sql("DELETE FROM c WHERE id IN (5, 6, 7, 99)");
    assert_eq!(told(&merging.0.delivered()), [0, 0, 3, 0]);
    assert_eq!(state(), (json!([[5], [6], [7]]), json!([[99, 99]])));
    let recent = "SELECT count(*) FROM t WHERE _waybill_deleted_at BETWEEN TIMESTAMPTZ '2026-01-01 00:00:00+00' AND TIMESTAMPTZ '2126-01-01 00:00:00+00'";
    assert_eq!(rows(&table, recent), json!([[3]]));
    let before = contents(&table.join("_delta_log"));
    merging.delivers("c", 0);
    assert_eq!(contents(&table.join("_delta_log")), before, "what is marked is not marked again");

    // One comes back in a window, one below it; one goes besides, and one that is marked changes its file.
    merging.0.sql(
        "INSERT INTO c VALUES (5, 200, 'back'), (6, 6, 'back, and no window sees it'); DELETE FROM c WHERE id = 8;
         UPDATE c SET rev = 201 WHERE id = 9",
    );
    assert_eq!(told(&merging.0.delivered()), [2, 0, 1, 1]);
    assert_eq!(state(), (json!([[7], [8]]), json!([[99, 99]])));
    let back = "SELECT number, note FROM t WHERE number IN (5, 6) ORDER BY number";
    assert_eq!(rows(&table, back), json!([[5, "back"], [6, "note 6"]]));
    super::super::verified(&merging.0);
}

#[test]
fn a_row_goes_that_the_filter_lets_pass_no_more_and_one_without_a_cursor_stays() {
    let keys = "deletes: remove, cursor-nulls: ignore, filter: [{ column: note, op: ne, value: hidden }]";
    let merging = swept(ROWS, keys);
    merging.delivers("c", 100);
    merging.0.sql(
        "UPDATE c SET note = 'hidden' WHERE id = 3; UPDATE c SET rev = NULL WHERE id = 4; DELETE FROM c WHERE id = 5",
    );
    assert_eq!(told(&merging.0.delivered()), [0, 2, 0, 0]);
    let left = "SELECT count(*), min(id), cast(sum(id) AS BIGINT) FROM t";
    assert_eq!(rows(&merging.0.table("c"), left), json!([[98, 1, 5050 - 8]]));
}

#[test]
fn more_deletions_than_the_guard_allows_end_the_run_and_nothing_is_committed() {
    for deletes in ["remove", "mark"] {
        let merging = swept(ROWS, &format!("deletes: {deletes}"));
        merging.delivers("c", 100);
        merging.0.sql("DELETE FROM c WHERE id <= 51; INSERT INTO c VALUES (101, 101, 'new')");
        let said = merging.fails("c", "table_shrank");
        assert!(said.contains("51 or more of the table's 100 rows"), "{said}");
        merging.0.sql("DELETE FROM c");
        merging.fails("c", "table_shrank");
        assert_eq!(commits(&merging), 1);
        merging
            .0
            .spec(&format!("      c: {{ load: changed, cursor: rev, deletes: {deletes}, shrink-guard: off }}"), "");
        let gone = if deletes == "mark" { [0, 0, 100, 0] } else { [0, 100, 0, 0] };
        assert_eq!(told(&merging.0.delivered()), gone);
        let live = if deletes == "mark" { " WHERE _waybill_deleted_at IS NULL" } else { "" };
        assert_eq!(rows(&merging.0.table("c"), &format!("SELECT count(*) FROM t{live}")), json!([[0]]));
        super::super::verified(&merging.0);
        merging.delivers("c", 0);
    }
}

#[test]
fn the_first_run_replaces_and_a_mark_may_be_asked_for_later_but_not_given_up() {
    let merging = Merging(Shop::with(ROWS, "      c: { load: full }"));
    merging.delivers("c", 100);
    merging.0.sql("DELETE FROM c WHERE id = 1");
    let spec =
        |deletes: &str| merging.0.spec(&format!("      c: {{ load: changed, cursor: rev, deletes: {deletes} }}"), "");
    spec("remove");
    merging.delivers("c", 99);
    merging.is_the_source("c", "id, rev, note", "id");
    merging.0.sql("DELETE FROM c WHERE id = 2");
    spec("keep");
    merging.delivers("c", 0);
    spec("mark");
    assert_eq!(told(&merging.0.delivered()), [0, 0, 1, 0]);
    let gone = "SELECT id FROM t WHERE _waybill_deleted_at IS NOT NULL";
    assert_eq!(rows(&merging.0.table("c"), gone), json!([[2]]));
    spec("remove");
    merging.0.sql("DELETE FROM c WHERE id = 3");
    merging.fails("c", "schema_changed");
    merging.0.spec("      c: { load: full }", "");
    merging.delivers("c", 97);
    merging.is_the_source("c", "id, rev, note", "id");
}

#[test]
fn a_key_that_tells_nothing_anywhere_in_the_source_ends_the_run() {
    let merging = Merging(Shop::with(
        "CREATE TABLE c (id TEXT PRIMARY KEY, rev INTEGER); INSERT INTO c VALUES ('a', 1), ('b', 2), ('c', 3)",
        "      c: { load: changed, cursor: rev, cursor-nulls: ignore, deletes: remove }",
    ));
    merging.delivers("c", 3);
    // No window sees these rows, and the sweep can't tell them from others.
    merging.0.sql("DELETE FROM c WHERE id = 'a'; INSERT INTO c VALUES (NULL, NULL)");
    merging.fails("c", "key_violated");
    merging.0.sql("DELETE FROM c WHERE id IS NULL; INSERT INTO c VALUES (x'00', NULL)");
    merging.fails("c", "key_unusable");
    assert_eq!(commits(&merging), 1);
    merging.0.sql("DELETE FROM c WHERE typeof(id) = 'blob'");
    assert_eq!(told(&merging.0.delivered()), [0, 1, 0, 0]);
    merging.0.sql("ALTER TABLE c ADD COLUMN _Waybill_Deleted_At TEXT");
    merging.0.spec("      c: { load: changed, cursor: rev, deletes: mark }", "");
    merging.fails("c", "column_name_unusable");
}

#[test]
fn twins_stay_with_the_rows_that_stay() {
    let merging = swept(
        "CREATE TABLE c (id INTEGER PRIMARY KEY, rev INTEGER NOT NULL, price DECIMAL(6,2));
         INSERT INTO c VALUES (1, 1, 'much'), (2, 2, 2.5), (3, 3, 'little'), (4, 4, 4)",
        "deletes: remove",
    );
    merging.delivers("c", 4);
    merging.0.sql("DELETE FROM c WHERE id IN (2, 3); UPDATE c SET price = 'more', rev = 5 WHERE id = 4");
    assert_eq!(told(&merging.0.delivered()), [1, 2, 0, 0]);
    let all = "SELECT id, price, price__text FROM t ORDER BY id";
    assert_eq!(rows(&merging.0.table("c"), all), json!([[1, null, "'much'"], [4, null, "'more'"]]));
}

#[test]
fn deletions_of_a_table_many_times_the_memory_are_found_within_the_memory() {
    // Keys that take several looks at the source, and rows of five times the worker's limit.
    let shop = Shop::with(
        "CREATE TABLE c (id INTEGER PRIMARY KEY, rev INTEGER NOT NULL, pad TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400000)
         INSERT INTO c SELECT i, i, hex(randomblob(16)) || printf('%.*c', 752, 'x') FROM n",
        "      c: { load: changed, cursor: rev, deletes: remove }",
    );
    shop.delivered();
    shop.sql("UPDATE c SET rev = rev + 400000 WHERE id % 4 = 0; DELETE FROM c WHERE id % 4 = 1");
    let (most, report) = small(&shop);
    assert_eq!((&report["streams"][0]["rows"], told(&report)), (&json!(100_000), [100_000, 100_000, 0, 0]));
    assert!(most > 10 << 10 && most < 64 << 10, "{most} KiB at the most, of 64 MiB");
    let sums = "select count(*), count(distinct id), cast(sum(rev) as bigint), min(length(pad)) from t";
    let wanted: i64 =
        (1..=400_000_i64).filter(|id| id % 4 != 1).map(|id| if id % 4 == 0 { id + 400_000 } else { id }).sum();
    assert_eq!(rows(&shop.table("c"), sums), json!([[300_000, 300_000, wanted, 784]]));
    super::super::verified(&shop);
}
