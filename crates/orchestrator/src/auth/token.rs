//! Access tokens: HS512 with 64-byte keys looked up in a map, ten minutes, every claim required, nothing else accepted.
//!
//! A token says who, never what they may do. Every reason to refuse is the same answer outside; inside it is a word for
//! the log. No bytes of a token reach a log.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use waybill_identity::KeyDirectory;
use waybill_identity::error::{IdentityError, IdentityResult};
use waybill_model::id::{RequestId, SessionId};
use waybill_model::{Micros, OrgId, UserId};

/// Where the keys stand in the key directory: one line for each, `<kid> <active|retiring> <128 hex digits>`.
pub const KEY_FILE: &str = "access-token.keys";
const KEY_BYTES: usize = 64;
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
    signing: (String, EncodingKey),
    known: BTreeMap<String, DecodingKey>,
}

impl TokenKeys {
    /// Reads the keys, or makes the first one where the directory makes keys.
    pub fn open(directory: &KeyDirectory, deployment: &str, life: Duration) -> IdentityResult<Self> {
        let text = directory.read_or_make(KEY_FILE, || Ok(fresh_line().into_bytes().into()))?;
        let text = std::str::from_utf8(&text).map_err(|_| damaged())?;
        let (mut signing, mut known) = (None, BTreeMap::new());
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let (kid, state, key) = read_line(line).ok_or_else(damaged)?;
            known.insert(kid.clone(), DecodingKey::from_secret(&key));
            if state == "active" {
                signing = Some((kid, EncodingKey::from_secret(&key)));
            }
        }
        let signing = signing.ok_or_else(damaged)?;
        Ok(Self { audience: format!("waybill:{deployment}"), life, signing, known })
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
        header.kid = Some(self.signing.0.clone());
        let token = jsonwebtoken::encode(&header, &claims, &self.signing.1);
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
        let key = self.known.get(&head.kid).ok_or(TokenRefused("unknown key"))?;
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

fn seconds() -> u64 {
    u64::try_from(Micros::now().0 / 1_000_000).unwrap_or(0)
}

fn fresh_line() -> String {
    let (mut kid, mut key) = ([0_u8; 8], [0_u8; KEY_BYTES]);
    rand::fill(&mut kid).expect("the system's random source");
    rand::fill(&mut key).expect("the system's random source");
    format!("{} active {}\n", hex::encode(kid), hex::encode(key))
}

fn read_line(line: &str) -> Option<(String, &str, Vec<u8>)> {
    let mut parts = line.split_whitespace();
    let (kid, state, key) = (parts.next()?, parts.next()?, hex::decode(parts.next()?).ok()?);
    let fits = key.len() == KEY_BYTES && matches!(state, "active" | "retiring") && parts.next().is_none();
    fits.then(|| (kid.to_owned(), state, key))
}

fn damaged() -> IdentityError {
    let what = "is damaged: each line is `<kid> <active|retiring> <128 hex digits>`, and one key is active";
    IdentityError::KeyFile { path: KEY_FILE.into(), what }
}

#[cfg(test)]
mod tests;
