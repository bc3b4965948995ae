//! Keys of the accounts' token issuers: asked for when a token names one that is not known, then kept for an hour.
//!
//! Only an issuer that a data plane names is asked, and only at the address that AWS gives to issuers; where its keys stand is
//! fixed, so that no document can point elsewhere.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, decode_header};
use tokio::sync::Mutex;
use waybill_identity::AttestationError;
use waybill_model::net::token_issuer_host;

use super::{Unproven, answer};

/// Where an issuer's keys stand, as AWS documents it.
const PATH: &str = "/.well-known/jwks.json";
/// Largest set of keys that is read.
const MOST: usize = 64 << 10;
/// How long keys are taken from memory.
const LIFE: Duration = Duration::from_secs(3600);
/// How soon an issuer is asked again for a key that it did not have.
const PAUSE: Duration = Duration::from_secs(30);

struct Kept {
    keys: JwkSet,
    since: Instant,
}

/// Asks issuers for their keys.
pub(super) struct IssuerDoor {
    client: reqwest::Client,
    endpoint: Option<String>,
    kept: Mutex<HashMap<String, Kept>>,
}

impl IssuerDoor {
    /// To each issuer itself, or to this endpoint in place of all.
    pub(super) fn new(client: reqwest::Client, endpoint: Option<String>) -> Self {
        Self { client, endpoint, kept: Mutex::default() }
    }

    /// The issuer's key that this token says it is signed with.
    pub(super) async fn key_of(&self, issuer: &str, token: &str) -> Result<DecodingKey, Unproven> {
        let refuse = |reason| Unproven::Refused(AttestationError(reason));
        let header = decode_header(token).map_err(|_| refuse("the token is not one"))?;
        let name = header.kid.ok_or_else(|| refuse("the token names no key"))?;
        let found = |keys: &JwkSet| keys.find(&name).map(DecodingKey::from_jwk);
        // Held while asking, so that many workers that come at once make one call.
        let mut kept = self.kept.lock().await;
        let known = kept.get(issuer).filter(|known| known.since.elapsed() < LIFE);
        let key = match known.and_then(|known| found(&known.keys)) {
            Some(key) => Some(key),
            None if known.is_some_and(|known| known.since.elapsed() < PAUSE) => None,
            None => {
                let keys = self.ask(issuer).await?;
                let key = found(&keys);
                kept.insert(issuer.to_owned(), Kept { keys, since: Instant::now() });
                key
            }
        };
        let key = key.ok_or_else(|| refuse("the token is signed with a key that its issuer does not have"))?;
        key.map_err(|_| refuse("the issuer's key is of a kind that is not used"))
    }

    async fn ask(&self, issuer: &str) -> Result<JwkSet, Unproven> {
        let host = token_issuer_host(issuer).ok_or(Unproven::Refused(AttestationError("the issuer is none of AWS")))?;
        let base = self.endpoint.clone().unwrap_or_else(|| issuer.to_owned());
        let request = self.client.get(format!("{}{PATH}", base.trim_end_matches('/'))).header("host", host);
        let unavailable = |error: reqwest::Error| {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                issuer,
                "the issuer's keys could not be asked for"
            );
            Unproven::Unavailable
        };
        let answer = request.send().await.map_err(unavailable)?;
        let status = answer.status();
        let body = answer::read(answer, MOST).await.map_err(unavailable)?;
        let keys = body.filter(|_| status.as_u16() == 200).and_then(|body| serde_json::from_slice(&body).ok());
        keys.ok_or_else(|| {
            tracing::warn!(%status, issuer, "the issuer's answer holds no keys");
            Unproven::Unavailable
        })
    }
}
