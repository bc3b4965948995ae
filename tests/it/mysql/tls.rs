//! TLS to MariaDB: verified to the name, and what can't be trusted is refused with the reason.

use std::sync::Arc;

use waybill_connectors::source::References;
use waybill_connectors::source::mysql::MySqlSource;
use waybill_model::FailureCode;
use waybill_model::plan::{Ca, MySql as Settings, TlsMode};
use waybill_pipeline::{Fixed, Source};
use waybill_tests::services::mariadb::MariaDb;

use super::{READER, full, read, settings};
use crate::postgres::tls::{Authority, authority, client, leaf};

/// A server with a certificate for `localhost`, and the authority's certificate in a file.
fn secured(expired: bool) -> (MariaDb, tempfile::NamedTempFile) {
    let authority = authority();
    let ca = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(ca.path(), &authority.pem).expect("write");
    (below(&authority, expired, &["--log-bin=log"]), ca)
}

fn below(authority: &Authority, expired: bool, more: &[&str]) -> MariaDb {
    let (certificate, key) = leaf(authority, &["localhost"], expired);
    let files = [("server.crt", certificate.as_str()), ("server.key", key.as_str()), ("root.crt", &authority.pem)];
    let options = [&["--ssl-cert=../server.crt", "--ssl-key=../server.key"], more].concat();
    let server = MariaDb::with(&options, &files);
    server.run(READER);
    server.run("CREATE TABLE t (id bigint PRIMARY KEY, pad varchar(600) NOT NULL); INSERT INTO t SELECT seq, repeat('x', 500) FROM seq_1_to_30000;
                ANALYZE TABLE t");
    server
}

fn source(server: &MariaDb, host: &str, ca: Option<&std::path::Path>) -> MySqlSource {
    let ca = ca.map(|path| Ca::Path(path.to_str().expect("a path").to_owned()));
    let settings = Settings { host: host.into(), tls: TlsMode::VerifyFull, ca, ..settings(server.port(), "reader") };
    MySqlSource::new(&settings, Some(std::sync::Arc::new(Fixed::new("right"))), "run").expect("a source")
}

async fn refused(source: MySqlSource) -> String {
    let fault = source.check(&full("t")).await.expect_err("refused");
    assert_eq!(fault.code, FailureCode::TlsFailed, "{}", fault.text.for_customer());
    fault.text.for_customer().to_owned()
}

#[tokio::test]
async fn rows_of_mariadb_come_over_verified_tls_and_the_server_sees_it() {
    let (server, ca) = secured(false);
    server.run("ALTER USER reader@'127.0.0.1' REQUIRE SSL");
    let found = read(&source(&server, "localhost", Some(ca.path())), &full("t"), 4).await.expect("read");
    assert_eq!(found.sorted("id"), (1..=30_000).collect::<Vec<_>>());
    assert!(found.proof.snapshot.starts_with("3 connections"), "each of them over TLS: {}", found.proof.snapshot);
    let fault = super::source(&server).reach().await.expect_err("the account asks for TLS");
    assert_eq!(fault.code, FailureCode::SourceDenied);
}

#[tokio::test]
async fn h18_a_certificate_of_mariadb_that_can_not_be_trusted_is_refused_with_the_reason() {
    let (server, ca) = secured(false);
    let text = refused(source(&server, "127.0.0.1", Some(ca.path()))).await;
    assert!(text.contains("not valid for name") && text.contains("CN=a server of a test"), "{text}");
    let other = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(other.path(), &authority().pem).expect("write");
    let text = refused(source(&server, "localhost", Some(other.path()))).await;
    assert!(text.contains("certificate"), "{text}");
    refused(source(&server, "localhost", None)).await;
    let (old, ca) = secured(true);
    let text = refused(source(&old, "localhost", Some(ca.path()))).await;
    assert!(text.contains("expired"), "{text}");
}

#[tokio::test]
async fn h18_a_mariadb_without_tls_is_refused_and_nothing_of_the_account_goes_out() {
    let plain = super::server();
    let ca = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(ca.path(), &authority().pem).expect("write");
    let text = refused(source(&plain, "localhost", Some(ca.path()))).await;
    assert!(text.contains("has no TLS") && text.contains("tls: disable"), "{text}");
}

#[tokio::test]
async fn an_account_of_mariadb_that_asks_for_a_certificate_gets_one_and_a_foreign_one_is_refused() {
    let authority = authority();
    let server = below(&authority, false, &["--ssl-ca=../root.crt"]);
    server.run("ALTER USER reader@'127.0.0.1' REQUIRE X509");
    let ca = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(ca.path(), &authority.pem).expect("write");
    let showing = |(certificate, key): (String, String)| {
        let reference = || "env://SHOP".parse().ok();
        let (client_cert, client_key) = (reference(), reference());
        let ca = ca.path().to_str().expect("a path").parse().ok();
        let settings = settings(server.port(), "reader");
        let settings =
            Settings { host: "localhost".into(), tls: TlsMode::VerifyFull, ca, client_cert, client_key, ..settings };
        let ways = References {
            client_cert: Some(Arc::new(Fixed::new(certificate))),
            client_key: Some(Arc::new(Fixed::new(key))),
            ..References::default()
        };
        MySqlSource::with(&settings, Some(Arc::new(Fixed::new("right"))), &ways, "run").expect("a source")
    };
    let found = read(&showing(client(&authority, "anybody", false)), &full("t"), 2).await.expect("read");
    assert_eq!(found.sorted("id").len(), 30_000);
    let fault = source(&server, "localhost", Some(ca.path())).reach().await.expect_err("no certificate");
    assert_eq!(fault.code, FailureCode::SourceDenied, "{}", fault.text.for_customer());
    let foreign = client(&crate::postgres::tls::authority(), "anybody", false);
    let fault = showing(foreign).reach().await.expect_err("a foreign one");
    assert_eq!(fault.code, FailureCode::ClientCertificateRefused, "{}", fault.text.for_customer());
}
