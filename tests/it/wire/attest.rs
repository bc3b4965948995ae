//! What a task in a cloud must prove, and what a thief of its ticket can do without that: nothing (T4, T5, H36).

use std::time::SystemTime;

use aws_credential_types::Credentials;
use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use tonic::Code;
use waybill_identity::attest::aws::{BODY, CHALLENGE_HEADER, CONTENT_TYPE, challenge, sign, sts_host};
use waybill_identity::{AwsProof, WorkerKey};
use waybill_protocol::pb::enrolment as pb;
use waybill_tests::aws::signature::{self, Came, Scope};
use waybill_tests::aws::{Aws, CUSTOMER, Key, ORCHESTRATOR, REGION, Role, Trust};

use super::rig::{Made, Options, Rig, enrol_request, visible};

/// Settings of a data plane in the scripted cloud.
pub(super) fn settings() -> String {
    serde_json::json!({
        "role_arn": Aws::launch_role(),
        "task_role_arn": Aws::task_role(),
        "region": REGION,
        "cluster": "waybill",
        "task_family": "waybill-worker",
        "subnets": ["subnet-0a1b2c3d4e5f60718"],
        "security_groups": ["sg-0a1b2c3d4e5f60718"],
    })
    .to_string()
}

pub(super) async fn rig(sts: String) -> Rig {
    Rig::start_with(Options { sts: Some(sts.clone()), issuer: Some(sts), ..Options::default() }).await
}

async fn waiting(rig: &Rig) -> Made {
    rig.attempt_on(("aws-ecs", &settings())).await
}

fn host() -> String {
    sts_host(REGION, false)
}

/// The proof as the worker makes it, with these keys.
pub(super) fn proof_of(rig: &Rig, keys: &Key, nonce: &[u8; 32], key: &WorkerKey) -> AwsProof {
    let credentials = Credentials::new(&keys.id, &keys.secret, keys.token.clone(), None, "test");
    let challenge = challenge(nonce, &key.spki_sha256(), &rig.authority.pin().to_string());
    sign(&credentials, (&host(), REGION), &challenge, SystemTime::now()).expect("signed")
}

pub(super) fn request(made: &Made, key: &WorkerKey, nonce: &[u8; 32], proof: &AwsProof) -> pb::EnrolRequest {
    let aws = pb::AwsProof {
        access_key_id: proof.access_key_id.clone(),
        date: proof.date.clone(),
        region: proof.region.clone(),
        signature: proof.signature.clone(),
        security_token: proof.security_token.clone(),
    };
    let kind = pb::AttestationKind::Aws.into();
    pb::EnrolRequest { attestation_kind: kind, attestation: vec![], aws: Some(aws), ..enrol_request(made, key, nonce) }
}

/// Refused with one answer, fenced, in the audit, and closed to the true worker too.
pub(super) async fn is_burnt(rig: &Rig, made: &Made, what: &str) {
    assert!(rig.row(made).await.fenced_at.is_some(), "{what}: the attempt is fenced");
    assert!(rig.row(made).await.ticket_used_at.is_none(), "{what}: no certificate was given");
    let audit = rig.store.audit_list(made.org, None, 100).await.expect("readable");
    let alarm = audit.iter().any(|entry| entry.action == "attempt.attest" && entry.outcome == "refused");
    assert!(alarm, "{what}: the audit says so");
    let events = rig.store.run_event_list(made.org, made.run, 0, 100).await.expect("readable");
    assert!(events.iter().any(|event| event.code == "proof_refused"), "{what}: the run says so");
    assert_eq!(rig.hello(made.attempt).await.expect_err("fenced").message(), "fenced", "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_signs_with_its_role_enrols_and_its_session_is_recorded() {
    let aws = Aws::start().await;
    let rig = rig(aws.url()).await;
    let made = waiting(&rig).await;
    let key = WorkerKey::generate().expect("a key");
    let nonce = rig.hello(made.attempt).await.expect("a nonce");
    let proof = proof_of(&rig, &aws.keys_of(&Aws::task_role(), "0123abcd"), &nonce, &key);
    let answer = rig.enrolment().enrol(request(&made, &key, &nonce, &proof)).await.expect("enrolled");
    assert!(!answer.into_inner().certificate_chain.is_empty());
    let events = rig.store.run_event_list(made.org, made.run, 0, 100).await.expect("readable");
    assert!(events.iter().any(|event| event.code == "role_proven" && event.body.contains("same_task")));
    let asked = aws.calls("GetCallerIdentity");
    assert_eq!((asked.len(), asked[0].body.as_str()), (1, BODY));
}

#[tokio::test(flavor = "multi_thread")]
async fn t04_a_stolen_ticket_alone_gets_nothing_and_burns() {
    let aws = Aws::start().await;
    let rig = rig(aws.url()).await;
    let other_role = format!("arn:aws:iam::{CUSTOMER}:role/somebody-else");
    let other_account = "arn:aws:iam::333333333333:role/waybill-worker".to_owned();
    let launch = Aws::launch_role();
    for (what, keys) in [
        ("another role", Some(aws.keys_of(&other_role, "s"))),
        ("the role of this name in another account", Some(aws.keys_of(&other_account, "s"))),
        ("the launch role", Some(aws.keys_of(&launch, "s"))),
        ("keys that nobody has", Some(Key { secret: "guessed".into(), ..aws.keys_of(&Aws::task_role(), "s") })),
        ("the proof of a process", None),
    ] {
        let made = waiting(&rig).await;
        let key = WorkerKey::generate().expect("a key");
        let nonce = rig.hello(made.attempt).await.expect("a nonce");
        let request = match keys {
            Some(keys) => request(&made, &key, &nonce, &proof_of(&rig, &keys, &nonce, &key)),
            None => enrol_request(&made, &key, &nonce),
        };
        let status = rig.enrolment().enrol(request).await.expect_err("refused");
        assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "enrolment_refused"), "{what}");
        is_burnt(&rig, &made, what).await;
    }
    assert!(aws.calls("GetCallerIdentity").len() >= 4, "STS was asked who signed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_long_lived_key_is_no_tasks_and_sts_is_not_even_asked() {
    let aws = Aws::start().await;
    let rig = rig(aws.url()).await;
    let made = waiting(&rig).await;
    let key = WorkerKey::generate().expect("a key");
    let nonce = rig.hello(made.attempt).await.expect("a nonce");
    let mut proof = proof_of(&rig, &aws.keys_of(&Aws::task_role(), "s"), &nonce, &key);
    proof.access_key_id = "AKIAORCHESTRATOR".into();
    rig.enrolment().enrol(request(&made, &key, &nonce, &proof)).await.expect_err("refused");
    assert!(aws.calls("GetCallerIdentity").is_empty());
    is_burnt(&rig, &made, "a user's key").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t05_a_captured_proof_is_worth_nothing_with_another_key_nonce_or_orchestrator() {
    let aws = Aws::start().await;
    let (rig, elsewhere) = (rig(aws.url()).await, rig(aws.url()).await);
    let keys = aws.keys_of(&Aws::task_role(), "s");
    let (mine, thief) = (WorkerKey::generate().expect("a key"), WorkerKey::generate().expect("a key"));

    let made = waiting(&rig).await;
    let nonce = rig.hello(made.attempt).await.expect("a nonce");
    let captured = proof_of(&rig, &keys, &nonce, &mine);
    rig.enrolment().enrol(request(&made, &thief, &nonce, &captured)).await.expect_err("another key");
    is_burnt(&rig, &made, "another key").await;

    let made = waiting(&rig).await;
    let old = rig.hello(made.attempt).await.expect("a nonce");
    let captured = proof_of(&rig, &keys, &old, &mine);
    let nonce = rig.hello(made.attempt).await.expect("a nonce");
    rig.enrolment().enrol(request(&made, &mine, &nonce, &captured)).await.expect_err("another nonce");
    is_burnt(&rig, &made, "another nonce").await;

    let made = waiting(&elsewhere).await;
    let nonce = elsewhere.hello(made.attempt).await.expect("a nonce");
    let meant_for_the_first = proof_of(&rig, &keys, &nonce, &mine);
    elsewhere.enrolment().enrol(request(&made, &mine, &nonce, &meant_for_the_first)).await.expect_err("another pin");
    is_burnt(&elsewhere, &made, "another orchestrator").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t05_a_captured_enrolment_of_a_task_resent_as_it_was_is_refused() {
    let aws = Aws::start().await;
    let rig = rig(aws.url()).await;
    let made = waiting(&rig).await;
    let key = WorkerKey::generate().expect("a key");
    let nonce = rig.hello(made.attempt).await.expect("a nonce");
    let good = request(&made, &key, &nonce, &proof_of(&rig, &aws.keys_of(&Aws::task_role(), "s"), &nonce, &key));
    rig.enrolment().enrol(good.clone()).await.expect("enrolled");
    let status = rig.enrolment().enrol(good).await.expect_err("the nonce is spent");
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(rig.row(&made).await.fenced_at.is_none(), "its own worker may have sent it twice");
}

/// What a thief might sign instead of the one call: everything else than it.
struct Variant {
    what: &'static str,
    method: &'static str,
    path: &'static str,
    query: &'static str,
    body: &'static str,
    host: String,
    region: &'static str,
    service: &'static str,
    hours_ago: i64,
    names: &'static [&'static str],
}

const NAMES: &[&str] = &["content-type", "host", "x-amz-date", "x-amz-security-token", CHALLENGE_HEADER];

fn variants() -> Vec<Variant> {
    let good = |what| Variant {
        what,
        method: "POST",
        path: "/",
        query: "",
        body: BODY,
        host: host(),
        region: REGION,
        service: "sts",
        hours_ago: 0,
        names: NAMES,
    };
    let unsigned = &["content-type", "host", "x-amz-date", "x-amz-security-token"];
    vec![
        Variant { body: "Action=AssumeRole&Version=2011-06-15", ..good("another action") },
        Variant { body: "Action=GetCallerIdentity&Version=2011-06-15&X=1", ..good("an extra parameter") },
        Variant { query: "Action=GetCallerIdentity", ..good("an extra query") },
        Variant { method: "GET", ..good("another method") },
        Variant { path: "/x", ..good("another path") },
        Variant { host: "sts.amazonaws.com".into(), ..good("the global host") },
        Variant { host: "sts.us-east-1.amazonaws.com".into(), ..good("another region's host") },
        Variant { region: "us-east-1", ..good("another region") },
        Variant { service: "iam", ..good("another service") },
        Variant { hours_ago: 1, ..good("a stale date") },
        Variant { hours_ago: -1, ..good("a date to come") },
        Variant { names: unsigned, ..good("an unsigned challenge") },
        Variant { names: &["host", "x-amz-date", "x-amz-security-token", CHALLENGE_HEADER], ..good("a header less") },
    ]
}

fn signed(rig: &Rig, variant: &Variant, keys: &Key, (nonce, key): (&[u8; 32], &WorkerKey)) -> AwsProof {
    let at = chrono::Utc::now() - chrono::TimeDelta::hours(variant.hours_ago);
    let date = at.format("%Y%m%dT%H%M%SZ").to_string();
    let token = keys.token.clone().expect("a token");
    let bound = challenge(nonce, &key.spki_sha256(), &rig.authority.pin().to_string());
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("content-type", CONTENT_TYPE),
        ("host", variant.host.as_str()),
        ("x-amz-date", &date),
        ("x-amz-security-token", &token),
        (CHALLENGE_HEADER, &bound),
    ] {
        headers.insert(name, HeaderValue::from_str(value).expect("a value"));
    }
    let (body, headers) = (variant.body.as_bytes(), &headers);
    let came = Came { method: variant.method, path: variant.path, query: variant.query, headers, body };
    let scope = Scope { region: variant.region.into(), service: variant.service.into() };
    let signature = signature::sign(&came, variant.names, &keys.secret, &scope).expect("signed");
    let (region, id) = (variant.region.to_owned(), keys.id.clone());
    AwsProof { access_key_id: id, date, region, signature, security_token: token }
}

#[tokio::test(flavor = "multi_thread")]
async fn h36_whatever_was_signed_instead_of_the_one_call_is_refused() {
    let aws = Aws::start().await;
    let rig = rig(aws.url()).await;
    let keys = aws.keys_of(&Aws::task_role(), "s");
    let key = WorkerKey::generate().expect("a key");
    for variant in variants() {
        let made = waiting(&rig).await;
        let nonce = rig.hello(made.attempt).await.expect("a nonce");
        let proof = signed(&rig, &variant, &keys, (&nonce, &key));
        let refused = rig.enrolment().enrol(request(&made, &key, &nonce, &proof)).await;
        assert!(visible(refused).contains("enrolment_refused"), "{}", variant.what);
        is_burnt(&rig, &made, variant.what).await;
    }
    // The same way of signing, with nothing changed, is accepted: the table fails for its reasons and no other.
    let made = waiting(&rig).await;
    let nonce = rig.hello(made.attempt).await.expect("a nonce");
    let same = Variant { hours_ago: 0, ..variants().into_iter().find(|v| v.what == "a stale date").expect("one") };
    let proof = signed(&rig, &same, &keys, (&nonce, &key));
    rig.enrolment().enrol(request(&made, &key, &nonce, &proof)).await.expect("enrolled");
}

/// A server that gives this answer to everything.
pub(super) async fn lying(status: StatusCode, headers: HeaderMap, body: String) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let answer = move || async move { (status, headers, body).into_response() };
    let router = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await.expect("serves") });
    format!("http://{address}")
}

async fn enrolled_by(sts: String) -> (Rig, Made, Result<(), tonic::Status>) {
    let aws = Aws::start().await;
    let rig = rig(sts).await;
    let made = waiting(&rig).await;
    let key = WorkerKey::generate().expect("a key");
    let nonce = rig.hello(made.attempt).await.expect("a nonce");
    let proof = proof_of(&rig, &aws.keys_of(&Aws::task_role(), "s"), &nonce, &key);
    let answer = rig.enrolment().enrol(request(&made, &key, &nonce, &proof)).await.map(drop);
    (rig, made, answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn h36_a_redirect_a_flood_and_a_strange_document_are_refused() {
    let aws = Aws::start().await;
    let there = HeaderMap::from_iter([(header::LOCATION, HeaderValue::from_str(&aws.url()).expect("a value"))]);
    for (what, sts) in [
        ("a redirect", lying(StatusCode::TEMPORARY_REDIRECT, there, String::new()).await),
        ("a flood", lying(StatusCode::OK, HeaderMap::new(), "<a>".repeat(1 << 20)).await),
        ("a strange document", lying(StatusCode::OK, HeaderMap::new(), "{\"Arn\":\"x\"}".into()).await),
        ("nothing", lying(StatusCode::OK, HeaderMap::new(), String::new()).await),
    ] {
        let (rig, made, answer) = enrolled_by(sts).await;
        assert_eq!(answer.expect_err("refused").code(), Code::PermissionDenied, "{what}");
        is_burnt(&rig, &made, what).await;
    }
    assert!(aws.calls("GetCallerIdentity").is_empty(), "no redirect was followed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sts_that_is_away_fences_nobody_and_the_worker_may_come_again() {
    let (rig, made, answer) =
        enrolled_by(lying(StatusCode::SERVICE_UNAVAILABLE, HeaderMap::new(), String::new()).await).await;
    assert_eq!(answer.expect_err("not now").code(), Code::Unavailable);
    assert!(rig.row(&made).await.fenced_at.is_none());
    rig.hello(made.attempt).await.expect("a new nonce");
    let (rig, made, answer) = enrolled_by("http://127.0.0.1:1".into()).await;
    assert_eq!(answer.expect_err("not now").code(), Code::Unavailable);
    assert!(rig.row(&made).await.fenced_at.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_data_plane_takes_no_proof_of_a_role() {
    let aws = Aws::start().await;
    let rig = rig(aws.url()).await;
    let made = rig.attempt().await;
    let role = Role {
        arn: Aws::task_role(),
        trust: Trust::Tasks,
        cluster: String::new(),
        families: Vec::new(),
        lacks: vec![],
        extra: vec![],
    };
    aws.put_role(role);
    let key = WorkerKey::generate().expect("a key");
    let nonce = rig.hello(made.attempt).await.expect("a nonce");
    let proof = proof_of(&rig, &aws.keys_of(&Aws::task_role(), "s"), &nonce, &key);
    let refused = rig.enrolment().enrol(request(&made, &key, &nonce, &proof)).await;
    assert_eq!(refused.expect_err("refused").code(), Code::PermissionDenied);
    assert!(aws.calls("GetCallerIdentity").is_empty() && ORCHESTRATOR != CUSTOMER);
}
