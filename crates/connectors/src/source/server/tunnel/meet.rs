//! The first words with an SSH server: which algorithms, and whether it is the one that is meant.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{Config, Handler, connect_stream};
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PublicKeyOrCertificate};
use russh::{Error, Preferred};
use tokio::net::TcpStream;
use waybill_model::plan::Fingerprint;

use super::Session;

/// Kinds of host keys, the most common first. RSA is not among them: see DECISIONS.md.
pub(super) const KINDS: [Algorithm; 4] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
];

/// Time without a word after which the server is asked whether it is there.
const ASK_AFTER: Duration = Duration::from_secs(15);
/// Questions without an answer after which the session is over.
const MOST_ASKED: usize = 3;
/// Bytes that may be under way on one channel; with `MESSAGES` this bounds what is held for it.
const WINDOW: u32 = 2 << 20;
const MESSAGES: usize = 64;

/// What became of a meeting.
pub(super) enum Met {
    Pinned(Session),
    /// The server showed another key, which is described.
    Another(String),
    /// The server has no key of the kind.
    None,
}

/// Looks at the server's key, and takes no other than the pinned one.
pub(crate) struct Keeper {
    pinned: Fingerprint,
}

/// Why there is no session.
#[derive(Debug)]
pub(crate) enum Refused {
    Key(String),
    Ssh(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Ssh(error)
    }
}

impl Handler for Keeper {
    type Error = Refused;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Refused> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else { return Ok(false) };
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        if fingerprint == self.pinned.as_str() {
            return Ok(true);
        }
        Err(Refused::Key(format!("{fingerprint} ({})", key.algorithm())))
    }
}

/// Begins a session in which the server shows a key of this kind.
pub(super) async fn meet(tcp: TcpStream, kind: Algorithm, pinned: &Fingerprint) -> Result<Met, Error> {
    let config = Config {
        window_size: WINDOW,
        channel_buffer_size: MESSAGES,
        keepalive_interval: Some(ASK_AFTER),
        keepalive_max: MOST_ASKED,
        preferred: Preferred { key: Cow::Owned(vec![kind]), ..Preferred::DEFAULT },
        nodelay: true,
        ..Config::default()
    };
    match connect_stream(Arc::new(config), tcp, Keeper { pinned: pinned.clone() }).await {
        Ok(session) => Ok(Met::Pinned(session)),
        Err(Refused::Key(shown)) => Ok(Met::Another(shown)),
        Err(Refused::Ssh(Error::NoCommonAlgo { kind: russh::AlgorithmKind::Key, .. })) => Ok(Met::None),
        Err(Refused::Ssh(error)) => Err(error),
    }
}
