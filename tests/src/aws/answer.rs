//! Answers in the shapes of the two protocols: JSON 1.1 for ECS, XML for STS; and answers that break off.

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

/// The code of an error, for the cloud's own record.
#[derive(Clone, Copy)]
pub(crate) struct Code(pub(crate) &'static str);

/// An answer of ECS.
pub(crate) fn json(value: &Value) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/x-amz-json-1.1"), (header::SERVER, "fake")];
    (kind, value.to_string()).into_response()
}

/// An error of ECS.
pub(crate) fn error(status: u16, code: &'static str, message: &str, more: &Value) -> Response {
    let mut body = serde_json::json!({ "__type": code, "message": message });
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    let status = StatusCode::from_u16(status).expect("a status");
    let kind = [(header::CONTENT_TYPE, "application/x-amz-json-1.1")];
    (status, axum::Extension(Code(code)), kind, body.to_string()).into_response()
}

/// An answer of STS.
pub(crate) fn xml(body: String) -> Response {
    ([(header::CONTENT_TYPE, "text/xml")], body).into_response()
}

/// An error of STS.
pub(crate) fn xml_error(status: u16, code: &'static str, message: &str) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    let body = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>{message}</Message></Error><RequestId>fake</RequestId></ErrorResponse>"
    );
    (status, axum::Extension(Code(code)), [(header::CONTENT_TYPE, "text/xml")], body).into_response()
}

/// An error of S3, which stands in no envelope.
pub(crate) fn s3_error(status: u16, code: &'static str, message: &str) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>");
    (status, axum::Extension(Code(code)), [(header::CONTENT_TYPE, "application/xml")], body).into_response()
}

/// An answer whose body never comes: the connection breaks.
pub(crate) fn broken() -> Response {
    let torn = futures::stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("torn"))]);
    let length = [(header::CONTENT_LENGTH, "4096"), (header::CONTENT_TYPE, "application/x-amz-json-1.1")];
    (length, Body::from_stream(torn)).into_response()
}
