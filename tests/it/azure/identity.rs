//! Tokens instead of keys: the worker's own identity, a federated one, and an application's secret, each through the real
//! worker. Azurite checks issuer, audience and times of a token; who gave it is ours to see.

use std::path::PathBuf;
use std::process::Output;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::process::Command;
use waybill_tests::binaries::binary;
use waybill_tests::services::azurite::{ACCOUNT, Azurite, CONTAINER};

use crate::postgres::tls::{authority, leaf};
use crate::remote::giver::{Giver, Said, acceptor};
use crate::remote::once::rows;

const TENANT: &str = "11111111-1111-1111-1111-111111111111";
const CLIENT: &str = "22222222-2222-2222-2222-222222222222";
const SECRET: &str = "an-applications-secret";

fn say(asked: &str) -> Said {
    let is_known = !asked.contains("client_secret=") || asked.contains(&format!("client_secret={SECRET}&"));
    if is_known { (200, given()) } else { (401, refused()) }
}

/// What a managed identity's and what the directory's answer is made of.
fn given() -> Value {
    let now = chrono::Utc::now().timestamp();
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({"iss": format!("https://sts.windows.net/{TENANT}/"), "aud": "https://storage.azure.com",
        "nbf": now - 60, "iat": now - 60, "exp": now + 3600});
    let token = format!("{}.{}.{}", part(json!({"alg": "RS256", "typ": "JWT"})), part(claims), part(json!("unsigned")));
    json!({"access_token": token, "token_type": "Bearer", "resource": "https://storage.azure.com",
        "expires_on": (now + 3600).to_string(), "expires_in": 3600, "ext_expires_in": 3600})
}

fn refused() -> Value {
    json!({"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided.",
        "error_codes": [7_000_215], "timestamp": "", "trace_id": "", "correlation_id": "", "error_uri": ""})
}

/// A store and a directory that one authority vouches for.
struct World {
    server: Azurite,
    directory: Giver,
    trust: PathBuf,
    dir: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let authority = authority();
        let (certificate, key) = leaf(&authority, &["127.0.0.1", "localhost"], false);
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).expect("write");
            path
        };
        let trust = file("ca.pem", &authority.pem);
        let server = Azurite::with_tokens(&file("server.pem", &certificate), &file("server.key", &key), &trust).await;
        let directory = Giver::start(Some(acceptor(&certificate, &key)), say).await;
        rows(dir.path());
        Self { server, directory, trust, dir }
    }

    /// A run with these keys on the connection and these variables around the worker.
    async fn run(&self, keys: &str, variables: &[(&str, String)]) -> Output {
        let spec = format!(
            "waybill: 1\nconnections:\n  shop: {{ type: sqlite, path: {}/shop.db }}\n  lake: {{ type: azure, account: \
             {ACCOUNT}, container: {CONTAINER}, prefix: raw, endpoint: \"{}\"{keys} }}\npipelines:\n  p:\n    from: \
             shop\n    to: lake\n    streams:\n      t: {{ load: full, verify-count: true }}\n",
            self.dir.path().display(),
            self.server.endpoint()
        );
        std::fs::write(self.dir.path().join("spec.yaml"), spec).expect("write the spec");
        let mut worker = Command::new(binary("waybill-worker"));
        worker.args(["once", "--memory", "128MiB", "--json", "--spec"]).arg(self.dir.path().join("spec.yaml"));
        worker.env_clear().env("SSL_CERT_FILE", &self.trust).kill_on_drop(true);
        worker.env("AZURE_AUTHORITY_HOST", format!("https://127.0.0.1:{}", self.directory.port));
        worker.envs(variables.iter().map(|(name, value)| (*name, value))).output().await.expect("run the worker")
    }

    async fn delivers(&self, keys: &str, variables: &[(&str, String)]) {
        let output = self.run(keys, variables).await;
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
        assert_eq!((&report["streams"][0]["rows"], &report["streams"][0]["grade"]), (&json!(5000), &json!("verified")));
    }
}

fn variable(name: &'static str, value: impl Into<String>) -> (&'static str, String) {
    (name, value.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workers_managed_identity_writes_to_azure() {
    let (world, machine) = (World::start().await, Giver::start(None, say).await);
    let address = format!("http://127.0.0.1:{}/token", machine.port);
    let variables = [variable("IDENTITY_ENDPOINT", address), variable("IDENTITY_HEADER", "a-machines-word")];
    world.delivers(&format!(", client: {CLIENT}"), &variables).await;
    let asked = machine.asked();
    assert!(!asked.is_empty() && asked.len() < 4, "a token counts until it ends: asked {} times", asked.len());
    assert!(asked[0].contains("resource=https%3A%2F%2Fstorage.azure.com&"), "{}", asked[0]);
    assert!(asked[0].contains(&format!("client_id={CLIENT}")) && asked[0].contains("a-machines-word"), "{}", asked[0]);
    assert!(world.directory.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workers_federated_token_writes_to_azure() {
    let world = World::start().await;
    let token = world.dir.path().join("token");
    std::fs::write(&token, "a-clusters-word").expect("write");
    let variables = [
        variable("AZURE_FEDERATED_TOKEN_FILE", token.display().to_string()),
        variable("AZURE_TENANT_ID", TENANT),
        variable("AZURE_CLIENT_ID", CLIENT),
    ];
    world.delivers("", &variables).await;
    let asked = world.directory.asked();
    assert!(asked[0].starts_with(&format!("POST /{TENANT}/oauth2/v2.0/token ")), "{}", asked[0]);
    assert!(asked[0].contains("client_assertion=a-clusters-word") && asked[0].contains(CLIENT), "{}", asked[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_applications_secret_writes_to_azure_and_a_wrong_one_is_bucket_denied_at_once() {
    let world = World::start().await;
    let keys = format!(", tenant: {TENANT}, client: {CLIENT}, client-secret: \"env://LAKE_SECRET\"");
    world.delivers(&keys, &[variable("LAKE_SECRET", SECRET)]).await;
    let before = world.directory.asked().len();
    let output = world.run(&keys, &[variable("LAKE_SECRET", "another-secret")]).await;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(output.status.code(), Some(10), "{said}");
    assert!(said.contains("bucket_denied") && said.contains("401 no token was given, 7000215"), "{said}");
    assert!(!said.contains("another-secret"), "{said}");
    // One question of each call that the run made: it opened the table, and left its log. No refusal is asked for again.
    assert!(world.directory.asked().len() <= before + 2, "asked {} times", world.directory.asked().len() - before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_sent_over_tls_only() {
    let (server, dir) = (Azurite::start().await, tempfile::tempdir().expect("dir"));
    rows(dir.path());
    let machine = Giver::start(None, say).await;
    let (directory, trust) = (Giver::start(None, say).await, dir.path().join("ca.pem"));
    std::fs::write(&trust, authority().pem).expect("write");
    let world = World { server, directory, trust, dir };
    let address = format!("http://127.0.0.1:{}/token", machine.port);
    let variables = [variable("IDENTITY_ENDPOINT", address), variable("IDENTITY_HEADER", "a-machines-word")];
    let output = world.run("", &variables).await;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.code() != Some(0) && said.contains("`endpoint` needs https"), "{said}");
    assert!(machine.asked().is_empty());
}
