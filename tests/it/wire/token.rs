//! What a task proves by a token of its account's issuer, and what no token proves (T4, T5, H36).

use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tonic::Code;
use waybill_identity::WorkerKey;
use waybill_identity::attest::aws::challenge;
use waybill_protocol::pb::enrolment as pb;
use waybill_tests::aws::issuer::{ISSUER, KEY_NAME, claims, fresh_key, signed};
use waybill_tests::aws::{Aws, CUSTOMER};

use super::attest::{is_burnt, lying, proof_of, request, rig, settings};
use super::rig::{Made, Options, Rig, enrol_request};

async fn waiting(rig: &Rig) -> Made {
    waiting_on(rig, ISSUER).await
}

async fn waiting_on(rig: &Rig, issuer: &str) -> Made {
    let mut with: Value = serde_json::from_str(&settings()).expect("settings");
    with["token_issuer"] = issuer.into();
    rig.attempt_on(("aws-ecs", &with.to_string())).await
}

fn with_token(made: &Made, key: &WorkerKey, nonce: &[u8; 32], token: String) -> pb::EnrolRequest {
    let kind = pb::AttestationKind::Aws.into();
    let plain = enrol_request(made, key, nonce);
    pb::EnrolRequest { attestation_kind: kind, attestation: vec![], aws_token: token, ..plain }
}

fn audience(rig: &Rig, nonce: &[u8; 32], key: &WorkerKey) -> String {
    challenge(nonce, &key.spki_sha256(), &rig.authority.pin().to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_enrol_by_tokens_for_their_own_challenge_and_the_issuer_is_asked_once() {
    let aws = Aws::start().await;
    let rig = rig(aws.url()).await;
    for _ in 0..3 {
        let made = waiting(&rig).await;
        let key = WorkerKey::generate().expect("a key");
        let nonce = rig.hello(made.attempt).await.expect("a nonce");
        let token = aws.token(&claims(&Aws::task_role(), &audience(&rig, &nonce, &key)));
        rig.enrolment().enrol(with_token(&made, &key, &nonce, token)).await.expect("enrolled");
        let events = rig.store.run_event_list(made.org, made.run, 0, 100).await.expect("readable");
        assert!(events.iter().any(|event| event.code == "role_proven" && event.body.contains("\"by_token\":true")));
    }
    assert_eq!(aws.keys_asked(), 1);
    assert!(aws.calls("GetCallerIdentity").is_empty(), "STS has nothing to say here");
}

/// Every claim that says anything else than it must.
fn wrong(good: &Value) -> Vec<(&'static str, Value)> {
    let with = |path: &str, value: Value| {
        let mut claims = good.clone();
        *claims.pointer_mut(path).expect("a claim") = value;
        claims
    };
    let without = |name: &str| {
        let mut claims = good.clone();
        claims.as_object_mut().expect("claims").remove(name);
        claims
    };
    let role = |account: &str, role: &str| json!(format!("arn:aws:iam::{account}:{role}"));
    let now = chrono::Utc::now().timestamp();
    let audience = good["aud"].clone();
    vec![
        ("for another nonce or key", with("/aud", json!("c29tZXRoaW5nIGVsc2U="))),
        ("for others too", with("/aud", json!([audience, "https://api.example.com"]))),
        ("for nobody", without("aud")),
        ("of another issuer", with("/iss", json!("https://1.tokens.sts.global.api.aws"))),
        ("of no issuer", without("iss")),
        ("of another role", with("/sub", role(CUSTOMER, "role/somebody-else"))),
        ("of a user", with("/sub", role(CUSTOMER, "user/waybill-worker"))),
        ("of the role of this name in another account", with("/sub", role("333333333333", "role/waybill-worker"))),
        ("of two accounts", with("/https:~1~1sts.amazonaws.com~1/aws_account", json!("333333333333"))),
        ("without what STS says", without("https://sts.amazonaws.com/")),
        ("of another region", with("/https:~1~1sts.amazonaws.com~1/source_region", json!("us-east-1"))),
        ("that is over", with("/exp", json!(now - 90))),
        ("that lives for a day", with("/exp", json!(now + 86_400))),
        ("without an end", without("exp")),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn h36_a_token_that_says_anything_else_is_refused_and_the_ticket_burns() {
    let aws = Aws::start().await;
    let rig = rig(aws.url()).await;
    let key = WorkerKey::generate().expect("a key");
    let cases = wrong(&claims(&Aws::task_role(), "x")).len();
    for number in 0..cases {
        let made = waiting(&rig).await;
        let nonce = rig.hello(made.attempt).await.expect("a nonce");
        let (what, said) = wrong(&claims(&Aws::task_role(), &audience(&rig, &nonce, &key))).swap_remove(number);
        let refused = rig.enrolment().enrol(with_token(&made, &key, &nonce, aws.token(&said))).await;
        let status = refused.expect_err(what);
        assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "enrolment_refused"), "{what}");
        is_burnt(&rig, &made, what).await;
    }
}

const UNKNOWN_KEY: &str = "signed with a key that the issuer does not have";

/// The same token with its header and signature as a forger makes them: no algorithm, and the issuer's public key as a secret.
fn forged(said: &Value) -> Vec<(&'static str, String)> {
    use base64::Engine as _;
    let part = |value: &Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
    let bare = format!("{}.{}.", part(&json!({ "alg": "none", "kid": KEY_NAME })), part(said));
    let header = jsonwebtoken::Header {
        kid: Some(KEY_NAME.into()),
        ..jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS384)
    };
    let secret = jsonwebtoken::EncodingKey::from_secret(ISSUER.as_bytes());
    let by_secret = jsonwebtoken::encode(&header, said, &secret).expect("a token");
    vec![
        ("signed by nobody", bare),
        ("signed with a secret", by_secret),
        ("signed with another key of that name", signed(said, &fresh_key(), KEY_NAME)),
        (UNKNOWN_KEY, signed(said, &fresh_key(), "key-2")),
        ("no token at all", "a.b".into()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn h36_a_forged_token_is_refused_and_the_issuer_is_not_asked_for_each() {
    let aws = Aws::start().await;
    let rig = rig(aws.url()).await;
    let key = WorkerKey::generate().expect("a key");
    for number in 0..forged(&json!({})).len() {
        let made = waiting(&rig).await;
        let nonce = rig.hello(made.attempt).await.expect("a nonce");
        let said = claims(&Aws::task_role(), &audience(&rig, &nonce, &key));
        let (what, token) = forged(&said).swap_remove(number);
        let status = rig.enrolment().enrol(with_token(&made, &key, &nonce, token)).await.expect_err(what);
        if what == UNKNOWN_KEY {
            // It might be a new one: whoever brings it is asked to come again, and is refused when the issuer was asked again.
            assert_eq!(status.code(), Code::Unavailable, "{what}");
            continue;
        }
        assert_eq!(status.code(), Code::PermissionDenied, "{what}");
        is_burnt(&rig, &made, what).await;
    }
    assert_eq!(aws.keys_asked(), 1, "a name that was made up asks for nothing within seconds");
}

/// The issuer is asked twice, some seconds apart; then its word counts, whatever name each try makes up.
#[tokio::test(flavor = "multi_thread")]
async fn h36_a_key_that_the_issuer_never_has_is_refused_at_the_second_look_and_the_ticket_burns() {
    let aws = Aws::start().await;
    let rig = rig(aws.url()).await;
    let key = WorkerKey::generate().expect("a key");
    let made = waiting(&rig).await;
    let (mut tries, mut last) = (0, Code::Unavailable);
    while last == Code::Unavailable && tries < 100 {
        let nonce = rig.hello(made.attempt).await.expect("a nonce");
        let said = claims(&Aws::task_role(), &audience(&rig, &nonce, &key));
        let token = signed(&said, &fresh_key(), &format!("key-made-up-{tries}"));
        let status = rig.enrolment().enrol(with_token(&made, &key, &nonce, token)).await.expect_err("unknown");
        last = status.code();
        assert!(tries > 0 || (last, aws.keys_asked()) == (Code::Unavailable, 1), "it may be a new one: {status}");
        tries += 1;
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!((last, aws.keys_asked()), (Code::PermissionDenied, 2), "after {tries} tries");
    is_burnt(&rig, &made, "signed with a key that the issuer never had").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t04_the_data_plane_chooses_the_proof_and_neither_stands_for_the_other() {
    let aws = Aws::start().await;
    let rig = rig(aws.url()).await;
    let key = WorkerKey::generate().expect("a key");
    let made = waiting(&rig).await;
    let nonce = rig.hello(made.attempt).await.expect("a nonce");
    let call = proof_of(&rig, &aws.keys_of(&Aws::task_role(), "s"), &nonce, &key);
    rig.enrolment().enrol(request(&made, &key, &nonce, &call)).await.expect_err("a signed call");
    is_burnt(&rig, &made, "a signed call where a token is asked for").await;

    let made = rig.attempt_on(("aws-ecs", &settings())).await;
    let nonce = rig.hello(made.attempt).await.expect("a nonce");
    let token = aws.token(&claims(&Aws::task_role(), &audience(&rig, &nonce, &key)));
    rig.enrolment().enrol(with_token(&made, &key, &nonce, token)).await.expect_err("a token");
    is_burnt(&rig, &made, "a token where a signed call is asked for").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_is_away_or_lies_fences_nobody_and_the_worker_may_come_again() {
    let aws = Aws::start().await;
    let there = HeaderMap::from_iter([(axum::http::header::LOCATION, aws.url().parse().expect("a value"))]);
    for (what, issuer) in [
        ("away", "http://127.0.0.1:1".to_owned()),
        ("an error", lying(StatusCode::SERVICE_UNAVAILABLE, HeaderMap::new(), String::new()).await),
        ("a redirect", lying(StatusCode::TEMPORARY_REDIRECT, there, String::new()).await),
        ("a flood", lying(StatusCode::OK, HeaderMap::new(), " ".repeat(1 << 20)).await),
        ("no keys", lying(StatusCode::OK, HeaderMap::new(), "{\"keys\": 1}".into()).await),
    ] {
        let rig = rig(issuer).await;
        let made = waiting(&rig).await;
        let key = WorkerKey::generate().expect("a key");
        let nonce = rig.hello(made.attempt).await.expect("a nonce");
        let token = aws.token(&claims(&Aws::task_role(), &audience(&rig, &nonce, &key)));
        let status = rig.enrolment().enrol(with_token(&made, &key, &nonce, token)).await.expect_err(what);
        assert_eq!(status.code(), Code::Unavailable, "{what}");
        assert!(rig.row(&made).await.fenced_at.is_none(), "{what}");
        rig.hello(made.attempt).await.expect("a new nonce");
    }
    assert_eq!(aws.keys_asked(), 0, "no redirect was followed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_of_the_issuer_is_found_within_seconds_and_fences_nobody() {
    let aws = Aws::start().await;
    let rig = rig(aws.url()).await;
    let key = WorkerKey::generate().expect("a key");
    for name in [KEY_NAME, "key-2"] {
        aws.replace_issuer_key(name);
        let made = waiting(&rig).await;
        let (mut tries, mut last) = (0, None);
        while last.as_ref().is_none_or(|code| *code == Code::Unavailable) && tries < 100 {
            let nonce = rig.hello(made.attempt).await.expect("a nonce");
            let token = aws.token(&claims(&Aws::task_role(), &audience(&rig, &nonce, &key)));
            let answer = rig.enrolment().enrol(with_token(&made, &key, &nonce, token)).await;
            last = Some(answer.err().map_or(Code::Ok, |status| status.code()));
            tries += 1;
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        assert_eq!(last, Some(Code::Ok), "{name} after {tries} tries");
        assert!(rig.row(&made).await.fenced_at.is_none());
    }
    assert_eq!(aws.keys_asked(), 2, "once for each key");
}

/// Issuers behind one address: the one of this name never answers.
async fn issuers(aws: &Aws, hangs: &'static str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let keys = format!("{}/.well-known/jwks.json", aws.url());
    let answer = move |headers: HeaderMap| async move {
        if headers["host"].to_str().is_ok_and(|host| hangs.ends_with(host)) {
            std::future::pending::<()>().await;
        }
        reqwest::get(keys).await.expect("keys").bytes().await.expect("keys")
    };
    let router = axum::Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await.expect("serves") });
    format!("http://{address}")
}

/// One organization's issuer hangs; a worker of another one is let in meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_hangs_holds_up_nobody_elses_workers() {
    const HANGS: &str = "https://0bad.tokens.sts.global.api.aws";
    let aws = Aws::start().await;
    let issuer = Some(issuers(&aws, HANGS).await);
    let rig = Rig::start_with(Options { sts: Some(aws.url()), issuer, ..Options::default() }).await;
    let (held, made) = (waiting_on(&rig, HANGS).await, waiting(&rig).await);
    let keys = [WorkerKey::generate().expect("a key"), WorkerKey::generate().expect("a key")];
    let nonces = [rig.hello(held.attempt).await.expect("a nonce"), rig.hello(made.attempt).await.expect("a nonce")];
    let mut said = claims(&Aws::task_role(), &audience(&rig, &nonces[0], &keys[0]));
    said["iss"] = HANGS.into();
    let (mut first, mut second) = (rig.enrolment(), rig.enrolment());
    let waits = first.enrol(with_token(&held, &keys[0], &nonces[0], aws.token(&said)));
    let token = aws.token(&claims(&Aws::task_role(), &audience(&rig, &nonces[1], &keys[1])));
    let enrols = second.enrol(with_token(&made, &keys[1], &nonces[1], token));
    tokio::pin!(waits);
    tokio::select! {
        biased;
        answer = &mut waits => panic!("the issuer that hangs answered: {answer:?}"),
        answer = enrols => { answer.expect("enrolled meanwhile"); }
    }
    assert_eq!(waits.await.expect_err("not now").code(), Code::Unavailable);
}
