//! Logging in to Postgres: TLS in the protocol's way, then whatever proof the server wants.
//!
//! The password itself is sent only where TLS hides it; without TLS a proof of it is, by SCRAM or by MD5 as the server asks.

use std::sync::Arc;

use bytes::BytesMut;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use waybill_model::FailureCode;
use waybill_model::plan::Postgres;
use waybill_pipeline::{Credential, Fault, FaultResult};
use zeroize::Zeroizing;

use super::refusal::ServerError;
use super::wire::{Wire, malformed};
use crate::dial::Dialer;
use crate::source::References;
use crate::source::server::loss::broken;
use crate::source::server::reach::{Goal, Reach, check_field, needed};
use crate::source::server::socket::Socket;
use crate::source::server::tls::trust::Trust;
use crate::source::server::tls::{self, Tls};
use crate::source::server::transport::Stream;
use crate::source::server::tunnel::Tunnel;

/// SQLSTATE of a wrong password.
const WRONG_PASSWORD: &str = "28P01";

/// SQLSTATE of a server that takes no more sessions, of this user or at all.
pub(crate) const TOO_MANY: &str = "53300";

/// Where and as whom to connect.
#[derive(Clone)]
pub(crate) struct Address {
    reach: Reach,
    database: String,
    user: String,
    application: String,
}

impl Address {
    /// `ways` lead to what the settings' other references name; `application` stands in the server's list of sessions.
    pub(crate) fn new(
        settings: &Postgres,
        password: Option<Arc<dyn Credential>>,
        ways: &References,
        application: String,
    ) -> FaultResult<Self> {
        check_field("database", &settings.database)?;
        check_field("user", &settings.user)?;
        let client = (settings.client_cert.as_ref(), settings.client_key.as_ref());
        let trust = Trust::of(settings.tls, &settings.host, settings.ca.as_ref(), client, ways)?;
        Ok(Self {
            reach: Reach::new(&settings.host, settings.port, trust, (password, WRONG_PASSWORD))?
                .behind(Tunnel::of(settings.ssh.as_ref(), ways)?),
            database: settings.database.clone(),
            user: settings.user.clone(),
            application,
        })
    }

    /// The same through another dialer.
    pub(crate) fn through(self, dialer: Dialer) -> Self {
        Self { reach: self.reach.through(dialer), ..self }
    }

    /// Looks the name up once and connects to the first checked address that answers, which is then pinned.
    pub(crate) async fn connect(&self) -> FaultResult<(Wire, Goal)> {
        self.reach.connect(|fault| fault.sqlstate == Some(TOO_MANY), |to| self.connect_to(to)).await
    }

    /// Connects to one address: the same server for every connection of a snapshot.
    pub(crate) async fn connect_to(&self, to: Goal) -> FaultResult<Wire> {
        self.reach.log_in(to, |socket, tls, password| self.log_in(socket, tls, password)).await
    }

    async fn log_in(&self, socket: Socket, tls: Option<Tls>, password: Option<Zeroizing<String>>) -> FaultResult<Wire> {
        let password = password.as_ref().map(|text| text.as_str());
        let stream = match tls {
            Some(tls) => tls.shake(ask_for_tls(socket).await?).await?,
            None => Stream::Plain(socket),
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
                b'E' => return Err(self.refused(ServerError::parse(&message.body).into())),
                _ => return Err(malformed("an unexpected message during log-in")),
            }
        }
    }

    /// A log-in that was refused. The server calls a certificate of another name a wrong password where it wants both.
    fn refused(&self, fault: Fault) -> Fault {
        if fault.sqlstate != Some(WRONG_PASSWORD) || !self.reach.trust.as_ref().is_some_and(Trust::has_client) {
            return fault;
        }
        let said = fault.text.for_customer();
        let text = format!("{said}; with `clientcert=verify-full` it says so of a `client-cert` for another user, too");
        Fault::new(fault.code, text).with_sqlstate(WRONG_PASSWORD)
    }

    async fn authenticate(&self, wire: &mut Wire, body: &[u8], password: Option<&str>) -> FaultResult<()> {
        let (kind, rest) = split_kind(body)?;
        let mut out = BytesMut::new();
        match kind {
            0 => return Ok(()),
            3 if self.reach.trust.is_none() => {
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

/// Asks for TLS in the protocol's way. Bytes before the handshake are never taken for answers.
async fn ask_for_tls(mut socket: Socket) -> FaultResult<Socket> {
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    socket.write_all(&request).await.map_err(|error| broken(&error))?;
    match socket.read_u8().await.map_err(|error| broken(&error))? {
        b'S' => Ok(socket),
        b'N' => Err(tls::missing()),
        _ => Err(Fault::new(FailureCode::SourceMalformed, "the server did not answer the TLS request")),
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
