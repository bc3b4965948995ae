//! The report stream: opened, kept, and opened again with what nobody acknowledged, for as long as the attempt lives.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use waybill_model::report::Report;
use waybill_pipeline::Directive;
use waybill_protocol::pb::worker as pb;
use waybill_protocol::worker::read_directive;

use super::channel::{self, Backoff};
use super::{LinkError, Shared};

/// Longest time that numbers wait.
const PROGRESS: Duration = Duration::from_secs(2);
/// How long events wait for others to go with them.
const GATHER: Duration = Duration::from_millis(100);

/// Why a stream ended.
enum End {
    /// Another one may be opened at once.
    Replaced,
    /// Another one may be opened after a pause.
    Broken(Status),
    /// The attempt is over for this worker.
    Fenced,
}

/// Reports until the attempt is fenced.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut pause = Backoff::default();
    loop {
        let answered = shared.outbox.unacknowledged().len();
        match one_stream(&shared).await {
            Ok(End::Replaced) => {}
            Ok(End::Fenced) => {
                shared.switch.raise(Directive::Fenced);
                return;
            }
            Ok(End::Broken(status)) => {
                tracing::debug!(code = ?status.code(), "the report stream ended");
                if let Err(LinkError::Fenced) = channel::unless_final(&status) {
                    shared.switch.raise(Directive::Fenced);
                    return;
                }
                if shared.outbox.unacknowledged().len() < answered {
                    pause.reset();
                }
                pause.wait().await;
            }
            Err(withheld) => {
                // A report that may not leave never will; the outcome says so as a defect.
                tracing::error!(error = &withheld as &dyn std::error::Error, "a report was withheld");
                shared.switch.raise(Directive::Cancel);
                return;
            }
        }
    }
}

/// One stream from its opening to its end.
async fn one_stream(shared: &Shared) -> Result<End, LinkError> {
    let heartbeat = shared.assignment.bounds.heartbeat;
    let mut replaced = shared.channels.changes();
    replaced.mark_unchanged();
    let (sender, outgoing) = mpsc::channel(16);
    let mut client = shared.channels.client();
    let opened = client.report(ReceiverStream::new(outgoing));
    let mut answers = match channel::bounded(heartbeat, opened).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return Ok(End::Broken(status)),
    };
    shared.heard();
    let mut speaker = Speaker {
        shared,
        sender,
        sent_at: Instant::now(),
        #[cfg(feature = "failpoints")]
        earlier: None,
    };
    for report in shared.outbox.unacknowledged() {
        speaker.send(report).await?;
    }
    // A first report at once: it renews the lease and brings the first directive.
    speaker.flush(true).await?;
    let mut tick = tokio::time::interval(PROGRESS.min(heartbeat));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard_at = Instant::now();
    loop {
        tokio::select! {
            answer = answers.message() => match answer {
                Ok(Some(answer)) => {
                    heard_at = Instant::now();
                    if let Some(end) = take(shared, &answer)? {
                        return Ok(end);
                    }
                    if shared.outbox.has_events() {
                        speaker.flush(false).await?;
                    }
                }
                Ok(None) => return Ok(End::Broken(Status::unavailable("ended"))),
                Err(status) => return Ok(End::Broken(status)),
            },
            _ = tick.tick() => {
                let due = speaker.sent_at.elapsed() >= heartbeat.mul_f64(0.7);
                speaker.flush(due).await?;
                let silent = heard_at.elapsed() > heartbeat.max(Duration::from_secs(1)) * 3;
                if silent && !shared.outbox.unacknowledged().is_empty() {
                    return Ok(End::Broken(Status::deadline_exceeded("silent")));
                }
            }
            () = shared.pending.notified() => {
                tokio::time::sleep(GATHER.min(heartbeat / 4)).await;
                speaker.flush(false).await?;
            }
            changed = replaced.changed() => {
                if changed.is_ok() {
                    return Ok(End::Replaced);
                }
            }
        }
    }
}

/// Takes an answer: what arrived need not be sent again; a directive is passed on.
fn take(shared: &Shared, answer: &pb::ReportResponse) -> Result<Option<End>, LinkError> {
    shared.heard();
    shared.outbox.acknowledge(answer.acked_seq);
    if shared.outbox.is_empty() {
        shared.drained.notify_waiters();
    }
    Ok(match super::gate::obey(shared, read_directive(answer.directive())?) {
        Directive::Fenced => Some(End::Fenced),
        _ => None,
    })
}

/// The sending half of one stream.
struct Speaker<'a> {
    shared: &'a Shared,
    sender: mpsc::Sender<pb::ReportRequest>,
    sent_at: Instant,
    #[cfg(feature = "failpoints")]
    earlier: Option<pb::ReportRequest>,
}

impl Speaker<'_> {
    /// Sends what waits; `always` sends a report even with nothing in it.
    async fn flush(&mut self, mut always: bool) -> Result<(), LinkError> {
        while let Some(report) = self.shared.outbox.next(self.shared.assignment.epoch, always) {
            always = false;
            self.send(report).await?;
        }
        Ok(())
    }

    async fn send(&mut self, report: Report) -> Result<(), LinkError> {
        let message = pb::ReportRequest::from(report);
        #[cfg(feature = "failpoints")]
        let message = super::egress::planted(message);
        #[cfg(feature = "failpoints")]
        self.disorder(&message)?;
        let cleared = self.shared.egress.clear(message)?;
        self.sent_at = Instant::now();
        // A closed stream shows itself by its answers' end; the report is kept until it is acknowledged.
        let _ = self.sender.try_send(cleared.into_request());
        Ok(())
    }

    /// A fault build says this and then the one before it, ahead of saying this: twice and out of order.
    #[cfg(feature = "failpoints")]
    fn disorder(&mut self, message: &pb::ReportRequest) -> Result<(), LinkError> {
        if !waybill_model::fault::asked("report", "repeat") {
            return Ok(());
        }
        for again in [Some(message.clone()), self.earlier.replace(message.clone())].into_iter().flatten() {
            let _ = self.sender.try_send(self.shared.egress.clear(again)?.into_request());
        }
        Ok(())
    }
}
