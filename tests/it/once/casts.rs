//! Columns in the types that `columns.cast` asks for, from every kind of source and into both kinds of destination: exact, or beside
//! a NULL in the twin.

use serde_json::{Value, json};
use waybill_tests::services::postgres::Postgres;

use super::{Shop, report, rows, talk};
use crate::drift::Line;
use crate::warehouse::Copy;

#[test]
fn values_are_cast_exactly_and_what_a_type_does_not_hold_stands_in_its_twin() {
    let shop = Shop::with(
        "CREATE TABLE c (id INTEGER PRIMARY KEY, n INTEGER, price REAL, day DATE, seen TIMESTAMP, word TEXT, yes INTEGER, blob BLOB);
         INSERT INTO c VALUES (1, 7, 12.5, '2024-02-29', '2024-02-29 00:00:00', '3.50', 1, x'00'),
           (2, 9007199254740993, 1.005, 'never', '2024-02-29 12:00:00', 'n/a', 2, x'01'), (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
        "",
    );
    let spec = |edge: &str, cast: &str| {
        shop.spec(
            &format!("      c: {{ edge-values: {edge}, columns: {{ rename: {{ word: w }}, cast: {{ {cast} }} }} }}"),
            "",
        );
    };
    let casts =
        "n: double, price: 'decimal(8, 2)', day: timestamp, seen: date, word: 'decimal(4,1)', yes: boolean, id: text";
    spec("twin", casts);
    let report_of = shop.delivered();
    let receipt = &report_of["streams"][0]["receipt"];
    assert_eq!(receipt["coerced"], json!({"n": 1, "price": 1, "day": 1, "seen": 1, "w": 1, "yes": 1}), "{receipt}");
    let sql = "SELECT id, n, n__text, price, price__text, day, day__text, seen, seen__text, w, w__text, yes, yes__text FROM t ORDER BY id";
    let none = Value::Null;
    assert_eq!(
        rows(&shop.table("c"), sql),
        json!([
            ["1", 7.0, none, "12.50", none, "2024-02-29T00:00:00", none, "2024-02-29", none, "3.5", none, true, none],
            [
                "2",
                none,
                "9007199254740993",
                none,
                "1.005",
                none,
                "'never'",
                none,
                "2024-02-29T12:00:00.000000",
                none,
                "n/a",
                none,
                "2"
            ],
            ["3", none, none, none, none, none, none, none, none, none, none, none, none]
        ])
    );
    let fields: Value = serde_json::from_value(receipt["schema"]["fields"].clone()).expect("fields");
    let noted = &fields.as_array().expect("fields")[1]["metadata"];
    assert_eq!((&noted["waybill.src_type"], &noted["waybill.cast"]), (&json!("INTEGER"), &json!("double")), "{fields}");

    spec("'null'", "price: 'decimal(8, 2)'");
    assert_eq!(shop.delivered()["streams"][0]["receipt"]["coerced"]["price"], 1);
    assert_eq!(rows(&shop.table("c"), "SELECT price FROM t ORDER BY id"), json!([["12.50"], [null], [null]]));
    spec("fail", "word: bigint");
    shop.sql("UPDATE c SET day = NULL");
    for (cast, code, told) in [
        ("word: bigint", "value_refused", "2 values of the column w are no bigint"),
        ("nothing: text", "column_not_found", "`columns.cast` names the column nothing"),
        ("blob: text", "spec_refused", "the column blob is binary here, which can't be cast to text"),
        ("day: timestamptz", "spec_refused", "the column day is date here"),
    ] {
        spec("fail", cast);
        let output = shop.once();
        let stream = &report(&output)["streams"][0];
        let text = stream["text"].as_str().unwrap_or_default();
        assert!(stream["failure"] == code && text.contains(told), "{cast}: {stream} {}", talk(&output));
    }
}

/// A type that changes at the source can be held to the one that the table has, where `new` would stop.
#[test]
fn a_cast_holds_a_column_to_the_type_of_the_table_and_a_key_is_never_cast() {
    let shop = Shop::with(
        "CREATE TABLE c (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO c VALUES (1, 10)",
        "      c: { load: changed, cursor: id }",
    );
    shop.delivered();
    shop.sql(
        "DROP TABLE c; CREATE TABLE c (id INTEGER PRIMARY KEY, n TEXT); INSERT INTO c VALUES (2, '20'), (3, 'many')",
    );
    shop.spec("      c: { load: changed, cursor: id, columns: { cast: { n: bigint } } }", "");
    assert_eq!(shop.delivered()["streams"][0]["coerced"], 1);
    let sql = "SELECT id, n, n__text FROM t ORDER BY id";
    assert_eq!(rows(&shop.table("c"), sql), json!([[1, 10, null], [2, 20, null], [3, null, "many"]]));
    shop.sql("UPDATE c SET id = 4, n = '40' WHERE id = 3");
    shop.delivered();
    assert_eq!(rows(&shop.table("c"), sql), json!([[1, 10, null], [2, 20, null], [3, null, "many"], [4, 40, null]]));
    shop.spec("      c: { load: changed, cursor: id, columns: { cast: { id: text } } }", "");
    assert_eq!(report(&shop.once())["streams"][0]["failure"], "key_unusable");
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_of_postgres_and_of_mariadb_are_cast() {
    let server = Postgres::start();
    server
        .run(
            "CREATE TABLE t (id int8 PRIMARY KEY, n numeric(12,2), d numeric, i int4, seen timestamptz, v varchar(20));
             INSERT INTO t VALUES (1, 12.50, 0.1, 7, '2024-02-29 12:00:00+02', '2024-02-29 01:02:03'), (2, 'NaN', '1e-3', 8, 'infinity', 'soon')",
        )
        .await;
    let line = Line::of_postgres(&server);
    let casts = "n: double, d: 'decimal(10,2)', i: text, seen: text, v: timestamp";
    let stream = line.delivered(&format!("columns: {{ cast: {{ {casts} }} }}"));
    assert_eq!(stream["receipt"]["coerced"], json!({"n": 1, "d": 1, "seen": 1, "v": 1}), "{stream}");
    assert_eq!(
        line.rows("SELECT id, n, n__text, d, d__text, i, seen, seen__text, v, v__text FROM t ORDER BY id"),
        json!([
            [1, 12.5, null, "0.10", null, "7", "2024-02-29T10:00:00.000000Z", null, "2024-02-29T01:02:03", null],
            [2, null, "NaN", null, "0.001", "8", null, "infinity", null, "soon"]
        ])
    );
    let server = crate::mysql::server();
    server.run("CREATE TABLE t (id bigint PRIMARY KEY, yes tinyint(1), big bigint unsigned, f float); INSERT INTO t VALUES (1, 1, 5, 0.5), (2, 2, 18446744073709551615, 1e20)");
    let line = Line::of_mariadb(&server);
    line.delivered("columns: { cast: { yes: boolean, big: bigint, f: 'decimal(38,1)' } }");
    assert_eq!(
        line.rows("SELECT id, yes, yes__text, big, big__text, f FROM t ORDER BY id"),
        json!([
            [1, true, null, 5, null, "0.5"],
            [2, null, "2", null, "18446744073709551615", "100000002004087734272.0"]
        ])
    );
}

#[test]
fn columns_of_files_are_cast_whatever_their_format() {
    for (name, text) in [
        ("in.csv", "id,price\n1,1.50\n2,free\n"),
        ("in.jsonl", "{\"id\":1,\"price\":\"1.50\"}\n{\"id\":2,\"price\":\"free\"}\n"),
        ("in.json", "[{\"id\":1,\"price\":\"1.50\"},{\"id\":2,\"price\":\"free\"}]"),
    ] {
        let line = Line::of_files(name, text);
        let stream = line.delivered("edge-values: twin, columns: { cast: { price: 'decimal(6,2)', id: bigint } }");
        assert_eq!(stream["coerced"], 1, "{name}");
        let seen = line.rows("SELECT id, price, price__text FROM t ORDER BY id");
        assert_eq!(seen, json!([[1, "1.50", null], [2, null, "free"]]), "{name}");
    }
}

/// A source of the kind of the destination gets its own types back, but for the columns that somebody wants otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_was_cast_has_its_type_in_a_table_of_postgres_too() {
    let copy = Copy::with(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT); INSERT INTO t VALUES (1, '1.5'), (2, 'x')",
        "t: { columns: { cast: { n: 'decimal(5,2)' } } }",
    );
    copy.delivered();
    assert_eq!(
        copy.rows("SELECT id, n, n__text, pg_typeof(n) FROM t ORDER BY id").await,
        ["(1,1.50,,numeric)", "(2,,x,numeric)"]
    );
    let from = Postgres::start();
    from.run("CREATE TABLE u (id int4 PRIMARY KEY, j jsonb, i int4); INSERT INTO u VALUES (1, '{\"a\": 1}', 5)").await;
    copy.of_postgres(&from, "public.u: { table: public.u, columns: { cast: { i: text } } }");
    copy.delivered();
    let typed = "SELECT id, j, i, pg_typeof(id), pg_typeof(j), pg_typeof(i) FROM u";
    assert_eq!(copy.rows(typed).await, ["(1,\"{\"\"a\"\": 1}\",5,integer,jsonb,text)"]);
}
