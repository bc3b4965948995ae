//! Tokens instead of keys: the worker's own identity, a federated one, and an application's secret, each through the real
//! worker. Azurite checks issuer, audience and times of a token; who gave it is ours to see.

use std::path::PathBuf;
use std::process::Output;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio_rustls::{TlsAcceptor, rustls};
use waybill_tests::binaries::binary;
use waybill_tests::services::azurite::{ACCOUNT, Azurite, CONTAINER};

use super::run::rows;
use crate::postgres::tls::{authority, leaf};

const TENANT: &str = "11111111-1111-1111-1111-111111111111";
const CLIENT: &str = "22222222-2222-2222-2222-222222222222";
const SECRET: &str = "an-applications-secret";

/// Who gives tokens, and what was asked of them.
struct Giver {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Giver {
    /// One that speaks TLS with this certificate, or plain HTTP as on a machine's own link.
    async fn start(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, seen) = (tls.clone(), Arc::clone(&seen));
                // A client that leaves is no concern of the giver's.
                tokio::spawn(async move { drop(serve(stream, tls, &seen).await) });
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("what was asked").clone()
    }
}

async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, seen: &Mutex<Vec<String>>) -> std::io::Result<()> {
    match tls {
        Some(tls) => answer(tls.accept(stream).await?, seen).await,
        None => answer(stream, seen).await,
    }
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin, seen: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            break;
        }
        head += &line;
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let asked = format!("{head}\n{}", String::from_utf8_lossy(&body));
    let is_known = !asked.contains("client_secret=") || asked.contains(&format!("client_secret={SECRET}&"));
    seen.lock().expect("what was asked").push(asked);
    let (status, said) = if is_known { ("200 OK", given()) } else { ("401 Unauthorized", refused()) };
    let said = said.to_string();
    let length = said.len();
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n");
    stream.write_all(format!("{head}connection: close\r\n\r\n{said}").as_bytes()).await?;
    stream.shutdown().await
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
        let directory = Giver::start(Some(acceptor(&certificate, &key))).await;
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

fn acceptor(certificate: &str, key: &str) -> TlsAcceptor {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
    let tls = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key);
    TlsAcceptor::from(Arc::new(tls.expect("a server")))
}

fn variable(name: &'static str, value: impl Into<String>) -> (&'static str, String) {
    (name, value.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workers_managed_identity_writes_to_azure() {
    let (world, machine) = (World::start().await, Giver::start(None).await);
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
    let machine = Giver::start(None).await;
    let (directory, trust) = (Giver::start(None).await, dir.path().join("ca.pem"));
    std::fs::write(&trust, authority().pem).expect("write");
    let world = World { server, directory, trust, dir };
    let address = format!("http://127.0.0.1:{}/token", machine.port);
    let variables = [variable("IDENTITY_ENDPOINT", address), variable("IDENTITY_HEADER", "a-machines-word")];
    let output = world.run("", &variables).await;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.code() != Some(0) && said.contains("`endpoint` needs https"), "{said}");
    assert!(machine.asked().is_empty());
}
