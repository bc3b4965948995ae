//! Who calls and what they may do: tokens, passwords, the one table of roles and the one function that decides.
//!
//! Deny by default. Authority is read from the database at each request and never from a token.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use waybill_model::id::{KeyId, SessionId};
use waybill_model::{OrgId, PipelineId, ProjectId, UserId};
use waybill_store::{AuditEntry, Sight};

pub mod address;
pub mod authority;
pub mod key;
pub mod password;
pub mod permission;
pub mod quota;
pub mod throttle;
pub mod token;

pub use authority::{Authority, Place};
pub use permission::Permission;

/// Who calls: made only by the gate, from a good token or key and the present roles.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The caller's organization. The first argument of every read.
    pub org: OrgId,
    /// A person or a service.
    pub who: Who,
    /// What they may do.
    pub authority: Authority,
    /// Where the request came from.
    pub ip: Option<IpAddr>,
}

/// A person or a service.
#[derive(Clone, Debug)]
pub enum Who {
    /// Somebody in a live session.
    Person {
        /// The person.
        user: UserId,
        /// The login session.
        session: SessionId,
    },
    /// A program with a key.
    Service(Arc<Service>),
}

/// A program with a key.
#[derive(Clone, Debug)]
pub struct Service {
    /// The key.
    pub key: KeyId,
    /// The only project that it reaches.
    pub project: ProjectId,
    /// Of a key of role `api` the pipelines that it names: nothing else of the project is reached, and of runs its own.
    pub pipelines: Option<BTreeSet<PipelineId>>,
}

impl Caller {
    /// The caller's name in the audit chain and beside idempotency keys.
    #[must_use]
    pub fn actor(&self) -> String {
        match &self.who {
            Who::Person { user, .. } => user.to_string(),
            Who::Service(service) => service.key.to_string(),
        }
    }

    /// Whether it is this person.
    #[must_use]
    pub fn is(&self, person: UserId) -> bool {
        matches!(self.who, Who::Person { user, .. } if user == person)
    }

    /// The service whose key names its pipelines.
    #[must_use]
    pub fn bounded(&self) -> Option<(&Service, &BTreeSet<PipelineId>)> {
        match &self.who {
            Who::Service(service) => service.pipelines.as_ref().map(|pipelines| (service.as_ref(), pipelines)),
            Who::Person { .. } => None,
        }
    }

    /// The entry of a change that this caller makes.
    pub fn audit(&self, action: &'static str, object: impl std::fmt::Display) -> AuditEntry {
        AuditEntry { ip: self.ip.map(|ip| ip.to_string()), ..AuditEntry::done(self.org, self.actor(), action, &object) }
    }

    /// Which rows this caller's lists show.
    #[must_use]
    pub fn sight(&self) -> Sight {
        match &self.who {
            Who::Person { .. } if self.authority.everywhere().is_some() => Sight::All,
            Who::Person { user, .. } => Sight::Of(*user),
            Who::Service(service) if service.pipelines.is_some() => Sight::Own(service.project, service.key),
            Who::Service(service) => Sight::In(service.project),
        }
    }
}
