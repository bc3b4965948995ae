//! TLS as workers and operators use it: TLS 1.3 only, trust in a pinned CA or in the roots that enrolment gave.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::digest;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::error::{IdentityError, IdentityResult};
use crate::provider;
use crate::request::WorkerKey;

/// The SHA-256 of a CA certificate, written `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin([u8; 32]);

impl Pin {
    /// The pin of a certificate in DER.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Self {
        let mut sum = [0; 32];
        sum.copy_from_slice(digest::digest(&digest::SHA256, certificate).as_ref());
        Self(sum)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

impl FromStr for Pin {
    type Err = IdentityError;

    fn from_str(text: &str) -> IdentityResult<Self> {
        let wrong = IdentityError::Setting("a CA pin is `sha256:` and 64 hexadecimal digits");
        let mut sum = [0; 32];
        match text.strip_prefix("sha256:").map(|digits| hex::decode_to_slice(digits, &mut sum)) {
            Some(Ok(())) => Ok(Self(sum)),
            _ => Err(wrong),
        }
    }
}

/// For enrolment: trusts the CA with this pin, which the server sends along, and presents no certificate.
pub fn pinned(pin: Pin) -> IdentityResult<ClientConfig> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(IdentityError::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(PinnedCa { pin }))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// For the worker listener: trusts `roots` only and presents the worker's own certificate.
pub fn worker(roots: &[Vec<u8>], chain: &[Vec<u8>], key: &WorkerKey) -> IdentityResult<ClientConfig> {
    let chain = chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(IdentityError::Tls)?
        .with_root_certificates(store(roots)?)
        .with_client_auth_cert(chain, key.reveal())
        .map_err(IdentityError::Tls)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    // A resumed session would keep an earlier certificate's identity.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

pub(crate) fn store(roots: &[Vec<u8>]) -> IdentityResult<RootCertStore> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(CertificateDer::from(root.clone())).map_err(IdentityError::Tls)?;
    }
    Ok(store)
}

/// Accepts a chain that ends in the pinned CA and is right in every other respect.
#[derive(Debug)]
struct PinnedCa {
    pin: Pin,
}

impl ServerCertVerifier for PinnedCa {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let pinned = intermediates.iter().find(|certificate| Pin::of(certificate) == self.pin);
        let pinned = pinned.ok_or(CertificateError::UnknownIssuer)?;
        let mut roots = RootCertStore::empty();
        roots.add(pinned.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|_| CertificateError::BadEncoding)?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
