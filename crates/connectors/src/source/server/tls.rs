//! TLS to the server: verified chain and name, with the system's roots or the customer's own CA.
//!
//! There is no mode that encrypts without verifying; `disable` is the only other one and is handled by the caller.

pub(crate) mod client;
pub(crate) mod witness;

use std::borrow::Cow;
use std::io::Read;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use waybill_model::FailureCode;
use waybill_model::plan::{Ca, TlsMode};
use waybill_model::secret::SecretRef;
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
    has_client: bool,
}

/// Whom a server's certificate must come from.
#[derive(Clone, Copy)]
pub(crate) enum Roots<'a> {
    /// Anybody whom the system trusts.
    System,
    /// Whoever stands in this file.
    File(&'a str),
    /// Whoever stands in this text, which a reference led to.
    Text { reference: &'a SecretRef, pem: &'a str },
}

impl<'a> Roots<'a> {
    /// Those that the settings name; `pem` is the text that their reference led to.
    pub(crate) fn of(ca: Option<&'a Ca>, pem: Option<&'a str>) -> FaultResult<Self> {
        Ok(match (ca, pem) {
            (None, _) => Self::System,
            (Some(Ca::Path(path)), _) => Self::File(path),
            (Some(Ca::Reference(reference)), Some(pem)) => Self::Text { reference, pem },
            (Some(Ca::Reference(reference)), None) => {
                let text = format!("`ca` {reference} was not looked up, so nobody can be trusted");
                return Err(Fault::new(FailureCode::SecretUnresolved, text));
            }
        })
    }

    fn read(self) -> FaultResult<RootCertStore> {
        let (from, text) = match self {
            Self::System => return of_system(),
            Self::File(path) => {
                let unreadable = |error: std::io::Error| unusable(path, &error.to_string());
                (path.to_owned(), Cow::Owned(read(path).map_err(unreadable)?))
            }
            Self::Text { reference, pem } => (reference.to_string(), Cow::Borrowed(pem.as_bytes())),
        };
        of_text(&text).map_err(|why| unusable(&from, why))
    }
}

impl Tls {
    /// Trusts these roots for a server of this name, and proves itself with this certificate to one that wants one.
    pub(crate) fn new(host: &str, roots: Roots<'_>, client: Option<Client>) -> FaultResult<Self> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Fault::new(FailureCode::SpecRefused, "`host` is neither a DNS name nor an address"))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let unusable = |why: String| Fault::new(FailureCode::TlsFailed, format!("TLS: {why}"));
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots.read()?), Arc::clone(&provider));
        let verifier = verifier.build().map_err(|error| unusable(error.to_string()))?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Witness(verifier)));
        let has_client = client.is_some();
        let config = match client {
            Some(client) => client.into_config(config)?,
            None => config.with_no_client_auth(),
        };
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name, has_client })
    }

    /// Whether the worker has a certificate of its own.
    #[cfg(feature = "postgres")]
    pub(crate) const fn has_client(&self) -> bool {
        self.has_client
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

/// What the settings of a server ask for: none where they turn TLS off.
pub(crate) fn of(mode: TlsMode, host: &str, roots: Roots<'_>, client: Option<Client>) -> FaultResult<Option<Tls>> {
    match mode {
        TlsMode::VerifyFull => Tls::new(host, roots, client).map(Some),
        TlsMode::Disable if client.is_some() => {
            let text = "`client-cert` has no meaning with `tls: disable`: leave `tls` at verify-full";
            Err(Fault::new(FailureCode::SpecRefused, text))
        }
        TlsMode::Disable => Ok(None),
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
    use super::*;

    #[test]
    fn a_ca_path_that_leads_to_a_device_a_directory_or_too_much_is_not_read() {
        let large = tempfile::NamedTempFile::new().expect("a file");
        large.as_file().set_len(LARGEST_CA + 1).expect("its size");
        for path in ["/dev/zero", "/", large.path().to_str().expect("a path")] {
            let fault = Tls::new("db.example", Roots::File(path), None).err().expect(path);
            assert!(fault.text.for_customer().contains("no regular file"), "{path}: {}", fault.text.for_customer());
        }
    }

    #[test]
    fn a_ca_file_that_is_missing_or_empty_is_named() {
        let fault = Tls::new("db.example", Roots::File("/nowhere/ca.pem"), None).err().expect("no such file");
        assert_eq!(fault.code, FailureCode::TlsFailed);
        assert!(fault.text.for_customer().contains("/nowhere/ca.pem"));
        let empty = tempfile::NamedTempFile::new().expect("a file");
        let path = empty.path().to_str().expect("a path");
        let fault = Tls::new("db.example", Roots::File(path), None).err().expect("empty");
        assert!(fault.text.for_customer().contains("no PEM"));
    }

    #[test]
    fn a_text_that_is_no_ca_is_told_by_its_reference_and_not_repeated() {
        let reference: SecretRef = "env://SHOP_CA".parse().expect("a reference");
        let broken = "-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----\n";
        for pem in ["", "hunter2", broken, "-----BEGIN hunter2-----\n"] {
            let fault =
                Tls::new("db.example", Roots::Text { reference: &reference, pem }, None).err().expect("refused");
            let told = fault.text.for_customer();
            assert!(fault.code == FailureCode::TlsFailed && told.contains("env://SHOP_CA"), "{pem:?}: {told}");
            assert!(!told.contains("hunter2"), "{told}");
        }
        let ca = Ca::Reference(reference);
        let fault = Roots::of(Some(&ca), None).err().expect("nobody looked it up");
        assert_eq!(fault.code, FailureCode::SecretUnresolved);
    }
}
