//! Answers: JSON with a status and, for single objects, a tag.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::service::Refused;

/// What a handler gives.
pub(super) type Answer<T> = Result<Reply<T>, Refused>;

/// A success.
pub(super) struct Reply<T> {
    status: StatusCode,
    body: T,
    tag: Option<String>,
}

impl<T> Reply<T> {
    pub(super) fn ok(body: T) -> Self {
        Self { status: StatusCode::OK, body, tag: None }
    }

    pub(super) fn created(body: T) -> Self {
        Self { status: StatusCode::CREATED, body, tag: None }
    }

    pub(super) fn tagged(mut self, tag: String) -> Self {
        self.tag = Some(tag);
        self
    }
}

impl<T: Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(self.body)).into_response();
        if let Some(tag) = self.tag.and_then(|tag| HeaderValue::from_str(&tag).ok()) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

/// A success without a body.
pub(super) fn nothing() -> Response {
    StatusCode::NO_CONTENT.into_response()
}
