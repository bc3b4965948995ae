//! From a host name to a log-in: one look-up whose address serves all connections, TCP, a bound on the whole.
//!
//! Options come only from the connection's own fields; nothing of them is parsed for more options.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use waybill_model::FailureCode;
use waybill_pipeline::{Credential, Fault, FaultResult};
use zeroize::Zeroizing;

use super::loss::lost_as;
use super::password::Password;
use super::rotation::Waits;
use super::socket::Socket;
use super::tls::Tls;
use super::tls::trust::Trust;
use super::tunnel::Tunnel;
use crate::dial::{Checked, Dialer, Rules};

/// What the whole of connecting may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Waits for a server that takes no more sessions, in milliseconds.
const WAITS: [u64; 5] = [50, 100, 200, 400, 800];

/// Where a server is, and what proves both ends to each other. Clones share the way to the password; it is not kept here.
#[derive(Clone)]
pub(crate) struct Reach {
    host: String,
    port: u16,
    password: Option<Password>,
    pub(crate) trust: Option<Trust>,
    dialer: Dialer,
    tunnel: Option<Tunnel>,
}

/// Where all connections of a snapshot go.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    /// To one address.
    Address(Checked),
    /// To what the server between finds by the host's name.
    Behind,
}

impl Reach {
    /// `wrong` is the SQLSTATE with which the server refuses a password.
    pub(crate) fn new(
        host: &str,
        port: u16,
        trust: Option<Trust>,
        (password, wrong): (Option<Arc<dyn Credential>>, &'static str),
    ) -> FaultResult<Self> {
        check_field("host", host)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if !host.chars().all(plain) {
            let text = "`host` takes one DNS name or address: no socket path, list, port or option";
            return Err(Fault::new(FailureCode::SpecRefused, text));
        }
        let (host, password) = (host.to_owned(), password.map(|password| Password::new(password, wrong)));
        Ok(Self { host, port, password, trust, dialer: Dialer::new(Rules::local()), tunnel: None })
    }

    /// The same through a server between.
    pub(crate) fn behind(self, tunnel: Option<Tunnel>) -> Self {
        Self { tunnel, ..self }
    }

    /// The same through another dialer.
    pub(crate) fn through(self, dialer: Dialer) -> Self {
        Self { dialer, ..self }
    }

    /// Looks the name up once and connects to the first checked address that answers, which is then pinned. A server that is
    /// full is asked again a few times: a session that has said goodbye counts until the server has ended it, and our own last
    /// one may be among them.
    pub(crate) async fn connect<W, F>(
        &self,
        is_full: impl Fn(&Fault) -> bool,
        to: impl Fn(Goal) -> F,
    ) -> FaultResult<(W, Goal)>
    where
        F: Future<Output = FaultResult<W>>,
    {
        let mut waits = WAITS.into_iter().map(Duration::from_millis);
        loop {
            match self.connect_once(&to).await {
                Err(fault) if is_full(&fault) => match waits.next() {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => return Err(fault),
                },
                settled => return settled,
            }
        }
    }

    async fn connect_once<W, F>(&self, to: &impl Fn(Goal) -> F) -> FaultResult<(W, Goal)>
    where
        F: Future<Output = FaultResult<W>>,
    {
        if self.tunnel.is_some() {
            // What an address is, is the same behind a server between; what a name leads to there, only that one knows.
            self.dialer.check(&self.host)?;
            return Ok((to(Goal::Behind).await?, Goal::Behind));
        }
        let mut last = Fault::new(FailureCode::SourceUnreachable, format!("{}: the name has no address", self.host));
        for address in self.dialer.addresses(&self.host, self.port).await? {
            match to(Goal::Address(address)).await {
                Ok(wire) => return Ok((wire, Goal::Address(address))),
                Err(fault) if fault.code == FailureCode::SourceUnreachable => last = fault,
                Err(fault) => return Err(fault),
            }
        }
        Err(last)
    }

    /// Connects to one address and logs in, again with a new password or new certificates where the old ones were refused:
    /// they may have been rotated since.
    pub(crate) async fn log_in<W, F>(
        &self,
        to: Goal,
        log_in: impl Fn(Socket, Option<Tls>, Option<Zeroizing<String>>) -> F,
    ) -> FaultResult<W>
    where
        F: Future<Output = FaultResult<W>>,
    {
        match &self.password {
            Some(password) => password.log_in(|given| self.shake(to, &log_in, Some(given))).await,
            None => self.shake(to, &log_in, None).await,
        }
    }

    async fn shake<W, F>(
        &self,
        to: Goal,
        log_in: &impl Fn(Socket, Option<Tls>, Option<Zeroizing<String>>) -> F,
        password: Option<Zeroizing<String>>,
    ) -> FaultResult<W>
    where
        F: Future<Output = FaultResult<W>>,
    {
        let Some(trust) = &self.trust else {
            return self.try_once(to, |socket| log_in(socket, None, password)).await;
        };
        let (mut made, mut waits) = (trust.now().await?, Waits::default());
        loop {
            let (tls, password) = (Some(made.tls.clone()), password.clone());
            match self.try_once(to, |socket| log_in(socket, tls, password)).await {
                Ok(done) => {
                    trust.worked();
                    return Ok(done);
                }
                Err(fault) => made = trust.next(&made, fault, &mut waits).await?,
            }
        }
    }

    async fn try_once<W, F>(&self, to: Goal, log_in: impl FnOnce(Socket) -> F) -> FaultResult<W>
    where
        F: Future<Output = FaultResult<W>>,
    {
        let socket = self.open(to).await?;
        match timeout(PATIENCE, log_in(socket)).await {
            Ok(done) => lost_as(done, FailureCode::SourceUnreachable),
            Err(_) => {
                let text = format!("{}:{}: the log-in took too long", self.host, self.port);
                Err(Fault::new(FailureCode::SourceUnreachable, text))
            }
        }
    }

    async fn open(&self, to: Goal) -> FaultResult<Socket> {
        let address = match (to, &self.tunnel) {
            (Goal::Address(address), _) => address,
            (Goal::Behind, Some(tunnel)) => return tunnel.open(&self.dialer, &self.host, self.port).await,
            (Goal::Behind, None) => return Err(Fault::new(FailureCode::WorkerBug, "a tunnel that nobody dug")),
        };
        let dialed = self.dialer.connect(address).await.and_then(|tcp| keep_alive(&tcp).map(|()| tcp));
        let tcp = dialed.map_err(|error| {
            Fault::new(FailureCode::SourceUnreachable, format!("{}: {}", address.address(), error.kind()))
        })?;
        Ok(Socket::new(tcp))
    }
}

/// Refuses a field that can't be sent.
pub(crate) fn check_field(key: &str, value: &str) -> FaultResult<()> {
    if value.is_empty() || value.contains('\0') {
        return Err(Fault::new(FailureCode::SpecRefused, format!("`{key}` is empty or holds a NUL character")));
    }
    Ok(())
}

/// How sessions that read are shown: by it they are told from those that may write.
pub(crate) const READS: &str = "waybill";

/// The run, as a server's list of sessions shows it: in no more characters than it keeps.
pub(crate) fn shown(how: &str, run: &str) -> String {
    let run: String = run.chars().filter(char::is_ascii_graphic).take(62 - how.len()).collect();
    format!("{how}/{run}")
}

/// The password, for a server that wants one.
pub(crate) fn needed(password: Option<&str>) -> FaultResult<&str> {
    password.ok_or_else(|| {
        Fault::new(FailureCode::SourceDenied, "the server wants a password and the connection names none")
    })
}

pub(crate) fn keep_alive(tcp: &TcpStream) -> std::io::Result<()> {
    tcp.set_nodelay(true)?;
    let probes = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(10))
        .with_retries(6);
    socket2::SockRef::from(tcp).set_tcp_keepalive(&probes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_takes_no_socket_list_or_option() {
        let reach = |host: &str| Reach::new(host, 5432, None, (None, "28P01"));
        for host in
            ["/var/run/postgresql", "a,b", "db sslmode=disable", "db?options=-c", "socket=/x", "", "a\0b", "u@h"]
        {
            assert_eq!(reach(host).err().expect("refused").code, FailureCode::SpecRefused, "{host:?}");
        }
        for host in ["db.example", "127.0.0.1", "::1", "db_1"] {
            assert!(reach(host).is_ok(), "{host}");
        }
    }
}
