//! What a failed call means: to be made again, refused for a missing permission, refused for what it asks, or unknown.
//! The cloud's own words go to our log and no further.

use aws_sdk_ecs::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use super::arn::RoleArn;
use crate::LaunchError;

/// A call, as permissions name it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    pub(super) action: &'static str,
    pub(super) resource: &'a str,
}

/// What follows from a failed call.
pub(super) fn failed<E, R>(error: &SdkError<E, R>, call: &Call<'_>) -> LaunchError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    tracing::info!(action = call.action, resource = call.resource, why = %DisplayErrorContext(error), "a call failed");
    let Some(service) = error.as_service_error() else {
        // A time limit, a broken connection, an answer that can't be read: it may have had its effect.
        return LaunchError::NoAnswer { action: call.action };
    };
    of_code(service.code().unwrap_or_default(), service.message().unwrap_or_default(), call)
}

/// The same from the code and the words of the service.
fn of_code(code: &str, message: &str, call: &Call<'_>) -> LaunchError {
    let denied = |action: &'static str, resource: String| LaunchError::Denied { action, resource };
    match code {
        "AccessDeniedException" | "AccessDenied" | "UnauthorizedOperation" if message.contains("iam:PassRole") => {
            denied("iam:PassRole", passed(message).unwrap_or_else(|| call.resource.to_owned()))
        }
        "AccessDeniedException" | "AccessDenied" | "UnauthorizedOperation" => {
            denied(call.action, call.resource.to_owned())
        }
        "ExpiredTokenException" | "ExpiredToken" | "UnrecognizedClientException" | "InvalidClientTokenId" => {
            LaunchError::SessionEnded
        }
        "ThrottlingException" | "Throttling" | "TooManyRequestsException" | "RequestLimitExceeded" => LaunchError::Busy,
        "ServerException" | "InternalFailure" | "ServiceUnavailable" | "ServiceUnavailableException" | "" => {
            LaunchError::NoAnswer { action: call.action }
        }
        "ClientException" if message.contains("limit on the number of tasks") => LaunchError::NoCapacity,
        other => LaunchError::Refused { action: call.action, code: known(other) },
    }
}

/// The role that could not be handed over: of the cloud's words, only what is exactly the ARN of a role.
fn passed(message: &str) -> Option<String> {
    let (_, named) = message.split_once("on resource: ")?;
    let role: RoleArn = named.split(' ').next()?.trim_matches('"').parse().ok()?;
    Some(role.to_string())
}

/// The code from a closed list.
pub(super) fn known(code: &str) -> &'static str {
    const KNOWN: &[&str] = &[
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
    KNOWN.iter().copied().find(|known| *known == code).unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_has_its_meaning() {
        use waybill_model::FailureCode as C;
        let call = Call { action: "ecs:RunTask", resource: "arn:aws:ecs:eu-central-1:1:task-definition/worker" };
        let of = |code, message| of_code(code, message, &call);
        for (code, message, failure, passes) in [
            ("AccessDeniedException", "User: … is not authorized", C::AccessDenied, false),
            ("AccessDenied", "", C::AccessDenied, false),
            ("ThrottlingException", "Rate exceeded", C::LaunchFailed, true),
            ("ServerException", "", C::LaunchFailed, true),
            ("ClusterNotFoundException", "Cluster not found.", C::LaunchRefused, false),
            ("ClientException", "TaskDefinition is inactive", C::LaunchRefused, false),
            (
                "ClientException",
                "You've reached the limit on the number of tasks you can run concurrently",
                C::NoCapacity,
                true,
            ),
            ("BrandNewException", "", C::LaunchRefused, false),
        ] {
            let error = of(code, message);
            assert_eq!((error.failure(), error.passes()), (failure, passes), "{code} {message}");
        }
        assert!(matches!(of("ExpiredTokenException", ""), LaunchError::SessionEnded));
        let pass_role = "User: x is not authorized to perform: iam:PassRole on resource: y";
        assert!(matches!(of("AccessDeniedException", pass_role), LaunchError::Denied { action: "iam:PassRole", .. }));
        let role =
            "User: x is not authorized to perform: iam:PassRole on resource: arn:aws:iam::222222222222:role/e because";
        let told = of("AccessDeniedException", role).to_string();
        assert_eq!(told, "iam:PassRole on arn:aws:iam::222222222222:role/e is not allowed");
        assert!(of("AccessDeniedException", "").to_string().contains("ecs:RunTask on arn:aws:ecs"));
    }
}
