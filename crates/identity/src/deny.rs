//! What is revoked now: attempts and serial numbers whose calls are refused and whose open streams end.
//!
//! Asked at every call, so that a revocation needs no restart and no CRL. Entries expire with the longest certificate life,
//! after which the certificate itself is refused.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use waybill_model::{AttemptId, Micros};

use crate::peer::Certified;

/// How long an entry is kept: the longest life of a worker certificate and some.
const KEPT: Duration = Duration::from_secs(2 * 60 * 60);

/// The revoked attempts and certificates.
pub struct DenyList {
    entries: Mutex<Entries>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct Entries {
    attempts: HashMap<AttemptId, Micros>,
    serials: HashMap<Vec<u8>, Micros>,
}

impl Default for DenyList {
    fn default() -> Self {
        Self { entries: Mutex::default(), changed: watch::channel(0).0 }
    }
}

impl DenyList {
    /// Refuses every certificate of an attempt from now on.
    pub fn revoke_attempt(&self, attempt: AttemptId) {
        self.insert(|entries, now| keep(&mut entries.attempts, attempt, now));
    }

    /// Refuses one certificate from now on.
    pub fn revoke_serial(&self, serial: &[u8]) {
        self.insert(|entries, now| keep(&mut entries.serials, serial.to_vec(), now));
    }

    /// Whether a certificate is refused.
    #[must_use]
    pub fn denies(&self, certified: &Certified) -> bool {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.attempts.contains_key(&certified.peer.attempt) || entries.serials.contains_key(&certified.serial)
    }

    /// Whether every certificate of an attempt is refused.
    #[must_use]
    pub fn denies_attempt(&self, attempt: AttemptId) -> bool {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).attempts.contains_key(&attempt)
    }

    /// Ticks with every revocation; open streams look again then.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn insert(&self, change: impl FnOnce(&mut Entries, Micros)) {
        change(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner), Micros::now());
        self.changed.send_modify(|n| *n += 1);
    }
}

fn keep<K: Eq + Hash>(map: &mut HashMap<K, Micros>, key: K, now: Micros) {
    map.retain(|_, since| now.since(*since) < KEPT);
    map.insert(key, now);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::Peer;
    use waybill_model::OrgId;

    fn certified(serial: u8) -> Certified {
        let peer = Peer { org: OrgId::generate(), attempt: AttemptId::generate() };
        Certified { peer, serial: vec![serial], not_after: Micros(i64::MAX) }
    }

    #[test]
    fn a_revocation_takes_effect_at_once_and_is_told() {
        let deny = DenyList::default();
        let (one, two) = (certified(1), certified(2));
        let changes = deny.changes();
        assert!(!deny.denies(&one) && !deny.denies(&two));
        deny.revoke_attempt(one.peer.attempt);
        deny.revoke_serial(&[2]);
        assert!(deny.denies(&one) && deny.denies(&two));
        assert!(!deny.denies(&certified(3)));
        assert!(changes.has_changed().unwrap());
    }
}
