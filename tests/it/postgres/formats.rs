//! Every row of the table in docs/formats.md out of a real server: the very text that stands in the files, and the values that
//! DuckDB, pyarrow and Python's own csv and json make of it, which are those of the Delta table of the same rows.

use std::path::Path;

use serde_json::{Value, json};
use tokio::process::Command;
use waybill_tests::binaries::binary;
use waybill_tests::readers;
use waybill_tests::services::postgres::Postgres;

/// A column, its value in the first of two rows, and that as CSV and as JSON. The second row has NULLs.
const COLUMNS: &[(&str, &str, &str, &str)] = &[
    ("yes", "true", "true", "true"),
    ("small", "(-32768)::int2", "-32768", "-32768"),
    ("whole", "(-2147483648)::int4", "-2147483648", "-2147483648"),
    ("big", "9007199254740993::int8", "9007199254740993", "9007199254740993"),
    ("least", "(-9223372036854775808)::int8", "-9223372036854775808", "-9223372036854775808"),
    ("single", "0.1::float4", "0.1", "0.1"),
    ("double", "1::float8 / 3", "0.3333333333333333", "0.3333333333333333"),
    ("tiny", "5e-324::float8", "5e-324", "5e-324"),
    ("huge", "1e300::float8", "1e+300", "1e+300"),
    ("zero", "'-0'::float8", "-0.0", "-0.0"),
    ("nan", "'NaN'::float8", "NaN", r#""NaN""#),
    ("inf", "'-Infinity'::float4", "-Infinity", r#""-Infinity""#),
    (
        "price",
        "1234567890123456789012345678.9012::numeric(38,4)",
        "1234567890123456789012345678.9012",
        r#""1234567890123456789012345678.9012""#,
    ),
    ("cents", "(-0.01)::numeric(5,2)", "-0.01", r#""-0.01""#),
    (
        "free",
        "1.1234567890123456789012345678901234567890::numeric",
        r#""1.1234567890123456789012345678901234567890""#,
        r#""1.1234567890123456789012345678901234567890""#,
    ),
    ("day", "'2024-02-29'::date", "2024-02-29", r#""2024-02-29""#),
    ("bc", "'0044-03-15 BC'::date", "-0043-03-15", r#""-0043-03-15""#),
    ("far", "'10000-01-01'::date", "10000-01-01", r#""10000-01-01""#),
    (
        "local",
        "'2024-06-01 23:59:59.999999'::timestamp",
        "2024-06-01T23:59:59.999999",
        r#""2024-06-01T23:59:59.999999""#,
    ),
    (
        "moment",
        "'2024-02-29 12:00:00+02'::timestamptz",
        "2024-02-29T10:00:00.000000Z",
        r#""2024-02-29T10:00:00.000000Z""#,
    ),
    ("clock", "'24:00:00'::time", r#""24:00:00""#, r#""24:00:00""#),
    ("text", "E'a,\"b\"\\r\\n ü🦀\\t'::text", "\"a,\"\"b\"\"\r\n ü🦀\t\"", r#""a,\"b\"\r\n ü🦀\t""#),
    ("formula", "'=1+1'::text", r#""=1+1""#, r#""=1+1""#),
    ("empty", "''::text", r#""""#, r#""""#),
    ("nullish", "'NULL'::text", r#""NULL""#, r#""NULL""#),
    ("doc", r#"'{"n": 1.10}'::json"#, r#""{""n"": 1.10}""#, r#""{\"n\": 1.10}""#),
    ("raw", r"'\x00ff10'::bytea", r#""00ff10""#, r#""AP8Q""#),
    ("nothing", "''::bytea", r#""""#, r#""""#),
    ("ints", "'{1,NULL,3}'::int4[]", r#""[1,null,3]""#, "[1,null,3]"),
    ("prices", "'{1.5,2}'::numeric(5,2)[]", r#""[""1.50"",""2.00""]""#, r#"["1.50","2.00"]"#),
    ("texts", r#"ARRAY['a "q"', '', NULL]"#, r#""[""a \""q\"""","""",null]""#, r#"["a \"q\"","",null]"#),
    ("days", "ARRAY['2024-02-29'::date]", r#""[""2024-02-29""]""#, r#"["2024-02-29"]"#),
    ("blobs", r"ARRAY['\x01ff'::bytea]", r#""[""Af8=""]""#, r#"["Af8="]"#),
    ("none", "'{}'::int4[]", r#""[]""#, "[]"),
    ("odd", "'NaN'::numeric(5,2)", "", "null"),
    ("never", "'infinity'::date", "", "null"),
];

/// What does not fit its type stands in a twin, as it does in Delta.
const TWINS: &[(&str, &str)] = &[("odd__text", r#""NaN""#), ("never__text", r#""infinity""#)];

const FORMS: [(&str, &str); 6] = [
    ("delta", "parquet"),
    ("csv", "csv, compression: none"),
    ("jsonl", "jsonl, compression: none"),
    ("files", "parquet-files"),
    ("packed", "csv, compression: zstd"),
    ("lines", "jsonl"),
];

async fn written(server: &Postgres, folder: &Path) {
    let mut spec = format!(
        "waybill: 1\nconnections:\n  db: {{ type: postgres, host: 127.0.0.1, port: {}, database: postgres, user: postgres, \
         tls: disable }}\n",
        server.port()
    );
    for (name, _) in FORMS {
        spec += &format!("  {name}: {{ type: local, path: \"{}\" }}\n", folder.join(name).display());
    }
    spec += "pipelines:\n";
    for (name, format) in FORMS {
        spec += &format!(
            "  {name}: {{ from: db, to: {name}, streams: {{ public.t: {{}} }}, files: {{ format: {format} }} }}\n"
        );
    }
    let file = folder.join("spec.yaml");
    std::fs::write(&file, spec).expect("write the spec");
    for (name, _) in FORMS {
        let mut worker = Command::new(binary("waybill-worker"));
        worker.args(["once", "--json", "--pipeline", name, "--spec"]).arg(&file).kill_on_drop(true);
        let output = worker.output().await.expect("run the worker");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The file of text that the table of columns says: a line for the names, and one for each row.
fn expected_csv() -> String {
    let names = COLUMNS.iter().map(|column| column.0).chain(TWINS.iter().map(|twin| twin.0));
    let names: Vec<String> = std::iter::once("id").chain(names).map(|name| format!("\"{name}\"")).collect();
    let values = COLUMNS.iter().map(|column| column.2).chain(TWINS.iter().map(|twin| twin.1));
    let values: Vec<&str> = std::iter::once("1").chain(values).collect();
    format!("{}\r\n{}\r\n2{}\r\n", names.join(","), values.join(","), ",".repeat(values.len() - 1))
}

fn expected_jsonl() -> String {
    let pair = |(name, value): (&str, &str)| format!(",\"{name}\":{value}");
    let first = COLUMNS.iter().map(|column| (column.0, column.3)).chain(TWINS.iter().copied()).map(pair);
    let second = COLUMNS.iter().map(|column| column.0).chain(TWINS.iter().map(|twin| twin.0));
    let second = second.map(|name| pair((name, "null")));
    format!("{{\"id\":1{}}}\n{{\"id\":2{}}}\n", first.collect::<String>(), second.collect::<String>())
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_every_value_of_a_server_reads_back_exactly_from_every_format() {
    let server = Postgres::start();
    let select: Vec<String> = COLUMNS.iter().map(|(name, value, ..)| format!("{value} AS {name}")).collect();
    server
        .run(&format!("CREATE TABLE t AS SELECT 1::int8 AS id, {}; INSERT INTO t (id) VALUES (2)", select.join(", ")))
        .await;
    let folder = tempfile::tempdir().expect("a folder");
    written(&server, folder.path()).await;
    let table = |form: &str| folder.path().join(form).join("public.t");

    let all = "SELECT * FROM t ORDER BY id";
    let delta = readers::query(&table("delta"), all).expect("readers").duckdb;
    assert_eq!(delta[0].as_array().map(Vec::len), Some(1 + COLUMNS.len() + TWINS.len()));
    assert_eq!(readers::live(&table("files"), all).expect("DuckDB"), delta, "plain Parquet");

    // What pyarrow has types for: its years are those of four digits, and its JSON has no NaN.
    let narrow = [
        "id",
        "yes",
        "small",
        "big",
        "least",
        "single",
        "double",
        "tiny",
        "zero",
        "price",
        "cents",
        "free",
        "local",
        "moment",
        "text",
        "empty",
        "nullish",
        "odd",
        "odd__text",
    ];
    let of_delta = readers::query(&table("delta"), &format!("SELECT {} FROM t ORDER BY id", narrow.join(", ")));
    let of_delta = of_delta.expect("readers").duckdb;
    for (form, text) in
        [("csv", expected_csv()), ("packed", expected_csv()), ("jsonl", expected_jsonl()), ("lines", expected_jsonl())]
    {
        let read = readers::texts(&table(form), all, &narrow).expect("readers");
        assert_eq!(read.texts, [text], "{form}");
        assert_eq!(read.duckdb, delta, "{form} by DuckDB");
        assert_eq!(read.pyarrow, of_delta, "{form} by pyarrow");
        plain_python(form, &read.python);
    }
}

/// Python's csv module knows no types and no NULL; its json module has both.
fn plain_python(form: &str, rows: &Value) {
    let (first, second) = (&rows[0], &rows[1]);
    assert_eq!(rows.as_array().map(Vec::len), Some(2), "{form}");
    assert_eq!((&first["text"], &first["formula"]), (&json!("a,\"b\"\r\n ü🦀\t"), &json!("=1+1")), "{form}");
    assert_eq!(first["price"], "1234567890123456789012345678.9012", "{form}");
    if ["csv", "packed"].contains(&form) {
        assert_eq!(
            (&first["big"], &first["nan"], &first["ints"]),
            (&json!("9007199254740993"), &json!("NaN"), &json!("[1,null,3]"))
        );
        assert_eq!((&first["empty"], &second["empty"]), (&json!(""), &json!("")));
    } else {
        assert_eq!(
            (&first["big"], &first["nan"], &first["ints"]),
            (&json!(9_007_199_254_740_993_i64), &json!("NaN"), &json!([1, null, 3]))
        );
        assert_eq!(
            (&first["empty"], &second["empty"], &first["double"]),
            (&json!(""), &Value::Null, &json!(1.0 / 3.0))
        );
    }
}
