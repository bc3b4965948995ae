//! The identity in a certificate: one URI name of our own making, compared byte for byte, nothing decoded or normalised.

use waybill_model::{AttemptId, Micros, OrgId};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::error::{IdentityError, IdentityResult};

/// Who a worker is. Read from its certificate only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// The tenant.
    pub org: OrgId,
    /// The attempt.
    pub attempt: AttemptId,
}

/// A peer together with the certificate that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certified {
    /// Who it is.
    pub peer: Peer,
    /// The certificate's serial number.
    pub serial: Vec<u8>,
    /// End of the certificate's life. A connection may outlive it; a call may not.
    pub not_after: Micros,
}

/// The trust domain that stands in every identity of a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustDomain(String);

impl TrustDomain {
    /// Lower-case letters, digits, `.` and `-`, 1 to 100 of them.
    pub fn new(name: &str) -> IdentityResult<Self> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-';
        if name.is_empty() || name.len() > 100 || !name.bytes().all(fits) {
            return Err(IdentityError::Setting("a trust domain has 1 to 100 lower-case letters, digits, `.` and `-`"));
        }
        Ok(Self(name.to_owned()))
    }

    /// The name that goes into a worker's certificate.
    #[must_use]
    pub fn uri(&self, peer: &Peer) -> String {
        format!("spiffe://{}/org/{}/attempt/{}", self.0, peer.org, peer.attempt)
    }

    /// Who a certificate names. It must hold exactly one alternative name, and that must be one of ours.
    pub fn identify(&self, certificate: &[u8]) -> IdentityResult<Certified> {
        let (rest, parsed) = X509Certificate::from_der(certificate).map_err(|_| IdentityError::NoIdentity)?;
        let names = parsed.subject_alternative_name().map_err(|_| IdentityError::NoIdentity)?;
        let [GeneralName::URI(uri)] = names.map_or(&[][..], |san| &san.value.general_names[..]) else {
            return Err(IdentityError::NoIdentity);
        };
        if !rest.is_empty() || parsed.is_ca() {
            return Err(IdentityError::NoIdentity);
        }
        let seconds = parsed.validity().not_after.timestamp();
        Ok(Certified {
            peer: self.parse(uri).ok_or(IdentityError::NoIdentity)?,
            serial: parsed.raw_serial().to_vec(),
            not_after: Micros(seconds.saturating_mul(1_000_000)),
        })
    }

    fn parse(&self, uri: &str) -> Option<Peer> {
        let mut parts = uri.strip_prefix("spiffe://")?.strip_prefix(&self.0)?.strip_prefix("/org/")?.split('/');
        let (org, word, attempt) = (parts.next()?, parts.next()?, parts.next()?);
        let peer = Peer { org: org.parse().ok()?, attempt: attempt.parse().ok()? };
        (word == "attempt" && self.uri(&peer) == uri).then_some(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_reads_back_and_no_other_spelling_of_it_does() {
        let domain = TrustDomain::new("waybill.test").unwrap();
        let peer = Peer { org: OrgId::generate(), attempt: AttemptId::generate() };
        let uri = domain.uri(&peer);
        assert_eq!(domain.parse(&uri), Some(peer));
        let spoiled = [
            uri.to_ascii_uppercase(),
            uri.replace("spiffe", "SPIFFE"),
            uri.replace("/org/", "//org/"),
            uri.replace("/attempt/", "/./attempt/"),
            uri.replace("/attempt/", "/x/../attempt/"),
            uri.replace("org_", "%6frg_"),
            uri.replace("waybill.test", "waybill.test."),
            uri.replace("waybill.test", "waybill.test.evil"),
            uri.replace("waybill.test", "Waybill.test"),
            uri.replace("/attempt/", "/agent/"),
            format!("{uri}/"),
            format!("{uri}/worker/1"),
            format!("{uri}?x"),
            format!("{uri}#x"),
            format!("{uri}\0"),
            format!(" {uri}"),
            format!("https{}", &uri[6..]),
        ];
        for other in spoiled {
            assert_eq!(domain.parse(&other), None, "{other:?}");
        }
    }

    #[test]
    fn a_trust_domain_holds_no_slash_no_capital_and_no_escape() {
        for name in ["", "a/b", "A", "a b", "a%2fb", "ü", &"x".repeat(101)] {
            assert!(TrustDomain::new(name).is_err(), "{name:?}");
        }
        assert!(TrustDomain::new("waybill.example-1.com").is_ok());
    }
}
