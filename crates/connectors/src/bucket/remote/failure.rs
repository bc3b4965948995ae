//! What a failed call means. Of a service's answer only status and error code are kept: its message may name things.

use std::future::Future;
use std::time::Duration;

use waybill_model::FailureCode;
use waybill_pipeline::BucketError;

/// The kinds of failure that callers tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
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
    /// The condition does not hold: there is such an object.
    Precondition,
    /// Another writer is at work on the key.
    Conflict,
    /// The store does not know the operation or a header.
    Unsupported,
    /// Larger than the caller takes.
    TooLarge,
    /// Anything else.
    Other,
}

impl Kind {
    /// Whether the same call may go better at once or soon.
    pub(super) const fn is_passing(self) -> bool {
        matches!(self, Self::Unanswered | Self::Unreachable | Self::Garbled)
    }
}

/// A call that failed.
#[derive(Clone, Debug)]
pub struct Failed {
    /// What kind of failure it is.
    pub kind: Kind,
    operation: &'static str,
    status: Option<u16>,
    code: String,
}

impl Failed {
    /// A failure in our own words.
    #[must_use]
    pub fn new(kind: Kind, operation: &'static str, code: &str) -> Self {
        Self { kind, operation, status: None, code: code.to_owned() }
    }

    /// What the service answered. It could put anything into its code: only what looks like one is kept.
    #[must_use]
    pub fn answered(kind: Kind, operation: &'static str, status: u16, code: &str) -> Self {
        let is_code = |b: u8| b.is_ascii_alphanumeric() || b" ,.'_-".contains(&b);
        let fits = (1..=64).contains(&code.len()) && code.bytes().all(is_code);
        let code = if fits { code } else { "an unusable code" };
        Self { kind, operation, status: Some(status), code: code.to_owned() }
    }

    /// What leaves the connector; `grant` names what has to be granted for an operation.
    pub(super) fn error(&self, service: &str, url: &str, grant: impl FnOnce(&str) -> String) -> BucketError {
        let status = self.status.map_or(String::new(), |status| format!("{status} "));
        let what = format!("{service}:{} on {url}: {status}{}", self.operation, self.code);
        use FailureCode as C;
        match self.kind {
            Kind::Throttled => BucketError::unknown(C::BucketThrottled, what),
            Kind::Unanswered => BucketError::unknown(C::BucketFailed, what),
            Kind::Unreachable => BucketError::unknown(C::BucketUnreachable, what),
            Kind::Forbidden => BucketError::new(C::EgressDenied, what),
            Kind::Denied => {
                let grant = grant(self.operation);
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

/// Sends a request once, within a time bound.
pub(in crate::bucket) async fn within<T>(
    operation: &'static str,
    bound: Duration,
    request: impl Future<Output = Result<T, Failed>>,
) -> Result<T, Failed> {
    let late = || Failed::new(Kind::Unanswered, operation, "no answer in time");
    tokio::time::timeout(bound, request).await.unwrap_or_else(|_| Err(late()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skewed_clock_is_named_and_no_message_is_passed_on() {
        let failed = Failed::answered(Kind::Skewed, "PutObject", 403, "RequestTimeTooSkewed");
        let error = failed.error("s3", "s3://b", |_| String::new());
        assert_eq!(error.code, FailureCode::BucketDenied);
        assert!(error.text.for_customer().contains("clock") && !error.outcome_unknown);
        let told = Failed::answered(Kind::Other, "PutObject", 400, "<b>the key is AKIDEXAMPLE</b>");
        let text = told.error("s3", "s3://b", |_| String::new()).text.for_customer().to_owned();
        assert!(text.contains("an unusable code") && !text.contains("AKID"), "{text}");
    }
}
