//! Enrolment messages as the orchestrator reads them.

use waybill_model::AttemptId;

use crate::pb::enrolment as pb;
use crate::version::Version;
use crate::wire::{self, Problem, WireError, WireResult};

/// Largest certificate request that is read.
pub const MAX_CSR_BYTES: usize = 4096;
/// Largest ticket that is read.
pub const MAX_TICKET_BYTES: usize = 512;
/// Largest attestation that is read, and largest part of one.
pub const MAX_ATTESTATION_BYTES: usize = 16 << 10;

/// Asks for a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The ticket's attempt.
    pub attempt: AttemptId,
    /// The worker's version.
    pub version: Version,
}

impl TryFrom<pb::HelloRequest> for Hello {
    type Error = WireError;

    fn try_from(wire: pb::HelloRequest) -> WireResult<Self> {
        let version = wire.version.ok_or_else(|| WireError::new("version", Problem::Missing))?;
        Ok(Self { attempt: wire::id("attempt_id", &wire.attempt_id)?, version: version.into() })
    }
}

/// What a worker presents to get its certificate. It holds a ticket, so it has no `Debug`.
pub struct Enrol {
    /// The ticket as it was handed to the worker.
    pub ticket: Vec<u8>,
    /// The nonce of a Hello.
    pub nonce: [u8; 32],
    /// PKCS#10, DER; only its public key is taken.
    pub csr: Vec<u8>,
    /// The kind of attestation.
    pub kind: pb::AttestationKind,
    /// The attestation of a process.
    pub attestation: Vec<u8>,
    /// The attestation of a task in AWS; there where the kind is, and where an agent started the task.
    pub aws: Option<AwsAttestation>,
}

/// How a task in AWS proves its role.
pub enum AwsAttestation {
    /// A call of sts:GetCallerIdentity that it signed.
    Call(pb::AwsProof),
    /// A token that STS signed.
    Token(String),
}

impl TryFrom<pb::EnrolRequest> for Enrol {
    type Error = WireError;

    fn try_from(wire: pb::EnrolRequest) -> WireResult<Self> {
        wire::at_most("ticket", &wire.ticket, MAX_TICKET_BYTES)?;
        wire::at_most("csr", &wire.csr, MAX_CSR_BYTES)?;
        wire::at_most("attestation", &wire.attestation, MAX_ATTESTATION_BYTES)?;
        let kind = match wire.attestation_kind() {
            pb::AttestationKind::Unspecified => return Err(WireError::new("attestation_kind", Problem::UnknownValue)),
            kind => kind,
        };
        let of_task = matches!(kind, pb::AttestationKind::Aws | pb::AttestationKind::Agent);
        for part in wire
            .aws
            .iter()
            .flat_map(|aws| [&aws.access_key_id, &aws.date, &aws.region, &aws.signature, &aws.security_token])
        {
            wire::at_most("aws", part.as_bytes(), MAX_ATTESTATION_BYTES)?;
        }
        wire::at_most("aws_token", wire.aws_token.as_bytes(), MAX_ATTESTATION_BYTES)?;
        let aws = match (wire.aws, wire.aws_token) {
            _ if !of_task => None,
            (Some(_), token) if !token.is_empty() => return Err(WireError::new("aws_token", Problem::Excess)),
            (Some(call), _) => Some(AwsAttestation::Call(call)),
            (None, token) if !token.is_empty() => Some(AwsAttestation::Token(token)),
            (None, _) => None,
        };
        if kind == pb::AttestationKind::Aws && aws.is_none() {
            return Err(WireError::new("aws", Problem::Missing));
        }
        let nonce = wire::array("nonce", &wire.nonce)?;
        Ok(Self { ticket: wire.ticket, nonce, csr: wire.csr, kind, attestation: wire.attestation, aws })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> pb::EnrolRequest {
        pb::EnrolRequest {
            ticket: vec![1; 64],
            nonce: vec![2; 32],
            csr: vec![3; 300],
            attestation_kind: pb::AttestationKind::Process.into(),
            attestation: vec![4; 32],
            aws: None,
            aws_token: String::new(),
        }
    }

    fn refused(request: pb::EnrolRequest) -> WireError {
        Enrol::try_from(request).err().expect("must be refused")
    }

    #[test]
    fn an_oversized_or_malformed_enrolment_names_its_field() {
        assert!(Enrol::try_from(request()).is_ok());
        assert_eq!(refused(pb::EnrolRequest { csr: vec![0; 1 << 20], ..request() }).field, "csr");
        assert_eq!(refused(pb::EnrolRequest { nonce: vec![2; 31], ..request() }).problem, Problem::Length(32));
        assert_eq!(refused(pb::EnrolRequest { ticket: vec![1; 600], ..request() }).field, "ticket");
        for kind in [0, 99, -1] {
            assert_eq!(refused(pb::EnrolRequest { attestation_kind: kind, ..request() }).field, "attestation_kind");
        }
    }

    #[test]
    fn a_proof_of_aws_is_there_where_its_kind_is_and_bounded() {
        let kind = pb::AttestationKind::Aws.into();
        assert_eq!(refused(pb::EnrolRequest { attestation_kind: kind, ..request() }).field, "aws");
        let large = pb::AwsProof { security_token: "a".repeat(17 << 10), ..pb::AwsProof::default() };
        assert_eq!(refused(pb::EnrolRequest { attestation_kind: kind, aws: Some(large), ..request() }).field, "aws");
        let small = || Some(pb::AwsProof::default());
        assert!(Enrol::try_from(pb::EnrolRequest { attestation_kind: kind, aws: small(), ..request() }).is_ok());
        let token = |length| "a".repeat(length);
        let of = |aws, aws_token| pb::EnrolRequest { attestation_kind: kind, aws, aws_token, ..request() };
        assert!(Enrol::try_from(of(None, token(900))).is_ok());
        assert_eq!(refused(of(None, token(17 << 10))).field, "aws_token");
        assert_eq!(refused(of(small(), token(900))).field, "aws_token");
    }

    #[test]
    fn a_hello_without_version_or_with_another_nouns_id_is_refused() {
        let attempt = AttemptId::generate();
        let version = Some(Version::current().into());
        let good = pb::HelloRequest { attempt_id: attempt.to_string(), version };
        assert_eq!(Hello::try_from(good.clone()).map(|h| h.attempt), Ok(attempt));
        let missing = pb::HelloRequest { version: None, ..good.clone() };
        assert_eq!(Hello::try_from(missing), Err(WireError::new("version", Problem::Missing)));
        let other = pb::HelloRequest { attempt_id: attempt.to_string().replace("att_", "run_"), ..good };
        assert_eq!(Hello::try_from(other), Err(WireError::new("attempt_id", Problem::NotAnId)));
    }
}
