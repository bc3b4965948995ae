//! Signature version 4, checked from the documents and without the SDK: what was signed must be what came.

use aws_lc_rs::hmac;
use axum::http::HeaderMap;
use sha2::{Digest, Sha256};

use super::Key;

/// How far a signed date may be off.
const SKEW_SECONDS: i64 = 300;

/// Why a signature is not accepted, as the services name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No or no readable `Authorization`.
    Missing,
    /// Nobody has this key.
    UnknownKey,
    /// The temporary key's token is missing, wrong or taken back.
    Token,
    /// The date is too far off.
    Stale,
    /// Something of the request is not what was signed.
    Mismatch,
}

/// A request as it came.
pub struct Came<'a> {
    /// Method.
    pub method: &'a str,
    /// Path.
    pub path: &'a str,
    /// Query without the question mark.
    pub query: &'a str,
    /// Headers.
    pub headers: &'a HeaderMap,
    /// Body.
    pub body: &'a [u8],
}

/// Service and region that were signed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Such as `eu-central-1`.
    pub region: String,
    /// Such as `sts`.
    pub service: String,
}

/// Finds who signed.
pub fn check(came: &Came<'_>, find: impl FnOnce(&str) -> Option<Key>) -> Result<(Key, Scope), Refused> {
    let header = came.headers.get("authorization").and_then(|value| value.to_str().ok()).ok_or(Refused::Missing)?;
    let parts = header.strip_prefix("AWS4-HMAC-SHA256 ").ok_or(Refused::Missing)?;
    let part = |name: &str| {
        let mut all = parts.split(',').map(str::trim);
        all.find_map(|part| part.strip_prefix(name)?.strip_prefix('=')).ok_or(Refused::Missing)
    };
    let (credential, signed, signature) = (part("Credential")?, part("SignedHeaders")?, part("Signature")?);
    let scope: Vec<&str> = credential.split('/').collect();
    let [id, day, region, service, "aws4_request"] = scope.as_slice() else { return Err(Refused::Missing) };
    let key = find(id).ok_or(Refused::UnknownKey)?;
    let one = |name: &str| came.headers.get(name).and_then(|value| value.to_str().ok());
    if key.token.as_deref() != one("x-amz-security-token") || key.revoked {
        return Err(Refused::Token);
    }
    let date = one("x-amz-date").ok_or(Refused::Missing)?;
    let at = chrono::NaiveDateTime::parse_from_str(date, "%Y%m%dT%H%M%SZ").map_err(|_| Refused::Missing)?.and_utc();
    if !date.starts_with(day) || (chrono::Utc::now() - at).num_seconds().abs() > SKEW_SECONDS {
        return Err(Refused::Stale);
    }
    let names: Vec<&str> = signed.split(';').collect();
    if !names.contains(&"host") || (key.token.is_some() && !names.contains(&"x-amz-security-token")) {
        return Err(Refused::Mismatch);
    }
    let scope = Scope { region: (*region).to_owned(), service: (*service).to_owned() };
    if sign(came, &names, &key.secret, &scope).as_deref() != Some(signature) {
        return Err(Refused::Mismatch);
    }
    Ok((key, scope))
}

/// The signature of a request over these headers; none where it has no date.
#[must_use]
pub fn sign(came: &Came<'_>, names: &[&str], secret: &str, scope: &Scope) -> Option<String> {
    let date = came.headers.get("x-amz-date").and_then(|value| value.to_str().ok())?;
    let day = date.get(..8)?;
    let mut headers = String::new();
    for name in names {
        let values = came.headers.get_all(*name).iter().filter_map(|value| value.to_str().ok());
        let value = values.map(str::trim).collect::<Vec<_>>().join(",");
        headers.push_str(&format!("{name}:{value}\n"));
    }
    let (signed, body) = (names.join(";"), hex::encode(Sha256::digest(came.body)));
    let canonical = [came.method, came.path, &query(came.query), &headers, &signed, &body];
    let within = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    let hashed = hex::encode(Sha256::digest(canonical.join("\n")));
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{within}\n{hashed}");
    let mut key = format!("AWS4{secret}").into_bytes();
    for step in [day, scope.region.as_str(), scope.service.as_str(), "aws4_request"] {
        key = mac(&key, step.as_bytes());
    }
    Some(hex::encode(mac(&key, text.as_bytes())))
}

fn query(raw: &str) -> String {
    let mut pairs: Vec<String> = raw
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| if pair.contains('=') { pair.to_owned() } else { format!("{pair}=") })
        .collect();
    pairs.sort();
    pairs.join("&")
}

fn mac(key: &[u8], data: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data).as_ref().to_vec()
}
