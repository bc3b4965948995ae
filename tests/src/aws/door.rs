//! The one door: tells the services apart, finds who calls, and lets faults happen before or after the effect.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State as Extracted};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use super::fault::Fault;
use super::signature::{self, Came, Refused};
use super::{Called, Key, Shared, answer, ecs, issuer, s3, sts};

const TARGET: &str = "AmazonEC2ContainerServiceV20141113.";

pub(super) fn router(shared: Shared) -> Router {
    Router::new()
        .route("/task-credentials/{task}", get(credentials))
        .route("/.well-known/jwks.json", get(issuer::keys))
        .route("/task-metadata/{task}/task", get(metadata))
        .fallback(call)
        .with_state(shared)
}

async fn call(
    Extracted(shared): Extracted<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let came = Came {
        method: method.as_str(),
        path: uri.path(),
        query: uri.query().unwrap_or_default(),
        headers: &headers,
        body: &body,
    };
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok());
    let form = std::str::from_utf8(&body).unwrap_or_default();
    let bucket = (target.is_none() && method == Method::GET).then_some((uri.path(), uri.query().unwrap_or_default()));
    let action = match (target, bucket) {
        (Some(target), _) => target.strip_prefix(TARGET).unwrap_or_default().to_owned(),
        (None, Some(asked)) => s3::action(asked).to_owned(),
        (None, None) => sts::field(form, "Action").unwrap_or_default(),
    };
    let signed = signature::check(&came, |id| shared.lock().keys.get(id).cloned());
    let (place, request_id) = written_down(&shared, signed.as_ref().ok().map(|(key, _)| key), &action, form);
    let service = match (target, bucket) {
        (Some(_), _) => "ecs",
        (None, Some(_)) => "s3",
        (None, None) => "sts",
    };
    let key = match signed {
        Ok((key, scope)) if scope.service == service => key,
        Ok(_) => return refused(target.is_some(), Refused::Mismatch),
        Err(why) => return refused(target.is_some(), why),
    };
    let fault = shared.lock().faults.take(&action);
    if let Some(answered) = before(fault.as_ref(), target.is_some()) {
        return named(answered, &request_id);
    }
    let answered = match (target, bucket) {
        (Some(_), _) => ecs::call(&shared, &key, (&action, form), fault.as_ref()),
        (None, Some(asked)) => s3::call(&shared, &key, asked),
        (None, None) => sts::call(&shared, &key, &action, form),
    };
    shared.lock().calls[place].served = Some(answered.extensions().get::<answer::Code>().map(|code| code.0));
    match fault {
        // No word of its request id either.
        Some(Fault::LostAnswer | Fault::LostAndHidden(_)) => answer::broken(),
        Some(Fault::Silence) => std::future::pending().await,
        _ => named(answered, &request_id),
    }
}

/// Writes a call down: its place, and its request id.
fn written_down(shared: &Shared, key: Option<&Key>, action: &str, form: &str) -> (usize, String) {
    let mut state = shared.lock();
    let request_id = format!("{:08x}-0000-4000-8000-{:012x}", shared.address.port(), state.calls.len() + 1);
    state.calls.push(Called {
        action: action.to_owned(),
        by: key.map(|key| key.arn.clone()).unwrap_or_default(),
        role: key.and_then(|key| key.role.clone()),
        body: form.to_owned(),
        request_id: request_id.clone(),
        at: chrono::Utc::now(),
        served: None,
    });
    (state.calls.len() - 1, request_id)
}

/// The same answer under its request id.
fn named(mut answered: Response, request_id: &str) -> Response {
    let value: HeaderValue = request_id.parse().expect("an id is a header's value");
    // Services differ in what they call it.
    answered.headers_mut().insert("x-amz-request-id", HeaderValue::clone(&value));
    answered.headers_mut().insert("x-amzn-requestid", value);
    answered
}

/// What a fault answers instead of the service, where the call has no effect.
fn before(fault: Option<&Fault>, is_ecs: bool) -> Option<Response> {
    let say = |status, code, message| {
        if is_ecs { answer::error(status, code, message, &json!({})) } else { answer::xml_error(status, code, message) }
    };
    Some(match fault? {
        Fault::Throttle if is_ecs => say(400, "ThrottlingException", "Rate exceeded"),
        Fault::Throttle => say(400, "Throttling", "Rate exceeded"),
        Fault::ServerError if is_ecs => say(500, "ServerException", "Service Unavailable. Please try again later."),
        Fault::ServerError => say(500, "InternalFailure", "The request processing has failed."),
        Fault::Denied if is_ecs => say(400, "AccessDeniedException", "User is not authorized to perform it"),
        Fault::Denied => say(403, "AccessDenied", "User is not authorized to perform it"),
        Fault::Expired if is_ecs => {
            say(400, "ExpiredTokenException", "The security token included in the request is expired")
        }
        Fault::Expired => say(403, "ExpiredToken", "The security token included in the request is expired"),
        Fault::BrokenBefore => answer::broken(),
        _ => return None,
    })
}

fn refused(is_ecs: bool, why: Refused) -> Response {
    let (ecs_code, sts_code, message) = match why {
        Refused::Missing => {
            ("MissingAuthenticationTokenException", "MissingAuthenticationToken", "Request is missing a token")
        }
        Refused::UnknownKey => ("UnrecognizedClientException", "InvalidClientTokenId", "The security token is invalid"),
        Refused::Token => {
            ("ExpiredTokenException", "ExpiredToken", "The security token included in the request is expired")
        }
        Refused::Stale => ("InvalidSignatureException", "SignatureDoesNotMatch", "Signature expired"),
        Refused::Mismatch => ("InvalidSignatureException", "SignatureDoesNotMatch", "The signature does not match"),
    };
    if is_ecs { answer::error(403, ecs_code, message, &json!({})) } else { answer::xml_error(403, sts_code, message) }
}

/// What a task asks at its own address for keys of its role.
async fn credentials(Extracted(shared): Extracted<Shared>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let mut state = shared.lock();
    let Some(task) = state.tasks.values().find(|task| task.id == id).cloned() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if headers.get("authorization").and_then(|value| value.to_str().ok()) != Some(task.secret.as_str()) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let role = state.task_role.clone();
    let Key { id, secret, token, .. } = state.session(&role, &task.id);
    let end = (chrono::Utc::now() + chrono::TimeDelta::hours(6)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    answer::json(&json!({
        "RoleArn": role, "AccessKeyId": id, "SecretAccessKey": secret, "Token": token, "Expiration": end,
    }))
}

/// What a task asks about itself.
async fn metadata(Extracted(shared): Extracted<Shared>, Path(id): Path<String>) -> Response {
    match shared.lock().tasks.values().find(|task| task.id == id) {
        Some(task) => answer::json(&json!({ "TaskARN": task.arn, "Cluster": task.cluster, "Family": task.family })),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
