//! Hostile certificate requests (T7, H35): whatever one asks for, a certificate names what the server says or is not made.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use waybill_identity::{Authority, IdentityError, KeyDirectory, Peer, TrustDomain, WorkerKey, WorkerRequest};
use waybill_model::{AttemptId, Micros, OrgId};
use x509_parser::prelude::FromDer as _;

fn authority(dir: &std::path::Path) -> Authority {
    let domain = TrustDomain::new("waybill.test").expect("a domain");
    Authority::open(&KeyDirectory::created(dir), domain, Duration::from_secs(3600)).expect("an authority")
}

fn peer() -> Peer {
    Peer { org: OrgId::generate(), attempt: AttemptId::generate() }
}

fn empty() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
}

fn der(params: &CertificateParams, key: &KeyPair) -> Vec<u8> {
    params.serialize_request(key).expect("a request").der().to_vec()
}

fn with(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut params = empty();
    change(&mut params);
    der(&params, &KeyPair::generate().expect("a key"))
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.to_owned().try_into().expect("ascii"))
}

fn good() -> Vec<u8> {
    WorkerKey::generate().expect("a key").request().expect("a request")
}

/// The request with the byte sequence `from` replaced once; lengths stay as they are.
fn patched(from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = good();
    let place = bytes.windows(from.len()).position(|w| w == from).expect("the bytes to patch");
    bytes[place..place + from.len()].copy_from_slice(to);
    bytes
}

fn variants() -> Vec<(&'static str, Vec<u8>)> {
    let key_of = |alg| KeyPair::generate_for(alg).expect("a key");
    let cut = |n: usize| good()[..n].to_vec();
    let grown = |extra: usize| [good(), vec![0; extra]].concat();
    let mut flipped = good();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    let p256_oid = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    vec![
        ("asks for a CA", with(|p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained))),
        ("foreign SPIFFE name", with(|p| p.subject_alt_names = vec![uri("spiffe://waybill.test/org/x/attempt/y")])),
        ("two names", with(|p| p.subject_alt_names = vec![uri("spiffe://a/b"), uri("spiffe://c/d")])),
        ("DNS name", with(|p| p.subject_alt_names = vec![SanType::DnsName("api".try_into().expect("ascii"))])),
        ("subject with another organization", with(|p| p.distinguished_name.push(DnType::OrganizationName, "other"))),
        ("common name", with(|p| p.distinguished_name.push(DnType::CommonName, "root"))),
        ("server usage", with(|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth])),
        ("signing usage", with(|p| p.key_usages = vec![KeyUsagePurpose::KeyCertSign])),
        ("P-384", der(&empty(), &key_of(&rcgen::PKCS_ECDSA_P384_SHA384))),
        ("P-521", der(&empty(), &key_of(&rcgen::PKCS_ECDSA_P521_SHA512))),
        ("Ed25519", der(&empty(), &key_of(&rcgen::PKCS_ED25519))),
        ("RSA", der(&empty(), &key_of(&rcgen::PKCS_RSA_SHA256))),
        ("flipped signature", flipped),
        ("curve swapped under the signature", patched(&p256_oid, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x06])),
        ("point off the curve", patched(&[0x03, 0x42, 0x00, 0x04], &[0x03, 0x42, 0x00, 0x02])),
        ("empty", Vec::new()),
        ("cut", cut(100)),
        ("bytes behind it", grown(1)),
        ("one mebibyte", grown(1 << 20)),
        ("PEM", b"-----BEGIN CERTIFICATE REQUEST-----\n".to_vec()),
        ("a certificate", KeyPair::generate().expect("a key").public_key_raw().to_vec()),
        ("endless lengths", vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff]),
        ("deep nesting", vec![0x30; 4000]),
    ]
}

#[test]
fn t07_h35_every_hostile_request_is_refused_with_its_reason() {
    let variants = variants();
    assert!(variants.len() >= 20);
    for (name, bytes) in variants {
        match WorkerRequest::read(&bytes).err() {
            Some(IdentityError::CsrRejected(reason)) => assert!(!reason.is_empty()),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn a_plain_request_is_accepted_and_bound_to_its_key() {
    let key = WorkerKey::generate().expect("a key");
    let read = WorkerRequest::read(&key.request().expect("a request")).expect("accepted");
    assert_eq!(read.spki_sha256(), key.spki_sha256());
    assert_ne!(read.spki_sha256(), WorkerKey::generate().expect("a key").spki_sha256());
}

#[test]
fn every_flipped_byte_of_a_request_is_refused() {
    let bytes = good();
    for place in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[place] ^= 0x01;
        // The unused high bits of nothing in here are free: any change breaks the form or the signature.
        assert!(WorkerRequest::read(&bad).is_err(), "byte {place}");
    }
}

#[test]
fn a_worker_certificate_holds_the_servers_names_and_at_most_an_hour() {
    let dir = tempfile::tempdir().expect("a directory");
    let authority = authority(dir.path());
    let (peer, now) = (peer(), Micros::now());
    let request = WorkerRequest::read(&good()).expect("accepted");
    let leaf = authority.issue_worker(&peer, &request, now).expect("issued");
    let (_, parsed) = x509_parser::certificate::X509Certificate::from_der(&leaf.chain[0]).expect("a certificate");
    let life = parsed.validity().not_after.timestamp() - parsed.validity().not_before.timestamp();
    assert!(life <= 3600, "{life}");
    assert!(parsed.validity().not_before.timestamp() < now.0 / 1_000_000);
    assert!(!parsed.is_ca());
    assert_eq!(parsed.public_key().raw, request.spki());
    assert_eq!(parsed.subject().iter().count(), 0);
    let usage = parsed.extended_key_usage().expect("readable").expect("there").value;
    assert!(usage.client_auth && !usage.server_auth && !usage.any);
    let certified = authority.domain().identify(&leaf.chain[0]).expect("one of ours");
    assert_eq!((certified.peer, certified.serial), (peer, leaf.serial));
    assert_eq!(certified.not_after, leaf.not_after);
}

#[test]
fn only_a_certificate_with_exactly_one_of_our_names_is_an_identity() {
    let domain = TrustDomain::new("waybill.test").expect("a domain");
    let name = domain.uri(&peer());
    let made = |names: Vec<SanType>, ca: IsCa| {
        let mut params = empty();
        (params.subject_alt_names, params.is_ca) = (names, ca);
        params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate").der().to_vec()
    };
    assert!(domain.identify(&made(vec![uri(&name)], IsCa::NoCa)).is_ok());
    let ca = IsCa::Ca(BasicConstraints::Unconstrained);
    for bad in [
        made(vec![], IsCa::NoCa),
        made(vec![uri(&name), uri(&name)], IsCa::NoCa),
        made(vec![uri(&name), SanType::DnsName("x".try_into().expect("ascii"))], IsCa::NoCa),
        made(vec![SanType::DnsName("x".try_into().expect("ascii"))], IsCa::NoCa),
        made(vec![uri(&name.replace("waybill.test", "evil.test"))], IsCa::NoCa),
        made(vec![uri(&name)], ca),
        [made(vec![uri(&name)], IsCa::NoCa), vec![0]].concat(),
        b"junk".to_vec(),
    ] {
        assert!(domain.identify(&bad).is_err());
    }
}

#[test]
fn replicas_that_share_a_key_directory_have_one_root() {
    let dir = tempfile::tempdir().expect("a directory");
    let (first, second) = (authority(dir.path()), authority(dir.path()));
    assert_eq!(first.root(), second.root());
    assert_eq!(first.pin().to_string().parse::<waybill_identity::Pin>().expect("a pin"), second.pin());
}

#[test]
fn a_key_and_a_certificate_that_do_not_belong_together_are_refused() {
    let (one, two) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    drop((authority(one.path()), authority(two.path())));
    let read = |dir: &tempfile::TempDir| std::fs::read_to_string(dir.path().join("root-ca.pem")).expect("the root");
    let (mine, theirs) = (read(&one), read(&two));
    let split = |text: &str| text.find("-----BEGIN CERTIFICATE").expect("a certificate");
    let mixed = format!("{}{}", &mine[..split(&mine)], &theirs[split(&theirs)..]);
    std::fs::write(one.path().join("root-ca.pem"), mixed).expect("write");
    let domain = TrustDomain::new("waybill.test").expect("a domain");
    let error = Authority::open(&KeyDirectory::existing(one.path()), domain, Duration::from_secs(60)).err();
    assert!(error.expect("refused").to_string().contains("do not belong together"));
}

#[test]
fn a_worker_life_over_an_hour_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let domain = TrustDomain::new("waybill.test").expect("a domain");
    assert!(Authority::open(&KeyDirectory::created(dir.path()), domain, Duration::from_secs(3601)).is_err());
}
