//! The process's exit codes, the same as the command line program's where both have them.

use std::process::ExitCode;

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All was done.
    Ok,
    /// It failed in another way than the ones below.
    Failed,
    /// The command line was wrong.
    Usage,
    /// The file is not a valid pipeline file, or what it needs is not there.
    InvalidConfig,
    /// No stream was delivered.
    RunFailed,
    /// Some streams were delivered.
    PartlyFailed,
    /// Ended as it was asked to.
    Canceled,
    /// The orchestrator was away for too long; another attempt may go on.
    Unreachable,
    /// Another attempt took over.
    Fenced,
    /// Worker and orchestrator are more than one minor version apart.
    UpgradeRequired,
}

impl Exit {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::InvalidConfig => 6,
            Self::RunFailed => 10,
            Self::PartlyFailed => 11,
            Self::Canceled => 12,
            Self::Unreachable => 69,
            Self::Fenced => 75,
            Self::UpgradeRequired => waybill_protocol::UPGRADE_REQUIRED,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
