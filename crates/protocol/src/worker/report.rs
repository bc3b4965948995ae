//! Reports: progress and events.

use waybill_model::Micros;
use waybill_model::event::Event;
use waybill_model::failure::known_sqlstate;
use waybill_model::report::{Progress, Report};
use waybill_model::run::StreamState;

use crate::pb::worker as pb;
use crate::wire::{self, Problem, WireError, WireResult};

/// Most streams in one report.
pub const MAX_PROGRESS: usize = 1024;
/// Most events in one report.
pub const MAX_EVENTS: usize = 256;

impl From<Report> for pb::ReportRequest {
    fn from(report: Report) -> Self {
        Self {
            seq: report.seq,
            epoch: report.epoch.0,
            progress: report.progress.into_iter().map(Into::into).collect(),
            events: report.events.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<pb::ReportRequest> for Report {
    type Error = WireError;

    fn try_from(wire: pb::ReportRequest) -> WireResult<Self> {
        wire::at_most("progress", &wire.progress, MAX_PROGRESS)?;
        wire::at_most("events", &wire.events, MAX_EVENTS)?;
        if wire.seq == 0 {
            return Err(WireError::new("seq", Problem::OutOfRange));
        }
        Ok(Self {
            seq: wire::count("seq", wire.seq)?,
            epoch: wire::epoch("epoch", wire.epoch)?,
            progress: wire::each("progress", wire.progress, Progress::try_from)?,
            events: wire::each("events", wire.events, Event::try_from)?,
        })
    }
}

impl From<Progress> for pb::StreamProgress {
    fn from(p: Progress) -> Self {
        Self {
            stream: p.stream,
            state: state(p.state).into(),
            rows: p.rows,
            bytes: p.bytes,
            files: p.files,
            rows_estimate: p.rows_estimate,
        }
    }
}

impl TryFrom<pb::StreamProgress> for Progress {
    type Error = WireError;

    fn try_from(wire: pb::StreamProgress) -> WireResult<Self> {
        Ok(Self {
            stream: wire.stream,
            state: read_state(wire.state())?,
            rows: wire::count("rows", wire.rows)?,
            bytes: wire::count("bytes", wire.bytes)?,
            files: wire::count("files", wire.files)?,
            rows_estimate: wire::optional_count("rows_estimate", wire.rows_estimate)?,
        })
    }
}

impl From<Event> for pb::Event {
    fn from(event: Event) -> Self {
        Self {
            at_us: event.at.0,
            code: event.code.as_str().to_owned(),
            stream: event.stream,
            rows: event.rows,
            bytes: event.bytes,
            count: event.count,
            millis: event.millis,
            failure: event.failure.map(|f| f.as_str().to_owned()),
            // Whatever a driver put there, only the compiled list leaves.
            sqlstate: event.sqlstate.map(|s| known_sqlstate(&s).to_owned()),
            location: event.location,
        }
    }
}

impl TryFrom<pb::Event> for Event {
    type Error = WireError;

    fn try_from(wire: pb::Event) -> WireResult<Self> {
        if wire.at_us < 0 {
            return Err(WireError::new("at_us", Problem::OutOfRange));
        }
        if wire.sqlstate.as_deref().is_some_and(|s| known_sqlstate(s) != s) {
            return Err(WireError::new("sqlstate", Problem::UnknownCode));
        }
        Ok(Self {
            at: Micros(wire.at_us),
            code: wire::code("code", &wire.code)?,
            stream: wire.stream,
            rows: wire::optional_count("rows", wire.rows)?,
            bytes: wire::optional_count("bytes", wire.bytes)?,
            count: wire::optional_count("count", wire.count)?,
            millis: wire::optional_count("millis", wire.millis)?,
            failure: wire.failure.map(|f| wire::code("failure", &f)).transpose()?,
            sqlstate: wire.sqlstate,
            location: wire.location,
        })
    }
}

pub(super) const fn state(state: StreamState) -> pb::StreamState {
    match state {
        StreamState::Waiting => pb::StreamState::Waiting,
        StreamState::Reading => pb::StreamState::Reading,
        StreamState::Committing => pb::StreamState::Committing,
        StreamState::Committed => pb::StreamState::Committed,
        StreamState::Failed => pb::StreamState::Failed,
        StreamState::Skipped => pb::StreamState::Skipped,
    }
}

pub(super) fn read_state(wire: pb::StreamState) -> WireResult<StreamState> {
    Ok(match wire {
        pb::StreamState::Unspecified => return Err(WireError::new("state", Problem::UnknownValue)),
        pb::StreamState::Waiting => StreamState::Waiting,
        pb::StreamState::Reading => StreamState::Reading,
        pb::StreamState::Committing => StreamState::Committing,
        pb::StreamState::Committed => StreamState::Committed,
        pb::StreamState::Failed => StreamState::Failed,
        pb::StreamState::Skipped => StreamState::Skipped,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use waybill_model::event::EventCode;
    use waybill_model::{Epoch, FailureCode};

    fn report() -> pb::ReportRequest {
        let mut event = Event::of_stream(EventCode::StreamFailed, 1);
        event.failure = Some(FailureCode::SourceDenied);
        event.sqlstate = Some("28P01".into());
        let progress =
            Progress { stream: 1, state: StreamState::Reading, rows: 5, bytes: 6, files: 1, rows_estimate: None };
        Report { seq: 1, epoch: Epoch(9), progress: vec![progress], events: vec![event] }.into()
    }

    fn field(change: impl FnOnce(&mut pb::ReportRequest)) -> String {
        let mut wire = report();
        change(&mut wire);
        Report::try_from(wire).expect_err("must be refused").field
    }

    #[test]
    fn a_report_survives_the_wire() {
        let wire = report();
        let read = Report::try_from(wire.clone()).expect("a good report");
        assert_eq!(pb::ReportRequest::from(read), wire);
    }

    #[test]
    fn negative_and_huge_counts_are_refused_by_name() {
        assert_eq!(field(|r| r.progress[0].rows = u64::MAX), "progress[0].rows");
        assert_eq!(field(|r| r.progress[0].files = 1 << 63), "progress[0].files");
        assert_eq!(field(|r| r.events[0].millis = Some(u64::MAX)), "events[0].millis");
        assert_eq!(field(|r| r.epoch = -5), "epoch");
        assert_eq!(field(|r| r.seq = 0), "seq");
        assert_eq!(field(|r| r.events[0].at_us = -1), "events[0].at_us");
    }

    #[test]
    fn text_outside_the_compiled_lists_is_refused_and_not_repeated() {
        let mut wire = report();
        wire.events[0].sqlstate = Some("123-45-6789".into());
        let error = Report::try_from(wire).expect_err("not a SQLSTATE");
        assert!(!error.to_string().contains("6789"));
        assert_eq!(field(|r| r.events[0].code = "free text".into()), "events[0].code");
        assert_eq!(field(|r| r.events[0].failure = Some("oops".into())), "events[0].failure");
        assert_eq!(field(|r| r.progress[0].state = 77), "progress[0].state");
    }

    #[test]
    fn a_sqlstate_that_a_source_made_up_becomes_other_before_it_is_sent() {
        let mut event = Event::new(EventCode::StreamFailed);
        event.sqlstate = Some("SSN42".into());
        assert_eq!(pb::Event::from(event).sqlstate.as_deref(), Some("other"));
    }

    #[test]
    fn more_events_than_a_report_may_hold_are_refused() {
        assert_eq!(field(|r| r.events = vec![r.events[0].clone(); MAX_EVENTS + 1]), "events");
        assert_eq!(field(|r| r.progress = vec![r.progress[0]; MAX_PROGRESS + 1]), "progress");
    }

    proptest! {
        #[test]
        fn reading_arbitrary_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(wire) = <pb::ReportRequest as prost::Message>::decode(&bytes[..]) {
                drop(Report::try_from(wire));
            }
        }
    }
}
