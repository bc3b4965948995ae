//! An SSH session to a server between, and a channel of it for each connection to the database.
//!
//! Nobody is spoken to but the server that shows the pinned key. All channels share one session; one that is gone is made anew
//! for whoever asks next. What the server says in words is never kept.

pub(crate) mod channel;
mod key;
mod meet;

use std::sync::Arc;
use std::time::Duration;

use russh::client::{AuthResult, Handle};
use russh::{ChannelOpenFailure, Error};
use tokio::sync::Mutex;
use tokio::time::timeout;
use waybill_model::FailureCode;
use waybill_model::plan::{Fingerprint, Ssh};
use waybill_pipeline::{Fault, FaultResult};
use zeroize::Zeroizing;

use self::channel::Channel;
use self::key::Key;
use self::meet::{Keeper, Met};
use super::reach::{check_field, keep_alive};
use super::references::{References, Referred};
use super::rotation::Rotation;
use super::socket::Socket;
use crate::dial::Dialer;

/// What meeting the server and logging in there may take, and then opening a channel.
const PATIENCE: Duration = Duration::from_secs(30);

/// A session with the server between.
pub(crate) type Session = Handle<Keeper>;

/// The way through a server between. Clones share the session.
#[derive(Clone)]
pub(crate) struct Tunnel(Arc<Inner>);

struct Inner {
    host: String,
    port: u16,
    user: String,
    key: Referred,
    pinned: Fingerprint,
    session: Mutex<Option<Arc<Session>>>,
    rotation: Rotation,
}

impl Tunnel {
    /// The way that the settings name; none where they name none.
    pub(crate) fn of(settings: Option<&Ssh>, ways: &References) -> FaultResult<Option<Self>> {
        let Some(settings) = settings else { return Ok(None) };
        check_field("ssh.host", &settings.host)?;
        check_field("ssh.user", &settings.user)?;
        Ok(Some(Self(Arc::new(Inner {
            host: settings.host.clone(),
            port: settings.port,
            user: settings.user.clone(),
            key: Referred::of("ssh.key", &settings.key, ways.ssh_key.as_ref())?,
            pinned: settings.host_key.clone(),
            session: Mutex::new(None),
            rotation: Rotation::default(),
        }))))
    }

    /// A connection to a host as the server between finds it.
    pub(crate) async fn open(&self, dialer: &Dialer, host: &str, port: u16) -> FaultResult<Socket> {
        let session = self.0.session(dialer).await?;
        let opened = timeout(PATIENCE, session.channel_open_direct_tcpip(host, u32::from(port), "127.0.0.1", 0)).await;
        let channel = opened.map_err(|_| self.0.late())?.map_err(|error| self.0.closed(host, port, &error))?;
        Ok(Socket::through(Channel::new(channel.into_stream(), session)))
    }
}

impl Inner {
    /// The session at hand, or a new one.
    async fn session(&self, dialer: &Dialer) -> FaultResult<Arc<Session>> {
        let mut session = self.session.lock().await;
        if let Some(open) = session.as_ref().filter(|open| !open.is_closed()) {
            return Ok(Arc::clone(open));
        }
        let made = Arc::new(self.log_in(dialer).await?);
        *session = Some(Arc::clone(&made));
        Ok(made)
    }

    /// Logs in, again with a new key where the old one was refused: it may have been rotated since.
    async fn log_in(&self, dialer: &Dialer) -> FaultResult<Session> {
        // Looking the key up has bounds of its own.
        let attempt = |key: Zeroizing<String>| async move {
            timeout(PATIENCE, self.prove(dialer, &key)).await.map_err(|_| self.late())?
        };
        self.rotation.log_in(self.key.way.as_ref(), "the key for the SSH server", attempt).await
    }

    /// A session by this key, or the server's refusal of it.
    async fn prove(&self, dialer: &Dialer, key: &str) -> FaultResult<Result<Session, Fault>> {
        let key = Key::read(&self.key.reference, key)?;
        let mut session = self.meet(dialer).await?;
        match key.prove(&mut session, &self.user).await {
            Ok(AuthResult::Success) => Ok(Ok(session)),
            Ok(AuthResult::Failure { .. }) => {
                let text = "it does not take the key in `ssh.key` for the user in `ssh.user`";
                Ok(Err(self.fault(FailureCode::SshDenied, text)))
            }
            Err(_) => Err(self.fault(FailureCode::SourceUnreachable, "it ended the session during the log-in")),
        }
    }

    /// A session with the server that shows the pinned key. It has keys of several kinds and shows one of the kind that is asked
    /// for, so each kind is asked for until the pinned one is shown.
    async fn meet(&self, dialer: &Dialer) -> FaultResult<Session> {
        let mut shown = Vec::new();
        for kind in meet::KINDS {
            match meet::meet(self.dial(dialer).await?, kind.clone(), &self.pinned).await {
                Ok(Met::Pinned(session)) => return Ok(session),
                Ok(Met::Another(key)) => shown.push(key),
                Ok(Met::None) => {}
                Err(Error::IO(_) | Error::HUP | Error::Disconnect) => {
                    return Err(
                        self.fault(FailureCode::SourceUnreachable, "it ended the session before it showed its key")
                    );
                }
                Err(Error::NoCommonAlgo { kind, .. }) => {
                    let text = format!("it knows none of the {kind:?} algorithms that are held safe here");
                    return Err(self.fault(FailureCode::SourceMalformed, &text));
                }
                Err(_) => return Err(self.fault(FailureCode::SourceMalformed, "it does not keep to the rules of SSH")),
            }
        }
        let keys = if shown.is_empty() { "no Ed25519 or ECDSA key".to_owned() } else { shown.join(", ") };
        let text = format!("it shows {keys}, and `ssh.host-key` pins {}; nothing was sent to it", self.pinned);
        Err(self.fault(FailureCode::SshHostKeyRefused, &text))
    }

    async fn dial(&self, dialer: &Dialer) -> FaultResult<tokio::net::TcpStream> {
        let mut last = self.fault(FailureCode::SourceUnreachable, "the name has no address");
        for address in dialer.addresses(&self.host, self.port).await? {
            let dialed = dialer.connect(address).await;
            match dialed.and_then(|tcp| keep_alive(&tcp).map(|()| tcp)) {
                Ok(tcp) => return Ok(tcp),
                Err(error) => last = self.fault(FailureCode::SourceUnreachable, &error.kind().to_string()),
            }
        }
        Err(last)
    }

    /// Why no channel to the database was opened.
    fn closed(&self, host: &str, port: u16, error: &Error) -> Fault {
        match error {
            Error::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed) => {
                self.fault(FailureCode::SourceUnreachable, &format!("from there {host}:{port} can't be reached"))
            }
            Error::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited) => {
                let text = format!("it forbids the way to {host}:{port} (AllowTcpForwarding, PermitOpen)");
                self.fault(FailureCode::SshDenied, &text)
            }
            Error::ChannelOpenFailure(_) => {
                self.fault(FailureCode::SourceUnreachable, &format!("it opens no channel to {host}:{port}"))
            }
            _ => self.fault(FailureCode::SshTunnelLost, "the session ended"),
        }
    }

    fn late(&self) -> Fault {
        self.fault(FailureCode::SourceUnreachable, "it took too long to get through")
    }

    fn fault(&self, code: FailureCode, text: &str) -> Fault {
        Fault::new(code, format!("SSH server {}:{}: {text}", self.host, self.port))
    }
}
