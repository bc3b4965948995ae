//! Reads a token that STS signed for sts:GetWebIdentityToken, strictly: one algorithm, one issuer, one audience, which is the
//! challenge of this enrolment, so that a token for anything else, or for another worker, says nothing here.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;
use waybill_identity::AttestationError;
use waybill_identity::attest::aws::{Caller, caller_of_role};

/// How far the issuer's clock may be off, in seconds.
const LEEWAY: u64 = 60;
/// Longest life of a token, in seconds: workers ask for five minutes.
const LONGEST: u64 = 600;

#[derive(Deserialize)]
struct Claims {
    sub: String,
    iat: u64,
    exp: u64,
    aud: Audience,
    #[serde(rename = "https://sts.amazonaws.com/")]
    sts: Sts,
}

/// One audience, or a list of them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Sts {
    aws_account: String,
    #[serde(default)]
    source_region: Option<String>,
}

/// Who the token says that its bearer is.
pub(super) fn read(
    token: &str,
    key: &DecodingKey,
    (issuer, region): (&str, &str),
    challenge: &str,
) -> Result<Caller, AttestationError> {
    let mut validation = Validation::new(Algorithm::ES384);
    validation.leeway = LEEWAY;
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[challenge]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let claims: Claims = decode(token, key, &validation)
        .map_err(|_| AttestationError("the token does not hold for this enrolment"))?
        .claims;
    match &claims.aud {
        Audience::One(one) if one == challenge => {}
        Audience::Many(all) if matches!(all.as_slice(), [one] if one == challenge) => {}
        _ => return Err(AttestationError("the token is meant for others too")),
    }
    if claims.exp.saturating_sub(claims.iat) > LONGEST {
        return Err(AttestationError("the token lives too long"));
    }
    if claims.sts.source_region.is_some_and(|named| named != region) {
        return Err(AttestationError("the token comes from another region than the data plane's"));
    }
    let caller = caller_of_role(&claims.sub).ok_or(AttestationError("the token is not a role's"))?;
    if caller.account == claims.sts.aws_account {
        Ok(caller)
    } else {
        Err(AttestationError("the token names two accounts"))
    }
}
