//! Columns of the source that are not as the table has them: which are told from twins, refused before a row is read, or recorded.

use serde_json::json;
use waybill_tests::services::postgres::Postgres;

use super::Copy;

const DRIFT: &str = "SELECT state::jsonb -> 'drift' FROM _waybill_commit";

#[tokio::test(flavor = "multi_thread")]
async fn columns_of_a_table_of_postgres_are_added_left_out_and_refused_by_name() {
    let copy = Copy::with(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, note TEXT, n INTEGER); INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2)",
        "t: { load: changed, cursor: n }",
    );
    copy.delivered();
    copy.source("ALTER TABLE t ADD COLUMN day DATE; UPDATE t SET n = 3, day = 'never' WHERE id = 2");
    copy.streams("t: { load: changed, cursor: n, new-columns: ignore }");
    assert_eq!(copy.delivered()["streams"][0]["columns"]["ignored"], 1);
    assert_eq!(copy.rows("SELECT * FROM t ORDER BY id").await, ["(1,a,1)", "(2,b,3)"]);
    copy.source("UPDATE t SET n = 4 WHERE id = 2");
    copy.streams("t: { load: changed, cursor: n, new-columns: add }");
    assert_eq!(copy.delivered()["streams"][0]["columns"]["new"], 1);
    assert_eq!(copy.rows("SELECT * FROM t ORDER BY id").await, ["(1,a,1,,)", "(2,b,4,,'never')"]);
    let state = copy.one("SELECT state::jsonb -> 'drift' ->> 'added' FROM _waybill_commit").await;
    assert_eq!(state, "[\"day\"]");
    // Of another type, gone and new, each by its name; the table and its rows stay.
    copy.source("DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, note BLOB, n INTEGER, day TEXT, x INTEGER); INSERT INTO t VALUES (3, 'c', 5, 'd', 6)");
    let text = copy.fails("schema_changed");
    let types = "\"note\" is bytea now and text in the table; \"day\" is text now and date in the table";
    assert_eq!(text, format!("the table has not: \"x\"; {types}"));
    copy.source("ALTER TABLE t DROP COLUMN note");
    let text = copy.fails("schema_changed");
    assert_eq!(text, "the table has not: \"x\"; the stream has no more: \"note\"");
    assert_eq!(copy.rows("SELECT * FROM t ORDER BY id").await, ["(1,a,1,,)", "(2,b,4,,'never')"]);
}

/// A column of the source may be named as a twin would be; its values never stand for another column's texts.
#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_is_named_as_a_twin_is_told_from_one() {
    let rows = "SELECT * FROM t ORDER BY id";
    let first = "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT, x__text TEXT); INSERT INTO t VALUES (1, 'a', 'b')";
    let copy = Copy::with(first, "t: { load: new, cursor: id }");
    copy.delivered();
    copy.source("ALTER TABLE t DROP COLUMN x__text; INSERT INTO t VALUES (2, 'c')");
    assert_eq!(copy.fails("schema_changed"), "the stream has no more: \"x__text\"");
    assert_eq!(copy.rows(rows).await, ["(1,a,b)"]);
    copy.reloaded("t");
    assert_eq!(copy.rows(rows).await, ["(1,a)", "(2,c)"]);

    let first = "CREATE TABLE t (id INTEGER PRIMARY KEY, x DATE); INSERT INTO t VALUES (1, 'never')";
    let copy = Copy::with(first, "t: { load: new, cursor: id }");
    copy.delivered();
    assert_eq!(copy.rows(rows).await, ["(1,,'never')"]);
    copy.source("ALTER TABLE t ADD COLUMN x__text TEXT; INSERT INTO t VALUES (2, '2024-02-29', 'mine')");
    for new_columns in ["ask", "add", "ignore"] {
        copy.streams(&format!("t: {{ load: new, cursor: id, new-columns: {new_columns} }}"));
        let told = "\"x__text\" is a column of the source now and the text of another column in the table";
        assert_eq!(copy.fails("schema_changed"), told);
    }
    assert_eq!(copy.rows(rows).await, ["(1,,'never')"]);
    copy.streams("t: { load: new, cursor: id, columns: { rename: { x__text: own } } }");
    assert_eq!(copy.delivered()["streams"][0]["columns"]["new"], 1);
    // Where both are needed at once there is no place for one of them.
    copy.streams("t: {}");
    copy.fails("column_name_unusable");
    assert_eq!(
        copy.rows("SELECT id, x, x__text, own FROM t ORDER BY id").await,
        ["(1,,'never',)", "(2,2024-02-29,,mine)"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_that_a_replace_changes_is_recorded_and_one_that_a_window_would_change_is_refused_before_a_row_is_read()
{
    let first = "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO t VALUES (1, 5)";
    let copy = Copy::with(first, "t: { load: new, cursor: id }");
    copy.delivered();
    // No row stands beyond the cursor, and none is asked for.
    copy.source("ALTER TABLE t RENAME COLUMN n TO m; ALTER TABLE t ADD COLUMN n TEXT; UPDATE t SET n = m; ALTER TABLE t DROP COLUMN m");
    assert_eq!(copy.fails("schema_changed"), "\"n\" is text now and bigint in the table");
    let told = copy.reloaded("t");
    assert_eq!(told["streams"][0]["columns"], json!({"new": 0, "gone": 0, "changed": 1, "ignored": 0}), "{told}");
    let drift: serde_json::Value = serde_json::from_str(&copy.one(DRIFT).await).expect("JSON");
    assert_eq!(drift["changed"], json!([{"column": "n", "was": "bigint", "is": "text"}]), "{drift}");
    assert_eq!(copy.rows("SELECT * FROM t").await, ["(1,5)"]);
    copy.reloaded("t");
    let drift: serde_json::Value = serde_json::from_str(&copy.one(DRIFT).await).expect("JSON");
    assert_eq!(drift["changed"], json!([]), "{drift}");
}

/// How the server writes a type's name hangs on the search path and on a setting of the role: neither is a change of the type.
#[tokio::test(flavor = "multi_thread")]
async fn a_type_that_the_search_path_finds_is_no_other_one_at_the_second_run() {
    let copy = Copy::with("CREATE TABLE t (id INTEGER)", "t: {}");
    let (source, mood) = (Postgres::start(), "CREATE TYPE mood AS ENUM ('sad', 'glad')");
    source.run(&format!("{mood}; CREATE TABLE t (id bigint PRIMARY KEY, m mood, u uuid)")).await;
    source.run("INSERT INTO t VALUES (1, 'sad', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11')").await;
    copy.server.run(mood).await;
    let types = "SELECT string_agg(atttypid::regtype::text, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0";
    copy.of_postgres(&source, "public.t: { load: new, cursor: id }");
    copy.delivered();
    source.run("INSERT INTO t VALUES (2, 'glad', NULL)").await;
    assert_eq!(copy.delivered()["streams"][0]["rows"], 1);
    copy.server.run("ALTER ROLE postgres SET quote_all_identifiers = on").await;
    source.run("INSERT INTO t VALUES (3, NULL, NULL)").await;
    assert_eq!(copy.delivered()["streams"][0]["rows"], 1);
    copy.of_postgres(&source, "public.t: {}");
    for _ in 0..2 {
        copy.delivered();
        let drift: serde_json::Value = serde_json::from_str(&copy.one(DRIFT).await).expect("JSON");
        assert_eq!(drift["changed"], json!([]), "{drift}");
    }
    copy.server.run("ALTER ROLE postgres RESET quote_all_identifiers").await;
    assert_eq!(copy.one(types).await, "bigint mood uuid");
    assert_eq!(copy.rows("SELECT id, m FROM t ORDER BY id").await, ["(1,sad)", "(2,glad)", "(3,)"]);
}
