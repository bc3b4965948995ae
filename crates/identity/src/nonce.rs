//! Challenge nonces: 32 bytes, good for 60 seconds and one enrolment.
//!
//! A nonce carries its own expiry under a MAC, so handing one out stores nothing and a flood of Hellos costs no memory,
//! and another replica can take it. Spent ones are remembered until they expire; only a ticket holder can spend one.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::hmac;
use waybill_model::Micros;

use crate::ticket::TicketKey;

/// How long a nonce is good.
pub const NONCE_LIFE: Duration = Duration::from_secs(60);

/// A challenge.
pub type Nonce = [u8; 32];

const CLEAR: usize = 16;
/// Spent nonces that are remembered at once; beyond that, enrolment waits for the oldest to expire.
const MAX_SPENT: usize = 100_000;

/// Why a nonce is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NonceError {
    /// Not one of ours, or its time is over.
    #[error("the nonce is not good any more")]
    Stale,
    /// It was used before.
    #[error("the nonce was used before")]
    Spent,
    /// Too many enrolments within one minute.
    #[error("too many enrolments at once")]
    Busy,
}

/// Makes nonces and takes each back once.
pub struct Nonces {
    key: hmac::Key,
    spent: Mutex<BTreeSet<Nonce>>,
}

impl Nonces {
    /// Under the key that all replicas share.
    #[must_use]
    pub fn new(key: &TicketKey) -> Self {
        Self { key: key.nonces().clone(), spent: Mutex::default() }
    }

    /// A fresh nonce.
    #[must_use]
    pub fn issue(&self, now: Micros) -> Nonce {
        let mut nonce = [0; 32];
        nonce[..8].copy_from_slice(&now.plus(NONCE_LIFE).0.to_be_bytes());
        aws_lc_rs::rand::fill(&mut nonce[8..CLEAR]).expect("the system's random source");
        let mac = hmac::sign(&self.key, &nonce[..CLEAR]);
        nonce[CLEAR..].copy_from_slice(&mac.as_ref()[..32 - CLEAR]);
        nonce
    }

    /// Whether a nonce is one of ours and in its time. It is not spent by this.
    pub fn check(&self, nonce: &Nonce, now: Micros) -> Result<(), NonceError> {
        let mac = hmac::sign(&self.key, &nonce[..CLEAR]);
        let same = aws_lc_rs::constant_time::verify_slices_are_equal(&mac.as_ref()[..32 - CLEAR], &nonce[CLEAR..]);
        if same.is_ok() && now < expiry(nonce) { Ok(()) } else { Err(NonceError::Stale) }
    }

    /// Takes a nonce back. Call it only for a caller who has shown a good ticket.
    pub fn spend(&self, nonce: &Nonce, now: Micros) -> Result<(), NonceError> {
        self.check(nonce, now)?;
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        // Ordered by expiry, which stands first.
        while spent.first().is_some_and(|oldest| expiry(oldest) <= now) {
            spent.pop_first();
        }
        if spent.len() >= MAX_SPENT {
            return Err(NonceError::Busy);
        }
        if spent.insert(*nonce) { Ok(()) } else { Err(NonceError::Spent) }
    }
}

fn expiry(nonce: &Nonce) -> Micros {
    let mut first = [0; 8];
    first.copy_from_slice(&nonce[..8]);
    Micros(i64::from_be_bytes(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonces() -> Nonces {
        Nonces::new(&TicketKey::from_secret(&[1; 32]))
    }

    #[test]
    fn a_nonce_is_good_for_sixty_seconds_and_once() {
        let nonces = nonces();
        let now = Micros(1_000_000);
        let nonce = nonces.issue(now);
        let late = now.plus(NONCE_LIFE);
        assert_eq!(nonces.check(&nonce, late), Err(NonceError::Stale));
        assert_eq!(nonces.spend(&nonce, now), Ok(()));
        assert_eq!(nonces.spend(&nonce, now), Err(NonceError::Spent));
    }

    #[test]
    fn a_nonce_that_somebody_made_or_changed_is_refused() {
        let nonces = nonces();
        assert_eq!(nonces.spend(&[9; 32], Micros(0)), Err(NonceError::Stale));
        for byte in 0..32 {
            let mut nonce = nonces.issue(Micros(0));
            nonce[byte] ^= 1;
            assert_eq!(nonces.spend(&nonce, Micros(0)), Err(NonceError::Stale), "byte {byte}");
        }
    }

    #[test]
    fn another_replica_takes_the_nonce_and_another_deployment_does_not() {
        let nonce = nonces().issue(Micros(0));
        assert_eq!(nonces().check(&nonce, Micros(0)), Ok(()));
        let other = Nonces::new(&TicketKey::from_secret(&[2; 32]));
        assert_eq!(other.check(&nonce, Micros(0)), Err(NonceError::Stale));
    }

    #[test]
    fn a_flood_of_hellos_costs_no_memory_and_spent_nonces_are_forgotten() {
        let nonces = nonces();
        for n in 0..10_000 {
            let _ = nonces.issue(Micros(n));
        }
        assert_eq!(nonces.spent.lock().unwrap().len(), 0);
        for _ in 0..100 {
            nonces.spend(&nonces.issue(Micros(0)), Micros(0)).unwrap();
        }
        let late = Micros(0).plus(NONCE_LIFE);
        nonces.spend(&nonces.issue(late), late).unwrap();
        assert_eq!(nonces.spent.lock().unwrap().len(), 1);
    }
}
