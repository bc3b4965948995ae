//! What a failed call means. Of the service's answer only status and error code are kept: its message may name things.

use std::future::Future;
use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::DateTime;
use waybill_model::{FailureCode, Micros};
use waybill_pipeline::BucketError;

use crate::dial::denial;

/// The kinds of failure that callers tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The service asks to slow down.
    Throttled,
    /// No answer, or one of the service's own failures: it may have acted.
    Unanswered,
    /// No connection.
    Unreachable,
    /// The dialer does not go there.
    Forbidden,
    /// What arrived there was not what was sent. Nothing happened.
    Garbled,
    /// Credentials or a permission are missing.
    Denied,
    /// The clocks differ too much for a signature.
    Skewed,
    /// No such object.
    Absent,
    /// No such bucket.
    NoBucket,
    /// The condition does not hold (412).
    Precondition,
    /// Another writer is at work on the key (409).
    Conflict,
    /// The store does not know the operation or a header.
    Unsupported,
    /// Larger than the caller takes.
    TooLarge,
    /// Anything else.
    Other,
}

/// A call that failed.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    pub(super) kind: Kind,
    operation: &'static str,
    status: Option<u16>,
    code: String,
}

impl Failed {
    pub(super) fn new(kind: Kind, operation: &'static str, code: &str) -> Self {
        Self { kind, operation, status: None, code: code.to_owned() }
    }

    /// What leaves the connector; `partition` is that of the bucket's region, for the name of a grant that is missing.
    pub(super) fn error(&self, url: &str, partition: &str) -> BucketError {
        let status = self.status.map_or(String::new(), |status| format!("{status} "));
        let what = format!("s3:{} on {url}: {status}{}", self.operation, self.code);
        use FailureCode as C;
        match self.kind {
            Kind::Throttled => BucketError::unknown(C::BucketThrottled, what),
            Kind::Unanswered => BucketError::unknown(C::BucketFailed, what),
            Kind::Unreachable => BucketError::unknown(C::BucketUnreachable, what),
            Kind::Forbidden => BucketError::new(C::EgressDenied, what),
            Kind::Denied => {
                let grant = grant(self.operation, url, partition);
                let fix = format!("the worker's credentials are refused or do not allow {grant}");
                BucketError::new(C::BucketDenied, format!("{what}: {fix}"))
            }
            Kind::Skewed => {
                let fix = "this machine's clock differs from the service's by more than 15 minutes: set the clock";
                BucketError::new(C::BucketDenied, format!("{what}: {fix}"))
            }
            Kind::NoBucket => BucketError::new(C::BucketFailed, format!("{what}: there is no such bucket")),
            Kind::Garbled
            | Kind::Absent
            | Kind::Precondition
            | Kind::Conflict
            | Kind::Unsupported
            | Kind::TooLarge
            | Kind::Other => BucketError::new(C::BucketFailed, what),
        }
    }
}

/// The action that a policy has to allow for an operation, and on what.
fn grant(operation: &str, url: &str, partition: &str) -> String {
    let place = url.strip_prefix("s3://").unwrap_or(url).trim_end_matches('/');
    let bucket = place.split('/').next().unwrap_or_default();
    let action = match operation {
        "ListObjectsV2" => return format!("s3:ListBucket on arn:{partition}:s3:::{bucket}"),
        "GetObject" | "HeadObject" => "GetObject",
        "DeleteObject" => "DeleteObject",
        "AbortMultipartUpload" => "AbortMultipartUpload",
        _ => "PutObject",
    };
    format!("s3:{action} on arn:{partition}:s3:::{place}/*")
}

/// Sends a request once, within a time bound.
pub(super) async fn call<T, E: ProvideErrorMetadata>(
    operation: &'static str,
    bound: Duration,
    request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<T, Failed> {
    match tokio::time::timeout(bound, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(judge(operation, &error)),
        Err(_) => Err(Failed::new(Kind::Unanswered, operation, "no answer in time")),
    }
}

fn judge<E: ProvideErrorMetadata>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> Failed {
    let (kind, status, code) = match error {
        SdkError::ConstructionFailure(_) => {
            (Kind::Denied, None, "no credentials were found, or the request can't be built")
        }
        SdkError::TimeoutError(_) => (Kind::Unanswered, None, "no answer in time"),
        SdkError::DispatchFailure(broken) if broken.as_connector_error().is_some_and(|e| denial(e).is_some()) => {
            (Kind::Forbidden, None, "the endpoint leads to an address that is not dialed")
        }
        // Whether a connection was refused or broke in the middle can't be told for sure.
        SdkError::DispatchFailure(broken) if broken.is_io() || broken.is_timeout() => {
            (Kind::Unreachable, None, "the connection could not be made or broke")
        }
        SdkError::DispatchFailure(_) => (Kind::Unreachable, None, "the request could not be sent"),
        SdkError::ResponseError(raw) => (Kind::Unanswered, Some(raw.raw().status().as_u16()), "the answer broke off"),
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            let code = service.err().code().unwrap_or("without a code");
            (by_answer(operation, status, code), Some(status), code)
        }
        _ => (Kind::Unanswered, None, "an unknown failure"),
    };
    // A service could put anything into its code: only what looks like one is kept.
    let code = if code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphanumeric() || b" ,.'".contains(&b)) {
        code
    } else {
        "an unusable code"
    };
    Failed { kind, operation, status, code: code.to_owned() }
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

    #[test]
    fn a_skewed_clock_is_named_and_no_message_is_passed_on() {
        let failed = Failed {
            kind: Kind::Skewed,
            operation: "PutObject",
            status: Some(403),
            code: "RequestTimeTooSkewed".into(),
        };
        let error = failed.error("s3://b", "aws");
        assert_eq!(error.code, FailureCode::BucketDenied);
        assert!(error.text.for_customer().contains("clock") && !error.outcome_unknown);
    }

    #[test]
    fn a_refusal_names_the_action_and_the_arn_to_allow() {
        let named = |operation, url, region| grant(operation, url, waybill_model::net::partition_of(region));
        assert_eq!(named("UploadPart", "s3://lake/raw", "eu-central-1"), "s3:PutObject on arn:aws:s3:::lake/raw/*");
        assert_eq!(named("HeadObject", "s3://lake/", "us-gov-west-1"), "s3:GetObject on arn:aws-us-gov:s3:::lake/*");
        assert_eq!(named("ListObjectsV2", "s3://lake/raw", "cn-north-1"), "s3:ListBucket on arn:aws-cn:s3:::lake");
    }
}
