//! Keys that prove nothing, or that a row breaks: refused before anything is committed, and said.

use super::fixture::Merging;
use crate::once::Shop;

/// Each table, the keys of its stream besides load and cursor, and what the refusal says.
const UNUSABLE: [(&str, &str, &str); 12] = [
    ("id INTEGER, rev INTEGER", "", "has no primary key"),
    ("id INTEGER, rev INTEGER", ", key: [id]", "the key (id) is not the columns of the primary key"),
    ("id INTEGER UNIQUE, rev INTEGER", ", key: [id]", "over NOT NULL columns"),
    (
        "id INTEGER NOT NULL, rev INTEGER); CREATE UNIQUE INDEX i ON c (id) WHERE rev > 0; CREATE TABLE d (x",
        ", key: [id]",
        "over NOT",
    ),
    (
        "id TEXT NOT NULL, rev INTEGER); CREATE UNIQUE INDEX i ON c (upper(id)); CREATE TABLE d (x",
        ", key: [id]",
        "over NOT",
    ),
    ("id INTEGER PRIMARY KEY, rev INTEGER NOT NULL", ", key: [id, rev]", "the key (id, rev) is not"),
    ("id INTEGER, a INTEGER, rev INTEGER, PRIMARY KEY (id, a)", ", key: [id]", "the key (id) is not"),
    ("id REAL PRIMARY KEY, rev INTEGER", "", "can't tell rows apart"),
    ("id DECIMAL(20,2) PRIMARY KEY, rev INTEGER", "", "can't tell rows apart"),
    ("id DATETIME PRIMARY KEY, rev INTEGER", "", "such as 1.0 and 1.00"),
    ("id PRIMARY KEY, rev INTEGER", "", "can't tell rows apart"),
    ("id INTEGER PRIMARY KEY, rev INTEGER, note TEXT", ", columns: { drop: [id] }", "the key's column id is left out"),
];

#[test]
fn a_key_that_nothing_proves_is_refused_at_the_first_run() {
    for (columns, keys, said) in UNUSABLE {
        let sql = format!("CREATE TABLE c ({columns}); INSERT INTO c (id, rev) VALUES (1, 1)");
        let shop = Merging(Shop::with(&sql, &format!("      c: {{ load: changed, cursor: rev{keys} }}")));
        let told = shop.fails("c", "key_unusable");
        assert!(told.contains(said), "{columns}{keys}: {told}");
        assert!(!shop.0.table("c").join("_delta_log").exists(), "{columns}: something was committed");
    }
}

#[test]
fn a_unique_index_over_columns_that_are_never_null_proves_a_key_too() {
    let shop = Merging(Shop::with(
        "CREATE TABLE c (id INTEGER PRIMARY KEY, a TEXT NOT NULL, b INTEGER NOT NULL, rev INTEGER NOT NULL, UNIQUE (a, b));
         INSERT INTO c VALUES (1, 'x', 1, 1), (2, 'x', 2, 2), (3, 'y', 1, 3)",
        "      c: { load: changed, cursor: rev, key: [b, a], columns: { rename: { a: name } } }",
    ));
    shop.delivers("c", 3);
    // Another row of the same key: to the table it is the same one.
    shop.0.sql("DELETE FROM c WHERE id = 2; INSERT INTO c VALUES (20, 'x', 2, 4)");
    shop.delivers("c", 1);
    let all = "select id, name, b, rev from t order by id";
    let found = crate::once::rows(&shop.0.table("c"), all);
    assert_eq!(found, serde_json::json!([[1, "x", 1, 1], [3, "y", 1, 3], [20, "x", 2, 4]]));
}

#[test]
fn a_row_whose_key_is_null_or_does_not_fit_its_column_ends_the_run() {
    let shop = Merging(Shop::with(
        "CREATE TABLE c (id TEXT PRIMARY KEY, rev INTEGER NOT NULL); INSERT INTO c VALUES ('a', 1), ('b', 2)",
        "      c: { load: changed, cursor: rev }",
    ));
    shop.delivers("c", 2);
    for (row, code, said) in [
        ("(NULL, 3), (NULL, 4)", "key_violated", "2 of the rows that were read have NULL in the key's column id"),
        ("(x'61', 3)", "key_unusable", "1 value without a place in the type of the key's column id"),
    ] {
        shop.0.sql(&format!("INSERT INTO c VALUES {row}"));
        let told = shop.fails("c", code);
        assert!(told.contains(said), "{told}");
        assert_eq!(
            crate::once::rows(&shop.0.table("c"), "select id from t order by id"),
            serde_json::json!([["a"], ["b"]])
        );
        shop.0.sql("DELETE FROM c WHERE rev > 2");
    }
    shop.0.sql("UPDATE c SET rev = 5 WHERE id = 'b'");
    shop.delivers("c", 1);
    shop.is_the_source("c", "id, rev", "id");
}

#[test]
fn another_key_than_the_one_that_rows_were_merged_by_needs_one_full_load() {
    let shop = Merging(Shop::with(
        "CREATE TABLE c (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, rev INTEGER NOT NULL);
         INSERT INTO c VALUES (1, 'a', 1), (2, 'b', 2)",
        "      c: { load: changed, cursor: rev }",
    ));
    shop.delivers("c", 2);
    shop.0.sql("UPDATE c SET rev = 3 WHERE id = 1");
    shop.0.spec("      c: { load: changed, cursor: rev, key: [name] }", "");
    let told = shop.fails("c", "key_unusable");
    assert!(told.contains("merged by (id), and the stream's key is (name) now"), "{told}");
    shop.0.spec("      c: {}", "");
    shop.delivers("c", 2);
    shop.0.spec("      c: { load: changed, cursor: rev, key: [name] }", "");
    shop.delivers("c", 2);
    shop.0.sql("UPDATE c SET id = 7, rev = 4 WHERE name = 'a'");
    shop.delivers("c", 1);
    shop.is_the_source("c", "id, name, rev", "id");
}
