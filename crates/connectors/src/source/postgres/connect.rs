//! From a host name to a session: one look-up whose address serves all connections, TCP, TLS, log-in.
//!
//! Options come only from the connection's own fields; nothing of them is parsed for more options. The password is sent in
//! no other way than SCRAM unless TLS hides it.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;
use tokio::net::TcpStream;
use tokio::time::timeout;
use waybill_model::FailureCode;
use waybill_model::plan::{Postgres, TlsMode};
use waybill_pipeline::{Credential, Fault, FaultResult};
use zeroize::Zeroizing;

use super::password::Password;
use super::refusal::{ServerError, lost_as};
use super::socket::Socket;
use super::tls::{Roots, Tls};
use super::wire::{Stream, Wire, malformed};
use crate::dial::{Checked, Dialer, Rules};

/// What the whole of connecting may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where and as whom to connect. Clones share the way to the password; it is not kept here.
#[derive(Clone)]
pub(super) struct Address {
    host: String,
    port: u16,
    database: String,
    user: String,
    password: Option<Password>,
    tls: Option<Tls>,
    application: String,
    dialer: Dialer,
}

impl Address {
    /// `ca` is the text that the settings' reference to a CA led to.
    pub(super) fn new(
        settings: &Postgres,
        password: Option<Arc<dyn Credential>>,
        ca: Option<&str>,
        run: &str,
    ) -> FaultResult<Self> {
        for (key, value) in [("host", &settings.host), ("database", &settings.database), ("user", &settings.user)] {
            if value.is_empty() || value.contains('\0') {
                return Err(Fault::new(FailureCode::SpecRefused, format!("`{key}` is empty or holds a NUL character")));
            }
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if !settings.host.chars().all(plain) {
            let text = "`host` takes one DNS name or address: no socket path, list, port or option";
            return Err(Fault::new(FailureCode::SpecRefused, text));
        }
        let tls = match settings.tls {
            TlsMode::VerifyFull => Some(Tls::new(&settings.host, Roots::of(settings.ca.as_ref(), ca)?)?),
            TlsMode::Disable => None,
        };
        let run: String = run.chars().filter(char::is_ascii_graphic).take(55).collect();
        Ok(Self {
            host: settings.host.clone(),
            port: settings.port,
            database: settings.database.clone(),
            user: settings.user.clone(),
            password: password.map(Password::new),
            tls,
            application: format!("waybill/{run}"),
            dialer: Dialer::new(Rules::local()),
        })
    }

    /// The same through another dialer.
    pub(super) fn through(self, dialer: Dialer) -> Self {
        Self { dialer, ..self }
    }

    /// Looks the name up once and connects to the first checked address that answers, which is then pinned.
    pub(super) async fn connect(&self) -> FaultResult<(Wire, Checked)> {
        let mut last = Fault::new(FailureCode::SourceUnreachable, format!("{}: the name has no address", self.host));
        for address in self.dialer.addresses(&self.host, self.port).await? {
            match self.connect_to(address).await {
                Ok(wire) => return Ok((wire, address)),
                Err(fault) if fault.code == FailureCode::SourceUnreachable => last = fault,
                Err(fault) => return Err(fault),
            }
        }
        Err(last)
    }

    /// Connects to one address: the same server for every connection of a snapshot. A password that is refused is asked
    /// for anew: it may have been rotated since.
    pub(super) async fn connect_to(&self, to: Checked) -> FaultResult<Wire> {
        match &self.password {
            Some(password) => password.log_in(|given| self.try_with(to, Some(given))).await,
            None => self.try_with(to, None).await,
        }
    }

    async fn try_with(&self, to: Checked, password: Option<Zeroizing<String>>) -> FaultResult<Wire> {
        let password = password.as_ref().map(|text| text.as_str());
        let address = to.address();
        let unreachable = |why: String| Fault::new(FailureCode::SourceUnreachable, format!("{address}: {why}"));
        let tcp = self.dialer.connect(to).await.map_err(|error| unreachable(error.kind().to_string()))?;
        keep_alive(&tcp).map_err(|error| unreachable(error.kind().to_string()))?;
        match timeout(PATIENCE, self.log_in(tcp, password)).await {
            Ok(done) => lost_as(done, FailureCode::SourceUnreachable),
            Err(_) => Err(unreachable("the log-in took too long".into())),
        }
    }

    async fn log_in(&self, tcp: TcpStream, password: Option<&str>) -> FaultResult<Wire> {
        let stream = match &self.tls {
            Some(tls) => tls.wrap(tcp).await?,
            None => Stream::Plain(Socket::new(tcp)),
        };
        let mut wire = Wire::new(stream);
        let mut out = BytesMut::new();
        let parameters = [
            ("user", self.user.as_str()),
            ("database", &self.database),
            ("client_encoding", "UTF8"),
            ("application_name", &self.application),
        ];
        frontend::startup_message(parameters, &mut out).map_err(|_| malformed("a parameter can't be sent"))?;
        wire.send(&out).await?;
        loop {
            let message = wire.message().await?;
            match message.tag {
                b'R' => self.authenticate(&mut wire, &message.body, password).await?,
                b'K' => {}
                b'Z' => return Ok(wire),
                b'E' => return Err(ServerError::parse(&message.body).into()),
                _ => return Err(malformed("an unexpected message during log-in")),
            }
        }
    }

    async fn authenticate(&self, wire: &mut Wire, body: &[u8], password: Option<&str>) -> FaultResult<()> {
        let (kind, rest) = split_kind(body)?;
        let mut out = BytesMut::new();
        match kind {
            0 => return Ok(()),
            3 if self.tls.is_none() => {
                let text = "the server wants the password in the clear, which is never sent without TLS";
                return Err(Fault::new(FailureCode::SourceDenied, text));
            }
            3 => frontend::password_message(needed(password)?.as_bytes(), &mut out),
            5 => {
                let salt = rest.first_chunk::<4>().ok_or_else(|| malformed("a log-in message is too short"))?;
                let hash = Zeroizing::new(md5_hash(self.user.as_bytes(), needed(password)?.as_bytes(), *salt));
                frontend::password_message(hash.as_bytes(), &mut out)
            }
            10 => return scram(wire, rest, needed(password)?).await,
            _ => {
                return Err(Fault::new(
                    FailureCode::SourceDenied,
                    "the server asks for a log-in that is not known here",
                ));
            }
        }
        .map_err(|_| Fault::new(FailureCode::SourceDenied, "the password holds a NUL character"))?;
        wire.send(&out).await
    }
}

/// SCRAM-SHA-256. The library caps the iterations that a server may ask for.
async fn scram(wire: &mut Wire, mechanisms: &[u8], password: &str) -> FaultResult<()> {
    let failed = || Fault::new(FailureCode::SourceDenied, "the SCRAM log-in failed: the server broke its rules");
    if !mechanisms.split(|b| *b == 0).any(|name| name == SCRAM_SHA_256.as_bytes()) {
        return Err(Fault::new(FailureCode::SourceDenied, "the server offers no SCRAM-SHA-256"));
    }
    let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
    let mut out = BytesMut::new();
    frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), &mut out).map_err(|_| failed())?;
    wire.send(&out).await?;
    let first = expect_sasl(wire, 11).await?;
    scram.update(&first).map_err(|_| failed())?;
    out.clear();
    frontend::sasl_response(scram.message(), &mut out).map_err(|_| failed())?;
    wire.send(&out).await?;
    let last = expect_sasl(wire, 12).await?;
    scram.finish(&last).map_err(|_| failed())
}

fn needed(password: Option<&str>) -> FaultResult<&str> {
    password.ok_or_else(|| {
        Fault::new(FailureCode::SourceDenied, "the server wants a password and the connection names none")
    })
}

fn split_kind(body: &[u8]) -> FaultResult<(i32, &[u8])> {
    let (kind, rest) = body.split_first_chunk::<4>().ok_or_else(|| malformed("a log-in message is too short"))?;
    Ok((i32::from_be_bytes(*kind), rest))
}

async fn expect_sasl(wire: &mut Wire, wanted: i32) -> FaultResult<Vec<u8>> {
    let message = wire.message().await?;
    match message.tag {
        b'E' => Err(ServerError::parse(&message.body).into()),
        b'R' => match split_kind(&message.body)? {
            (kind, rest) if kind == wanted => Ok(rest.to_vec()),
            _ => Err(malformed("SCRAM messages in the wrong order")),
        },
        _ => Err(malformed("an unexpected message during log-in")),
    }
}

fn keep_alive(tcp: &TcpStream) -> std::io::Result<()> {
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

    fn settings(host: &str) -> Postgres {
        Postgres {
            host: host.into(),
            port: 5432,
            database: "shop".into(),
            user: "reader".into(),
            password: None,
            tls: TlsMode::Disable,
            ca: None,
        }
    }

    #[test]
    fn a_host_takes_no_socket_list_or_option() {
        for host in
            ["/var/run/postgresql", "a,b", "db sslmode=disable", "db?options=-c", "socket=/x", "", "a\0b", "u@h"]
        {
            let fault = Address::new(&settings(host), None, None, "run").err().expect("refused");
            assert_eq!(fault.code, FailureCode::SpecRefused, "{host:?}");
        }
        for host in ["db.example", "127.0.0.1", "::1", "db_1"] {
            assert!(Address::new(&settings(host), None, None, "run").is_ok(), "{host}");
        }
    }
}
