//! The report stream: each message is bounded, checked, taken once, and answered with what to do.
//!
//! A stream ends when its certificate does, when it is revoked, when nothing comes, when answers are not read, and when
//! this replica stops. The worker resends what was not acknowledged, so an end loses nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tonic::{Status, Streaming};
use waybill_identity::Certified;
use waybill_model::Micros;
use waybill_model::report::{Directive, Report};
use waybill_protocol::pb::worker as pb;
use waybill_protocol::worker::directive;
use waybill_protocol::{Problem, WireError};

use super::answers::{Answers, Gone, Read};
use super::quota::Meter;
use super::{Services, WorkersConnected, admit, status};
use crate::listen::HangUp;

pub(super) struct Conversation {
    pub(super) shared: Arc<Services>,
    pub(super) meter: Arc<Meter>,
    pub(super) certified: Arc<Certified>,
}

impl Conversation {
    pub(super) fn begin(self, reports: Streaming<pb::ReportRequest>, hang_up: HangUp) -> Read<pb::ReportResponse> {
        let (to_worker, answers) = Answers::open(self.shared.read_time, hang_up);
        tokio::spawn(async move {
            let _connected = Connected::new(&self.shared.connected);
            if let Err(end) = self.hear(reports, &to_worker).await {
                to_worker.end(end).await;
            }
        });
        answers
    }

    async fn hear(
        &self,
        mut reports: Streaming<pb::ReportRequest>,
        to_worker: &Answers<pb::ReportResponse>,
    ) -> Result<(), Status> {
        let mut revocations = self.shared.deny.changes();
        let mut last = 0;
        loop {
            let next = tokio::select! {
                biased;
                () = self.shared.stop.cancelled() => return Err(status::going_away()),
                changed = revocations.changed() => {
                    changed.map_err(|_| status::going_away())?;
                    admit::admit(&self.certified, &self.shared.deny, Micros::now())?;
                    continue;
                }
                () = to_worker.closed() => return Ok(()),
                next = tokio::time::timeout(self.shared.report_idle, reports.message()) => next,
            };
            let Some(wire) = next.map_err(|_| Status::deadline_exceeded("idle"))?? else { return Ok(()) };
            let answer = self.take(wire, &mut last).await?;
            let acked = pb::ReportResponse { acked_seq: last, directive: directive(answer).into() };
            match to_worker.send(acked).await {
                Ok(()) if answer != Directive::Fenced => {}
                Ok(()) | Err(Gone) => return Ok(()),
            }
        }
    }

    /// Takes one report. Within a stream the sequence may repeat but not skip: a gap would lose what is in it.
    async fn take(&self, wire: pb::ReportRequest, last: &mut u64) -> Result<Directive, Status> {
        admit::admit(&self.certified, &self.shared.deny, Micros::now())?;
        let peer = &self.certified.peer;
        if !self.meter.take(peer.attempt, wire.events.len(), Instant::now()) {
            tracing::warn!(attempt = %peer.attempt, "a worker sends more than its quota");
            return Err(status::quota());
        }
        let report = Report::try_from(wire).map_err(|e| status::invalid(&e))?;
        if *last != 0 && report.seq > *last + 1 {
            return Err(status::invalid(&WireError::new("seq", Problem::OutOfRange)));
        }
        let seq = report.seq;
        let answer = self.shared.attempts.report(peer, report).await.map_err(status::of)?;
        *last = seq.max(*last);
        Ok(answer)
    }
}

/// Counts one open report stream while it lives.
struct Connected(WorkersConnected);

impl Connected {
    fn new(all: &WorkersConnected) -> Self {
        all.0.fetch_add(1, Ordering::Relaxed);
        Self(all.clone())
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
