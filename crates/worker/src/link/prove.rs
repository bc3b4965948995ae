//! What the worker shows of where it runs. In a cloud it proves its role with the keys that the platform gives to its task;
//! those never leave, only a signature over this one enrolment does.

#[cfg(feature = "aws")]
use std::time::{Duration, SystemTime};

#[cfg(feature = "aws")]
use aws_config::provider_config::ProviderConfig;
#[cfg(feature = "aws")]
use aws_config::timeout::TimeoutConfig;
#[cfg(feature = "aws")]
use aws_config::{BehaviorVersion, Region};
#[cfg(feature = "aws")]
use aws_credential_types::{Credentials, provider::ProvideCredentials as _};
#[cfg(feature = "aws")]
use aws_sdk_sts::error::ProvideErrorMetadata as _;
#[cfg(feature = "aws")]
use waybill_connectors::dial::sdk;
use waybill_identity::{AgentAttestation, ProcessAttestation, Ticket, WorkerKey};
use waybill_protocol::pb::enrolment as pb;

use super::LinkError;

/// What STS signs a token with; the orchestrator takes nothing else.
#[cfg(feature = "aws")]
const ALGORITHM: &str = "ES384";
/// How long a token lives: STS gives none for less than a minute, and clocks differ.
#[cfg(feature = "aws")]
const LIFE_SECONDS: i32 = 300;
/// What asking for one may take, with all its tries.
#[cfg(feature = "aws")]
const PATIENCE: Duration = Duration::from_secs(15);

/// How this worker proves where it runs.
pub(super) enum Prover<'a> {
    /// A process: its ticket came over standard input.
    Process,
    /// A worker of an agent, whose voucher came with the ticket; as a task it proves its role as well.
    Agent(&'a Ticket, Option<Box<Self>>),
    /// A task of ECS.
    #[cfg(feature = "aws")]
    Aws(Box<AwsTask>),
}

/// Keys of the task's role, the region whose STS is to be asked, and whether STS is to sign.
#[cfg(feature = "aws")]
pub(super) struct AwsTask {
    keys: aws_config::ecs::EcsCredentialsProvider,
    region: String,
    host: String,
    by_token: bool,
}

impl<'a> Prover<'a> {
    /// By the ticket, and by what the platform set: the metadata address stands in every task of ECS and nowhere else.
    pub(super) fn find(ticket: &'a Ticket) -> Result<Self, LinkError> {
        let is_task = std::env::var_os("ECS_CONTAINER_METADATA_URI_V4").is_some();
        let task = is_task.then(Self::task).transpose()?;
        if ticket.voucher().is_some() {
            return Ok(Self::Agent(ticket, task.map(Box::new)));
        }
        Ok(task.unwrap_or(Self::Process))
    }

    #[cfg(feature = "aws")]
    fn task() -> Result<Self, LinkError> {
        let region = std::env::var("AWS_REGION").map_err(|_| LinkError::Proof("AWS_REGION is not set in this task"))?;
        // It becomes part of a host's name, and whoever launches may set it.
        if !waybill_model::net::is_region(&region) {
            return Err(LinkError::Proof("AWS_REGION is no region"));
        }
        let fips = std::env::var("AWS_USE_FIPS_ENDPOINT").is_ok_and(|value| value == "true");
        let host = waybill_identity::attest::aws::sts_host(&region, fips);
        let straight = ProviderConfig::default().with_http_client(sdk::straight());
        let keys = aws_config::ecs::EcsCredentialsProvider::builder().configure(&straight).build();
        let by_token = match std::env::var("WAYBILL_PROOF").as_deref() {
            Err(_) => false,
            Ok("web-identity-token") => true,
            Ok(_) => return Err(LinkError::Proof("WAYBILL_PROOF names a proof that this worker does not know")),
        };
        if by_token && crate::guard::misleads() {
            return Err(LinkError::Proof(
                "the launch sets certificates or ways to look names up: no token is asked for",
            ));
        }
        Ok(Self::Aws(Box::new(AwsTask { keys, region, host, by_token })))
    }

    #[cfg(not(feature = "aws"))]
    const fn task() -> Result<Self, LinkError> {
        Err(LinkError::Proof("this worker was built without AWS and can't prove its task's role"))
    }

    /// Completes a request to enrol with the proof for what was `asked`: a nonce, the key, the orchestrator's pin.
    pub(super) async fn complete(
        &self,
        request: pb::EnrolRequest,
        asked: (&[u8; 32], &WorkerKey, &str),
    ) -> Result<pb::EnrolRequest, LinkError> {
        let (nonce, key, ..) = asked;
        match self {
            Self::Process => Ok(pb::EnrolRequest {
                attestation_kind: pb::AttestationKind::Process.into(),
                attestation: ProcessAttestation::proof(nonce, &key.spki_sha256()).to_vec(),
                ..request
            }),
            Self::Agent(ticket, task) => {
                let request = match task {
                    Some(task) => Box::pin(task.complete(request, asked)).await?,
                    None => request,
                };
                let voucher = ticket.voucher().ok_or(LinkError::Proof("the agent's voucher is missing"))?;
                let attestation = AgentAttestation::proof(voucher, nonce, &key.spki_sha256()).to_vec();
                Ok(pb::EnrolRequest { attestation_kind: pb::AttestationKind::Agent.into(), attestation, ..request })
            }
            #[cfg(feature = "aws")]
            Self::Aws(task) => {
                let challenge = waybill_identity::attest::aws::challenge(nonce, &key.spki_sha256(), asked.2);
                let attestation_kind = pb::AttestationKind::Aws.into();
                if task.by_token {
                    let aws_token = task.token(&challenge).await?;
                    return Ok(pb::EnrolRequest { attestation_kind, aws_token, ..request });
                }
                let aws = Some(task.sign(&challenge).await?);
                Ok(pb::EnrolRequest { attestation_kind, aws, ..request })
            }
        }
    }
}

#[cfg(feature = "aws")]
impl AwsTask {
    async fn credentials(&self) -> Result<Credentials, LinkError> {
        self.keys.provide_credentials().await.map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "the task's keys");
            LinkError::Proof("the platform gave no keys for the task's role")
        })
    }

    async fn sign(&self, challenge: &str) -> Result<pb::AwsProof, LinkError> {
        let keys = self.credentials().await?;
        let place = (self.host.as_str(), self.region.as_str());
        let proof = waybill_identity::attest::aws::sign(&keys, place, challenge, SystemTime::now())?;
        Ok(pb::AwsProof {
            access_key_id: proof.access_key_id,
            date: proof.date,
            region: proof.region,
            signature: proof.signature,
            security_token: proof.security_token,
        })
    }

    /// A token that STS signs for this one enrolment: the challenge is its only audience, so it is worth nothing elsewhere. Only the
    /// region's own STS is asked: no variable, no proxy and no profile of a launch leads anywhere else.
    async fn token(&self, challenge: &str) -> Result<String, LinkError> {
        let times =
            TimeoutConfig::builder().connect_timeout(Duration::from_secs(5)).operation_timeout(PATIENCE).build();
        let config = aws_sdk_sts::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(sdk::straight())
            .region(Region::new(self.region.clone()))
            .credentials_provider(self.credentials().await?)
            .endpoint_url(endpoint(&self.host))
            .timeout_config(times)
            .build();
        let call = aws_sdk_sts::Client::from_conf(config).get_web_identity_token();
        let call = call.audience(challenge).signing_algorithm(ALGORITHM).duration_seconds(LIFE_SECONDS);
        let answer = call.send().await.map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "sts:GetWebIdentityToken");
            refusal(error.code())
        })?;
        answer.web_identity_token.ok_or(LinkError::Proof("STS answered without a token"))
    }
}

/// What a refusal means by its code: some are for the account's owner to mend, all others may pass.
#[cfg(feature = "aws")]
fn refusal(code: Option<&str>) -> LinkError {
    let code = code.unwrap_or_default();
    if code.starts_with("OutboundWebIdentityFederationDisabled") {
        return LinkError::Proof(
            "the account gives no tokens: enable outbound identity federation in it (aws iam \
             enable-outbound-web-identity-federation), or take --token-issuer from the data plane",
        );
    }
    if code.starts_with("AccessDenied") {
        // IAM takes seconds to know of a policy that was just applied.
        return LinkError::ProofLater("STS gave no token: allow the task's role sts:GetWebIdentityToken");
    }
    LinkError::ProofLater("STS gave no token and may a little later")
}

#[cfg(all(feature = "aws", not(feature = "failpoints")))]
fn endpoint(host: &str) -> String {
    format!("https://{host}")
}

/// A fault build may be led to a scripted STS; a release can't.
#[cfg(all(feature = "aws", feature = "failpoints"))]
fn endpoint(host: &str) -> String {
    std::env::var("WAYBILL_TAP_STS").unwrap_or_else(|_| format!("https://{host}"))
}
