//! How many requests one caller, one organization and, without a login, one address may make in a minute.
//!
//! Counted in this process, in fixed windows, with a bound on memory. It keeps one tenant from starving the others; it is
//! no defence against a flood of packets.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use waybill_model::id::KeyId;
use waybill_model::{OrgId, UserId};

/// The length of a window.
pub const WINDOW: Duration = Duration::from_secs(60);
const MOST_KEYS: usize = 50_000;

/// Requests in one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// Of one person or service.
    pub caller: u32,
    /// Of one organization.
    pub organization: u32,
    /// Of one address without a login: set-up, login, refresh.
    pub address: u32,
}

/// Whose requests are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// A person.
    Caller(UserId),
    /// A service with this key.
    Service(KeyId),
    /// An organization.
    Organization(OrgId),
    /// An address without a login.
    Address(IpAddr),
    /// An address whose token or key is refused; apart, so that it takes nothing from those who log in there.
    Refused(IpAddr),
}

/// What is left of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// The quota's name, as in the headers.
    pub name: &'static str,
    /// Requests in one window.
    pub quota: u32,
    /// What is left of it; none where this request went beyond.
    pub remaining: Option<u32>,
    /// Until the window ends.
    pub reset: Duration,
}

struct Window {
    begun: Instant,
    count: u32,
}

/// Counts requests.
pub struct Meter {
    quotas: Quotas,
    windows: Mutex<HashMap<Holder, Window>>,
}

impl Meter {
    /// With these quotas.
    #[must_use]
    pub fn new(quotas: Quotas) -> Self {
        Self { quotas, windows: Mutex::default() }
    }

    /// Counts one request of each holder and says what is left. A refused one counts as well: asking faster does not help.
    pub fn take(&self, holders: &[Holder], now: Instant) -> Vec<Left> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() + holders.len() > MOST_KEYS {
            windows.retain(|_, window| now.duration_since(window.begun) < WINDOW);
        }
        if windows.len() + holders.len() > MOST_KEYS {
            // So many addresses in one minute are an attack: better to forget counts than to grow.
            windows.clear();
        }
        holders.iter().map(|holder| self.count(windows.entry(*holder), *holder, now)).collect()
    }

    fn count(
        &self,
        entry: std::collections::hash_map::Entry<'_, Holder, Window>,
        holder: Holder,
        now: Instant,
    ) -> Left {
        let (name, quota) = match holder {
            Holder::Caller(_) | Holder::Service(_) => ("caller", self.quotas.caller),
            Holder::Organization(_) => ("organization", self.quotas.organization),
            Holder::Address(_) | Holder::Refused(_) => ("address", self.quotas.address),
        };
        let window = entry.or_insert(Window { begun: now, count: 0 });
        if now.duration_since(window.begun) >= WINDOW {
            *window = Window { begun: now, count: 0 };
        }
        window.count = window.count.saturating_add(1);
        let reset = WINDOW.saturating_sub(now.duration_since(window.begun));
        Left { name, quota, remaining: quota.checked_sub(window.count), reset }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_used_up_refused_and_full_again_in_the_next_window() {
        let meter = Meter::new(Quotas { caller: 2, organization: 3, address: 1 });
        let (one, two) = (Holder::Caller(UserId::generate()), Holder::Caller(UserId::generate()));
        let (org, start) = (Holder::Organization(OrgId::generate()), Instant::now());
        let left = |holders: &[Holder], at: Instant| {
            meter.take(holders, at).iter().map(|left| left.remaining).collect::<Vec<_>>()
        };
        assert_eq!(left(&[one, org], start), [Some(1), Some(2)]);
        assert_eq!(left(&[one, org], start), [Some(0), Some(1)]);
        assert_eq!(left(&[one, org], start), [None, Some(0)]);
        assert_eq!(left(&[two, org], start), [Some(1), None], "the organization's is shared");
        let later = start + Duration::from_secs(30);
        assert_eq!(meter.take(&[one], later)[0].reset, Duration::from_secs(30));
        assert_eq!(left(&[one, org], start + WINDOW), [Some(1), Some(2)]);
    }

    #[test]
    fn a_flood_of_addresses_stays_within_its_memory() {
        let meter = Meter::new(Quotas { caller: 1, organization: 1, address: 1 });
        let now = Instant::now();
        for n in 0..(MOST_KEYS as u32 + 10) {
            meter.take(&[Holder::Address(IpAddr::from(n.to_be_bytes()))], now);
        }
        assert!(meter.windows.lock().expect("the windows").len() <= MOST_KEYS);
    }
}
