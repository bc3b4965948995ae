//! Columns of the source that are not as the table has them: what is asked, added, left out or refused, and what of it is recorded.
//! Every case of the table in docs/drift.md that a source in a file can show.

use serde_json::{Value, json};

use super::{Shop, report, rows, talk};

/// A table with rows in it already, and a second one that nothing happens to.
fn shop(stream: &str) -> Shop {
    let shop = Shop::with(
        "CREATE TABLE c (id INTEGER PRIMARY KEY, note TEXT, n INTEGER); INSERT INTO c VALUES (1, 'a', 10), (2, 'b', 20);
         CREATE TABLE other (id INTEGER PRIMARY KEY); INSERT INTO other VALUES (1)",
        "",
    );
    settings(&shop, stream);
    shop.delivered();
    shop
}

fn settings(shop: &Shop, stream: &str) {
    shop.spec(&format!("      c: {{ {stream} }}\n      other: {{ load: new, cursor: id }}"), "");
}

/// A run whose stream `c` ends so, while the other one is delivered: what `c` said.
fn refused(shop: &Shop, code: &str) -> Value {
    let output = shop.once();
    let report = report(&output);
    let (c, other) = (&report["streams"][0], &report["streams"][1]);
    assert_eq!((&c["failure"], &other["state"]), (&json!(code), &json!("committed")), "{report} {}", talk(&output));
    c.clone()
}

fn all(shop: &Shop) -> Value {
    rows(&shop.table("c"), "SELECT * FROM t ORDER BY id")
}

/// The newest state, without its seal.
fn state(shop: &Shop) -> Value {
    let folder = shop.table("c").join("_waybill/state");
    let mut files: Vec<_> = std::fs::read_dir(folder).expect("states").map(|file| file.expect("one").path()).collect();
    files.sort();
    let text = std::fs::read_to_string(files.last().expect("a state")).expect("readable");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn a_new_column_is_asked_about_before_a_row_is_read_and_other_streams_go_on() {
    let shop = shop("load: new, cursor: id");
    let before = state(&shop);
    shop.sql("ALTER TABLE c ADD COLUMN more TEXT; ALTER TABLE c ADD COLUMN less REAL; INSERT INTO other VALUES (2)");
    for row in ["", "INSERT INTO c VALUES (3, 'c', 30, 'x', 0.5)"] {
        shop.sql(row);
        let c = refused(&shop, "columns_undecided");
        assert_eq!(c["text"], json!("the table has not: \"more\", \"less\""), "{c}");
        assert_eq!((&c["columns"], &c["rows"]), (&json!({"new": 2, "gone": 0, "changed": 0, "ignored": 0}), &json!(0)));
    }
    assert_eq!(state(&shop), before, "neither cursor nor table moved");
    assert_eq!(rows(&shop.table("other"), "SELECT count(*) FROM t"), json!([[2]]));

    settings(&shop, "load: new, cursor: id, new-columns: add");
    let report = shop.delivered();
    let c = &report["streams"][0];
    assert_eq!((&c["rows"], &c["columns"]["new"]), (&json!(1), &json!(2)), "{c}");
    let decided = json!({"added": ["more", "less"], "removed": [], "changed": [], "ignored": []});
    assert_eq!((&c["receipt"]["columns"], &state(&shop)["drift"]), (&decided, &decided));
    assert_eq!(all(&shop), json!([[1, "a", 10, null, null], [2, "b", 20, null, null], [3, "c", 30, "x", 0.5]]));

    // What the table has is asked about no more, whatever is written.
    settings(&shop, "load: new, cursor: id, new-columns: ask");
    shop.sql("INSERT INTO c VALUES (4, 'd', 40, 'y', 1.5)");
    let report = shop.delivered();
    assert_eq!(
        (&report["streams"][0]["columns"], &report["streams"][0]["receipt"]["columns"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn a_column_that_is_ignored_is_left_out_and_counted_with_every_run() {
    let shop = shop("load: new, cursor: id, new-columns: ignore");
    // In front of the others, and with a value of its own that needs a twin, as theirs do.
    shop.sql(
        "DROP TABLE c; CREATE TABLE c (secret DATE, id INTEGER PRIMARY KEY, note TEXT, n INTEGER);
         INSERT INTO c VALUES ('never', 3, 'c', 'thirty'), ('2024-02-29', 4, 'd', 40)",
    );
    let report = shop.delivered();
    let c = &report["streams"][0];
    assert_eq!((&c["rows"], &c["coerced"], &c["columns"]["ignored"]), (&json!(2), &json!(1), &json!(1)), "{c}");
    assert_eq!(c["receipt"]["columns"]["ignored"], json!(["secret"]));
    assert_eq!(c["receipt"]["coerced"], json!({"n": 1}));
    let table = json!([[1, "a", 10, null], [2, "b", 20, null], [3, "c", null, "'thirty'"], [4, "d", 40, null]]);
    assert_eq!(all(&shop), table);
    assert_eq!(shop.delivered()["streams"][0]["columns"]["ignored"], 1, "also where nothing comes");

    // Named, it is wanted; the rows that were delivered without it stay as they are.
    settings(&shop, "load: new, cursor: id, new-columns: ignore, columns: { rename: { secret: day } }");
    shop.sql("INSERT INTO c VALUES ('2024-03-01', 5, 'e', 50)");
    assert_eq!(shop.delivered()["streams"][0]["receipt"]["columns"]["added"], json!(["day"]));
    let days = rows(&shop.table("c"), "SELECT id, day FROM t WHERE id > 3 ORDER BY id");
    assert_eq!(days, json!([[4, null], [5, "2024-03-01"]]));
}

#[test]
fn a_column_that_select_names_is_decided_and_one_that_drop_names_is_not_asked_about() {
    let shop = shop("load: new, cursor: id");
    shop.sql("ALTER TABLE c ADD COLUMN more TEXT; ALTER TABLE c ADD COLUMN less TEXT; INSERT INTO c VALUES (3, 'c', 30, 'x', 'y')");
    settings(&shop, "load: new, cursor: id, columns: { drop: [less] }");
    assert_eq!(refused(&shop, "columns_undecided")["text"], json!("the table has not: \"more\""));
    settings(&shop, "load: new, cursor: id, columns: { select: [id, note, n, more] }");
    assert_eq!(shop.delivered()["streams"][0]["columns"]["new"], 1);
    assert_eq!(all(&shop), json!([[1, "a", 10, null], [2, "b", 20, null], [3, "c", 30, "x"]]));
}

#[test]
fn a_column_that_an_expectation_names_is_decided_and_never_left_out() {
    let shop = shop("load: new, cursor: id");
    shop.sql("ALTER TABLE c ADD COLUMN more TEXT; ALTER TABLE c ADD COLUMN less TEXT; INSERT INTO c VALUES (3, 'c', 30, 'x', 'y')");
    settings(&shop, "load: new, cursor: id, new-columns: ignore, expect: [{ not-null: [more] }]");
    let told = shop.delivered();
    let columns = &told["streams"][0]["columns"];
    assert_eq!((&columns["new"], &columns["ignored"]), (&json!(1), &json!(1)), "{told}");
    assert_eq!(all(&shop), json!([[1, "a", 10, null], [2, "b", 20, null], [3, "c", 30, "x"]]));
}

#[test]
fn a_column_that_was_decided_does_not_stand_among_those_that_are_asked_about() {
    let shop = shop("load: new, cursor: id, new-columns: ask");
    shop.sql("ALTER TABLE c ADD COLUMN more TEXT; ALTER TABLE c ADD COLUMN less TEXT; INSERT INTO c VALUES (3, 'c', 30, 'x', 'y')");
    settings(&shop, "load: new, cursor: id, new-columns: ask, columns: { rename: { less: fewer } }");
    let c = refused(&shop, "columns_undecided");
    assert_eq!((&c["text"], &c["columns"]["new"]), (&json!("the table has not: \"more\""), &json!(1)), "{c}");
}

#[test]
fn a_column_that_is_named_as_a_twin_of_the_table_is_refused_before_a_row_is_read() {
    let shop = shop("load: new, cursor: id, new-columns: add");
    shop.sql("INSERT INTO c VALUES (3, 'c', 'thirty')");
    shop.delivered();
    let before = state(&shop);
    shop.sql("ALTER TABLE c ADD COLUMN n__text TEXT");
    for row in ["", "INSERT INTO c VALUES (4, 'd', 40, 'a word')"] {
        shop.sql(row);
        let c = refused(&shop, "schema_changed");
        let told = "\"n__text\" is a column of the source now and the text of another column in the table";
        assert_eq!((&c["text"], &c["rows"], &c["columns"]["changed"]), (&json!(told), &json!(0), &json!(1)), "{c}");
    }
    assert_eq!(state(&shop), before, "neither cursor nor table moved");
    settings(&shop, "load: new, cursor: id, new-columns: add, columns: { rename: { n__text: words } }");
    shop.delivered();
    let seen = rows(&shop.table("c"), "SELECT id, n__text, words FROM t WHERE id > 2 ORDER BY id");
    assert_eq!(seen, json!([[3, "'thirty'", null], [4, null, "a word"]]));
}

#[test]
fn f30_what_is_gone_renamed_or_of_another_type_is_told_by_name_and_moves_no_cursor() {
    let shop = shop("load: new, cursor: id, new-columns: add");
    let before = state(&shop);
    shop.sql("ALTER TABLE c RENAME COLUMN note TO remark; INSERT INTO c VALUES (3, 'c', 30)");
    let told = "the table has not: \"remark\"; the stream has no more: \"note\"";
    let c = refused(&shop, "schema_changed");
    assert_eq!((&c["text"], &c["columns"]), (&json!(told), &json!({"new": 1, "gone": 1, "changed": 0, "ignored": 0})));
    settings(&shop, "load: new, cursor: id, columns: { rename: { remark: note } }");
    assert_eq!(shop.delivered()["streams"][0]["columns"], Value::Null, "the table's name stays");
    assert_eq!(all(&shop), json!([[1, "a", 10], [2, "b", 20], [3, "c", 30]]));
    let after = state(&shop);
    assert_ne!(before["cursor"], after["cursor"]);

    settings(&shop, "load: new, cursor: id");
    for (columns, told) in [
        ("id INTEGER PRIMARY KEY, note TEXT", "the stream has no more: \"n\""),
        ("id INTEGER PRIMARY KEY, note TEXT, n REAL", "\"n\" is double now and long in the table"),
        (
            "id INTEGER PRIMARY KEY, note BLOB, n TEXT",
            "\"note\" is binary now and string in the table; \"n\" is string now and long in the table",
        ),
    ] {
        shop.sql(&format!("DROP TABLE c; CREATE TABLE c ({columns}); INSERT INTO c (id) VALUES (4)"));
        assert_eq!(refused(&shop, "schema_changed")["text"], json!(told));
    }
    assert_eq!((all(&shop), state(&shop)), (json!([[1, "a", 10], [2, "b", 20], [3, "c", 30]]), after));

    // The decision for the source's shape: one full load, which says what became of each column.
    settings(&shop, "load: full, shrink-guard: off");
    shop.sql("ALTER TABLE c ADD COLUMN more TEXT; ALTER TABLE c DROP COLUMN note");
    let c = &shop.delivered()["streams"][0];
    assert_eq!(
        c["receipt"]["columns"],
        json!({"added": ["more"], "removed": ["note"], "changed": [{"column": "n", "was": "long", "is": "string"}], "ignored": []})
    );
    assert_eq!(c["columns"], json!({"new": 1, "gone": 1, "changed": 1, "ignored": 0}));
}

#[test]
fn rows_that_are_merged_get_the_columns_that_were_added_and_those_that_stay_have_null_there() {
    let shop = shop("load: changed, cursor: n, deletes: mark, new-columns: add");
    shop.sql("ALTER TABLE c ADD COLUMN day DATE; UPDATE c SET day = 'never', n = 30 WHERE id = 2");
    assert_eq!(shop.delivered()["streams"][0]["columns"]["new"], 1);
    let sql = "SELECT id, note, n, day, day__text FROM t ORDER BY id";
    assert_eq!(rows(&shop.table("c"), sql), json!([[1, "a", 10, null, null], [2, "b", 30, null, "'never'"]]));
    settings(&shop, "load: changed, cursor: n, deletes: mark, new-columns: ignore");
    shop.sql("ALTER TABLE c ADD COLUMN more TEXT; UPDATE c SET n = 31, more = 'x'");
    assert_eq!(shop.delivered()["streams"][0]["columns"]["ignored"], 1);
    assert_eq!(rows(&shop.table("c"), sql), json!([[1, "a", 31, null, null], [2, "b", 31, null, "'never'"]]));
}

#[test]
fn a_full_load_takes_the_source_as_it_is_and_asks_or_leaves_out_where_it_is_written() {
    let shop = shop("load: full");
    shop.sql("ALTER TABLE c ADD COLUMN more TEXT");
    settings(&shop, "load: full, new-columns: ask");
    assert_eq!(refused(&shop, "columns_undecided")["text"], json!("the table has not: \"more\""));
    settings(&shop, "load: full, new-columns: ignore");
    assert_eq!(shop.delivered()["streams"][0]["columns"]["ignored"], 1);
    assert_eq!(all(&shop), json!([[1, "a", 10], [2, "b", 20]]));
    settings(&shop, "load: full");
    assert_eq!(shop.delivered()["streams"][0]["columns"]["new"], 1);
    assert_eq!(all(&shop), json!([[1, "a", 10, null], [2, "b", 20, null]]));
    // Another name is one column less and one that is left out, until somebody says what it stands for.
    shop.sql("ALTER TABLE c RENAME COLUMN note TO remark");
    settings(&shop, "load: full, new-columns: ignore");
    let told = shop.delivered()["streams"][0]["receipt"]["columns"].clone();
    assert_eq!((&told["removed"], &told["ignored"]), (&json!(["note"]), &json!(["remark"])), "{told}");
    assert_eq!(all(&shop), json!([[1, 10, null], [2, 20, null]]));
    settings(&shop, "load: full, new-columns: ignore, columns: { rename: { remark: note } }");
    shop.delivered();
    assert_eq!(rows(&shop.table("c"), "SELECT id, note FROM t ORDER BY id"), json!([[1, "a"], [2, "b"]]));
    // A first load has nothing to ask about.
    std::fs::remove_dir_all(shop.path("lake")).expect("removed");
    settings(&shop, "load: new, cursor: id, new-columns: ask");
    assert_eq!(shop.delivered()["streams"][0]["columns"], Value::Null);
}

#[test]
fn f29_a_schema_that_changes_between_attempts_is_decided_anew_and_no_file_is_mixed() {
    let shop = shop("load: new, cursor: id, new-columns: add");
    for (n, (point, landed)) in [("last_part", false), ("prepared", false), ("commit_applied", true)].iter().enumerate()
    {
        let (id, column) = (n + 3, format!("x{n}"));
        shop.sql(&format!("INSERT INTO c (id, note, n) VALUES ({id}, 'late', 1)"));
        let marker = shop.path(point);
        let mut killed = shop.command("waybill-worker-faults");
        let fault = format!("{point}=kill;{}", marker.display());
        let killed = killed.args(["--stream", "c"]).env("WAYBILL_FAULT", fault).output().expect("run");
        assert!(marker.exists(), "{point}: {}", talk(&killed));
        shop.sql(&format!("ALTER TABLE c ADD COLUMN {column} TEXT; UPDATE c SET {column} = 'new'"));
        let report = shop.delivered();
        let c = &report["streams"][0];
        let (many, new) = if *landed { (0, Value::Null) } else { (1, json!(1)) };
        assert_eq!((&c["rows"], &c["columns"]["new"]), (&json!(many), &new), "{point}: {c}");
        assert_eq!(rows(&shop.table("c"), &format!("SELECT count(*) FROM t WHERE id = {id}")), json!([[1]]), "{point}");
    }
    let then = json!([
        [1, "a", 10, null, null],
        [2, "b", 20, null, null],
        [3, "late", 1, "new", null],
        [4, "late", 1, null, "new"],
        [5, "late", 1, null, null]
    ]);
    assert_eq!(all(&shop), then, "a row has what its attempt read, and all of it");
}

#[test]
fn columns_are_added_to_files_of_every_format() {
    for format in ["parquet-files", "csv", "jsonl"] {
        let shop = Shop::with("CREATE TABLE c (id INTEGER PRIMARY KEY); INSERT INTO c VALUES (1)", "");
        let files = format!("    files: {{ format: {format} }}\n");
        shop.spec("      c: { load: new, cursor: id, new-columns: add }\n", &files);
        shop.delivered();
        shop.sql("ALTER TABLE c ADD COLUMN more TEXT; INSERT INTO c VALUES (2, 'x')");
        assert_eq!(shop.delivered()["streams"][0]["columns"]["new"], 1, "{format}");
        let seen =
            waybill_tests::readers::live(&shop.table("c"), "SELECT id, more FROM t ORDER BY id").expect("DuckDB");
        assert_eq!(seen, json!([[1, null], [2, "x"]]), "{format}");
    }
}
