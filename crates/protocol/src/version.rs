//! Which workers and agents an orchestrator serves: those of its own minor version and of its neighbours of one step.

use std::fmt;

use waybill_model::fault;

use crate::pb::agent::AgentVersion;
use crate::pb::enrolment::WorkerVersion;

/// Exit code of a worker that was told `upgrade_required`: all that is known of one that may not even enrol.
pub const UPGRADE_REQUIRED: u8 = 76;

/// A semantic version without labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Major.
    pub major: u32,
    /// Minor.
    pub minor: u32,
    /// Patch.
    pub patch: u32,
}

impl Version {
    /// The version of this build, or the one that a fault build stands for.
    #[must_use]
    pub fn current() -> Self {
        fault::version().map_or_else(|| Self::read(env!("CARGO_PKG_VERSION")), |version| Self::read(&version))
    }

    fn read(text: &str) -> Self {
        let mut numbers = text.split('.').map(|part| part.parse().unwrap_or(0));
        let mut number = || numbers.next().unwrap_or(0);
        Self { major: number(), minor: number(), patch: number() }
    }

    /// Whether an orchestrator of this version serves a worker of version `worker`: same major, minor at most one apart.
    #[must_use]
    pub const fn serves(self, worker: Self) -> bool {
        self.major == worker.major && self.minor.abs_diff(worker.minor) <= 1
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl From<WorkerVersion> for Version {
    fn from(wire: WorkerVersion) -> Self {
        Self { major: wire.major, minor: wire.minor, patch: wire.patch }
    }
}

impl From<AgentVersion> for Version {
    fn from(wire: AgentVersion) -> Self {
        Self { major: wire.major, minor: wire.minor, patch: wire.patch }
    }
}

impl From<Version> for AgentVersion {
    fn from(version: Version) -> Self {
        Self { major: version.major, minor: version.minor, patch: version.patch }
    }
}

impl From<Version> for WorkerVersion {
    fn from(version: Version) -> Self {
        Self { major: version.major, minor: version.minor, patch: version.patch }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_minor_version_apart_is_served_and_two_are_not() {
        let ours = Version { major: 1, minor: 4, patch: 2 };
        for (minor, served) in [(2, false), (3, true), (4, true), (5, true), (6, false)] {
            assert_eq!(ours.serves(Version { major: 1, minor, patch: 9 }), served, "1.{minor}.9");
        }
        assert!(!ours.serves(Version { major: 2, minor: 4, patch: 0 }));
    }

    #[test]
    fn the_version_of_this_build_is_the_packages() {
        assert_eq!(Version::current().to_string(), env!("CARGO_PKG_VERSION"));
    }
}
