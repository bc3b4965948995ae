//! Metrics for Prometheus, on the private listener. Names are a public contract: `docs/reference/metrics.md` lists them.
//!
//! What stands in the database is counted when it is asked for, so that every replica tells the same and a restart
//! forgets nothing; what happens in this process is counted as it happens.

use std::sync::OnceLock;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use waybill_model::run::{AttemptState, RunState};
use waybill_store::RowSecurity;

use crate::app::Shared;

/// Every metric: name and what it tells.
pub const NAMES: &[(&str, &str)] = &[
    (RUNS, "runs by state"),
    (ATTEMPTS, "attempts by state"),
    (LEASES, "attempts whose lease has not run out"),
    (WORKERS, "workers with an open report stream on this replica"),
    (ROUNDS, "rounds of a loop on this replica"),
    (SEEN, "objects that a loop looked at on this replica"),
    (ACTED, "objects that a loop acted on on this replica"),
    (FAILED, "objects that an error kept a loop from acting on on this replica"),
    (LAG, "seconds that the longest overdue object of a loop's last round had waited"),
    (LEADS, "whether this replica leads a loop: 1 or 0"),
    (SKIPPED, "slots of schedules that passed without a run, since another of the pipeline was live or waiting"),
    (REQUESTS, "seconds that requests took, by route, method and status"),
    (REMOVED, "things that had been kept long enough and were removed by this replica"),
    (TRAIL_LOST, "calls to customers' clouds that this replica could not keep in the trail"),
    (ALARMS, "tickets and tokens that came again with another key, or without the proof of their role"),
    (LOCKED, "agents that were locked since their identity was presented twice"),
    (UP, "whether the database answers: 1 or 0"),
    (ROW_SECURITY, "whether row-level security holds for the database's user: 1 or 0; not there on SQLite"),
];

const RUNS: &str = "waybill_runs";
const ATTEMPTS: &str = "waybill_attempts";
const LEASES: &str = "waybill_leases_held";
const WORKERS: &str = "waybill_workers_connected";
const ROUNDS: &str = "waybill_loop_rounds_total";
const SEEN: &str = "waybill_loop_seen_total";
const ACTED: &str = "waybill_loop_acted_total";
const FAILED: &str = "waybill_loop_failed_total";
const LEADS: &str = "waybill_loop_leads";
const SKIPPED: &str = "waybill_schedule_skipped_total";
const LAG: &str = "waybill_loop_lag_seconds";
const REQUESTS: &str = "waybill_http_request_seconds";
const REMOVED: &str = "waybill_retention_removed_total";
const TRAIL_LOST: &str = "waybill_trail_lost_total";
const ALARMS: &str = "waybill_enrolment_alarms_total";
const LOCKED: &str = "waybill_agents_locked_total";
const UP: &str = "waybill_database_up";
const ROW_SECURITY: &str = "waybill_database_row_security";

static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Starts collecting. More than once in a process is no harm.
pub fn install() {
    RECORDER.get_or_init(|| {
        let buckets = [0.002, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];
        let builder = PrometheusBuilder::new();
        let builder = builder.set_buckets_for_metric(Matcher::Full(REQUESTS.into()), &buckets).ok()?;
        let handle = builder.install_recorder().ok()?;
        for (name, text) in NAMES {
            describe(name, text);
        }
        Some(handle)
    });
}

fn describe(name: &'static str, text: &'static str) {
    match name {
        ROUNDS | SEEN | ACTED | FAILED | SKIPPED | REMOVED | TRAIL_LOST | ALARMS | LOCKED => {
            metrics::describe_counter!(name, text)
        }
        REQUESTS => metrics::describe_histogram!(name, text),
        _ => metrics::describe_gauge!(name, text),
    }
}

/// One request has been answered.
pub(crate) fn request(method: &Method, route: &str, status: StatusCode, took: Duration) {
    let labels =
        [("method", method.as_str().to_owned()), ("route", route.to_owned()), ("status", status.as_u16().to_string())];
    histogram!(REQUESTS, &labels).record(took);
}

/// The retention loop removed so many.
pub(crate) fn removed(kept: waybill_store::Kept, count: u64) {
    counter!(REMOVED, "what" => kept.as_str()).increment(count);
}

/// So many calls found no place in the trail.
pub(crate) fn trail_lost(count: u64) {
    counter!(TRAIL_LOST).increment(count);
}

/// Somebody tried to enrol with what is another's.
pub(crate) fn enrolment_alarm() {
    counter!(ALARMS).increment(1);
}

/// Two hold one agent's identity.
pub(crate) fn agent_locked() {
    counter!(LOCKED).increment(1);
}

/// The present values as text.
pub(crate) async fn render(app: &Shared) -> String {
    let up = count_rows(app).await.is_ok();
    gauge!(UP).set(if up { 1.0 } else { 0.0 });
    for (name, reading) in app.loops.readings() {
        counter!(ROUNDS, "loop" => name, "ended" => "done").absolute(reading.rounds);
        counter!(ROUNDS, "loop" => name, "ended" => "failed").absolute(reading.failed_rounds);
        counter!(SEEN, "loop" => name).absolute(reading.seen);
        counter!(ACTED, "loop" => name).absolute(reading.acted);
        counter!(FAILED, "loop" => name).absolute(reading.failed);
        gauge!(LAG, "loop" => name).set(reading.lag.as_secs_f64());
        if name == "schedule" {
            counter!(SKIPPED).absolute(reading.skipped);
        }
        gauge!(LEADS, "loop" => name).set(f64::from(u8::from(reading.leads)));
    }
    gauge!(WORKERS).set(app.connected.now() as f64);
    let handle = RECORDER.get().and_then(Option::as_ref);
    handle.map(PrometheusHandle::render).unwrap_or_default()
}

/// Every state is set, so that one that has emptied reads 0.
async fn count_rows(app: &Shared) -> Result<(), waybill_store::StoreError> {
    let runs = app.store.run_count_by_state().await?;
    for state in RunState::ALL {
        let count = runs.iter().find(|(known, _)| known == state).map_or(0, |(_, count)| *count);
        gauge!(RUNS, "state" => state.as_str()).set(count as f64);
    }
    let attempts = app.store.attempt_count_by_state().await?;
    for state in AttemptState::ALL {
        let count = attempts.iter().find(|(known, _)| known == state).map_or(0, |(_, count)| *count);
        gauge!(ATTEMPTS, "state" => state.as_str()).set(count as f64);
    }
    gauge!(LEASES).set(app.store.attempt_leases_held().await? as f64);
    // Asked each time: a role can be altered while it is used.
    match app.store.row_security().await? {
        RowSecurity::Absent => {}
        RowSecurity::Enforced => gauge!(ROW_SECURITY).set(1.0),
        RowSecurity::Bypassed => gauge!(ROW_SECURITY).set(0.0),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::NAMES;

    #[test]
    fn every_metric_is_documented_and_every_documented_one_is_there() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/metrics.md");
        let page = std::fs::read_to_string(path).expect("docs/reference/metrics.md");
        let documented: BTreeSet<_> =
            page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(name, _)| name).collect();
        let known: BTreeSet<_> = NAMES.iter().map(|(name, _)| *name).collect();
        assert_eq!(documented, known);
    }

    /// A name that is written out where it is counted is in no list.
    #[test]
    fn no_metric_is_named_outside_this_file() {
        let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
        let mut read = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("metrics.rs") {
                    let text = std::fs::read_to_string(&path).expect("a source file");
                    read += 1;
                    for word in ["counter!(", "gauge!(", "histogram!("] {
                        assert!(!text.contains(word), "{} counts with {word}", path.display());
                    }
                }
            }
        }
        assert!(read > 50, "{read} files");
    }
}
