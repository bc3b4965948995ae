//! The statements that a table's own directory has for other engines: DuckDB runs its own, a parser of their dialects reads the others'.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use serde_json::{Value, json};
use waybill_pipeline::commit::ddl;
use waybill_tests::binaries::binary;
use waybill_tests::readers;

use super::{Shop, report, talk};

const SQL: &str = "CREATE TABLE \"it's-Odd\" (id INTEGER PRIMARY KEY, \"q\"\"'`q\" TEXT, paid BOOLEAN, total DECIMAL(12,2), day DATE, \
    at TIMESTAMP, raw BLOB, n DOUBLE);
    INSERT INTO \"it's-Odd\" VALUES (1, 'a,\"b\"', 1, 12.5, '2024-02-29', '2024-02-29 12:00:00.5', x'00ff', 0.5),
      (2, '', 0, -0.01, '0001-01-01', '1969-12-31 23:59:59', x'', -1e300), (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL)";
const STREAM: &str = "      \"it's-Odd\": { load: full }\n";

fn place(shop: &Shop) -> PathBuf {
    shop.path("lake")
        .read_dir()
        .expect("the lake")
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.join("data").is_dir())
        .expect("a table")
}

fn statement(shop: &Shop) -> String {
    std::fs::read_to_string(place(shop).join("_waybill/ddl/duckdb.sql")).expect("a statement")
}

/// What the statement of the table makes readable.
fn told(shop: &Shop, sql: &str) -> Value {
    readers::stated(&statement(shop), sql).expect("DuckDB")
}

#[test]
fn what_is_written_for_duckdb_reads_every_format_with_its_types() {
    let query = "SELECT id, \"q\"\"'`q\" AS q, paid, total, CAST(day AS VARCHAR), CAST(\"at\" AS VARCHAR), hex(raw), n FROM t_t_s_odd ORDER BY id"
        .replace("t_t_s_odd", "it_s_odd");
    let mut found = Vec::new();
    for format in ["parquet", "parquet-files", "csv", "jsonl"] {
        let shop = Shop::with(SQL, "");
        shop.spec(STREAM, &format!("    files: {{ format: {format} }}\n"));
        shop.delivered();
        let dir = place(&shop).join("_waybill/ddl");
        assert_eq!(dir.read_dir().expect("statements").count(), 1, "nothing else reads what lies on this machine");
        found.push(told(&shop, &query));
        // A later version by the same statement.
        shop.sql("INSERT INTO \"it's-Odd\" (id) VALUES (4)");
        shop.delivered();
        assert_eq!(told(&shop, "SELECT count(*) FROM it_s_odd"), json!([[4]]), "{format}");
    }
    assert_eq!(
        found[0],
        json!([
            [1, "a,\"b\"", true, "12.50", "2024-02-29", "2024-02-29 12:00:00.5", "00FF", 0.5],
            [2, "", false, "-0.01", "0001-01-01", "1969-12-31 23:59:59", "", -1e300],
            [3, null, null, null, null, null, null, null]
        ])
    );
    assert!(found.iter().all(|rows| *rows == found[0]), "{found:#?}");
}

#[test]
fn two_tables_are_read_by_their_statements_on_one_connection() {
    for format in ["csv", "jsonl", "parquet-files"] {
        let shop = Shop::with(
            "CREATE TABLE a (id INTEGER PRIMARY KEY); INSERT INTO a VALUES (1);
             CREATE TABLE b (id INTEGER PRIMARY KEY); INSERT INTO b VALUES (7), (8)",
            "",
        );
        shop.spec(
            "      a: { load: full }\n      b: { load: full }\n",
            &format!("    files: {{ format: {format} }}\n"),
        );
        shop.delivered();
        let of = |table: &str| {
            let file = shop.table(&format!("{table}/_waybill/ddl/duckdb.sql"));
            std::fs::read_to_string(file).expect("a statement")
        };
        let both = format!("{}{}", of("a"), of("b"));
        let ids = "SELECT (SELECT list(id) FROM a), (SELECT list(id ORDER BY id) FROM b)";
        assert_eq!(readers::stated(&both, ids).expect("DuckDB"), json!([[[1], [7, 8]]]), "{format}");
    }
}

/// Values by which a reader that guesses could take the file for one with other delimiters, with comments or with lines to skip, and
/// one that is longer than its lines are by default.
#[test]
fn values_that_look_like_another_dialect_are_read_as_they_are() {
    let sql = "CREATE TABLE c (v TEXT, id INTEGER PRIMARY KEY);
        INSERT INTO c (id, v) VALUES (1, '#1;2;3;4'), (2, 'a;b;c;d'), (3, 'x|y'), (4, '#'), (5, 'a' || char(10) || ';b'), (6, ''), (7, NULL),
          (8, hex(zeroblob(2000000)))";
    for compression in ["none", "gzip"] {
        let shop = Shop::with(sql, "");
        shop.spec("      c: { load: full }\n", &format!("    files: {{ format: csv, compression: {compression} }}\n"));
        shop.delivered();
        let found = told(&shop, "SELECT CASE WHEN length(v) < 9 THEN v ELSE length(v)::VARCHAR END FROM c ORDER BY id");
        let wanted = json!([["#1;2;3;4"], ["a;b;c;d"], ["x|y"], ["#"], ["a\n;b"], [""], [null], ["4000000"]]);
        assert_eq!(found, wanted, "{compression}");
    }
}

/// DuckDB reads 32 MiB of JSON at once where nothing is said, and refuses a line that is longer. One of CSV stands above.
#[test]
fn a_line_of_json_that_is_longer_than_duckdb_takes_by_default_is_read() {
    let long = "CREATE TABLE c (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO c VALUES (1, hex(zeroblob(18000000))), (2, 'short')";
    let shop = Shop::with(long, "");
    shop.spec("      c: { load: full }\n", "    files: { format: jsonl, compression: none }\n");
    let mut worker = std::process::Command::new(binary("waybill-worker"));
    worker.args(["once", "--memory", "1GiB", "--spec"]).arg(shop.path("shop.yaml"));
    let output = worker.output().expect("run the worker");
    assert_eq!(output.status.code(), Some(0), "{}", talk(&output));
    let found = told(&shop, "SELECT id, length(v) FROM c ORDER BY id");
    assert_eq!(found, json!([[1, 36_000_000], [2, 5]]));
}

/// One that an earlier run could not replace may be as long as the right one.
#[test]
fn a_statement_with_other_bytes_is_mended_by_the_next_commit() {
    let shop = Shop::with("CREATE TABLE c (id INTEGER PRIMARY KEY); INSERT INTO c VALUES (1)", "");
    shop.spec("      c: { load: full }\n", "");
    shop.delivered();
    let right = statement(&shop);
    let wrong = right.replace("VIEW \"c\"", "VIEW \"d\"");
    assert!(wrong != right && wrong.len() == right.len());
    std::fs::write(shop.table("c/_waybill/ddl/duckdb.sql"), wrong).expect("in its place");
    shop.delivered();
    assert_eq!(statement(&shop), right);
}

/// No such engine is at hand: their statements are read by a parser of their dialects.
#[test]
fn the_statements_for_other_engines_are_of_their_dialects() {
    let kinds = [
        DataType::Boolean,
        DataType::Int16,
        DataType::Int64,
        DataType::Float64,
        DataType::Decimal128(12, 2),
        DataType::Utf8,
        DataType::Binary,
        DataType::Date32,
        DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::List(Arc::new(Field::new("item", DataType::Int64, true))),
    ];
    let named = |(n, kind): (usize, DataType)| Field::new(format!("q'q\"q\\q`q{n}"), kind, true);
    let schema = Schema::new(kinds.into_iter().enumerate().map(named).collect::<Vec<_>>());
    let mut seen = Vec::new();
    for url in ["s3://b/it's/\\", "gs://b/it's", "azure://account/container/it's", "file:///it's"] {
        for (engine, statement) in ddl::of_delta(url, "public.-4frders", &schema).expect("statements") {
            // The parser knows neither of them.
            let known = statement.replace("WITH CONNECTION DEFAULT\n", "");
            let (known, refresh) = known
                .split_once("-- Now, and after each run:\nALTER EXTERNAL TABLE")
                .map_or((&*known, ""), |(known, more)| (known, more));
            assert!(matches!(refresh, "" | " \"public_orders\" REFRESH;\n"), "{refresh}");
            seen.push((engine, url.split(':').next().expect("a scheme"), known.to_owned()));
        }
    }
    seen.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    let asked: Vec<_> = seen.iter().map(|(engine, _, statement)| (*engine, statement.as_str())).collect();
    let told = readers::parsed(&asked).expect("statements of their dialects");
    let seen: Vec<_> = seen.iter().zip(told).map(|((engine, scheme, _), told)| (*engine, *scheme, told)).collect();
    let wanted = [
        ("athena", "s3", json!(["Create TABLE"])),
        ("bigquery", "gs", json!(["Create TABLE"])),
        ("databricks", "azure", json!(["Create TABLE"])),
        ("databricks", "gs", json!(["Create TABLE"])),
        ("databricks", "s3", json!(["Create TABLE"])),
        ("duckdb", "azure", json!(["Create VIEW"])),
        ("duckdb", "file", json!(["Create VIEW"])),
        ("duckdb", "s3", json!(["Create VIEW"])),
        ("snowflake", "azure", json!(["Create STAGE", "Create TABLE"])),
        ("snowflake", "gs", json!(["Create STAGE", "Create TABLE"])),
        ("snowflake", "s3", json!(["Create STAGE", "Create TABLE"])),
    ];
    assert_eq!(seen, wanted);
}

#[test]
fn a_new_schema_gets_its_statement_and_one_that_can_not_be_written_fails_nothing() {
    let shop = Shop::with("CREATE TABLE c (id INTEGER PRIMARY KEY); INSERT INTO c VALUES (1)", "");
    let spec = |shop: &Shop| shop.spec("      c: { load: full }\n", "    files: { format: csv }\n");
    spec(&shop);
    shop.delivered();
    let first = statement(&shop);
    shop.sql("ALTER TABLE c ADD COLUMN more INTEGER; UPDATE c SET more = 7");
    shop.delivered();
    assert_ne!(statement(&shop), first);
    assert_eq!(told(&shop, "SELECT id, more FROM c"), json!([[1, 7]]));

    // One that is gone comes with the next commit; `gc` leaves it, and `verify` has nothing against it.
    let file = shop.table("c/_waybill/ddl/duckdb.sql");
    std::fs::remove_file(&file).expect("gone");
    shop.delivered();
    let then = std::time::SystemTime::now() - std::time::Duration::from_secs(30 * 86_400);
    std::fs::File::options().write(true).open(&file).and_then(|file| file.set_modified(then)).expect("a time");
    let gc = super::formats::worker(&shop, "gc", &[]);
    assert!(gc.status.success() && file.exists(), "{}", talk(&gc));
    super::verified(&shop);

    // A directory in its place can't be written over.
    std::fs::remove_file(&file).expect("gone");
    std::fs::create_dir(&file).expect("in its place");
    shop.sql("INSERT INTO c VALUES (2, 8)");
    let output = shop.once();
    assert_eq!(output.status.code(), Some(0), "{}", talk(&output));
    let run = report(&output)["run"].as_str().expect("a run").to_owned();
    let logs = super::formats::worker(&shop, "logs", &["--run", &run]);
    let told = String::from_utf8_lossy(&logs.stdout);
    assert!(told.contains("statements were not written"), "{told}{}", talk(&logs));
}

#[test]
fn a_rollback_puts_the_statement_of_its_schema_back() {
    let shop = Shop::with("CREATE TABLE c (id INTEGER PRIMARY KEY); INSERT INTO c VALUES (1)", "");
    shop.spec("      c: { load: full }\n", "    files: { format: csv }\n");
    shop.delivered();
    let first = statement(&shop);
    shop.sql("ALTER TABLE c ADD COLUMN more INTEGER");
    shop.delivered();
    assert_ne!(statement(&shop), first);
    let back = super::formats::worker(&shop, "rollback", &["--table", "c", "--to-version", "0"]);
    assert!(back.status.success(), "{}", talk(&back));
    assert_eq!(statement(&shop), first);
}
