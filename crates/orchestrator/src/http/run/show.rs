//! Rows of runs as they are answered.

use waybill_api::ProblemCode;
use waybill_api::action::AllowedAction;
use waybill_api::run::{
    Attempt, BackfillRange, ColumnDrift, DiscoveredColumn, DiscoveredTable, Discovery, Failure, ReceiptDigest, Run,
    RunDetail, RunStream, StreamReceipt,
};
use waybill_model::errand::{Bound, Errand};
use waybill_model::plan::{Plan, Side};
use waybill_model::report::DiscoveredTable as Table;
use waybill_model::run::{Desired, RunKind, RunState};
use waybill_model::{FailureCode, RunId};
use waybill_store::{Attempt as AttemptRow, Run as Row, RunStream as StreamRow};

use crate::auth::{Caller, Permission, Place};
use crate::http::action;
use crate::http::gate::{may, may_with};
use crate::service::run::{HeldBack, RunDetail as Rows};
use crate::service::{Refused, ServiceResult};

pub(in crate::http) fn detail(caller: &Caller, rows: &Rows) -> RunDetail {
    let shown = run(caller, &rows.run, &rows.streams);
    let waiting_for = rows.held.map(held_back).or(shown.waiting_for);
    RunDetail {
        run: Run { waiting_for, ..shown },
        streams: rows.streams.iter().map(stream).collect(),
        attempt_list: rows.attempts.iter().map(attempt).collect(),
        destination: destination(&rows.run),
    }
}

/// Where the run's tables and its full log are; none where no bucket is opened.
fn destination(row: &Row) -> Option<serde_json::Value> {
    if row.kind == RunKind::Test {
        return None;
    }
    let plan: Plan = serde_json::from_str(&row.plan).ok()?;
    if plan.lone() == Some(Side::Source) {
        return None;
    }
    serde_json::to_value(plan.to.system).ok()
}

pub(super) fn run(caller: &Caller, row: &Row, streams: &[StreamRow]) -> Run {
    let selected = streams.iter().filter(|stream| stream.selected);
    let delivered = selected.clone().filter(|stream| stream.delivered_at.is_some()).count();
    Run {
        id: row.id,
        project_id: row.project,
        pipeline_id: row.pipeline,
        subject: row.subject.clone(),
        pipeline_version: row.pipeline_version.map(i64::unsigned_abs),
        kind: row.kind.into(),
        state: row.state.into(),
        desired: row.desired.into(),
        trigger: row.trigger.clone(),
        waiting_for: waiting_for(row),
        failure: row.failure.map(failure),
        attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
        streams_total: number(selected.count()),
        streams_delivered: number(delivered),
        retry_of: row.retry_of,
        created_at: row.created_at.into(),
        started_at: row.started_at.map(Into::into),
        ended_at: row.finished_at.map(Into::into),
        events_removed_at: row.events_removed_at.map(Into::into),
        allowed_actions: actions(caller, row, streams),
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn waiting_for(row: &Row) -> Option<String> {
    if row.state.is_final() {
        return None;
    }
    if row.desired == Desired::Cancel {
        return Some("the end of its worker, which was asked to stop and has a moment to leave".into());
    }
    match (row.state, row.failure) {
        (RunState::Queued, Some(code)) => {
            Some(format!("its next attempt, which begins soon: the last one ended with {code}"))
        }
        (RunState::Queued, None) => Some(
            "its turn: one run of a pipeline at a time, and so many of an organization as its orchestrator allows"
                .into(),
        ),
        (RunState::Launching, _) => Some("its worker, which is being started and has not enrolled yet".into()),
        _ => None,
    }
}

fn held_back(by: HeldBack) -> String {
    match by {
        HeldBack::DataPlaneDrains => {
            "its data plane, which is being drained: it goes on after `waybill data-plane resume`"
        }
        HeldBack::PipelinePaused => "its pipeline, which is paused: it goes on after `waybill pipeline resume`",
    }
    .to_owned()
}

fn actions(caller: &Caller, row: &Row, streams: &[StreamRow]) -> Vec<AllowedAction> {
    let over = row.state.is_final();
    let left = row.kind != RunKind::Sync || streams.iter().any(|s| s.selected && s.delivered_at.is_none());
    let no_cancel = over.then_some("the run has ended");
    let no_retry = match (over, row.state, left) {
        (false, ..) => Some("the run has not ended"),
        (true, _, false) => Some("every stream was delivered"),
        (true, ..) if row.kind == RunKind::Test => Some("a test is started anew, for its data plane"),
        (true, RunState::Succeeded, _) if row.kind != RunKind::Sync => Some("it succeeded"),
        _ => None,
    };
    let place = Place::Project(row.project);
    // Retrying a look uses secrets again, as starting one does.
    let retry = if row.kind.is_look() { Permission::ConnectionCheck } else { Permission::RunWrite };
    vec![
        may::<action::RunCancel>(caller, place, no_cancel),
        may_with::<action::RunRetry>(caller, retry, place, no_retry),
    ]
}

pub(in crate::http) fn failure(code: FailureCode) -> Failure {
    Failure { code: code.into(), hint: code.hint().into() }
}

/// Numbers are shown once something is known: before the first report there is nothing, which is not 0.
fn stream(row: &StreamRow) -> RunStream {
    let known = row.attempt.is_some();
    RunStream {
        index: row.stream,
        name: row.name.clone(),
        reload: row.errand == Some(Errand::Reload),
        forget_cursor: row.errand == Some(Errand::ForgetCursor),
        backfill: backfill(row),
        limit: match row.errand {
            Some(Errand::Limit(rows)) => Some(rows),
            _ => None,
        },
        state: row.state.into(),
        rows: known.then_some(row.rows),
        bytes: known.then_some(row.bytes),
        files: known.then_some(row.files),
        rows_estimate: row.rows_estimate,
        coerced: known.then_some(row.coerced),
        columns: drift(row.columns),
        failure: row.failure.map(failure),
        delivered_late: row.delivered_late,
    }
}

fn backfill(row: &StreamRow) -> Option<BackfillRange> {
    let Some(Errand::Backfill(range)) = &row.errand else { return None };
    let shown = |bound: Option<Bound>| bound.map(|bound| bound.to_string());
    Some(BackfillRange { from: shown(range.from()), to: shown(range.to()) })
}

fn drift(found: waybill_model::receipt::ColumnDrift) -> Option<ColumnDrift> {
    let waybill_model::receipt::ColumnDrift { new, gone, changed, ignored } = found;
    (!found.is_none()).then_some(ColumnDrift { new, gone, changed, ignored })
}

pub(super) fn attempt(row: &AttemptRow) -> Attempt {
    Attempt {
        id: row.id,
        run_id: row.run,
        number: u32::try_from(row.number).unwrap_or(u32::MAX),
        state: row.state.into(),
        epoch: row.epoch.0,
        task: row.task.clone(),
        failure: row.failure.map(failure),
        created_at: row.created_at.into(),
        enrolled_at: row.enrolled_at.map(Into::into),
        ended_at: row.finished_at.map(Into::into),
    }
}

pub(super) fn receipt(run: RunId, streams: &[StreamRow]) -> ReceiptDigest {
    let show = |row: &StreamRow| StreamReceipt {
        index: row.stream,
        name: row.name.clone(),
        state: row.state.into(),
        rows: row.rows,
        bytes: row.bytes,
        files: row.files,
        coerced: row.coerced,
        grade: row.grade.map(Into::into),
        version: row.version,
        digest: row.receipt.clone(),
        adopted: row.adopted,
    };
    ReceiptDigest { run_id: run, streams: streams.iter().filter(|row| row.selected).map(show).collect() }
}

pub(super) fn discovery(tables: &str, withheld: u64) -> ServiceResult<Discovery> {
    let tables: Vec<Table> = serde_json::from_str(tables).map_err(|_| Refused::from(ProblemCode::Internal))?;
    let show = |table: Table| DiscoveredTable {
        key: table.key.iter().filter_map(|at| Some(table.columns.get(*at as usize)?.name.clone())).collect(),
        name: table.name,
        rows_estimate: table.rows_estimate,
        columns: table
            .columns
            .into_iter()
            .map(|c| DiscoveredColumn { name: c.name, source_type: c.source_type, nullable: c.nullable })
            .collect(),
    };
    Ok(Discovery { tables: tables.into_iter().map(show).collect(), tables_withheld: withheld })
}
