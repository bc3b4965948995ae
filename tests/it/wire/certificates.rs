//! Certificates on the wire: none, wrong, expired, revoked, swapped, renewed; and TLS 1.3 only.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName as TlsName;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::Code;
use waybill_identity::{Authority, KeyDirectory, Peer, Pin, TrustDomain, WorkerKey, WorkerRequest, client};
use waybill_model::Micros;
use waybill_protocol::pb::worker as pb;
use waybill_protocol::pb::worker::worker_client::WorkerClient;

use super::rig::{Identity, Options, Rig, channel, eventually, stream_of};

const ASK: pb::GetAssignmentRequest = pb::GetAssignmentRequest {};

/// The alert with which the worker listener ends a handshake. It comes after the client believes to be connected.
async fn alert(rig: &Rig, tls: rustls::ClientConfig) -> String {
    let stream = TcpStream::connect(rig.workers).await.expect("connected");
    let name = TlsName::try_from("localhost").expect("a name");
    let connected = TlsConnector::from(Arc::new(tls)).connect(name, stream).await;
    let mut stream = connected.expect("TLS 1.3 clients hear of a refusal later");
    // A listener that shook hands waits for a request: no alert.
    let read = tokio::time::timeout(Duration::from_secs(3), stream.read(&mut [0; 1])).await;
    read.ok().and_then(Result::err).map_or_else(String::new, |error| error.to_string())
}

fn tls_of(identity: &Identity) -> rustls::ClientConfig {
    client::worker(&identity.roots, &identity.chain, &identity.key).expect("TLS")
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_client_certificate_the_first_call_fails() {
    let rig = Rig::start().await;
    let tls = client::pinned(rig.authority.pin()).expect("TLS");
    assert!(WorkerClient::new(channel(rig.workers, tls.clone())).get_assignment(ASK).await.is_err());
    let alert = alert(&rig, tls).await;
    assert!(alert.contains("CertificateRequired"), "{alert}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_authority_with_the_same_names_is_refused() {
    let rig = Rig::start().await;
    let made = rig.attempt().await;
    let good = rig.enrol(&made).await;
    let dir = tempfile::tempdir().expect("a directory");
    let domain = TrustDomain::new("waybill.test").expect("a domain");
    let other = Authority::open(&KeyDirectory::created(dir.path()), domain, Duration::from_secs(60)).expect("made");
    let key = WorkerKey::generate().expect("a key");
    let request = WorkerRequest::read(&key.request().expect("a request")).expect("accepted");
    let peer = Peer { org: made.org, attempt: made.attempt };
    let leaf = other.issue_worker(&peer, &request, Micros::now()).expect("issued");
    let forged = Identity { chain: leaf.chain, roots: good.roots.clone(), key };
    assert!(rig.worker(&forged).get_assignment(ASK).await.is_err());
    let alert = alert(&rig, tls_of(&forged)).await;
    assert!(alert.contains("DecryptError") || alert.contains("UnknownCA"), "{alert}");
    rig.worker(&good).get_assignment(ASK).await.expect("the real one is served");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_does_not_speak_to_a_server_of_another_authority() {
    let rig = Rig::start().await;
    let wrong = Pin::of(b"another certificate");
    let tls = client::pinned(wrong).expect("TLS");
    let mut stranger =
        waybill_protocol::pb::enrolment::enrolment_client::EnrolmentClient::new(channel(rig.public, tls));
    let hello = waybill_protocol::pb::enrolment::HelloRequest::default();
    assert_eq!(stranger.hello(hello).await.expect_err("refused").code(), Code::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_refused_in_the_handshake_and_on_an_open_connection() {
    let rig = Rig::start_with(Options { worker_life: Duration::from_secs(2), ..Options::default() }).await;
    let made = rig.attempt().await;
    let identity = rig.enrol(&made).await;
    let mut open = rig.worker(&identity);
    open.get_assignment(ASK).await.expect("good for two seconds");
    eventually("the open connection is refused", async || {
        open.get_assignment(ASK).await.is_err_and(|status| status.code() == Code::Unauthenticated)
    })
    .await;
    eventually("new handshakes are refused", async || {
        alert(&rig, tls_of(&identity)).await.contains("CertificateExpired")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_attempt_loses_its_open_stream_and_every_further_call() {
    let rig = Rig::start().await;
    let made = rig.attempt().await;
    let identity = rig.enrol(&made).await;
    let mut client = rig.worker(&identity);
    let first = pb::ReportRequest { seq: 1, epoch: made.epoch.0, ..pb::ReportRequest::default() };
    let mut answers = client.report(stream_of(vec![first])).await.expect("opened").into_inner();
    answers.message().await.expect("answered").expect("an answer");
    assert_eq!(rig.connected.now(), 1);
    rig.deny.revoke_attempt(made.attempt);
    let ended = tokio::time::timeout(Duration::from_secs(5), answers.message()).await.expect("within five seconds");
    assert_eq!(ended.expect_err("closed").message(), "fenced");
    let status = client.get_assignment(ASK).await.expect_err("refused");
    assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, "fenced"));
    assert!(rig.hello(made.attempt).await.is_err(), "nor does a new enrolment begin");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_serial_ends_one_certificate_and_a_renewed_one_goes_on() {
    let rig = Rig::start().await;
    let made = rig.attempt().await;
    let old = rig.enrol(&made).await;
    let key = WorkerKey::generate().expect("a key");
    let csr = key.request().expect("a request");
    let renewed = rig.worker(&old).renew(pb::RenewRequest { csr }).await.expect("renewed").into_inner();
    let new = Identity { chain: renewed.certificate_chain, roots: old.roots.clone(), key };
    let serial = rig.authority.domain().identify(&old.chain[0]).expect("one of ours").serial;
    rig.deny.revoke_serial(&serial);
    assert_eq!(rig.worker(&old).get_assignment(ASK).await.expect_err("refused").message(), "fenced");
    rig.worker(&new).get_assignment(ASK).await.expect("the renewed one is served");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fenced_attempt_gets_no_new_certificate() {
    let rig = Rig::start().await;
    let made = rig.attempt().await;
    let identity = rig.enrol(&made).await;
    rig.fence(&made).await;
    let csr = WorkerKey::generate().expect("a key").request().expect("a request");
    let status = rig.worker(&identity).renew(pb::RenewRequest { csr }).await.expect_err("refused");
    assert_eq!(status.message(), "fenced");
    let issued = rig.store.certificate_list(made.org, made.attempt).await.expect("readable");
    assert_eq!(issued.len(), 1);
}

/// The leaf that the public listener presents to a new connection.
async fn presented(rig: &Rig) -> Vec<u8> {
    let tls = client::pinned(rig.authority.pin()).expect("TLS");
    let stream = TcpStream::connect(rig.public).await.expect("connected");
    let name = TlsName::try_from("localhost").expect("a name");
    let stream = TlsConnector::from(Arc::new(tls)).connect(name, stream).await.expect("a handshake");
    stream.get_ref().1.peer_certificates().expect("a chain")[0].to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_swaps_its_certificate_without_a_restart_and_open_connections_go_on() {
    let rig = Rig::start().await;
    let made = rig.attempt().await;
    let mut open = rig.worker(&rig.enrol(&made).await);
    open.get_assignment(ASK).await.expect("served");
    let before = presented(&rig).await;
    rig.slot.swap(&rig.authority).expect("swapped");
    assert_ne!(before, presented(&rig).await);
    open.get_assignment(ASK).await.expect("the open connection goes on");
}

/// Whether openssl shakes hands with this protocol.
async fn openssl_agrees(address: std::net::SocketAddr, protocol: &str) -> bool {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &address.to_string(), "-servername", "localhost", protocol]);
    command.stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("joined").expect("openssl runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("CONNECTED"), "{text}");
    text.contains("Cipher is TLS_AES") || text.contains("Cipher is ECDHE")
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_1_2_is_refused_on_both_listeners() {
    let rig = Rig::start().await;
    assert!(openssl_agrees(rig.public, "-tls1_3").await);
    assert!(!openssl_agrees(rig.public, "-tls1_2").await);
    assert!(!openssl_agrees(rig.workers, "-tls1_2").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn rest_is_served_beside_enrolment_over_http_1_and_2() {
    let rig = Rig::start().await;
    let root = reqwest::Certificate::from_der(rig.authority.root()).expect("a certificate");
    for http2 in [false, true] {
        let builder = reqwest::Client::builder().tls_certs_only([root.clone()]);
        let builder = if http2 { builder } else { builder.http1_only() };
        let client = builder.build().expect("a client");
        let url = format!("https://localhost:{}/v1/ping", rig.public.port());
        let answer = client.get(url).send().await.expect("answered");
        assert_eq!(answer.version() == reqwest::Version::HTTP_2, http2);
        assert_eq!(answer.text().await.expect("a body"), "pong");
    }
}
