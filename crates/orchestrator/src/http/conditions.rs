//! Conditional requests: a change names the version that it was made from, a read may name the one that it has.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use waybill_api::ProblemCode;
use waybill_model::Micros;
use waybill_store::IdempotencyKey;

use super::App;
use super::compress::plain_tag;
use super::reply::Reply;
use crate::auth::Caller;
use crate::service::{Once, Refused, ServiceResult};

/// The tag of an object: its version and when it was last touched.
pub(super) fn tag(version: i64, touched: Micros) -> String {
    format!("\"{version}-{:x}\"", touched.0)
}

/// The tag of an object without a version.
pub(super) fn tag_of(body: &impl Serialize) -> String {
    let text = serde_json::to_string(body).unwrap_or_default();
    format!("\"{}\"", &crate::service::digest_of(&text)[..16])
}

/// What the request's conditions say.
pub(super) struct Conditions {
    if_match: Option<String>,
    if_none_match: Option<String>,
}

impl Conditions {
    /// Refuses a change of an object that is not the one the caller read. `now` tells what stands there.
    pub(super) fn must_match(&self, tag: &str, changed: Micros) -> ServiceResult<()> {
        match &self.if_match {
            Some(given) if given == tag => Ok(()),
            Some(_) => Err(stale(tag, changed)),
            None => {
                let detail = "send If-Match with the ETag of what you read, so that nobody's change is lost";
                Err(Refused::new(ProblemCode::PreconditionRequired, detail))
            }
        }
    }

    /// Refuses to make what is there already, unless the caller says that it knows.
    pub(super) fn must_be_first(&self) -> ServiceResult<()> {
        match (&self.if_none_match, &self.if_match) {
            (Some(star), None) if star == "*" => Ok(()),
            (_, Some(_)) => Err(Refused::new(ProblemCode::PreconditionFailed, "there is nothing to replace yet")),
            _ => {
                let detail = "send If-None-Match: * to make the first one, or If-Match to replace the one you read";
                Err(Refused::new(ProblemCode::PreconditionRequired, detail))
            }
        }
    }

    /// The object, or 304 where the caller has it.
    pub(super) fn answer<T: Serialize>(&self, body: T, tag: String) -> Response {
        if self.if_none_match.as_deref() == Some(tag.as_str()) {
            let mut response = StatusCode::NOT_MODIFIED.into_response();
            if let Ok(tag) = HeaderValue::from_str(&tag) {
                response.headers_mut().insert(header::ETAG, tag);
            }
            return response;
        }
        Reply::ok(body).tagged(tag).into_response()
    }
}

/// Somebody changed it meanwhile.
pub(super) fn stale(tag: &str, changed: Micros) -> Refused {
    let detail = format!("it was last changed at {changed} and is {tag} now");
    Refused::new(ProblemCode::PreconditionFailed, detail).next("read it again, then repeat the change")
}

impl FromRequestParts<App> for Conditions {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Refused> {
        Ok(Self {
            if_match: single(&parts.headers, &header::IF_MATCH)?.map(plain_tag),
            if_none_match: single(&parts.headers, &header::IF_NONE_MATCH)?.map(plain_tag),
        })
    }
}

static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The `Idempotency-Key` of a creating request, and the path that it came to.
pub(super) struct Idempotency {
    key: Option<String>,
    path: String,
}

impl Idempotency {
    /// What makes a repeat of this request give the first one's answer; none without a key.
    pub(super) fn once(&self, caller: &Caller, operation: &str, body: &[u8]) -> Option<Once> {
        let key = IdempotencyKey { org: caller.org, actor: caller.actor(), key: self.key.clone()? };
        Some(Once::new(key, &[operation.as_bytes(), self.path.as_bytes(), body]))
    }
}

impl FromRequestParts<App> for Idempotency {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Refused> {
        let key = single(&parts.headers, &IDEMPOTENCY_KEY)?;
        if key.as_ref().is_some_and(|key| !(1..=128).contains(&key.len())) {
            return Err(Refused::new(ProblemCode::ParameterInvalid, "Idempotency-Key has 1 to 128 characters"));
        }
        let path = parts.uri.path_and_query().map_or_else(String::new, ToString::to_string);
        Ok(Self { key, path })
    }
}

fn single(headers: &HeaderMap, name: &HeaderName) -> ServiceResult<Option<String>> {
    let mut all = headers.get_all(name).iter();
    let (first, None) = (all.next(), all.next()) else {
        return Err(Refused::new(ProblemCode::ParameterInvalid, format!("the header {name} stands twice")));
    };
    let text = first.map(|value| value.to_str().map(str::to_owned)).transpose();
    text.map_err(|_| Refused::new(ProblemCode::ParameterInvalid, format!("the header {name} is not text")))
}
