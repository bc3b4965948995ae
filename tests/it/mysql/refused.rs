//! What a run or a check is refused for before it reads: filters, names, cursors, grants, passwords.

use serde_json::json;
use waybill_model::FailureCode;
use waybill_pipeline::{FaultResult, Source};

use super::{full, read, server, source, source_as, stream};

fn code<T>(result: FaultResult<T>) -> (FailureCode, String) {
    let fault = result.map(drop).expect_err("refused");
    (fault.code, fault.text.for_customer().to_owned())
}

#[tokio::test]
async fn filters_of_every_kind_compare_as_the_column_does() {
    let server = server();
    server.run(
        "CREATE TABLE f (id int PRIMARY KEY, big bigint unsigned, d decimal(20,4), f float, dd double, dt date, ts timestamp(3) NULL,
           at datetime, t time, y year, b bit(1), bb bit(10), s varchar(50) CHARACTER SET latin1, e enum('a','b'), bin varbinary(4),
           u uuid);
         INSERT INTO f VALUES (1, 9007199254740993, 0.1001, 0.1, 0.1, '2026-01-31', '2026-01-31 10:00:00.250', '2026-01-31 10:00:00', '-10:00:00',
             2026, 1, 512, 'it''s \\\\\\\\ x', 'a', x'00ff', '123e4567-e89b-12d3-a456-426655440000'),
           (2, 9007199254740992, 0.1, 0.2, 0.2, '2026-02-01', NULL, '2026-02-01 00:00:00', '10:00:00', 1999, 0, 1, 'other', 'b', x'01',
             '00000000-0000-0000-0000-000000000000')",
    );
    let cases = [
        ("big", "eq", "9007199254740993"),
        ("d", "gt", "0.1"),
        ("f", "eq", "0.1"),
        ("dd", "lt", "0.15"),
        ("dt", "eq", "2026-01-31"),
        ("ts", "ge", "2026-01-31T10:00:00.25Z"),
        ("at", "lt", "2026-02-01"),
        ("t", "eq", "-10:00:00"),
        ("y", "eq", "2026"),
        ("b", "eq", "true"),
        ("bb", "gt", "1"),
        ("s", "eq", "it's \\\\ x"),
        ("e", "ne", "b"),
        ("bin", "eq", "00FF"),
        ("u", "eq", "123e4567-e89b-12d3-a456-426655440000"),
    ];
    for (column, op, value) in cases {
        let filter = json!([{"column": column, "op": op, "value": value}]);
        let keys = json!({"filter": filter, "columns": {"select": ["id"]}, "verify-count": true});
        let found = read(&source(&server), &stream("f", keys), 1).await;
        let found = found.unwrap_or_else(|fault| panic!("{column}: {}", fault.text.for_customer()));
        let ids = found.column("id");
        let ids = arrow::array::AsArray::as_primitive::<arrow::datatypes::Int32Type>(&ids).values().to_vec();
        assert_eq!(ids, [1], "{column} {op} {value}");
    }
}

#[tokio::test]
async fn a_value_that_is_none_of_its_columns_kind_is_refused_by_name() {
    let server = server();
    server.run("CREATE TABLE f (id int PRIMARY KEY, d date, g point, s varchar(5))");
    for (column, value, says) in [
        ("id", "1 OR 1=1", "a whole number"),
        ("d", "yesterday", "a date"),
        ("g", "POINT(1 1)", "can't be compared"),
        ("d", "2026-13-45", "can't be read as its column's type"),
    ] {
        let filter = json!({"filter": [{"column": column, "op": "eq", "value": value}]});
        let (code, text) = code(source(&server).check(&stream("f", filter)).await);
        assert_eq!(code, FailureCode::SpecRefused, "{column}: {text}");
        assert!(text.contains(says) && !text.contains(value), "{text}");
    }
    let missing = json!({"filter": [{"column": "nope", "op": "is_null"}]});
    assert_eq!(code(source(&server).check(&stream("f", missing)).await).0, FailureCode::ColumnNotFound);
}

#[tokio::test]
async fn odd_names_of_mariadb_are_quoted_and_case_is_kept() {
    let server = server();
    server.run(
        "CREATE TABLE `we``ird \"na.me; DROP TABLE x` (`co``l \"1\"` int PRIMARY KEY, `select` int, `ünï` int);
         INSERT INTO `we``ird \"na.me; DROP TABLE x` VALUES (1, 2, 3);
         CREATE TABLE Items (a int); CREATE TABLE items (b int)",
    );
    let found: Vec<String> =
        source(&server).discover().await.expect("tables").into_iter().map(|table| table.name).collect();
    assert_eq!(found, ["shop.Items", "shop.items", "shop.\"we`ird \"\"na.me; DROP TABLE x\""]);
    let odd = read(&source(&server), &full(&found[2]), 1).await.expect("read");
    assert_eq!(odd.rows.schema_ref().field(0).name(), "co`l \"1\"");
    assert_eq!(odd.rows.num_rows(), 1);
    for (name, column) in [("Items", "a"), ("shop.items", "b")] {
        let read = read(&source(&server), &full(name), 1).await.expect("read");
        assert_eq!(read.rows.schema_ref().field(0).name(), column);
    }
    assert_eq!(code(source(&server).check(&full("ITEMS")).await).0, FailureCode::StreamNotFound);
}

#[tokio::test]
async fn a_missing_grant_a_wrong_password_and_an_unknown_database_are_told_apart() {
    let server = server();
    server.run(
        "CREATE TABLE t (id int PRIMARY KEY, ssn text); CREATE USER some@'127.0.0.1' IDENTIFIED BY 'right';
         GRANT SELECT (id) ON shop.t TO some@'127.0.0.1'; CREATE USER none@'127.0.0.1' IDENTIFIED BY 'right'",
    );
    let (wrong, text) = code(
        waybill_connectors::source::mysql::MySqlSource::new(
            &super::settings(server.port(), "reader"),
            Some(std::sync::Arc::new(waybill_pipeline::Fixed::new("wr0ng-secret"))),
            "run",
        )
        .expect("a source")
        .reach()
        .await,
    );
    assert_eq!(wrong, FailureCode::SourceDenied);
    assert!(text.contains("1045") && !text.contains("wr0ng-secret"), "{text}");
    let (code_of, text) = code(source_as(server.port(), "none").reach().await);
    assert_eq!(code_of, FailureCode::SourceDenied, "{text}");
    // Columns that may not be read are not seen: what is asked for by name is refused.
    let id = stream("t", json!({"columns": {"select": ["id"]}}));
    source_as(server.port(), "some").check(&id).await.expect("one column");
    let whole = stream("t", json!({"columns": {"select": ["id", "ssn"]}}));
    let (code_of, text) = code(source_as(server.port(), "some").check(&whole).await);
    assert!(matches!(code_of, FailureCode::ColumnNotFound | FailureCode::SourceDenied), "{text}");
}

#[tokio::test]
async fn the_session_of_a_run_can_not_write() {
    let server = server();
    server.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1); CREATE TABLE log (n int)");
    // A view that writes when it is read, for an account that may.
    server.session().run(
        "DELIMITER //\nCREATE FUNCTION leak() RETURNS int DETERMINISTIC MODIFIES SQL DATA BEGIN INSERT INTO log VALUES (1); RETURN 1; END//\n\
         DELIMITER ;\nCREATE VIEW v AS SELECT id, leak() AS l FROM t; GRANT ALL ON shop.* TO reader@'127.0.0.1'",
    );
    assert_eq!(server.run("SELECT l FROM v; SELECT count(*) FROM log"), "1\n1\n", "it writes for others");
    let (code, text) = code(read(&source(&server), &full("v"), 1).await);
    assert_eq!(code, FailureCode::SourceFailed);
    assert!(text.contains("1792"), "{text}");
    assert_eq!(server.run("SELECT count(*) FROM log").trim(), "1");
}
