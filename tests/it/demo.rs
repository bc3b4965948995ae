//! The demo with a PostgreSQL source: what it refuses before it does anything, and the whole of it.

use std::process::{Command, Output};

use waybill_tests::binaries::{binary, repository};
use waybill_tests::services::postgres::Postgres;

fn said(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

/// The demo's shell script over this source, with the programs under test.
fn demo(source: &str) -> Output {
    let programs = binary("waybill").parent().expect("a directory").to_path_buf();
    let mut demo = Command::new(repository().join("deploy/dev/demo.sh"));
    demo.env("WAYBILL_DEMO_SOURCE", source).env("WAYBILL_DEMO_PROGRAMS", programs);
    demo.output().expect("run the demo")
}

/// One of its parts.
fn part(words: &[&str]) -> Output {
    let script = repository().join("deploy/dev/demo.py");
    Command::new("python3").arg(script).args(words).output().expect("run demo.py")
}

async fn number(server: &Postgres, sql: &str) -> i64 {
    server.client().await.query_one(sql, &[]).await.expect("an answer").get(0)
}

#[tokio::test]
async fn the_demo_drops_no_table_that_it_did_not_make() {
    let server = Postgres::start();
    server.run("CREATE TABLE orders (id int8); INSERT INTO orders VALUES (1), (2), (3)").await;
    server.run("CREATE VIEW lineitem AS SELECT 4 AS n; COMMENT ON VIEW lineitem IS 'mine'").await;
    let refused = demo(&server.url());
    assert!(!refused.status.success(), "{}", said(&refused));
    let told = said(&refused);
    assert!(told.contains("public.lineitem and public.orders was not made by the demo"), "{told}");
    assert!(told.contains("name a database of its own") && !told.contains("== Build"), "{told}");
    assert_eq!(number(&server, "SELECT count(*) + sum(id)::int8 + (SELECT n FROM lineitem) FROM orders").await, 13);

    // Its own ones it makes anew.
    server.run("DROP TABLE orders; DROP VIEW lineitem").await;
    let seeded = Command::new(binary("waybill-seed")).args(["postgres", &server.url(), "0.001", "1", "1"]).output();
    let seeded = seeded.expect("run waybill-seed");
    assert!(seeded.status.success(), "{}", said(&seeded));
    let rows = number(&server, "SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM lineitem)").await;
    assert_eq!(String::from_utf8_lossy(&seeded.stdout).trim(), rows.to_string());
    let fresh = part(&["fresh", &server.url()]);
    assert!(fresh.status.success(), "{}", said(&fresh));
    let left = "SELECT count(*) FROM pg_class WHERE relname IN ('orders', 'lineitem')";
    assert_eq!(number(&server, left).await, 0);
}

#[test]
fn the_demo_speaks_plaintext_on_this_machine_only() {
    let at = |host: &str, options: &str| format!("postgres://ro:pa%40ss@{host}:5433/shop{options}");
    for (host, options) in
        [("db.internal", "?sslmode=disable"), ("db", "?sslmode=prefer"), ("10.0.0.7", "?sslmode=allow")]
    {
        let refused = part(&["place", &at(host, options)]);
        let told = said(&refused);
        assert!(!refused.status.success() && told.contains("in plaintext; write sslmode=verify-full"), "{told}");
        assert!(!told.contains("pa%40ss") && !told.contains("pa@ss"), "{told}");
    }
    for words in [at("db", "?options=-cx"), "postgres:///shop".into(), "mysql://u@h/d".into()] {
        assert!(!part(&["place", &words]).status.success(), "{words}");
    }
    let ca = "&sslrootcert=%2Fca.pem";
    for (host, options, placed, tls) in [
        ("127.0.0.1", String::new(), "?sslmode=disable", "tls: disable"),
        ("localhost", "?sslmode=prefer".into(), "?sslmode=disable", "tls: disable"),
        ("[::1]", "?sslmode=require".into(), "?sslmode=verify-full", "tls: verify-full"),
        ("db.internal", String::new(), "?sslmode=verify-full", "tls: verify-full"),
        (
            "db",
            format!("?sslmode=require{ca}"),
            "?sslmode=verify-full&sslrootcert=%2Fca.pem",
            "tls: verify-full, ca: \"/ca.pem\"",
        ),
    ] {
        let place = part(&["place", &at(host, &options)]);
        let place = said(&place).trim().to_owned();
        assert_eq!(place, at(host, placed));
        let folder = tempfile::tempdir().expect("a folder");
        let lake = folder.path().join("lake").display().to_string();
        let spec = said(&part(&["spec", "postgres", &place, &lake]));
        assert!(spec.contains(&format!("user: ro, {tls}")), "{spec}");
        waybill_spec_reads(&spec, folder.path());
    }
}

/// The command line takes the file.
fn waybill_spec_reads(text: &str, folder: &std::path::Path) {
    let file = folder.join("demo.waybill.yaml");
    std::fs::write(&file, text).expect("write the file");
    let read = Command::new(binary("waybill")).arg("validate").arg(&file).output().expect("run waybill");
    assert!(read.status.success(), "{}", said(&read));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_demo_runs_from_a_postgres_source() {
    let server = Postgres::start();
    // Twice: the second one makes the tables of the first anew.
    for _ in 0..2 {
        let demo = demo(&server.url());
        let told = said(&demo);
        assert!(demo.status.success() && told.contains("killed worker process") && !told.contains("DIFFERS"), "{told}");
        let rows = number(&server, "SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM lineitem)").await;
        assert_eq!(rows, 750_572);
        assert!(told.contains("600,572") && told.contains("150,000"), "{told}");
    }
}
