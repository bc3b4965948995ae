//! The identity in a certificate: one URI name of our own making, compared byte for byte, nothing decoded or normalised.

use waybill_model::{AgentId, AttemptId, Micros, OrgId};
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

/// Who an agent is. Read from its certificate only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AgentPeer {
    /// The tenant.
    pub org: OrgId,
    /// The agent.
    pub agent: AgentId,
}

/// An agent together with the certificate that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifiedAgent {
    /// Who it is.
    pub peer: AgentPeer,
    /// The certificate's serial number.
    pub serial: Vec<u8>,
    /// End of the certificate's life.
    pub not_after: Micros,
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

    /// The name that goes into an agent's certificate.
    #[must_use]
    pub fn agent_uri(&self, peer: &AgentPeer) -> String {
        format!("spiffe://{}/org/{}/agent/{}", self.0, peer.org, peer.agent)
    }

    /// Which worker a certificate names.
    pub fn identify(&self, certificate: &[u8]) -> IdentityResult<Certified> {
        let (peer, serial, not_after) = read(certificate, |uri| self.parse(uri))?;
        Ok(Certified { peer, serial, not_after })
    }

    /// Which agent a certificate names.
    pub fn identify_agent(&self, certificate: &[u8]) -> IdentityResult<CertifiedAgent> {
        let (peer, serial, not_after) = read(certificate, |uri| self.parse_agent(uri))?;
        Ok(CertifiedAgent { peer, serial, not_after })
    }

    fn parse(&self, uri: &str) -> Option<Peer> {
        let (org, attempt) = self.split(uri, "attempt")?;
        let peer = Peer { org: org.parse().ok()?, attempt: attempt.parse().ok()? };
        (self.uri(&peer) == uri).then_some(peer)
    }

    fn parse_agent(&self, uri: &str) -> Option<AgentPeer> {
        let (org, agent) = self.split(uri, "agent")?;
        let peer = AgentPeer { org: org.parse().ok()?, agent: agent.parse().ok()? };
        (self.agent_uri(&peer) == uri).then_some(peer)
    }

    /// Organization and id of a name of this kind.
    fn split<'a>(&self, uri: &'a str, kind: &str) -> Option<(&'a str, &'a str)> {
        let mut parts = uri.strip_prefix("spiffe://")?.strip_prefix(&self.0)?.strip_prefix("/org/")?.split('/');
        let (org, word, id) = (parts.next()?, parts.next()?, parts.next()?);
        (word == kind).then_some((org, id))
    }
}

/// Identity, serial number and end of a certificate. It must hold exactly one alternative name, and that must be one of
/// ours.
fn read<P>(certificate: &[u8], parse: impl Fn(&str) -> Option<P>) -> IdentityResult<(P, Vec<u8>, Micros)> {
    let (rest, parsed) = X509Certificate::from_der(certificate).map_err(|_| IdentityError::NoIdentity)?;
    let names = parsed.subject_alternative_name().map_err(|_| IdentityError::NoIdentity)?;
    let [GeneralName::URI(uri)] = names.map_or(&[][..], |san| &san.value.general_names[..]) else {
        return Err(IdentityError::NoIdentity);
    };
    if !rest.is_empty() || parsed.is_ca() {
        return Err(IdentityError::NoIdentity);
    }
    let seconds = parsed.validity().not_after.timestamp();
    let peer = parse(uri).ok_or(IdentityError::NoIdentity)?;
    Ok((peer, parsed.raw_serial().to_vec(), Micros(seconds.saturating_mul(1_000_000))))
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
    fn an_agent_is_no_worker_and_a_worker_no_agent() {
        let domain = TrustDomain::new("waybill.test").unwrap();
        let org = OrgId::generate();
        let agent = AgentPeer { org, agent: AgentId::generate() };
        let worker = Peer { org, attempt: AttemptId::generate() };
        assert_eq!(domain.parse_agent(&domain.agent_uri(&agent)), Some(agent));
        assert_eq!(domain.parse(&domain.agent_uri(&agent)), None);
        assert_eq!(domain.parse_agent(&domain.uri(&worker)), None);
        assert_eq!(domain.parse_agent(&domain.uri(&worker).replace("/attempt/", "/agent/")), None);
        assert_eq!(domain.parse_agent(&format!("{}/x", domain.agent_uri(&agent))), None);
    }

    #[test]
    fn a_trust_domain_holds_no_slash_no_capital_and_no_escape() {
        for name in ["", "a/b", "A", "a b", "a%2fb", "ü", &"x".repeat(101)] {
            assert!(TrustDomain::new(name).is_err(), "{name:?}");
        }
        assert!(TrustDomain::new("waybill.example-1.com").is_ok());
    }
}
