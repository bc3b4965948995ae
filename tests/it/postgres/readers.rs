//! The written table through two independent readers: what left Postgres is what DuckDB and delta-rs give back.

use std::process::Command;

use serde_json::{Value, json};
use waybill_tests::binaries::binary;
use waybill_tests::readers;
use waybill_tests::services::postgres::{Postgres, Setup};

use crate::reading::table_of;

const TABLE: &str = r#"
CREATE SCHEMA kit; CREATE EXTENSION hstore SCHEMA kit; CREATE EXTENSION citext SCHEMA kit; CREATE EXTENSION ltree SCHEMA kit;
CREATE TYPE kit.mood AS ENUM ('ok'); CREATE TYPE kit.pair AS (a int, b text); CREATE DOMAIN kit.price AS numeric(6,2);
CREATE TABLE every AS SELECT
  1::int8 AS id, true AS b, (-7)::int2 AS i2, 2147483647::int4 AS i4, 1.5::float4 AS f4, '-Infinity'::float8 AS f8,
  'NaN'::numeric(10,2) AS nan, 12345678.91::numeric(10,2) AS d, '-Infinity'::numeric AS u,
  1.123456789012345678901234567890::numeric AS un, repeat('9', 40)::numeric(40,0) AS p40, 12.5::money AS mon,
  4294967295::oid AS o, 'infinity'::date AS dinf, '2024-02-29'::date AS dt, '-infinity'::timestamp AS tinf,
  '2024-06-01 23:59:59.999999'::timestamp AS ts, '2024-06-01 00:00:00.000001+02'::timestamptz AS tz,
  '24:00:00'::time AS t, '12:00:00.5+05:30'::timetz AS ttz, '1 year -2 months 3 days -04:05:06.000007'::interval AS iv,
  'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid AS uu, '{"n": 1.000000000000000000000000001}'::json AS j,
  '{"a": [1, null]}'::jsonb AS jb, 'ü 🦀'::text AS tx, 'x'::char(3) AS c3, 'MiXed'::kit.citext AS ci, 'ok'::kit.mood AS e,
  'Top.Sub'::kit.ltree AS lt, '"k"=>"v"'::kit.hstore AS h, '\x00ff'::bytea AS bytes, '::1/64'::inet AS ip, B'0010'::bit(4) AS bi,
  '[1,5)'::int4range AS r, 9.99::kit.price AS dom, ROW(1, 'x"y')::kit.pair AS comp, '{1,NULL,3}'::int4[] AS a,
  '{1.25,NaN}'::numeric(5,2)[] AS an, '16/B374D848'::pg_lsn AS l, '(1,2)'::point AS pt;
INSERT INTO every (id) VALUES (2);
"#;

/// Moves a table with `waybill-worker once` under default settings, and gives the table that it wrote.
fn moved(server: &Postgres, folder: &std::path::Path, stream: &str) -> std::path::PathBuf {
    let lake = folder.join("lake");
    let spec = folder.join("spec.yaml");
    let document = format!(
        "waybill: 1\nconnections:\n  db: {{ type: postgres, host: 127.0.0.1, port: {}, database: postgres, user: postgres, \
         tls: disable }}\n  lake: {{ type: local, path: \"{}\" }}\npipelines:\n  all: {{ from: db, to: lake, streams: {{ \
         {stream}: {{ load: full }} }} }}\n",
        server.port(),
        lake.display()
    );
    std::fs::write(&spec, document).expect("write the spec");
    let moved =
        Command::new(binary("waybill-worker")).args(["once", "--json", "--spec"]).arg(&spec).output().expect("run");
    assert!(moved.status.success(), "{}", String::from_utf8_lossy(&moved.stderr));
    table_of(&lake)
}

#[tokio::test]
async fn d1_text_of_every_encoding_reads_back_as_what_it_says_or_as_its_bytes() {
    const ROWS: &str = "SELECT t, {} FROM t ORDER BY id";
    let latin = Postgres::with(Setup { encoding: "LATIN1", ..Setup::default() });
    latin.run("CREATE TABLE t AS SELECT 1 AS id, 'é ÿ'::text AS t, 'ñ'::char(3) AS c, ARRAY['ß'] AS a").await;
    let folder = tempfile::tempdir().expect("a folder");
    let table = moved(&latin, folder.path(), "public.t");
    let seen = readers::query(&table, &ROWS.replace("{}", "c, a")).expect("both readers").agreed();
    assert_eq!(seen, json!([["é ÿ", "ñ  ", ["ß"]]]));

    // The server knows no encoding, so any bytes are text to it.
    let raw = Postgres::with(Setup { encoding: "SQL_ASCII", ..Setup::default() });
    raw.run(
        "SET client_encoding = 'SQL_ASCII'; CREATE TABLE t (id int, t text, c char(3), n name, j json, a text[], two text[]);
         INSERT INTO t VALUES (1, 'plain ü', 'x', 'n', '{\"a\": 1}', '{x}', '{x}'),
           (2, E'b\\xffd', E'\\xe9', E'\\x80', E'\"\\xfe\"', ARRAY['ok', E'\\xfe'], ARRAY[['ok', NULL], [E'\\xfe', 'ok']])",
    )
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let table = moved(&raw, folder.path(), "public.t");
    let columns = "t__text, c, c__text, n, n__text, j, j__text, a, a__text, two, two__text";
    let seen = readers::query(&table, &ROWS.replace("{}", columns)).expect("both readers").agreed();
    assert_eq!(
        seen,
        json!([
            ["plain ü", null, "x  ", null, "n", null, "{\"a\": 1}", null, ["x"], null, ["x"], null],
            [
                "b\u{fffd}d",
                "62ff64",
                "\u{fffd}  ",
                "e92020",
                "\u{fffd}",
                "80",
                "\"\u{fffd}\"",
                "22fe22",
                ["ok", "\u{fffd}"],
                r#"{"\\x6f6b","\\xfe"}"#,
                null,
                r#"{{"\\x6f6b",NULL},{"\\xfe","\\x6f6b"}}"#
            ],
        ])
    );
}

#[tokio::test]
async fn duckdb_and_delta_rs_read_back_every_type() {
    let server = Postgres::start();
    server.run(TABLE).await;
    let folder = tempfile::tempdir().expect("a folder");
    let table = moved(&server, folder.path(), "public.every");
    let expected = expected();
    let columns: Vec<&str> = expected.iter().map(|(expression, _)| *expression).collect();
    let sql = format!("SELECT {} FROM t ORDER BY id", columns.join(", "));
    let answer = readers::query(&table, &sql).expect("both readers");
    for (reader, rows) in [("DuckDB", &answer.duckdb), ("delta-rs", &answer.delta_rs)] {
        for (place, (column, value)) in expected.iter().enumerate() {
            assert_eq!(&rows[0][place], value, "{column} by {reader}");
            assert!(*column == "id" || rows[1][place].is_null(), "{column} of the empty row by {reader}");
        }
    }
}

fn expected() -> Vec<(&'static str, Value)> {
    vec![
        ("id", json!(1)),
        ("b", json!(true)),
        ("i2", json!(-7)),
        ("i4", json!(2_147_483_647)),
        ("f4", json!(1.5)),
        ("f8 < -1e308", json!(true)),
        ("nan", Value::Null),
        ("nan__text", json!("NaN")),
        ("d", json!("12345678.91")),
        ("u", json!("-Infinity")),
        ("un", json!("1.123456789012345678901234567890")),
        ("p40", json!("9".repeat(40))),
        ("mon", json!("12.50")),
        ("o", json!(4_294_967_295_u64)),
        ("dinf", Value::Null),
        ("dinf__text", json!("infinity")),
        ("dt", json!("2024-02-29")),
        ("tinf", Value::Null),
        ("tinf__text", json!("-infinity")),
        ("ts", json!("2024-06-01T23:59:59.999999")),
        ("tz", json!("2024-05-31T22:00:00.000001Z")),
        ("t", json!("24:00:00")),
        ("ttz", json!("12:00:00.5+05:30")),
        ("iv", json!("P10M3DT-4H-5M-6.000007S")),
        ("uu", json!("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
        ("j", json!("{\"n\": 1.000000000000000000000000001}")),
        ("jb", json!("{\"a\": [1, null]}")),
        ("tx", json!("ü 🦀")),
        ("c3", json!("x  ")),
        ("ci", json!("MiXed")),
        ("e", json!("ok")),
        ("lt", json!("Top.Sub")),
        ("h", json!("\"k\"=>\"v\"")),
        ("bytes", json!("00ff")),
        ("ip", json!("::1/64")),
        ("bi", json!("0010")),
        ("r", json!("[1,5)")),
        ("dom", json!("9.99")),
        ("comp", json!("{\"a\":1,\"b\":\"x\\\"y\"}")),
        ("a", json!([1, null, 3])),
        ("an", json!(["1.25", null])),
        ("an__text", json!("{1.25,NaN}")),
        ("l", json!("16/B374D848")),
        ("pt", json!("(1,2)")),
    ]
}
