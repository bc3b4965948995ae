//! What an answer of S3 means. Of it only status and error code are kept: its message may name things.

use std::future::Future;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::DateTime;
use waybill_model::Micros;

use super::super::remote::{Failed, Kind, within};
use crate::dial::{causes, denial};

/// Sends a request once, within a time bound.
pub(super) async fn call<T, E: ProvideErrorMetadata>(
    operation: &'static str,
    bound: Duration,
    request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<T, Failed> {
    within(operation, bound, async { request.await.map_err(|error| judge(operation, &error)) }).await
}

fn judge<E: ProvideErrorMetadata>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> Failed {
    let (kind, what) = match error {
        SdkError::ConstructionFailure(_) => (Kind::Denied, "no credentials were found, or the request can't be built"),
        SdkError::TimeoutError(_) => (Kind::Unanswered, "no answer in time"),
        SdkError::DispatchFailure(broken) if broken.as_connector_error().is_some_and(|e| denial(e).is_some()) => {
            (Kind::Forbidden, "the endpoint leads to an address that is not dialed")
        }
        SdkError::DispatchFailure(_) if are_keys_gone(error) => {
            (Kind::Denied, "the keys' references can't be followed")
        }
        // Whether a connection was refused or broke in the middle can't be told for sure.
        SdkError::DispatchFailure(broken) if broken.is_io() || broken.is_timeout() => {
            (Kind::Unreachable, "the connection could not be made or broke")
        }
        SdkError::DispatchFailure(_) => (Kind::Unreachable, "the request could not be sent"),
        SdkError::ResponseError(raw) => {
            let status = raw.raw().status().as_u16();
            return Failed::answered(Kind::Unanswered, operation, status, "the answer broke off");
        }
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            let code = service.err().code().unwrap_or("without a code");
            return Failed::answered(by_answer(operation, status, code), operation, status, code);
        }
        _ => (Kind::Unanswered, "an unknown failure"),
    };
    Failed::new(kind, operation, what)
}

/// Whether the keys that were to sign the request are not there any more, and asking again would bring none.
fn are_keys_gone<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let SdkError::DispatchFailure(broken) = error else { return false };
    let Some(first) = broken.as_connector_error() else { return false };
    let credentials = causes(first).find_map(|cause| cause.downcast_ref::<CredentialsError>());
    matches!(credentials, Some(CredentialsError::InvalidConfiguration(_)))
}

fn by_answer(operation: &str, status: u16, code: &str) -> Kind {
    match (status, code) {
        (_, "RequestTimeTooSkewed") => Kind::Skewed,
        (429, _)
        | (
            _,
            "SlowDown" | "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "TooManyRequestsException",
        ) => Kind::Throttled,
        (_, "BadDigest" | "InvalidDigest" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch")
        | (400, "IncompleteBody" | "RequestTimeout") => Kind::Garbled,
        // The provider fetches fresh ones for the next try.
        (_, "ExpiredToken" | "RequestExpired") => Kind::Garbled,
        (501, _) | (_, "NotImplemented") => Kind::Unsupported,
        (500.., _) | (408, _) | (200, _) | (_, "InternalError") => Kind::Unanswered,
        (401 | 403, _) => Kind::Denied,
        (_, "NoSuchBucket") => Kind::NoBucket,
        (404, "NoSuchUpload") => Kind::Other,
        (404, _) if operation != "CreateMultipartUpload" && operation != "ListObjectsV2" => Kind::Absent,
        (412, _) => Kind::Precondition,
        (409, _) => Kind::Conflict,
        _ => Kind::Other,
    }
}

/// The service's time.
pub(super) fn micros(time: Option<&DateTime>) -> Micros {
    let (secs, nanos) = time.map_or((0, 0), |time| (time.secs(), time.subsec_nanos()));
    Micros(secs.saturating_mul(1_000_000).saturating_add(i64::from(nanos / 1000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        assert_eq!(by_answer("PutObject", 503, "SlowDown"), Kind::Throttled);
        assert_eq!(by_answer("PutObject", 503, "ServiceUnavailable"), Kind::Unanswered);
        assert_eq!(by_answer("PutObject", 412, "PreconditionFailed"), Kind::Precondition);
        assert_eq!(by_answer("PutObject", 409, "ConditionalRequestConflict"), Kind::Conflict);
        assert_eq!(by_answer("CompleteMultipartUpload", 200, "InternalError"), Kind::Unanswered);
        assert_eq!(by_answer("PutObject", 400, "BadDigest"), Kind::Garbled);
        assert_eq!(by_answer("GetObject", 404, "NoSuchKey"), Kind::Absent);
        assert_eq!(by_answer("GetObject", 404, "NoSuchBucket"), Kind::NoBucket);
    }
}
