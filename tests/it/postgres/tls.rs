//! TLS that can't be trusted is refused with `tls_failed`, and the log says which trust is missing.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use waybill_connectors::source::postgres::PostgresSource;
use waybill_model::FailureCode;
use waybill_model::plan::{Postgres as Settings, TlsMode};
use waybill_pipeline::{FaultResult, Source};
use waybill_tests::services::postgres::{Postgres, Setup};

use super::wires::{Answer, scripted};
use super::{full, settings};

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

pub(crate) fn authority() -> Authority {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // With the default name of all certificates OpenSSL takes those below it for self-signed.
    params.distinguished_name.push(DnType::CommonName, "an authority of a test");
    let pem = params.self_signed(&key).expect("a certificate").pem();
    Authority { issuer: Issuer::new(params, key), pem }
}

/// A certificate for these names and its key.
pub(crate) fn leaf(authority: &Authority, names: &[&str], expired: bool) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("parameters");
    if expired {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    }
    let certificate = params.signed_by(&key, &authority.issuer).expect("signed");
    (certificate.pem(), key.serialize_pem())
}

async fn server(certificate: &str, key: &str, more: &[&str], ca: &str) -> Postgres {
    let mut lines = vec!["ssl = on", "ssl_cert_file = 'server.crt'", "ssl_key_file = 'server.key'"];
    lines.extend(more);
    let access = if more.iter().any(|line| line.contains("ssl_ca_file")) {
        &["hostssl all all 127.0.0.1/32 cert"][..]
    } else {
        &[]
    };
    let files = [("server.crt", certificate), ("server.key", key), ("root.crt", ca)];
    Postgres::with(Setup { settings: &lines, access, files: &files, ..Setup::default() })
}

async fn check(port: u16, host: &str, ca: &std::path::Path) -> FaultResult<()> {
    let ca = ca.to_str().expect("a path").to_owned();
    let settings = Settings { host: host.into(), tls: TlsMode::VerifyFull, ca: Some(ca), ..settings(port) };
    PostgresSource::new(&settings, None, "run")?.check(&full("pg_catalog.pg_class")).await
}

#[tokio::test]
async fn only_a_trusted_certificate_of_this_host_is_taken() {
    let (trusted, other) = (authority(), authority());
    let folder = tempfile::tempdir().expect("a folder");
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, &trusted.pem).expect("write");
    let (good, good_key) = leaf(&trusted, &["localhost"], false);
    let (late, late_key) = leaf(&trusted, &["localhost"], true);
    let (foreign, foreign_key) = leaf(&other, &["localhost"], false);
    let cases = [
        ("good", &good, &good_key, "localhost", true),
        ("wrong host", &good, &good_key, "127.0.0.1", false),
        ("expired", &late, &late_key, "localhost", false),
        ("unknown authority", &foreign, &foreign_key, "localhost", false),
    ];
    for (case, certificate, key, host, works) in cases {
        let server = server(certificate, key, &[], &trusted.pem).await;
        let checked = check(server.port(), host, &ca).await;
        assert_eq!(checked.as_ref().err().map(|f| f.code), (!works).then_some(FailureCode::TlsFailed), "{case}");
        if let Err(fault) = checked {
            assert!(fault.text.for_customer().contains("TLS"), "{case}: {}", fault.text.for_customer());
        }
    }
    let own_authority = server(&good, &good_key, &[], &trusted.pem).await;
    let settings = Settings { host: "localhost".into(), tls: TlsMode::VerifyFull, ..settings(own_authority.port()) };
    let fault = match PostgresSource::new(&settings, None, "run") {
        Ok(source) => {
            source.check(&full("pg_catalog.pg_class")).await.map(drop).expect_err("the system does not know it")
        }
        Err(fault) => fault,
    };
    assert_eq!(fault.code, FailureCode::TlsFailed);
}

#[tokio::test]
async fn a_server_that_wants_a_client_certificate_is_told_from_a_dead_one() {
    let trusted = authority();
    let folder = tempfile::tempdir().expect("a folder");
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, &trusted.pem).expect("write");
    let (certificate, key) = leaf(&trusted, &["localhost"], false);
    let server = server(&certificate, &key, &["ssl_ca_file = 'root.crt'"], &trusted.pem).await;
    let fault = check(server.port(), "localhost", &ca).await.map(drop).expect_err("wanted");
    assert!(matches!(fault.code, FailureCode::TlsFailed | FailureCode::SourceDenied), "{fault}");
}

#[tokio::test]
async fn old_tls_no_tls_and_nonsense_are_refused() {
    let trusted = authority();
    let folder = tempfile::tempdir().expect("a folder");
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, &trusted.pem).expect("write");
    let plain = Postgres::start();
    let fault = check(plain.port(), "localhost", &ca).await.map(drop).expect_err("no TLS");
    assert_eq!(fault.code, FailureCode::TlsFailed);
    assert!(fault.text.for_customer().contains("tls: disable"), "it says what to do");
    // A server that only speaks TLS 1.0 answers the hello with a ServerHello of version 3.1.
    let hello = || {
        let mut body = vec![2, 0, 0, 38, 3, 1];
        body.extend([7; 32]);
        body.extend([0, 0, 0x2f, 0]);
        let mut record = vec![22, 3, 1, 0, body.len() as u8];
        record.extend(body);
        record
    };
    let old = scripted(move || vec![Answer::Bytes(b"S".to_vec()), Answer::Bytes(hello())]).await;
    let fault = check(old, "localhost", &ca).await.map(drop).expect_err("too old");
    assert_eq!(fault.code, FailureCode::TlsFailed);
    let nonsense = scripted(|| vec![Answer::Bytes(b"HTTP/1.1 400".to_vec())]).await;
    let fault = check(nonsense, "localhost", &ca).await.map(drop).expect_err("no Postgres");
    assert_eq!(fault.code, FailureCode::SourceMalformed);
}
