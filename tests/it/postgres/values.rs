//! Every row of the fidelity table, and the values that other tools lose: each is exact or recoverable, and counted.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType,
};
use serde_json::json;
use waybill_model::FailureCode;
use waybill_tests::services::postgres::{Postgres, Setup};

use super::{Read, full, read, source, stream};

/// One row of `select_list`, read through a table of its own.
async fn one(server: &Postgres, table: &str, select_list: &str) -> Read {
    server.run(&format!("CREATE TABLE {table} AS SELECT {select_list}")).await;
    read(&source(server), &full(table), 1).await.expect("read")
}

fn decimal(read: &Read, name: &str, row: usize) -> Option<(String, i8)> {
    let column = read.column(name);
    let DataType::Decimal128(_, scale) = column.data_type() else { panic!("{name} is {}", column.data_type()) };
    let values = column.as_primitive::<Decimal128Type>();
    values.is_valid(row).then(|| (values.value_as_string(row), *scale))
}

#[tokio::test]
async fn values_that_other_tools_lose_arrive_exact_or_as_text() {
    let server = Postgres::start();
    server
        .run(
            "CREATE TABLE lost (n numeric(10,2), u numeric, t timestamptz, d date, a int[], o oid);
             INSERT INTO lost VALUES
               ('NaN', '-Infinity', 'infinity', '-infinity', '{1,NULL,3}', 4294967295),
               (12345678.91, 1.123456789012345, '2024-02-29 12:00:00.123456+02', '2024-02-29', '{}', 1),
               (NULL, 12345678901234567890123456789.5, '-infinity', 'infinity', NULL, 0)",
        )
        .await;
    let read = read(&source(&server), &full("lost"), 1).await.expect("read");
    assert_eq!((decimal(&read, "n", 0), read.twin("n", 0)), (None, Some("NaN")));
    assert_eq!(decimal(&read, "n", 1), Some(("12345678.91".into(), 2)));
    assert_eq!((read.twin("n", 1), read.twin("n", 2)), (None, None));
    assert_eq!(read.text("u", 0).as_deref(), Some("-Infinity"));
    assert_eq!(read.text("u", 1).as_deref(), Some("1.123456789012345"));
    assert_eq!(read.text("u", 2).as_deref(), Some("12345678901234567890123456789.5"));
    let times = read.column("t");
    let times = times.as_primitive::<TimestampMicrosecondType>();
    assert_eq!((times.is_null(0), read.twin("t", 0), read.twin("t", 2)), (true, Some("infinity"), Some("-infinity")));
    assert_eq!(times.value(1), 1_709_200_800_123_456);
    assert_eq!((read.twin("d", 0), read.twin("d", 2)), (Some("-infinity"), Some("infinity")));
    let list = read.column("a");
    let first = list.as_list::<i32>().value(0);
    assert_eq!(first.as_primitive::<Int32Type>().iter().collect::<Vec<_>>(), [Some(1), None, Some(3)]);
    assert_eq!((list.as_list::<i32>().value(1).len(), list.is_null(2)), (0, true));
    assert_eq!(read.column("o").as_primitive::<Int64Type>().values(), &[4_294_967_295, 1, 0]);
    let counted: Vec<(&str, u64)> = read.coerced.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    assert_eq!(counted, [("d", 2), ("n", 1), ("t", 2)]);
    assert_eq!(read.proof.grade, waybill_model::receipt::Grade::Counted);
}

#[tokio::test]
async fn numbers_and_truths_keep_their_bits() {
    let server = Postgres::start();
    let read = one(
        &server,
        "numbers",
        "true AS b, (-32768)::int2 AS i2, (-2147483648)::int4 AS i4, (-9223372036854775808)::int8 AS i8,
         '-0.0'::float4 AS f4, 'NaN'::float4 AS f4n, 'Infinity'::float8 AS f8, 5e-324::float8 AS tiny,
         'fffffffe'::text AS x, '4294967295'::xid AS xid",
    )
    .await;
    assert!(read.column("b").as_boolean().value(0));
    assert_eq!(read.column("i2").as_primitive::<Int16Type>().value(0), i16::MIN);
    assert_eq!(read.column("i4").as_primitive::<Int32Type>().value(0), i32::MIN);
    assert_eq!(read.column("i8").as_primitive::<Int64Type>().value(0), i64::MIN);
    assert_eq!(read.column("f4").as_primitive::<Float32Type>().value(0).to_bits(), (-0.0_f32).to_bits());
    assert!(read.column("f4n").as_primitive::<Float32Type>().value(0).is_nan());
    assert_eq!(read.column("f8").as_primitive::<Float64Type>().value(0), f64::INFINITY);
    assert_eq!(read.column("tiny").as_primitive::<Float64Type>().value(0), 5e-324);
    assert_eq!(read.column("xid").as_primitive::<Int64Type>().value(0), 4_294_967_295);
    assert!(read.twins.is_empty() && read.coerced.is_empty());
}

#[tokio::test]
async fn numerics_of_every_shape_are_exact() {
    let server = Postgres::start();
    let nines = "9".repeat(38);
    let read = one(
        &server,
        "numerics",
        &format!(
            "{nines}::numeric(38,0) AS p38, (-0.{nines})::numeric(38,38) AS s38, {nines}9.5::numeric(40,1) AS p40,
             0.00012::numeric(3,5) AS small, 12300::numeric(3,-2) AS big, 99999999999999999.99::numeric(19,2) AS wide,
             1000000.0100::numeric AS scale_kept, '1e131071'::numeric AS huge, 0.00::numeric(4,2) AS zero,
             (-92233720368547758.08)::numeric::money AS low, 'NaN'::numeric AS nan"
        ),
    )
    .await;
    assert_eq!(decimal(&read, "p38", 0), Some((nines.clone(), 0)));
    assert_eq!(decimal(&read, "s38", 0), Some((format!("-0.{nines}"), 38)));
    assert_eq!(read.text("p40", 0), Some(format!("{nines}9.5")));
    assert_eq!(decimal(&read, "small", 0), Some(("0.00012".into(), 5)));
    assert_eq!(decimal(&read, "big", 0), Some(("12300".into(), 0)));
    assert_eq!(decimal(&read, "wide", 0), Some(("99999999999999999.99".into(), 2)));
    assert_eq!(read.text("scale_kept", 0).as_deref(), Some("1000000.0100"));
    assert_eq!(read.text("huge", 0), Some(format!("1{}", "0".repeat(131_071))));
    assert_eq!(decimal(&read, "zero", 0), Some(("0.00".into(), 2)));
    assert_eq!(decimal(&read, "low", 0), Some(("-92233720368547758.08".into(), 2)));
    assert_eq!(read.text("nan", 0).as_deref(), Some("NaN"));
    assert!(read.coerced.is_empty());
}

#[tokio::test]
async fn dates_and_times_keep_every_microsecond() {
    let server = Postgres::start();
    let read = one(
        &server,
        "times",
        "'4713-01-01 BC'::date AS bc, '5874897-12-31'::date AS far, '0001-01-01'::date AS first,
         '2024-06-01 23:59:59.999999'::timestamp AS ts, '294276-12-31 23:59:59.999999'::timestamptz AS last,
         '4713-01-01 00:00:00 BC'::timestamp AS ts_bc,
         '24:00:00'::time AS midnight, '12:34:56.789012+05:30'::timetz AS zoned,
         '1 year -2 months 3 days -04:05:06.000007'::interval AS span",
    )
    .await;
    let day = |name: &str| read.column(name).as_primitive::<Date32Type>().value(0);
    assert_eq!((day("bc"), day("far"), day("first")), (-2_440_550, 2_145_042_905, -719_162));
    let time = |name: &str| {
        let column = read.column(name);
        let times = column.as_primitive::<TimestampMicrosecondType>();
        times.is_valid(0).then(|| times.value(0))
    };
    assert_eq!(time("ts"), Some(1_717_286_399_999_999));
    assert_eq!(time("ts_bc"), Some(-210_863_520_000_000_000));
    assert_eq!((time("last"), read.twin("last", 0)), (None, Some("294276-12-31 23:59:59.999999+00")));
    assert_eq!(read.text("midnight", 0).as_deref(), Some("24:00:00"));
    assert_eq!(read.text("zoned", 0).as_deref(), Some("12:34:56.789012+05:30"));
    assert_eq!(read.text("span", 0).as_deref(), Some("P10M3DT-4H-5M-6.000007S"));
    assert_eq!(read.column("ts").data_type(), &DataType::Timestamp(TimeUnit::Microsecond, None));
    assert_eq!(read.column("last").data_type(), &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
    let counted: Vec<&str> = read.coerced.keys().map(String::as_str).collect();
    assert_eq!(counted, ["bc", "far", "last", "ts_bc"], "kept or not, what readers may not show is counted");
}

#[tokio::test]
async fn text_like_types_arrive_as_the_server_prints_them() {
    let server = Postgres::start();
    server
        .run(
            "CREATE SCHEMA kit; CREATE EXTENSION hstore SCHEMA kit; CREATE EXTENSION citext SCHEMA kit;
             CREATE EXTENSION ltree SCHEMA kit; CREATE TYPE kit.mood AS ENUM ('ok', 'Not \"ok\"');
             CREATE TYPE kit.pair AS (a int, b text); CREATE DOMAIN kit.price AS numeric(6,2) CHECK (VALUE > 0);
             CREATE DOMAIN kit.prices AS kit.price[]; CREATE TYPE kit.span AS RANGE (subtype = float8)",
        )
        .await;
    let read = one(
        &server,
        "texts",
        r#"'a
b ü 🦀'::text AS t, 'x '::varchar(5) AS v, 'pad'::char(6) AS c, 'n'::name AS n, 'q'::"char" AS ch,
        'MiXed'::kit.citext AS ci, '<a b="1">ü</a>'::xml AS x, 'Not "ok"'::kit.mood AS e, 'Top.Sub_1'::kit.ltree AS lt,
        '{"n": 1.000000000000000000000000001, "n": 2}'::json AS j, '{"n": 1e400}'::jsonb AS jb,
        '\x00ff10'::bytea AS by, 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid AS u,
        '::1/64'::inet AS i, '10.0.0.0/8'::cidr AS ci2, '08:00:2b:01:02:03'::macaddr AS m, B'0010'::bit(4) AS bi,
        B'101'::varbit AS vb, '[1,5)'::int4range AS r, '{[1,2),[7,9)}'::int4multirange AS mr,
        '[1.5,2]'::kit.span AS own, 'fat & rat'::tsquery AS tq, 'a:1 b:2'::tsvector AS tv, '16/B374D848'::pg_lsn AS l,
        '(1,2),(3,4)'::box AS bx, '"k"=>"v", "n"=>NULL'::kit.hstore AS h, 9.99::kit.price AS dom,
        ARRAY[1.50, 2]::kit.prices AS doms, ROW(1, 'x"y')::kit.pair AS comp, ARRAY[ROW(1,'a')::kit.pair] AS comps,
        'pg_class'::regclass AS rc, '12'::xid8 AS x8, 12.5::money AS mon"#,
    )
    .await;
    let expected = [
        ("t", "a\nb ü 🦀"),
        ("v", "x "),
        ("c", "pad   "),
        ("n", "n"),
        ("ch", "q"),
        ("ci", "MiXed"),
        ("x", "<a b=\"1\">ü</a>"),
        ("e", "Not \"ok\""),
        ("lt", "Top.Sub_1"),
        ("j", "{\"n\": 1.000000000000000000000000001, \"n\": 2}"),
        ("u", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("i", "::1/64"),
        ("ci2", "10.0.0.0/8"),
        ("m", "08:00:2b:01:02:03"),
        ("bi", "0010"),
        ("vb", "101"),
        ("r", "[1,5)"),
        ("mr", "{[1,2),[7,9)}"),
        ("own", "[1.5,2]"),
        ("tq", "'fat' & 'rat'"),
        ("tv", "'a':1 'b':2"),
        ("l", "16/B374D848"),
        ("bx", "(3,4),(1,2)"),
        ("h", "\"k\"=>\"v\", \"n\"=>NULL"),
        ("comp", "{\"a\":1,\"b\":\"x\\\"y\"}"),
        ("comps", "[{\"a\":1,\"b\":\"a\"}]"),
        ("rc", "pg_class"),
        ("x8", "12"),
    ];
    for (name, text) in expected {
        assert_eq!(read.text(name, 0).as_deref(), Some(text), "{name}");
    }
    assert!(read.text("jb", 0).expect("jsonb").starts_with("{\"n\": 1000"), "a number beyond a float keeps its digits");
    assert_eq!(read.column("by").as_binary::<i32>().value(0), [0, 255, 16]);
    assert_eq!(decimal(&read, "dom", 0), Some(("9.99".into(), 2)));
    assert_eq!(decimal(&read, "mon", 0), Some(("12.50".into(), 2)));
    let prices = read.column("doms").as_list::<i32>().value(0);
    assert_eq!(prices.as_primitive::<Decimal128Type>().values(), &[150, 200]);
    assert_eq!(read.rows.num_columns(), expected.len() + 5, "no column is dropped");
    let field = read.rows.schema().field_with_name("doms").expect("a field").clone();
    assert_eq!(field.metadata()["waybill.src_type"], "kit.prices");
    assert_eq!(field.metadata()["waybill.policy"], "twin");
}

#[tokio::test]
async fn d1_arrays_are_lists_and_never_flattened() {
    let server = Postgres::start();
    let list = one(
        &server,
        "lists",
        "'{a,NULL,\"b c\"}'::text[] AS t, '{2024-01-01,infinity}'::date[] AS d, '{1 day}'::interval[] AS i,
         '{NaN,1.5}'::numeric[] AS n, '{1.25,NaN}'::numeric(5,2)[] AS p, '{12.5}'::money[] AS m,
         ARRAY['\\x01'::bytea] AS b, '{t,f}'::bool[] AS f",
    )
    .await;
    let texts = |name: &str| {
        let column = list.column(name).as_list::<i32>().value(0);
        column.as_string::<i32>().iter().map(|t| t.map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(texts("t"), [Some("a".into()), None, Some("b c".into())]);
    assert_eq!(texts("i"), [Some("P1D".to_owned())]);
    assert_eq!(texts("n"), [Some("NaN".to_owned()), Some("1.5".into())]);
    assert_eq!(list.twin("d", 0), Some("{2024-01-01,infinity}"));
    assert_eq!(list.twin("p", 0), Some("{1.25,NaN}"));
    assert_eq!(list.coerced.values().sum::<u64>(), 2);

    for (table, text) in [("two", "{{1,2},{3,4}}"), ("from_zero", "[0:1]={1,2}")] {
        server.run(&format!("CREATE TABLE {table} AS SELECT '{text}'::int[] AS a")).await;
        let kept = read(&source(&server), &full(table), 1).await.expect("read");
        assert_eq!((kept.column("a").is_null(0), kept.twin("a", 0), kept.coerced["a"]), (true, Some(text), 1));
        let strict = stream(table, json!({"arrays": "fail"}));
        let fault = read(&source(&server), &strict, 1).await.err().expect("refused");
        assert_eq!(fault.code, FailureCode::ArrayShape, "{table}");
    }
    let as_json = |table: &str| stream(table, json!({"arrays": "json"}));
    let two = read(&source(&server), &as_json("two"), 1).await.expect("read");
    assert_eq!(two.text("a", 0).as_deref(), Some("[[1,2],[3,4]]"));
    let zero = read(&source(&server), &as_json("from_zero"), 1).await.expect("read");
    assert_eq!((zero.text("a", 0), zero.twin("a", 0)), (None, Some("[0:1]={1,2}")), "JSON has no bounds");
}

/// What `to_jsonb` and JSON itself lose: bounds, doubled keys, blanks and order, the sign of zero, NUL, and NULL beside `null`.
#[tokio::test]
async fn d1_rows_and_arrays_in_json_are_the_servers_own_text_and_what_json_can_not_say_stands_beside_them() {
    let server = Postgres::start();
    server
        .run(
            r#"CREATE TYPE inner_row AS ("o""dd" int[], at date); CREATE DOMAIN plain AS inner_row; CREATE DOMAIN ints AS int[];
               CREATE TYPE outer_row AS (j json, b jsonb, f float8, r plain, many inner_row[], d ints[]);
               CREATE TYPE flat AS (f float8, n numeric, t text, at timestamptz);
               CREATE TABLE t (id int8, o outer_row, flat flat, js json[], fs float8[]);
               INSERT INTO t VALUES
                 (1, ROW('{"z": 1.50, "a":  "\u0000", "z": null}', '{"b":1, "a":1.50}', '-0', ROW('{1}', 'infinity'), '{NULL}', '{}'),
                  ROW('-0', 'NaN', 'null', '2020-01-01 12:00+02'), ARRAY[' {"b": 1.0,  "b":2}'::json, NULL], '{-0,NaN}'),
                 (2, ROW(NULL, NULL, NULL, ROW('[0:0]={1}', NULL), NULL, NULL), NULL, ARRAY[' null '::json, NULL], '[0:0]={1}'),
                 (3, ROW(NULL, NULL, NULL, NULL, ARRAY[ROW('{1}', NULL), ROW('[-1:0]={1,2}', NULL)]::inner_row[], NULL), NULL, NULL, NULL),
                 (4, ROW('null', NULL, NULL, NULL, NULL, NULL), NULL, NULL, NULL), (5, ROW(NULL, 'null', NULL, NULL, NULL, NULL), NULL, NULL, NULL),
                 (6, ROW(NULL, NULL, NULL, NULL, NULL, ARRAY['{1}'::ints, '[2:2]={1}'::ints]), NULL, NULL, NULL),
                 (7, NULL, NULL, NULL, NULL)"#,
        )
        .await;
    let found = read(&source(&server), &stream("t", json!({"arrays": "json"})), 1).await.expect("read");
    let first = r#"{"j":{"z": 1.50, "a":  "\u0000", "z": null},"b":{"a": 1.50, "b": 1},"f":-0,"r":{"o\"dd":[1],"at":"infinity"},"many":[null],"d":[]}"#;
    assert_eq!((found.text("o", 0).as_deref(), found.twin("o", 0)), (Some(first), None));
    let flat = r#"{"f":-0,"n":"NaN","t":"null","at":"2020-01-01T10:00:00+00:00"}"#;
    assert_eq!(found.text("flat", 0).as_deref(), Some(flat));
    assert_eq!(found.text("js", 0).as_deref(), Some(r#"[ {"b": 1.0,  "b":2},null]"#));
    assert_eq!(found.text("fs", 0).as_deref(), Some(r#"[-0,"NaN"]"#));
    let client = server.client().await;
    for row in 1..6 {
        let sql = format!("SELECT o::text FROM t WHERE id = {}", row + 1);
        let text: String = client.query_one(&sql, &[]).await.expect("a row").get(0);
        assert_eq!((found.text("o", row), found.twin("o", row)), (None, Some(text.as_str())));
    }
    assert_eq!((found.twin("js", 1), found.twin("fs", 1)), (Some("{\" null \",NULL}"), Some("[0:0]={1}")));
    assert_eq!((found.text("o", 6), found.twin("o", 6), found.text("flat", 1)), (None, None, None));
    let counted: Vec<(&str, u64)> = found.coerced.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    assert_eq!(counted, [("fs", 1), ("js", 1), ("o", 5)]);
    let strict = stream("t", json!({"edge-values": "fail"}));
    assert_eq!(read(&source(&server), &strict, 1).await.err().expect("refused").code, FailureCode::ValueRefused);
}

#[tokio::test]
async fn edge_policies_do_what_they_say_and_count_it() {
    let server = Postgres::start();
    server
        .run("CREATE TABLE edge AS SELECT 'NaN'::numeric(5,2) AS n, 'infinity'::date AS d, '-infinity'::timestamp AS t")
        .await;
    let policy = |name: &str| stream("edge", json!({"edge-values": name}));
    let fault = read(&source(&server), &policy("fail"), 1).await.err().expect("refused");
    assert_eq!(fault.code, FailureCode::ValueRefused);
    let null = read(&source(&server), &policy("null"), 1).await.expect("read");
    assert!(null.twins.is_empty() && null.column("d").is_null(0) && null.column("n").is_null(0));
    assert_eq!(null.coerced.values().sum::<u64>(), 3);
    let sentinel = read(&source(&server), &policy("sentinel"), 1).await.expect("read");
    assert_eq!(sentinel.column("d").as_primitive::<Date32Type>().value(0), 2_932_896);
    let first = sentinel.column("t").as_primitive::<TimestampMicrosecondType>().value(0);
    assert_eq!(first, -719_162 * 86_400_000_000);
    assert_eq!(sentinel.twin("n", 0), Some("NaN"), "a number has no sentinel, so its text is kept");
    assert_eq!(sentinel.coerced.values().sum::<u64>(), 3);
}

#[tokio::test]
async fn text_without_an_encoding_is_repaired_and_kept_as_hex() {
    let server = Postgres::with(Setup { encoding: "SQL_ASCII", ..Setup::default() });
    server.run("CREATE TABLE raw AS SELECT 1::int8 AS id, 'plain'::text AS t, ARRAY['x'] AS a").await;
    server
        .run("SET client_encoding = 'SQL_ASCII'; INSERT INTO raw VALUES (2, E'b\\xffd', ARRAY['ok', E'\\xfe'])")
        .await;
    let found = read(&source(&server), &full("raw"), 1).await.expect("read");
    assert_eq!((found.text("t", 0).as_deref(), found.text("t", 1).as_deref()), (Some("plain"), Some("b\u{fffd}d")));
    assert_eq!((found.twin("t", 0), found.twin("t", 1)), (None, Some("62ff64")));
    assert_eq!(found.twin("a", 1), Some(r#"{"\\x6f6b","\\xfe"}"#));
    assert_eq!(found.coerced["t"], 1);
    let strict = stream("raw", json!({"invalid-text": "fail"}));
    assert_eq!(read(&source(&server), &strict, 1).await.err().expect("refused").code, FailureCode::ValueRefused);
}

/// One column, one batch: bytes that are no UTF-8, an array that JSON can't say, and one that is both.
#[tokio::test]
async fn texts_without_an_encoding_and_arrays_that_json_can_not_say_keep_each_their_own_text() {
    let server = Postgres::with(Setup { encoding: "SQL_ASCII", ..Setup::default() });
    server
        .run(
            "SET client_encoding = 'SQL_ASCII'; CREATE TABLE raw (id int8, a text[]);
             INSERT INTO raw VALUES (1, '[0:0]={first}'), (2, ARRAY[E'\\xfe']), (3, '{plain}'), (4, '[5:5]={last}'),
               (5, ('[0:0]=' || ARRAY[E'b\\xff']::text)::text[]), (6, NULL)",
        )
        .await;
    let found = read(&source(&server), &stream("raw", json!({"arrays": "json"})), 1).await.expect("read");
    let texts: Vec<Option<String>> = (0..6).map(|row| found.text("a", row)).collect();
    assert_eq!(texts, [None, Some("[\"\u{fffd}\"]".into()), Some("[\"plain\"]".into()), None, None, None]);
    let twins: Vec<Option<&str>> = (0..6).map(|row| found.twin("a", row)).collect();
    let both = hex::encode(b"[0:0]={b\xff}");
    assert_eq!(
        twins,
        [Some("[0:0]={first}"), Some("5b22fe225d"), None, Some("[5:5]={last}"), Some(both.as_str()), None]
    );
    assert_eq!(found.coerced["a"], 4);
    let strict = stream(
        "raw",
        json!({"arrays": "json", "invalid-text": "fail", "filter": [{"column": "id", "op": "eq", "value": "5"}]}),
    );
    let fault = read(&source(&server), &strict, 1).await.err().expect("its text would have to be replaced");
    assert_eq!(fault.code, FailureCode::ValueRefused);
}
