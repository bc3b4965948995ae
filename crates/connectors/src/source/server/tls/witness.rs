//! Whose certificate was refused. The verification is rustls's own and unchanged; only what it refuses is told more of.
//!
//! Names in a certificate are the server's words: they are cut, and keep no control characters.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate};

/// A name of a certificate is shown up to this length.
const NAME_CHARS: usize = 200;

/// A verifier that names the certificate which it refuses.
#[derive(Debug)]
pub(crate) struct Witness(pub(crate) Arc<WebPkiServerVerifier>);

/// Why a certificate was refused, and which it was.
#[derive(Debug)]
struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now).map_err(|why| {
            let refused = Refused(format!("{}; {}", shown(&why.to_string()), described(end_entity)));
            Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refused))))
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// An error of TLS in words, with the certificate where one was refused.
pub(crate) fn reason(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(CertificateError::Other(OtherError(refused))) => refused.to_string(),
        other => other.to_string(),
    }
}

fn described(certificate: &CertificateDer<'_>) -> String {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
        return "the server's certificate can't be read".to_owned();
    };
    let (subject, issuer) = (certificate.subject(), certificate.issuer());
    if subject == issuer {
        return format!("the server's certificate is signed by itself, as {}", shown(&subject.to_string()));
    }
    format!("the server's certificate is for {}, signed by {}", shown(&subject.to_string()), shown(&issuer.to_string()))
}

fn shown(name: &str) -> String {
    let text: String = name.chars().filter(|c| !c.is_control()).take(NAME_CHARS).collect();
    if text.is_empty() { "nobody".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cut_and_keeps_no_control_characters() {
        assert_eq!(shown("CN=a\u{1b}[2J\nb"), "CN=a[2Jb");
        assert_eq!((shown(&"x".repeat(5000)).len(), shown("").as_str()), (NAME_CHARS, "nobody"));
        assert!(described(&CertificateDer::from(vec![0x30, 0xff])).contains("can't be read"));
    }
}
