//! Who calls and what they may do: tokens, passwords, the one table of roles and the one function that decides.
//!
//! Deny by default. Authority is read from the database at each request and never from a token.

use std::net::IpAddr;

use waybill_model::id::SessionId;
use waybill_model::{OrgId, UserId};
use waybill_store::{AuditEntry, Sight};

pub mod address;
pub mod authority;
pub mod password;
pub mod permission;
pub mod quota;
pub mod throttle;
pub mod token;

pub use authority::{Authority, Place};
pub use permission::Permission;

/// Who calls: made only by the gate, from a good token, a live session and the person's present roles.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The person's organization. The first argument of every read.
    pub org: OrgId,
    /// The person.
    pub user: UserId,
    /// The login session.
    pub session: SessionId,
    /// The person's roles.
    pub authority: Authority,
    /// Where the request came from.
    pub ip: Option<IpAddr>,
}

impl Caller {
    /// The caller's name in the audit chain and beside idempotency keys.
    #[must_use]
    pub fn actor(&self) -> String {
        self.user.to_string()
    }

    /// The entry of a change that this caller makes.
    pub fn audit(&self, action: &'static str, object: impl std::fmt::Display) -> AuditEntry {
        AuditEntry { ip: self.ip.map(|ip| ip.to_string()), ..AuditEntry::done(self.org, self.actor(), action, &object) }
    }

    /// Of which projects this caller's lists show rows.
    #[must_use]
    pub fn sight(&self) -> Sight {
        if self.authority.everywhere().is_some() { Sight::All } else { Sight::Of(self.user) }
    }
}
