//! What an answer of the service means. Of it only status and error code are kept: its message may name things.

use std::future::Future;
use std::time::Duration;

use azure_core::Error;
use azure_core::error::ErrorKind;
use azure_core::http::RawResponse;
use azure_core::http::headers::HeaderName;
use azure_core::time::{OffsetDateTime, parse_rfc7231};

use super::super::remote::{Failed, Kind, within};
use crate::dial::{causes, denial};

/// The service takes no signature of a time further away.
const SKEW: Duration = Duration::from_secs(15 * 60);

/// Sends a request once, within a time bound.
pub(super) async fn call<T>(
    operation: &'static str,
    bound: Duration,
    request: impl Future<Output = azure_core::Result<T>>,
) -> Result<T, Failed> {
    within(operation, bound, async { request.await.map_err(|error| judge(operation, &error)) }).await
}

fn judge(operation: &'static str, error: &Error) -> Failed {
    if denial(error).is_some() {
        return Failed::new(Kind::Forbidden, operation, "the endpoint leads to an address that is not dialed");
    }
    match error.kind() {
        ErrorKind::HttpResponse { status, error_code, raw_response } => {
            let (status, code) = (u16::from(*status), error_code.as_deref().unwrap_or("without a code"));
            let is_skewed = status == 403 && raw_response.as_deref().is_some_and(is_skewed);
            let kind = if is_skewed { Kind::Skewed } else { by_answer(operation, status, code) };
            Failed::answered(kind, operation, status, code)
        }
        ErrorKind::Credential => log_in(operation, error),
        // Whether a connection was refused or broke in the middle can't be told for sure.
        ErrorKind::Connection | ErrorKind::Io => {
            Failed::new(Kind::Unreachable, operation, "the connection could not be made or broke")
        }
        ErrorKind::DataConversion => Failed::new(Kind::Unanswered, operation, "an answer that can't be read"),
        _ => Failed::new(Kind::Other, operation, "the request can't be sent"),
    }
}

/// Why there is no token. What is behind it may pass; a refusal does not.
fn log_in(operation: &'static str, error: &Error) -> Failed {
    let innermost = causes(error).filter_map(|cause| cause.downcast_ref::<Error>()).last().unwrap_or(error);
    match innermost.kind() {
        ErrorKind::HttpResponse { status, error_code, .. } => {
            let status = u16::from(*status);
            let kind = if status == 429 || status >= 500 { Kind::Unanswered } else { Kind::Denied };
            let code = error_code.as_deref().unwrap_or("without a code");
            Failed::answered(kind, operation, status, &format!("no token was given, {code}"))
        }
        ErrorKind::Connection | ErrorKind::Io => {
            let text = "nobody gives a token for the worker's identity here: the connection could not be made or broke";
            Failed::new(Kind::Unreachable, operation, text)
        }
        _ => Failed::new(Kind::Denied, operation, "no token or signature could be made of the credentials"),
    }
}

/// Whether the service's clock differs so much from ours that it refuses every signature.
fn is_skewed(answer: &RawResponse) -> bool {
    let date = answer.headers().get_optional_str(&HeaderName::from_static("date"));
    let there = date.and_then(|date| parse_rfc7231(date).ok());
    there.is_some_and(|there| (there - OffsetDateTime::now_utc()).unsigned_abs() > SKEW)
}

fn by_answer(operation: &str, status: u16, code: &str) -> Kind {
    match (status, code) {
        (429, _)
        | (_, "ServerBusy" | "TooManyRequests" | "IngressExceedsAccountLimit" | "EgressExceedsAccountLimit") => {
            Kind::Throttled
        }
        (_, "Md5Mismatch" | "InvalidMd5" | "Crc64Mismatch" | "IncompleteBody") => Kind::Garbled,
        (501, _) | (400, "UnsupportedHeader" | "ConditionHeadersNotSupported") => Kind::Unsupported,
        (500.., _) | (408, _) => Kind::Unanswered,
        (401 | 403, _) => Kind::Denied,
        (_, "ContainerNotFound" | "ContainerBeingDeleted" | "ContainerDisabled") => Kind::NoBucket,
        (404, _) if operation != "ListBlobs" && !operation.starts_with("Put") => Kind::Absent,
        // Where the key is taken a condition fails with 409, where it is just being taken also with 412.
        (409, "BlobAlreadyExists") | (412, _) => Kind::Precondition,
        (409, "BlobImmutableDueToPolicy" | "OperationNotAllowedOnImmutableBlob") => Kind::Other,
        (409, _) => Kind::Conflict,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        for (operation, status, code, kind) in [
            ("PutBlob", 409, "BlobAlreadyExists", Kind::Precondition),
            ("PutBlob", 412, "ConditionNotMet", Kind::Precondition),
            ("PutBlob", 409, "LeaseAlreadyPresent", Kind::Conflict),
            ("PutBlob", 503, "ServerBusy", Kind::Throttled),
            ("PutBlob", 500, "OperationTimedOut", Kind::Unanswered),
            ("PutBlock", 400, "Md5Mismatch", Kind::Garbled),
            ("GetBlob", 404, "BlobNotFound", Kind::Absent),
            ("GetBlob", 404, "ContainerNotFound", Kind::NoBucket),
            ("GetBlobProperties", 404, "without a code", Kind::Absent),
            ("ListBlobs", 403, "AuthorizationPermissionMismatch", Kind::Denied),
        ] {
            assert_eq!(by_answer(operation, status, code), kind, "{operation} {status} {code}");
        }
    }

    #[test]
    fn a_log_in_that_was_refused_is_told_from_one_that_was_not_answered() {
        let refused =
            ErrorKind::HttpResponse { status: 401.into(), error_code: Some("7000215".to_owned()), raw_response: None };
        for (inner, kind) in [(refused, Kind::Denied), (ErrorKind::Connection, Kind::Unreachable)] {
            let error = Error::with_error(ErrorKind::Credential, inner.into_error(), "authentication failed");
            assert_eq!(judge("PutBlob", &error).kind, kind);
        }
    }
}
