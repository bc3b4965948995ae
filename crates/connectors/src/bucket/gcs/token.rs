//! Tokens: fetched when the first request needs one, kept until shortly before they end.
//!
//! A token, a key and what is signed with it go to whoever gives tokens and to the service, over TLS, and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::header::HeaderValue;
use reqwest::{RequestBuilder, Response, Url};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;
use waybill_pipeline::Credential;
use zeroize::Zeroizing;

use super::super::remote::{Failed, Kind};
use super::credential::Federation;
use super::request::{WORDS, body, broke, pairs};
use crate::dial::Dialer;

/// All that a token is for.
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_write";
/// What the token is for by which another one is asked for.
const TO_IMPERSONATE: &str = "https://www.googleapis.com/auth/iam";
const ASSERTION: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
/// A token is not used in its last minutes. A machine's server gives the same one until five are left of it.
const EARLY: Duration = Duration::from_secs(4 * 60);
/// How long an assertion counts, in seconds.
const ASSERTED: i64 = 3600;

pub(super) const KEY_FORM: &str = "`service-account` is no key file of a service account: JSON text with type, client_email, \
     private_key and token_uri";

/// Whoever gives tokens.
pub(super) enum Giver {
    Nobody,
    Key(Arc<dyn Credential>),
    Machine { host: String },
    Federation(Federation),
}

/// A service account's key file.
#[derive(Deserialize)]
pub(super) struct Key {
    r#type: String,
    client_email: String,
    private_key: Zeroizing<String>,
    private_key_id: Option<String>,
    token_uri: String,
}

impl Key {
    pub(super) fn read(text: &str) -> Option<Self> {
        let key: Self = serde_json::from_str(text).ok()?;
        let fits = key.r#type == "service_account" && key.signer().is_some();
        fits.then_some(key)
    }

    fn signer(&self) -> Option<EncodingKey> {
        EncodingKey::from_rsa_pem(self.private_key.as_bytes()).ok()
    }

    /// What proves who asks.
    fn assertion(&self) -> Option<Zeroizing<String>> {
        let now = Utc::now().timestamp();
        let claims =
            Claims { iss: &self.client_email, scope: SCOPE, aud: &self.token_uri, iat: now, exp: now + ASSERTED };
        let header = Header { kid: self.private_key_id.clone(), ..Header::new(Algorithm::RS256) };
        jsonwebtoken::encode(&header, &claims, &self.signer()?).ok().map(Zeroizing::new)
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    scope: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

struct Held {
    bearer: HeaderValue,
    until: Instant,
}

/// The tokens of one identity.
pub(super) struct Tokens {
    giver: Giver,
    http: reqwest::Client,
    dialer: Dialer,
    held: Mutex<Option<Held>>,
}

#[derive(Deserialize)]
struct Given {
    access_token: Zeroizing<String>,
    #[serde(default)]
    expires_in: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Impersonated {
    access_token: Zeroizing<String>,
}

impl Tokens {
    pub(super) fn new(giver: Giver, http: reqwest::Client, dialer: Dialer) -> Self {
        Self { giver, http, dialer, held: Mutex::new(None) }
    }

    /// What a request carries; nothing where nobody logs in.
    pub(super) async fn bearer(&self, operation: &'static str) -> Result<Option<HeaderValue>, Failed> {
        if matches!(self.giver, Giver::Nobody) {
            return Ok(None);
        }
        let mut held = self.held.lock().await;
        if let Some(held) = held.as_ref().filter(|held| Instant::now() < held.until) {
            return Ok(Some(held.bearer.clone()));
        }
        let given = self.fetch(operation).await?;
        let text = Zeroizing::new(format!("Bearer {}", given.access_token.trim()));
        let mut bearer = HeaderValue::from_str(&text).map_err(|_| unusable(operation))?;
        bearer.set_sensitive(true);
        let until = Instant::now() + Duration::from_secs(given.expires_in).saturating_sub(EARLY);
        *held = Some(Held { bearer: bearer.clone(), until });
        Ok(Some(bearer))
    }

    /// The service did not take the token: the next request fetches another.
    pub(super) async fn forget(&self) {
        *self.held.lock().await = None;
    }

    async fn fetch(&self, operation: &'static str) -> Result<Given, Failed> {
        match &self.giver {
            Giver::Nobody => Err(unusable(operation)),
            Giver::Key(key) => self.by_key(operation, key.as_ref()).await,
            Giver::Federation(federation) => self.by_federation(operation, federation).await,
            Giver::Machine { host } => {
                let url = format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/token");
                self.ask(operation, self.http.get(url).header("metadata-flavor", "Google")).await
            }
        }
    }

    async fn by_key(&self, operation: &'static str, key: &dyn Credential) -> Result<Given, Failed> {
        let denied = |text| Failed::new(Kind::Denied, operation, text);
        let text = key.value().await.map_err(|_| denied("the service account's key can't be read any more"))?;
        let key = Key::read(&text).ok_or_else(|| denied(KEY_FORM))?;
        let assertion =
            key.assertion().ok_or_else(|| denied("nothing can be signed with the service account's key"))?;
        let form = [("grant_type", ASSERTION), ("assertion", assertion.as_str())];
        self.ask(operation, self.post(operation, &key.token_uri)?.body(pairs(&form))).await
    }

    async fn by_federation(&self, operation: &'static str, federation: &Federation) -> Result<Given, Failed> {
        let word = word(federation).await.ok_or_else(|| {
            let text = "the federated token can't be read from the file of `credential_source`";
            Failed::new(Kind::Denied, operation, text)
        })?;
        let to_impersonate = federation.service_account_impersonation_url.as_deref();
        let form = [
            ("grant_type", EXCHANGE),
            ("audience", &federation.audience),
            ("scope", if to_impersonate.is_some() { TO_IMPERSONATE } else { SCOPE }),
            ("requested_token_type", ACCESS),
            ("subject_token_type", &federation.subject_token_type),
            ("subject_token", &word),
        ];
        let given: Given = self.ask(operation, self.post(operation, &federation.token_url)?.body(pairs(&form))).await?;
        let Some(url) = to_impersonate else { return Ok(given) };
        let asked = json!({"scope": [SCOPE], "lifetime": format!("{ASSERTED}s")});
        let request =
            self.http.post(self.checked(operation, url)?).bearer_auth(given.access_token.as_str()).json(&asked);
        let Impersonated { access_token } = self.ask(operation, request).await?;
        Ok(Given { access_token, expires_in: ASSERTED.unsigned_abs() })
    }

    fn post(&self, operation: &'static str, url: &str) -> Result<RequestBuilder, Failed> {
        let request = self.http.post(self.checked(operation, url)?);
        Ok(request.header("content-type", "application/x-www-form-urlencoded"))
    }

    /// An address that a key file or a federation names: nothing is sent there without TLS, and the dialer has its say where it
    /// is no name.
    fn checked(&self, operation: &'static str, text: &str) -> Result<Url, Failed> {
        let url = Url::parse(text).ok().filter(|url| url.scheme() == "https" && url.username().is_empty());
        let (url, host) = url.and_then(|url| Some((url.clone(), url.host_str()?.to_owned()))).ok_or_else(|| {
            Failed::new(
                Kind::Denied,
                operation,
                "tokens are asked for over https only, which the credentials do not name",
            )
        })?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let denied = "whoever gives tokens is at an address that is not dialed";
        self.dialer.check(host).map(|_| url).map_err(|_| Failed::new(Kind::Forbidden, operation, denied))
    }

    async fn ask<T: for<'de> Deserialize<'de>>(&self, op: &'static str, request: RequestBuilder) -> Result<T, Failed> {
        let answer = request.send().await.map_err(|error| match broke(op, &error).kind {
            Kind::Forbidden => {
                Failed::new(Kind::Forbidden, op, "whoever gives tokens is at an address that is not dialed")
            }
            _ => Failed::new(
                Kind::Unreachable,
                op,
                "nobody gives a token for the worker's identity here: the connection could not be made or broke",
            ),
        })?;
        if answer.status().is_success() {
            let body = body(answer, WORDS).await.map(Zeroizing::new);
            return body.and_then(|body| serde_json::from_slice(&body).ok()).ok_or_else(|| unusable(op));
        }
        Err(refused(op, answer).await)
    }
}

/// Why there is no token. What is behind it may pass; a refusal does not.
async fn refused(operation: &'static str, answer: Response) -> Failed {
    let status = answer.status().as_u16();
    let kind = if status == 429 || status == 408 || status >= 500 { Kind::Unanswered } else { Kind::Denied };
    let said: Value = serde_json::from_slice(&body(answer, WORDS).await.unwrap_or_default()).unwrap_or_default();
    let code = said["error"].as_str().or_else(|| said["error"]["status"].as_str()).unwrap_or("without a code");
    Failed::answered(kind, operation, status, &format!("no token was given, {code}"))
}

fn unusable(operation: &'static str) -> Failed {
    Failed::new(Kind::Unanswered, operation, "a token that can't be used")
}

/// The word of whoever vouches for the worker, read anew for each token.
async fn word(federation: &Federation) -> Option<Zeroizing<String>> {
    let source = &federation.credential_source;
    let text = Zeroizing::new(tokio::fs::read_to_string(source.file.as_ref()?).await.ok()?);
    let Some(field) = &source.format.subject_token_field_name else {
        return Some(Zeroizing::new(text.trim().to_owned()));
    };
    let said: Value = serde_json::from_str(&text).ok()?;
    Some(Zeroizing::new(said.get(field)?.as_str()?.to_owned()))
}

#[cfg(test)]
pub(super) mod tests {
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::KeyPair as _;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use jsonwebtoken::{DecodingKey, Validation};

    use super::*;

    fn made(token_uri: &str) -> (KeyPair, String) {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let der: Pkcs8V1Der<'_> = pair.as_der().expect("DER");
        let der = BASE64.encode(der.as_ref());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{der}\n-----END PRIVATE KEY-----\n");
        let file = json!({"type": "service_account", "client_email": "worker@example.iam.gserviceaccount.com",
            "private_key_id": "k1", "private_key": pem, "token_uri": token_uri, "project_id": "example"});
        (pair, file.to_string())
    }

    /// A key file whose tokens are given at this address.
    pub(in crate::bucket::gcs) fn key(token_uri: &str) -> String {
        made(token_uri).1
    }

    #[test]
    fn an_assertion_is_signed_with_the_key_and_says_what_for() {
        let (pair, file) = made("https://oauth2.example/token");
        let key = Key::read(&file).expect("a key");
        let assertion = key.assertion().expect("an assertion");
        let mut wanted = Validation::new(Algorithm::RS256);
        wanted.set_audience(&["https://oauth2.example/token"]);
        let public = DecodingKey::from_rsa_der(pair.public_key().as_ref());
        let read = jsonwebtoken::decode::<Value>(&*assertion, &public, &wanted).expect("a signature that holds");
        assert_eq!(read.header.kid.as_deref(), Some("k1"));
        assert_eq!((&read.claims["iss"], &read.claims["scope"]), (&json!(key.client_email), &json!(SCOPE)));
        assert_eq!(read.claims["exp"].as_i64(), read.claims["iat"].as_i64().map(|at| at + 3600));
    }

    #[test]
    fn only_a_service_accounts_key_is_taken_for_one() {
        let file = key("https://oauth2.example/token");
        assert!(Key::read(&file).is_some());
        for (part, other) in [("service_account", "external_account"), ("-----BEGIN", "BEGIN"), ("token_uri", "uri")] {
            assert!(Key::read(&file.replace(part, other)).is_none(), "{part}");
        }
    }
}
