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
    authority_named("an authority of a test")
}

pub(crate) fn authority_named(name: &str) -> Authority {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // With the default name of all certificates OpenSSL takes those below it for self-signed.
    params.distinguished_name.push(DnType::CommonName, name);
    let pem = params.self_signed(&key).expect("a certificate").pem();
    Authority { issuer: Issuer::new(params, key), pem }
}

/// What stands in a certificate for these names.
fn leaf_parameters(names: &[&str]) -> CertificateParams {
    parameters(names, "a server of a test")
}

fn parameters(names: &[&str], common: &str) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("parameters");
    params.distinguished_name.push(DnType::CommonName, common);
    params
}

/// A certificate and its key.
pub(crate) type Pair = (String, String);

/// A certificate for these names and its key.
pub(crate) fn leaf(authority: &Authority, names: &[&str], expired: bool) -> Pair {
    signed(authority, leaf_parameters(names), expired)
}

/// A certificate of this user and its key.
pub(crate) fn client(authority: &Authority, user: &str, expired: bool) -> Pair {
    signed(authority, parameters(&[], user), expired)
}

fn signed(authority: &Authority, mut params: CertificateParams, expired: bool) -> Pair {
    let key = KeyPair::generate().expect("a key");
    if expired {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    }
    let certificate = params.signed_by(&key, &authority.issuer).expect("signed");
    (certificate.pem(), key.serialize_pem())
}

pub(crate) async fn server(certificate: &str, key: &str, more: &[&str], ca: &str) -> Postgres {
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
    let ca = ca.to_str().expect("a path").parse().ok();
    let settings = Settings { host: host.into(), tls: TlsMode::VerifyFull, ca, ..settings(port) };
    PostgresSource::new(&settings, None, "run")?.check(&full("pg_catalog.pg_class")).await
}

/// What the customer's log says of a check that must fail in this way.
async fn refused(code: FailureCode, port: u16, host: &str, ca: &std::path::Path) -> String {
    let fault = check(port, host, ca).await.map(drop).expect_err("refused");
    assert_eq!(fault.code, code, "{}", fault.text.for_customer());
    fault.text.for_customer().to_owned()
}

/// An authority, and a file that holds its certificate.
pub(crate) fn trusted() -> (Authority, tempfile::NamedTempFile) {
    let trusted = authority();
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), &trusted.pem).expect("write");
    (trusted, file)
}

#[tokio::test]
async fn h18_a_certificate_that_can_not_be_trusted_is_refused_with_its_subject_and_the_reason() {
    let ((trusted, ca), other) = (trusted(), authority_named("another authority"));
    let good = leaf(&trusted, &["localhost"], false);
    let own_key = KeyPair::generate().expect("a key");
    let own = leaf_parameters(&["localhost"]).self_signed(&own_key).expect("a certificate").pem();
    let cases: [(&str, Pair, &str, &[&str]); 4] = [
        ("wrong host", good.clone(), "127.0.0.1", &["not valid for name", "127.0.0.1", "localhost"]),
        ("expired", leaf(&trusted, &["localhost"], true), "localhost", &["expired"]),
        (
            "unknown authority",
            leaf(&other, &["localhost"], false),
            "localhost",
            &["UnknownIssuer", "signed by CN=another authority"],
        ),
        ("self-signed", (own, own_key.serialize_pem()), "localhost", &["UnknownIssuer", "signed by itself"]),
    ];
    for (case, (certificate, key), host, tells) in cases {
        let server = server(&certificate, &key, &[], &trusted.pem).await;
        let text = refused(FailureCode::TlsFailed, server.port(), host, ca.path()).await;
        assert!(tells.iter().all(|told| text.contains(told)), "{case}: {text}");
        assert!(text.contains("CN=a server of a test"), "{case}: the subject is not in {text}");
        // No reason is told for another.
        for other in ["expired", "not valid for name", "signed by itself"] {
            assert_eq!(text.contains(other), tells.contains(&other), "{case}: {text}");
        }
    }
    assert!(FailureCode::TlsFailed.hint().contains("`ca`"), "what to do next");
    let server = server(&good.0, &good.1, &[], &trusted.pem).await;
    check(server.port(), "localhost", ca.path())
        .await
        .map_err(|fault| fault.text.for_customer().to_owned())
        .expect("good");
    let settings = Settings { host: "localhost".into(), tls: TlsMode::VerifyFull, ..settings(server.port()) };
    let checked = async { PostgresSource::new(&settings, None, "run")?.check(&full("pg_catalog.pg_class")).await };
    let fault = checked.await.map(drop).expect_err("the system does not know this authority");
    assert_eq!(fault.code, FailureCode::TlsFailed);
}

#[tokio::test]
async fn h18_a_server_that_wants_a_client_certificate_says_so() {
    let (trusted, ca) = trusted();
    let (certificate, key) = leaf(&trusted, &["localhost"], false);
    let server = server(&certificate, &key, &["ssl_ca_file = 'root.crt'"], &trusted.pem).await;
    let text = refused(FailureCode::ClientCertificateRefused, server.port(), "localhost", ca.path()).await;
    assert!(text.contains("28000") && text.contains("client certificate"), "{text}");
    assert!(FailureCode::ClientCertificateRefused.hint().contains("`client-cert`"), "what to do next");
}

#[tokio::test]
async fn h18_tls_1_0_and_1_1_are_refused_for_their_version() {
    let (trusted, ca) = trusted();
    let (certificate, key) = leaf(&trusted, &["localhost"], false);
    for version in ["TLSv1", "TLSv1.1"] {
        let only =
            [format!("ssl_min_protocol_version = '{version}'"), format!("ssl_max_protocol_version = '{version}'")];
        let lines = [&*only[0], &*only[1], "ssl_ciphers = 'DEFAULT:@SECLEVEL=0'"];
        let old = server(&certificate, &key, &lines, &trusted.pem).await;
        let text = refused(FailureCode::TlsFailed, old.port(), "localhost", ca.path()).await;
        assert!(text.contains("ProtocolVersion"), "{version}: {text}");
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !old.log().contains("unsupported protocol") {
            assert!(std::time::Instant::now() < deadline, "{version}: {}", old.log());
            tokio::task::yield_now().await;
        }
    }
    // One that answers all the same, with a ServerHello of version 3.1 or 3.2.
    for version in [1, 2] {
        let hello = move || {
            let mut body = vec![2, 0, 0, 38, 3, version];
            body.extend([7; 32]);
            body.extend([0, 0, 0x2f, 0]);
            let mut record = vec![22, 3, 1, 0, body.len() as u8];
            record.extend(body);
            record
        };
        let old = scripted(move || vec![Answer::Bytes(b"S".to_vec()), Answer::Bytes(hello())]).await;
        let text = refused(FailureCode::TlsFailed, old, "localhost", ca.path()).await;
        assert!(text.contains("ServerDoesNotSupportTls12Or13"), "3.{version}: {text}");
    }
}

#[tokio::test]
async fn h18_no_tls_and_no_postgres_are_told_from_bad_tls() {
    let (_trusted, ca) = trusted();
    let plain = Postgres::start();
    let text = refused(FailureCode::TlsFailed, plain.port(), "localhost", ca.path()).await;
    assert!(text.contains("has no TLS") && text.contains("tls: disable"), "{text}");
    let nonsense = scripted(|| vec![Answer::Bytes(b"HTTP/1.1 400".to_vec())]).await;
    let text = refused(FailureCode::SourceMalformed, nonsense, "localhost", ca.path()).await;
    assert!(text.contains("did not answer the TLS request"), "{text}");
}
