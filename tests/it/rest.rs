//! The orchestrator's program as others see it: over TLS, with nothing but what the API says, and by its command line.

use std::process::{Command, Output};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use waybill_tests::binaries::binary;
use waybill_tests::sandbox::{Options, Sandbox};

mod auth;
mod config;
mod keys;
mod requests;
mod retention;

const EMAIL: &str = "admin@example.com";
const PASSWORD: &str = "a long enough phrase for tests";

/// The API of a sandbox, spoken to by hand.
struct Door {
    http: Client,
    base: String,
    access: String,
    refresh: String,
}

struct Got {
    status: StatusCode,
    headers: reqwest::header::HeaderMap,
    bytes: Vec<u8>,
    body: Value,
}

impl Got {
    fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// What a request holds besides its method and path.
#[derive(Default)]
struct With<'a> {
    headers: &'a [(&'a str, &'a str)],
    body: Option<Vec<u8>>,
}

fn json_body(body: &Value) -> With<'static> {
    With { headers: &[("content-type", "application/json")], body: Some(body.to_string().into_bytes()) }
}

impl Door {
    /// Logged in as the sandbox's administrator, in a session of its own.
    async fn of(sandbox: &Sandbox) -> Self {
        let ca = std::fs::read(sandbox.path("state/ca.pem")).expect("the CA");
        let roots = reqwest::Certificate::from_pem_bundle(&ca).expect("certificates");
        let http = Client::builder().tls_certs_only(roots).build().expect("a client");
        let base = format!("https://{}", sandbox.ports().expect("ports").api);
        let mut door = Self { http, base, access: String::new(), refresh: String::new() };
        let got = door.login(PASSWORD).await;
        assert_eq!(got.status, StatusCode::OK, "{}", got.body);
        door.take(&got);
        door
    }

    fn take(&mut self, tokens: &Got) {
        let text = |name: &str| tokens.body[name].as_str().expect("a token").to_owned();
        (self.access, self.refresh) = (text("access_token"), text("refresh_token"));
    }

    async fn login(&self, password: &str) -> Got {
        self.open("/v1/login", &json!({ "email": EMAIL, "password": password })).await
    }

    async fn refreshed(&self, token: &str) -> Got {
        self.open("/v1/refresh", &json!({ "refresh_token": token })).await
    }

    /// A request without a login.
    async fn open(&self, path: &str, body: &Value) -> Got {
        self.send(Method::POST, path, None, json_body(body)).await
    }

    async fn get(&self, path: &str) -> Got {
        self.send(Method::GET, path, Some(&self.access), With::default()).await
    }

    async fn post(&self, path: &str, body: &Value) -> Got {
        self.send(Method::POST, path, Some(&self.access), json_body(body)).await
    }

    /// Who an access token says that its bearer is.
    async fn whoami(&self, access: &str) -> StatusCode {
        self.send(Method::GET, "/v1/whoami", Some(access), With::default()).await.status
    }

    async fn send(&self, method: Method, path: &str, access: Option<&str>, with: With<'_>) -> Got {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(access) = access {
            request = request.bearer_auth(access);
        }
        for (name, value) in with.headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = with.body {
            request = request.body(body);
        }
        let answer = request.send().await.expect("an answer");
        let (status, headers) = (answer.status(), answer.headers().clone());
        let bytes = answer.bytes().await.expect("a body").to_vec();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Got { status, headers, bytes, body }
    }
}

async fn sandbox() -> (Sandbox, Door) {
    with(&[]).await
}

/// A sandbox whose orchestrator has these settings.
async fn with(settings: &[(&str, &str)]) -> (Sandbox, Door) {
    let orchestrator = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let sandbox = Sandbox::start(Options { orchestrator, ..Options::default() }).await.expect("a product");
    let door = Door::of(&sandbox).await;
    (sandbox, door)
}

/// The orchestrator's program, to its end, with nothing of the caller's environment.
fn program(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(binary("waybill-orchestrator"));
    command.args(arguments).env_clear().envs(environment.iter().copied());
    command.output().expect("run the orchestrator")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}
