//! What a failed call means: to be made again, refused for a missing permission, refused for what it asks, or unknown.
//! The cloud's own words go to our log and no further.

use aws_sdk_ecs::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use super::arn::RoleArn;
use crate::{LaunchError, trail};

/// The one call that is made with our own role and not with a customer's.
pub(super) const ASSUME: &str = "sts:AssumeRole";

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
    match code {
        "AccessDeniedException" | "AccessDenied" | "UnauthorizedOperation" => denied(message, call),
        "ExpiredTokenException" | "ExpiredToken" | "UnrecognizedClientException" | "InvalidClientTokenId" => {
            LaunchError::SessionEnded
        }
        "ThrottlingException" | "Throttling" | "TooManyRequestsException" | "RequestLimitExceeded" => LaunchError::Busy,
        "ServerException" | "InternalFailure" | "ServiceUnavailable" | "ServiceUnavailableException" | "" => {
            LaunchError::NoAnswer { action: call.action }
        }
        "ClientException" if message.contains("limit on the number of tasks") => LaunchError::NoCapacity,
        other => LaunchError::Refused { action: call.action, code: trail::outcome(other) },
    }
}

fn denied(message: &str, call: &Call<'_>) -> LaunchError {
    if message.contains("iam:PassRole") {
        let resource = passed(message).unwrap_or_else(|| call.resource.to_owned());
        return LaunchError::Denied { action: "iam:PassRole", resource };
    }
    let (action, resource) = (call.action, call.resource.to_owned());
    match of_ones_own(message).filter(|_| action == ASSUME) {
        Some(is_forbidden) => LaunchError::OwnDenied { action, resource, is_forbidden },
        None => LaunchError::Denied { action, resource },
    }
}

/// Whether the policies of whoever asked refused, and if so, whether one of them forbids it: only then does AWS name a kind of policy
/// that belongs to the caller. A role's trust policy is no such one.
fn of_ones_own(message: &str) -> Option<bool> {
    const KINDS: [&str; 4] =
        ["identity-based policy", "permissions boundary", "session policy", "service control policy"];
    let kind = KINDS.iter().find(|kind| message.contains(**kind))?;
    // A boundary that leaves it out is one more policy to change, and no statement that is added to the role goes past it.
    Some(message.contains("explicit deny") || *kind != KINDS[0])
}

/// The role that could not be handed over: of the cloud's words, only what is exactly the ARN of a role.
fn passed(message: &str) -> Option<String> {
    let (_, named) = message.split_once("on resource: ")?;
    let role: RoleArn = named.split(' ').next()?.trim_matches('"').parse().ok()?;
    Some(role.to_string())
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

    #[test]
    fn who_refused_an_assume_role_is_read_from_the_refusal() {
        let role = "arn:aws:iam::222222222222:role/waybill-launch";
        let of = |action: &'static str, why: &str| {
            let message = format!(
                "User: arn:aws:iam::111111111111:role/waybill is not authorized to perform: {action} on resource: {role}{why}"
            );
            of_code("AccessDenied", &message, &Call { action, resource: role })
        };
        let own = |why: &str| match of(ASSUME, why) {
            LaunchError::OwnDenied { is_forbidden, .. } => Some(is_forbidden),
            LaunchError::Denied { .. } => None,
            other => panic!("{other}"),
        };
        for (why, told) in [
            ("", None),
            (" because no resource-based policy allows the sts:AssumeRole action", None),
            (" with an explicit deny in a resource-based policy", None),
            (" because no identity-based policy allows the sts:AssumeRole action", Some(false)),
            (" with an explicit deny in an identity-based policy", Some(true)),
            (" with an explicit deny in an identity-based policy: arn:aws:iam::111111111111:policy/p", Some(true)),
            (" because no permissions boundary allows the sts:AssumeRole action", Some(true)),
            (" with an explicit deny in a service control policy", Some(true)),
        ] {
            assert_eq!(own(why), told, "{why}");
        }
        let statement =
            of(ASSUME, " because no identity-based policy allows the sts:AssumeRole action").own_statement();
        assert_eq!(statement.expect("a statement")["Resource"], role);
        assert_eq!(of(ASSUME, " with an explicit deny in an identity-based policy").own_statement(), None);
        // Another call is made with the customer's role: what refuses it there is the customer's.
        let theirs = of("ecs:RunTask", " because no identity-based policy allows the ecs:RunTask action");
        assert!(matches!(theirs, LaunchError::Denied { .. }), "{theirs}");
    }
}
