//! Tokens: a service account's key, the machine's own service account, and a federation, each through the real worker. The
//! store behind TLS takes one token only; who gave it for what is ours to see.

use std::path::{Path, PathBuf};
use std::process::Output;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokio::process::Command;
use waybill_tests::binaries::binary;
use waybill_tests::services::gcs::BUCKET;
use waybill_tests::services::gcs::own::OwnGcs;

use crate::postgres::tls::{authority, leaf};
use crate::remote::giver::{Giver, Said, acceptor, door};
use crate::remote::once::rows;

const TOKEN: &str = "ya29.the-stores-token";
const FEDERATED: &str = "ya29.a-federated-token";
const ACCOUNT: &str = "worker@example-1.iam.gserviceaccount.com";

/// As the service answers: a key's assertion, a machine's word, a federation and an impersonation.
fn say(asked: &str) -> Said {
    let given = |token: &str| (200, json!({"access_token": token, "expires_in": 3599, "token_type": "Bearer"}));
    if asked.contains("subject_token=a-clusters-word&") || asked.ends_with("subject_token=a-clusters-word") {
        given(FEDERATED)
    } else if asked.contains(":generateAccessToken ") && asked.contains(&format!("Bearer {FEDERATED}")) {
        (200, json!({"accessToken": TOKEN, "expireTime": "2030-01-01T00:00:00Z"}))
    } else if claims(asked).is_some_and(|claims| claims["iss"] == ACCOUNT) || asked.starts_with("GET /computeMetadata/")
    {
        given(TOKEN)
    } else {
        (400, json!({"error": "invalid_grant", "error_description": "Invalid grant: account not found"}))
    }
}

/// What an assertion claims.
fn claims(asked: &str) -> Option<Value> {
    let (_, assertion) = asked.split_once("assertion=")?;
    let claims = URL_SAFE_NO_PAD.decode(assertion.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&claims).ok()
}

/// A store behind TLS and somebody who gives tokens, both vouched for by one authority.
struct World {
    server: OwnGcs,
    endpoint: String,
    giver: Giver,
    trust: PathBuf,
    dir: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let authority = authority();
        let (certificate, key) = leaf(&authority, &["127.0.0.1", "localhost"], false);
        let trust = dir.path().join("ca.pem");
        std::fs::write(&trust, &authority.pem).expect("write");
        let server = OwnGcs::start().await;
        server.wants(TOKEN);
        let tls = acceptor(&certificate, &key);
        let endpoint = format!("https://127.0.0.1:{}", door(tls.clone(), server.port()).await);
        let giver = Giver::start(Some(tls), say).await;
        rows(dir.path());
        Self { server, endpoint, giver, trust, dir }
    }

    /// A run with these keys on the connection and these variables around the worker.
    async fn run(&self, keys: &str, variables: &[(&str, String)]) -> Output {
        let spec = format!(
            "waybill: 1\nconnections:\n  shop: {{ type: sqlite, path: {}/shop.db }}\n  lake: {{ type: gcs, bucket: {BUCKET}, \
             prefix: raw, endpoint: \"{}\"{keys} }}\npipelines:\n  p:\n    from: shop\n    to: lake\n    streams:\n      t: \
             {{ load: full, verify-count: true }}\n",
            self.dir.path().display(),
            self.endpoint
        );
        std::fs::write(self.dir.path().join("spec.yaml"), spec).expect("write the spec");
        let mut worker = Command::new(binary("waybill-worker"));
        worker.args(["once", "--memory", "128MiB", "--json", "--spec"]).arg(self.dir.path().join("spec.yaml"));
        worker.env_clear().env("SSL_CERT_FILE", &self.trust).kill_on_drop(true);
        worker.envs(variables.iter().map(|(name, value)| (*name, value))).output().await.expect("run the worker")
    }

    async fn delivers(&self, keys: &str, variables: &[(&str, String)]) {
        let output = self.run(keys, variables).await;
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
        assert_eq!((&report["streams"][0]["rows"], &report["streams"][0]["grade"]), (&json!(5000), &json!("verified")));
        assert!(self.server.names().iter().any(|name| name.starts_with("raw/t/_delta_log/")));
    }

    async fn is_refused(&self, keys: &str, variables: &[(&str, String)], with: &str) -> String {
        let output = self.run(keys, variables).await;
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.code() != Some(0) && said.contains(with), "{said}");
        assert!(self.server.names().is_empty(), "{said}");
        said
    }
}

/// The key file of a service account.
fn key(account: &str, port: u16) -> String {
    let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
    let der: Pkcs8V1Der<'_> = pair.as_der().expect("DER");
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64.encode(der.as_ref()));
    json!({"type": "service_account", "project_id": "example-1", "private_key_id": "k1", "private_key": pem,
        "client_email": account, "token_uri": format!("https://127.0.0.1:{port}/token")})
    .to_string()
}

/// What Google's tools write for an identity that somebody else vouches for.
fn federation(dir: &Path, port: u16) -> String {
    let word = dir.join("word");
    std::fs::write(&word, "a-clusters-word\n").expect("write");
    let file = dir.join("federation.json");
    let text = json!({"type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/waybill/providers/cluster",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("https://127.0.0.1:{port}/v1/token"),
        "service_account_impersonation_url":
            format!("https://127.0.0.1:{port}/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken"),
        "credential_source": {"file": word}});
    std::fs::write(&file, text.to_string()).expect("write");
    file.display().to_string()
}

const KEY: &str = ", service-account: \"env://LAKE_KEY\"";

#[tokio::test(flavor = "multi_thread")]
async fn a_service_accounts_key_writes_to_google_and_another_is_bucket_denied_at_once() {
    let world = World::start().await;
    let other = [("LAKE_KEY", key("other@example-1.iam.gserviceaccount.com", world.giver.port))];
    let said = world.is_refused(KEY, &other, "bucket_denied").await;
    assert!(said.contains("400 no token was given, invalid_grant") && !said.contains("PRIVATE"), "{said}");
    // One question of each call that the run made: it opened the table, and left its log. No refusal is asked for again.
    let before = world.giver.asked().len();
    assert!(before <= 2, "asked {before} times");
    world.delivers(KEY, &[("LAKE_KEY", key(ACCOUNT, world.giver.port))]).await;
    let asked = world.giver.asked();
    assert_eq!(asked.len(), before + 1, "a token counts until it ends");
    let claims = claims(&asked[before]).expect("an assertion");
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/devstorage.read_write");
    assert_eq!(claims["aud"], format!("https://127.0.0.1:{}/token", world.giver.port));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machines_own_service_account_writes_to_google() {
    let (world, machine) = (World::start().await, Giver::start(None, say).await);
    world.delivers("", &[("GCE_METADATA_HOST", format!("127.0.0.1:{}", machine.port))]).await;
    let asked = machine.asked();
    assert!(asked.len() == 1 && asked[0].to_lowercase().contains("metadata-flavor: google"), "{asked:?}");
    assert!(asked[0].starts_with("GET /computeMetadata/v1/instance/service-accounts/default/token "), "{}", asked[0]);
    assert!(world.giver.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_federated_word_writes_to_google_as_the_service_account_that_it_stands_for() {
    let world = World::start().await;
    let file = federation(world.dir.path(), world.giver.port);
    world.delivers("", &[("GOOGLE_APPLICATION_CREDENTIALS", file)]).await;
    let asked = world.giver.asked();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked[0].contains("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange"), "{}", asked[0]);
    assert!(asked[1].contains("devstorage.read_write"), "{}", asked[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_googles_is_sent_over_tls_only() {
    let mut world = World::start().await;
    world.endpoint = world.server.endpoint();
    let key = [("LAKE_KEY", key(ACCOUNT, world.giver.port))];
    world.is_refused(KEY, &key, "`endpoint` needs https").await;
    world.endpoint = format!("https://127.0.0.1:{}", world.server.port());
    let plain = [("LAKE_KEY", key[0].1.replace("https://", "http://"))];
    world.is_refused(KEY, &plain, "tokens are asked for over https only").await;
    assert!(world.giver.asked().is_empty());
}
