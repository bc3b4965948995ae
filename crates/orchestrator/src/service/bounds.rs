//! Every bound of a run in one place: configuration with a floor, so that tests run in seconds and a typing mistake
//! can't switch a safeguard off. The defaults are pinned by a test; the documents quote them.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use waybill_model::size::parse_duration;

/// Time bounds and limits of runs, attempts and loops.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Bounds {
    /// Longest time between two reports of a worker.
    #[serde(deserialize_with = "duration")]
    pub heartbeat: Duration,
    /// How long a sign of life keeps an attempt's lease, by the database's clock.
    #[serde(deserialize_with = "duration")]
    pub lease: Duration,
    /// How long an unreachable worker goes on copying, and how long nobody takes over from it.
    #[serde(deserialize_with = "duration")]
    pub offline_grace: Duration,
    /// Longest time from the attempt's row to its enrolment; also a ticket's life.
    #[serde(deserialize_with = "duration")]
    pub start_timeout: Duration,
    /// The same for the task of a data plane's test, which somebody waits for; never longer than `start_timeout`.
    #[serde(deserialize_with = "duration")]
    pub test_start_timeout: Duration,
    /// Oldest grant that a commit may be made under.
    #[serde(deserialize_with = "duration")]
    pub grant: Duration,
    /// How long the same ticket with the same key is answered again.
    #[serde(deserialize_with = "duration")]
    pub enrol_again: Duration,
    /// After a cancel: how long a worker may take before its task is stopped.
    #[serde(deserialize_with = "duration")]
    pub cancel_grace: Duration,
    /// After a final report: how long a worker may take to leave before its task is stopped.
    #[serde(deserialize_with = "duration")]
    pub final_grace: Duration,
    /// After a stop: how long its confirmation is waited for before the attempt is declared lost without it.
    #[serde(deserialize_with = "duration")]
    pub stop_confirm: Duration,
    /// How long one orchestrator alone may call the launcher for an attempt.
    #[serde(deserialize_with = "duration")]
    pub launch_claim: Duration,
    /// How long a data plane may take to answer one look of the reaper, or to take its requests to stop.
    #[serde(deserialize_with = "duration")]
    pub look: Duration,
    /// Life of a worker's certificate, which is renewed at half of it while the attempt is live.
    #[serde(deserialize_with = "duration")]
    pub worker_certificate: Duration,
    /// Life of an agent's certificate, which is renewed at half of it.
    #[serde(deserialize_with = "duration")]
    pub agent_certificate: Duration,
    /// How long an agent's one-time token can be used.
    #[serde(deserialize_with = "duration")]
    pub agent_invitation: Duration,
    /// How long a loop's leader stays leader without a sign of life.
    #[serde(deserialize_with = "duration")]
    pub leader_lease: Duration,
    /// How far the database's clock and our own may drift apart between two looks before all leases are renewed once.
    #[serde(deserialize_with = "duration")]
    pub clock_gap: Duration,
    /// Between two rounds of the scheduler.
    #[serde(deserialize_with = "duration")]
    pub schedule_every: Duration,
    /// Between two rounds of the dispatcher; a nudge comes earlier.
    #[serde(deserialize_with = "duration")]
    pub dispatch_every: Duration,
    /// Between two rounds of the reaper.
    #[serde(deserialize_with = "duration")]
    pub reconcile_every: Duration,
    /// Shortest distance between two slots of a schedule.
    #[serde(deserialize_with = "duration")]
    pub schedule_floor: Duration,
    /// Shortest wait before the next attempt.
    #[serde(deserialize_with = "duration")]
    pub backoff_min: Duration,
    /// Longest wait before the next attempt.
    #[serde(deserialize_with = "duration")]
    pub backoff_max: Duration,
    /// Attempts without progress before a run fails.
    pub attempts: u32,
    /// Runs in a row with the same failure before a pipeline is paused.
    pub poison_runs: u32,
    /// Events that one attempt may leave.
    pub events_per_attempt: u64,
    /// Events in one report.
    pub events_per_report: usize,
    /// Live runs of one organization.
    pub live_per_organization: u32,
    /// Launches at once.
    pub launches: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        const fn secs(n: u64) -> Duration {
            Duration::from_secs(n)
        }
        Self {
            heartbeat: secs(10),
            lease: secs(60),
            offline_grace: secs(15 * 60),
            start_timeout: secs(15 * 60),
            test_start_timeout: secs(3 * 60),
            grant: secs(45),
            enrol_again: secs(60),
            cancel_grace: secs(30),
            final_grace: secs(30),
            stop_confirm: secs(150),
            launch_claim: secs(60),
            look: secs(10),
            worker_certificate: secs(60 * 60),
            agent_certificate: secs(24 * 60 * 60),
            agent_invitation: secs(30 * 60),
            leader_lease: secs(15),
            clock_gap: secs(5),
            schedule_every: secs(1),
            dispatch_every: secs(2),
            reconcile_every: secs(30),
            schedule_floor: secs(60),
            backoff_min: secs(1),
            backoff_max: secs(5 * 60),
            attempts: 5,
            poison_runs: 3,
            events_per_attempt: 10_000,
            events_per_report: 1_000,
            live_per_organization: 100,
            launches: 16,
        }
    }
}

/// A bound below its floor, or two that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {what}")]
pub struct BoundsError {
    /// The bound, as it is written in the configuration.
    pub field: &'static str,
    /// What is wrong with it and what is allowed.
    pub what: String,
}

impl Bounds {
    /// Longest time from the row of a test's attempt to its enrolment.
    #[must_use]
    pub fn test_start(&self) -> Duration {
        self.test_start_timeout.min(self.start_timeout)
    }

    /// Checks floors and that the bounds fit together; to be called before a port opens.
    pub fn check(&self) -> Result<(), BoundsError> {
        let floors = [
            ("heartbeat", self.heartbeat, 50),
            ("lease", self.lease, 200),
            ("offline-grace", self.offline_grace, 200),
            ("start-timeout", self.start_timeout, 200),
            ("test-start-timeout", self.test_start_timeout, 200),
            ("grant", self.grant, 100),
            ("enrol-again", self.enrol_again, 100),
            ("cancel-grace", self.cancel_grace, 50),
            ("final-grace", self.final_grace, 50),
            ("stop-confirm", self.stop_confirm, 100),
            ("launch-claim", self.launch_claim, 50),
            ("look", self.look, 50),
            ("worker-certificate", self.worker_certificate, 2_000),
            ("agent-certificate", self.agent_certificate, 2_000),
            ("agent-invitation", self.agent_invitation, 1_000),
            ("leader-lease", self.leader_lease, 200),
            ("clock-gap", self.clock_gap, 100),
            ("schedule-every", self.schedule_every, 10),
            ("dispatch-every", self.dispatch_every, 10),
            ("reconcile-every", self.reconcile_every, 10),
            ("schedule-floor", self.schedule_floor, 1_000),
            ("backoff-min", self.backoff_min, 1),
            ("backoff-max", self.backoff_max, 1),
        ];
        for (field, value, floor) in floors {
            if value < Duration::from_millis(floor) {
                return Err(BoundsError { field, what: format!("must be at least {floor}ms") });
            }
        }
        if self.worker_certificate > Duration::from_secs(60 * 60) {
            return Err(BoundsError { field: "worker-certificate", what: "must be at most 1h".into() });
        }
        let counts = [
            ("attempts", u64::from(self.attempts)),
            ("poison-runs", u64::from(self.poison_runs)),
            ("events-per-attempt", self.events_per_attempt),
            ("events-per-report", self.events_per_report as u64),
            ("live-per-organization", u64::from(self.live_per_organization)),
            ("launches", self.launches as u64),
        ];
        if let Some((field, _)) = counts.into_iter().find(|(_, n)| *n == 0) {
            return Err(BoundsError { field, what: "must be at least 1".into() });
        }
        self.check_order()
    }

    fn check_order(&self) -> Result<(), BoundsError> {
        let order = [
            ("heartbeat", self.heartbeat, "lease", self.lease),
            ("grant", self.grant, "lease", self.lease),
            ("backoff-min", self.backoff_min, "backoff-max", self.backoff_max),
        ];
        for (field, less, other, more) in order {
            if less > more {
                return Err(BoundsError { field, what: format!("must not be longer than {other}") });
            }
        }
        Ok(())
    }
}

pub(super) fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(from)?).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The documents and the worker's own bounds rest on these.
    #[test]
    fn the_defaults_are_the_documented_ones() {
        let b = Bounds::default();
        assert_eq!(b.check(), Ok(()));
        assert_eq!([b.heartbeat, b.lease, b.grant, b.enrol_again].map(|d| d.as_secs()), [10, 60, 45, 60]);
        assert_eq!([b.offline_grace, b.start_timeout, b.test_start_timeout].map(|d| d.as_secs()), [900, 900, 180]);
        assert_eq!([b.agent_certificate, b.agent_invitation].map(|d| d.as_secs()), [86_400, 1_800]);
        assert_eq!(b.worker_certificate.as_secs(), 3_600);
        assert_eq!([b.cancel_grace, b.final_grace, b.reconcile_every].map(|d| d.as_secs()), [30, 30, 30]);
        assert_eq!([b.clock_gap, b.backoff_min, b.backoff_max].map(|d| d.as_secs()), [5, 1, 300]);
        assert_eq!(
            [b.stop_confirm, b.launch_claim, b.leader_lease, b.schedule_floor].map(|d| d.as_secs()),
            [150, 60, 15, 60]
        );
        assert_eq!([b.schedule_every, b.dispatch_every, b.look].map(|d| d.as_secs()), [1, 2, 10]);
        assert_eq!((b.attempts, b.poison_runs, b.live_per_organization, b.launches), (5, 3, 100, 16));
        assert_eq!((b.events_per_attempt, b.events_per_report), (10_000, 1_000));
    }

    #[test]
    fn a_bound_below_its_floor_or_out_of_order_is_refused_by_name() {
        let low = Bounds { lease: Duration::ZERO, ..Bounds::default() };
        assert_eq!(low.check().expect_err("below the floor").field, "lease");
        let long = Bounds { worker_certificate: Duration::from_secs(3_601), ..Bounds::default() };
        assert_eq!(long.check().expect_err("longer than any worker's").field, "worker-certificate");
        let none = Bounds { attempts: 0, ..Bounds::default() };
        assert_eq!(none.check().expect_err("no attempts").field, "attempts");
        let late = Bounds { heartbeat: Duration::from_secs(90), ..Bounds::default() };
        assert_eq!(late.check().expect_err("a heartbeat longer than the lease").field, "heartbeat");
    }

    #[test]
    fn reads_durations_with_their_units_and_refuses_unknown_names() {
        let bounds: Bounds = toml::from_str("lease = \"20s\"\nattempts = 2").expect("reads");
        assert_eq!((bounds.lease.as_secs(), bounds.attempts), (20, 2));
        assert!(toml::from_str::<Bounds>("lease = 20").is_err());
        assert!(toml::from_str::<Bounds>("leese = \"20s\"").is_err());
    }
}
