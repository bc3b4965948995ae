//! Typed, prefixed, time-sortable identifiers (`run_01j9x…`): a ULID in lower case behind the noun's prefix.
//!
//! Parsing refuses another noun's prefix, upper case, and anything that is not byte for byte what printing gives,
//! so that two spellings of one id cannot exist.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ulid::Ulid;

/// A noun that has ids.
pub trait Kind: 'static {
    /// What stands before the underscore.
    const PREFIX: &'static str;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident, $alias:ident, $prefix:literal;)+) => {
        /// One empty type per noun.
        pub mod kind {
            $($(#[$doc])* pub enum $kind {}
              impl super::Kind for $kind { const PREFIX: &'static str = $prefix; })+
        }
        $($(#[$doc])* pub type $alias = Id<kind::$kind>;)+
    };
}

kinds! {
    /// A tenant.
    Organization, OrgId, "org";
    /// What isolates pipelines, connections and members inside an organization.
    Project, ProjectId, "prj";
    /// A registered place where workers run.
    DataPlane, DataPlaneId, "dp";
    /// A program on the customer's side that starts workers there.
    Agent, AgentId, "agt";
    /// A system that a worker can reach.
    Connection, ConnectionId, "con";
    /// Source, streams and destination with their policies.
    Pipeline, PipelineId, "pl";
    /// When a pipeline runs.
    Schedule, ScheduleId, "sch";
    /// One execution of a pipeline.
    Run, RunId, "run";
    /// One try of a run on one worker.
    Attempt, AttemptId, "att";
    /// A person.
    User, UserId, "usr";
    /// A login session of a person.
    Session, SessionId, "ses";
    /// A key of a service.
    Key, KeyId, "key";
    /// An invitation of a person.
    Invitation, InvitationId, "inv";
    /// An entry of the audit chain.
    Audit, AuditId, "aud";
    /// An entry of the infrastructure trail.
    Trail, TrailId, "trl";
    /// One request as it is named in answers and logs.
    Request, RequestId, "req";
}

/// An identifier of the noun `K`.
pub struct Id<K>(Ulid, PhantomData<fn() -> K>);

impl<K: Kind> Id<K> {
    /// A new id from the clock and the system's random source.
    #[must_use]
    pub fn generate() -> Self {
        Self(Ulid::generate(), PhantomData)
    }

    /// The id of this noun over the bits of another's: what belongs to one thing only and is looked for under another noun.
    #[must_use]
    pub fn over<L: Kind>(other: Id<L>) -> Self {
        Self(other.0, PhantomData)
    }

    /// The 128 bits behind the prefix.
    #[must_use]
    pub fn to_u128(self) -> u128 {
        self.0.into()
    }
}

/// Why a text is not an id of the noun that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id of this kind: it must read {expected}_ and 26 lower-case letters and digits")]
pub struct IdError {
    /// The prefix that was expected.
    pub expected: &'static str,
}

impl<K: Kind> FromStr for Id<K> {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = IdError { expected: K::PREFIX };
        let body = text.strip_prefix(K::PREFIX).and_then(|rest| rest.strip_prefix('_')).ok_or(wrong)?;
        let id = Self(Ulid::from_string(body).map_err(|_| wrong)?, PhantomData);
        if id.to_string() == text { Ok(id) } else { Err(wrong) }
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", K::PREFIX, self.0.to_string().to_ascii_lowercase())
    }
}

impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<K: Kind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de, K: Kind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_parses_back() {
        let id = RunId::generate();
        assert_eq!(id.to_string().parse::<RunId>(), Ok(id));
        assert!(id.to_string().starts_with("run_"));
    }

    #[test]
    fn refuses_another_prefix_upper_case_and_other_alphabets() {
        let run = RunId::generate().to_string();
        assert!(run.parse::<AttemptId>().is_err());
        assert!(run.to_ascii_uppercase().parse::<RunId>().is_err());
        assert!(run.replace('_', "_i").parse::<RunId>().is_err());
        assert!("run_".parse::<RunId>().is_err());
        assert!("run_٠١٢٣٤٥٦٧٨٩٠١٢٣٤٥٦٧٨٩٠١٢٣٤٥".parse::<RunId>().is_err());
    }

    #[test]
    fn refuses_a_second_spelling_of_the_same_number() {
        assert!("run_8zzzzzzzzzzzzzzzzzzzzzzzzz".parse::<RunId>().is_err());
        assert!("run_o1j9xw0000000000000000000o".parse::<RunId>().is_err());
    }
}
