//! The agent's identity as its state directory keeps it: key, certificate, generation, and the key of a renewal that is
//! under way, so that a lost answer is asked for again with the same key. It holds a private key: no `Debug`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kept_key::PrivateKeyBytes;
use serde::{Deserialize, Serialize};
use waybill_identity::channel;
use waybill_identity::{IdentityError, Pin, WorkerKey, client};
use zeroize::Zeroizing;

use crate::egress;

/// Who this agent is, and where its orchestrator is.
#[derive(Serialize, Deserialize)]
pub(crate) struct Identity {
    /// Its id.
    pub(crate) agent: String,
    /// Host and port of the orchestrator's public listener, which workers enrol at.
    pub(crate) orchestrator: String,
    /// The CA that its chain must end in.
    pub(crate) ca_pin: String,
    /// Host and port of the mTLS listener.
    pub(crate) endpoint: String,
    /// Name to expect in its certificate.
    pub(crate) server_name: String,
    roots: Vec<String>,
    chain: Vec<String>,
    key: PrivateKeyBytes,
    next_key: Option<PrivateKeyBytes>,
    /// Generation of the certificate.
    pub(crate) generation: u64,
    renew_at_ms: u64,
    /// End of the certificate's life; never, where an earlier version kept the file: the orchestrator says so then.
    #[serde(default = "never")]
    not_after_ms: u64,
}

mod kept_key {
    //! A private key that is wiped when it is dropped, as text in a file.

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use zeroize::Zeroizing;

    /// PKCS#8 in DER.
    #[derive(Clone)]
    pub(crate) struct PrivateKeyBytes(pub(super) Zeroizing<Vec<u8>>);

    impl Serialize for PrivateKeyBytes {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            to.serialize_str(&Zeroizing::new(STANDARD.encode(&*self.0)))
        }
    }

    impl<'de> Deserialize<'de> for PrivateKeyBytes {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            let text = Zeroizing::new(String::deserialize(from)?);
            let bytes = STANDARD.decode(text.as_bytes()).map_err(serde::de::Error::custom)?;
            Ok(Self(Zeroizing::new(bytes)))
        }
    }
}

/// A certificate as it was answered.
pub(crate) struct Certificate {
    pub(crate) chain: Vec<Vec<u8>>,
    pub(crate) life: Duration,
    pub(crate) generation: u64,
}

/// What an enrolment brought besides the certificate.
pub(crate) struct Enrolled {
    pub(crate) agent: String,
    pub(crate) orchestrator: String,
    pub(crate) ca_pin: Pin,
    pub(crate) endpoint: String,
    pub(crate) server_name: String,
    pub(crate) roots: Vec<Vec<u8>>,
}

fn encode(all: &[Vec<u8>]) -> Vec<String> {
    all.iter().map(|bytes| STANDARD.encode(bytes)).collect()
}

fn decode(all: &[String]) -> Result<Vec<Vec<u8>>, IdentityError> {
    let wrong = |_| IdentityError::Setting("the kept certificate is damaged; enrol anew");
    all.iter().map(|text| STANDARD.decode(text).map_err(wrong)).collect()
}

fn bytes_of(key: &WorkerKey) -> PrivateKeyBytes {
    PrivateKeyBytes(Zeroizing::new(key.reveal().secret_der().to_vec()))
}

impl Identity {
    /// A fresh identity.
    pub(crate) fn new(enrolled: Enrolled, key: &WorkerKey, certificate: &Certificate) -> Self {
        Self {
            agent: enrolled.agent,
            orchestrator: enrolled.orchestrator,
            ca_pin: enrolled.ca_pin.to_string(),
            endpoint: enrolled.endpoint,
            server_name: enrolled.server_name,
            roots: encode(&enrolled.roots),
            chain: encode(&certificate.chain),
            key: bytes_of(key),
            next_key: None,
            generation: certificate.generation,
            renew_at_ms: after(certificate.life / 2),
            not_after_ms: after(certificate.life),
        }
    }

    /// A channel to the mTLS listener that presents the certificate.
    pub(crate) fn channel(&self) -> Result<tonic::transport::Channel, IdentityError> {
        let key = WorkerKey::from_pkcs8(&self.key.0)?;
        let tls = client::worker(&decode(&self.roots)?, &decode(&self.chain)?, &key)?;
        channel::open(&self.endpoint, channel::server_name(&self.server_name)?, tls, egress::meter())
    }

    /// How long until half of the certificate's life is over.
    pub(crate) fn renew_in(&self) -> Duration {
        Duration::from_millis(self.renew_at_ms.saturating_sub(now_ms()))
    }

    /// Whether the certificate's life is over: nothing but a new enrolment helps.
    pub(crate) fn is_over(&self) -> bool {
        now_ms() >= self.not_after_ms
    }

    /// Whether a renewal was begun whose answer never came.
    pub(crate) const fn is_renewing(&self) -> bool {
        self.next_key.is_some()
    }

    /// The key of the renewal that is under way, or of one that begins now; keep the identity before you ask with it.
    pub(crate) fn next_key(&mut self) -> Result<WorkerKey, IdentityError> {
        if self.next_key.is_none() {
            self.next_key = Some(bytes_of(&WorkerKey::generate()?));
        }
        let bytes = self.next_key.as_ref().ok_or(IdentityError::Setting("no key"))?;
        WorkerKey::from_pkcs8(&bytes.0)
    }

    /// Takes the certificate of the key that was asked with.
    pub(crate) fn renewed(&mut self, certificate: &Certificate) {
        if let Some(key) = self.next_key.take() {
            self.key = key;
        }
        self.chain = encode(&certificate.chain);
        self.generation = certificate.generation;
        self.renew_at_ms = after(certificate.life / 2);
        self.not_after_ms = after(certificate.life);
    }

    /// An identity that nobody issued.
    #[cfg(test)]
    pub(crate) fn example() -> Self {
        let enrolled = Enrolled {
            agent: "agt_01jd8m2v5k0000000000000001".into(),
            orchestrator: "localhost:1".into(),
            ca_pin: Pin::of(b"x"),
            endpoint: "localhost:2".into(),
            server_name: "localhost".into(),
            roots: Vec::new(),
        };
        let certificate = Certificate { chain: Vec::new(), life: Duration::from_secs(60), generation: 1 };
        Self::new(enrolled, &WorkerKey::generate().unwrap(), &certificate)
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

const fn never() -> u64 {
    u64::MAX
}

fn after(time: Duration) -> u64 {
    now_ms().saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewal_asks_with_one_key_until_its_answer_is_here() {
        let mut identity = Identity::example();
        let first = identity.next_key().unwrap().spki_sha256();
        let text = serde_json::to_vec(&identity).unwrap();
        let mut read: Identity = serde_json::from_slice(&text).unwrap();
        assert!(read.is_renewing(), "a crash in between keeps the key");
        assert_eq!(read.next_key().unwrap().spki_sha256(), first);
        let certificate = Certificate { chain: vec![vec![1]], life: Duration::from_secs(60), generation: 2 };
        read.renewed(&certificate);
        assert!(!read.is_renewing());
        assert_eq!(read.generation, 2);
        assert!(read.renew_in() <= Duration::from_secs(30));
        assert_ne!(read.next_key().unwrap().spki_sha256(), first);
    }

    #[test]
    fn a_certificate_is_over_when_its_life_is_and_a_new_one_is_not() {
        let mut identity = Identity::example();
        assert!(!identity.is_over());
        identity.renewed(&Certificate { chain: Vec::new(), life: Duration::ZERO, generation: 2 });
        assert!(identity.is_over());
        let read: Identity = serde_json::from_slice(&serde_json::to_vec(&identity).unwrap()).unwrap();
        assert!(read.is_over(), "a start finds it so");
    }
}
