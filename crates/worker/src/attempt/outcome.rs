//! From how streams ended to what the orchestrator is told: numbers and codes, and names only within the ceiling.

use waybill_model::FailureCode;
use waybill_model::receipt::StreamOutcome;
use waybill_model::report::{Completion, DiscoveredColumn, DiscoveredTable, Outcome};
use waybill_model::run::StreamState;
use waybill_pipeline::engine::StreamEnd;
use waybill_pipeline::stop::End;
use waybill_pipeline::{Halt, Table};

use crate::exit::Exit;
use crate::link::Asked;

fn failed(code: FailureCode) -> Completion {
    Completion {
        outcome: Outcome::Failed,
        streams: Vec::new(),
        failure: Some(code),
        tables: Vec::new(),
        tables_withheld: 0,
    }
}

/// An attempt that ended before its streams began.
pub(super) fn without_streams(end: End, asked: Asked) -> Completion {
    match end {
        End::Fault(fault) => {
            crate::logs::tell(&fault);
            failed(fault.code)
        }
        End::Halt(Halt::Cancel) if asked == Asked::Cancel => {
            Completion { outcome: Outcome::Canceled, failure: None, ..failed(FailureCode::WorkerLost) }
        }
        End::Halt(halt) => failed(halt.failure().unwrap_or(stopped_as(asked))),
    }
}

/// The code of an attempt that stopped without a failure: its orchestrator's wish, or that of whoever runs the task.
const fn stopped_as(asked: Asked) -> FailureCode {
    match asked {
        Asked::Drain => FailureCode::Drained,
        Asked::Nothing | Asked::Cancel => FailureCode::WorkerLost,
    }
}

/// An attempt that was only to begin.
pub(super) fn of_test() -> Completion {
    Completion { outcome: Outcome::Succeeded, failure: None, ..failed(FailureCode::WorkerLost) }
}

/// An attempt that moved rows.
pub(super) fn of_sync(ends: Vec<StreamEnd>, asked: Asked) -> Completion {
    let delivered = |end: &StreamEnd| end.outcome.state == StreamState::Committed;
    let outcome = if ends.iter().all(delivered) { Outcome::Succeeded } else { unfinished(&ends, asked) };
    with_streams(outcome, ends, asked)
}

/// An attempt that probed both ends: a stream without a failure passed.
pub(super) fn of_check(checked: Result<Vec<StreamEnd>, End>, asked: Asked) -> Completion {
    let ends = match checked {
        Ok(ends) => ends,
        Err(end) => return without_streams(end, asked),
    };
    let passed = |end: &StreamEnd| end.outcome.failure.is_none() && end.halt.is_none();
    let outcome = if ends.iter().all(passed) { Outcome::Succeeded } else { unfinished(&ends, asked) };
    with_streams(outcome, ends, asked)
}

/// An attempt that listed the source. Whole tables go while they fit the ceiling; the rest is counted.
pub(super) fn of_discovery(found: Result<Vec<Table>, End>, asked: Asked, ceiling: u64) -> Completion {
    let tables = match found {
        Ok(tables) => tables,
        Err(end) => return without_streams(end, asked),
    };
    let mut left = ceiling;
    let mut told = Vec::new();
    let mut withheld = 0;
    for table in tables.into_iter().map(describe) {
        match left.checked_sub(table.name_bytes()) {
            Some(rest) => {
                left = rest;
                told.push(table);
            }
            None => withheld += 1,
        }
    }
    Completion {
        outcome: Outcome::Succeeded,
        streams: Vec::new(),
        failure: None,
        tables: told,
        tables_withheld: withheld,
    }
}

/// How the process ends for this outcome.
pub(super) fn exit_of(completion: &Completion) -> Exit {
    let delivered = |s: &StreamOutcome| s.state == StreamState::Committed;
    match completion.outcome {
        Outcome::Succeeded => Exit::Ok,
        Outcome::Canceled => Exit::Canceled,
        Outcome::Failed if completion.streams.iter().any(delivered) => Exit::PartlyFailed,
        Outcome::Failed => Exit::RunFailed,
    }
}

fn with_streams(outcome: Outcome, ends: Vec<StreamEnd>, asked: Asked) -> Completion {
    let streams: Vec<_> = ends.into_iter().map(|end| end.outcome).collect();
    // Nothing failed, and the run was not canceled: the task was asked to end, so the next attempt goes on.
    let stopped = outcome == Outcome::Failed && streams.iter().all(|stream| stream.failure.is_none());
    let failure = stopped.then_some(stopped_as(asked));
    Completion { outcome, streams, failure, tables: Vec::new(), tables_withheld: 0 }
}

/// Canceled only if the orchestrator told so and nothing failed by itself.
fn unfinished(ends: &[StreamEnd], asked: Asked) -> Outcome {
    let by_itself =
        |end: &StreamEnd| end.outcome.failure.is_some() && matches!(end.halt, None | Some(Halt::Forbidden(_)));
    if asked == Asked::Cancel && !ends.iter().any(by_itself) { Outcome::Canceled } else { Outcome::Failed }
}

fn describe(table: Table) -> DiscoveredTable {
    let place = |name: &String| table.columns.iter().position(|column| column.name == *name);
    let key = table.key.iter().filter_map(place).filter_map(|place| u32::try_from(place).ok()).collect();
    let columns = table.columns.into_iter().map(|column| DiscoveredColumn {
        name: column.name,
        source_type: column.source_type,
        nullable: column.nullable,
    });
    DiscoveredTable { name: table.name, columns: columns.collect(), rows_estimate: table.rows_estimate, key }
}

#[cfg(test)]
mod tests {
    use super::*;
    use waybill_model::receipt::{ColumnDrift, Grade};
    use waybill_pipeline::{CustomerText, TableColumn};

    fn end(state: StreamState, failure: Option<FailureCode>, halt: Option<Halt>) -> StreamEnd {
        let outcome = StreamOutcome {
            stream: 0,
            state,
            rows: 0,
            bytes: 0,
            files: 0,
            coerced: 0,
            grade: Grade::Counted,
            version: None,
            epoch: None,
            receipt: None,
            adopted: false,
            failure,
            columns: ColumnDrift::default(),
        };
        StreamEnd { outcome, text: CustomerText::default(), halt, expected: Vec::new() }
    }

    #[test]
    fn a_cancel_does_not_hide_a_failure_that_came_before_it() {
        let canceled = || end(StreamState::Failed, None, Some(Halt::Cancel));
        let broken = || end(StreamState::Failed, Some(FailureCode::SourceDenied), None);
        assert_eq!(of_sync(vec![canceled()], Asked::Cancel).outcome, Outcome::Canceled);
        assert_eq!(of_sync(vec![canceled(), broken()], Asked::Cancel).outcome, Outcome::Failed);
        assert_eq!(of_sync(vec![end(StreamState::Committed, None, None)], Asked::Cancel).outcome, Outcome::Succeeded);
    }

    #[test]
    fn a_drained_attempt_is_tried_again_and_says_who_asked() {
        for (asked, code) in [(Asked::Nothing, FailureCode::WorkerLost), (Asked::Drain, FailureCode::Drained)] {
            let skipped = end(StreamState::Skipped, None, Some(Halt::Drain));
            let done = of_sync(vec![end(StreamState::Committed, None, None), skipped], asked);
            assert_eq!((done.outcome, done.failure), (Outcome::Failed, Some(code)));
            assert_eq!(exit_of(&done), Exit::PartlyFailed);
        }
        let broken = end(StreamState::Failed, Some(FailureCode::SourceDenied), None);
        let skipped = end(StreamState::Skipped, None, Some(Halt::Drain));
        assert_eq!(of_sync(vec![broken, skipped], Asked::Drain).failure, None, "the stream's own failure counts");
    }

    #[test]
    fn a_worker_that_was_only_signalled_does_not_cancel_the_run() {
        let done = of_sync(vec![end(StreamState::Failed, None, Some(Halt::Cancel))], Asked::Nothing);
        assert_eq!((done.outcome, done.failure), (Outcome::Failed, Some(FailureCode::WorkerLost)));
        let found = of_discovery(Err(End::Halt(Halt::Cancel)), Asked::Nothing, 0);
        assert_eq!((found.outcome, found.failure), (Outcome::Failed, Some(FailureCode::WorkerLost)));
    }

    #[test]
    fn names_leave_only_below_the_ceiling_and_the_rest_is_counted() {
        let table = |name: &str| Table {
            name: name.into(),
            columns: vec![TableColumn { name: "id".into(), source_type: "int4".into(), nullable: false }],
            rows_estimate: None,
            key: vec!["id".into()],
        };
        let found = || Ok(vec![table("a"), table("b"), table("long_name_here")]);
        let told = of_discovery(found(), Asked::Nothing, 14);
        assert_eq!((told.tables.len(), told.tables_withheld), (2, 1));
        assert_eq!(told.tables[0].key, [0]);
        let none = of_discovery(found(), Asked::Nothing, 0);
        assert_eq!((none.tables.len(), none.tables_withheld), (0, 3));
    }
}
