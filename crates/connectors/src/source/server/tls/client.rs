//! The certificate by which the worker proves itself to a server, and its key.
//!
//! The texts are secrets: what is wrong with one is said in our own words, by the reference that led to it.

use rustls::client::WantsClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, Error};
use waybill_model::FailureCode;
use waybill_model::secret::SecretRef;
use waybill_pipeline::{Fault, FaultResult};

/// A reference and the text that it led to.
pub(crate) type Text<'a> = (&'a SecretRef, &'a str);

/// A certificate with the ones above it, and its key.
pub(crate) struct Client {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    reference: SecretRef,
}

impl Client {
    /// From PEM.
    pub(crate) fn read((certificate, chain): Text<'_>, (reference, key): Text<'_>) -> FaultResult<Self> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain.as_bytes()).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty());
        let chain = chain.ok_or_else(|| unusable("client-cert", certificate, "holds no PEM certificate"))?;
        if key.contains("BEGIN ENCRYPTED PRIVATE KEY") || key.contains("Proc-Type: 4,ENCRYPTED") {
            let why = "is encrypted with a passphrase: keep it in the clear where the reference leads, as \
                       `openssl pkey -in KEY -out PLAIN` writes it";
            return Err(unusable("client-key", reference, why));
        }
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes());
        let key = key.map_err(|_| unusable("client-key", reference, "holds no private key in PEM"))?;
        Ok(Self { chain, key, reference: reference.clone() })
    }

    /// TLS that shows it to a server which asks.
    pub(super) fn into_config(self, config: ConfigBuilder<ClientConfig, WantsClientCert>) -> FaultResult<ClientConfig> {
        let Self { chain, key, reference } = self;
        config.with_client_auth_cert(chain, key).map_err(|error| {
            let why = match error {
                Error::InconsistentKeys(_) => "does not belong to the certificate in `client-cert`",
                _ => "can't be used with the certificate in `client-cert`: take RSA, ECDSA or Ed25519",
            };
            unusable("client-key", &reference, why)
        })
    }
}

fn unusable(field: &str, reference: &SecretRef, why: &str) -> Fault {
    Fault::new(FailureCode::SecretUnresolved, format!("`{field}` {reference} {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_no_certificate_or_key_is_told_by_its_reference_and_not_repeated() {
        let (certificate, key): (SecretRef, SecretRef) =
            ("env://CERT".parse().expect("a reference"), "env://KEY".parse().expect("a reference"));
        let pem = |label: &str| format!("-----BEGIN {label}-----\nMAo=\n-----END {label}-----\n");
        let good = pem("CERTIFICATE");
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nhunter2\n-----END RSA PRIVATE KEY-----\n";
        for (chain, text, tells) in [
            ("hunter2", "hunter2", ["env://CERT", "no PEM certificate"]),
            ("", "hunter2", ["env://CERT", "no PEM certificate"]),
            (&good, "hunter2", ["env://KEY", "no private key"]),
            (&good, &good, ["env://KEY", "no private key"]),
            (&good, &pem("ENCRYPTED PRIVATE KEY"), ["env://KEY", "passphrase"]),
            (&good, old, ["env://KEY", "passphrase"]),
        ] {
            let fault = Client::read((&certificate, chain), (&key, text)).err().expect("refused");
            let told = fault.text.for_customer();
            assert!(
                fault.code == FailureCode::SecretUnresolved && tells.iter().all(|part| told.contains(part)),
                "{told}"
            );
            assert!(!told.contains("hunter2"), "{told}");
        }
    }
}
