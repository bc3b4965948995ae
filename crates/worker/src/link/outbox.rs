//! What waits to be reported: the newest numbers of each stream, every event, and reports that nobody acknowledged yet.
//!
//! Numbers replace each other, so silence costs little memory; events are kept, since none may be lost.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use waybill_model::Epoch;
use waybill_model::event::Event;
use waybill_model::report::{Progress, Report};
use waybill_protocol::worker::{MAX_EVENTS, MAX_PROGRESS};

/// Reports that may be on their way at once.
const IN_FLIGHT: usize = 4;
/// Events in one report at most; well below what a report may hold.
const EVENTS: usize = if MAX_EVENTS < 100 { MAX_EVENTS } else { 100 };

#[derive(Default)]
pub(super) struct Outbox(Mutex<Content>);

#[derive(Default)]
struct Content {
    progress: BTreeMap<u32, Progress>,
    events: VecDeque<Event>,
    sent: VecDeque<Report>,
    seq: u64,
}

impl Outbox {
    pub(super) fn progress(&self, p: waybill_pipeline::Progress) {
        let progress = Progress {
            stream: p.stream,
            state: p.state,
            rows: p.rows,
            bytes: p.bytes,
            files: p.files,
            rows_estimate: p.rows_estimate,
        };
        self.lock().progress.insert(p.stream, progress);
    }

    pub(super) fn event(&self, event: Event) {
        self.lock().events.push_back(event);
    }

    /// Whether nothing waits and nothing is unacknowledged.
    pub(super) fn is_empty(&self) -> bool {
        let content = self.lock();
        content.progress.is_empty() && content.events.is_empty() && content.sent.is_empty()
    }

    /// Whether events wait.
    pub(super) fn has_events(&self) -> bool {
        !self.lock().events.is_empty()
    }

    /// The next report, if enough of the earlier ones were acknowledged. `always`: also one with nothing in it.
    pub(super) fn next(&self, epoch: Epoch, always: bool) -> Option<Report> {
        let mut content = self.lock();
        let something = always || !content.progress.is_empty() || !content.events.is_empty();
        if !something || content.sent.len() >= IN_FLIGHT {
            return None;
        }
        content.seq += 1;
        let events = content.events.len().min(EVENTS);
        let events = content.events.drain(..events).collect();
        let mut progress = Vec::new();
        while progress.len() < MAX_PROGRESS
            && let Some((_, newest)) = content.progress.pop_first()
        {
            progress.push(newest);
        }
        let report = Report { seq: content.seq, epoch, progress, events };
        content.sent.push_back(report.clone());
        Some(report)
    }

    /// Everything up to `seq` has arrived.
    pub(super) fn acknowledge(&self, seq: u64) {
        let mut content = self.lock();
        while content.sent.front().is_some_and(|oldest| oldest.seq <= seq) {
            content.sent.pop_front();
        }
    }

    /// What has to be sent again on a new stream, in order.
    pub(super) fn unacknowledged(&self) -> Vec<Report> {
        self.lock().sent.iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use waybill_model::event::EventCode;
    use waybill_model::run::StreamState;

    fn progress(stream: u32, rows: u64) -> waybill_pipeline::Progress {
        waybill_pipeline::Progress {
            stream,
            state: StreamState::Reading,
            rows,
            bytes: 0,
            files: 0,
            rows_estimate: None,
        }
    }

    #[test]
    fn newer_numbers_replace_older_ones_and_events_stay_in_order() {
        let outbox = Outbox::default();
        (0..1000).for_each(|rows| outbox.progress(progress(0, rows)));
        (0..250).for_each(|n| outbox.event(Event { count: Some(n), ..Event::new(EventCode::PartUploaded) }));
        let reports: Vec<_> = std::iter::from_fn(|| outbox.next(Epoch(1), false)).collect();
        assert_eq!(reports.len(), 3);
        assert_eq!(reports[0].progress.len(), 1);
        assert_eq!(reports[0].progress[0].rows, 999);
        let told: Vec<_> = reports.iter().flat_map(|r| r.events.iter().filter_map(|e| e.count)).collect();
        assert_eq!(told, (0..250).collect::<Vec<_>>());
    }

    #[test]
    fn what_was_not_acknowledged_is_sent_again_with_its_number() {
        let outbox = Outbox::default();
        for rows in 0..3 {
            outbox.progress(progress(0, rows));
            outbox.next(Epoch(1), false).expect("a report");
        }
        outbox.acknowledge(1);
        let again: Vec<_> = outbox.unacknowledged().iter().map(|r| r.seq).collect();
        assert_eq!(again, [2, 3]);
        outbox.acknowledge(3);
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_silent_orchestrator_costs_no_more_than_four_reports() {
        let outbox = Outbox::default();
        for rows in 0..100 {
            outbox.progress(progress(0, rows));
            outbox.next(Epoch(1), true);
        }
        assert_eq!(outbox.unacknowledged().len(), IN_FLIGHT);
    }
}
