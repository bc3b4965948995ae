//! Hostile names, values, queries and servers: a typed error within bounds, or the exact value; never a panic.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::AsArray;
use serde_json::json;
use waybill_connectors::source::postgres::PostgresSource;
use waybill_model::FailureCode;
use waybill_model::plan::Postgres as Settings;
use waybill_pipeline::source::Want;
use waybill_pipeline::{Credential, Fixed, Source};
use waybill_tests::services::postgres::Postgres;
use waybill_tests::services::postgres_proxy::{Forge, PostgresProxy, message};

use super::wires::{Answer, authentication, scripted};
use super::{drain, full, read, settings, source, source_at, stream, want};

#[tokio::test]
async fn connection_fields_smuggle_no_options() {
    for host in
        ["/var/run/postgresql", "127.0.0.1 sslmode=disable", "127.0.0.1,10.0.0.1", "db?options=-cx=y", "socket=/tmp"]
    {
        let hostile = Settings { host: host.into(), ..settings(1) };
        let fault = PostgresSource::new(&hostile, None, "run").map(drop).expect_err("refused");
        assert_eq!(fault.code, FailureCode::SpecRefused, "{host}");
    }
    let unknown = json!({"host": "db", "database": "d", "user": "u", "options": "-c row_security=on"});
    assert!(serde_json::from_value::<Settings>(unknown).is_err(), "a key that is not known is refused");
    let server = Postgres::start();
    server.run("CREATE TABLE t AS SELECT 1::int8 AS id").await;
    for (database, user) in [("postgres options=-cstatement_timeout=1", "postgres"), ("postgres", "postgres dbname=x")]
    {
        let hostile = Settings { database: database.into(), user: user.into(), ..settings(server.port()) };
        let refused = PostgresSource::new(&hostile, None, "run").expect("plain text").check(&full("t")).await;
        assert_eq!(refused.map(drop).expect_err("no such name").code, FailureCode::SourceDenied, "{database} {user}");
    }
}

#[tokio::test]
async fn h20_statements_in_names_filters_and_views_do_nothing() {
    let server = Postgres::start();
    server
        .run(
            "CREATE TABLE t AS SELECT 1::int8 AS id; CREATE TABLE log (n int);
             CREATE FUNCTION spy() RETURNS int8 LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.log VALUES (1); RETURN 1; END $$;
             CREATE VIEW writes AS SELECT spy() AS id; CREATE ROLE reader LOGIN;
             CREATE FUNCTION shell() RETURNS int8 LANGUAGE plpgsql AS
               $$ BEGIN EXECUTE 'COPY public.t TO PROGRAM ''touch /tmp/waybill-never'''; RETURN 1; END $$;
             CREATE VIEW shells AS SELECT shell() AS id;
             CREATE VIEW sleeps AS SELECT 1::int8 AS id FROM (SELECT pg_sleep(1e9)) s; GRANT SELECT ON shells TO reader",
        )
        .await;
    for name in ["t; DROP TABLE t", "t\"; DROP TABLE t; --", "(SELECT 1) x", "t) TO PROGRAM 'x'"] {
        let fault = read(&source(&server), &full(name), 1).await.map(drop).expect_err("no such table");
        assert!(matches!(fault.code, FailureCode::StreamNotFound | FailureCode::SpecRefused), "{name}");
    }
    let filter = json!({"filter": [{"column": "id", "op": "eq", "value": "1'; DROP TABLE t; --"}]});
    let fault = read(&source(&server), &stream("t", filter), 1).await.map(drop).expect_err("no number");
    assert_eq!(fault.code, FailureCode::SpecRefused);
    let fault = read(&source(&server), &full("writes"), 1).await.map(drop).expect_err("read only");
    assert_eq!(fault.sqlstate, Some("25006"), "the transaction is read only");
    let reader = super::source_as(&server, "reader");
    let fault = read(&reader, &full("shells"), 1).await.map(drop).expect_err("no right to run programs");
    assert_eq!(fault.code, FailureCode::SourceDenied);
    let asleep = tokio::time::timeout(Duration::from_millis(500), read(&source(&server), &full("sleeps"), 1)).await;
    assert!(asleep.is_err(), "it sleeps until the run's bound drops it");
    let client = server.client().await;
    let alive = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'waybill/run_test'";
    let deadline = Instant::now() + Duration::from_secs(60);
    while client.query_one(alive, &[]).await.expect("look").get::<_, i64>(0) > 0 {
        assert!(Instant::now() < deadline, "the server did not notice that its client left");
        tokio::task::yield_now().await;
    }
    assert_eq!(read(&source(&server), &full("t"), 1).await.expect("still there").sorted("id"), [1]);
    assert_eq!(client.query_one("SELECT count(*) FROM log", &[]).await.expect("log").get::<_, i64>(0), 0);
}

#[tokio::test]
async fn odd_names_are_quoted_and_kept_apart() {
    let server = Postgres::start();
    let names = ["a\"b", "a.b", "../up", "select", "🦀 ü", "Case", "case", "with space", "'; --", "x%s\\n"];
    let mut sql = String::new();
    for (at, name) in names.iter().enumerate() {
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        sql += &format!("CREATE TABLE {quoted} AS SELECT {at}::int8 AS {quoted}, 'v'::text AS \"order\";");
    }
    let long = "l".repeat(80);
    sql += &format!("CREATE TABLE {long} AS SELECT 99::int8 AS {long};");
    server.run(&sql).await;
    for (at, name) in names.iter().enumerate() {
        let quoted = format!("public.\"{}\"", name.replace('"', "\"\""));
        let found = read(&source(&server), &full(&quoted), 2).await.expect(name);
        assert_eq!((found.rows.schema().field(0).name().as_str(), found.sorted(name)), (*name, vec![at as i64]));
    }
    let found = read(&source(&server), &full(&"l".repeat(63)), 1).await.expect("cut by the server at 63 bytes");
    assert_eq!(found.sorted(&"l".repeat(63)), [99]);
    let fault = read(&source(&server), &full("a\0b"), 1).await.map(drop).expect_err("NUL");
    assert_eq!(fault.code, FailureCode::SpecRefused);
    server.run("CREATE TABLE twins AS SELECT 1::int8 AS \"Id\", 2::int8 AS \"ID\"").await;
    let fault = read(&source(&server), &full("twins"), 1).await.map(drop).expect_err("twins");
    assert_eq!(fault.code, FailureCode::ColumnNameUnusable);
    let renamed = stream("twins", json!({"columns": {"rename": {"ID": "id2"}}}));
    assert_eq!(read(&source(&server), &renamed, 1).await.expect("read").sorted("id2"), [2]);
}

#[tokio::test]
async fn h22_extreme_values_are_exact_or_refused_by_type() {
    let server = Postgres::start();
    let digits = "7".repeat(1000);
    server
        .run(&format!(
            "CREATE TYPE strange AS (a int); CREATE TABLE x AS SELECT {digits}::numeric AS n, '0044-03-15 BC'::date AS bc,
               'infinity'::timestamptz AS t, 'NaN'::numeric(4,1) AS nan, ARRAY[NULL, NULL]::int8[] AS nulls,
               NULL::strange AS comp, '(1,2)'::point AS unknown, '{{}}'::text[] AS none"
        ))
        .await;
    let found = read(&source(&server), &full("x"), 1).await.expect("read");
    assert_eq!(found.text("n", 0), Some(digits));
    assert_eq!((found.twin("t", 0), found.twin("nan", 0)), (Some("infinity"), Some("NaN")));
    assert_eq!(found.text("unknown", 0).as_deref(), Some("(1,2)"));
    assert_eq!(found.coerced["bc"], 1);

    server.run("CREATE TABLE big AS SELECT 1::int8 AS id, to_jsonb(repeat('x', 209715198)) AS j").await;
    let small = Want { row_bytes: 1 << 20, ..want(1) };
    let snapshot = source(&server).open(&full("big"), None, small).await.expect("open");
    let fault = drain(snapshot.lane().await.expect("lane")).await.map(drop).expect_err("too large");
    assert_eq!(fault.code, FailureCode::RowTooLarge);
    drop(snapshot);
    let large = Want { row_bytes: 256 << 20, ..want(1) };
    let snapshot = source(&server).open(&full("big"), None, large).await.expect("open");
    let found = drain(snapshot.lane().await.expect("lane")).await.expect("it fits a larger budget");
    assert_eq!(found[0].rows.column(1).as_string::<i32>().value(0).len(), 200 << 20);
}

/// How a check ends there: its code, what the customer is told, and how long it took.
async fn check_at(port: u16) -> (FailureCode, String, Duration) {
    let begun = Instant::now();
    let password: Option<Arc<dyn Credential>> = Some(Arc::new(Fixed::new("password")));
    let source = PostgresSource::new(&settings(port), password, "run").expect("a source");
    let fault = source.check(&full("t")).await.map(drop).expect_err("a lie");
    (fault.code, fault.text.for_customer().to_owned(), begun.elapsed())
}

fn greeting() -> Vec<u8> {
    [authentication(0, b""), message(b'Z', b"I")].concat()
}

#[tokio::test]
async fn h24_a_lying_server_meets_bounds_and_no_panic() {
    let scram = || [authentication(10, b"SCRAM-SHA-256\0\0")].concat();
    let port = scripted(move || vec![Answer::Bytes(scram()), Answer::Scram(2_147_483_647)]).await;
    let (code, text, took) = check_at(port).await;
    assert!(code == FailureCode::SourceDenied && text.contains("SCRAM log-in failed"), "{text}");
    assert!(took < Duration::from_secs(10), "the iterations were not run");

    let notice = || message(b'N', b"SNOTICE\0Mhello\0\0");
    let port = scripted(move || vec![Answer::Endless(notice())]).await;
    let (code, text, _) = check_at(port).await;
    assert!(code == FailureCode::SourceMalformed && text.contains("notices without end"), "{text}");

    let raw: [(&[u8], &str); 5] = [
        (b"R\0\0\0\x02", "length of a message is impossible"),
        (b"R\xff\xff\xff\xff", "length of a message is impossible"),
        (b"R\x7f\xff\xff\xff", "longer than 16 MiB"),
        (b"Q\0\0\0\x04", "unexpected message during log-in"),
        (b"R\0\0\0\x06\0\0", "log-in message is too short"),
    ];
    for (bytes, tells) in raw {
        let port = scripted(move || vec![Answer::Bytes(bytes.to_vec())]).await;
        let (code, text, _) = check_at(port).await;
        assert!(code == FailureCode::SourceMalformed && text.contains(tells), "{bytes:?}: {text}");
    }

    let rows: [&[u8]; 4] = [b"\0\x03\0\0\0\x01", b"\0\x05\0\0\0\x02a", b"\xff\xff", b"\0\x01\x7f\xff\xff\xffab"];
    for row in rows {
        let ready = || message(b'Z', b"I");
        let answer = [message(b'D', row), message(b'C', b"SELECT 1\0"), ready()].concat();
        let script =
            move || vec![Answer::Bytes(greeting()), Answer::Bytes(message(b'Z', b"I")), Answer::Bytes(answer.clone())];
        let (code, text, _) = check_at(scripted(script).await).await;
        assert!(code == FailureCode::SourceMalformed && text.contains("a row of the server is"), "{row:?}: {text}");
    }
}

#[tokio::test]
async fn t14_a_lying_copy_meets_bounds_and_no_panic() {
    let server = Postgres::start();
    server.run("CREATE TABLE t AS SELECT g::int8 AS id, 'x'::text AS pad FROM generate_series(1, 5000) g").await;
    let malformed: [(&'static [u8], &str); 6] = [
        (b"\0\x02\0\0\0\x07short\0\0\0\0\0\x01x", "another length than its type"),
        (b"\0\x09", "another number of fields"),
        (b"\0\x02\xff\xff\xff\xfe", "negative length"),
        (b"\0\x01\0\0\0\x08\0\0\0\0\0\0\0\x01", "another number of fields"),
        (b"\xff\xff\0\x02", "bytes follow the trailer"),
        (b"\x80\0", "another number of fields"),
    ];
    for (row, tells) in malformed {
        let proxy = PostgresProxy::start(server.port(), Forge::Row(row), 100).await;
        let fault = read(&source_at(proxy.port), &full("t"), 1).await.map(drop).expect_err("malformed");
        assert!(proxy.fired() > 0);
        let text = fault.text.for_customer();
        assert!(fault.code == FailureCode::SourceMalformed && text.contains(tells), "{row:?}: {text}");
    }
    let proxy = PostgresProxy::start(server.port(), Forge::Row(b"\0\x02\x7f\xff\xff\xff"), 100).await;
    let fault = read(&source_at(proxy.port), &full("t"), 1).await.map(drop).expect_err("too large");
    assert_eq!((fault.code, proxy.fired() > 0), (FailureCode::RowTooLarge, true));
    let proxy = PostgresProxy::start(server.port(), Forge::Notices, 100).await;
    let fault = read(&source_at(proxy.port), &full("t"), 1).await.map(drop).expect_err("endless");
    assert_eq!((fault.code, proxy.fired() > 0), (FailureCode::SourceMalformed, true));
}
