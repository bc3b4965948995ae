//! What the worker shows of where it runs. In a cloud it proves its role with the keys that the platform gives to its task;
//! those never leave, only a signature over this one enrolment does.

#[cfg(feature = "aws")]
use std::time::SystemTime;

use waybill_identity::{AgentAttestation, ProcessAttestation, Ticket, WorkerKey};
use waybill_protocol::pb::enrolment as pb;

use super::LinkError;

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

/// Keys of the task's role, and the region whose STS is to be asked.
#[cfg(feature = "aws")]
pub(super) struct AwsTask {
    keys: aws_config::ecs::EcsCredentialsProvider,
    region: String,
    host: String,
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
        let fips = std::env::var("AWS_USE_FIPS_ENDPOINT").is_ok_and(|value| value == "true");
        let host = waybill_identity::attest::aws::sts_host(&region, fips);
        let keys = aws_config::ecs::EcsCredentialsProvider::builder().build();
        Ok(Self::Aws(Box::new(AwsTask { keys, region, host })))
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
                let proof = Some(task.sign(&challenge).await?);
                Ok(pb::EnrolRequest { attestation_kind: pb::AttestationKind::Aws.into(), aws: proof, ..request })
            }
        }
    }
}

#[cfg(feature = "aws")]
impl AwsTask {
    async fn sign(&self, challenge: &str) -> Result<pb::AwsProof, LinkError> {
        use aws_credential_types::provider::ProvideCredentials as _;
        let keys = self.keys.provide_credentials().await.map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "the task's keys");
            LinkError::Proof("the platform gave no keys for the task's role")
        })?;
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
}
