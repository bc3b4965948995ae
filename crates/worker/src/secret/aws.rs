//! Secrets of AWS Secrets Manager and parameters of Systems Manager, read with the worker's own credentials.
//!
//! The region is the ARN's, else the worker's own. Of an answer that refuses only its code is looked at: its message names
//! roles and accounts.

use std::error::Error;

use async_trait::async_trait;
use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use tokio::sync::OnceCell;
use waybill_connectors::dial::{self, Dialer, sdk};
use waybill_model::secret::{AwsParameter, AwsSecret, AwsVersion};
use zeroize::Zeroizing;

use super::bounded::bounded;
use super::{Keeper, Problem, Secret, http, json};

/// A secret with no key in it, of which one is asked for.
const NO_OBJECT: &str = "is no JSON object: leave the #key out where the whole text is the secret";

/// Both stores. Settings are looked up at the first use.
pub(super) struct Aws {
    settings: OnceCell<SdkConfig>,
    http: SharedHttpClient,
}

impl Aws {
    pub(super) fn new(dialer: Dialer) -> Self {
        Self { settings: OnceCell::new(), http: bounded(sdk::http_client(dialer)) }
    }

    /// With settings that are known already.
    #[cfg(test)]
    pub(super) fn of(settings: SdkConfig, dialer: Dialer) -> Self {
        Self { settings: OnceCell::new_with(Some(settings)), http: bounded(sdk::http_client(dialer)) }
    }

    async fn settings(&self) -> &SdkConfig {
        self.settings.get_or_init(http::aws).await
    }

    async fn region(&self, named: Option<&str>) -> Result<Region, Problem> {
        let own = self.settings().await.region();
        let region = named.map(|name| Region::new(name.to_owned())).or_else(|| own.cloned());
        region.ok_or_else(|| {
            Problem::unusable("can't be read: no region is known; write its ARN, or set AWS_REGION for the worker")
        })
    }

    /// The worker's own credentials.
    pub(super) async fn credentials(&self) -> Result<Credentials, Problem> {
        match self.settings().await.credentials_provider() {
            Some(provider) => provider.provide_credentials().await.map_err(|error| no_credentials(&error)),
            None => Err(Problem::denied("can't be read: the worker has no AWS credentials")),
        }
    }
}

#[async_trait]
impl Keeper<AwsSecret> for Aws {
    async fn fetch(&self, reference: &AwsSecret) -> Result<Secret, Problem> {
        let region = self.region(reference.region()).await?;
        let settings = aws_sdk_secretsmanager::config::Builder::from(self.settings().await)
            .region(region)
            .http_client(self.http.clone())
            .build();
        let mut call = aws_sdk_secretsmanager::Client::from_conf(settings).get_secret_value().secret_id(reference.id());
        call = match reference.version() {
            Some(AwsVersion::Id(id)) => call.version_id(id),
            Some(AwsVersion::Stage(name)) => call.version_stage(name),
            None => call,
        };
        let answer = call.send().await.map_err(|error| refused(&error, "secretsmanager:GetSecretValue"))?;
        let Some(text) = answer.secret_string.map(Zeroizing::new) else {
            return Err(Problem::unusable("is binary: only text is taken for a secret"));
        };
        match reference.key() {
            Some(key) => Secret::of(json::pick(text.as_bytes(), &[key], NO_OBJECT)?),
            None => Secret::of(text),
        }
    }
}

#[async_trait]
impl Keeper<AwsParameter> for Aws {
    async fn fetch(&self, reference: &AwsParameter) -> Result<Secret, Problem> {
        let region = self.region(reference.region()).await?;
        let settings = aws_sdk_ssm::config::Builder::from(self.settings().await)
            .region(region)
            .http_client(self.http.clone())
            .build();
        let call =
            aws_sdk_ssm::Client::from_conf(settings).get_parameter().name(reference.name()).with_decryption(true);
        let answer = call.send().await.map_err(|error| refused(&error, "ssm:GetParameter"))?;
        let value = answer.parameter.and_then(|parameter| parameter.value);
        Secret::of(Zeroizing::new(value.ok_or_else(|| Problem::unusable("has no value"))?))
    }
}

/// What an answer that brings no secret means. `action` is what a policy would have to allow.
fn refused<E>(error: &SdkError<E>, action: &str) -> Problem
where
    E: ProvideErrorMetadata + Error + 'static,
    SdkError<E>: Error,
{
    let Some(status) = error.raw_response().map(|answer| answer.status().as_u16()) else { return unanswered(error) };
    match error.code().unwrap_or_default() {
        "ResourceNotFoundException" | "ParameterNotFound" | "ParameterVersionNotFound" => {
            Problem::not_found("does not exist in this account and region, or has no such version")
        }
        "InvalidRequestException" => Problem::not_found("can't be read now: it is marked for deletion"),
        "DecryptionFailure" | "InvalidKeyId" => {
            Problem::denied("can't be decrypted: the worker's role needs kms:Decrypt on the key of this secret")
        }
        "AccessDeniedException" | "AccessDenied" => Problem::denied(format!(
            "is refused: the worker's role needs {action} on it, and kms:Decrypt where it has a key of its own"
        )),
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "ExpiredTokenException"
        | "ExpiredToken"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature" => Problem::denied("can't be read: AWS does not accept the worker's credentials"),
        "ThrottlingException" | "Throttling" | "TooManyRequestsException" => {
            Problem::unreachable("can't be read: AWS asks to slow down")
        }
        _ if status < 300 => Problem::unreachable("can't be read: the answer of the service is not whole"),
        _ if status >= 500 => Problem::unreachable(format!("can't be read: the service answered {status}")),
        _ if status == 403 => Problem::denied(format!("is refused: the worker's role needs {action} on it")),
        _ => Problem::unusable(format!("can't be read: the service answered {status}")),
    }
}

/// No answer came: there were no credentials to ask with, or no way to the service.
fn unanswered(error: &(dyn Error + 'static)) -> Problem {
    if let Some(problem) = http::barred(error) {
        return problem;
    }
    let credentials = dial::causes(error).find_map(|cause| cause.downcast_ref::<CredentialsError>());
    credentials.map_or_else(|| Problem::unreachable("can't be read: no answer came from the service"), no_credentials)
}

fn no_credentials(error: &CredentialsError) -> Problem {
    match error {
        CredentialsError::ProviderTimedOut(_) | CredentialsError::ProviderError(_) => {
            Problem::unreachable("can't be read: the worker's own AWS credentials could not be fetched")
        }
        _ => Problem::denied("can't be read: the worker has no AWS credentials"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;

    use aws_credential_types::provider::SharedCredentialsProvider;
    use waybill_connectors::dial::{Resolve, Rules};
    use waybill_model::FailureCode;
    use waybill_model::secret::SecretRef;

    use super::*;

    /// Every name leads to the metadata server.
    struct Rebound;

    #[async_trait]
    impl Resolve for Rebound {
        async fn resolve(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
            Ok(vec![IpAddr::from([169, 254, 169, 254])])
        }
    }

    /// Keys and a region, and where it is given another endpoint than AWS's own.
    pub(in crate::secret) fn settings(endpoint: Option<&str>) -> SdkConfig {
        let keys = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
        let mut settings = SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .region(Region::from_static("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(keys))
            .retry_config(aws_config::retry::RetryConfig::disabled());
        settings.set_endpoint_url(endpoint.map(str::to_owned));
        settings.build()
    }

    #[tokio::test]
    async fn services_of_aws_whose_names_lead_to_the_metadata_server_are_not_dialed() {
        let aws = Aws::of(settings(None), Dialer::with(Rules::local(), Arc::new(Rebound)));
        for text in ["aws-sm://shop/db", "aws-ssm:///shop/db"] {
            let reference: SecretRef = text.parse().expect(text);
            let answer = match &reference {
                SecretRef::AwsSecret(secret) => aws.fetch(secret).await,
                SecretRef::AwsParameter(parameter) => aws.fetch(parameter).await,
                other => panic!("{other}"),
            };
            let Err(problem) = answer else { panic!("{text}: it was dialed") };
            assert_eq!(problem.fault(&reference).code, FailureCode::EgressDenied, "{text}");
        }
    }
}
