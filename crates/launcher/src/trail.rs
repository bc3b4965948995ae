//! What is known of a call to a cloud: which one, as whom, when, under which request id, and how it was answered.
//!
//! Every try of a call is one, since a cloud gives each its own request id. Whoever is told must come back at once: a
//! launch never waits for its own record, and never fails for it.

use std::fmt;

use waybill_model::{AttemptId, DataPlaneId, Micros, OrgId};

/// The outcome of a call that was answered as it should be.
pub const OK: &str = "ok";
/// The outcome of a call whose answer did not come, or not whole: it may have had its effect.
pub const NO_ANSWER: &str = "no_answer";

/// Longest request id that is one.
const LONGEST: usize = 64;

/// One try of one call. Holds no secret: no external id, no ticket, no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudCall {
    /// Whose data plane it was made for; none where whoever called has one only, as an agent has.
    pub owner: Option<(OrgId, DataPlaneId)>,
    /// As permissions name it, such as `ecs:RunTask`.
    pub action: &'static str,
    /// ARN of the role that made it; of `sts:AssumeRole`, of the role that was asked for. Empty where whoever called learns
    /// by this call who it is.
    pub role: String,
    /// Name of the session, which of a launch is its attempt's id. Empty where it is whoever called's own.
    pub session: String,
    /// Region.
    pub region: String,
    /// The attempt whose task was to start.
    pub attempt: Option<AttemptId>,
    /// The task that it was about, where it was about one.
    pub task: Option<String>,
    /// When it was sent, by this host's clock.
    pub at: Micros,
    /// What the cloud calls it; none where no answer brought it.
    pub request_id: Option<String>,
    /// [`OK`], [`NO_ANSWER`], or the cloud's error code from a closed list.
    pub outcome: &'static str,
}

impl CloudCall {
    /// Whether it only looks at tasks: such calls are made all the time and change nothing.
    #[must_use]
    pub fn is_look(&self) -> bool {
        matches!(self.action, "ecs:DescribeTasks" | "ecs:ListTasks")
    }
}

/// An outcome as it is written here; `other` where it is none of the closed list.
#[must_use]
pub fn outcome(text: &str) -> &'static str {
    const KNOWN: &[&str] = &[
        OK,
        NO_ANSWER,
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationHeaderMalformed",
        "BlockedException",
        "ClientException",
        "ClusterNotFoundException",
        "ConflictException",
        "ExpiredToken",
        "ExpiredTokenException",
        "InternalError",
        "InternalFailure",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidParameterException",
        "InvalidSignatureException",
        "MalformedPolicyDocument",
        "NoSuchBucket",
        "NoSuchKey",
        "PermanentRedirect",
        "PlatformTaskDefinitionIncompatibilityException",
        "PlatformUnknownException",
        "RegionDisabledException",
        "RequestExpired",
        "RequestLimitExceeded",
        "RequestTimeTooSkewed",
        "ServerException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "SignatureDoesNotMatch",
        "SlowDown",
        "TargetNotConnectedException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "UnauthorizedOperation",
        "UnrecognizedClientException",
        "UnsupportedFeatureException",
        "ValidationError",
    ];
    KNOWN.iter().copied().find(|known| *known == text).unwrap_or("other")
}

/// A request id that can stand in a list; whatever else was sent in its place is not kept.
#[must_use]
pub fn request_id(text: &str) -> Option<String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (plain && !text.is_empty() && text.len() <= LONGEST).then(|| text.to_owned())
}

/// Who is told of every call.
pub trait Witness: Send + Sync + fmt::Debug {
    /// A call was made. Comes back at once, whatever becomes of what it was told.
    fn saw(&self, call: CloudCall);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_request_id_is_kept_as_one() {
        for good in ["3f1c1b9e-5a3d-4c55-9f0a-0b1c2d3e4f50", "fake-1"] {
            assert_eq!(request_id(good).as_deref(), Some(good));
        }
        for bad in ["", "two words", "a\u{e9}", "x\ny", "<b>", &"a".repeat(65)] {
            assert_eq!(request_id(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn an_outcome_is_one_of_the_list() {
        for known in [OK, NO_ANSWER, "ThrottlingException"] {
            assert_eq!(outcome(known), known);
        }
        assert_eq!((outcome(""), outcome("hunter2")), ("other", "other"));
    }
}
