//! Logging in by certificate: what the server takes, and what it refuses, each with its own reason.

use std::path::Path;
use std::sync::Arc;

use waybill_connectors::source::References;
use waybill_connectors::source::postgres::PostgresSource;
use waybill_model::FailureCode;
use waybill_model::plan::{Postgres as Settings, TlsMode};
use waybill_pipeline::{Credential, Fault, FaultResult, Fixed, Source};
use waybill_tests::services::postgres::{Postgres, Setup};

use super::tls::{Authority, Pair, authority_named, client, leaf, trusted};
use super::{full, read, settings};
use crate::reading::Rotated;

/// `by_certificate` needs nothing else, `by_both` needs a password besides; nobody else gets in over TLS.
const ACCESS: [&str; 2] = [
    "hostssl all by_certificate 127.0.0.1/32 cert",
    "hostssl all by_both 127.0.0.1/32 scram-sha-256 clientcert=verify-full",
];

async fn server(authority: &Authority) -> Postgres {
    let (certificate, key) = leaf(authority, &["localhost"], false);
    let server = Postgres::with(Setup {
        settings: &[
            "ssl = on",
            "ssl_cert_file = 'server.crt'",
            "ssl_key_file = 'server.key'",
            "ssl_ca_file = 'root.crt'",
        ],
        access: &ACCESS,
        files: &[("server.crt", &certificate), ("server.key", &key), ("root.crt", &authority.pem)],
        ..Setup::default()
    });
    server
        .run(
            "CREATE TABLE t AS SELECT g::int8 AS id, repeat('x', 500) AS pad FROM generate_series(1, 20000) g; ANALYZE t;
             CREATE ROLE by_certificate LOGIN; CREATE ROLE by_both LOGIN PASSWORD 'right'; GRANT SELECT ON t TO PUBLIC",
        )
        .await;
    server
}

fn source(server: &Postgres, user: &str, ca: &Path, shown: Option<&Pair>) -> FaultResult<PostgresSource> {
    let way = |text: &String| Arc::new(Fixed::new(text.as_str())) as Arc<dyn Credential>;
    by(server, user, ca.to_str().expect("a path"), shown.map(|(certificate, key)| (way(certificate), way(key))))
}

type Ways = (Arc<dyn Credential>, Arc<dyn Credential>);

fn by(server: &Postgres, user: &str, ca: &str, shown: Option<Ways>) -> FaultResult<PostgresSource> {
    let reference = |name: &str| shown.as_ref().map(|_| format!("env://{name}").parse().expect("a reference"));
    let settings = Settings {
        host: "localhost".into(),
        user: user.into(),
        tls: TlsMode::VerifyFull,
        ca: ca.parse().ok(),
        client_cert: reference("CERT"),
        client_key: reference("KEY"),
        ..settings(server.port())
    };
    let (client_cert, client_key) = shown.unzip();
    let ways = References { client_cert, client_key, ..References::default() };
    let password = (user == "by_both").then(|| Arc::new(Fixed::new("right")) as Arc<dyn Credential>);
    PostgresSource::with(&settings, password, &ways, "run")
}

#[tokio::test]
async fn every_lane_logs_in_by_its_certificate() {
    let (trusted, ca) = trusted();
    let server = server(&trusted).await;
    for user in ["by_certificate", "by_both"] {
        let shown = client(&trusted, user, false);
        let source = source(&server, user, ca.path(), Some(&shown)).expect("a source");
        let found = read(&source, &full("t"), 4).await.map_err(|fault| told(&fault)).expect("rows");
        assert_eq!(found.sorted("id"), (1..=20_000).collect::<Vec<_>>(), "{user}");
    }
}

fn told(fault: &Fault) -> String {
    format!("{}: {}", fault.code, fault.text.for_customer())
}

#[tokio::test]
async fn a_certificate_that_the_server_does_not_take_has_its_own_code_and_reason() {
    let ((trusted, ca), other) = (trusted(), authority_named("another authority"));
    let server = server(&trusted).await;
    let refused = FailureCode::ClientCertificateRefused;
    let right = client(&trusted, "by_certificate", false);
    let cases = [
        ("none", "by_certificate", None, refused, "client certificate"),
        ("a foreign one", "by_certificate", Some(client(&other, "by_certificate", false)), refused, "UnknownCA"),
        ("an old one", "by_certificate", Some(client(&trusted, "by_certificate", true)), refused, "CertificateExpired"),
        ("another's", "by_certificate", Some(client(&trusted, "by_both", false)), refused, "by_certificate"),
        // The server itself calls this a wrong password.
        ("another's", "by_both", Some(right.clone()), FailureCode::SourceDenied, "`client-cert` for another user"),
        (
            "another key",
            "by_both",
            Some((right.0, client(&trusted, "x", false).1)),
            FailureCode::SecretUnresolved,
            "env://KEY",
        ),
    ];
    for (case, user, shown, code, tells) in cases {
        let reached = match source(&server, user, ca.path(), shown.as_ref()) {
            Ok(source) => source.reach().await,
            Err(fault) => Err(fault),
        };
        let fault = reached.expect_err(case);
        let text = fault.text.for_customer();
        assert!(fault.code == code && text.contains(tells), "{case}: {} {text}", fault.code);
        assert!(!text.contains("PRIVATE") && !text.contains("BEGIN"), "{text}");
    }
}

#[tokio::test]
async fn a_certificate_that_ended_is_followed_anew_and_so_is_an_authority_that_was_exchanged() {
    let ((own, ca), former) = (trusted(), authority_named("the former authority"));
    let server = server(&own).await;
    let (ended, present) = (client(&own, "by_certificate", true), client(&own, "by_certificate", false));
    let certificate = Arc::new(Rotated::of(&ended.0, &present.0));
    let key = Arc::new(Rotated::of(&ended.1, &present.1));
    let path = ca.path().to_str().expect("a path");
    let source = by(&server, "by_certificate", path, Some((certificate.clone(), key))).expect("a source");
    source.reach().await.map_err(|fault| told(&fault)).expect("the new certificate");
    assert!(certificate.was_refused(), "the server refused the old one");
    let authority = Arc::new(Rotated::of(&former.pem, &own.pem));
    let settings = Settings {
        host: "localhost".into(),
        user: "by_both".into(),
        tls: TlsMode::VerifyFull,
        ca: "env://CA".parse().ok(),
        client_cert: "env://CERT".parse().ok(),
        client_key: "env://KEY".parse().ok(),
        ..settings(server.port())
    };
    let both = client(&own, "by_both", false);
    let ways = References {
        ca: Some(authority.clone()),
        client_cert: Some(Arc::new(Fixed::new(both.0))),
        client_key: Some(Arc::new(Fixed::new(both.1))),
        ..References::default()
    };
    let source = PostgresSource::with(&settings, Some(Arc::new(Fixed::new("right"))), &ways, "run").expect("a source");
    source.reach().await.map_err(|fault| told(&fault)).expect("the new authority");
    assert!(authority.was_refused(), "the server was not known by the old one");
}
