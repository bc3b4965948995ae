//! Events as sentences. The catalogue has codes and numbers only; the words are made here, on the orchestrator's side.

use serde::Deserialize;
use waybill_api::Timestamp;
use waybill_api::event::RunEvent;
use waybill_model::event::{EventCode, Level};
use waybill_model::plan::Plan;
use waybill_model::size::{show_bytes, show_count, show_number};
use waybill_model::{Epoch, FailureCode, Micros, OrgId};
use waybill_store::{Run, RunEventRow};

use super::App;
use crate::service::ServiceResult;
use crate::service::region::{Allowed, Outside};

/// Typed arguments of an event, whichever side wrote it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Arguments {
    stream: Option<u32>,
    rows: Option<u64>,
    bytes: Option<u64>,
    count: Option<u64>,
    millis: Option<u64>,
    failure: Option<FailureCode>,
    sqlstate: Option<String>,
    location: Option<u64>,
    state: Option<String>,
    phase: Option<String>,
    action: Option<String>,
    resource: Option<String>,
    statement: Option<String>,
    /// Whether what is missing is the orchestrator's own, and no customer's.
    own: Option<bool>,
    reason: Option<String>,
    limit: Option<String>,
    same_task: Option<bool>,
    #[serde(default)]
    by_token: bool,
    role: Option<String>,
    exit_code: Option<i32>,
    image: Option<String>,
    outside: Option<Outside>,
    regions: Option<Allowed>,
    epoch: Option<i64>,
}

/// What the places in events stand for: a worker tells places only.
pub(super) struct Names<'r> {
    /// Names of the run's streams.
    pub(super) streams: Vec<String>,
    /// Canonical JSON of its plan.
    pub(super) plan: &'r str,
}

impl<'r> Names<'r> {
    /// Those of a run.
    pub(super) async fn of(app: &App, org: OrgId, run: &'r Run) -> ServiceResult<Self> {
        let streams = app.store.run_stream_list(org, run.id).await?;
        Ok(Self { streams: streams.into_iter().map(|stream| stream.name).collect(), plan: &run.plan })
    }

    /// An expectation of a stream by its number, in words.
    fn expectation(&self, args: &Arguments) -> Option<String> {
        let plan: Plan = serde_json::from_str(self.plan).ok()?;
        let stream = plan.streams.get(usize::try_from(args.stream?).ok()?)?;
        let number = args.count?;
        let place = usize::try_from(number.checked_sub(1)?).ok()?;
        Some(stream.expect.get(place)?.told(number, args.rows?))
    }

    /// A reference to a secret by its place, with where it stands.
    fn secret(&self, place: Option<u64>) -> Option<String> {
        let plan: Plan = serde_json::from_str(self.plan).ok()?;
        let all = plan.secrets();
        let secret = all.get(usize::try_from(place?).ok()?)?;
        let reference = secret.reference.to_string();
        let note = if reference.starts_with("env://") {
            " (a local worker gets only the variables that its data plane lists),"
        } else {
            ","
        };
        Some(format!("`{}` of connection {}, {reference}{note}", secret.field, secret.connection))
    }
}

/// An event as it is answered.
pub(super) fn event(row: RunEventRow, names: &Names<'_>) -> RunEvent {
    let args: Arguments = serde_json::from_str(&row.body).unwrap_or_default();
    let stream_name = args.stream.and_then(|at| names.streams.get(at as usize)).cloned();
    let sentence = match row.code.parse::<EventCode>() {
        Ok(EventCode::SecretFailed) if row.origin == "worker" => {
            let secret = names.secret(args.count).unwrap_or_else(|| "a reference to a secret".to_owned());
            format!("{secret} could not be followed")
        }
        Ok(code @ (EventCode::ExpectationFailed | EventCode::ExpectationWarned)) if row.origin == "worker" => {
            names.expectation(&args).unwrap_or_else(|| worker(code, &args))
        }
        Ok(code) if row.origin == "worker" => worker(code, &args),
        _ => control(&row.code, &args),
    };
    let sentence = match args.failure {
        Some(code) => format!("{sentence}: {code}; {}", code.hint()),
        None => sentence,
    };
    let text = match &stream_name {
        Some(name) => format!("{name}: {sentence}"),
        None => sentence,
    };
    RunEvent {
        seq: row.seq.unsigned_abs(),
        at: row.at.into(),
        level: level(&row).into(),
        text,
        attempt_id: row.attempt,
        stream: args.stream,
        stream_name,
        rows: args.rows,
        bytes: args.bytes,
        count: args.count,
        duration_ms: args.millis,
        failure: args.failure.map(Into::into),
        sqlstate: args.sqlstate,
        statement: args.statement,
        location: args.location.map(|location| format!("{location:016x}")),
        code: row.code,
    }
}

fn level(row: &RunEventRow) -> &'static str {
    let worker = row.code.parse::<EventCode>().ok().filter(|_| row.origin == "worker");
    let level = worker.map_or_else(|| control_level(&row.code), EventCode::level);
    match level {
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}

fn control_level(code: &str) -> Level {
    match code {
        "launch_failed" | "region_refused" | "task_refused" | "ticket_reused" | "proof_refused" | "epoch_ahead"
        | "paused" => Level::Error,
        "unreachable" | "fenced" | "stop_sent" | "attempt_lost" | "attempt_failed" | "events_dropped"
        | "delivered_late" | "cancel_asked" => Level::Warn,
        _ => Level::Info,
    }
}

fn worker(code: EventCode, args: &Arguments) -> String {
    use EventCode as C;
    let count = args.count.map_or_else(|| "some".to_owned(), show_number);
    let rows = |noun| args.rows.map_or_else(|| format!("some {noun}s"), |rows| show_count(rows, noun));
    let size = args.bytes.map_or_else(|| "unknown size".to_owned(), show_bytes);
    let sqlstate = args.sqlstate.as_ref().map_or_else(String::new, |state| format!(" (SQLSTATE {state})"));
    match code {
        C::WorkerStarted => "the worker holds its certificate and its plan".into(),
        C::PlanAllowed => "the guard allows the plan".into(),
        C::SnapshotOpened => format!("the snapshot is open, {count} ranges are planned"),
        C::PartUploaded => format!("a data file of {} and {size} is complete", rows("row")),
        C::RangeRetried => format!("a range is read again, try {count}{sqlstate}"),
        C::ValuesCoerced => format!("{count} values went to a twin column or were changed by a policy"),
        C::CursorNulls => format!("{count} rows have no cursor"),
        C::FilesRewritten => {
            let files = show_count(args.count.unwrap_or(0), "file");
            format!("rewritten since an earlier run took them: {files}, taken again or left, as `changed-files` says")
        }
        C::RowsQuarantined => {
            let rows = show_count(args.count.unwrap_or(0), "row");
            format!(
                "{rows} could not be read and were set aside in your bucket, below `_waybill/quarantine/` of the table"
            )
        }
        C::WindowHeld => advised(
            code,
            "the window waits for a transaction that is still open or prepared, or for a replica to replay its first one",
        ),
        C::WindowFixedLag => advised(
            code,
            "it is not shown which rows may still be committed below the end of the window, so a fixed lag is used",
        ),
        C::CommitRebased => "a foreign commit came between; the commit was rebuilt on it".into(),
        C::CommitReadBack => "the outcome of the commit was unknown and has been read back".into(),
        C::CommitAdopted => "an earlier attempt's commit was found; nothing was copied".into(),
        C::RowsReplaced => format!("{count} rows that were there gave their place to new ones with their keys"),
        C::RowsDeleted => format!("{count} rows that the source has no more were removed or marked as deleted"),
        C::ColumnsAdded => format!("the table got {}", show_count(args.count.unwrap_or(0), "new column")),
        C::ColumnsIgnored => {
            format!("{} that the table has not: left out", show_count(args.count.unwrap_or(0), "column of the source"))
        }
        C::ColumnsDiffer => format!("{} not as the table has them", show_count(args.count.unwrap_or(0), "column")),
        C::ExpectationFailed | C::ExpectationWarned => format!("expectation {count}: {}", rows("row")),
        C::ChecksumsAgree => {
            format!("sums of {} are the same at both ends", show_count(args.count.unwrap_or(0), "column"))
        }
        C::ChecksumsDiffer => {
            format!("sums of {} are not those of the source", show_count(args.count.unwrap_or(0), "column"))
        }
        C::StreamCommitted => format!("delivered: readers see {}", rows("new row")),
        C::PreviewWritten => {
            format!("the first {} are in your bucket, to be looked at there ({size})", rows("row"))
        }
        C::StreamUnchanged => "nothing was new; nothing was committed".into(),
        C::StreamFailed => format!("failed{sqlstate}"),
        C::SecretFailed => "a reference to a secret could not be followed".into(),
        C::CheckPassed => format!("check {count} passed"),
        C::StoreThrottled => {
            let times = show_count(args.count.unwrap_or(0), "request");
            format!("a store asked to slow down: {times} waited and were sent again, or given up")
        }
        C::LinkLost => format!("no way to the orchestrator for {} ms", args.millis.unwrap_or(0)),
        C::StopBegun => "the worker stops as asked".into(),
        C::WorkerPanicked => format!("a defect in the worker at location {:016x}", args.location.unwrap_or(0)),
    }
}

fn advised(code: EventCode, what: &str) -> String {
    code.advice().map_or_else(|| what.to_owned(), |advice| format!("{what}: {advice}"))
}

fn control(code: &str, args: &Arguments) -> String {
    match code {
        "queued" => "the run waits for its turn".into(),
        "launching" => "a worker is being started".into(),
        "task_started" => "the worker's task was started".into(),
        "task_waits" => waits(args.phase.as_deref().unwrap_or_default()),
        "launch_failed" => match (&args.action, &args.resource) {
            (Some(action), Some(resource)) => {
                let (whom, role) = match args.own {
                    Some(true) => (" to the orchestrator's own role", "the orchestrator's own role"),
                    _ => ("", "the launch role"),
                };
                let add = args.statement.as_ref().map_or_else(String::new, |it| format!(" (add to {role}: {it})"));
                format!("the worker could not be started: {action} on {resource} is not allowed{whom}{add}")
            }
            _ => "the worker could not be started".into(),
        },
        "region_refused" => match (&args.outside, &args.regions) {
            (Some(outside), Some(allowed)) => {
                let next = allowed.next(std::slice::from_ref(outside));
                format!("nothing was started: {}: {}; {next}", outside.field, allowed.why(outside))
            }
            _ => "nothing was started: something stands in a region that the project does not allow".into(),
        },
        "task_refused" => match (&args.limit, &args.reason) {
            (Some(limit), Some(reason)) => format!("nothing was started: limits.{limit}: {reason}"),
            _ => "nothing was started: no such task can be had".into(),
        },
        "enrolled" => "the worker has enrolled".into(),
        "role_proven" => {
            let role = args.role.as_ref().map_or_else(String::new, |role| format!(" {role}"));
            match args.same_task {
                Some(true) => format!("the worker proved its role{role}, as the task that was started"),
                Some(false) => {
                    format!("the worker proved its role{role}, but as another task than the one that was started")
                }
                None if args.by_token => format!("the worker proved its role{role} by a token of its account"),
                None => format!("the worker proved its role{role}; the task was not known yet"),
            }
        }
        "proof_refused" => {
            let reason = args.reason.as_deref().unwrap_or("no reason was kept");
            format!("a ticket came without the proof of its role: {reason}")
        }
        "ticket_reused" => "a ticket came again with another key: refused".into(),
        "commit_granted" => "leave to commit was given".into(),
        "cancel_asked" => "a user asked the run to stop".into(),
        "unreachable" => "no sign of life from the worker; its data plane is asked".into(),
        "fenced" => "the attempt is fenced: it may change nothing any more".into(),
        "stop_sent" => "the worker's task was asked to stop".into(),
        "task_stopped" => stopped(args),
        "attempt_lost" => "the attempt ended without an outcome".into(),
        "attempt_failed" => "the attempt failed; another follows".into(),
        "events_dropped" => "events beyond the attempt's quota were dropped".into(),
        "delivered_late" => "a commit was found late and is recorded as delivered".into(),
        "epoch_ahead" => match args.epoch.filter(|epoch| *epoch <= Epoch::LARGEST.0) {
            Some(epoch) => {
                format!("the epoch {epoch} is that of {}, too far in the future", Timestamp::from(Micros(epoch)))
            }
            None => "an epoch is too far in the future".into(),
        },
        "ended" => {
            args.state.as_ref().map_or_else(|| "the run has ended".into(), |s| format!("the run has ended: {s}"))
        }
        "paused" => "the pipeline is paused: its runs fail the same way".into(),
        other => other.replace('_', " "),
    }
}

/// How a task ended, and what it was made of.
fn stopped(args: &Arguments) -> String {
    let code =
        args.exit_code.map_or_else(|| ", without an exit code".to_owned(), |code| format!(" with exit code {code}"));
    let image = args.image.as_ref().map_or_else(String::new, |digest| format!("; its image was {digest}"));
    format!("the worker's task has ended{code}{image}")
}

/// How far a task is, and how long that usually takes.
fn waits(phase: &str) -> String {
    match phase {
        "provisioning" => "the cloud looks for room and an address (usually 5 to 20 s)".into(),
        "pending" => "the cloud loads the worker's image (usually 5 to 30 s)".into(),
        "activating" => "the worker is about to run".into(),
        "no_room" => "the cloud has no room now; it is asked again".into(),
        "no_agent" => "no agent of the data plane is heard; start one on its host (waybill agent list)".into(),
        "slots_busy" => {
            "the agents of the data plane have no free slot; the worker starts when one is, or on another agent".into()
        }
        _ => "the task does not run yet".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use waybill_model::Micros;

    fn row(origin: &str, code: &str, body: &str) -> RunEventRow {
        let (origin, code, body) = (origin.into(), code.into(), body.into());
        RunEventRow { seq: 1, attempt: None, origin, code, at: Micros(0), received_at: Micros(0), body }
    }

    fn names(plan: &str) -> Names<'_> {
        Names { streams: vec!["public.orders".into()], plan }
    }

    #[test]
    fn a_secret_that_failed_is_named_by_its_place_in_the_plan() {
        let plan = r#"{"pipeline":"p","from":{"connection":"shop","system":{"type":"postgres","host":"h","database":"d",
            "user":"u","password":"vault://kv/shop#password"}},"to":{"connection":"lake","system":{"type":"s3","bucket":"b",
            "access-key":"env://A","secret-key":"aws-ssm:///lake"}},"streams":[]}"#;
        let told = |count: u64| {
            let body = format!(r#"{{"count":{count},"failure":"secret_not_found"}}"#);
            event(row("worker", "secret_failed", &body), &names(plan)).text
        };
        let first =
            "`password` of connection shop, vault://kv/shop#password, could not be followed: secret_not_found; check";
        assert!(told(0).starts_with(first), "{}", told(0));
        assert!(told(1).contains("env://A (a local worker gets only the variables that"), "{}", told(1));
        assert!(told(2).starts_with("`secret-key` of connection lake, aws-ssm:///lake,"), "{}", told(2));
        assert!(told(3).starts_with("a reference to a secret could not be followed"), "{}", told(3));
    }

    #[test]
    fn an_expectation_is_named_by_its_number_in_the_plan() {
        let plan = r#"{"pipeline":"p","from":{"connection":"a","system":{"type":"sqlite","path":"x"}},"to":{"connection":"b",
            "system":{"type":"local","path":"y"}},"streams":[{"name":"orders","load":"full","expect":[
            {"check":{"not-null":["id"]}},{"check":{"range":{"column":"price","min":"0"}},"on-failure":"warn"}]}]}"#;
        let told = |code: &str, count: u64| {
            let shown =
                event(row("worker", code, &format!(r#"{{"stream":0,"count":{count},"rows":17}}"#)), &names(plan));
            (shown.text, shown.level)
        };
        let range = "public.orders: expectation 2 (range of price): 17 rows".to_owned();
        assert_eq!(told("expectation_warned", 2), (range.clone(), "warn".into()));
        assert_eq!(told("expectation_failed", 2), (range, "error".into()));
        for odd in [0, 3] {
            assert_eq!(told("expectation_failed", odd).0, format!("public.orders: expectation {odd}: 17 rows"));
        }
    }

    #[test]
    fn an_event_reads_as_a_sentence_about_its_stream() {
        let body = r#"{"stream":0,"rows":1204511,"bytes":135581696}"#;
        let shown = event(row("worker", "part_uploaded", body), &names("{}"));
        assert_eq!(shown.text, "public.orders: a data file of 1,204,511 rows and 129.3 MiB is complete");
        assert_eq!((shown.level.as_str(), shown.rows), ("info", Some(1_204_511)));
    }

    #[test]
    fn a_failure_says_what_to_do_next() {
        let shown =
            event(row("worker", "stream_failed", r#"{"failure":"source_denied","sqlstate":"28P01"}"#), &names("{}"));
        assert!(shown.text.starts_with("failed (SQLSTATE 28P01): source_denied; check the user"), "{}", shown.text);
        assert_eq!(shown.level, "error");
    }

    #[test]
    fn a_launch_that_waits_for_an_agent_says_what_to_do() {
        let told =
            |phase: &str| event(row("control", "task_waits", &format!(r#"{{"phase":"{phase}"}}"#)), &names("{}")).text;
        assert!(told("no_agent").contains("start one on its host"), "{}", told("no_agent"));
        assert!(told("slots_busy").contains("no free slot"), "{}", told("slots_busy"));
        assert!(!told("no_agent").contains("cloud") && !told("slots_busy").contains("cloud"));
    }

    #[test]
    fn every_note_of_the_control_plane_has_a_sentence_of_its_own() {
        for note in crate::service::note::Note::ALL {
            let shown = event(row("control", note.as_str(), "{}"), &names("{}"));
            assert!(shown.text.contains(' ') && shown.text != note.as_str().replace('_', " "), "{}", note.as_str());
        }
    }
}
