//! Certificates of the last minute, so that a worker whose answer was lost gets the same one again.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use waybill_identity::{IssuedLeaf, TicketClaim};
use waybill_model::Micros;

const KEPT: Duration = Duration::from_secs(60);
const MOST: usize = 4096;

/// What is left of a certificate's life.
pub(super) fn life_ms(leaf: &IssuedLeaf, now: Micros) -> u64 {
    u64::try_from(leaf.not_after.since(now).as_millis()).unwrap_or(u64::MAX)
}

/// The certificates that were issued within the last minute.
#[derive(Default)]
pub(super) struct Issued(Mutex<VecDeque<Entry>>);

struct Entry {
    since: Instant,
    claim: TicketClaim,
    spki_sha256: [u8; 32],
    leaf: IssuedLeaf,
}

impl Issued {
    /// The certificate that this ticket and key got within the last minute.
    pub(super) fn again(&self, claim: &TicketClaim, spki_sha256: &[u8; 32]) -> Option<IssuedLeaf> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while entries.front().is_some_and(|oldest| oldest.since.elapsed() >= KEPT) {
            entries.pop_front();
        }
        entries.iter().find(|e| e.claim == *claim && e.spki_sha256 == *spki_sha256).map(|e| e.leaf.clone())
    }

    pub(super) fn keep(&self, claim: TicketClaim, spki_sha256: [u8; 32], leaf: IssuedLeaf) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= MOST {
            entries.pop_front();
        }
        entries.push_back(Entry { since: Instant::now(), claim, spki_sha256, leaf });
    }
}
