//! AssumeRole, GetCallerIdentity and GetWebIdentityToken.

use axum::response::Response;

use super::{Key, ORCHESTRATOR, Shared, Trust, answer, issuer};

pub(super) fn call(shared: &Shared, key: &Key, action: &str, form: &str) -> Response {
    match action {
        "AssumeRole" => assume(shared, key, form),
        "GetCallerIdentity" => identity(key),
        "GetWebIdentityToken" => token(shared, key, form),
        _ => answer::xml_error(400, "InvalidAction", "Could not find the operation"),
    }
}

fn assume(shared: &Shared, key: &Key, form: &str) -> Response {
    let (role, session) =
        (field(form, "RoleArn").unwrap_or_default(), field(form, "RoleSessionName").unwrap_or_default());
    if session.len() < 2 || session.len() > 64 {
        return answer::xml_error(400, "ValidationError", "roleSessionName");
    }
    let mut state = shared.lock();
    let trusted = state.roles.get(&role).is_some_and(|role| match &role.trust {
        Trust::Id(id) => key.account == ORCHESTRATOR && field(form, "ExternalId").as_ref() == Some(id),
        Trust::Anyone => key.account == ORCHESTRATOR,
        Trust::Nobody | Trust::Tasks => false,
    });
    let own = state.own_refusal.filter(|_| key.account == ORCHESTRATOR);
    if !trusted || own.is_some() {
        let why = own.unwrap_or_default();
        let message =
            format!("User: {} is not authorized to perform: sts:AssumeRole on resource: {role}{why}", key.arn);
        return answer::xml_error(403, "AccessDenied", &message);
    }
    let Key { id, secret, token, arn, .. } = state.session(&role, &session);
    let seconds = field(form, "DurationSeconds").and_then(|text| text.parse().ok()).unwrap_or(3600);
    let end = (chrono::Utc::now() + chrono::TimeDelta::seconds(seconds)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let token = token.unwrap_or_default();
    answer::xml(format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><AssumedRoleUser>\
         <AssumedRoleId>AROA:{session}</AssumedRoleId><Arn>{arn}</Arn></AssumedRoleUser><Credentials>\
         <AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}</SessionToken>\
         <Expiration>{end}</Expiration></Credentials></AssumeRoleResult><ResponseMetadata><RequestId>fake</RequestId>\
         </ResponseMetadata></AssumeRoleResponse>"
    ))
}

fn identity(key: &Key) -> Response {
    let Key { arn, account, .. } = key;
    answer::xml(format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <GetCallerIdentityResult>\n    \
         <Arn>{arn}</Arn>\n    <UserId>AROAFAKE:session</UserId>\n    <Account>{account}</Account>\n  \
         </GetCallerIdentityResult>\n  <ResponseMetadata>\n    <RequestId>fake</RequestId>\n  </ResponseMetadata>\n\
         </GetCallerIdentityResponse>\n"
    ))
}

/// As its documentation has it: off unless the account turned it on, one audience or more, two algorithms, a minute to an hour.
fn token(shared: &Shared, key: &Key, form: &str) -> Response {
    if !shared.lock().gives_tokens {
        let message = "Outbound web identity federation is disabled for this account";
        return answer::xml_error(403, "OutboundWebIdentityFederationDisabled", message);
    }
    let audience = field(form, "Audience.member.1").unwrap_or_default();
    let seconds = field(form, "DurationSeconds").and_then(|text| text.parse().ok()).unwrap_or(300);
    let is_asked = (1..=1000).contains(&audience.len()) && (60..=3600).contains(&seconds);
    if !is_asked || field(form, "SigningAlgorithm").as_deref() != Some("ES384") {
        return answer::xml_error(400, "ValidationError", "Audience, DurationSeconds or SigningAlgorithm");
    }
    let Some(token) = issuer::token_of(shared, key, &audience) else {
        return answer::xml_error(403, "AccessDenied", "no role's session");
    };
    let end = (chrono::Utc::now() + chrono::TimeDelta::seconds(seconds)).format("%Y-%m-%dT%H:%M:%SZ");
    answer::xml(format!(
        "<GetWebIdentityTokenResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetWebIdentityTokenResult>\
         <WebIdentityToken>{token}</WebIdentityToken><Expiration>{end}</Expiration></GetWebIdentityTokenResult>\
         <ResponseMetadata><RequestId>fake</RequestId></ResponseMetadata></GetWebIdentityTokenResponse>"
    ))
}

/// A field of a form.
pub(super) fn field(form: &str, name: &str) -> Option<String> {
    let raw = form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    let mut bytes = Vec::new();
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let pair = [rest.next()?, rest.next()?];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?);
            }
            b'+' => bytes.push(b' '),
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}
