//! The guard of a task in AWS: a parameter of the worker's own account whose name follows from the worker's own role.
//!
//! Both are asked of AWS with the task's own credentials, and through no proxy. Nothing that launched the task says which name or account to look at; the region
//! is the environment's, so the role's policy has to name one.

use std::error::Error;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ssm::Client;
use aws_sdk_ssm::error::{ProvideErrorMetadata, SdkError};
use waybill_connectors::dial;
use waybill_identity::attest::aws::{Caller, caller_of};
use waybill_spec::guard::{Reason, Refusal};

use super::find::Lost;

/// What every guard's name begins with; the role's name follows.
const ROOT: &str = "/waybill/guard/";
/// What one call may take, with all its tries.
const PATIENCE: Duration = Duration::from_secs(15);

/// A parameter that holds the guard of one role.
pub struct Parameter {
    client: Client,
    name: String,
    account: String,
}

impl Parameter {
    /// Asks who this worker is, with its own credentials and the environment's region.
    pub(super) async fn find() -> Result<Self, Refusal> {
        let times =
            TimeoutConfig::builder().connect_timeout(Duration::from_secs(5)).operation_timeout(PATIENCE).build();
        let retry = RetryConfig::standard().with_max_attempts(4);
        let loader = aws_config::defaults(BehaviorVersion::latest()).http_client(dial::sdk::straight());
        Self::of(&loader.timeout_config(times).retry_config(retry).load().await).await
    }

    /// The parameter of whoever these credentials belong to.
    pub async fn of(config: &SdkConfig) -> Result<Self, Refusal> {
        let refuse = |text: String| Refusal::without_guard(Reason::Missing, text);
        let caller = aws_sdk_sts::Client::new(config).get_caller_identity().send().await;
        let caller = caller.map_err(|error| {
            let reason = if is_final(&error) { Reason::Missing } else { Reason::Unreached };
            Refusal::without_guard(reason, format!("sts:GetCallerIdentity: {}", code_of(&error)))
        })?;
        let Some(Caller { account, role, .. }) = caller_of(caller.arn().unwrap_or_default()) else {
            return Err(refuse(
                "the worker's own identity is no assumed role, so no guard can belong to it".to_owned(),
            ));
        };
        if caller.account() != Some(account.as_str()) {
            return Err(refuse("sts:GetCallerIdentity names two accounts".to_owned()));
        }
        Ok(Self { client: Client::new(config), name: format!("{ROOT}{role}"), account })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text of the guard as it is now.
    pub(super) async fn read(&self) -> Result<String, Lost> {
        let name = &self.name;
        let answer = self.client.get_parameter().name(name).with_decryption(true).send().await;
        let parameter = match answer {
            Ok(answer) => answer.parameter,
            Err(error) if error.as_service_error().is_some_and(|e| e.is_parameter_not_found()) => {
                let text =
                    format!("there is no parameter {name} in this account and region: the worker's role has no guard");
                return Err(Lost::Gone(Refusal::without_guard(Reason::Missing, text)));
            }
            Err(error) => {
                let text = format!("ssm:GetParameter on {name}: {}", code_of(&error));
                return Err(if is_final(&error) {
                    Lost::Gone(Refusal::without_guard(Reason::Unreadable, text))
                } else {
                    Lost::Unreached(Refusal::without_guard(Reason::Unreached, text))
                });
            }
        };
        let gone = |text: &str| Lost::Gone(Refusal::without_guard(Reason::Unreadable, format!("{name} {text}")));
        let parameter = parameter.ok_or_else(|| gone("came without content"))?;
        // A parameter that another account shares has that account in its ARN.
        let account = parameter.arn().and_then(|arn| arn.split(':').nth(4));
        if account != Some(self.account.as_str()) {
            return Err(gone("belongs to another account than the worker's role"));
        }
        parameter.value.ok_or_else(|| gone("came without a value"))
    }
}

/// Whether asking again would bring the same: the worker may not ask, or has nothing to ask with.
fn is_final<E, R>(error: &SdkError<E, R>) -> bool
where
    E: ProvideErrorMetadata + Error + 'static,
    R: std::fmt::Debug + 'static,
{
    let credentials = dial::causes(error).find_map(|cause| cause.downcast_ref::<CredentialsError>());
    match (error, credentials) {
        (SdkError::ServiceError(_), _) => code_of(error).contains("AccessDenied"),
        (_, Some(CredentialsError::ProviderTimedOut(_) | CredentialsError::ProviderError(_))) => false,
        (_, Some(_)) | (SdkError::ConstructionFailure(_), None) => true,
        (_, None) => false,
    }
}

/// The service's error code, or what kind of failure it was; never a message.
fn code_of<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> String {
    let kind = match error {
        SdkError::ServiceError(service) => service.err().code().unwrap_or("an answer without a code"),
        SdkError::TimeoutError(_) => "no answer in time",
        SdkError::ConstructionFailure(_) => "no credentials or no region were found",
        SdkError::DispatchFailure(_) => "no connection could be made, or no credentials were found",
        _ => "the answer broke off",
    };
    kind.chars().filter(|c| c.is_ascii_alphanumeric() || " ,".contains(*c)).take(64).collect()
}

#[cfg(test)]
mod tests;
