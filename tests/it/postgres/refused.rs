//! What the source refuses before a row is read, and with which code.

use std::sync::Arc;

use serde_json::json;
use waybill_model::FailureCode;
use waybill_pipeline::{Credential, Fixed, Source};
use waybill_tests::services::postgres::Postgres;

use super::{full, read, source, source_as, stream};

#[tokio::test]
async fn row_level_security_is_an_error_and_never_a_filter() {
    let server = Postgres::start();
    server
        .run(
            "CREATE ROLE reader LOGIN; CREATE ROLE owner LOGIN;
             CREATE TABLE t AS SELECT g::int8 AS id FROM generate_series(1, 10) g; ALTER TABLE t ENABLE ROW LEVEL SECURITY;
             CREATE POLICY half ON t FOR SELECT USING (id <= 5); GRANT SELECT ON t TO reader, owner;
             CREATE VIEW v WITH (security_invoker = true) AS SELECT * FROM t; GRANT SELECT ON v TO reader",
        )
        .await;
    for name in ["t", "v"] {
        let fault = read(&source_as(&server, "reader"), &full(name), 1).await.map(drop).expect_err("refused");
        assert_eq!(fault.code, FailureCode::RowSecurity, "{name}");
    }
    server.run("ALTER ROLE reader BYPASSRLS").await;
    let all = read(&source_as(&server, "reader"), &full("t"), 1).await.expect("read");
    assert_eq!(all.rows.num_rows(), 10);
}

#[tokio::test]
async fn a_check_refuses_what_a_run_would() {
    let server = Postgres::start();
    server
        .run(
            "CREATE ROLE reader LOGIN; CREATE TABLE t (id int8, at timestamp, note text); CREATE TABLE denied (id int8);
             GRANT SELECT ON t TO reader; CREATE SEQUENCE counter; GRANT SELECT ON counter TO reader",
        )
        .await;
    let filter = |value: &str| json!({"filter": [{"column": "id", "op": "eq", "value": value}]});
    let cases = [
        (full("t"), None),
        (full("missing"), Some(FailureCode::StreamNotFound)),
        (full("nowhere.t"), Some(FailureCode::StreamNotFound)),
        (full("counter"), Some(FailureCode::StreamNotFound)),
        (full("a.b.c"), Some(FailureCode::SpecRefused)),
        (full("denied"), Some(FailureCode::SourceDenied)),
        (stream("t", filter("7")), None),
        (stream("t", filter("seven")), Some(FailureCode::SpecRefused)),
        (stream("t", json!({"columns": {"select": ["nope"]}})), Some(FailureCode::ColumnNotFound)),
        (stream("t", json!({"filter": [{"column": "nope", "op": "is_null"}]})), Some(FailureCode::ColumnNotFound)),
        (stream("t", json!({"load": "new", "cursor": {"column": "id"}})), None),
        (stream("t", json!({"load": "new", "cursor": {"column": "at"}})), Some(FailureCode::CursorZoneUnknown)),
        (stream("t", json!({"load": "new", "cursor": {"column": "note"}})), Some(FailureCode::CursorUnusable)),
        (
            stream("t", json!({"load": "new", "cursor": {"column": "at", "zone": "No/Where"}})),
            Some(FailureCode::CursorZoneUnknown),
        ),
    ];
    for (plan, code) in cases {
        let checked = source_as(&server, "reader").check(&plan).await;
        assert_eq!(checked.err().map(|fault| fault.code), code, "{plan:?}");
    }
}

#[tokio::test]
async fn who_can_not_log_in_is_told_why() {
    let server = Postgres::with(waybill_tests::services::postgres::Setup {
        access: &[
            "host all guarded 127.0.0.1/32 scram-sha-256",
            "host all clear 127.0.0.1/32 password",
            "host all old 127.0.0.1/32 md5",
        ],
        ..Default::default()
    });
    server
        .run(
            "CREATE ROLE guarded LOGIN PASSWORD 'right'; CREATE ROLE clear LOGIN PASSWORD 'right';
             SET password_encryption = 'md5'; CREATE ROLE old LOGIN PASSWORD 'right'; CREATE TABLE t (id int8);
             GRANT SELECT ON t TO guarded, clear, old",
        )
        .await;
    let login = |user: &str, password: Option<&str>| {
        let settings = waybill_model::plan::Postgres { user: user.into(), ..super::settings(server.port()) };
        let password = password.map(|text| Arc::new(Fixed::new(text)) as Arc<dyn Credential>);
        waybill_connectors::source::postgres::PostgresSource::new(&settings, password, "run").expect("a source")
    };
    for (user, password, works) in [
        ("guarded", Some("right"), true),
        ("guarded", Some("wrong"), false),
        ("guarded", None, false),
        ("nobody", Some("right"), false),
        ("old", Some("right"), true),
        ("clear", Some("right"), false),
    ] {
        let checked = login(user, password).check(&full("t")).await;
        let code = checked.as_ref().err().map(|fault| fault.code);
        assert_eq!(code, (!works).then_some(FailureCode::SourceDenied), "{user} {password:?}");
        if let Err(fault) = checked {
            assert!(!fault.text.for_customer().contains("right") && !fault.text.for_customer().contains("wrong"));
        }
    }
    let fault = super::source_at(1).check(&full("t")).await.map(drop).expect_err("nobody there");
    assert_eq!(fault.code, FailureCode::SourceUnreachable);
    drop(source(&server));
}
