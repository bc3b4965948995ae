//! Access tokens: HS512 with 64-byte keys looked up in a map, ten minutes, every claim required, nothing else accepted.
//!
//! A token says who, never what they may do. Every reason to refuse is the same answer outside; inside it is a word for
//! the log. No bytes of a token reach a log.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Header, Validation};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use waybill_identity::KeyDirectory;
use waybill_identity::error::IdentityResult;
use waybill_model::id::{RequestId, SessionId};
use waybill_model::{Micros, OrgId, UserId};

mod keyring;

use keyring::KeyRing;
pub use keyring::{KEY_FILE, KeyEntry, KeyState, SPREAD, list, rotate};

const LONGEST: usize = 4_096;
const LEEWAY: u64 = 30;
const ISSUER: &str = "waybill";
const TYPE: &str = "at+jwt";

/// What an access token says. All of it is required; anything more is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    iss: String,
    aud: String,
    /// The person.
    pub sub: UserId,
    /// The person's organization.
    pub org: OrgId,
    /// The login session.
    pub sid: SessionId,
    jti: RequestId,
    iat: u64,
    nbf: u64,
    exp: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictHeader {
    alg: String,
    typ: String,
    kid: String,
}

/// Why a token was refused: for the log only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("access token refused: {0}")]
pub struct TokenRefused(pub &'static str);

/// The keys of access tokens.
pub struct TokenKeys {
    audience: String,
    life: Duration,
    directory: KeyDirectory,
    ring: RwLock<KeyRing>,
}

impl TokenKeys {
    /// Reads the keys, or makes the first one where the directory makes keys.
    pub fn open(directory: &KeyDirectory, deployment: &str, life: Duration) -> IdentityResult<Self> {
        let ring = RwLock::new(KeyRing::open(directory, life)?);
        Ok(Self { audience: format!("waybill:{deployment}"), life, directory: directory.clone(), ring })
    }

    /// Reads the keys anew; tells whether they are others. Where they can't be read, those in use stay.
    pub fn reload(&self) -> IdentityResult<bool> {
        let fresh = KeyRing::open(&self.directory, self.life)?;
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        let changed = ring.entries(0) != fresh.entries(0);
        *ring = fresh;
        Ok(changed)
    }

    /// How long a token lives.
    #[must_use]
    pub fn life(&self) -> Duration {
        self.life
    }

    /// A new token.
    pub fn mint(&self, org: OrgId, user: UserId, session: SessionId) -> Result<SecretString, TokenRefused> {
        let now = seconds();
        let claims = Claims {
            iss: ISSUER.into(),
            aud: self.audience.clone(),
            sub: user,
            org,
            sid: session,
            jti: RequestId::generate(),
            iat: now,
            nbf: now,
            exp: now + self.life.as_secs(),
        };
        let mut header = Header::new(Algorithm::HS512);
        header.typ = Some(TYPE.into());
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        let (kid, key) = ring.signing(now).ok_or(TokenRefused("there is no key"))?;
        header.kid = Some(kid.to_owned());
        let token = jsonwebtoken::encode(&header, &claims, &key);
        token.map(SecretString::from).map_err(|_| TokenRefused("it could not be signed"))
    }

    /// What a token says, where it is good.
    pub fn verify(&self, token: &str) -> Result<Claims, TokenRefused> {
        if token.len() > LONGEST {
            return Err(TokenRefused("too long"));
        }
        let head = token.split('.').next().unwrap_or_default();
        let head = URL_SAFE_NO_PAD.decode(head).map_err(|_| TokenRefused("header is not base64url"))?;
        let head: StrictHeader = serde_json::from_slice(&head).map_err(|_| TokenRefused("header"))?;
        if head.alg != "HS512" || head.typ != TYPE {
            return Err(TokenRefused("algorithm or type"));
        }
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        let key = ring.checking(&head.kid, seconds()).ok_or(TokenRefused("unknown key"))?;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &self.validation());
        let claims = claims.map_err(|_| TokenRefused("signature, time or claims"))?.claims;
        if claims.iat > seconds() + LEEWAY || claims.exp <= claims.iat {
            return Err(TokenRefused("times"));
        }
        Ok(claims)
    }

    fn validation(&self) -> Validation {
        let mut rules = Validation::new(Algorithm::HS512);
        rules.leeway = LEEWAY;
        rules.validate_nbf = true;
        rules.set_audience(&[&self.audience]);
        rules.set_issuer(&[ISSUER]);
        rules.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
        rules
    }
}

/// Seconds since 1970.
pub fn seconds() -> u64 {
    u64::try_from(Micros::now().0 / 1_000_000).unwrap_or(0)
}

#[cfg(test)]
mod tests;
