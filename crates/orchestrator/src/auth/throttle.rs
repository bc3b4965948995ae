//! Back-off for failed logins, per account and per address, the same for accounts that exist and those that don't.
//!
//! Kept in memory with a bound; the account's own counter in the database holds across restarts and replicas.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

/// Failures that cost nothing.
const FREE: u32 = 5;
const LONGEST: Duration = Duration::from_secs(300);
/// Failures are forgotten after so long.
const MEMORY: Duration = Duration::from_secs(3_600);
const MOST_KEYS: usize = 20_000;

/// The pause after so many failures in a row.
#[must_use]
pub fn pause(failures: u32) -> Duration {
    match failures.checked_sub(FREE) {
        None => Duration::ZERO,
        Some(beyond) => Duration::from_secs(1 << beyond.min(16)).min(LONGEST),
    }
}

struct Failures {
    count: u32,
    last: Instant,
}

/// What has failed of late.
#[derive(Default)]
pub struct Throttle(Mutex<HashMap<[u8; 32], Failures>>);

impl Throttle {
    /// How long this address and this account still have to wait.
    #[must_use]
    pub fn wait(&self, email: &str, ip: Option<IpAddr>) -> Duration {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = keys(email, ip).into_iter().flatten().filter_map(|key| {
            let known = failures.get(&key)?;
            Some(pause(known.count).saturating_sub(known.last.elapsed()))
        });
        waits.max().unwrap_or_default()
    }

    /// Counts a failed login.
    pub fn failed(&self, email: &str, ip: Option<IpAddr>) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= MOST_KEYS {
            failures.retain(|_, known| known.last.elapsed() < LONGEST);
        }
        for key in keys(email, ip).into_iter().flatten() {
            let known = failures.entry(key).or_insert(Failures { count: 0, last: Instant::now() });
            if known.last.elapsed() > MEMORY {
                known.count = 0;
            }
            known.count += 1;
            known.last = Instant::now();
        }
    }

    /// Forgets the account's failures after a good login. The address keeps its own: it may try other accounts.
    pub fn succeeded(&self, email: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&account(email));
    }
}

fn account(email: &str) -> [u8; 32] {
    Sha256::digest(format!("account {email}")).into()
}

fn keys(email: &str, ip: Option<IpAddr>) -> [Option<[u8; 32]>; 2] {
    let address = ip.map(|ip| Sha256::digest(format!("address {ip}")).into());
    [Some(account(email)), address]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_and_ends() {
        assert_eq!(pause(4), Duration::ZERO);
        assert_eq!(pause(5), Duration::from_secs(1));
        assert_eq!(pause(8), Duration::from_secs(8));
        assert_eq!(pause(u32::MAX), LONGEST);
    }

    #[test]
    fn an_account_waits_whatever_address_asks_and_an_address_whatever_account() {
        let throttle = Throttle::default();
        let (one, other) = ("10.0.0.1".parse().ok(), "10.0.0.2".parse().ok());
        for _ in 0..6 {
            throttle.failed("a@x", one);
        }
        assert!(throttle.wait("a@x", other) > Duration::ZERO);
        assert!(throttle.wait("b@x", one) > Duration::ZERO);
        assert_eq!(throttle.wait("b@x", other), Duration::ZERO);
        throttle.succeeded("a@x");
        assert_eq!(throttle.wait("a@x", other), Duration::ZERO);
    }
}
