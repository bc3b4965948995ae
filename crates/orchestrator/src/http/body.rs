//! Bodies of requests: JSON of one media type, within a size and a depth, with every key known and none twice.
//!
//! No message repeats a value of the body: it may be a password.

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use waybill_api::ProblemCode;

use super::App;
use crate::service::{Refused, ServiceResult};

mod json;

/// Fields that only the server sets, on any object.
const SERVER_ONLY: &[&str] = &[
    "id",
    "organization_id",
    "organization",
    "role",
    "roles",
    "owner",
    "owner_id",
    "external_id",
    "created_at",
    "updated_at",
    "created_by",
    "version",
    "state",
    "epoch",
    "disabled",
    "allowed_actions",
];

/// A body that was read strictly, with its bytes.
pub struct Strict<T> {
    /// What it says.
    pub value: T,
    /// As it came: what an idempotency key is bound to.
    pub bytes: Bytes,
}

impl<T: DeserializeOwned> FromRequest<App> for Strict<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, app: &App) -> Result<Self, Refused> {
        let media = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !media.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json")) {
            return Err(Refused::new(ProblemCode::MediaTypeUnsupported, "send Content-Type: application/json"));
        }
        let limit = app.limits.body;
        let bytes = to_bytes(request.into_body(), limit).await.map_err(|_| {
            Refused::new(ProblemCode::BodyTooLarge, format!("a body has at most {limit} bytes, and must arrive whole"))
        })?;
        let value = read(&bytes)?;
        Ok(Self { value, bytes })
    }
}

/// Reads a body, or says which field is wrong.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> ServiceResult<T> {
    let tree = json::parse(bytes).map_err(|why| Refused::new(ProblemCode::BodyMalformed, why))?;
    serde_path_to_error::deserialize(tree).map_err(|error| {
        let pointer = pointer(error.path());
        mistake(&pointer, &error.inner().to_string())
    })
}

/// Makes a refusal of what serde says, without any value that it quotes.
fn mistake(pointer: &str, text: &str) -> Refused {
    if let Some(rest) = text.strip_prefix("unknown field `") {
        let (field, known) = rest.split_once('`').unwrap_or((rest, ""));
        if SERVER_ONLY.contains(&field) {
            return Refused::field(
                ProblemCode::FieldNotWritable,
                pointer,
                format!("`{field}` is set by the server only"),
            );
        }
        let known = known.strip_prefix(", ").unwrap_or("there are no fields here");
        let message = format!("there is no such field; {known}");
        return Refused::field(ProblemCode::BodyUnknownField, &short(pointer), message);
    }
    if text.starts_with("missing field `") {
        return Refused::field(ProblemCode::BodyInvalid, pointer, text.to_owned());
    }
    let message = match text.rsplit_once(", expected ") {
        Some((_, expected)) => format!("this must be {expected}"),
        None => text.to_owned(),
    };
    Refused::field(ProblemCode::BodyInvalid, pointer, message)
}

/// RFC 6901.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => pointer.push_str(&format!("/{}", key.replace('~', "~0").replace('/', "~1"))),
            Segment::Enum { variant } => pointer.push_str(&format!("/{variant}")),
            Segment::Unknown => {}
        }
    }
    short(&pointer)
}

/// What the caller named, cut and without anything that moves a terminal.
fn short(text: &str) -> String {
    text.chars().take(100).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The query, read strictly.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Refused> {
        let query = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        query.map(|query| Self(query.0)).map_err(|error| {
            let text = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            let refused = mistake("", &text);
            Refused { code: ProblemCode::ParameterInvalid, ..refused }
        })
    }
}
