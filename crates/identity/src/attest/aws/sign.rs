//! The worker's half: signs the one call with the keys of its task.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings};
use aws_sigv4::sign::v4;

use super::{AwsProof, BODY, CHALLENGE_HEADER, CONTENT_TYPE};
use crate::error::{IdentityError, IdentityResult};

/// Signs a GetCallerIdentity for this host and region over the challenge.
pub fn sign(
    credentials: &Credentials,
    (host, region): (&str, &str),
    challenge: &str,
    now: SystemTime,
) -> IdentityResult<AwsProof> {
    let failed = IdentityError::Setting("the proof of the task's role can't be signed");
    let Some(token) = credentials.session_token() else {
        return Err(IdentityError::Setting("the task has no temporary keys"));
    };
    let identity = credentials.clone().into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("sts")
        .time(now)
        .settings(SigningSettings::default())
        .build();
    let Ok(parameters) = parameters else { return Err(failed) };
    let url = format!("https://{host}/");
    let headers = [("content-type", CONTENT_TYPE), (CHALLENGE_HEADER, challenge)];
    let Ok(request) = SignableRequest::new("POST", &url, headers.into_iter(), SignableBody::Bytes(BODY.as_bytes()))
    else {
        return Err(failed);
    };
    let Ok(signed) = aws_sigv4::http_request::sign(request, &parameters.into()) else { return Err(failed) };
    let (instructions, signature) = signed.into_parts();
    let date = instructions.headers().find(|(name, _)| name.eq_ignore_ascii_case("x-amz-date"));
    let Some((_, date)) = date else { return Err(failed) };
    Ok(AwsProof {
        access_key_id: credentials.access_key_id().to_owned(),
        date: date.to_owned(),
        region: region.to_owned(),
        signature,
        security_token: token.to_owned(),
    })
}
