//! Logging in to MySQL and MariaDB: TLS in the protocol's way, then whatever proof the server wants.

use std::sync::Arc;

use waybill_model::FailureCode;
use waybill_model::plan::MySql;
use waybill_pipeline::{Credential, Fault, FaultResult};
use zeroize::Zeroizing;

use super::bytes::Bytes;
use super::handshake::{CHALLENGE, Greeting, Introduction};
use super::proof::{self, NATIVE};
use super::refusal::{Failure, ServerError};
use super::wire::Wire;
use crate::dial::Dialer;
use crate::source::References;
use crate::source::server::loss::was_ended;
use crate::source::server::malformed;
use crate::source::server::reach::{Goal, READS, Reach, check_field, shown};
use crate::source::server::socket::Socket;
use crate::source::server::tls::trust::Trust;
use crate::source::server::tls::{self, Tls};
use crate::source::server::transport::Stream;
use crate::source::server::tunnel::Tunnel;

/// SQLSTATE of a refused log-in.
const WRONG_PASSWORD: &str = "28000";
/// Changes of the way of logging in that a server may ask for.
const MOST_SWITCHES: u32 = 4;

/// Where and as whom to connect.
#[derive(Clone)]
pub(super) struct Address {
    reach: Reach,
    pub(super) database: String,
    user: String,
    application: String,
}

impl Address {
    /// `ways` lead to what the settings' other references name.
    pub(super) fn new(
        settings: &MySql,
        password: Option<Arc<dyn Credential>>,
        ways: &References,
        run: &str,
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
            application: shown(READS, run),
        })
    }

    /// The same through another dialer.
    pub(super) fn through(self, dialer: Dialer) -> Self {
        Self { reach: self.reach.through(dialer), ..self }
    }

    /// Looks the name up once and connects to the first checked address that answers, which is then pinned.
    pub(super) async fn connect(&self) -> FaultResult<(Wire, Goal)> {
        self.reach.connect(is_full, |to| self.connect_to(to)).await
    }

    /// Connects to one address: the same server for every connection of a snapshot.
    pub(super) async fn connect_to(&self, to: Goal) -> FaultResult<Wire> {
        self.reach.log_in(to, |socket, tls, password| self.log_in(socket, tls, password)).await
    }

    async fn log_in(&self, socket: Socket, tls: Option<Tls>, password: Option<Zeroizing<String>>) -> FaultResult<Wire> {
        let password = password.as_ref().map(|text| text.as_str());
        let mut wire = Wire::new(Stream::Plain(socket));
        let greeting = Greeting::read(&wire.packet().await?).map_err(Fault::from)?;
        let introduction = Introduction {
            user: &self.user,
            database: &self.database,
            application: &self.application,
            is_tls: tls.is_some(),
        };
        if let Some(tls) = &tls {
            if !greeting.has_tls() {
                return Err(tls::missing());
            }
            wire.send(&introduction.head(&greeting)).await?;
            let (stream, sequence) = wire.into_stream()?;
            let Stream::Plain(tcp) = stream else { return Err(malformed("TLS within TLS")) };
            wire = Wire::new(tls.shake(tcp).await?);
            wire.resume(sequence);
        }
        // Other ways are gone into when the server asks for them by name.
        let plugin = if proof::is_hashed(&greeting.plugin) { greeting.plugin.as_str() } else { NATIVE };
        let proof = proof::first(plugin, password, &greeting.challenge, wire.is_tls())?;
        wire.send(&introduction.whole(&greeting, plugin, &proof)).await?;
        finish(&mut wire, password).await?;
        wire.thread = greeting.thread;
        Ok(wire)
    }
}

/// Whether a server takes no more sessions, of this account or at all (1040, 1203, 1226): it answers, and is out of reach all the
/// same.
pub(super) fn is_full(fault: &Fault) -> bool {
    fault.code == FailureCode::SourceUnreachable && fault.sqlstate.is_some() && !was_ended(fault)
}

/// Answers what the server asks for until it takes us in.
async fn finish(wire: &mut Wire, password: Option<&str>) -> FaultResult<()> {
    for _ in 0..MOST_SWITCHES {
        let packet = wire.packet().await?;
        match packet.first() {
            Some(0x00) => return Ok(()),
            Some(0xff) => return Err(Failure::Server(ServerError::parse(&packet)).into()),
            Some(0xfe) if packet.len() > 1 => {
                let (plugin, challenge) = switch(&packet[1..])?;
                let proof = Zeroizing::new(proof::first(&plugin, password, &challenge, wire.is_tls())?);
                wire.send(&proof).await?;
            }
            Some(0xfe) => {
                let text = "the server asks for the log-in of MySQL 4.0, which gives the password away: it is refused";
                return Err(Fault::new(FailureCode::SourceDenied, text));
            }
            // caching_sha2_password: 3 says that the proof was enough, 4 wants the password itself.
            Some(0x01) => match packet.get(1) {
                Some(3) => {}
                Some(4) => {
                    let proof = Zeroizing::new(proof::in_the_clear(password, wire.is_tls())?);
                    wire.send(&proof).await?;
                }
                _ => return Err(malformed("an unexpected message during log-in")),
            },
            _ => return Err(malformed("an unexpected message during log-in")),
        }
    }
    Err(malformed("the server changes the way of logging in without end"))
}

/// The way that a server changes to, and its challenge.
fn switch(packet: &[u8]) -> FaultResult<(String, [u8; CHALLENGE])> {
    let mut bytes = Bytes::new(packet);
    let plugin = String::from_utf8_lossy(bytes.until_nul()).into_owned();
    let given = bytes.rest();
    let mut challenge = [0; CHALLENGE];
    // Ways without a challenge send none.
    if let Some(whole) = given.get(..CHALLENGE) {
        challenge.copy_from_slice(whole);
    } else if proof::is_hashed(&plugin) {
        return Err(malformed("a challenge of the server is too short"));
    }
    Ok((plugin, challenge))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_without_a_whole_challenge_is_refused_where_one_is_needed() {
        assert!(switch(b"mysql_native_password\0short").is_err());
        assert_eq!(switch(b"mysql_clear_password\0").expect("a switch").0, "mysql_clear_password");
        let (plugin, challenge) = switch(b"caching_sha2_password\0abcdefghijklmnopqrst\0").expect("a switch");
        assert_eq!((plugin.as_str(), &challenge), ("caching_sha2_password", b"abcdefghijklmnopqrst"));
    }
}
