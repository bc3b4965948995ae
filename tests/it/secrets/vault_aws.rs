//! The log-in by AWS role: OpenBao has no such method built in, so one stands before it that does what Vault's does. It sends the
//! signed request on to AWS, here an emulator that checks the signature, and gives a real token of OpenBao for who that names.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use waybill_tests::services::aws::{ACCOUNT, Emulator};
use waybill_tests::services::openbao::OpenBao;

use super::{Environment, Story};

const PASSWORD: &str = "right-horse-battery";
const SERVER_ID: &str = "vault.example";

struct Method {
    bao: OpenBao,
    aws: String,
    client: reqwest::Client,
    log_ins: AtomicUsize,
}

impl Method {
    /// Who the proof names, as AWS says.
    async fn caller(&self, proof: &Value) -> Option<String> {
        let text = |field: &str| {
            let bytes = BASE64.decode(proof[field].as_str()?).ok()?;
            String::from_utf8(bytes).ok()
        };
        if text("iam_request_url")? != "https://sts.amazonaws.com/" || proof["iam_http_request_method"] != "POST" {
            return None;
        }
        let headers: Value = serde_json::from_str(&text("iam_request_headers")?).ok()?;
        let signed = headers["authorization"][0].as_str()?.split("SignedHeaders=").nth(1)?.split(',').next()?;
        if headers["x-vault-aws-iam-server-id"][0] != SERVER_ID || !signed.contains("x-vault-aws-iam-server-id") {
            return None;
        }
        let mut request = self.client.post(&self.aws).body(text("iam_request_body")?);
        for (name, value) in headers.as_object()?.iter().filter(|(name, _)| *name != "content-length") {
            request = request.header(name, value[0].as_str()?);
        }
        let answer = request.send().await.ok()?;
        let is_ok = answer.status().is_success();
        let body = answer.text().await.ok()?;
        let arn = body.split("<Arn>").nth(1)?.split("</Arn>").next()?.to_owned();
        is_ok.then_some(arn)
    }
}

async fn log_in(State(method): State<Arc<Method>>, Json(proof): Json<Value>) -> (StatusCode, Json<Value>) {
    let caller = method.caller(&proof).await;
    if proof["role"] != "waybill" || caller != Some(format!("arn:aws:iam::{ACCOUNT}:user/worker")) {
        return (StatusCode::BAD_REQUEST, Json(json!({ "errors": ["no"] })));
    }
    method.log_ins.fetch_add(1, Ordering::SeqCst);
    let policies = json!({ "policies": ["worker"], "ttl": "5m" });
    (StatusCode::OK, Json(method.bao.root("POST", "auth/token/create", policies).await))
}

async fn pass_on(State(method): State<Arc<Method>>, uri: Uri, headers: HeaderMap) -> (StatusCode, String) {
    let request =
        method.client.get(format!("{}{uri}", method.bao.address())).header("x-vault-token", &headers["x-vault-token"]);
    let answer = request.send().await.expect("OpenBao");
    (answer.status(), answer.text().await.expect("a text"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_logs_in_at_vault_by_its_aws_role() {
    let aws = Emulator::start().expect("the emulator");
    let (story, bao) = tokio::join!(Story::with(PASSWORD), OpenBao::start());
    bao.put("shop", json!({ "password": PASSWORD })).await;
    let _ = bao.role("worker", &["shop"], json!({})).await;
    let nothing = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Deny", "Action": "s3:*", "Resource": "*" },
    ]});
    let (worker, other) = (aws.user("worker", &nothing), aws.user("other", &nothing));
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let method = Arc::new(Method { bao, aws: aws.endpoint(), client, log_ins: AtomicUsize::new(0) });
    let router = Router::new().route("/v1/auth/aws/login", post(log_in)).route("/v1/kv/{*path}", get(pass_on));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(axum::serve(listener, router.with_state(Arc::clone(&method))).into_future());
    let environment = |id: &str, secret: &str, server: &str| -> Environment {
        vec![
            ("VAULT_ADDR", address.clone()),
            ("WAYBILL_VAULT_AUTH", "aws".into()),
            ("WAYBILL_VAULT_ROLE", "waybill".into()),
            ("WAYBILL_VAULT_SERVER_ID", server.into()),
            ("AWS_ACCESS_KEY_ID", id.into()),
            ("AWS_SECRET_ACCESS_KEY", secret.into()),
        ]
    };
    let shop = "vault://kv/shop#password";
    story.delivered(shop, &environment(&worker.id, &worker.secret, SERVER_ID)).await;
    assert_eq!(method.log_ins.load(Ordering::SeqCst), 1);
    for refused in [
        environment(&worker.id, "wrong", SERVER_ID),
        environment(&other.id, &other.secret, SERVER_ID),
        environment(&worker.id, &worker.secret, "another.example"),
    ] {
        story.refused(shop, &refused, "secret_access_denied", &["the log-in at auth/aws was refused"]).await;
    }
    let none: Environment =
        environment("", "", SERVER_ID).into_iter().filter(|(name, _)| !name.contains("KEY")).collect();
    story.refused(shop, &none, "secret_access_denied", &["no AWS credentials"]).await;
    assert_eq!(method.log_ins.load(Ordering::SeqCst), 1, "nobody else got in");
}
