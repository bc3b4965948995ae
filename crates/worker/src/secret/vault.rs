//! Secrets of a KV version 2 engine in Vault or OpenBao.
//!
//! One log-in serves a run; it is repeated when the server does not take its token any more. Of an answer that refuses
//! only its status is looked at.

mod login;
#[cfg(feature = "aws")]
mod proof;
mod settings;

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::{Client, Method, RequestBuilder};
use tokio::sync::{Mutex, OnceCell};
use waybill_connectors::dial::Dialer;
use waybill_model::secret::VaultSecret;
use zeroize::Zeroizing;

use self::settings::Settings;
use super::{Aws, Keeper, Problem, Secret, Servers, http, json};

/// What came is something else than what such an engine answers.
const NO_ENGINE: &str = "can't be read: the answer is no document of a KV engine of version 2";

/// A server, as the worker's own environment names it. Settings are read at the first use.
pub(super) struct Vault {
    server: OnceCell<Server>,
    token: Mutex<Option<Token>>,
    aws: Arc<Aws>,
    dialer: Dialer,
    servers: Servers,
}

/// Where to ask and how.
struct Server {
    settings: Settings,
    client: Client,
}

/// What a log-in gave. Clones are wiped each.
type Token = Zeroizing<String>;

impl Vault {
    pub(super) fn new(aws: Arc<Aws>, dialer: Dialer, servers: Servers) -> Self {
        Self { server: OnceCell::new(), token: Mutex::new(None), aws, dialer, servers }
    }

    async fn server(&self) -> Result<&Server, Problem> {
        if let Some(server) = self.server.get() {
            self.admit(&server.settings)?;
        }
        self.server.get_or_try_init(|| async { self.open(Settings::of_environment()?) }).await
    }

    /// Whether the server may be logged in at: asked each time, since a guard may get narrower.
    fn admit(&self, settings: &Settings) -> Result<(), Problem> {
        let (host, port) = settings.host();
        if self.servers.allow(host, port) {
            return Ok(());
        }
        Err(Problem::barred(format!("can't be read: the guard does not list {host}:{port} below network.endpoints")))
    }

    fn open(&self, settings: Settings) -> Result<Server, Problem> {
        self.admit(&settings)?;
        let (host, _) = settings.host();
        self.dialer.check(host).map_err(|error| Problem::barred(format!("can't be read: {error}")))?;
        let client = http::client(settings.roots.as_deref(), settings.is_local(), self.dialer.clone())?;
        Ok(Server { settings, client })
    }

    /// The run's token. One that was refused is replaced, unless another lane did so meanwhile.
    async fn token(&self, server: &Server, refused: Option<&Token>) -> Result<Token, Problem> {
        let mut held = self.token.lock().await;
        match &*held {
            Some(token) if refused != Some(token) => Ok(token.clone()),
            _ => {
                let token = login::log_in(server, &self.aws).await?;
                *held = Some(token.clone());
                Ok(token)
            }
        }
    }
}

#[async_trait]
impl Keeper<VaultSecret> for Vault {
    async fn fetch(&self, reference: &VaultSecret) -> Result<Secret, Problem> {
        let server = self.server().await?;
        let had_one = self.token.lock().await.is_some();
        let token = self.token(server, None).await?;
        let mut answer = server.read(reference, &token).await?;
        if matches!(answer.0, 401 | 403) && had_one {
            // The token may have ended in the meantime: a fresh one tells that from a missing right.
            let token = self.token(server, Some(&token)).await?;
            answer = server.read(reference, &token).await?;
        }
        match answer {
            (200, body) => Secret::of(json::pick(&body, &["data", "data", reference.key()], NO_ENGINE)?),
            (404, _) => Err(Problem::not_found("does not exist on the server, or this version of it was deleted")),
            (401 | 403, _) => Err(Problem::denied(format!(
                "is refused: the worker's policy needs read on {}/data/{}",
                reference.mount(),
                reference.path()
            ))),
            (status, _) => Err(unexpected(status)),
        }
    }
}

impl Server {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}v1/{path}", self.settings.address));
        let request = request.header("x-vault-request", "true");
        match &self.settings.namespace {
            Some(namespace) => request.header("x-vault-namespace", namespace.as_str()),
            None => request,
        }
    }

    async fn read(&self, reference: &VaultSecret, token: &Token) -> Result<(u16, Zeroizing<Vec<u8>>), Problem> {
        let mut path = format!("{}/data/{}", reference.mount(), reference.path());
        if let Some(version) = reference.version() {
            path += &format!("?version={version}");
        }
        let mut header = reqwest::header::HeaderValue::from_str(token)
            .map_err(|_| Problem::unusable("can't be read: the worker's token is none"))?;
        header.set_sensitive(true);
        http::exchange(self.request(Method::GET, &path).header("x-vault-token", header)).await
    }
}

/// A status that neither brings a secret nor refuses one.
fn unexpected(status: u16) -> Problem {
    match status {
        300..400 => Problem::unreachable(
            "can't be read: the server redirects, which is not followed; VAULT_ADDR must name the active server",
        ),
        503 => Problem::unreachable("can't be read: the server is sealed or not ready"),
        412 | 429 | 472 | 473 | 500.. => Problem::unreachable(format!("can't be read: the server answered {status}")),
        _ => Problem::unusable(format!("can't be read: the server answered {status}; is it a KV engine of version 2?")),
    }
}
