//! The certificate authority: a root, an issuing CA under it, and the leaves of workers and listeners.
//!
//! Names in a leaf are the server's own. The issuing CA is replaced when two thirds of its life are over; what it issued
//! stays good, for peers trust the root.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber, SubjectPublicKeyInfo, date_time_ymd,
};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use waybill_model::Micros;
use zeroize::Zeroizing;

use crate::client::Pin;
use crate::error::{IdentityError, IdentityResult};
use crate::keydir::KeyDirectory;
use crate::peer::{AgentPeer, Peer, TrustDomain};
use crate::provider;
use crate::request::WorkerRequest;

/// Longest life of a worker's certificate, from its (backdated) beginning.
pub const MAX_WORKER_LIFE: Duration = Duration::from_secs(60 * 60);
/// Longest life of an agent's certificate.
pub const MAX_AGENT_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// How far a worker's certificate begins in the past.
const WORKER_BACKDATE: Duration = Duration::from_secs(60);
/// How far a listener's certificate begins in the past: a worker's clock may be an hour late.
const LISTENER_BACKDATE: Duration = Duration::from_secs(2 * 60 * 60);
const LISTENER_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const ISSUING_LIFE: Duration = Duration::from_secs(90 * 24 * 60 * 60);
const ROOT_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
const ROOT_FILE: &str = "root-ca.pem";
const ISSUING_FILE: &str = "issuing-ca.pem";

/// A name that a listener answers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerName {
    /// A DNS name.
    Dns(String),
    /// An address.
    Ip(std::net::IpAddr),
}

/// A worker's or agent's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedLeaf {
    /// Leaf, then issuing CA; DER.
    pub chain: Vec<Vec<u8>>,
    /// The leaf's serial number.
    pub serial: Vec<u8>,
    /// End of its life.
    pub not_after: Micros,
}

/// Issues certificates.
pub struct Authority {
    domain: TrustDomain,
    worker_life: Duration,
    root: Signer,
    issuing: RwLock<Arc<Signer>>,
    keys: KeyDirectory,
}

/// A CA certificate with its key.
struct Signer {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    not_after: Micros,
}

impl Authority {
    /// Opens the authority of a key directory. `worker_life` is capped at an hour.
    pub fn open(keys: &KeyDirectory, domain: TrustDomain, worker_life: Duration) -> IdentityResult<Self> {
        if worker_life < Duration::from_secs(2) || worker_life > MAX_WORKER_LIFE {
            return Err(IdentityError::Setting("a worker certificate lives 2 seconds to 1 hour"));
        }
        let root = Signer::read(ROOT_FILE, &keys.read_or_make(ROOT_FILE, || make_ca(None, ROOT_LIFE))?)?;
        let issuing = keys.read_or_make(ISSUING_FILE, || make_ca(Some(&root), ISSUING_LIFE))?;
        let issuing = RwLock::new(Arc::new(Signer::read(ISSUING_FILE, &issuing)?));
        let authority = Self { domain, worker_life, root, issuing, keys: keys.clone() };
        authority.rotate_issuing(Micros::now())?;
        Ok(authority)
    }

    /// The trust domain of every identity that this authority makes.
    #[must_use]
    pub const fn domain(&self) -> &TrustDomain {
        &self.domain
    }

    /// The root certificate, DER: what workers and operators trust.
    #[must_use]
    pub const fn root(&self) -> &CertificateDer<'static> {
        &self.root.certificate
    }

    /// The root's fingerprint, for the launch request and the command line.
    #[must_use]
    pub fn pin(&self) -> Pin {
        Pin::of(&self.root.certificate)
    }

    /// A certificate for a worker's public key. Everything but the key is made here.
    pub fn issue_worker(&self, peer: &Peer, request: &WorkerRequest, now: Micros) -> IdentityResult<IssuedLeaf> {
        // The whole validity, backdating included, stays within the hour.
        let life = self.worker_life.min(MAX_WORKER_LIFE.saturating_sub(WORKER_BACKDATE));
        self.issue_client(self.domain.uri(peer), request, life, now)
    }

    /// A certificate for an agent's public key, for at most a day.
    pub fn issue_agent(
        &self,
        peer: &AgentPeer,
        request: &WorkerRequest,
        life: Duration,
        now: Micros,
    ) -> IdentityResult<IssuedLeaf> {
        self.issue_client(self.domain.agent_uri(peer), request, life.min(MAX_AGENT_LIFE), now)
    }

    fn issue_client(
        &self,
        uri: String,
        request: &WorkerRequest,
        life: Duration,
        now: Micros,
    ) -> IdentityResult<IssuedLeaf> {
        let name = uri.try_into().map_err(IdentityError::Issue)?;
        let not_before = back(now, WORKER_BACKDATE);
        let mut params = leaf(vec![SanType::URI(name)], ExtendedKeyUsagePurpose::ClientAuth);
        let serial = self.date(&mut params, not_before, now.plus(life));
        let key = SubjectPublicKeyInfo::from_der(request.spki()).map_err(IdentityError::Issue)?;
        let issuing = self.issuing();
        let certificate = params.signed_by(&key, &issuing.issuer).map_err(IdentityError::Issue)?;
        let not_after = Micros(now.plus(life).0 / 1_000_000 * 1_000_000);
        let chain = vec![certificate.der().to_vec(), issuing.certificate.to_vec()];
        Ok(IssuedLeaf { chain, serial, not_after })
    }

    /// A fresh key and certificate for a listener, with the whole chain up to the root, so that a pin can find it.
    pub fn issue_listener(&self, names: &[ServerName], now: Micros) -> IdentityResult<(CertifiedKey, Micros)> {
        self.rotate_issuing(now)?;
        let names = names.iter().map(|name| match name {
            ServerName::Dns(name) => Ok(SanType::DnsName(name.clone().try_into().map_err(IdentityError::Issue)?)),
            ServerName::Ip(address) => Ok(SanType::IpAddress(*address)),
        });
        let mut params = leaf(names.collect::<IdentityResult<_>>()?, ExtendedKeyUsagePurpose::ServerAuth);
        let not_after = now.plus(LISTENER_LIFE);
        self.date(&mut params, back(now, LISTENER_BACKDATE), not_after);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(IdentityError::Issue)?;
        let issuing = self.issuing();
        let leaf = params.signed_by(&key, &issuing.issuer).map_err(IdentityError::Issue)?;
        let chain = vec![leaf.der().clone(), issuing.certificate.clone(), self.root.certificate.clone()];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let certified = CertifiedKey::from_der(chain, key, &provider()).map_err(IdentityError::Tls)?;
        Ok((certified, not_after))
    }

    fn issuing(&self) -> Arc<Signer> {
        Arc::clone(&self.issuing.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the issuing CA in the last third of its life.
    fn rotate_issuing(&self, now: Micros) -> IdentityResult<()> {
        if self.issuing().not_after.0 > now.plus(ISSUING_LIFE / 3).0 {
            return Ok(());
        }
        let fresh = make_ca(Some(&self.root), ISSUING_LIFE)?;
        let signer = Signer::read(ISSUING_FILE, &fresh)?;
        self.keys.replace(ISSUING_FILE, &fresh)?;
        *self.issuing.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(signer);
        tracing::info!("the issuing certificate authority was replaced");
        Ok(())
    }

    /// Sets serial and life; no leaf outlives its issuer.
    fn date(&self, params: &mut CertificateParams, from: Micros, to: Micros) -> Vec<u8> {
        let serial = fresh_serial();
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        set_life(params, from, to.min(self.issuing().not_after));
        serial
    }
}

impl Signer {
    fn read(name: &'static str, pem: &[u8]) -> IdentityResult<Self> {
        let broken = |what| IdentityError::KeyFile { path: name.into(), what };
        let text = std::str::from_utf8(pem).map_err(|_| broken("is not PEM"))?;
        let certificate = CertificateDer::from_pem_slice(pem).map_err(|_| broken("holds no certificate"))?;
        let key = KeyPair::from_pem(text).map_err(|_| broken("holds no P-256 key"))?;
        if !key.is_compatible(&PKCS_ECDSA_P256_SHA256) {
            return Err(broken("holds no P-256 key"));
        }
        let (_, parsed) = x509_parser::parse_x509_certificate(&certificate).map_err(|_| broken("is damaged"))?;
        let same_key = {
            use rcgen::PublicKeyData as _;
            parsed.public_key().raw == key.subject_public_key_info()
        };
        if !same_key || !parsed.is_ca() {
            return Err(broken("holds a key and a certificate that do not belong together"));
        }
        let not_after = Micros(parsed.validity().not_after.timestamp().saturating_mul(1_000_000));
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(IdentityError::Issue)?;
        Ok(Self { issuer, certificate, not_after })
    }
}

/// Key and certificate of a CA in one PEM file, so that they can't come apart.
fn make_ca(parent: Option<&Signer>, life: Duration) -> IdentityResult<Zeroizing<Vec<u8>>> {
    let now = Micros::now();
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(IdentityError::Issue)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let (name, below) = if parent.is_some() { ("Waybill issuing CA", 0) } else { ("Waybill root CA", 1) };
    // The serial in the name keeps the subjects of successive CAs apart.
    let serial = fresh_serial();
    params.distinguished_name.push(DnType::CommonName, format!("{name} {}", hex::encode(&serial[..4])));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    set_life(&mut params, back(now, LISTENER_BACKDATE), now.plus(life));
    let certificate = match parent {
        Some(parent) => params.signed_by(&key, &parent.issuer),
        None => params.self_signed(&key),
    };
    let pem = certificate.map_err(IdentityError::Issue)?.pem();
    let secret = Zeroizing::new(key.serialize_pem());
    Ok(Zeroizing::new([secret.as_bytes(), pem.as_bytes()].concat()))
}

fn leaf(names: Vec<SanType>, usage: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = names;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    params
}

/// 16 random bytes, positive and without leading zeros, so that it has one spelling.
fn fresh_serial() -> Vec<u8> {
    let mut serial = vec![0; 16];
    aws_lc_rs::rand::fill(&mut serial).expect("the system's random source");
    serial[0] = serial[0] & 0x7f | 0x40;
    serial
}

fn back(now: Micros, by: Duration) -> Micros {
    Micros(now.0.saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
}

fn set_life(params: &mut CertificateParams, from: Micros, to: Micros) {
    let since_1970 = |time: Micros| Duration::from_secs(u64::try_from(time.0 / 1_000_000).unwrap_or(0));
    params.not_before = date_time_ymd(1970, 1, 1) + since_1970(from);
    params.not_after = date_time_ymd(1970, 1, 1) + since_1970(to);
}
