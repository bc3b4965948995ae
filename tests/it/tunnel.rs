//! Databases behind a real OpenSSH server: who is spoken to, what goes through, and what becomes of a session that ends.

use std::sync::Arc;

use waybill_connectors::dial::{Dialer, Rules};
use waybill_connectors::source::References;
use waybill_connectors::source::mysql::MySqlSource;
use waybill_connectors::source::postgres::PostgresSource;
use waybill_model::FailureCode;
use waybill_model::failure::RetryPolicy;
use waybill_model::plan::{MySql, Postgres as Settings, Ssh, TlsMode};
use waybill_pipeline::{Credential, Fault, FaultResult, Fixed, Source};
use waybill_tests::services::postgres::{Postgres, Setup};
use waybill_tests::services::sshd::Sshd;

use crate::postgres::settings;
use crate::postgres::tls::{leaf, trusted};
use crate::reading::{Rotated, drain, full, read, want};

const CURVE: [&str; 2] = ["-t", "ed25519"];
const ROWS: i64 = 60_000;

/// Rows of some 60 MB: more than is ever under way.
const TABLE: &str =
    "CREATE TABLE t AS SELECT g::int8 AS id, repeat('x', 1000) AS pad FROM generate_series(1, 60000) g; ANALYZE t";

fn ssh(sshd: &Sshd) -> Ssh {
    Ssh {
        host: "127.0.0.1".into(),
        port: sshd.port(),
        user: Sshd::user(),
        key: "env://SSH_KEY".parse().expect("a reference"),
        host_key: sshd.fingerprint("ed25519").parse().expect("a fingerprint"),
    }
}

fn behind(ssh: Ssh, key: &str, settings: Settings) -> FaultResult<PostgresSource> {
    by(ssh, Arc::new(Fixed::new(key)), settings)
}

fn by(ssh: Ssh, key: Arc<dyn Credential>, settings: Settings) -> FaultResult<PostgresSource> {
    let ways = References { ssh_key: Some(key), ..References::default() };
    PostgresSource::with(&Settings { ssh: Some(ssh), ..settings }, None, &ways, "run")
}

fn told(fault: &Fault) -> String {
    format!("{}: {}", fault.code, fault.text.for_customer())
}

fn count(log: &str, what: &str) -> usize {
    log.lines().filter(|line| line.contains(what)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_lanes_come_through_one_session_with_a_key_of_any_kind() {
    let (server, sshd) = (Postgres::start(), Sshd::start(&[]));
    server.run(TABLE).await;
    let key = sshd.key(&CURVE);
    let source = behind(ssh(&sshd), &key, settings(server.port())).map_err(|fault| told(&fault)).expect("a source");
    let found = read(&source, &full("t"), 4).await.map_err(|fault| told(&fault)).expect("rows");
    assert_eq!(found.sorted("id"), (1..=ROWS).collect::<Vec<_>>());
    let log = sshd.log();
    assert_eq!(count(&log, "Accepted publickey"), 1, "one session: {log}");
    assert_eq!(count(&log, "server_request_direct_tcpip"), 4, "a channel for each lane: {log}");
    for options in [
        &["-t", "ecdsa", "-b", "384"][..],
        &["-t", "rsa", "-b", "2048"],
        &["-t", "rsa", "-b", "2048", "-m", "PEM"],
        &["-t", "rsa", "-b", "3072", "-m", "PKCS8"],
        &["-t", "ecdsa", "-m", "PEM"],
    ] {
        let key = sshd.key(options);
        let source = behind(ssh(&sshd), &key, settings(server.port())).map_err(|fault| told(&fault)).expect("a source");
        source.reach().await.map_err(|fault| told(&fault)).unwrap_or_else(|said| panic!("{options:?}: {said}"));
    }
    assert_eq!(count(&sshd.log(), "Accepted publickey"), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_server_is_spoken_to_than_the_one_with_the_pinned_key() {
    let (server, sshd) = (Postgres::start(), Sshd::start(&[]));
    let key = sshd.key(&CURVE);
    let pinning = |host_key: &str| {
        let ssh = Ssh { host_key: host_key.parse().expect("a fingerprint"), ..ssh(&sshd) };
        behind(ssh, &key, settings(server.port())).map_err(|fault| told(&fault)).expect("a source")
    };
    let other = format!("SHA256:{}", "A".repeat(43));
    let fault = pinning(&other).reach().await.expect_err("another server");
    assert_eq!(fault.code, FailureCode::SshHostKeyRefused);
    assert_eq!(fault.code.policy(), RetryPolicy::AfterFix);
    for fingerprint in [&other, &sshd.fingerprint("ed25519"), &sshd.fingerprint("ecdsa")] {
        let text = fault.text.for_customer();
        assert!(text.contains(fingerprint.as_str()), "no {fingerprint} in {text}");
    }
    assert_eq!(count(&sshd.log(), "userauth-request"), 0, "nobody tried to log in: {}", sshd.log());
    // Whichever of its keys is pinned, the server is asked for that one.
    for kind in ["ecdsa", "ed25519"] {
        pinning(&sshd.fingerprint(kind)).reach().await.map_err(|fault| told(&fault)).expect(kind);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_between_refuses_is_told_from_what_the_database_does() {
    let (server, sshd, closed) = (Postgres::start(), Sshd::start(&[]), Sshd::start(&["PermitOpen none"]));
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let (key, (stranger, _)) = (sshd.key(&CURVE), sshd.stranger(&CURVE));
    let nobody = Ssh { port: free, ..ssh(&sshd) };
    let no_ssh = Ssh { port: server.port(), ..ssh(&sshd) };
    use FailureCode as C;
    for (case, ssh, key, port, code, tells) in [
        ("another key", ssh(&sshd), &stranger, server.port(), C::SshDenied, "`ssh.key`"),
        ("no way on", ssh(&closed), &closed.key(&CURVE), server.port(), C::SshDenied, "PermitOpen"),
        ("no database", ssh(&sshd), &key, free, C::SourceUnreachable, "can't be reached"),
        ("nobody there", nobody, &key, server.port(), C::SourceUnreachable, "SSH server 127.0.0.1"),
        ("no SSH", no_ssh, &key, server.port(), C::SourceUnreachable, "before it showed its key"),
    ] {
        let source = behind(ssh, key, settings(port)).map_err(|fault| told(&fault)).expect("a source");
        let fault = source.reach().await.expect_err(case);
        let text = fault.text.for_customer();
        assert!(fault.code == code && text.contains(tells), "{case}: {} {text}", fault.code);
    }
    let (locked, _) = sshd.stranger(&["-t", "ed25519", "-N", "hunter2hunter2"]);
    let (weak, _) = sshd.stranger(&["-t", "rsa", "-b", "1024"]);
    for (text, tells) in [(locked.as_str(), "passphrase"), ("hunter2", "no private key"), (weak.as_str(), "2048")] {
        let source = behind(ssh(&sshd), text, settings(server.port())).map_err(|fault| told(&fault)).expect("a source");
        let fault = source.reach().await.expect_err(tells);
        let said = fault.text.for_customer();
        assert!(fault.code == C::SecretUnresolved && said.contains(tells) && said.contains("env://SSH_KEY"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_rotated_opens_the_next_session() {
    let (server, sshd) = (Postgres::start(), Sshd::start(&[]));
    let ((old, _), new) = (sshd.stranger(&CURVE), sshd.key(&CURVE));
    let key = Arc::new(Rotated::of(&old, &new));
    let source = by(ssh(&sshd), key.clone(), settings(server.port())).map_err(|fault| told(&fault)).expect("a source");
    source.reach().await.map_err(|fault| told(&fault)).expect("the new key");
    assert!(key.was_refused(), "the server refused the old one");
    assert_eq!(count(&sshd.log(), "Accepted publickey"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_cut_in_the_middle_of_a_copy_is_tried_again_and_the_next_try_is_exact() {
    let (server, sshd) = (Postgres::start(), Sshd::start(&[]));
    server.run(TABLE).await;
    let source =
        behind(ssh(&sshd), &sshd.key(&CURVE), settings(server.port())).map_err(|fault| told(&fault)).expect("a source");
    let snapshot = source.open(&full("t"), None, want(2)).await.map_err(|fault| told(&fault)).expect("open");
    let mut first = snapshot.lane().await.map_err(|fault| told(&fault)).expect("a lane");
    let second = snapshot.lane().await.map_err(|fault| told(&fault)).expect("a lane");
    assert!(first.next().await.map_err(|fault| told(&fault)).expect("a batch").is_some(), "rows are under way");
    assert_eq!(sshd.cut(), 1, "the one session was there to be cut");
    for lane in [first, second] {
        let fault = drain(lane).await.map(|batches| batches.len()).expect_err("the session is gone");
        assert_eq!(fault.code, FailureCode::SshTunnelLost, "{}", fault.text.for_customer());
        assert_eq!(fault.code.policy(), RetryPolicy::Retry);
    }
    drop(snapshot);
    // The same source digs anew.
    let found = read(&source, &full("t"), 2).await.map_err(|fault| told(&fault)).expect("rows");
    assert_eq!(found.sorted("id"), (1..=ROWS).collect::<Vec<_>>());
    assert_eq!(count(&sshd.log(), "Accepted publickey"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_behind_a_server_between_is_verified_to_the_name_of_the_database() {
    let (trusted, ca) = trusted();
    let (certificate, key) = leaf(&trusted, &["localhost"], false);
    let server = Postgres::with(Setup {
        settings: &["ssl = on", "ssl_cert_file = 'server.crt'", "ssl_key_file = 'server.key'"],
        files: &[("server.crt", &certificate), ("server.key", &key)],
        ..Setup::default()
    });
    server.run(TABLE).await;
    let sshd = Sshd::start(&[]);
    let key = sshd.key(&CURVE);
    let named = |host: &str| {
        let ca = ca.path().to_str().expect("a path").parse().ok();
        let settings = Settings { host: host.into(), tls: TlsMode::VerifyFull, ca, ..settings(server.port()) };
        behind(ssh(&sshd), &key, settings).map_err(|fault| told(&fault)).expect("a source")
    };
    let found = read(&named("localhost"), &full("t"), 2).await.map_err(|fault| told(&fault)).expect("rows");
    assert_eq!(found.sorted("id").len(), 60_000);
    let fault = named("127.0.0.1").reach().await.expect_err("another name");
    let text = fault.text.for_customer();
    assert!(fault.code == FailureCode::TlsFailed && text.contains("not valid for name"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_mariadb_come_through_a_server_between() {
    let (server, sshd) = (crate::mysql::server(), Sshd::start(&[]));
    server.run("CREATE TABLE t (id bigint PRIMARY KEY, pad varchar(600) NOT NULL); INSERT INTO t SELECT seq, repeat('x', 500) FROM seq_1_to_30000;
                ANALYZE TABLE t");
    let settings = MySql { ssh: Some(ssh(&sshd)), ..crate::mysql::settings(server.port(), "reader") };
    let ways = References { ssh_key: Some(Arc::new(Fixed::new(sshd.key(&CURVE)))), ..References::default() };
    let password = Some(Arc::new(Fixed::new("right")) as Arc<dyn Credential>);
    let source = MySqlSource::with(&settings, password, &ways, "run").map_err(|fault| told(&fault)).expect("a source");
    let found = read(&source, &full("t"), 4).await.map_err(|fault| told(&fault)).expect("rows");
    assert_eq!(found.sorted("id"), (1..=30_000).collect::<Vec<_>>());
    assert!(found.proof.snapshot.starts_with("3 connections"), "{}", found.proof.snapshot);
    assert_eq!(count(&sshd.log(), "Accepted publickey"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn t10_the_server_between_is_dialed_by_the_rules_and_no_address_behind_it_gets_around_them() {
    let (server, sshd) = (Postgres::start(), Sshd::start(&[]));
    let key = sshd.key(&CURVE);
    let special = Rules { special: vec!["127.0.0.1".parse().expect("a range")], ..Rules::default() };
    for (rules, host, reaches) in [
        (Rules::default(), "127.0.0.1", false),
        (special.clone(), "169.254.169.254", false),
        (special.clone(), "2852039166", false),
        (special, "127.0.0.1", true),
    ] {
        let settings = Settings { host: host.into(), ..settings(server.port()) };
        let source = behind(ssh(&sshd), &key, settings)
            .map_err(|fault| told(&fault))
            .expect("a source")
            .through(Dialer::new(rules));
        let reached = source.reach().await.map_err(|fault| fault.code);
        assert_eq!(reached, if reaches { Ok(()) } else { Err(FailureCode::EgressDenied) }, "{host}");
    }
    assert_eq!(count(&sshd.log(), "server_request_direct_tcpip"), 1, "only what is allowed was asked for");
}
