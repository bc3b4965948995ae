//! Whose a table is, and what is refused before or after rows are read.

use std::process::{Command, Stdio};

use serde_json::json;
use waybill_tests::binaries::binary;
use waybill_tests::fault::Marker;
use waybill_tests::services::statement_proxy::StatementProxy;

use super::{Copy, numbers, talk};

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_somebody_else_is_left_alone_until_it_is_taken_over() {
    let copy = Copy::with(&numbers(10), "t: {}");
    copy.server
        .run("CREATE TABLE t (id bigint, note text, own int DEFAULT 7); INSERT INTO t VALUES (0, 'theirs')")
        .await;
    assert!(copy.fails("table_not_ours").contains("made by something else"));
    assert_eq!(copy.one("SELECT string_agg(note, ',') FROM t").await, "theirs");
    copy.streams("t: { take-over: true }");
    copy.delivered();
    // A column that is none of ours stays, with what it is by default.
    assert_eq!(copy.one("SELECT count(*) || ' ' || min(id) || ' ' || sum(own) FROM t").await, "10 1 70");
    copy.pipeline("other", "t: {}");
    assert!(copy.fails("table_not_ours").contains("another pipeline"));
    copy.pipeline("other", "t: { take-over: true }");
    copy.delivered();
    // One of the same name that was made since is none of ours.
    copy.server.run("DROP TABLE t; CREATE TABLE t (id bigint, note text)").await;
    copy.pipeline("other", "t: {}");
    assert!(copy.fails("table_not_ours").contains("made by something else"));
    copy.server.run("DROP TABLE t; CREATE VIEW t AS SELECT 1 AS id").await;
    copy.pipeline("other", "t: { take-over: true }");
    assert!(copy.fails("table_not_ours").contains("is no table"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replace_that_keeps_too_few_rows_changes_nothing() {
    let copy = Copy::with(&numbers(1000), "t: {}");
    copy.delivered();
    copy.source("DELETE FROM t WHERE id > 400");
    assert!(copy.fails("table_shrank").contains("1000 rows and this load brings 400"));
    assert_eq!(copy.one("SELECT count(*) FROM t").await, "1000");
    copy.streams("t: { shrink-guard: off }");
    copy.delivered();
    assert_eq!(copy.one("SELECT count(*) FROM t").await, "400");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_would_cut_or_refuse_is_refused_before_a_row_is_sent() {
    let long = "x".repeat(60);
    let copy = Copy::with(&format!("CREATE TABLE t (\"{long}\" INTEGER); CREATE TABLE u (xmin INTEGER)"), "t: {}");
    assert!(copy.fails("column_name_unusable").contains("cut"));
    copy.streams("u: {}");
    assert!(copy.fails("column_name_unusable").contains("does not take"));
    copy.streams(&format!("t: {{ table: {long}yyyy }}"));
    assert!(copy.fails("spec_refused").contains("63 bytes"));
    copy.streams("t: { table: _waybill_commit }");
    assert!(copy.fails("spec_refused").contains("no place for rows"));
    copy.streams("t: { table: nowhere.t }");
    assert!(copy.fails("target_denied").contains("CREATE SCHEMA \"nowhere\""));
    assert_eq!(copy.one("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_values_are_never_sql() {
    let name = "t\"; DROP TABLE safe; --";
    let quoted = name.replace('"', "\"\"");
    let sql = format!(
        "CREATE TABLE \"{quoted}\" (\"a'); DROP TABLE safe; --\" \"integer); DROP TABLE safe; --\"); \
         INSERT INTO \"{quoted}\" VALUES ('x''); DROP TABLE safe; --')"
    );
    let copy = Copy::with(&sql, &format!("{}: {{}}", json!(name)));
    copy.server.run("CREATE TABLE safe ()").await;
    copy.delivered();
    let found = copy.one(&format!("SELECT to_jsonb(r) FROM \"{quoted}\" r")).await;
    assert!(found.matches("DROP TABLE safe; --").count() == 3 && found.contains("'x'')"), "{found}");
    assert_eq!(copy.one("SELECT to_regclass('safe') IS NOT NULL").await, "true");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_a_grant_and_a_server_that_is_not_there_have_codes_of_their_own() {
    let copy = Copy::with(&numbers(10), "t: {}");
    copy.server.run("CREATE ROLE few LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC").await;
    let spec = std::fs::read_to_string(copy.path("spec.yaml")).expect("the spec");
    let end = |from: &str, to: &str| {
        std::fs::write(copy.path("spec.yaml"), spec.replace(from, to)).expect("write");
    };
    end("user: postgres", "user: few");
    assert!(copy.fails("target_denied").contains("GRANT USAGE, CREATE ON SCHEMA"));
    end("user: postgres", "user: nobody");
    copy.fails("target_denied");
    end(&format!("port: {}", copy.server.port()), "port: 1");
    copy.fails("target_unreachable");
    // Nothing was read for it: the report says so.
    let output = copy.once();
    assert_eq!(super::report(&output)["streams"][0]["rows"], 0, "{}", talk(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_grants_and_the_pipeline_of_the_page_work_as_they_stand() {
    let page = std::fs::read_to_string(waybill_tests::binaries::repository().join("docs/postgres-target.md"));
    let page = page.expect("the page");
    let copy = Copy::with(&numbers(10), "t: {}");
    let fenced = crate::mysql::landed::fenced;
    let [account] = &fenced(&page, "sql")[..] else { panic!("one account") };
    copy.server.run("CREATE DATABASE warehouse").await;
    copy.server.run("CREATE ROLE analysts").await;
    let url = format!("postgres://postgres@127.0.0.1:{}/warehouse", copy.server.port());
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.expect("connect");
    tokio::spawn(connection);
    client.batch_execute(account).await.expect("the account");
    copy.server.run("CREATE TABLE orders AS SELECT g::int8 AS id, timestamptz '2020-01-01' AS updated_at FROM generate_series(1, 100) g").await;
    copy.server.run("ALTER TABLE orders ADD PRIMARY KEY (id); ALTER TABLE orders ALTER updated_at SET NOT NULL; CREATE TABLE customers AS SELECT 1 AS id").await;
    let host = format!("host: 127.0.0.1\n    port: {}\n    tls: disable\n", copy.server.port());
    let document = fenced(&page, "yaml")[0]
        .replace("host: db.example.internal\n", &host)
        .replace("host: warehouse.example.internal\n", &host)
        .replace("database: shop", "database: postgres")
        .replace("user: reader\n    password: env://SHOP_PASSWORD", "user: postgres");
    let spec = copy.path("page.yaml");
    std::fs::write(&spec, &document).expect("write the spec");
    let mut worker = Command::new(binary("waybill-worker"));
    worker.args(["once", "--json", "--memory", "128MiB", "--spec"]).arg(&spec);
    for _ in 0..2 {
        let output = worker.env("WAREHOUSE_PASSWORD", "a long password").output().expect("run");
        assert!(output.status.success(), "{}\n{document}", talk(&output));
    }
    client.batch_execute("SET ROLE analysts").await.expect("a role");
    let rows: i64 = client.query_one("SELECT count(*) FROM raw.orders", &[]).await.expect("granted").get(0);
    assert_eq!(rows, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_somebody_else_made_is_not_believed() {
    let copy = Copy::with(&numbers(10), "t: {}");
    let make = "CREATE TABLE _waybill_commit (table_name text PRIMARY KEY, table_oid oid, pipeline text, stream text, epoch bigint, \
        version bigint, run text, attempt text, state text, digest_key text, committed_at timestamptz DEFAULT now())";
    copy.server
        .run("CREATE ROLE mallory; CREATE ROLE loader LOGIN; GRANT ALL ON SCHEMA public TO mallory, loader")
        .await;
    let theirs = format!("SET ROLE mallory; {make}; GRANT ALL ON _waybill_commit TO PUBLIC");
    let view =
        format!("{}; CREATE VIEW _waybill_commit AS SELECT * FROM ledger", make.replace("_waybill_commit", "ledger"));
    for (user, made) in [("postgres", &theirs), ("loader", &theirs), ("postgres", &view)] {
        copy.streams("t: {}");
        copy.log_in_as(user);
        copy.server.run(made).await;
        let text = copy.fails("table_not_ours");
        assert!(text.contains("was made by somebody else"), "{user}: {text}");
        assert_eq!(copy.one("SELECT to_regclass('t') IS NULL").await, "true", "{user}");
        copy.server.run("DROP TABLE IF EXISTS ledger CASCADE").await;
        copy.server.run(if made == &view { "SELECT" } else { "DROP TABLE _waybill_commit" }).await;
    }
    // A role that one is a member of is no stranger, whoever inserts the rows.
    copy.server
        .run(&format!("CREATE ROLE team ROLE loader; GRANT ALL ON SCHEMA public TO team; SET ROLE team; {make}"))
        .await;
    copy.streams("t: {}");
    copy.log_in_as("loader");
    copy.delivered();
    // Nor is one believed that has come since the table was opened.
    let marker = Marker::at(copy.path("fired"));
    let mut slow = copy.command("waybill-worker-faults");
    slow.env("WAYBILL_FAULT", marker.order("rows_sent=pause")).stdout(Stdio::piped());
    let slow = slow.spawn().expect("run");
    marker.fires(1).await.expect("its rows are sent");
    copy.server.run("ALTER TABLE _waybill_commit OWNER TO mallory; GRANT ALL ON _waybill_commit TO PUBLIC").await;
    marker.release().expect("go on");
    let output = tokio::task::block_in_place(|| slow.wait_with_output()).expect("an end");
    assert_eq!(super::report(&output)["streams"][0]["failure"], "table_not_ours");
    assert_eq!(copy.one("SELECT version FROM _waybill_commit").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_session_is_told_outlives_its_transaction_but_how_soon_its_end_is_noticed() {
    let copy = Copy::with(&numbers(10), "t: {}");
    let proxy = StatementProxy::start(copy.server.port(), None).await;
    let copy = copy.through(proxy.port, "t: {}");
    tokio::task::block_in_place(|| [copy.delivered(), copy.delivered()]);
    let statements = proxy.statements();
    let told: Vec<&str> =
        statements.iter().map(String::as_str).filter(|statement| statement.starts_with("SET ")).collect();
    let outlives = |statement: &&&str| !statement.starts_with("SET LOCAL ");
    assert!(told.len() > 20, "{told:?}");
    assert!(
        told.iter().filter(outlives).all(|told| *told == "SET client_connection_check_interval = '10s'"),
        "{told:?}"
    );
}
