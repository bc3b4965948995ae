//! AssumeRole and GetCallerIdentity.

use axum::response::Response;

use super::{Key, ORCHESTRATOR, Shared, Trust, answer};

pub(super) fn call(shared: &Shared, key: &Key, action: &str, form: &str) -> Response {
    match action {
        "AssumeRole" => assume(shared, key, form),
        "GetCallerIdentity" => identity(key),
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
