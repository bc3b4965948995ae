//! The single-use enrolment ticket: an HMAC over organization, attempt, epoch and expiry under a key outside the database.
//!
//! A ticket can be made again from the same claim, so stored launch requests hold a placeholder. That it is used once is
//! the store's to hold; here only its origin and age are checked.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use waybill_model::{AgentId, AttemptId, Epoch, Micros, OrgId};
use zeroize::Zeroizing;

use crate::error::{IdentityError, IdentityResult};
use crate::keydir::KeyDirectory;

/// How long a ticket is good: the start timeout.
pub const TICKET_LIFE: Duration = Duration::from_secs(15 * 60);

const FILE: &str = "ticket.key";
const MAC_BYTES: usize = 32;
const VERSION: &str = "waybill-ticket-1";

/// What a ticket says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TicketClaim {
    /// The tenant.
    pub org: OrgId,
    /// The attempt that may enrol with it.
    pub attempt: AttemptId,
    /// Fencing number of that attempt.
    pub epoch: Epoch,
}

/// Why a ticket is refused. The worker learns only that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// Not a ticket, or not one of ours.
    #[error("the ticket was not made here")]
    Forged,
    /// Its time is over.
    #[error("the ticket is too old")]
    Expired,
}

/// A ticket on its way to a worker. Whoever holds it can enrol; one that goes through an agent needs the agent's voucher
/// as well.
#[derive(Clone)]
pub struct Ticket {
    bytes: Zeroizing<Vec<u8>>,
    voucher: Option<Zeroizing<[u8; 32]>>,
}

impl Ticket {
    /// Reads the line that a worker gets over its standard input. Its origin is not checked here.
    #[must_use]
    pub fn from_line(line: &str) -> Option<Self> {
        let (ticket, voucher) = match line.trim().split_once('.') {
            Some((ticket, voucher)) => (ticket, Some(voucher)),
            None => (line.trim(), None),
        };
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(ticket).ok()?);
        let voucher = match voucher {
            Some(text) => {
                let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
                Some(Zeroizing::new(<[u8; 32]>::try_from(bytes.as_slice()).ok()?))
            }
            None => None,
        };
        let ticket = Self { bytes, voucher };
        ticket.attempt().map(|_| ticket)
    }

    /// The same ticket as it goes through an agent.
    #[must_use]
    pub fn vouched(mut self, voucher: Zeroizing<[u8; 32]>) -> Self {
        self.voucher = Some(voucher);
        self
    }

    /// The voucher of the agent that it came through.
    #[must_use]
    pub fn voucher(&self) -> Option<&[u8; 32]> {
        self.voucher.as_deref()
    }

    /// The line that a worker reads. Only for the launch request.
    #[must_use]
    pub fn reveal_line(&self) -> Zeroizing<String> {
        let mut line = Zeroizing::new(URL_SAFE_NO_PAD.encode(&*self.bytes));
        if let Some(voucher) = &self.voucher {
            line.push('.');
            line.push_str(&Zeroizing::new(URL_SAFE_NO_PAD.encode(**voucher)));
        }
        line
    }

    /// The bytes that go into the enrolment request.
    #[must_use]
    pub fn reveal(&self) -> &[u8] {
        &self.bytes
    }

    /// The attempt that it names, unchecked: for the worker's Hello.
    #[must_use]
    pub fn attempt(&self) -> Option<AttemptId> {
        read_claim(self.bytes.get(..self.bytes.len().checked_sub(MAC_BYTES)?)?).map(|(claim, _)| claim.attempt)
    }
}

/// The key that makes and checks tickets; all replicas share it.
pub struct TicketKey {
    tickets: hmac::Key,
    nonces: hmac::Key,
    vouchers: hmac::Key,
    invitations: hmac::Key,
}

impl TicketKey {
    /// Reads the key, or makes it where the directory makes missing keys.
    pub fn open(keys: &KeyDirectory) -> IdentityResult<Self> {
        let secret = keys.read_or_make(FILE, || {
            let mut fresh = Zeroizing::new(vec![0; 32]);
            aws_lc_rs::rand::fill(&mut fresh).expect("the system's random source");
            Ok(fresh)
        })?;
        if secret.len() != 32 {
            return Err(IdentityError::KeyFile { path: FILE.into(), what: "must hold 32 random bytes" });
        }
        Ok(Self::from_secret(&secret))
    }

    /// From 32 secret bytes.
    #[must_use]
    pub fn from_secret(secret: &[u8]) -> Self {
        // One key per use, so that a nonce can never stand for a ticket.
        let root = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let derive = |label: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, label).as_ref());
        Self {
            tickets: derive(b"waybill tickets"),
            nonces: derive(b"waybill nonces"),
            vouchers: derive(b"waybill vouchers"),
            invitations: derive(b"waybill agent invitations"),
        }
    }

    /// The ticket of a claim: the same for the same claim and expiry.
    #[must_use]
    pub fn issue(&self, claim: &TicketClaim, expires: Micros) -> Ticket {
        let mut bytes = write_claim(claim, expires).into_bytes();
        let mac = hmac::sign(&self.tickets, &bytes);
        bytes.extend_from_slice(mac.as_ref());
        Ticket { bytes: Zeroizing::new(bytes), voucher: None }
    }

    /// What proves that a worker was started by this agent: the same for the same claim and agent.
    #[must_use]
    pub fn voucher(&self, claim: &TicketClaim, agent: AgentId) -> Zeroizing<[u8; 32]> {
        let mut voucher = Zeroizing::new([0; 32]);
        let text = format!("{}.{}.{}.{agent}", claim.org, claim.attempt, claim.epoch);
        voucher.copy_from_slice(hmac::sign(&self.vouchers, text.as_bytes()).as_ref());
        voucher
    }

    /// What a presented ticket says, if it was made here and its time is not over.
    pub fn check(&self, ticket: &[u8], now: Micros) -> Result<TicketClaim, TicketError> {
        let end = ticket.len().checked_sub(MAC_BYTES).ok_or(TicketError::Forged)?;
        let (text, mac) = ticket.split_at(end);
        // Compares in constant time.
        hmac::verify(&self.tickets, text, mac).map_err(|_| TicketError::Forged)?;
        let (claim, expires) = read_claim(text).ok_or(TicketError::Forged)?;
        if now < expires { Ok(claim) } else { Err(TicketError::Expired) }
    }

    pub(crate) const fn invitations(&self) -> &hmac::Key {
        &self.invitations
    }

    pub(crate) const fn nonces(&self) -> &hmac::Key {
        &self.nonces
    }
}

fn write_claim(claim: &TicketClaim, expires: Micros) -> String {
    format!("{VERSION}.{}.{}.{}.{}", claim.org, claim.attempt, claim.epoch, expires.0)
}

fn read_claim(text: &[u8]) -> Option<(TicketClaim, Micros)> {
    let text = std::str::from_utf8(text).ok()?;
    let mut fields = text.split('.');
    if fields.next()? != VERSION {
        return None;
    }
    let (org, attempt) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let claim = TicketClaim { org, attempt, epoch: Epoch(fields.next()?.parse().ok()?) };
    let expires = Micros(fields.next()?.parse().ok()?);
    (write_claim(&claim, expires) == text).then_some((claim, expires))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> TicketKey {
        TicketKey::from_secret(&[7; 32])
    }

    fn claim() -> TicketClaim {
        TicketClaim { org: OrgId::generate(), attempt: AttemptId::generate(), epoch: Epoch(1_000) }
    }

    #[test]
    fn a_ticket_says_what_it_was_made_for_until_its_time_is_over() {
        let claim = claim();
        let ticket = key().issue(&claim, Micros(100));
        assert_eq!(key().check(ticket.reveal(), Micros(99)), Ok(claim));
        assert_eq!(key().check(ticket.reveal(), Micros(100)), Err(TicketError::Expired));
        assert_eq!(key().issue(&claim, Micros(100)).reveal(), ticket.reveal(), "a replay is identical");
    }

    #[test]
    fn every_flipped_bit_and_every_cut_makes_it_forged() {
        let ticket = key().issue(&claim(), Micros(100));
        for bit in 0..ticket.reveal().len() * 8 {
            let mut bytes = ticket.reveal().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key().check(&bytes, Micros(0)), Err(TicketError::Forged), "bit {bit}");
        }
        for length in 0..ticket.reveal().len() {
            assert_eq!(key().check(&ticket.reveal()[..length], Micros(0)), Err(TicketError::Forged));
        }
    }

    #[test]
    fn a_ticket_under_another_key_is_forged() {
        let ticket = TicketKey::from_secret(&[8; 32]).issue(&claim(), Micros(100));
        assert_eq!(key().check(ticket.reveal(), Micros(0)), Err(TicketError::Forged));
    }

    #[test]
    fn a_worker_reads_its_attempt_from_the_line_it_was_given() {
        let claim = claim();
        let line = key().issue(&claim, Micros(100)).reveal_line();
        let read = Ticket::from_line(&format!("{}\n", *line)).expect("a ticket");
        assert_eq!(read.attempt(), Some(claim.attempt));
        assert!(Ticket::from_line("not a ticket").is_none());
        assert!(Ticket::from_line("").is_none());
    }

    #[test]
    fn a_ticket_through_an_agent_carries_that_agents_voucher() {
        let (claim, agent) = (claim(), AgentId::generate());
        let ticket = key().issue(&claim, Micros(100)).vouched(key().voucher(&claim, agent));
        let read = Ticket::from_line(&ticket.reveal_line()).expect("a ticket");
        assert_eq!(read.voucher(), Some(&*key().voucher(&claim, agent)));
        assert_eq!(key().check(read.reveal(), Micros(0)), Ok(claim));
        assert_ne!(*key().voucher(&claim, agent), *key().voucher(&claim, AgentId::generate()));
        assert!(Ticket::from_line(&format!("{}.AAAA", &*key().issue(&claim, Micros(1)).reveal_line())).is_none());
    }

    #[test]
    fn the_ticket_key_is_kept_in_the_key_directory() {
        let dir = tempfile::tempdir().unwrap();
        let first = TicketKey::open(&KeyDirectory::created(dir.path())).unwrap();
        let second = TicketKey::open(&KeyDirectory::existing(dir.path())).unwrap();
        let ticket = first.issue(&claim(), Micros(100));
        assert!(second.check(ticket.reveal(), Micros(0)).is_ok());
    }

    #[test]
    fn the_life_of_a_ticket_is_the_start_timeout() {
        assert_eq!(TICKET_LIFE, Duration::from_secs(900));
    }
}
