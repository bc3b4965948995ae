//! The typed HTTP client: trusts one CA, keeps a login fresh, and turns every refusal into its problem.
//!
//! It never follows redirects, never sends a token anywhere but to its own base address, and never puts one into a URL.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use waybill_model::id::RequestId;

use crate::account::{RefreshRequest, Tokens};
use crate::problem::{Problem, ProblemCode};

mod agent;
pub mod live;
mod operations;
mod people;
pub mod query;
mod trail;

pub use query::{AccessQuery, AuditQuery, EventQuery, ListQuery, PolicyQuery, RunQuery, TrailQuery};

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server refused it; the problem says why and what to do next.
    #[error("{}", .0.detail.as_deref().unwrap_or(&.0.title))]
    Refused(Box<Problem>),
    /// No connection, or it broke.
    #[error("the orchestrator can't be reached")]
    Unreachable(#[source] reqwest::Error),
    /// Something answered that does not speak this API.
    #[error("the answer is not one of this API (status {status})")]
    Foreign {
        /// Its HTTP status.
        status: u16,
    },
    /// The base address or the CA can't be used.
    #[error("{0}")]
    Unusable(&'static str),
}

impl ClientError {
    /// The problem, where the server refused.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) => Some(problem),
            _ => None,
        }
    }

    /// The problem's code, where this version knows it.
    #[must_use]
    pub fn code(&self) -> Option<ProblemCode> {
        self.problem().and_then(|problem| ProblemCode::read(&problem.code))
    }
}

/// What a call gives.
pub type ClientResult<T> = Result<T, ClientError>;

/// An object with the tag that a change of it must name.
#[derive(Clone, Debug)]
pub struct Tagged<T> {
    /// The object.
    pub value: T,
    /// Its `ETag`.
    pub etag: String,
}

/// Whom the client trusts to be the orchestrator.
pub enum Trust<'a> {
    /// Only certificates of this CA, PEM. Nothing else, not even the system's roots.
    Pinned(&'a [u8]),
    /// The system's roots.
    System,
}

/// Where a login is kept, shared with whoever else goes on with it. A refresh token that is used twice ends the session,
/// so it is exchanged by one alone, who first looks whether another has done it.
pub trait Keeper: Send + Sync {
    /// Held until the new tokens are kept; waits while another holds it. Says what to do where it can't be had.
    fn alone(&self) -> Result<Box<dyn Send>, &'static str>;
    /// The tokens that are kept now, where the login has not been ended.
    fn kept(&self) -> Option<Tokens>;
    /// Keeps new tokens, before they are used.
    fn keep(&self, tokens: &Tokens);
}

/// A client of one orchestrator.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Arc<str>,
    session: Arc<Mutex<Option<Session>>>,
    refreshing: Arc<tokio::sync::Mutex<()>>,
    keeper: Option<Arc<dyn Keeper>>,
}

#[derive(Clone)]
struct Session {
    tokens: Tokens,
    /// None where it is not known when the access token was made.
    stale_at: Option<Instant>,
}

impl Session {
    fn of(tokens: Tokens, fresh: bool) -> Self {
        let half = Duration::from_millis(tokens.access_expires_in_ms / 2);
        Self { tokens, stale_at: fresh.then(|| Instant::now() + half) }
    }
}

impl Client {
    /// A client of the orchestrator at `base`, such as `https://127.0.0.1:7443`. Opens no connection yet.
    pub fn new(base: &str, trust: &Trust<'_>) -> ClientResult<Self> {
        if !base.starts_with("https://") {
            return Err(ClientError::Unusable("the orchestrator's address begins with https://"));
        }
        let mut http = reqwest::Client::builder()
            .https_only(true)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .user_agent(concat!("waybill/", env!("CARGO_PKG_VERSION")));
        if let Trust::Pinned(pem) = trust {
            let roots = reqwest::Certificate::from_pem_bundle(pem).unwrap_or_default();
            if roots.is_empty() {
                return Err(ClientError::Unusable("the CA file holds no PEM certificate"));
            }
            http = http.tls_certs_only(roots);
        }
        Ok(Self {
            http: http.build().map_err(ClientError::Unreachable)?,
            base: base.trim_end_matches('/').into(),
            session: Arc::default(),
            refreshing: Arc::default(),
            keeper: None,
        })
    }

    /// Goes on with the tokens of an earlier login.
    #[must_use]
    pub fn with_tokens(self, tokens: Tokens) -> Self {
        self.set_session(Some(Session::of(tokens, false)));
        self
    }

    /// Keeps every new pair of tokens there, and finds there what another has renewed.
    #[must_use]
    pub fn kept_by(mut self, keeper: impl Keeper + 'static) -> Self {
        self.keeper = Some(Arc::new(keeper));
        self
    }

    /// The tokens of the present login.
    #[must_use]
    pub fn tokens(&self) -> Option<Tokens> {
        self.session().map(|session| session.tokens)
    }

    fn session(&self) -> Option<Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_session(&self, session: Option<Session>) {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = session;
    }

    fn adopt(&self, tokens: Tokens) -> Tokens {
        if let Some(keeper) = &self.keeper {
            keeper.keep(&tokens);
        }
        self.set_session(Some(Session::of(tokens.clone(), true)));
        tokens
    }

    /// Exchanges the refresh token, once even where several calls find the access token stale.
    async fn refresh(&self, stale: &Tokens) -> ClientResult<()> {
        let _one = self.refreshing.lock().await;
        match self.session() {
            Some(now) if now.tokens.refresh_token.reveal() != stale.refresh_token.reveal() => return Ok(()),
            Some(_) => {}
            None => return Err(ClientError::Refused(Box::new(ProblemCode::TokenInvalid.problem()))),
        }
        let _alone = match &self.keeper {
            Some(keeper) => {
                let alone = alone(keeper).await?;
                if let Some(newer) =
                    keeper.kept().filter(|kept| *kept.refresh_token.reveal() != *stale.refresh_token.reveal())
                {
                    self.set_session(Some(Session::of(newer, false)));
                    return Ok(());
                }
                Some(alone)
            }
            None => None,
        };
        let body = RefreshRequest { refresh_token: stale.refresh_token.clone() };
        let tokens: ClientResult<Tokens> = self.public("/v1/refresh", &body).await;
        if tokens.as_ref().err().and_then(ClientError::code) == Some(ProblemCode::TokenInvalid) {
            self.set_session(None);
        }
        self.adopt(tokens?);
        Ok(())
    }

    /// A POST without a login.
    async fn public<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> ClientResult<T> {
        let request = self.http.post(format!("{}{path}", self.base)).json(body).timeout(CALL);
        read(request.send().await.map_err(ClientError::Unreachable)?).await
    }

    /// Sends a request with the access token; a stale one is refreshed first, a refused one once.
    async fn send(&self, build: impl Fn() -> RequestBuilder) -> ClientResult<Response> {
        if let Some(session) = self.session()
            && session.stale_at.is_some_and(|stale| stale <= Instant::now())
        {
            self.refresh(&session.tokens).await?;
        }
        let used = self.tokens();
        let answer = self.authorized(&build, used.as_ref()).await?;
        if answer.status() == StatusCode::UNAUTHORIZED
            && let Some(used) = used
        {
            self.refresh(&used).await?;
            return accept(self.authorized(&build, self.tokens().as_ref()).await?).await;
        }
        accept(answer).await
    }

    async fn authorized(&self, build: &impl Fn() -> RequestBuilder, tokens: Option<&Tokens>) -> ClientResult<Response> {
        let mut request = build();
        if let Some(tokens) = tokens {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", tokens.access_token.reveal()))
                .map_err(|_| ClientError::Unusable("the stored login is damaged: log in again"))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        request.send().await.map_err(ClientError::Unreachable)
    }

    fn request(&self, method: &Method, path: &str) -> RequestBuilder {
        self.http.request(method.clone(), format!("{}{path}", self.base))
    }

    /// Reads `path` with a query.
    async fn get<T: DeserializeOwned>(&self, path: &str, query: &impl Serialize) -> ClientResult<T> {
        read(self.send(|| self.request(&Method::GET, path).query(query).timeout(CALL)).await?).await
    }

    /// Reads one object with its tag.
    async fn get_tagged<T: DeserializeOwned>(&self, path: &str) -> ClientResult<Tagged<T>> {
        let answer = self.send(|| self.request(&Method::GET, path).timeout(CALL)).await?;
        let etag = tag(&answer);
        Ok(Tagged { value: read(answer).await?, etag })
    }

    /// Makes something, with an idempotency key of its own.
    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> ClientResult<T> {
        let key = RequestId::generate().to_string();
        let build = || self.request(&Method::POST, path).header("Idempotency-Key", &key).json(body).timeout(CALL);
        read(self.send(build).await?).await
    }

    /// Changes one object of which `etag` is the version that the caller read.
    async fn patch<T: DeserializeOwned>(&self, path: &str, etag: &str, body: &impl Serialize) -> ClientResult<T> {
        read(self.send(|| self.request(&Method::PATCH, path).header(IF_MATCH, etag).json(body).timeout(CALL)).await?)
            .await
    }

    /// Removes one object of which `etag` is the version that the caller read.
    async fn delete(&self, path: &str, etag: &str) -> ClientResult<()> {
        self.send(|| self.request(&Method::DELETE, path).header(IF_MATCH, etag).timeout(CALL)).await.map(drop)
    }

    /// The version of what is at a path now; none where nothing is there, or what is there can't be read so.
    async fn etag_of(&self, path: &str) -> ClientResult<Option<String>> {
        let path = path.split('?').next().unwrap_or(path);
        match self.send(|| self.request(&Method::GET, path).timeout(CALL)).await {
            Ok(answer) => Ok(answer.headers().get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned)),
            Err(ClientError::Refused(problem)) if [404, 405].contains(&problem.status) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Any request below `/v1`, for whoever needs an operation that has no method here. Gives the answer's text.
    /// What changes an object that is there names the version that it means: `etag`, or the one that is read just before.
    pub async fn raw(
        &self,
        method: &Method,
        path: &str,
        body: Option<&str>,
        etag: Option<&str>,
    ) -> ClientResult<String> {
        if !path.starts_with("/v1/") {
            return Err(ClientError::Unusable("the path begins with /v1/"));
        }
        let changes = [Method::PUT, Method::PATCH, Method::DELETE].contains(method);
        let seen = match etag {
            None if changes => self.etag_of(path).await?,
            given => given.map(str::to_owned),
        };
        let build = || {
            let request = self.request(method, path).timeout(CALL);
            let request = match (&seen, method) {
                (Some(etag), _) => request.header(IF_MATCH, etag),
                (None, &Method::PUT) => request.header(IF_NONE_MATCH, "*"),
                (None, _) => request,
            };
            match body {
                Some(body) => request.header(CONTENT_TYPE, "application/json").body(body.to_owned()),
                None => request,
            }
        };
        self.send(build).await?.text().await.map_err(ClientError::Unreachable)
    }
}

/// Waits for the keeper without holding up the runtime.
async fn alone(keeper: &Arc<dyn Keeper>) -> ClientResult<Box<dyn Send>> {
    let keeper = Arc::clone(keeper);
    let waited = tokio::task::spawn_blocking(move || keeper.alone()).await;
    waited.map_err(|_| ClientError::Unusable("the stored login can't be locked"))?.map_err(ClientError::Unusable)
}

/// Longest wait for one answer; live streams have none.
const CALL: Duration = Duration::from_secs(60);

fn tag(answer: &Response) -> String {
    answer.headers().get(ETAG).and_then(|tag| tag.to_str().ok()).unwrap_or_default().to_owned()
}

/// The answer, or the problem that it carries.
async fn accept(answer: Response) -> ClientResult<Response> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let body = answer.bytes().await.map_err(ClientError::Unreachable)?;
    let problem = serde_json::from_slice(&body).map_err(|_| ClientError::Foreign { status: status.as_u16() })?;
    Err(ClientError::Refused(problem))
}

async fn read<T: DeserializeOwned>(answer: Response) -> ClientResult<T> {
    let answer = accept(answer).await?;
    let status = answer.status().as_u16();
    let body = answer.bytes().await.map_err(ClientError::Unreachable)?;
    let body: &[u8] = if body.is_empty() { b"null" } else { &body };
    serde_json::from_slice(body).map_err(|_| ClientError::Foreign { status })
}
