//! Bounds of one run, and of the task that its worker is.

use serde::{Deserialize, Serialize};

use crate::run::named;

named! {
    /// A task's processor.
    Architecture {
        /// Intel and AMD.
        X86_64 = "x86_64",
        /// ARM, such as AWS Graviton.
        Arm64 = "arm64",
    }
}

impl Architecture {
    /// The one that this is not: there are two.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::X86_64 => Self::Arm64,
            Self::Arm64 => Self::X86_64,
        }
    }
}

/// Bounds of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Limits {
    /// Connections to the source at once, over all streams.
    pub parallel: u32,
    /// The worker's memory budget in bytes; from its control group where 0.
    pub memory: u64,
    /// Longest run in milliseconds.
    pub time_ms: u64,
    /// CPU of the worker's task in units of which 1024 are one CPU; the data plane's own where 0.
    #[serde(skip_serializing_if = "is_zero_u32")]
    pub cpu: u32,
    /// Ephemeral storage of the worker's task in bytes; the data plane's own where 0.
    #[serde(skip_serializing_if = "is_zero_u64")]
    pub disk: u64,
    /// Processor of the worker's task; the data plane's own where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<Architecture>,
}

impl Limits {
    /// Names of the limits that are set here and that only a task in a cloud can have.
    pub fn of_tasks(&self) -> impl Iterator<Item = &'static str> {
        let set = [("cpu", self.cpu > 0), ("disk", self.disk > 0), ("architecture", self.architecture.is_some())];
        set.into_iter().filter_map(|(name, set)| set.then_some(name))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero_u32(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero_u64(number: &u64) -> bool {
    *number == 0
}

impl Default for Limits {
    fn default() -> Self {
        Self { parallel: 2, memory: 0, time_ms: 24 * 60 * 60 * 1000, cpu: 0, disk: 0, architecture: None }
    }
}
