//! When a pipeline runs: a cron line in a named zone, and what happens when two runs would meet or some were missed.
//!
//! Pure data. Whether the line and the zone make sense is `spec`'s to say, and when the next run is due too.

use serde::{Deserialize, Serialize};

use crate::run::named;

/// When a pipeline runs by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Schedule {
    /// Five fields: minute, hour, day of month, month, day of week.
    pub cron: String,
    /// The IANA zone in which the fields are read.
    #[serde(default = "utc")]
    pub zone: String,
    /// What happens when a run is due while the one before still works.
    #[serde(default)]
    pub overlap: Overlap,
    /// What happens to runs that were due while nobody could start them.
    #[serde(default)]
    pub catch_up: CatchUp,
}

fn utc() -> String {
    "UTC".to_owned()
}

named! {
    /// What happens when a run is due while the one before still works.
    Overlap {
        /// The new one is left out, and counted.
        Skip = "skip",
        /// One waits until the one before has ended; no more than one.
        Queue = "queue",
    }
}

named! {
    /// What happens to runs that were due while nobody could start them.
    CatchUp {
        /// One run makes up for all of them.
        Last = "last",
        /// None does: the next one comes when it is due.
        None = "none",
    }
}

impl Default for Overlap {
    fn default() -> Self {
        Self::ALL[0]
    }
}

impl Default for CatchUp {
    fn default() -> Self {
        Self::ALL[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_cron_line_is_read_in_utc_and_skips_overlaps() {
        let schedule: Schedule = serde_json::from_str(r#"{"cron":"0 2 * * *"}"#).expect("a schedule");
        assert_eq!(
            (schedule.zone.as_str(), schedule.overlap, schedule.catch_up),
            ("UTC", Overlap::Skip, CatchUp::Last)
        );
    }
}
