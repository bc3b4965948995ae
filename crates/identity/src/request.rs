//! Certificate requests: the worker makes one, the authority takes its public key and nothing else.
//!
//! Only P-256, at most 4 KiB, self-signed with its own key. A request that *asks* for anything (a subject, names, a CA bit)
//! is refused: a worker of ours asks for nothing.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use crate::error::{IdentityError, IdentityResult};

/// Largest request that is read.
pub const MAX_REQUEST_BYTES: usize = 4096;

/// SubjectPublicKeyInfo of P-256 up to the point itself: the one spelling that is accepted.
const SPKI_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const SPKI_BYTES: usize = SPKI_HEAD.len() + 65;
/// The algorithm 1.2.840.10045.4.3.2, ecdsa-with-SHA256, in its one spelling.
const ECDSA_SHA256: [u8; 12] = [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

/// What is taken of an accepted request.
#[derive(Clone, PartialEq, Eq)]
pub struct WorkerRequest {
    spki: [u8; SPKI_BYTES],
}

impl WorkerRequest {
    /// Accepts a PKCS#10 request in DER, or says which rule it breaks.
    pub fn read(der: &[u8]) -> IdentityResult<Self> {
        let refuse = |reason| IdentityError::CsrRejected(reason);
        if der.len() > MAX_REQUEST_BYTES {
            return Err(refuse("it is larger than 4 KiB"));
        }
        let (rest, request) =
            X509CertificationRequest::from_der(der).map_err(|_| refuse("it is not a PKCS#10 request in DER"))?;
        if !rest.is_empty() {
            return Err(refuse("bytes follow it"));
        }
        let info = &request.certification_request_info;
        let spki: [u8; SPKI_BYTES] =
            info.subject_pki.raw.try_into().map_err(|_| refuse("its key is not P-256 in the usual form"))?;
        if spki[..SPKI_HEAD.len()] != SPKI_HEAD || spki[SPKI_HEAD.len()] != 4 {
            return Err(refuse("its key is not P-256 in the usual form"));
        }
        // The parser takes other tags too, so the bytes behind the signed part are compared themselves.
        let head = if der[1] < 0x80 { 2 } else { 2 + usize::from(der[1] & 0x7f) };
        if !der.get(head + info.raw.len()..).is_some_and(|tail| tail.starts_with(&ECDSA_SHA256)) {
            return Err(refuse("it is not signed with ECDSA and SHA-256"));
        }
        if request.signature_value.unused_bits != 0 {
            return Err(refuse("its signature is not whole bytes"));
        }
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &spki[SPKI_HEAD.len()..]);
        key.verify(info.raw, &request.signature_value.data)
            .map_err(|_| refuse("its signature is not its own key's"))?;
        if info.subject.iter().next().is_some() {
            return Err(refuse("it names a subject; names are given here"));
        }
        if info.iter_attributes().next().is_some() {
            return Err(refuse("it asks for extensions; they are given here"));
        }
        Ok(Self { spki })
    }

    /// SubjectPublicKeyInfo, DER.
    #[must_use]
    pub const fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// SHA-256 over the public key: what a ticket is bound to.
    #[must_use]
    pub fn spki_sha256(&self) -> [u8; 32] {
        sha256(&self.spki)
    }
}

/// A worker's key, born in memory and never written; or an agent's, which its state directory keeps.
pub struct WorkerKey(KeyPair);

impl WorkerKey {
    /// A fresh P-256 key.
    pub fn generate() -> IdentityResult<Self> {
        KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map(Self).map_err(IdentityError::Issue)
    }

    /// A key that [`Self::reveal`] gave, from PKCS#8 in DER.
    pub fn from_pkcs8(der: &[u8]) -> IdentityResult<Self> {
        let key = KeyPair::try_from(der).map_err(IdentityError::Issue)?;
        if !key.is_compatible(&PKCS_ECDSA_P256_SHA256) {
            return Err(IdentityError::Setting("the key is not P-256"));
        }
        Ok(Self(key))
    }

    /// The request for a certificate: the public key, signed by itself, and nothing more.
    pub fn request(&self) -> IdentityResult<Vec<u8>> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&self.0).map_err(IdentityError::Issue)?;
        Ok(request.der().to_vec())
    }

    /// SHA-256 over the public key.
    #[must_use]
    pub fn spki_sha256(&self) -> [u8; 32] {
        use rcgen::PublicKeyData as _;
        sha256(&self.0.subject_public_key_info())
    }

    /// The private key for the TLS stack of this process.
    #[must_use]
    pub fn reveal(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.0.serialize_der()))
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}
