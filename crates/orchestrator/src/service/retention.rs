//! How long what is kept: configuration with a floor. The defaults are pinned by a test; SECURITY.md quotes them.

use std::time::Duration;

use serde::Deserialize;
use waybill_store::Kept;

use super::bounds::{BoundsError, duration};

/// How long what is kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Retention {
    /// Runs, from their end.
    #[serde(deserialize_with = "duration")]
    pub runs: Duration,
    /// Events of runs, from the end of the run.
    #[serde(deserialize_with = "duration")]
    pub run_events: Duration,
    /// Launch requests, from the end of the attempt.
    #[serde(deserialize_with = "duration")]
    pub launch_requests: Duration,
    /// Entries of the infrastructure trail.
    #[serde(deserialize_with = "duration")]
    pub trail: Duration,
    /// Sign-in sessions, from their end.
    #[serde(deserialize_with = "duration")]
    pub sessions: Duration,
    /// Answers to creating requests.
    #[serde(deserialize_with = "duration")]
    pub idempotency_keys: Duration,
    /// Between two rounds of the loop.
    #[serde(deserialize_with = "duration")]
    pub every: Duration,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Default for Retention {
    fn default() -> Self {
        Self {
            runs: DAY * 400,
            run_events: DAY * 30,
            launch_requests: DAY,
            trail: DAY * 90,
            sessions: DAY * 90,
            idempotency_keys: DAY,
            every: Duration::from_secs(10 * 60),
        }
    }
}

impl Retention {
    /// How old it may become. What has an end of its own needs no more time.
    #[must_use]
    pub const fn of(&self, kept: Kept) -> Duration {
        match kept {
            Kept::RunEvents => self.run_events,
            Kept::Runs => self.runs,
            Kept::LaunchRequests => self.launch_requests,
            Kept::Trail => self.trail,
            Kept::Sessions => self.sessions,
            Kept::IdempotencyKeys => self.idempotency_keys,
            Kept::Deleted | Kept::Denials => Duration::ZERO,
        }
    }

    /// Checks floors and that events do not outlive their run.
    pub fn check(&self) -> Result<(), BoundsError> {
        let all = [
            ("runs", self.runs),
            ("run-events", self.run_events),
            ("launch-requests", self.launch_requests),
            ("trail", self.trail),
            ("sessions", self.sessions),
            ("idempotency-keys", self.idempotency_keys),
            ("every", self.every),
        ];
        if let Some((field, _)) = all.into_iter().find(|(_, time)| *time < Duration::from_secs(1)) {
            return Err(BoundsError { field, what: "must be at least 1s".into() });
        }
        if self.run_events > self.runs {
            return Err(BoundsError { field: "run-events", what: "must not be longer than runs".into() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SECURITY.md and the API's description rest on these.
    #[test]
    fn what_is_kept_is_kept_as_long_as_documented() {
        let kept = Retention::default();
        assert_eq!(kept.check(), Ok(()));
        let days = |time: Duration| time.as_secs() / DAY.as_secs();
        assert_eq!((days(kept.runs), days(kept.run_events), days(kept.sessions)), (400, 30, 90));
        assert_eq!((days(kept.idempotency_keys), days(kept.launch_requests), days(kept.trail)), (1, 1, 90));
        let table = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../SECURITY.md"));
        for words in ["400 days", "30 days", "90 days", "24 hours"] {
            assert!(table.contains(words), "SECURITY.md does not say {words}");
        }
    }

    #[test]
    fn a_time_below_its_floor_and_events_that_outlive_their_run_are_refused_by_name() {
        let none = Retention { sessions: Duration::ZERO, ..Retention::default() };
        assert_eq!(none.check().expect_err("no time at all").field, "sessions");
        let late = Retention { run_events: DAY * 500, ..Retention::default() };
        assert_eq!(late.check().expect_err("longer than runs").field, "run-events");
    }
}
