//! Back-off for failed logins, per account and per address, the same for accounts that exist and those that don't.
//!
//! Keys wait by address alone, and apart from logins: nobody closes what is another's by guessing at it. Kept in memory with a bound;
//! the account's own counter in the database holds across restarts and replicas.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::address::network;

/// Failures that cost nothing.
const FREE: u32 = 5;
const LONGEST: Duration = Duration::from_secs(300);
/// Failures are forgotten after so long.
const MEMORY: Duration = Duration::from_secs(3_600);
const MOST_KEYS: usize = 20_000;
/// How often all of them are looked through, at most.
const SWEEP: Duration = Duration::from_secs(10);

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

/// Who or what fails.
#[derive(Clone, Copy)]
pub enum Subject<'a> {
    /// A login under this e-mail address, whether anybody has it or not.
    Login(&'a str),
    /// A setup token.
    Setup,
    /// A key of a program.
    Key,
    /// An invitation, or a link for a new password.
    Link,
}

/// What has failed of late.
#[derive(Default)]
pub struct Throttle(Mutex<Known>);

#[derive(Default)]
struct Known {
    failures: HashMap<[u8; 32], Failures>,
    /// When what is old was last taken out.
    swept: Option<Instant>,
}

impl Throttle {
    /// How long this address and this subject still have to wait.
    #[must_use]
    pub fn wait(&self, subject: Subject<'_>, ip: Option<IpAddr>) -> Duration {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = keys(subject, ip).into_iter().flatten().filter_map(|key| {
            let known = known.failures.get(&key)?;
            Some(pause(known.count).saturating_sub(known.last.elapsed()))
        });
        waits.max().unwrap_or_default()
    }

    /// Counts a failure.
    pub fn failed(&self, subject: Subject<'_>, ip: Option<IpAddr>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys(subject, ip).into_iter().flatten() {
            known.make_room(key);
            let failures = known.failures.entry(key).or_insert(Failures { count: 0, last: Instant::now() });
            if failures.last.elapsed() > MEMORY {
                failures.count = 0;
            }
            failures.count = failures.count.saturating_add(1);
            failures.last = Instant::now();
        }
    }

    /// Forgets the account's failures after a good login. The address keeps its own: it may try other accounts.
    pub fn succeeded(&self, email: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.failures.remove(&tagged("login", email));
    }
}

impl Known {
    /// Room for one more, where it is new: what is old goes, at most so often, and otherwise any other.
    fn make_room(&mut self, key: [u8; 32]) {
        if self.failures.len() < MOST_KEYS || self.failures.contains_key(&key) {
            return;
        }
        if self.swept.is_none_or(|at| at.elapsed() > SWEEP) {
            self.swept = Some(Instant::now());
            self.failures.retain(|_, known| known.last.elapsed() < MEMORY);
        }
        if self.failures.len() >= MOST_KEYS
            && let Some(other) = self.failures.keys().next().copied()
        {
            self.failures.remove(&other);
        }
    }
}

fn tagged(tag: &str, text: &str) -> [u8; 32] {
    Sha256::digest(format!("{tag} {text}")).into()
}

/// By what failures are counted: the subject, where it is one of its own, and the address for its kind.
fn keys(subject: Subject<'_>, ip: Option<IpAddr>) -> [Option<[u8; 32]>; 2] {
    let (own, family) = match subject {
        Subject::Login(email) => (Some(tagged("login", email)), "address"),
        Subject::Setup => (Some(tagged("setup", "")), "address"),
        Subject::Key => (None, "address of keys"),
        Subject::Link => (None, "address"),
    };
    [own, ip.map(|ip| tagged(family, &network(ip).to_string()))]
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
            throttle.failed(Subject::Login("a@x"), one);
        }
        assert!(throttle.wait(Subject::Login("a@x"), other) > Duration::ZERO);
        assert!(throttle.wait(Subject::Login("b@x"), one) > Duration::ZERO);
        assert_eq!(throttle.wait(Subject::Login("b@x"), other), Duration::ZERO);
        throttle.succeeded("a@x");
        assert_eq!(throttle.wait(Subject::Login("a@x"), other), Duration::ZERO);
    }

    #[test]
    fn keys_and_logins_wait_apart_and_no_name_that_somebody_types_is_a_key_of_an_address() {
        let throttle = Throttle::default();
        let (one, next): (Option<IpAddr>, _) = ("2001:db8::1".parse().ok(), "2001:db8::2".parse().ok());
        for name in ["key from 2001:db8::1", "address of keys 2001:db8::", "setup", ""] {
            (0..9).for_each(|_| throttle.failed(Subject::Login(name), None));
        }
        (0..9).for_each(|_| throttle.failed(Subject::Login("a@x"), one));
        assert_eq!(throttle.wait(Subject::Key, one), Duration::ZERO);
        assert_eq!(throttle.wait(Subject::Setup, None), Duration::ZERO);
        (0..9).for_each(|_| throttle.failed(Subject::Key, one));
        assert!(throttle.wait(Subject::Key, next) > Duration::ZERO, "it is of the same network");
        assert_eq!(throttle.wait(Subject::Key, "2001:db8:0:1::1".parse().ok()), Duration::ZERO);
        assert_eq!(throttle.wait(Subject::Login("b@x"), "2001:db8:1::1".parse().ok()), Duration::ZERO);
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let throttle = Throttle::default();
        for at in 0..MOST_KEYS + 100 {
            throttle.failed(Subject::Login(&at.to_string()), None);
        }
        assert_eq!(throttle.0.lock().expect("the lock").failures.len(), MOST_KEYS);
    }
}
