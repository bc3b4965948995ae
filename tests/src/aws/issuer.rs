//! The customer account's issuer of web identity tokens: its key, and what stands at its address.

use aws_lc_rs::signature::{ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair};
use axum::Json;
use axum::extract::State as Extracted;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::{Aws, CUSTOMER, Key, REGION, Shared};

/// The customer account's issuer.
pub const ISSUER: &str = "https://0a1b2c3d-0000-4000-8000-222222222222.tokens.sts.global.api.aws";
/// The name of its first key.
pub const KEY_NAME: &str = "key-1";

/// The issuer's key, and how often its public half was asked for.
pub(crate) struct Issuer {
    key: EncodingKey,
    name: String,
    asked: usize,
}

impl Default for Issuer {
    fn default() -> Self {
        Self { key: fresh_key(), name: KEY_NAME.to_owned(), asked: 0 }
    }
}

/// A P-384 key that signs tokens.
#[must_use]
pub fn fresh_key() -> EncodingKey {
    let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).expect("a key");
    let document = pair.to_pkcs8v1().expect("a key as PKCS#8");
    EncodingKey::from_ec_der(document.as_ref())
}

/// What STS says of a role's session in a token that it signs at this moment, as its documentation lists it.
#[must_use]
pub fn claims(role: &str, audience: &str) -> Value {
    let now = chrono::Utc::now().timestamp();
    json!({
        "iss": ISSUER,
        "aud": audience,
        "sub": role,
        "iat": now,
        "exp": now + 300,
        "jti": format!("j{now}"),
        "https://sts.amazonaws.com/": {
            "aws_account": CUSTOMER, "source_region": REGION, "org_id": "o-abc1234567",
            "principal_id": role, "request_tags": {},
        },
    })
}

/// A token with these claims under this key.
#[must_use]
pub fn signed(claims: &Value, key: &EncodingKey, name: &str) -> String {
    let header = Header { kid: Some(name.to_owned()), ..Header::new(Algorithm::ES384) };
    encode(&header, claims, key).expect("a token")
}

impl Aws {
    /// A token of the customer account's issuer with these claims, whatever they say.
    #[must_use]
    pub fn token(&self, claims: &Value) -> String {
        let issuer = &self.lock().issuer;
        signed(claims, &issuer.key, &issuer.name)
    }

    /// Has the issuer take another key of another name in place of the old one.
    pub fn replace_issuer_key(&self, name: &str) {
        let issuer = &mut self.lock().issuer;
        (issuer.key, issuer.name) = (fresh_key(), name.to_owned());
    }

    /// How often the issuer's keys were asked for.
    #[must_use]
    pub fn keys_asked(&self) -> usize {
        self.lock().issuer.asked
    }

    /// Turns the account's tokens on or off.
    pub fn give_tokens(&self, gives: bool) {
        self.lock().gives_tokens = gives;
    }
}

/// The issuer's public keys, which anybody may read.
pub(super) async fn keys(Extracted(shared): Extracted<Shared>) -> Json<JwkSet> {
    let mut state = shared.lock();
    state.issuer.asked += 1;
    let mut key = Jwk::from_encoding_key(&state.issuer.key, Algorithm::ES384).expect("a public key");
    key.common.key_id = Some(state.issuer.name.clone());
    Json(JwkSet { keys: vec![key] })
}

/// The token for a session of a role.
pub(super) fn token_of(shared: &Shared, key: &Key, audience: &str) -> Option<String> {
    let role = key.role.as_deref()?;
    let state = shared.lock();
    Some(signed(&claims(role, audience), &state.issuer.key, &state.issuer.name))
}
