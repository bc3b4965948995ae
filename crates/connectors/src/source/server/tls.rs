//! TLS to the server: verified chain and name, with the system's roots or the customer's own CA.
//!
//! There is no mode that encrypts without verifying; `disable` is the only other one and is handled by the caller.

mod client;
pub(crate) mod trust;
pub(crate) mod witness;

use std::io::Read;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use waybill_model::FailureCode;
use waybill_pipeline::{Fault, FaultResult};

use self::client::Client;
use self::witness::Witness;
use super::loss::broken;
use super::socket::Socket;
use super::transport::Stream;

/// Bytes of a CA file that is read at all: a bundle of every public CA has a quarter of that.
const LARGEST_CA: u64 = 1 << 20;

/// What the server's certificate is held against.
#[derive(Clone)]
pub(crate) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

/// Whom a server's certificate must come from.
#[derive(Clone, Copy)]
enum Roots<'a> {
    /// Anybody whom the system trusts.
    System,
    /// Whoever stands in this text, which this file held or this reference led to.
    Text { from: &'a str, pem: &'a [u8] },
}

impl Roots<'_> {
    fn read(self) -> FaultResult<RootCertStore> {
        match self {
            Self::System => of_system(),
            Self::Text { from, pem } => of_text(pem).map_err(|why| unusable(from, why)),
        }
    }
}

impl Tls {
    /// Trusts these roots for a server of this name, and proves itself with this certificate to one that wants one.
    fn new(name: &ServerName<'static>, roots: Roots<'_>, client: Option<Client>) -> FaultResult<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let unusable = |why: String| Fault::new(FailureCode::TlsFailed, format!("TLS: {why}"));
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots.read()?), Arc::clone(&provider));
        let verifier = verifier.build().map_err(|error| unusable(error.to_string()))?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Witness(verifier)));
        let config = match client {
            Some(client) => client.into_config(config)?,
            None => config.with_no_client_auth(),
        };
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name: name.clone() })
    }

    /// Shakes hands on a connection whose server agreed to it.
    pub(crate) async fn shake(&self, tcp: Socket) -> FaultResult<Stream> {
        match self.connector.connect(self.name.clone(), tcp).await {
            Ok(stream) => Ok(Stream::Tls(Box::new(stream))),
            Err(error) => {
                let fault = broken(&error);
                if fault.code == FailureCode::ClientCertificateRefused {
                    return Err(fault);
                }
                let text = fault.text.for_customer().to_owned();
                Err(Fault::new(FailureCode::TlsFailed, text))
            }
        }
    }
}

/// A server that has none.
pub(crate) fn missing() -> Fault {
    let text = "the server has no TLS; turn it on there, or write `tls: disable` on a trusted network";
    Fault::new(FailureCode::TlsFailed, text)
}

fn unusable(from: &str, why: &str) -> Fault {
    Fault::new(FailureCode::TlsFailed, format!("`ca` {from}: {why}"))
}

fn of_system() -> FaultResult<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        let text = "this machine has no trusted CAs; give the server's with `ca`";
        return Err(Fault::new(FailureCode::TlsFailed, text));
    }
    Ok(roots)
}

/// What stands in a PEM text. What is wrong with it is said in our own words: a plan may lead to any text.
fn of_text(text: &[u8]) -> Result<RootCertStore, &'static str> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(text) {
        let certificate = certificate.map_err(|_| "it is no PEM text")?;
        roots.add(certificate).map_err(|_| "a certificate in it can't be used as a CA")?;
    }
    if roots.is_empty() { Err("it holds no PEM certificate") } else { Ok(roots) }
}

/// A regular file of ordinary size: the path comes with the plan, and a pipe or a device would never end.
fn read(path: &str) -> std::io::Result<Vec<u8>> {
    let about = std::fs::metadata(path)?;
    if !about.is_file() || about.len() > LARGEST_CA {
        return Err(std::io::Error::other("it is no regular file of at most 1 MiB"));
    }
    let mut text = Vec::new();
    std::fs::File::open(path)?.take(LARGEST_CA).read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use waybill_model::plan::TlsMode;
    use waybill_pipeline::{Credential, Fixed};

    use super::trust::Trust;
    use super::*;
    use crate::source::server::references::References;

    fn refused(ca: &str) -> Fault {
        let ca = ca.parse().expect("a path or a reference");
        let (text, none) = (Arc::new(Fixed::new("hunter2")) as Arc<dyn Credential>, (None, None));
        let ways = References { ca: Some(text), ..References::default() };
        let trust = Trust::of(TlsMode::VerifyFull, "db.example", Some(&ca), none, &ways);
        let trust = trust.unwrap_or_else(|fault| panic!("{}", fault.text.for_customer())).expect("TLS");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(trust.now()).err().expect("refused")
    }

    #[test]
    fn a_ca_path_that_leads_to_a_device_a_directory_or_too_much_is_not_read() {
        let large = tempfile::NamedTempFile::new().expect("a file");
        large.as_file().set_len(LARGEST_CA + 1).expect("its size");
        for path in ["/dev/zero", "/", large.path().to_str().expect("a path")] {
            let fault = refused(path);
            assert!(fault.text.for_customer().contains("no regular file"), "{path}: {}", fault.text.for_customer());
        }
    }

    #[test]
    fn a_ca_file_that_is_missing_or_empty_is_named() {
        let fault = refused("/nowhere/ca.pem");
        assert_eq!(fault.code, FailureCode::TlsFailed);
        assert!(fault.text.for_customer().contains("/nowhere/ca.pem"));
        let empty = tempfile::NamedTempFile::new().expect("a file");
        let fault = refused(empty.path().to_str().expect("a path"));
        assert!(fault.text.for_customer().contains("no PEM"));
    }

    #[test]
    fn a_text_that_is_no_ca_is_told_by_its_reference_and_not_repeated() {
        let fault = refused("env://SHOP_CA");
        let told = fault.text.for_customer();
        assert!(fault.code == FailureCode::TlsFailed && told.contains("env://SHOP_CA"), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
        let broken = "-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----\n";
        for pem in ["", "hunter2", broken, "-----BEGIN hunter2-----\n"] {
            let why = of_text(pem.as_bytes()).expect_err("refused");
            assert!(!why.contains("hunter2"), "{why}");
        }
    }
}
