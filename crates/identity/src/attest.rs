//! Proof of where a worker was started, bound to the nonce and to its public key. One implementation per kind.
//!
//! A kind that is not configured is refused: there is no default.

use std::net::IpAddr;

use aws_lc_rs::{digest, hmac};
use futures::future::BoxFuture;

use crate::nonce::Nonce;

pub mod aws;

/// Where a worker says that it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttestationKind {
    /// A child process of the orchestrator's own host.
    Process,
    /// A process that an agent started.
    Agent,
    /// A task in AWS.
    Aws,
}

/// What a proof must be bound to.
#[derive(Clone, Copy)]
pub struct Binding {
    /// The challenge of this enrolment.
    pub nonce: Nonce,
    /// SHA-256 over the public key that gets the certificate.
    pub spki_sha256: [u8; 32],
    /// Where the connection comes from.
    pub remote: IpAddr,
}

/// Why a proof is refused; for the log and the audit, not for the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("attestation_rejected: {0}")]
pub struct AttestationError(pub &'static str);

/// Checks the proofs of one kind.
pub trait Attestation: Send + Sync {
    /// The kind.
    fn kind(&self) -> AttestationKind;

    /// Accepts or refuses a proof.
    fn verify<'a>(&'a self, proof: &'a [u8], binding: Binding) -> BoxFuture<'a, Result<(), AttestationError>>;
}

/// A local process: its ticket came over an inherited pipe, and it can only come from this host.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessAttestation;

impl ProcessAttestation {
    /// The proof that a process sends.
    #[must_use]
    pub fn proof(nonce: &Nonce, spki_sha256: &[u8; 32]) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"waybill process attestation 1");
        context.update(nonce);
        context.update(spki_sha256);
        let mut proof = [0; 32];
        proof.copy_from_slice(context.finish().as_ref());
        proof
    }
}

impl Attestation for ProcessAttestation {
    fn kind(&self) -> AttestationKind {
        AttestationKind::Process
    }

    fn verify<'a>(&'a self, proof: &'a [u8], binding: Binding) -> BoxFuture<'a, Result<(), AttestationError>> {
        let local = binding.remote.to_canonical().is_loopback();
        let expected = Self::proof(&binding.nonce, &binding.spki_sha256);
        let same = aws_lc_rs::constant_time::verify_slices_are_equal(proof, &expected).is_ok();
        Box::pin(async move {
            match (local, same) {
                (false, _) => Err(AttestationError("a process must connect from loopback")),
                (true, false) => Err(AttestationError("it is not bound to this nonce and key")),
                (true, true) => Ok(()),
            }
        })
    }
}

/// A worker that an agent started: it holds the voucher that went to that agent with the ticket, so a ticket of
/// another way, and a late worker of an agent that was given up on, prove nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct AgentAttestation;

impl AgentAttestation {
    /// The proof that such a worker sends.
    #[must_use]
    pub fn proof(voucher: &[u8; 32], nonce: &Nonce, spki_sha256: &[u8; 32]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, voucher));
        context.update(b"waybill agent attestation 1");
        context.update(nonce);
        context.update(spki_sha256);
        let mut proof = [0; 32];
        proof.copy_from_slice(context.sign().as_ref());
        proof
    }

    /// Accepts or refuses a proof.
    pub fn verify(voucher: &[u8; 32], proof: &[u8], binding: &Binding) -> Result<(), AttestationError> {
        let expected = Self::proof(voucher, &binding.nonce, &binding.spki_sha256);
        aws_lc_rs::constant_time::verify_slices_are_equal(proof, &expected)
            .map_err(|_| AttestationError("it is not bound to this nonce, key and agent"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verify(proof: &[u8], remote: &str) -> Result<(), AttestationError> {
        let binding = Binding { nonce: [1; 32], spki_sha256: [2; 32], remote: remote.parse().unwrap() };
        futures::executor::block_on(ProcessAttestation.verify(proof, binding))
    }

    #[test]
    fn a_process_is_accepted_from_loopback_only() {
        let proof = ProcessAttestation::proof(&[1; 32], &[2; 32]);
        for remote in ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(verify(&proof, remote), Ok(()), "{remote}");
        }
        for remote in ["10.0.0.1", "::ffff:10.0.0.1", "0.0.0.0", "169.254.169.254"] {
            assert!(verify(&proof, remote).is_err(), "{remote}");
        }
    }

    #[test]
    fn a_proof_for_another_nonce_or_key_is_refused() {
        for proof in [ProcessAttestation::proof(&[9; 32], &[2; 32]), ProcessAttestation::proof(&[1; 32], &[9; 32])] {
            assert!(verify(&proof, "127.0.0.1").is_err());
        }
        assert!(verify(&[], "127.0.0.1").is_err());
    }

    #[test]
    fn a_voucher_proves_one_nonce_and_key_from_anywhere() {
        let (voucher, nonce, spki) = ([3; 32], [1; 32], [2; 32]);
        let proof = AgentAttestation::proof(&voucher, &nonce, &spki);
        let binding = |nonce, spki_sha256| Binding { nonce, spki_sha256, remote: "203.0.113.7".parse().unwrap() };
        assert_eq!(AgentAttestation::verify(&voucher, &proof, &binding(nonce, spki)), Ok(()));
        assert!(AgentAttestation::verify(&[4; 32], &proof, &binding(nonce, spki)).is_err());
        assert!(AgentAttestation::verify(&voucher, &proof, &binding([9; 32], spki)).is_err());
        assert!(AgentAttestation::verify(&voucher, &proof, &binding(nonce, [9; 32])).is_err());
        assert!(AgentAttestation::verify(&voucher, &[], &binding(nonce, spki)).is_err());
    }
}
