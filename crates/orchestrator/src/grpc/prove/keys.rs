//! Keys of the accounts' token issuers: asked for when a token names one that is not known, then kept for an hour.
//!
//! Only an issuer that a data plane names is asked, and only at the address that AWS gives to issuers; where its keys stand is
//! fixed, so that no document can point elsewhere.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, decode_header};
use waybill_identity::AttestationError;
use waybill_model::AttemptId;
use waybill_model::net::token_issuer_host;

use super::{Unproven, answer};

/// Where an issuer's keys stand, as AWS documents it.
const PATH: &str = "/.well-known/jwks.json";
/// Largest set of keys that is read.
const MOST: usize = 64 << 10;
/// How long keys are taken from memory.
const LIFE: Duration = Duration::from_secs(3600);
/// How soon an issuer is asked again, for a key that it did not have or after it gave no answer.
const PAUSE: Duration = Duration::from_secs(3);

/// What is known of one issuer.
#[derive(Default)]
struct Issuer {
    keys: Option<(JwkSet, Instant)>,
    /// When it gave no answer last.
    silent: Option<Instant>,
    /// For whom a key was looked for in vain, and when: one that it begins to use may show a little later. By attempt and not by
    /// the key's name, which whoever brings a token chooses.
    missed: HashMap<AttemptId, Instant>,
}

/// Why an issuer gave no keys: of its own, never what it said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IssuerError {
    /// It is none that AWS gives to accounts.
    #[error("it is no issuer of AWS")]
    Strange,
    /// There was no answer in time.
    #[error("it could not be reached")]
    Silent,
    /// It answered with this status, or with something else than keys.
    #[error("it answered {0} and no keys")]
    NoKeys(u16),
}

/// Asks issuers for their keys. One that hangs holds up only those who ask for it.
pub struct IssuerDoor {
    client: reqwest::Client,
    endpoint: Option<String>,
    known: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Issuer>>>>,
}

impl IssuerDoor {
    /// To each issuer itself, or to this endpoint in place of all.
    pub fn new(endpoint: Option<String>) -> Result<Self, reqwest::Error> {
        Ok(Self { client: answer::client()?, endpoint, known: Mutex::default() })
    }

    /// The issuer's key that this token, which came for an attempt, says it is signed with. Where the issuer does not have it when it
    /// is asked for that attempt again, the token is refused.
    pub(super) async fn key_of(&self, issuer: &str, token: &str, attempt: AttemptId) -> Result<DecodingKey, Unproven> {
        let refuse = |reason| Unproven::Refused(AttestationError(reason));
        let header = decode_header(token).map_err(|_| refuse("the token is not one"))?;
        let name = header.kid.ok_or_else(|| refuse("the token names no key"))?;
        let known =
            Arc::clone(self.known.lock().unwrap_or_else(PoisonError::into_inner).entry(issuer.to_owned()).or_default());
        // Held while asking, so that many workers that come at once make one call.
        let mut known = known.lock().await;
        let recent = |since: &Instant| since.elapsed() < PAUSE;
        let kept = known.keys.as_ref().filter(|(_, since)| since.elapsed() < LIFE);
        if let Some(key) = kept.and_then(|(keys, _)| keys.find(&name)) {
            return usable(key);
        }
        // A key that began to be used a moment ago is found a little later; so is an issuer that comes back.
        if known.keys.as_ref().is_some_and(|(_, since)| recent(since)) || known.silent.as_ref().is_some_and(recent) {
            return Err(Unproven::Unavailable);
        }
        match self.ask(issuer).await {
            Ok(keys) => {
                let key = keys.find(&name).map(usable);
                (known.keys, known.silent) = (Some((keys, Instant::now())), None);
                known.missed.retain(|_, since| since.elapsed() < LIFE);
                let Some(key) = key else {
                    if known.missed.insert(attempt, Instant::now()).is_some() {
                        return Err(refuse("the token is signed with a key that its issuer does not have"));
                    }
                    tracing::warn!(%attempt, issuer, "a token names a key that its issuer does not have yet");
                    return Err(Unproven::Unavailable);
                };
                key
            }
            Err(error) => {
                tracing::warn!(%error, issuer, "the issuer's keys could not be had");
                known.silent = Some(Instant::now());
                Err(Unproven::Unavailable)
            }
        }
    }

    /// The issuer's keys as they are now.
    pub async fn ask(&self, issuer: &str) -> Result<JwkSet, IssuerError> {
        let host = token_issuer_host(issuer).ok_or(IssuerError::Strange)?;
        let base = self.endpoint.clone().unwrap_or_else(|| issuer.to_owned());
        let request = self.client.get(format!("{}{PATH}", base.trim_end_matches('/'))).header("host", host);
        let answer = request.send().await.map_err(|_| IssuerError::Silent)?;
        let status = answer.status().as_u16();
        let body = answer::read(answer, MOST).await.map_err(|_| IssuerError::Silent)?;
        let keys = body.filter(|_| status == 200).and_then(|body| serde_json::from_slice(&body).ok());
        keys.ok_or(IssuerError::NoKeys(status))
    }
}

fn usable(key: &jsonwebtoken::jwk::Jwk) -> Result<DecodingKey, Unproven> {
    let refused = Unproven::Refused(AttestationError("the issuer's key is of a kind that is not used"));
    DecodingKey::from_jwk(key).map_err(|_| refused)
}
